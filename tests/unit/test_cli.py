# SPDX-License-Identifier: Apache-2.0
"""The command line: JSON documents scripts rely on, exit codes, commands that repeat what they are printed for."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.shell_completion import ShellComplete
from click.testing import CliRunner, Result

from harness.cli import COMMANDS, cli
from harness.cli.inject import parse_parameters
from harness.faults.catalogue import CATALOGUE
from harness.faults.model import NEEDS
from harness.rig import find_rig, load_rig, shipped_rigs
from harness.rig.compose import bounds_of
from harness.rig.resources import rigs_folder
from harness.scenario import Scenario, scenario_problems
from harness.verdict import EXIT_CODES, Outcome

SMALL = ("--sequences", "0", "--generated", "3", "--no-grids", "--jobs", "1")
OVER_VOLTAGE = ("cell-voltage", "cell=17", "voltage_v=3.80", "--at", "2s")


def call(*words: str) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def document(result: Result) -> Any:
    """What --json printed: exactly one document on stdout."""
    return json.loads(result.stdout)


def imported_by(*words: str) -> set[str]:
    """Top-level modules in memory after a command, run as a user runs it."""
    code = f"""
import json, sys
from harness.cli import cli
try:
    cli.main({list(words)!r})
except SystemExit:
    pass
print("\\n" + json.dumps(sorted(sys.modules)), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in json.loads(done.stderr.splitlines()[-1])}


@pytest.fixture
def late_rig(tmp_path: Path) -> Path:
    """The shipped rig with an over-voltage confirmation far longer than its requirement allows."""
    text = (rigs_folder() / "ebus-lfp.toml").read_text(encoding="utf-8")
    assert "cell_ov_trip_ms = 900\n" in text
    path = tmp_path / "late.toml"
    path.write_text(text.replace("cell_ov_trip_ms = 900\n", "cell_ov_trip_ms = 2500\n"), encoding="utf-8")
    return path


# ----------------------------------------------------------------------------------------------------------- listings


def test_faults_lists_every_kind_with_the_range_of_each_parameter() -> None:
    faults = document(call("faults", "--json"))["faults"]
    assert len(faults) >= 18
    held = next(fault for fault in faults if fault["kind"] == "cell-voltage")
    assert {"kind", "class", "where", "parameters"} <= held.keys()
    voltage = next(parameter for parameter in held["parameters"] if parameter["name"] == "voltage_v")
    assert ("V", 0.0, 6.0) == (voltage["unit"], voltage["min"], voltage["max"])


def test_the_example_of_each_fault_is_legal() -> None:
    bounds = bounds_of(load_rig(find_rig("ebus-lfp")))
    for kind in filter(bounds.offers, CATALOGUE):
        words = shlex.split(call("faults", kind.kind).stdout.partition("example: ")[2])
        assert ["bms-harness", "inject", "ebus-lfp", kind.kind] == words[:4]
        action = {"at_s": 1.0, "fault": kind.kind, **parse_parameters(tuple(words[4:]))}
        scenario = Scenario.model_validate({"rig": "ebus-lfp", "action": [action]})
        assert () == scenario_problems(scenario, bounds), kind.kind


def test_a_fault_that_not_every_rig_offers_says_what_a_rig_needs_for_it_and_names_one_that_has_it() -> None:
    shipped = {path.stem: bounds_of(load_rig(path)) for path in shipped_rigs()}
    for kind in (kind for kind in CATALOGUE if kind.needs):
        told = call("faults", kind.kind).stdout
        assert f"only on rigs with {NEEDS[kind.needs]}" in told
        words = shlex.split(told.partition("example: ")[2])
        assert ["bms-harness", "inject", kind.kind] == [*words[:2], words[3]]
        offering = {name for name, bounds in shipped.items() if bounds.offers(kind)}
        assert words[2] in (offering or {"RIG"})


def test_rigs_lists_name_path_and_title() -> None:
    rigs = document(call("rigs", "--json"))["rigs"]
    bus = next(rig for rig in rigs if rig["name"] == "ebus-lfp")
    assert Path(bus["path"]).is_file()
    assert "bus" in bus["title"].lower()


def test_requirements_lists_id_kind_title_and_source_of_all_kinds() -> None:
    requirements = document(call("requirements", "ebus-lfp", "--json"))["requirements"]
    assert len(requirements) >= 28
    assert {"trip", "limit", "accuracy", "cycle", "sequence", "invariant", "goal", "diagnosis"} == {
        r["kind"] for r in requirements
    }
    assert all(r["id"] and r["title"] and r["source"] for r in requirements)


def test_requirements_without_a_rig_says_how_to_name_one() -> None:
    result = call("requirements")
    assert result.exit_code == 2
    assert "bms-harness rigs" in result.stderr


def test_quantities_lists_what_requirements_may_name() -> None:
    quantities = document(call("requirements", "--quantities", "--json"))["quantities"]
    units = {quantity["name"]: quantity["unit"] for quantity in quantities}
    assert units["cell_voltage_max_v"] == "V"


