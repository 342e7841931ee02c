# SPDX-License-Identifier: Apache-2.0
"""How near a scenario came to a violation, as numbers a search can climb: one a unit, 0 at rest, 1 at the violation.

A margin means little by itself: some are small all the time because the message is sent that often. What counts is how
much of a requirement's largest margin is used up.
"""

from __future__ import annotations

import math

from harness.search.runner import Case

_MOST = 4.0  # far past the violation is no better than past it


class Closeness:
    """Turns margins into scores. Remembers the largest margin of each requirement and unit, in the order of cases."""

    def __init__(self) -> None:
        self._rest: dict[tuple[str, str], float] = {}

    def scores(self, case: Case) -> dict[str, float]:
        """The highest score of each unit over the requirements: worst of the case. Empty for a run that broke off."""
        if case.error:
            return {}
        best: dict[str, float] = {}
        for verdict in case.verdicts:
            for unit, margin in verdict.margin.items():
                if math.isfinite(margin):
                    score = self._score(verdict.requirement, unit, margin)
                    best[unit] = max(score, best.get(unit, score))
        return best

    def _score(self, requirement: str, unit: str, margin: float) -> float:
        """The share of the largest margin seen that is used up. The first margin of all is at rest."""
        key = (requirement, unit)
        rest = self._rest[key] = max(margin, self._rest.get(key, margin))
        return 0.0 if rest <= 0.0 else min((rest - margin) / rest, _MOST)
