# SPDX-License-Identifier: Apache-2.0
"""Frames the adapter lost, could not be read, or did not take: what is missing then is not the controller's fault."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from harness.canbus.portmodel import PortStatus
from harness.verdict import Outcome, Verdict


def missing_between(before: PortStatus, after: PortStatus) -> int:
    """Frames, at least, that did not come through the adapter between two looks at it, in either direction."""
    return sum(getattr(after, name) - getattr(before, name) for name in ("malformed", "lost", "refused"))


def excused(verdicts: Sequence[Verdict], missing: int) -> tuple[Verdict, ...]:
    """Verdicts of a run in which frames are missing: nothing has failed for sure, since a frame may have said else."""
    if not missing:
        return tuple(verdicts)
    return tuple(
        replace(
            verdict,
            outcome=Outcome.INCONCLUSIVE,
            reason=f"{missing} frames or more did not come through the adapter; without them: {verdict.reason}",
        )
        if verdict.outcome is Outcome.FAIL
        else verdict
        for verdict in verdicts
    )
