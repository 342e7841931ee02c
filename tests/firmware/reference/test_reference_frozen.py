# SPDX-License-Identifier: Apache-2.0
"""Readings that stand still although the pack works: warned of, never tripped on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MakeBms = Callable[..., Any]
SWING_MA, SWING_MV, CONFIRM_S = 50_000, 15_000, 5.0  # parameters frozen_swing_ma, frozen_swing_mv, frozen_ms
FLAGS = {"CellFrozen", "PackVoltageFrozen", "LinkVoltageFrozen", "CurrentFrozen"}


class Work:
    """A pack at work: current and voltages move in every tick, but for what a test holds."""

    def __init__(self, bms: Any, *, swing_ma: int = 80_000, sag_mv: int = 0) -> None:
        self.bms, self.swing_ma, self.sag_mv = bms, swing_ma, sag_mv
        self.base_uv = bms.cell_uv.copy()
        self.held_cells: dict[int, int] = {}
        self.held: dict[str, int] = {}
        self.tick = 0

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds * 100)):
            self.tick += 1
            up = (self.tick // 50) % 2  # half a second each
            bms = self.bms
            bms.cell_uv[:] = self.base_uv - (self.tick % 7) * 11
            for cell, value in self.held_cells.items():
                bms.cell_uv[cell] = value
            total_mv = int(bms.cell_uv.sum()) // 1000
            jitter = self.tick % 3
            bms.current_ma = self.held.get("current", 10_000 + up * self.swing_ma + jitter)
            bms.pack_mv = self.held.get("pack", total_mv - up * self.sag_mv + jitter)
            bms.link_mv = self.held.get("link", total_mv - up * self.sag_mv - 20 + jitter)
            bms.run(0.01)

    def frozen(self) -> set[str]:
        return set(self.bms.active("BMS_Warnings")) & FLAGS


def at_work(make_bms: MakeBms, **arguments: Any) -> Work:
    parameters = {"plausibility_mv": 200_000, **arguments.pop("parameters", {})}
    return Work(make_bms(parameters=parameters).go("drive"), **arguments)


def test_a_pack_at_work_is_not_frozen(make_bms: MakeBms) -> None:
    work = at_work(make_bms, sag_mv=20_000)
    work.run(12.0)
    assert work.frozen() == set()
    assert work.bms.state == "Drive"


@pytest.mark.parametrize("cell", [0, 5, 11])
def test_a_cell_that_stands_still_is_warned_of_after_the_confirmation_time_and_trips_nothing(
    make_bms: MakeBms, cell: int
) -> None:
    work = at_work(make_bms)
    work.held_cells[cell] = 3_301_000
    work.run(0.6)  # within it the current has swung once
    work.run(CONFIRM_S - 0.7)
    assert work.frozen() == set()
    work.run(1.0)
    assert work.frozen() == {"CellFrozen"}
    assert work.bms.active() == set()
    assert work.bms.state == "Drive"


def test_a_cell_that_moves_by_one_microvolt_is_alive_and_the_warning_goes(make_bms: MakeBms) -> None:
    work = at_work(make_bms)
    work.held_cells[3] = 3_301_000
    work.run(CONFIRM_S + 1.5)
    assert work.frozen() == {"CellFrozen"}
    for _ in range(120):  # one step of the resolution
        work.held_cells[3] += 1
        work.run(0.01)
    assert work.frozen() == set()


def test_a_cell_that_moves_now_and_then_is_never_frozen(make_bms: MakeBms) -> None:
    work = at_work(make_bms)
    for turn in range(5):
        work.held_cells[3] = 3_301_000 + turn
        work.run(CONFIRM_S - 0.2)
        assert work.frozen() == set()


def test_a_reading_that_toggles_within_100_ms_does_not_look_frozen(make_bms: MakeBms) -> None:
    work = at_work(make_bms)
    for turn in range(1000):
        work.held_cells[3] = 3_301_000 + (turn // 5) % 2  # 50 ms each: the same at every 100 ms
        work.run(0.01)
    assert work.frozen() == set()


@pytest.mark.parametrize(("swing_ma", "expected"), [(SWING_MA - 1000, set()), (SWING_MA + 1000, {"CellFrozen"})])
def test_the_current_must_have_ranged_over_more_than_the_limit(
    make_bms: MakeBms, swing_ma: int, expected: set[str]
) -> None:
    work = at_work(make_bms, swing_ma=swing_ma)
    work.held_cells[3] = 3_301_000
    work.run(CONFIRM_S + 2.0)
    assert work.frozen() == expected


def test_a_constant_current_freezes_nothing(make_bms: MakeBms) -> None:
    work = at_work(make_bms, swing_ma=0)
    work.held_cells = dict.fromkeys(range(12), 3_300_000)
    work.held["pack"] = 39_600
    work.run(12.0)
    assert work.frozen() == set()


def test_a_cell_that_is_invalid_is_not_called_frozen(make_bms: MakeBms) -> None:
    work = at_work(make_bms, parameters={"cells_invalid_ms": 60_000})
    work.held_cells[3] = 3_301_000
    work.bms.cell_flags[3] = 0
    work.run(CONFIRM_S + 2.0)
    assert work.frozen() == set()


@pytest.mark.parametrize(("channel", "flag"), [("pack", "PackVoltageFrozen"), ("link", "LinkVoltageFrozen")])
def test_a_pack_or_link_voltage_that_stands_still_is_warned_of(make_bms: MakeBms, channel: str, flag: str) -> None:
    work = at_work(make_bms)
    work.held[channel] = 39_500
    work.run(CONFIRM_S - 0.1)
    assert work.frozen() == set()
    work.run(1.2)
    assert work.frozen() == {flag}
    assert work.bms.state == "Drive"


@pytest.mark.parametrize(("sag_mv", "expected"), [(SWING_MV - 500, set()), (SWING_MV + 500, {"CurrentFrozen"})])
def test_a_current_that_stands_still_while_the_pack_voltage_moves_is_warned_of(
    make_bms: MakeBms, sag_mv: int, expected: set[str]
) -> None:
    work = at_work(make_bms, sag_mv=sag_mv)
    work.held["current"] = 25_000
    work.run(CONFIRM_S + 2.0)
    assert work.frozen() == expected
    assert work.bms.active() == set()


def test_a_constant_charging_current_is_not_frozen(make_bms: MakeBms) -> None:
    work = Work(make_bms(parameters={"plausibility_mv": 200_000}).go("charge"), sag_mv=20_000)
    work.held["current"] = -25_000
    work.run(CONFIRM_S + 2.0)
    assert work.frozen() == set()


def test_in_standby_nothing_is_frozen(make_bms: MakeBms) -> None:
    work = Work(make_bms(parameters={"plausibility_mv": 200_000, "welded_ms": 60_000}).boot())
    work.held_cells[3] = 3_301_000
    work.run(CONFIRM_S + 2.0)
    assert work.frozen() == set()


def test_absurd_readings_do_not_overflow(make_bms: MakeBms) -> None:
    work = at_work(make_bms)
    work.held_cells[3] = 3_301_000
    for current in (2**31 - 1, -(2**31), 2**31 - 1):
        work.held["current"] = current
        work.run(0.02)
