# SPDX-License-Identifier: Apache-2.0
"""One seeded defect against the suite: play until the requirement named for it fails, then make the scenario small."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import chain, islice
from typing import Any

from harness.errors import FirmwareError
from harness.rig.defectfile import Defect
from harness.rig.jobs import Job, ScenarioJob
from harness.rig.surveys import Sighting, SurveyJob
from harness.scenario import Scenario
from harness.search.runner import Case
from harness.search.shrink import MAX_RUNS, Shrunk, shrinking

BATCH = 8  # scenarios played before the worker answers; it stops earlier at a kill
MAX_BROKEN = 50  # scenarios with an error: more say nothing new


class KillOutcome(Enum):
    """What became of a defect. A crash is an error, never a kill."""

    CAUGHT = "caught"
    CAUGHT_BY_OTHER = "caught_by_other"
    MISSED = "missed"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class Kill:
    """The result for one defect. `caught_by` is the requirement that failed in `scenario`, "" when none did.

    `examples` counts the scenarios played until it failed (all of them when it never did), `shrink_runs` those played
    to make it small. `killers` are all requirements that failed in what was played; `errors` counts broken runs.
    """

    defect: Defect
    outcome: KillOutcome
    caught_by: str = ""
    examples: int = 0
    scenario: Scenario | None = None
    reason: str = ""
    shrink_runs: int = 0
    killers: tuple[str, ...] = ()
    errors: int = 0
    error: str = ""


@dataclass(slots=True)
class _Seen:
    """What was seen so far: the first witness of each requirement that failed, with the number of its example."""

    examples: int = 0
    witness: dict[str, tuple[Scenario, int]] = field(default_factory=dict)
    errors: int = 0
    error: str = ""

    def add(self, sighting: Sighting) -> None:
        self.examples += 1
        for requirement in sighting.failed:
            self.witness.setdefault(requirement, (sighting.scenario, self.examples))
        if sighting.error:
            self.errors += 1
            self.error = self.error or sighting.error


def hunt(
    defect: Defect, scenarios: Iterable[Scenario], *, full: bool = False, shrink_runs: int = MAX_RUNS
) -> Generator[Job[Any], list[Any], Kill]:
    """A task for `fleet.Fleet`: yields jobs, is sent their answers, returns the kill.

    With `full` every scenario is played, so that `killers` is complete; without, it ends when the named requirement
    has failed. The same scenarios and firmware give the same kill.
    """
    seen = _Seen()
    try:
        yield from _play(defect.requirement, scenarios, seen, full=full)
        return (yield from _conclude(defect, seen, shrink_runs))
    except FirmwareError as error:
        return Kill(defect, KillOutcome.ERROR, examples=seen.examples, errors=seen.errors + 1, error=str(error))


def _play(
    named: str, scenarios: Iterable[Scenario], seen: _Seen, *, full: bool
) -> Generator[Job[Any], list[Any], None]:
    for batch in _batches(scenarios):
        answers: list[tuple[Sighting, ...]] = yield SurveyJob(batch, stop_at="" if full else named)
        for sighting in chain.from_iterable(answers):
            seen.add(sighting)
            if named in seen.witness and not full:
                return
        if seen.errors >= MAX_BROKEN:
            return


def _conclude(defect: Defect, seen: _Seen, shrink_runs: int) -> Generator[Job[Any], list[Any], Kill]:
    """Caught by name outweighs broken runs; broken runs outweigh what else failed."""
    killers = tuple(seen.witness)
    if defect.requirement in seen.witness:
        outcome, caught_by = KillOutcome.CAUGHT, defect.requirement
    elif seen.errors:
        outcome, caught_by = KillOutcome.ERROR, ""
    elif killers:
        outcome, caught_by = KillOutcome.CAUGHT_BY_OTHER, killers[0]
    else:
        outcome, caught_by = KillOutcome.MISSED, ""
    if not caught_by:
        return Kill(defect, outcome, "", seen.examples, killers=killers, errors=seen.errors, error=seen.error)
    scenario, examples = seen.witness[caught_by]
    small = yield from _shrink(scenario, caught_by, shrink_runs)
    cases: list[Case] = yield ScenarioJob(small.scenario)
    reason = next((v.reason for v in cases[0].verdicts if v.requirement == caught_by), "")
    return Kill(
        defect, outcome, caught_by, examples, small.scenario, reason, small.runs, killers, seen.errors, seen.error
    )


def _shrink(scenario: Scenario, requirement: str, max_runs: int) -> Generator[Job[Any], list[Any], Shrunk]:
    """The smallest scenario in which the same requirement fails; bounded by runs, so that it is repeatable."""
    search = shrinking(scenario, max_runs=max_runs)
    answer: bool | None = None
    while True:
        try:
            candidate = search.send(answer)
        except StopIteration as end:
            found: Shrunk = end.value
            return found
        answers: list[tuple[Sighting, ...]] = yield SurveyJob((candidate,))
        answer = requirement in answers[0][0].failed


def by_affinity(requirement: str, sightings: Iterable[Sighting]) -> list[Scenario]:
    """Scenarios in the order in which they are likely to fail a requirement, judged by a defect-free run of them.

    First its own boundary points, then those that demanded its reaction, those that came close to its limit, the rest.
    """

    def rank(sighting: Sighting) -> int:
        own = sighting.scenario.title.split(" ", 1)[0] == requirement
        return 0 if own else 1 if requirement in sighting.must else 2 if requirement in sighting.must_not else 3

    return [sighting.scenario for sighting in sorted(sightings, key=rank)]


def _batches(scenarios: Iterable[Scenario]) -> Iterator[tuple[Scenario, ...]]:
    source = iter(scenarios)
    while batch := tuple(islice(source, BATCH)):
        yield batch
