# SPDX-License-Identifier: Apache-2.0
"""The reported state of charge against the truth: what is judged, and what no controller can know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from harness.rig import find_rig, load_rig
from harness.rig.defectfile import load_defects
from harness.rig.file import Rig
from harness.rig.longrun import LongRun, play_long
from harness.rig.session import Run, Session
from harness.scenario import Action, CommandAction, LongScenario, Scenario, Start, begin
from harness.verdict import Outcome, Verdict

TRUTH, COUNT = "ACC-SOC-2", "ACC-SOC-3"
REST_S = 1800.0  # soc_rest_s of the rigs


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("ebus-lfp"))


@pytest.fixture(scope="module")
def session(rig: Rig) -> Iterator[Session]:
    with Session(rig) as booted:
        yield booted


def play(session: Session, seconds: float, *actions: Action, start: Start = "drive") -> Run:
    return session.run(Scenario(rig=session.rig.name, start=start, duration_s=seconds, action=actions))


def soak(rig: str, seconds: float, *actions: Action, start: Start = "drive", defect: int = 0) -> LongRun:
    with Session(load_rig(find_rig(rig)), defect=defect) as session:
        return play_long(session, LongScenario(rig=rig, start=start, duration_s=seconds, action=actions))


def verdict(run: Run | LongRun, requirement: str) -> Verdict:
    return next(found for found in run.verdicts if found.requirement == requirement)


def set_soc(at_s: float, soc_pct: float) -> CommandAction:
    return CommandAction(at_s=at_s, do="soc", soc_pct=soc_pct)


def seen(run: Run, side: Any, quantity: str) -> Any:
    series = getattr(run.observation, side)(quantity)
    assert series is not None
    return series.value


# ---- what is judged --------------------------------------------------------------------------------------------------


def test_a_drive_is_judged_all_the_way_by_both(session: Session) -> None:
    run = play(session, 20.0, begin(0.5, "load-power", power_w=150e3))
    for requirement in (TRUTH, COUNT):
        found = verdict(run, requirement)
        assert (Outcome.PASS, True) == (found.outcome, found.exercised.must > 190), requirement
    assert np.ptp(seen(run, "truth", "soc_pct")) > 0.5  # 240 A of 180 Ah
    assert seen(run, "truth", "soc_unseen_pct").max() < 0.05


def test_charge_set_by_hand_is_not_held_against_the_controller_but_its_count_is(session: Session) -> None:
    run = play(session, 12.0, set_soc(2.0, 30.0), begin(3.0, "load-power", power_w=150e3))
    assert 25.0 == pytest.approx(seen(run, "truth", "soc_unseen_pct")[-1], abs=0.5)
    assert 15 < verdict(run, TRUTH).exercised.must < 25  # until the jump
    assert verdict(run, COUNT).exercised.must > 110
    assert {Outcome.PASS} == {verdict(run, requirement).outcome for requirement in (TRUTH, COUNT)}


def test_a_bent_sensor_is_borne_as_long_as_little_has_gone_unseen(session: Session) -> None:
    """3000 A of 180 Ah: 2 % in 4.3 s."""
    run = play(session, 12.0, begin(1.0, "current-sensor-set", current_a=3000.0))
    assert 45 < verdict(run, TRUTH).exercised.must < 53
    assert verdict(run, COUNT).exercised.must > 110  # it counts what it is given


def test_an_offset_the_controller_cannot_see_does_not_fail_it(session: Session) -> None:
    run = play(session, 15.0, begin(1.0, "current-sensor-offset", offset_a=50.0))
    assert Outcome.PASS is verdict(run, TRUTH).outcome
    assert 0.05 < seen(run, "truth", "soc_unseen_pct")[-1] < 0.2  # 50 A for 14 s of 180 Ah


# ---- seeded defects --------------------------------------------------------------------------------------------------

COUNTED = begin(0.5, "current-sensor-set", current_a=-3000.0, for_s=20.0)  # 9 %
CYCLE = CommandAction(at_s=1.0, do="power-cycle", off_s=0.5)
SHOWN: dict[int, tuple[float, Start, tuple[Action, ...]]] = {
    450: (22.0, "drive", (COUNTED,)),
    451: (22.0, "drive", (COUNTED,)),
    452: (30.0, "charge", ()),
    453: (120.0, "drive", (begin(0.5, "current-sensor-set", current_a=-3000.0, for_s=110.0),)),
    454: (4.0, "drive", (CYCLE,)),
    455: (12.0, "drive", (CYCLE, begin(3.0, "current-sensor-set", current_a=3000.0, for_s=5.0))),
}


@pytest.mark.parametrize("defect", SHOWN)
def test_a_seeded_defect_of_the_count_is_found_by_the_requirement_named(
    session: Session, rig: Rig, defect: int
) -> None:
    seconds, start, actions = SHOWN[defect]
    named = next(item.requirement for item in load_defects(rig).defect if item.id == defect)
    assert Outcome.PASS is verdict(play(session, seconds, *actions, start=start), named).outcome
    with Session(rig, defect=defect) as broken:
        assert Outcome.FAIL is verdict(play(broken, seconds, *actions, start=start), named).outcome


# ---- long runs: the correction after half an hour of rest ------------------------------------------------------------


def test_a_long_drive_is_judged_by_both_all_the_way() -> None:
    run = soak("ups-lfp", 5400.0, begin(5.0, "mains-failure", power_w=10e3))
    assert run.done_s - run.ticked_s > 3000.0
    for requirement in (TRUTH, COUNT):
        found = verdict(run, requirement)
        assert (Outcome.PASS, True) == (found.outcome, found.exercised.must > 300), requirement
    assert run.soc_pct[0] < 70.0


def drifted(rig: str) -> tuple[float, float]:
    """True and reported state of charge half an hour after 20 min with 40 A that do not flow."""
    offset = begin(5.0, "current-sensor-offset", offset_a=40.0, for_s=1200.0)
    run = soak(rig, 1205.0 + REST_S + 60.0, offset, start="standby")
    assert {Outcome.PASS} == {verdict(run, requirement).outcome for requirement in (TRUTH, COUNT)}
    return run.soc_pct


def test_a_rest_brings_a_drifted_count_back_on_a_steep_curve() -> None:
    true_pct, told_pct = drifted("working-machine-nmc")  # 7 % had gone
    assert told_pct == pytest.approx(true_pct, abs=1.0)


def test_on_the_flat_of_lfp_a_drifted_count_stays_wrong() -> None:
    true_pct, told_pct = drifted("ebus-lfp")
    assert true_pct - told_pct == pytest.approx(100.0 * 40.0 * 1200.0 / 3600.0 / 180.0, abs=0.3)


def test_an_empty_lfp_pack_is_known_after_a_rest() -> None:
    run = soak("ebus-lfp", REST_S + 100.0, set_soc(10.0, 5.0), start="standby")
    assert run.soc_pct[1] == pytest.approx(5.0, abs=1.0)


STANDBY = CommandAction(at_s=900.0, do="standby")  # the voltage is off the mean curve then: it was discharged


@pytest.mark.parametrize(
    ("defect", "rig", "start", "actions"),
    [(456, "ebus-lfp", "drive", (STANDBY,)), (457, "working-machine-nmc", "standby", ())],
)
def test_a_seeded_defect_of_the_correction_is_found_by_a_long_run(
    defect: int, rig: str, start: Start, actions: tuple[Action, ...]
) -> None:
    seconds = REST_S + 1000.0
    assert Outcome.PASS is verdict(soak(rig, seconds, *actions, start=start), TRUTH).outcome
    found = verdict(soak(rig, seconds, *actions, start=start, defect=defect), TRUTH)
    assert Outcome.FAIL is found.outcome
    assert found.at_s is not None
    assert found.at_s > 1700.0
