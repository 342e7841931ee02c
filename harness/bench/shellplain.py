# SPDX-License-Identifier: Apache-2.0
"""The shell without a terminal: commands from a pipe or a file, one line of answer each."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

from harness.bench.shell import Answer, Shell

_CHUNK = 65536


class Plain:
    """Reads lines from a descriptor between two ticks, never waiting for them. Events are not told, only answers."""

    def __init__(self, descriptor: int, write: Callable[[str], None]) -> None:
        self._descriptor, self._write = descriptor, write
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
        while self._open and select.select([self._descriptor], [], [], 0.0)[0]:
            data = os.read(self._descriptor, _CHUNK)
            if not data:
                self._open = False
                data = b"\n" if self._rest else b""
            *lines, self._rest = (self._rest + data).split(b"\n")
            for line in lines:
                shell.submit(line.decode(errors="replace"))
