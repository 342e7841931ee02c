# SPDX-License-Identifier: Apache-2.0
"""The search against a toy protection whose defects are known: each is found, followed and made small."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from harness.clock import ManualClock
from harness.faults.check import Bounds
from harness.faults.frames import BusMessage
from harness.requirements.model import Requirement, Trip
from harness.scenario import (
    CommandAction,
    FaultAction,
    Scenario,
    begin,
    fault_windows,
    scenario_problems,
)
from harness.search.boundary import grids, uncovered
from harness.search.moves import space
from harness.search.runner import Case, FailureKey, Reproduces, failing
from harness.search.sequences import generate, scenario_number
from harness.search.shrink import shrink
from harness.search.strategies import search
from harness.verdict import Outcome, Verdict

BOUNDS = Bounds(12, 3, (BusMessage("VCU_Command", "vehicle"), BusMessage("CHG_Status", "charger")))
OVERVOLTAGE = "PRT-OV-3"
INTERLOCK = "PRT-HV-1"
LIMIT_V = 3.75
TICK_S = 0.01


def requirements() -> tuple[Requirement, ...]:
    """Two protections: one with a value and a long confirmation, one that is on or off."""
    overvoltage = Trip(
        id=OVERVOLTAGE,
        title="over-voltage",
        source=("test",),
        quantity="cell_voltage_max_v",
        above=LIMIT_V,
        accuracy=0.005,
        confirm_s=(0.8, 1.0),
        flag="fault.cell_overvoltage",
        flag_within_s=0.2,
        safe_within_s=0.5,
        latched=True,
    )
    interlock = Trip(
        id=INTERLOCK,
        title="interlock",
        source=("test",),
        quantity="hvil_closed",
        below=0.5,
        confirm_s=(0.08, 0.12),
        flag="fault.hvil",
        flag_within_s=0.2,
        safe_within_s=0.5,
    )
    return (overvoltage, interlock)


@dataclass
class Toy:
    """A runner that is a pure function of the scenario: one over-voltage timer, with one defect.

    Defects: "" none, "leaky" the timer is not reset, "wrong constant" trips at 3.78 V, "late" confirms after 2 s,
    "latch lost" the trip is forgotten over a power cycle, "second" no trip after an interlock fault, "crash" the
    firmware asserts on a power cycle, "two" is leaky and forgets.
    """

    defect: str = ""
    played: list[Scenario] = field(default_factory=list)

    def run(self, scenario: Scenario) -> Case:
        """Compare what the toy firmware does with what its requirement says."""
        self.played.append(scenario)
        cycles = [
            action.at_s
            for action in scenario.actions
            if isinstance(action, CommandAction) and action.do == "power-cycle"
        ]
        if self.defect == "crash" and cycles:
            return Case(scenario, error="bms.c:1: assert")
        tripped_s = self.firmware(scenario)
        due_s, allowed_s = needed(scenario, 1.0), needed(scenario, 0.8)
        wrong = tripped_s > due_s + 0.2 or tripped_s < allowed_s
        verdicts = [Verdict(OVERVOLTAGE, Outcome.FAIL if wrong else Outcome.PASS)]
        if self.defect in ("latch lost", "two") and any(cycle > tripped_s for cycle in cycles):
            verdicts.append(Verdict("PRT-LATCH-1", Outcome.FAIL))
        return Case(scenario, tuple(verdicts))

    def firmware(self, scenario: Scenario) -> float:
        """When it trips, s; infinity for never."""
        confirm_s = 2.0 if self.defect == "late" else 0.9
        limit_v = 3.78 if self.defect == "wrong constant" else LIMIT_V
        blind_s = math.inf
        if self.defect == "second":
            blind_s = min(
                [w.from_s for w in fault_windows(scenario) if w.action.fault == "hvil-open"], default=math.inf
            )
        pending_s = 0.0
        for t_s, voltage_v in samples(scenario):
            if voltage_v > limit_v and t_s < blind_s:
                pending_s += TICK_S
            elif self.defect not in ("leaky", "two"):
                pending_s = 0.0
            if pending_s >= confirm_s:
                return t_s
        return math.inf


def samples(scenario: Scenario) -> Iterator[tuple[float, float]]:
    """Highest cell voltage at every tick: 3.3 V unless a fault holds a cell."""
    windows = [window for window in fault_windows(scenario) if "voltage_v" in window.action.parameters]
    for tick in range(round(scenario.duration_s / TICK_S)):
        t_s = tick * TICK_S
        held = [voltage(window.action, t_s) for window in windows if window.from_s <= t_s < window.until_s]
        yield t_s, max(held, default=3.3)


def voltage(action: FaultAction, t_s: float) -> float:
    parameters = action.parameters
    value = float(parameters["voltage_v"]) if action.fault in ("cell-voltage", "cell-sensor-set") else 3.3
    period_s = float(parameters.get("period_s", 1.0))
    if parameters.get("shape") == "intermittent" and (t_s - action.at_s) % period_s >= 0.5 * period_s:
        return 3.3
    return value


def needed(scenario: Scenario, confirm_s: float) -> float:
    """When the voltage had been past the limit for this long without a break; infinity for never."""
    run_s = 0.0
    for t_s, voltage_v in samples(scenario):
        run_s = run_s + TICK_S if voltage_v > LIMIT_V else 0.0
        if run_s >= confirm_s - TICK_S / 2:
            return t_s
    return math.inf


FAILED = FailureKey(OVERVOLTAGE, Outcome.FAIL)
DEFECTS = ("leaky", "wrong constant", "late", "second")


def first_failure(toy: Toy, scenarios: list[Scenario]) -> Scenario:
    return next(scenario for scenario in scenarios if FAILED in failing(toy.run(scenario)))


def test_grid_finds_nothing_where_nothing_is_wrong() -> None:
    toy = Toy()
    assert [scenario.title for scenario in grids(requirements(), BOUNDS, rig="toy") if failing(toy.run(scenario))] == []


@pytest.mark.parametrize("defect", ["leaky", "wrong constant", "late", "latch lost"])
def test_grid_finds_every_defect_of_one_protection(defect: str) -> None:
    toy = Toy(defect)
    assert any(failing(toy.run(scenario)) for scenario in grids(requirements(), BOUNDS, rig="toy"))


def test_grid_names_the_protection_it_plays() -> None:
    titles = [scenario.title for scenario in grids(requirements(), BOUNDS, rig="toy")]
    assert {OVERVOLTAGE, INTERLOCK} <= {title.split()[0] for title in titles}
    assert len(set(titles)) > 0.9 * len(titles)


def test_grid_is_legal_on_the_rig() -> None:
    problems = [scenario_problems(scenario, BOUNDS) for scenario in grids(requirements(), BOUNDS, rig="toy")]
    assert [problem for problem in problems if problem] == []


def test_grid_has_levels_on_both_sides_just_outside_the_band() -> None:
    levels = [
        action.parameters["voltage_v"]
        for scenario in grids(requirements(), BOUNDS, rig="toy")
        if scenario.title.startswith(f"{OVERVOLTAGE} level")
        for action in scenario.action
        if isinstance(action, FaultAction)
    ]
    assert sorted(set(levels)) == pytest.approx([3.74, 3.74475, 3.75525, 3.76])


def test_grid_has_durations_on_both_sides_of_the_confirmation() -> None:
    lengths = [
        action.parameters["for_s"]
        for scenario in grids(requirements(), BOUNDS, rig="toy")
        if scenario.title.startswith(f"{OVERVOLTAGE} lasts")
        for action in scenario.action
        if isinstance(action, FaultAction)
    ]
    assert sorted(set(lengths)) == pytest.approx([0.75, 1.05])


def test_a_quantity_no_fault_can_drive_is_reported() -> None:
    strange = Trip(
        id="PRT-X-1", title="xxx", source=("x",), quantity="bus_load_pct", above=90.0, confirm_s=(0.0, 1.0),
        flag="fault.x", flag_within_s=0.2,
    )  # fmt: skip
    assert uncovered((*requirements(), strange), BOUNDS) == ("PRT-X-1",)


@pytest.mark.parametrize("defect", DEFECTS)
def test_search_finds_the_defect_and_makes_it_small(defect: str) -> None:
    searched = space(requirements(), BOUNDS, rig="toy")
    found = search(Toy(defect), searched, n=2000, seed=5, clock=ManualClock())
    assert found.key == FAILED
    assert found.case is not None
    assert FAILED in failing(Toy(defect).run(found.case.scenario))
    assert failing(Toy().run(found.case.scenario)) == ()
    assert len(found.case.scenario.action) <= (2 if defect in ("leaky", "second") else 1)


def test_search_says_so_when_it_found_nothing() -> None:
    found = search(Toy(), space(requirements(), BOUNDS, rig="toy"), n=50, seed=1, clock=ManualClock())
    assert (found.case, found.key, found.examples) == (None, None, 50)


def test_search_reports_a_crash_as_an_error() -> None:
    found = search(Toy("crash"), space(requirements(), BOUNDS, rig="toy"), n=500, seed=1, clock=ManualClock())
    assert found.key == FailureKey("", Outcome.ERROR)
    assert found.case is not None
    assert [action.do for action in found.case.scenario.action if isinstance(action, CommandAction)] == ["power-cycle"]


class Two:
    """Three actions or more fail one requirement, two another: the smaller failure tempts the shrinker."""

    def run(self, scenario: Scenario) -> Case:
        """Fail by how many actions there are."""
        names = {0: [], 1: [], 2: ["PRT-PAIR-1"]}.get(len(scenario.action), ["PRT-MANY-1"])
        return Case(scenario, tuple(Verdict(name, Outcome.FAIL) for name in names))


def test_search_follows_one_failure_and_does_not_slip_to_a_smaller_one() -> None:
    searched = space(requirements(), BOUNDS, rig="toy")
    wanted = FailureKey("PRT-MANY-1", Outcome.FAIL)
    followed = [search(Two(), searched, n=300, seed=seed, clock=ManualClock()) for seed in range(12)]
    chosen = [found for found in followed if found.key == wanted]
    assert chosen
    assert [len(found.case.scenario.action) for found in chosen if found.case] == [3] * len(chosen)


def test_search_does_not_report_what_is_known() -> None:
    searched = space(requirements(), BOUNDS, rig="toy")
    found = search(Toy("late"), searched, n=60, seed=1, clock=ManualClock(), known=[FAILED])
    assert found.key is None


def test_same_seed_plays_the_same_scenarios() -> None:
    searched = space(requirements(), BOUNDS, rig="toy")
    first, second, other = Toy("leaky"), Toy("leaky"), Toy("leaky")
    for toy, seed in ((first, 7), (second, 7), (other, 8)):
        search(toy, searched, n=100, seed=seed, clock=ManualClock())
    assert first.played == second.played
    assert first.played != other.played


class Jumping(ManualClock):
    """A clock on which every look costs ten seconds."""

    def now_ns(self) -> int:
        self.sleep_until_ns(super().now_ns() + 10_000_000_000)
        return super().now_ns()


def test_shrinking_ends_with_its_time_and_keeps_the_best_so_far() -> None:
    toy = Toy("leaky")
    found = search(toy, space(requirements(), BOUNDS, rig="toy"), n=2000, seed=5, clock=Jumping(), shrink_s=15.0)
    assert found.case is not None
    assert found.key == FAILED
    assert found.shrink_runs < 10


def noisy(scenario: Scenario) -> Scenario:
    """The same scenario with four faults that have nothing to do with it."""
    others = (
        begin(0.13, "coolant-loss", label="pump"),
        begin(0.71, "insulation-monitor-offset", offset_ohm=12345.678),
        CommandAction(at_s=0.2, do="load", scale=0.5),
        begin(3.33, "temp-sensor-offset", sensor=3, offset_k=3.987, for_s=0.77),
    )
    return Scenario(rig="toy", title="noise", seed=99, duration_s=14.0, action=(*others, *scenario.action))


@pytest.mark.parametrize("defect", [*DEFECTS[:3], "latch lost"])
def test_shrinker_leaves_what_matters(defect: str) -> None:
    toy = Toy(defect)
    culprit = next(scenario for scenario in grids(requirements(), BOUNDS, rig="toy") if failing(toy.run(scenario)))
    key = failing(toy.run(culprit))[0]
    small = shrink(noisy(culprit), Reproduces(toy, key))
    assert small.complete
    assert key in failing(toy.run(small.scenario))
    assert len(small.scenario.action) <= 2
    assert scenario_problems(small.scenario, BOUNDS) == ()


def test_shrinker_stays_with_its_failure() -> None:
    both = Scenario(
        rig="toy",
        duration_s=12.0,
        action=(
            begin(0.5, "cell-voltage", cell=1, voltage_v=3.9, for_s=0.7),
            begin(1.3, "cell-voltage", cell=1, voltage_v=3.9, for_s=0.7),
            CommandAction(at_s=6.0, do="power-cycle"),
        ),
    )
    toy = Toy("two")
    assert {key.requirement for key in failing(toy.run(both))} == {OVERVOLTAGE, "PRT-LATCH-1"}
    latch = FailureKey("PRT-LATCH-1", Outcome.FAIL)
    small = shrink(both, Reproduces(toy, latch)).scenario
    assert latch in failing(toy.run(small))
    small = shrink(both, Reproduces(toy, FAILED)).scenario
    assert [action.fault for action in small.actions if isinstance(action, FaultAction)] == ["cell-voltage"] * 2
    assert len(small.actions) == 2


def test_shrinker_leaves_out_a_clear_with_its_fault() -> None:
    """A `clear` that names no fault is refused by every rig: no candidate may have one, or its run breaks off."""
    toy = Toy("leaky")
    culprit = first_failure(toy, grids(requirements(), BOUNDS, rig="toy"))
    plug = begin(0.1, "hvil-open", label="plug")
    clear = CommandAction(at_s=culprit.duration_s - 0.1, do="clear", label="plug")
    cleared = culprit.model_copy(update={"action": (plug, *culprit.action, clear)})
    tried: list[Scenario] = []

    def fails(scenario: Scenario) -> bool:
        tried.append(scenario)
        return FAILED in failing(toy.run(scenario))

    small = shrink(cleared, fails).scenario
    assert [()] * len(tried) == [scenario_problems(scenario, BOUNDS) for scenario in tried]
    assert all(isinstance(action, FaultAction) for action in small.actions)


def test_shrinker_is_deterministic_and_within_its_budget() -> None:
    toy = Toy("leaky")
    culprit = noisy(first_failure(toy, grids(requirements(), BOUNDS, rig="toy")))
    first, second = (shrink(culprit, Reproduces(Toy("leaky"), FAILED)) for _ in range(2))
    assert first == second
    few = shrink(culprit, Reproduces(toy, FAILED), max_runs=3)
    assert (few.runs, few.complete) == (3, False)


def test_generator_gives_the_same_scenario_for_the_same_number() -> None:
    searched = space(requirements(), BOUNDS, rig="toy")
    whole = list(generate(searched, 3, 20))
    assert list(generate(searched, 3, 10, first=10)) == whole[10:]
    assert scenario_number(searched, 3, 4) == whole[4]
    assert list(generate(searched, 4, 20)) != whole


def test_generator_makes_only_legal_scenarios() -> None:
    searched = space(requirements(), BOUNDS, rig="toy")
    assert [scenario for scenario in generate(searched, 1, 500) if scenario_problems(scenario, BOUNDS)] == []


def test_what_went_wrong_is_listed_error_first() -> None:
    case = Case(
        Scenario(rig="toy"),
        (Verdict("A-1", Outcome.PASS), Verdict("B-1", Outcome.FAIL), Verdict("C-1", Outcome.INCONCLUSIVE)),
        error="assert",
    )
    assert failing(case) == (FailureKey("", Outcome.ERROR), FailureKey("B-1", Outcome.FAIL))


def test_margin_of_a_case_is_the_smallest_of_its_requirement() -> None:
    case = Case(
        Scenario(rig="toy"),
        (Verdict("A-1", Outcome.PASS, margin={"v": 0.2}), Verdict("B-1", Outcome.PASS, margin={"v": 0.1})),
    )
    assert (case.margin("A-1", "v"), case.margin("A-1", "ms")) == (0.2, None)


def test_shrinker_keeps_every_value_in_its_legal_range() -> None:
    tried: list[float] = []

    def fails(candidate: Scenario) -> bool:
        faults = [action for action in candidate.actions if isinstance(action, FaultAction)]
        tried.extend(fault.parameters["period_s"] for fault in faults if "period_s" in fault.parameters)
        return True

    fault = begin(1.0, "hvil-open", shape="intermittent", period_s=0.02, duty=0.5)
    shrink(Scenario(rig="x", duration_s=5.0, action=(fault,)), lambda c: fails(c) and "shape" in str(c))

    assert [] == [period_s for period_s in tried if period_s < 0.02]
