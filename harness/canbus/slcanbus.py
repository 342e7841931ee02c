# SPDX-License-Identifier: Apache-2.0
"""python-can's SLCAN adapter, quicker and with its answers heard.

python-can 4.6 reads byte by byte (139 us of processor time a frame, here 5), waits for the port to be drained after
each frame it sends, keeps a line it cannot decode for ever, and hears no answer. Only how bytes come and go is
replaced; what they mean stays python-can's matter.
"""

from __future__ import annotations

import os
from collections import deque
from contextlib import suppress
from typing import Any

from can.exceptions import CanInitializationError, CanOperationError, error_check
from can.interfaces.slcan import slcanBus

OK, ERROR = "\r", "\a"
FRAMES = tuple("tTrRdDbBx")
_LONGEST = 200  # a frame of 64 bytes has 138 characters; what is longer is garbage
_ANSWER_S = 1.0  # how long an adapter may take to answer a command at the start
_SILENT_S = 0.02  # between two commands to one that does not answer
_SEND_S = 0.05  # how long it may take to swallow one frame
_MOST_UNSENT = 4096  # bytes kept for a port that is slow: 50 ms of a full bus
_SHOWN = 40
# Flags of the answer to F (Lawicel CANUSB manual): receive queue full, warning, overrun, error passive, bus error
QUEUE_FULL, WARNING, OVERRUN, PASSIVE, BUS_ERROR = 0x01, 0x04, 0x08, 0x20, 0x80


class SlcanBus(slcanBus):
    """`refused`: answers BEL to frames sent; `garbage`: lines that are none; `flags`: answer to F not looked at yet."""

    def __init__(self, channel: str, **options: Any) -> None:
        self.refused, self.garbage = 0, 0
        self.flags: int | None = None
        self._codes: list[str] = []
        self._received: deque[str] = deque()
        self._unread = self._unsent = b""
        self._descriptor: int | None = None
        self._asked = self._has_flags = False
        try:
            super().__init__(channel, **options)
        except BaseException:
            if hasattr(self, "serialPortOrig"):
                self.serialPortOrig.close()
            raise
        self.serialPortOrig.write_timeout = _SEND_S
        with suppress(OSError, NotImplementedError):  # a URL of pyserial may have none
            self._descriptor = self.serialPortOrig.fileno()

    def set_bitrate(self, bitrate: int, data_bitrate: int | None = None) -> None:
        """Checked here, sent by `open`. Raises ValueError."""
        for name, value, table in (
            ("bit rate", bitrate, self._BITRATES),
            ("data bit rate", data_bitrate or 0, self._DATA_BITRATES),
        ):
            if value not in table:
                allowed = ", ".join(str(rate) for rate in table if rate)
                raise ValueError(f"{name} {value}; an SLCAN adapter knows {allowed}")
        self._codes = [self._BITRATES[bitrate], self._DATA_BITRATES[data_bitrate or 0]]

    def set_bitrate_reg(self, btr: str) -> None:
        """Bit timing registers; sent by `open`."""
        self._codes = [f"s{btr}"]

    def open(self) -> None:
        """Close the channel whatever state it is in, set the bit rate, open it; a refusal is an error."""
        patience_s = _ANSWER_S if self._found_in_step() else _SILENT_S
        for code in (*filter(None, self._codes), "L" if self._listen_only else "O"):
            if self._ask(code, patience_s) == ERROR:
                raise CanInitializationError(f"the adapter refused '{code}'")
        self._has_flags = self._ask("F", patience_s)[:1] == "F"

    def _found_in_step(self) -> bool:
        """Close the channel and ask for the version: what comes before the answer is of earlier times. Whether it
        answered; some adapters never do.
        """
        self.serialPortOrig.reset_input_buffer()
        self._write("C")
        self._write("V")
        while line := self._line(_ANSWER_S):
            if line[0] in "Vv":
                return True
            if line[0] not in (*FRAMES, *"zZF", OK, ERROR):
                raise CanInitializationError(f"it answered {line[:_SHOWN]!r} to 'V': this is no SLCAN adapter")
        return False

    def ask_flags(self) -> None:
        """Ask for the status flags, of an adapter that has them; the answer comes with the frames."""
        if self._has_flags and not self._asked:
            self._asked = True
            self._write("F")

    def _ask(self, command: str, patience_s: float) -> str:
        """The answer to a command: OK or ERROR, flags to F; empty when none came."""
        self._write(command)
        while (line := self._line(patience_s))[:1] in FRAMES:
            pass  # of the channel that has just been opened
        return line

    def _line(self, patience_s: float) -> str:
        """The next line; empty when nothing comes for so long. A line of text loses its end."""
        port = self.serialPortOrig
        before, port.timeout = port.timeout, patience_s
        line = ""
        try:
            while len(line) < _LONGEST:
                byte = str(port.read(1), "ascii", errors="replace")
                if byte in ("", OK, ERROR):
                    return line or byte
                line += byte
        finally:
            port.timeout = before
        return line

    def _write(self, string: str) -> None:
        """Not by pyserial: it calls a line that was written a time-out when the host was late in between."""
        line = string.encode() + self.LINE_TERMINATOR
        with error_check("Could not write to serial device"):
            if self._descriptor is None:
                self.serialPortOrig.write(line)
                return
            self._push(self._descriptor)
            full = len(self._unsent) > _MOST_UNSENT
            if not full:
                self._unsent += line
                self._push(self._descriptor)
        if full:
            raise CanOperationError("the transmit queue is full: the port takes nothing")

    def _push(self, descriptor: int) -> None:
        with suppress(BlockingIOError):
            while self._unsent:
                self._unsent = self._unsent[os.write(descriptor, self._unsent) :]

    def send(self, msg: Any, timeout: float | None = None) -> None:
        """Hand a frame over; waits for nothing where the port has a descriptor, else at most `_SEND_S`."""
        del timeout
        super().send(msg, _SEND_S)

    def _read(self, timeout: float | None) -> str | None:
        """The next line that is a frame; never waits."""
        del timeout
        if not self._received:
            self._take()
        return self._received.popleft() if self._received else None

    def _take(self) -> None:
        with error_check(exception_type=CanOperationError):
            if self._unsent and self._descriptor is not None:
                self._push(self._descriptor)
            waiting = self.serialPortOrig.in_waiting
            data = self.serialPortOrig.read(waiting) if waiting else b""
        lines = (self._unread + data).replace(b"\a", b"\a\r").split(b"\r")
        self._unread = lines.pop()
        if len(self._unread) > _LONGEST:
            self._unread = b""
            self.garbage += 1
        for line in lines:
            text = line.decode("ascii", errors="replace")
            if text[:1] in FRAMES:
                self._received.append(text + OK)
            else:
                self._answered(text)

    def _answered(self, text: str) -> None:
        if text == ERROR:
            self.refused += 1
        elif text[:1] == "F":
            self._asked = False
            try:
                self.flags = int(text[1:], 16)
            except ValueError:
                self.garbage += 1
        elif text not in ("", "z", "Z"):
            self.garbage += 1

    def shutdown(self) -> None:
        """Close the channel and the port, even of an adapter that is gone."""
        try:
            super().shutdown()
        finally:
            self.serialPortOrig.close()
