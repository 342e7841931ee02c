# SPDX-License-Identifier: Apache-2.0
"""Row 6 on recordings and databases of others: batch decoding, cantools frame by frame and asammdf, in turns.

All three start from frames in memory (asammdf from an open MF4 of the same frames) and a loaded database, and end with
the series of every signal. Short recordings are repeated: a handful of frames would time the call, not the decoding.
"""

from __future__ import annotations

import importlib.util
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from harness.canbus.batch import Decoded, Decoder
from harness.canbus.database import Database, load_database
from harness.canbus.recorder import read_log
from harness.trace import Frames

from .asammdf_side import bus_logging
from .table import Bar, Measurement, not_measured, number
from .timing import Effort, Times, interleaved, ratio

DATA = Path(__file__).parents[3] / "shared" / "data"
INSTALL = 'pip install -e ".[dev,mf4]"'
ENOUGH_FRAMES = 10_000
TEN = 10
FAR_BEYOND_ONE_RECORDING_NS = 1_000_000_000
EXTENDED, REMOTE, ERROR = 1, 8, 16
Plain = list[tuple[tuple[int, bool], bytes]]
Values = dict[str, tuple[list[int], list[float]]]


@dataclass(frozen=True, slots=True)
class Case:
    """Recordings put one after the other, and a database. `bar` only where the database was made for the bus."""

    what: str
    logs: tuple[str, ...]
    database: str
    bar: Bar | None = None
    remark: str = ""


WANTED = Bar(at_least=100.0)
OTHER_BUS = "the database was made for another bus: identifiers agree by chance, or not at all"
WE_EV = ("we-ev/candump-2025-11-22_161709.log",)
SAVVYCAN = ("savvycan/candump.log",)
PYTHON_CAN = (
    "python-can/logfile.asc",
    "python-can/logfile_errorframes.asc",
    "python-can/issue_1905.blf",
    "python-can/test_CanErrorFrameExt.blf",
    "python-can/test_CanFdMessage64.blf",
)
CASES = (
    Case("we-ev candump, VECAN", WE_EV, "we-ev/VECAN_2.0.16_DI.dbc", WANTED),
    Case("we-ev candump, Model3CAN", WE_EV, "model3dbc/Model3CAN.dbc", WANTED, "the vehicle has a Tesla drive unit"),
    Case("foxBMS trc, foxbms", ("foxbms/can-log.trc",), "foxbms/foxbms.dbc", WANTED),
    Case("SavvyCAN candump, LeafPowertrainBus", SAVVYCAN, "savvycan/LeafPowertrainBus.dbc", None, OTHER_BUS),
    Case("SavvyCAN candump, bms", SAVVYCAN, "savvycan/bms.dbc", None, OTHER_BUS),
    Case("SavvyCAN candump, Model3CAN", SAVVYCAN, "model3dbc/Model3CAN.dbc", None, OTHER_BUS),
    Case(
        "CSS MF4, tp_uds_nissan",
        ("css/00000001.MF4", "css/00000170.MF4"),
        "css/tp_uds_nissan.dbc",
        None,
        "its message is longer than a frame (ISO-TP): nobody can decode one frame of it",
    ),
    Case("python-can ASC and BLF, Prohelion", PYTHON_CAN, "prohelion/Prohelion_BMS_D1000_Gen1.dbc", None, OTHER_BUS),
)


def measure(effort: Effort, data: Path = DATA) -> list[Measurement]:
    """Two lines a case: against cantools, and against asammdf for information."""
    if not data.is_dir():
        return [
            not_measured(6, case.what, "the recordings of others are not here (shared/data)", case.bar)
            for case in CASES
        ]
    found: list[Measurement] = []
    for case in CASES:
        found += _case(case, data, effort)
    return found


