# SPDX-License-Identifier: Apache-2.0
"""Who plays scenarios for a session: one controller here, several strings in parallel in `harness.rig.strings`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.observation import Observation
from harness.requirements.judge import judge_all
from harness.requirements.model import Requirement
from harness.rig.machine import Machine
from harness.rig.plan import Planner
from harness.rig.recording import Recorder
from harness.rig.starts import StartState, StartStates
from harness.scenario import Scenario, Start
from harness.trace import Trace
from harness.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario played and judged. With several controllers trace and observation are those of one of them."""

    trace: Trace
    observation: Observation
    verdicts: tuple[Verdict, ...]


class Player(Protocol):
    """Plays scenarios from start states."""

    def restore(self, name: Start) -> StartState:
        """Put everything into a start state. Raises FirmwareError when a controller does not get there."""
        ...

    def play(self, scenario: Scenario, start: StartState, *, keep: bool) -> Played:
        """Play from the state just restored. Raises RigError when the scenario is wrong."""
        ...

    def nothing(self, scenario: Scenario, error: str) -> Played:
        """A scenario that could not begin."""
        ...

    def reload(self) -> None:
        """From power-on again, with fresh firmware."""
        ...

    def observe(self, trace: Trace) -> Observation:
        """What judges may look at, of a trace of this player."""
        ...


class SinglePlayer:
    """One controller."""

    def __init__(
        self,
        machine: Machine,
        planner: Planner,
        recorder: Recorder,
        starts: StartStates,
        requirements: tuple[Requirement, ...],
    ) -> None:
        self.machine, self.planner, self.recorder, self.starts = machine, planner, recorder, starts
        self._requirements = requirements

    def restore(self, name: Start) -> StartState:
        """See Player."""
        return self.starts.restore(name)

    def play(self, scenario: Scenario, start: StartState, *, keep: bool) -> Played:
        """See Player."""
        plan = self.planner.plan(scenario, start.t_ns, requested=start.requested)
        trace = self.recorder.play(scenario, plan, start.t_ns, keep=keep)
        observation = self.observe(trace)
        if trace.error:
            return Played(trace, observation, errored(self._requirements, trace.error))
        return Played(trace, observation, judge_all(self._requirements, observation))

    def nothing(self, scenario: Scenario, error: str) -> Played:
        """See Player."""
        trace = self.recorder.nothing(scenario, error)
        return Played(trace, self.observe(trace), errored(self._requirements, error))

    def reload(self) -> None:
        """See Player."""
        self.machine.reload()
        self.starts.forget()

    def observe(self, trace: Trace) -> Observation:
        """See Player."""
        return self.recorder.observe(trace)


def errored(requirements: tuple[Requirement, ...], error: str) -> tuple[Verdict, ...]:
    """Nothing can be said of a run that broke off: never a pass."""
    return tuple(Verdict(requirement.id, Outcome.ERROR, reason=error) for requirement in requirements)
