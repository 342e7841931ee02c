# SPDX-License-Identifier: Apache-2.0
"""A scenario that would leave the limits of the bench is refused before anything is energised: with number and time."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from harness.bench.file import Bench
from harness.bench.preflight import Peak, Prediction, Preflight
from harness.errors import RigError
from harness.scenario import CommandAction, Scenario, begin

MakeBench = Callable[..., Bench]


@pytest.fixture
def predict(make_bench: MakeBench) -> Iterator[Callable[..., Prediction]]:
    opened: list[Preflight] = []

    def run(scenario: Scenario, **limits: str) -> Prediction:
        opened.append(Preflight(make_bench(**limits)))
        return opened[-1].predict(scenario)

    yield run
    for preflight in opened:
        preflight.__exit__()


def scenario(*actions: object, start: str = "drive", seconds: float = 4.0) -> Scenario:
    return Scenario.model_validate(
        {"rig": "ebus-lfp", "title": "tried", "start": start, "duration_s": seconds, "action": actions}
    )


def peaks_of(prediction: Prediction, quantity: str) -> list[Peak]:
    return [peak for peak in prediction.peaks if peak.quantity == quantity]


def test_a_scenario_inside_the_limits_may_be_played(predict: Callable[..., Prediction]) -> None:
    prediction = predict(scenario(begin(1.0, "cell-voltage", cell=17, voltage_v=3.8, for_s=1.5)))
    assert prediction.problems == ()
    assert max(peak.value for peak in peaks_of(prediction, "cell_voltage_v")) == pytest.approx(3.8, abs=0.001)


def test_a_cell_voltage_above_the_limit_is_told_with_number_cell_time_and_action(
    predict: Callable[..., Prediction],
) -> None:
    tried = scenario(begin(1.0, "cell-voltage", cell=17, voltage_v=3.8, for_s=1.5))
    (problem,) = predict(tried, cell_voltage_v="[0.0, 3.7]").problems
    assert (problem.file, problem.key) == ("tried", "cell_voltage_v")
    assert problem.found == "predicted 3.8 V (cell 17) at 1.01 s, by cell-voltage from 1 s on"
    assert problem.allowed == "0 to 3.7 V (limits of the bench file)"


@pytest.mark.parametrize(
    ("fault", "parameters", "quantity", "limits"),
    [
        ("current-sensor-set", {"current_a": 700.0}, "pack_current_a", "[-500.0, 500.0]"),
        ("insulation-monitor-set", {"resistance_ohm": 1000.0}, "insulation_ohm", "[10000.0, 1e9]"),
        ("temp-sensor-set", {"sensor": 3, "temp_degc": 70.0}, "cell_temp_degc", "[-30.0, 60.0]"),
        ("supply-load-dump", {"voltage_v": 33.0}, "supply_v", "[0.0, 32.0]"),
    ],
)
def test_every_quantity_is_held_against_its_limit(
    predict: Callable[..., Prediction], fault: str, parameters: dict[str, float], quantity: str, limits: str
) -> None:
    tried = scenario(begin(1.0, fault, for_s=1.0, **parameters))
    assert predict(tried).problems == ()
    problems = predict(tried, **{quantity: limits}).problems
    assert {problem.key for problem in problems} == {quantity}
    assert any(f"by {fault} from 1 s on" in problem.found for problem in problems)


def test_what_the_plant_does_without_a_fault_counts_too(predict: Callable[..., Prediction]) -> None:
    (problem, *_) = predict(scenario(), pack_voltage_v="[0.0, 500.0]").problems
    assert problem.key == "pack_voltage_v"


def test_the_way_into_the_start_state_counts_too(predict: Callable[..., Prediction]) -> None:
    # the scenario itself begins with a charged link; on the way there it stood at 0 V
    problems = predict(scenario(seconds=1.0), link_voltage_v="[300.0, 1000.0]").problems
    assert ["the way into drive"] == [problem.file for problem in problems]


def test_energy_through_the_pack_is_what_flows_either_way(predict: Callable[..., Prediction]) -> None:
    # charging for 10 s: between least and greatest power of those 10 s, and above zero although it flows backwards
    tried = scenario(start="charge", seconds=10.0)
    prediction = predict(tried)
    volts = peaks_of(prediction, "pack_voltage_v")[0].value
    amps = [abs(peak.value) for peak in peaks_of(prediction, "pack_current_a")]
    least, greatest = sorted(amps)
    assert volts * least * 10.0 / 3600.0 * 0.98 <= prediction.energy_wh <= volts * greatest * 10.0 / 3600.0 * 1.02
    (problem,) = predict(tried, energy_wh=str(prediction.energy_wh / 2.0)).problems
    assert problem.key == "energy_wh"
    assert "Wh through the pack" in problem.found


def test_all_problems_of_all_scenarios_are_told_at_once(make_bench: MakeBench) -> None:
    tried = [
        scenario(begin(1.0, "cell-voltage", cell=1, voltage_v=3.8)),
        scenario(begin(1.0, "current-sensor-set", current_a=700.0)),
    ]
    bench = make_bench(cell_voltage_v="[0.0, 3.7]", pack_current_a="[-600.0, 600.0]")
    with Preflight(bench) as preflight, pytest.raises(RigError) as refused:
        preflight.require(tried)
    assert {problem.key for problem in refused.value.problems} == {"cell_voltage_v", "pack_current_a"}


def test_a_fault_that_only_a_simulation_can_make_is_refused_by_name(predict: Callable[..., Prediction]) -> None:
    (problem,) = predict(scenario(begin(1.0, "clock-drift", error_pct=1.0))).problems
    assert "clock-drift" in problem.found
    assert "virtual rig" in problem.allowed


def test_commands_are_named_as_cause(predict: Callable[..., Prediction]) -> None:
    problems = predict(
        scenario(CommandAction(at_s=1.0, do="load", scale=3.0)), pack_current_a="[-2000.0, 1.0]"
    ).problems
    assert problems
    assert all(problem.key == "pack_current_a" for problem in problems)
