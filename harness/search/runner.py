# SPDX-License-Identifier: Apache-2.0
"""What the search needs from whoever plays scenarios: a scenario goes in, verdicts come out. It never sees the DUT."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from harness.scenario import Scenario
from harness.trace import FaultRecord
from harness.verdict import Outcome, Verdict

_FAILING = (Outcome.FAIL, Outcome.ERROR)


class FailureKey(NamedTuple):
    """What failed and how. A run that broke off has no requirement: "" and ERROR."""

    requirement: str
    outcome: Outcome


class Footprint(NamedTuple):
    """Places of instrumented firmware, as bits by their numbers, that a run has executed, start state included.

    `differed` are those where the mutant would have given another value at least once.
    """

    executed: int = 0
    differed: int = 0


@dataclass(frozen=True, slots=True)
class Case:
    """One scenario played and judged. `error` is the text of a firmware or rig error, "" when the run was complete.

    `footprint` is there only for firmware that was built to leave one.
    """

    scenario: Scenario
    verdicts: tuple[Verdict, ...] = ()
    error: str = ""
    faults: tuple[FaultRecord, ...] = field(default=())
    footprint: Footprint | None = None

    @property
    def fired(self) -> tuple[str, ...]:
        """The kinds of fault that changed what the controller was given, each once."""
        return tuple(dict.fromkeys(record.kind for record in self.faults if record.fired))

    def margin(self, requirement: str, unit: str) -> float | None:
        """The smallest distance to a violation of one requirement, in this unit; None when it was not measured."""
        found = [
            verdict.margin[unit]
            for verdict in self.verdicts
            if verdict.requirement == requirement and unit in verdict.margin
        ]
        return min(found, default=None)


class Runner(Protocol):
    """Plays scenarios. A firmware that crashes is a Case with an error, never an exception."""

    def run(self, scenario: Scenario) -> Case:
        """Play from the scenario's start state and judge every requirement."""
        ...


def failing(case: Case) -> tuple[FailureKey, ...]:
    """What went wrong in a case, in the order of its verdicts; empty when nothing did."""
    broken = (FailureKey("", Outcome.ERROR),) if case.error else ()
    keys = [
        FailureKey(verdict.requirement, verdict.outcome) for verdict in case.verdicts if verdict.outcome in _FAILING
    ]
    return (*broken, *keys)


@dataclass(frozen=True, slots=True)
class Reproduces:
    """Callable: True when a scenario fails with the same requirement and outcome."""

    runner: Runner
    key: FailureKey

    def __call__(self, scenario: Scenario) -> bool:
        """Play it and compare."""
        return self.key in failing(self.runner.run(scenario))
