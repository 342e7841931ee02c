# SPDX-License-Identifier: Apache-2.0
"""The kill matrix: every seeded defect of a firmware against every requirement of its rig.

The suite is played on the defect-free build first; unless that is green, nothing is learnt from a defect that fails.
The same play tells which scenarios exercise which requirement, and so in which order each defect meets them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from harness.clock import NS_PER_S, WallClock
from harness.firmware.cache import hash_file
from harness.rig.campaign import reference_of, shipped_scenarios
from harness.rig.compose import bounds_of
from harness.rig.defectfile import Defect, load_defects, select
from harness.rig.file import Rig
from harness.rig.fleet import Fleet, Task
from harness.rig.hunt import Kill, KillOutcome, by_affinity, hunt
from harness.rig.process import WorkerOptions
from harness.rig.session import build_libraries
from harness.rig.surveys import Sighting
from harness.rig.vacuity import Evidence, vacuity
from harness.rig.workers import Pool, available_processors
from harness.scenario import Scenario
from harness.search.boundary import grids
from harness.search.moves import space
from harness.search.sequences import generate
from harness.verdict import Outcome

NAMED_SHARE = 0.95  # of the defects that need be caught, as many must be caught by the requirement named for them


@dataclass(frozen=True, slots=True)
class ZooBudget:
    """What is played, and of which defects: `only` by id (empty = all), `sample` of them drawn with the seed.

    `full` plays everything on every defect, so that each defect's list of killers is complete.
    """

    only: tuple[int, ...] = ()
    sample: int | None = None
    sequences: int = 1000
    seed: int = 1
    full: bool = False


@dataclass(frozen=True, slots=True)
class ZooProgress:
    """`done` of `total` scenarios or defects of a phase; the defect that was finished last."""

    phase: str
    done: int
    total: int
    last: Kill | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """The result. `kills` and `seconds` stand in the order of the defect list, without those an interrupt left out.

    `product_sha256` is the hash of the defect-free build, `defects_sha256` that of the build with the defects.
    `baseline` are the sightings of the defect-free build that were not green: with any, no defect was played.
    """

    rig: Rig
    kills: tuple[Kill, ...]
    seconds: tuple[float, ...]
    allowed: dict[int, str]
    evidence: tuple[Evidence, ...]
    baseline: tuple[Sighting, ...]
    scenarios: int
    seed: int
    whole: bool
    full: bool
    product_sha256: str
    defects_sha256: str
    duration_s: float
    interrupted: bool

    @property
    def needed(self) -> tuple[Kill, ...]:
        """Those that must be caught: no allowed survivors."""
        return tuple(kill for kill in self.kills if kill.defect.id not in self.allowed)

    @property
    def named_share(self) -> float:
        """The share of the defects that must be caught which the requirement named for them caught."""
        caught = sum(kill.outcome is KillOutcome.CAUGHT for kill in self.needed)
        return caught / len(self.needed) if self.needed else 1.0

    @property
    def outcome(self) -> Outcome:
        """FAIL for a red baseline, a missed defect or too few caught by name (of the whole list), ERROR for a crash."""
        outcomes = {kill.outcome for kill in self.needed}
        too_few = self.whole and self.named_share < NAMED_SHARE
        if self.baseline or KillOutcome.MISSED in outcomes or too_few:
            return Outcome.FAIL
        if KillOutcome.ERROR in outcomes:
            return Outcome.ERROR
        return Outcome.PASS if self.kills else Outcome.NOT_EXERCISED


def run_zoo(
    rig: Rig,
    *,
    budget: ZooBudget = ZooBudget(),
    jobs: int | None = None,
    progress: Callable[[ZooProgress], None] | None = None,
) -> Matrix:
    """Play the matrix. Raises RigError, UsageError or FirmwareError when it cannot even begin.

    Ctrl-C ends it with the defects that are finished.
    """
    rig.read_all()
    return _Zoo(rig, budget, jobs or available_processors(), progress).run()


class _Zoo:
    """One matrix under way."""

    def __init__(self, rig: Rig, budget: ZooBudget, jobs: int, progress: Callable[[ZooProgress], None] | None) -> None:
        self._rig = rig
        self._budget = budget
        self._jobs = jobs
        self._progress = progress
        self._clock = WallClock()
        self._list = load_defects(rig)
        self._defects = select(self._list, budget.only, budget.sample, budget.seed)
        self._kills: dict[int, tuple[Kill, float]] = {}
        self._parts: list[int] = []

    def run(self) -> Matrix:
        """Baseline, then the defects, unless it is not green."""
        start_ns = self._clock.now_ns()
        _, product = build_libraries(self._rig)
        _, seeded = build_libraries(self._rig, defects=True)
        interrupted = False
        sightings: list[Sighting] = []
        try:
            sightings = self._survey()
            if not any(sighting.failed or sighting.error for sighting in sightings):
                self._hunt_all(sightings)
        except KeyboardInterrupt:
            interrupted = True
        ordered = [self._kills[number] for number in sorted(self._kills)]
        kills = tuple(kill for kill, _ in ordered)
        return Matrix(
            rig=self._rig,
            kills=kills,
            seconds=tuple(seconds for _, seconds in ordered),
            allowed=self._list.allowed,
            evidence=vacuity(self._rig.requirements, sightings, kills),
            baseline=tuple(sighting for sighting in sightings if sighting.failed or sighting.error),
            scenarios=len(sightings),
            seed=self._budget.seed,
            whole=len(self._defects) == len(self._list.defect) and not interrupted,
            full=self._budget.full,
            product_sha256=hash_file(product),
            defects_sha256=hash_file(seeded),
            duration_s=(self._clock.now_ns() - start_ns) / NS_PER_S,
            interrupted=interrupted,
        )

    def _survey(self) -> list[Sighting]:
        """The whole suite on the defect-free build."""
        parts = suite(self._rig, sequences=self._budget.sequences, seed=self._budget.seed)
        scenarios = [scenario for part in parts for scenario in part]
        self._parts = [len(part) for part in parts]
        sightings: list[Sighting] = []
        self._report("baseline", 0, len(scenarios))
        with Pool(self._rig, jobs=self._jobs) as pool:
            for batch in pool.surveys(scenarios):
                sightings += batch
                self._report("baseline", len(sightings), len(scenarios))
        return sightings

    def _hunt_all(self, sightings: list[Sighting]) -> None:
        self._report("defects", 0, len(self._defects))
        tasks = ((self._options(defect), self._task(defect, sightings)) for defect in self._defects)
        with Fleet[Kill](jobs=self._jobs) as fleet:
            for finished in fleet.run(tasks):
                self._kills[finished.number] = (finished.result, finished.seconds)
                self._report("defects", len(self._kills), len(self._defects), finished.result)

    def _options(self, defect: Defect) -> WorkerOptions:
        return WorkerOptions(rig=self._rig.path, defect=defect.id)

    def _task(self, defect: Defect, sightings: list[Sighting]) -> Task[Kill]:
        """Corpus, grids, sequences; within each, what exercises the named requirement first."""
        source = iter(sightings)
        order = [scenario for size in self._parts for scenario in by_affinity(defect.requirement, islice(source, size))]
        return hunt(defect, order, full=self._budget.full)

    def _report(self, phase: str, done: int, total: int, last: Kill | None = None) -> None:
        if self._progress is not None:
            self._progress(ZooProgress(phase, done, total, last))


def suite(rig: Rig, *, sequences: int, seed: int) -> tuple[list[Scenario], ...]:
    """What defects are met with, part by part: kept scenarios, boundary grids, generated sequences."""
    reference, bounds = reference_of(rig), bounds_of(rig)
    corpus = shipped_scenarios(rig, bounds)
    searched = space(rig.requirements, bounds, rig=reference)
    return corpus, grids(rig.requirements, bounds, rig=reference), list(generate(searched, seed, sequences))
