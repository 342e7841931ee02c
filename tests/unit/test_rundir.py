# SPDX-License-Identifier: Apache-2.0
"""The run directory: what a killed process leaves is readable, and the JSON shapes scripts rely on."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from harness.errors import RigError, UsageError
from harness.rig.records import junit_xml, run_record, to_json, verdict_from_record, verdict_record
from harness.rig.rundir import RunDirectory, finished_results, load_run
from harness.scenario import CommandAction, FaultAction, Scenario, load_scenario
from harness.verdict import Exercised, Outcome, Verdict

PASSED = Verdict("PRT-OV-3", Outcome.PASS, Exercised(2, 3), {"v": 0.012, "ms": 84.0}, "tripped after 0.91 s", 2.91)
FAILED = Verdict("PRT-HVIL-1", Outcome.FAIL, Exercised(1, 0), {"ms": -12.0}, "no flag within 0.2 s", 3.0)
UNTESTED = Verdict("PRT-INS-1", Outcome.NOT_EXERCISED)


def test_a_verdict_survives_json() -> None:
    for verdict in (PASSED, FAILED, UNTESTED):
        assert verdict_from_record(json.loads(to_json(verdict_record(verdict)))) == verdict


def test_a_run_document_has_the_keys_scripts_rely_on() -> None:
    record = run_record(rig="ebus-lfp", verdicts=[PASSED, FAILED], seed=7, duration_s=1.5, run_dir="runs/x")
    assert (record["outcome"], record["rig"], record["seed"]) == ("FAIL", "ebus-lfp", 7)
    assert (record["duration_s"], record["run_dir"]) == (1.5, "runs/x")
    first = record["verdicts"][0]
    assert (first["requirement"], first["outcome"], first["exercised"]) == ("PRT-OV-3", "PASS", 5)
    assert first["margin"] == {"v": 0.012, "ms": 84.0}


def test_no_json_document_holds_a_number_json_does_not_know() -> None:
    endless = Verdict("PRT-OV-3", Outcome.PASS, margin={"ms": float("inf"), "v": 0.1})
    assert json.loads(to_json(verdict_record(endless)))["margin"] == {"v": 0.1}


def test_junit_counts_outcomes_and_carries_margin_and_replay() -> None:
    document = junit_xml(
        "ebus-lfp",
        [PASSED, FAILED, UNTESTED],
        titles={"PRT-HVIL-1": "Open HVIL"},
        replay={"PRT-HVIL-1": "bms-harness replay x.toml"},
        duration_s=2.0,
    )
    suite = ET.fromstring(document)  # noqa: S314 - our own document
    assert [suite.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["3", "1", "0", "1"]
    passed, failed, untested = suite.findall("testcase")
    properties = {node.get("name"): node.get("value") for node in passed.iter("property")}
    assert (properties["requirement"], properties["margin_ms"]) == ("PRT-OV-3", "84")
    failure = failed.find("failure")
    assert failure is not None
    assert "bms-harness replay x.toml" in (failure.text or "")
    assert "no flag within 0.2 s" in failure.get("message", "")
    assert untested.find("skipped") is not None


def test_two_runs_of_one_second_get_two_folders(tmp_path: Path) -> None:
    folders = {RunDirectory.create(tmp_path / "runs", "ebus-lfp").path for _ in range(3)}
    assert len(folders) == 3
    assert all(folder.name.startswith("ebus-lfp-") for folder in folders)


def test_a_run_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(UsageError, match="run directory"):
        RunDirectory.create(tmp_path / "file", "ebus-lfp")


def test_lines_are_readable_before_the_run_ends_and_a_cut_line_is_left_out(tmp_path: Path) -> None:
    with RunDirectory.create(tmp_path, "ebus-lfp") as run:
        run.append({"case": 1})
        run.append({"case": 2})
        assert list(finished_results(run.path)) == [{"case": 1}, {"case": 2}]
    with (run.path / "results.jsonl").open("a", encoding="utf-8") as stream:
        stream.write('{"case": 3, "outc')
    assert [record["case"] for record in finished_results(run.path)] == [1, 2]


def test_run_json_is_whole_at_any_time(tmp_path: Path) -> None:
    run = RunDirectory.create(tmp_path, "ebus-lfp")
    record = run_record(rig="ebus-lfp", verdicts=[PASSED], seed=1, duration_s=0.1, run_dir=str(run.path))
    run.write_run(record)
    assert load_run(run.path) == json.loads(to_json(record))
    assert [path.name for path in run.path.iterdir()] == ["run.json"]


def test_a_folder_without_a_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no run\.json"):
        load_run(tmp_path)


def test_a_broken_run_json_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{", encoding="utf-8")
    with pytest.raises(RigError, match=r"run\.json"):
        load_run(tmp_path)


def test_the_scenario_of_a_run_replays(tmp_path: Path) -> None:
    scenario = Scenario(
        rig="ebus-lfp",
        action=(
            FaultAction(at_s=2.0, fault="cell-voltage", cell=17, voltage_v=3.8),  # type: ignore[call-arg]
            CommandAction(at_s=4.0, do="power-cycle", off_s=0.5),
        ),
    )
    path = RunDirectory.create(tmp_path, "ebus-lfp").write_scenario(scenario)
    assert load_scenario(path) == scenario
