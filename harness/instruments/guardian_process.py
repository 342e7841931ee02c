# SPDX-License-Identifier: Apache-2.0
"""The guardian process: puts outputs off when the harness that armed them dies, freezes or asks for it.

Started by `harness.instruments.guardian`. Standard input: one line of JSON (`Job`), then one byte a message: "." I
live, "w" I live and the next step takes longer, "r" outputs are off and I may be silent, "p" put outputs off now, "q"
released. Standard output, a line each: "ready", "." heard you, "! what is wrong", "= result of putting off as JSON".
Imports little, so that it starts at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from harness.clock import NS_PER_S, Clock, WallClock
from harness.instruments.latchfile import append_event
from harness.instruments.priority import GUARDIAN, take_priority
from harness.instruments.putoff import PutOff, PuttingOff
from harness.instruments.safestep import SafeStep

ALIVE, BUSY, REST, PUT_OFF, RELEASE = b".", b"w", b"r", b"p", b"q"
BUSY_MS = 5000.0  # arming and going to the safe state wait for answers of every instrument
FINISH_S = 3.0  # how long it goes on with ports that do not take the safe lines or do not answer
_MESSAGES, _STATUS = 0, 1  # descriptors
_SLICES = 8  # of the heartbeat
_AWAKE_SLICES = 6  # slices it must have seen pass itself: a machine that stood still is no frozen harness
_LATE_MS = 400.0  # for a harness that wants to run and gets no processor, or waits for a disk; 100 ms are left to act
_LATE_STATES = "RD"  # of /proc/PID/stat: runnable, in an uninterruptible wait
_DEATH_MS = 20.0  # a killed process runs no further instruction; it is only waited for so that its last write is over
_IGNORED = ("SIGINT", "SIGHUP", "SIGPIPE", "SIGQUIT", "SIGTSTP", "SIGTTIN", "SIGTTOU")


@dataclass(frozen=True, slots=True)
class Job:
    """What a guardian is told when it starts. `harness`: the process it watches, its parent."""

    harness: int
    heartbeat_ms: float
    latch: str
    bench: str
    run: str
    steps: tuple[SafeStep, ...]

    def to_line(self) -> bytes:
        """One line of JSON."""
        steps = [
            [step.name, step.fd, step.data.hex(), [[query.hex(), off.hex()] for query, off in step.checks]]
            for step in self.steps
        ]
        record = {name: getattr(self, name) for name in ("harness", "heartbeat_ms", "latch", "bench", "run")}
        return json.dumps({**record, "steps": steps}).encode() + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> Self:
        """The inverse of `to_line`."""
        record = json.loads(line)
        steps = tuple(
            SafeStep(name, fd, bytes.fromhex(data), tuple((bytes.fromhex(q), bytes.fromhex(off)) for q, off in checks))
            for name, fd, data, checks in record.pop("steps")
        )
        return cls(steps=steps, **record)


class Guard:
    """Watches one harness until it is released, dies or freezes."""

    def __init__(self, job: Job, clock: Clock) -> None:
        self._job = job
        self._clock = clock
        self._process = _open_parent(job.harness)
        self._limit_ms: float | None = None  # None: not watching
        self._beat_ns = clock.now_ns()
        self._empty_slices = 0

    def run(self) -> None:
        """Until the end of its duty."""
        poller = select.poll()
        poller.register(_MESSAGES, select.POLLIN)
        if self._process is not None:
            poller.register(self._process, select.POLLIN)
        tell("ready")
        while True:
            ready = dict(poller.poll(None if self._limit_ms is None else self._limit_ms / _SLICES))
            if _MESSAGES in ready:
                reason = self._listen()
                if reason is not None:
                    break
            elif ready:
                reason = "the harness died"
                break
            elif self._is_frozen():
                reason = f"the harness was silent for more than {self._limit_ms:g} ms: it was killed"
                break
        if reason:
            self._act(reason)

    def _listen(self) -> str | None:
        """Take the messages that have come. None: go on; "": released; else why to act."""
        messages = os.read(_MESSAGES, 4096)
        if not messages:
            return "the harness died"
        self._beat_ns, self._empty_slices = self._clock.now_ns(), 0
        if RELEASE in messages:
            return ""
        if PUT_OFF in messages:
            results = put_off(self._job.steps, self._clock)
            tell("= " + json.dumps([result.record() for result in results]))
        self._limit_ms = {ALIVE: self._job.heartbeat_ms, BUSY: BUSY_MS}.get(messages[-1:])
        tell(".")
        return None

    def _is_frozen(self) -> bool:
        self._empty_slices += 1
        silent_ms = (self._clock.now_ns() - self._beat_ns) * 1000 / NS_PER_S
        limit_ms = self._limit_ms or 0.0
        if silent_ms < limit_ms or self._empty_slices < _AWAKE_SLICES:
            return False
        return silent_ms >= max(limit_ms, _LATE_MS) or state_of(self._job.harness) not in _LATE_STATES

    def _act(self, reason: str) -> None:
        """Never again anything from the harness, then outputs off, then the latch."""
        start_ns = self._clock.now_ns()
        if not self._kill():
            reason += "; it could not be killed"
        putting = PuttingOff(self._job.steps, self._clock)
        putting.start()
        self._latch({"reason": reason}, sync=False)  # at once, should this process be killed too
        results = putting.finish(FINISH_S)
        record: dict[str, Any] = {
            "reason": f"guardian: {summary(results)}",
            "outputs": [result.record() for result in results],
            "took_ms": round((self._clock.now_ns() - start_ns) * 1000 / NS_PER_S, 1),
        }
        self._latch(record, sync=True)
        with contextlib.suppress(OSError):
            os.write(2, f"guardian: {reason}; {summary(results)}; the bench is latched\n".encode())

    def _kill(self) -> bool:
        """End the harness, if it is still there. Never another one: by descriptor, our parent. False: not allowed."""
        if self._process is None:
            if os.getppid() == self._job.harness:
                os.kill(self._job.harness, signal.SIGKILL)
            return True
        try:
            signal.pidfd_send_signal(self._process, signal.SIGKILL)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        poller = select.poll()
        poller.register(self._process, select.POLLIN)
        poller.poll(_DEATH_MS)
        return True

    def _latch(self, event: Mapping[str, Any], *, sync: bool) -> None:
        known = {"by": "guardian", "bench": self._job.bench, "run": self._job.run}
        try:
            append_event(Path(self._job.latch), {**known, **event}, sync=sync)
        except OSError as error:
            with contextlib.suppress(OSError):
                os.write(2, f"guardian: the latch {self._job.latch} cannot be written: {error.strerror}\n".encode())


def put_off(steps: Sequence[SafeStep], clock: Clock, *, limit_s: float = FINISH_S) -> tuple[PutOff, ...]:
    """Safe lines to every instrument, read back where it answers; at most `limit_s`."""
    putting = PuttingOff(steps, clock)
    putting.start()
    return putting.finish(limit_s)


def summary(results: Sequence[PutOff]) -> str:
    """What became of the outputs, in one sentence."""
    off = [result.name for result in results if result.off]
    sent = [result.name for result in results if result.off is None]
    told = [f"{', '.join(off)} read back off"] if off else []
    told += [f"safe lines sent to {', '.join(sent)}, which cannot be asked"] if sent else []
    told += [f"{result.name} NOT OFF: {result.what}" for result in results if result.off is False]
    return "; ".join(told) or "no instrument to put off"


def state_of(pid: int) -> str:
    """The letter of its state as the system tells it: R running or waiting for a processor, T stopped, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return "?"


