# SPDX-License-Identifier: Apache-2.0
"""Least and greatest values of a trace's quantities, told from those of its columns without looking at a row.

They are what a quantity's series has, to the bit; None where only the series itself can tell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.trace import Side, Trace

Range = tuple[float, float]

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
    "cell_temp_max_degc": "cell_temp_max_index",
    "cell_temp_min_degc": "cell_temp_min_index",
}
SENSOR_RANGE_DEGC = (-45.0, 125.0)  # outside: a broken or shorted sensor wire, not a temperature


def column_range(trace: Trace, side: Side, quantity: str) -> Range | None:
    """Of a quantity that is a column or a bit of one; None where a column needs a look at its rows."""
    kept = trace.extremes.get(side)
    if not kept:
        return None
    found = kept.get(quantity)
    if found is not None:
        return found if side != "given" or _all_known(quantity, kept) else None
    if side == "given":
        return _bit(kept.get("digital_in"), DIGITAL_IN.get(quantity))
    return _bit(kept.get("contactors"), CONTACTORS.get(quantity))


def _all_known(quantity: str, kept: Mapping[str, Range]) -> bool:
    """Whether the controller could know every value of a column as it was recorded."""
    witness = WITNESSES.get(quantity)
    if witness is not None and not kept.get(witness, (1.0, 1.0))[0] > 0.0:
        return False
    return not (quantity == "temps_invalid" or (witness or "").startswith("cell_temp")) or _all_temperatures(kept)


def _all_temperatures(kept: Mapping[str, Range]) -> bool:
    unknown = (math.nan, math.nan)
    coldest, hottest = SENSOR_RANGE_DEGC
    highest, lowest = kept.get("cell_temp_max_degc", unknown), kept.get("cell_temp_min_degc", unknown)
    return highest[1] <= hottest and lowest[0] >= coldest


def _bit(column: Range | None, mask: int | None) -> Range | None:
    """A bit of a column that never changed."""
    if column is None or mask is None or column[0] != column[1]:
        return None
    value = 1.0 if int(column[0]) & mask else 0.0
    return (value, value)
