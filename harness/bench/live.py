# SPDX-License-Identifier: Apache-2.0
"""A rig that runs in real time, virtual or on a bench, with faults and requests put in by hand while it runs.

    with VirtualRealtime(rig, clock, start="drive") as live:
        live.inject(begin(0.0, "cell-voltage", cell=17, voltage_v=3.8))
        while wanted:
            live.step()
            show(live.row(), live.frames())
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from harness.bench.pacer import Lateness
from harness.clock import Clock
from harness.kernel.config import Event, Fault
from harness.rig.file import Rig
from harness.scenario import CommandAction, FaultAction, Start
from harness.trace import Frames, Side


@dataclass(frozen=True, slots=True)
class Row:
    """What was last recorded. `value(side, quantity)` has the columns of a trace; NaN for what is not known."""

    t_s: float
    columns: tuple[float, ...]

    def value(self, side: Side, quantity: str) -> float:
        """One column, by the names of a trace: ("given", "cell_voltage_max_v"), ("output", "contactors")."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault that was put in by hand. `until_s` is infinite for one that stays; `fired`: it changed an input."""

    label: str
    action: FaultAction
    from_s: float
    until_s: float
    fired: bool


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
        """Wait for the next tick and play it. BenchError or FirmwareError end it; the bench is in its safe state then."""
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

    def close(self) -> None:
        """End it; a bench goes into its safe state."""
        ...


class VirtualRealtime:
    """A virtual rig paced by the clock: kernel and real firmware. Implements `LiveRig`; a context manager."""

    def __init__(self, rig: Rig, clock: Clock, *, start: Start = "standby") -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError
