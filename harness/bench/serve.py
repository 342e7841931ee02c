# SPDX-License-Identifier: Apache-2.0
"""A virtual controller in real time: kernel and real firmware, its bus on an adapter, its inputs from instruments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, Self

from harness.bench.pacer import Lateness, Pacer
from harness.bench.pins import PinEntry, Pins
from harness.canbus.portmodel import CanPort, PortFrame
from harness.clock import NS_PER_S, Clock
from harness.errors import FirmwareError, UsageError
from harness.firmware.outside.controller import NEGATIVE, POSITIVE, PRECHARGE
from harness.instruments.model import Outputs
from harness.kernel.columns import Column
from harness.kernel.config import FrameFlag, Node
from harness.kernel.simulation import Frame, TraceBuffers
from harness.rig.compose import kernel_config
from harness.rig.file import Rig
from harness.rig.machine import Machine
from harness.rig.session import build_libraries

__all__ = ["Devices", "Pins", "ServedController"]

_PAUSED_NS = 1_000_000_000


class Devices(Protocol):
    """The instruments' side of a served controller: what they put on its pins, and what they read there."""

    def pins(self) -> Pins:
        """What is on the controller's pins now; called once a tick."""
        ...

    def drive(self, outputs: Outputs) -> None:
        """What the controller drives now; called once a tick."""
        ...

    def descriptors(self) -> Sequence[int]:
        """What to watch: readable when an instrument was written to."""
        ...

    def serve(self) -> None:
        """Answer what has arrived; never waits. Called when a descriptor is readable and once a tick."""
        ...


class ServedController:
    """A rig's firmware on a bench of its own. `devices` None: its inputs are those of the rig's plant.

    The supply decides whether it runs: switched off it forgets everything but its non-volatile memory. With `rest_bus`
    vehicle and charger send as well. A context manager. Raises BenchError when the adapter is lost, FirmwareError when
    the firmware fails.
    """

    def __init__(
        self,
        rig: Rig,
        port: CanPort,
        devices: Devices | None,
        clock: Clock,
        *,
        defect: int = 0,
        rest_bus: bool = False,
    ) -> None:
        rig.read_all()
        kernel, firmware = build_libraries(rig, defects=defect != 0)
        config = kernel_config(rig)
        self._senders = {(message.id, bool(message.flags & 1)): message.node for message in config.messages}
        if not rest_bus:
            config = replace(config, messages=(), sent_fields=())
        self._machine = Machine(kernel, firmware, config, defect=defect)
        self._port, self._devices = port, devices
        simulation = self._machine.simulation
        self._entry = PinEntry(simulation)
        self._outlet = simulation.outlet()
        self._outlet.open([node for node in Node if rest_bus or node is Node.DUT])
        self._buffers = TraceBuffers(config, 0.0, cells=False, flags=False, temps=False, frames_per_s=0.0)
        self._pacer = Pacer(clock)
        self._start_ns = clock.now_ns()
        self.outputs = Outputs()
        self.frames_lost = 0
        if devices is not None:
            self._entry.put(devices.pins())
        self._pacer.begin(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def next_ns(self) -> int:
        """When the next tick is due, on the clock."""
        return self._pacer.clock_ns(self._machine.simulation.now_ns + self._machine.tick_ns)

    def step(self) -> None:
        """Wait for the next tick, serving devices and adapter, and play it."""
        due_ns = self.next_ns
        if self._pacer.clock.now_ns() - due_ns > _PAUSED_NS:  # it stood still, and so did its time
            self._pacer.begin(self._machine.simulation.now_ns + self._machine.tick_ns)
            due_ns = self.next_ns
        while self._pacer.wait(due_ns, self._descriptors()):
            self._serve()
            if self._pacer.clock.now_ns() >= due_ns:
                break
        self._serve()
        self._play()

    def run(self, until_s: float | None = None, *, stop: Callable[[], bool] = lambda: False) -> None:
        """Step until so many seconds after the start, or until `stop` says so."""
        clock = self._pacer.clock
        while not stop() and (until_s is None or clock.now_ns() - self._start_ns < until_s * NS_PER_S):
            self.step()

    def lateness(self) -> Lateness:
        """How late the ticks came."""
        return self._pacer.lateness()

    def close(self) -> None:
        """End the firmware. The adapter stays open: it belongs to the caller."""
        self._machine.close()

    # ---- inside

    def _descriptors(self) -> Sequence[int]:
        port = self._port.fileno()
        own = () if port is None else (port,)
        return own if self._devices is None else (*own, *self._devices.descriptors())

    def _serve(self) -> None:
        if self._devices is not None:
            self._devices.serve()
        simulation = self._machine.simulation
        for frame in self._port.receive():
            if frame.own or frame.flags & FrameFlag.ERROR:
                continue
            node = self._senders.get((frame.id, bool(frame.flags & FrameFlag.EXTENDED)), Node.TESTER)
            try:
                simulation.send(Frame(frame.id, frame.data, frame.flags, frame.bus, node))
            except UsageError:  # its receive queue is full, or it has no such bus
                self.frames_lost += 1

    def _play(self) -> None:
        simulation = self._machine.simulation
        if self._devices is not None:
            self._entry.put(self._devices.pins())
        until_ns = simulation.now_ns + self._machine.tick_ns
        self._pacer.tick(until_ns)
        self._buffers.clear()
        status = simulation.run(until_ns / NS_PER_S, self._buffers)
        if status.error:
            raise FirmwareError(status.error)
        for frame in self._outlet.take():
            self._port.send(PortFrame(self._pacer.clock.now_ns(), frame.id, frame.data, frame.flags, frame.bus))
        bits = int(self._buffers.column(Column.OUTPUT_CONTACTORS)[-1])
        self.outputs = Outputs(bool(bits & POSITIVE), bool(bits & NEGATIVE), bool(bits & PRECHARGE))
        if self._devices is not None:
            self._devices.drive(self.outputs)
