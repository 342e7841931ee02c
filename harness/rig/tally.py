# SPDX-License-Identifier: Apache-2.0
"""Adds up the cases of a campaign per requirement: outcome, how often exercised, worst margins and who gave them.

Tallies of parts of a campaign, made in worker processes, join to the tally of the whole: in the order of the parts they
give what adding every case in turn would have given.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.rig.wire import verdict_from_wire, verdict_to_wire
from harness.scenario import Scenario
from harness.search.runner import Case
from harness.verdict import Exercised, Outcome, Verdict

_DECIDING = (Outcome.FAIL, Outcome.ERROR, Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.NOT_EXERCISED)
_RANK = {outcome: rank for rank, outcome in enumerate(_DECIDING)}
MAX_FAILING = 5  # failing scenarios kept per requirement: more say nothing new


@dataclass(frozen=True, slots=True)
class Witness:
    """A scenario and what it showed about one requirement."""

    scenario: Scenario
    verdict: Verdict


@dataclass(slots=True)
class _Sum:
    """One requirement. `tightest` has the witness of the smallest margin of each unit.

    `fired` counts, by kind of fault, the cases that exercised it in which such a fault fired; "" = none did.
    """

    deciding: Verdict
    must: int = 0
    must_not: int = 0
    fired: Counter[str] = field(default_factory=Counter)
    tightest: dict[str, Witness] = field(default_factory=dict)
    failing: list[Witness] = field(default_factory=list)

    def margin(self, unit: str) -> float:
        """The smallest so far, infinite when there was none."""
        witness = self.tightest.get(unit)
        return math.inf if witness is None else witness.verdict.margin[unit]


class Tally:
    """Sums over cases. `add` them in the order they were given, so that ties are decided the same way every time."""

    def __init__(self, requirements: Sequence[str]) -> None:
        self._sums = {name: _Sum(Verdict(name, Outcome.NOT_EXERCISED)) for name in requirements}
        self.cases = 0
        self.error_count = 0
        self.errors: list[Case] = []

    @property
    def failed(self) -> frozenset[str]:
        """The requirements that have failed so far."""
        return frozenset(name for name, entry in self._sums.items() if entry.deciding.outcome is Outcome.FAIL)

    def add(self, case: Case) -> None:
        """Take one case in. What a broken run showed before it broke is not counted: its verdicts are ERROR."""
        self.cases += 1
        if case.error:
            self.error_count += 1
            if len(self.errors) < MAX_FAILING:
                self.errors.append(case)
        fired = case.fired or ("",)
        for verdict in case.verdicts:
            if verdict.outcome is not Outcome.NOT_EXERCISED or verdict.margin:
                self._add(case.scenario, verdict, fired)

    def _add(self, scenario: Scenario, verdict: Verdict, fired: Sequence[str]) -> None:
        entry = self._sums[verdict.requirement]
        if verdict.exercised.must or verdict.exercised.must_not:
            entry.fired.update(fired)
        if _RANK[verdict.outcome] < _RANK[entry.deciding.outcome]:
            entry.deciding = verdict
        entry.must += verdict.exercised.must
        entry.must_not += verdict.exercised.must_not
        for unit, value in verdict.margin.items():
            if value < entry.margin(unit):
                entry.tightest[unit] = Witness(scenario, verdict)
        if verdict.outcome is Outcome.FAIL and len(entry.failing) < MAX_FAILING:
            entry.failing.append(Witness(scenario, verdict))

    def verdicts(self) -> tuple[Verdict, ...]:
        """One verdict a requirement, as `harness.verdict.combine` would give it."""
        return tuple(
            Verdict(
                requirement=name,
                outcome=entry.deciding.outcome,
                exercised=Exercised(entry.must, entry.must_not),
                margin={unit: entry.margin(unit) for unit in entry.tightest},
                reason=entry.deciding.reason,
                at_s=entry.deciding.at_s,
            )
            for name, entry in self._sums.items()
        )

    def fired(self) -> dict[str, dict[str, int]]:
        """For each requirement that was exercised, by which kinds of fault that fired; the most frequent first."""
        return {name: dict(entry.fired.most_common()) for name, entry in self._sums.items() if entry.fired}

    def failing(self, requirement: str) -> tuple[Witness, ...]:
        """The first scenarios that failed a requirement, simplest first (fewest actions, then shortest)."""
        found = self._sums[requirement].failing
        return tuple(sorted(found, key=lambda witness: (len(witness.scenario.action), witness.scenario.duration_s)))

    def worst(self) -> dict[str, Witness]:
        """For each requirement that was measured, the scenario that shows it best.

        A failing one; otherwise the one with the smallest time margin, which is the reaction; otherwise any margin.
        """
        found: dict[str, Witness] = {}
        for name, entry in self._sums.items():
            failing = self.failing(name)
            tightest = [entry.tightest[unit] for unit in sorted(entry.tightest, key=lambda unit: (unit != "ms", unit))]
            for witness in (*failing, *tightest)[:1]:
                found[name] = witness
        return found

    def adopt_failures(self, other: Tally) -> None:
        """Take in what failed in `other` and not here, and broken runs if there were none here; nothing else."""
        for name in other.failed - self.failed:
            self._sums[name] = other._sums[name]
        if not self.errors:
            self.errors = list(other.errors)

    # ---- between processes

    def to_wire(self, number_of: Callable[[Scenario], int]) -> dict[str, Any]:
        """As plain data; scenarios by the number the caller gives them."""

        def witness(item: Witness) -> list[Any]:
            return [number_of(item.scenario), *verdict_to_wire(item.verdict)]

        return {
            "cases": self.cases,
            "error_count": self.error_count,
            "errors": [[number_of(case.scenario), case.error] for case in self.errors],
            "sums": [
                [
                    place,
                    verdict_to_wire(entry.deciding),
                    entry.must,
                    entry.must_not,
                    {unit: witness(item) for unit, item in entry.tightest.items()},
                    [witness(item) for item in entry.failing],
                    dict(entry.fired),
                ]
                for place, entry in enumerate(self._sums.values())
                if entry.tightest or entry.deciding.outcome is not Outcome.NOT_EXERCISED
            ],
        }

    def join(self, data: Mapping[str, Any], scenario_of: Callable[[int], Scenario]) -> None:
        """Take in the tally of the cases that follow, as `to_wire` gave it."""
        self.cases += data["cases"]
        self.error_count += data["error_count"]
        for number, error in data["errors"][: MAX_FAILING - len(self.errors)]:
            self.errors.append(Case(scenario=scenario_of(number), error=error))
        names = list(self._sums)
        for place, deciding, must, must_not, tightest, failing, fired in data["sums"]:
            name = names[place]
            entry = self._sums[name]
            if _RANK[Outcome(deciding[0])] < _RANK[entry.deciding.outcome]:
                entry.deciding = verdict_from_wire(name, deciding)
            entry.must += must
            entry.must_not += must_not
            entry.fired.update(fired)
            for unit, (number, *fields) in tightest.items():
                verdict = verdict_from_wire(name, fields)
                if verdict.margin[unit] < entry.margin(unit):
                    entry.tightest[unit] = Witness(scenario_of(number), verdict)
            for number, *fields in failing[: MAX_FAILING - len(entry.failing)]:
                entry.failing.append(Witness(scenario_of(number), verdict_from_wire(name, fields)))
