# SPDX-License-Identifier: Apache-2.0
"""The device side of the SLCAN protocol: what a serial CAN adapter answers. Bytes in, bytes and frames out; no port.

Commands, answers and bit rates as in the LAWICEL CANUSB and CAN232 manuals, version 3.0; frames of CAN FD (d, D, b, B
and the data bit rate Y) as the CANable 2.0 firmware speaks them and python-can 4.6 expects them. Acceptance filters
(M, m) and error frames are not part of it: a filter is refused with BEL, an error frame is not passed on.
"""

from __future__ import annotations

from harness.canbus.portmodel import PortFrame
from harness.kernel.config import FrameFlag

OK, ERROR = b"\r", b"\a"
VERSION, SERIAL = b"V1013\r", b"NBH01\r"
# S7 is 800 kbit/s in the manuals; python-can says 750 kbit/s and knows S9, which the manuals do not.
_RATES = (10_000, 20_000, 50_000, 100_000, 125_000, 250_000, 500_000, 800_000, 1_000_000, 83_300)
BITRATES = {str(code): rate for code, rate in enumerate(_RATES)}
DATA_BITRATES = {"0": 500_000, "1": 1_000_000, "2": 2_000_000, "4": 4_000_000, "5": 5_000_000, "8": 8_000_000}
_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
_CLASSIC = 8
_FLAGS = {
    "t": FrameFlag.NONE,
    "T": FrameFlag.EXTENDED,
    "r": FrameFlag.REMOTE,
    "R": FrameFlag.REMOTE | FrameFlag.EXTENDED,
    "d": FrameFlag.FD,
    "D": FrameFlag.FD | FrameFlag.EXTENDED,
    "b": FrameFlag.FD | FrameFlag.BRS,
    "B": FrameFlag.FD | FrameFlag.BRS | FrameFlag.EXTENDED,
}
_LETTERS = {flags: letter for letter, flags in _FLAGS.items()}
_LONGEST = 160  # a frame of 64 bytes has 138 characters; a longer line is garbage
_SJA1000_HZ = 8_000_000  # half of its 16 MHz crystal
_BUS_ERROR = 0x80  # status flag: the bus does not speak the bit rate that was set
_STAMP_WRAP_MS = 60_000


