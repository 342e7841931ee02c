# SPDX-License-Identifier: Apache-2.0
"""The shell on a real terminal, typed key by key: what the screen shows, and what is left in the end."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from harness.cli import cli
from tests.bench.tinyscreen import Terminal

SHELL = (sys.executable, "-m", "harness", "shell", "ebus-lfp", "--start", "drive", "--out", "runs")


def verdicts(document: Any) -> list[tuple[str, str]]:
    """But for those on single cells and sensors, which a live record does not keep."""
    found = [(told["requirement"], told["outcome"]) for told in document["verdicts"]]
    return [verdict for verdict in found if not verdict[0].startswith("ACC-EACH-")]


def kept(folder: Path) -> tuple[Path, Any]:
    """The one run below a folder."""
    (run,) = (folder / "runs").iterdir()
    return run, json.loads((run / "run.json").read_text(encoding="utf-8"))


def replayed(scenario: Path) -> Any:
    return json.loads(CliRunner().invoke(cli, ["replay", str(scenario), "--json"]).stdout)


def line_of(screen: str, head: str) -> str:
    return next(line for line in screen.splitlines() if line.startswith(head))


def test_inject_see_the_flag_clear_save_quit_and_replay_to_the_same_verdict(tmp_path: Path) -> None:
    with Terminal(SHELL, folder=tmp_path) as terminal:
        screen = terminal.wait_for("state            drive")
        assert line_of(screen, "faults").split() == ["faults", "none"]
        terminal.type("inject cell-voltage cell=17 voltage_v=3.8 label=ov\r")
        screen = terminal.wait_for("faults          cell_overvoltage")
        assert "state            latched" in screen
        assert "ov: cell-voltage cell=17 voltage_v=3.8" in line_of(screen, "injected")
        assert line_of(screen, "cell max").split()[2:7] == ["3.800", "3.800", "V", "cell", "17"]
        assert "fault.cell_overvoltage on the bus (+0.9" in screen
        terminal.type("clear ov\r")
        terminal.wait_for("injected        nothing")
        terminal.type("save poke\r")
        terminal.wait_for("saved 2 actions")
        terminal.type("quit\r")
        assert terminal.wait_for_end() in (0, 4)
        assert "of real time" in terminal.screen.text()
    run, document = kept(tmp_path)
    assert dict(verdicts(document))["PRT-OV-3"] == "PASS"
    assert verdicts(document) == verdicts(replayed(run / "scenario.toml"))
    again = replayed(tmp_path / "poke.toml")
    assert dict(verdicts(again))["PRT-OV-3"] == "PASS"
    assert document["outcome"] == again["outcome"]


def test_tab_completes_and_ctrl_c_while_waiting_only_ends_the_wait(tmp_path: Path) -> None:
    with Terminal(SHELL, folder=tmp_path) as terminal:
        terminal.wait_for("state            drive")
        terminal.type("inject cell-volt")
        terminal.wait_for("terminal voltage of a cell held at a value")
        terminal.type("\t cell=3 vol")
        terminal.wait_for("a number in V from 0 to 6")
        terminal.type("\t3.8\r")
        terminal.wait_for("injected cell-voltage cell=3 voltage_v=3.8")
        terminal.type("wait until fault.crash\r")
        terminal.wait_for("waiting for fault.crash >")
        terminal.type("\x03mark still here\r")
        terminal.wait_for("marked: still here")


def test_ctrl_c_empties_the_line_and_then_ends_it(tmp_path: Path) -> None:
    with Terminal(SHELL, folder=tmp_path) as terminal:
        terminal.wait_for("state            drive")
        terminal.type("unfinished\x03mark it\r")
        terminal.wait_for("marked: it")
        terminal.type("\x03")
        assert terminal.wait_for_end() in (0, 4)
    assert kept(tmp_path)[1]["outcome"] in ("PASS", "INCONCLUSIVE")


def test_a_small_terminal_shows_the_table_too_and_ctrl_d_ends_it(tmp_path: Path) -> None:
    with Terminal(SHELL, folder=tmp_path, columns=80, rows=30) as terminal:
        screen = terminal.wait_for("state            drive")
        assert screen.splitlines()[-1] == ">"
        assert "pack current" in screen
        terminal.type("\x04")
        assert terminal.wait_for_end() in (0, 4)
    kept(tmp_path)


def test_a_closed_window_ends_it_in_order(tmp_path: Path) -> None:
    with Terminal(SHELL, folder=tmp_path) as terminal:
        terminal.wait_for("state            drive")
        terminal.process.send_signal(signal.SIGHUP)
        assert terminal.wait_for_end() in (0, 4, 130)
    kept(tmp_path)
