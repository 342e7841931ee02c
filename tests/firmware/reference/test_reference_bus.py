# SPDX-License-Identifier: Apache-2.0
"""Bus-off and recovery, and the end-to-end protection of received commands."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

MakeBms = Callable[..., Any]
FAST_S, SLOW_S, TRIES, STABLE_S, SHOWN_S = 0.1, 1.0, 5, 2.0, 10.0  # bus_off_* parameters
STATE, LIMITS, FAULTS, WARNINGS, ALARMS = 0x100, 0x104, 0x105, 0x106, 0x107
PROTECTED = {STATE, LIMITS, FAULTS, WARNINGS, ALARMS}


def counters(bms: Any, identifier: int, since_s: float = 0.0) -> list[int]:
    return [data[1] & 0x0F for at_s, found, data in bms.frames if found == identifier and at_s >= since_s]


def lose_bus(bms: Any) -> None:
    bms.can_state[0] = 2


def test_an_error_passive_controller_goes_on_sending(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.can_state[0] = 1
    before = len(bms.frames)
    bms.run(1.0)
    assert len(bms.frames) - before > 200
    assert bms.restarts == []
    assert bms.active("BMS_Warnings") == set()


def test_bus_off_is_left_by_a_restart_after_the_back_off(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    lose_bus(bms)
    lost_s = bms.now_s + 0.01
    bms.run(1.0)
    assert len(bms.restarts) == 1
    assert bms.restarts[0] - lost_s == pytest.approx(FAST_S, abs=0.011)
    assert bms.state == "Drive"
    assert bms.active() == set()


def test_while_bus_off_it_sends_nothing_and_nothing_old_comes_afterwards(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    lose_bus(bms)
    bms.can_recovers = False
    sent = []
    for _ in range(50):
        bms.run(0.01)
        sent.append(bms.lib.fil_can_tx(bms._tx, 64))
    assert sent == [0] * 50
    bms.can_state[0] = 0
    before = len(bms.frames)
    bms.run(0.01)
    assert 0 < len(bms.frames) - before <= 8


def test_what_waited_to_be_sent_when_the_bus_was_lost_is_thrown_away(
    make_bms: MakeBms, monkeypatch: pytest.MonkeyPatch
) -> None:
    bms = make_bms().go("drive")
    monkeypatch.setattr(bms, "_collect", lambda: None)
    bms.run(0.05)  # nobody takes the frames
    lose_bus(bms)
    bms.run(0.01)
    assert bms.lib.fil_can_tx(bms._tx, 64) == 0


def test_counters_go_on_where_they_were_and_the_state_is_told_at_once(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    last = {identifier: counters(bms, identifier)[-1] for identifier in PROTECTED}
    lose_bus(bms)
    bms.run(0.12)
    assert not bms.bus_off
    back_s = bms.now_s
    bms.run(0.02)
    first = {identifier: counters(bms, identifier, back_s)[0] for identifier in PROTECTED}
    assert {identifier: (counter + 1) % 15 for identifier, counter in last.items()} == first


def test_after_recovery_a_warning_tells_of_it_for_its_time(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    lose_bus(bms)
    bms.run(0.3)
    assert bms.active("BMS_Warnings") == {"CanBusOff"}
    bms.run(SHOWN_S - 0.5)
    assert bms.active("BMS_Warnings") == {"CanBusOff"}
    bms.run(0.5)
    assert bms.active("BMS_Warnings") == set()


def test_the_fault_memory_counts_bus_off_over_power_cycles(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    for _ in range(2):
        lose_bus(bms)
        bms.run(1.5)
    assert bms.signal("BMS_Communication", "BusOffCount") == 2
    assert bms.signal("BMS_FaultMemory", "LastFault") == "CanBusOff"
    assert bms.signal("BMS_FaultMemory", "LastFaultCount") == 2
    again = make_bms(nvm=bms.nvm()).boot()
    again.run(1.0)
    assert again.signal("BMS_Communication", "BusOffCount") == 2
    assert again.state == "Standby"


def test_a_bus_that_stays_away_is_tried_fast_and_then_slowly(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"vehicle_timeout_ms": 60_000}).boot()
    bms.can_recovers = False
    lose_bus(bms)
    bms.run(4.0)
    gaps = [later - earlier for earlier, later in pairwise(bms.restarts)]
    assert gaps[: TRIES - 1] == pytest.approx([FAST_S] * (TRIES - 1), abs=0.011)
    assert gaps[TRIES - 1 :] == pytest.approx([SLOW_S] * len(gaps[TRIES - 1 :]), abs=0.011)
    assert len(gaps) > TRIES


def test_tries_count_anew_after_a_time_on_the_bus(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    for _ in range(TRIES):  # lost again and again, soon after every recovery
        lose_bus(bms)
        bms.run(0.5)
    lose_bus(bms)
    bms.run(0.5)
    assert bms.bus_off  # now it waits for long
    bms.run(SLOW_S)
    assert not bms.bus_off
    bms.run(STABLE_S + 0.1)
    lose_bus(bms)
    bms.run(FAST_S + 0.05)
    assert not bms.bus_off


def test_a_bus_that_stays_away_in_drive_ends_in_the_vehicle_timeout(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.can_recovers = False
    lose_bus(bms)
    bms.run(1.2)
    assert bms.contactors == 0


def test_recovery_needs_no_time_of_day(make_bms: MakeBms) -> None:
    """The back-off runs over the wrap of the millisecond counter."""
    bms = make_bms(start_tick_ms=2**32 - 3600).go("drive")
    lose_bus(bms)
    bms.run(0.5)
    assert len(bms.restarts) == 1


# ---- received commands


def vehicle_frame(bms: Any, mode: int, *, reset: bool = False) -> bytes:
    return bytes(bms.vehicle.payload(bytes([mode << 4, int(reset), 0, 0, 0, 0, 0])))


def rejected(bms: Any) -> dict[str, int]:
    bms.run(1.0)
    return {name: value for name, value in bms.decode("BMS_Communication").items() if name.startswith(("Veh", "Cha"))}


def test_good_frames_are_not_counted_as_refused(make_bms: MakeBms) -> None:
    bms = make_bms().go("charge")
    assert set(rejected(bms).values()) == {0}


@pytest.mark.parametrize("byte", range(8))
def test_a_damaged_command_is_refused_counted_and_moves_nothing(make_bms: MakeBms, byte: int) -> None:
    bms = make_bms().boot()
    for _ in range(3):
        bms.run(0.01)
        frame = bytearray(vehicle_frame(bms, mode=2))
        frame[byte] ^= 0x10
        bms.vehicle.counter = (bms.vehicle.counter - 1) % 15
        bms.receive(0x200, bytes(frame))
    bms.run(1.0)
    assert bms.state == "Standby"
    assert bms.contactors == 0
    found = rejected(bms)
    assert (found["VehicleCorrupt"], found["VehicleOutOfSequence"]) == (3, 0)


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_short_command_is_refused_and_counted(make_bms: MakeBms, length: int) -> None:
    bms = make_bms().boot()
    bms.receive(0x200, vehicle_frame(bms, mode=2), length=length)
    bms.vehicle.counter = (bms.vehicle.counter - 1) % 15
    bms.run(0.5)
    assert bms.state == "Standby"
    assert rejected(bms)["VehicleCorrupt"] == 1


def test_a_repeated_command_is_refused_and_counted(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.run(0.01)
    recorded = vehicle_frame(bms, mode=1)
    bms.receive(0x200, recorded)
    for _ in range(4):
        bms.receive(0x200, recorded)
    assert rejected(bms)["VehicleOutOfSequence"] == 4


def test_a_jump_of_the_counter_is_refused_until_three_frames_have_followed_each_other(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.vehicle.counter = (bms.vehicle.counter + 7) % 15
    bms.mode = "drive"
    bms.run(0.02)
    assert bms.state == "Standby"
    bms.run(0.05)
    assert bms.state == "Precharge"
    assert rejected(bms)["VehicleOutOfSequence"] == 2


def test_a_refused_reset_request_releases_nothing(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.hvil = False
    bms.run(0.3)
    bms.hvil = True
    bms.run(1.5)
    assert bms.state == "Latched"
    frame = bytearray(vehicle_frame(bms, mode=1, reset=True))
    frame[0] ^= 0x01
    bms.vehicle.counter = (bms.vehicle.counter - 1) % 15
    bms.receive(0x200, bytes(frame))
    bms.run(0.2)
    assert bms.state == "Latched"
    bms.request_reset()
    assert bms.state == "Standby"


def test_refused_frames_do_not_keep_the_vehicle_alive(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.vehicle.data_id ^= 0xFF  # every CRC is wrong from now on
    bms.run(0.9)
    assert bms.active() == set()
    bms.run(0.3)
    assert bms.active() == {"VehicleTimeout"}
    assert bms.contactors == 0


def test_damaged_charger_frames_are_counted_apart(make_bms: MakeBms) -> None:
    bms = make_bms().go("charge")
    bms.charger.data_id ^= 0xFF
    bms.run(0.4)
    bms.charger.data_id ^= 0xFF
    found = rejected(bms)
    assert found["ChargerCorrupt"] == 4
    assert found["VehicleCorrupt"] == 0
    assert bms.state == "Charge"
