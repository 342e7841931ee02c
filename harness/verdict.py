# SPDX-License-Identifier: Apache-2.0
"""Outcomes of judging, and how several of them combine.

Not observed is not passed: a requirement that nothing tested is NOT_EXERCISED, and one that was tested only inside
the tolerance band is INCONCLUSIVE.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """What can be said of one requirement, from best to worst in `SEVERITY`."""

    PASS = "PASS"  # noqa: S105 - an outcome, no password
    NOT_EXERCISED = "NOT_EXERCISED"
    INCONCLUSIVE = "INCONCLUSIVE"
    FAIL = "FAIL"
    ERROR = "ERROR"


@dataclass(frozen=True, slots=True)
class Exercised:
    """How often the requirement was really tested: on the side that demands a reaction, and on the side that
    forbids one close to the limit.
    """

    must: int = 0
    must_not: int = 0

    def __add__(self, other: Exercised) -> Exercised:
        return Exercised(self.must + other.must, self.must_not + other.must_not)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The judgement of one requirement over one trace, or over a whole run.

    `margin` holds the smallest distance to a violation seen, by unit: the keys of `harness.units.MARGIN_UNITS`,
    "ms" among them for the time left.
    Negative means violated. A unit that was not measured is absent.
    `reason` is one sentence with numbers and units. `at_s` is the time of the decisive moment, if there is one.
    """

    requirement: str
    outcome: Outcome
    exercised: Exercised = Exercised()
    margin: Mapping[str, float] = field(default_factory=dict)
    reason: str = ""
    at_s: float | None = None


def merge_margins(margins: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """The smallest margin of each unit."""
    smallest: dict[str, float] = {}
    for margin in margins:
        for unit, value in margin.items():
            smallest[unit] = min(value, smallest.get(unit, value))
    return smallest


def combine(verdicts: Iterable[Verdict]) -> Verdict:
    """One verdict from those of the same requirement over many traces.

    A FAIL anywhere fails. An ERROR comes next. One PASS outweighs traces that were inconclusive or did not exercise
    it, since those say nothing either way. Reason and time are those of the deciding verdict.

    Raises ValueError for an empty or a mixed sequence: both are bugs of the caller.
    """
    group = list(verdicts)
    names = {verdict.requirement for verdict in group}
    if len(names) != 1:
        message = f"combine() takes verdicts of exactly one requirement, got {sorted(names)}"
        raise ValueError(message)
    order = (Outcome.FAIL, Outcome.ERROR, Outcome.PASS, Outcome.INCONCLUSIVE, Outcome.NOT_EXERCISED)
    deciding = min(group, key=lambda verdict: order.index(verdict.outcome))
    exercised = Exercised()
    for verdict in group:
        exercised = exercised + verdict.exercised
    return Verdict(
        requirement=deciding.requirement,
        outcome=deciding.outcome,
        exercised=exercised,
        margin=merge_margins(verdict.margin for verdict in group),
        reason=deciding.reason,
        at_s=deciding.at_s,
    )


def overall(outcomes: Iterable[Outcome]) -> Outcome:
    """The outcome of a whole run: FAIL, then ERROR, then INCONCLUSIVE, then NOT_EXERCISED, then PASS.

    A run without any verdict is NOT_EXERCISED.
    """
    order = (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE, Outcome.NOT_EXERCISED, Outcome.PASS)
    return min(outcomes, key=order.index, default=Outcome.NOT_EXERCISED)


EXIT_CODES: Mapping[Outcome, int] = {
    Outcome.PASS: 0,
    Outcome.FAIL: 1,
    Outcome.ERROR: 3,
    Outcome.INCONCLUSIVE: 4,
    Outcome.NOT_EXERCISED: 4,
}
