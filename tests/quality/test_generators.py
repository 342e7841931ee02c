# SPDX-License-Identifier: Apache-2.0
"""The generators reach what they are for: trips, near misses, power cycles, overlaps, second faults, every kind.

Counted on the requirements of the bus rig and on scenarios alone: no firmware is involved.
"""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, find, settings

from harness.faults.catalogue import CATALOGUE
from harness.faults.check import Bounds
from harness.faults.frames import BusMessage, BusSignal
from harness.requirements.model import Requirement, RequirementFile, Trip
from harness.scenario import CommandAction, FaultAction, Scenario, begin, fault_windows, scenario_problems
from harness.search.boundary import grids, uncovered
from harness.search.moves import LONGEST_S, MAX_ACTIONS, Space, space
from harness.search.samples import HAZARDS, SAMPLES
from harness.search.sequences import generate
from harness.search.shrink import shrink
from harness.search.stimuli import Recipe, limit_of, outward, recipes_for
from harness.search.strategies import scenarios
from harness.tomlfile import load_model

FIXTURE = Path(__file__).parents[2] / "fixtures" / "requirements" / "ebus-lfp.toml"
COMMAND = BusMessage("VCU_Command", "vehicle", 0x200, signals=(BusSignal("Speed", 16, 16),))
STATUS = BusMessage("CHG_Status", "charger", 0x210, signals=(BusSignal("Voltage", 16, 16),))
BOUNDS = Bounds(192, 48, (COMMAND, STATUS))
MANY = 4000
SLOW_S = 11.0  # confirmations longer than any fault of a sequence are the grid's business


@pytest.fixture(scope="module")
def requirements() -> tuple[Requirement, ...]:
    return load_model(FIXTURE, RequirementFile).all()


@pytest.fixture(scope="module")
def searched(requirements: tuple[Requirement, ...]) -> Space:
    return space(requirements, BOUNDS, rig="ebus-lfp")


@pytest.fixture(scope="module")
def generated(searched: Space) -> list[Scenario]:
    return list(generate(searched, 1, MANY))


def trips_of(requirements: tuple[Requirement, ...]) -> list[Trip]:
    return [requirement for requirement in requirements if isinstance(requirement, Trip)]


def drives(recipe: Recipe, action: FaultAction) -> float | None:
    """The value a fault drives the recipe's quantity to; None when it does not."""
    parameters = action.parameters
    if action.fault != recipe.fault or any(parameters.get(name) != value for name, value in recipe.fixed.items()):
        return None
    return (float(parameters[recipe.parameter]) - recipe.offset) / recipe.gain if recipe.parameter else 0.0


def lasts(recipe: Recipe, action: FaultAction, scenario: Scenario) -> float:
    """How long a fault holds its value, s; 0 when its course over time is another than the recipe's."""
    window = next(window for window in fault_windows(scenario) if window.action is action)
    steady = action.parameters.get("shape", "step") == recipe.fixed.get("shape", "step")
    return window.until_s - window.from_s if steady else 0.0


def demands(trip: Trip, recipe: Recipe, scenario: Scenario) -> bool:
    """A fault past the limit by more than its accuracy, held longer than the confirmation."""
    for action in scenario.action:
        value = drives(recipe, action) if isinstance(action, FaultAction) else None
        if value is None or not isinstance(action, FaultAction):
            continue
        past = not recipe.parameter or outward(trip) * (value - limit_of(trip)) > trip.accuracy
        if past and lasts(recipe, action, scenario) >= trip.confirm_s[1] + recipe.lag_s:
            return True
    return False


def forbids(trip: Trip, recipe: Recipe, scenario: Scenario) -> bool:
    """A fault close to the limit on its good side, or past it for too short."""
    for action in scenario.action:
        value = drives(recipe, action) if isinstance(action, FaultAction) else None
        if value is None or not isinstance(action, FaultAction):
            continue
        distance = outward(trip) * (limit_of(trip) - value)
        beside = bool(recipe.parameter) and trip.accuracy < distance <= 3 * trip.accuracy
        if beside or 0.0 < lasts(recipe, action, scenario) < trip.confirm_s[0] + recipe.lag_s:
            return True
    return False


def test_every_protection_has_a_grid(requirements: tuple[Requirement, ...]) -> None:
    assert uncovered(requirements, BOUNDS) == ()


def test_grid_is_legal_and_of_a_size_that_runs_in_seconds(requirements: tuple[Requirement, ...]) -> None:
    grid = grids(requirements, BOUNDS, rig="ebus-lfp")
    assert [scenario.title for scenario in grid if scenario_problems(scenario, BOUNDS)] == []
    trips = len(trips_of(requirements))
    assert 4 * trips <= len(grid) <= 11 * trips  # about 0.01 s each: the grid of the bus rig stays below 10 s
    assert sum(scenario.duration_s for scenario in grid) <= 8000.0


