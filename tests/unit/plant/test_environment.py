# SPDX-License-Identifier: Apache-2.0
"""Vehicle and depot charger. The pack: 12 cells of 50 V, 10 mohm each: 600 V behind 0.12 ohm."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

MakePlant = Callable[..., Any]
MAIN = 3
CELL_600_V = {"ocv_v": [50.0, 50.0], "r0_discharge_ohm": [0.01] * 2, "r0_charge_ohm": [0.01] * 2}
NEVER = 2**64 - 1


def driving(make_plant: MakePlant, power_w: float, **environment: Any) -> Any:
    plant = make_plant(cell=CELL_600_V, environment={"load_s": [0.0], "load_w": [power_w]} | environment)
    plant.controls.contactors = MAIN
    plant.step()
    plant.heard.ready_to_drive = 1
    plant.heard.discharge_limit_a = plant.heard.charge_limit_a = 1000.0
    return plant


def charging(make_plant: MakePlant, *, cell: dict[str, Any] | None = None, **environment: Any) -> Any:
    plant = make_plant(cell=CELL_600_V | (cell or {}), environment=environment)
    plant.controls.contactors = MAIN
    plant.controls.plug = 1
    plant.heard.ready_to_charge = 1
    plant.heard.charge_limit_a = 1000.0
    return plant


@pytest.mark.parametrize("load_w", [100e3, 240e3, -150e3])
def test_the_vehicle_gets_the_power_it_asks_for_behind_the_resistance_of_the_pack(
    make_plant: MakePlant, load_w: float
) -> None:
    plant = driving(make_plant, load_w)
    plant.run(0.1)
    truth = plant.truth
    assert truth.link_v * truth.pack_a == pytest.approx(load_w, rel=1e-6)
    assert truth.link_v == pytest.approx(600.0 - 0.12 * truth.pack_a, abs=1e-3)
    assert truth.load_w == pytest.approx(load_w, rel=1e-9)


def test_regeneration_meets_the_resistance_for_charging(make_plant: MakePlant) -> None:
    plant = make_plant(
        cell={**CELL_600_V, "r0_charge_ohm": [0.03] * 2}, environment={"load_s": [0.0], "load_w": [-100e3]}
    )
    plant.controls.contactors = MAIN
    plant.step()
    plant.heard.ready_to_drive, plant.heard.charge_limit_a = 1, 1000.0
    plant.run(0.1)
    assert plant.truth.link_v == pytest.approx(600.0 - 0.36 * plant.truth.pack_a, abs=1e-3)
    assert plant.truth.link_v * plant.truth.pack_a == pytest.approx(-100e3, rel=1e-6)
    assert plant.truth.pack_v == pytest.approx(plant.volts().sum(), abs=1e-3)


def test_more_than_the_pack_can_give_is_the_point_of_greatest_power(make_plant: MakePlant) -> None:
    plant = driving(make_plant, 2e6)
    plant.heard.discharge_limit_a = 1e9
    plant.run(0.02)
    assert plant.truth.pack_a == pytest.approx(600.0 / (2 * 0.12), rel=1e-3)  # half the voltage is lost inside


@pytest.mark.parametrize(("load_w", "current_a"), [(240e3, 150.0), (-150e3, -90.0)])
def test_the_vehicle_keeps_to_the_limits_it_heard(make_plant: MakePlant, load_w: float, current_a: float) -> None:
    plant = driving(make_plant, load_w)
    plant.heard.discharge_limit_a, plant.heard.charge_limit_a = 150.0, 90.0
    plant.run(0.1)
    assert plant.truth.pack_a == pytest.approx(current_a, abs=1e-4)


def test_a_new_limit_is_followed_with_the_lag(make_plant: MakePlant) -> None:
    plant = driving(make_plant, 240e3, limit_lag_s=0.2)
    plant.heard.discharge_limit_a = 300.0
    plant.run(5.0)
    plant.heard.discharge_limit_a = 100.0
    plant.run(0.2)
    assert plant.truth.pack_a == pytest.approx(100.0 + 200.0 * math.exp(-1.0), abs=0.01)


def test_limits_that_grow_old_count_as_zero(make_plant: MakePlant) -> None:
    plant = driving(make_plant, 100e3, limit_timeout_s=0.5)
    plant.heard.limits_ns = plant.now_ns
    plant.run(0.45)
    assert plant.truth.pack_a > 150.0
    plant.run(0.15)
    assert plant.truth.pack_a == pytest.approx(0.0, abs=1e-6)
    plant.heard.limits_ns = NEVER
    plant.run(0.1)
    assert plant.truth.pack_a == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("switch", ["ready_to_drive", "ignition", "load_scale"])
def test_without_leave_ignition_or_load_only_the_auxiliaries_draw(make_plant: MakePlant, switch: str) -> None:
    plant = driving(make_plant, 100e3, auxiliary_w=6e3)
    plant.run(0.1)
    assert plant.truth.load_w == pytest.approx(106e3, rel=1e-6)
    setattr(plant.heard if switch == "ready_to_drive" else plant.controls, switch, 0)
    plant.run(0.1)
    assert plant.truth.load_w == pytest.approx(6e3, rel=1e-6)


def test_auxiliaries_run_on_at_a_discharge_limit_of_zero(make_plant: MakePlant) -> None:
    plant = driving(make_plant, 100e3, auxiliary_w=6e3)
    plant.heard.discharge_limit_a = 0.0
    plant.run(0.1)
    assert plant.truth.load_w == pytest.approx(6e3, rel=1e-3)


def test_the_inverter_stops_below_its_least_link_voltage(make_plant: MakePlant) -> None:
    plant = driving(make_plant, 100e3, load_min_link_v=650.0)
    plant.run(0.1)
    assert plant.truth.pack_a == pytest.approx(0.0, abs=1e-6)


def test_a_link_cut_off_under_load_falls_to_where_the_inverter_stops(make_plant: MakePlant) -> None:
    plant = make_plant(
        cell=CELL_600_V,
        pack={"link_capacitance_f": 2e-3},
        environment={"load_s": [0.0], "load_w": [100e3], "load_min_link_v": 400.0},
    )
    plant.controls.contactors = MAIN
    plant.step(3)
    plant.heard.ready_to_drive = 1
    plant.heard.discharge_limit_a = 1000.0
    plant.run(0.1)
    plant.controls.contactors = 0
    plant.step()
    assert plant.truth.link_v == pytest.approx(400.0, abs=1e-6)  # 1 kJ a tick out of 360 J


def test_the_profile_is_read_between_its_points_and_repeats(make_plant: MakePlant) -> None:
    plant = driving(make_plant, 0.0, load_s=[0.0, 1.0, 2.0], load_w=[0.0, 100e3, 0.0])
    plant.lib.bh_plant_set_load_time(plant.plant, 0.5)
    plant.step()
    assert plant.truth.load_w == pytest.approx(50e3, rel=1e-6)
    plant.lib.bh_plant_set_load_time(plant.plant, 3.75)  # 1.75 in the second round
    plant.step()
    assert plant.truth.load_w == pytest.approx(25e3, rel=1e-6)
    plant.run(2.0)
    assert plant.truth.load_w == pytest.approx(25e3, rel=1e-6)


def test_the_charger_holds_its_current_until_the_voltage_is_reached_then_the_voltage(make_plant: MakePlant) -> None:
    plant = charging(make_plant, cell={"ocv_v": [50.0, 60.0]}, charger_max_a=100.0, charger_max_v=680.0)
    plant.step()
    assert plant.truth.pack_a == pytest.approx(-100.0, abs=1e-3)
    constant_current = True
    last_a = 100.0
    for _ in range(60):
        plant.run(30.0)
        truth = plant.truth
        if constant_current and truth.charger_a < 99.999:
            constant_current = False
            # 660 V + 12 cells * 10 V * rise of soc + 12 V of drop = 680 V: the rise is 1/15
            assert truth.soc_mean == pytest.approx(0.5 + 8.0 / 120.0, abs=0.01)
        if constant_current:
            assert truth.link_v < 680.0
        else:
            assert truth.link_v == pytest.approx(680.0, abs=1e-6)
            assert truth.charger_a <= last_a
        last_a = truth.charger_a
    assert not constant_current
    assert plant.truth.charger_a < 30.0


def test_the_charger_rises_with_its_slope_and_keeps_to_the_limits_it_heard(make_plant: MakePlant) -> None:
    plant = charging(make_plant, charger_max_a=100.0, charger_max_v=1000.0, charger_slope_a_per_s=20.0)
    plant.run(1.0)
    assert plant.truth.charger_a == pytest.approx(20.0, abs=1e-6)
    plant.heard.charge_limit_a = 35.0
    plant.run(3.0)
    assert plant.truth.charger_a == pytest.approx(35.0, abs=1e-6)
    plant.heard.charge_voltage_limit_v = 602.4  # 20 A behind 0.12 ohm
    plant.step()
    assert plant.truth.charger_a == pytest.approx(20.0, abs=1e-3)


@pytest.mark.parametrize("switch", ["ready_to_charge", "plug", "contactors"])
def test_the_charger_needs_leave_plug_and_contactors(make_plant: MakePlant, switch: str) -> None:
    plant = charging(make_plant, charger_max_a=50.0)
    plant.run(0.1)
    assert plant.truth.charger_a == pytest.approx(50.0, abs=1e-6)
    setattr(plant.heard if switch == "ready_to_charge" else plant.controls, switch, 0)
    plant.step()
    assert plant.truth.charger_a == 0.0
    assert plant.truth.pack_a == pytest.approx(0.0, abs=1e-6)


def test_auxiliaries_are_fed_by_the_charger(make_plant: MakePlant) -> None:
    plant = charging(make_plant, charger_max_a=50.0, auxiliary_w=6e3)
    plant.run(0.1)
    truth = plant.truth
    assert -truth.pack_a == pytest.approx(50.0 - 6e3 / truth.link_v, abs=1e-6)


def test_a_reversed_charger_takes_the_current_it_should_give(make_plant: MakePlant) -> None:
    plant = charging(make_plant, charger_max_a=80.0)
    plant.run(0.1)
    assert plant.truth.pack_a == pytest.approx(-80.0)
    plant.distortion.charger_reversed = 1
    plant.run(0.1)
    assert (plant.truth.pack_a, plant.truth.charger_a) == pytest.approx((80.0, -80.0))
    assert plant.effect("CHARGER_REVERSED") == pytest.approx(160.0 * 1e3)


def test_a_charger_that_ignores_limits_goes_on_at_its_own(make_plant: MakePlant) -> None:
    plant = charging(make_plant, charger_max_a=80.0, charger_max_v=700.0)
    plant.heard.charge_limit_a = 20.0
    plant.run(0.1)
    plant.distortion.charger_ignores_limits = 1
    plant.heard.ready_to_charge = 0
    plant.heard.charge_limit_a = 0.0
    plant.run(0.1)
    assert plant.truth.charger_a == pytest.approx(80.0, abs=1e-6)
    assert plant.effect("CHARGER_IGNORES_LIMITS") == pytest.approx(80e3, rel=1e-3)


def test_charger_overvoltage_lifts_the_voltage_it_regulates_to(make_plant: MakePlant) -> None:
    plant = charging(make_plant, charger_max_a=1e4, charger_max_v=606.0)
    plant.run(0.1)
    assert plant.truth.link_v == pytest.approx(606.0, abs=1e-6)
    plant.distortion.charger_overvoltage_v = 12.0
    plant.run(0.1)
    assert plant.truth.link_v == pytest.approx(618.0, abs=1e-6)
    assert plant.effect("CHARGER_OVERVOLTAGE_V") == pytest.approx(12.0 / 0.12 * 1e3, rel=1e-2)


# ---- overhead line ---------------------------------------------------------------------------------------------------

LINE = {"load_s": [0.0, 1e6], "load_w": [50e3] * 2, "line_v": [600.0] * 2, "line_w": [200e3] * 2}
WINDOW = {"line_min_v": 400.0, "line_max_v": 720.0}


def under_the_wire(make_plant: MakePlant) -> Any:
    plant = driving(make_plant, 0.0, **LINE, **WINDOW)
    plant.run(0.1)
    return plant


def test_the_line_carries_the_drive_and_charges_the_pack_with_the_rest(make_plant: MakePlant) -> None:
    plant = under_the_wire(make_plant)
    assert plant.truth.link_v * plant.truth.pack_a == pytest.approx(50e3 - 200e3, rel=1e-6)
    assert plant.truth.line_v == 600.0


@pytest.mark.parametrize(("line_v", "taken_w"), [(0.0, 0.0), (399.0, 0.0), (400.0, 2e5), (720.0, 2e5), (721.0, 0.0)])
def test_nothing_is_taken_from_a_line_outside_its_window(make_plant: MakePlant, line_v: float, taken_w: float) -> None:
    plant = under_the_wire(make_plant)
    plant.distortion.line_v = line_v
    plant.run(0.1)
    assert plant.truth.link_v * plant.truth.pack_a == pytest.approx(50e3 - taken_w, rel=1e-6)
    assert plant.truth.line_v == line_v


def test_a_pole_drop_is_a_step_of_the_pack_current_and_fired(make_plant: MakePlant) -> None:
    plant = under_the_wire(make_plant)
    assert plant.effect("LINE_V") == 0.0
    plant.distortion.line_v = 0.0
    plant.step()
    without_a, with_a = -150e3 / 617.0, 50e3 / 590.0  # about: power over the link voltage
    assert plant.effect("LINE_V") == pytest.approx(max(600e3, 1e3 * (with_a - without_a)), rel=0.05)


def test_poles_off_the_line_are_dead_whatever_its_voltage_and_the_drive_is_the_packs(make_plant: MakePlant) -> None:
    plant = under_the_wire(make_plant)
    assert plant.truth.pole_on == 1
    plant.distortion.pole_off = 1
    plant.distortion.line_v = 650.0
    plant.run(0.1)
    assert (plant.truth.line_v, plant.truth.pole_on) == (0.0, 0)
    assert plant.truth.link_v * plant.truth.pack_a == pytest.approx(50e3, rel=1e-6)
    assert plant.effect("POLE_OFF") == pytest.approx(600e3, rel=0.05)


def test_a_dead_line_is_one_the_poles_are_on(make_plant: MakePlant) -> None:
    plant = under_the_wire(make_plant)
    plant.distortion.line_v = 0.0
    plant.run(0.1)
    assert (plant.truth.line_v, plant.truth.pole_on) == (0.0, 1)


def test_fed_poles_have_the_voltage_of_the_link_and_give_no_power(make_plant: MakePlant) -> None:
    plant = under_the_wire(make_plant)
    plant.distortion.pole_fed = 1
    plant.run(0.1)
    assert plant.truth.line_v == max(600.0, plant.truth.link_v)  # the higher of the two
    plant.distortion.pole_off = 1
    plant.run(0.1)
    assert plant.truth.line_v == plant.truth.link_v
    assert plant.truth.link_v * plant.truth.pack_a == pytest.approx(50e3, rel=1e-6)
    assert plant.effect("POLE_FED") == pytest.approx(1e3 * plant.truth.link_v, rel=1e-6)


def test_without_a_line_a_fault_of_it_does_not_fire(make_plant: MakePlant) -> None:
    plant = driving(make_plant, 50e3)
    plant.distortion.line_v = 600.0
    plant.run(0.1)
    assert plant.truth.line_v == 0.0
    assert plant.effect("LINE_V") == 0.0
