# SPDX-License-Identifier: Apache-2.0
"""Mutants of a firmware against the suite of its rig: how many small changes anywhere in the code it notices.

The suite is played on the build without an active mutant first and must be green, then on a build that notes what each
scenario executes and where a mutant would make a difference. A mutant meets only the scenarios in which it does: in
all others the firmware is step by step the original.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain, zip_longest
from typing import Any

from harness.clock import NS_PER_S, WallClock
from harness.errors import FirmwareError, UsageError
from harness.firmware.cache import hash_file
from harness.firmware.mutants import Mutant
from harness.firmware.schemata import Schemata, build_schemata
from harness.rig.file import Rig
from harness.rig.fleet import Fleet, Task
from harness.rig.jobs import Job
from harness.rig.mutantfile import AllowedSurvivor, MutantFile, SurvivorKind, load_mutant_file
from harness.rig.process import WorkerOptions
from harness.rig.surveys import ANY, Sighting, SurveyJob
from harness.rig.workers import Pool, available_processors
from harness.rig.zoo import suite
from harness.scenario import Scenario
from harness.search.runner import Footprint
from harness.verdict import Outcome

BATCH = 16  # scenarios played before the worker answers; it stops earlier at a kill
MAX_BROKEN = 2  # scenarios of one start state with an error: more of them say nothing new


class Fate(Enum):
    """What became of a mutant. A crash or time-out is an error, never a kill."""

    KILLED = "killed"
    SURVIVED = "survived"  # some scenario gave it another value, and nothing failed
    SAME = "same"  # executed, but never gave another value: the suite does not go there
    NOT_COVERED = "not_covered"  # never executed
    ERROR = "error"


SURVIVORS = (Fate.SURVIVED, Fate.SAME, Fate.NOT_COVERED)


@dataclass(frozen=True, slots=True)
class Trial:
    """The result for one mutant. `killed_by` failed first, in `scenario`, the title of the last of `played` scenarios.

    `covered` scenarios executed the place. `errors` counts those that broke off, the first with the text `error`.
    """

    mutant: Mutant
    fate: Fate
    covered: int = 0
    played: int = 0
    killed_by: str = ""
    scenario: str = ""
    errors: int = 0
    error: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class MutantBudget:
    """What is played, and on which mutants: those of `files` (empty = all), `sample` of them drawn with the seed."""

    sample: int | None = 300
    files: tuple[str, ...] = ()
    sequences: int = 300
    seed: int = 1


@dataclass(frozen=True, slots=True)
class MutantProgress:
    """`done` of `total` scenarios or mutants of a phase; what was finished last."""

    phase: str
    done: int
    total: int
    last: Trial | None = None


@dataclass(frozen=True, slots=True)
class Mutation:
    """The result of a campaign; `trials` in the order of the code, without those an interrupt left out.

    `baseline` are the sightings without an active mutant that were not green: with any, no mutant was played.
    """

    rig: Rig
    trials: tuple[Trial, ...]
    file: MutantFile
    total: int
    refused: tuple[Mutant, ...]
    unused: tuple[str, ...]
    baseline: tuple[Sighting, ...]
    scenarios: int
    budget: MutantBudget
    library_sha256: str
    duration_s: float
    interrupted: bool

    def allowed(self, trial: Trial) -> AllowedSurvivor | None:
        """What allows a survivor, if anything does."""
        return self.file.allowed(trial.mutant) if trial.fate in SURVIVORS else None

    @property
    def equivalent(self) -> int:
        """Survivors that are no other firmware, by their reason."""
        reasons = [self.allowed(trial) for trial in self.trials]
        return sum(reason is not None and reason.kind is SurvivorKind.EQUIVALENT for reason in reasons)

    @property
    def score(self) -> float | None:
        """Killed / (mutants - equivalent ones); None when nothing was played. Errors count as not killed."""
        counted = len(self.trials) - self.equivalent
        killed = sum(trial.fate is Fate.KILLED for trial in self.trials)
        return killed / counted if counted else None

    @property
    def unexplained(self) -> tuple[Trial, ...]:
        """Survivors without a reason."""
        return tuple(trial for trial in self.trials if trial.fate in SURVIVORS and self.allowed(trial) is None)

    @property
    def outcome(self) -> Outcome:
        """FAIL for a red baseline or a survivor without a reason; an error of a mutant is told but fails nothing."""
        if self.baseline or self.unexplained:
            return Outcome.FAIL
        return Outcome.PASS if self.trials else Outcome.NOT_EXERCISED


def run_mutants(
    rig: Rig,
    *,
    budget: MutantBudget = MutantBudget(),
    jobs: int | None = None,
    progress: Callable[[MutantProgress], None] | None = None,
) -> Mutation:
    """Play the mutants. Raises RigError, UsageError or FirmwareError when it cannot even begin.

    Ctrl-C ends it with the mutants that are finished.
    """
    rig.read_all()
    return _Campaign(rig, budget, jobs or available_processors(), progress).run()


def build_mutants(rig: Rig, file: MutantFile) -> Schemata:
    """The libraries with all mutants of a rig's firmware."""
    return build_schemata(
        rig.sources,
        rig.include,
        defines=rig.file.firmware.defines,
        rules=file.rules,
        left_alone=file.left_alone(rig.sources, rig.name),
    )