@pytest.mark.parametrize(
    "kind",
    ["rig", "requirements", "pack", "scenario", "profile", "cell", "cycle", "duty", "defects", "mutants", "bench"],
)
def test_every_file_kind_has_a_schema(kind: str) -> None:
    assert document(call("schema", kind))["type"] == "object"


@pytest.mark.parametrize("words", [("faults",), ("faults", "hvil-open"), ("rigs",), ("requirements", "ebus-lfp")])
def test_tables_for_people_carry_the_same_names(words: tuple[str, ...]) -> None:
    result = call(*words)
    assert result.exit_code == 0
    named = {"faults": "hvil-open", "rigs": "ebus-lfp", "requirements": "PRT-OV-3"}[words[0]]
    assert named in result.stdout


def test_build_says_where_kernel_and_firmware_are() -> None:
    built = document(call("build", "ebus-lfp", "--json"))
    assert Path(built["kernel"]).is_file()
    assert Path(built["firmware"]).is_file()


# ------------------------------------------------------------------------------------------------------ inject, replay


def test_a_cell_at_3_80_v_trips_and_the_times_are_told() -> None:
    result = call("inject", "ebus-lfp", *OVER_VOLTAGE, "--json")
    told = document(result)
    assert {"outcome", "rig", "seed", "duration_s", "verdicts", "run_dir", "fired", "timeline"} <= told.keys()
    assert ("PASS", 0, True) == (told["outcome"], result.exit_code, told["fired"])
    assert [] == [verdict for verdict in told["verdicts"] if verdict["outcome"] in ("FAIL", "ERROR")]
    times = {entry["event"]: entry["t_s"] for entry in told["timeline"]}
    cause_s = times["cell_voltage_max_v above 3.75 V (PRT-OV-3)"]
    assert 2.0 <= cause_s <= 2.05
    assert cause_s + 0.8 <= times["fault.cell_overvoltage on the bus"] <= cause_s + 1.2
    assert times["contactor_positive commanded open"] <= times["fault.cell_overvoltage on the bus"] + 0.5
    assert "pack current gone (below 1 A)" in times


def test_a_cell_at_3_70_v_does_not_trip() -> None:
    told = document(call("inject", "ebus-lfp", "cell-voltage", "cell=17", "voltage_v=3.70", "--at", "2s", "--json"))
    verdict = next(verdict for verdict in told["verdicts"] if verdict["requirement"] == "PRT-OV-3")
    assert verdict["outcome"] == "PASS"
    assert verdict["exercised"] == 1
    assert [] == [entry for entry in told["timeline"] if "fault.cell_overvoltage" in entry["event"]]
    assert [] == [entry for entry in told["timeline"] if "commanded open" in entry["event"]]


def test_a_fault_that_changed_nothing_proves_nothing() -> None:
    result = call("inject", "ebus-lfp", "contactor-welded", "contactor=positive", "--json")
    told = document(result)
    assert told["fired"] is False
    assert ("NOT_EXERCISED", 4) == (told["outcome"], result.exit_code)


def test_the_time_line_for_people_holds_each_reaction_against_its_budget() -> None:
    result = call("inject", "ebus-lfp", *OVER_VOLTAGE)
    assert result.exit_code == 0
    flag = next(line for line in result.stdout.splitlines() if "fault.cell_overvoltage on the bus" in line)
    assert "allowed 0.80 to 1.20 s" in flag
    opened = next(line for line in result.stdout.splitlines() if "contactor_positive commanded open" in line)
    assert "after the flag, allowed 0.50 s" in opened
    assert "PRT-WELD" not in result.stdout.partition("requirement")[0]  # a contactor on its way to open is not welded


def test_a_failed_inject_prints_the_command_that_repeats_it(late_rig: Path) -> None:
    first = call("inject", str(late_rig), *OVER_VOLTAGE)
    assert first.exit_code == 1
    assert "FAIL PRT-OV-3" in first.stdout
    command = first.stdout.partition("repeat with: ")[2]
    again = call(*shlex.split(command)[1:])
    assert (first.exit_code, first.stdout) == (again.exit_code, again.stdout)


def test_kept_evidence_replays_to_the_same_verdicts(tmp_path: Path) -> None:
    kept = document(call("inject", "ebus-lfp", *OVER_VOLTAGE, "--json", "--out", str(tmp_path)))
    folder = Path(kept["run_dir"])
    assert {"run.json", "trace.npz", "bus.blf", "scenario.toml"} <= {path.name for path in folder.iterdir()}
    assert kept == json.loads((folder / "run.json").read_text(encoding="utf-8"))
    played = document(call("replay", str(folder / "scenario.toml"), "--json"))
    assert kept["verdicts"] == played["verdicts"]
    assert kept["timeline"] == played["timeline"]


def test_a_scenario_finds_a_rig_file_beside_it(late_rig: Path) -> None:
    path = late_rig.with_name("scenario.toml")
    path.write_text('rig = "late.toml"\nduration_s = 0.5\n', encoding="utf-8")
    assert document(call("replay", str(path), "--json"))["rig"] == "late"


# --------------------------------------------------------------------------------------------------------- run, report


