# SPDX-License-Identifier: Apache-2.0
"""What judges see of a trace: columns, quantities derived from them, and the bus."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from harness.canbus.profile import Profile, load_profile
from harness.observation import Observation
from harness.requirements.evidence import Evidence
from harness.trace import Frames, Trace

DBC = """VERSION ""

BU_: BMS VCU

BO_ 256 State: 8 BMS
 SG_ Crc : 0|8@1+ (1,0) [0|255] "" VCU
 SG_ Alive : 8|4@1+ (1,0) [0|14] "" VCU
 SG_ Mode : 12|4@1+ (1,0) [0|15] "" VCU
 SG_ Overvoltage : 16|1@1+ (1,0) [0|1] "" VCU
 SG_ Current : 24|16@1- (0.1,0) [0|0] "A" VCU

BO_ 512 Command: 8 VCU
 SG_ Crc : 0|8@1+ (1,0) [0|255] "" BMS
 SG_ Alive : 8|4@1+ (1,0) [0|14] "" BMS
 SG_ Request : 12|2@1+ (1,0) [0|3] "" BMS
 SG_ Reset : 14|1@1+ (1,0) [0|1] "" BMS

BO_ 528 Charger: 8 VCU
 SG_ Alive : 8|4@1+ (1,0) [0|14] "" BMS

