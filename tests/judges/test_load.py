# SPDX-License-Identifier: Apache-2.0
"""Requirement files: every problem at once with its line, and the file that ships with the bus."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import Problem, RigError
from harness.requirements import load_requirements, requirement_schema
from harness.requirements.model import KINDS, Trip

SHIPPED = Path(__file__).parents[2] / "fixtures" / "requirements" / "ebus-lfp.toml"
DIAGNOSTICS = SHIPPED.with_name("diagnostics.toml")

GOOD = """
[[trip]]
id = "PRT-OV-3"
title = "Cell over-voltage opens the contactors"
source = ["pack specification"]
quantity = "cell_voltage_max_v"
above = 3.75
confirm_s = [0.8, 1.0]
flag = "fault.cell_overvoltage"
flag_within_s = 0.2
safe_within_s = 0.5
latched = true
"""


def problems(folder: Path, *texts: str) -> tuple[Problem, ...]:
    paths = []
    for index, text in enumerate(texts):
        paths.append(folder / f"file-{index + 1}.toml")
        paths[-1].write_text(text, encoding="utf-8")
    with pytest.raises(RigError) as error:
        load_requirements(*paths)
    return error.value.problems


def test_a_good_file_loads(tmp_path: Path) -> None:
    path = tmp_path / "good.toml"
    path.write_text(GOOD, encoding="utf-8")
    (found,) = load_requirements(path)
    assert isinstance(found, Trip)
    assert (found.id, found.above, found.confirm_s, found.latched) == ("PRT-OV-3", 3.75, (0.8, 1.0), True)


def test_all_problems_of_a_file_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    text = (
        GOOD.replace("latched", "latch").replace("[0.8, 1.0]", '"soon"').replace("cell_voltage_max_v", "cell_voltage")
    )
    found = {(problem.line, problem.key) for problem in problems(tmp_path, text)}
    assert found == {(6, "trip[1].quantity"), (8, "trip[1].confirm_s"), (12, "trip[1].latch")}


def test_an_id_used_twice_is_refused_within_a_file_and_over_files(tmp_path: Path) -> None:
    twice = problems(tmp_path, GOOD + GOOD)
    over_files = problems(tmp_path, GOOD, GOOD)
    assert [(problem.line, problem.key) for problem in twice] == [(15, "trip[2].id")]
    assert "trip[1]" in twice[0].allowed
    assert (Path(over_files[0].file).name, over_files[0].line) == ("file-2.toml", 3)
    assert "file-1.toml" in over_files[0].allowed


def test_the_problems_of_all_files_are_told_together(tmp_path: Path) -> None:
    found = problems(tmp_path, GOOD.replace("3.75", "inf"), GOOD.replace("0.2", "-0.2"))
    assert [Path(problem.file).name for problem in found] == ["file-1.toml", "file-2.toml"]


@pytest.mark.parametrize(
    ("change", "key"),
    [
        (('flag = "fault.cell_overvoltage"', 'flag = "soc_pct"'), "trip[1].flag"),
        (("above = 3.75", "above = 3.75\nnear = 0.001\naccuracy = 0.005"), "trip[1].near"),
        (("latched = true", "latched = true\nrelease_s = 5.0"), "trip[1].release_s"),
        (("latched = true", "reset_after_s = 1.0"), "trip[1].reset_after_s"),
        (("latched = true", 'safe_state = "none"'), "trip[1].safe_within_s"),
        (("latched = true", 'when = [{ quantity = "bms_state", state = "driving" }]'), "trip[1].when[1].state"),
        (("latched = true", 'when = [{ quantity = "soc_pct", state = "drive" }]'), "trip[1].when[1].quantity"),
        (("latched = true", 'when = [{ quantity = "fault.hvil", equals = 1 }]'), "trip[1].when[1].side"),
        (("above = 3.75", ""), "trip[1]"),
        (("above = 3.75", "above = 3.75\nbelow = 3.0"), "trip[1]"),
        (("[0.8, 1.0]", "[1.0, 0.8]"), "trip[1]"),
    ],
)
def test_contradictions_within_a_requirement_are_refused(tmp_path: Path, change: tuple[str, str], key: str) -> None:
    found = problems(tmp_path, GOOD.replace(*change))
    assert key in [problem.key for problem in found]


def test_reported_and_given_of_an_accuracy_have_the_same_unit(tmp_path: Path) -> None:
    text = (
        '[[accuracy]]\nid = "ACC-1"\ntitle = "mixed"\nsource = ["x"]\n'
        'reported = "soc_pct"\nquantity = "pack_voltage_v"\ntolerance = 1.0\n'
    )
    assert [problem.key for problem in problems(tmp_path, text)] == ["accuracy[1].reported"]


@pytest.mark.parametrize("text", ["", "title = 'empty'", "[[trip", "[[voltage]]\nid = 'X-1'", "trip = 3"])
def test_a_file_without_requirements_is_refused(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(RigError, match=r"nowhere\.toml"):
        load_requirements(tmp_path / "nowhere.toml")


def test_the_schema_accepts_the_shipped_file_and_refuses_an_unknown_key() -> None:
    import tomllib  # noqa: PLC0415 - only here

    jsonschema = pytest.importorskip("jsonschema")
    validator = jsonschema.Draft202012Validator(requirement_schema())
    data = tomllib.loads(SHIPPED.read_text(encoding="utf-8"))
    assert not list(validator.iter_errors(data))
    data["trip"][0]["abvoe"] = 1.0
    assert list(validator.iter_errors(data))


# ---- the file of the bus ---------------------------------------------------------------------------------------------


def test_the_bus_has_every_kind_and_a_source_for_everything() -> None:
    requirements = (*load_requirements(SHIPPED), *load_requirements(DIAGNOSTICS))
    assert {requirement.kind for requirement in requirements} == set(KINDS)
    assert len(requirements) >= 40
    assert all(source.strip() for requirement in requirements for source in requirement.source)


def test_numbers_of_our_own_choice_are_marked_as_assumptions() -> None:
    for requirement in load_requirements(SHIPPED):
        if any("own choice" in source or "general knowledge" in source for source in requirement.source):
            assert requirement.assumption, requirement.id


def test_prt_ov_3_is_the_example_of_the_design() -> None:
    (found,) = [item for item in load_requirements(SHIPPED) if item.id == "PRT-OV-3"]
    assert found.model_dump(exclude_defaults=True, exclude={"title"}) == {
        "id": "PRT-OV-3",
        "source": ("UN R100.03, overcharge protection", "pack specification"),
        "quantity": "cell_voltage_max_v",
        "above": 3.75,
        "accuracy": 0.005,
        "confirm_s": (0.8, 1.0),
        "flag": "fault.cell_overvoltage",
        "flag_within_s": 0.2,
        "safe_within_s": 0.5,
        "latched": True,
    }


def test_every_trip_tier_of_a_quantity_lies_beyond_the_tier_before() -> None:
    trips = {item.id: item for item in load_requirements(SHIPPED) if isinstance(item, Trip)}
    for name in ("OV", "UV", "DV", "COT", "CUT", "DOT", "DUT", "DT", "ISO", "DOC", "COC"):
        first, second, third = (trips[f"PRT-{name}-{tier}"] for tier in (1, 2, 3))
        rising = [item.above if item.above is not None else -(item.below or 0.0) for item in (first, second, third)]
        assert rising == sorted(set(rising)), name
        assert len({item.quantity for item in (first, second, third)}) == 1
