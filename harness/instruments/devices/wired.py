# SPDX-License-Identifier: Apache-2.0
"""A transport straight into a device, without a port: driver and device in one process."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from harness.errors import BenchError
from harness.instruments.devices import Device
from harness.instruments.lines import LineBuffer


class WiredTransport:
    """`Transport` of harness.instruments.model. `written`: every line sent, in order."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.written: list[str] = []
        self.held = 0  # what `backlog` says: plays a slow line
        self._input = LineBuffer(device.settings.name)
        self._lines: deque[str] = deque()

    def write(self, line: str) -> None:
        """The device carries it out at once."""
        self.written.append(line)
        self._lines += self._input.feed(self.device.feed(line.encode("ascii") + b"\n"))

    def read(self) -> str:
        """The next answer; BenchError when there is none, as after a time-out."""
        if not self._lines:
            last = self.written[-1] if self.written else ""
            raise BenchError(f"{self.device.settings.name}: did not answer '{last.strip()}'")
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
        self._input.clear()

    def backlog(self) -> int:
        """As set in `held`."""
        return self.held

    def fileno(self) -> int:
        """No descriptor."""
        return -1

    def close(self) -> None:
        """Nothing to let go of."""
