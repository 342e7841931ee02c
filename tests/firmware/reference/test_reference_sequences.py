# SPDX-License-Identifier: Apache-2.0
"""Boot, precharge, drive, charge, contactor supervision and opening order of the reference firmware."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MakeBms = Callable[..., Any]
POSITIVE, NEGATIVE, PRECHARGE = 1, 2, 4


def test_boots_to_standby_within_half_a_second_with_everything_open(make_bms: MakeBms) -> None:
    bms = make_bms()
    reached_s = bms.until(lambda: bms.state == "Standby", 1.0)
    assert reached_s is not None
    assert reached_s <= 0.5
    assert bms.contactors == 0
    assert bms.active() == set()


def test_stays_in_init_until_every_cell_has_had_a_valid_sample(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"cells_invalid_ms": 60_000})
    bms.cell_flags[11] = 0
    bms.run(0.1)
    bms.mode = "drive"
    bms.run(5.0)
    assert bms.state == "Init"
    assert bms.contactors == 0
    bms.cell_flags[11] = 1
    bms.run(0.02)
    assert bms.state in {"Standby", "Precharge"}


def test_a_request_that_stands_since_before_the_boot_closes_nothing(make_bms: MakeBms) -> None:
    bms = make_bms()
    bms.mode = "drive"
    bms.run(3.0)
    assert bms.state == "Standby"
    bms.mode = "standby"
    bms.run(0.1)
    bms.mode = "drive"
    bms.run(3.0)
    assert bms.state == "Drive"


def test_boot_defaults_trip_nothing_while_no_cell_has_been_measured(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"cells_invalid_ms": 60_000})
    bms.cell_uv.fill(0)
    bms.cell_flags.fill(0)
    bms.run(5.0)
    assert bms.active() == set()
    assert bms.active("BMS_Warnings") == set()


def test_closes_negative_then_precharge_then_positive_and_opens_precharge(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    assert [command for _, command in bms.commands] == [
        0,
        NEGATIVE,
        NEGATIVE | PRECHARGE,
        NEGATIVE | PRECHARGE | POSITIVE,
        NEGATIVE | POSITIVE,
    ]


def test_closes_positive_only_once_the_link_is_within_5_percent_of_the_pack(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    pack_mv = 12 * 3300
    bms.link_mv = pack_mv * 94 // 100
    bms.mode = "drive"
    bms.run(2.0)
    assert bms.contactors == NEGATIVE | PRECHARGE
    bms.link_mv = pack_mv * 96 // 100
    bms.run(0.02)
    assert bms.contactors == NEGATIVE | PRECHARGE | POSITIVE


def test_a_link_above_the_pack_does_not_pass_the_precharge(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.link_mv = 12 * 3300 * 106 // 100
    bms.mode = "drive"
    bms.run(2.9)
    assert bms.contactors & POSITIVE == 0


@pytest.mark.parametrize("name", ["pack", "link"])
def test_an_invalid_voltage_does_not_pass_the_precharge(make_bms: MakeBms, name: str) -> None:
    bms = make_bms().boot()
    bms.flags[name] = 0
    bms.mode = "drive"
    bms.run(30.0)
    assert all(command & POSITIVE == 0 for _, command in bms.commands)


def test_a_pack_voltage_of_nothing_does_not_pass_the_precharge(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"plausibility_ms": 60_000}).boot()
    bms.pack_mv, bms.link_mv = 0, 0
    bms.mode = "drive"
    bms.run(3.0)
    assert bms.contactors & POSITIVE == 0


def test_three_failed_precharges_3_s_apart_latch_the_fault(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.link_mv = 0
    bms.mode = "drive"
    failed_s = bms.until(lambda: "Precharge" in bms.active(), 20.0)
    assert failed_s == pytest.approx(3 * 3.0 + 2 * 3.0, abs=0.5)
    starts = [t for t, command in bms.commands if command == NEGATIVE | PRECHARGE]
    assert len(starts) == 3
    assert starts[1] - starts[0] == pytest.approx(6.0, abs=0.2)
    assert bms.state == "Latched"
    bms.run(30.0)
    assert bms.contactors == 0
    bms.link_mv = None
    bms.mode = "standby"
    bms.request_reset()
    assert bms.state == "Standby"
    bms.mode = "drive"
    bms.run(3.0)
    assert bms.state == "Drive"


def test_a_precharge_that_succeeds_at_the_second_try_drives(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.link_mv = 0
    bms.mode = "drive"
    bms.run(4.0)
    bms.link_mv = None
    bms.run(4.0)
    assert bms.state == "Drive"
    assert bms.signal("BMS_State", "PrechargeTries") == 1


def test_a_link_that_rises_with_the_negative_contactor_alone_is_not_driven_on(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.link_mv = 0
    bms.mode = "drive"
    bms.until(lambda: bms.contactors == NEGATIVE, 1.0)
    bms.link_mv = 12 * 3300  # the positive contactor is welded and its auxiliary contact does not tell
    bms.run(0.2)
    assert bms.contactors & (POSITIVE | PRECHARGE) == 0


def test_a_request_taken_back_during_precharge_opens_everything(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.link_mv = 0
    bms.mode = "drive"
    bms.run(1.0)
    assert bms.state == "Precharge"
    bms.mode = "standby"
    bms.run(0.2)
    assert bms.contactors == 0
    assert bms.state == "Standby"


def test_leaving_drive_opens_positive_before_negative_within_a_tenth_of_a_second(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    start = len(bms.commands)
    asked_s = bms.now_s + 0.01
    bms.mode = "standby"
    bms.run(0.3)
    (positive_s, first), (negative_s, second) = bms.commands[start:]
    assert (first, second) == (NEGATIVE, 0)
    assert asked_s < positive_s < negative_s <= asked_s + 0.1


def test_limits_go_to_zero_before_the_contactors_open(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    assert bms.signal("BMS_Limits", "DischargeLimit") == 400.0
    bms.insulation_ohm = 10_000
    bms.until(lambda: bms.active() != set(), 5.0)
    assert bms.signal("BMS_Limits", "DischargeLimit") == 0.0
    assert bms.signal("BMS_Limits", "ChargeLimit") == 0.0
    assert bms.contactors == NEGATIVE | POSITIVE


@pytest.mark.parametrize("cause", ["crash", "short circuit"])
def test_crash_and_short_circuit_open_the_positive_contactor_with_the_flag(make_bms: MakeBms, cause: str) -> None:
    bms = make_bms().go("drive")
    if cause == "crash":
        bms.crash = True
    else:
        bms.current_ma = 1_300_000
    bms.until(lambda: bms.active() != set(), 0.1)
    assert bms.contactors == NEGATIVE
    bms.run(0.1)
    assert bms.contactors == 0


def test_drive_is_refused_with_the_plug_in_and_needs_a_new_request(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.plug = True
    bms.mode = "drive"
    bms.run(2.0)
    assert bms.state == "Standby"
    bms.plug = False
    bms.run(2.0)
    assert bms.state == "Standby"


def test_drive_needs_ignition(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.ignition = False
    bms.mode = "drive"
    bms.run(2.0)
    assert bms.state == "Standby"


def test_charge_is_refused_without_the_plug(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.mode = "charge"
    bms.run(3.0)
    assert bms.state == "Standby"
    assert bms.contactors == 0


def test_charge_ends_when_the_plug_is_pulled(make_bms: MakeBms) -> None:
    bms = make_bms().go("charge")
    bms.plug = False
    bms.run(0.2)
    assert bms.contactors == 0
    assert bms.state == "Standby"


def test_charge_allows_charging_and_no_discharging(make_bms: MakeBms) -> None:
    bms = make_bms().go("charge")
    assert bms.signal("BMS_Limits", "ChargeLimit") == 270.0
    assert bms.signal("BMS_Limits", "DischargeLimit") == 0.0
    assert bms.signal("BMS_Limits", "ChargeVoltageLimit") == pytest.approx(12 * 3.55)


def test_mode_off_shuts_down_and_standby_comes_back(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.mode = "off"
    bms.run(0.5)
    assert bms.state == "Shutdown"
    assert bms.contactors == 0
    bms.mode = "standby"
    bms.run(0.1)
    assert bms.state == "Standby"


def test_after_a_fault_the_vehicle_must_ask_anew(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.supply_mv = 15_000
    bms.run(0.5)
    bms.supply_mv = 24_000
    bms.run(10.0)
    assert bms.state == "Standby"
    assert bms.contactors == 0
    bms.mode = "standby"
    bms.run(0.1)
    bms.mode = "drive"
    bms.run(3.0)
    assert bms.state == "Drive"


def test_a_contactor_that_does_not_close_is_stuck(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.aux[NEGATIVE] = False
    bms.mode = "drive"
    commanded_s = bms.until(lambda: bms.contactors == NEGATIVE, 1.0)
    assert commanded_s is not None
    seen_s = bms.until(lambda: "ContactorStuck" in bms.active(), 1.0)
    assert seen_s is not None
    assert 0.2 <= seen_s <= 0.5


def test_a_contactor_that_drops_out_while_driving_is_stuck(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.aux[POSITIVE] = False
    seen_s = bms.until(lambda: "ContactorStuck" in bms.active(), 1.0)
    assert seen_s is not None
    assert 0.2 <= seen_s + 0.01 <= 0.5
    bms.run(0.1)
    assert bms.contactors == 0


def test_a_contactor_that_stays_closed_is_welded_and_is_never_closed_again(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.aux[POSITIVE] = True
    bms.mode = "standby"
    opened_s = bms.until(lambda: bms.contactors & POSITIVE == 0, 0.5)
    assert opened_s is not None
    seen_s = bms.until(lambda: "ContactorWelded" in bms.active(), 1.0)
    assert seen_s is not None
    assert 0.2 <= seen_s + 0.01 <= 0.5
    bms.request_reset()
    bms.mode = "drive"
    bms.run(5.0)
    assert bms.contactors == 0
    assert bms.state == "Latched"


def test_a_contactor_that_opens_slowly_but_in_time_is_not_welded(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.aux[NEGATIVE] = True
    bms.mode = "standby"
    bms.until(lambda: bms.contactors == 0, 0.5)
    bms.run(0.19)
    del bms.aux[NEGATIVE]
    bms.run(1.0)
    assert bms.active() == set()


@pytest.mark.parametrize("start_tick_ms", [0, 2**31 - 500, 2**32 - 10, 2**32 - 300, 2**32 - 1500, 2**32 - 4000])
def test_the_wrap_of_the_32_bit_tick_changes_nothing(make_bms: MakeBms, start_tick_ms: int) -> None:
    def life(start: int) -> tuple[Any, Any]:
        bms = make_bms(start_tick_ms=start).go("drive")
        bms.vehicle.on = False
        bms.run(1.5)
        assert "VehicleTimeout" in bms.active()
        bms.vehicle.on = True
        bms.mode = "standby"
        bms.run(2.0)
        bms.link_mv = 0
        bms.mode = "drive"
        bms.run(20.0)
        return bms.commands, bms.frames

    assert life(start_tick_ms) == life(123_450)


def test_two_runs_of_one_library_are_equal_byte_for_byte(make_bms: MakeBms) -> None:
    def life() -> Any:
        bms = make_bms().go("drive")
        bms.cell_uv.fill(3_800_000)
        bms.run(2.0)
        return bms.frames

    assert life() == life()
