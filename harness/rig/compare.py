# SPDX-License-Identifier: Apache-2.0
"""The same scenarios on two firmwares, versions or variants: where they first part, each difference made small.

A difference has a key: an output, a message, or a requirement. Each key is reported once, by the smallest scenario
that still shows it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from harness.canbus.batch import Decoder
from harness.clock import NS_PER_S, WallClock
from harness.rig.differences import Difference, Key, differences
from harness.rig.file import Rig
from harness.rig.session import Session
from harness.scenario import Scenario, scenario_problems
from harness.search.shrink import shrink
from harness.verdict import Outcome

SHRINK_RUNS = 150
MAX_DIFFERENCES = 40  # keys followed: more tell that the two are different products


@dataclass(frozen=True, slots=True)
class Divergence:
    """One difference and the smallest scenario that shows it. `seen` counts the scenarios that showed it."""

    difference: Difference
    scenario: Scenario
    seen: int


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result. `skipped` scenarios one of the two rigs cannot play; `diverged` showed any difference."""

    rig_a: Rig
    rig_b: Rig
    divergences: tuple[Divergence, ...]
    played: int
    diverged: int
    skipped: int
    more_keys: int
    duration_s: float
    interrupted: bool

    @property
    def outcome(self) -> Outcome:
        """PASS when the two did the same, FAIL otherwise, NOT_EXERCISED when nothing was played."""
        if self.divergences:
            return Outcome.FAIL
        return Outcome.PASS if self.played else Outcome.NOT_EXERCISED

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "outcome": self.outcome.value,
            "rig_a": str(self.rig_a.path),
            "rig_b": str(self.rig_b.path),
            "scenarios": self.played,
            "diverged": self.diverged,
            "skipped": self.skipped,
            "more_differences": self.more_keys,
            "duration_s": self.duration_s,
            "interrupted": self.interrupted,
            "divergences": [
                {
                    "what": found.difference.key.what,
                    "name": found.difference.key.name,
                    "how": found.difference.key.how,
                    "at_s": found.difference.at_s,
                    "a": found.difference.a,
                    "b": found.difference.b,
                    "seen": found.seen,
                    "actions": len(found.scenario.actions),
                    "scenario": found.scenario.model_dump(mode="json", exclude_defaults=True),
                }
                for found in self.divergences
            ],
        }


Progress = Callable[[str, int, int], None]


def compare(
    rig_a: Rig,
    rig_b: Rig,
    scenarios: Iterable[Scenario],
    *,
    shrink_runs: int = SHRINK_RUNS,
    progress: Progress | None = None,
) -> Comparison:
    """Play every scenario on both. Raises RigError or FirmwareError when one cannot even begin.

    Ctrl-C ends it with what was found, not all of it small.
    """
    with Session(rig_a) as a, Session(rig_b) as b:
        return _Comparing(a, b, shrink_runs, progress or (lambda *_: None)).run(list(scenarios))


class _Comparing:
    """One comparison under way."""

    def __init__(self, a: Session, b: Session, shrink_runs: int, progress: Progress) -> None:
        self._a, self._b = a, b
        self._shrink_runs = shrink_runs
        self._progress = progress
        self._decoder = Decoder(a.profile.database)
        self._first: dict[Key, tuple[Difference, Scenario]] = {}
        self._seen: dict[Key, int] = {}
        self._played = self._diverged = self._skipped = 0

    def run(self, scenarios: list[Scenario]) -> Comparison:
        clock = WallClock()
        start_ns = clock.now_ns()
        interrupted = False
        small: dict[Key, tuple[Difference, Scenario]] = {}
        try:
            self._play(scenarios)
            for key, found in list(self._first.items())[:MAX_DIFFERENCES]:
                self._progress("shrinking", len(small), min(len(self._first), MAX_DIFFERENCES))
                small[key] = self._smaller(key, *found)
        except KeyboardInterrupt:
            interrupted = True
        shown = list((self._first | small).items())[:MAX_DIFFERENCES]
        return Comparison(
            rig_a=self._a.rig,
            rig_b=self._b.rig,
            divergences=tuple(Divergence(found, where, self._seen[key]) for key, (found, where) in shown),
            played=self._played,
            diverged=self._diverged,
            skipped=self._skipped,
            more_keys=max(0, len(self._first) - MAX_DIFFERENCES),
            duration_s=(clock.now_ns() - start_ns) / NS_PER_S,
            interrupted=interrupted,
        )

    def _play(self, scenarios: list[Scenario]) -> None:
        for number, scenario in enumerate(scenarios):
            self._progress("comparing", number, len(scenarios))
            if scenario_problems(scenario, self._a.bounds) or scenario_problems(scenario, self._b.bounds):
                self._skipped += 1
                continue
            found = self._differences(scenario)
            self._played += 1
            self._diverged += bool(found)
            for difference in found:
                self._seen[difference.key] = self._seen.get(difference.key, 0) + 1
                known = self._first.get(difference.key)
                if known is None or len(scenario.actions) < len(known[1].actions):
                    self._first[difference.key] = (difference, scenario)
        self._progress("comparing", len(scenarios), len(scenarios))

    def _smaller(self, key: Key, difference: Difference, scenario: Scenario) -> tuple[Difference, Scenario]:
        def shows(candidate: Scenario) -> bool:
            return any(found.key == key for found in self._differences(candidate))

        small = shrink(scenario, shows, max_runs=self._shrink_runs).scenario
        return next((found for found in self._differences(small) if found.key == key), difference), small

    def _differences(self, scenario: Scenario) -> list[Difference]:
        """The first difference of each key in one scenario, in the order of time."""
        first, second = self._a.run(scenario, keep=False), self._b.run(scenario, keep=False)
        found = [*differences(first, second, self._decoder)]
        return sorted(found, key=lambda item: float("inf") if item.at_s is None else item.at_s)
