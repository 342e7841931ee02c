# SPDX-License-Identifier: Apache-2.0
"""A rig that runs in real time, virtual or on a bench, with faults and requests put in by hand while it runs.

with VirtualRealtime(rig, clock, start="drive") as live:
    live.inject(begin(0.0, "cell-voltage", cell=17, voltage_v=3.8))
    while wanted:
        live.step()
        show(live.row(), live.frames())
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

import numpy as np

from harness.bench.hands import ActiveFault, Hands
from harness.bench.pacer import Lateness, Pacer
from harness.clock import NS_PER_S, Clock
from harness.errors import FirmwareError
from harness.kernel.columns import COLUMNS
from harness.kernel.config import Event, Fault
from harness.kernel.simulation import TraceBuffers
from harness.rig.compose import bounds_of, kernel_config
from harness.rig.file import Rig
from harness.rig.machine import Machine
from harness.rig.plan import Planner
from harness.rig.recording import Recorder, Stepped
from harness.rig.session import build_libraries, trace_header
from harness.rig.starts import StartStates
from harness.scenario import CommandAction, FaultAction, Start
from harness.trace import Frames, Side

__all__ = ["ActiveFault", "LiveRig", "Row", "Running", "VirtualRealtime"]

_BUFFER_S = 120.0  # then the record starts over: the rise of temperatures has no past for 3 s
_LEAST_FRAME_BITS = 47
_PAUSED_NS = 100_000_000  # later than this is a pause, not lateness: the rig does not run after it
_PLACES: Mapping[tuple[Side, str], int] = {named: int(column) for column, named in COLUMNS.items()}


@dataclass(frozen=True, slots=True)
class Row:
    """What was last recorded. `value(side, quantity)` has the columns of a trace; NaN for what is not known."""

    t_s: float
    columns: tuple[float, ...]

    def value(self, side: Side, quantity: str) -> float:
        """One column, by the names of a trace: ("given", "cell_voltage_max_v"), ("output", "contactors")."""
        place = _PLACES.get((side, quantity))
        return math.nan if place is None or not self.columns else self.columns[place]


class LiveRig(Protocol):
    """A rig in real time. Times count from when it reached its start state, `at_s` of actions is not looked at."""

    @property
    def rig(self) -> Rig:
        """The rig: profile, requirements, bounds."""
        ...

    @property
    def now_s(self) -> float:
        """Time since the start state."""
        ...

    @property
    def tick_s(self) -> float:
        """Time of one step."""
        ...

    def step(self) -> None:
        """Wait for the next tick and play it. Raises BenchError, with the bench in its safe state, or FirmwareError."""
        ...

    def row(self) -> Row:
        """The row of the last step."""
        ...

    def frames(self) -> Frames:
        """Frames since the last call, in the order of their time. Times count from the start state."""
        ...

    def inject(self, action: FaultAction) -> str:
        """Begin a fault now; its label. RigError when its parameters are wrong or a bench cannot make it."""
        ...

    def clear(self, label: str) -> int:
        """End every fault with this label or of this kind now; how many."""
        ...

    def command(self, action: CommandAction) -> None:
        """Ask for drive, charge, a reset, ... now."""
        ...

    def faults(self) -> tuple[ActiveFault, ...]:
        """Faults that act or have still to end."""
        ...

    def plan(self, events: Sequence[Event], faults: Sequence[Fault]) -> None:
        """Add events and fault rows of the kernel, times absolute; what was planned before stays."""
        ...

    def lateness(self) -> Lateness:
        """How late the steps came."""
        ...

    @property
    def unseen(self) -> tuple[tuple[Side, str], ...]:
        """Columns of a row that nobody could see on this rig."""
        ...

    def header(self) -> Mapping[str, Any]:
        """What a trace of it carries: how uncertain its times are, how late its ticks came, whose firmware it was."""
        ...

    def close(self) -> None:
        """End it; a bench goes into its safe state."""
        ...


class Running:
    """What `LiveRig`s have in common: a machine that is stepped into buffers, and hands that put things in.

    `refuse` raises for a fault that this rig cannot make.
    """

    def __init__(
        self,
        rig: Rig,
        machine: Stepped,
        planner: Planner,
        pacer: Pacer,
        *,
        requested: str,
        refuse: Callable[[FaultAction], None] = lambda _: None,
    ) -> None:
        self._rig, self._machine, self._pacer, self._refuse = rig, machine, pacer, refuse
        self._base_ns = machine.simulation.now_ns
        bus = rig.file.bus
        rate = bus.buses * bus.bitrate / _LEAST_FRAME_BITS
        self._buffers = TraceBuffers(machine.config, _BUFFER_S, cells=False, flags=False, frames_per_s=rate)
        self._told = 0
        self._longest_pause_s = 0.0
        self._begun = False
        self._hands = Hands(
            planner,
            machine.simulation,
            base_ns=self._base_ns,
            tick_ns=machine.tick_ns,
            requested=requested,
            rig=rig.name,
        )

    @property
    def rig(self) -> Rig:
        """See LiveRig."""
        return self._rig

    @property
    def now_s(self) -> float:
        """See LiveRig."""
        return (self._machine.simulation.now_ns - self._base_ns) / NS_PER_S

    @property
    def tick_s(self) -> float:
        """See LiveRig."""
        return self._machine.tick_ns / NS_PER_S

    def step(self) -> None:
        """See LiveRig."""
        buffers = self._buffers
        if buffers.n_rows >= buffers.max_rows - 1 or buffers.n_frames > buffers.max_frames // 2:
            self._start_over()
        now_ns = self._machine.simulation.now_ns
        if not self._begun:  # however long it took until somebody stepped: that was before the first tick
            self._begun = True
            self._pacer.begin(now_ns)
        late_ns = self._pacer.clock.now_ns() - self._pacer.clock_ns(now_ns + self._machine.tick_ns)
        if late_ns > _PAUSED_NS:  # the tick begins now, and so the one that should be over is late by its length too
            self._longest_pause_s = max(self._longest_pause_s, (late_ns + self._machine.tick_ns) / NS_PER_S)
            self._pacer.begin(now_ns)
        self._advance(now_ns + self._machine.tick_ns)

    def row(self) -> Row:
        """See LiveRig."""
        buffers = self._buffers
        if not buffers.n_rows:
            return Row(0.0, ())
        return Row(self.now_s, tuple(buffers.columns[:, -1].tolist()))

    def frames(self) -> Frames:
        """See LiveRig."""
        since, self._told = self._told, self._buffers.n_frames
        found = {name: self._buffers.frames(name)[since:].copy() for name in _FRAME_FIELDS}
        t_ns = np.maximum(found["ns"], np.uint64(self._base_ns)) - np.uint64(self._base_ns)
        return Frames(
            t_ns=t_ns,
            id=found["id"],
            flags=found["flags"],
            bus=found["bus"],
            node=found["node"],
            length=found["length"],
            data=found["data"],
        )

    def inject(self, action: FaultAction) -> str:
        """See LiveRig."""
        self._refuse(action)
        return self._hands.inject(action)

    def clear(self, label: str) -> int:
        """See LiveRig."""
        return self._hands.clear(label)

    def command(self, action: CommandAction) -> None:
        """See LiveRig."""
        self._hands.command(action)

    def faults(self) -> tuple[ActiveFault, ...]:
        """See LiveRig."""
        return self._hands.faults()

    def plan(self, events: Sequence[Event], faults: Sequence[Fault]) -> None:
        """See LiveRig."""
        self._hands.plan(events, faults)

    def lateness(self) -> Lateness:
        """See LiveRig."""
        return self._pacer.lateness()

    def _advance(self, until_ns: int) -> None:
        status = self._machine.simulation.run(until_ns / NS_PER_S, self._buffers)
        if status.error:
            raise FirmwareError(status.error)

    def _start_over(self) -> None:
        """Frames nobody has asked for yet are lost; a shell asks five times a second."""
        self._buffers.clear()
        self._told = 0


_FRAME_FIELDS = ("ns", "id", "flags", "bus", "node", "length", "data")


class VirtualRealtime(Running):
    """A virtual rig paced by the clock: kernel and real firmware. Implements `LiveRig`; a context manager.

    The start state is reached as fast as the machine can, then time is the clock's.
    """

    def __init__(self, rig: Rig, clock: Clock, *, start: Start = "standby") -> None:
        rig.read_all()
        kernel, firmware = build_libraries(rig)
        self._whole = Machine(kernel, firmware, kernel_config(rig))
        planner = Planner(rig.profile, bounds_of(rig))
        self._header = trace_header(rig, self._whole)
        recorder = Recorder(self._whole, rig, self._header)
        try:
            reached = StartStates(self._whole, planner, recorder, rig).restore(start)
        except BaseException:
            self._whole.close()
            raise
        super().__init__(rig, self._whole, planner, Pacer(clock), requested=reached.requested)
        self._hands.plan((), ())  # nothing of the way to the start state is left
        self._pacer.begin(self._base_ns)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def unseen(self) -> tuple[tuple[Side, str], ...]:
        """See LiveRig: everything is seen."""
        return ()

    def header(self) -> Mapping[str, Any]:
        """See LiveRig. Late ticks make no time uncertain: all of it is the simulation's."""
        pace = self.lateness()
        late = {"overruns": pace.overruns, "late_p99_s": pace.p99_s, "late_max_s": pace.max_s}
        return {**self._header, **late}

    def close(self) -> None:
        """End the firmware."""
        self._whole.close()

    def _advance(self, until_ns: int) -> None:
        self._pacer.wait(self._pacer.clock_ns(until_ns))
        self._pacer.tick(until_ns)
        super()._advance(until_ns)
