# SPDX-License-Identifier: Apache-2.0
"""Rig files: what is accepted, what is refused and how, and where the files they name are looked up."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RigError, UsageError
from harness.rig import find_rig, load_rig, shipped_rigs
from harness.rig.compose import bounds_of
from harness.rig.resources import data_root

SHIPPED = data_root() / "rigs" / "ebus-lfp.toml"


def edited(tmp_path: Path, *changes: tuple[str, str], name: str = "copy.toml") -> Path:
    """A copy of the shipped rig in another folder, with some text replaced."""
    text = SHIPPED.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    return path


def problems_of(path: Path) -> dict[str, str]:
    with pytest.raises(RigError) as caught:
        load_rig(path)
    assert all(problem.file == str(path) for problem in caught.value.problems)
    return {problem.key: f"{problem.line}: {problem.found}: {problem.allowed}" for problem in caught.value.problems}


def line_of(path: Path, text: str) -> int:
    lines = path.read_text(encoding="utf-8").splitlines()
    return 1 + next(i for i, line in enumerate(lines) if text in line)


def test_a_shipped_rig_is_found_by_name_and_by_path() -> None:
    assert find_rig("ebus-lfp") == SHIPPED
    assert find_rig(str(SHIPPED)) == SHIPPED
    assert SHIPPED in shipped_rigs()


def test_an_unknown_rig_is_refused_with_the_known_ones_and_the_near_one() -> None:
    with pytest.raises(UsageError, match=r"did you mean 'ebus-lfp'; shipped rigs: .*ebus-lfp"):
        find_rig("ebus-lpf")


def test_a_folder_is_not_a_rig(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder"):
        find_rig(str(tmp_path))


def test_the_shipped_rig_is_complete() -> None:
    rig = load_rig(SHIPPED)
    assert (rig.name, rig.file.cells.series, rig.file.cells.parallel) == ("ebus-lfp", 192, 60)
    assert all(path.suffix == ".c" for path in rig.sources)
    assert all(path.is_file() for path in (*rig.sources, rig.cell_file, rig.duty_file, rig.profile_file))


def test_a_copy_in_any_folder_means_the_same_files(tmp_path: Path) -> None:
    shipped, copy = load_rig(SHIPPED), load_rig(edited(tmp_path))
    assert copy.sources == shipped.sources
    assert (copy.cell_file, copy.duty_file, copy.profile_file) == (
        shipped.cell_file,
        shipped.duty_file,
        shipped.profile_file,
    )
    assert copy.requirement_files == shipped.requirement_files


def test_files_beside_the_copy_take_precedence(tmp_path: Path) -> None:
    own = tmp_path / "reference-bms" / "only.c"
    own.parent.mkdir()
    own.write_text("int only;\n", encoding="utf-8")
    assert load_rig(edited(tmp_path)).sources == (own.resolve(),)


def test_another_firmware_source_can_be_named(tmp_path: Path) -> None:
    own = tmp_path / "mine.c"
    own.write_text("int mine;\n", encoding="utf-8")
    rig = load_rig(edited(tmp_path, ('sources = ["reference-bms/*.c"]', 'sources = ["mine.c"]')))
    assert rig.sources == (own.resolve(),)


def test_all_problems_of_a_file_come_at_once_each_with_its_line(tmp_path: Path) -> None:
    path = edited(
        tmp_path,
        ("series = 192", "series = 4000"),
        ("mass_kg = 17_000.0", "mass_t = 17.0"),
        ("sort-2.toml", "sort-9.toml"),
        ("tick_ms = 10", 'tick_ms = "ten"'),
    )
    found = problems_of(path)
    assert set(found) == {
        "cells.series",
        "vehicle.mass_t",
        "vehicle.mass_kg",
        "vehicle.cycle",
        "simulation.tick_ms",
    }
    assert found["cells.series"].startswith(f"{line_of(path, 'series = 4000')}: 4000: ")
    assert "400" in found["cells.series"].partition(": 4000: ")[2]
    assert found["vehicle.mass_t"].startswith(f"{line_of(path, 'mass_t')}: an unknown key")
    assert found["simulation.tick_ms"].startswith(f"{line_of(path, 'tick_ms')}: 'ten'")
    assert str(tmp_path) in found["vehicle.cycle"]
    assert str(data_root() / "rigs") in found["vehicle.cycle"]


def test_a_wildcard_that_matches_nothing_is_a_missing_file(tmp_path: Path) -> None:
    path = edited(tmp_path, ("reference-bms/*.c", "nothing-here/*.c"))
    assert set(problems_of(path)) == {"firmware.sources[1]"}


def test_more_sensors_than_cells_is_impossible(tmp_path: Path) -> None:
    path = edited(tmp_path, ("temperature_sensors = 48", "temperature_sensors = 193"))
    assert "192" in problems_of(path)["pack.temperature_sensors"]


def test_a_supply_threshold_above_the_supply_is_impossible(tmp_path: Path) -> None:
    path = edited(tmp_path, ("supply_min_v = 9.0", "supply_min_v = 24.0"))
    assert "pack" in problems_of(path)


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    path = tmp_path / "broken.toml"
    path.write_text('title = "x"\n[cells\n', encoding="utf-8")
    with pytest.raises(RigError) as caught:
        load_rig(path)
    assert [problem.line for problem in caught.value.problems] == [2]


def with_feature_messages(folder: Path, features: str) -> Path:
    """The shipped rig with a profile of which the charger's message needs "inlet", and these features of its own."""
    text = (data_root() / "dbc" / "reference-bms.profile.toml").read_text(encoding="utf-8")
    text = text.replace("[restbus.CHG_Status]\n", '[restbus.CHG_Status]\nneeds = "inlet"\n')
    dbc = data_root() / "dbc" / "reference-bms.dbc"
    (folder / "needy.toml").write_text(text.replace('"reference-bms.dbc"', f'"{dbc}"'), encoding="utf-8")
    return edited(folder, ('profile = "../dbc/reference-bms.profile.toml"', f'profile = "needy.toml"\n{features}'))


def test_features_of_the_rig_file_bring_the_messages_that_need_them(tmp_path: Path) -> None:
    assert "CHG_Status" not in {
        message.name for message in load_rig(with_feature_messages(tmp_path, "")).profile.restbus
    }
    rig = load_rig(with_feature_messages(tmp_path, 'features = ["inlet"]'))
    assert {"inlet"} == rig.features
    assert "CHG_Status" in {message.name for message in rig.profile.restbus}


def test_a_feature_that_nothing_needs_is_refused(tmp_path: Path) -> None:
    rig = load_rig(with_feature_messages(tmp_path, 'features = ["inlett"]'))
    with pytest.raises(RigError, match=r"can.features: found 'inlett'; allowed: .*inlet"):
        rig.read_all()


def test_a_message_not_sent_is_none_of_the_controllers(tmp_path: Path) -> None:
    bounds = bounds_of(load_rig(with_feature_messages(tmp_path, "")))
    assert "CHG_Status" not in {message.name for message in (*bounds.messages, *bounds.dut_messages)}
