# SPDX-License-Identifier: Apache-2.0
"""Several strings in parallel, each with its own controller: played together, judged one by one.

A requirement is judged on every string; its verdict is that of the worst, which the reason names. What only the strings
together know - a link that others hold, currents that go round - is added to the recording of each (`columns`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import FirmwareError
from harness.firmware.loader import FirmwareLibrary
from harness.kernel.config import Event, Fault, KernelConfig
from harness.kernel.group import GroupStatus, SimulationGroup
from harness.kernel.simulation import FaultReport, RunStatus, Simulation, State, TraceBuffers
from harness.observation import Observation
from harness.requirements.evidence import Series
from harness.requirements.judge import judge_all
from harness.rig.compose import bounds_of, kernel_config
from harness.rig.machine import Machine
from harness.rig.plan import Plan, Planner
from harness.rig.players import Played, errored
from harness.rig.recording import NS_PER_S, Recorder
from harness.rig.starts import StartState, StartStates
from harness.rig.together import StringRecord
from harness.scenario import FaultAction, Scenario, Start, string_of, without_idle_clears
from harness.trace import FaultRecord, Mark, Trace
from harness.verdict import Outcome, Verdict, combine

if TYPE_CHECKING:
    from harness.rig.file import Rig

_BAD = (Outcome.FAIL, Outcome.ERROR)
_ORDER = (Outcome.FAIL, Outcome.ERROR, Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.NOT_EXERCISED)


class StringsMachine:
    """One machine for each string, in lock-step. Raises as `Machine`, and RigError for identifiers that meet."""

    def __init__(self, kernel: Path, firmware: Path, rig: Rig, *, defect: int = 0) -> None:
        self.kernel_path = kernel
        self.machines: list[Machine] = []
        try:
            for view in rig.strings():
                first = self.machines[0] if self.machines else None
                self.machines.append(Machine(kernel, firmware, kernel_config(view), defect=defect, beside=first))
            self.simulation = Together(self._group())
        except BaseException:
            self.close()
            raise

    @property
    def seen(self) -> bytearray | None:
        """What the probe builds of all strings note."""
        return self.machines[0].seen

    @property
    def firmware(self) -> FirmwareLibrary:
        """The copy of the first string."""
        return self.machines[0].firmware

    @property
    def config(self) -> KernelConfig:
        """Of the first string."""
        return self.machines[0].config

    @property
    def checkpointable(self) -> bool:
        """Whether states can be saved and restored."""
        return self.machines[0].checkpointable

    @property
    def tick_ns(self) -> int:
        """The tick of the lock-step in ns."""
        return self.machines[0].tick_ns

    def reload(self) -> None:
        """Fresh firmware in every string, from power-on again."""
        for machine in self.machines:
            machine.reload()
        self.simulation = Together(self._group())

    def close(self) -> None:
        """Unload everything."""
        for machine in self.machines:
            machine.close()

    def _group(self) -> SimulationGroup:
        members: list[Simulation] = [machine.simulation for machine in self.machines]
        return SimulationGroup(self.machines[0].kernel, members)


class Together:
    """The group as start states see it: what is planned is planned for all strings."""

    def __init__(self, group: SimulationGroup) -> None:
        self.group = group

    @property
    def now_ns(self) -> int:
        """Time of all of them."""
        return self.group.now_ns

    def plan(self, events: Sequence[Event] = (), faults: Sequence[Fault] = (), *, keep: bool = False) -> None:
        """Plan the same for every string."""
        for member in self.group.members:
            member.plan(events, faults, keep=keep)

    def run(self, until_s: float, buffers: TraceBuffers) -> RunStatus:
        """Not for groups: each string has buffers of its own."""
        raise NotImplementedError

    def fault_reports(self) -> tuple[FaultReport, ...]:
        """Of all strings, one after the other."""
        return tuple(report for member in self.group.members for report in member.fault_reports())

    def save_state(self) -> tuple[State, ...]:
        """A checkpoint of all."""
        return self.group.save_state()

    def load_state(self, state: Any) -> None:
        """All back to a checkpoint."""
        self.group.load_state(state)


class StringsPlayer:
    """A `harness.rig.players.Player` for strings in parallel."""

    def __init__(self, machine: StringsMachine, rig: Rig, header: Mapping[str, Any]) -> None:
        self._machine = machine
        self._requirements = rig.requirements
        views = rig.strings()
        self._profiles = [view.profile for view in views]
        self._planners = [Planner(view.profile, bounds_of(view)) for view in views]
        self._recorders = [
            Recorder(own, view, {**header, "string": view.string})
            for own, view in zip(machine.machines, views, strict=True)
        ]
        self._starts = StartStates(machine, self._planners[0], _Watcher(machine, self._recorders), rig)

    def restore(self, name: Start) -> StartState:
        """See Player."""
        return self._starts.restore(name)

    def reload(self) -> None:
        """See Player."""
        self._machine.reload()
        self._starts.forget()

    def observe(self, trace: Trace) -> Observation:
        """See Player."""
        return self._recorders[int(trace.header.get("string", 1)) - 1].observe(trace)

    def nothing(self, scenario: Scenario, error: str) -> Played:
        """See Player."""
        trace = self._recorders[0].nothing(scenario, error)
        return Played(trace, self.observe(trace), errored(self._requirements, error))

    def play(self, scenario: Scenario, start: StartState, *, keep: bool) -> Played:
        """See Player."""
        shares = [share_of(scenario, number) for number in range(1, len(self._planners) + 1)]
        plans = [
            planner.plan(share, start.t_ns, requested=start.requested)
            for planner, share in zip(self._planners, shares, strict=True)
        ]
        traces, ended = self._run(shares, plans, start.t_ns, keep=keep)
        faults, marks = _all_faults(scenario, traces), _all_marks(plans)
        traces = [replace(trace, faults=faults, marks=marks) for trace in traces]
        if ended.status.error:
            trace = traces[ended.member]
            return Played(trace, self.observe(trace), errored(self._requirements, trace.error))
        observations = self._together(traces)
        judged = [judge_all(self._requirements, observation) for _, observation in observations]
        verdicts = tuple(worst(own) for own in zip(*judged, strict=True))
        shown = _shown(scenario, judged)
        return Played(*observations[shown], verdicts)

    def _together(self, traces: Sequence[Trace]) -> list[tuple[Trace, Observation]]:
        """The traces with what all strings together show, and what judges see of them."""
        times = {name: traces[0].header[name] for name in ("timing_s", "boot_s")}
        records = [StringRecord(trace, profile, **times) for trace, profile in zip(traces, self._profiles, strict=True)]
        for own in records:
            own.add([other for other in records if other is not own])
        return [(own.trace, own.observation) for own in records]

    def _run(
        self, shares: Sequence[Scenario], plans: Sequence[Plan], base_ns: int, *, keep: bool
    ) -> tuple[list[Trace], GroupStatus]:
        recorders = self._recorders
        triples = list(zip(recorders, shares, plans, strict=True))
        buffers = [recorder.begin(share, plan, keep=keep) for recorder, share, plan in triples]
        end_ns = recorders[0].end_ns(shares[0], base_ns)
        ended = self._machine.simulation.group.run(end_ns / NS_PER_S, buffers)
        error = f"string {ended.member + 1}: {ended.status.error}" if ended.status.error else ""
        traces = [
            recorder.end(share, plan, base_ns, own, error)
            for (recorder, share, plan), own in zip(triples, buffers, strict=True)
        ]
        return traces, ended


class _Watcher(Recorder):
    """Lets time pass for all strings; a state is reached when all of them are in it."""

    def __init__(self, machine: StringsMachine, recorders: Sequence[Recorder]) -> None:
        self._machine_of_all = machine
        self._recorders = recorders

    def watch(self, until_ns: int) -> Observation:
        """What the hindmost string did: the first that is not where the first one is, or the first."""
        simulation = self._machine_of_all.simulation
        base_ns = simulation.now_ns
        buffers = [recorder.idle((until_ns - base_ns) / NS_PER_S) for recorder in self._recorders]
        ended = simulation.group.run(until_ns / NS_PER_S, buffers)
        if ended.status.error:
            raise FirmwareError(f"string {ended.member + 1}: {ended.status.error}")
        seen = [recorder.watched(base_ns, own) for recorder, own in zip(self._recorders, buffers, strict=True)]
        return _Agreed(seen)

    def closed_contactors(self) -> int:
        """As they are in all strings; -1 where they differ."""
        closed = {recorder.closed_contactors() for recorder in self._recorders}
        return closed.pop() if len(closed) == 1 else -1


class _Agreed(Observation):
    """What several strings report alike."""

    def __init__(self, seen: Sequence[Observation]) -> None:
        self._seen = seen

    def reported(self, quantity: str) -> Series | None:
        """The first string's series; nothing where the last values differ."""
        found = [observation.reported(quantity) for observation in self._seen]
        last = {float(series.value[-1]) for series in found if series is not None and len(series.value)}
        first = found[0]
        return first if first is None or len(last) == 1 else Series(first.t_s[:0], first.value[:0])


