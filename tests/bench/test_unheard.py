# SPDX-License-Identifier: Apache-2.0
"""A frame that did not come through the adapter is not the controller's failure."""

from __future__ import annotations

import pytest

from harness.bench.unheard import excused, missing_between
from harness.canbus.portmodel import PortStatus
from harness.kernel.bustypes import NodeState
from harness.verdict import Outcome, Verdict


@pytest.mark.parametrize("name", ["malformed", "lost", "refused"])
def test_only_what_happened_in_between_counts(name: str) -> None:
    def status(count: int) -> PortStatus:
        return PortStatus(NodeState.ERROR_ACTIVE, frames=1000 * count, error_frames=count, **{name: count})

    assert 3 == missing_between(status(2), status(5))
    assert 0 == missing_between(status(2), status(2))


def test_a_failure_of_a_run_with_missing_frames_is_inconclusive_and_says_why() -> None:
    failed = Verdict("CYC-1", Outcome.FAIL, reason="gap of 0.2 s")
    (verdict,) = excused([failed], 4)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "4 frames" in verdict.reason
    assert "gap of 0.2 s" in verdict.reason


def test_without_missing_frames_and_for_other_outcomes_nothing_changes() -> None:
    verdicts = tuple(Verdict(outcome.value, outcome) for outcome in Outcome)
    assert verdicts == excused(verdicts, 0)
    kept = {verdict.outcome for verdict in excused(verdicts, 1)}
    assert set(Outcome) - {Outcome.FAIL} == kept
