# SPDX-License-Identifier: Apache-2.0
"""Lines of text over a serial device or a URL of pyserial: socket://, rfc2217://, loop://.

Nothing here blocks for longer than the time-out of the instrument, and nothing grows without bound: what an instrument
may send without a line end and what may wait for it are limited. Bytes are moved on the bare descriptor where there is
one, because pyserial's own `write` waits for the line.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from collections import deque
from collections.abc import Sequence
from typing import Any

from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError, UsageError
from harness.instruments.lines import LineBuffer, shown
from harness.instruments.model import InstrumentSettings

READ_BYTES = 65_536
GREATEST_BACKLOG = 262_144  # bytes; far above a full update of every channel, so a reader that stopped is found
IDLE_NS = 1_000_000  # how often a port without a descriptor is looked at while waiting
TERMINATORS = {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}


def open_transport(settings: InstrumentSettings, clock: Clock) -> SerialTransport:
    """Open `settings.port` for this process alone. BenchError with the remedy when it cannot be had."""
    terminator_of(settings)
    import serial  # noqa: PLC0415 - pyserial costs start-up time that `--help` must not pay

    try:
        stream = serial.serial_for_url(settings.port, baudrate=settings.baudrate, timeout=0, exclusive=True)
    except (serial.SerialException, OSError, ValueError) as error:
        raise BenchError(_cannot_open(settings, error)) from error
    return SerialTransport(settings, stream, clock)


def terminator_of(settings: InstrumentSettings) -> bytes:
    """The end of a line, by option `terminator`: "lf" (default), "crlf" or "cr"."""
    name = str(settings.options.get("terminator", "lf"))
    if name not in TERMINATORS:
        raise UsageError(f"{settings.name}: option terminator = '{name}'; one of {', '.join(TERMINATORS)}")
    return TERMINATORS[name]


class SerialTransport:
    """One open port. `Transport` of harness.instruments.model."""

    def __init__(self, settings: InstrumentSettings, stream: Any, clock: Clock) -> None:
        self._settings = settings
        self._stream: Any = stream
        self._clock = clock
        self._fd = _descriptor(stream)
        self._bare = self._fd >= 0 and not settings.port.startswith("rfc2217://")
        if self._bare:
            os.set_blocking(self._fd, False)
        self._terminator = terminator_of(settings)
        self._input = LineBuffer(f"{settings.name} at {settings.port}")
        self._lines: deque[str] = deque()
        self._output = bytearray()
        self._last_line = ""
        self._questions: deque[tuple[str, int]] = deque()
        self._stuck_since_ns: int | None = None

    def write(self, line: str) -> None:
        """Hand over one line; what the port does not take now follows with `poll`. Never waits."""
        if "\n" in line or not line.isascii():
            raise ValueError(line)
        if len(self._output) + len(line) > GREATEST_BACKLOG:
            raise self._error(
                f"takes no more data: {len(self._output)} bytes wait", "Check that it is on and listening."
            )
        self._output += line.encode("ascii") + self._terminator
        self._last_line = line
        if "?" in line:
            self._questions.append((line, self._clock.now_ns()))
        self._push()

    def read(self) -> str:
        """The next line; waits at most the time-out."""
        deadline_ns = self._clock.now_ns() + self._timeout_ns
        while not self._lines:
            self._push()
            self._pull()
            if self._lines:
                break
            if self._clock.now_ns() >= deadline_ns:
                raise self._silent()
            self._wait(deadline_ns)
        return self._next_line()

    def query(self, line: str) -> str:
        """Send one line and wait, at most the time-out, for the next line that comes."""
        self.write(line)
        return self.read()

    def poll(self) -> Sequence[str]:
        """Whole lines that have arrived; never waits. BenchError when a question is older than the time-out."""
        self._push()
        self._pull()
        lines = [self._next_line() for _ in range(len(self._lines))]
        if self._questions and self._clock.now_ns() - self._questions[0][1] > self._timeout_ns:
            raise self._silent()
        return lines

    def forget(self) -> None:
        """Drop what has arrived and what was asked: the start of getting back in step with the instrument."""
        self._receive()
        self._lines.clear()
        self._input.clear()
        self._questions.clear()

    def backlog(self) -> int:
        """Bytes that wait for the line: here, and in the driver of a serial port."""
        waiting = 0
        if self._bare and hasattr(self._stream, "out_waiting"):
            try:
                waiting = int(self._stream.out_waiting)
            except OSError:
                waiting = 0
        return len(self._output) + waiting

    def fileno(self) -> int:
        """The descriptor of the serial device or of the socket; -1 for loop://, which has none."""
        return self._fd

    def close(self) -> None:
        """Let go of the port; what still waits is given one try."""
        if self._stream is None:
            return
        with contextlib.suppress(BenchError):
            self._push()
        inner = getattr(self._stream, "_socket", None)
        if self._bare and inner is not None:  # pyserial sleeps 0.3 s, and leaks a socket whose other side is gone
            inner.close()
            self._stream.is_open = False
        else:
            self._stream.close()
        self._stream = None

    @property
    def _timeout_ns(self) -> int:
        return int(self._settings.timeout_s * NS_PER_S)

    def _next_line(self) -> str:
        if self._questions:
            self._questions.popleft()
            if self._questions:  # the instrument answers in order: the next question's time runs from here
                self._questions[0] = (self._questions[0][0], self._clock.now_ns())
        return self._lines.popleft()

    def _push(self) -> None:
        if not self._output:
            return
        taken = self._send(bytes(self._output))
        del self._output[:taken]
        if taken or not self._output:
            self._stuck_since_ns = None
        elif self._stuck_since_ns is None:
            self._stuck_since_ns = self._clock.now_ns()
        elif self._clock.now_ns() - self._stuck_since_ns > self._timeout_ns:
            raise self._error(
                f"has taken no data for {self._settings.timeout_s:g} s; {len(self._output)} bytes wait",
                "Check that it is on and that nothing holds the line (flow control).",
            )

    def _pull(self) -> None:
        data = self._receive()
        if data:
            self._lines += self._input.feed(data)

    def _send(self, data: bytes) -> int:
        try:
            stream = self._open_stream()
            return os.write(self._fd, data) if self._bare else int(stream.write(data) or 0)
        except BlockingIOError:
            return 0
        except OSError as error:
            raise self._lost(error) from error

    def _receive(self) -> bytes:
        try:
            if not self._bare:
                stream = self._open_stream()
                return bytes(stream.read(min(int(stream.in_waiting), READ_BYTES)))
            self._open_stream()
            if not select.select([self._fd], [], [], 0)[0]:
                return b""
            data = os.read(self._fd, READ_BYTES)
        except BlockingIOError:
            return b""
        except OSError as error:
            raise self._lost(error) from error
        if not data:  # ready to read, yet nothing there: the other side has closed, or the adapter was pulled out
            raise self._lost("the other side is gone")
        return data

    def _open_stream(self) -> Any:
        if self._stream is None:
            raise self._lost("closed")
        return self._stream

    def _wait(self, deadline_ns: int) -> None:
        now_ns = self._clock.now_ns()
        if not self._bare:
            self._clock.sleep_until_ns(min(now_ns + IDLE_NS, deadline_ns))
            return
        wanted = [self._fd] if self._output else []
        select.select([self._fd], wanted, [], max(0, deadline_ns - now_ns) / NS_PER_S)

    def _silent(self) -> BenchError:
        question = self._questions[0][0] if self._questions else self._last_line
        came = self._input.excerpt()
        came = f"only {came} without a line end came" if came else "nothing came"
        return self._error(
            f"did not answer '{shown(question)}' within {self._settings.timeout_s:g} s; {came}",
            f"Check power, cable and that it is set to {self._settings.baudrate} baud, 8N1.",
        )

    def _lost(self, reason: object) -> BenchError:
        return self._error(
            f"port lost after '{shown(self._last_line)}' ({reason})",
            "Check cable and power of the instrument, then open the bench again.",
        )

    def _error(self, what: str, remedy: str) -> BenchError:
        return BenchError(f"{self._settings.name} at {self._settings.port}: {what}. {remedy}")


def _descriptor(stream: Any) -> int:
    """The real descriptor below a pyserial object; -1 where there is none. rfc2217:// keeps its socket private."""
    inner: Any = getattr(stream, "_socket", None)
    for candidate in (stream, inner):
        try:
            return int(candidate.fileno())
        except (AttributeError, OSError, ValueError):
            continue
    return -1


def _cannot_open(settings: InstrumentSettings, error: BaseException) -> str:
    text = str(error)
    if "exclusive" in text.lower() or "lock" in text.lower():
        remedy = "Another program has the port: end it (two harnesses on one instrument are not possible)."
    elif settings.port.startswith(("socket://", "rfc2217://")):
        remedy = "Check host and port number, and that the instrument is on and in this network."
    elif isinstance(error, ValueError):
        remedy = "A port is a device, or a URL: socket://HOST:PORT, rfc2217://HOST:PORT, loop://."
    else:
        devices = "/dev/serial/by-id" if sys.platform.startswith("linux") else "the system's list of ports"
        remedy = f"Check the name in {devices}, and the right to open it (group dialout)."
    return f"{settings.name}: port {settings.port} cannot be opened: {text}. {remedy}"
