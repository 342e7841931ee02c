# SPDX-License-Identifier: Apache-2.0
"""Packs of clauses: what a file may say, what answers for a clause, and that nothing is left out."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.requirements.coverage import Covered, Status, cover
from harness.requirements.model import Goal, Requirement, Trip
from harness.requirements.packs import load_pack, load_packs
from harness.rig import find_rig, load_rig, shipped_rigs
from harness.rig.resources import data_root

CLAUSE = """
[[clause]]
id = "NORM-{name}"
clause = "5.1"
title = "Overcharge"
asks = "Charging ends in time."
source = ["a norm"]
assumption = true
applies_to = ["{application}"]
{how}
"""
SHIPPED = sorted((data_root() / "fixtures" / "packs").glob("*.toml"))


def trip(name: str, flag: str, quantity: str = "cell_voltage_max_v") -> Trip:
    return Trip.model_validate(
        {
            "id": name, "title": "a trip", "source": ["x"], "quantity": quantity, "above": 1.0,
            "confirm_s": [0.1, 0.2], "flag": flag, "flag_within_s": 0.2, "safe_within_s": 0.5,
        }
    )  # fmt: skip


OV = trip("PRT-OV-3", "fault.cell_overvoltage")
UV = trip("PRT-UV-3", "fault.cell_undervoltage", "cell_voltage_min_v")
GOAL = Goal.model_validate(
    {"id": "GOAL-OC-1", "title": "a goal", "source": ["x"], "quantity": "cell_voltage_max_v", "hazard_above": 4.2,
     "ftti_s": 4.0}
)  # fmt: skip


def write(folder: Path, *clauses: str, name: str = "pack.toml") -> Path:
    path = folder / name
    path.write_text('title = "A pack"\nnorm = "A norm"\n' + "".join(clauses), encoding="utf-8")
    return path


def clause(how: str, name: str = "A", application: str = "vehicle") -> str:
    return CLAUSE.format(name=name, application=application, how=how)


def covered(folder: Path, how: str, requirements: Iterable[Requirement], application: str = "vehicle") -> Covered:
    packs = load_packs([write(folder, clause(how))], tuple(requirements))
    (found,) = cover(packs, tuple(requirements), {application})
    return found


# ------------------------------------------------------------------------------------------------------ what answers


def test_a_clause_has_every_requirement_that_one_of_its_selectors_matches_in_the_order_of_the_rig(
    tmp_path: Path,
) -> None:
    how = 'covered_by = [{ kind = "goal", quantity = "cell_voltage_max_v" }, { flag = "fault.cell_overvoltage" }]'
    found = covered(tmp_path, how, [OV, UV, GOAL])
    assert (Status.COVERED, ("PRT-OV-3", "GOAL-OC-1"), ()) == (found.status, found.requirements, found.missing)


def test_a_selector_asks_for_all_of_its_keys(tmp_path: Path) -> None:
    how = 'covered_by = [{ kind = "goal", flag = "fault.cell_overvoltage" }]'
    assert covered(tmp_path, how, [OV, UV, GOAL]).status is Status.GAP


def test_a_clause_without_any_requirement_is_a_gap_that_says_what_was_looked_for(tmp_path: Path) -> None:
    found = covered(tmp_path, 'covered_by = [{ kind = "trip", flag = "fault.cell_overvoltage" }]', [UV])
    assert (Status.GAP, ()) == (found.status, found.requirements)
    assert ("kind trip, flag fault.cell_overvoltage",) == found.missing


def test_a_clause_that_lacks_a_part_is_only_partly_covered(tmp_path: Path) -> None:
    how = 'covered_by = [{ flag = "fault.cell_overvoltage" }, { flag = "fault.cell_undervoltage" }]'
    found = covered(tmp_path, how, [OV])
    assert (Status.PARTIAL, ("PRT-OV-3",)) == (found.status, found.requirements)
    assert ("flag fault.cell_undervoltage",) == found.missing


def test_what_is_optional_adds_evidence_and_is_never_missing(tmp_path: Path) -> None:
    how = 'covered_by = [{ flag = "fault.cell_overvoltage" }, { id = "GOAL-*", optional = true }]'
    assert ("PRT-OV-3", "GOAL-OC-1") == covered(tmp_path, how, [OV, GOAL]).requirements
    assert covered(tmp_path, how, [OV]).status is Status.COVERED


def test_wildcards_match_parts_of_ids_and_flags(tmp_path: Path) -> None:
    found = covered(tmp_path, 'covered_by = [{ id = "PRT-?V-3" }, { flag = "*.cell_overvoltage" }]', [OV, UV, GOAL])
    assert ("PRT-OV-3", "PRT-UV-3") == found.requirements


def test_a_clause_for_another_application_does_not_apply_and_is_still_listed(tmp_path: Path) -> None:
    found = covered(tmp_path, 'covered_by = [{ id = "PRT-*" }]', [OV], application="stationary")
    assert (Status.NOT_APPLICABLE, ()) == (found.status, found.requirements)


def test_a_clause_that_no_test_can_show_is_listed_with_the_reason(tmp_path: Path) -> None:
    found = covered(tmp_path, 'out_of_reach = "a fire test"', [OV])
    assert Status.OUT_OF_REACH is found.status
    assert found.clause.out_of_reach == "a fire test"


# --------------------------------------------------------------------------------------------------------- wrong files


def problems(path: Path, *more: Path, requirements: tuple[Requirement, ...] = (OV, UV, GOAL)) -> list[str]:
    with pytest.raises(RigError) as error:
        load_packs([path, *more], requirements)
    return [str(problem) for problem in error.value.problems]


def test_a_requirement_that_the_rig_does_not_have_is_told_with_line_and_near_ones(tmp_path: Path) -> None:
    path = write(tmp_path, clause('covered_by = [\n    { id = "PRT-OV-3" },\n    { id = "PRT-OW-3" },\n]'))
    (problem,) = problems(path)
    assert problem.startswith(f"{path}:14: clause[1].covered_by[2].id: found 'PRT-OW-3'")
    assert "such as PRT-OV-3" in problem


def test_a_clause_twice_is_told_within_a_pack_and_between_packs(tmp_path: Path) -> None:
    how = 'out_of_reach = "a fire test"'
    twice = write(tmp_path, clause(how), clause(how))
    with pytest.raises(RigError, match=r"clause\[2\].id: found 'NORM-A'.*clause\[1\] has this one"):
        load_pack(twice)
    one = write(tmp_path, clause(how), name="one.toml")
    other = write(tmp_path, clause(how, name="B"), clause(how), name="other.toml")
    (problem,) = problems(one, other)
    assert problem.startswith(f"{other}:15: clause[2].id: found 'NORM-A'")
    assert "one.toml has this one" in problem


@pytest.mark.parametrize(
    ("how", "told"),
    [
        ("", "either covered_by, or out_of_reach"),
        ('out_of_reach = "x y z"\ncovered_by = [{ id = "PRT-*" }]', "either covered_by, or out_of_reach"),
        ("covered_by = [{ optional = true }]", "at least one of id, flag"),
        ('covered_by = [{ kind = "trip" }]', "at least one of id, flag"),
        ('covered_by = [{ quantity = "cell_volts" }]', "not in the vocabulary"),
        ('covered_by = [{ flag = "cell_overvoltage" }]', "a flag: fault."),
        ('covered_by = [{ falg = "fault.x" }]', "did you mean flag"),
    ],
)
def test_what_a_clause_cannot_say_is_refused(tmp_path: Path, how: str, told: str) -> None:
    assert told in "\n".join(problems(write(tmp_path, clause(how))))


def test_a_clause_must_say_whether_it_is_confirmed(tmp_path: Path) -> None:
    text = clause('out_of_reach = "a fire test"').replace("assumption = true\n", "")
    assert "clause[1].assumption: found nothing" in "\n".join(problems(write(tmp_path, text)))


def test_all_wrong_packs_are_told_at_once(tmp_path: Path) -> None:
    one = write(tmp_path, clause(""), name="one.toml")
    other = write(tmp_path, clause('covered_by = [{ id = "PRT-X-1" }]', name="B"), name="other.toml")
    assert {str(one), str(other)} == {problem.partition(":")[0] for problem in problems(one, other)}


# ------------------------------------------------------------------------------------------------- of rigs, as shipped


def test_a_rig_with_packs_says_what_it_is(tmp_path: Path) -> None:
    text = find_rig("ebus-lfp").read_text(encoding="utf-8")
    path = tmp_path / "mine.toml"
    path.write_text(text.replace('applications = ["vehicle", "charging"]\n', ""), encoding="utf-8")
    with pytest.raises(RigError, match="applications with packs"):
        load_rig(path)
    path.write_text(text.replace('"vehicle", "charging"', '"boat"'), encoding="utf-8")
    with pytest.raises(RigError, match="boat"):
        load_rig(path)


def test_a_pack_that_is_not_there_is_told_with_its_place(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    text = find_rig("ebus-lfp").read_text(encoding="utf-8")
    path.write_text(text.replace("packs/gb-t-38661", "packs/gb-t-1"), encoding="utf-8")
    with pytest.raises(RigError, match=r"requirements.packs\[2\]: found '../fixtures/packs/gb-t-1.toml'"):
        load_rig(path)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_packs_fit_any_rig_and_mark_what_is_not_confirmed(path: Path) -> None:
    pack = load_pack(path)
    selectors = [(item.id, selector) for item in pack.file.clause for selector in item.covered_by]
    assert [] == [(name, str(selector)) for name, selector in selectors if selector.exact_id]
    doubtful = [item for item in pack.file.clause if "general knowledge" in " ".join((*item.source, item.clause))]
    assert [] == [item.id for item in doubtful if not item.assumption]


def test_every_shipped_pack_can_be_named_by_a_shipped_rig() -> None:
    for rig in map(load_rig, shipped_rigs()):
        load_packs(SHIPPED, rig.requirements)


@pytest.mark.parametrize("path", shipped_rigs(), ids=lambda path: path.stem)
def test_shipped_rigs_answer_for_every_clause_of_their_packs(path: Path) -> None:
    rig = load_rig(path)
    found = cover(rig.packs, rig.requirements, rig.file.requirements.applications)
    assert [] == [item.clause.id for item in found if item.status in (Status.GAP, Status.PARTIAL)]


def test_the_bus_names_the_packs_of_road_vehicles() -> None:
    rig = load_rig(find_rig("ebus-lfp"))
    assert ["un-r100-03.toml", "gb-t-38661.toml"] == [pack.path.name for pack in rig.packs]
