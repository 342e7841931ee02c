# SPDX-License-Identifier: Apache-2.0
"""Least and greatest values of a trace's quantities, told from those of its columns without looking at a row.

They are what a quantity's series has, to the bit; those that only the series itself can tell are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

Range = tuple[float, float]
BitRange = Callable[[Mapping[str, int]], Mapping[str, Range]]

_ZERO: Range = (0.0, 0.0)
_UNKNOWN: Range = (math.nan, math.nan)

# Bits of the columns "digital_in" and "contactors" (FIL_IN_*, FIL_OUT_* of the firmware port).
DIGITAL_IN: Mapping[str, int] = {
    "ignition": 1 << 0,
    "charge_plug": 1 << 1,
    "hvil_closed": 1 << 2,
    "crash": 1 << 3,
    "aux_positive": 1 << 4,
    "aux_negative": 1 << 5,
    "aux_precharge": 1 << 6,
}
CONTACTORS: Mapping[str, int] = {
    "contactor_positive": 1 << 0,
    "contactor_negative": 1 << 1,
    "contactor_precharge": 1 << 2,
}
# Extremes over valid cells or sensors are unknown (NaN) where none is valid: then no index says where they are.
WITNESSES: Mapping[str, str] = {
    "cell_voltage_max_v": "cell_voltage_max_index",
    "cell_voltage_min_v": "cell_voltage_min_index",
    "cell_voltage_spread_v": "cell_voltage_max_index",
    "cell_temp_max_degc": "cell_temp_max_index",
    "cell_temp_min_degc": "cell_temp_min_index",
    "cell_temp_spread_k": "cell_temp_max_index",
}
SENSOR_RANGE_DEGC = (-45.0, 125.0)  # outside: a broken or shorted sensor wire, not a temperature


CAN_BUS_OFF = 2.0  # FIL_CAN_BUS_OFF
ONLY_TEMPERATURES = ("cell_temp_max_degc", "cell_temp_min_degc", "cell_temp_spread_k", "temps_invalid")


def given_ranges(kept: Mapping[str, Range], bits: BitRange) -> dict[str, Range]:
    """Of what the controller was given. `kept` are those of the columns, `bits` tells what `digital_in` ever was."""
    found = {**kept, **bits(DIGITAL_IN)}
    unknown = [name for name, witness in WITNESSES.items() if not kept.get(witness, _UNKNOWN)[0] > 0.0]
    if not _all_temperatures(kept):
        unknown += ONLY_TEMPERATURES
    for name in unknown:
        found.pop(name, None)
    if found.get("cells_open_wire") == _ZERO:
        found["cells_lost"] = found["cells_invalid"]
    if found.get("can_state", _UNKNOWN)[1] < CAN_BUS_OFF:
        found["can_recovered"] = _ZERO
    return found


def _all_temperatures(kept: Mapping[str, Range]) -> bool:
    coldest, hottest = SENSOR_RANGE_DEGC
    highest, lowest = kept.get("cell_temp_max_degc", _UNKNOWN), kept.get("cell_temp_min_degc", _UNKNOWN)
    return highest[1] <= hottest and lowest[0] >= coldest


def bit_ranges(masks: Mapping[str, int], always: int, ever: int) -> dict[str, Range]:
    """Of single bits: those that were always set, and those that ever were."""
    return {name: (float(bool(always & mask)), float(bool(ever & mask))) for name, mask in masks.items()}


def fastest_rise(temps: NDArray[Any], t_s: NDArray[np.float64], window_s: float) -> NDArray[Any]:
    """How fast the fastest column has risen over the window, per second; before the first window, since the start."""
    n = len(t_s)
    tick_s = (t_s[-1] - t_s[0]) / (n - 1) if n > 1 else window_s
    back = min(n, max(1, round(window_s / tick_s)))
    rise = np.empty(n, np.float64)
    rise[:back] = _highest(temps[:back] - temps[0])
    rise[back:] = _highest(temps[back:] - temps[: n - back])
    return rise / window_s


def _highest(rises: NDArray[Any]) -> NDArray[Any]:
    """The largest of each row; NaN (no valid sensor) counts as no rise."""
    n, sensors = rises.shape
    if not n or not sensors:
        return np.zeros(n)
    starts = np.arange(0, n * sensors, sensors)  # reduceat: half the time of a reduction along the short axis
    highest: NDArray[Any] = np.maximum.reduceat(rises.ravel(), starts)
    if np.isnan(highest).any():
        highest = np.nan_to_num(np.fmax.reduceat(rises.ravel(), starts), nan=0.0)
    return highest
