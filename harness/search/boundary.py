# SPDX-License-Identifier: Apache-2.0
"""Boundary grids: for every protection, scenarios dense at its limit and at its confirmation time, on both sides.

Every scenario is named after the requirement and the point of the grid it plays, e.g. "PRT-OV-3 level +1.05".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from harness.faults.check import Bounds, Value
from harness.requirements.model import Requirement, Trip
from harness.scenario import Action, Command, CommandAction, FaultAction, Scenario
from harness.search.diagnosis import diagnosis
from harness.search.stimuli import Recipe, limit_of, outward, recipes_for
from harness.search.strings import on_string
from harness.search.tours import tours

EDGE_S = 0.05  # how far from a confirmation time the grid stays: five ticks
TAIL_S = 0.4  # recorded after the last reaction is due
OFF_S = 0.5
RELEASE_S = 6.0  # longer than the release time of any protection
BOOT_S = 1.5  # after a power cycle until a latched fault must show and no contactor has closed
DIP_S = 0.03  # how long the quantity is back on the good side: three ticks
LONG_S = 20.0  # confirmation times above get fewer points: their scenarios are long

# Levels in accuracies past the limit; inside +-1 both reactions are right, so the points lie just beside it.
LEVELS = (-2.0, -1.05, 1.05, 2.0)
FEW_LEVELS = (-1.05, 1.05)


@dataclass(frozen=True, slots=True)
class _Point:
    """One requirement with one way to drive it."""

    rig: str
    bounds: Bounds
    trip: Trip
    recipe: Recipe

    @property
    def far(self) -> float | None:
        """A value no measuring error brings back over the limit; None for what is on or off."""
        return limit_of(self.trip) + outward(self.trip) * self.recipe.far if self.recipe.parameter else None

    @property
    def hold_s(self) -> float:
        """Long enough that the reaction is due."""
        return self.trip.confirm_s[1] + 0.2

    @property
    def reaction_s(self) -> float:
        """From the confirmation until everything must have happened, and some more."""
        return self.trip.flag_within_s + self.trip.safe_within_s + TAIL_S

    def level(self, steps: float) -> float:
        """The value `steps` accuracies past the limit; negative steps stay on the good side."""
        return limit_of(self.trip) + outward(self.trip) * steps * self.trip.accuracy

    def scenario(self, title: str, actions: Sequence[Action], duration_s: float) -> Scenario:
        """A scenario of the recipe's start state; the preparation comes first."""
        return Scenario(
            rig=self.rig,
            title=f"{self.trip.id} {title}",
            start=self.recipe.start,
            duration_s=round(duration_s, 2),
            action=(*self.recipe.prepare, *actions),
        )

    def pulse(self, at_s: float, for_s: float | None, value: float | None = None, **shape: Value) -> FaultAction:
        """The quantity past its limit for a time; far past it unless a value is given."""
        return self.recipe.action(at_s, self.far if value is None else value, for_s, **shape)

    @property
    def at_s(self) -> float:
        """When the first fault begins: the start state has settled."""
        return self.recipe.at_s

    @property
    def released_s(self) -> float:
        """From the end of the cause until the protection has surely released."""
        return max(RELEASE_S, 1.1 * (self.trip.release_s or 0.0) + 2.5)

    def over(self, at_s: float | None = None) -> float:
        """When a fault begun at `at_s` has had its full reaction."""
        begun = self.at_s if at_s is None else at_s
        return begun + self.recipe.lag_s + self.recipe.extra_s + self.hold_s + self.reaction_s


def grids(requirements: Sequence[Requirement], bounds: Bounds, *, rig: str) -> list[Scenario]:
    """Every grid scenario of a rig: per protection its boundary points, then tours for the other requirements."""
    trips = [requirement for requirement in requirements if isinstance(requirement, Trip)]
    scenarios = []
    for trip in trips:
        for place, recipe in enumerate(recipes_for(trip, trips, bounds)):
            point = _Point(rig, bounds, trip, recipe)
            scenarios += [scenario for part in _parts(trip, place) for scenario in part(point)]
    scenarios += [*tours(requirements, bounds, rig=rig), *diagnosis(requirements, bounds, rig=rig)]
    if not bounds.strings:
        return scenarios
    return [on_string(scenario, 1 + place % bounds.strings) for place, scenario in enumerate(scenarios)]


def uncovered(requirements: Sequence[Requirement], bounds: Bounds) -> tuple[str, ...]:
    """The ids of protections on a quantity for which no recipe is known: the grid cannot exercise them."""
    trips = [requirement for requirement in requirements if isinstance(requirement, Trip)]
    return tuple(trip.id for trip in trips if not recipes_for(trip, trips, bounds))


def _levels(point: _Point) -> Iterator[Scenario]:
    """Both sides of the limit, held longer than any confirmation."""
    steps: tuple[float, ...] = ()
    if point.recipe.parameter and point.trip.accuracy > 0:
        lean = point.trip.confirm_s[0] >= LONG_S or point.trip.safe_state == "none"
        steps = FEW_LEVELS if lean else LEVELS
    for step in steps:
        value = point.level(step)
        if point.recipe.reaches(value):
            action = point.pulse(point.at_s, None, value)
            yield point.scenario(f"level {step:+g}", (action,), point.over())


