# SPDX-License-Identifier: Apache-2.0
"""Recordings on disk: writing BLF, reading BLF, ASC, TRC, candump, SavvyCAN and python-can CSV, and MF4.

A recording is data from a stranger: whatever is wrong with it becomes a RigError that says how far it could be read.
python-can is loaded only when needed. candump and SavvyCAN files have their own readers (`textlogs`): python-can
takes most error frames of candump for data frames, and does not know SavvyCAN's format.
"""

from __future__ import annotations

import gc
import io
import re
import struct
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from harness.canbus import textlogs
from harness.canbus.batch import NODE_UNKNOWN
from harness.canbus.textlogs import BRS, ERROR, EXTENDED, FD, REMOTE, Row
from harness.errors import Problem, RigError
from harness.trace import DUT_NODE, Frames

if TYPE_CHECKING:
    import can

NS_PER_S = 1_000_000_000
NS_PER_US = 1000
EPOCH_S = 1e8  # time stamps beyond three years count from 1970, not from the start of the recording
FORMATS = (".blf", ".asc", ".trc", ".log", ".csv", ".mf4")
_BLF_HEADER_BYTES = 144
_MAX_TEXT = 160
_CLASSIC_BYTES = 8
_FD_BYTES = 64
_MAX_NS = 1 << 62  # what a signed 64-bit number still holds as a difference
_MF4_MAGIC = (b"MDF     ", b"UnFinMF ")  # ASAM MDF 4, finished and not


@dataclass(frozen=True, slots=True)
class Recording:
    """Frames with `t_ns` from the start of the recording, and the wall-clock time of that start where it is known
    (seconds since 1970). `notes` says what the file held that is not a CAN frame.
    """

    frames: Frames
    start_s: float | None = None
    notes: tuple[str, ...] = ()


def write_blf(frames: Frames, path: Path, t0_s: float = 0.0) -> None:
    """Write all frames, exact to the nanosecond. `t0_s` is the wall-clock time of t_ns = 0, 0 for virtual time.

    The sender is kept only as direction: frames of the DUT are received ones. Complete or absent, never half.
    """
    import can  # noqa: PLC0415 - heavy, needed only where files are touched

    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        writer = can.BLFWriter(stream)
        writer.start_timestamp = 0.0  # stamps stay relative: the float of an absolute one has no nanoseconds
        for row in range(len(frames)):
            writer.on_message_received(_message(frames, row))
        writer.start_timestamp = t0_s
        writer.stop_timestamp = t0_s + (float(frames.t_ns[-1]) / NS_PER_S if len(frames) else 0.0)
        writer.stop()
    partial.replace(path)


def _message(frames: Frames, row: int) -> can.Message:
    import can  # noqa: PLC0415 - see above

    flags, length = int(frames.flags[row]), int(frames.length[row])
    return can.Message(
        timestamp=(int(frames.t_ns[row]) + 0.5) / NS_PER_S,  # the writer cuts off below the nanosecond
        arbitration_id=int(frames.id[row]),
        is_extended_id=bool(flags & EXTENDED),
        is_fd=bool(flags & FD),
        bitrate_switch=bool(flags & BRS),
        is_remote_frame=bool(flags & REMOTE),
        is_error_frame=bool(flags & ERROR),
        is_rx=int(frames.node[row]) == DUT_NODE,
        channel=int(frames.bus[row]),
        dlc=length,
        data=None if flags & REMOTE else frames.data[row, :length].tobytes(),
        check=False,
    )


def read_log(path: Path) -> Frames:
    """The frames of a recording; see `read_recording`."""
    return read_recording(path).frames


