# SPDX-License-Identifier: Apache-2.0
"""The end of a reaction: a flag that goes too soon, and a latched one that does not go when it must."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.requirements.evidence import Evidence
from harness.requirements.judge import judge
from harness.requirements.model import Trip
from harness.verdict import Outcome, Verdict

Make = Callable[..., Evidence]
Points = list[tuple[float, float]]

FROM_S, BACK_S = 1.0, 3.0  # the interlock is open between


def interlock(**changes: Any) -> Trip:
    return Trip.model_validate(
        {
            "id": "PRT-HVIL-3",
            "title": "Open interlock opens the contactors",
            "source": ["own choice"],
            "quantity": "hvil_closed",
            "below": 0.5,
            "confirm_s": [0.08, 0.12],
            "flag": "fault.hvil",
            "flag_within_s": 0.2,
            "safe_state": "none",
            **changes,
        }
    )


def verdict(
    make: Make, requirement: Trip, *flag: tuple[float, float], age: Points | None = None, **more: Any
) -> Verdict:
    given = {"hvil_closed": [(0.0, 1.0), (FROM_S, 0.0), (BACK_S, 1.0)], "vehicle_message_age_s": age or [(0.0, 0.01)]}
    reported = {"fault.hvil": [(0.0, 0.0), (FROM_S + 0.1, 1.0), *flag]}
    return judge(requirement, make(given=given, reported=reported, **more))


@pytest.mark.parametrize(
    ("gone_s", "outcome"), [(BACK_S + 2.05, Outcome.PASS), (BACK_S + 5.0, Outcome.PASS), (BACK_S + 0.3, Outcome.FAIL)]
)
def test_a_flag_stays_for_its_release_time(evidence: Make, gone_s: float, outcome: Outcome) -> None:
    found = verdict(evidence, interlock(release_s=2.0), (gone_s, 0.0))
    assert outcome is found.outcome


def test_a_flag_that_went_too_soon_is_told_with_its_times(evidence: Make) -> None:
    found = verdict(evidence, interlock(release_s=2.0), (BACK_S + 0.3, 0.0))
    assert "0.300 s after hvil_closed was back; 2 s needed" in found.reason


def test_without_a_release_time_a_flag_may_go_at_once(evidence: Make) -> None:
    assert verdict(evidence, interlock(), (BACK_S + 0.01, 0.0)).outcome is Outcome.PASS


def test_a_flag_that_a_power_cycle_took_away_did_not_go_too_soon(evidence: Make) -> None:
    output = {"powered": [(0.0, 1.0), (BACK_S + 0.2, 0.0), (BACK_S + 0.3, 1.0)]}
    requirement = interlock(release_s=5.0)
    found = verdict(evidence, requirement, (BACK_S + 0.9, 0.0), output=output, power_ons=[BACK_S + 0.3])
    assert found.outcome is Outcome.PASS


LATCHED = interlock(latched=True, reset_after_s=1.0)


def test_a_latched_flag_goes_by_a_reset_with_the_cause_gone(evidence: Make) -> None:
    assert verdict(evidence, LATCHED, (6.1, 0.0), resets=[6.0]).outcome is Outcome.PASS


def test_a_latched_flag_that_a_reset_does_not_release_fails(evidence: Make) -> None:
    found = verdict(evidence, LATCHED, resets=[6.0])
    assert found.outcome is Outcome.FAIL
    assert "stayed though a reset was requested at 6.000 s" in found.reason


def test_a_reset_too_soon_after_the_cause_need_not_release(evidence: Make) -> None:
    assert verdict(evidence, LATCHED, resets=[BACK_S + 0.9]).outcome is Outcome.PASS


def test_a_reset_that_the_bus_may_have_lost_need_not_release(evidence: Make) -> None:
    lost: Points = [(0.0, 0.01), (5.9, 0.2), (6.3, 0.01)]
    assert verdict(evidence, LATCHED, age=lost, resets=[6.0]).outcome is Outcome.PASS


def test_a_request_right_after_another_may_be_no_new_one(evidence: Make) -> None:
    assert verdict(evidence, LATCHED, resets=[BACK_S + 0.8, BACK_S + 1.2]).outcome is Outcome.PASS
