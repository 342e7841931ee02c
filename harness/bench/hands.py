# SPDX-License-Identifier: Apache-2.0
"""Faults and requests put in by hand while a simulation runs. The kernel replaces its whole plan at once: what acts
still, and what has still to happen, is planned again every time, and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from harness.clock import NS_PER_S
from harness.kernel.config import FOREVER_NS, Event, EventKind, Fault
from harness.kernel.simulation import FaultReport
from harness.rig.plan import RESET_PULSE_S, Planner
from harness.scenario import CommandAction, FaultAction, Scenario

_LONG_S = 86_400.0  # of a fault without an end; the kernel's row has none then
_REQUESTS = ("drive", "charge", "standby")


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault that was put in by hand. `until_s` is infinite for one that stays; `fired`: it changed an input."""

    label: str
    action: FaultAction
    from_s: float
    until_s: float
    fired: bool


class Planned(Protocol):
    """A simulation whose plan can be replaced at any time."""

    @property
    def now_ns(self) -> int:
        """Its time."""
        ...

    def plan(self, events: Sequence[Event] = (), faults: Sequence[Fault] = (), *, keep: bool = False) -> None:
        """Replace all events and faults; with `keep` those that were there go on."""
        ...

    def fault_reports(self) -> tuple[FaultReport, ...]:
        """One for every planned fault row."""
        ...


@dataclass(slots=True)
class _Held:
    """One fault and its rows in the kernel; `action` None for rows that were planned as such."""

    action: FaultAction | None
    rows: tuple[Fault, ...]
    fired: bool = False


class Hands:
    """What a person has put into a simulation. `requested` is on the bus when it begins, at `base_ns`."""

    def __init__(
        self, planner: Planner, simulation: Planned, *, base_ns: int, tick_ns: int, requested: str, rig: str
    ) -> None:
        self._planner, self._simulation = planner, simulation
        self._base_ns, self._tick_ns, self._rig = base_ns, tick_ns, rig
        self._requested = requested
        self._recent: list[tuple[int, CommandAction]] = []
        self._events: list[Event] = []
        self._held: list[_Held] = []

    def inject(self, action: FaultAction) -> str:
        """Begin a fault now; its label. RigError when it is unknown or its parameters are wrong."""
        now_ns = self._simulation.now_ns
        begun = action.model_copy(update={"at_s": 0.0})
        plan = self._planner.plan(Scenario(rig=self._rig, duration_s=_LONG_S, action=(begun,)), now_ns)
        self._replan([*self._held, _Held(action, plan.rows)], self._events)
        return action.label or action.fault

    def clear(self, label: str) -> int:
        """End every fault with this label or of this kind now; how many."""
        kept = [held for held in self._held if held.action is None or label not in _names(held.action)]
        ended = len(self._held) - len(kept)
        if ended:
            self._replan(kept, self._events)
        return ended

    def command(self, action: CommandAction) -> None:
        """Do now what a scenario does with this action. A reset request that has not ended yet goes on."""
        if action.do == "clear":
            self.clear(action.label)
            return
        now_ns = self._simulation.now_ns
        self._forget_old(now_ns)
        recent = [*self._recent, (now_ns, action)]
        first_ns = recent[0][0]
        actions = tuple(done.model_copy(update={"at_s": (t_ns - first_ns) / NS_PER_S}) for t_ns, done in recent)
        plan = self._planner.plan(
            Scenario(rig=self._rig, duration_s=_LONG_S, action=actions), first_ns, requested=self._requested
        )
        said = [event for event in plan.events if event.kind is EventKind.PAYLOAD and event.t_ns >= now_ns]
        begun = action.model_copy(update={"at_s": 0.0})
        own = self._planner.plan(Scenario(rig=self._rig, duration_s=_LONG_S, action=(begun,)), now_ns)
        others = [event for event in own.events if event.kind is not EventKind.PAYLOAD]
        waiting = [event for event in self._events if event.kind is not EventKind.PAYLOAD]
        self._replan(self._held, [*waiting, *said, *others])
        self._recent = recent

    def plan(self, events: Sequence[Event], faults: Sequence[Fault]) -> None:
        """Add events and rows of the kernel, times absolute."""
        held = [*self._held, _Held(None, tuple(faults))] if faults else self._held
        self._replan(held, [*self._events, *events])

    def faults(self) -> tuple[ActiveFault, ...]:
        """Faults that act or have still to end."""
        self._note_fired()
        now_ns = self._simulation.now_ns
        return tuple(
            ActiveFault(
                label=held.action.label or held.action.fault,
                action=held.action,
                from_s=(held.rows[0].from_ns - self._base_ns) / NS_PER_S,
                until_s=self._until_s(held),
                fired=held.fired,
            )
            for held in self._held
            if held.action is not None and held.rows and not _is_over(held, now_ns)
        )

    # ---- inside

    def _until_s(self, held: _Held) -> float:
        last_ns = max(row.until_ns for row in held.rows)
        return math.inf if last_ns >= FOREVER_NS else (last_ns - self._base_ns) / NS_PER_S

    def _forget_old(self, now_ns: int) -> None:
        """Commands whose pulse is over only leave their request behind."""
        pulse_ns = round(RESET_PULSE_S * NS_PER_S)
        for t_ns, action in self._recent:
            if t_ns + pulse_ns < now_ns and action.do in _REQUESTS:
                self._requested = action.do
        self._recent = [(t_ns, action) for t_ns, action in self._recent if t_ns + pulse_ns >= now_ns]

    def _replan(self, held: list[_Held], events: Sequence[Event]) -> None:
        self._note_fired()
        now_ns = self._simulation.now_ns
        waiting = [event for event in events if event.t_ns > now_ns - self._tick_ns]
        waiting = sorted((replace(event, t_ns=max(event.t_ns, now_ns)) for event in waiting), key=lambda e: e.t_ns)
        lasting = [entry for entry in held if not _is_over(entry, now_ns)]
        self._simulation.plan(waiting, [row for entry in lasting for row in entry.rows], keep=True)
        self._held, self._events = lasting, waiting

    def _note_fired(self) -> None:
        """A report goes with its fault: keep what it said."""
        reports = self._simulation.fault_reports()
        place = 0
        for held in self._held:
            own = reports[place : place + len(held.rows)]
            held.fired = held.fired or any(report.fired for report in own)
            place += len(held.rows)


def _names(action: FaultAction) -> tuple[str, ...]:
    return (action.label or action.fault, action.fault)


def _is_over(held: _Held, now_ns: int) -> bool:
    return all(row.until_ns <= now_ns for row in held.rows)
