# SPDX-License-Identifier: Apache-2.0
"""When the controller kept the pack in the safe state a requirement asks for."""

from __future__ import annotations

import numpy as np

from harness.requirements.intervals import ALWAYS, Runs, intersect, merged, runs_where
from harness.requirements.model import SafeState, Side
from harness.requirements.record import Record

_ZERO_A = 1e-6  # rounding of the decoder, far below one bit of any signal

_WITNESSES: dict[SafeState, tuple[tuple[Side, str], ...]] = {
    "contactors_open": (("output", "contactor_positive"), ("output", "contactor_negative")),
    "charge_limit_zero": (("reported", "charge_limit_a"),),
    "discharge_limit_zero": (("reported", "discharge_limit_a"),),
    "none": (),
}


def safe_runs(record: Record, safe_state: SafeState) -> Runs | None:
    """The runs in which the safe state held, or may have held where unknown; None when nothing of it was recorded.

    contactors_open: both main contactors commanded open (as output, else as reported). Limits: reported as zero.
    """
    return record.remember(("safe", safe_state), lambda: _safe_runs(record, safe_state))


def _safe_runs(record: Record, safe_state: SafeState) -> Runs | None:
    found = [record.series(side, quantity) for side, quantity in _WITNESSES[safe_state]]
    if found and all(series is None for series in found):
        return None
    safe = ALWAYS
    for series in found:
        if series is not None and len(series.t_s):
            limit = 0.5 if safe_state == "contactors_open" else _ZERO_A
            runs = runs_where(series.t_s, ~(np.abs(series.value) > limit), record.end_s)
            safe = intersect(safe, merged(((-np.inf, float(series.t_s[0])), *runs)))
    return safe


def describe(safe_state: SafeState) -> str:
    """The safe state in words."""
    return {
        "contactors_open": "contactors commanded open",
        "charge_limit_zero": "charge limit zero",
        "discharge_limit_zero": "discharge limit zero",
        "none": "no safe state",
    }[safe_state]