def tell(line: str) -> None:
    """One line to the harness; dropped when it does not read, or is no more."""
    with contextlib.suppress(OSError):
        os.write(_STATUS, line.encode() + b"\n")


def problems_of(job: Job) -> list[str]:
    """Why it could not do its job."""
    problems = []
    for step in job.steps:
        try:
            os.fstat(step.fd)
        except OSError as error:
            problems.append(f"the port of {step.name} was not handed over: {error.strerror}")
    folder = Path(job.latch).parent
    if not os.access(folder, os.W_OK):
        problems.append(f"the folder of the latch, {folder}, cannot be written")
    return problems


def _open_parent(pid: int) -> int | None:
    """A descriptor of the harness that means no other process, whatever becomes of its number; None: not to be had."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
    if os.getppid() == pid:  # it was our parent when the descriptor was made, so the number was not used again
        return descriptor
    os.close(descriptor)
    return None


def _read_line() -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(_MESSAGES, 1)
        if not byte:
            sys.exit(0)  # the harness died before anything was armed
        line += byte
    return line


def main() -> None:
    """Serve one harness."""
    for name in _IGNORED:
        signal.signal(getattr(signal, name), signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: tell("! somebody asked the guardian to end (SIGTERM)"))
    os.set_blocking(_STATUS, False)
    job = Job.from_line(_read_line())
    problems = problems_of(job)
    if problems:
        tell("! " + "; ".join(problems))
        return
    take_priority(GUARDIAN)
    Guard(job, WallClock()).run()


if __name__ == "__main__":
    main()
