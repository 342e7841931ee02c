# SPDX-License-Identifier: Apache-2.0
"""Which faults a bench can make, from what instruments and adapters can do."""

from __future__ import annotations

from typing import Any

import pytest

from harness.bench.refusals import bench_problems
from harness.faults.bench import obstacle, obstacle_of
from harness.faults.catalogue import CATALOGUE, kind_named
from harness.faults.check import Bounds, ResolvedFault, resolve
from harness.faults.model import FaultKind
from harness.rig import load_rig
from harness.rig.compose import bounds_of
from harness.rig.resources import rigs_folder
from harness.scenario import Scenario

# Inside a controller, a front end or a CAN controller, on a wire: nothing of it can be reached from outside.
OUT_OF_REACH = {
    "sense-wires-swapped", "cell-sensor-invalid", "cell-sensor-stale", "module-lost", "temp-sensor-invalid",
    "pack-voltage-sensor-invalid", "link-voltage-sensor-invalid", "insulation-monitor-invalid", "clock-drift",
    "clock-wrap", "nvm-corrupted", "nvm-erased", "frame-bit-error", "ack-loss", "foreign-collision", "bus-off",
    "error-passive", "gbt-withheld", "gbt-late", "gbt-unheard", "gbt-cml-voltage", "gbt-cml-floor", "gbt-cml-current",
    "gbt-recognition", "gbt-stops", "gbt-error", "gbt-begins-anew", "gbt-persists", "gbt-overrides-current",
    "gbt-overrides-voltage",
}  # fmt: skip


@pytest.fixture(scope="module")
def bounds() -> Bounds:
    return bounds_of(load_rig(rigs_folder() / "ebus-lfp.toml"))


def test_exactly_what_is_out_of_reach_is_refused() -> None:
    assert {kind.kind for kind in CATALOGUE if not kind.bench} == OUT_OF_REACH


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.kind)
def test_every_kind_says_yes_or_why_not(kind: FaultKind) -> None:
    assert kind.bench == (kind.bench_obstacle == "")
    assert kind.bench_obstacle == obstacle(kind)
    assert "  " not in kind.bench_obstacle
    assert not kind.bench_obstacle.endswith(".")


@pytest.mark.parametrize(
    ("name", "parameters", "why"),
    [
        ("frame-drop", {"frame": "vehicle"}, ""),
        ("frame-drop", {"frame": "others"}, ""),
        ("frame-drop", {"frame": "VCU_Command"}, ""),
        ("frame-drop", {"frame": "all"}, "frames of the controller itself"),
        ("frame-drop", {"frame": "dut"}, "frames of the controller itself"),
        ("frame-corrupt", {"frame": "BMS_State", "bits": 1}, "frames of the controller itself"),
        ("frame-drop", {"frame": "vehicle", "seen_by": "recorder"}, "reaches its receiver"),
        ("foreign-sender", {"imitated": "BMS_State", "interval_s": 0.1}, ""),
        ("temp-sensor-open", {"sensor": 1}, ""),
        ("temp-sensor-invalid", {"sensor": 1}, "front end"),
        ("current-sensor-invalid", {}, ""),
        ("cell-sensor-stuck", {"cell": 1, "at": "last"}, ""),
    ],
)
def test_parameters_decide_where_the_kind_does_not(
    bounds: Bounds, name: str, parameters: dict[str, Any], why: str
) -> None:
    fault = resolve(kind_named(name), parameters, bounds)
    assert isinstance(fault, ResolvedFault)
    assert why in obstacle_of(fault)
    assert (obstacle_of(fault) == "") == (why == "")


def test_every_impossible_fault_of_a_scenario_is_named_with_its_place(bounds: Bounds) -> None:
    actions = [
        {"at_s": 1.0, "fault": "hvil-open"},
        {"at_s": 1.0, "fault": "bus-off"},
        {"at_s": 2.0, "fault": "cell-voltage", "cell": 999, "voltage_v": 3.0},
        {"at_s": 3.0, "fault": "nvm-erased"},
    ]
    scenario = Scenario.model_validate({"rig": "ebus-lfp", "action": actions})
    found = [(problem.key, problem.found) for problem in bench_problems(scenario, bounds)]
    assert ("action[2].fault", "'bus-off'") in found
    assert ("action[4].fault", "'nvm-erased'") in found
    assert any(key == "action[3].cell" for key, _ in found)
    assert len(found) == 3
