# SPDX-License-Identifier: Apache-2.0
"""The pytest plugin, in test runs of its own: fixture, marker, JUnit properties, scenario files, replay commands."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.rig import load_rig
from harness.rig.resources import rigs_folder
from harness.rig.session import Session

pytest_plugins = ("pytester",)

PASSING = """
import pytest


@pytest.mark.requirement("PRT-OV-3")
def test_over_voltage_opens_the_contactors(bms):
    bms.check(bms.inject("cell-voltage", cell=17, voltage_v=3.80, duration_s=5.0))
"""
SCENARIO = """\
rig = "ebus-lfp"
duration_s = 4.0
[[action]]
at_s = 0.2
fault = "cell-voltage"
cell = 17
voltage_v = 3.80
"""


CACHE = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))


@pytest.fixture(autouse=True, scope="module")
def _modules_are_loaded() -> None:
    """Pytester forgets what a run imported; numpy cannot be imported twice in a process, so it is there before."""
    with Session(load_rig(rigs_folder() / "ebus-lfp.toml")):
        pass


@pytest.fixture(autouse=True)
def _same_cache(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pytester gives every test a home of its own; firmware need not be compiled for each."""
    assert pytester.path.is_dir()
    monkeypatch.setenv("XDG_CACHE_HOME", CACHE)


def play(pytester: pytest.Pytester, *words: str | Path) -> pytest.RunResult:
    """A pytest run of its own, as a user starts it; warnings are errors there too."""
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "-W", "error", "--strict-markers", *words)


@pytest.fixture
def late_rig(pytester: pytest.Pytester) -> Path:
    """The shipped rig with an over-voltage confirmation far longer than its requirement allows."""
    text = (rigs_folder() / "ebus-lfp.toml").read_text(encoding="utf-8")
    assert "cell_ov_trip_ms = 900\n" in text
    path = pytester.path / "late.toml"
    path.write_text(text.replace("cell_ov_trip_ms = 900\n", "cell_ov_trip_ms = 2500\n"), encoding="utf-8")
    return path


def replay(output: str) -> tuple[int, dict[str, str]]:
    """Exit code and outcomes of the command a failure prints."""
    line = next(line for line in output.splitlines() if "repeat with: " in line)
    words = shlex.split(line.partition("repeat with: ")[2])
    assert ["bms-harness", "replay"] == words[:2]
    result = CliRunner().invoke(cli, [*words[1:], "--json"])
    return result.exit_code, {v["requirement"]: v["outcome"] for v in json.loads(result.stdout)["verdicts"]}


def test_a_passing_test_leaves_requirements_outcomes_and_margins_in_junit(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PASSING)
    result = play(pytester, "--rig", "ebus-lfp", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=1)
    case = ET.parse(pytester.path / "junit.xml").getroot().find(".//testcase")  # noqa: S314 - our own file
    assert case is not None
    properties = {p.attrib["name"]: p.attrib["value"] for p in case.iter("property")}
    assert properties["requirement"] == "PRT-OV-3"
    assert properties["PRT-OV-3.outcome"] == "PASS"
    assert float(properties["PRT-OV-3.margin_ms"]) > 0.0


def test_a_failure_prints_the_command_that_repeats_it(pytester: pytest.Pytester, late_rig: Path) -> None:
    pytester.makepyfile(PASSING)
    result = play(pytester, "--rig", late_rig)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*PRT-OV-3 FAIL: *cell_voltage_max_v past 3.75 V*"])
    exit_code, outcomes = replay(result.stdout.str())
    assert (1, "FAIL") == (exit_code, outcomes["PRT-OV-3"])


def test_a_marked_requirement_that_was_not_exercised_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PASSING.replace("PRT-OV-3", "PRT-UV-3").replace("3.80", "3.40"))
    result = play(pytester, "--rig", "ebus-lfp")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*PRT-UV-3 NOT_EXERCISED: *"])


