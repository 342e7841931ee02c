# SPDX-License-Identifier: Apache-2.0
"""Makes the failures of a campaign small: by a number of runs, so that every machine ends with the same scenarios.

A guard of time ends the shrinking of one failure on a machine that is too slow for that; then it says so.
"""

from __future__ import annotations

from harness.clock import NS_PER_S, Clock
from harness.rig.tally import Witness
from harness.search.runner import FailureKey, Reproduces, Runner, failing
from harness.search.shrink import MAX_RUNS, shrink
from harness.verdict import Verdict

LEAST_RUNS = 60  # of a failure, however many there are: enough to take the actions away that do not matter
TOTAL_RUNS = 4000  # over all failures of a campaign


class Shrinker:
    """Shrinks up to `count` failures. `notes` tells of those that the guard of time left larger than they need be."""

    def __init__(self, runner: Runner, clock: Clock, *, count: int, runs: int = MAX_RUNS, limit_s: float) -> None:
        self._runner = runner
        self._clock = clock
        self._runs = min(runs, max(LEAST_RUNS, TOTAL_RUNS // max(count, 1)))
        self._limit_s = limit_s
        self.notes: list[str] = []

    def smaller(self, witness: Witness) -> Witness:
        """The smallest scenario found that fails in the same way, and what it shows."""
        key = FailureKey(witness.verdict.requirement, witness.verdict.outcome)
        end_ns = self._clock.now_ns() + int(self._limit_s * NS_PER_S)
        shrunk = shrink(
            witness.scenario,
            Reproduces(self._runner, key),
            max_runs=self._runs,
            is_late=lambda: self._clock.now_ns() > end_ns,
        )
        if shrunk.late:
            self.notes.append(late_note(key, self._limit_s))
        if shrunk.scenario == witness.scenario:
            return witness
        case = self._runner.run(shrunk.scenario)
        if key not in failing(case):
            return witness
        verdict = next((v for v in case.verdicts if (v.requirement, v.outcome) == key), None)
        return Witness(shrunk.scenario, verdict or Verdict("", key.outcome, reason=case.error))


def late_note(key: FailureKey, limit_s: float) -> str:
    """What is said of a failure whose shrinking the guard of time ended."""
    what = key.requirement or "a run that broke off"
    return (
        f"{what}: shrinking stopped after {limit_s:g} s, the scenario may be larger than it need be, and another run "
        "with the same seed may find a smaller one"
    )