def _case(case: Case, data: Path, effort: Effort) -> list[Measurement]:
    if not importlib.util.find_spec("asammdf") and any(name.endswith(".MF4") for name in case.logs):
        return [not_measured(6, case.what, INSTALL, case.bar)]
    database = load_database(data / case.database, strict=False)
    once = joined([read_log(data / name) for name in case.logs])
    frames = repeated(once)
    known = of_database(frames, database)
    sides: dict[str, Callable[[], object]] = {
        "cantools": usual_way(database, frames),
        "batch": at_once(database, frames),
        "batch, ten": at_once(database, frames, times=TEN),
        "cantools, known": usual_way(database, known),
        "batch, known": at_once(database, known),
    }
    given = [0]
    with ExitStack() as stack:
        if importlib.util.find_spec("asammdf"):
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            extract = bus_logging(frames, data / case.database, folder / "frames.mf4", stack)

            def asammdf() -> None:
                given[0] = extract()

            sides["asammdf"] = asammdf
        times = interleaved(sides, effort.of(7, 3))
    shown = _against_cantools(case, compare(database, once), len(once), frames, len(known), times)
    return [shown, _against_asammdf(case, len(frames), times, given[0])]


def at_once(database: Database, frames: Frames, times: int = 1) -> Callable[[], None]:
    """Batch decoding, then the series of every signal of every message that came; several times in a row if asked."""
    decoder = Decoder(database, restbus=[message.name for message in database.messages])
    paths: dict[str, list[str]] = {}
    for path in decoder.layout.places:
        paths.setdefault(path.partition(".")[0], []).append(path)

    def decode() -> None:
        for _ in range(times):
            decoded = decoder.decode(frames)
            for message, signals in paths.items():
                if len(decoded.rows(message)):
                    for path in signals:
                        decoded.values(path)

    return decode


def usual_way(database: Database, frames: Frames) -> Callable[[], object]:
    """One frame after the other through cantools; what a reader of a bus has in hand is made before."""
    messages = {(message.frame_id, bool(message.is_extended_frame)): message for message in database.codec.messages}
    plain = _as_bytes(frames)
    return lambda: one_by_one(messages, plain)


def of_database(frames: Frames, database: Database) -> Frames:
    """Only the data frames that can be decoded: of known identifiers, and long enough."""
    lengths = {(message.id, message.extended): message.length for message in database.messages}
    columns = zip(frames.id.tolist(), frames.flags.tolist(), frames.length.tolist(), strict=True)
    kept = [
        not flags & (REMOTE | ERROR) and lengths.get((identifier, bool(flags & EXTENDED)), 0xFFFF) <= length
        for identifier, flags, length in columns
    ]
    return Frames(*(getattr(frames, name)[np.array(kept, np.bool_)] for name in Frames.__dataclass_fields__))


def _against_cantools(
    case: Case, agreement: Agreement, n_once: int, frames: Frames, n_known: int, times: dict[str, Times]
) -> Measurement:
    counts, n = agreement.decoded.counts, len(frames)
    shown = ", ".join(
        f"{getattr(counts, name)} {name}" for name in counts.__dataclass_fields__ if getattr(counts, name)
    )
    parts = [
        f"{n_once} frames ({shown.replace('_', ' ')})" + (f", repeated to {n}" if n != n_once else ""),
        f"{times['batch'].per(n)} us a frame against {times['cantools'].per(n)}",
    ]
    warm = ratio(times["cantools"], times["batch, ten"]) * TEN
    parts.append(f"ten in a row {number(warm, 'x')}: {times['batch, ten'].per(TEN * n)} us a frame")
    if n_known:
        alone = ratio(times["cantools, known"], times["batch, known"])
        parts.append(
            f"the {n_known} that can be decoded alone {number(alone, 'x')}: {times['batch, known'].per(n_known)} us a "
            f"frame against {times['cantools, known'].per(n_known)}"
        )
    parts.append(f"{agreement.compared} values compared bit by bit, {agreement.differing} differ")
    if agreement.left_out:
        parts.append(f"{agreement.left_out} frames not compared: of messages that cantools refuses when strict")
    parts += [case.remark] if case.remark else []
    error = f"{agreement.differing} of {agreement.compared} values differ" if agreement.differing else ""
    if case.bar and not agreement.compared:
        error = "no value could be compared"
    speed = ratio(times["cantools"], times["batch"])
    return Measurement(6, f"{case.what}: against cantools", speed, "x", case.bar, "; ".join(parts), error)


def _against_asammdf(case: Case, n: int, times: dict[str, Times], given: int) -> Measurement:
    what = f"{case.what}: against asammdf"
    if "asammdf" not in times:
        return not_measured(6, what, INSTALL)
    detail = f"{times['asammdf'].per(n)} us a frame, {given} values given"
    return Measurement(6, what, ratio(times["asammdf"], times["batch"]), "x", None, detail)


