# SPDX-License-Identifier: Apache-2.0
"""A controller that is bus-off can tell nothing: what it should have told then is not held against it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from harness.requirements.evidence import Evidence, MessageSeries
from harness.requirements.judge import judge
from harness.requirements.model import Cycle, Goal, Trip
from harness.verdict import Outcome, Verdict

Make = Callable[..., Evidence]
LOST_S, BACK_S = 4.0, 5.0
CAN = {"supply_v": [(0.0, 24.0)], "can_state": [(0.0, 0.0), (LOST_S, 2.0), (BACK_S, 0.0)]}
ON_THE_BUS = {"can_state": [(0.0, 0.0)]}


def cycle() -> Cycle:
    return Cycle.model_validate(
        {"id": "CYC-STATE-1", "title": "State every 100 ms", "source": ["own"], "message": "State", "period_s": 0.1,
         "tolerance_s": 0.02}
    )  # fmt: skip


def states(*gaps: tuple[float, float]) -> dict[str, MessageSeries]:
    times = np.arange(0.05, 10.0, 0.1)
    for begin_s, end_s in gaps:
        times = times[(times < begin_s) | (times > end_s)]
    return {"State": MessageSeries(times, None, 0, None)}


def test_a_gap_without_bus_off_fails(evidence: Make) -> None:
    found = judge(cycle(), evidence(given=ON_THE_BUS, messages=states((LOST_S, BACK_S))))
    assert found.outcome is Outcome.FAIL


def test_a_gap_while_bus_off_is_told_of_and_not_failed(evidence: Make) -> None:
    found = judge(cycle(), evidence(given=CAN, messages=states((LOST_S, BACK_S))))
    assert found.outcome is Outcome.PASS
    assert "bus-off once, longest 1.000 s from 4.000 s" in found.reason


def test_a_controller_that_stays_silent_after_recovery_fails(evidence: Make) -> None:
    found = judge(cycle(), evidence(given=CAN, messages=states((LOST_S, BACK_S + 0.3))))
    assert found.outcome is Outcome.FAIL


def over_voltage(make: Make, *, cell: Any, flag: Any, can: Any) -> Verdict:
    trip = Trip.model_validate(
        {"id": "PRT-OV-3", "title": "Over-voltage", "source": ["own"], "quantity": "cell_voltage_max_v", "above": 3.75,
         "accuracy": 0.005, "confirm_s": [0.8, 1.0], "flag": "fault.cell_overvoltage", "flag_within_s": 0.2,
         "safe_state": "none"}
    )  # fmt: skip
    given = {"cell_voltage_max_v": [(0.0, 3.3), *cell], **can}
    return judge(trip, make(given=given, reported={"fault.cell_overvoltage": [(0.0, 0.0), *flag]}))


def test_a_flag_whose_time_fell_into_bus_off_may_come_with_the_recovery(evidence: Make) -> None:
    found = over_voltage(evidence, cell=[(3.5, 3.9)], flag=[(BACK_S + 0.02, 1.0)], can=CAN)
    assert found.outcome is not Outcome.FAIL
    assert over_voltage(evidence, cell=[(3.5, 3.9)], flag=[(5.02, 1.0)], can=ON_THE_BUS).outcome is Outcome.FAIL


def test_a_cause_that_came_and_went_during_bus_off_explains_the_flag_afterwards(evidence: Make) -> None:
    short = [(3.0, 3.9), (4.1, 3.3)]
    assert over_voltage(evidence, cell=short, flag=[(5.0, 1.0)], can=CAN).outcome is not Outcome.FAIL
    assert over_voltage(evidence, cell=short, flag=[(5.02, 1.0)], can=ON_THE_BUS).outcome is Outcome.FAIL


@pytest.mark.parametrize(("age_s", "outcome"), [(1.0, Outcome.PASS), (1.2, Outcome.FAIL)])
def test_a_restart_must_be_asked_for_within_a_second(evidence: Make, age_s: float, outcome: Outcome) -> None:
    goal = Goal.model_validate(
        {"id": "BUS-OFF-1", "title": "Asks for its restart", "source": ["own"], "quantity": "can_restart_age_s",
         "hazard_above": 1.0, "ftti_s": 0.05}
    )  # fmt: skip
    grows = [(LOST_S + 0.01 * step, 0.01 * step) for step in range(round(age_s / 0.01))]
    points = [(0.0, 0.0), *grows, (LOST_S + age_s, 0.0)]
    assert judge(goal, evidence(given=CAN, truth={"can_restart_age_s": points})).outcome is outcome


# ---- a reset loop is as silent: no power cycle lasts longer than the boot -------------------------------------------

LOOP = [(0.0, 1.0), (3.0, 0.0), (3.2, 1.0), (3.6, 0.0), (3.8, 1.0), (4.2, 0.0), (4.4, 1.0)]
POWER_ONS = [3.2, 3.8, 4.4]


@pytest.mark.parametrize(("latched", "outcome"), [(True, Outcome.INCONCLUSIVE), (False, Outcome.FAIL)])
def test_a_latched_flag_may_stem_from_any_cycle_of_a_reset_loop(
    evidence: Make,
    latched: Any,
    outcome: Outcome,
) -> None:
    trip = Trip.model_validate(
        {"id": "PRT-HVIL-3", "title": "Interlock", "source": ["own"], "quantity": "hvil_closed", "below": 0.5,
         "confirm_s": [0.08, 0.12], "flag": "fault.hvil", "flag_within_s": 0.2, "safe_state": "none",
         "latched": latched}
    )  # fmt: skip
    given = {"hvil_closed": [(0.0, 1.0), (3.3, 0.0), (3.5, 1.0)]}
    reported = {"fault.hvil": [(0.0, 0.0), (3.45, 1.0)]}
    found = judge(trip, evidence(given=given, reported=reported, output={"powered": LOOP}, power_ons=POWER_ONS))
    assert found.outcome is outcome