class _Campaign:
    """One campaign under way."""

    def __init__(
        self, rig: Rig, budget: MutantBudget, jobs: int, progress: Callable[[MutantProgress], None] | None
    ) -> None:
        self._rig = rig
        self._budget = budget
        self._jobs = jobs
        self._progress = progress
        self._clock = WallClock()
        self._trials: dict[int, Trial] = {}

    def run(self) -> Mutation:
        """Baseline, probe, then the mutants, unless it is not green."""
        start_ns = self._clock.now_ns()
        file = load_mutant_file(self._rig)
        built = build_mutants(self._rig, file)
        chosen = select(built.mutants, self._budget)
        parts = suite(self._rig, sequences=self._budget.sequences, seed=self._budget.seed)
        scenarios = [*chain.from_iterable(_in_turn(part) for part in parts)]
        interrupted = False
        red: list[Sighting] = []
        try:
            red = [seen for seen in self._survey("baseline", scenarios, built.library) if seen.failed or seen.error]
            if not red:
                probed = self._survey("probe", scenarios, built.probe)
                red = [seen for seen in probed if seen.failed or seen.error]
                if not red:
                    self._try_all(chosen, probed, built)
        except KeyboardInterrupt:
            interrupted = True
        return Mutation(
            rig=self._rig,
            trials=tuple(self._trials[mutant.id] for mutant in chosen if mutant.id in self._trials),
            file=file,
            total=len(built.mutants),
            refused=built.refused,
            unused=file.unused(built.mutants),
            baseline=tuple(red),
            scenarios=len(scenarios),
            budget=self._budget,
            library_sha256=hash_file(built.library),
            duration_s=(self._clock.now_ns() - start_ns) / NS_PER_S,
            interrupted=interrupted,
        )

    def _survey(self, phase: str, scenarios: list[Scenario], library: Any) -> list[Sighting]:
        sightings: list[Sighting] = []
        self._report(phase, 0, len(scenarios))
        with Pool(self._rig, jobs=self._jobs, firmware=library) as pool:
            for batch in pool.surveys(scenarios):
                sightings += batch
                self._report(phase, len(sightings), len(scenarios))
        return sightings

    def _try_all(self, chosen: Sequence[Mutant], probed: Sequence[Sighting], built: Schemata) -> None:
        waiting: list[Mutant] = []
        tasks: list[tuple[WorkerOptions, Task[Trial]]] = []
        for mutant in chosen:
            covered, reached = _reach(mutant, probed)
            if reached:
                waiting.append(mutant)
                options = WorkerOptions(rig=self._rig.path, defect=mutant.id, firmware=built.library)
                tasks.append((options, attempt(mutant, reached, covered)))
            else:
                fate = Fate.SAME if covered else Fate.NOT_COVERED
                self._trials[mutant.id] = Trial(mutant, fate, covered)
        self._report("mutants", len(self._trials), len(chosen))
        with Fleet[Trial](jobs=self._jobs) as fleet:
            for finished in fleet.run(tasks):
                trial = replace(finished.result, seconds=finished.seconds)
                self._trials[trial.mutant.id] = trial
                self._report("mutants", len(self._trials), len(chosen), trial)

    def _report(self, phase: str, done: int, total: int, last: Trial | None = None) -> None:
        if self._progress is not None:
            self._progress(MutantProgress(phase, done, total, last))


