# SPDX-License-Identifier: Apache-2.0
"""Heat: where it comes from and where it goes. Cells of 1000 J/K unless a test says otherwise."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MakePlant = Callable[..., Any]


@pytest.mark.parametrize("current_a", [200.0, -200.0])
def test_losses_heat_an_insulated_cell_at_i_squared_r_over_c(make_plant: MakePlant, current_a: float) -> None:
    plant = make_plant()
    plant.draw(current_a)
    plant.run(100.0)  # 40 W into 1000 J/K
    assert plant.degc() == pytest.approx(25.0 + 40.0 * 100.0 / 1000.0, abs=2e-3)


def test_rc_pairs_turn_into_heat_what_they_take_no_more_and_no_less(make_plant: MakePlant) -> None:
    plant = make_plant(cell={"r1_ratio": 1.0, "r2_ratio": 0.0, "tau1_s": 5.0})
    plant.draw(200.0)
    plant.run(50.0)
    plant.draw(0.0)
    plant.run(100.0)  # the pair gives its stored energy back as heat
    stored_later = 200.0**2 * 1e-3 * (1 - math.exp(-10.0)) * 5.0  # part of I * u1 that was not lost at once
    lost = 200.0**2 * 1e-3 * 50.0 * 2 - stored_later  # I * (R0 I + u1) over 50 s
    assert plant.degc() == pytest.approx(25.0 + lost / 1000.0, abs=5e-3)


def test_reaction_heat_changes_sign_with_the_current(make_plant: MakePlant) -> None:
    cell = {"entropy_v_per_k": [1e-4, 1e-4], "r0_discharge_ohm": [1e-9] * 2, "r0_charge_ohm": [1e-9] * 2}
    for current_a, sign in ((100.0, -1.0), (-100.0, 1.0)):
        plant = make_plant(cell=cell)
        plant.draw(current_a)
        plant.run(10.0)  # I T dU/dT = 100 * 298.15 * 1e-4 = 2.98 W
        assert plant.degc() == pytest.approx(25.0 + sign * 2.9815 * 10 / 1000.0, abs=5e-4)


def test_cooling_decays_towards_the_coolant_with_c_over_k(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"cooling_w_per_k": 10.0, "coolant_degc": 15.0, "temp_degc": 35.0})
    plant.run(100.0)  # one time constant
    assert plant.degc() == pytest.approx(15.0 + 20.0 * math.exp(-1.0), abs=0.01)


def test_without_flow_only_the_ambient_cools(make_plant: MakePlant) -> None:
    pack = {"cooling_w_per_k": 10.0, "ambient_w_per_k": 5.0, "ambient_degc": 0.0, "temp_degc": 20.0}
    plant = make_plant(pack=pack)
    plant.distortion.coolant_flow = 0.0
    plant.run(200.0)
    assert plant.degc() == pytest.approx(20.0 * math.exp(-1.0), abs=0.01)


def test_heat_spreads_to_both_neighbours_alike_and_none_is_lost(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"n_cells": 13, "neighbour_w_per_k": 5.0})
    plant.bend("cell_heat_w", 6, 100.0)
    plant.run(50.0)
    rise_k = plant.degc() - 25.0
    assert rise_k.sum() == pytest.approx(100.0 * 50.0 / 1000.0, abs=1e-3)
    assert rise_k[:6] == pytest.approx(rise_k[:6:-1], abs=1e-5)
    assert np.all(np.diff(rise_k[:7]) > 0.0)
    assert plant.truth.cell_degc_max_index == 7


def test_an_internal_short_heats_its_cell(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.bend("cell_leak_siemens", 2, 10.0)
    plant.run(10.0)
    current_a = 3.0 / 0.101
    heat_w = 3.0 * current_a  # all of it stays inside
    assert plant.degc()[2] == pytest.approx(25.0 + heat_w * 10 / 1000.0, abs=5e-3)
    assert plant.degc()[3] == pytest.approx(25.0, abs=1e-6)


@pytest.mark.parametrize("heat_capacity_j_per_k", [1.0, 1e-3])
def test_a_light_cell_stays_stable_and_ends_at_its_surroundings(
    make_plant: MakePlant, heat_capacity_j_per_k: float
) -> None:
    pack = {"heat_capacity_j_per_k": heat_capacity_j_per_k, "cooling_w_per_k": 5.0, "temp_degc": 60.0}
    plant = make_plant(pack=pack)
    plant.run(0.05)
    falling = plant.degc()
    assert np.all((falling > 25.0) & (falling < 60.0))
    plant.run(10.0)
    assert plant.degc() == pytest.approx(25.0, abs=1e-3)
