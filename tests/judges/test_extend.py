# SPDX-License-Identifier: Apache-2.0
"""Requirement files that extend another: kept, left out, changed, added; and every way to get it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RigError
from harness.requirements import load_requirements
from harness.requirements.model import Trip

BASE = """
[[trip]]
id = "T-OV"
title = "over-voltage"
source = ["base"]
assumption = true
quantity = "cell_voltage_max_v"
above = 3.75
accuracy = 0.005
confirm_s = [0.8, 1.0]
flag = "fault.cell_overvoltage"
flag_within_s = 0.2
safe_state = "contactors_open"
safe_within_s = 0.5
release_s = 5.0

[[trip]]
id = "T-UV"
title = "under-voltage"
source = ["base"]
quantity = "cell_voltage_min_v"
below = 2.5
confirm_s = [0.8, 1.0]
flag = "fault.cell_undervoltage"
flag_within_s = 0.2
safe_state = "none"
"""
OWN = """
[[goal]]
id = "T-G"
title = "no cell above 3 V"
source = ["own"]
quantity = "cell_voltage_max_v"
hazard_above = 3.0
ftti_s = 4.0
"""


def extended(folder: Path, text: str) -> Path:
    (folder / "base.toml").write_text(BASE, encoding="utf-8")
    path = folder / "own.toml"
    path.write_text(f'extends = "base.toml"\n{text}', encoding="utf-8")
    return path


def problems_of(path: Path) -> list[str]:
    with pytest.raises(RigError) as caught:
        load_requirements(path)
    return [f"{problem.line} {problem.key}: {problem.found} / {problem.allowed}" for problem in caught.value.problems]


def test_everything_of_the_base_is_kept_and_own_requirements_follow(tmp_path: Path) -> None:
    found = load_requirements(extended(tmp_path, OWN))
    assert [requirement.id for requirement in found] == ["T-OV", "T-UV", "T-G"]
    assert found[:2] == load_requirements(tmp_path / "base.toml")


def test_what_is_left_out_is_gone(tmp_path: Path) -> None:
    found = load_requirements(extended(tmp_path, 'leave_out = ["T-OV"]\n'))
    assert [requirement.id for requirement in found] == ["T-UV"]


def test_a_change_sets_its_keys_and_leaves_the_others(tmp_path: Path) -> None:
    text = '[[change]]\nid = "T-OV"\nabove = 2.80\nsource = ["cell"]\nlatched = true\nwithout = ["release_s"]\n'
    changed, _ = load_requirements(extended(tmp_path, text))
    original, _ = load_requirements(tmp_path / "base.toml")
    assert isinstance(changed, Trip)
    assert isinstance(original, Trip)
    expected = original.model_copy(update={"above": 2.8, "source": ("cell",), "latched": True, "release_s": None})
    assert expected == changed


def test_a_file_may_extend_one_that_extends_another(tmp_path: Path) -> None:
    extended(tmp_path, '[[change]]\nid = "T-OV"\nabove = 2.80\nsource = ["first"]\n')
    last = tmp_path / "last.toml"
    last.write_text('extends = "own.toml"\nleave_out = ["T-UV"]\n', encoding="utf-8")
    assert [(item.id, item.source) for item in load_requirements(last)] == [("T-OV", ("first",))]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('leave_out = ["T-OW"]', "2 leave_out[1]: 'T-OW' / the id of a requirement of base.toml"),
        (
            '[[change]]\nid = "T-OW"\nsource = ["x"]',
            "3 change[1].id: 'T-OW' / the id of a requirement of base.toml",
        ),
        (
            '[[change]]\nid = "T-OV"\nabove = "high"\nsource = ["x"]',
            "4 change[1].above: 'high' / a number",
        ),
        ('[[change]]\nid = "T-OV"\nabove = 2.8', "2 change[1].source: nothing / this key must be there"),
        (
            'leave_out = ["T-OV"]\n[[change]]\nid = "T-OV"\nsource = ["x"]',
            "4 change[1].id: 'T-OV' / one change, and not left out",
        ),
        (
            '[[change]]\nid = "T-OV"\nlatched = true\nsource = ["x"]',
            "2 change[1].release_s: 5.0 / nothing: a latched flag goes by reset only",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_on_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert [expected] == problems_of(extended(tmp_path, text + "\n"))


def test_an_unknown_key_of_a_change_names_the_known_ones(tmp_path: Path) -> None:
    (problem,) = problems_of(extended(tmp_path, '[[change]]\nid = "T-OV"\nabvoe = 2.8\nsource = ["x"]\n'))
    assert problem.startswith("4 change[1].abvoe: an unknown key / only the keys of this table:")
    assert problem.endswith("did you mean above?")


def test_an_id_twice_is_refused_even_when_one_comes_from_the_base(tmp_path: Path) -> None:
    text = OWN.replace('"T-G"', '"T-OV"')
    (problem,) = problems_of(extended(tmp_path, text))
    assert "'T-OV' / an id of its own, or a [[change]] of that of base.toml" in problem


def test_files_that_extend_each_other_in_a_circle_are_refused(tmp_path: Path) -> None:
    path = extended(tmp_path, "")
    (tmp_path / "base.toml").write_text('extends = "own.toml"\n', encoding="utf-8")
    (problem,) = problems_of(path)
    assert "no circle" in problem


def test_a_base_that_is_missing_is_named(tmp_path: Path) -> None:
    path = extended(tmp_path, "")
    (tmp_path / "base.toml").unlink()
    with pytest.raises(RigError, match=r"base\.toml: found no such file or directory"):
        load_requirements(path)


def test_a_change_needs_a_file_it_refers_to(tmp_path: Path) -> None:
    path = tmp_path / "alone.toml"
    path.write_text(BASE + '[[change]]\nid = "T-OV"\nabove = 2.8\nsource = ["x"]\n', encoding="utf-8")
    (problem,) = problems_of(path)
    assert problem.endswith('with `extends = "..."` only')
