# SPDX-License-Identifier: Apache-2.0
"""What a worker process can be asked for: one scenario with its case, or a batch of which only the sum comes back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, Self, TypeVar, overload

from harness.rig.records import case_record
from harness.rig.surveys import survey
from harness.rig.tally import Tally
from harness.rig.wire import case_from_wire, case_to_wire, scenario_from_wire, scenario_to_wire
from harness.scenario import Scenario
from harness.search.coverage import FaultSpace
from harness.search.moves import Aim, Pick, Space
from harness.search.runner import Case, Runner
from harness.search.sequences import scenario_number
from harness.verdict import Outcome, Verdict

Answer_co = TypeVar("Answer_co", covariant=True)


class Job(Protocol, Generic[Answer_co]):
    """Work for one worker, and how to read what comes back."""

    def message(self) -> Mapping[str, Any]:
        """What the worker is told."""
        ...

    def answer(self, data: Mapping[str, Any], requirements: Sequence[str]) -> Answer_co:
        """What the worker said."""
        ...

    def broken(self, cause: str, requirements: Sequence[str]) -> Answer_co:
        """What stands instead when it took the worker down and is not to be split."""
        ...

    def parts(self) -> Sequence[Self]:
        """Smaller jobs to find out what took the worker down; none when it is the smallest."""
        ...


def errored(scenario: Scenario, requirements: Sequence[str], error: str) -> Case:
    """A case that ended before it could be judged: never a pass."""
    verdicts = tuple(Verdict(name, Outcome.ERROR, reason=error) for name in requirements)
    return Case(scenario=scenario, verdicts=verdicts, error=error)


@dataclass(frozen=True, slots=True)
class ScenarioJob:
    """One scenario; the answer is its case."""

    scenario: Scenario

    def message(self) -> Mapping[str, Any]:
        """See Job."""
        return {"scenario": scenario_to_wire(self.scenario)}

    def answer(self, data: Mapping[str, Any], requirements: Sequence[str]) -> Case:
        """See Job."""
        return case_from_wire(data, self.scenario, requirements)

    def broken(self, cause: str, requirements: Sequence[str]) -> Case:
        """See Job."""
        return errored(self.scenario, requirements, cause)

    def parts(self) -> Sequence[Self]:
        """See Job."""
        return ()


@dataclass(frozen=True, slots=True)
class Batch:
    """The sum over some scenarios: what `Tally.join` takes, and a line of results.jsonl for each."""

    scenarios: Sequence[Scenario]
    tally: Mapping[str, Any]
    lines: tuple[Mapping[str, Any], ...]
    bins: tuple[int, ...] = ()

    def join_into(self, total: Tally) -> None:
        """Add it to the tally of what came before."""
        total.join(self.tally, self.scenarios.__getitem__)


@dataclass(frozen=True, slots=True)
class BatchJob:
    """Some scenarios; the answer is their sum."""

    scenarios: tuple[Scenario, ...]

    def message(self) -> Mapping[str, Any]:
        """See Job."""
        return {"batch": [scenario_to_wire(scenario) for scenario in self.scenarios]}

    def answer(self, data: Mapping[str, Any], requirements: Sequence[str]) -> Batch:
        """See Job."""
        del requirements
        return Batch(self.scenarios, data["tally"], tuple(data["lines"]), tuple(data["bins"]))

    def broken(self, cause: str, requirements: Sequence[str]) -> Batch:
        """See Job."""
        cases = [errored(scenario, requirements, cause) for scenario in self.scenarios]
        return self.answer(sum_of(cases, requirements), requirements)

    def parts(self) -> Sequence[Self]:
        """See Job."""
        return [type(self)((scenario,)) for scenario in self.scenarios] if len(self.scenarios) > 1 else ()


@dataclass(frozen=True, slots=True)
class Generated(Sequence[Scenario]):
    """Consecutive scenarios of a campaign, each made when it is asked for: only few ever are."""

    searched: Space
    seed: int
    numbers: range
    aims: tuple[Aim | None, ...]  # what each begins with

    def __len__(self) -> int:
        return len(self.numbers)

    @overload
    def __getitem__(self, place: int) -> Scenario: ...
    @overload
    def __getitem__(self, place: slice) -> Generated: ...
    def __getitem__(self, place: int | slice) -> Scenario | Generated:
        if isinstance(place, slice):
            return Generated(self.searched, self.seed, self.numbers[place], self.aims[place])
        return scenario_number(self.searched, self.seed, self.numbers[place], aim=self.aims[place])


@dataclass(frozen=True, slots=True)
class GeneratedJob:
    """Scenarios that the worker generates itself from their numbers; the answer is their sum."""

    scenarios: Generated

    def message(self) -> Mapping[str, Any]:
        """See Job."""
        made = self.scenarios
        return {"generate": [made.searched.rig, made.seed, made.numbers.start, made.numbers.stop, made.aims]}

    def answer(self, data: Mapping[str, Any], requirements: Sequence[str]) -> Batch:
        """See Job."""
        del requirements
        return Batch(self.scenarios, data["tally"], tuple(data["lines"]), tuple(data["bins"]))

    def broken(self, cause: str, requirements: Sequence[str]) -> Batch:
        """See Job."""
        cases = [errored(scenario, requirements, cause) for scenario in self.scenarios]
        return self.answer(sum_of(cases, requirements), requirements)

    def parts(self) -> Sequence[Self]:
        """See Job."""
        n = len(self.scenarios)
        return [type(self)(self.scenarios[place : place + 1]) for place in range(n)] if n > 1 else ()


def perform(
    message: Mapping[str, Any], runner: Runner, requirements: Sequence[str], space_of: Callable[[str], FaultSpace]
) -> Mapping[str, Any]:
    """The worker's side: do what a message asks for. `space_of` gives the fault space for a name of the rig."""
    if "generate" in message:
        rig, seed, first, end, given = message["generate"]
        space = space_of(rig)
        made = Generated(space.searched, seed, range(first, end), tuple(_aim_from_wire(aim) for aim in given))
        return sum_of([runner.run(scenario) for scenario in made], requirements, space)
    if "scenario" in message:
        return case_to_wire(runner.run(scenario_from_wire(message["scenario"])))
    if "survey" in message:
        return survey(message, runner, requirements)
    batch = [scenario_from_wire(data) for data in message["batch"]]
    return sum_of([runner.run(scenario) for scenario in batch], requirements, space_of(batch[0].rig))


def _aim_from_wire(data: Any) -> Aim | None:
    return None if data is None else Aim(data[0], tuple(Pick(*pick) for pick in data[1]))


def sum_of(cases: Sequence[Case], requirements: Sequence[str], space: FaultSpace | None = None) -> dict[str, Any]:
    """The answer to a batch, with the bins of the faults that fired if the fault space is given."""
    tally = Tally(requirements)
    numbers: dict[int, int] = {}
    for number, case in enumerate(cases):
        tally.add(case)
        numbers[id(case.scenario)] = number  # by identity: equal scenarios may stand in one batch
    return {
        "tally": tally.to_wire(lambda scenario: numbers[id(scenario)]),
        "lines": [case_record(case) for case in cases],
        "bins": [number for case in cases for number in _bins(case, space)],
    }


def _bins(case: Case, space: FaultSpace | None) -> list[int]:
    return [] if space is None else space.fired_bins(case.scenario, [fault.fired for fault in case.faults])
