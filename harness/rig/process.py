# SPDX-License-Identifier: Apache-2.0
"""One worker process as its parent sees it: pipes, the jobs it was given, and what it left behind when it died."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import FirmwareError, HarnessError, RigError, UsageError
from harness.rig.wire import from_line, to_line
from harness.startup import LEAN_VARIABLES

_READ_BYTES = 1 << 16
_LAST_WORDS_BYTES = 4000
_ERRORS = {"UsageError": UsageError, "FirmwareError": FirmwareError}


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker needs to make its session."""

    rig: Path
    sanitize: bool = False
    defect: int = 0
    firmware: Path | None = None  # a library that was built already, instead of the rig's own


class Worker:
    """A worker process. Answers come in the order of the jobs; `pending` has the places of those not yet answered."""

    def __init__(self, options: WorkerOptions, *, now_ns: int) -> None:
        self.pending: deque[tuple[int, int]] = deque()
        self.requirements: tuple[str, ...] = ()
        self.ready = False
        self.at_end = False
        self.busy_since_ns = now_ns
        self._sanitize = options.sanitize
        self._buffer = b""
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the worker
        request = {
            "rig": str(options.rig),
            "sanitize": options.sanitize,
            "defect": options.defect,
            "firmware": str(options.firmware or ""),
        }
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, a module of ours, no shell
            [sys.executable, "-m", "harness.rig.worker", to_line(request).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._words,
            env=_environment(sanitize=options.sanitize),
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input = self._process.stdin.fileno()
        self.output = self._process.stdout.fileno()

    def send(self, place: tuple[int, int], message: Mapping[str, Any], *, now_ns: int) -> None:
        """Give it one job. A worker that just died shows it when read."""
        if not self.pending:
            self.busy_since_ns = now_ns
        self.pending.append(place)
        view = memoryview(to_line(message))
        try:
            while view:
                view = view[os.write(self._input, view) :]
        except BrokenPipeError:
            pass

    def receive(self, *, now_ns: int) -> Iterator[dict[str, Any]]:
        """The messages that have arrived. Raises the error that kept the worker from making its session."""
        chunk = os.read(self.output, _READ_BYTES)
        self.at_end = not chunk
        *lines, self._buffer = (self._buffer + chunk).split(b"\n")
        for line in lines:
            message = from_line(line)
            if "fatal" in message:
                raise _error(message)
            if "ready" in message:
                self.ready = True
                self.requirements = tuple(message["ready"])
                self.busy_since_ns = now_ns
            else:
                yield message

    def finished(self, *, now_ns: int) -> tuple[int, int]:
        """The place of the oldest job, which was answered."""
        self.busy_since_ns = now_ns
        return self.pending.popleft()

    def kill(self) -> None:
        """End it now, wait for it and let go of its files. May be called again."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._words):
            if stream is not None:
                stream.close()

    def obituary(self) -> str:
        """Why it ended, in one line: the sanitizer's finding with its place, or the signal and its last words.

        Waits for its end; to be asked before `kill`.
        """
        words = self._last_words()
        if self._sanitize:
            from harness.firmware.sanitizer import parse_report  # noqa: PLC0415 - only for sanitizer builds

            finding = parse_report(words)
            if finding:
                return finding
        code = self._process.wait()
        how = f"the worker was killed by {_signal_name(-code)}" if code < 0 else f"the worker ended with code {code}"
        last = next((line.strip() for line in reversed(words.splitlines()) if line.strip()), "")
        return f"{how}: {last}" if last else how

    def _last_words(self) -> str:
        size = self._words.seek(0, os.SEEK_END)
        self._words.seek(0 if self._sanitize else max(0, size - _LAST_WORDS_BYTES))
        return self._words.read(1 << 20).decode(errors="replace")


def _environment(*, sanitize: bool) -> dict[str, str]:
    """The parent's environment, with this very package importable, and what the sanitizers need."""
    variables = {**LEAN_VARIABLES, **os.environ}
    if sanitize:
        from harness.firmware.builder import find_compiler  # noqa: PLC0415 - only for sanitizer builds
        from harness.firmware.sanitizer import child_environment  # noqa: PLC0415 - see above

        variables |= child_environment(find_compiler())
    package = str(Path(__file__).resolve().parents[2])
    known = [folder for folder in variables.get("PYTHONPATH", "").split(os.pathsep) if folder]
    return variables | {"PYTHONPATH": os.pathsep.join([package, *known])}


def _error(message: Mapping[str, Any]) -> HarnessError:
    if message["fatal"] == "RigError":
        from harness.errors import Problem  # noqa: PLC0415 - rare

        return RigError([Problem(*fields) for fields in message["problems"]])
    return _ERRORS.get(message["fatal"], FirmwareError)(message["text"])


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
