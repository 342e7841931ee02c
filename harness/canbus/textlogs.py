# SPDX-License-Identifier: Apache-2.0
"""Text recordings read line by line: candump and SavvyCAN (GVRET). Damage is a ValueError; `line` says where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple, Protocol

from harness.errors import Problem, RigError

EXTENDED, FD, BRS, REMOTE, ERROR = 1, 2, 4, 8, 16  # FIL_FRAME_* of the firmware port
NS_PER_US = 1000
_CAN_EFF_FLAG, _CAN_RTR_FLAG, _CAN_ERR_FLAG = 1 << 31, 1 << 30, 1 << 29  # linux/can.h
_ID_BITS = 0x1FFF_FFFF
_STANDARD_DIGITS = 3
_CLASSIC_BYTES = 8
_MAX_BYTES = 64
_MAX_LINE = 4096
_MAX_NS = 1 << 62
_CANDUMP = re.compile(
    r"\((\d+)\.(\d{1,9})\)\s+(\S+)\s+([0-9A-Fa-f]{1,8})#"
    r"(?:R(\d{0,2})|#([0-9A-Fa-f])([0-9A-Fa-f]{0,128})|([0-9A-Fa-f.]{0,23})(?:_[0-9A-Fa-f])?)(?:\s+[RT])?\s*\Z"
)


class Row(NamedTuple):
    """One frame of a recording."""

    t_ns: int
    id: int
    flags: int
    bus: int
    length: int
    data: bytes


class TextLog(Protocol):
    """Rows of a text recording, and the line last looked at."""

    @property
    def line(self) -> int:
        """The line last looked at."""
        ...

    def __iter__(self) -> Iterator[Row]: ...

    def close(self) -> None:
        """Close the file."""
        ...


class CountedLines:
    """The lines of a text file, counted. Looks enough like an open file for python-can's readers."""

    def __init__(self, path: Path) -> None:
        self.line = 0
        self.name = str(path)
        self._stream = path.open(encoding="utf-8", errors="replace")

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        text = self._stream.readline(_MAX_LINE)
        if not text:
            self.close()
            raise StopIteration
        self.line += 1
        return text

    def read(self, size: int = -1) -> str:
        """Part of the file interface; the line count does not follow."""
        return self._stream.read(size)

    def close(self) -> None:
        """Close the file; closing twice is fine."""
        self._stream.close()


class Candump:
    """Logs of `candump -l` and `-L`: (seconds) channel identifier#data."""

    def __init__(self, path: Path) -> None:
        self._lines = CountedLines(path)
        self._buses: dict[str, int] = {}

    @property
    def line(self) -> int:
        """The line last looked at."""
        return self._lines.line

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def __iter__(self) -> Iterator[Row]:
        for text in self._lines:
            if text.strip():
                yield self._row(text.strip())

    def _row(self, text: str) -> Row:
        found = _CANDUMP.match(text)
        if found is None:
            raise ValueError(f"{text[:60]!r} is not '(seconds) channel identifier#data'")
        seconds, fraction, channel, identifier, remote, fd_flags, fd_data, data = found.groups()
        t_ns = int(seconds[:12]) * 1_000_000_000 + int(fraction.ljust(9, "0"))
        number = int(identifier, 16)
        flags = EXTENDED if len(identifier) > _STANDARD_DIGITS else 0
        bus = self._buses.setdefault(channel, min(len(self._buses), 255))
        if number & _CAN_ERR_FLAG:
            flags = ERROR
        if remote is not None:
            return Row(t_ns, number & _ID_BITS, flags | REMOTE, bus, min(int(remote or 0), _CLASSIC_BYTES), b"")
        if fd_flags is not None:
            flags |= FD | (BRS if int(fd_flags, 16) & 1 else 0)
        payload = bytes.fromhex((fd_data if fd_flags is not None else data).replace(".", ""))
        if fd_flags is None and len(payload) > _CLASSIC_BYTES:
            raise ValueError(f"{len(payload)} bytes in a classic frame")
        return Row(t_ns, number & _ID_BITS, flags, bus, len(payload), payload)


def is_savvycan(path: Path) -> bool:
    """Whether a CSV file begins with SavvyCAN's header."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        return stream.readline(_MAX_LINE).replace(" ", "").lower().startswith("timestamp,id,extended")


class SavvyCan:
    """Native CSV of SavvyCAN: a header, then microseconds, hexadecimal identifier and bytes."""

    def __init__(self, path: Path) -> None:
        self._lines = CountedLines(path)
        self._path = path

    @property
    def line(self) -> int:
        """The line last looked at."""
        return self._lines.line

    def close(self) -> None:
        """Close the file."""
        self._lines.close()

    def __iter__(self) -> Iterator[Row]:
        header = [name.strip().lower() for name in next(self._lines, "").split(",")]
        missing = [name for name in ("time stamp", "id", "extended", "len", "d1") if name not in header]
        if missing:
            allowed = "'Time Stamp,ID,Extended,[Dir,]Bus,LEN,D1,...'"
            raise RigError([Problem(str(self._path), 1, "", f"no column {', '.join(missing)}", allowed)])
        columns = {name: at for at, name in enumerate(header)}
        for text in self._lines:
            if text.strip():
                yield self._row(text.strip().split(","), columns)

    def _row(self, cells: list[str], columns: dict[str, int]) -> Row:
        first = columns["d1"]
        if len(cells) < first:
            raise ValueError(f"{len(cells)} columns where at least {first} are needed")
        length = int(cells[columns["len"]])
        if not 0 <= length <= _MAX_BYTES:
            raise ValueError(f"a length of {length} bytes")
        data = bytes(int(cell, 16) for cell in cells[first : first + length] if cell.strip())
        number = int(cells[columns["id"]], 16)
        flags = EXTENDED if cells[columns["extended"]].strip().lower() in ("true", "1") else 0
        flags |= FD if length > _CLASSIC_BYTES else 0
        if len(data) != length:
            raise ValueError(f"{len(data)} bytes where the frame has {length}")
        t_ns = int(cells[columns["time stamp"]]) * NS_PER_US
        if not 0 <= t_ns < _MAX_NS or not 0 <= number <= _ID_BITS:
            raise ValueError(f"time {t_ns // NS_PER_US} us, identifier {number:#x}")
        bus = int(cells[columns["bus"]]) if "bus" in columns else 0
        return Row(t_ns, number, flags, bus & 0xFF, length, data)
