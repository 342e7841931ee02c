# SPDX-License-Identifier: Apache-2.0
"""Failures that are kept as files and played first the next time."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.errors import RigError
from harness.scenario import Scenario, begin, load_scenario
from harness.search.corpus import load_corpus, save_failure
from harness.search.runner import FailureKey
from harness.verdict import Outcome

FAILED = FailureKey("PRT-OV-3", Outcome.FAIL)


def test_a_kept_failure_is_named_by_its_content_and_comes_back(tmp_path: Path) -> None:
    scenario = Scenario(rig="toy", action=(begin(1.0, "crash"),))
    path = save_failure(scenario, tmp_path / "kept", key=FAILED)
    assert save_failure(scenario, tmp_path / "kept", key=FAILED) == path
    assert save_failure(scenario.model_copy(update={"seed": 2}), tmp_path / "kept", key=FAILED) != path
    assert load_scenario(path) == scenario
    assert [kept.path for kept in load_corpus(tmp_path / "kept") if kept.scenario == scenario] == [path]
    assert len(load_corpus(tmp_path / "kept")) == 2


def test_a_kept_failure_says_how_to_replay_it(tmp_path: Path) -> None:
    path = save_failure(Scenario(rig="toy"), tmp_path, key=FAILED)
    assert f"# bms-harness replay {path.name}" in path.read_text().splitlines()


def test_a_corpus_that_is_not_there_is_empty(tmp_path: Path) -> None:
    assert load_corpus(tmp_path / "none") == ()


def test_broken_files_of_a_corpus_are_all_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("rig = 3\n")
    (tmp_path / "b.toml").write_text("rig =\n")
    with pytest.raises(RigError) as caught:
        load_corpus(tmp_path)
    assert [Path(problem.file).name for problem in caught.value.problems] == ["a.toml", "b.toml"]
