# SPDX-License-Identifier: Apache-2.0
"""Profiles of equal controllers on one bus: moved identifiers, and those that meet."""

from __future__ import annotations

import pytest

from harness.canbus.profile import Profile, load_profile
from harness.canbus.shift import clashes, shifted
from harness.errors import UsageError
from harness.rig.resources import data_root


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(data_root() / "dbc" / "reference-bms.profile.toml")


def test_every_identifier_is_moved_and_nothing_else(profile: Profile) -> None:
    moved = shifted(profile, 0x200)
    assert {name: item.id + 0x200 for name, item in profile.database.by_name.items()} == {
        name: item.id for name, item in moved.database.by_name.items()
    }
    assert [item.id + 0x200 for item in profile.restbus] == [item.id for item in moved.restbus]
    assert [item.payload for item in profile.restbus] == [item.payload for item in moved.restbus]
    for name, place in profile.environment.items():
        assert place.id + 0x200 == moved.environment[name].id
    values = {"ModeRequest": "Drive"}
    assert profile.encode("VCU_Command", values) == moved.encode("VCU_Command", values)


def test_the_first_string_has_the_profile_as_it_is(profile: Profile) -> None:
    assert profile is shifted(profile, 0)


def test_an_identifier_that_leaves_its_range_is_refused(profile: Profile) -> None:
    with pytest.raises(UsageError, match=r"identifier 0x[0-9A-F]+ of \w+ moved by 0x700 is above 0x7FF"):
        shifted(profile, 0x700)


def test_identifiers_of_two_strings_that_meet_are_named(profile: Profile) -> None:
    found = clashes((profile, shifted(profile, 0x10)))
    assert "0x210: CHG_Status of string 1, VCU_Command of 2" in found
    assert () == clashes((profile, shifted(profile, 0x200), shifted(profile, 0x400)))
