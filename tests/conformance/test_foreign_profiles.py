# SPDX-License-Identifier: Apache-2.0
"""Controllers of others by profile alone: `monitor` and `judge` on their databases, with recordings where there are
some and with frames that cantools encoded where there are none.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.canbus.profile import Profile, load_profile
from harness.canbus.recorder import read_log, write_blf
from harness.cli import cli
from harness.errors import RigError
from harness.rig.profiles import find_profile, requirements_beside, shipped_profiles
from harness.trace import Frames
from harness.units import CONTROLLER_STATES

# Profile: folder of its database, quantities it knows.
FOREIGN = {"foxbms": ("foxbms", 458), "prohelion-d1000": ("prohelion", 21), "gm-global-a": ("opendbc", 108),
           "tesla-model3": ("model3dbc", 132)}  # fmt: skip
VEHICLE_LOG = "we-ev/candump-2025-11-22_161709.log"
Content = Mapping[str, Any]


@pytest.fixture
def databases(data: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The databases found as a user has them found: by the environment variable."""
    folders = [str(data / folder) for folder, _ in FOREIGN.values()]
    monkeypatch.setenv("BMS_HARNESS_DBC", os.pathsep.join(folders))
    return data


def frames_of(profile: Profile, sent: list[tuple[float, str, Content]]) -> Frames:
    """Messages with their content in physical numbers or names of value tables, encoded by cantools."""
    library = {message.name: message for message in profile.database.codec.messages}
    ordered = sorted(sent, key=lambda item: item[0])
    data = np.zeros((len(ordered), 64), np.uint8)
    for row, (_, name, content) in enumerate(ordered):
        payload = library[name].encode(dict(content), strict=False)
        data[row, : len(payload)] = np.frombuffer(payload, np.uint8)
    n = len(ordered)
    return Frames(
        t_ns=np.array([round(at_s * 1e9) for at_s, _, _ in ordered], np.uint64),
        id=np.array([library[name].frame_id for _, name, _ in ordered], np.uint32),
        flags=np.zeros(n, np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.zeros(n, np.uint8),
        length=np.array([library[name].length for _, name, _ in ordered], np.uint8),
        data=data,
    )


def blank(profile: Profile, message: str) -> dict[str, Any]:
    """All signals of a message that has no multiplexer, at raw 0."""
    return {signal.name: signal.offset for signal in profile.database.by_name[message].signals}


def every(period_s: float, end_s: float, message: str, content: Callable[[float], Content]) -> list[Any]:
    times_s = np.arange(0.0, end_s, period_s)
    return [(float(at_s), message, content(float(at_s))) for at_s in times_s]


def always(content: Content) -> Callable[[float], Content]:
    return lambda _: content


def judged(folder: Path, profile: Profile, name: str, sent: list[Any]) -> tuple[int, dict[str, str]]:
    """The exit code of `judge` on a recording of these messages, and the outcome of each requirement."""
    log = folder / "log.blf"
    write_blf(frames_of(profile, sent), log)
    result = CliRunner().invoke(cli, ["judge", str(log), "--profile", name, "--json"])
    verdicts = json.loads(result.stdout)["verdicts"]
    return result.exit_code, {item["requirement"]: item["outcome"] for item in verdicts}


@pytest.mark.usefixtures("databases")
@pytest.mark.parametrize("name", FOREIGN)
def test_a_shipped_profile_fits_its_database(name: str) -> None:
    profile = load_profile(find_profile(name))
    assert profile.notes == ()
    assert FOREIGN[name][1] == len(profile.bindings)
    assert requirements_beside(find_profile(name)) is not None


def test_every_foreign_profile_is_covered_here() -> None:
    foreign = {path.name.removesuffix(".profile.toml") for path in shipped_profiles() if path.parent.name == "profiles"}
    assert set(FOREIGN) == foreign


def test_without_its_database_a_profile_says_where_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BMS_HARNESS_DBC", raising=False)
    with pytest.raises(RigError) as caught:
        load_profile(find_profile("foxbms"))
    (problem,) = caught.value.problems
    assert "foxbms.dbc" in problem.found
    for hint in ("https://github.com/foxBMS/foxbms-2", "BSD-3-Clause", "BMS_HARNESS_DBC", "--dbc"):
        assert hint in problem.allowed


def test_another_version_of_a_database_is_told(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "foxbms.dbc"
    shutil.copy(data / "foxbms/foxbms.dbc", other)
    other.chmod(0o644)
    other.write_text(other.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    (note,) = load_profile(find_profile("foxbms"), dbc=other).notes
    assert "is not the file the profile was written for" in note
    log = str(data / "foxbms/can-log.trc")
    result = CliRunner().invoke(cli, ["judge", log, "--profile", "foxbms", "--dbc", str(other), "--json"])
    assert note in json.loads(result.stdout)["notes"]


def test_a_recording_of_foxbms_reads_as_its_bytes_say(databases: Path) -> None:
    """Frame 220: 0A = state 10, ERROR, no string; byte 2 = 00: interlock closed. Frame 232: byte 6 = 16 hex, of 4 V."""
    profile = load_profile(find_profile("foxbms"))
    decoded = profile.decoder.decode(read_log(databases / "foxbms/can-log.trc"))
    state = profile.bindings["bms_state"]
    assert state.states is not None
    raw = decoded.signal(state.path).raw
    assert [10.0] == raw.tolist()
    assert CONTROLLER_STATES["fault"] == state.states.canonical[state.states.raw.tolist().index(10)]
    interlock = profile.bindings["hvil_closed"]
    assert [1.0] == [value * interlock.scale + interlock.offset for value in decoded.values(interlock.path)[1].tolist()]
    assert [22 * 4.0] == decoded.values(profile.bindings["charge_voltage_limit_v"].path)[1].tolist()


@pytest.mark.parametrize(
    ("name", "log", "message"),
    [
        ("foxbms", "foxbms/can-log.trc", "f_BmsState"),
        ("tesla-model3", VEHICLE_LOG, "ID212BMS_status"),
    ],
)
def test_monitor_shows_a_recording_by_quantities(databases: Path, name: str, log: str, message: str) -> None:
    words = ["monitor", "--profile", name, "--replay", str(databases / log), "--fast", "--json"]
    result = CliRunner().invoke(cli, words)
    assert 0 == result.exit_code, result.stderr
    seen = {item["name"]: item for item in json.loads(result.stdout)["seen"]}
    assert "bms_state" in {value["quantity"] for value in seen[message]["values"]}


def test_a_battery_on_a_real_bus_is_judged_by_its_cycle_times(databases: Path) -> None:
    """Counted with awk in the log: 2862 frames 132, 286 frames 212. It goes on for a second after the last of them."""
    log = str(databases / VEHICLE_LOG)
    result = CliRunner().invoke(cli, ["judge", log, "--profile", "tesla-model3", "--json"])
    found = {item["requirement"]: item for item in json.loads(result.stdout)["verdicts"]}
    assert 4 == result.exit_code
    assert "kept its period of 0.01 s in 28" in found["CYC-TM3-1"]["reason"]
    assert "nothing came of the whole controller from 30.365" in found["CYC-TM3-1"]["reason"]
    assert {"INCONCLUSIVE"} == {found[f"CYC-TM3-{number}"]["outcome"] for number in (1, 2, 3, 4)}


@pytest.mark.usefixtures("databases")
@pytest.mark.parametrize(("reacts", "outcome"), [(True, "PASS"), (False, "FAIL")])
def test_foxbms_must_report_a_cell_over_its_limit(tmp_path: Path, *, reacts: bool, outcome: str) -> None:
    """A cell at 2.85 V from 1.0 s on, the error flags 0.55 s later or never."""
    profile = load_profile(find_profile("foxbms"))

    def values(at_s: float) -> Content:
        cells = {"MaximumCellVoltage": 2850 if at_s >= 1.0 else 2300, "MinimumCellVoltage": 2290}
        return {**blank(profile, "f_PackMinMaxCellVoltage"), **cells}

    def string(at_s: float) -> Content:
        fields = {signal.name: 0 for signal in profile.database.by_name["f_StringState"].signals}
        return {**fields, "OvervoltageMslError": int(reacts and at_s >= 1.55)}

    def state(at_s: float) -> Content:
        return {**blank(profile, "f_BmsState"), "BmsState": 7, "GeneralError": int(reacts and at_s >= 1.5)}

    sent = every(0.1, 4.0, "f_PackMinMaxCellVoltage", values)
    sent += every(0.1, 4.0, "f_StringState", string) + every(0.1, 4.0, "f_BmsState", state)
    _, outcomes = judged(tmp_path, profile, "foxbms", sent)
    assert outcome == outcomes["PRT-FOX-OV"]
    assert "PASS" == outcomes["CYC-FOX-1"]
    assert ("PASS" if reacts else "NOT_EXERCISED") == outcomes["INV-FOX-ERR-OV"]


@pytest.mark.usefixtures("databases")
@pytest.mark.parametrize(("state", "outcome"), [(0, "PASS"), (4, "FAIL")])
def test_prohelion_must_be_in_its_error_state_over_voltage(tmp_path: Path, state: int, outcome: str) -> None:
    """The state has no value table in the database: 0 is error, 4 is run."""
    profile = load_profile(find_profile("prohelion-d1000"))

    def status(at_s: float) -> Content:
        return {**blank(profile, "ExtendedPackStatus"), "StatusCellOverVolt": int(at_s >= 1.0)}

    def precharge(at_s: float) -> Content:
        return {**blank(profile, "PrechargeStatus"), "PrechargeState": state if at_s >= 1.2 else 4}

    sent = every(0.1, 5.0, "ExtendedPackStatus", status) + every(0.1, 5.0, "PrechargeStatus", precharge)
    sent += every(1.0, 5.0, "HeartbeatSerialNumber", lambda _: blank(profile, "HeartbeatSerialNumber"))
    _, outcomes = judged(tmp_path, profile, "prohelion-d1000", sent)
    assert outcome == outcomes["INV-PRO-OV"]
    assert "PASS" == outcomes["CYC-PRO-1"]


@pytest.mark.usefixtures("databases")
def test_cells_of_gm_are_found_behind_their_multiplexers(tmp_path: Path) -> None:
    """Cell 25 is place A in bank 0 of module 2. It goes to 4.3 V, the others stay at 3.7 V."""
    profile = load_profile(find_profile("gm-global-a"))
    sent: list[Any] = []
    for module in (1, 2, 3, 4):
        for bank in range(8):
            cells = {f"Voltage_{module}_{bank}_{place}": 3.7 for place in "ABC"}
            if (module, bank) == (2, 0):
                cells["Voltage_2_0_A"] = 4.3
            content = {f"Cell_Bank_Number_{module}": bank, **cells}
            sent += every(0.1, 1.0, f"Battery_Module_{module}", always(content))
    code, outcomes = judged(tmp_path, profile, "gm-global-a", sent)
    assert 1 == code
    assert ["INV-GM-CELL-2H"] == [name for name, outcome in outcomes.items() if outcome == "FAIL"]
    assert "PASS" == outcomes["INV-GM-CELL-1H"]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "name a rig or bench with --rig, or a product with --profile"),
        (["--profile", "foxbm"], "did you mean 'foxbms'?"),
        (["--dbc", "x.dbc", "--rig", "ebus-lfp"], "name one with --profile"),
        (["--profile", "reference-bms"], "give --requirements FILE, or the --rig"),
    ],
)
def test_what_judge_lacks_is_told(tmp_path: Path, words: list[str], text: str) -> None:
    result = CliRunner().invoke(cli, ["judge", str(tmp_path / "log.blf"), *words])
    assert (2, True) == (result.exit_code, text in result.stderr), result.stderr


def test_profiles_lists_what_is_here_and_what_is_not(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BMS_HARNESS_DBC", str(data / "foxbms"))
    listed = json.loads(CliRunner().invoke(cli, ["profiles", "--json"]).stdout)["profiles"]
    databases = {item["name"]: item["database"] for item in listed}
    assert str(data / "foxbms/foxbms.dbc") == databases["foxbms"]
    assert databases["tesla-model3"] is None
    text = CliRunner().invoke(cli, ["profiles"]).stdout
    assert "Model3CAN.dbc is not here" in text
