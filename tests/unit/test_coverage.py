# SPDX-License-Identifier: Apache-2.0
"""Coverage of the fault space, places in the pack, closeness to a violation, and what clean sequences say."""

import math
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from harness.faults.check import Bounds
from harness.faults.frames import BusMessage
from harness.requirements.model import Requirement, Trip
from harness.scenario import CommandAction, Scenario, begin
from harness.search.coverage import Bin, Coverage, FaultSpace, aims_at
from harness.search.margins import Closeness
from harness.search.moves import compose, space
from harness.search.places import class_of, places
from harness.search.runner import Case
from harness.search.sequences import aim_of, generate
from harness.search.statistics import FailureRate, upper_bound
from harness.verdict import Outcome, Verdict

MESSAGES = (BusMessage("VCU_Command", "vehicle"), BusMessage("CHG_Status", "charger"))
BOUNDS = Bounds(192, 48, MESSAGES)


def trip(identifier: str, quantity: str, **limit: Any) -> Trip:
    return Trip(
        id=identifier, title="a protection", source=("test",), quantity=quantity, accuracy=0.005, confirm_s=(0.8, 1.0),
        flag="fault.x", flag_within_s=0.2, safe_within_s=0.5, **limit,
    )  # fmt: skip


REQUIREMENTS: tuple[Requirement, ...] = (
    trip("PRT-OV-2", "cell_voltage_max_v", above=3.65),
    trip("PRT-OV-3", "cell_voltage_max_v", above=3.75),
    trip("PRT-UV-3", "cell_voltage_min_v", below=2.5),
    trip("PRT-HV-1", "hvil_closed", below=0.5),
)
SEARCHED = space(REQUIREMENTS, BOUNDS, rig="toy")
FAULTS = FaultSpace(REQUIREMENTS, BOUNDS, SEARCHED)


def bin_of(fault: str, state: str = "drive", **parameters: Any) -> Bin:
    return FAULTS.bin_of(begin(1.0, fault, **parameters), state)


@pytest.mark.parametrize(
    ("voltage_v", "side"),
    [
        (3.90, "past"),
        (3.755, "just past"),
        (3.745, "past"),
        (3.645, "just inside"),
        (3.66, "just past"),
        (3.3, "inside"),
        (2.4, "past"),
    ],
)
def test_a_value_is_told_by_the_hardest_limit_it_passes_or_else_the_nearest(voltage_v: float, side: str) -> None:
    assert side == bin_of("cell-voltage", cell=5, voltage_v=voltage_v).side


@pytest.mark.parametrize(
    ("for_s", "lasts"),
    [(0.5, "shorter"), (0.9, "within the window"), (1.05, "just longer"), (3.0, "longer"), (None, "to the end")],
)
def test_a_duration_is_told_by_the_confirmation_time(for_s: float | None, lasts: str) -> None:
    timing: dict[str, Any] = {} if for_s is None else {"for_s": for_s}
    assert lasts == bin_of("cell-voltage", cell=5, voltage_v=4.0, **timing).lasts
    assert lasts == bin_of("hvil-open", **timing).lasts


def test_a_fault_without_a_limit_has_no_side() -> None:
    assert Bin("fuse-blown", "charge", "no limit", "briefly", "-") == bin_of("fuse-blown", "charge", for_s=0.2)


def states(start: str, *actions: object) -> list[str]:
    played = Scenario(rig="toy", start=start, duration_s=20.0, action=actions)  # type: ignore[arg-type]
    return [found.state for found in FAULTS.bins(played)]


def test_the_operating_state_is_the_one_that_was_asked_for() -> None:
    drive = CommandAction(at_s=1.0, do="drive")
    hvil = [begin(at_s, "hvil-open", for_s=0.1) for at_s in (0.5, 1.2, 4.0)]
    assert ["standby", "starting", "drive"] == states("standby", hvil[0], drive, hvil[1], hvil[2])
    off, on = CommandAction(at_s=1.0, do="ignition-off"), CommandAction(at_s=3.0, do="ignition-on")
    assert ["drive", "off", "starting"] == states("drive", hvil[0], off, hvil[1], on, begin(3.1, "hvil-open"))


def test_every_reachable_bin_is_played_by_its_aim() -> None:
    for wanted in FAULTS.reachable:
        aim = FAULTS.aim(wanted)
        assert wanted in list(FAULTS.bins(compose(SEARCHED, aim.start, aim.picks)))