def worst(verdicts: Sequence[Verdict]) -> Verdict:
    """One verdict on a requirement from those of all strings; its reason names the string that decides."""
    if all(verdict.outcome is Outcome.NOT_EXERCISED for verdict in verdicts):
        return verdicts[0]  # most are, most times
    order = sorted(
        range(len(verdicts)), key=lambda place: (_ORDER.index(verdicts[place].outcome), *_margins(verdicts[place]))
    )
    deciding = verdicts[order[0]]
    joined = combine(verdicts)
    reason = f"string {order[0] + 1}: {deciding.reason}" if deciding.reason else ""
    return replace(joined, reason=reason, at_s=deciding.at_s)


def _margins(verdict: Verdict) -> tuple[float, ...]:
    return tuple(value for _, value in sorted(verdict.margin.items()))[:1] or (float("inf"),)


def share_of(scenario: Scenario, number: int) -> Scenario:
    """What of a scenario is for one string. A clear goes where a fault is that it ends."""
    own = [action for action in scenario.action if string_of(action) in (0, number)]
    return without_idle_clears(scenario.model_copy(update={"action": tuple(own)}))


def _all_faults(scenario: Scenario, traces: Sequence[Trace]) -> tuple[FaultRecord, ...]:
    """The records of all strings in the order of the scenario, as one controller's would be."""
    queues = [list(trace.faults) for trace in traces]
    faults = (action for action in scenario.actions if isinstance(action, FaultAction))
    return tuple(queues[string_of(action) - 1].pop(0) for action in faults)


def _all_marks(plans: Sequence[Plan]) -> tuple[Mark, ...]:
    found = dict.fromkeys(mark for plan in plans for mark in plan.marks)
    return tuple(sorted(found, key=lambda mark: mark.t_s))


def _shown(scenario: Scenario, judged: Sequence[Sequence[Verdict]]) -> int:
    """The string whose recording is shown, from 0: the first that fails, that of the first fault, the first."""
    failing = (place for place, verdicts in enumerate(judged) if any(item.outcome in _BAD for item in verdicts))
    named = (string_of(action) - 1 for action in scenario.actions if string_of(action))
    return next(failing, next(named, 0))