def _far(point: _Point) -> Iterator[Scenario]:
    yield point.scenario("far", (point.pulse(point.at_s, None),), point.over())


def _durations(point: _Point) -> Iterator[Scenario]:
    """Both sides of the confirmation time, far past the limit."""
    early, late = point.trip.confirm_s
    edge = max(EDGE_S, 0.01 * late)
    for name, length in (("before", early - edge), ("after", late + edge)):
        if length >= EDGE_S:
            yield point.scenario(f"lasts {name}", (point.pulse(point.at_s, length),), point.over() + edge)


def _ramp(point: _Point) -> Iterator[Scenario]:
    """Slowly past the limit: a firmware that looks at steps only does not see it."""
    if point.recipe.parameter and "shape" not in point.recipe.fixed:
        ramp_s = 4.0
        action = point.pulse(point.at_s, None, shape="ramp", ramp_s=ramp_s)
        yield point.scenario("slow ramp", (action,), point.over() + ramp_s)


def _interrupted(point: _Point) -> Iterator[Scenario]:
    """Long enough in sum, never long enough at once: a timer that is not reset trips."""
    early = point.trip.confirm_s[0]
    part = 0.8 * early
    if part < EDGE_S:
        return
    last = point.at_s + 2 * (part + DIP_S + point.recipe.lag_s)
    begins = (point.at_s, 0.5 * (point.at_s + last), last)
    pulses = tuple(point.pulse(begin, part) for begin in (begins if early < LONG_S else begins[1:]))
    yield point.scenario("interrupted", pulses, last + part + point.recipe.lag_s + point.reaction_s)
    if early < LONG_S and not point.recipe.lag_s and "shape" not in point.recipe.fixed:
        action = point.pulse(point.at_s, 3.0 * point.trip.confirm_s[1], shape="intermittent", period_s=round(early, 2))
        yield point.scenario("half the time", (action,), point.at_s + 3.0 * point.trip.confirm_s[1] + point.reaction_s)


def _request(point: _Point) -> Command:
    return "charge" if point.recipe.start == "charge" else "drive"


def _latch(point: _Point) -> Iterator[Scenario]:
    """What stays after the trip, over a power cycle and after a reset, with the cause gone and with it present."""
    if not point.trip.latched:
        return
    gone = point.over()
    present = point.pulse(point.at_s, None)
    past = point.pulse(point.at_s, gone - point.at_s - point.recipe.lag_s)
    request = _request(point)
    after = gone + 0.5
    cycle = CommandAction(at_s=round(after, 2), do="power-cycle", off_s=OFF_S)
    again = CommandAction(at_s=round(after + OFF_S + 1.0, 2), do=request)
    end = after + OFF_S + BOOT_S
    yield point.scenario("latched over a power cycle", (past, cycle), end)
    yield point.scenario("latched, then asked to close", (past, cycle, again), end + 2.0)
    yield point.scenario("power cycle with the cause present", (present, cycle), end)
    reset = CommandAction(at_s=round(after + RELEASE_S, 2), do="reset-faults")
    yield point.scenario("reset with the cause present", (present, reset), after + RELEASE_S + 1.5)
    before = CommandAction(at_s=0.05, do="reset-faults")  # one that was over before the fault releases nothing
    yield point.scenario("reset with the cause gone", (before, past, reset), after + RELEASE_S + 2.0)


def _again(point: _Point) -> Iterator[Scenario]:
    """Trip, release, back into operation, trip a second time."""
    gone = point.over()
    first = point.pulse(point.at_s, gone - point.at_s - point.recipe.lag_s)
    asked = gone + point.released_s + 0.5
    request = _request(point)
    commands = (
        CommandAction(at_s=round(gone + point.released_s, 2), do="reset-faults"),
        CommandAction(at_s=round(asked, 2), do="standby"),
        CommandAction(at_s=round(asked + 0.5, 2), do=request),
    )
    second = point.pulse(asked + 3.0, None)
    if point.trip.confirm_s[1] < LONG_S and point.recipe.start != "standby":
        yield point.scenario("a second time", (first, *commands, second), point.over(asked + 3.0))


def _ends(point: _Point) -> Iterator[Scenario]:
    """The reaction is the same at the first and at the last cell or sensor."""
    for name in ("cell", "sensor"):
        if isinstance(point.recipe.fixed.get(name), int):
            for place in (1, point.bounds.highest(name)):
                yield point.scenario(f"{name} {place}", (point.pulse(point.at_s, None, **{name: place}),), point.over())


_Part = Callable[[_Point], Iterator[Scenario]]
_FIRST: tuple[_Part, ...] = (_levels, _far, _durations, _ramp, _interrupted, _latch, _again, _ends)
_TIER: tuple[_Part, ...] = (_levels, _durations, _interrupted)  # a warning or an alarm, which opens nothing
_ALTERNATIVE: tuple[_Part, ...] = (_durations,)


def _parts(trip: Trip, place: int) -> tuple[_Part, ...]:
    """Which parts of the grid a requirement gets by its recipe number `place`: the first is played in depth."""
    if place > 0:
        return () if trip.safe_state == "none" else _ALTERNATIVE
    return _TIER if trip.safe_state == "none" else _FIRST
