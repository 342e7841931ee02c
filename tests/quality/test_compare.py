# SPDX-License-Identifier: Apache-2.0
"""Comparing two firmwares: equal ones do not differ; a changed parameter is found where it first shows, and small."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.rig import find_rig, load_rig
from harness.rig.compare import Comparison, compare
from harness.rig.differences import Key
from harness.rig.file import Rig
from harness.scenario import Scenario, begin
from harness.verdict import Outcome


def changed(folder: Path, old: str, new: str) -> Rig:
    path = Path(shutil.copy(find_rig("ebus-lfp"), folder / "changed.toml"))
    text = path.read_text()
    assert 1 == text.count(f"\n{old}\n")
    path.write_text(text.replace(old, new))
    return load_rig(path)


def scenarios() -> list[Scenario]:
    """Nothing happens; a cell too high after a message that is late; a cell that is not there."""
    late = begin(0.5, "message-late", message="vehicle", delay_s=0.02)
    over, absent = (begin(1.0, "cell-voltage", cell=cell, voltage_v=3.9) for cell in (17, 999))
    return [Scenario(rig="ebus-lfp", duration_s=4.0, action=actions) for actions in ((), (late, over), (absent,))]


@pytest.fixture(scope="module")
def comparison(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    rig = load_rig(find_rig("ebus-lfp"))
    slower = changed(tmp_path_factory.mktemp("rigs"), "cell_ov_trip_ms = 900", "cell_ov_trip_ms = 2000")
    return compare(rig, slower, scenarios())


def test_the_same_firmware_twice_does_not_differ() -> None:
    rig = load_rig(find_rig("ebus-lfp"))
    result = compare(rig, rig, scenarios())
    assert (Outcome.PASS, 2, 0, 1) == (result.outcome, result.played, result.diverged, result.skipped)


def test_a_slower_confirmation_shows_in_outputs_frames_and_verdict(comparison: Comparison) -> None:
    keys = {found.difference.key for found in comparison.divergences}
    assert {Key("output", "contactors"), Key("frames", "BMS_Faults"), Key("verdict", "PRT-OV-3", "PASS/FAIL")} <= keys
    assert (Outcome.FAIL, 2, 1) == (comparison.outcome, comparison.played, comparison.diverged)


def test_the_first_difference_is_at_the_confirmation_and_its_scenario_minimal(comparison: Comparison) -> None:
    found = next(item for item in comparison.divergences if item.difference.key == Key("frames", "BMS_Faults"))
    assert ["cell-voltage"] == [getattr(action, "fault", "") for action in found.scenario.actions]
    begin_s = found.scenario.actions[0].at_s
    assert found.difference.at_s is not None
    assert 0.85 <= found.difference.at_s - begin_s <= 0.95
    assert "CellOvervoltage=1" in found.difference.a
    assert "CellOvervoltage=0" in found.difference.b


def test_a_verdict_that_differs_tells_both_reasons(comparison: Comparison) -> None:
    found = next(
        item for item in comparison.divergences if item.difference.key == Key("verdict", "PRT-OV-3", "PASS/FAIL")
    )
    assert found.difference.a.startswith("PASS")
    assert found.difference.b.startswith("FAIL")


def test_the_command_gives_one_document_and_exit_code_1_when_they_differ(tmp_path: Path) -> None:
    rig = changed(tmp_path, "hvil_ms = 100", "hvil_ms = 60")
    result = CliRunner().invoke(
        cli, ["compare", "ebus-lfp", str(rig.path), "--no-grids", "--sequences", "12", "--seed", "2", "--json"]
    )
    document = json.loads(result.stdout)
    assert {"outcome", "divergences", "scenarios", "diverged", "skipped"} <= document.keys()
    assert (1 if document["divergences"] else 0) == result.exit_code
