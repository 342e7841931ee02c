# SPDX-License-Identifier: Apache-2.0
"""The UPS rig: float at the voltage of its rectifier, step to full load, recharge; a BMS that opens is found."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from harness.rig import find_rig, load_rig
from harness.rig.defectfile import load_defects
from harness.rig.session import Run, Session
from harness.scenario import Action, CommandAction, Scenario, begin
from harness.verdict import Outcome

FLOAT_V = 534.8
LOAD_W = 120e3
AT_S = 2.0
BOTH_CLOSED = 3.0


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(find_rig("ups-lfp"))) as booted:
        yield booted


def played(session: Session, *actions: Action, seconds: float = 12.0) -> Run:
    return session.run(Scenario(rig="ups-lfp", duration_s=seconds, action=actions))


def at(run: Run, quantity: str, at_s: float) -> float:
    return float(run.trace.columns["truth"][quantity][round(at_s / 0.01) - 1])


def outcomes(run: Run) -> dict[str, Outcome]:
    return {verdict.requirement: verdict.outcome for verdict in run.verdicts}


def step(inrush_s: float = 0.3) -> tuple[Action, ...]:
    return (
        begin(AT_S, "mains-failure", power_w=LOAD_W, for_s=5.0),
        begin(AT_S, "load-inrush", power_w=2 * LOAD_W, for_s=inrush_s),
    )


def test_on_float_the_rectifier_holds_its_voltage_and_the_pack_neither_charges_nor_discharges(session: Session) -> None:
    run = played(session, seconds=30.0)
    assert np.allclose(run.trace.columns["truth"]["link_voltage_v"], FLOAT_V, atol=0.01)
    assert np.abs(run.trace.columns["truth"]["pack_current_a"]).max() < 2.0  # the controller's idea of rest


def test_recharge_is_at_most_what_the_rectifier_has_left_and_ends_at_the_float_voltage(session: Session) -> None:
    run = played(session, CommandAction(at_s=0.0, do="soc", soc_pct=40.0))
    power_w = at(run, "pack_current_a", 5.0) * at(run, "link_voltage_v", 5.0)
    assert power_w == pytest.approx(-16e3, rel=0.005)
    assert at(run, "link_voltage_v", 5.0) < FLOAT_V


def test_a_mains_failure_puts_the_whole_load_on_the_pack_within_a_tick(session: Session) -> None:
    run = played(session, begin(AT_S, "mains-failure", power_w=LOAD_W, for_s=5.0))
    assert [fault.fired for fault in run.trace.faults] == [True]
    before, after = AT_S, AT_S + 0.03  # the capacitor of the link gives a little before
    assert abs(at(run, "pack_current_a", before)) < 2.0
    assert at(run, "pack_current_a", after) * at(run, "link_voltage_v", after) == pytest.approx(LOAD_W, rel=0.001)
    assert at(run, "pack_current_a", AT_S + 5.5) < 0.0  # recharge


def test_a_step_to_full_load_with_its_inrush_opens_nothing_and_the_requirement_says_so(session: Session) -> None:
    run = played(session, *step())
    assert set(run.trace.columns["truth"]["contactors"].tolist()) == {BOTH_CLOSED}
    assert at(run, "pack_current_a", AT_S + 0.2) > 450.0
    verdict = next(verdict for verdict in run.verdicts if verdict.requirement == "UPS-STEP-1")
    assert (Outcome.PASS, 0, 1) == (verdict.outcome, verdict.exercised.must, verdict.exercised.must_not)
    assert [] == [name for name, outcome in outcomes(run).items() if outcome in (Outcome.FAIL, Outcome.ERROR)]


def test_an_overload_that_lasts_opens_and_is_the_same_requirement(session: Session) -> None:
    run = played(session, *step(inrush_s=2.0))
    verdict = next(verdict for verdict in run.verdicts if verdict.requirement == "UPS-STEP-1")
    assert (Outcome.PASS, 1) == (verdict.outcome, verdict.exercised.must)
    assert at(run, "contactors", AT_S + 2.0) == 0.0


STEP_DEFECTS = [220, 221, 222, 223, 224]


@pytest.mark.parametrize("defect", STEP_DEFECTS)
def test_a_step_on_float_finds_the_seeded_defect(defect: int) -> None:
    rig = load_rig(find_rig("ups-lfp"))
    named = next(item.requirement for item in load_defects(rig).defect if item.id == defect)
    with Session(rig, defect=defect) as broken:
        found = outcomes(played(broken, *step()))
    assert named.startswith("UPS-")
    assert found[named] is Outcome.FAIL


def test_the_bus_knows_nothing_of_mains(session: Session) -> None:
    assert {"rectifier"} == session.bounds.features & {"line", "rectifier"}
    bus = load_rig(find_rig("ebus-lfp"))
    assert set(STEP_DEFECTS).isdisjoint(defect.id for defect in load_defects(bus).defect)
