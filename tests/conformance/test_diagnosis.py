# SPDX-License-Identifier: Apache-2.0
"""Diagnostics on the shipped bus rig in virtual time: every fault leaves its code, and each defect is found by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from harness.canbus import uds
from harness.errors import RigError
from harness.requirements.model import Diagnosis, Trip
from harness.rig import find_rig, load_rig
from harness.rig.defectfile import load_defects
from harness.rig.file import Rig
from harness.rig.session import Run, Session
from harness.scenario import CommandAction, Scenario, Start, begin
from harness.search.diagnosis import diagnosis
from harness.verdict import Outcome

DEFECTS = (*range(250, 270), *range(400, 417))
CONFIRMED = 0x08


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("ebus-lfp"))


@pytest.fixture(scope="module")
def session(rig: Rig) -> Iterator[Session]:
    with Session(rig) as booted:
        yield booted


@pytest.fixture(scope="module")
def tours(session: Session) -> list[Run]:
    return [session.run(scenario) for scenario in diagnosis(session.requirements, session.bounds, rig="ebus-lfp")]


def exchanges(run: Run) -> tuple[uds.Exchange, ...]:
    return run.observation.exchanges()


def test_every_fault_with_a_protection_leaves_its_code_and_nothing_fails(tours: list[Run], session: Session) -> None:
    assert [] == [run.error for run in tours if run.error]
    assert [] == [verdict for run in tours for verdict in run.verdicts if verdict.outcome is Outcome.FAIL]
    confirmed = {
        fault
        for run in tours
        for exchange in exchanges(run)
        for fault, status in (exchange.status or {}).items()
        if status & CONFIRMED
    }
    tripping = {item.flag for item in session.requirements if isinstance(item, Trip) and item.flag.startswith("fault.")}
    assert len(tripping) > 20
    assert set() == tripping - confirmed


def test_the_tours_exercise_every_requirement_on_diagnostics(tours: list[Run], session: Session) -> None:
    passed = {verdict.requirement for run in tours for verdict in run.verdicts if verdict.outcome is Outcome.PASS}
    assert set() == {item.id for item in session.requirements if isinstance(item, Diagnosis)} - passed


def test_the_list_of_defects_is_that_of_the_sources(rig: Rig) -> None:
    known = {defect.id: defect.requirement for defect in load_defects(rig).defect}
    assert set(DEFECTS) <= known.keys()
    assert {"DIA"} == {known[number].partition("-")[0] for number in DEFECTS}


@pytest.mark.parametrize("number", DEFECTS)
def test_a_defect_in_the_diagnostics_is_found_by_the_requirement_named_for_it(rig: Rig, number: int) -> None:
    wanted = next(defect.requirement for defect in load_defects(rig).defect if defect.id == number)
    with Session(rig, defect=number) as broken:
        # The tours of single protections come first and are alike: the interlock's stands for them.
        scenarios = diagnosis(rig.requirements, broken.bounds, rig="ebus-lfp")
        chosen = [item for item in scenarios if "the code of" not in item.title or "hvil" in item.title]
        found: Counter[str] = Counter()
        for scenario in chosen:
            run = broken.run(scenario, keep=False)
            found.update(verdict.requirement for verdict in run.verdicts if verdict.outcome is Outcome.FAIL)
            if found[wanted]:
                break
    assert wanted in found


def ask(session: Session, *requests: str, start: Start = "standby") -> list[uds.Exchange]:
    actions = [
        CommandAction(at_s=round(0.5 + 0.5 * place, 2), do="uds-send", request=request)
        for place, request in enumerate(requests)
    ]
    duration_s = 1.0 + 0.5 * len(requests)
    run = session.run(Scenario(rig="ebus-lfp", start=start, duration_s=duration_s, action=tuple(actions)))
    return list(exchanges(run))


def test_long_requests_and_long_answers_pass_the_tester_in_the_kernel(session: Session) -> None:
    identifiers = "22" + " F1 89 F1 8C 02 00 02 01 02 03 02 04 02 05 F1 86"  # 17 bytes: the controller's flow control
    (read, codes) = ask(session, identifiers, "19 0A")
    assert bytes.fromhex(identifiers) == read.request
    assert (True, True) == (read.positive, codes.positive)
    assert len(read.answer) > 40
    assert 32 == len(uds.codes_of(codes.answer) or {})  # all of faults.h


def test_a_request_longer_than_the_controller_takes_is_refused_by_its_length(session: Session) -> None:
    (read,) = ask(session, "22" + " F1 89" * 20)
    assert 0x13 == read.refused


def test_values_are_read_in_a_drive(session: Session) -> None:
    (voltage,) = ask(session, "22 02 01", start="drive")
    assert 500.0 < voltage.values["pack_voltage_v"] < 700.0


def test_diagnostic_frames_are_not_unknown_ones(session: Session) -> None:
    run = session.run(
        Scenario(rig="ebus-lfp", duration_s=2.0, action=(CommandAction(at_s=0.5, do="uds-session"),)),
    )
    counts = run.observation.frame_counts()
    assert (2, 0) == (counts["diagnostic"], counts["unknown_id"])
    assert len(run.trace.frames) == counts["decoded"] + counts["diagnostic"]


def test_a_reset_by_diagnostics_counts_as_a_power_on(session: Session) -> None:
    run = session.run(
        Scenario(
            rig="ebus-lfp",
            start="standby",
            duration_s=3.0,
            action=(CommandAction(at_s=0.5, do="uds-session"), CommandAction(at_s=1.0, do="uds-reset")),
        )
    )
    assert [pytest.approx(1.01, abs=0.01)] == run.observation.power_ons().tolist()
    assert [] == [verdict for verdict in run.verdicts if verdict.outcome is Outcome.FAIL]


def test_the_same_scenario_gives_the_same_frames(session: Session) -> None:
    scenario = Scenario(
        rig="ebus-lfp",
        duration_s=3.0,
        action=(begin(0.5, "hvil-open", for_s=1.0), CommandAction(at_s=2.0, do="uds-read-dtcs")),
    )
    first, second = (session.run(scenario).trace.frames for _ in range(2))
    assert first.t_ns.tolist() == second.t_ns.tolist()
    assert first.data.tobytes() == second.data.tobytes()


def test_without_diagnostics_in_the_profile_there_is_nobody_to_ask(rig: Rig, session: Session) -> None:
    from dataclasses import replace  # noqa: PLC0415 - only here

    from harness.rig.plan import Planner  # noqa: PLC0415 - see above

    asking = Scenario(rig="ebus-lfp", action=(CommandAction(at_s=0.5, do="uds-read-dtcs"),))
    deaf = replace(session.bounds, features=frozenset())
    with pytest.raises(RigError, match=r"a rig whose profile has \[diagnostics\]"):
        Planner(rig.profile, deaf).plan(asking, 0)
    assert [] == diagnosis(session.requirements, deaf, rig="ebus-lfp")
