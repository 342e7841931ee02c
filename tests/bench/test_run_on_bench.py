# SPDX-License-Identifier: Apache-2.0
"""`run`, `inject` and `replay` on a bench in a box: verdicts, evidence, and what is left when the bench fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from harness.bench.campaign import estimate_s
from harness.bench.latch import Latch
from harness.canbus.recorder import read_log
from harness.cli import cli
from harness.scenario import Scenario, begin, dump_scenario
from tests.bench.box import BENCH_FILE, Served


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("box")) as process:
        yield process


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def scenario_file(tmp_path: Path) -> Path:
    scenario = Scenario(
        rig="ebus-lfp", title="interlock", start="standby", duration_s=1.2, action=(begin(0.3, "hvil-open"),)
    )
    path = tmp_path / "interlock.toml"
    path.write_text(dump_scenario(scenario))
    return path


@pytest.fixture
def with_asc(tmp_path: Path) -> Path:
    """The bench file, asking for an ASC recording besides."""
    path = tmp_path / "with-asc.toml"
    path.write_text(BENCH_FILE.read_text(encoding="utf-8") + '\n[recording]\nalso = ["asc"]\n', encoding="utf-8")
    return path


def play(served: Served, out: Path, *words: str) -> tuple[Result, Path]:
    """The result, and the only run directory."""
    ports = [word for name, port in served.ports.items() for word in ("--port", f"{name}={port}")]
    result = CliRunner().invoke(cli, [*words, *ports, "--out", str(out), "--json"])
    (folder,) = out.iterdir()
    return result, folder


def verdicts_of(folder: Path) -> dict[str, str]:
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return {verdict["requirement"]: verdict["outcome"] for verdict in record["verdicts"]}


def test_run_plays_scenario_files_and_leaves_the_whole_evidence(
    served: Served, scenario_file: Path, with_asc: Path, tmp_path: Path
) -> None:
    result, folder = play(served, tmp_path / "runs", "run", str(with_asc), "--scenario", str(scenario_file))
    assert result.exit_code in (0, 4)  # 4: this machine was too late to tell
    assert "preflight ok: 1 scenarios" in result.stderr
    verdicts = verdicts_of(folder)
    assert verdicts["PRT-HVIL-3"] in ("PASS", "INCONCLUSIVE")
    assert "NOT_EXERCISED" not in verdicts.values()
    assert json.loads(result.stdout) == json.loads((folder / "run.json").read_text())
    assert (folder / "cases" / "PRT-HVIL-3.json").is_file()
    assert "PRT-HVIL-3" in (folder / "report.html").read_text()
    assert len(read_log(folder / "bus.blf")) > 100
    assert len(read_log(folder / "bus.asc")) == len(read_log(folder / "bus.blf"))
    assert [1] == [len(line.splitlines()) for line in [(folder / "results.jsonl").read_text()]]
    assert Latch(with_asc).events() == ()
    assert served.wait_for(lambda state: state["off"])


def test_a_bench_that_fails_ends_the_run_with_an_error_a_latch_and_what_was_recorded(
    served: Served, scenario_file: Path, tmp_path: Path
) -> None:
    served.order("once standby in 0.8s unplug cells")
    twice = ("--scenario", str(scenario_file), "--scenario", str(scenario_file))
    result, folder = play(served, tmp_path / "runs", "run", str(BENCH_FILE), *twice)
    served.order("plug cells")
    assert result.exit_code == 3
    record = json.loads((folder / "run.json").read_text())
    assert record["outcome"] == "ERROR"
    assert "cells" in record["errors"][0]
    assert record["scenarios"] == 1  # the second one was not begun
    assert len(read_log(folder / "bus.blf")) > 10
    assert any("cells" in event["reason"] for event in Latch(BENCH_FILE).events())
    assert any(event["run"] == str(folder) for event in Latch(BENCH_FILE).events())


def test_inject_records_the_bus_and_replays_from_its_run_directory(served: Served, tmp_path: Path) -> None:
    words = ["hvil-open", "--start", "standby", "--at", "0.3s", "--duration", "1.2s"]
    result, folder = play(served, tmp_path / "runs", "inject", str(BENCH_FILE), *words)
    assert result.exit_code in (0, 4)
    assert verdicts_of(folder)["PRT-HVIL-3"] in ("PASS", "INCONCLUSIVE")
    assert len(read_log(folder / "bus.blf")) > 100
    again = CliRunner().invoke(cli, ["replay", str(folder / "scenario.toml"), "--rig", "ebus-lfp", "--json"])
    assert again.exit_code == 0  # the same scenario in virtual time


def test_the_time_a_run_takes_is_told_before_it_begins() -> None:
    short = Scenario(rig="ebus-lfp", start="standby", duration_s=5.0)
    # supply off 1 s, boot 0.6 s, settle 0.5 s; drive: 1.5 s until contactors are closed, settle 2 s
    assert estimate_s([short], 0.6) == pytest.approx(5.0 + 2.1)
    assert estimate_s([short.model_copy(update={"start": "drive"})], 0.6) == pytest.approx(5.0 + 2.1 + 3.5)
