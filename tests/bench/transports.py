# SPDX-License-Identifier: Apache-2.0
"""Transports without a port: one along a script of lines, one straight into a device."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Sequence

from harness.errors import BenchError
from harness.instruments.devices import Device
from harness.instruments.lines import LineBuffer


class PortlessTransport(ABC):
    """`Transport` of harness.instruments.model whose answers are there at once, or never come."""

    def __init__(self, name: str) -> None:
        self.held = 0  # what `backlog` says; a test sets it to play a slow line
        self.closed = False
        self._name = name
        self._last = ""
        self._input = LineBuffer(name)
        self._lines: deque[str] = deque()

    @abstractmethod
    def _answer(self, line: str) -> bytes:
        """What comes back for a line."""

    def write(self, line: str) -> None:
        """It is answered at once."""
        self._last = line
        self._lines += self._input.feed(self._answer(line))

    def read(self) -> str:
        """The next answer; BenchError when there is none, as after a time-out."""
        if not self._lines:
            raise BenchError(f"{self._name}: did not answer '{self._last.strip()}'")
        return self._lines.popleft()

    def query(self, line: str) -> str:
        self.write(line)
        return self.read()

    def poll(self) -> Sequence[str]:
        """All answers not read yet."""
        lines = list(self._lines)
        self._lines.clear()
        return lines

    def forget(self) -> None:
        """Drop answers not read yet, also half a line."""
        self._lines.clear()
        self._input.clear()

    def backlog(self) -> int:
        return self.held

    def fileno(self) -> int:
        """No descriptor."""
        return -1

    def close(self) -> None:
        """Only noted."""
        self.closed = True


class ScriptedTransport(PortlessTransport):
    """Over (expected bytes, answer bytes) pairs, line ends included. Strict: another line is an AssertionError."""

    def __init__(self, pairs: Sequence[tuple[bytes, bytes]] = ()) -> None:
        super().__init__("script")
        self.expected = deque(pairs)
        self.written: list[bytes] = []

    def expect(self, *pairs: tuple[bytes, bytes]) -> None:
        """Append to the script."""
        self.expected += pairs

    def done(self) -> bool:
        """Whether the whole script was played."""
        return not self.expected

    def _answer(self, line: str) -> bytes:
        data = line.encode("ascii") + b"\n"
        self.written.append(data)
        assert self.expected, f"not expected at the end of the script: {data!r}"
        expected, answer = self.expected.popleft()
        assert data == expected, f"sent {data!r}, expected {expected!r}"
        return answer


class WiredTransport(PortlessTransport):
    """Into a device, which carries out each line at once. `written`: every line sent, in order."""

    def __init__(self, device: Device) -> None:
        super().__init__(device.settings.name)
        self.device = device
        self.written: list[str] = []

    def _answer(self, line: str) -> bytes:
        self.written.append(line)
        return self.device.feed(line.encode("ascii") + b"\n")