def test_only_faults_that_fired_count() -> None:
    coverage = Coverage(FAULTS)
    played = Scenario(rig="toy", duration_s=9.0, action=(begin(1.0, "hvil-open"), begin(2.0, "crash")))
    coverage.add(played, [True, False])
    record = coverage.record()
    assert (1, len(FAULTS.reachable)) == (record["covered"], record["reachable"])
    assert len(FAULTS.reachable) - 1 == len(coverage.empty())
    row = next(row for row in record["map"] if row["kind"] == "hvil-open")
    assert [[0, 1], [0, 1], [1, 1], [0, 1]] != row["cells"]  # more than one duration a state
    assert 1 == sum(cell[0] for cell in row["cells"])


def test_aiming_fills_more_empty_bins_than_chance_with_as_many_scenarios() -> None:
    def filled(*, aimed: bool) -> int:
        coverage = Coverage(FAULTS)
        aims = aims_at(FAULTS, coverage.empty(), 1) if aimed else ()
        for played in generate(SEARCHED, 1, 300, aims=aims):
            coverage.add(played, [True] * 6)
        return len(FAULTS.reachable) - len(coverage.empty())

    assert filled(aimed=True) > 1.15 * filled(aimed=False)


def test_an_aimed_scenario_depends_on_seed_and_number_only() -> None:
    aims = aims_at(FAULTS, FAULTS.reachable, 3)
    assert list(generate(SEARCHED, 3, 20, aims=aims))[7:9] == list(generate(SEARCHED, 3, 2, first=7, aims=aims))
    assert aim_of(aims, 5) is None  # odd ones are left to chance


# ----------------------------------------------------------------------------------------------------------- cells


def test_four_hundred_cells_cost_no_more_moves_than_a_hundred_and_few_more_than_twelve() -> None:
    def moves(n_cells: int) -> int:
        return sum(len(group) for group in space(REQUIREMENTS, Bounds(n_cells, 12, MESSAGES), rig="toy").groups)

    assert moves(400) < 1.01 * moves(100)
    assert moves(400) < 1.35 * moves(12)


@hypothesis.given(st.integers(12, 400), st.integers(1, 24))
def test_places_are_legal_distinct_and_found_again(n_cells: int, module: int) -> None:
    bounds = Bounds(n_cells, 12, module_cells=module)
    found = places("cell", bounds)
    assert len(set(found.values())) == len(found) <= 4
    assert {1, n_cells} <= set(found.values()) <= set(range(1, n_cells + 1))
    assert list(found) == [class_of("cell", number, bounds) for number in found.values()]
    edge = found.get("module edge")
    assert edge is None or (edge - 1) % module == 0


# --------------------------------------------------------------------------------------------------------- closeness


def case(**margins: float) -> Case:
    verdicts = (
        Verdict("PRT-A-1", Outcome.PASS, margin={"v": margins["a"]}),
        Verdict("PRT-B-1", Outcome.PASS, margin={"v": margins["b"], "ms": math.inf}),
    )
    return Case(Scenario(rig="toy"), verdicts)


def test_closeness_is_the_share_of_the_largest_margin_that_is_used_up() -> None:
    closeness = Closeness()
    assert {"v": 0.0} == closeness.scores(case(a=0.4, b=0.001))
    assert {"v": pytest.approx(0.75)} == closeness.scores(case(a=0.1, b=0.001))
    assert {"v": pytest.approx(1.5)} == closeness.scores(case(a=-0.2, b=0.001))
    assert {} == closeness.scores(Case(Scenario(rig="toy"), case(a=0.1, b=0.1).verdicts, error="crash"))


# -------------------------------------------------------------------------------------------------------- statistics


@pytest.mark.parametrize(("n", "bound"), [(1, 0.95), (10, 0.2589), (100, 0.02951), (100_000, 2.9957e-5)])
def test_clean_sequences_bound_the_rate_as_clopper_and_pearson_say(n: int, bound: float) -> None:
    assert pytest.approx(1.0 - 0.05 ** (1.0 / n), rel=1e-9) == upper_bound(n)
    assert pytest.approx(bound, rel=1e-3) == upper_bound(n)
    assert upper_bound(n) <= 3.0 / n


@pytest.mark.parametrize(("n", "failed", "bound"), [(10, 1, 0.3942), (20, 2, 0.2826), (100, 5, 0.1023)])
def test_failures_raise_the_bound(n: int, failed: int, bound: float) -> None:
    assert pytest.approx(bound, rel=1e-3) == upper_bound(n, failed)  # tables of the one-sided 95 % bound


def test_nothing_played_says_nothing() -> None:
    assert 1.0 == FailureRate(0, 0).upper_bound
    assert "nothing can be said" in FailureRate(0, 0).sentence()
    assert 1.0 == upper_bound(3, 3)
    with pytest.raises(ValueError, match="4 failures among 3"):
        upper_bound(3, 4)