def reached(
    relation: Callable[[Trip, Recipe, Scenario], bool], trips: list[Trip], scenarios_: list[Scenario]
) -> list[str]:
    """The protections for which no scenario has the relation by any recipe."""
    missing = []
    for trip in trips:
        recipes = recipes_for(trip, trips, BOUNDS)
        if not any(relation(trip, recipe, scenario) for recipe in recipes for scenario in scenarios_):
            missing.append(trip.id)
    return missing


def test_grid_demands_every_trip(requirements: tuple[Requirement, ...]) -> None:
    assert reached(demands, trips_of(requirements), grids(requirements, BOUNDS, rig="x")) == []


def test_grid_has_a_near_miss_of_every_trip(requirements: tuple[Requirement, ...]) -> None:
    trips = [trip for trip in trips_of(requirements) if trip.confirm_s[0] >= 0.1 or trip.accuracy > 0]
    assert reached(forbids, trips, grids(requirements, BOUNDS, rig="x")) == []


def test_sequences_demand_every_trip(requirements: tuple[Requirement, ...], generated: list[Scenario]) -> None:
    trips = trips_of(requirements)
    missing = reached(demands, trips, generated)
    assert [trip.id for trip in trips if trip.id in missing and trip.confirm_s[1] < SLOW_S] == []


def test_sequences_have_a_near_miss_of_every_trip(
    requirements: tuple[Requirement, ...], generated: list[Scenario]
) -> None:
    trips = [trip for trip in trips_of(requirements) if trip.confirm_s[0] >= 0.12 or trip.accuracy > 0]
    missing = reached(forbids, trips, generated)
    assert [trip.id for trip in trips if trip.id in missing and trip.confirm_s[1] < SLOW_S] == []


def kinds_of(scenario: Scenario) -> list[str]:
    return [action.fault for action in scenario.action if isinstance(action, FaultAction)]


def commands_of(scenario: Scenario) -> list[str]:
    return [action.do for action in scenario.action if isinstance(action, CommandAction)]


def test_sequences_play_every_kind_of_fault(generated: list[Scenario]) -> None:
    played = {kind for scenario in generated for kind in kinds_of(scenario)}
    assert {kind.kind for kind in CATALOGUE if BOUNDS.offers(kind)} - played == set()


def test_every_kind_of_fault_has_samples() -> None:
    assert set(SAMPLES) == {kind.kind for kind in CATALOGUE}
    assert set(SAMPLES) >= HAZARDS


def overlaps(scenario: Scenario) -> bool:
    windows = fault_windows(scenario)
    return any(a.from_s < b.from_s < a.until_s for a in windows for b in windows)


def second_after_first(scenario: Scenario) -> bool:
    windows = fault_windows(scenario)
    return any(b.from_s >= a.until_s > a.from_s for a in windows for b in windows)


def command_while_faulty(name: str) -> Callable[[Scenario], bool]:
    def found(scenario: Scenario) -> bool:
        times = [action.at_s for action in scenario.action if isinstance(action, CommandAction) and action.do == name]
        return any(w.from_s < at_s < w.until_s for w in fault_windows(scenario) for at_s in times)

    return found


def drives_on_after_power_cycle(scenario: Scenario) -> bool:
    names = commands_of(scenario)
    return "power-cycle" in names and "drive" in names[names.index("power-cycle") :]


SHARES: dict[str, tuple[Callable[[Scenario], bool], float]] = {
    "two faults or more": (lambda scenario: len(kinds_of(scenario)) >= 2, 0.3),
    "overlapping faults": (overlaps, 0.2),
    "a fault after another has ended": (second_after_first, 0.08),
    "a power cycle": (lambda scenario: "power-cycle" in commands_of(scenario), 0.05),
    "a power cycle during a fault": (command_while_faulty("power-cycle"), 0.02),
    "a clear": (lambda scenario: "clear" in commands_of(scenario), 0.03),
    "a reset request": (lambda scenario: "reset-faults" in commands_of(scenario), 0.02),
    "a drive request during a fault": (command_while_faulty("drive"), 0.01),
    "driving again after a power cycle": (drives_on_after_power_cycle, 0.0005),
    "a start while charging": (lambda scenario: scenario.start == "charge", 0.2),
    "a start in standby": (lambda scenario: scenario.start == "standby", 0.1),
    "an intermittent fault": (
        lambda scenario: any(
            isinstance(action, FaultAction) and action.parameters.get("shape") == "intermittent"
            for action in scenario.action
        ),
        0.05,
    ),
    "the longest sequence": (lambda scenario: len(scenario.action) == MAX_ACTIONS, 0.02),
}


