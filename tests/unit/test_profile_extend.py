# SPDX-License-Identifier: Apache-2.0
"""Profiles that extend another one: what they take from it, what they put in its place, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.canbus.profile import Profile, load_profile
from harness.errors import RigError

BASE_DBC = """VERSION ""

BU_: BMS VCU

BO_ 256 State: 8 BMS
 SG_ Voltage : 0|16@1+ (0.1,0) [0|0] "V" VCU
 SG_ Current : 16|16@1- (0.1,0) [0|0] "A" VCU

BO_ 512 Command: 8 VCU
 SG_ Request : 0|2@1+ (1,0) [0|3] "" BMS
"""
MORE_DBC = """VERSION ""

BU_: BMS VCU

BO_ {identifier} More: 8 BMS
 SG_ Voltage : 0|16@1+ (0.05,0) [0|0] "V" VCU
"""
BASE = """dbc = "base.dbc"
title = "Base"
[signals]
"State.Voltage" = "pack_voltage_v"
"State.Current" = "pack_current_a"
[restbus.Command]
node = "vehicle"
period_ms = 10
values = { Request = 1 }
[commands]
drive = { "Command.Request" = 2 }
"""
EXTENDED_ID = 0x98FF00F3


def extended(folder: Path, own: str, *, identifier: int = EXTENDED_ID, dbc: str = 'dbc = "more.dbc"\n') -> Profile:
    (folder / "base.dbc").write_text(BASE_DBC)
    (folder / "more.dbc").write_text(MORE_DBC.format(identifier=identifier))
    (folder / "base.toml").write_text(BASE)
    (folder / "own.toml").write_text(f'extends = "base.toml"\n{dbc}{own}')
    return load_profile(folder / "own.toml")


def test_messages_signals_and_commands_of_the_other_profile_are_there(tmp_path: Path) -> None:
    profile = extended(tmp_path, "")
    assert {"State", "Command", "More"} == set(profile.database.by_name)
    assert {"pack_voltage_v", "pack_current_a"} == set(profile.bindings)
    assert ("Base", ["Command"]) == (profile.title, [message.name for message in profile.restbus])
    assert b"\x02" == profile.encode("Command", profile.commands["drive"]["Command"])[:1]


def test_an_own_signal_takes_the_place_of_the_other_one(tmp_path: Path) -> None:
    profile = extended(tmp_path, 'title = "Own"\n[signals]\n"More.Voltage" = "pack_voltage_v"\n')
    assert {"pack_voltage_v": "More.Voltage", "pack_current_a": "State.Current"} == {
        name: binding.path for name, binding in profile.bindings.items()
    }
    assert "Own" == profile.title


def test_a_profile_may_extend_another_without_a_database_of_its_own(tmp_path: Path) -> None:
    assert {"State", "Command"} == set(extended(tmp_path, "", dbc="").database.by_name)


def test_the_hash_is_that_of_both_databases(tmp_path: Path) -> None:
    both = extended(tmp_path, "").database.sha256
    assert both != extended(tmp_path, "", dbc="").database.sha256
    assert both != extended(tmp_path, "", identifier=EXTENDED_ID + 1).database.sha256


def test_an_identifier_that_both_databases_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"More: found also in base\.dbc"):
        extended(tmp_path, "", identifier=256)


def test_the_same_number_with_11_and_with_29_bits_is_not_the_same_identifier(tmp_path: Path) -> None:
    profile = extended(tmp_path, "", identifier=0x80000000 | 256)
    assert (256, True) == (profile.database.by_name["More"].id, profile.database.by_name["More"].extended)


def test_a_profile_that_extends_nothing_there_is_refused_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('title = "Own"\nextends = "gone.toml"\n')
    with pytest.raises(RigError, match=r"own\.toml:2: extends: found no file"):
        load_profile(tmp_path / "own.toml")


def test_profiles_in_a_circle_are_refused(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('extends = "own.toml"\n')
    with pytest.raises(RigError, match="no circle"):
        load_profile(tmp_path / "own.toml")


def test_a_profile_without_database_and_without_another_is_refused(tmp_path: Path) -> None:
    (tmp_path / "own.toml").write_text('title = "Own"\n')
    with pytest.raises(RigError, match="dbc"):
        load_profile(tmp_path / "own.toml")