VAL_ 256 Mode 0 "Off" 2 "Standby" 4 "Drive" 9 "Test" ;
VAL_ 512 Reset 0 "No" 1 "Reset" ;
"""
PROFILE = """dbc = "product.dbc"
[signals]
"State.Mode" = { quantity = "bms_state", states = { Off = "off", Standby = "standby", Drive = "drive" } }
"State.Overvoltage" = "fault.cell_overvoltage"
"State.Current" = { quantity = "pack_current_a", scale = -1 }
[messages.State]
counter = "Alive"
crc = { signal = "Crc", data_id = 1 }
[restbus.Command]
node = "vehicle"
period_ms = 10
counter = "Alive"
[restbus.Charger]
node = "charger"
period_ms = 100
requires_plug = true
counter = "Alive"
[commands]
reset-faults = { "Command.Reset" = "Reset" }
"""
DUT, VEHICLE, CHARGER, TESTER, UNKNOWN = 0, 1, 2, 3, 255
STATE, COMMAND, CHARGING = 0x100, 0x200, 0x210
TICK_S = 0.01


@pytest.fixture(scope="module")
def profile(tmp_path_factory: pytest.TempPathFactory) -> Profile:
    folder = tmp_path_factory.mktemp("product")
    (folder / "product.dbc").write_text(DBC)
    (folder / "product.toml").write_text(PROFILE)
    return load_profile(folder / "product.toml")


def frames(*rows: tuple[float, int, int, Sequence[int]]) -> Frames:
    """Frames from (time in s, identifier, node, payload)."""
    n = len(rows)
    data = np.zeros((n, 8), np.uint8)
    for at, row in enumerate(rows):
        data[at, : len(row[3])] = row[3]
    return Frames(
        t_ns=np.array([round(row[0] * 1e9) for row in rows], np.uint64),
        id=np.array([row[1] for row in rows], np.uint32),
        flags=np.zeros(n, np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.array([row[2] for row in rows], np.uint8),
        length=np.full(n, 8, np.uint8),
        data=data,
    )


def observe(
    profile: Profile,
    *rows: tuple[float, int, int, Sequence[int]],
    n: int = 0,
    arrays: Mapping[str, Any] | None = None,
    header: Mapping[str, Any] | None = None,
    **sides: Mapping[str, Sequence[float]],
) -> Observation:
    """An observation of columns by side, on a 10 ms grid, and of frames."""
    columns: dict[Any, dict[str, Any]] = {
        side: {name: np.array(values, np.float32) for name, values in given.items()} for side, given in sides.items()
    }
    n = n or max((len(values) for side in columns.values() for values in side.values()), default=0)
    trace = Trace(
        np.arange(n, dtype=np.float64) * TICK_S, columns, frames(*rows), arrays=arrays or {}, header=header or {}
    )
    return Observation(trace, profile, timing_s=0.01, boot_s=0.6)


def values(series: Any) -> list[float]:
    assert series is not None
    assert len(series.t_s) == len(series.value)
    return [float(value) for value in series.value]


def test_it_is_evidence(profile: Profile) -> None:
    evidence: Evidence = observe(profile, given={"supply_v": [24.0, 24.0, 24.0]})
    assert (0.02, 0.01, 0.6) == (evidence.duration_s, evidence.timing_s, evidence.boot_s)


def test_columns_are_given_as_recorded_and_what_is_not_there_is_none(profile: Profile) -> None:
    seen = observe(profile, given={"supply_v": [24.0, 23.5]}, truth={"pack_voltage_v": [600.0, 601.0]})
    assert [24.0, 23.5] == values(seen.given("supply_v"))
    assert [600.0, 601.0] == values(seen.truth("pack_voltage_v"))
    assert seen.given("pack_voltage_v") is None
    assert seen.output("contactor_positive") is None
    assert seen.given("hvil_closed") is None
    assert seen.given("cell_voltage_v[1]") is None
    assert seen.given("vehicle_message_age_s") is not None


def test_digital_inputs_are_the_bits_of_the_firmware_port(profile: Profile) -> None:
    names = ("ignition", "charge_plug", "hvil_closed", "crash", "aux_positive", "aux_negative", "aux_precharge")
    seen = observe(profile, given={"digital_in": [0.0, 0x7F, *(1 << bit for bit in range(7))]})
    for bit, name in enumerate(names):
        assert [0.0, 1.0, *(float(at == bit) for at in range(7))] == values(seen.given(name))


def test_contactors_commanded_and_really_closed_are_two_things(profile: Profile) -> None:
    seen = observe(profile, output={"contactors": [0, 6, 3]}, truth={"contactors": [0, 2, 7]})
    assert [0.0, 0.0, 1.0] == values(seen.output("contactor_positive"))
    assert [0.0, 1.0, 1.0] == values(seen.output("contactor_negative"))
    assert [0.0, 1.0, 0.0] == values(seen.output("contactor_precharge"))
    assert [0.0, 0.0, 1.0] == values(seen.truth("contactor_precharge"))


def test_spreads_and_shares(profile: Profile) -> None:
    seen = observe(
        profile,
        given={
            "cell_voltage_max_v": [3.5, 3.5],
            "cell_voltage_min_v": [3.25, 3.5],
            "cell_temp_max_degc": [30.0, 40.0],
            "cell_temp_min_degc": [25.0, 20.0],
            "pack_voltage_v": [600.0, 0.0],
            "link_voltage_v": [570.0, 10.0],
        },
        truth={"soc_mean": [0.5, 0.25]},
        environment={"bus_load": [0.25, 0.5]},
    )
    assert [0.25, 0.0] == values(seen.given("cell_voltage_spread_v"))
    assert [5.0, 20.0] == values(seen.given("cell_temp_spread_k"))
    assert [95.0, 0.0] == values(seen.given("link_of_pack_pct"))
    assert [50.0, 25.0] == values(seen.truth("soc_pct"))
    assert [25.0, 50.0] == values(seen.truth("bus_load_pct"))


def test_cells_and_sensors_count_from_1(profile: Profile) -> None:
    cells = np.array([[3.1, 3.2], [3.3, 3.4]], np.float32)
    seen = observe(profile, n=2, arrays={"cell_voltage_v": cells, "true_cell_voltage_v": cells + 1})
    assert [pytest.approx(3.2), pytest.approx(3.4)] == values(seen.given("cell_voltage_v[2]"))
    assert [pytest.approx(4.1), pytest.approx(4.3)] == values(seen.truth("cell_voltage_v[1]"))
    assert seen.given("cell_voltage_v[0]") is None
    assert seen.given("cell_voltage_v[3]") is None


def test_a_voltage_mismatch_needs_all_cells_valid(profile: Profile) -> None:
    given = {"cell_voltage_sum_v": [600, 600, 600], "pack_voltage_v": [600, 620, 400], "cells_invalid": [0, 0, 1]}
    assert [0.0, 20.0, 0.0] == values(observe(profile, given=given).given("voltage_mismatch_v"))


def test_cells_lost_are_invalid_without_an_open_wire(profile: Profile) -> None:
    given = {"cells_invalid": [0, 2, 3], "cells_open_wire": [0, 0, 2]}
    assert [0.0, 2.0, 1.0] == values(observe(profile, given=given).given("cells_lost"))
    flags = np.array([[1, 1, 1, 1], [0, 0, 1, 1], [0, 2, 3, 0]], np.uint8)  # in the last row one open wire still reads
    seen = observe(profile, given=given, arrays={"cell_flags": flags})
    assert [0.0, 2.0, 2.0] == values(seen.given("cells_lost"))


def test_the_temperature_rise_is_that_of_the_fastest_sensor_over_3_s(profile: Profile) -> None:
    t_s = np.arange(1000) * TICK_S
    temps = np.full((1000, 5), 25.0)
    temps[:, 2] += np.clip(t_s - 2.0, 0.0, 4.0) * 1.5  # 1.5 K/s from 2 s to 6 s
    temps[:, 4] -= t_s * 3.0
    rise = np.array(
        values(
            observe(profile, n=1000, arrays={"cell_temp_degc": temps.astype(np.float32)}).given(
                "cell_temp_rise_k_per_s"
            )
        )
    )
    assert rise[0] == rise[199] == 0.0
    assert 0.75 == pytest.approx(rise[350], abs=1e-4)  # half of the window
    assert 1.5 == pytest.approx(rise[500], abs=1e-4)
    assert 1.5 == pytest.approx(rise[600], abs=1e-4)
    assert 0.0 == pytest.approx(rise[950], abs=1e-4)


def test_a_broken_sensor_does_not_rise(profile: Profile) -> None:
    temps = np.full((1000, 3), 25.0, np.float32)
    temps[500:, 1] = 150.0
    temps[300:, 2] = -60.0
    invalid = np.where(np.arange(1000) < 300, 0.0, 1.0)
    seen = observe(profile, arrays={"cell_temp_degc": temps}, given={"temps_invalid": invalid.tolist()})
    assert [0.0] * 1000 == values(seen.given("cell_temp_rise_k_per_s"))


def test_the_age_of_the_vehicle_message_counts_from_its_last_good_frame(profile: Profile) -> None:
    seen = observe(
        profile,
        (0.005, COMMAND, VEHICLE, []),
        (0.011, COMMAND, VEHICLE, [0, 1]),
        (0.020, STATE, DUT, []),
        (0.041, COMMAND, VEHICLE, [0, 2]),
        n=6,
    )
    age = values(seen.given("vehicle_message_age_s"))
    assert [0.0, 0.005, 0.009, 0.019, 0.029, 0.009] == [pytest.approx(value, abs=1e-9) for value in age]


def test_a_message_that_arrives_with_the_tick_is_heard_in_it(profile: Profile) -> None:
    age = values(observe(profile, (0.02, COMMAND, VEHICLE, []), n=4).given("vehicle_message_age_s"))
    assert [0.0, 0.01, 0.0, 0.01] == [pytest.approx(value, abs=1e-9) for value in age]


def test_a_controller_that_was_off_hears_anew_from_power_on(profile: Profile) -> None:
    powered = [1, 1, 0, 0, 1, 1]
    seen = observe(profile, (0.0, COMMAND, VEHICLE, []), output={"powered": powered})
    age = values(seen.given("vehicle_message_age_s"))
    assert [0.0, 0.01, 0.0, 0.0, 0.01, 0.02] == [pytest.approx(value, abs=1e-9) for value in age]
    assert [1.0, 1.0, 0.0, 0.0, 1.0, 1.0] == values(seen.given("powered"))


def test_the_age_of_the_charger_message_is_0_without_a_plug_and_counts_from_plugging_in(profile: Profile) -> None:
    plug = [0, 0, 2, 2, 2, 0]  # bit 1
    seen = observe(profile, (0.035, CHARGING, CHARGER, []), given={"digital_in": plug})
    age = values(seen.given("charger_message_age_s"))
    assert [0.0, 0.0, 0.01, 0.02, 0.005, 0.0] == [pytest.approx(value, abs=1e-9) for value in age]
    never = observe(profile, given={"digital_in": [0, 0, 0]})
    assert [0.0, 0.0, 0.0] == values(never.given("charger_message_age_s"))


def test_what_the_controller_reports_has_the_times_of_its_frames(profile: Profile) -> None:
    seen = observe(
        profile,
        (0.1, STATE, DUT, [0, 0x40, 1, 0xE8, 0x03]),
        (0.2, STATE, DUT, [0, 0x90, 0, 0x18, 0xFC]),
    )
    flag = seen.reported("fault.cell_overvoltage")
    assert flag is not None
    assert [0.1, 0.2] == flag.t_s.tolist()
    assert [1.0, 0.0] == values(flag)
    assert [-100.0, 100.0] == values(seen.reported("pack_current_a"))


def test_states_are_canonical_and_unknown_ones_stand_out(profile: Profile) -> None:
    modes = [(0.1 * at, STATE, DUT, [0, mode << 4]) for at, mode in enumerate([0, 2, 4, 9, 15])]
    assert [0.0, 2.0, 4.0, -1.0, -1.0] == values(observe(profile, *modes).reported("bms_state"))


def test_what_is_not_mapped_is_none_and_what_never_came_is_empty(profile: Profile) -> None:
    seen = observe(profile)
    assert seen.reported("soc_pct") is None
    assert [] == values(seen.reported("bms_state"))
    assert [] == values(seen.reported("fault.cell_overvoltage"))


def test_frames_that_another_node_forges_are_not_the_controllers_word(profile: Profile) -> None:
    seen = observe(profile, (0.1, STATE, DUT, [0, 0, 0]), (0.2, STATE, TESTER, [0, 0, 1]))
    assert [0.0] == values(seen.reported("fault.cell_overvoltage"))
    assert 1 == seen.decoded.counts.other_node


def test_recordings_without_senders_are_taken_whole(profile: Profile) -> None:
    seen = observe(profile, (0.1, STATE, UNKNOWN, [0, 0, 1]), (0.4, COMMAND, UNKNOWN, [0, 0x40]))
    assert [1.0] == values(seen.reported("fault.cell_overvoltage"))
    assert [0.4] == seen.resets().tolist()
    assert 0.4 == seen.duration_s
    assert [] == seen.power_ons().tolist()


def test_a_message_has_its_counter_and_whether_its_checksum_fits(profile: Profile) -> None:
    # CRC-8 SAE J1850 over 01 (data id) and the seven bytes behind the checksum, worked out bit by bit.
    good, other = [0, 0x0E, 0, 0, 0, 0, 0, 0], [0x55, 0x01, 0, 0, 0, 0, 0, 0]
    good[0] = j1850([1, *good[1:]])
    seen = observe(profile, (0.1, STATE, DUT, good), (0.2, STATE, DUT, other), (0.3, COMMAND, VEHICLE, []))
    message = seen.message("State", counter="Alive", crc="Crc")
    assert message is not None
    assert message.counter is not None
    assert message.crc_ok is not None
    assert ([0.1, 0.2], [14, 1], 15) == (message.t_s.tolist(), message.counter.tolist(), message.counter_modulus)
    assert [True, False] == message.crc_ok.tolist()
    bare = seen.message("State", counter=None, crc=None)
    assert bare is not None
    assert (None, None) == (bare.counter, bare.crc_ok)
    odd = seen.message("State", counter="Nothing", crc="Nothing")
    assert odd is not None
    assert (None, None) == (odd.counter, odd.crc_ok)
    assert seen.message("Nothing", counter=None, crc=None) is None


def j1850(content: Sequence[int]) -> int:
    register = 0xFF
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = ((register << 1) ^ 0x1D if register & 0x80 else register << 1) & 0xFF
    return register ^ 0xFF


def test_a_reset_is_requested_when_the_commands_signals_take_their_values(profile: Profile) -> None:
    reset, none = [0, 0x40], [0, 0x00]
    rows = [(0.1 * at, COMMAND, VEHICLE, payload) for at, payload in enumerate([none, reset, reset, none, reset])]
    assert [0.1, 0.4] == [pytest.approx(t_s) for t_s in observe(profile, *rows).resets()]


def test_power_ons_are_rising_edges_and_the_start_only_when_it_booted_there(profile: Profile) -> None:
    powered = {"powered": [1, 1, 0, 1]}
    assert [0.03] == [pytest.approx(t_s) for t_s in observe(profile, output=powered).power_ons()]
    booted = observe(profile, output=powered, header={"start": "off"})
    assert [0.0, 0.03] == [pytest.approx(t_s) for t_s in booted.power_ons()]


def test_asking_again_gives_the_same_object(profile: Profile) -> None:
    seen = observe(profile, (0.1, STATE, DUT, []), given={"digital_in": [1.0]})
    assert seen.given("ignition") is seen.given("ignition")
    assert seen.reported("bms_state") is seen.reported("bms_state")
    assert seen.message("State", counter=None, crc=None) is seen.message("State", counter=None, crc=None)


def test_an_empty_trace_is_no_error(profile: Profile) -> None:
    seen = observe(profile)
    assert 0.0 == seen.duration_s
    assert [] == values(seen.given("vehicle_message_age_s"))
    assert [] == seen.resets().tolist()
