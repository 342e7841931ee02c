# SPDX-License-Identifier: Apache-2.0
"""Recordings judged offline: a run directory as the run was, a bus log only as far as the bus can say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from numpy.typing import NDArray

from harness import trace as traces
from harness.canbus.recorder import write_blf
from harness.cli import cli
from harness.errors import UsageError
from harness.rig import find_rig, load_rig
from harness.rig.judging import Judged, belongs, judge_log, needs, one_channel
from harness.rig.session import Run, Session
from harness.scenario import CommandAction, Scenario, begin
from harness.trace import Frames
from harness.verdict import Outcome, Verdict

OTHERS = Path("/work/shared/data")
SUFFIXES = {".blf", ".asc", ".trc", ".log", ".csv"}
TICK_S, JITTER_S, BOOT_S = 0.01, 0.002, 0.6  # of the shipped rig


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(find_rig("ebus-lfp"))) as session:
        yield session


@pytest.fixture(scope="module")
def run(session: Session) -> Run:
    """Over-voltage while driving: the controller latches and opens."""
    fault = begin(2.0, "cell-voltage", cell=17, voltage_v=3.8)
    return session.run(Scenario(rig="ebus-lfp", duration_s=8.0, action=(fault,)))


def judged(session: Session, frames: Frames) -> Judged:
    timing_s = TICK_S + JITTER_S
    return judge_log(frames, session.profile, session.requirements, timing_s=timing_s, boot_s=BOOT_S, tick_s=TICK_S)


def verdict(found: Judged, requirement: str) -> Verdict:
    return next(verdict for verdict in found.verdicts if verdict.requirement == requirement)


def kept(frames: Frames, keep: NDArray[Any]) -> Frames:
    return Frames(*(getattr(frames, name)[keep] for name in Frames.__dataclass_fields__))


def rows_of(session: Session, frames: Frames, message: str) -> NDArray[Any]:
    return np.flatnonzero(frames.id == session.profile.database.by_name[message].id)


def call(*words: str) -> Result:
    result = CliRunner().invoke(cli, words)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


def test_a_run_directory_is_judged_as_the_run_was(tmp_path: Path) -> None:
    words = ("cell-voltage", "cell=17", "voltage_v=3.80", "--at", "2s", "--out", str(tmp_path), "--json")
    injected = json.loads(call("inject", "ebus-lfp", *words).stdout)
    for place in (injected["run_dir"], f"{injected['run_dir']}/bus.blf", f"{injected['run_dir']}/trace.npz"):
        result = call("judge", place, "--rig", "ebus-lfp", "--json")
        document = json.loads(result.stdout)
        assert injected["verdicts"] == document["verdicts"], place
        assert (injected["outcome"], injected["seed"]) == (document["outcome"], document["seed"])
        assert result.exit_code == 0


def test_what_needs_the_given_or_the_true_side_is_never_decided_by_a_bus_log(session: Session, run: Run) -> None:
    found = judged(session, run.trace.frames)
    for requirement, told in zip(session.requirements, found.verdicts, strict=True):
        hidden = {
            (side, name)
            for side, name in needs(requirement)
            if side in ("given", "truth") and name != "vehicle_message_age_s"
        }
        if hidden:
            assert told.outcome is Outcome.NOT_EXERCISED, requirement.id
            assert any(f"{name} {side}" in told.reason for side, name in hidden), told.reason
    over_voltage = verdict(found, "PRT-OV-3").reason
    assert over_voltage == "cannot be judged from a recording: cell_voltage_max_v given: not in it"


def test_each_decided_verdict_of_a_bus_log_is_that_of_the_run_and_says_what_it_rests_on(
    session: Session, run: Run
) -> None:
    found = judged(session, run.trace.frames)
    decided = [told for told in found.verdicts if told.outcome is not Outcome.NOT_EXERCISED]
    of_the_run = {told.requirement: told.outcome for told in run.verdicts}
    assert {told.requirement: of_the_run[told.requirement] for told in decided} == {
        told.requirement: told.outcome for told in decided
    }
    assert {"CYC-STATE-1", "SEQ-OPEN-1", "INV-LATCH-1", "INV-LIM-1"} <= {told.requirement for told in decided}
    starts = {told.requirement: told.reason.partition(":")[0] for told in decided}
    assert starts["CYC-STATE-1"] == "from the bus"
    assert starts["INV-LATCH-1"] == "from reported values"


def test_one_message_missing_while_others_come_is_a_fail(session: Session, run: Run) -> None:
    frames = run.trace.frames
    keep = np.ones(len(frames), np.bool_)
    keep[rows_of(session, frames, "BMS_State")[20:25]] = False
    assert verdict(judged(session, kept(frames, keep)), "CYC-STATE-1").outcome is Outcome.FAIL


def test_a_silence_of_the_whole_controller_is_neither_pass_nor_fail(session: Session, run: Run) -> None:
    frames = run.trace.frames
    t_s = frames.t_ns / 1e9
    found = judged(session, kept(frames, (frames.node != 0) | (t_s < 5.0) | (t_s > 6.5)))
    told = verdict(found, "CYC-STATE-1")
    assert told.outcome is Outcome.INCONCLUSIVE
    assert "whether it had power then is not in a recording" in told.reason
    assert "nothing came of the whole controller from" in found.notes[0]


def test_a_message_the_recorder_may_have_left_out_is_not_judged(session: Session, run: Run) -> None:
    frames = run.trace.frames
    keep = np.ones(len(frames), np.bool_)
    keep[rows_of(session, frames, "BMS_State")] = False
    found = judged(session, kept(frames, keep))
    assert found.missing["CYC-STATE-1"] == ("message BMS_State",)
    assert "bms_state reported" in found.missing["INV-LATCH-1"]


def test_no_pass_rests_on_a_report_that_did_not_come_for_a_time(session: Session, run: Run) -> None:
    """Latched at 3.5 s, then nothing more of BMS_State, while all other messages come."""
    frames = run.trace.frames
    state = np.isin(np.arange(len(frames)), rows_of(session, frames, "BMS_State"))
    found = judged(session, kept(frames, ~state | (frames.t_ns < 3_500_000_000)))
    for requirement in ("INV-LATCH-1", "INV-LIM-3", "SEQ-OPEN-1"):
        told = verdict(found, requirement)
        assert told.outcome is Outcome.INCONCLUSIVE, requirement
        assert "nothing came of BMS_State from 3.4" in told.reason
    assert verdict(found, "INV-LIM-1").outcome is Outcome.PASS  # rests on other messages


def closed(session: Session, frames: Frames, rows: NDArray[Any], signal: str) -> Frames:
    """The frames with a bit of BMS_State set in some rows."""
    place = session.profile.database.by_name["BMS_State"].by_name[signal]
    data = frames.data.copy()
    data[rows, place.start_bit // 8] |= np.uint8(1 << place.start_bit % 8)
    return replace(frames, data=data)


def test_a_contactor_reported_closed_while_latched_fails_the_invariant(session: Session, run: Run) -> None:
    rows = rows_of(session, run.trace.frames, "BMS_State")[-15:]
    told = verdict(judged(session, closed(session, run.trace.frames, rows, "ContactorPositive")), "INV-LATCH-1")
    assert told.outcome is Outcome.FAIL
    assert told.reason.startswith("from reported values: ")


def test_an_order_that_fell_between_two_reports_is_not_known(session: Session, run: Run) -> None:
    """Both contactors opened at 2.92 and 2.95 s; without the reports in between nobody saw which one was first."""
    frames = run.trace.frames
    rows = rows_of(session, frames, "BMS_State")
    t_s = frames.t_ns[rows] / 1e9
    keep = np.ones(len(frames), np.bool_)
    keep[rows[(t_s > 2.915) & (t_s < 2.945)]] = False
    assert verdict(judged(session, frames), "SEQ-OPEN-1").outcome is Outcome.PASS
    told = verdict(judged(session, kept(frames, keep)), "SEQ-OPEN-1")
    assert told.outcome is Outcome.INCONCLUSIVE
    assert "between two reports" in told.reason


def test_the_silence_of_the_vehicle_is_on_the_bus_and_so_is_the_reaction(session: Session) -> None:
    lost = begin(2.0, "message-lost", message="vehicle")
    run = session.run(Scenario(rig="ebus-lfp", duration_s=8.0, action=(lost,)))
    told = verdict(judged(session, run.trace.frames), "PRT-VCU-3")
    assert told.outcome is Outcome.PASS
    assert told.exercised.must == 1
    data = run.trace.frames.data.copy()
    for message in ("BMS_State", "BMS_Faults"):  # as if the controller had never reacted
        rows = rows_of(session, run.trace.frames, message)
        later = run.trace.frames.t_ns[rows] > 2_800_000_000
        data[rows[later]] = data[rows[~later][-1]]
    told = verdict(judged(session, replace(run.trace.frames, data=data)), "PRT-VCU-3")
    assert told.outcome is Outcome.FAIL


def test_a_flag_that_a_trip_on_a_hidden_quantity_could_have_set_is_not_judged(session: Session) -> None:
    lost = begin(2.0, "message-lost", message="vehicle")
    run = session.run(Scenario(rig="ebus-lfp", duration_s=8.0, action=(lost,)))
    by_id = {requirement.id: requirement for requirement in session.requirements}
    shared = by_id["PRT-OV-3"].model_copy(update={"flag": "fault.vehicle_timeout"})
    times = {"timing_s": TICK_S + JITTER_S, "boot_s": BOOT_S, "tick_s": TICK_S}
    found = judge_log(run.trace.frames, session.profile, (by_id["PRT-VCU-3"], shared), **times)
    assert {"PRT-VCU-3": ("cell_voltage_max_v given",), "PRT-OV-3": ("cell_voltage_max_v given",)} == found.missing


def test_a_vehicle_that_was_silent_before_the_log_began_blames_nobody(session: Session) -> None:
    lost = begin(2.0, "message-lost", message="vehicle")
    run = session.run(Scenario(rig="ebus-lfp", duration_s=8.0, action=(lost,)))
    frames = kept(run.trace.frames, run.trace.frames.t_ns > 2_700_000_000)
    shifted = replace(frames, t_ns=frames.t_ns - frames.t_ns[0])
    assert verdict(judged(session, shifted), "PRT-VCU-3").outcome is not Outcome.FAIL


def test_a_power_cycle_in_a_log_never_fails_a_good_controller(session: Session) -> None:
    cycle = CommandAction(at_s=2.0, do="power-cycle", off_s=1.0)
    run = session.run(Scenario(rig="ebus-lfp", duration_s=8.0, action=(cycle,)))
    found = judged(session, run.trace.frames)
    assert [] == [told for told in found.verdicts if told.outcome is Outcome.FAIL]
    assert [] == [told.requirement for told in found.verdicts if told.outcome is Outcome.PASS]


def test_a_controller_on_several_channels_must_be_chosen(session: Session, run: Run, tmp_path: Path) -> None:
    frames = run.trace.frames
    n = len(frames)
    twice = Frames(*(np.concatenate([getattr(frames, name)] * 2) for name in Frames.__dataclass_fields__))
    twice = replace(twice, bus=np.repeat(np.array([0, 3], np.uint8), n))
    with pytest.raises(UsageError, match="channels 0, 3"):
        one_channel(twice, None, session.profile)
    assert len(one_channel(twice, 3, session.profile)) == n
    order = np.argsort(twice.t_ns, kind="stable")
    write_blf(kept(twice, order), tmp_path / "two.blf")
    refused = call("judge", str(tmp_path / "two.blf"), "--rig", "ebus-lfp", "--channel", "1")
    assert refused.exit_code == 2
    assert "channels with frames: 0, 3" in refused.output
    assert call("judge", str(tmp_path / "two.blf"), "--rig", "ebus-lfp", "--channel", "3").exit_code == 4


def test_a_trace_of_another_recording_is_not_used(session: Session, run: Run, tmp_path: Path) -> None:
    words = ("cell-voltage", "cell=17", "voltage_v=3.80", "--at", "2s", "--out", str(tmp_path), "--json")
    folder = Path(json.loads(call("inject", "ebus-lfp", *words).stdout)["run_dir"])
    other = session.run(Scenario(rig="ebus-lfp", start="charge", duration_s=2.0))
    assert belongs(run.trace, run.trace.frames)
    assert not belongs(run.trace, kept(run.trace.frames, np.arange(len(run.trace.frames)) != 5))
    again = replace(run.trace, frames=kept(run.trace.frames, np.repeat(np.arange(len(run.trace.frames)), 2)))
    assert not belongs(again, run.trace.frames)  # the log has each frame of it, but only once
    assert not belongs(run.trace, other.trace.frames)
    write_blf(other.trace.frames, folder / "bus.blf")
    document = json.loads(call("judge", str(folder), "--rig", "ebus-lfp", "--json").stdout)
    assert document["basis"] == "bus"
    assert "judged from the bus alone" in document["notes"][0]


def test_a_rig_that_changed_since_the_trace_was_recorded_is_said(run: Run, tmp_path: Path) -> None:
    header = {**run.trace.header, "rig_sha256": "0", "dbc_sha256": "0"}
    traces.save(replace(run.trace, header=header), tmp_path / "trace.npz")
    document = json.loads(call("judge", str(tmp_path), "--rig", "ebus-lfp", "--json").stdout)
    told = [f"{what} is not the one the trace was recorded with" for what in ("rig ebus-lfp", "the DBC")]
    assert told == document["notes"]


@pytest.mark.skipif(not OTHERS.is_dir(), reason="recordings of others are not on this machine")
def test_recordings_of_others_are_judged_or_said_why_not() -> None:
    logs = sorted(path for path in OTHERS.rglob("*") if path.suffix.lower() in SUFFIXES)
    assert len(logs) >= 10
    for log in logs:
        result = call("judge", str(log), "--rig", "ebus-lfp", "--json")
        document = json.loads(result.stdout)
        assert result.exit_code in (1, 4), log
        assert Outcome.PASS.value not in {told["outcome"] for told in document["verdicts"]}, log
        assert len(document["missing"]) > 80, log


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("bus.xyz", b"", "suffix '.xyz'"),
        ("bus.blf", b"no", "LOGG"),
        ("trace.npz", b"no", "a trace written by bms-harness"),
    ],
)
def test_what_is_no_recording_is_told_in_one_text(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    result = call("judge", str(tmp_path / name), "--rig", "ebus-lfp")
    assert result.exit_code == 2
    assert told in result.output
    assert "Traceback" not in result.output


def test_a_folder_without_a_recording_is_refused(tmp_path: Path) -> None:
    result = call("judge", str(tmp_path), "--rig", "ebus-lfp")
    assert result.exit_code == 2
    assert "neither trace.npz nor bus.blf" in result.output