def test_run_judges_all_requirements_and_leaves_its_evidence(tmp_path: Path) -> None:
    result = call("run", "ebus-lfp", *SMALL, "--json", "--out", str(tmp_path))
    told = document(result)
    assert {"outcome", "rig", "seed", "duration_s", "verdicts", "run_dir"} <= told.keys()
    assert EXIT_CODES[Outcome(told["outcome"])] == result.exit_code
    assert {"requirement", "outcome", "exercised", "margin"} <= told["verdicts"][0].keys()
    folder = Path(told["run_dir"])
    assert told == json.loads((folder / "run.json").read_text(encoding="utf-8"))
    assert 3 <= len((folder / "results.jsonl").read_text(encoding="utf-8").splitlines())
    assert "<html" in (folder / "report.html").read_text(encoding="utf-8")
    assert (folder / "junit.xml").is_file()


def test_run_names_what_failed_with_a_scenario_that_replays_to_the_same_verdict(tmp_path: Path, late_rig: Path) -> None:
    kept = tmp_path / "runs" / "failures" / "over-voltage.toml"
    kept.parent.mkdir(parents=True)
    action = 'at_s = 0.2\nfault = "cell-voltage"\ncell = 17\nvoltage_v = 3.8\n'
    kept.write_text(f'rig = "ebus-lfp"\nduration_s = 3.0\n[[action]]\n{action}', encoding="utf-8")
    result = call("run", str(late_rig), *SMALL, "--out", str(kept.parents[1]))
    assert result.exit_code == 1
    told = result.stdout.partition("FAIL PRT-OV-3 at ")[2].splitlines()
    command = told[1].partition("repeat with: ")[2]
    replayed = call(*shlex.split(command)[1:], "--json")
    verdict = next(verdict for verdict in document(replayed)["verdicts"] if verdict["requirement"] == "PRT-OV-3")
    assert (1, "FAIL") == (replayed.exit_code, verdict["outcome"])
    assert told[0].endswith(verdict["reason"])


def test_a_report_can_be_written_again_from_the_run_directory(tmp_path: Path) -> None:
    folder = Path(document(call("run", "ebus-lfp", *SMALL, "--json", "--out", str(tmp_path)))["run_dir"])
    before = (folder / "report.html").read_text(encoding="utf-8")
    (folder / "report.html").unlink()
    assert document(call("report", str(folder), "--json"))["report"] == str(folder / "report.html")
    assert before == (folder / "report.html").read_text(encoding="utf-8")


# ------------------------------------------------------------------------------------------------ errors and start-up


def test_an_unknown_command_names_the_near_one() -> None:
    result = call("injct")
    assert result.exit_code == 2
    assert "inject" in result.stderr


def test_an_error_is_a_document_too_when_json_is_asked_for() -> None:
    result = call("inject", "ebus-lfp", "cell-voltage", "cell=500", "voltage_v=3.8", "--json")
    assert result.exit_code == 2
    assert document(result)["exit_code"] == 2
    assert "1 to 192" in document(result)["error"]
    assert "1 to 192" in result.stderr


def test_help_names_every_command_and_imports_none() -> None:
    result = call("--help")
    assert result.exit_code == 0
    assert all(f"\n  {name}" in result.stdout for name in COMMANDS)
    heavy = {"numpy", "pydantic", "rich", "jinja2", "can", "cantools", "hypothesis", "cffi", "serial", "pytest"}
    assert set() == heavy & imported_by("--help")


def test_inject_for_scripts_imports_only_what_it_needs() -> None:
    heavy = {"rich", "jinja2", "can", "hypothesis", "serial", "pytest", "tomlkit", "tree_sitter", "asammdf"}
    assert set() == heavy & imported_by("inject", "ebus-lfp", *OVER_VOLTAGE, "--json")


def completions(args: list[str], incomplete: str) -> set[str]:
    shell = ShellComplete(cli, {}, "bms-harness", "_BMS_HARNESS_COMPLETE")
    return {item.value for item in shell.get_completions(args, incomplete)}


def test_the_shell_completes_commands_faults_and_their_parameters() -> None:
    assert {"inject"} == completions([], "inj")
    assert {"cell-sensor-offset"} == completions(["inject", "ebus-lfp"], "cell-sensor-o")
    assert {"cell=", "voltage_v=", "for_s="} <= completions(["inject", "ebus-lfp", "cell-voltage"], "")
    assert {"voltage_v="} == completions(["inject", "ebus-lfp", "cell-voltage", "cell=17"], "v")


def test_help_of_inject_explains_the_fault_that_is_named() -> None:
    result = CliRunner().invoke(cli, ["inject", "ebus-lfp", "cell-voltage", "--help"])

    assert result.exit_code == 0
    assert "voltage_v [V]" in result.output
    assert "0 to 6" in result.output


def test_frames_that_cannot_be_decoded_are_counted_where_a_person_looks() -> None:
    words = ["inject", "ebus-lfp", "frame-short", "frame=VCU_Command", "length=2", "--at", "1s", "--duration", "2s"]

    shown = CliRunner().invoke(cli, words)
    document = json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)

    assert 100 == document["frames"]["wrong_length"]  # one frame in 10 ms for a second
    assert "100 wrong length; kept in the recording" in shown.stdout
