# SPDX-License-Identifier: Apache-2.0
"""Puts instruments into their safe state over bare descriptors, all at once, and reads back that outputs are off.

No port delays another: nothing here waits for one. A port goes: safe lines written, old answers drained until it is
quiet, asked, and from the start again when it does not answer "off".
"""

from __future__ import annotations

import contextlib
import os
import select
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from harness.clock import NS_PER_S, Clock
from harness.instruments.safestep import SafeStep

QUIET_MS = 20  # nothing heard for so long: answers to what was asked before have all come
DRAIN_MS = 80  # a port that is never quiet is asked all the same
ANSWER_MS = 120  # then everything is sent again
PAUSE_MS = 80  # after an answer that is not "off": relays take time
_READ_BYTES = 4096
_NS_PER_MS = NS_PER_S // 1000
_GONE = select.POLLERR | select.POLLHUP | select.POLLNVAL


class _Phase(Enum):
    WRITE = "write"
    DRAIN = "drain"
    ASK = "ask"
    PAUSE = "pause"
    END = "end"


@dataclass(frozen=True, slots=True)
class PutOff:
    """What became of one instrument. `off` None: sent, but it cannot be asked. `ms`: from the start until then."""

    name: str
    off: bool | None
    what: str
    ms: float

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "off": self.off, "what": self.what, "ms": round(self.ms, 1)}


class _Port:
    """One instrument on its way to the safe state."""

    def __init__(self, step: SafeStep, start_ns: int) -> None:
        self.step = step
        self.phase = _Phase.WRITE
        self.pending = b"\n" + step.data  # the newline ends a line that was cut off in the middle
        self._start_ns = self._since_ns = self._heard_ns = start_ns
        self._heard = b""
        self._check = 0
        self.result = PutOff(step.name, off=False, what="the port took nothing", ms=0.0)

    def begin(self) -> None:
        """What waits in the queues to and from the instrument is dropped: it would delay the safe lines."""
        try:
            os.set_blocking(self.step.fd, False)
            if os.isatty(self.step.fd):
                termios.tcflush(self.step.fd, termios.TCIOFLUSH)
                termios.tcflow(self.step.fd, termios.TCOON)
        except (OSError, termios.error):
            pass  # writing will say what is wrong

    @property
    def events(self) -> int:
        """What to wait for."""
        return select.POLLIN | (select.POLLOUT if self.pending else 0)

    def advance(self, ready: int, now_ns: int) -> None:
        """Do what can be done now; never waits."""
        try:
            if ready & select.POLLIN:
                self._read(now_ns)
            elif ready & _GONE:
                self._end(now_ns, off=False, what="the port is gone")
                return
            if self.pending:
                self._write(now_ns)
            self._move_on(now_ns)
        except OSError as error:
            self._end(now_ns, off=False, what=f"the port is lost: {error.strerror}")

    def _read(self, now_ns: int) -> None:
        with contextlib.suppress(BlockingIOError):
            data = os.read(self.step.fd, _READ_BYTES)
            if not data:
                raise OSError(0, "the other end closed it")
            self._heard = (self._heard + data)[-_READ_BYTES:]
            self._heard_ns = now_ns

    def _write(self, now_ns: int) -> None:
        with contextlib.suppress(BlockingIOError):
            self.pending = self.pending[os.write(self.step.fd, self.pending) :]
        if not self.pending:
            self._since_ns = self._heard_ns = now_ns

    def _move_on(self, now_ns: int) -> None:
        if self.pending:
            return
        waited_ms = (now_ns - self._since_ns) / _NS_PER_MS
        if self.phase is _Phase.WRITE:
            if not self.step.checks:
                self._end(now_ns, off=None, what="safe lines sent; it cannot be asked")
                return
            self.phase = _Phase.DRAIN
        elif self.phase is _Phase.DRAIN:
            if waited_ms >= DRAIN_MS or (now_ns - self._heard_ns) / _NS_PER_MS >= QUIET_MS:
                self._ask(0)
        elif self.phase is _Phase.PAUSE:
            if waited_ms >= PAUSE_MS:
                self._again()
        elif b"\n" in self._heard or b"\r" in self._heard:
            self._answered(now_ns)
        elif waited_ms >= ANSWER_MS:
            self._note("safe lines sent, it does not answer")
            self._again()

    def _answered(self, now_ns: int) -> None:
        heard = self._heard.strip()
        query, expected = self.step.checks[self._check]
        if not heard:
            self._heard = b""  # an empty line is no answer
        elif heard.replace(b"\r", b"\n").split(b"\n")[0].strip() != expected:
            self._note(f"{query.decode('latin-1').strip()} answered {heard[:40].decode('latin-1')!r}, not off")
            self.phase, self._since_ns = _Phase.PAUSE, now_ns
        elif self._check + 1 < len(self.step.checks):
            self._ask(self._check + 1)
        else:
            self._end(now_ns, off=True, what="read back off")

    def _ask(self, check: int) -> None:
        self._check, self._heard = check, b""
        self.pending = self.step.checks[check][0]
        self.phase = _Phase.ASK

    def _again(self) -> None:
        self.phase, self._heard = _Phase.WRITE, b""
        self.pending = b"\n" + self.step.data

    def _note(self, what: str) -> None:
        """Where it stands, should the time be up before it is off."""
        self.result = PutOff(self.step.name, off=False, what=what, ms=0.0)

    def _end(self, now_ns: int, *, off: bool | None, what: str) -> None:
        self.phase = _Phase.END
        self.result = PutOff(self.step.name, off=off, what=what, ms=(now_ns - self._start_ns) / _NS_PER_MS)


class PuttingOff:
    """All instruments on their way to the safe state. `start` sends what the ports take at once, `finish` the rest."""

    def __init__(self, steps: Sequence[SafeStep], clock: Clock) -> None:
        self._clock = clock
        self._ports = [_Port(step, clock.now_ns()) for step in steps]

    def start(self) -> None:
        """The safe lines to every port that takes them without waiting."""
        for port in self._ports:
            port.begin()
            port.advance(0, self._clock.now_ns())

    def finish(self, limit_s: float) -> tuple[PutOff, ...]:
        """Go on until every port is off, sent or lost, at most `limit_s`."""
        until_ns = self._clock.now_ns() + int(limit_s * NS_PER_S)
        while self._clock.now_ns() < until_ns:
            open_ports = [port for port in self._ports if port.phase is not _Phase.END]
            if not open_ports:
                break
            self._step(open_ports)
        return tuple(port.result for port in self._ports)

    def _step(self, ports: Sequence[_Port]) -> None:
        poller = select.poll()
        for port in ports:
            poller.register(port.step.fd, port.events)
        ready = dict(poller.poll(QUIET_MS / 4))
        now_ns = self._clock.now_ns()
        for port in ports:
            port.advance(ready.get(port.step.fd, 0), now_ns)
