# SPDX-License-Identifier: Apache-2.0
"""A process on a pseudo-terminal and what its screen shows: as much of a terminal as prompt_toolkit uses."""

from __future__ import annotations

import codecs
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from harness.clock import WallClock

_CONTROL = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78]|\x1b\][^\x07]*\x07")


class TinyScreen:
    """A grid of characters that follows cursor moves and erasing; colours are left out."""

    def __init__(self, columns: int, rows: int) -> None:
        self.columns, self.rows = columns, rows
        self._grid = [[" "] * columns for _ in range(rows)]
        self._row = self._column = 0
        self._rest = ""

    def text(self) -> str:
        return "\n".join("".join(line).rstrip() for line in self._grid)

    def feed(self, text: str) -> None:
        text = self._rest + text
        self._rest = ""
        place = 0
        while place < len(text):
            if text[place] != "\x1b":
                self._put(text[place])
                place += 1
            elif (found := _CONTROL.match(text, place)) is not None:
                if found[3]:
                    self._control(found[2], found[3])
                place = found.end()
            else:
                self._rest = text[place:]
                return

    def _put(self, character: str) -> None:
        if character == "\r":
            self._column = 0
        elif character == "\n":
            if self._row == self.rows - 1:
                self._grid = [*self._grid[1:], [" "] * self.columns]
            self._row = min(self._row + 1, self.rows - 1)
        elif character == "\b":
            self._column = max(0, self._column - 1)
        elif character >= " ":
            self._grid[self._row][min(self._column, self.columns - 1)] = character
            self._column += 1

    def _control(self, numbers: str, letter: str) -> None:
        values = [int(word) if word else 0 for word in numbers.split(";")]
        steps = max(1, values[0])
        if letter == "H":
            self._row = min(steps, self.rows) - 1
            self._column = (max(1, values[1]) if len(values) > 1 else 1) - 1
        elif letter in "ABCD":
            down, right = {"A": (-steps, 0), "B": (steps, 0), "C": (0, steps), "D": (0, -steps)}[letter]
            self._row = min(max(0, self._row + down), self.rows - 1)
            self._column = min(max(0, self._column + right), self.columns - 1)
        elif letter == "K":
            self._erase(self._row, self._column)
        elif letter == "J":
            whole = values[0] == 2
            self._erase(self._row, 0 if whole else self._column)
            for row in range(0 if whole else self._row + 1, self.rows):
                self._erase(row, 0)

    def _erase(self, row: int, column: int) -> None:
        self._grid[row][column:] = [" "] * (self.columns - min(column, self.columns))


class Terminal:
    """A process whose standard streams are a pseudo-terminal of a size. A context manager: it does not outlive it."""

    def __init__(self, words: Sequence[str], *, columns: int = 120, rows: int = 40, folder: Path) -> None:
        self.screen = TinyScreen(columns, rows)
        self.scroll = ""
        self._clock = WallClock()
        self._decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._master, child = os.openpty()
        fcntl.ioctl(child, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process = subprocess.Popen(
            words,
            stdin=child,
            stdout=child,
            stderr=child,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color"},
            start_new_session=True,
        )
        os.close(child)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._master)

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def wait_for(self, text: str, seconds: float = 20.0) -> str:
        """Until the screen shows a text; the screen then."""
        end_ns = self._clock.now_ns() + int(seconds * 1e9)
        while text not in self.screen.text():
            if not self._read(end_ns):
                raise AssertionError(f"'{text}' never came; the screen:\n{self.screen.text()}")
        return self.screen.text()

    def wait_for_end(self, seconds: float = 20.0) -> int:
        """Until the process has ended; its exit code."""
        end_ns = self._clock.now_ns() + int(seconds * 1e9)
        while self._read(end_ns):
            pass
        return self.process.wait(timeout=seconds)

    def _read(self, end_ns: int) -> bool:
        left_s = (end_ns - self._clock.now_ns()) / 1e9
        if left_s <= 0.0 or not select.select([self._master], [], [], left_s)[0]:
            return False
        try:
            data = os.read(self._master, 65536)
        except OSError:  # the other end is closed
            return False
        text = self._decoder.decode(data)
        self.scroll += text
        self.screen.feed(text)
        return bool(data)
