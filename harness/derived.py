# SPDX-License-Identifier: Apache-2.0
"""Quantities that are worked out of what was recorded, each a function of a whole trace."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.canbus.batch import Counts
from harness.canbus.product import Profile
from harness.canbus.uds import count_frames
from harness.extremes import SENSOR_RANGE_DEGC, fastest_rise
from harness.received import Times, rising
from harness.requirements.evidence import Series
from harness.trace import Frames, Side, Trace

RISE_WINDOW_S = 3.0
RECOVERED_S = 1.0  # how long `recovered` tells of it
KEPT_S = 2.0  # how long after a power-on what was kept over it is compared
CONTACT_WINDOW_S = 10.0
_ROUNDING_S = 1e-6
_HALF = 0.5  # between the 0 and the 1 of a digital column
_BUS_OFF = 2.0  # FIL_CAN_BUS_OFF
Values = NDArray[Any]


def frame_counts(counts: Counts, frames: Frames, profile: Profile) -> dict[str, int]:
    """Frames by what became of them. Requests and answers of diagnostics count apart where the database, as it may, has
    no messages for them.
    """
    found = {name: int(getattr(counts, name)) for name in counts.__dataclass_fields__}
    known = {message.id for message in profile.database.messages}
    diagnostic = count_frames(frames, profile.diagnostics, known)
    return {**found, "unknown_id": found["unknown_id"] - diagnostic, "diagnostic": diagnostic}


def temp_rise(trace: Trace, invalid: Values | None) -> Values | None:
    """Fastest rise of any valid sensor over the last 3 s, K/s; before 3 s, since the start of the record. `invalid`:
    how many sensors have no valid value.
    """
    temps = trace.arrays.get("cell_temp_degc")
    if temps is None or not len(trace.t_s):
        return None
    if invalid is not None and invalid.any():
        low, high = SENSOR_RANGE_DEGC
        temps = np.where((temps > low) & (temps < high), temps, np.nan)
    return fastest_rise(temps, trace.t_s, RISE_WINDOW_S)


def voltage_mismatch(column: Callable[[Side, str], Values | None]) -> Values | None:
    """Amount by which cell sum and pack voltage differ, V; 0 while a cell is invalid."""
    total, pack = column("given", "cell_voltage_sum_v"), column("given", "pack_voltage_v")
    invalid = column("given", "cells_invalid")
    if total is None or pack is None or invalid is None:
        return None
    mismatch: Values = np.abs(total - pack)
    mismatch[invalid > 0] = 0.0
    return mismatch


def contact_losses(column: Callable[[Side, str], Values | None], trace: Trace, power_ons_s: Times) -> Values | None:
    """How often a sense wire or the interlock lost contact within the last 10 s; nothing before a power-on counts."""
    wires, hvil = column("given", "cells_open_wire"), column("given", "hvil_closed")
    if wires is None or hvil is None:
        return None
    on = trace.columns.get("output", {}).get("powered")
    up = np.ones(len(trace.t_s), np.bool_) if on is None else on > _HALF
    lost = np.sort(np.concatenate([trace.t_s[rising(up & (wires > _HALF))], trace.t_s[rising(up & (hvil < _HALF))]]))
    starts = np.concatenate(([-np.inf], power_ons_s))
    since = starts[np.searchsorted(power_ons_s, trace.t_s, side="right")]
    since = np.maximum(since, trace.t_s - CONTACT_WINDOW_S + _ROUNDING_S)
    found = np.searchsorted(lost, trace.t_s, side="right") - np.searchsorted(lost, since, side="left")
    return np.asarray(found, np.float64)


def switched_on(trace: Trace, powered: Series | None) -> Times:
    """When the controller's power came on; 0 is among these when the run started switched off."""
    if powered is None or not len(powered.t_s):
        return np.empty(0)
    booted = trace.header.get("start") == "off"
    if trace.extremes.get("output", {}).get("powered", (0.0, 0.0))[0] > _HALF:
        return powered.t_s[: int(booted)]
    begins = rising(powered.value > _HALF)
    return powered.t_s[begins if booted else begins[begins > 0]]


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
