# SPDX-License-Identifier: Apache-2.0
"""The shell by lines from a pipe, and its parts: orders, completion, the table, the record."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from harness.bench.shell import MAX_ACTIONS, Answer, Shell
from harness.bench.shellcomplete import offers
from harness.bench.shellplain import Plain
from harness.bench.shellrecord import LiveRecord
from harness.bench.shellview import table, width_of
from harness.bench.shellwords import HELP, Clear, Do, Inject, Note, Quit, Save, Wait, WaitUntil, parse
from harness.cli import cli
from harness.errors import UsageError
from harness.faults.catalogue import CATALOGUE
from harness.rig.compose import bounds_of
from harness.scenario import CommandAction, FaultAction, Scenario, begin, load_scenario
from harness.units import FLAG_PREFIXES
from tests.bench.stillrig import RIG, StillRig

BOUNDS = bounds_of(RIG)
FLAGS = tuple(name for name in RIG.profile.bindings if name.startswith(FLAG_PREFIXES))


def poked(*lines: str, ticks: int = 50) -> tuple[Shell, StillRig, list[Answer]]:
    """A still rig after lines were typed and some ticks have passed."""
    rig = StillRig()
    said: list[Answer] = []
    shell = Shell(rig, rig="ebus-lfp", start="standby", say=said.append)
    for line in lines:
        shell.submit(line)
    tick(shell, ticks)
    return shell, rig, said


def tick(shell: Shell, times: int) -> None:
    for _ in range(times):
        shell.live.step()
        shell.tick()


def call(*words: str) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


# ---- orders


@pytest.mark.parametrize(
    ("line", "order"),
    [
        ("", None),
        ("  # a remark", None),
        ("drive", Do(CommandAction(at_s=0.0, do="drive"))),
        ("unplug", Do(CommandAction(at_s=0.0, do="unplug"))),
        ("ignition off", Do(CommandAction(at_s=0.0, do="ignition-off"))),
        ("power-cycle off_s=2", Do(CommandAction(at_s=0.0, do="power-cycle", off_s=2.0))),
        ("reset", Do(CommandAction(at_s=0.0, do="reset-faults"))),
        ("set soc=20", Do(CommandAction(at_s=0.0, do="soc", soc_pct=20.0))),
        ("set load=-0.5", Do(CommandAction(at_s=0.0, do="load", scale=-0.5))),
        ("clear", Clear("")),
        ("clear all", Clear("")),
        ("clear ov", Clear("ov")),
        ("wait 500ms", Wait(0.5)),
        ("wait until fault.hvil within 2s", WaitUntil("fault.hvil", "", wanted=True, within_s=2.0)),
        ("wait until not fault.hvil", WaitUntil("fault.hvil", "", wanted=False, within_s=60.0)),
        ("wait until state drive", WaitUntil("", "drive", wanted=True, within_s=60.0)),
        ("mark it's here", Note("it's here")),
        ("save a", Save(Path("a.toml"))),
        ("exit", Quit()),
        (
            "inject cell-voltage cell=17 voltage_v=3.8 label=ov for_s=2",
            Inject(begin(0.0, "cell-voltage", label="ov", cell=17, voltage_v=3.8, for_s=2)),
        ),
    ],
)
def test_a_line_is_an_order(line: str, order: object) -> None:
    assert order == parse(line, BOUNDS, FLAGS)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("drvie", "did you mean drive"),
        ("drive now", "takes nothing more"),
        ("inject", "inject FAULT"),
        ("inject cell-voltag cell=1", "near: cell-voltage"),
        ("inject cell-voltage cell=999 voltage_v=3.8", "from 1 to 192"),
        ("inject cell-voltage cell=1", "voltage_v: found nothing"),
        ("inject cell-voltage cell=1 voltage_v=nan", "from 0 to 6"),
        ("inject cell-voltage cell 1", "'cell' is not key=value"),
        ("inject cell-voltage cell=1 voltage_v=3 at_s=2", "begins now"),
        ("inject cell-voltage cell=1 cell=2", "given twice"),
        ("inject hvil-open label=all", "clear all"),
        ("clear a b", "one name at a time"),
        ("ignition maybe", "on or off"),
        ("power-cycle s=2", "only off_s"),
        ("power-cycle off_s=0", "off_s: input should be greater than or equal to 0.02"),
        ("set soc=200", "soc_pct: input should be less than or equal to 100"),
        ("set soc=x", "soc_pct"),
        ("set speed=3", "soc=PCT or load=FACTOR"),
        ("wait", "wait how long"),
        ("wait soon", "'soon' is not a time"),
        ("wait until fault.hvli", "did you mean fault.hvil"),
        ("wait until state driving", "no state 'driving'; there are: off"),
        ("wait until", "wait until what"),
        ("mark", "mark what"),
        ("save", "save where"),
        ("help me", "help for what"),
        ('clear "', "quotes come in pairs"),
    ],
)
def test_what_is_no_order_is_told_on_one_line_with_what_is_allowed(line: str, told: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(line, BOUNDS, FLAGS)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_every_command_that_is_explained_is_understood_and_completed() -> None:
    _, found = offers("", BOUNDS, FLAGS, ())
    assert set(HELP) == {word for word, _ in found}
    for name in HELP:
        _, _, said = poked(name, ticks=1)
        assert not any("no command" in answer.text for answer in said)


def test_tab_offers_faults_keys_with_units_flags_and_labels() -> None:
    assert {kind.kind for kind in CATALOGUE} == {word for word, _ in offers("inject ", BOUNDS, FLAGS, ())[1]}
    begun, found = offers("inject cell-voltage cell=17 vol", BOUNDS, FLAGS, ())
    assert begun == "vol"
    assert found[0][0] == "voltage_v="
    assert "in V from 0 to 6" in found[0][1]
    assert "vehicle" in {
        word.partition("=")[2] for word, _ in offers("inject message-lost message=", BOUNDS, FLAGS, ())[1]
    }
    assert set(FLAGS) < {word for word, _ in offers("wait until ", BOUNDS, FLAGS, ())[1]}
    assert ["over", "all"] == sorted((word for word, _ in offers("clear ", BOUNDS, FLAGS, ("over",))[1]), reverse=True)
    assert offers("nonsense ", BOUNDS, FLAGS, ())[1] == []


# ---- playing them


def test_orders_are_played_in_order_one_change_a_tick() -> None:
    shell, rig, _ = poked("drive", "inject hvil-open label=a", "clear a", "inject hvil-open label=a")
    assert [action.at_s for action in shell.scenario().actions] == [0.01, 0.02, 0.03, 0.04]
    assert len(rig.faults()) == 1


def test_wait_holds_back_what_was_typed_behind_it() -> None:
    shell, _, said = poked("wait 200ms", "drive")
    assert [answer.text for answer in said] == ["waited 0.2 s", "drive"]
    assert [action.at_s for action in shell.scenario().actions] == [0.21]


def test_wait_until_sees_a_flag_on_the_bus_in_the_tick_it_comes() -> None:
    shell, rig, said = poked("wait until fault.hvil", "mark seen")
    assert shell.waiting == "fault.hvil"
    rig.frames_to_come = [("BMS_Faults", {"Hvil": 1})]
    tick(shell, 1)
    assert [answer.text for answer in said] == ["fault.hvil after 0.50 s", "marked: seen"]
    assert [(mark.t_s, mark.event) for mark in shell.marks] == [(0.51, "seen")]


def test_wait_until_gives_up_and_drops_what_stands_behind_it() -> None:
    shell, rig, said = poked("wait until fault.hvil within 300ms", "drive")
    assert said[-1].error
    assert "not within 0.3 s" in said[-1].text
    assert rig.commands == []
    assert not shell.busy


def test_a_flag_that_changes_is_told_with_its_delay_after_the_fault() -> None:
    shell, rig, said = poked("inject hvil-open", ticks=1)
    rig.frames_to_come = [("BMS_Faults", {"Hvil": 0})]
    tick(shell, 9)
    rig.frames_to_come = [("BMS_Faults", {"Hvil": 1})]
    tick(shell, 1)
    assert said[-1].event
    assert said[-1].text == "fault.hvil on the bus (+0.100 s)"


def test_a_wrong_line_changes_nothing_and_the_next_is_played() -> None:
    shell, rig, said = poked(
        "inject cell-voltage cell=999", "clear nobody", "clear", "save /no/such/folder/x", "standby"
    )
    assert [answer.error for answer in said] == [True, True, True, True, False]
    assert len(rig.commands) == 1
    assert len(shell.scenario().action) == 1


def test_clear_all_becomes_one_clear_for_each_label() -> None:
    shell, rig, _ = poked("inject hvil-open label=a", "inject crash label=b", "clear all")
    assert rig.faults() == ()
    labels = [getattr(action, "label", "") for action in shell.scenario().action[2:]]
    assert labels == ["a", "b"]


def test_the_record_has_when_each_fault_was_cleared() -> None:
    record = LiveRecord(StillRig())
    for label in ("one", "two"):
        record.injected(label, FaultAction(at_s=0.0, fault="hvil-open", label=label), 1.0)
    record.cleared("one", 2.5)
    faults = record.trace(Scenario(rig="ebus-lfp", duration_s=9.0), ()).faults
    assert [("one", 1.0, 2.5), ("two", 1.0, 9.0)] == [(item.label, item.from_s, item.until_s) for item in faults]


def test_what_was_typed_is_saved_as_a_scenario_with_its_times(tmp_path: Path) -> None:
    path = tmp_path / "poke.toml"
    shell, _, said = poked("drive", "wait 100ms", "inject hvil-open label=a", "mark open", f"save {path}")
    assert not said[-1].error
    loaded = load_scenario(path, BOUNDS)
    assert loaded.actions == shell.scenario().actions
    assert loaded.rig == "ebus-lfp"
    assert "# 0.13 s: open" in path.read_text(encoding="utf-8")


def test_a_scenario_never_grows_beyond_what_can_be_replayed() -> None:
    shell, _, said = poked(*["standby"] * (MAX_ACTIONS + 1), ticks=MAX_ACTIONS + 10)
    assert len(shell.scenario().action) == MAX_ACTIONS
    assert said[-1].error


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_no_line_of_the_table_is_wider_than_the_terminal(width: int) -> None:
    shell, rig, _ = poked(*[f"inject cell-voltage cell={cell} voltage_v=3.8 label=over-{cell}" for cell in range(1, 8)])
    rig.frames_to_come = [("BMS_Faults", {"Hvil": 1, "Crash": 1}), ("BMS_State", {"State": "Drive"})]
    tick(shell, 1)
    lines = table(rig, shell.seen, rig.lateness(), width)
    assert max(width_of(line) for line in lines) <= width
    text = "\n".join("".join(piece for _, piece in line) for line in lines)
    if width >= 120:
        assert "hvil, crash" in text
        assert "state            drive" in text
        assert "and 3 more" in text


# ---- from a pipe


def test_input_without_an_end_holds_no_tick_up() -> None:
    told: list[str] = []
    with Path("/dev/zero").open("rb") as stream:
        view = Plain(stream, told.append)
        shell = Shell(StillRig(), rig="ebus-lfp", start="standby", say=view.say)
        view._read(shell)
        shell.submit("quit")
        view.run(shell)
    assert not told


def test_lines_that_come_in_pieces_are_played_whole_and_the_end_of_input_ends_it() -> None:
    reading, writing = os.pipe()
    told: list[str] = []
    stream = os.fdopen(reading)
    view = Plain(stream, told.append)
    shell = Shell(StillRig(), rig="ebus-lfp", start="standby", say=view.say)
    os.write(writing, b"dri")
    shell.live.step()
    view._read(shell)
    assert not shell.busy
    os.write(writing, b"ve\nwait 50ms\nstandby")
    os.close(writing)
    view.run(shell)
    stream.close()
    assert [line.split("s  ")[1] for line in told] == ["drive", "waited 0.05 s", "standby"]


def test_a_poked_rig_answers_each_line_and_leaves_a_run_that_replays_to_the_same_verdicts(tmp_path: Path) -> None:
    saved = tmp_path / "poke.toml"
    typed = (
        "drive\nwait until state drive\ninject cell-voltage cell=17 voltage_v=3.8 label=ov\nnonsense\n"
        f"wait until fault.cell_overvoltage within 3s\nclear ov\nwait 300ms\nsave {saved}\n"
    )
    words = [sys.executable, "-m", "harness", "shell", "ebus-lfp", "--json", "--out", str(tmp_path / "runs")]
    done = subprocess.run(words, input=typed, capture_output=True, text=True, timeout=30, check=False)
    document = json.loads(done.stdout)
    answers = done.stderr.splitlines()
    assert len(answers) == len(typed.splitlines())
    assert "error: no command 'nonsense'" in answers[3]
    folder = Path(document["run_dir"])
    assert {"run.json", "scenario.toml", "trace.npz", "bus.blf"} <= {path.name for path in folder.iterdir()}
    assert document["fired"]
    by_id = {told["requirement"]: told for told in document["verdicts"]}
    assert by_id["PRT-OV-3"]["outcome"] == "PASS"
    for scenario in (saved, folder / "scenario.toml"):
        replayed = json.loads(call("replay", str(scenario), "--json").stdout)
        assert document["outcome"] == replayed["outcome"]
        lived, again = ({t["requirement"]: t for t in told["verdicts"]} for told in (document, replayed))
        unkept = {name for name in lived if lived[name]["reason"].endswith("was not recorded")}
        assert {name for name in lived if name.startswith("ACC-EACH-")} == unkept  # single cells and sensors
        assert [(t["outcome"], t["margin"]) for name, t in lived.items() if name not in unkept] == [
            (t["outcome"], t["margin"]) for name, t in again.items() if name not in unkept
        ]
    judged = json.loads(call("judge", str(folder), "--rig", "ebus-lfp", "--json").stdout)
    assert document["verdicts"] == judged["verdicts"]


def test_a_port_of_a_virtual_rig_is_refused() -> None:
    result = call("shell", "ebus-lfp", "--port", "can=x")
    assert result.exit_code == 2
    assert "virtual rig" in result.output


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = call("shell", "ebus-lfp", "--out", str(tmp_path / "file" / "runs"))
    assert result.exit_code == 2
    assert "--out" in result.output


def test_one_shot_tells_each_reaction_as_it_comes_and_then_the_verdict() -> None:
    words = ("cell-voltage", "cell=17", "voltage_v=3.8", "--live", "--at", "100ms", "--duration", "1.5s", "--json")
    result = call("inject", "ebus-lfp", *words)
    document = json.loads(result.stdout)
    assert document["fired"]
    assert "fault.cell_overvoltage on the bus (+0.9" in result.stderr
    assert "contactor_positive commanded open" in result.stderr
    assert {"PASS"} == {t["outcome"] for t in document["verdicts"] if t["requirement"] == "PRT-OV-3"}
