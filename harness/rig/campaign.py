# SPDX-License-Identifier: Apache-2.0
"""The main job: proves or breaks the protection of a rig with a corpus, boundary grids and fault sequences.

Nothing is printed here; progress goes to a callback. Ctrl-C ends it with what is finished.

The same rig, firmware, budget and seed give the same verdicts, margins and shrunk scenarios, whatever the machine and
the number of workers. Failures kept from earlier runs are played first but added up apart: they can make a requirement
fail that would have passed, and change nothing of what the seed gives.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from harness.clock import NS_PER_S, WallClock
from harness.faults.check import Bounds
from harness.requirements.model import Requirement
from harness.rig import shipped_rigs
from harness.rig.compose import bounds_of
from harness.rig.file import Rig
from harness.rig.jobs import Batch
from harness.rig.records import case_record
from harness.rig.resources import scenarios_folder
from harness.rig.rundir import RunDirectory
from harness.rig.smaller import Shrinker, late_note
from harness.rig.tally import Tally, Witness
from harness.rig.workers import Pool
from harness.scenario import Scenario, load_scenario, scenario_problems
from harness.search.boundary import grids
from harness.search.corpus import Kept, load_corpus, save_failure
from harness.search.coverage import Coverage, FaultSpace, aims_at
from harness.search.moves import space
from harness.search.runner import Case, FailureKey
from harness.search.shrink import MAX_RUNS
from harness.search.statistics import FailureRate
from harness.verdict import Outcome, Verdict, overall

GENERATED = "generated"
KEPT = "kept"  # the phase of what failed in earlier runs
FAILURES = "failures"  # below the folder of the runs: what failed once is played first the next time


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is played. `sequences` come from Hypothesis, `generated` from the plain generator.

    `corpus`: shipped scenarios, and failures kept from earlier runs. `shrink_runs` are the runs spent at most on making
    a failure small, none without `shrink`; `shrink_s` is a guard in wall-clock time for each, which is told when it
    ends the search for a smaller scenario.
    """

    corpus: bool = True
    grids: bool = True
    sequences: int = 300
    generated: int = 1500
    seed: int = 1
    shrink: bool = True
    shrink_runs: int = MAX_RUNS
    shrink_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a campaign stands: `done` of `total` scenarios of a phase, requirements failed, cases with an error."""

    phase: str
    done: int
    total: int
    failed: int
    errors: int
    elapsed_s: float


@dataclass(frozen=True, slots=True)
class Finding:
    """A requirement that failed (or "" for a run that broke off), with the smallest scenario that shows it."""

    requirement: str
    scenario: Scenario
    verdict: Verdict
    path: Path | None
    replay: str


@dataclass(frozen=True, slots=True)
class Campaign:
    """The result: one verdict a requirement, in the order of the rig; the scenario that shows each best.

    `fired` counts by requirement and kind of fault what exercised it, `coverage` is `Coverage.record`, `rate` is what
    the generated sequences say of those that were not played. `notes` tells what this run has that another one with
    the same seed need not have.
    """

    rig: Rig
    requirements: tuple[Requirement, ...]
    verdicts: tuple[Verdict, ...]
    worst: dict[str, Witness]
    findings: tuple[Finding, ...]
    errors: tuple[Case, ...]
    cases: int
    seed: int
    duration_s: float
    interrupted: bool
    fired: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    coverage: Mapping[str, Any] | None = None
    rate: FailureRate | None = None
    notes: tuple[str, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """FAIL before ERROR before what was not proven; a broken run is an ERROR even if everything else passed."""
        broken = [Outcome.ERROR] if self.errors else []
        return overall([*(verdict.outcome for verdict in self.verdicts), *broken])


def run_campaign(
    rig: Rig,
    *,
    budget: Budget = Budget(),
    jobs: int | None = None,
    run_dir: RunDirectory | None = None,
    progress: Callable[[Progress], None] | None = None,
    sanitize: bool = False,
    defect: int = 0,
) -> Campaign:
    """Play everything in the budget. Raises RigError, UsageError or FirmwareError when it cannot even begin."""
    rig.read_all()
    with Pool(rig, jobs=jobs, sanitize=sanitize, defect=defect) as pool:
        return _Run(rig, budget, pool, run_dir, progress).run()


class _Run:
    """One campaign under way."""

    def __init__(
        self,
        rig: Rig,
        budget: Budget,
        pool: Pool,
        run_dir: RunDirectory | None,
        progress: Callable[[Progress], None] | None,
    ) -> None:
        self._rig = rig
        self._budget = budget
        self._pool = pool
        self._run_dir = run_dir
        self._progress = progress
        self._clock = WallClock()
        self._start_ns = self._clock.now_ns()
        self._tally = Tally([requirement.id for requirement in rig.requirements])
        self._kept = Tally([requirement.id for requirement in rig.requirements])
        self._reference = reference_of(rig)
        self._bounds = bounds_of(rig)
        self._findings: list[Finding] = []
        self._searched = space(rig.requirements, self._bounds, rig=self._reference)
        self._coverage = Coverage(FaultSpace(rig.requirements, self._bounds, self._searched))
        self._generated = self._generated_failed = 0
        self._notes: list[str] = []

    def run(self) -> Campaign:
        """All phases, then the failures made small; what is finished when interrupted."""
        interrupted = False
        try:
            for phase, total, batches in self._phases():
                self._play(phase, total, batches)
            self._search()
            self._tally.adopt_failures(self._kept)
            self._shrink_failures()
        except KeyboardInterrupt:
            interrupted = True
        self._tally.adopt_failures(self._kept)
        for witness in self._unshrunk():
            self._found(witness.scenario, witness.verdict)
        return Campaign(
            rig=self._rig,
            requirements=self._rig.requirements,
            verdicts=self._tally.verdicts(),
            worst=self._tally.worst(),
            findings=tuple(self._findings),
            errors=tuple(self._tally.errors),
            cases=self._tally.cases + self._kept.cases,
            seed=self._budget.seed,
            duration_s=self._elapsed_s(),
            interrupted=interrupted,
            fired=self._tally.fired(),
            coverage=self._coverage.record(),
            rate=FailureRate(self._generated, self._generated_failed),
            notes=tuple(self._notes),
        )

    def _phases(self) -> Iterator[tuple[str, int, Iterable[Batch]]]:
        if self._budget.corpus:
            if self._run_dir is not None:
                kept = self._playable(load_corpus(self._run_dir.path.parent / FAILURES))
                yield KEPT, len(kept), self._pool.sums(kept)
            corpus = shipped_scenarios(self._rig, self._bounds)
            yield "corpus", len(corpus), self._pool.sums(corpus)
        if self._budget.grids:
            scenarios = grids(self._rig.requirements, self._bounds, rig=self._reference)
            yield "boundaries", len(scenarios), self._pool.sums(scenarios)
        count = self._budget.generated
        if count:
            aims = aims_at(self._coverage.space, self._coverage.empty(), self._budget.seed)
            yield GENERATED, count, self._pool.generate(self._searched, self._budget.seed, count, aims=aims)

    def _playable(self, kept: Iterable[Kept]) -> list[Scenario]:
        """The scenarios that this rig can play, wherever they were found."""
        return playable(kept, self._bounds, self._reference)

    def _play(self, phase: str, total: int, batches: Iterable[Batch]) -> None:
        done = 0
        self._report(phase, done, total)
        for batch in batches:
            batch.join_into(self._kept if phase == KEPT else self._tally)
            self._keep(phase, batch.lines)
            self._count(phase, batch)
            done += len(batch.lines)
            self._report(phase, done, total)

    def _count(self, phase: str, batch: Batch) -> None:
        """Coverage of what the seed gives; only the generated ones are a random sample."""
        if phase == KEPT:
            return
        self._coverage.add_bins(batch.bins)
        if phase == GENERATED:
            self._generated += len(batch.lines)
            self._generated_failed += sum(line["outcome"] in ("FAIL", "ERROR") for line in batch.lines)

    def _keep(self, phase: str, lines: Iterable[Mapping[str, Any]]) -> None:
        if self._run_dir is not None:
            for line in lines:
                self._run_dir.append({"phase": phase, **line})

    def _report(self, phase: str, done: int, total: int) -> None:
        if self._progress is not None:
            failed = len(self._tally.failed | self._kept.failed)
            errors = self._tally.error_count + self._kept.error_count
            self._progress(Progress(phase, done, total, failed, errors, self._elapsed_s()))

    def _elapsed_s(self) -> float:
        return (self._clock.now_ns() - self._start_ns) / NS_PER_S

    def _search(self) -> None:
        """Sequences by Hypothesis, until the budget is used up; a failure it has made small is known from then on."""
        total = self._budget.sequences
        if not total:
            return
        from harness.search.strategies import search  # noqa: PLC0415 - hypothesis is slow to import

        watched = _Watched(self._pool, lambda case, done: self._watch(case, done, total))
        known = {FailureKey(v.requirement, v.outcome) for v in self._tally.verdicts() if v.outcome is Outcome.FAIL}
        known |= {FailureKey("", Outcome.ERROR)} if self._tally.errors else set()
        while watched.done < total:
            found = search(
                watched,
                self._searched,
                n=total - watched.done,
                seed=self._budget.seed,
                clock=self._clock,
                known=frozenset(known),
                shrink_runs=self._budget.shrink_runs if self._budget.shrink else 0,
                shrink_s=self._budget.shrink_s,
            )
            if found.case is None or found.key is None:
                return
            if found.late:
                self._notes.append(late_note(found.key, self._budget.shrink_s))
            known.add(found.key)
            self._tally.add(found.case)

    def _watch(self, case: Case, done: int, total: int) -> None:
        self._tally.add(case)
        self._coverage.add(case.scenario, [record.fired for record in case.faults])
        self._keep("sequences", [case_record(case)])
        self._report("sequences", min(done, total), total)

    def _unshrunk(self) -> Iterator[Witness]:
        """The simplest failing scenario of each requirement that has no finding yet, and a run that broke off."""
        have = {finding.requirement for finding in self._findings}
        for requirement in self._rig.requirements:
            failing_scenarios = self._tally.failing(requirement.id)
            if failing_scenarios and requirement.id not in have:
                yield failing_scenarios[0]
        if self._tally.errors and "" not in have:
            case = min(self._tally.errors, key=lambda broken: len(broken.scenario.action))
            yield Witness(case.scenario, Verdict("", Outcome.ERROR, reason=case.error))

    def _shrink_failures(self) -> None:
        pending = list(self._unshrunk())
        budget = self._budget
        shrinker = Shrinker(
            self._pool, self._clock, count=len(pending), runs=budget.shrink_runs, limit_s=budget.shrink_s
        )
        for done, witness in enumerate(pending):
            self._report("shrinking", done, len(pending))
            small = shrinker.smaller(witness) if budget.shrink else witness
            self._found(small.scenario, small.verdict)
        self._notes += shrinker.notes
        if pending:
            self._report("shrinking", len(pending), len(pending))

    def _found(self, scenario: Scenario, verdict: Verdict) -> None:
        """Keep a failure: in the run directory as evidence, and beside it for the next runs."""
        path = None
        if self._run_dir is not None:
            key = FailureKey(verdict.requirement, verdict.outcome)
            path = save_failure(scenario, self._run_dir.path / "scenarios", key=key)
            save_failure(scenario, self._run_dir.path.parent / FAILURES, key=key)
        self._findings.append(Finding(verdict.requirement, scenario, verdict, path, replay_command(path)))


class _Watched:
    """A runner that lets somebody see every case."""

    def __init__(self, pool: Pool, seen: Callable[[Case, int], None]) -> None:
        self._pool = pool
        self._seen = seen
        self.done = 0

    def run(self, scenario: Scenario) -> Case:
        """Play it and show it."""
        case = self._pool.run(scenario)
        self.done += 1
        self._seen(case, self.done)
        return case


def shipped_scenarios(rig: Rig, bounds: Bounds) -> list[Scenario]:
    """What every run of a rig begins with: its own scenarios, and those of all rigs that it can play.

    Raises RigError for a scenario of its own that it cannot play.
    """
    own = [Kept(path, load_scenario(path, bounds)) for path in rig.scenario_files]
    return playable((*own, *load_corpus(scenarios_folder())), bounds, reference_of(rig))


def playable(kept: Iterable[Kept], bounds: Bounds, reference: str) -> list[Scenario]:
    """The scenarios that a rig can play, as its own."""
    return [
        item.scenario.model_copy(update={"rig": reference})
        for item in kept
        if not scenario_problems(item.scenario, bounds)
    ]


def reference_of(rig: Rig) -> str:
    """How a scenario names this rig so that it is found again: by name if it is shipped, by its path otherwise."""
    return rig.name if rig.path in {path.resolve() for path in shipped_rigs()} else str(rig.path)


def replay_command(path: Path | None) -> str:
    """The command that repeats a kept scenario, "" when it was not kept."""
    import shlex  # noqa: PLC0415 - rare

    return shlex.join(["bms-harness", "replay", str(path)]) if path is not None else ""
