# SPDX-License-Identifier: Apache-2.0
"""Surveys: many scenarios at once, of which only who failed and who was exercised comes back, scenario by scenario."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

from harness.rig.wire import scenario_from_wire, scenario_to_wire
from harness.scenario import FaultAction, Scenario
from harness.search.runner import Case, Footprint, Runner
from harness.verdict import Outcome

ANY = "*"  # no id of a requirement


@dataclass(frozen=True, slots=True)
class Sighting:
    """What one scenario showed: requirements by id that failed, and that were exercised on either side of the limit.

    `fired` tells for each fault of the scenario, in its order, whether the controller's inputs changed. `error` is the
    text of what ended the run, "" when it was complete; what a broken run showed is not counted.
    """

    scenario: Scenario
    failed: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    must_not: tuple[str, ...] = ()
    fired: tuple[bool, ...] = ()
    error: str = ""
    footprint: Footprint | None = None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of fault that fired, each once."""
        faults = [action for action in self.scenario.actions if isinstance(action, FaultAction)]
        return tuple(dict.fromkeys(f.fault for f, fired in zip(faults, self.fired, strict=False) if fired))


def sighting_of(case: Case) -> Sighting:
    """The sighting of a case. Nothing that a broken run showed counts: a crash is no kill."""
    fired = tuple(record.fired for record in case.faults)
    if case.error:
        return Sighting(case.scenario, fired=fired, error=case.error, footprint=case.footprint)
    return Sighting(
        scenario=case.scenario,
        failed=tuple(v.requirement for v in case.verdicts if v.outcome is Outcome.FAIL),
        must=tuple(v.requirement for v in case.verdicts if v.exercised.must),
        must_not=tuple(v.requirement for v in case.verdicts if v.exercised.must_not),
        fired=fired,
        footprint=case.footprint,
    )


@dataclass(frozen=True, slots=True)
class SurveyJob:
    """Some scenarios; the answer is a sighting of each, up to the first that fails the requirement `stop_at`.

    `stop_at` ANY ends it at the first that fails any requirement, or breaks off.
    """

    scenarios: tuple[Scenario, ...]
    stop_at: str = ""

    def message(self) -> Mapping[str, Any]:
        """See `jobs.Job`."""
        return {"survey": [scenario_to_wire(scenario) for scenario in self.scenarios], "stop_at": self.stop_at}

    def answer(self, data: Mapping[str, Any], requirements: Sequence[str]) -> tuple[Sighting, ...]:
        """See `jobs.Job`."""

        def names(places: Sequence[int]) -> tuple[str, ...]:
            return tuple(requirements[place] for place in places)

        return tuple(
            Sighting(
                scenario, names(failed), names(must), names(must_not), tuple(map(bool, fired)), error, _trail(trail)
            )
            for scenario, (failed, must, must_not, fired, error, trail) in zip(
                self.scenarios, data["sightings"], strict=False
            )
        )

    def broken(self, cause: str, requirements: Sequence[str]) -> tuple[Sighting, ...]:
        """See `jobs.Job`."""
        del requirements
        return tuple(Sighting(scenario, error=cause) for scenario in self.scenarios)

    def parts(self) -> Sequence[Self]:
        """See `jobs.Job`."""
        return [replace(self, scenarios=(one,)) for one in self.scenarios] if len(self.scenarios) > 1 else ()


def survey(message: Mapping[str, Any], runner: Runner, requirements: Sequence[str]) -> dict[str, Any]:
    """The worker's side."""
    places = {name: place for place, name in enumerate(requirements)}
    rows: list[list[Any]] = []
    for data in message["survey"]:
        seen = sighting_of(runner.run(scenario_from_wire(data)))
        named = [[places[name] for name in names] for names in (seen.failed, seen.must, seen.must_not)]
        trail = [hex(bits) for bits in seen.footprint or ()]
        rows.append([*named, [int(fired) for fired in seen.fired], seen.error, trail])
        if message["stop_at"] in seen.failed or (message["stop_at"] == ANY and (seen.failed or seen.error)):
            break
    return {"sightings": rows}


def _trail(texts: Sequence[str]) -> Footprint | None:
    return Footprint(*(int(text, 16) for text in texts)) if texts else None
