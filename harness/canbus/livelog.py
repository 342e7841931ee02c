# SPDX-License-Identifier: Apache-2.0
"""Recording while it happens: what was flushed survives whatever becomes of the process.

BLF always, ASC on request, both written block by block; MF4 on request, made of the BLF file when the recording ends
(its format keeps counts and addresses that are known only then). A block goes to the file in one call: a process that
is killed leaves whole blocks, and at most the last one cut, which readers can tell.
"""

from __future__ import annotations

import errno
import importlib.util
import io
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, Self

from harness.canbus.portmodel import PortFrame
from harness.clock import NS_PER_S, Clock, realtime_ns
from harness.errors import BenchError, UsageError
from harness.kernel.config import FrameFlag

if TYPE_CHECKING:
    import can

Format = Literal["blf", "asc", "mf4"]
FORMATS: tuple[Format, ...] = ("blf", "asc", "mf4")
FLUSH_NS = NS_PER_S // 4
FLUSH_FRAMES = 250  # 12 kB before compression, below a millisecond to write: it is done between two ticks
_BLF_HEADER_BYTES = 144
_FASTEST = 1  # compression level


class LiveLog:
    """A recording that grows. `path`: its BLF file, or a folder in which it is named bus.blf; other formats stand
    beside it. Time 0 of the recording is `t0_ns` on `clock`, by default now.

    Raises UsageError for a format that cannot be written, BenchError when the file cannot be (also in `append`).
    """

    def __init__(
        self, path: Path, clock: Clock, *, t0_ns: int | None = None, formats: Sequence[Format] = ("blf",)
    ) -> None:
        self.path = path / "bus.blf" if path.is_dir() else path.with_suffix(".blf")
        self.frames = 0
        self._clock = clock
        now_ns = clock.now_ns()
        self._t0_ns = now_ns if t0_ns is None else t0_ns
        self._flushed_ns = now_ns
        self._unflushed = 0
        self._formats = _checked(formats)
        start_s = (realtime_ns() - (now_ns - self._t0_ns)) / NS_PER_S
        self._writers: list[_Writer] = [_Blf(self.path, start_s)]
        if "asc" in self._formats:
            self._writers.append(_Asc(self.path.with_suffix(".asc"), start_s))
        self._closed = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the recording, those included that are made when it ends."""
        return tuple(self.path.with_suffix(f".{name}") for name in FORMATS if name in self._formats or name == "blf")

    def append(self, frames: Sequence[PortFrame]) -> None:
        """Add frames, in their order; what is older than `FLUSH_NS` goes to the file. Call it at every tick, also with
        nothing.
        """
        for frame in frames:
            message = _message(frame, frame.t_ns - self._t0_ns)
            for writer in self._writers:
                writer.add(message)
            self._unflushed += 1
            if self._unflushed >= FLUSH_FRAMES:
                self.flush()
        self.frames += len(frames)
        if self._unflushed and self._clock.now_ns() - self._flushed_ns >= FLUSH_NS:
            self.flush()

    def flush(self) -> None:
        """Bring everything to the file."""
        for writer in self._writers:
            writer.flush()
        self._unflushed = 0
        self._flushed_ns = self._clock.now_ns()

    def close(self) -> None:
        """End the recording. Every file that can be ended is, then the first problem is raised."""
        if self._closed:
            return
        self._closed = True
        problems: list[BenchError] = []
        for writer in self._writers:
            try:
                writer.close()
            except BenchError as error:
                problems.append(error)
        if problems:
            raise problems[0]
        if "mf4" in self._formats:
            _to_mf4(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def formats_of(path: Path) -> tuple[Format, ...]:
    """What the suffix of a recording asks for besides BLF. Raises UsageError for one that cannot be written."""
    named = path.suffix.removeprefix(".").lower()
    return tuple(_checked((named,))) if named else ()


def _checked(formats: Sequence[str]) -> frozenset[Format]:
    unknown = [name for name in formats if name not in FORMATS]
    if unknown:
        raise UsageError(f"no recording format '{unknown[0]}'; there are {', '.join(FORMATS)}")
    if "mf4" in formats and importlib.util.find_spec("asammdf") is None:
        raise UsageError('recording MF4 needs asammdf, which is not installed: pip install "bms-harness[mf4]"')
    return frozenset(name for name in FORMATS if name in formats)


def _message(frame: PortFrame, t_ns: int) -> can.Message:
    import can  # noqa: PLC0415 - heavy, needed only where something is recorded

    flags, remote = frame.flags, bool(frame.flags & FrameFlag.REMOTE)
    return can.Message(
        timestamp=(max(t_ns, 0) + 0.5) / NS_PER_S,  # the writer cuts off below the nanosecond
        arbitration_id=frame.id,
        is_extended_id=bool(flags & FrameFlag.EXTENDED),
        is_fd=bool(flags & FrameFlag.FD),
        bitrate_switch=bool(flags & FrameFlag.BRS),
        is_remote_frame=remote,
        is_error_frame=bool(flags & FrameFlag.ERROR),
        is_rx=not frame.own,
        channel=frame.bus,
        dlc=len(frame.data),
        data=None if remote else frame.data,
        check=False,
    )


class _File:
    """A file that is written in whole blocks. After an error nothing more is written, and the part block is cut off."""

    def __init__(self, path: Path) -> None:
        self._path, self._size = path, 0
        try:
            self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise self._error(error) from error
        self._failed = ""

    def write(self, block: bytes) -> None:
        """Add a block. Raises BenchError, then and ever after."""
        if self._failed:
            raise BenchError(self._failed)
        try:
            written = 0
            while written < len(block):
                written += os.write(self._descriptor, block[written:])
        except OSError as error:
            with suppress(OSError):
                os.ftruncate(self._descriptor, self._size)
            raise self._fail(error) from error
        self._size += len(block)

    def overwrite(self, start: bytes) -> None:
        """Write over the beginning of the file. Raises BenchError."""
        if self._failed:
            return
        try:
            os.pwrite(self._descriptor, start, 0)
        except OSError as error:
            raise self._fail(error) from error

    def close(self) -> None:
        """Raises BenchError when the file is not complete."""
        try:
            os.close(self._descriptor)
        except OSError as error:  # some file systems tell only now that there was no room
            raise self._fail(error) from error
        if self._failed:
            raise BenchError(self._failed)

    @property
    def size(self) -> int:
        """Bytes in whole blocks."""
        return self._size

    def _fail(self, error: OSError) -> BenchError:
        problem = self._error(error)
        self._failed = str(problem)
        return problem

    def _error(self, error: OSError) -> BenchError:
        reason = (error.strerror or str(error)).lower()
        remedy = "name another file"
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy = "make room there or record elsewhere; what was recorded until then is kept"
        return BenchError(f"the recording {self._path} cannot be written: {reason}; {remedy}")


class _Writer(Protocol):
    def add(self, message: can.Message) -> None: ...

    def flush(self) -> None: ...

    def close(self) -> None: ...


class _Blf:
    """python-can writes to memory; blocks go from there to the file."""

    def __init__(self, path: Path, start_s: float) -> None:
        import can  # noqa: PLC0415 - heavy, needed only where something is recorded

        self._file = _File(path)
        self._memory = io.BytesIO()
        self._start_s = start_s
        self._writer = can.BLFWriter(self._memory, compression_level=_FASTEST)
        self._writer.start_timestamp = 0.0  # stamps stay relative: the float of an absolute one has no nanoseconds
        self._last_s = 0.0
        self._file.write(self._header(0))

    def add(self, message: can.Message) -> None:
        self._writer.on_message_received(message)
        self._last_s = message.timestamp

    def flush(self) -> None:
        self._writer._flush()  # noqa: SLF001 - python-can cannot be asked to write a block before it is full
        self._file.write(_taken(self._memory))

    def close(self) -> None:
        try:
            self.flush()
            self._file.overwrite(self._header(self._file.size))
        finally:
            self._file.close()

    def _header(self, size: int) -> bytes:
        """The file header. Size and counts are 0 until the end: that is how a recording tells it was not ended."""
        writer = self._writer
        _taken(self._memory)
        writer.start_timestamp, writer.stop_timestamp = self._start_s, self._start_s + self._last_s
        writer._write_header(size or _BLF_HEADER_BYTES)  # noqa: SLF001 - written by python-can only when it ends
        writer.start_timestamp = 0.0
        return _taken(self._memory)


class _Asc:
    """The text format of Vector; see _Blf."""

    def __init__(self, path: Path, start_s: float) -> None:
        import can  # noqa: PLC0415 - see _Blf

        self._file = _File(path)
        self._memory = io.StringIO()
        self._start_s = start_s
        self._writer = can.ASCWriter(self._memory)
        self._writer.log_event("// recorded by bms-harness", start_s)  # sets time 0
        self.flush()

    def add(self, message: can.Message) -> None:
        message.timestamp += self._start_s
        self._writer.on_message_received(message)

    def flush(self) -> None:
        text = self._memory.getvalue()
        self._memory.seek(0)
        self._memory.truncate()
        self._file.write(text.encode())

    def close(self) -> None:
        self._memory.write("End TriggerBlock\n")
        try:
            self.flush()
        finally:
            self._file.close()


def _taken(memory: io.BytesIO) -> bytes:
    content = memory.getvalue()
    memory.seek(0)
    memory.truncate()
    return content


def _to_mf4(blf: Path) -> None:
    """Write the MF4 file of a recording beside it."""
    import can  # noqa: PLC0415 - see _Blf

    with can.BLFReader(blf) as reader:
        start_s = reader.start_timestamp
        writer = can.MF4Writer(blf.with_suffix(".mf4"))
        writer._start_time = start_s  # noqa: SLF001 - python-can takes the time of writing
        header = writer._mdf.header  # noqa: SLF001 - see above
        header.start_time = header.start_time.fromtimestamp(start_s)
        for message in reader:
            writer.on_message_received(message)
        writer.stop()
