# SPDX-License-Identifier: Apache-2.0
"""Wrong files end with exit code 2 and every problem of the file at once: line, key, what was found, what is allowed.

Never a traceback, whatever is in them.
"""

from __future__ import annotations

import random  # noqa: TID251 - seeded bytes that are no text
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.cli import cli
from harness.rig.resources import data_root

RIG = "rigs/ebus-lfp.toml"
REQUIREMENTS = "fixtures/requirements/ebus-lfp.toml"
PROFILE = "dbc/reference-bms.profile.toml"
DBC = "dbc/reference-bms.dbc"
CELL = "fixtures/cells/lfp-us26650ftc1.toml"
CYCLE = "fixtures/cycles/sort-2.toml"
SCENARIO = "scenario.toml"
FILES = (RIG, REQUIREMENTS, PROFILE, DBC, CELL, CYCLE, SCENARIO)

SCENARIO_TEXT = """\
rig = "rigs/ebus-lfp.toml"
duration_s = 0.5
[[action]]
at_s = 0.1
fault = "cell-voltage"
cell = 17
voltage_v = 3.80
[[action]]
at_s = 0.2
do = "power-cycle"
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped rig with all files it names, and a scenario; the current folder."""
    for name in FILES[:-1]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(data_root() / name, tmp_path / name)
    (tmp_path / SCENARIO).write_text(SCENARIO_TEXT, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def play() -> Result:
    """Every file is read by replaying the scenario."""
    result = CliRunner().invoke(cli, ["replay", SCENARIO])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_the_copy_itself_is_right(folder: Path) -> None:
    assert folder.is_dir()
    result = play()
    assert result.exit_code not in (2, 3), result.stderr


@dataclass(frozen=True)
class Wrong:
    """One edit of a file, and what must be said about it. `key` "" stands for problems of the whole line."""

    old: str
    new: str
    key: str
    found: str
    allowed: str


UNKNOWN = "only the keys of this table"

EDITS: dict[str, tuple[Wrong, ...]] = {
    RIG: (
        Wrong("series = 192", "serie = 192", "cells.serie", "unknown key", "did you mean series"),
        Wrong("soc_pct = 55.0", "soc_pct = 155.0", "cells.soc_pct", "155.0", "100"),
        Wrong("parallel = 60", 'parallel = "60"', "cells.parallel", "'60'", "a whole number"),
        Wrong("link_bleed_ohm = 20_000.0", "link_bleed_ohm = -1.0", "pack.link_bleed_ohm", "-1.0", "greater than 0"),
        Wrong("supply_v = 24.0", "supply_v = nan", "pack.supply_v", "nan", ""),
        Wrong("cycles/sort-2.toml", "cycles/sort-9.toml", "vehicle.cycle", "sort-9.toml", "an existing file"),
        Wrong("bitrate = 500_000", "bitrate = 500.5", "bus.bitrate", "500.5", "a whole number"),
        Wrong("tick_ms = 10\n", "tick_ms = 0\n", "simulation.tick_ms", "0", "greater than or equal to 1"),
    ),
    REQUIREMENTS: (
        Wrong('id = "PRT-OV-1"', 'id = "over voltage"', "trip[1].id", "'over voltage'", "a text that matches"),
        Wrong("confirm_s = [1.8, 2.2]", "confirm_s = [1.8]", "trip[1].confirm_s[2]", "nothing", ""),
        Wrong("above = 3.65\n", 'above = "3.65 V"\n', "trip[2].above", "'3.65 V'", "a number"),
        Wrong(
            'flag = "alarm.cell_overvoltage"',
            'flag = "cell_overvoltage"',
            "trip[2].flag",
            "'cell_overvoltage'",
            "--quantities",
        ),
        Wrong(
            'safe_state = "charge_limit_zero"',
            'safe_state = "open"',
            "trip[2].safe_state",
            "'open'",
            "'contactors_open'",
        ),
    ),
    PROFILE: (
        Wrong(
            '"BMS_PackValues.PackVoltage" =',
            '"BMS_PackValues.PackVoltag" =',
            "BMS_PackValues.PackVoltag",
            "",
            "PackVoltage",
        ),
        Wrong('= "soc_pct"', '= "charge_of_state"', "BMS_PackValues.StateOfCharge", "charge_of_state", ""),
        Wrong('counter = "AliveCounter"', 'counter = "AliveCount"', "counter", "AliveCount", "AliveCounter"),
    ),
    CELL: (
        Wrong("capacity_ah = 3.0", 'capacity_ah = "3 Ah"', "cell.capacity_ah", "'3 Ah'", "a number"),
        Wrong("mass_kg = 0.070", "mass_g = 70", "cell.mass_g", "unknown key", UNKNOWN),
        Wrong("min_voltage_v = 2.0", "min_voltage_v = -2.0", "cell.min_voltage_v", "-2.0", ""),
    ),
    CYCLE: (
        Wrong(
            "speed_km_per_h = 20\n", "speed_km_per_h = -20\n", "trapezoid[1].speed_km_per_h", "-20", "greater than 0"
        ),
        Wrong("distance_m = 220\n", "distance_mm = 220\n", "trapezoid[2].distance_mm", "unknown key", "distance_m"),
    ),
    SCENARIO: (
        Wrong("cell = 17", "cell = 500", "action[1].cell", "500", "1 to 192"),
        Wrong("voltage_v = 3.80", "voltage_v = 38.0", "action[1].voltage_v", "38.0", "a number in V from 0 to 6"),
    ),
}
SINGLE: tuple[tuple[str, Wrong], ...] = (
    (SCENARIO, Wrong("at_s = 0.1", "at_s = 0.6", "action[1].at_s", "0.6", "before the end")),
    (SCENARIO, Wrong("at_s = 0.1", "at_s = -0.1", "action[1].at_s", "-0.1", "greater than or equal to 0")),
    (SCENARIO, Wrong("cell-voltage", "cell-volts", "action[1].fault", "'cell-volts'", "cell-voltage")),
    (SCENARIO, Wrong("cell = 17", "cell = 1.5", "action[1].cell", "1.5", "a whole number from 1 to 192")),
    (SCENARIO, Wrong("cell = 17", "zell = 17", "action[1].zell", "an unknown parameter", "did you mean cell")),
    (SCENARIO, Wrong("power-cycle", "explode", "action[2].do", "'explode'", "'power-cycle'")),
    (SCENARIO, Wrong("duration_s = 0.5", "duration = 0.5", "duration", "unknown key", "duration_s")),
    (REQUIREMENTS, Wrong('id = "PRT-OV-2"', 'id = "PRT-OV-1"', "trip[2].id", "PRT-OV-1", "")),
    (REQUIREMENTS, Wrong("above = 3.6\n", "above = 3.6\nbelow = 2.0\n", "trip[1]", "", "exactly one of above, below")),
    (CELL, Wrong("soc = [\n    0.0", "soc = [\n    0.9", "open_circuit", "0.9", "soc rising from 0 to 1")),
    (PROFILE, Wrong('dbc = "reference-bms.dbc"', 'dbc = "nope.dbc"', "dbc", "nope.dbc", "")),
    (PROFILE, Wrong('title = "Reference BMS"', "titel = 1", "titel", "unknown key", UNKNOWN)),
    (DBC, Wrong(" SG_ AliveCounter : 8|4@1+", " SG_ AliveCounter : 4|4@1+", "", "", "")),
    (DBC, Wrong(" SG_ AliveCounter : 8|4@1+", " SG_ AliveCounter : 8|400@1+", "", "", "")),
    (DBC, Wrong(" SG_ AliveCounter : 8|4@1+", " SG_ AliveCounter ; 8|4@1+", "", "", "")),
)  # fmt: skip


def change(path: Path, wrong: Wrong) -> None:
    """One edit, which must hit."""
    text = path.read_text(encoding="utf-8")
    assert wrong.old in text, wrong.old
    path.write_text(text.replace(wrong.old, wrong.new, 1), encoding="utf-8")


def lines_of(path: Path, wrong: Wrong) -> set[int]:
    """The lines (from 1) on which an edit stands, or its table where the table as a whole is wrong."""
    text = path.read_text(encoding="utf-8")
    if wrong.key in ("trip[1]", "open_circuit"):
        table = {"trip[1]": "[[trip]]", "open_circuit": "[open_circuit]"}[wrong.key]
        return {text.partition(table)[0].count("\n") + 1}
    return {number for number, line in enumerate(text.splitlines(), start=1) if wrong.new.splitlines()[0] in line}


def assert_told(result: Result, path: Path, wrong: Wrong) -> None:
    """Whether a line of the output has it all."""
    name = re.escape(path.name)
    for number, key, rest in re.findall(rf"^\S*{name}:(\d+):(?: (.+?):)? (found .*)$", result.stderr, re.MULTILINE):
        right_place = int(number) in lines_of(path, wrong)
        found, _, allowed = rest.partition("; allowed:")
        if right_place and wrong.key in key and wrong.found in found and wrong.allowed in allowed:
            return
    pytest.fail(f"{path.name}: nothing about {wrong} in\n{result.stderr}")


@pytest.mark.parametrize("name", EDITS)
def test_all_problems_of_a_file_are_told_at_once(folder: Path, name: str) -> None:
    for wrong in EDITS[name]:
        change(folder / name, wrong)
    result = play()
    assert result.exit_code == 2, result.stderr
    for wrong in EDITS[name]:
        assert_told(result, folder / name, wrong)
    assert result.stderr.splitlines()[-1].startswith("error: ")


@pytest.mark.parametrize(("name", "wrong"), SINGLE)
def test_a_single_problem_is_told_with_its_line(folder: Path, name: str, wrong: Wrong) -> None:
    change(folder / name, wrong)
    result = play()
    assert result.exit_code == 2, result.stderr
    assert_told(result, folder / name, wrong)


def test_problems_of_several_files_of_a_rig_are_told_at_once(folder: Path) -> None:
    for name in (CELL, CYCLE, REQUIREMENTS, PROFILE):
        change(folder / name, EDITS[name][0])
    result = play()
    assert result.exit_code == 2
    for name in (CELL, CYCLE, REQUIREMENTS, PROFILE):
        assert_told(result, folder / name, EDITS[name][0])


def _garbage(path: Path) -> None:
    path.write_bytes(random.Random(1).randbytes(3000))  # noqa: S311 - no secret


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _no_syntax(path: Path) -> None:
    path.write_text('title = "x\n[a\nBO_ BO_ : : 8 @@\n', encoding="utf-8")


def _deep(path: Path) -> None:
    path.write_text("a = " + "[" * 5000 + "]" * 5000 + "\n", encoding="utf-8")


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _huge(path: Path) -> None:
    path.write_text("#" * 20_000_000, encoding="utf-8")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("spoil", [_garbage, _empty, _no_syntax, _deep, _folder, _huge, Path.unlink])
def test_no_file_gives_a_traceback_whatever_is_in_it(folder: Path, name: str, spoil: Callable[[Path], None]) -> None:
    path = folder / name
    if spoil in (_folder, Path.unlink) and name not in (RIG, SCENARIO):
        # What is no file beside the copy is looked up beside the shipped rigs: take a name that is not there either.
        for user in (folder / RIG, folder / PROFILE):
            text = user.read_text(encoding="utf-8")
            user.write_text(text.replace(f'{path.name}"', f'gone-{path.name}"'), encoding="utf-8")
        path = path.rename(path.with_name(f"gone-{path.name}"))
    spoil(path)
    result = play()
    assert result.exit_code == 2, result.stderr
    assert path.name in result.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["cell-voltage", "cell=17"], "voltage_v: found nothing; allowed: a number in V from 0 to 6"),
        (["cell-voltage", "cell=193", "voltage_v=9"], "cell: found 193; allowed: a whole number from 1 to 192"),
        (["cell-voltage", "cell=17", "voltage_v=nan"], "must be a finite number"),
        (["cell-voltage", "cell=17", "voltage_v"], "'voltage_v' is not KEY=VALUE"),
        (["cell-voltage", "cell=17", "cell=18", "voltage_v=3.8"], "'cell' is given twice"),
        (["cell-voltage", "cell=17", "voltage_v=3.8", "at_s=1"], "use --at"),
        (["cell-voltage", "cell=17", "voltage_v=3.8", "for_s=1", "--for", "2s"], "given twice"),
        (["cell-voltage", "cell=17", "voltage_v=3.8", "--at", "9s", "--duration", "5s"], "--at: found 9.0"),
        (["cell-voltage", "cell=17", "voltage_v=3.8", "--at", "2 weeks"], "'2 weeks' is not a time"),
        (["cell-voltage", "cell=17", "voltage_v=3.8", "Volt=3"], "is no parameter name"),
        (["cell-volts"], "cell-voltage"),
        (["hvil-open", "cell=3"], "cell: found an unknown parameter"),
        (["message-lost", "message=nobody"], "vehicle"),
    ],
)
def test_a_wrong_injection_says_what_is_allowed(words: list[str], told: str) -> None:
    result = CliRunner().invoke(cli, ["inject", "ebus-lfp", *words])
    assert result.exit_code == 2, result.stderr
    assert told in result.stderr


