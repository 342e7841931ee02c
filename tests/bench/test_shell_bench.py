# SPDX-License-Identifier: Apache-2.0
"""The shell on a bench in a box: the same commands, the same verdicts, and the safe state on every way out."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.bench.file import load_bench
from harness.bench.latch import Latch
from harness.canbus.recorder import read_log
from harness.cli import cli
from tests.bench.box import BENCH_FILE, ROOT, Served
from tests.bench.tinyscreen import Terminal

POKED = """inject cell-voltage cell=17 voltage_v=5.5
inject nvm-erased
inject hvil-open label=open
wait until fault.hvil within 2s
clear open
wait 300ms
"""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("box")) as process:
        yield process


@pytest.fixture
def words(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sequence[str]:
    """The shell on the bench in the box, with a latch of its own."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    ports = [word for name, port in served.ports.items() for word in ("--port", f"{name}={port}")]
    return [sys.executable, "-m", "harness", "shell", str(BENCH_FILE), *ports, "--out", str(tmp_path / "runs")]


def document(*words: str) -> Any:
    return json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)


def passed_or_late(verdict: Mapping[str, Any]) -> bool:
    """Whether a verdict is a PASS, or one that only the lateness of a busy machine keeps from being it."""
    late = verdict["outcome"] == "INCONCLUSIVE" and verdict["reason"].startswith("passes only with the")
    return bool(verdict["outcome"] == "PASS" or late)


def the_run(tmp_path: Path) -> Path:
    (run,) = (tmp_path / "runs").iterdir()
    return run


def test_a_poked_bench_is_judged_as_a_run_on_it_and_its_recording_gives_the_same_verdicts(
    served: Served, words: Sequence[str], tmp_path: Path
) -> None:
    done = subprocess.run(
        [*words, "--json"], input=POKED, capture_output=True, text=True, cwd=ROOT, timeout=40, check=False
    )
    assert done.stdout, done.stderr
    told = json.loads(done.stdout)
    answers = [line.partition(" s  ")[2] for line in done.stderr.splitlines() if " s  " in line]
    assert "allowed: 0 to 5 V (limits of the bench file)" in answers[0]
    assert "works only inside the simulation" in answers[1]
    assert answers[2] == "injected hvil-open, until 'clear open'"
    assert served.wait_for(lambda state: state["off"])
    verdicts = {verdict["requirement"]: verdict for verdict in told["verdicts"]}
    assert passed_or_late(verdicts["PRT-HVIL-3"])
    assert "FAIL" not in {verdict["outcome"] for verdict in verdicts.values()}
    for recording in (the_run(tmp_path), the_run(tmp_path) / "bus.blf"):
        assert told["verdicts"] == document("judge", str(recording), "--rig", "ebus-lfp")["verdicts"]
    replayed = document("replay", str(the_run(tmp_path) / "scenario.toml"))
    assert "PASS" == {verdict["requirement"]: verdict["outcome"] for verdict in replayed["verdicts"]}["PRT-HVIL-3"]


def test_an_adapter_that_is_lost_ends_the_shell_in_the_safe_state_with_what_was_recorded(
    served: Served, words: Sequence[str], tmp_path: Path
) -> None:
    with Terminal(words, folder=ROOT) as terminal:
        terminal.wait_for("state            standby")
        served.order("unplug can")
        code = terminal.wait_for_end()
        served.order("plug can")
    assert code == 3
    assert served.wait_for(lambda state: state["off"])
    run = json.loads((the_run(tmp_path) / "run.json").read_text(encoding="utf-8"))
    assert run["outcome"] == "ERROR"
    assert len(read_log(the_run(tmp_path) / "bus.blf")) > 50
    assert Latch(load_bench(BENCH_FILE).path).events()


def test_ctrl_d_leaves_the_bench_off(served: Served, words: Sequence[str], tmp_path: Path) -> None:
    with Terminal(words, folder=ROOT) as terminal:
        terminal.wait_for("state            standby")
        assert not served.state()["off"]
        terminal.type("\x04")
        assert terminal.wait_for_end() in (0, 4)
    assert served.wait_for(lambda state: state["off"])
    assert (the_run(tmp_path) / "bus.blf").stat().st_size > 0
    assert () == Latch(load_bench(BENCH_FILE).path).events()
