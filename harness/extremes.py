# SPDX-License-Identifier: Apache-2.0
"""Least and greatest values of a trace's quantities, told from those of its columns without looking at a row.

They are what a quantity's series has, to the bit; those that only the series itself can tell are left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from harness.canbus.batch import Decoded
from harness.canbus.product import Binding, Profile
from harness.kernel.decode import WantedSignals

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


def reported_ranges(profile: Profile, decoded: Decoded) -> dict[str, Range]:
    """Of what the controller reported: the quantities that are numbers of one signal."""
    bindings, wanted = _plain_bindings(_Same(profile))
    found = dict(zip(bindings, decoded.extremes(wanted), strict=True))
    for binding in bindings.values():
        if binding is not None:
            ends = [value * binding.scale + binding.offset for value in found[binding.quantity]]
            found[binding.quantity] = (ends[0], ends[1]) if binding.scale > 0.0 else (ends[1], ends[0])
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Same:
    """A profile told apart by identity."""

    profile: Profile

    def __hash__(self) -> int:
        return id(self.profile)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.profile is other.profile


@lru_cache(maxsize=16)
def _plain_bindings(same: _Same) -> tuple[Mapping[str, Binding | None], WantedSignals]:
    """The reported quantities that are numbers of one signal, with the binding where it scales, and their signals."""
    places = same.profile.decoder.layout.places
    plain = [
        binding
        for quantity, binding in same.profile.bindings.items()
        if binding.states is None and "[" not in quantity and len(places[binding.path]) == 1
    ]
    scaled = {b.quantity: None if b.scale == 1.0 and b.offset == 0.0 else b for b in plain}
    return scaled, same.profile.decoder.wanted([binding.path for binding in plain])
