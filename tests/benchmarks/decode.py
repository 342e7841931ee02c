# SPDX-License-Identifier: Apache-2.0
"""Row 6: decoding a frame buffer at once against cantools frame by frame, on the same frames, equal to the bit."""

from __future__ import annotations

from typing import Any

import cantools.database
import numpy as np
from cantools.database.can import Database, Message

from harness.rig.file import Rig
from harness.rig.session import Session
from harness.trace import Frames

from .loop import driving
from .table import Bar, Measurement
from .timing import Effort, interleaved, ratio

Frame = tuple[int, bytes]
Decoded = list[Any]


def measure(rig: Rig, effort: Effort) -> list[Measurement]:
    """The frames are those of a drive; both sides give every signal of every frame."""
    database = cantools.database.load_file(rig.profile.database.path)
    assert isinstance(database, Database)
    messages = {message.frame_id: message for message in database.messages}
    with Session(rig) as session:
        frames = session.run(driving(rig, effort.of(120, 30)), keep=True).trace.frames
    decoder = rig.profile.decoder
    paths = list(decoder.layout.places)
    plain = _as_bytes(frames)

    def at_once() -> None:
        decoded = decoder.decode(frames)
        for path in paths:
            decoded.values(path)

    times = interleaved({"cantools": lambda: one_by_one(messages, plain), "batch": at_once}, effort.of(7, 3))
    signals, differing = compare(rig, frames, one_by_one(messages, plain), messages)
    found = times["batch"]
    detail = (
        f"{len(frames)} frames, {found.per(len(frames))} us a frame against {times['cantools'].per(len(frames))}; "
        f"{signals} values compared bit by bit, {differing} differ"
    )
    error = f"{differing} of {signals} values differ" if differing or not signals else ""
    speed = ratio(times["cantools"], found)
    return [Measurement(6, "batch decode against cantools per frame", speed, "x", Bar(at_least=100.0), detail, error)]


def _as_bytes(frames: Frames) -> list[Frame]:
    """What a reader of a bus has in hand: identifier and payload."""
    return [
        (identifier, bytes(data[:length]))
        for identifier, data, length in zip(frames.id.tolist(), frames.data, frames.length.tolist(), strict=True)
    ]


def one_by_one(messages: dict[int, Message], frames: list[Frame]) -> Decoded:
    """The usual way: look the message up, decode the payload into a dict."""
    return [messages[identifier].decode(data, decode_choices=False) for identifier, data in frames]


def compare(rig: Rig, frames: Frames, expected: Decoded, messages: dict[int, Message]) -> tuple[int, int]:
    """How many values were compared, and how many differ in a bit or are missing on one side."""
    decoded = rig.profile.decoder.decode(frames)
    by_path: dict[str, tuple[list[int], list[float]]] = {}
    for row, (identifier, values) in enumerate(zip(frames.id.tolist(), expected, strict=True)):
        for name, value in values.items():
            rows, numbers = by_path.setdefault(f"{messages[identifier].name}.{name}", ([], []))
            rows.append(row)
            numbers.append(float(value))
    compared = differing = 0
    for path in rig.profile.decoder.layout.places:
        rows, numbers = by_path.pop(path, ([], []))
        series = decoded.signal(path)
        compared += len(rows)
        same = np.array_equal(series.rows, rows) and series.value.tobytes() == np.array(numbers, np.float64).tobytes()
        differing += 0 if same else max(len(rows), len(series.rows))
    return compared, differing + sum(len(rows) for rows, _ in by_path.values())
