# SPDX-License-Identifier: Apache-2.0
"""Whether a fault on the truth changed what the sensors see: in LSB of the input concerned, >= 1 means it fired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MakePlant = Callable[..., Any]
SLOPED = {"ocv_v": [3.0, 4.0]}


def test_resistance_growth_fires_only_while_current_flows(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.bend("cell_r_factor", 3, 2.0)
    plant.step()
    assert plant.effect("CELL_RESISTANCE", 3) < 1.0
    plant.draw(10.0)
    plant.step()
    assert plant.effect("CELL_RESISTANCE", 3) == pytest.approx(10.0 * 1e-3 * 1e6, rel=1e-3)


def test_a_loose_joint_fires_only_while_current_flows(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.bend("joint_extra_ohm", 3, 1e-4)
    plant.step()
    assert plant.effect("JOINT_OHM", 3) == 0.0
    plant.draw(10.0)
    plant.step()
    assert plant.effect("JOINT_OHM", 3) == pytest.approx(1e3, rel=1e-6)


def test_a_held_voltage_fires_by_its_distance_from_the_free_one(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.bend("cell_hold_v", 3, 3.0)
    plant.step()
    assert plant.effect("CELL_VOLTAGE", 3) == pytest.approx(0.0, abs=0.5)
    plant.bend("cell_hold_v", 3, 3.1)
    plant.step()
    assert plant.effect("CELL_VOLTAGE", 3) == pytest.approx(1e5, rel=1e-4)


def test_capacity_loss_fires_once_charge_has_moved(make_plant: MakePlant) -> None:
    plant = make_plant(cell=SLOPED)
    fault = plant.ffi.new("bh_fault *", {"point": plant.lib.BH_AT_CELL_CAPACITY, "index": 3})
    accumulator = plant.ffi.new("double *")
    plant.bend("cell_capacity_factor", 3, 0.8)

    def effect() -> float:
        plant.step()
        return float(plant.lib.bh_plant_effect(plant.plant, fault, accumulator, plant.tick_s))

    assert effect() == 0.0
    plant.draw(100.0)
    first = effect()  # 1 C of 360 kC on a slope of 1 V, a quarter more of it
    assert first == pytest.approx(1.0 / 360e3 * 0.25 * 1e6, rel=1e-3)
    assert effect() == pytest.approx(2 * first, rel=1e-3)


def test_self_discharge_fires_through_its_charge(make_plant: MakePlant) -> None:
    plant = make_plant(cell=SLOPED, pack={"soc": 0.0})
    fault = plant.ffi.new("bh_fault *", {"point": plant.lib.BH_AT_CELL_LEAK_OHM, "index": 0})
    accumulator = plant.ffi.new("double *")
    plant.bend("cell_leak_siemens", 0, 1e-5)  # 100 kohm: 30 uA
    plant.step()
    assert plant.lib.bh_plant_effect(plant.plant, fault, accumulator, plant.tick_s) < 1.0
    for _ in range(1_300_00):
        late = plant.lib.bh_plant_effect(plant.plant, fault, accumulator, 0.1)
    assert late == pytest.approx(3e-5 * 13_000 / 360e3 * 1e6 + 3e-5 * 1e-3 * 1e6, rel=0.01)


def test_heat_fires_when_it_reaches_a_sensor(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"temp_cell": [6], "neighbour_w_per_k": 2.0})
    fault = plant.ffi.new("bh_fault *", {"point": plant.lib.BH_AT_CELL_HEAT_W, "index": 4})
    accumulator = plant.ffi.new("double *")
    plant.bend("cell_heat_w", 4, 1.0)
    effects = []
    for _ in range(3000):
        plant.step()
        effects.append(plant.lib.bh_plant_effect(plant.plant, fault, accumulator, plant.tick_s))
    own_mk = (plant.degc()[6] - 25.0) * 1e3
    assert effects[50] < 1.0
    assert effects[-1] == pytest.approx(own_mk, rel=0.05)


def test_coolant_loss_fires_by_what_the_missing_cooling_leaves(make_plant: MakePlant) -> None:
    pack = {"cooling_w_per_k": 10.0, "coolant_degc": 25.0}
    for temp_degc, fires in ((25.0, False), (35.0, True)):
        plant = make_plant(pack={**pack, "temp_degc": temp_degc})
        fault = plant.ffi.new("bh_fault *", {"point": plant.lib.BH_AT_COOLANT_FLOW, "index": 0})
        accumulator = plant.ffi.new("double *")
        plant.distortion.coolant_flow = 0.0
        for _ in range(100):
            plant.step()
            effect = plant.lib.bh_plant_effect(plant.plant, fault, accumulator, plant.tick_s)
        assert (effect >= 1.0) == fires


def test_ignored_limits_fire_only_when_they_would_have_held_something_back(make_plant: MakePlant) -> None:
    plant = make_plant(environment={"load_s": [0.0], "load_w": [1000.0]})
    plant.draw(1000.0)
    plant.distortion.load_w = float("nan")
    plant.distortion.vehicle_ignores_limits = 1
    plant.step()
    assert plant.effect("VEHICLE_IGNORES_LIMITS") == pytest.approx(0.0, abs=1e-6)
    plant.heard.discharge_limit_a = 10.0
    plant.step()
    expected_ma = (plant.truth.pack_a - 10.0) * 1e3
    assert plant.effect("VEHICLE_IGNORES_LIMITS") == pytest.approx(expected_ma, rel=1e-6)
    assert expected_ma > 10e3


def test_a_load_beyond_the_limit_does_not_fire_when_the_profile_was_already_there(make_plant: MakePlant) -> None:
    plant = make_plant(environment={"load_s": [0.0], "load_w": [5000.0]})
    plant.draw(50.0)
    plant.step()
    assert plant.effect("LOAD_W") == pytest.approx(0.0, abs=1e-6)
    plant.distortion.load_w = 0.0
    plant.step()
    assert plant.effect("LOAD_W") == pytest.approx(50e3, rel=1e-6)


def test_a_precharge_resistor_fires_only_while_precharging(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"link_capacitance_f": 2e-3})
    plant.distortion.precharge_ohm = 100.0
    plant.step()
    assert plant.effect("PRECHARGE_OHM") == 0.0
    plant.controls.contactors = 2 | 4
    plant.step()
    missing_a = 36.0 * (1 / 50 - 1 / 100)
    assert plant.effect("PRECHARGE_OHM") == pytest.approx(missing_a * 0.01 / 2e-3 * 1e3, rel=1e-3)  # mV on the link


@pytest.mark.parametrize(
    ("field", "value", "point", "effect"),
    [("supply_v", 14.0, "SUPPLY_V", 10e3), ("hvil_open", 1, "HVIL_OPEN", 1.0), ("crash", 1, "CRASH", 1.0)],
)
def test_lines_of_the_controller(make_plant: MakePlant, field: str, value: float, point: str, effect: float) -> None:
    plant = make_plant()
    plant.step()
    assert plant.effect(point) == 0.0
    setattr(plant.distortion, field, value)
    plant.step()
    assert plant.effect(point) == pytest.approx(effect)


def test_no_fault_has_an_effect_on_a_plant_at_rest_without_faults(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.step(20)
    points = [name[6:] for name in dir(plant.lib) if name.startswith("BH_AT_")]
    truth_points = [name for name in points if getattr(plant.lib, f"BH_AT_{name}") < plant.lib.BH_N_TRUTH_POINTS]
    assert len(truth_points) == plant.lib.BH_N_TRUTH_POINTS
    assert {name: plant.effect(name) for name in truth_points} == dict.fromkeys(truth_points, 0.0)
