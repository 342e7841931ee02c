# SPDX-License-Identifier: Apache-2.0
"""Safety goals on the truth, from both sides of the hazard and of the FTTI."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from harness.requirements.evidence import Evidence
from harness.requirements.judge import judge
from harness.requirements.model import Goal
from harness.verdict import Outcome

Make = Callable[..., Evidence]
COMMON = {"title": "a requirement", "source": ["own choice"]}

# ---- goal: no connected cell above 4.25 V for longer than 4 s --------------------------------------------------------


def overcharge(**changes: Any) -> Goal:
    data = {
        "id": "GOAL-1",
        "quantity": "cell_voltage_max_v",
        "hazard_above": 4.25,
        "ftti_s": 4.0,
        "when": [{"quantity": "contactor_positive", "side": "truth", "equals": 1.0}],
        **COMMON,
    }
    return Goal.model_validate({**data, **changes})


@pytest.mark.parametrize(("lasts_s", "outcome"), [(4.0, Outcome.PASS), (4.03, Outcome.FAIL)])
def test_a_hazard_may_last_as_long_as_the_ftti(evidence: Make, lasts_s: float, outcome: Outcome) -> None:
    made = evidence(
        truth={
            "cell_voltage_max_v": [(0.0, 3.3), (2.0, 4.5), (2.0 + lasts_s, 3.3)],
            "contactor_positive": [(0.0, 1.0)],
        }
    )
    found = judge(overcharge(), made)
    assert (found.outcome, found.exercised.must) == (outcome, 1)
    assert found.margin["ms"] == pytest.approx(4010.0 - 1000.0 * lasts_s, abs=0.1)


def test_an_opened_contactor_ends_the_hazard(evidence: Make) -> None:
    made = evidence(
        truth={
            "cell_voltage_max_v": [(0.0, 3.3), (2.0, 4.5)],
            "contactor_positive": [(0.0, 1.0), (3.5, 0.0)],
        }
    )
    assert judge(overcharge(), made).outcome is Outcome.PASS


def test_a_goal_does_not_care_what_the_controller_was_given(evidence: Make) -> None:
    made = evidence(
        given={"cell_voltage_max_v": [(0.0, 3.3)]},
        truth={"cell_voltage_max_v": [(0.0, 3.3), (2.0, 4.5)], "contactor_positive": [(0.0, 1.0)]},
    )
    assert judge(overcharge(), made).outcome is Outcome.FAIL


def test_within_two_percent_of_the_hazard_counts_and_is_measured(evidence: Make) -> None:
    near = evidence(
        truth={
            "cell_voltage_max_v": [(0.0, 3.3), (2.0, 4.2), (3.0, 3.3)],
            "contactor_positive": [(0.0, 1.0)],
        }
    )
    far = evidence(truth={"cell_voltage_max_v": [(0.0, 3.3), (2.0, 4.1)], "contactor_positive": [(0.0, 1.0)]})
    found = judge(overcharge(), near)
    assert found.outcome is Outcome.PASS
    assert found.margin["v"] == pytest.approx(0.05)
    assert judge(overcharge(), far).outcome is Outcome.NOT_EXERCISED


def test_a_hazard_cut_off_by_the_end_of_the_record_is_inconclusive(evidence: Make) -> None:
    made = evidence(truth={"cell_voltage_max_v": [(0.0, 3.3), (8.0, 4.5)], "contactor_positive": [(0.0, 1.0)]})
    assert judge(overcharge(), made).outcome is Outcome.INCONCLUSIVE


def test_unrecorded_truth_is_not_exercised(evidence: Make) -> None:
    assert judge(overcharge(), evidence(given={"cell_voltage_max_v": [(0.0, 3.3)]})).outcome is Outcome.NOT_EXERCISED
