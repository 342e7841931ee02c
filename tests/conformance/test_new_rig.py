# SPDX-License-Identifier: Apache-2.0
"""`bms-harness new`: what it writes loads, compiles and runs, for a database made here and for those of others."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from harness.canbus.profile import load_profile
from harness.cli import cli
from harness.firmware.builder import find_compiler, port_folder
from harness.requirements.load import load_requirements
from harness.rig import find_rig, load_rig
from harness.rig.compose import bounds_of
from harness.rig.new.folder import Made, make
from harness.rig.profiles import find_profile
from harness.rig.session import Run, Session
from harness.scenario import Scenario, Start, scenario_problems
from harness.search.tours import tours

DBC = """VERSION ""

BU_: BMS VCU

BO_ 256 BMS_State: 8 BMS
 SG_ State : 7|4@0+ (1,0) [0|15] "" VCU
 SG_ OvervoltageError : 8|1@1+ (1,0) [0|1] "" VCU

BO_ 2566845443 BMS_Pack: 8 BMS
 SG_ PackVoltage : 7|16@0+ (0.1,0) [0|1000] "V" VCU
 SG_ PackCurrent : 16|16@1- (0.1,5) [-3000|3000] "A" VCU
 SG_ CellVoltageMax : 32|16@1+ (1,0) [0|5000] "mV" VCU
 SG_ CoolantTemp : 48|8@1+ (1,-40) [-40|100] "degC" VCU

BO_ 258 BMS_Cells: 8 BMS
 SG_ Page M : 0|8@1+ (1,0) [0|3] "" VCU
{cells}

BO_ 259 BMS_Limits: 8 BMS
 SG_ MaxChargeCurrent : 0|16@1+ (0.5,0) [0|600] "A" VCU
 SG_ MaxDischargeCurrent : 16|16@1+ (0.5,0) [0|600] "A" VCU
 SG_ MaxPackVoltage : 32|16@1+ (0.1,0) [0|1000] "V" VCU

BO_ 512 VCU_Request: 8 VCU
 SG_ ModeRequest : 3|2@0+ (1,0) [0|3] "" BMS