@pytest.mark.parametrize("wanted", SHARES)
def test_sequences_reach(wanted: str, generated: list[Scenario]) -> None:
    holds, share = SHARES[wanted]
    assert sum(map(holds, generated)) >= share * len(generated)


@pytest.mark.parametrize("wanted", SHARES)
def test_hypothesis_reaches(wanted: str, searched: Space) -> None:
    holds, _ = SHARES[wanted]
    found = find(
        scenarios(searched),
        holds,
        settings=settings(
            max_examples=5000,
            phases=(Phase.generate,),
            database=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
    assert holds(found)


def test_sequences_are_legal_short_and_have_an_end(generated: list[Scenario]) -> None:
    assert [scenario for scenario in generated if scenario_problems(scenario, BOUNDS)] == []
    assert max(scenario.duration_s for scenario in generated) <= LONGEST_S
    assert all(action.at_s < scenario.duration_s - 0.5 for scenario in generated for action in scenario.action)


def test_the_bus_is_filled_by_one_node_at_most(searched: Space) -> None:
    babbling = [kinds_of(scenario).count("babbling-node") for scenario in generate(searched, 3, 6000)]
    assert max(babbling) == 1


def test_a_hazard_never_meets_a_sensor_that_lies(generated: list[Scenario]) -> None:
    lying = {kind.kind for kind in CATALOGUE if kind.masks}
    both = [scenario for scenario in generated if HAZARDS & set(kinds_of(scenario)) and lying & set(kinds_of(scenario))]
    assert both == []


def test_sequences_rarely_repeat(generated: list[Scenario]) -> None:
    different = {scenario.model_dump_json(exclude={"seed"}) for scenario in generated}
    assert len(different) > 0.9 * len(generated)


def long_overvoltage(scenario: Scenario) -> bool:
    """A stand-in failure: some cell above 3.75 V for at least one second."""
    return any(
        float(window.action.parameters.get("voltage_v", 0.0)) > 3.75 and window.until_s - window.from_s >= 1.0
        for window in fault_windows(scenario)
    )


def interlock_then_overvoltage(scenario: Scenario) -> bool:
    """A stand-in for a path-dependent failure: the order of two faults matters."""
    windows = fault_windows(scenario)
    return any(
        first.action.fault == "hvil-open" and second.action.fault == "cell-voltage" and first.from_s < second.from_s
        for first in windows
        for second in windows
    )


LARGE = Scenario(
    rig="ebus-lfp",
    duration_s=14.37,
    seed=77,
    action=(
        begin(0.83, "hvil-open", for_s=0.37),
        begin(1.91, "coolant-loss"),
        CommandAction(at_s=2.0, do="power-cycle", off_s=0.05),
        begin(3.17, "cell-voltage", cell=96, voltage_v=3.81234, for_s=4.21, shape="intermittent"),
        begin(5.5, "cell-voltage", cell=192, voltage_v=3.91234, for_s=2.13),
        begin(9.99, "crash"),
    ),
)


def test_shrinker_reaches_the_known_minimum_of_a_threshold() -> None:
    small = shrink(LARGE, long_overvoltage)
    assert small.complete
    assert small.scenario == Scenario(
        rig="ebus-lfp",
        duration_s=small.scenario.duration_s,
        action=(begin(0.0, "cell-voltage", cell=1, voltage_v=4.0),),
    )
    assert small.scenario.duration_s <= 2.0


def test_shrinker_reaches_the_known_minimum_of_an_order() -> None:
    small = shrink(LARGE, interlock_then_overvoltage).scenario
    assert [action.fault for action in small.actions if isinstance(action, FaultAction)] == [
        "hvil-open",
        "cell-voltage",
    ]
    assert len(small.actions) == 2
    assert small.actions[1].at_s <= 1.0


@pytest.mark.parametrize("number", range(20))
def test_shrinker_makes_generated_failures_small(number: int, searched: Space) -> None:
    """Any sequence that contains a power cycle after a fault shrinks to those two actions."""

    def fails(scenario: Scenario) -> bool:
        cycles = [a.at_s for a in scenario.action if isinstance(a, CommandAction) and a.do == "power-cycle"]
        faults = [window.from_s for window in fault_windows(scenario)]
        return any(fault < cycle for fault in faults for cycle in cycles)

    failing = [scenario for scenario in generate(searched, 2, 800) if fails(scenario)]
    assert len(shrink(failing[number], fails).scenario.action) == 2