def joined(parts: list[Frames]) -> Frames:
    """Recordings one after the other."""
    width = max(part.data.shape[1] for part in parts)
    shift_ns = 0
    stamps, data = [], []
    for part in parts:
        stamps.append(part.t_ns + np.uint64(shift_ns))
        shift_ns = int(stamps[-1][-1]) + FAR_BEYOND_ONE_RECORDING_NS
        data.append(np.pad(part.data, ((0, 0), (0, width - part.data.shape[1]))))
    rest = {
        name: np.concatenate([getattr(part, name) for part in parts])
        for name in ("id", "flags", "bus", "node", "length")
    }
    return Frames(t_ns=np.concatenate(stamps), data=np.concatenate(data), **rest)


def repeated(frames: Frames) -> Frames:
    """The frames as often as it takes to have enough of them."""
    return joined([frames] * -(-ENOUGH_FRAMES // len(frames)))


def _as_bytes(frames: Frames) -> Plain:
    """What a reader of a bus has in hand: data frames with identifier and payload."""
    columns = (frames.id.tolist(), frames.flags.tolist(), frames.length.tolist(), frames.data)
    return [
        ((identifier, bool(flags & EXTENDED)), bytes(data[:length]))
        for identifier, flags, length, data in zip(*columns, strict=True)
        if not flags & (REMOTE | ERROR)
    ]


def one_by_one(messages: dict[tuple[int, bool], Any], frames: Plain) -> list[dict[str, float]]:
    """The usual way: look the message up, decode the payload into a dict; what fails is passed over."""
    found = []
    for identifier, data in frames:
        message = messages.get(identifier)
        if message is not None:
            try:
                found.append(message.decode(data, decode_choices=False))
            except Exception:  # noqa: BLE001, S112 - too short, or a multiplexer at an unknown value
                continue
    return found


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many values were compared with those of cantools, and how many differ in a bit or are on one side only."""

    decoded: Decoded
    compared: int
    differing: int
    left_out: int


def compare(database: Database, frames: Frames) -> Agreement:
    """Every value of every frame. Messages that cantools itself refuses when strict are left out."""
    decoder = Decoder(database, restbus=[message.name for message in database.messages])
    decoded = decoder.decode(frames)
    sound = {(m.frame_id, bool(m.is_extended_frame)): m for m in database.codec.messages if _is_sound(m)}
    expected, refused = _expected(sound, frames)
    names = {message.name for message in sound.values()}
    compared = differing = 0
    for path in decoder.layout.places:
        rows, numbers = expected.pop(path, ([], []))
        if path.partition(".")[0] not in names:
            continue
        series = decoded.signal(path)
        kept = ~np.isin(series.rows, refused)
        compared += len(rows)
        same = np.array_equal(series.rows[kept], rows)
        same = same and series.value[kept].tobytes() == np.array(numbers, np.float64).tobytes()
        differing += 0 if same else max(len(rows), int(kept.sum()))
    differing += sum(len(rows) for rows, _ in expected.values())
    left_out = sum(len(decoded.rows(message.name)) for message in database.messages if message.name not in names)
    return Agreement(decoded, compared, differing, left_out)


def _is_sound(message: Any) -> bool:
    names = [signal.name for signal in message.signals]
    try:
        message.refresh(strict=True)
    except Exception:  # noqa: BLE001 - any refusal means the same
        message.refresh(strict=False)
        return False
    return len(set(names)) == len(names)


def _expected(messages: dict[tuple[int, bool], Any], frames: Frames) -> tuple[Values, list[int]]:
    """Rows and values by "Message.Signal", and the rows that cantools refuses though they are long enough."""
    expected: Values = {}
    refused = []
    for row in range(len(frames)):
        flags, length = int(frames.flags[row]), int(frames.length[row])
        message = messages.get((int(frames.id[row]), bool(flags & EXTENDED)))
        if message is None or flags & (REMOTE | ERROR) or length < message.length:
            continue
        try:
            values = message.decode(frames.data[row, :length].tobytes(), decode_choices=False)
        except Exception:  # noqa: BLE001 - a multiplexer at a value the database does not name
            refused.append(row)
            continue
        for name, value in values.items():
            rows, numbers = expected.setdefault(f"{message.name}.{name}", ([], []))
            rows.append(row)
            numbers.append(float(value))
    return expected, refused
