# SPDX-License-Identifier: Apache-2.0
"""Cells: circuit, charge, hysteresis, own currents, faults on single cells. Expected values are worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MakePlant = Callable[..., Any]
TWO_PAIRS = {"r1_ratio": 0.5, "r2_ratio": 0.8}
SLOPED = {"ocv_v": [3.0, 4.0]}  # 10 mV a percent


def drop_v(current_a: float, t_s: float) -> float:
    """Closed form of R0 = 1 mohm, R1 = 0.5 mohm with 2 s, R2 = 0.8 mohm with 50 s, a step at 0."""
    return current_a * (1e-3 + 0.5e-3 * (1 - math.exp(-t_s / 2.0)) + 0.8e-3 * (1 - math.exp(-t_s / 50.0)))


@pytest.mark.parametrize("current_a", [100.0, -100.0])
@pytest.mark.parametrize("t_s", [0.01, 0.5, 2.0, 60.0])
def test_a_current_step_gives_the_closed_form_of_two_rc_pairs(
    make_plant: MakePlant, current_a: float, t_s: float
) -> None:
    plant = make_plant(cell=TWO_PAIRS)
    plant.draw(current_a)
    plant.run(t_s)
    assert plant.truth.pack_a == pytest.approx(current_a, abs=1e-6)
    assert plant.volts() == pytest.approx(3.0 - drop_v(current_a, t_s), abs=2e-6)


def test_after_the_current_ends_only_the_rc_pairs_are_left_and_decay(make_plant: MakePlant) -> None:
    plant = make_plant(cell=TWO_PAIRS)
    plant.draw(100.0)
    plant.run(10.0)
    plant.draw(0.0)
    plant.run(3.0)
    left = 100.0 * (
        0.5e-3 * (1 - math.exp(-10 / 2.0)) * math.exp(-3 / 2.0)
        + 0.8e-3 * (1 - math.exp(-10 / 50.0)) * math.exp(-3 / 50.0)
    )
    assert plant.volts() == pytest.approx(3.0 - left, abs=2e-6)


def test_the_step_size_does_not_change_the_answer(make_plant: MakePlant) -> None:
    fine, coarse = (make_plant(cell=TWO_PAIRS, tick_us=tick_us) for tick_us in (1_000, 100_000))
    for plant in (fine, coarse):
        plant.draw(50.0)
        plant.run(4.0)
    assert fine.volts() == pytest.approx(coarse.volts(), abs=2e-6)


@pytest.mark.parametrize(("current_a", "soc"), [(100.0, 0.4), (-100.0, 0.6)])
def test_charge_is_conserved(make_plant: MakePlant, current_a: float, soc: float) -> None:
    plant = make_plant(cell=SLOPED)
    plant.draw(current_a)
    plant.run(360.0)  # 10 Ah of 100 Ah
    assert plant.truth.soc_mean == pytest.approx(soc, abs=1e-9)
    assert plant.truth.soc_min == pytest.approx(soc, abs=1e-6)
    assert plant.truth.soc_max == pytest.approx(soc, abs=1e-6)


def test_a_smaller_cell_empties_faster(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"capacity_ah": [50.0] + [100.0] * 11})
    plant.draw(100.0)
    plant.run(360.0)
    assert plant.truth.soc_min == pytest.approx(0.3, abs=1e-5)
    assert plant.truth.soc_max == pytest.approx(0.4, abs=1e-5)
    assert plant.truth.soc_mean == pytest.approx(0.4 - 0.1 / 12, abs=1e-9)


def test_open_circuit_voltage_follows_the_charge_in_every_tick_between_look_ups(make_plant: MakePlant) -> None:
    plant = make_plant(cell=SLOPED, pack={"n_cells": 61})
    plant.draw(100.0)
    for tick in range(1, 40):
        plant.step()
        assert plant.volts() == pytest.approx(3.5 - 0.1 - 1.0 * 100.0 * tick * 0.01 / 360_000.0, abs=1e-6)


def test_beyond_the_table_the_voltage_goes_on_along_its_last_slope(make_plant: MakePlant) -> None:
    plant = make_plant(cell=SLOPED, pack={"soc": 1.0})
    plant.draw(-100.0)
    plant.run(36.0)  # 1 Ah: 101 %
    assert plant.volts() == pytest.approx(4.01 + 0.1, abs=1e-5)


@pytest.mark.parametrize(("current_a", "sign"), [(100.0, -1.0), (-100.0, 1.0)])
def test_hysteresis_moves_towards_the_branch_of_the_current(
    make_plant: MakePlant, current_a: float, sign: float
) -> None:
    plant = make_plant(cell={"hysteresis_v": [0.02, 0.02], "hysteresis_soc": 0.05})
    plant.draw(current_a)
    plant.run(180.0)  # 5 % of the capacity: 63 % of the way
    plant.draw(0.0)
    plant.run(1.0)
    assert plant.volts() == pytest.approx(3.0 + sign * 0.02 * (1 - math.exp(-1.0)), abs=1e-5)


def test_hysteresis_stays_at_rest(make_plant: MakePlant) -> None:
    plant = make_plant(cell={"hysteresis_v": [0.02, 0.02]})
    plant.draw(100.0)
    plant.run(600.0)
    plant.draw(0.0)
    plant.run(1.0)
    before = plant.volts()
    plant.run(600.0)
    assert plant.volts().tolist() == before.tolist()


def test_resistance_is_read_between_soc_and_temperature_points_and_by_direction(make_plant: MakePlant) -> None:
    cell = {
        "temp_degc": [0.0, 20.0],
        "r0_discharge_ohm": [4e-3, 2e-3, 2e-3, 1e-3],
        "r0_charge_ohm": [8e-3, 4e-3, 4e-3, 2e-3],
    }
    for current_a, r_ohm in ((10.0, 2.25e-3), (-10.0, 4.5e-3)):  # half way in both directions
        plant = make_plant(cell=cell, pack={"temp_degc": 10.0})
        plant.draw(current_a)
        plant.step()
        assert plant.volts() == pytest.approx(3.0 - current_a * r_ohm, abs=1e-6)


def test_pack_voltage_is_the_sum_of_the_cells_less_the_last_joint(make_plant: MakePlant) -> None:
    plant = make_plant(cell=TWO_PAIRS | SLOPED, pack={"n_cells": 193, "joint_ohm": 1e-4, "soc": 0.3})
    plant.draw(120.0)
    plant.run(7.77)
    assert plant.truth.pack_v == pytest.approx(plant.volts().sum() - 120.0 * 1e-4, abs=2e-4)


def test_extremes_name_the_cell_counting_from_one(make_plant: MakePlant) -> None:
    soc = [0.5] * 30
    soc[16], soc[29] = 0.6, 0.4
    plant = make_plant(cell=SLOPED, pack={"n_cells": 30, "soc": soc})
    plant.step()
    truth = plant.truth
    assert (truth.cell_v_max_index, truth.cell_v_min_index) == (17, 30)
    assert (truth.cell_v_max, truth.cell_v_min) == pytest.approx((3.6, 3.4), abs=1e-6)


def test_a_bleed_resistor_takes_its_charge_from_its_cell_only(make_plant: MakePlant) -> None:
    plant = make_plant(cell={"ocv_v": [3.0, 3.0]})
    plant.balancing[3] = 1
    plant.run(3600.0)  # 3 V / 30 ohm = 0.1 A
    plant.balancing[3] = 0
    plant.run(1.0)
    assert plant.truth.soc_min == pytest.approx(0.5 - 0.1 / 100.0, abs=1e-6)
    assert plant.truth.soc_max == pytest.approx(0.5, abs=1e-9)


def test_an_internal_short_loads_its_cell_at_once_and_empties_it(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.bend("cell_leak_siemens", 5, 10.0)  # 0.1 ohm
    plant.step()
    current_a = 3.0 / 0.101
    expected = np.full(12, 3.0)
    expected[5] = 3.0 - current_a * 1e-3
    assert plant.volts() == pytest.approx(expected, abs=1e-5)
    plant.run(360.0)
    assert plant.truth.soc_min == pytest.approx(0.5 - current_a * 0.1 / 100.0, abs=1e-4)


@pytest.mark.parametrize("current_a", [100.0, -100.0])
def test_a_shorted_cell_under_load_is_the_divider_of_its_resistance_and_the_short(
    make_plant: MakePlant, current_a: float
) -> None:
    plant = make_plant()
    plant.draw(current_a)
    plant.bend("cell_leak_siemens", 5, 1000.0)  # 1 mohm against 1 mohm inside
    plant.step()
    plant.step()
    assert plant.volts()[5] == pytest.approx((3.0 - current_a * 1e-3) / 2.0, abs=1e-5)
    assert plant.truth.pack_v == pytest.approx(plant.volts().sum(), abs=1e-4)


@pytest.mark.parametrize("cell", [0, 50, 95])
def test_faults_on_a_cell_come_and_go_within_one_tick_wherever_it_is(make_plant: MakePlant, cell: int) -> None:
    plant = make_plant(pack={"n_cells": 96})
    plant.run(0.07)
    plant.bend("cell_hold_v", cell, 3.75)
    plant.step()
    assert plant.volts()[cell] == pytest.approx(3.75, abs=1e-6)
    plant.straighten()
    plant.step()
    assert plant.volts() == pytest.approx(3.0, abs=1e-6)
    assert plant.truth.pack_v == pytest.approx(3.0 * 96, abs=1e-4)


def test_a_held_voltage_is_exact_seen_by_the_pack_and_gone_with_the_fault(make_plant: MakePlant) -> None:
    plant = make_plant(cell=TWO_PAIRS, pack={"joint_ohm": 1e-4})
    plant.draw(100.0)
    plant.run(1.0)
    plant.bend("cell_hold_v", 7, 3.75)
    plant.step()
    assert plant.volts()[7] == pytest.approx(3.75, abs=1e-6)
    assert plant.truth.pack_v == pytest.approx(11 * plant.volts()[6] + 3.75 - 100.0 * 1e-4, abs=1e-4)
    plant.straighten()
    plant.draw(100.0)
    plant.step()
    assert plant.volts()[7] == pytest.approx(plant.volts()[6], abs=1e-6)


def test_resistance_growth_scales_the_whole_drop_of_its_cell(make_plant: MakePlant) -> None:
    plant = make_plant(cell=TWO_PAIRS)
    plant.draw(100.0)
    plant.bend("cell_r_factor", 0, 3.0)
    plant.run(1.0)
    assert plant.volts()[0] == pytest.approx(3.0 - 3.0 * drop_v(100.0, 1.0), abs=5e-6)
    assert plant.volts()[1] == pytest.approx(3.0 - drop_v(100.0, 1.0), abs=5e-6)


def test_a_loose_joint_is_seen_by_its_sense_wires(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.draw(100.0)
    plant.bend("joint_extra_ohm", 11, 2e-3)
    plant.step()
    assert plant.volts()[11] == pytest.approx(3.0 - 100.0 * 3e-3, abs=1e-6)
    assert plant.volts()[10] == pytest.approx(3.0 - 100.0 * 1e-3, abs=1e-6)


def test_capacity_loss_keeps_the_state_of_charge_and_makes_it_fall_faster(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.draw(100.0)
    plant.run(36.0)  # all cells: 49 %
    plant.bend("cell_capacity_factor", 4, 0.5)
    plant.run(36.0)
    assert plant.truth.soc_max == pytest.approx(0.48, abs=1e-5)
    assert plant.truth.soc_min == pytest.approx(0.47, abs=1e-4)


def test_setting_the_state_of_charge_keeps_the_spread_and_rests_the_cells(make_plant: MakePlant) -> None:
    plant = make_plant(cell=TWO_PAIRS | SLOPED, pack={"soc": [0.45] + [0.5] * 10 + [0.55]})
    plant.draw(100.0)
    plant.run(100.0)
    plant.lib.bh_plant_set_soc(plant.plant, 0.8)
    assert plant.truth.soc_mean == pytest.approx(0.8, abs=1e-9)
    assert plant.volts()[[0, 5, 11]] == pytest.approx([3.75, 3.8, 3.85], abs=1e-5)


def test_equal_inputs_give_equal_bytes(make_plant: MakePlant) -> None:
    plants = [make_plant(cell=TWO_PAIRS | SLOPED, pack={"n_cells": 50}) for _ in range(2)]
    for plant in plants:
        plant.draw(77.0)
        plant.bend("cell_leak_siemens", 9, 0.3)
        plant.run(5.0)
    first, second = plants
    assert first.volts().tobytes() == second.volts().tobytes()
    assert first.degc().tobytes() == second.degc().tobytes()
    assert first.truth.pack_v == second.truth.pack_v


def test_going_back_to_a_checkpoint_repeats_every_byte(make_plant: MakePlant) -> None:
    plant = make_plant(cell=TWO_PAIRS | SLOPED)
    plant.draw(77.0)
    plant.run(3.0)
    checkpoint, now_ns = plant.snapshot(), plant.now_ns
    plant.run(3.0)
    first = plant.snapshot()
    plant.restore(checkpoint)
    plant.now_ns = now_ns
    plant.run(3.0)
    assert plant.snapshot() == first
    assert first != checkpoint
