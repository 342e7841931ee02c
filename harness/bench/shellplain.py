# SPDX-License-Identifier: Apache-2.0
"""The shell without a terminal: commands from a pipe or a file, one line of answer each."""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from typing import Protocol

from harness.bench.shell import Answer, Shell

_CHUNK = 65536


class Input(Protocol):
    """A stream that has a descriptor, e.g. sys.stdin; it is read by it, past its own buffer."""

    def fileno(self) -> int:
        """Its descriptor."""
        ...


class Plain:
    """Reads lines from a stream between two ticks: never waiting for them, and never more than a tick has room for, so
    that input without an end holds no tick up. Events are not told, only answers.
    """

    def __init__(self, stream: Input, write: Callable[[str], None]) -> None:
        self._stream, self._write = stream, write
        self._rest = b""
        self._open = True

    def say(self, answer: Answer) -> None:
        """One line of answer."""
        if not answer.event:
            self._write(f"{answer.t_s:9.3f} s  {'error: ' if answer.error else ''}{answer.text}")

    def run(self, shell: Shell) -> None:
        """Until `quit`, or the end of the input when all of it was played. Raises what `LiveRig.step` raises."""
        while not shell.done and (self._open or shell.busy):
            shell.live.step()
            self._read(shell)
            shell.tick()

    def _read(self, shell: Shell) -> None:
        if self._open and select.select([self._stream], [], [], 0.0)[0]:
            data = os.read(self._stream.fileno(), _CHUNK)
            if not data:
                self._open = False
                data = b"\n" if self._rest else b""
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                shell.submit(line.decode(errors="replace"))
