# SPDX-License-Identifier: Apache-2.0
"""Supervision of the overhead line: what the reference firmware makes of VCU_Line, and that others see none of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Bms, Sender

MakeBms = Callable[..., Bms]
LTO = {"capacity_mah": 100_000, "soc_initial_permille": 550}
CHARGE_A, PERIOD_TICKS = 270.0, 10


class Line:
    """A vehicle under the wire: sends VCU_Line every 100 ms while `sends`."""

    def __init__(self, bms: Bms) -> None:
        self.bms, self.sender = bms, Sender(0x201, 0x22)
        self.volts, self.on, self.sends, self.damaged = 620.0, True, True, False

    def run(self, seconds: float) -> Line:
        for _ in range(round(seconds * 100)):
            if self.bms.ticks % PERIOD_TICKS == 0:
                self._send()
            self.bms.run(0.01)
        return self

    def _send(self) -> None:
        raw = round(self.volts * 10)
        frame = self.sender.payload(bytes([0x10 if self.on else 0, raw & 0xFF, raw >> 8, 0, 0, 0, 0]))
        if self.damaged:
            frame = bytes([frame[0] ^ 1]) + frame[1:]
        if self.sends:
            assert self.bms.receive(self.sender.identifier, frame) == 0

    @property
    def charge_limit_a(self) -> float:
        return float(self.bms.signal("BMS_Limits", "ChargeLimit"))


def driving(make_bms: MakeBms, **parameters: int) -> Line:
    """In drive under a line of 620 V, limits grown."""
    line = Line(make_bms(parameters={**LTO, "line_supervised": 1, **parameters}))
    line.run(0.5)
    line.bms.mode = "drive"
    line.run(3.0)
    assert (line.bms.state, line.charge_limit_a) == ("Drive", CHARGE_A)
    return line


def test_a_pack_without_a_line_says_nothing_of_one_and_misses_none(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.run(2.0)
    assert 0x10A not in {identifier for _, identifier, _ in bms.frames}
    assert bms.active() | bms.active("BMS_Alarms") | bms.active("BMS_Warnings") == set()


@pytest.mark.parametrize(("volts", "contact", "state"), [
    (620.0, "OnTheLine", "Live"),
    (399.0, "OnTheLine", "Dead"),
    (0.0, "OffTheLine", "Off"),
    (721.0, "OnTheLine", "High"),
    (590.0, "OffTheLine", "Fed"),
])  # fmt: skip
def test_the_line_is_told_as_it_was_heard_and_what_it_means(
    make_bms: MakeBms, volts: float, contact: str, state: str
) -> None:
    line = driving(make_bms)
    line.volts, line.on = volts, contact == "OnTheLine"
    line.run(0.25)
    told = line.bms.decode("BMS_Line")
    assert (volts, contact, state) == (float(told["LineVoltage"]), str(told["PoleContact"]), str(told["LineState"]))


def test_before_the_first_word_the_line_is_unknown(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"line_supervised": 1}).boot()
    bms.run(0.2)
    assert (bms.signal("BMS_Line", "LineState"), bms.signal("BMS_Line", "LineVoltage")) == ("Unknown", 6553.5)


def test_a_dropped_pole_and_a_dead_line_open_nothing_and_limit_nothing(make_bms: MakeBms) -> None:
    line = driving(make_bms)
    for volts, on in ((0.0, False), (0.0, True)):
        line.volts, line.on = volts, on
        line.run(8.0)
        assert (line.bms.state, line.bms.active(), line.charge_limit_a) == ("Drive", set(), CHARGE_A)
        assert line.bms.active("BMS_Warnings") == ({"LineDead"} if on else set())


@pytest.mark.parametrize(("volts", "seconds", "message"), [
    (719.9, 5.0, ""),
    (721.0, 1.7, ""),
    (721.0, 2.4, "BMS_Warnings"),
    (799.9, 5.0, "BMS_Warnings"),
    (801.0, 0.45, ""),
    (801.0, 0.75, "BMS_Faults"),
])  # fmt: skip
def test_a_line_too_high_is_warned_of_and_then_left(
    make_bms: MakeBms, volts: float, seconds: float, message: str
) -> None:
    line = driving(make_bms)
    line.volts = volts
    line.run(seconds)
    told = {name for name in ("BMS_Warnings", "BMS_Faults") if "LineVoltage" in line.bms.active(name)}
    assert told == ({message} if message else set())
    assert line.bms.state == ("Fault" if message == "BMS_Faults" else "Drive")


def test_poles_live_off_the_line_open_and_release_five_seconds_after_they_are_dead(make_bms: MakeBms) -> None:
    line = driving(make_bms)
    line.on, line.volts = False, 61.0
    line.run(0.5)
    assert (line.bms.state, line.bms.active()) == ("Fault", {"LineVoltage"})
    line.volts = 0.0
    line.run(4.8)
    assert line.bms.state == "Fault"
    line.run(0.6)
    assert line.bms.state == "Standby"


def test_voltage_that_may_be_touched_is_left_alone(make_bms: MakeBms) -> None:
    line = driving(make_bms)
    line.on, line.volts = False, 59.9
    line.run(3.0)
    assert line.bms.state == "Drive"


@pytest.mark.parametrize("how", ["sends", "damaged"])
def test_without_word_of_the_line_charging_ends_and_driving_goes_on(make_bms: MakeBms, how: str) -> None:
    line = driving(make_bms)
    setattr(line, how, how == "damaged")
    line.run(0.85)
    assert line.charge_limit_a == CHARGE_A
    line.run(0.4)
    assert (line.bms.active("BMS_Alarms"), line.charge_limit_a) == ({"LineMessage"}, 0.0)
    assert (line.bms.state, float(line.bms.signal("BMS_Limits", "DischargeLimit"))) == ("Drive", 400.0)
    setattr(line, how, how == "sends")
    line.run(3.0)
    assert (line.bms.active("BMS_Alarms"), line.charge_limit_a) == (set(), CHARGE_A)


@pytest.mark.parametrize(("soc_permille", "share"), [(840, 1.0), (875, 0.5), (900, 0.0), (950, 0.0)])
def test_a_live_line_leaves_room_for_braking_and_a_dead_one_needs_it(
    make_bms: MakeBms, soc_permille: int, share: float
) -> None:
    line = Line(make_bms(parameters={**LTO, "soc_initial_permille": soc_permille, "line_supervised": 1,
                                     "charge_soc_full_permille": 990}))  # fmt: skip
    line.run(0.5)
    line.bms.mode = "drive"
    line.run(3.0)
    assert line.charge_limit_a == pytest.approx(share * CHARGE_A, abs=0.5)
    line.on, line.volts = False, 0.0
    line.run(2.0)
    assert line.charge_limit_a == CHARGE_A


def test_the_line_is_forgotten_at_a_power_cycle(make_bms: MakeBms, library: tuple[Any, Any], database: Any) -> None:
    line = driving(make_bms)
    again = Bms(*library, database, parameters={"line_supervised": 1}, nvm=line.bms.nvm()).boot()
    assert again.signal("BMS_Line", "LineState") == "Unknown"
