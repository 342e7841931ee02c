# SPDX-License-Identifier: Apache-2.0
"""Every protection of the reference firmware: trips after its confirmation and not before, releases, latches.

The numbers are those of the pack specification (limits and confirmation times per protection), not of the source.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

MakeBms = Callable[..., Any]
Apply = Callable[[Any], None]
OPEN_WIRE, POSITIVE, NEGATIVE = 2, 1, 2


@dataclass(frozen=True)
class Protection:
    """One line of the specification: flag, what is past the limit, what is just inside, confirmation, latched."""

    flag: str
    past: Apply
    inside: Apply
    confirm_s: tuple[float, float]
    latched: bool = False
    label: str = ""
    release_s: float = 6.0


def cell(volts: float) -> Apply:
    return lambda bms: bms.cell_uv.__setitem__(5, round(volts * 1e6))


def all_cells(volts: float) -> Apply:
    return lambda bms: bms.cell_uv.fill(round(volts * 1e6))


def temps(degc: float, current_a: float = 0.0) -> Apply:
    def apply(bms: Any) -> None:
        bms.temp_mdegc.fill(round(degc * 1000))
        bms.current_ma = round(current_a * 1000)

    return apply


def sensor(degc: float) -> Apply:
    return lambda bms: bms.temp_mdegc.__setitem__(2, round(degc * 1000))


def given(**values: Any) -> Apply:
    def apply(bms: Any) -> None:
        for name, value in values.items():
            setattr(bms, name, value)

    return apply


def current(amps: float) -> Apply:
    return given(current_ma=round(amps * 1000))


def cell_flags(value: int) -> Apply:
    return lambda bms: bms.cell_flags.__setitem__(3, value)


def age(milliseconds: int) -> Apply:
    return lambda bms: bms.cell_age_ms.__setitem__(3, milliseconds)


def pack_error(volts: float) -> Apply:
    return lambda bms: setattr(bms, "pack_mv", 12 * 3300 + round(volts * 1000))


def temp_flag(value: int) -> Apply:
    return lambda bms: bms.temp_flags.__setitem__(1, value)


def flag(name: str, value: int) -> Apply:
    return lambda bms: bms.flags.__setitem__(name, value)


VOLTAGE, TEMPERATURE = (0.8, 1.0), (4.0, 5.0)
PROTECTIONS = [
    # all cells together, so that the spread stays below its own limit of 0.3 V
    Protection("CellOvervoltage", all_cells(3.751), all_cells(3.749), VOLTAGE, latched=True),
    Protection("CellUndervoltage", all_cells(2.499), all_cells(2.501), VOLTAGE, latched=True),
    Protection("ChargeOvertemperature", temps(55.1, -10.0), temps(54.9, -10.0), TEMPERATURE),
    Protection("ChargeUndertemperature", temps(-10.1, -10.0), temps(-9.9, -10.0), TEMPERATURE),
    Protection("DischargeOvertemperature", temps(60.1), temps(59.9), TEMPERATURE, label="at rest"),
    Protection("DischargeOvertemperature", temps(60.1, 50.0), temps(59.9, 50.0), TEMPERATURE, label="discharging"),
    Protection("DischargeUndertemperature", temps(-25.1), temps(-24.9), TEMPERATURE),
    Protection("DischargeOvercurrent", current(600.1), current(599.9), (0.8, 1.0), label="1.5 I", release_s=31.0),
    Protection("DischargeOvercurrent", current(480.1), current(479.9), (8.0, 10.0), label="1.2 I", release_s=31.0),
    Protection("DischargeOvercurrent", current(420.1), current(419.9), (50.0, 60.0), label="1.05 I", release_s=31.0),
    Protection("ChargeOvercurrent", current(-405.1), current(-404.9), (0.8, 1.0), label="1.5 I", release_s=31.0),
    Protection("ChargeOvercurrent", current(-324.1), current(-323.9), (8.0, 10.0), label="1.2 I", release_s=31.0),
    Protection("ChargeOvercurrent", current(-283.6), current(-283.4), (50.0, 60.0), label="1.05 I", release_s=31.0),
    Protection("ShortCircuit", current(1200.1), current(1199.9), (0.01, 0.03), latched=True, label="discharge"),
    Protection("ShortCircuit", current(-810.1), current(-809.9), (0.01, 0.03), latched=True, label="charge"),
    Protection("CellImbalance", cell(3.601), cell(3.599), (5.0, 10.0)),
    Protection("TemperatureSpread", sensor(40.1), sensor(39.9), (5.0, 10.0)),
    Protection("OpenSenseWire", cell_flags(OPEN_WIRE), cell_flags(1), (0.5, 2.0)),
    Protection("VoltagePlausibility", pack_error(15.1), pack_error(14.9), (1.5, 2.0), label="above"),
    Protection("VoltagePlausibility", pack_error(-15.1), pack_error(-14.9), (1.5, 2.0), label="below"),
    Protection("MeasurementStale", age(251), age(250), (0.2, 0.5)),
    Protection("CellsInvalid", cell_flags(0), cell_flags(1), (0.5, 1.0)),
    Protection("TemperatureSensor", temp_flag(0), temp_flag(1), (1.0, 2.0), label="flag"),
    Protection("TemperatureSensor", sensor(125.1), sensor(24.9), (1.0, 2.0), label="short"),
    Protection("TemperatureSensor", sensor(-45.1), sensor(24.9), (1.0, 2.0), label="open"),
    Protection("CurrentSensor", flag("current", 0), flag("current", 1), (0.2, 1.2)),
    Protection("Insulation", given(insulation_ohm=34_900), given(insulation_ohm=35_100), (2.0, 5.0)),
    Protection("Hvil", given(hvil=False), given(hvil=True), (0.08, 0.12), latched=True),
    Protection("Supply", given(supply_mv=15_900), given(supply_mv=16_100), (0.08, 0.12), label="low"),
    Protection("Supply", given(supply_mv=32_100), given(supply_mv=31_900), (0.08, 0.12), label="high"),
    Protection("Crash", given(crash=True), given(crash=False), (0.01, 0.03), latched=True),
    Protection("ContactorWelded", given(aux={1: True}), given(aux={}), (0.2, 0.5), latched=True, label="positive"),
    Protection("ContactorWelded", given(aux={2: True}), given(aux={}), (0.2, 0.5), latched=True, label="negative"),
    Protection("ContactorWelded", given(aux={4: True}), given(aux={}), (0.2, 0.5), latched=True, label="precharge"),
]
EACH = pytest.mark.parametrize("protection", PROTECTIONS, ids=lambda p: f"{p.flag}-{p.label}".strip("-"))
LATCHED = pytest.mark.parametrize(
    "protection", [p for p in PROTECTIONS if p.latched], ids=lambda p: f"{p.flag}-{p.label}".strip("-")
)
RELEASING = pytest.mark.parametrize(
    "protection", [p for p in PROTECTIONS if not p.latched], ids=lambda p: f"{p.flag}-{p.label}".strip("-")
)
WHILE_DRIVING = pytest.mark.parametrize(  # a closed contactor is right while driving
    "protection",
    [p for p in PROTECTIONS if p.flag != "ContactorWelded"],
    ids=lambda p: f"{p.flag}-{p.label}".strip("-"),
)


def healthy(bms: Any) -> None:
    """Everything as in a new pack at rest."""
    bms.cell_uv.fill(3_300_000)
    bms.cell_flags.fill(1)
    bms.cell_age_ms.fill(10)
    bms.temp_mdegc.fill(25_000)
    bms.temp_flags.fill(1)
    given(current_ma=0, pack_mv=None, insulation_ohm=2_500_000, supply_mv=24_000, hvil=True, crash=False, aux={})(bms)
    bms.flags.update(current=1, pack=1, link=1, insulation=1)


@EACH
def test_trips_after_the_confirmation_and_not_before(make_bms: MakeBms, protection: Protection) -> None:
    bms = make_bms().boot()
    protection.past(bms)
    seen_s = bms.until(lambda: protection.flag in bms.active(), protection.confirm_s[1] + 1.0)
    assert seen_s is not None
    assert protection.confirm_s[0] <= seen_s + 0.01 <= protection.confirm_s[1]  # the first sample counts one period
    assert bms.state == ("Latched" if protection.latched else "Fault")


@EACH
def test_does_not_trip_just_inside_the_limit(make_bms: MakeBms, protection: Protection) -> None:
    bms = make_bms().boot()
    protection.inside(bms)
    bms.run(protection.confirm_s[1] + 1.0)
    assert protection.flag not in bms.active()


@EACH
def test_one_sample_inside_the_limit_starts_the_confirmation_anew(make_bms: MakeBms, protection: Protection) -> None:
    bms = make_bms().boot()
    for _ in range(3):
        protection.past(bms)
        bms.run(max(protection.confirm_s[0] * 0.95 - 0.01, 0.01))
        protection.inside(bms)
        bms.run(0.01)
    bms.run(0.1)
    assert protection.flag not in bms.active()


@WHILE_DRIVING
def test_a_trip_while_driving_opens_the_contactors_within_half_a_second(
    make_bms: MakeBms, protection: Protection
) -> None:
    bms = make_bms().go("drive")
    protection.past(bms)
    assert bms.until(lambda: protection.flag in bms.active(), protection.confirm_s[1] + 1.0) is not None
    assert bms.signal("BMS_Limits", "DischargeLimit") == 0.0
    opened_s = bms.until(lambda: bms.contactors == 0, 0.5)
    assert opened_s is not None
    assert opened_s <= 0.1


@RELEASING
def test_without_a_latch_the_fault_goes_once_the_cause_is_gone(make_bms: MakeBms, protection: Protection) -> None:
    bms = make_bms().boot()
    protection.past(bms)
    bms.run(protection.confirm_s[1] + 0.1)
    assert protection.flag in bms.active()
    healthy(bms)
    bms.run(protection.release_s)
    assert bms.active() == set()
    assert bms.state == "Standby"


@LATCHED
def test_a_latched_fault_stays_until_a_reset_with_the_cause_gone(make_bms: MakeBms, protection: Protection) -> None:
    bms = make_bms().boot()
    protection.past(bms)
    bms.run(2.0)
    bms.request_reset()
    assert protection.flag in bms.active(), "reset with the cause present"
    healthy(bms)
    bms.run(31.0)  # an over-current that came with it needs 30 s
    assert protection.flag in bms.active(), "no reset yet"
    bms.request_reset()
    assert bms.active() == set()
    assert bms.state == "Standby"


@LATCHED
def test_a_latched_fault_survives_a_power_cycle(make_bms: MakeBms, protection: Protection) -> None:
    bms = make_bms().boot()
    protection.past(bms)
    bms.run(2.0)
    again = make_bms(nvm=bms.nvm())
    again.run(1.0)
    assert protection.flag in again.active()
    assert again.state == "Latched"
    again.mode = "drive"
    again.run(3.0)
    assert again.contactors == 0
    again.run(5.0)
    again.request_reset()
    assert again.active() == set()


@LATCHED
def test_a_reset_right_after_power_on_waits_until_the_cause_has_been_seen_gone(
    make_bms: MakeBms, protection: Protection
) -> None:
    bms = make_bms().boot()
    protection.past(bms)
    bms.run(2.0)
    again = make_bms(nvm=bms.nvm())
    protection.past(again)
    again.run(0.05)
    again.request_reset()
    assert protection.flag in again.active()


def test_nothing_trips_in_a_healthy_pack_over_two_minutes(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.run(120.0)
    assert bms.active() == set()
    assert bms.active("BMS_Warnings") == set()
    assert bms.state == "Drive"


TIERS = [
    ("BMS_Warnings", "CellOvervoltage", all_cells(3.61), 2.0),
    ("BMS_Alarms", "CellOvervoltage", all_cells(3.66), 1.0),
    ("BMS_Warnings", "CellUndervoltage", all_cells(2.79), 2.0),
    ("BMS_Alarms", "CellUndervoltage", all_cells(2.59), 1.0),
    ("BMS_Warnings", "ChargeOvertemperature", temps(45.1, -10.0), 3.0),
    ("BMS_Alarms", "ChargeOvertemperature", temps(50.1, -10.0), 3.0),
    ("BMS_Warnings", "ChargeUndertemperature", temps(-0.1, -10.0), 3.0),
    ("BMS_Alarms", "ChargeUndertemperature", temps(-5.1, -10.0), 3.0),
    ("BMS_Warnings", "DischargeOvertemperature", temps(50.1), 3.0),
    ("BMS_Alarms", "DischargeOvertemperature", temps(55.1), 3.0),
    ("BMS_Warnings", "DischargeUndertemperature", temps(-15.1), 3.0),
    ("BMS_Alarms", "DischargeUndertemperature", temps(-20.1), 3.0),
    ("BMS_Warnings", "CellImbalance", cell(3.41), 2.0),
    ("BMS_Alarms", "CellImbalance", cell(3.51), 1.0),
    ("BMS_Warnings", "TemperatureSpread", sensor(30.1), 3.0),
    ("BMS_Alarms", "TemperatureSpread", sensor(35.1), 3.0),
    ("BMS_Warnings", "Insulation", given(insulation_ohm=349_000), 2.0),
    ("BMS_Alarms", "Insulation", given(insulation_ohm=69_000), 1.0),
    ("BMS_Warnings", "Supply", given(supply_mv=17_900), 1.0),
    ("BMS_Warnings", "InsulationMonitor", flag("insulation", 0), 1.0),
]


@pytest.mark.parametrize(("message", "name", "past", "confirm_s"), TIERS)
def test_warnings_and_alarms_come_after_their_confirmation_without_a_trip(
    make_bms: MakeBms, message: str, name: str, past: Apply, confirm_s: float
) -> None:
    bms = make_bms().boot()
    past(bms)
    seen_s = bms.until(lambda: name in bms.active(message), confirm_s + 1.0)
    assert seen_s == pytest.approx(confirm_s, abs=0.02)
    bms.run(8.0)
    assert bms.active() == set()
    healthy(bms)
    bms.run(6.0)
    assert bms.active(message) == set()


def test_an_invalid_insulation_monitor_warns_and_never_trips(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.insulation_ohm = 0
    bms.flags["insulation"] = 0
    bms.run(20.0)
    assert bms.active() == set()
    assert bms.active("BMS_Warnings") == {"InsulationMonitor"}


def test_an_active_tier_holds_until_the_quantity_is_back_by_the_hysteresis(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.cell_uv.fill(3_610_000)
    bms.run(2.1)
    bms.cell_uv.fill(3_510_000)  # below the limit, not below limit - 100 mV
    bms.run(20.0)
    assert "CellOvervoltage" in bms.active("BMS_Warnings")
    bms.cell_uv.fill(3_490_000)
    gone_s = bms.until(lambda: "CellOvervoltage" not in bms.active("BMS_Warnings"), 10.0)
    assert gone_s == pytest.approx(5.0, abs=0.02)


def test_a_change_of_direction_starts_the_confirmation_of_temperatures_anew(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.temp_mdegc.fill(57_000)  # past the limit of charging only
    for _ in range(5):
        bms.current_ma = -10_000
        bms.run(3.9)
        bms.current_ma = 0
        bms.run(0.01)
    assert "ChargeOvertemperature" not in bms.active()


@pytest.mark.parametrize("current_a", [0.0, 50.0, -1.9])
def test_57_degc_is_legal_unless_charging(make_bms: MakeBms, current_a: float) -> None:
    bms = make_bms().boot()
    temps(57.0, current_a)(bms)
    bms.run(10.0)
    assert bms.active() == set()


def test_the_cell_sum_is_not_compared_while_a_cell_is_invalid(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"cells_invalid_ms": 60_000}).boot()
    bms.pack_mv = 12 * 3300 + 20_000
    bms.cell_flags[0] = 0
    bms.run(5.0)
    assert "VoltagePlausibility" not in bms.active()


def test_an_open_wire_is_not_also_an_invalid_cell(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.cell_flags[3:5] = OPEN_WIRE
    bms.run(3.0)
    assert bms.active() == {"OpenSenseWire"}
    assert bms.signal("BMS_Sensors", "CellsOpenWire") == 2
    assert bms.signal("BMS_Sensors", "CellsInvalid") == 0


def test_negative_readings_are_low_not_high(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.cell_uv[5] = -100_000
    bms.run(1.2)
    assert "CellUndervoltage" in bms.active()
    assert "CellOvervoltage" not in bms.active()


def runaway_ramp(bms: Any, k_per_s: float, seconds: float) -> None:
    for _ in range(round(seconds * 100)):
        bms.temp_mdegc[1] += round(k_per_s * 10)
        bms.run(0.01)


@pytest.mark.parametrize(
    ("k_per_s", "start_degc", "trips"), [(1.3, 58.0, True), (0.9, 61.0, False), (1.3, 30.0, False)]
)
def test_a_fast_rise_of_a_hot_sensor_is_a_thermal_runaway(
    make_bms: MakeBms, k_per_s: float, start_degc: float, *, trips: bool
) -> None:
    bms = make_bms(parameters={"temp_spread_trip_ms": 60_000}).boot()
    bms.temp_mdegc.fill(round(start_degc * 1000))
    bms.run(4.0)
    runaway_ramp(bms, k_per_s, 8.0)
    assert ("ThermalRunaway" in bms.active()) is trips


def test_a_step_of_a_hot_sensor_is_not_a_thermal_runaway(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"temp_spread_trip_ms": 60_000}).boot()
    bms.run(4.0)
    bms.temp_mdegc[1] = 65_000
    bms.run(4.0)
    assert "ThermalRunaway" not in bms.active()


def test_a_fast_rise_with_a_collapsing_cell_is_a_thermal_runaway(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"runaway_drop_permille": 250}).boot()
    bms.run(4.0)
    runaway_ramp(bms, 1.5, 3.0)
    assert "ThermalRunaway" not in bms.active()
    bms.cell_uv[1] = round(3_300_000 * 0.74)
    runaway_ramp(bms, 1.5, 1.0)
    assert "ThermalRunaway" in bms.active()
