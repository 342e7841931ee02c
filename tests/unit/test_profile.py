# SPDX-License-Identifier: Apache-2.0
"""Profiles: what a good one means, and that a wrong one reports every problem with its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus.e2e import AutosarChecksum, Checksum
from harness.canbus.product import Location
from harness.canbus.profile import Profile, load_profile
from harness.errors import Problem, RigError, UsageError

DBC = """VERSION ""

BU_: BMS VCU

BO_ 256 State: 8 BMS
 SG_ Crc : 0|8@1+ (1,0) [0|255] "" VCU
 SG_ Alive : 8|4@1+ (1,0) [0|14] "" VCU
 SG_ Mode : 12|4@1+ (1,0) [0|15] "" VCU
 SG_ Overvoltage : 16|1@1+ (1,0) [0|1] "" VCU
 SG_ Current : 39|16@0- (0.1,0) [0|0] "A" VCU
 SG_ Limit : 48|10@1+ (0.5,-10) [0|500] "A" VCU

BO_ 257 Cells: 8 BMS
 SG_ Page M : 0|8@1+ (1,0) [0|7] "" VCU
 SG_ Cell01 m0 : 8|16@1+ (0.001,0) [0|0] "V" VCU
 SG_ Cell02 m1 : 8|16@1+ (0.001,0) [0|0] "V" VCU

BO_ 512 Command: 8 VCU
 SG_ Crc : 0|8@1+ (1,0) [0|255] "" BMS
 SG_ Alive : 11|4@0+ (1,0) [0|15] "" BMS
 SG_ Request : 12|2@1+ (1,0) [0|3] "" BMS
 SG_ Reset : 14|1@1+ (1,0) [0|1] "" BMS
 SG_ LinkVoltage : 16|16@1+ (0.1,0) [0|1000] "V" BMS

BA_DEF_ BO_ "GenMsgCycleTime" INT 0 10000;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_ "GenMsgCycleTime" BO_ 512 10;
VAL_ 256 Mode 0 "Off" 2 "Standby" 3 "Precharge" 4 "Drive" ;
VAL_ 512 Request 0 "Off" 1 "Standby" 2 "Drive" ;
"""
PROFILE = """dbc = "product.dbc"
title = "Product"

[signals]
"State.Mode" = { quantity = "bms_state", states = { Off = "off", Drive = "drive" } }
"State.Overvoltage" = "fault.cell_overvoltage"
"State.Current" = { quantity = "pack_current_a", scale = -1 }

[[arrays]]
signal = "Cells.Cell{i:02d}"
quantity = "cell_voltage_v"
count = 2

[messages.State]
counter = "Alive"
crc = { signal = "Crc", data_id = 1 }

[restbus.Command]
node = "vehicle"
counter = { signal = "Alive", max = 14 }
crc = { signal = "Crc", data_id = 0x20 }
values = { Request = "Standby" }
dynamic = { LinkVoltage = "link_voltage_v" }

[commands]
drive = { "Command.Request" = "Drive" }
reset-faults = { "Command.Reset" = 1 }

