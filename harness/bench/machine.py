# SPDX-License-Identifier: Apache-2.0
"""A real controller in the place of the simulated one: plant, faults and rest bus run in the kernel, tick by tick on
the wall clock; inputs go to the instruments, frames to the adapter, and what comes back is what the controller did.

The kernel plays a tick when it is over. The inputs at its end leave at once, its rest-bus frames one tick later than
the kernel has them, each at its own time; the trace has the times at which they really left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from harness.bench.busside import BusSide
from harness.bench.given import inputs_of, open_wires
from harness.bench.pacer import Lateness, Pacer
from harness.canbus.portmodel import CanPort, PortFrame
from harness.clock import NS_PER_S
from harness.errors import BenchError, UsageError
from harness.firmware.loader import FirmwareLibrary
from harness.firmware.outside.controller import NEGATIVE, POSITIVE, PRECHARGE, OutsideController
from harness.instruments.model import Inputs, Outputs
from harness.kernel.config import Event, Fault, KernelConfig, Node
from harness.kernel.simulation import FaultReport, RunStatus, Simulation, Status, TraceBuffers
from harness.rig.machine import Machine

OFF_S = 0.5  # without supply before a controller is switched on: its capacitors are empty, its supervisor has reset it
_OTHERS = (Node.VEHICLE, Node.CHARGER, Node.TESTER, Node.FOREIGN)


class Instruments(Protocol):
    """What the loop needs of a rack (harness.instruments.rack.Rack)."""

    @property
    def accuracy(self) -> Mapping[str, float]:
        """Quantity -> what it may err by."""
        ...

    @property
    def latency_s(self) -> float:
        """Between `apply` and the value at the controller's pins."""
        ...

    def identify(self) -> Mapping[str, str]:
        """Name -> what it says it is; BenchError when an instrument is another."""
        ...

    def arm(self, inputs: Inputs | None = None) -> None:
        """Known values, then outputs on."""
        ...

    def apply(self, inputs: Inputs) -> None:
        """Send what changed; does not wait."""
        ...

    def poll(self) -> Outputs | None:
        """The contactor drives as last read; None until there is a reading."""
        ...

    def safe(self) -> None:
        """Safe state, read back."""
        ...


class FrameLog(Protocol):
    """What records the bus as it goes by (harness.canbus.livelog.LiveLog)."""

    def append(self, frames: Sequence[PortFrame]) -> None:
        """Frames in the order of their time, own ones included."""
        ...


class _NoLog:
    def append(self, frames: Sequence[PortFrame]) -> None:
        """Keep nothing."""


class BenchMachine:
    """The same face as `harness.rig.machine.Machine`, for a controller that cannot be copied: `reload` takes its supply
    away and gives it back, `simulation` is paced by the clock.

    `beat` is called once a tick, for the guardian. Building it touches neither instruments nor adapter.
    """

    checkpointable = False

    def __init__(
        self,
        kernel: Path,
        outside: Path,
        config: KernelConfig,
        port: CanPort,
        rack: Instruments,
        pacer: Pacer,
        *,
        recorder: FrameLog | None = None,
        beat: Callable[[], None] | None = None,
    ) -> None:
        self._machine = Machine(kernel, outside, config)
        self._rack = rack
        rest_ids = [(message.id, bool(message.flags & 1)) for message in config.messages]
        bus = BusSide(port, pacer, rest_ids, self._machine.tick_ns)
        self.simulation = BenchSimulation(self._machine, bus, rack, pacer, recorder or _NoLog(), beat)

    @property
    def kernel_path(self) -> Path:
        """The kernel library."""
        return self._machine.kernel_path

    @property
    def config(self) -> KernelConfig:
        """What the kernel was told."""
        return self._machine.config

    @property
    def firmware(self) -> FirmwareLibrary:
        """The stand-in for the controller."""
        return self._machine.firmware

    @property
    def tick_ns(self) -> int:
        """The tick of the loop in ns."""
        return self._machine.tick_ns

    def reload(self) -> None:
        """The controller without supply for a while, the plant as configured; with the first tick the supply is back.

        Arms the instruments. Raises BenchError when they do not.
        """
        if self.simulation.fresh:
            return
        self._machine.reload()
        rested = inputs_of(self._first_tick(), supplied=False)
        self._machine.reload()
        self.simulation.renew()
        self._rack.arm(rested)
        self.simulation.hold(OFF_S)

    def close(self) -> None:
        """End the simulation. Instruments and adapter belong to the caller."""
        self._machine.close()

    def lateness(self) -> Lateness:
        """Of the ticks since the last `Pacer.forget`."""
        return self.simulation.pacer.lateness()

    def _first_tick(self) -> Any:
        """What the plant gives at rest."""
        simulation = self._machine.simulation
        tick_s = self.tick_ns / NS_PER_S
        simulation.run(tick_s, TraceBuffers(self.config, tick_s))
        return simulation.given()