BA_DEF_ BO_ "GenMsgCycleTime" INT 0 10000;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_ "GenMsgCycleTime" BO_ 256 50;
VAL_ 256 State 0 "IDLE" 1 "PRECHARGE" 2 "RUN" 3 "CHARGE" 9 "ERROR" ;
VAL_ 512 ModeRequest 0 "STANDBY" 1 "DRIVE" 2 "CHARGE" ;
"""
CELLS = "\n".join(
    f' SG_ CellVoltage{number:02d} m{number // 3} : {8 + 16 * (number % 3)}|16@1+ (1,0) [0|5000] "mV" VCU'
    for number in range(12)
)
LARGE_BYTES = 110_000  # their profiles were loaded by hand: parsing is slow
NOT_DATABASES = {"foxbms/invalid.dbc"}  # 11 bytes without a message


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    folder = tmp_path_factory.mktemp("new")
    (folder / "small.dbc").write_text(DBC.format(cells=CELLS), encoding="utf-8")
    return make(folder / "mine", folder / "small.dbc")


@pytest.fixture(scope="module")
def session(made: Made) -> Iterator[Session]:
    with Session(load_rig(made.rig)) as booted:
        yield booted


@pytest.fixture(scope="module")
def drive(session: Session) -> Run:
    return session.run(Scenario(rig="rig", start="drive", duration_s=12.0))


def called(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def test_the_controller_is_the_node_that_speaks_like_one(made: Made) -> None:
    assert ("BMS", 4, 12) == (made.plan.node, len(made.plan.sent), made.series)
    assert made.plan.asked is not None
    assert "VCU_Request" == made.plan.asked.message.name


def test_the_profile_loads_and_tells_its_confidence_behind_each_guess(made: Made) -> None:
    path = made.rig.with_name("profile.toml")
    bindings = load_profile(path).bindings
    assert {"pack_voltage_v", "cell_voltage_max_v", "bms_state", "fault.cell_overvoltage", "cell_voltage_v[12]"} <= set(
        bindings
    )
    lines = path.read_text(encoding="utf-8").splitlines()
    guesses = [line for line in lines if line.startswith(('"', '# "BMS', "[[arrays]]"))]
    assert len(guesses) > 7
    assert all(any(word in line for word in ("# high (", "# medium (", "# low (")) for line in guesses)


def test_the_requirements_load_with_and_without_their_proposals(made: Made) -> None:
    path = made.rig.with_name("requirements.toml")
    text = path.read_text(encoding="utf-8")
    assert {"PRT-OV-1", "CYC-01"} == {item.id for item in load_requirements(path)}
    head, _, proposals = text.partition("\n# [[")
    uncommented = "\n".join(line.removeprefix("# ") for line in ("# [[" + proposals).splitlines())
    all_of_it = path.with_name("all.toml")
    all_of_it.write_text(f"{head}\n{uncommented}\n", encoding="utf-8")
    kinds = [item.kind for item in load_requirements(all_of_it)]
    all_of_it.unlink()
    assert (2, 3) == (kinds.count("trip"), kinds.count("accuracy"))


def test_contents_are_neutral_and_recognised_numbers_are_filled_in(drive: Run) -> None:
    """The voltage is big endian, the current signed with an offset, the message has 29 bits."""
    assert "" == drive.error
    truth, seen = drive.trace.columns["given"], drive.observation.decoded
    t_s, voltage_v = seen.values("BMS_Pack.PackVoltage")
    rows = np.minimum((t_s / 0.01).astype(int), len(truth["pack_voltage_v"]) - 1)
    np.testing.assert_allclose(voltage_v, truth["pack_voltage_v"][rows], atol=0.2)
    _, current_a = seen.values("BMS_Pack.PackCurrent")
    off_a = [np.abs(current_a - truth["pack_current_a"][np.maximum(rows - late, 0)]) for late in (0, 1)]
    assert np.minimum(*off_a)[10:].max() < 0.5  # it is sent in the tick it was measured in or the one after
    assert np.ptp(current_a) > 10.0  # the duty asks for something
    assert {0.0} == set(seen.values("BMS_Pack.CoolantTemp")[1].tolist())  # physical zero, not raw zero
    assert {2.0} == set(seen.values("BMS_State.State")[1].tolist())  # RUN


def test_every_page_of_a_multiplexed_message_is_sent(drive: Run) -> None:
    assert {0.0, 1.0, 2.0, 3.0} == set(drive.observation.decoded.values("BMS_Cells.Page")[1].tolist())


def test_all_start_states_are_reached(session: Session) -> None:
    starts: tuple[Start, ...] = ("standby", "charge", "off")
    for start in starts:
        assert "" == session.run(Scenario(rig="rig", start=start, duration_s=1.0)).error


def test_tours_leave_out_what_the_bus_of_the_rig_has_not(session: Session) -> None:
    """It has no charger that speaks; nothing else of the tours is lost."""
    made_for_it = tours(session.requirements, session.bounds, rig="rig")
    assert () == tuple(problem for tour in made_for_it for problem in scenario_problems(tour, session.bounds))
    bus = load_rig(find_rig("ebus-lfp"))
    of_bus = tours(session.requirements, bounds_of(bus), rig="rig")
    titles = [{re.sub(r"\d+", "N", tour.title) for tour in made} for made in (of_bus, made_for_it)]
    assert {"charger messages late"} == titles[0] - titles[1]


def test_it_runs_at_once_and_says_what_is_not_proven(tmp_path: Path) -> None:
    (tmp_path / "small.dbc").write_text(DBC.format(cells=CELLS), encoding="utf-8")
    folder = str(tmp_path / "mine")
    result = called("new", folder, "--dbc", str(tmp_path / "small.dbc"))
    assert (0, True) == (result.exit_code, f"bms-harness run {Path(folder).name}/rig.toml" in result.stdout.replace(
        str(tmp_path) + "/", "")), result.output  # fmt: skip
    words = ("--sequences", "2", "--generated", "6", "--jobs", "1", "--out", str(tmp_path / "runs"), "--json")
    result = called("run", f"{folder}/rig.toml", "--no-grids", *words)
    assert 4 == result.exit_code, result.output
    outcomes = {item["requirement"]: item["outcome"] for item in json.loads(result.stdout)["verdicts"]}
    assert {"PRT-OV-1": "NOT_EXERCISED", "CYC-01": "PASS"} == outcomes


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["there"], "there has files already and nothing was written"),
        (["file"], "file is a file"),
        (["a b"], "'a b' is no name for a rig"),
        (["mine", "--node", "BMZ"], "has no node 'BMZ' that sends messages; did you mean 'BMS'? It has: BMS, VCU"),
        (["mine", "--node", "Lamp"], "has no node 'Lamp' that sends messages. It has: BMS, VCU"),
        (["mine", "--dbc", "nowhere.dbc"], "nowhere.dbc"),
        (["mine", "--dbc", "rig.toml"], "rig.toml has the name of a file that 'new' writes"),
    ],
)
def test_what_cannot_be_made_is_told_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.dbc").write_text(DBC.format(cells=CELLS), encoding="utf-8")
    Path("rig.toml").write_text(DBC.format(cells=CELLS), encoding="utf-8")
    Path("file").write_text("x", encoding="utf-8")
    Path("there").mkdir()
    Path("there/rig.toml").write_text("mine", encoding="utf-8")
    result = called("new", *(words if "--dbc" in words else [*words, "--dbc", "small.dbc"]))
    assert (2, True) == (result.exit_code, text in result.stderr), result.stderr
    assert "mine" == Path("there/rig.toml").read_text(encoding="utf-8")
    assert not Path("mine").exists()


def test_force_overwrites_its_own_files_and_leaves_others(tmp_path: Path) -> None:
    dbc = tmp_path / "small.dbc"
    dbc.write_text(DBC.format(cells=CELLS), encoding="utf-8")
    folder = tmp_path / "mine"
    make(folder, dbc)
    (folder / "rig.toml").write_text("broken", encoding="utf-8")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    make(folder, folder / "small.dbc", force=True)
    assert load_rig(folder / "rig.toml").title
    assert "mine" == (folder / "notes.txt").read_text(encoding="utf-8")


def test_a_rig_is_made_of_every_database_that_loads(data: Path, tmp_path: Path) -> None:
    """All files read, and each firmware compiles without a warning. Runs of all of them were made by hand."""
    names = {path.relative_to(data).as_posix() for path in data.glob("*/*.dbc")} - NOT_DATABASES
    assert len(names) == 28
    flags = ("-fsyntax-only", "-std=c11", "-Wall", "-Wextra", "-Werror")
    for number, name in enumerate(sorted(names)):
        rig = load_rig(make(tmp_path / f"rig{number}", data / name).rig)
        if (data / name).stat().st_size < LARGE_BYTES:
            rig.read_all()
        folders = (f"-I{rig.include[0]}", f"-I{port_folder()}")
        told = subprocess.run(
            [*find_compiler().command, *flags, *folders, str(rig.sources[0])],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (0, "") == (told.returncode, told.stderr), name


@pytest.mark.parametrize(
    "name", ["cantools/fd_test.dbc", "cantools/j1939.dbc", "opendbc/gm_global_a_high_voltage_management.dbc"]
)
def test_rigs_of_databases_of_others_drive_and_keep_their_cycle_times(data: Path, tmp_path: Path, name: str) -> None:
    """CAN FD, 29-bit identifiers, big-endian multiplexers."""
    with Session(load_rig(make(tmp_path / "rig", data / name).rig)) as session:
        run = session.run(Scenario(rig="rig", start="drive", duration_s=6.0))
    assert "" == run.error
    assert {"PASS"} == {item.outcome.value for item in run.verdicts if item.requirement.startswith("CYC")}


@pytest.mark.parametrize(("profile", "dbc", "alike"), [("foxbms", "foxbms/foxbms.dbc", 40), (
    "prohelion-d1000", "prohelion/Prohelion_BMS_D1000_Gen1.dbc", 12)])  # fmt: skip
def test_guesses_agree_with_the_profiles_written_by_hand(
    data: Path, tmp_path: Path, profile: str, dbc: str, alike: int
) -> None:
    """Same signal, same scale. What is left are resolutions and tiers about which people may differ."""
    guessed = tomllib.loads(make(tmp_path / "rig", data / dbc).rig.with_name("profile.toml").read_text())["signals"]
    written = tomllib.loads(find_profile(profile).read_text())["signals"]
    same = [path for path, meaning in guessed.items() if _meaning(written.get(path)) == _meaning(meaning)]
    assert alike == len(same)
    assert len(guessed) - alike <= 8


def _meaning(entry: object) -> object:
    if isinstance(entry, dict):
        return entry["quantity"], entry.get("scale", 1.0)
    return entry, 1.0
