# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies that make scenarios, and the search that uses them. They never see the DUT.

Drawing is half the cost of an example, so that one action is five small integers and everything else is a table.
"""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings, target
from hypothesis import seed as with_seed
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase

from harness.clock import NS_PER_S, Clock
from harness.scenario import Scenario
from harness.search.margins import Closeness
from harness.search.moves import GAPS_S, MAX_ACTIONS, SHAPES, STARTS, Pick, Space, compose
from harness.search.runner import Case, FailureKey, Runner, failing
from harness.search.shrink import MAX_RUNS, shrink

SHRINK_S = 20.0  # a minimal scenario is worth this long

# Hypothesis sometimes draws an integer that it has read in a module of whatever program runs, so that the same seed
# would give other scenarios in other programs. It leaves numbers below 100 alone: none that is drawn here is larger.
_LARGEST = 99

_MOVES = st.integers(0, 31)
_DURATIONS = 6
_TIMES = st.integers(0, _DURATIONS * len(GAPS_S) - 1)
_SHAPES = st.integers(0, len(SHAPES) - 1)
_STARTS = st.integers(0, len(STARTS) - 1)

# Why each health check is off: deadlines and slow draws are about the machine, not about the firmware under test.
_SUPPRESSED = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.large_base_example)


class _SearchIsOver(BaseException):
    """Raised inside an example when shrinking has used up its runs; like Ctrl-C, Hypothesis lets it through."""


class _Failed(Exception):  # noqa: N818 - never seen by a user
    """The example fails in the way that is being shrunk."""


@dataclass(frozen=True, slots=True)
class Found:
    """The result of a search. `case` is the smallest failing case, None when nothing failed.

    `examples` counts the scenarios played while searching, `shrink_runs` those played to make the failure small.
    `late`: shrinking ended by its time, so that another machine may find a smaller scenario.
    """

    case: Case | None
    key: FailureKey | None
    examples: int
    shrink_runs: int
    late: bool = False


def scenarios(searched: Space) -> st.SearchStrategy[Scenario]:
    """Scenarios of a space: a start state and one to six actions."""
    count = len(searched.groups)
    pages = -(-count // (_LARGEST + 1))
    size_of_page = -(-count // pages)
    group = (st.integers(0, pages - 1), st.integers(0, size_of_page - 1))

    def pick(numbers: tuple[int, ...]) -> Pick:
        page, place, move, times, shape = numbers
        gap, duration = divmod(times, _DURATIONS)
        return Pick((page * size_of_page + place) % count, move, duration, gap, shape)

    drawn_pick = st.tuples(*group, _MOVES, _TIMES, _SHAPES)
    return st.tuples(_STARTS, st.lists(drawn_pick, min_size=1, max_size=MAX_ACTIONS)).map(
        lambda drawn: compose(searched, STARTS[drawn[0]], [pick(numbers) for numbers in drawn[1]])
    )


def search(
    runner: Runner,
    searched: Space,
    *,
    n: int,
    seed: int,
    clock: Clock,
    database: ExampleDatabase | None = None,
    known: Collection[FailureKey] = (),
    shrink_runs: int = MAX_RUNS,
    shrink_s: float = SHRINK_S,
    climb: bool = True,
) -> Found:
    """Play up to `n` sequences; the first failure that is not `known` is shrunk and returned.

    The same seed plays the same scenarios. Shrinking stays with the first failure's requirement and outcome and ends
    after `shrink_runs` runs with the smallest scenario so far; after `shrink_s` seconds too, which is `late`. With
    `climb`, the margins of the verdicts draw the search towards scenarios that come near to a violation.
    """
    limits = _Limits(clock, shrink_runs, int(shrink_s * NS_PER_S))
    hunt = _Hunt(runner, frozenset(known), limits, Closeness() if climb else None)
    configured = settings(
        max_examples=n,
        database=database,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        phases=(Phase.reuse, Phase.generate, *((Phase.target,) if climb else ()), Phase.shrink),
        suppress_health_check=_SUPPRESSED,
        print_blob=False,
    )

    def example(scenario: Scenario) -> None:
        hunt.play(scenario)

    with suppress(_Failed, _SearchIsOver):
        with_seed(seed)(configured(given(scenarios(searched))(example)))()
    return hunt.finish()


class _Limits:
    """How long shrinking may go on: a number of runs, and a time that guards against a machine that is too slow."""

    def __init__(self, clock: Clock, runs: int, time_ns: int) -> None:
        self._clock = clock
        self._allowed = runs
        self._time_ns = time_ns
        self._end_ns = 0
        self.runs = 0
        self.late = False

    def begin(self) -> None:
        """The failure is found."""
        self._end_ns = self._clock.now_ns() + self._time_ns

    def take(self, *, share: float = 1.0) -> None:
        """One more run. Raises _SearchIsOver when this share of runs or time is used up."""
        late = self._clock.now_ns() > self._end_ns - int(self._time_ns * (1.0 - share))
        self.late = self.late or late
        if late or self.runs >= self._allowed * share:
            raise _SearchIsOver
        self.runs += 1


class _Hunt:
    """What is known while Hypothesis plays examples: the failure that is followed and its smallest case so far."""

    def __init__(
        self, runner: Runner, known: Collection[FailureKey], limits: _Limits, closeness: Closeness | None
    ) -> None:
        self._runner = runner
        self._known = known
        self._limits = limits
        self._closeness = closeness
        self._best: Case | None = None
        self._key: FailureKey | None = None
        self._examples = 0

    def play(self, scenario: Scenario) -> None:
        """One example: raises _Failed when it fails in the way that is followed."""
        if self._key is not None:
            self._limits.take(share=0.5)
        else:
            self._examples += 1
        case = self._runner.run(scenario)
        keys = [key for key in failing(case) if key not in self._known]
        if self._key is None and keys:
            self._key = keys[0]
            self._limits.begin()
        if self._key is not None and self._key in keys:
            self._keep(case)
            raise _Failed
        if self._key is None and self._closeness is not None:
            for unit, score in self._closeness.scores(case).items():
                target(score, label=unit)

    def _keep(self, case: Case) -> None:
        if self._best is None or size(case.scenario) <= size(self._best.scenario):
            self._best = case

    def finish(self) -> Found:
        """The smallest case, made smaller still by what Hypothesis cannot know about scenarios.

        Hypothesis has half of the runs, this the rest.
        """
        if self._best is not None:
            with suppress(_SearchIsOver):
                shrink(self._best.scenario, self._reproduces, max_runs=MAX_RUNS)
        return Found(self._best, self._key, self._examples, self._limits.runs, self._limits.late)

    def _reproduces(self, scenario: Scenario) -> bool:
        self._limits.take()
        case = self._runner.run(scenario)
        fails = self._key is not None and self._key in failing(case)
        if fails:
            self._best = case
        return fails


def size(scenario: Scenario) -> tuple[int, float, int]:
    """How large a scenario is to a reader: actions, seconds, characters."""
    return (len(scenario.action), scenario.duration_s, len(scenario.model_dump_json(exclude_defaults=True)))