class BenchSimulation:
    """A simulation that is stepped on the clock with instruments and adapter around it. Made by `BenchMachine`.

    Whatever ends a run early, the instruments are in their safe state before it is told. With `keep_errors` a
    BenchError becomes the error of the run, so that what was recorded is not lost; it is in `failure` then.
    """

    def __init__(
        self,
        machine: Machine,
        bus: BusSide,
        rack: Instruments,
        pacer: Pacer,
        recorder: FrameLog,
        beat: Callable[[], None] | None,
    ) -> None:
        self._machine, self._bus, self._rack, self.pacer = machine, bus, rack, pacer
        self._recorder, self._beat = recorder, beat
        self._tick_ns = machine.tick_ns
        self.keep_errors = False
        self.failure: BenchError | None = None
        self.reading_age_s = 0.0  # the oldest reading of the contactor drives that was used; set to 0 as wanted
        self._rows: tuple[Fault, ...] = ()
        self._running = False
        self.fresh = False

    def renew(self) -> None:
        """The kernel was made anew: time is 0."""
        simulation = self._inner
        self._controller = OutsideController(self._machine.firmware)
        self._outlet, self._given = simulation.outlet(), simulation.given()
        self._outlet.open(_OTHERS)
        self._bus.forget()
        self._rows = ()
        self._running = False
        self.fresh = True

    def hold(self, seconds: float) -> None:
        """Let time pass outside of the simulation; instruments keep what they have."""
        clock = self.pacer.clock
        until_ns = clock.now_ns() + round(seconds * NS_PER_S)
        while clock.now_ns() < until_ns:
            self._beat_once()
            clock.sleep_until_ns(min(until_ns, clock.now_ns() + self._tick_ns))
        self._bus.forget()

    @property
    def now_ns(self) -> int:
        """Time of the simulation."""
        return self._inner.now_ns

    @property
    def now_s(self) -> float:
        """Time of the simulation."""
        return self._inner.now_s

    def plan(self, events: Sequence[Event] = (), faults: Sequence[Fault] = (), *, keep: bool = False) -> None:
        """As `Simulation.plan`."""
        self._inner.plan(events, faults, keep=keep)
        self._rows = tuple(faults)

    def fault_reports(self) -> tuple[FaultReport, ...]:
        """As `Simulation.fault_reports`."""
        return self._inner.fault_reports()

    def save_state(self) -> Any:
        """A real controller cannot be copied: raises UsageError."""
        raise UsageError("a controller on a bench cannot be copied: boot it instead of restoring it")

    def load_state(self, state: Any) -> None:
        """A real controller cannot be copied: raises UsageError."""
        raise UsageError(f"a controller on a bench cannot be put back: boot it instead of loading {state!r}")

    def run(self, until_s: float, buffers: TraceBuffers) -> RunStatus:
        """Advance to `until_s` on the clock, appending to `buffers`. Raises BenchError (see `keep_errors`)."""
        until_ns = round(until_s * NS_PER_S / self._tick_ns) * self._tick_ns
        start_ns = self.now_ns
        try:
            while self.now_ns < until_ns:
                status = self.step(buffers)
                if status.error:
                    break
            else:
                status = RunStatus(Status.OK)
            self._bus.take_records(buffers, start_ns, self._beat_once)
        except BenchError as error:
            self.failure = self._broken(error)
            if not self.keep_errors:
                raise self.failure from error
            self._bus.take_records(buffers, start_ns, self._try_to_beat)
            return RunStatus(Status.FIRMWARE_ERROR, f"bench: {self.failure}")
        except BaseException:
            self._rack.safe()
            raise
        return status

    def _broken(self, error: BenchError) -> BenchError:
        """Into the safe state; the error, or both when that fails too."""
        try:
            self._rack.safe()
        except BenchError as unsafe:
            return BenchError(f"{error}; and the safe state was not reached: {unsafe}")
        return error

    def step(self, buffers: TraceBuffers) -> RunStatus:
        """One tick: wait for its end, with frames leaving and arriving meanwhile, then play it and set the inputs."""
        if not self._running:
            self.pacer.begin(self.now_ns)
            self._running = True
        self.fresh = False
        end_ns = self.now_ns + self._tick_ns
        self._wait(self.pacer.clock_ns(end_ns))
        self.pacer.tick(end_ns)
        self._read_back()
        n_frames = buffers.n_frames
        status = self._inner.run(end_ns / NS_PER_S, buffers)
        buffers.n_frames = n_frames  # those of the virtual bus: the real ones come from the adapter
        if not status.error:
            self._rack.apply(self._inputs())
            self._bus.queue(self._outlet.take())
            self._bus.send_due()
        self._recorder.append(self._bus.take_log())
        self._beat_once()
        return status

    # ---- inside

    @property
    def _inner(self) -> Simulation:
        return self._machine.simulation

    def _wait(self, until_ns: int) -> None:
        bus, pacer = self._bus, self.pacer
        while True:
            arrived = pacer.wait(bus.next_ns(until_ns), bus.descriptors)
            if arrived:
                bus.receive(self._controller, powered=self._inner.powered)
            bus.send_due()
            if pacer.clock.now_ns() >= until_ns:
                return

    def _read_back(self) -> None:
        """What the controller does now, as far as instruments and adapter have told."""
        self._bus.receive(self._controller, powered=self._inner.powered)
        outputs = self._rack.poll()
        if outputs is None:
            return
        self.reading_age_s = max(self.reading_age_s, outputs.age_s)
        self._controller.drive(
            POSITIVE * outputs.contactor_positive
            | NEGATIVE * outputs.contactor_negative
            | PRECHARGE * outputs.contactor_precharge
        )

    def _inputs(self) -> Inputs:
        given = self._given
        starved = given.values.supply_mv * 1e-3 < self._machine.config.pack.supply_min_v
        supplied = self._inner.powered or starved  # without supply although there is enough: switched off, or reset
        return inputs_of(given, supplied=supplied, open_wires=open_wires(self._rows, self.now_ns))

    def _try_to_beat(self) -> None:
        with suppress(BenchError):  # a guardian that is lost does not cost what was recorded
            self._beat_once()

    def _beat_once(self) -> None:
        if self._beat is not None:
            self._beat()