LONG = "a" * 300  # longer than any file system allows: refused by the system, as a folder that may not be entered is


@pytest.mark.parametrize(
    "words",
    [
        ["run", LONG],
        ["soak", LONG],
        ["new", LONG, "--dbc", str(data_root() / DBC)],
        ["judge", LONG, "--rig", "ebus-lfp"],
        ["judge", "x.blf", "--profile", LONG],
        ["uds", LONG, "read-dtcs"],
    ],
)
def test_a_path_that_the_system_refuses_is_told_with_its_name(words: list[str]) -> None:
    result = CliRunner().invoke(cli, words)
    assert (2, True) == (result.exit_code, f"{LONG}: File name too long" in result.stderr), result.stderr


def test_firmware_that_does_not_compile_shows_the_compiler_output_and_the_file(folder: Path) -> None:
    (folder / "rigs" / "broken.c").write_text('#include "fil.h"\nint oops = ;\n', encoding="utf-8")
    rig = folder / RIG
    text = rig.read_text(encoding="utf-8")
    rig.write_text(text.replace('sources = ["reference-bms/*.c"]', 'sources = ["broken.c"]'), encoding="utf-8")
    result = CliRunner().invoke(cli, ["build", RIG])
    assert result.exit_code == 3
    assert "broken.c:2:" in result.stderr
    assert str(folder / "rigs" / "broken.c") in result.stderr


@pytest.mark.parametrize("option", ["--seed", "--sequences", "--generated", "--jobs"])
def test_what_means_nothing_on_a_bench_is_refused_and_not_left_out_silently(option: str) -> None:
    bench = data_root() / "rigs" / "bench" / "ebus-lfp-box.toml"
    result = CliRunner().invoke(cli, ["run", str(bench), option, "3"])
    assert result.exit_code == 2
    assert f"{option} means nothing on a bench" in result.stderr
