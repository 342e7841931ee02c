# SPDX-License-Identifier: Apache-2.0
"""Rows 4 and 5: judged fault sequences of 10 s of driving, from Hypothesis and from the plain generator."""

from __future__ import annotations

from dataclasses import dataclass

from harness.clock import WallClock
from harness.rig.compose import bounds_of
from harness.rig.file import Rig
from harness.rig.session import Session
from harness.rig.workers import LocalRunner, Pool
from harness.scenario import Scenario
from harness.search.moves import Space, space
from harness.search.runner import Case, Runner, failing
from harness.search.sequences import generate
from harness.search.strategies import search

from .table import Bar, Measurement
from .timing import Effort, Times, interleaved, wall_ratio

DRIVE_S = 10.0
SEED = 1  # of what one process and two workers play


def ten_seconds(scenario: Scenario) -> Scenario:
    """The sequence as 10 s of driving: what would come later is left out."""
    actions = tuple(action for action in scenario.action if action.at_s < DRIVE_S)
    return scenario.model_copy(update={"start": "drive", "duration_s": DRIVE_S, "action": actions})


@dataclass(slots=True)
class Driving:
    """A runner that plays every sequence as 10 s of driving and counts. Failures are counted and not passed on, so
    that the search goes on instead of shrinking.
    """

    runner: Runner
    played: int = 0
    failed: int = 0

    def run(self, scenario: Scenario) -> Case:
        """Play and judge."""
        self.count(self.runner.run(ten_seconds(scenario)))
        return Case(scenario)

    def count(self, case: Case) -> None:
        """One more case."""
        self.played += 1
        self.failed += bool(failing(case))


def measure(rig: Rig, effort: Effort) -> list[Measurement]:
    """Both rows: one core in this process, two cores in two workers."""
    searched = space(rig.requirements, bounds_of(rig), rig=rig.name)
    n = effort.of(250, 80)
    with Session(rig) as session, Pool(rig, jobs=2) as pool:
        local = LocalRunner(session)
        runner = Driving(local)
        many = Driving(pool)
        seeds = iter(range(1, 1000))
        times = interleaved(
            {
                "hypothesis": lambda: search(runner, searched, n=n, seed=next(seeds), clock=WallClock()),
                "plain": lambda: _plain(runner, searched, next(seeds), n),
                "one": lambda: _alone(local, searched, n),
                "two": lambda: _pooled(many, pool, searched, n),
            },
            effort.of(5, 3),
        )
    return [*_one_core(times, n, runner), _two_cores(times, n, many)]


def _plain(runner: Driving, searched: Space, seed: int, n: int) -> None:
    for scenario in generate(searched, seed, n):
        runner.run(scenario)


def _alone(runner: LocalRunner, searched: Space, n: int) -> None:
    for scenario in generate(searched, SEED, n):
        runner.run(scenario)


def _pooled(many: Driving, pool: Pool, searched: Space, n: int) -> None:
    for batch in pool.generate(searched, SEED, n):
        many.played += len(batch.lines)
        many.failed += sum(line["outcome"] in ("FAIL", "ERROR") for line in batch.lines)


def _one_core(times: dict[str, Times], n: int, runner: Driving) -> list[Measurement]:
    found = []
    for row, name, what, bar in (
        (4, "hypothesis", "judged sequences through Hypothesis, one core", 200.0),
        (5, "plain", "judged sequences from the plain generator, one core", 400.0),
    ):
        taken = times[name]
        verdicts = f"{runner.failed} of {runner.played} not passed"
        detail = (
            f"10 s of driving each; {taken.per(n, scale=1e3)} ms of processor time each; by the wall clock "
            f"{n / taken.wall_median:.0f} /s, best {n / taken.wall_least:.0f}; {verdicts}"
        )
        found.append(Measurement(row, what, n / taken.median, "/s", Bar(at_least=bar), detail))
    return found


def _two_cores(times: dict[str, Times], n: int, many: Driving) -> Measurement:
    one, two = times["one"], times["two"]
    return Measurement(
        5, "two workers against one process", wall_ratio(one, two), "x", Bar(at_least=1.8),
        f"the sequences as they are generated, in this process and summed up by two workers as in a campaign; by the "
        f"wall clock {n / one.wall_median:.0f} /s against {n / two.wall_median:.0f} /s, best {n / two.wall_least:.0f}, "
        f"the process that hands the work out included; {many.failed} of {many.played} not passed",
    )  # fmt: skip
