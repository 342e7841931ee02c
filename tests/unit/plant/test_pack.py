# SPDX-License-Identifier: Apache-2.0
"""Contactors, precharge, fuse, link, insulation. 12 cells of 50 V make a 600 V pack where the voltage matters."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

MakePlant = Callable[..., Any]
POSITIVE, NEGATIVE, PRECHARGE = 1, 2, 4
STIFF_600_V = {"ocv_v": [50.0, 50.0], "r0_discharge_ohm": [1e-9] * 2, "r0_charge_ohm": [1e-9] * 2}
SOFT_600_V = {"ocv_v": [50.0, 50.0], "r0_discharge_ohm": [0.01] * 2, "r0_charge_ohm": [0.01] * 2}
LINK_2_MF = {"link_capacitance_f": 2e-3}


def precharge(plant: Any, seconds: float) -> None:
    plant.controls.contactors = NEGATIVE | PRECHARGE
    plant.run(seconds)


@pytest.mark.parametrize("tick_us", [1_000, 10_000, 20_000])
def test_precharge_of_2_mf_through_50_ohm_reaches_95_percent_in_300_ms(make_plant: MakePlant, tick_us: int) -> None:
    plant = make_plant(cell=STIFF_600_V, pack=LINK_2_MF, tick_us=tick_us)
    precharge(plant, 0.30)
    assert plant.truth.link_v == pytest.approx(600.0 * (1 - math.exp(-3.0)), abs=1e-3)  # 95.02 %
    precharge(plant, 0.34)
    assert 600.0 - plant.truth.link_v == pytest.approx(600.0 * math.exp(-6.4), abs=1e-3)  # 0.997 V
    assert 600.0 - plant.truth.link_v < 1.0


def test_precharge_starts_at_12_a_and_takes_the_charge_of_the_capacitor(make_plant: MakePlant) -> None:
    plant = make_plant(cell=STIFF_600_V, pack=LINK_2_MF)
    precharge(plant, 0.01)
    assert plant.truth.peak_a == pytest.approx(12.0, abs=1e-3)
    precharge(plant, 1.99)
    taken_c = (0.5 - plant.truth.soc_mean) * 100.0 * 3600.0
    assert taken_c == pytest.approx(2e-3 * 600.0, abs=1e-3)


def test_an_open_precharge_resistor_leaves_the_link_empty(make_plant: MakePlant) -> None:
    plant = make_plant(cell=STIFF_600_V, pack=LINK_2_MF)
    plant.distortion.precharge_ohm = 1e12
    precharge(plant, 3.0)
    assert plant.truth.link_v == pytest.approx(0.0, abs=1e-3)


def test_closing_without_precharge_gives_an_inrush_that_only_the_pack_resistance_limits(make_plant: MakePlant) -> None:
    plant = make_plant(cell=SOFT_600_V, pack=LINK_2_MF)
    plant.controls.contactors = POSITIVE | NEGATIVE
    plant.step()
    assert plant.truth.peak_a == pytest.approx(600.0 / 0.12, rel=1e-3)
    plant.step(3)
    assert plant.truth.link_v == pytest.approx(600.0, abs=0.1)
    assert plant.truth.peak_a < 10.0


def test_with_closed_contactors_the_link_is_the_pack(make_plant: MakePlant) -> None:
    plant = make_plant(cell=SOFT_600_V, pack=LINK_2_MF)
    precharge(plant, 1.0)
    plant.draw(300.0)
    plant.run(1.0)
    assert plant.truth.link_v == pytest.approx(600.0 - 300.0 * 0.12, abs=1e-2)
    assert plant.truth.link_v == pytest.approx(plant.truth.pack_v, abs=1e-9)


@pytest.mark.parametrize("contactors", [POSITIVE, NEGATIVE, PRECHARGE, POSITIVE | PRECHARGE])
def test_one_open_pole_is_enough_to_cut_the_current(make_plant: MakePlant, contactors: int) -> None:
    plant = make_plant(cell=SOFT_600_V, pack=LINK_2_MF)
    precharge(plant, 1.0)
    plant.draw(300.0)
    plant.run(0.5)
    plant.controls.contactors = contactors
    plant.step()
    assert plant.truth.pack_a == 0.0


def test_the_bleed_resistor_empties_an_open_link(make_plant: MakePlant) -> None:
    plant = make_plant(cell=STIFF_600_V, pack={**LINK_2_MF, "link_bleed_ohm": 50_000.0})
    precharge(plant, 2.0)
    full_v = plant.truth.link_v
    plant.controls.contactors = 0
    plant.run(100.0)  # one time constant
    assert plant.truth.link_v == pytest.approx(full_v * math.exp(-1.0), rel=1e-6)


def test_contactors_take_their_time_and_auxiliary_contacts_follow(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"contactor_close_s": 0.03, "contactor_open_s": 0.02})
    plant.controls.contactors = NEGATIVE
    closed = []
    for _ in range(5):
        plant.step()
        assert plant.truth.aux == plant.truth.closed
        closed.append(plant.truth.closed)
    assert closed == [0, 0, 0, NEGATIVE, NEGATIVE]
    plant.controls.contactors = 0
    opened = []
    for _ in range(4):
        plant.step()
        opened.append(plant.truth.closed)
    assert opened == [NEGATIVE, NEGATIVE, 0, 0]


def test_a_command_shorter_than_the_closing_time_moves_nothing(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"contactor_close_s": 0.03})
    for commands in (POSITIVE, 0, POSITIVE, 0):
        plant.controls.contactors = commands
        plant.step(2)
        assert plant.truth.closed == 0


def test_a_welded_contactor_stays_closed_and_its_auxiliary_contact_says_so(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.draw(100.0)
    plant.step()
    plant.distortion.welded[0] = 1
    assert plant.effect("CONTACTOR_WELDED", 0) == 0.0
    plant.controls.contactors = 0
    plant.step()
    assert plant.truth.closed == POSITIVE
    assert plant.truth.aux == POSITIVE
    assert plant.truth.pack_a == 0.0
    assert plant.effect("CONTACTOR_WELDED", 0) == 1.0
    assert plant.effect("CONTACTOR_WELDED", 1) == 0.0


def test_two_welded_contactors_keep_the_current_flowing(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.draw(100.0)
    plant.distortion.welded[0] = plant.distortion.welded[1] = 1
    plant.controls.contactors = 0
    plant.run(1.0)
    assert plant.truth.pack_a == pytest.approx(100.0, abs=1e-6)


def test_a_stuck_contactor_does_not_close(make_plant: MakePlant) -> None:
    plant = make_plant()
    plant.distortion.stuck_open[1] = 1
    plant.controls.contactors = POSITIVE | NEGATIVE
    plant.step()
    assert plant.truth.closed == POSITIVE
    assert plant.effect("CONTACTOR_STUCK_OPEN", 1) == 1.0
    assert plant.effect("CONTACTOR_STUCK_OPEN", 0) == 0.0


def test_a_slow_contactor_has_an_effect_only_while_it_is_late(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"contactor_open_s": 0.02})
    plant.draw(1.0)
    plant.distortion.extra_open_s[0] = 0.05
    assert plant.effect("CONTACTOR_EXTRA_OPEN_S", 0) == 0.0
    plant.controls.contactors = 0
    closed, effects = [], []
    for _ in range(9):
        plant.step()
        closed.append(plant.truth.closed & POSITIVE)
        effects.append(plant.effect("CONTACTOR_EXTRA_OPEN_S", 0))
    assert closed == [1] * 7 + [0] * 2
    assert effects == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.0, 0.0]


def test_the_fuse_blows_when_its_i2t_above_the_rating_is_spent_and_stays_open(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"fuse_rated_a": 400.0, "fuse_i2t_a2s": 90_000.0})
    plant.draw(500.0)  # 500^2 - 400^2 = 90000 A^2: one second
    plant.run(0.98)
    assert plant.truth.fuse_open == 0
    plant.run(0.05)
    assert plant.truth.fuse_open == 1
    assert plant.truth.pack_a == 0.0
    plant.run(10.0)
    assert plant.truth.pack_a == 0.0


def test_the_fuse_carries_its_rating_for_ever(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"fuse_rated_a": 400.0, "fuse_i2t_a2s": 1_000.0})
    plant.draw(399.9)
    plant.run(60.0)
    assert plant.truth.fuse_open == 0


def test_an_open_fuse_cuts_both_paths(make_plant: MakePlant) -> None:
    plant = make_plant(cell=STIFF_600_V, pack=LINK_2_MF)
    plant.distortion.fuse_open = 1
    precharge(plant, 0.1)
    assert (plant.truth.link_v, plant.truth.fuse_open) == (0.0, 1)
    assert plant.effect("FUSE_OPEN") == 1.0


def test_insulation_is_both_poles_in_parallel(make_plant: MakePlant) -> None:
    plant = make_plant(pack={"insulation_positive_ohm": 3e6, "insulation_negative_ohm": 6e6})
    plant.step()
    assert plant.truth.insulation_ohm == pytest.approx(2e6)
    plant.distortion.insulation_negative_ohm = 30e3
    plant.step()
    assert plant.truth.insulation_ohm == pytest.approx(3e6 * 30e3 / 3.03e6)
    assert plant.effect("INSULATION_NEGATIVE_OHM") == pytest.approx(2e6 - 3e6 * 30e3 / 3.03e6)
    assert plant.effect("INSULATION_POSITIVE_OHM") == 0.0