[environment]
discharge_limit_a = "State.Limit"
charge_limit_a = { signal = "State.Limit", scale = -1, offset = 5 }
charge_voltage_limit_v = "State.Current"
ready_to_drive = { signal = "State.Mode", states = ["Precharge", "Drive"] }
"""
SHIPPED = Path(__file__).parents[2] / "dbc" / "reference-bms.profile.toml"


def load(folder: Path, text: str = PROFILE, dbc: str = DBC) -> Profile:
    (folder / "product.dbc").write_text(dbc)
    path = folder / "product.profile.toml"
    path.write_text(text)
    return load_profile(path)


def problems(folder: Path, text: str, dbc: str = DBC) -> list[Problem]:
    with pytest.raises(RigError) as caught:
        load(folder, text, dbc)
    return list(caught.value.problems)


def test_quantities_are_bound_to_signals_with_sign_and_states(tmp_path: Path) -> None:
    profile = load(tmp_path)
    assert "State.Overvoltage" == profile.bindings["fault.cell_overvoltage"].path
    current = profile.bindings["pack_current_a"]
    assert ("State.Current", -1.0, 0.0) == (current.path, current.scale, current.offset)
    states = profile.bindings["bms_state"].states
    assert states is not None
    assert ([0, 4], [0.0, 4.0]) == (states.raw.tolist(), states.canonical.tolist())


def test_array_elements_count_from_1(tmp_path: Path) -> None:
    bindings = load(tmp_path).bindings
    assert ("Cells.Cell01", "Cells.Cell02") == (bindings["cell_voltage_v[1]"].path, bindings["cell_voltage_v[2]"].path)


def test_numbers_in_names_may_begin_elsewhere_than_elements(tmp_path: Path) -> None:
    dbc = DBC.replace("Cell01", "Cell00").replace("Cell02", "Cell01")
    bindings = load(tmp_path, PROFILE.replace("count = 2", "count = 2\nfirst = 0"), dbc).bindings
    assert ("Cells.Cell00", "Cells.Cell01") == (bindings["cell_voltage_v[1]"].path, bindings["cell_voltage_v[2]"].path)


def test_a_state_without_a_name_in_the_value_table_is_named_by_its_number(tmp_path: Path) -> None:
    states = load(tmp_path, PROFILE.replace('Drive = "drive" }', '7 = "fault" }')).bindings["bms_state"].states
    assert states is not None
    assert ([0, 7], [0.0, 6.0]) == (states.raw.tolist(), states.canonical.tolist())
    (problem,) = problems(tmp_path, PROFILE.replace('Drive = "drive" }', '16 = "fault" }'))
    assert "16" in problem.found  # the signal has 4 bits


def test_counters_and_checksums_of_the_controller(tmp_path: Path) -> None:
    protection = load(tmp_path).protections["State"]
    assert ("Alive", 15, "Crc") == (protection.counter, protection.counter_modulus, protection.crc)
    assert (
        Checksum(position=0, length=8, polynomial=0x1D, initial=0xFF, final_xor=0xFF, data_id=1) == protection.checksum
    )


def test_the_rest_bus_is_ready_for_the_kernel(tmp_path: Path) -> None:
    (command,) = load(tmp_path).restbus
    assert (0x200, False, 8, "vehicle", 10) == (
        command.id,
        command.extended,
        command.length,
        command.node,
        command.period_ms,
    )
    # Big-endian in bits 11..8, which is the same as little-endian from bit 8.
    assert (8, 4, 14, 0) == (command.counter_start_bit, command.counter_length, command.counter_max, command.crc_byte)
    assert bytes([0, 0x10, 0, 0, 0, 0, 0, 0]) == command.payload
    assert command.protected
    assert {"link_voltage_v": Location("Command", 0x200, False, 16, 16, False, False, 0.1, 0.0)} == command.dynamic  # noqa: FBT003


def test_what_the_environment_hears_has_place_scale_and_states(tmp_path: Path) -> None:
    heard = load(tmp_path).environment
    assert (48, 10, 0.5, -10.0, None) == (
        heard["discharge_limit_a"].start_bit,
        heard["discharge_limit_a"].length,
        heard["discharge_limit_a"].scale,
        heard["discharge_limit_a"].offset,
        heard["discharge_limit_a"].match,
    )
    assert (-0.5, 15.0) == (heard["charge_limit_a"].scale, heard["charge_limit_a"].offset)
    voltage = heard["charge_voltage_limit_v"]
    assert (39, 16, True, True) == (voltage.start_bit, voltage.length, voltage.big_endian, voltage.signed)
    assert (3, 4) == heard["ready_to_drive"].match


def test_payloads_are_encoded_from_names_and_physical_numbers(tmp_path: Path) -> None:
    profile = load(tmp_path)
    assert bytes([0, 0x20, 0xE8, 0x03, 0, 0, 0, 0]) == profile.encode(
        "Command", {"Request": "Drive", "LinkVoltage": 100.0}
    )
    assert bytes([0, 0x50, 0, 0, 0, 0, 0, 0]) == profile.encode("Command", {"Reset": 1})
    assert bytes([0, 0, 0, 0, 0xFF, 0x9C, 0, 0]) == profile.encode("State", {"Current": -10.0})


@pytest.mark.parametrize(
    ("message", "values", "text"),
    [
        ("Comand", {}, "no message 'Comand'"),
        ("Command", {"Requst": 1}, "no signal 'Requst'"),
        ("Command", {"Request": "Fly"}, "allowed: Off, Standby, Drive"),
        ("Command", {"Request": 4}, "allowed: 0 to 3"),
        ("Command", {"LinkVoltage": float("nan")}, "finite"),
        ("Command", {"LinkVoltage": 1000.1}, "0 to 1000 V"),
        ("Command", {"LinkVoltage": "High"}, "no value table"),
        ("Cells", {"Page": 7}, "cannot be encoded"),
    ],
)
def test_values_that_do_not_fit_are_refused(tmp_path: Path, message: str, values: dict[str, float], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        load(tmp_path).encode(message, values)


WRONG = [
    ('"State.Overvoltage" = ', '"State.Overvoltge" = ', 6, "did you mean 'Overvoltage'?"),
    ('"State.Overvoltage" = ', '"Stat.Overvoltage" = ', 6, "did you mean 'State'?"),
    ('"State.Overvoltage" = ', '"Overvoltage" = ', 6, "'Message.Signal'"),
    ("fault.cell_overvoltage", "pack_current", 6, "did you mean 'pack_current_a'"),
    ("fault.cell_overvoltage", "pack_current_a", 7, "each quantity once; State.Overvoltage reports it"),
    ("fault.cell_overvoltage", "cell_voltage_v", 6, "cell_voltage_v[1]"),
    ('Drive = "drive"', 'Drve = "drive"', 5, "did you mean 'Drive'?"),
    ('Drive = "drive"', 'Drive = "driving"', 5, "did you mean 'drive'?"),
    (', states = { Off = "off", Drive = "drive" }', "", 5, "states = {"),
    ("scale = -1 }\n\n", "scale = 0 }\n\n", 7, "other than 0"),
    ("count = 2", "count = 3", 10, "product.dbc"),
    ("count = 2", "count = 0", 12, "greater than or equal to 1"),
    ("{i:02d}", "{i.__class__}", 10, "{i} or {i:03d}"),
    ('quantity = "cell_voltage_v"', 'quantity = "cell_voltage_max_v"', 11, "cell_voltage_v"),
    ("[messages.State]", "[messages.Stat]", 14, "did you mean 'State'?"),
    ('counter = "Alive"', 'counter = "Alve"', 15, "did you mean 'Alive'?"),
    ("data_id = 1 ", "data_id = 256 ", 16, "0 to 255"),
    ('{ signal = "Crc", data_id = 1 }', '{ signal = "Alive", data_id = 1 }', 16, "one whole byte"),
    ("max = 14", "max = 16", 20, "at most 15"),
    ('values = { Request = "Standby" }', 'values = { Request = "Standb" }', 22, "Off, Standby, Drive"),
    ('"link_voltage_v"', '"link_voltage"', 23, "did you mean 'link_voltage_v'"),
    ('node = "vehicle"', 'node = "car"', 19, "'vehicle', 'charger' or 'tester'"),
    ('drive = { "Command.Request" = "Drive" }', 'drive = { "Command.Request" = 9 }', 26, "0 to 3"),
    ('drive = { "Command', 'drive = { "State', 26, "a signal of State"),
    ("reset-faults =", "reset-fault =", 27, "did you mean 'reset-faults'?"),
    ('discharge_limit_a = "State.Limit"', 'discharge_limit = "State.Limit"', 30, "did you mean 'discharge_limit_a'"),
    ('states = ["Precharge", "Drive"]', 'states = ["Off", "Drive"]', 33, "next to each other"),
    ('states = ["Precharge", "Drive"]', 'states = ["Off"]', 33, "not only number 0"),
    ("title =", "titel =", 2, "only the keys of this table"),
    ('dbc = "product.dbc"', 'dbc = "other.dbc"', 1, "a DBC file beside the profile"),
]


@pytest.mark.parametrize(("old", "new", "line", "allowed"), WRONG)
def test_a_wrong_entry_is_reported_with_its_line_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, line: int, allowed: str
) -> None:
    assert old in PROFILE
    reported = problems(tmp_path, PROFILE.replace(old, new, 1))
    assert any(problem.line == line and allowed in problem.allowed for problem in reported), reported


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    text = PROFILE.replace("State.Overvoltage", "State.Nothing").replace("data_id = 1 ", "data_id = 999 ")
    assert [6, 16] == [problem.line for problem in problems(tmp_path, text)]


def test_a_rest_bus_message_needs_a_period(tmp_path: Path) -> None:
    no_cycle = DBC.replace('BA_ "GenMsgCycleTime" BO_ 512 10;\n', "")
    assert "no period" in problems(tmp_path, PROFILE, no_cycle)[0].found
    given_here = PROFILE.replace('node = "vehicle"', 'node = "vehicle"\nperiod_ms = 20')
    assert 20 == load(tmp_path, given_here, no_cycle).restbus[0].period_ms


def test_a_doubtful_database_is_taken_only_when_the_profile_says_so(tmp_path: Path) -> None:
    overlapping = DBC.replace("SG_ Reset : 14|1", "SG_ Reset : 13|1")
    assert "bits shared by" in problems(tmp_path, PROFILE, overlapping)[0].found
    assert load(tmp_path, "strict = false\n" + PROFILE, overlapping).database.warnings


def test_autosar_profiles_are_for_messages_of_the_controller(tmp_path: Path) -> None:
    crc = '{ signal = "Crc", data_id = 1 }'
    profile = load(tmp_path, PROFILE.replace(crc, '{ signal = "Crc", autosar = "P01", data_id = 0x123 }'))
    assert AutosarChecksum("P01", 8, 0x123) == profile.protections["State"].checksum
    missing = PROFILE.replace(crc, '{ signal = "Crc", autosar = "P02" }')
    assert "data_ids (16 bytes) with P02" in problems(tmp_path, missing)[0].allowed
    restbus = PROFILE.replace("data_id = 0x20 }", 'data_id = 0x20, autosar = "P01" }')
    assert "CRC-8" in problems(tmp_path, restbus)[0].allowed


def test_a_missing_profile_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="no such file"):
        load_profile(tmp_path / "none.toml")


@given(st.data())
def test_any_damage_to_a_profile_is_a_rig_error(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(PROFILE) - 1))
    cut = data.draw(st.integers(0, 12))
    text = PROFILE[:at] + data.draw(st.text(max_size=5)) + PROFILE[at + cut :]
    folder = tmp_path_factory.mktemp("fuzz")
    (folder / "product.dbc").write_text(DBC)
    path = folder / "product.profile.toml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        assert load_profile(path).bindings is not None
    except RigError as error:
        refused = error.problems
    else:
        return
    assert refused


NEEDY = (
    PROFILE.replace("reset-faults =", 'standby = { "Command.Request" = "Standby", "Cells.Cell02" = 1 }\nreset-faults =')
    + '[restbus.Cells]\nnode = "vehicle"\nperiod_ms = 100\nneeds = "line"\n'
)


def test_a_rig_sends_only_what_it_has_what_is_needed_for(tmp_path: Path) -> None:
    profile = load(tmp_path, NEEDY)
    assert profile.needs == {"line"}
    assert {"Command", "Cells"} == {message.name for message in profile.sent_with({"line"}).restbus}
    without = profile.sent_with({"other"})
    assert ["Command"] == [message.name for message in without.restbus]
    assert {"Command", "Cells"} == without.of_others == profile.of_others
    assert {"Command": {"Request": "Standby"}} == without.commands["standby"]
    assert {"Command", "Cells"} == profile.commands["standby"].keys()


def test_an_age_is_a_known_one(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, NEEDY + 'age = "cells_message_age_s"\n')
    assert problem.key == "restbus.Cells.age"
    assert "line_message_age_s" in problem.allowed


def test_the_shipped_profile_and_database_load_without_a_warning() -> None:
    profile = load_profile(SHIPPED)
    assert profile.database.warnings == ()
    assert {"vehicle", "charger"} <= {message.node for message in profile.restbus}
    assert {"standby", "drive", "charge", "reset-faults"} <= profile.commands.keys()
    assert all(message.protected for message in profile.restbus)
    assert {"charge_limit_a", "discharge_limit_a", "charge_voltage_limit_v", "ready_to_drive", "ready_to_charge"} == (
        profile.environment.keys()
    )
    assert 192 <= sum(quantity.startswith("cell_voltage_v[") for quantity in profile.bindings)
