# SPDX-License-Identifier: Apache-2.0
"""The main job on the shipped rig: what breaks is found, made small, kept and played first the next time."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.rig import load_rig
from harness.rig.campaign import FAILURES, Budget, Campaign, Progress, run_campaign
from harness.rig.file import Rig
from harness.rig.resources import rigs_folder
from harness.rig.rundir import RunDirectory, finished_results
from harness.rig.session import Session
from harness.scenario import load_scenario
from harness.verdict import Outcome

QUICK = Budget(grids=False, sequences=20, generated=40, shrink_s=3.0)
GRIDS = Budget(corpus=False, sequences=0, generated=0, shrink_s=5.0)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(rigs_folder() / "ebus-lfp.toml")


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Rig:
    """The shipped rig with a firmware that confirms an over-voltage after 3 s instead of 0.9 s."""
    text = (rigs_folder() / "ebus-lfp.toml").read_text(encoding="utf-8")
    assert "cell_ov_trip_ms = 900" in text
    path = tmp_path_factory.mktemp("late") / "late.toml"
    path.write_text(text.replace("cell_ov_trip_ms = 900", "cell_ov_trip_ms = 3000"), encoding="utf-8")
    return load_rig(path)


def campaign(rig: Rig, folder: Path, budget: Budget) -> tuple[Campaign, Path]:
    with RunDirectory.create(folder / "runs", rig.name) as directory:
        return run_campaign(rig, budget=budget, jobs=2, run_dir=directory), directory.path


def test_the_number_of_workers_changes_no_verdict(rig: Rig) -> None:
    budget = Budget(corpus=False, grids=False, sequences=0, generated=48)
    one, two = (run_campaign(rig, budget=budget, jobs=jobs) for jobs in (1, 2))
    assert one.verdicts == two.verdicts
    assert one.worst == two.worst
    assert one.cases == two.cases == 48


def test_a_late_firmware_fails_the_right_requirement_with_a_scenario_that_replays(late: Rig, tmp_path: Path) -> None:
    result, folder = campaign(late, tmp_path, GRIDS)
    failed = {verdict.requirement for verdict in result.verdicts if verdict.outcome is Outcome.FAIL}
    assert "PRT-OV-3" in failed
    finding = next(finding for finding in result.findings if finding.requirement == "PRT-OV-3")
    assert len(finding.scenario.action) <= 3
    assert finding.path is not None
    assert finding.path.is_relative_to(folder)
    assert str(finding.path) in finding.replay
    replayed = load_scenario(finding.path)
    assert load_rig(Path(replayed.rig)).path == late.path
    with Session(late) as session:
        verdicts = {verdict.requirement: verdict for verdict in session.run(replayed).verdicts}
    assert verdicts["PRT-OV-3"].outcome is Outcome.FAIL
    assert verdicts["PRT-OV-3"] == finding.verdict


def test_what_failed_once_is_played_first_the_next_time(late: Rig, tmp_path: Path) -> None:
    small = Budget(corpus=True, grids=False, sequences=0, generated=0)
    kept = tmp_path / "runs" / FAILURES / "kept.toml"
    kept.parent.mkdir(parents=True)
    action = '[[action]]\nat_s = 0.5\nfault = "cell-voltage"\ncell = 1\nvoltage_v = 3.9\n'
    kept.write_text(f'rig = "somewhere-else"\nduration_s = 4.0\n{action}', encoding="utf-8")
    result, _ = campaign(late, tmp_path, small)
    assert "PRT-OV-3" in {finding.requirement for finding in result.findings}


def test_every_case_leaves_a_line_and_every_requirement_a_verdict(rig: Rig, tmp_path: Path) -> None:
    seen: list[Progress] = []
    with RunDirectory.create(tmp_path, rig.name) as directory:
        result = run_campaign(rig, budget=QUICK, jobs=2, run_dir=directory, progress=seen.append)
        lines = list(finished_results(directory.path))
    assert [verdict.requirement for verdict in result.verdicts] == [item.id for item in rig.requirements]
    assert not result.interrupted
    assert result.errors == ()
    phases = [line["phase"] for line in lines]
    assert (phases.count("generated"), phases.count("sequences") >= 20) == (40, True)
    assert all(json.dumps(line) for line in lines)
    assert {"generated", "sequences"} <= {progress.phase for progress in seen}
    assert all(progress.done <= progress.total for progress in seen)


def test_an_interrupted_campaign_keeps_what_is_finished(rig: Rig, tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done >= 32:
            raise KeyboardInterrupt

    budget = Budget(corpus=False, grids=False, sequences=0, generated=5000)
    with RunDirectory.create(tmp_path, rig.name) as directory:
        result = run_campaign(rig, budget=budget, jobs=2, run_dir=directory, progress=interrupt)
        assert len(list(finished_results(directory.path))) == result.cases
    assert result.interrupted
    assert 32 <= result.cases < 200
    assert any(verdict.outcome is Outcome.PASS for verdict in result.verdicts)
