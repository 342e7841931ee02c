# SPDX-License-Identifier: Apache-2.0
"""How `run` ends when it does not end well: interrupted, or with firmware that breaks. What was finished is kept."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.clock import NS_PER_S, WallClock
from harness.rig.resources import rigs_folder, scenarios_folder
from harness.rig.rundir import finished_results, load_run

LIMIT_S = 120.0


def until_results(folder: Path, process: subprocess.Popen[str]) -> Path:
    """The run directory, once the first scenarios are in it."""
    clock = WallClock()
    deadline_ns = clock.now_ns() + int(LIMIT_S * NS_PER_S)
    while clock.now_ns() < deadline_ns and process.poll() is None:
        for path in folder.glob("runs/ebus-lfp-*/results.jsonl"):
            if len(path.read_bytes().splitlines()) >= 3:
                return path.parent
        clock.sleep_until_ns(clock.now_ns() + NS_PER_S // 50)
    pytest.fail(f"no results within {LIMIT_S:g} s: {process.communicate()[1]}")


@pytest.fixture
def reachable() -> Iterator[None]:
    """Tests started by a shell in the background have Ctrl-C ignored, and what they start inherits that."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("reachable")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_leaves_what_was_finished(tmp_path: Path, how: signal.Signals) -> None:
    endless = "100000"  # sequences: it must still be running when the signal comes, however slow this machine is
    command = [sys.executable, "-m", "harness", "run", "ebus-lfp", "--json", "--sequences", endless]
    with subprocess.Popen(
        command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        folder = until_results(tmp_path, process)
        os.killpg(process.pid, how)  # as a terminal does: to the whole group, workers too
        out, err = process.communicate()
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted: " in err
    assert folder.name in err
    record = load_run(folder)
    assert record == json.loads(out)
    assert record["interrupted"] is True
    assert record["scenarios"] == len(list(finished_results(folder))) >= 3
    assert "interrupted" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "junit.xml").is_file()


@pytest.fixture
def asserting(tmp_path: Path) -> Path:
    """The shipped rig whose firmware asserts when it is told of a crash, and a kept scenario that tells it so."""
    shutil.copytree(rigs_folder() / "reference-bms", tmp_path / "reference-bms")
    port = tmp_path / "reference-bms" / "fil_port.c"
    text = port.read_text(encoding="utf-8")
    place = "    take_inputs(inputs, &taken);\n"
    assert place in text
    text = text.replace(place, place + '    BMS_ASSERT(!taken.crash, "made to fail");\n')
    port.write_text(f'#include <stdbool.h>\n#include "bms_assert.h"\n{text}', encoding="utf-8")
    rig = tmp_path / "asserting.toml"
    shutil.copy(rigs_folder() / "ebus-lfp.toml", rig)
    kept = tmp_path / "runs" / "failures" / "crash.toml"
    kept.parent.mkdir(parents=True)
    actions = '[[action]]\nat_s = 0.2\nfault = "cell-voltage"\ncell = 17\nvoltage_v = 3.5\n'
    actions += '[[action]]\nat_s = 0.5\nfault = "crash"\n'
    kept.write_text(f'rig = "ebus-lfp"\nduration_s = 1.0\n{actions}', encoding="utf-8")
    return rig


def test_firmware_that_asserts_is_an_error_with_its_place_and_the_others_go_on(asserting: Path) -> None:
    runs = asserting.parent / "runs"
    small = ("--no-grids", "--sequences", "0", "--generated", "3", "--jobs", "1")
    result = CliRunner().invoke(cli, ["run", str(asserting), *small, "--out", str(runs)])
    assert result.exit_code == 3, result.output
    lines = (asserting.parent / "reference-bms" / "fil_port.c").read_text(encoding="utf-8").splitlines()
    place = f"fil_port.c:{1 + next(n for n, line in enumerate(lines) if 'made to fail' in line)}: made to fail"
    told = result.stdout.splitlines()
    at = next(n for n, line in enumerate(told) if line.startswith("ERROR ") and place in line)
    (folder,) = (path for path in runs.iterdir() if path.name.startswith("asserting-"))
    outcomes = [line["outcome"] for line in finished_results(folder)]
    shipped = len(list(scenarios_folder().glob("*.toml")))
    assert outcomes[0] == "ERROR"  # what failed in this folder comes first, then the shipped scenarios
    assert len(outcomes) == shipped + 4
    assert set(outcomes[1:]) - {"ERROR"}  # the others are judged; one with a crash of its own may assert too
    (failure,) = load_run(folder)["failures"]
    assert (1, True) == (failure["actions"], place in failure["reason"])  # shrunk to the crash alone
    again = CliRunner().invoke(cli, shlex.split(told[at + 1].partition("repeat with: ")[2])[1:])
    assert again.exit_code == 3
    assert place in again.stdout
    assert place in (folder / "report.html").read_text(encoding="utf-8")
