# SPDX-License-Identifier: Apache-2.0
"""The guardian as the harness sees it: started before outputs are armed, told that all is well, released at the end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError
from harness.instruments.guardian_process import ALIVE, BUSY, FINISH_S, PUT_OFF, RELEASE, REST, Job
from harness.instruments.putoff import PutOff
from harness.instruments.safestep import SafeStep

_START_S = 10.0  # on a machine that is busy; usually a twentieth of a second
_END_S = 2.0
_READ_BYTES = 65_536


class Guardian:
    """The other process that holds the way to the safe state. Raises BenchError when it cannot do its job.

    From the first `beat` on the harness must beat at least every `heartbeat_ms`, or it is killed; `busy` allows it five
    seconds once, `rest` suspends it.
    As a context manager it is released on the way out, whether that is an error or not: put outputs off before.
    """

    def __init__(self, process: subprocess.Popen[bytes], heartbeat_ms: float, clock: Clock) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._messages, self._status = process.stdin.fileno(), process.stdout.fileno()
        self._patience_ns = int(heartbeat_ms * NS_PER_S / 1000)
        self._clock = clock
        self._unanswered_ns: int | None = None
        self._heard = b""
        self._problem = ""
        self._released = False

    @classmethod
    def start(
        cls,
        plan: Sequence[SafeStep],
        *,
        heartbeat_ms: float,
        latch: Path,
        clock: Clock,
        bench: str = "",
        run: str = "",
    ) -> Self:
        """Start it and wait until it watches. `bench` and `run` are written into the latch, should it have to act."""
        job = Job(os.getpid(), heartbeat_ms, str(latch), bench, run, tuple(plan))
        process = subprocess.Popen(
            [sys.executable, "-S", "-m", "harness.instruments.guardian_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[step.fd for step in plan],
            start_new_session=True,  # Ctrl-C and the end of the terminal do not reach it
            env=_environment(),
        )
        guardian = cls(process, heartbeat_ms, clock)
        try:
            guardian._begin(job)
        except BaseException:
            guardian.kill()
            raise
        return guardian

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether it is there and has not told of a problem."""
        with contextlib.suppress(BenchError):
            self._listen()
        return not self._problem and self._process.poll() is None

    def beat(self) -> None:
        """All is well. Raises BenchError when the guardian died, is silent, or says that it cannot do its job."""
        self._tell(ALIVE)

    def busy(self) -> None:
        """All is well, and the next step takes longer: five seconds until the next `beat`. Raises as `beat`."""
        self._tell(BUSY)

    def _tell(self, message: bytes) -> None:
        self._listen()
        now_ns = self._clock.now_ns()
        if self._unanswered_ns is None:
            self._unanswered_ns = now_ns
        elif now_ns - self._unanswered_ns > self._patience_ns:
            self._fail(f"does not answer for {(now_ns - self._unanswered_ns) / 1e6:.0f} ms")
        self._send(message)

    def rest(self) -> None:
        """Outputs are off: until the next `beat` this process may be silent. That it lives is still watched."""
        self._listen()
        self._send(REST)
        self._unanswered_ns = None

    def put_off(self) -> tuple[PutOff, ...]:
        """Let the guardian put all outputs off, and what became of each; the same way as if this process had died."""
        self._listen()
        self._heard = b""
        self._send(PUT_OFF)
        until_ns = self._clock.now_ns() + int((FINISH_S + _END_S) * NS_PER_S)
        answer = self._wait_for(b"= ", until_ns)
        return tuple(PutOff(**record) for record in json.loads(answer))

    def release(self) -> None:
        """Its duty is over. Outputs must be off. May be called again."""
        if self._released:
            return
        self._released = True
        with contextlib.suppress(OSError):
            os.write(self._messages, RELEASE)
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            self._process.kill()  # frozen: it would act when it wakes up
        self._close()

    def kill(self) -> None:
        """End it without anything being done; when it could not even start, or by a test."""
        self._released = True
        self._process.kill()
        self._close()

    def _close(self) -> None:
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()

    def _begin(self, job: Job) -> None:
        with contextlib.suppress(BrokenPipeError):  # reading its end will tell
            view = memoryview(job.to_line())
            while view:
                view = view[os.write(self._messages, view) :]
        os.set_blocking(self._messages, False)
        os.set_blocking(self._status, False)
        self._wait_for(b"ready", self._clock.now_ns() + int(_START_S * NS_PER_S))

    def _wait_for(self, beginning: bytes, until_ns: int) -> bytes:
        """The rest of the line that begins so."""
        poller = select.poll()
        poller.register(self._status, select.POLLIN)
        while True:
            for line in self._heard.split(b"\n")[:-1]:
                if line.startswith(beginning):
                    return line[len(beginning) :]
            left_ms = (until_ns - self._clock.now_ns()) * 1000 / NS_PER_S
            if left_ms <= 0 or not poller.poll(left_ms):
                self._fail("does not answer")
            self._listen()

    def _listen(self) -> None:
        """Take what it said. Raises BenchError when it told of a problem, or has died."""
        with contextlib.suppress(BlockingIOError):
            data = os.read(self._status, _READ_BYTES)
            if not data:
                self._fail(self._how_it_ended())
            self._unanswered_ns = None
            self._heard = (self._heard + data)[-_READ_BYTES:]
            for line in data.split(b"\n"):
                if line.startswith(b"! "):
                    self._problem = self._problem or line[2:].decode(errors="replace")
        if self._problem:
            self._fail(f"cannot do its job: {self._problem}")

    def _send(self, message: bytes) -> None:
        try:
            os.write(self._messages, message)
        except BlockingIOError:
            self._fail("does not read what it is told")
        except OSError:
            self._fail(self._how_it_ended())

    def _how_it_ended(self) -> str:
        try:
            code = self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            return "has closed its pipe"
        return f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"

    def _fail(self, what: str) -> None:
        raise BenchError(f"the guardian (process {self.pid}) {what}; without it nothing may be energised")


def _environment() -> dict[str, str]:
    """The parent's, with this very package importable and nothing else looked up."""
    package = str(Path(__file__).resolve().parents[2])
    return {**os.environ, "PYTHONPATH": package, "PYTHONDONTWRITEBYTECODE": "1"}