def select(mutants: Sequence[Mutant], budget: MutantBudget) -> tuple[Mutant, ...]:
    """The mutants meant, in the order of the code. Raises UsageError for a file that has none."""
    files = dict.fromkeys(mutant.file for mutant in mutants)
    unknown = [name for name in budget.files if name not in files]
    if unknown:
        raise UsageError(f"no mutants in a file {unknown[0]!r}; there are some in {', '.join(files) or 'none'}")
    meant = [mutant for mutant in mutants if not budget.files or mutant.file in budget.files]
    if budget.sample is None or budget.sample >= len(meant):
        return tuple(meant)
    import numpy as np  # noqa: PLC0415 - only to draw

    places = np.random.default_rng(budget.seed).choice(len(meant), size=budget.sample, replace=False)
    return tuple(meant[place] for place in sorted(places))


def attempt(mutant: Mutant, scenarios: Sequence[Scenario], covered: int) -> Generator[Job[Any], list[Any], Trial]:
    """A task for `fleet.Fleet`: plays until any requirement has failed.

    After errors in one start state (which it may not even reach) scenarios from the others still can kill it.
    """
    broken: dict[str, int] = {}
    played, error = 0, ""
    waiting = list(scenarios)
    try:
        while waiting:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            answers: list[tuple[Sighting, ...]] = yield SurveyJob(tuple(batch), stop_at=ANY)
            seen = [*chain.from_iterable(answers)]
            for sighting in seen:
                played += 1
                if sighting.failed:
                    title, errors = sighting.scenario.title, sum(broken.values())
                    return Trial(mutant, Fate.KILLED, covered, played, sighting.failed[0], title, errors, error)
                if sighting.error:
                    error = error or sighting.error
                    broken[sighting.scenario.start] = broken.get(sighting.scenario.start, 0) + 1
            left = [*batch[len(seen) :], *waiting]  # the worker stops at an error, too
            waiting = [scenario for scenario in left if broken.get(scenario.start, 0) < MAX_BROKEN]
    except FirmwareError as failure:
        return Trial(mutant, Fate.ERROR, covered, played, errors=1, error=str(failure))
    fate = Fate.ERROR if error else Fate.SURVIVED
    return Trial(mutant, fate, covered, played, errors=sum(broken.values()), error=error)


def _reach(mutant: Mutant, probed: Sequence[Sighting]) -> tuple[int, list[Scenario]]:
    """How many scenarios execute a mutant's place, and those in which it gives another value."""

    def has(bits: int) -> bool:
        return bool(bits >> mutant.id & 1)

    prints = [(seen.scenario, seen.footprint or Footprint()) for seen in probed]
    return sum(has(trail.executed) for _, trail in prints), [one for one, trail in prints if has(trail.differed)]


def _in_turn(scenarios: Iterable[Scenario]) -> Iterable[Scenario]:
    """The first scenario of every requirement, then the second of each: soon something of everything was played."""
    groups: dict[str, list[Scenario]] = {}
    for scenario in scenarios:
        groups.setdefault(scenario.title.split(" ", 1)[0], []).append(scenario)
    return [one for turn in zip_longest(*groups.values()) for one in turn if one is not None]
