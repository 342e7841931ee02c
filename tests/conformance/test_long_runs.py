# SPDX-License-Identifier: Apache-2.0
"""Long runs: the same as tick by tick, only sooner."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.kernel.columns import Column
from harness.kernel.longrun import Soak
from harness.kernel.simulation import TraceBuffers
from harness.rig import find_rig, load_rig
from harness.rig.compose import bounds_of
from harness.rig.file import Rig
from harness.rig.longrun import LongRun, bands, play_long
from harness.rig.session import Session
from harness.scenario import Action, CommandAction, LongScenario, Start, begin
from harness.search.moves import space
from harness.search.sequences import generate
from harness.verdict import Outcome

TICK_S = 0.01
SLOW_S = 0.05  # where a reading creeps over its limit: 1 uV of it is worth ticks
WRAP_MS = 2**32


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("ups-lfp"))


@pytest.fixture(scope="module")
def session(rig: Rig) -> Iterator[Session]:
    with Session(rig) as booted:
        yield booted


def scenario(seconds: float, *actions: Action, start: Start = "drive") -> LongScenario:
    return LongScenario(rig="ups-lfp", start=start, duration_s=seconds, action=actions)


def both(session: Session, played: LongScenario) -> tuple[LongRun, LongRun]:
    """Tick by tick, and with strides."""
    fine, coarse = play_long(session, played, longest_s=0.0), play_long(session, played)
    assert fine.ticked_s == pytest.approx(fine.done_s) == pytest.approx(played.duration_s)
    return fine, coarse


def told(run: LongRun) -> list[tuple[str, float]]:
    return sorted((item.what, item.at_s) for item in run.happenings)


def assert_same(fine: LongRun, coarse: LongRun, within_s: float) -> None:
    assert [v.outcome for v in fine.verdicts] == [v.outcome for v in coarse.verdicts]
    assert [what for what, _ in told(fine)] == [what for what, _ in told(coarse)]
    for (what, fine_s), (_, coarse_s) in zip(told(fine), told(coarse), strict=True):
        assert fine_s == pytest.approx(coarse_s, abs=within_s), what


EDGES = [
    begin(1234.56, "hvil-open"),
    begin(871.03, "cell-voltage", cell=17, voltage_v=3.80),
    begin(1033.33, "current-sensor-set", current_a=700.0),
    begin(640.0, "message-lost", message="vehicle"),
    begin(1500.5, "internal-short", cell=80, resistance_ohm=0.001),
    begin(777.77, "insulation-drop", pole="both", resistance_ohm=5e3),
    begin(3600.0, "crash"),  # on the second: a fault that begins with the tick to come
]


@pytest.mark.parametrize("fault", EDGES, ids=lambda fault: fault.fault)
def test_a_trip_after_long_float_comes_in_the_same_tick(session: Session, fault: Any) -> None:
    fine, coarse = both(session, scenario(fault.at_s + 8.0, fault))
    assert coarse.ticked_s < 0.2 * coarse.done_s
    assert any(what.startswith("fault.") for what, _ in told(coarse))
    assert_same(fine, coarse, TICK_S + 1e-6)


def test_two_faults_of_one_kind_have_times_of_their_own(session: Session) -> None:
    twice = (begin(2.0, "hvil-open", for_s=0.05), begin(4.0, "hvil-open", for_s=0.05))
    fired_s = [fault.first_fired_s for fault in play_long(session, scenario(6.0, *twice)).faults]
    assert fired_s == pytest.approx([2.0, 4.0], abs=2 * TICK_S)


def test_random_sequences_of_faults_have_the_same_verdicts_and_the_same_flags_at_the_same_time(
    session: Session, rig: Rig
) -> None:
    generator = np.random.default_rng(3)
    strides = 0.0
    generated = generate(space(rig.requirements, bounds_of(rig), rig=rig.name), 5, 24)
    for sequence in [found for found in generated if found.start in ("drive", "standby")][:8]:
        later_s = round(float(generator.uniform(200.0, 600.0)), 2)
        actions = tuple(
            action.model_copy(update={"at_s": round(action.at_s + later_s, 2)}) for action in sequence.action
        )
        fine, coarse = both(session, scenario(sequence.duration_s + later_s, *actions, start=sequence.start))
        assert_same(fine, coarse, SLOW_S)
        strides += coarse.done_s - coarse.ticked_s
    assert strides > 1000.0


def test_a_short_that_warms_its_cell_for_minutes_is_warned_of_at_the_same_time(session: Session) -> None:
    # one of the cells with a sensor
    short = begin(900.0, "internal-short", cell=81, resistance_ohm=0.3)
    fine, coarse = both(session, scenario(2400.0, short, start="standby"))
    assert "warning.temperature_spread set" in [what for what, _ in told(coarse)]
    assert coarse.ticked_s < 0.75 * coarse.done_s
    assert_same(fine, coarse, 1.0)  # 5 K are passed at some mK a second


# ---- the plant in long steps -----------------------------------------------------------------------------------------

END_COLUMNS = {
    Column.TRUTH_SOC_MEAN: 1e-5,
    Column.GIVEN_CELL_VOLTAGE_MAX_V: 2e-5,
    Column.GIVEN_CELL_VOLTAGE_MIN_V: 2e-5,
    Column.GIVEN_CELL_TEMP_MAX_DEGC: 0.02,
    Column.GIVEN_PACK_CURRENT_A: 0.01,
}


def ends(session: Session, played: LongScenario, longest_s: float) -> tuple[dict[Column, float], float]:
    machine, _, _ = session.begin(played)
    buffers = TraceBuffers(machine.config, 120.0, cells=False, frames_per_s=2000)
    soak = Soak(round(played.duration_s * 1e9), (), longest_s=longest_s, enough_rows=6000)
    while soak.left_s >= TICK_S:
        buffers.clear()
        assert not machine.simulation.soak(soak, buffers).error
    return {column: float(buffers.column(column)[-1]) for column in END_COLUMNS}, soak.passed_s


@pytest.mark.parametrize(
    "played",
    [
        scenario(1800.0),
        scenario(1800.0, start="standby"),
        scenario(1800.0, begin(5.0, "internal-short", cell=80, resistance_ohm=1.0)),
        scenario(1800.0, begin(5.0, "ambient-temperature", temp_degc=38.0)),
        scenario(1800.0, begin(5.0, "mains-failure", power_w=10e3)),
    ],
    ids=["float", "standby", "leak", "hot day", "discharge"],
)
def test_long_steps_end_where_ticks_end(session: Session, played: LongScenario) -> None:
    fine, none = ends(session, played, 0.0)
    coarse, passed_s = ends(session, played, 300.0)
    assert none == 0.0
    assert passed_s > 900.0
    for column, most in END_COLUMNS.items():
        assert fine[column] == pytest.approx(coarse[column], abs=most), column.name


def test_the_charge_the_firmware_counts_goes_on_in_long_steps(session: Session) -> None:
    run = play_long(session, scenario(5400.0, begin(5.0, "mains-failure", power_w=10e3)))
    true_pct, reported_pct = run.soc_pct
    assert true_pct < 70.0  # 15 kWh of 63
    assert reported_pct == pytest.approx(true_pct, abs=0.6)  # it began with a guess of 90 %, and counts in tenths
    assert run.ticked_s < 0.6 * run.done_s


# ---- what must not pass at once --------------------------------------------------------------------------------------


def test_readings_near_a_limit_are_played_tick_by_tick(session: Session, rig: Rig) -> None:
    warm = next(band for band in bands(rig.requirements) if band.column is Column.GIVEN_CELL_TEMP_MAX_DEGC)
    assert warm.high == pytest.approx(45.0 - 3.0)  # the warning while charging, and `near` of it
    run = play_long(session, scenario(600.0, begin(1.0, "temp-sensor-offset", sensor="all", offset_k=5.0)))
    assert run.ticked_s == pytest.approx(run.done_s, abs=2.0)  # a fault that bends readings keeps awake
    run = play_long(session, scenario(7200.0, begin(1.0, "ambient-temperature", temp_degc=44.5)))
    assert run.awake_s["a reading near a limit"] > 1000


def test_the_clock_of_the_firmware_wraps_around_tick_by_tick_and_nothing_happens(rig: Rig) -> None:
    """32 bits of milliseconds: 49.7 days."""
    run = near_the_wrap(rig, 0)
    assert run.ticked_s < 0.1 * run.done_s
    assert run.happenings == ()
    assert run.outcome is Outcome.PASS


def test_a_time_out_that_wraps_before_the_clock_opens_float_and_is_found_at_its_time(rig: Rig) -> None:
    run = near_the_wrap(rig, 225)
    failed = {v.requirement: v.at_s for v in run.verdicts if v.outcome is Outcome.FAIL}
    assert "UPS-FLT-1" in failed
    first = next(item for item in run.happenings if item.what == "fault.vehicle_timeout set")
    assert first.at_s == pytest.approx(3600.0, abs=2.0)
    assert failed["UPS-FLT-1"] == pytest.approx(first.at_s, abs=0.1)


def near_the_wrap(rig: Rig, defect: int) -> LongRun:
    """Two hours, the clock wrapping in the middle of them; boot and the way to drive take some seconds before."""
    booting_ms = 4_000
    simulation = rig.file.simulation.model_copy(update={"start_tick_ms": WRAP_MS - 3_600_000 - booting_ms})
    wrapping = replace(rig, file=rig.file.model_copy(update={"simulation": simulation}))
    with Session(wrapping, defect=defect) as session:
        return play_long(session, scenario(7200.0))


def test_a_firmware_that_cannot_tell_is_played_tick_by_tick(rig: Rig) -> None:
    firmware = rig.file.firmware.model_copy(update={"defines": ("fil_idle=own_idle",)})
    with Session(replace(rig, file=rig.file.model_copy(update={"firmware": firmware}))) as session:
        run = play_long(session, scenario(30.0))
    assert run.ticked_s == pytest.approx(run.done_s)
    assert run.outcome is Outcome.PASS


# ---- the command -----------------------------------------------------------------------------------------------------


def soak(*words: str) -> Any:
    return CliRunner().invoke(cli, ["soak", "ups-lfp", *words])


def test_the_command_plays_a_day_and_tells_what_passed_at_once(tmp_path: Path) -> None:
    csv = tmp_path / "course.csv"
    result = soak(
        "internal-short", "cell=80", "resistance_ohm=10", "--for", "1d", "--at", "1h", "--csv", str(csv), "--json"
    )
    document = json.loads(result.stdout)
    assert (0, "PASS", 86_400.0) == (result.exit_code, document["outcome"], document["played_s"])
    assert document["tick_by_tick_s"] < 2000.0
    assert [fault["fired"] for fault in document["faults"]] == [True]
    rows = [line.split(",") for line in csv.read_text().splitlines()]
    assert rows[0][0] == "time_s"
    assert all(float(a[0]) < float(b[0]) for a, b in pairwise(rows[1:]))


def test_a_trip_on_the_way_is_told_with_its_time_of_the_run() -> None:
    result = soak("hvil-open", "--for", "2h", "--at", "1h")
    assert result.exit_code == 0, result.output
    assert "01:00:00.1" in result.output
    assert "fault.hvil set" in result.output


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("--for", "soon"), "is not a time"),
        (("hvil-opens", "--for", "1h", "--at", "1min"), "hvil-open"),
        (("hvil-open", "--for", "1h"), "a time before the end"),
    ],
)
def test_what_is_wrong_is_told(words: tuple[str, ...], wanted: str) -> None:
    result = soak(*words)
    assert result.exit_code == 2 or result.exception is not None
    assert wanted in result.output + str(result.exception)


def test_a_file_that_cannot_be_written_is_told_before_anything_is_played(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x", encoding="utf-8")
    later = ("--defect", "9999")  # found out when the firmware is started
    result = soak("--for", "1d", *later, "--csv", str(tmp_path / "file" / "course.csv"))
    told = f"cannot write {tmp_path}/file/course.csv: {tmp_path}/file is no folder"
    assert (2, f"error: {told}\n") == (result.exit_code, result.stderr)


def test_ctrl_c_keeps_what_was_played(session: Session) -> None:
    def interrupt(_: Any) -> None:
        raise KeyboardInterrupt

    run = play_long(session, scenario(86_400.0, CommandAction(at_s=80_000.0, do="standby")), progress=interrupt)
    assert run.interrupted
    assert 0.0 < run.done_s < 86_400.0
    assert run.pieces == 1
