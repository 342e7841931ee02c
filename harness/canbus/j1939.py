# SPDX-License-Identifier: Apache-2.0
"""J1939 as a receiver sees it: messages put together from frames of the transport (BAM and RTS/CTS), trouble codes.

Layout of the transport: J1939-21; of trouble codes: J1939-73, the newest conversion method (general knowledge).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated

import numpy as np
from pydantic import Field

from harness.tomlfile import FileModel
from harness.trace import Frames
from harness.units import FLAG_PREFIXES

REQUEST, ACKNOWLEDGE, CONNECTION, DATA = 0xEA00, 0xE800, 0xEC00, 0xEB00
DM1, DM2, DM3, DM11 = 0xFECA, 0xFECB, 0xFECC, 0xFED3
GLOBAL = 0xFF
LISTS = {DM1: "DM1", DM2: "DM2"}  # messages that list trouble codes: active, previously active
_FAILURES = {
    0: "above normal",
    1: "below normal",
    2: "erratic",
    3: "voltage high",
    4: "voltage low",
    5: "open",
    6: "shorted",
    7: "mechanical",
    9: "update rate",
    12: "bad device",
    19: "network error",
    31: "condition",
}  # of J1939-73 (general knowledge)
_RTS, _BAM, _ABORT = 16, 32, 255
_PACKET_BYTES = 7
_UNKNOWN_COUNT = 127
_BROADCAST_FORMAT = 0xF0  # PDU format from which on messages go to everybody
_LONGEST_GAP_S = 1.25  # between two frames of one message: T2
_EXTENDED, _OTHER = 0b1, 0b1_1110  # FIL_FRAME_*: of the frames of J1939, and of those that are none
_NS = 1e9


class CodeModel(FileModel):
    """A trouble code: suspect parameter and failure mode."""

    spn: Annotated[int, Field(ge=0, lt=1 << 19)]
    fmi: Annotated[int, Field(ge=0, lt=1 << 5)]


class J1939Model(FileModel):
    """The section of a profile: address of the controller, and the trouble code of each fault."""

    address: Annotated[int, Field(ge=0, le=253)]
    codes: Annotated[dict[str, CodeModel], Field(default_factory=dict)]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A trouble code in a message, and how often it has come (127 = not known)."""

    spn: int
    fmi: int
    count: int


@dataclass(frozen=True, slots=True)
class J1939:
    """The controller's address, and its faults by trouble code: (spn, fmi) to "fault.x"."""

    address: int
    faults: Mapping[tuple[int, int], str]

    def text(self, trouble: Trouble) -> str:
        """A code as a person wants it: fault, SPN, FMI and its meaning, and how often it came."""
        name = self.faults.get((trouble.spn, trouble.fmi), "no fault of the profile")
        failure = f" {_FAILURES[trouble.fmi]}" if trouble.fmi in _FAILURES else ""
        often = "" if trouble.count in (0, _UNKNOWN_COUNT) else f", {trouble.count} x"
        return f"{name} (SPN {trouble.spn}, FMI {trouble.fmi}{failure}{often})"


@dataclass(frozen=True, slots=True)
class Message:
    """A complete message. `begin_s` is the end of its first frame, `end_s` that of its last one."""

    pgn: int
    source: int
    destination: int
    begin_s: float
    end_s: float
    data: bytes


def resolve_j1939(model: J1939Model | None, wrong: Callable[[tuple[str, ...], object, str], None]) -> J1939 | None:
    """What a profile says of J1939; `wrong` is told of what cannot be."""
    if model is None:
        return None
    faults: dict[tuple[int, int], str] = {}
    for name, code in model.codes.items():
        key = ("j1939", "codes", name)
        if not name.startswith(FLAG_PREFIXES):
            wrong(key, name, f"a flag: {', '.join(FLAG_PREFIXES)}...")
        other = faults.setdefault((code.spn, code.fmi), name)
        if other != name:
            wrong(key, f"SPN {code.spn}, FMI {code.fmi}", f"each code once; it is that of {other}")
    return J1939(model.address, faults)


def split(identifier: int) -> tuple[int, int, int]:
    """Parameter group, destination and source of a 29-bit identifier; groups with FF.. go to everybody."""
    group, source = (identifier >> 8) & 0x3FFFF, identifier & 0xFF
    if (group >> 8) & 0xFF < _BROADCAST_FORMAT:
        return group & 0x3FF00, group & 0xFF, source
    return group, GLOBAL, source


