# SPDX-License-Identifier: Apache-2.0
"""Messages of ISO 15765-2 (normal addressing) out of recorded frames, on both sides at once.

Our own few lines: can-isotp takes the wall clock for its time-outs and forgets when a frame came, and a record has its
own times. The tests hold both against each other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

SINGLE, FIRST, NEXT, FLOW = range(4)
SINGLE_MAX = 7
PADDING = 0xCC
_NEXT_MODULUS = 16


@dataclass(frozen=True, slots=True)
class Transfer:
    """One message, whole: its first frame ended at `start_s`, its last at `end_s`."""

    start_s: float
    end_s: float
    data: bytes


@dataclass(slots=True)
class Assembler:
    """Puts the frames of one sender together. Flow control frames are none of its business."""

    _start_s: float = 0.0
    _length: int = 0
    _data: bytes = b""
    _next: int = 0

    def take(self, t_s: float, frame: bytes) -> Transfer | None:
        """The message that this frame completes, if any. Frames out of order end the message they belong to."""
        kind = frame[0] >> 4 if frame else -1
        if kind == SINGLE:
            self._length = 0
            length = frame[0] & 0xF
            if 0 < length < len(frame):
                return Transfer(t_s, t_s, frame[1 : 1 + length])
        elif kind == FIRST:
            self._start_s, self._data, self._next = t_s, frame[2:], 1
            self._length = (frame[0] & 0xF) << 8 | frame[1] if len(frame) > SINGLE_MAX else 0
        elif kind == NEXT and self._length:
            return self._go_on(t_s, frame)
        return None

    def _go_on(self, t_s: float, frame: bytes) -> Transfer | None:
        if frame[0] & 0xF != self._next:
            self._length = 0
            return None
        self._next = (self._next + 1) % _NEXT_MODULUS
        self._data += frame[1:]
        if len(self._data) < self._length:
            return None
        whole = Transfer(self._start_s, t_s, self._data[: self._length])
        self._length = 0
        return whole


def assemble(frames: Iterable[tuple[float, bytes]]) -> tuple[Transfer, ...]:
    """Every whole message in the frames of one sender, by time and data."""
    assembler = Assembler()
    found = (assembler.take(t_s, data) for t_s, data in frames)
    return tuple(message for message in found if message is not None)


def least_gap_s(code: int) -> float:
    """The least time between frames that a flow control asks for; the longest one for a reserved code."""
    if 0xF1 <= code <= 0xF9:  # noqa: PLR2004 - hundreds of microseconds
        return (code - 0xF0) * 1e-4
    return min(code, 0x7F) * 1e-3


def single(message: bytes) -> bytes:
    """The frame of a message of at most seven bytes."""
    return (bytes([len(message)]) + message).ljust(8, bytes([PADDING]))


def split(message: bytes) -> tuple[bytes, ...]:
    """The frames of a longer message: the first one, and those that follow a flow control."""
    first = bytes([FIRST << 4 | len(message) >> 8, len(message) & 0xFF]) + message[:6]
    rest = [message[at : at + 7] for at in range(6, len(message), 7)]
    follow = (bytes([NEXT << 4 | (place + 1) % _NEXT_MODULUS]) + part for place, part in enumerate(rest))
    return (first, *(frame.ljust(8, bytes([PADDING])) for frame in follow))
