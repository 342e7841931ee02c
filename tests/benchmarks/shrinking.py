# SPDX-License-Identifier: Apache-2.0
"""Row 13: how long a failing sequence takes to become small, over the defects of the zoo that need a sequence."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from harness.rig.compose import bounds_of
from harness.rig.defectfile import Defect, load_defects
from harness.rig.file import Rig
from harness.rig.session import Session
from harness.rig.workers import LocalRunner
from harness.scenario import Scenario
from harness.search.moves import Space, space
from harness.search.runner import FailureKey, Reproduces, failing
from harness.search.sequences import generate
from harness.search.shrink import Shrunk, shrink

from .table import Bar, Measurement
from .timing import Effort, once

SEED = 1
BAR_S = 20.0
ROW = 13


@dataclass(frozen=True, slots=True)
class Small:
    """A failing sequence made small: of which defect, from how many actions, in s of processor and wall-clock time."""

    defect: Defect
    key: FailureKey
    actions: int
    shrunk: Shrunk
    cpu_s: float
    wall_s: float


def measure(rig: Rig, effort: Effort) -> list[Measurement]:
    """The slowest of all."""
    searched = space(rig.requirements, bounds_of(rig), rig=rig.name)
    chosen = [defect for defect in load_defects(rig).defect if defect.sequence][: effort.of(1000, 4)]
    made = [_made_small(rig, searched, defect, effort.of(1000, 300)) for defect in chosen]
    found = [small for small in made if small is not None]
    slowest = max(found, key=lambda small: small.cpu_s)
    unfinished = [small for small in found if not small.shrunk.complete]
    sizes = [len(small.shrunk.scenario.action) for small in found]
    actions, runs = [small.actions for small in found], [small.shrunk.runs for small in found]
    detail = (
        f"{len(found)} of {len(chosen)} defects that need a sequence failed in the generated ones; the "
        f"first failure of each, of {min(actions)} to "
        f"{max(actions)} actions, became {min(sizes)} to {max(sizes)} actions in {min(runs)} to {max(runs)} runs, "
        f"{len(unfinished)} of them ended by the number of runs; middle "
        f"{statistics.median(s.cpu_s for s in found):.2f} s, by the wall clock at most "
        f"{max(s.wall_s for s in found):.2f} s; slowest: defect {slowest.defect.id}, {slowest.key.requirement}"
    )
    what = "the slowest failing sequence made small, processor time"
    return [Measurement(ROW, what, slowest.cpu_s, "s", Bar(at_most=BAR_S), detail)]


def _made_small(rig: Rig, searched: Space, defect: Defect, n: int) -> Small | None:
    """The first generated sequence that fails with the defect, made small; None when none of `n` does."""
    with Session(rig, defect=defect.id) as session:
        runner = LocalRunner(session)
        for scenario in generate(searched, SEED, n):
            keys = failing(runner.run(scenario))
            if keys:
                return _timed(runner, defect, scenario, keys[0])
    return None


def _timed(runner: LocalRunner, defect: Defect, scenario: Scenario, key: FailureKey) -> Small:
    found: list[Shrunk] = []
    cpu_s, wall_s = once(lambda: found.append(shrink(scenario, Reproduces(runner, key))))
    return Small(defect, key, len(scenario.action), found[0], cpu_s, wall_s)
