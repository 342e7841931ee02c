# SPDX-License-Identifier: Apache-2.0
"""Stimuli written for the bus pack keep their meaning on another pack."""

from __future__ import annotations

import pytest

from harness.faults.catalogue import CATALOGUE
from harness.faults.check import Bounds, Value, resolve
from harness.faults.model import NEEDS
from harness.faults.scale import REFERENCE, Scale, cell_voltage, current, power, scaled, scaled_distance
from harness.rig import find_rig, load_rig
from harness.rig.compose import scale_of
from harness.search.samples import samples_of

LTO = Scale(1.50, 2.80, 578.2, 500.0, 400.0, 120.0, 3000.0)


def test_the_shipped_bus_is_the_reference() -> None:
    assert scale_of(load_rig(find_rig("ebus-lfp"))) == REFERENCE


@pytest.mark.parametrize(("bus_v", "lto_v"), [(2.50, 1.50), (3.75, 2.80), (3.125, 2.15), (0.0, 0.0)])
def test_a_cell_voltage_keeps_its_place_between_the_trips(bus_v: float, lto_v: float) -> None:
    assert cell_voltage(LTO, bus_v) == pytest.approx(lto_v)


def test_a_current_keeps_its_share_of_the_limit_of_its_direction() -> None:
    assert (current(LTO, 400.0), current(LTO, -270.0)) == (500.0, -400.0)


def test_a_power_goes_with_current_and_voltage() -> None:
    assert power(LTO, 633.5 * 400.0) == pytest.approx(578.2 * 500.0)
    into = scaled(LTO, "regeneration-unlimited", {"power_w": 633.5 * 270.0})["power_w"]
    assert into == pytest.approx(578.2 * 400.0)


def test_a_larger_pack_is_driven_no_further_than_the_fault_goes() -> None:
    tram = Scale(1.50, 2.80, 667.2, 1000.0, 800.0, 120.0, 3000.0)
    assert scaled(tram, "current-sensor-set", {"current_a": -3000.0}) == {"current_a": -3000.0}
    assert scaled(tram, "load-power", {"power_w": 800e3}) == {"power_w": 2e6}
    assert scaled(tram, "regeneration-unlimited", {"power_w": 900e3}) == {"power_w": 1e6}


def test_what_has_no_size_stays_as_it_is() -> None:
    plain: dict[str, Value] = {"message": "vehicle", "delay_s": 0.1, "cell": "all"}
    assert scaled(LTO, "message-late", plain) == plain


def test_on_the_reference_nothing_changes() -> None:
    for kind in CATALOGUE:
        assert [scaled(REFERENCE, kind.kind, sample) for sample in samples_of(kind)] == [*map(dict, samples_of(kind))]


def test_a_distance_scales_like_the_values_it_is_between() -> None:
    assert scaled_distance(LTO, "cell-voltage", "voltage_v", 1.25) == pytest.approx(1.30)
    assert scaled_distance(LTO, "current-sensor-set", "current_a", 160.0) == pytest.approx(200.0)
    assert scaled_distance(LTO, "insulation-drop", "resistance_ohm", 25e3) == 25e3


def test_scaled_samples_are_legal() -> None:
    bounds = Bounds(n_cells=12, n_temps=3, scale=LTO, features=frozenset(NEEDS))
    wrong = {}
    for kind in CATALOGUE:
        for sample in samples_of(kind):
            values = {name: 1 if str(value).startswith("@") else value for name, value in sample.items()}
            outcome = resolve(kind, scaled(LTO, kind.kind, values), bounds)
            if isinstance(outcome, list) and not any("rest-bus" in str(p) or "message" in str(p) for p in outcome):
                wrong[kind.kind] = [str(problem) for problem in outcome]
    unknown_messages = {name for name, texts in wrong.items() if all("this rig has none" in text for text in texts)}
    assert set(wrong) - unknown_messages == set()
