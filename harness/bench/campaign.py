# SPDX-License-Identifier: Apache-2.0
"""Many scenarios on a bench, one after another in real time: chosen, tried virtually, played, added up.

Nothing is printed here; progress goes to a callback.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.bench.file import Bench
from harness.bench.preflight import Prediction, Preflight
from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError, RigError, UsageError
from harness.requirements.model import Requirement
from harness.rig.campaign import reference_of
from harness.rig.compose import bounds_of
from harness.rig.session import Run
from harness.rig.starts import OFF_S, PATIENCE_S, SETTLE_S
from harness.rig.tally import Tally
from harness.scenario import Scenario, load_scenario
from harness.search.boundary import grids
from harness.search.runner import Case

_CLOSING_S = 1.5  # from the request until contactors have closed, and the watch of a tenth of a second


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A scenario of the boundary set that this bench may not, or cannot, play."""

    title: str
    why: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What will be played, with what the virtual plant says of it, and what is left out."""

    predictions: tuple[Prediction, ...]
    left_out: tuple[LeftOut, ...] = ()

    @property
    def scenarios(self) -> tuple[Scenario, ...]:
        """In the order they are played."""
        return tuple(prediction.scenario for prediction in self.predictions)


@dataclass(frozen=True, slots=True)
class Progress:
    """Where it stands. `left_s`: estimate of the wall-clock time still needed."""

    phase: str
    done: int
    total: int
    failed: int
    left_s: float


class Player(Protocol):
    """What plays: a `harness.bench.session.BenchSession`."""

    failure: BenchError | None

    def run(self, scenario: Scenario, *, keep: bool = True) -> Run:
        """Play and judge one scenario."""
        ...


def named_requirements(bench: Bench, wanted: Sequence[str]) -> tuple[Requirement, ...]:
    """Those with these identifiers, all when none is named. Raises UsageError with those the rig does not have."""
    known = {requirement.id: requirement for requirement in bench.rig.requirements}
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise UsageError(
            f"no requirement {', '.join(unknown)}; 'bms-harness requirements {bench.file.rig}' lists all {len(known)}"
        )
    return tuple(known[name] for name in dict.fromkeys(wanted)) if wanted else bench.rig.requirements


def choose_files(bench: Bench, preflight: Preflight, files: Sequence[Path]) -> Choice:
    """Scenario files, all of which must be playable. Raises RigError with all that is wrong with any of them."""
    bounds = bounds_of(bench.rig)
    return Choice(preflight.require([load_scenario(path, bounds) for path in files]))


def choose_grid(
    bench: Bench,
    preflight: Preflight,
    requirements: Sequence[Requirement],
    progress: Callable[[Progress], None] | None = None,
) -> Choice:
    """The boundary scenarios of these requirements; those the bench may not play are left out, and said so."""
    scenarios = grids(tuple(requirements), bounds_of(bench.rig), rig=reference_of(bench.rig))
    predictions: list[Prediction] = []
    left_out: list[LeftOut] = []
    for done, scenario in enumerate(scenarios):
        if progress is not None:
            progress(Progress("preflight", done, len(scenarios), 0, 0.0))
        try:
            prediction = preflight.predict(scenario)
        except RigError as error:
            left_out.append(LeftOut(scenario.title, str(error)))
            continue
        if prediction.problems:
            left_out.append(LeftOut(scenario.title, "; ".join(problem.found for problem in prediction.problems)))
        else:
            predictions.append(prediction)
    if progress is not None:
        progress(Progress("preflight", len(scenarios), len(scenarios), 0, 0.0))
    return Choice(tuple(predictions), tuple(left_out))


def estimate_s(scenarios: Iterable[Scenario], boot_s: float) -> float:
    """Wall-clock time: each scenario begins with the supply off and goes the way into its start state."""
    return sum(scenario.duration_s + _way_in_s(scenario, boot_s) for scenario in scenarios)


def _way_in_s(scenario: Scenario, boot_s: float) -> float:
    way_s = OFF_S + boot_s + SETTLE_S["standby"]
    if scenario.start in PATIENCE_S and scenario.start != "standby":
        way_s += _CLOSING_S + SETTLE_S[scenario.start]
    return way_s


def play(
    session: Player,
    scenarios: Sequence[Scenario],
    tally: Tally,
    clock: Clock,
    *,
    boot_s: float,
    seen: Callable[[Run], None],
    progress: Callable[[Progress], None] | None = None,
) -> None:
    """Play all, until the bench fails; `seen` gets every run, after it is in the tally."""
    start_ns = clock.now_ns()
    planned_s = estimate_s(scenarios, boot_s)
    played_s = 0.0
    for done, scenario in enumerate(scenarios):
        if progress is not None:
            elapsed_s = (clock.now_ns() - start_ns) / NS_PER_S
            pace = elapsed_s / played_s if played_s else 1.0
            left_s = (planned_s - played_s) * pace
            progress(Progress("bench", done, len(scenarios), len(tally.failed), left_s))
        run = session.run(scenario)
        tally.add(Case(scenario, run.verdicts, run.error, run.trace.faults))
        seen(run)
        if session.failure is not None:
            return
        played_s += estimate_s([scenario], boot_s)
    if progress is not None:
        progress(Progress("bench", len(scenarios), len(scenarios), len(tally.failed), 0.0))