def test_a_requirement_the_rig_does_not_have_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PASSING.replace("PRT-OV-3", "PRT-XX-9"))
    result = play(pytester, "--rig", "ebus-lfp")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*the rig has no requirement PRT-XX-9*"])


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("voltage_v=3.80", "voltage_v=38.0", "*voltage_v: found 38.0; allowed: a number in V from 0 to 6*"),
        ("cell-voltage", "cell-volts", "*cell-voltage*"),
    ],
)
def test_a_wrong_fault_is_told_without_a_traceback(pytester: pytest.Pytester, old: str, new: str, told: str) -> None:
    pytester.makepyfile(PASSING.replace(old, new))
    result = play(pytester, "--rig", "ebus-lfp")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines([told])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*harness/*.py:*")


def test_without_a_rig_the_message_says_how_to_name_one(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(PASSING)
    result = play(pytester)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*this test needs a rig: run pytest with --rig RIG (e.g. --rig ebus-lfp)*"])


@pytest.mark.parametrize("name", ["no-such-rig", "broken.toml"])
def test_a_wrong_rig_is_told_without_a_traceback(pytester: pytest.Pytester, name: str) -> None:
    (pytester.path / "broken.toml").write_text("title = 1\n", encoding="utf-8")
    pytester.makepyfile(PASSING)
    result = play(pytester, "--rig", name)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines([f"*{name}*"])
    result.stdout.no_fnmatch_line("*Traceback*")


def test_scenario_files_are_tests_and_print_how_to_repeat_them(pytester: pytest.Pytester, late_rig: Path) -> None:
    path = pytester.path / "over-voltage.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    play(pytester, "--rig", "ebus-lfp", path).assert_outcomes(passed=1)
    result = play(pytester, "--rig", late_rig, path)
    result.assert_outcomes(failed=1)
    exit_code, outcomes = replay(result.stdout.str())
    assert (1, "FAIL") == (exit_code, outcomes["PRT-OV-3"])


def test_a_scenario_whose_fault_did_not_fire_proves_nothing(pytester: pytest.Pytester) -> None:
    path = pytester.path / "welded.toml"
    action = '[[action]]\nat_s = 0.2\nfault = "contactor-welded"\ncontactor = "positive"\n'
    path.write_text('rig = "ebus-lfp"\nduration_s = 1.0\n' + action, encoding="utf-8")
    result = play(pytester, "--rig", "ebus-lfp", path)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*fault contactor-welded did not fire*"])


def test_a_scenario_file_without_a_rig_is_explained(pytester: pytest.Pytester) -> None:
    path = pytester.path / "over-voltage.toml"
    path.write_text(SCENARIO, encoding="utf-8")
    result = play(pytester, path)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*over-voltage.toml is a scenario: say which rig plays it, --rig RIG*"])


def test_other_toml_files_are_left_alone(pytester: pytest.Pytester) -> None:
    path = pytester.path / "settings.toml"
    path.write_text("a = 1\n", encoding="utf-8")
    assert play(pytester, path).ret == pytest.ExitCode.USAGE_ERROR  # as without the plugin: no collector takes it


def test_it_works_under_xdist(pytester: pytest.Pytester) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not needed otherwise")
    pytester.makepyfile(PASSING + PASSING.replace("def test_", "def test_again_"))
    result = play(pytester, "--rig", "ebus-lfp", "-n", "1", "--junitxml", "junit.xml")
    result.assert_outcomes(passed=2)
    assert "PRT-OV-3.outcome" in (pytester.path / "junit.xml").read_text(encoding="utf-8")


def test_an_idle_plugin_imports_nothing_heavy(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text("def test_nothing():\n    pass\n", encoding="utf-8")
    code = """
import sys
import pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "test_nothing.py"])
assert "harness.pytest_plugin" in sys.modules
print("found", *sorted({name.partition(".")[0] for name in sys.modules}))
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    heavy = {"numpy", "hypothesis", "can", "cantools", "pydantic", "cffi", "rich", "jinja2", "serial", "click"}
    assert set() == heavy & set(done.stdout.splitlines()[-1].split())
