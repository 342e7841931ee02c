# SPDX-License-Identifier: Apache-2.0
"""One seed, one result: verdicts, margins and shrunk scenarios of a campaign, byte by byte."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness.clock import ManualClock
from harness.rig import find_rig, load_rig
from harness.rig.campaign import FAILURES, Budget, Campaign, run_campaign
from harness.rig.file import Rig
from harness.rig.rundir import RunDirectory, finished_results
from harness.rig.smaller import Shrinker
from harness.rig.tally import Witness
from harness.scenario import Scenario, begin
from harness.search.corpus import save_failure
from harness.search.runner import Case
from harness.verdict import Outcome, Verdict

SECOND_FAULT_LOST = 45  # fails several requirements, in two actions each
BUDGET = Budget(grids=False, sequences=40, generated=96, seed=4)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("ebus-lfp"))


def play(rig: Rig, folder: Path, *, seed: int = BUDGET.seed, jobs: int = 2) -> tuple[Campaign, Path]:
    budget = Budget(grids=BUDGET.grids, sequences=BUDGET.sequences, generated=BUDGET.generated, seed=seed)
    with RunDirectory.create(folder, rig.name) as directory:
        campaign = run_campaign(rig, budget=budget, jobs=jobs, run_dir=directory, defect=SECOND_FAULT_LOST)
    return campaign, directory.path


def told(campaign: Campaign) -> Mapping[str, Any]:
    """All that a campaign says but times and places."""
    return {
        "verdicts": campaign.verdicts,
        "worst": campaign.worst,
        "findings": [(finding.requirement, finding.scenario, finding.verdict) for finding in campaign.findings],
        "fired": campaign.fired,
        "coverage": campaign.coverage,
        "rate": campaign.rate,
        "notes": campaign.notes,
    }


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (run / "scenarios").iterdir()}


@pytest.fixture(scope="module")
def first(rig: Rig, tmp_path_factory: pytest.TempPathFactory) -> tuple[Campaign, Path]:
    return play(rig, tmp_path_factory.mktemp("first") / "runs")


def test_the_same_seed_again_gives_the_same_though_its_own_failures_are_played_first(
    rig: Rig, first: tuple[Campaign, Path]
) -> None:
    again, run = play(rig, first[1].parent)
    assert 2 <= max(len(finding.scenario.action) for finding in again.findings)
    assert [] != list((first[1].parent / FAILURES).iterdir())
    assert again.cases > first[0].cases  # so they were played
    assert told(first[0]) == told(again)
    assert files(first[1]) == files(run)


def test_one_worker_gives_what_two_give(rig: Rig, first: tuple[Campaign, Path], tmp_path: Path) -> None:
    alone, run = play(rig, tmp_path / "elsewhere", jobs=1)
    assert told(first[0]) == told(alone)
    assert files(first[1]) == files(run)


def test_another_seed_plays_other_sequences(rig: Rig, first: tuple[Campaign, Path], tmp_path: Path) -> None:
    other, run = play(rig, tmp_path, seed=5)
    for phase in ("generated", "sequences"):
        first_lines, lines = (
            [line for line in finished_results(path) if line["phase"] == phase] for path in (first[1], run)
        )
        assert first_lines != lines
    assert first[0].coverage != other.coverage
    assert [v.margin for v in first[0].verdicts] != [v.margin for v in other.verdicts]


def test_a_kept_failure_fails_what_the_seed_does_not_find_and_changes_nothing_else(rig: Rig, tmp_path: Path) -> None:
    budget = Budget(grids=False, sequences=0, generated=16)
    crash = Scenario(
        rig="ebus-lfp",
        duration_s=6.0,
        action=(begin(0.5, "hvil-open"), begin(2.0, "crash")),
    )
    campaigns = []
    for folder in (tmp_path / "without", tmp_path / "with"):
        if folder.name == "with":
            save_failure(crash, folder / FAILURES)
        with RunDirectory.create(folder, rig.name) as directory:
            campaigns.append(run_campaign(rig, budget=budget, jobs=1, run_dir=directory, defect=SECOND_FAULT_LOST))
    without, kept = (
        {v.requirement: v for v in campaign.verdicts if v.requirement != "PRT-CRASH-3"} for campaign in campaigns
    )
    outcomes = [next(v.outcome for v in campaign.verdicts if v.requirement == "PRT-CRASH-3") for campaign in campaigns]
    assert Outcome.FAIL is outcomes[1] is not outcomes[0]
    assert without == kept


class Toy:
    """Fails whatever it is given."""

    def run(self, scenario: Scenario) -> Case:
        return Case(scenario, (Verdict("PRT-A-1", Outcome.FAIL),))


class Slow(ManualClock):
    """A clock on which every look costs a second."""

    def now_ns(self) -> int:
        self.sleep_until_ns(super().now_ns() + 1_000_000_000)
        return super().now_ns()


def test_a_guard_of_time_that_ends_shrinking_is_told() -> None:
    large = Scenario(rig="toy", duration_s=9.0, action=tuple(begin(0.5 + n, "hvil-open") for n in range(6)))
    witness = Witness(large, Verdict("PRT-A-1", Outcome.FAIL))
    slow = Shrinker(Toy(), Slow(), count=1, limit_s=3.0)
    in_time = Shrinker(Toy(), ManualClock(), count=1, limit_s=3.0)
    assert len(slow.smaller(witness).scenario.action) > len(in_time.smaller(witness).scenario.action) == 0
    assert ["PRT-A-1: shrinking stopped after 3 s"] == [note.split(",")[0] for note in slow.notes]
    assert [] == in_time.notes
