# SPDX-License-Identifier: Apache-2.0
"""The defect list: what it may say, and how what is wrong in it is told."""

import shutil
from pathlib import Path

import pytest

from harness.errors import RigError, UsageError
from harness.rig import find_rig, load_rig
from harness.rig.defectfile import load_defects, select
from harness.rig.file import Rig
from harness.rig.resources import data_root

DEFECT = """[[defect]]
id = {id}
name = "{name}"
story = "a story"
requirement = "{requirement}"
"""


def rig_with(text: str, folder: Path) -> Rig:
    rig = Path(shutil.copy(find_rig("ebus-lfp"), folder / "ebus-lfp.toml"))
    (folder / "list.toml").write_text(text)
    rig.write_text(rig.read_text().replace('"reference-bms/defects.toml"', '"list.toml"'))
    return load_rig(rig)


def three(folder: Path) -> Rig:
    text = "".join(DEFECT.format(id=n, name=f"defect {n}", requirement="PRT-OV-3") for n in (3, 7, 9))
    return rig_with(text + '[[survivor]]\nid = 7\nreason = "cannot be seen from outside"\n', folder)


def test_the_list_of_the_shipped_rig_names_requirements_it_has() -> None:
    assert len(load_defects(load_rig(find_rig("ebus-lfp"))).defect) >= 5


def test_survivors_are_known_by_id_with_their_reason(tmp_path: Path) -> None:
    assert {7: "cannot be seen from outside"} == load_defects(three(tmp_path)).allowed


def test_a_survivor_of_another_rig_is_none_here(tmp_path: Path) -> None:
    text = DEFECT.format(id=1, name="one", requirement="PRT-OV-3")
    text += '[[survivor]]\nid = 1\nreason = "not on that rig"\nrigs = ["{}"]\n'
    assert {1: "not on that rig"} == load_defects(rig_with(text.format("ebus-lfp"), tmp_path)).allowed
    assert {} == load_defects(rig_with(text.format("another"), tmp_path)).allowed


def test_a_rig_without_a_list_says_which_key_to_set(tmp_path: Path) -> None:
    path = Path(shutil.copy(find_rig("ebus-lfp"), tmp_path / "plain.toml"))
    path.write_text(path.read_text().replace('defects = "reference-bms/defects.toml"\n', ""))
    with pytest.raises(UsageError, match=r"\[firmware\] defects"):
        load_defects(load_rig(path))


def test_a_list_that_is_missing_is_a_problem_of_the_rig_file(tmp_path: Path) -> None:
    path = Path(shutil.copy(find_rig("ebus-lfp"), tmp_path / "plain.toml"))
    path.write_text(path.read_text().replace('"reference-bms/defects.toml"', '"nowhere.toml"'))
    with pytest.raises(RigError) as caught:
        load_rig(path)
    assert ["firmware.defects"] == [problem.key for problem in caught.value.problems]


def test_every_dangling_name_is_told_at_once_with_its_line(tmp_path: Path) -> None:
    text = DEFECT.format(id=1, name="one", requirement="PRT-NO-1") + '[[survivor]]\nid = 5\nreason = "because"\n'
    with pytest.raises(RigError) as caught:
        load_defects(rig_with(text, tmp_path))
    found = [(problem.line, problem.key) for problem in caught.value.problems]
    assert [(5, "defect[1].requirement"), (7, "survivor[1].id")] == found


def without_the_charger(folder: Path) -> Path:
    """A rig whose requirements leave out what the shipped bus has of its charger."""
    path = Path(shutil.copy(find_rig("ebus-lfp"), folder / "plain.toml"))
    base = path.read_text().partition("[requirements]")[0]
    shutil.copy(data_root() / "fixtures" / "requirements" / "ebus-lfp.toml", folder / "ebus-lfp.toml")
    (folder / "fewer.toml").write_text('extends = "ebus-lfp.toml"\nleave_out = ["PRT-CHG-3"]\n')
    (folder / "list.toml").write_text(
        DEFECT.format(id=1, name="one", requirement="PRT-CHG-3")
        + DEFECT.format(id=2, name="two", requirement="PRT-OV-3")
    )
    text = base.replace('"reference-bms/defects.toml"', '"list.toml"') + '[requirements]\nfiles = ["fewer.toml"]\n'
    path.write_text(text)
    return path


def test_defects_of_functions_that_only_other_rigs_have_are_left_out(tmp_path: Path) -> None:
    rig = load_rig(without_the_charger(tmp_path))
    assert [2] == [defect.id for defect in load_defects(rig).defect]


def test_a_list_of_which_nothing_is_left_is_refused(tmp_path: Path) -> None:
    path = without_the_charger(tmp_path)
    (tmp_path / "list.toml").write_text(DEFECT.format(id=1, name="one", requirement="PRT-CHG-3"))
    with pytest.raises(UsageError, match=r"no defect of .*list\.toml names a requirement of rig 'plain'"):
        load_defects(load_rig(path))


def test_an_id_used_twice_is_refused(tmp_path: Path) -> None:
    text = "".join(DEFECT.format(id=4, name=name, requirement="PRT-OV-3") for name in ("one", "two"))
    with pytest.raises(RigError, match="each id once"):
        load_defects(rig_with(text, tmp_path))


def test_only_picks_by_id_in_the_order_of_the_list(tmp_path: Path) -> None:
    listed = load_defects(three(tmp_path))
    assert [3, 9] == [defect.id for defect in select(listed, (9, 3), None, 1)]
    with pytest.raises(UsageError, match="no defect 4 in the list; there are 3, 7, 9"):
        select(listed, (4,), None, 1)


def test_a_sample_has_the_size_asked_for_and_depends_on_the_seed_only(tmp_path: Path) -> None:
    listed = load_defects(three(tmp_path))
    samples = [tuple(defect.id for defect in select(listed, (), 2, seed)) for seed in (1, 1, 2, 3, 4)]
    assert samples[0] == samples[1]
    assert {2} == {len(sample) for sample in samples}
    assert len(set(samples)) > 1
    assert [3, 7, 9] == [defect.id for defect in select(listed, (), 99, 1)]


def test_a_defect_that_only_a_long_run_shows_is_left_to_soak(tmp_path: Path) -> None:
    long = DEFECT.format(id=2, name="two", requirement="PRT-OV-3") + "long_run = true\n"
    rig = rig_with(DEFECT.format(id=1, name="one", requirement="PRT-OV-3") + long, tmp_path)
    assert [1] == [defect.id for defect in load_defects(rig).defect]