class SlcanDevice:
    """One adapter on a bus of a known bit rate. At another bit rate it hears nothing and nobody acknowledges."""

    def __init__(self, bitrate: int, data_bitrate: int = 0) -> None:
        self._bus = (bitrate, data_bitrate)
        self._set = [0, 0]
        self._buffer = b""
        self._stamps = False
        self._frames: list[PortFrame] = []
        self.is_open = False
        self.listen_only = False
        self.refused = 0

    @property
    def matches(self) -> bool:
        """Whether the channel is open at the bit rates of the bus; a bus without CAN FD ignores the data bit rate."""
        return self.is_open and self._set[0] == self._bus[0] and (not self._bus[1] or self._set[1] == self._bus[1])

    def feed(self, data: bytes, now_ns: int) -> bytes:
        """Take bytes the other side wrote, in pieces of any size; what is answered. Frames are kept for `take`."""
        *lines, rest = (self._buffer + data).split(OK)
        garbage = len(rest) > _LONGEST
        self._buffer = b"" if garbage else rest
        answers = [self._answer(line, now_ns) for line in lines] + ([ERROR] if garbage else [])
        self.refused += answers.count(ERROR)
        return b"".join(answers)

    def take(self) -> list[PortFrame]:
        """The frames the other side has sent since the last call."""
        frames, self._frames = self._frames, []
        return frames

    def deliver(self, frame: PortFrame) -> bytes:
        """The line that tells the other side of a frame on the bus; empty when it cannot hear it."""
        kind = FrameFlag(frame.flags)
        if not self.matches or kind & FrameFlag.ERROR or (kind & FrameFlag.FD and not self._bus[1]):
            return b""
        length = _LENGTHS.index(len(frame.data))
        digits = 8 if kind & FrameFlag.EXTENDED else 3
        data = b"" if kind & FrameFlag.REMOTE else frame.data
        stamp = f"{frame.t_ns // 1_000_000 % _STAMP_WRAP_MS:04X}" if self._stamps else ""
        return f"{_LETTERS[kind]}{frame.id:0{digits}X}{length:X}{data.hex().upper()}{stamp}\r".encode()

    def _answer(self, line: bytes, now_ns: int) -> bytes:
        text = line.lstrip(b"\n").decode("ascii", errors="replace")
        command, rest = text[:1], text[1:]
        if command in _FLAGS:
            return self._transmit(command, rest, now_ns)
        match command, rest:
            case "", "":
                return OK
            case "V" | "v", "":
                return VERSION
            case "N", "":
                return SERIAL
            case "F", "" if self.is_open:
                return b"F%02X\r" % (0 if self.matches else _BUS_ERROR)
            case "C", "" if self.is_open:
                self.is_open = False
                return OK
        return self._configure(command, rest)

    def _configure(self, command: str, rest: str) -> bytes:
        """Commands that are allowed only while the channel is closed."""
        if self.is_open:
            return ERROR
        match command, rest:
            case (("O" | "L"), "") if self._set[0]:
                self.is_open, self.listen_only = True, command == "L"
            case "S", _ if rest in BITRATES:
                self._set[0] = BITRATES[rest]
            case "Y", _ if rest in DATA_BITRATES:
                self._set[1] = DATA_BITRATES[rest]
            case "s", _ if len(rest) == 4 and _hexadecimal(rest):  # noqa: PLR2004 - two registers
                self._set[0] = _sja1000_bitrate(*bytes.fromhex(rest))
            case "Z", "0" | "1":
                self._stamps = rest == "1"
            case _:
                return ERROR
        return OK

    def _transmit(self, letter: str, rest: str, now_ns: int) -> bytes:
        frame = _parse(letter, rest, now_ns)
        if frame is None or not self.matches or self.listen_only or (frame.flags & FrameFlag.FD and not self._bus[1]):
            return ERROR
        self._frames.append(frame)
        return b"Z\r" if frame.flags & FrameFlag.EXTENDED else b"z\r"


def _parse(letter: str, rest: str, now_ns: int) -> PortFrame | None:
    """The frame a line means; None when it is none."""
    flags = _FLAGS[letter]
    digits = 8 if flags & FrameFlag.EXTENDED else 3
    head, data = rest[: digits + 1], rest[digits + 1 :]
    if len(head) <= digits or not _hexadecimal(head) or (data and not _hexadecimal(data)):
        return None
    identifier, code = int(head[:digits], 16), int(head[digits], 16)
    if identifier > (0x1FFF_FFFF if flags & FrameFlag.EXTENDED else 0x7FF):
        return None
    if code > _CLASSIC and not flags & FrameFlag.FD:
        return None
    if len(data) != (0 if flags & FrameFlag.REMOTE else 2 * _LENGTHS[code]):
        return None
    payload = bytes(_LENGTHS[code]) if flags & FrameFlag.REMOTE else bytes.fromhex(data)
    return PortFrame(t_ns=now_ns, id=identifier, data=payload, flags=flags)


def _hexadecimal(text: str) -> bool:
    return all(letter in "0123456789abcdefABCDEF" for letter in text)


def _sja1000_bitrate(btr0: int, btr1: int) -> int:
    """Bit rate of the two bus timing registers of the SJA1000 (data sheet, 6.5.1): 1 + TSEG1 + TSEG2 time quanta."""
    quanta = 3 + (btr1 & 0x0F) + (btr1 >> 4 & 0x07)
    return _SJA1000_HZ // (((btr0 & 0x3F) + 1) * quanta)