def read_recording(path: Path) -> Recording:
    """Read a recording by its suffix. The sender of every frame is unknown (node 255).

    Raises RigError when the file is missing, of another format, or damaged; the text says how much was readable.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise RigError([Problem(str(path), 0, "", f"suffix '{path.suffix}'", f"a recording: {', '.join(FORMATS)}")])
    if not path.is_file():
        raise RigError([Problem(str(path), 0, "", "no such file", "a readable recording")])
    rows: list[Row] = []
    damage = ""
    with ExitStack() as stack:
        reader = _open(path, stack)
        try:
            for row in reader.rows:
                rows.append(row)  # noqa: PERF402 - what was read before an error must stay
            damage = reader.damage(len(rows)) or _impossible_time(rows)
        except RigError:
            raise
        except Exception as error:  # noqa: BLE001 - readers raise whatever a broken file makes them raise
            damage = f"{type(error).__name__}: {error}"
        if damage:
            found = _shorten(damage) + _readable(rows)
            raise RigError([Problem(str(path), reader.line(), "", found, "a complete recording")])
        return _recording(rows, reader)


def _open(path: Path, stack: ExitStack) -> _Reader:
    try:
        return _READERS[path.suffix.lower()](path, stack)
    except RigError:
        raise
    except Exception as error:
        found = _shorten(f"{type(error).__name__}: {error}")
        raise RigError([Problem(str(path), 0, "", found, "a complete recording")]) from error


@dataclass(slots=True)
class _Reader:
    """An open recording: its rows, what is wrong with it after the last, and the line reached in text files."""

    rows: Iterable[Row]
    damage: Callable[[int], str] = lambda _count: ""
    line: Callable[[], int] = lambda: 0
    start_s: Callable[[], float | None] = lambda: None
    notes: list[str] = field(default_factory=list)


def _recording(rows: list[Row], reader: _Reader) -> Recording:
    """Rows as arrays, in the order of their time. Stamps since 1970 are counted from the first frame."""
    start_s = reader.start_s()
    first_ns = min((row.t_ns for row in rows), default=0)
    shift_ns = first_ns if first_ns > EPOCH_S * NS_PER_S or first_ns < 0 else 0
    if shift_ns > 0:
        start_s = shift_ns / NS_PER_S
    width = _FD_BYTES if any(len(row.data) > _CLASSIC_BYTES for row in rows) else _CLASSIC_BYTES
    data = np.frombuffer(b"".join(row.data.ljust(width, b"\0") for row in rows), np.uint8).reshape(len(rows), width)
    frames = Frames(
        t_ns=np.array([row.t_ns - shift_ns for row in rows], np.uint64),
        id=np.array([row.id for row in rows], np.uint32),
        flags=np.array([row.flags for row in rows], np.uint8),
        bus=np.array([row.bus for row in rows], np.uint8),
        node=np.full(len(rows), NODE_UNKNOWN, np.uint8),
        length=np.array([row.length for row in rows], np.uint8),
        data=data,
    )
    notes = list(reader.notes)
    if len(rows) > 1 and (frames.t_ns[1:] < frames.t_ns[:-1]).any():
        order = np.argsort(frames.t_ns, kind="stable")
        frames = Frames(*(getattr(frames, name)[order] for name in Frames.__dataclass_fields__))
        notes.append("time stamps ran backwards; frames were put in the order of their time")
    return Recording(frames, start_s, tuple(notes))


def _impossible_time(rows: list[Row]) -> str:
    """Damage can make a time stamp anything; such a recording has no order."""
    return next((f"a time stamp of {row.t_ns / NS_PER_S:.3g} s" for row in rows if abs(row.t_ns) > _MAX_NS), "")


def _readable(rows: list[Row]) -> str:
    if not rows:
        return "; nothing was readable"
    span_s = (rows[-1].t_ns - rows[0].t_ns) / NS_PER_S
    return f"; {len(rows)} frames over {span_s:.3f} s were readable before it"


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _MAX_TEXT else line[: _MAX_TEXT - 3] + "..."


# ---- python-can ------------------------------------------------------------------------------------------------


def _row(message: can.Message, t_ns: int, buses: dict[Any, int]) -> Row:
    flags = EXTENDED * message.is_extended_id | FD * message.is_fd | BRS * message.bitrate_switch
    flags |= REMOTE * message.is_remote_frame | ERROR * message.is_error_frame
    data = b"" if message.is_remote_frame else bytes(message.data)[:_FD_BYTES]
    length = min(message.dlc, 255) if message.is_remote_frame or message.is_error_frame else len(data)
    return Row(t_ns, message.arbitration_id, flags, _bus(message.channel, buses), length, data)


def _bus(channel: Any, buses: dict[Any, int]) -> int:
    if channel is None:
        return 0
    if isinstance(channel, int) and 0 <= channel <= NODE_UNKNOWN:
        return channel
    return buses.setdefault(channel, min(len(buses), NODE_UNKNOWN))


class _Remarks:
    """Collects what a library only logs, such as lines it could not parse and left out; nothing reaches the console."""

    def __init__(self, *libraries: str) -> None:
        import logging  # noqa: PLC0415 - only here

        class Handler(logging.Handler):
            def emit(inner, record: logging.LogRecord) -> None:  # noqa: N805 - self is taken by the outer object
                self.texts.append(record.getMessage())

        self.texts: list[str] = []
        self._loggers = [logging.getLogger(name) for name in libraries or ("can",)]
        self._handler = Handler(logging.WARNING)

    def watch(self, rows: Iterable[Row], stack: ExitStack) -> Iterable[Row]:
        """Listen until the stack closes; gives the rows back."""
        for logger in self._loggers:
            stack.callback(setattr, logger, "propagate", logger.propagate)
            stack.callback(setattr, logger, "handlers", logger.handlers)
            logger.propagate, logger.handlers = False, [self._handler]
        return rows

    def damage(self, _count: int) -> str:
        """The first line that could not be read."""
        return next((text for text in self.texts if "parse" in text), "")


def _blf(path: Path, stack: ExitStack) -> _Reader:
    import can  # noqa: PLC0415 - see write_blf

    with path.open("rb") as stream:
        head = stream.read(_BLF_HEADER_BYTES)
    if len(head) < _BLF_HEADER_BYTES or head[:4] != b"LOGG":
        found = "an empty file" if not head else f"a file beginning with {head[:4]!r}"
        raise RigError([Problem(str(path), 0, "", found, "a BLF file, which begins with b'LOGG'")])
    reader = can.BLFReader(stack.enter_context(path.open("rb")))
    start_s = reader.start_timestamp
    reader.start_timestamp = 0.0  # relative stamps keep their nanoseconds
    buses: dict[Any, int] = {}
    remarks = _Remarks()
    notes: list[str] = []

    def rows() -> Iterator[Row]:
        try:
            for message in reader:
                yield _row(message, round(message.timestamp * NS_PER_S), buses)
        except struct.error:
            if reader.object_count:
                raise
        if not reader.object_count:
            notes.append("the recording was never ended: its writer was killed; what it had flushed is here")

    def damage(count: int) -> str:
        size = path.stat().st_size
        if reader.object_count and reader.file_size != size:
            return f"{size} bytes where its header says {reader.file_size}"
        if reader.object_count and count == 0 and reader.uncompressed_size > 10 * _BLF_HEADER_BYTES:
            remarks_text = remarks.texts[0] if remarks.texts else "no frame of a kind that can be read"
            return f"{reader.object_count} objects, but {remarks_text}"
        return ""

    return _Reader(remarks.watch(rows(), stack), damage, start_s=lambda: start_s or None, notes=notes)


def _asc(path: Path, stack: ExitStack) -> _Reader:
    import can  # noqa: PLC0415 - see write_blf

    with path.open(encoding="utf-8", errors="replace") as stream:
        if not any(line.lower().startswith(("date", "base", "//")) for line, _ in zip(stream, range(20), strict=False)):
            raise RigError([Problem(str(path), 1, "", "no 'date' or 'base' line", "an ASC file with its header")])
    return _text(path, stack, can.ASCReader, resolution_ns=1)


def _trc(path: Path, stack: ExitStack) -> _Reader:
    import can  # noqa: PLC0415 - see write_blf

    return _text(path, stack, can.TRCReader, resolution_ns=NS_PER_US)


def _csv(path: Path, stack: ExitStack) -> _Reader:
    import can  # noqa: PLC0415 - see write_blf

    if textlogs.is_savvycan(path):
        return _own(textlogs.SavvyCan(path), stack)
    with path.open(encoding="utf-8", errors="replace") as stream:
        head = stream.readline().strip()
    if not head.startswith("timestamp,arbitration_id"):
        allowed = "'Time Stamp,ID,Extended,...' (SavvyCAN) or 'timestamp,arbitration_id,...' (python-can)"
        raise RigError([Problem(str(path), 1, "", repr(head[:60]), allowed)])
    return _text(path, stack, can.CSVReader, resolution_ns=NS_PER_US)


def _log(path: Path, stack: ExitStack) -> _Reader:
    return _own(textlogs.Candump(path), stack)


def _own(reader: textlogs.TextLog, stack: ExitStack) -> _Reader:
    stack.callback(reader.close)
    return _Reader(reader, line=lambda: reader.line)


def _text(path: Path, stack: ExitStack, make: Callable[[Any], Iterable[can.Message]], resolution_ns: int) -> _Reader:
    """A text file through python-can; line numbers come from counting what it has taken."""
    lines = textlogs.CountedLines(path)
    stack.callback(lines.close)
    buses: dict[Any, int] = {}
    remarks = _Remarks()

    def rows() -> Iterator[Row]:
        for message in make(lines):
            t_ns = round(message.timestamp * NS_PER_S / resolution_ns) * resolution_ns
            yield _row(message, t_ns, buses)

    return _Reader(remarks.watch(rows(), stack), remarks.damage, line=lambda: lines.line)


def _mf4(path: Path, stack: ExitStack) -> _Reader:
    try:
        import asammdf  # noqa: F401, PLC0415 - an extra; python-can fails late and unclearly without it
    except ImportError as error:
        found = "an MF4 file, but asammdf is not installed"
        raise RigError([Problem(str(path), 0, "", found, 'pip install "bms-harness[mf4]"')]) from error
    stream = stack.enter_context(path.open("rb"))
    head = stream.read(len(_MF4_MAGIC[0]))
    if head not in _MF4_MAGIC:
        found = f"a file beginning with {head!r}" if head else "an empty file"
        raise RigError([Problem(str(path), 0, "", found, f"an MF4 file, which begins with {_MF4_MAGIC[0]!r}")])
    stream.seek(0)
    buses: dict[Any, int] = {}
    remarks = _Remarks("can", "asammdf")
    remarks.watch((), stack)
    reader = _mf4_reader(path, stream)
    stack.callback(reader.stop)
    content = _mf4_content(reader._mdf.groups)  # noqa: SLF001 - python-can does not say what it leaves out
    wanted = content.pop("CAN", 0)
    notes = [f"{n} records of {kind} were left out" for kind, n in sorted(content.items())]
    if head == _MF4_MAGIC[1]:
        notes.append("the recording was never finished: it does not say how many frames it should hold")

    def damage(count: int) -> str:
        notes.extend(dict.fromkeys(_shorten(text) for text in remarks.texts))
        return "" if count == wanted else f"only {count} of the {wanted} frames it announces"

    rows = (_row(message, round(message.timestamp * 1e6) * NS_PER_US, buses) for message in reader)
    return _Reader(rows, damage, notes=notes)


def _mf4_reader(path: Path, stream: BinaryIO) -> can.MF4Reader:
    """Open, by stream: given a path, python-can leaves the file open when this fails. Raises RigError.

    asammdf prints what it stumbles over, and what it has half built fails again when it is deleted, which the
    interpreter would print: neither belongs on a user's screen.
    """
    import can  # noqa: PLC0415 - see write_blf

    hook, found = sys.unraisablehook, ""
    sys.unraisablehook = lambda _: None
    try:
        with redirect_stdout(io.StringIO()):
            return can.MF4Reader(stream)
    except Exception as error:  # noqa: BLE001 - readers raise whatever a broken file makes them raise
        found = _shorten(f"{type(error).__name__}: {re.sub('<[^>]*>', path.name, str(error))}")
    finally:
        if found:
            gc.collect()
        sys.unraisablehook = hook
    raise RigError([Problem(str(path), 0, "", found, "a complete recording")])


def _mf4_content(groups: Iterable[Any]) -> dict[str, int]:
    """Records by kind: "CAN" for what is read as frames, otherwise the name of the first channel of the group."""
    content: dict[str, int] = {}
    for group in groups:
        names = [str(channel.name) for channel in group.channels]
        kind = next((name for name in names if name.lower() not in {"timestamp", "time", "t"}), "a group without name")
        kind = "CAN" if kind in {"CAN_DataFrame", "CAN_ErrorFrame", "CAN_RemoteFrame"} else kind
        if group.channel_group.cycles_nr:
            content[kind] = content.get(kind, 0) + group.channel_group.cycles_nr
    return content


_READERS: dict[str, Callable[[Path, ExitStack], _Reader]] = {
    ".blf": _blf,
    ".asc": _asc,
    ".trc": _trc,
    ".log": _log,
    ".csv": _csv,
    ".mf4": _mf4,
}
