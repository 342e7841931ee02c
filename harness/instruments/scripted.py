# SPDX-License-Identifier: Apache-2.0
"""The transport's twin for tests: a list of lines that must come in this order, each with what it is answered."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from harness.errors import BenchError
from harness.instruments.lines import LineBuffer


class ScriptedTransport:
    """`Transport` over (expected bytes, answer bytes) pairs, line ends included. Strict: another line is an error."""

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]] = ()) -> None:
        self.expected = deque(pairs)
        self.written: list[bytes] = []
        self.closed = False
        self.held = 0  # what `backlog` says; a test sets it to play a slow line
        self._input = LineBuffer("script")
        self._lines: deque[str] = deque()

    def expect(self, *pairs: tuple[bytes, bytes]) -> None:
        """Append to the script."""
        self.expected += pairs

    def write(self, line: str) -> None:
        """The next line of the script; AssertionError when it is another."""
        data = line.encode("ascii") + b"\n"
        self.written.append(data)
        if not self.expected:
            raise AssertionError(f"not expected at the end of the script: {data!r}")
        expected, answer = self.expected.popleft()
        if data != expected:
            raise AssertionError(f"sent {data!r}, expected {expected!r}")
        self._lines += self._input.feed(answer)

    def read(self) -> str:
        """The next answer; BenchError when the script has none, as after a time-out."""
        if not self._lines:
            raise BenchError(f"script: no answer to {self.written[-1:]!r}")
        return self._lines.popleft()

    def query(self, line: str) -> str:
        """Write, then read."""
        self.write(line)
        return self.read()

    def poll(self) -> Sequence[str]:
        """All answers not read yet."""
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def forget(self) -> None:
        """Drop answers not read yet."""
        self._lines.clear()

    def backlog(self) -> int:
        """As set in `held`."""
        return self.held

    def fileno(self) -> int:
        """No descriptor."""
        return -1

    def close(self) -> None:
        """Only noted."""
        self.closed = True

    def done(self) -> bool:
        """Whether the whole script was played."""
        return not self.expected
