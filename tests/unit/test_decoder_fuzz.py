# SPDX-License-Identifier: Apache-2.0
"""The decoder takes any frame: what it cannot decode is counted by its kind, nothing is lost and nothing is changed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.canbus.batch import NODE_UNKNOWN, Decoder
from harness.canbus.database import Database
from harness.canbus.model import Message, Signal
from harness.trace import Frames

EXTENDED, REMOTE, ERROR = 1, 8, 16
DUT, WIDTH = 0, 64
PAGES = Message(
    "Pages",
    0x120,
    extended=False,
    length=3,
    signals=(
        Signal("Page", 0, 8, is_multiplexer=True),
        Signal("First", 8, 16, multiplexer="Page", mux_ids=frozenset({1})),
        Signal("Second", 15, 16, big_endian=True, multiplexer="Page", mux_ids=frozenset({2, 3})),
    ),
)
PLAIN = Message("Plain", 0x18FF0102, extended=True, length=8, signals=(Signal("Value", 0, 64),))
WIDE = Message("Wide", 0x7FF, extended=False, length=64, signals=(Signal("Last", 504, 8),))
EMPTY = Message("Empty", 0, extended=False, length=0, signals=())
COMMAND = Message("Command", 0x200, extended=False, length=1, signals=(Signal("Mode", 0, 8, signed=True),))
MESSAGES = {(message.id, message.extended): message for message in (PAGES, PLAIN, WIDE, EMPTY, COMMAND)}
DATABASE = Database(Path("product.dbc"), "", (), tuple(MESSAGES.values()), None)
KNOWN_PAGES = {1, 2, 3}

identities = st.one_of(
    st.sampled_from([(number, int(extended)) for number, extended in MESSAGES]),
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 255)),
)
lengths = st.one_of(
    st.sampled_from(
        [0, 1, *(message.length + more for message in MESSAGES.values() for more in (-1, 0) if message.length)]
    ),
    st.integers(0, 255),
)
frame = st.builds(
    lambda identity, marks, node, length, data: (identity[0], identity[1] | marks, node, length, data),
    identities,
    st.sampled_from([0, 0, 0, 0, REMOTE, ERROR, REMOTE | ERROR]),
    st.sampled_from([DUT, DUT, 1, 2, NODE_UNKNOWN]),
    lengths,
    st.one_of(st.binary(max_size=WIDTH), st.sampled_from([b"\1\2\3", b"\3\2\1", b"\7\0\0"])),
)
Row = tuple[int, int, int, int, bytes]


def buffer(rows: list[Row], width: int) -> Frames:
    """The rows as frames; a length may claim more than is there."""
    return Frames(
        t_ns=np.arange(len(rows), dtype=np.uint64),
        id=np.array([row[0] for row in rows], np.uint32),
        flags=np.array([row[1] for row in rows], np.uint8),
        bus=np.zeros(len(rows), np.uint8),
        node=np.array([row[2] for row in rows], np.uint8),
        length=np.array([row[3] for row in rows], np.uint8),
        data=np.array([list(row[4][:width].ljust(width, b"\0")) for row in rows], np.uint8).reshape(len(rows), width),
    )


def fate(row: Row, width: int) -> str:
    """What has to become of one frame, said without the decoder."""
    number, flags, node, length, _ = row
    if flags & ERROR:
        return "error"
    if flags & REMOTE:
        return "remote"
    message = MESSAGES.get((number, bool(flags & EXTENDED)))
    if message is None:
        return "unknown_id"
    if message is not COMMAND and node not in {DUT, NODE_UNKNOWN}:
        return "other_node"
    return "decoded" if message.length <= min(length, width) else "wrong_length"


@settings(max_examples=300)
@given(st.lists(frame, max_size=30), st.sampled_from([8, 12, WIDTH]))
def test_any_frames_are_counted_by_what_became_of_them_and_left_as_they_are(rows: list[Row], width: int) -> None:
    frames = buffer(rows, width)
    before = [getattr(frames, name).tobytes() for name in Frames.__dataclass_fields__]
    decoded = Decoder(DATABASE, ["Command"]).decode(frames)
    expected = Counter(fate(row, width) for row in rows)
    for kind in ("decoded", "unknown_id", "wrong_length", "remote", "error", "other_node"):
        assert expected[kind] == getattr(decoded.counts, kind), kind
    pages = [at for at, row in enumerate(rows) if fate(row, width) == "decoded" and row[0] == PAGES.id]
    unknown = [at for at in pages if int(frames.data[at, 0]) not in KNOWN_PAGES]
    assert len(unknown) == decoded.counts.undecodable_multiplexer
    assert pages == decoded.signal("Pages.Page").rows.tolist()
    assert before == [getattr(frames, name).tobytes() for name in Frames.__dataclass_fields__]


@settings(max_examples=100)
@given(st.lists(frame, min_size=1, max_size=30))
def test_every_signal_of_any_frames_has_the_bytes_of_its_frames(rows: list[Row]) -> None:
    frames = buffer(rows, WIDTH)
    decoded = Decoder(DATABASE, ["Command"]).decode(frames)
    series = decoded.signal("Plain.Value")
    payloads = [frames.data[at, :8].tobytes() for at in series.rows]
    assert [int.from_bytes(payload, "little") for payload in payloads] == series.raw.tolist()
    second = decoded.signal("Pages.Second")
    assert [int.from_bytes(frames.data[at, 1:3].tobytes(), "big") for at in second.rows] == second.raw.tolist()
    assert {int(frames.data[at, 0]) for at in second.rows} <= {2, 3}
