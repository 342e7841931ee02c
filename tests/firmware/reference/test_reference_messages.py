# SPDX-License-Identifier: Apache-2.0
"""CAN of the reference firmware: what it sends decodes with the DBC, what it receives must be good to count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

MakeBms = Callable[..., Any]
VEHICLE, CHARGER = 0x200, 0x210
PROTECTED = {"BMS_State": 0x01, "BMS_Limits": 0x04, "BMS_Faults": 0x05, "BMS_Warnings": 0x06, "BMS_Alarms": 0x07}
EXTENDED, FD, REMOTE, ERROR = 1, 2, 8, 16


def crc(data: bytes) -> int:
    """CRC-8 SAE J1850, bit by bit."""
    value = 0xFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x1D if value & 0x80 else value << 1) & 0xFF
    return value ^ 0xFF


def test_the_crc_of_these_tests_is_the_published_one() -> None:
    assert crc(b"123456789") == 0x4B


def frames_of(bms: Any, name: str) -> Iterator[tuple[float, bytes]]:
    identifier = bms.database.get_message_by_name(name).frame_id
    return ((t, data) for t, frame_id, data in bms.frames if frame_id == identifier)


def test_every_frame_is_in_the_database_and_decodes(make_bms: MakeBms) -> None:
    bms = make_bms(cells=192, temps=48).go("drive")
    for _, identifier, data in bms.frames:
        assert len(data) == 8
        bms.database.decode_message(identifier, data)


@pytest.mark.parametrize("message", ["BMS_State", "BMS_Limits", "BMS_Faults", "BMS_Warnings", "BMS_Alarms"])
def test_counters_count_to_14_and_crcs_fit(make_bms: MakeBms, message: str) -> None:
    bms = make_bms().go("drive")
    bms.cell_uv.fill(3_760_000)
    bms.run(3.0)
    frames = [data for _, data in frames_of(bms, message)]
    counters = [data[1] & 0x0F for data in frames]
    assert len(frames) > 30
    assert all((b - a) % 15 == 1 for a, b in pairwise(counters))
    assert max(counters) == 14
    assert all(crc(bytes([PROTECTED[message]]) + data[1:]) == data[0] for data in frames)


NOT_OF_EVERY_PACK = {"BMS_Line"}


@pytest.mark.parametrize(("cells", "temps"), [(192, 48), (400, 100), (13, 6)])
def test_cyclic_messages_keep_the_period_of_the_database(make_bms: MakeBms, cells: int, temps: int) -> None:
    bms = make_bms(cells=cells, temps=temps).boot()
    bms.frames.clear()
    bms.run(10.0)
    counts = Counter(identifier for _, identifier, _ in bms.frames)
    for message in bms.database.messages:
        if message.senders == ["BMS"] and message.name not in NOT_OF_EVERY_PACK:
            assert counts.pop(message.frame_id) == 10_000 // message.cycle_time, message.name
    assert not counts


def test_between_200_and_400_frames_a_second(make_bms: MakeBms) -> None:
    bms = make_bms(cells=192, temps=48).go("drive")
    bms.frames.clear()
    bms.run(10.0)
    assert 2000 <= len(bms.frames) <= 4000


@pytest.mark.parametrize(("cells", "temps"), [(192, 48), (400, 100), (13, 6)])
def test_all_cells_and_sensors_are_on_the_bus_within_a_second(make_bms: MakeBms, cells: int, temps: int) -> None:
    bms = make_bms(cells=cells, temps=temps)
    bms.cell_uv[:] = 3_200_000 + 1000 * (np.arange(cells) % 90)
    bms.temp_mdegc[:] = 20_000 + 100 * (np.arange(temps) % 50)
    bms.cell_flags[7] = 0
    bms.temp_flags[3] = 0
    bms.boot()
    bms.frames.clear()
    bms.run(1.0)
    seen: dict[str, float] = {}
    for name in ("BMS_CellVoltages", "BMS_CellTemps"):
        for _, data in frames_of(bms, name):
            seen |= bms.database.decode_message(name, data)
    volts = {int(name[-3:]): value for name, value in seen.items() if name.startswith("CellVoltage")}
    degrees = {int(name[-3:]): value for name, value in seen.items() if name.startswith("CellTemp")}
    expected_v = {i + 1: uv / 1e6 for i, uv in enumerate(bms.cell_uv) if i != 7}
    expected_c = {i + 1: mdegc / 1e3 for i, mdegc in enumerate(bms.temp_mdegc) if i != 3}
    assert {i: v for i, v in volts.items() if i in expected_v} == pytest.approx(expected_v, abs=0.0005)
    assert {i: t for i, t in degrees.items() if i in expected_c} == pytest.approx(expected_c, abs=0.05)
    assert volts[8] == pytest.approx(16.383)
    assert degrees[4] == pytest.approx(154.7)
    assert all(volts[i] == pytest.approx(16.383) for i in volts if i > cells)


def test_measured_values_arrive_as_given(make_bms: MakeBms) -> None:
    bms = make_bms(cells=192, temps=48).go("drive")
    bms.cell_uv[100] = 3_345_600
    bms.cell_uv[50] = 3_254_400
    bms.temp_mdegc[20] = 31_200
    bms.temp_mdegc[9] = -3_400
    bms.current_ma = -123_400
    bms.insulation_ohm = 765_400
    bms.supply_mv = 23_456
    bms.pack_mv = 633_700
    bms.link_mv = 632_100
    bms.cell_flags[0] = 0
    bms.cell_age_ms[4] = 87
    bms.run(0.2)
    pack, cells = bms.decode("BMS_PackValues"), bms.decode("BMS_CellExtremes")
    temps, sensors = bms.decode("BMS_TempExtremes"), bms.decode("BMS_Sensors")
    assert pack["PackVoltage"] == pytest.approx(633.7)
    assert pack["LinkVoltage"] == pytest.approx(632.1)
    assert pack["PackCurrent"] == pytest.approx(-123.4)
    assert (cells["CellVoltageMax"], cells["CellVoltageMaxIndex"]) == (pytest.approx(3.3456), 101)
    assert (cells["CellVoltageMin"], cells["CellVoltageMinIndex"]) == (pytest.approx(3.2544), 51)
    assert cells["CellVoltageSpread"] == pytest.approx(0.091)
    assert (temps["CellTempMax"], temps["CellTempMaxIndex"]) == (pytest.approx(31.2), 21)
    assert (temps["CellTempMin"], temps["CellTempMinIndex"]) == (pytest.approx(-3.4), 10)
    assert temps["CellTempSpread"] == pytest.approx(34.6)
    assert sensors["InsulationResistance"] == pytest.approx(765_400)
    assert sensors["SupplyVoltage"] == pytest.approx(23.456)
    assert (sensors["CellsInvalid"], sensors["CellsOpenWire"], sensors["TempsInvalid"]) == (1, 0, 0)
    assert bms.signal("BMS_Supervision", "CellAgeMax") == pytest.approx(0.087)


def test_values_beyond_a_field_are_clamped_and_never_spill(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.insulation_ohm = 2**32 - 1
    bms.current_ma = -(2**31)
    bms.pack_mv = -(2**31)
    bms.link_mv = 2**31 - 1
    bms.supply_mv = -5
    bms.cell_age_ms.fill(65535)
    bms.cell_uv[0] = 2**31 - 1
    bms.cell_uv[1] = -(2**31)
    bms.run(0.2)
    assert bms.signal("BMS_Sensors", "InsulationResistance") == (2**20 - 1) * 100
    assert bms.signal("BMS_Sensors", "SupplyVoltage") == 0.0
    assert bms.signal("BMS_PackValues", "PackCurrent") == pytest.approx(-3276.8)
    assert bms.signal("BMS_PackValues", "PackVoltage") == 0.0
    assert bms.signal("BMS_PackValues", "LinkVoltage") == pytest.approx(6553.5)
    assert bms.signal("BMS_Supervision", "CellAgeMax") == pytest.approx(4.095)
    assert bms.signal("BMS_CellExtremes", "CellVoltageMaxIndex") == 1


def test_a_fault_is_on_the_bus_in_the_step_that_confirms_it(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.frames.clear()
    bms.hvil = False
    bms.run(0.5)
    first = next(t for t, data in frames_of(bms, "BMS_Faults") if int.from_bytes(data, "little") >> 16 & 1 << 18)
    state = next(t for t, data in frames_of(bms, "BMS_State") if data[1] >> 4 == 7)
    assert first == state
    assert first - 0.5 == pytest.approx(0.09, abs=0.001)


# ---- reception


def silent_vehicle(bms: Any) -> Any:
    bms.vehicle.on = False
    return bms


def command(counter: int, mode: int = 2) -> bytes:
    rest = bytes([mode << 4 | counter, 0, 0, 0, 0, 0, 0])
    return bytes([crc(bytes([0x20]) + rest)]) + rest


def requested(bms: Any) -> str:
    bms.run(0.11)
    return str(bms.signal("BMS_State", "ModeRequest"))


def test_a_good_frame_is_taken(make_bms: MakeBms) -> None:
    bms = silent_vehicle(make_bms().boot())
    bms.receive(VEHICLE, command(bms.vehicle.counter))
    assert requested(bms) == "Drive"


@pytest.mark.parametrize("bit", range(64))
def test_any_flipped_bit_rejects_the_frame(make_bms: MakeBms, bit: int) -> None:
    bms = silent_vehicle(make_bms().boot())
    frame = bytearray(command(bms.vehicle.counter))
    frame[bit // 8] ^= 1 << bit % 8
    bms.receive(VEHICLE, bytes(frame))
    assert requested(bms) == "Standby"


@pytest.mark.parametrize(("ahead", "taken"), [(-1, False), (0, True), (1, True), (2, True), (3, False), (7, False)])
def test_a_counter_may_skip_two_frames_and_not_repeat(make_bms: MakeBms, ahead: int, *, taken: bool) -> None:
    bms = silent_vehicle(make_bms().boot())
    bms.receive(VEHICLE, command((bms.vehicle.counter + ahead) % 15))
    bms.run(0.01)
    assert (requested(bms) == "Drive") is taken


def test_the_invalid_counter_15_is_rejected(make_bms: MakeBms) -> None:
    bms = silent_vehicle(make_bms().boot())
    bms.receive(VEHICLE, command(15))
    assert requested(bms) == "Standby"


def test_a_rejected_frame_does_not_move_the_receiver(make_bms: MakeBms) -> None:
    bms = silent_vehicle(make_bms().boot())
    here = bms.vehicle.counter
    bms.receive(VEHICLE, command((here + 7) % 15))
    bms.receive(VEHICLE, command((here + 8) % 15, mode=3))
    bms.receive(VEHICLE, command(here))
    assert requested(bms) == "Drive"


def test_a_sender_that_was_reset_is_back_in_step_after_a_run_of_frames(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.vehicle.counter = (bms.vehicle.counter + 7) % 15
    bms.mode = "drive"
    bms.run(0.05)
    assert bms.signal("BMS_State", "ModeRequest") in {"Standby", "Drive"}
    assert requested(bms) == "Drive"


@pytest.mark.parametrize(
    ("identifier", "flags", "length"),
    [
        (0x201, 0, 8),
        (VEHICLE, EXTENDED, 8),
        (VEHICLE, FD, 8),
        (VEHICLE, REMOTE, 8),
        (VEHICLE, ERROR, 8),
        (VEHICLE, 0, 7),
    ],
)
def test_frames_of_another_kind_or_length_are_ignored(
    make_bms: MakeBms, identifier: int, flags: int, length: int
) -> None:
    bms = silent_vehicle(make_bms().boot())
    assert bms.receive(identifier, command(bms.vehicle.counter), flags=flags, length=length) == 0
    assert requested(bms) == "Standby"


def test_a_full_receive_queue_is_reported(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    results = [bms.receive(VEHICLE, command(0)) for _ in range(40)]
    assert results[0] == 0
    assert results[-1] < 0
    assert "receive queue full" in bms.last_error()


@pytest.mark.parametrize("lost", [1, 3, 8, 14, 15, 40, 80])
def test_lost_vehicle_frames_short_of_the_time_out_do_not_stop_the_drive(make_bms: MakeBms, lost: int) -> None:
    bms = make_bms().go("drive")
    bms.vehicle.on = False
    for _ in range(lost):
        bms.vehicle.payload(bytes(7))
        bms.run(0.01)
    bms.vehicle.on = True
    bms.run(0.5)
    assert bms.active() == set()
    assert bms.state == "Drive"


def test_the_vehicle_is_missed_after_one_second_in_drive(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.vehicle.on = False
    seen_s = bms.until(lambda: "VehicleTimeout" in bms.active(), 2.0)
    assert seen_s == pytest.approx(1.0, abs=0.02)


def test_frames_with_bad_crc_count_as_missing(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.vehicle.data_id = 0x77
    seen_s = bms.until(lambda: "VehicleTimeout" in bms.active(), 2.0)
    assert seen_s == pytest.approx(1.0, abs=0.02)


def test_a_stuck_counter_counts_as_missing(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.vehicle.on = False
    frame = command(bms.vehicle.counter)
    for _ in range(110):
        bms.receive(VEHICLE, frame)
        bms.run(0.01)
    assert "VehicleTimeout" in bms.active()


@pytest.mark.parametrize("mode", ["standby", "charge"])
def test_the_vehicle_is_not_missed_outside_drive(make_bms: MakeBms, mode: str) -> None:
    bms = make_bms().boot() if mode == "standby" else make_bms().go("charge")
    bms.vehicle.on = False
    bms.run(5.0)
    assert bms.active() == set()
    assert bms.contactors == 0, "a charge ends when the vehicle falls silent"


def test_the_charger_is_missed_after_one_second_in_charge(make_bms: MakeBms) -> None:
    bms = make_bms().go("charge")
    bms.until(lambda: bms.ticks % 10 == 1, 0.2)
    bms.charger.on = False
    seen_s = bms.until(lambda: "ChargerTimeout" in bms.active(), 2.0)
    assert seen_s == pytest.approx(1.0, abs=0.02)
    bms.plug = False
    bms.run(2.0)
    assert bms.active() == set(), "an unplugged charger cannot be missed"


@pytest.mark.parametrize("lost", [1, 4, 6])
def test_lost_charger_frames_short_of_the_time_out_do_not_stop_the_charge(make_bms: MakeBms, lost: int) -> None:
    bms = make_bms().go("charge")
    bms.charger.on = False
    for _ in range(lost):
        bms.charger.payload(bytes(7))
        bms.run(0.1)
    bms.charger.on = True
    bms.run(2.0)
    assert bms.active() == set()
    assert bms.state == "Charge"
