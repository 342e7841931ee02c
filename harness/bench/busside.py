# SPDX-License-Identifier: Apache-2.0
"""The bus side of the bench loop: rest-bus frames to the adapter at their time, what arrives into the trace."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from harness.bench.pacer import Pacer
from harness.canbus.portmodel import CanPort, PortFrame
from harness.errors import BenchError
from harness.firmware.outside.controller import OutsideController
from harness.kernel.bustypes import Mark
from harness.kernel.config import FrameFlag, Node
from harness.kernel.outside import OutFrame
from harness.kernel.simulation import TraceBuffers

_CLASSIC_BYTES = 8
_AT_ONCE = 5000  # records: some 20 ms
_UNKNOWN_NODE = 255  # of a frame in a trace
_Key = tuple[int, int, bytes]
Record = tuple[int, OutFrame | PortFrame, int]  # time of the simulation, the frame, its node


class BusSide:
    """Frames between one adapter and one kernel. `rest_ids`: identifiers (and whether extended) of the rest bus.

    `delay_ns` is how much later than in the kernel rest-bus frames leave: the kernel plays a tick when it is over.
    """

    def __init__(self, port: CanPort, pacer: Pacer, rest_ids: Iterable[tuple[int, bool]], delay_ns: int) -> None:
        self._port, self._pacer, self._delay_ns = port, pacer, delay_ns
        self._rest_ids = frozenset(rest_ids)
        descriptor = port.fileno()
        self.descriptors: tuple[int, ...] = () if descriptor is None else (descriptor,)
        self._leaving: deque[OutFrame] = deque()
        self._records: list[Record] = []
        self._unechoed: dict[_Key, deque[int]] = defaultdict(deque)
        self._log: list[PortFrame] = []

    def queue(self, frames: Iterable[OutFrame]) -> None:
        """Frames of the rest bus that are to leave, each at its time."""
        self._leaving.extend(frame for frame in frames if not frame.flags & (FrameFlag.ERROR | Mark.UNHEARD))
        if len(self._leaving) > 1:
            self._leaving = deque(sorted(self._leaving, key=lambda frame: frame.release_ns))

    def next_ns(self, until_ns: int) -> int:
        """The moment of the clock at which the next frame has to leave, at the latest `until_ns`."""
        if not self._leaving:
            return until_ns
        return min(until_ns, self._pacer.clock_ns(self._leaving[0].release_ns + self._delay_ns))

    def send_due(self) -> None:
        """Hand over what is due."""
        now_ns = self._pacer.clock.now_ns()
        while self._leaving and self._pacer.clock_ns(self._leaving[0].release_ns + self._delay_ns) <= now_ns:
            out = self._leaving.popleft()
            flags = FrameFlag(out.flags & ~Mark.BENT)
            frame = PortFrame(now_ns, out.id, out.data, flags, out.bus, own=True)
            self._port.send(frame)
            self._unechoed[(out.id, int(flags), out.data)].append(len(self._records))
            self._records.append((self._pacer.simulation_ns(now_ns), out, out.node))
            self._log.append(frame)

    def receive(self, controller: OutsideController, *, powered: bool) -> None:
        """Take what has arrived: frames of the controller reach the others in the next tick."""
        for frame in self._port.receive():
            t_ns = self._pacer.simulation_ns(frame.t_ns)
            if frame.own:
                self._echo(frame, t_ns)
                continue
            self._log.append(frame)
            if frame.flags & FrameFlag.ERROR:
                self._records.append((t_ns, frame, _UNKNOWN_NODE))
                continue
            foreign = (frame.id, bool(frame.flags & FrameFlag.EXTENDED)) in self._rest_ids
            self._records.append((t_ns, frame, Node.FOREIGN if foreign else Node.DUT))
            whole = len(frame.data) <= _CLASSIC_BYTES or frame.flags & FrameFlag.FD
            if powered and whole and not foreign:
                controller.send(frame.id, frame.data, flags=frame.flags, bus=frame.bus)

    def _echo(self, frame: PortFrame, t_ns: int) -> None:
        """An own frame seen on the wire: from now on it counts from then."""
        places = self._unechoed.get((frame.id, int(frame.flags), frame.data))
        if places:
            place = places.popleft()
            self._records[place] = (t_ns, *self._records[place][1:])

    def take_log(self) -> Sequence[PortFrame]:
        """What went over the bus since the last call, in the order of its time."""
        log, self._log = self._log, []
        return sorted(log, key=lambda frame: frame.t_ns)

    def take_records(self, buffers: TraceBuffers, not_before_ns: int, beat: Callable[[], None]) -> None:
        """Write everything since the last call into the buffers, behind what is there, in the order of its time.

        What the adapter says is older than the beginning of the run counts from there. `beat` is called now and then:
        a flooded bus brings more frames than can be written within a heartbeat.
        """
        records, self._records = sorted(self._records, key=lambda record: record[0]), []
        self._unechoed.clear()
        first, room = buffers.n_frames, buffers.max_frames - buffers.n_frames
        if len(records) > room:
            raise BenchError(f"the adapter delivered {len(records)} frames where the bus carries at most {room}")
        for begin in range(0, len(records), _AT_ONCE):
            _write(buffers, first + begin, records[begin : begin + _AT_ONCE], not_before_ns)
            beat()
        buffers.n_frames = first + len(records)

    def forget(self) -> None:
        """The controller is about to be switched on: what was to be sent and what has arrived belongs to the past."""
        self._leaving.clear()
        self._port.receive()
        self._records.clear()
        self._unechoed.clear()


def _write(buffers: TraceBuffers, first: int, records: Sequence[Record], not_before_ns: int) -> None:
    arrays, width = buffers.arrays, buffers.frame_width
    here = slice(first, first + len(records))
    frames = [frame for _, frame, _ in records]
    arrays["frame_ns"][here] = [max(t_ns, not_before_ns) for t_ns, _, _ in records]
    arrays["frame_id"][here] = [frame.id for frame in frames]
    arrays["frame_flags"][here] = [frame.flags for frame in frames]
    arrays["frame_bus"][here] = [frame.bus for frame in frames]
    arrays["frame_node"][here] = [node for _, _, node in records]
    arrays["frame_length"][here] = [len(frame.data) for frame in frames]
    data = b"".join(frame.data[:width].ljust(width, b"\0") for frame in frames)
    arrays["frame_data"][here] = np.frombuffer(data, np.uint8).reshape(len(frames), width)
