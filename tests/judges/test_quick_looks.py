# SPDX-License-Identifier: Apache-2.0
"""Quick looks on records that are odd but possible. Generated ones are in test_properties and tests/conformance."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from harness.requirements.evidence import Evidence, Series
from harness.requirements.judge import full_judge, judge
from harness.requirements.model import Invariant
from harness.requirements.record import Record
from harness.verdict import Exercised, Outcome, Verdict

QUIET = Invariant.model_validate(
    {
        "id": "INV-1",
        "title": "No warning without cause",
        "source": ["test"],
        "when": [{"quantity": "soc_pct", "side": "reported", "above": 13.0}],
        "always": {"quantity": "warning.soc_low", "side": "reported", "equals": 0.0},
        "within_s": 5.0,
    }
)
Make = Callable[..., Evidence]


def told(verdict: Verdict) -> tuple[object, ...]:
    return (verdict.outcome, verdict.exercised, verdict.at_s, verdict.margin)


def only_sample(value: float, at_s: float) -> Series:
    return Series(np.array([at_s]), np.array([value]))


def test_an_invariant_kept_all_the_time_was_tested_once_from_the_start(evidence: Make) -> None:
    record = evidence(reported={"soc_pct": [(0.0, 50.0)], "warning.soc_low": [(0.0, 0.0)]})
    quick, full = judge(QUIET, record), full_judge(QUIET, Record(record), ())
    assert (Outcome.PASS, Exercised(1), 0.0) == (quick.outcome, quick.exercised, quick.at_s)
    assert quick.margin == {"ms": pytest.approx(1e3 * (QUIET.within_s + record.timing_s), abs=0.01)}
    assert told(full) == told(quick)
    assert full.reason == quick.reason


@pytest.mark.parametrize("duration_s", [4.0, 5.0, 5.02, 5.03])
def test_a_record_too_short_for_an_invariant_says_nothing_quick_or_in_full(evidence: Make, duration_s: float) -> None:
    reported = {"soc_pct": [(0.0, 50.0)], "warning.soc_low": [(0.0, 0.0)]}
    record = evidence(reported=reported, duration_s=duration_s)
    assert told(full_judge(QUIET, Record(record), ())) == told(judge(QUIET, record))


@pytest.mark.parametrize("at_s", [math.inf, 1e9])
def test_samples_after_the_end_of_the_record_are_no_test(evidence: Make, at_s: float) -> None:
    reported = {"soc_pct": only_sample(50.0, at_s), "warning.soc_low": only_sample(0.0, at_s)}
    assert judge(QUIET, evidence(reported=reported)).outcome is Outcome.NOT_EXERCISED
