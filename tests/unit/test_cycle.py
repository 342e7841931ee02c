# SPDX-License-Identifier: Apache-2.0
"""Driving cycles: SORT comes out as published, and a bus needs the power buses need."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import RigError
from harness.rig.cycle import Cycle, average_km_per_h, legs_of, load_cycle, load_profile
from harness.rig.resources import data_root


@dataclass(frozen=True)
class Bus:
    """A 12 m bus of 18 t."""

    mass_kg: float = 18_000.0
    rolling_coefficient: float = 0.008
    drag_area_m2: float = 5.5
    rotating_mass_factor: float = 1.1
    drive_efficiency: float = 0.85
    regeneration_efficiency: float = 0.65
    max_drive_w: float = 240e3
    max_regeneration_w: float = 150e3


def sort_cycle(number: int) -> Cycle:
    return load_cycle(data_root() / "fixtures" / "cycles" / f"sort-{number}.toml")


@pytest.mark.parametrize(
    ("number", "distance_m", "duration_s", "speed_km_per_h"),
    [(1, 520.0, 154.5, 12.1), (2, 920.0, 183.9, 18.0), (3, 1450.0, 206.2, 25.3)],
)
def test_sort_reproduces_published_distance_duration_and_average_speed(
    number: int, distance_m: float, duration_s: float, speed_km_per_h: float
) -> None:
    cycle = sort_cycle(number)
    legs = legs_of(cycle)
    assert sum(leg.distance_m for leg in legs) == pytest.approx(distance_m, abs=1e-6)
    assert sum(leg.duration_s for leg in legs) == pytest.approx(duration_s, abs=0.05)
    assert average_km_per_h(cycle) == pytest.approx(speed_km_per_h, abs=0.05)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_cycle_begins_and_ends_at_standstill_without_jumps_of_speed(number: int) -> None:
    legs = legs_of(sort_cycle(number))
    assert legs[0].start_m_per_s == 0.0
    assert legs[-1].end_m_per_s == pytest.approx(0.0, abs=1e-9)
    for leg, following in itertools.pairwise(legs):
        assert following.start_m_per_s == pytest.approx(leg.end_m_per_s, abs=1e-9)
        assert following.start_s == pytest.approx(leg.start_s + leg.duration_s, abs=1e-9)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_profile_rises_in_time_from_zero_and_closes_on_itself(number: int) -> None:
    cycle = sort_cycle(number)
    times, powers = load_profile(cycle, Bus())
    assert times[0] == 0.0
    assert np.all(np.diff(times) > 0.0)
    assert times[-1] == pytest.approx(sum(leg.duration_s for leg in legs_of(cycle)))
    assert powers[0] == powers[-1]


@pytest.mark.parametrize("number", [2, 3])
def test_a_12_m_bus_peaks_at_180_to_240_kw_and_gives_back_100_to_150_kw(number: int) -> None:
    _, powers = load_profile(sort_cycle(number), Bus())
    assert 180e3 <= powers.max() <= 240e3
    assert -150e3 <= powers.min() <= -100e3


def test_constant_speed_needs_rolling_and_drag_only() -> None:
    cycle = Cycle.model_validate(
        {
            "title": "cruise",
            "source": ["this test"],
            "deceleration_m_per_s2": 1.0,
            "trapezoid": [{"speed_km_per_h": 36.0, "acceleration_m_per_s2": 1.0, "distance_m": 1100.0, "stop_s": 0.0}],
        }
    )
    times, powers = load_profile(cycle, Bus())
    cruising = powers[(times > 15.0) & (times < 105.0)]
    wheel_w = (18_000.0 * 9.81 * 0.008 + 0.5 * 1.2 * 5.5 * 10.0**2) * 10.0  # 10 m/s
    assert cruising == pytest.approx(wheel_w / 0.85)


def test_limits_of_the_drive_cut_the_peaks() -> None:
    _, powers = load_profile(sort_cycle(3), replace(Bus(), max_drive_w=100e3, max_regeneration_w=0.0))
    assert powers.max() == pytest.approx(100e3)
    assert powers.min() == pytest.approx(0.0)


def test_standstill_needs_nothing() -> None:
    cycle = sort_cycle(1)
    times, powers = load_profile(cycle, Bus())
    assert np.all(powers[times > times[-1] - 19.0] == 0.0)


def test_a_hop_too_short_for_its_speed_is_refused_with_the_distance_it_needs(tmp_path: Path) -> None:
    path = tmp_path / "cycle.toml"
    path.write_text(
        'title = "t"\nsource = ["s"]\ndeceleration_m_per_s2 = 1.0\n'
        "[[trapezoid]]\nspeed_km_per_h = 36\nacceleration_m_per_s2 = 1.0\ndistance_m = 90\nstop_s = 5\n"
    )
    with pytest.raises(RigError, match=r"trapezoid 1 with a distance_m of at least 100\.0, to reach 36 km/h"):
        load_cycle(path)