def lamps(data: bytes) -> tuple[str, ...]:
    """The lamps that a DM1 or DM2 asks for."""
    names = ("protect", "amber warning", "red stop", "malfunction")
    return tuple(name for place, name in enumerate(names) if (data[0] >> (2 * place)) & 0b11 == 1)


def troubles(data: bytes) -> tuple[Trouble, ...]:
    """The trouble codes of a DM1 or DM2; none where one of zeros stands for none."""
    whole = (data[at : at + 4] for at in range(2, len(data) - 3, 4))
    return tuple(_trouble(code) for code in whole if code not in (bytes(4), b"\xff\xff\xff\xff"))


def _trouble(code: bytes) -> Trouble:
    spn = code[0] | code[1] << 8 | (code[2] >> 5) << 16
    return Trouble(spn, code[2] & 0x1F, code[3] & 0x7F)


@dataclass(slots=True)
class _Open:
    """A message of which not all packets have come."""

    pgn: int
    length: int
    begin_s: float
    last_s: float
    data: bytearray = field(default_factory=bytearray)


class Assembler:
    """Puts messages together, frame by frame. A packet that is missing, double or late ends its message."""

    def __init__(self) -> None:
        self._open: dict[tuple[int, int], _Open] = {}

    def push(self, t_s: float, identifier: int, data: bytes) -> Message | None:
        """The message that this frame completes: a frame that is no transport is one itself."""
        pgn, destination, source = split(identifier)
        if pgn == CONNECTION:
            self._control(t_s, source, destination, data)
            return None
        if pgn == DATA:
            return self._packet(t_s, source, destination, data)
        return Message(pgn, source, destination, t_s, t_s, data)

    def _control(self, t_s: float, source: int, destination: int, data: bytes) -> None:
        if len(data) < 8:  # noqa: PLR2004 - a classic frame is full
            return
        pgn = data[5] | data[6] << 8 | data[7] << 16
        if data[0] in (_RTS, _BAM):
            self._open[source, destination] = _Open(pgn, data[1] | data[2] << 8, t_s, t_s)
        elif data[0] == _ABORT:
            for way in ((source, destination), (destination, source)):
                self._open.pop(way, None)

    def _packet(self, t_s: float, source: int, destination: int, data: bytes) -> Message | None:
        message = self._open.get((source, destination))
        if message is None or not data:
            return None
        in_order = data[0] == 1 + len(message.data) // _PACKET_BYTES
        if not in_order or t_s - message.last_s > _LONGEST_GAP_S:
            del self._open[source, destination]
            return None
        message.data += data[1:]
        message.last_s = t_s
        if len(message.data) < message.length:
            return None
        del self._open[source, destination]
        return Message(message.pgn, source, destination, message.begin_s, t_s, bytes(message.data[: message.length]))


def messages(frames: Frames, pgns: Collection[int], assembler: Assembler | None = None) -> Iterator[Message]:
    """The messages of these parameter groups in a recording, in the order of their ends.

    `assembler` keeps what is not complete for the frames that come after these.
    """
    group = (frames.id >> np.uint32(8)) & np.uint32(0x3FFFF)
    addressed = (group >> np.uint32(8)) & np.uint32(0xFF) < np.uint32(_BROADCAST_FORMAT)
    group = np.where(addressed, group & np.uint32(0x3FF00), group)
    wanted = np.isin(group, np.array([*pgns, CONNECTION, DATA], np.uint32))
    wanted &= (frames.flags & np.uint8(_EXTENDED | _OTHER)) == np.uint8(_EXTENDED)
    assembler = assembler or Assembler()
    for row in np.flatnonzero(wanted).tolist():
        data = frames.data[row, : int(frames.length[row])].tobytes()
        message = assembler.push(float(frames.t_ns[row]) / _NS, int(frames.id[row]), data)
        if message is not None and message.pgn in pgns:
            yield message


def asked_for(message: Message) -> int:
    """The parameter group a request asks for, or an acknowledgement is about."""
    at = 0 if message.pgn == REQUEST else 5
    return int.from_bytes(message.data[at : at + 3], "little")
