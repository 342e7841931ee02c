# SPDX-License-Identifier: Apache-2.0
"""The shipped rigs under an overhead line: their duty, and what they find when the firmware's answer is gone."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from harness.rig import find_rig, load_rig
from harness.rig.session import Run, Session
from harness.scenario import CommandAction, FaultAction, Scenario, begin
from harness.verdict import Outcome

RIGS = ("trolleybus-lto", "tram-lto")
AT_S = 1.0
# Each defect, what shows it, and the requirement that must say so.
SHOWN_BY: dict[int, tuple[FaultAction, str]] = {
    200: (begin(AT_S, "line-voltage", voltage_v=1050.0), "PRT-LINE-3"),
    202: (begin(AT_S, "poles-fed"), "PRT-LINE-4"),
    203: (begin(AT_S, "message-lost", message="VCU_Line"), "PRT-LINE-2"),
    204: (begin(AT_S, "message-lost", message="VCU_Line"), "PRT-LINE-2"),
    205: (begin(AT_S, "line-voltage", voltage_v=0.0), "PRT-LINE-5"),
    208: (begin(AT_S, "pole-drop"), "PRT-LINE-3"),
    209: (begin(AT_S, "line-voltage", voltage_v=900.0), "ACC-LINE-1"),
    211: (begin(AT_S, "e2e-crc-random", message="VCU_Line"), "PRT-LINE-2"),
}


@pytest.fixture(scope="module", params=RIGS)
def session(request: pytest.FixtureRequest) -> Iterator[Session]:
    with Session(load_rig(find_rig(request.param))) as booted:
        yield booted


def played(session: Session, *actions: FaultAction | CommandAction, duration_s: float = 5.0) -> Run:
    return session.run(Scenario(rig="line", duration_s=duration_s, action=actions))


def failed(run: Run) -> set[str]:
    return {verdict.requirement for verdict in run.verdicts if verdict.outcome in (Outcome.FAIL, Outcome.ERROR)}


def state_is_drive(run: Run) -> bool:
    """Both main contactors really closed all the time."""
    return set(run.trace.columns["truth"]["contactors"].tolist()) == {3.0}


def test_the_duty_charges_under_the_wire_and_drives_without(session: Session) -> None:
    run = played(session, duration_s=100.0)
    truth = run.trace.columns["truth"]
    assert failed(run) == set()
    assert state_is_drive(run)
    assert truth["pack_current_a"].min() < -200.0  # charging
    assert truth["pack_current_a"].max() > 40.0  # driving
    assert truth["cell_voltage_max_v"].max() < 2.65


@pytest.mark.parametrize("fault", [begin(AT_S, "pole-drop"), begin(AT_S, "line-voltage", voltage_v=0.0)], ids=str)
def test_a_dead_wire_is_daily_business(session: Session, fault: FaultAction) -> None:
    run = played(session, fault)
    assert [report.fired for report in run.trace.faults] == [True]
    assert failed(run) == set()
    assert state_is_drive(run)


def test_a_full_swing_of_the_poles_leaves_no_trace(session: Session) -> None:
    run = played(session, begin(AT_S, "line-gaps", period_s=0.3, duty=0.5, for_s=3.0))
    assert failed(run) == set()
    assert state_is_drive(run)


def test_poles_that_stay_live_are_left_within_a_second(session: Session) -> None:
    run = played(session, begin(AT_S, "poles-fed"))
    truth = run.trace.columns["truth"]
    after = run.trace.t_s > AT_S + 1.0
    assert truth["line_voltage_v"][run.trace.t_s > AT_S + 0.1].max() > 400.0
    assert set(truth["contactors"][after].tolist()) == {0.0}
    assert failed(run) == set()


@pytest.mark.parametrize("number", SHOWN_BY)
def test_each_answer_to_the_line_is_missed_when_it_is_removed(number: int) -> None:
    fault, requirement = SHOWN_BY[number]
    with Session(load_rig(find_rig("trolleybus-lto")), defect=number) as broken:
        assert requirement in failed(played(broken, fault))


def test_20_km_off_the_wire_are_in_the_pack() -> None:
    """The duty of the trolleybus from its first pole drop on, at the power it asks for, is less than the pack holds."""
    rig = load_rig(find_rig("trolleybus-lto"))
    profile = rig.load_profile
    assert profile.line_v is not None
    assert rig.file.load is not None
    off = profile.line_v == 0.0
    t_s, power_w = profile.load_s[off], profile.load_w[off] + rig.file.load.auxiliary_w
    drawn_kwh = float(np.trapezoid(power_w, t_s)) / 3.6e6
    cells = rig.file.cells
    held_kwh = float(np.trapezoid(rig.cell.open_circuit.voltage_v, rig.cell.open_circuit.soc)) * (
        cells.series * cells.parallel * rig.cell.capacity_ah / 1e3
    )
    assert 1.0 <= drawn_kwh / 20.0 <= 2.8  # kWh/km, of a trolleybus
    assert drawn_kwh < 0.8 * held_kwh  # from 90 to 10 %
    assert 67 * 300.0 == pytest.approx(20_000.0, rel=0.01)
