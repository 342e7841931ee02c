# SPDX-License-Identifier: Apache-2.0
"""Quantities that are worked out of what was recorded, each a function of a whole trace."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.extremes import SENSOR_RANGE_DEGC, fastest_rise
from harness.received import Times, rising
from harness.requirements.evidence import Series
from harness.trace import Trace

RISE_WINDOW_S = 3.0
RECOVERED_S = 1.0  # how long `recovered` tells of it
KEPT_S = 2.0  # how long after a power-on what was kept over it is compared
_HALF = 0.5  # between the 0 and the 1 of a digital column
_BUS_OFF = 2.0  # FIL_CAN_BUS_OFF


def temp_rise(trace: Trace, *, broken: bool) -> NDArray[Any] | None:
    """Fastest rise of any sensor over the last 3 s, K/s; before 3 s, since the start of the record. `broken`: there are
    sensors that read no temperature, which are left out.
    """
    temps = trace.arrays.get("cell_temp_degc")
    if temps is None or not len(trace.t_s):
        return None
    if broken:
        low, high = SENSOR_RANGE_DEGC
        temps = np.where((temps > low) & (temps < high), temps, np.nan)
    return fastest_rise(temps, trace.t_s, RISE_WINDOW_S)


def recovered(trace: Trace) -> NDArray[Any] | None:
    """1 for a second after the controller's CAN was bus-off and is not any more.

    A power cycle ends it: a controller that was switched off has forgotten, and its CAN starts anew.
    """
    state = trace.columns.get("given", {}).get("can_state")
    if state is None:
        return None
    powered = trace.columns.get("output", {}).get("powered")
    on = np.ones(len(state), dtype=np.bool_) if powered is None else powered > _HALF
    off = state >= _BUS_OFF
    back = np.concatenate(([False], off[:-1] & ~off[1:] & on[:-1] & on[1:]))
    latest_s = np.maximum.accumulate(np.where(back, trace.t_s, -np.inf))
    dark_s = np.maximum.accumulate(np.where(on, -np.inf, trace.t_s))
    return ((trace.t_s - latest_s < RECOVERED_S) & (latest_s > dark_s)).astype(np.float32)


def restart_age(trace: Trace) -> Times | None:
    """Time since the controller's CAN went bus-off, or since it last asked for its restart; 0 while it is not bus-off,
    and while the controller is switched off.
    """
    given, output = trace.columns.get("given", {}), trace.columns.get("output", {})
    if "can_state" not in given or "can_restart" not in output:
        return None
    begins = (given["can_state"] < _BUS_OFF) | (output["can_restart"] > _HALF)
    if "powered" in output:
        begins |= output["powered"] < _HALF
    begins[:1] = True
    age: Times = trace.t_s - np.maximum.accumulate(np.where(begins, trace.t_s, -np.inf))
    return age


def forgotten(trace: Trace) -> Times:
    """Power-ons at which the memory of latched faults was found damaged."""
    damaged = trace.columns.get("given", {}).get("nvm_damaged")
    return np.empty(0) if damaged is None else trace.t_s[rising(damaged > _HALF)]


def told_before_off(trace: Trace, told: Series) -> Times | None:
    """What was `told` last before the supply went, for `KEPT_S` after it came back; NaN elsewhere, and where the memory
    of it was found damaged.
    """
    powered = trace.columns.get("output", {}).get("powered")
    if powered is None:
        return None
    kept = np.full(len(trace.t_s), np.nan)
    if trace.extremes.get("output", {}).get("powered", (0.0, 0.0))[0] > _HALF:
        return kept
    on, damaged_s = powered > _HALF, forgotten(trace)
    for back in rising(on):
        back_s = trace.t_s[back]
        last = int(np.searchsorted(told.t_s, back_s)) - 1
        if last >= 0 and not np.any(np.abs(damaged_s - back_s) < KEPT_S):
            kept[(trace.t_s >= back_s) & (trace.t_s < back_s + KEPT_S)] = told.value[last]
    return kept
