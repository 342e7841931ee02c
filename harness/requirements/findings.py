# SPDX-License-Identifier: Apache-2.0
"""From single findings to a verdict: what all judges share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.requirements.intervals import Run
from harness.requirements.model import Base
from harness.units import unit_of
from harness.verdict import Exercised, Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """A violation: when, and one sentence with numbers and units."""

    at_s: float
    reason: str


@dataclass(slots=True)
class Tally:
    """What one judge has gathered about one requirement so far. `unjudged`: causes cut off before their deadline."""

    must: int = 0
    must_not: int = 0
    in_band: int = 0
    unjudged: list[Run] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    margin: dict[str, float] = field(default_factory=dict)
    first_s: float | None = None

    def demanded(self, at_s: float) -> None:
        """Count one demanded reaction; the first gives the verdict its time."""
        self.must += 1
        self.first_s = at_s if self.first_s is None else self.first_s

    def fail(self, at_s: float, reason: str) -> None:
        """Add a violation."""
        self.findings.append(Finding(at_s, reason))

    def narrow(self, unit: str, distance: float) -> None:
        """Keep the smallest distance of a unit; an unknown distance is no distance."""
        if distance == distance and abs(distance) != float("inf"):  # noqa: PLR0124 - NaN is not itself
            self.margin[unit] = min(distance, self.margin.get(unit, distance))


def conclude(requirement: Base, tally: Tally, *, passed: str, in_band: str, idle: str) -> Verdict:
    """FAIL on any finding, PASS when something was exercised, INCONCLUSIVE in the band only, else NOT_EXERCISED."""
    exercised = Exercised(tally.must, tally.must_not)
    if tally.findings:
        first = min(tally.findings, key=lambda finding: finding.at_s)
        more = f" (and {len(tally.findings) - 1} more)" if len(tally.findings) > 1 else ""
        return Verdict(requirement.id, Outcome.FAIL, exercised, tally.margin, first.reason + more, first.at_s)
    if tally.must or tally.must_not:
        return Verdict(requirement.id, Outcome.PASS, exercised, tally.margin, passed, tally.first_s)
    if tally.in_band:
        return Verdict(requirement.id, Outcome.INCONCLUSIVE, exercised, tally.margin, in_band, tally.first_s)
    return Verdict(requirement.id, Outcome.NOT_EXERCISED, exercised, tally.margin, idle)


def not_exercised(requirement: Base, reason: str, margin: Mapping[str, float] | None = None) -> Verdict:
    """The verdict of a requirement that nothing tested."""
    return Verdict(requirement.id, Outcome.NOT_EXERCISED, margin=margin or {}, reason=reason)


def with_unit(quantity: str, value: float) -> str:
    """A value of a quantity as printed, with enough digits to tell it from its limit."""
    return f"{value:.6g} {unit_of(quantity)[0]}".rstrip()


def margin_key(quantity: str) -> str:
    """The key under which a distance in the unit of a quantity stands in a margin."""
    return unit_of(quantity)[1]
