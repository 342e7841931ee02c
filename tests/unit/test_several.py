# SPDX-License-Identifier: Apache-2.0
"""`run` of several rigs: one summary, the worst exit code, and what is done is readable whatever happens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from harness.cli import cli
from harness.cli.several import rig_names, show
from harness.clock import NS_PER_S, WallClock
from harness.errors import UsageError
from harness.report.killmatrix import rigs_table
from harness.report.summary import Summary, cells
from harness.rig import find_rig, load_rig, shipped_rigs
from harness.rig.campaign import Campaign
from harness.rig.resources import rigs_folder
from harness.rig.rundir import RunDirectory
from harness.verdict import EXIT_CODES, Outcome, Verdict

LIMIT_S = 120.0
SMALL = ("--sequences", "0", "--generated", "3", "--no-grids", "--jobs", "1")


def call(*words: str | Path) -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def copy(folder: Path, name: str, old: str = "", new: str = "") -> Path:
    text = (rigs_folder() / "ebus-lfp.toml").read_text(encoding="utf-8")
    assert old in text
    path = folder / f"{name}.toml"
    path.write_text(text.replace(old, new, 1) if old else text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[Result, Path]:
    """Three rigs: one that cannot be read, one whose firmware refuses, one as shipped."""
    folder = tmp_path_factory.mktemp("rigs")
    rigs = [
        copy(folder, "broken", "series = 192", "serie = 192"),
        copy(folder, "refused", "cell_ov_trip_ms = 900", "cell_ov_trip_m = 900"),
        copy(folder, "good"),
    ]
    return call("run", *rigs, *SMALL, "--out", folder / "runs", "--json"), folder / "runs"


def summary_of(folder: Path) -> tuple[Path, dict[str, Any]]:
    (path,) = folder.glob("summary-*/summary.json")
    return path.parent, json.loads(path.read_text(encoding="utf-8"))


def test_a_rig_that_cannot_be_run_is_an_error_and_the_others_are_still_played(done: tuple[Result, Path]) -> None:
    result, _ = done
    rigs = json.loads(result.stdout)["rigs"]
    assert ["broken", "refused", "good"] == [rig["rig"] for rig in rigs]
    assert ["ERROR", "ERROR"] == [rig["outcome"] for rig in rigs[:2]]
    assert "cells.serie: found an unknown key" in rigs[0]["error"]
    assert "unknown parameter cell_ov_trip_m" in rigs[1]["error"]
    assert [0, 0, 4] == [rig["scenarios"] for rig in rigs]  # the corpus and three generated ones


def test_the_exit_code_is_that_of_the_worst_rig(done: tuple[Result, Path]) -> None:
    assert EXIT_CODES[Outcome.ERROR] == done[0].exit_code


def test_each_rig_has_a_run_directory_and_the_page_links_to_its_report(done: tuple[Result, Path]) -> None:
    _, runs = done
    folder, record = summary_of(runs)
    page = (folder / "summary.html").read_text(encoding="utf-8")
    (name,) = [Path(rig["run_dir"]).name for rig in record["rigs"] if rig["run_dir"]]
    assert f'href="../{name}/report.html"' in page
    assert (runs / name / "report.html").is_file()
    assert "unknown parameter cell_ov_trip_m" in page


def test_the_junit_file_has_a_suite_for_each_rig_and_counts_one_that_cannot_be_run(done: tuple[Result, Path]) -> None:
    folder, record = summary_of(done[1])
    suites = list(ET.parse(folder / "junit.xml").getroot())  # noqa: S314 - our own file
    counted = [("1", "1"), ("1", "1"), (str(record["rigs"][2]["requirements"]), "0")]
    assert counted == [(suite.attrib["tests"], suite.attrib["errors"]) for suite in suites]


def test_the_table_has_a_line_for_each_rig_and_says_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    summary = Summary(("good", "far/away/broken.toml", "later"), seed=1)
    verdicts = (Verdict("PRT-OV-3", Outcome.FAIL, reason="late"), Verdict("PRT-UV-3", Outcome.NOT_EXERCISED))
    summary.add("good", campaign(*verdicts), "runs/good-1", ())
    summary.add_error("far/away/broken.toml", UsageError("no such key"))
    show(summary.record(3.0) | {"summary_dir": "runs/summary-1"})
    told = capsys.readouterr().out
    lines = [line.split()[:2] for line in told.splitlines()]
    assert [["rig", "verdict"], ["ebus-lfp", "FAIL"], ["broken", "ERROR"], ["later", "not"], []] == lines[:5]
    assert "FAIL ebus-lfp PRT-OV-3: late" in told
    assert "NOT_EXERCISED ebus-lfp: PRT-UV-3" in told
    assert "ERROR broken: no such key" in told
    assert "FAIL: 0 of 3 rigs passed in 3.0 s, seed 1" in told
    assert "evidence: runs/summary-1/summary.html" in told


def test_all_is_every_shipped_rig_and_none_is_played_twice() -> None:
    shipped = tuple(path.stem for path in shipped_rigs())
    assert shipped == rig_names(["all"])
    assert ("x.toml", *shipped) == rig_names(["x.toml", "all", shipped[0], "x.toml"])


def test_a_bench_is_refused_among_rigs_before_anything_is_played(tmp_path: Path) -> None:
    result = call("run", "ebus-lfp", rigs_folder() / "bench" / "ebus-lfp-box.toml", "--out", tmp_path / "runs")
    assert UsageError.exit_code == result.exit_code
    assert "a bench is run by itself" in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.fixture
def reachable() -> Iterator[None]:
    """Tests started by a shell in the background have Ctrl-C ignored, and what they start inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def until_results(runs: Path, process: subprocess.Popen[str]) -> None:
    """Return once the campaign of the first rig is well under way."""
    clock = WallClock()
    deadline_ns = clock.now_ns() + int(LIMIT_S * NS_PER_S)
    while clock.now_ns() < deadline_ns and process.poll() is None:
        if any(len(path.read_bytes().splitlines()) >= 3 for path in runs.glob("first-*/results.jsonl")):
            return
        clock.sleep_until_ns(clock.now_ns() + NS_PER_S // 50)
    process.kill()
    pytest.fail(f"no results within {LIMIT_S:g} s: {process.communicate()[1]}")


@pytest.mark.usefixtures("reachable")
def test_ctrl_c_leaves_what_is_done_and_names_what_was_not_reached(tmp_path: Path) -> None:
    first, second = copy(tmp_path, "first"), copy(tmp_path, "second")
    words = ["run", first, second, *SMALL[:2], "--generated", "100000", *SMALL[4:], "--out", tmp_path / "runs"]
    command = [sys.executable, "-m", "harness", *map(str, words)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        until_results(tmp_path / "runs", process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to the whole group, workers too
        out, err = process.communicate()
    assert 130 == process.returncode, err
    assert "interrupted: what was finished is in" in err
    folder, record = summary_of(tmp_path / "runs")
    assert record["interrupted"]
    assert [(True, True), (False, False)] == [(rig["interrupted"], bool(rig["outcome"])) for rig in record["rigs"]]
    assert (Path(record["rigs"][0]["run_dir"]) / "run.json").is_file()
    assert "This run was interrupted" in (folder / "summary.html").read_text(encoding="utf-8")
    assert "not run" in out


# ------------------------------------------------------------------------------------------------ the summary by itself


def campaign(*verdicts: Verdict) -> Campaign:
    rig = load_rig(find_rig("ebus-lfp"))
    return Campaign(
        rig=rig, requirements=rig.requirements, verdicts=verdicts, worst={}, findings=(), errors=(), cases=7, seed=1,
        duration_s=2.0, interrupted=False,
    )  # fmt: skip


def test_the_outcome_is_the_worst_one_a_failure_before_an_error(tmp_path: Path) -> None:
    summary = Summary(("a", "b", "c"), seed=1)
    summary.add("a", campaign(Verdict("PRT-OV-3", Outcome.PASS)), "runs/a-1", ())
    summary.add_error("b", UsageError("no such rig"))
    assert "ERROR" == summary.record(3.0)["outcome"]
    summary.add("c", campaign(Verdict("PRT-OV-3", Outcome.FAIL, reason="late")), "runs/c-1", ())
    with RunDirectory.create(tmp_path, "summary") as directory:
        record = summary.write(directory, 3.0)
    assert "FAIL" == record["outcome"]
    assert [(1, 1), (0, 0), (0, 1)] == [(rig["passed"], rig["requirements"]) for rig in record["rigs"]]
    assert "late" == record["rigs"][2]["failed"][0]["reason"]


def test_the_tightest_trip_is_the_protection_with_the_smallest_time_margin() -> None:
    summary = Summary(("a",), seed=1)
    verdicts = (
        Verdict("PRT-OV-3", Outcome.PASS, margin={"ms": 40.0, "v": 0.001}),
        Verdict("PRT-UV-3", Outcome.PASS, margin={"ms": 12.4}),
        Verdict("CYC-PACK-1", Outcome.PASS, margin={"ms": 1.0}),  # no protection
    )
    summary.add("a", campaign(*verdicts), "runs/a-1", ())
    assert "12 ms PRT-UV-3" == cells(summary.entries["a"])[5]


# ------------------------------------------------------------------------------------------ the kill matrix of several


def test_defects_of_rigs_that_cannot_be_played_are_errors_one_by_one(tmp_path: Path) -> None:
    broken = copy(tmp_path, "broken", "series = 192", "serie = 192")
    refused = "a" * 300  # longer than any file system allows
    result = call("defects", broken, refused, "nowhere", "--out", tmp_path / "runs")
    assert EXIT_CODES[Outcome.ERROR] == result.exit_code
    assert "cells.serie: found an unknown key" in result.stdout
    assert f"ERROR {refused}: cannot read or write" in result.stdout
    assert "ERROR nowhere: rig 'nowhere' is neither" in result.stdout


def test_the_matrices_of_several_rigs_need_a_page_each() -> None:
    result = call("defects", "ebus-lfp", "nowhere", "--markdown", "kill-matrix.md")
    assert UsageError.exit_code == result.exit_code
    assert "kill-matrix-{rig}.md" in result.stderr


def test_the_table_of_matrices_counts_what_each_rig_caught(capsys: pytest.CaptureFixture[str]) -> None:
    counts = {"defects": 9, "caught": 7, "caught_by_other": 1, "missed": 1, "error": 0}
    played = {"rig": "tram", "outcome": "FAIL", "interrupted": False, "duration_s": 12.0, "summary": counts}
    Console(width=120).print(rigs_table([played, {"rig": "bus", "outcome": "ERROR", "interrupted": False}]))
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["tram", "FAIL", "9", "7", "1", "1", "0", "12"] == lines[1]
    assert ["bus", "ERROR"] == lines[2][:2]
