# SPDX-License-Identifier: Apache-2.0
"""The CAN side of a bench in a box: an emulated serial adapter as a port, and a node that floods the bus."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from harness.bench.lines import BACKLOG, Line
from harness.bench.slcan_device import SlcanDevice
from harness.canbus.portmodel import CanPort, PortFrame, PortStatus
from harness.clock import NS_PER_S, Clock
from harness.kernel.bustypes import NodeState

FLOOD_DATA = b"\x55" * 8  # no stuff bits in the data
FLOOD_BITS = 111  # a standard frame with eight data bytes and the gap behind it, no stuff bits (ISO 11898-1)
LOWEST_PRIORITY = 0x7FF
_FRAMES_SHARE = 0.75  # of an adapter's memory that frames may fill; the rest is for its answers
_MOST_AT_ONCE = 500  # flood frames for one call; what a stopped process owes is not made up for


class PluggedPort(CanPort, Protocol):
    """A port whose adapter can be pulled out and put back."""

    @property
    def is_plugged(self) -> bool:
        """Whether it is there."""
        ...

    def unplug(self) -> None:
        """Gone, as when the cable is pulled; the other side sees a port that is lost."""
        ...

    def plug(self) -> None:
        """Back again under the same name."""
        ...


class SlcanPort:
    """The controller's side of the bus behind an emulated adapter: what the other side sends arrives here.

    `open_line` makes the port the other side opens; it is called again when the adapter is put back.
    """

    def __init__(self, open_line: Callable[[], Line], bitrate: int, data_bitrate: int, clock: Clock) -> None:
        self._open_line = open_line
        self._bitrates = (bitrate, data_bitrate)
        self._clock = clock
        self._line: Line | None = None
        self._frames = 0
        self.lost = 0
        self.plug()

    @property
    def address(self) -> str:
        """What the other side opens; empty while it is unplugged."""
        return self._line.address if self._line else ""

    @property
    def is_plugged(self) -> bool:
        """See PluggedPort."""
        return self._line is not None

    @property
    def is_open(self) -> bool:
        """Whether the other side has opened the channel at the bit rate of the bus."""
        return self.device.matches

    def plug(self) -> None:
        """See PluggedPort."""
        if self._line is None:
            self.device = SlcanDevice(*self._bitrates)
            self._line = self._open_line()

    def unplug(self) -> None:
        """See PluggedPort."""
        if self._line is not None:
            self.lost += self._line.lost
            self._line.close()
            self._line = None
            self.device = SlcanDevice(*self._bitrates)

    def noise(self, garbage: bytes) -> None:
        """Bytes on the line that no adapter would send."""
        if self._line is not None:
            self._line.write(garbage)

    def send(self, frame: PortFrame) -> None:
        """See CanPort; a frame nobody listens to is gone."""
        if self._line is not None and self._line.waiting() < _FRAMES_SHARE * BACKLOG:
            self._line.write(self.device.deliver(frame))
        else:
            self.lost += self.device.matches

    def receive(self) -> Sequence[PortFrame]:
        """See CanPort."""
        if self._line is None:
            return ()
        data = self._line.read()
        if data:
            was_open = self.device.is_open
            answer = self.device.feed(data, self._clock.now_ns())
            if was_open and not self.device.is_open:
                self._line.forget()
            self._line.write(answer)
        frames = self.device.take()
        self._frames += len(frames)
        return frames

    def fileno(self) -> int | None:
        """See CanPort; None while it is unplugged."""
        return self._line.fileno() if self._line else None

    def status(self) -> PortStatus:
        """See CanPort: the bus itself has no errors."""
        return PortStatus(NodeState.ERROR_ACTIVE, 0, 0, frames=self._frames)

    def close(self) -> None:
        """See CanPort."""
        self.unplug()


class FloodedPort:
    """A port on a bus with one more node, which can fill whatever time the bus has left.

    A frame whose identifier is above that of the flood loses every arbitration and does not come through, in either
    direction; the others pass and take their time from the flood.
    """

    def __init__(self, port: CanPort, bitrate: int, clock: Clock) -> None:
        self.port = port
        self._slot_ns = FLOOD_BITS * NS_PER_S // bitrate
        self._clock = clock
        self._next_ns = 0
        self.flood_id: int | None = None
        self.flooded = 0

    def flood(self, identifier: int = LOWEST_PRIORITY) -> None:
        """Fill the bus from now on with frames of this identifier."""
        self.flood_id, self._next_ns = identifier, self._clock.now_ns()

    def calm(self) -> None:
        """The node is quiet again."""
        self.flood_id = None

    def send(self, frame: PortFrame) -> None:
        """See CanPort."""
        if self._wins(frame):
            self.port.send(frame)

    def receive(self) -> Sequence[PortFrame]:
        """See CanPort."""
        frames = [frame for frame in self.port.receive() if self._wins(frame)]
        return [*frames, *self._pour()]

    def fileno(self) -> int | None:
        """See CanPort."""
        return self.port.fileno()

    def status(self) -> PortStatus:
        """See CanPort."""
        return self.port.status()

    def close(self) -> None:
        """See CanPort."""
        self.port.close()

    def _wins(self, frame: PortFrame) -> bool:
        if self.flood_id is None:
            return True
        self._next_ns += self._slot_ns
        return frame.id <= self.flood_id

    def _pour(self) -> list[PortFrame]:
        poured: list[PortFrame] = []
        now_ns = self._clock.now_ns()
        while self.flood_id is not None and self._next_ns <= now_ns and len(poured) < _MOST_AT_ONCE:
            frame = PortFrame(t_ns=self._next_ns, id=self.flood_id, data=FLOOD_DATA)
            self.port.send(frame)
            poured.append(frame)
            self._next_ns += self._slot_ns
        self._next_ns = max(self._next_ns, now_ns) if poured else self._next_ns
        self.flooded += len(poured)
        return poured
