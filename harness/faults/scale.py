# SPDX-License-Identifier: Apache-2.0
"""The size of a pack, and stimuli made for the bus pack carried over to it.

Samples, recipes and tours are written with the numbers of one pack: LFP cells that trip at 2.50 and 3.75 V, 634 V half
full, 400 A out and 270 A in, 180 Ah. On another pack a cell voltage keeps its place in the window between the trips,
and a current, a power, a pack voltage or a heat its share of what the pack is made for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from harness.faults.catalogue import kind_named
from harness.faults.model import Parameter

Value = float | int | str
_DIGITS = 4
_CELLS = ("cell-voltage", "cell-sensor-set")
_CURRENTS = ("current_a", "offset_a", "drift_a_per_s", "height_a", "step_a", "sigma_a")
_VOLTAGES = ("voltage_v", "offset_v", "drift_v_per_s", "height_v", "step_v", "sigma_v")
_PACK_KINDS = ("pack-voltage-", "link-voltage-", "charger-overvoltage")


@dataclass(frozen=True, slots=True)
class Scale:
    """What a pack is made for; the defaults are the bus pack's.

    `cell_low_v`, `cell_high_v`: trips of a cell; `pack_v` at rest, half full; `discharge_a`, `charge_a`: what it may
    carry without end; `heat_j_per_k`: heat capacity of one cell (all its parallel cells). All are those of one string;
    a power at the link is shared by `strings`.
    """

    cell_low_v: float = 2.50
    cell_high_v: float = 3.75
    pack_v: float = 633.5
    discharge_a: float = 400.0
    charge_a: float = 270.0
    capacity_ah: float = 180.0
    heat_j_per_k: float = 4204.2
    strings: int = 1


REFERENCE = Scale()


def cell_voltage(scale: Scale, volts: float) -> float:
    """A cell voltage at the same place between the trips."""
    share = (volts - REFERENCE.cell_low_v) / (REFERENCE.cell_high_v - REFERENCE.cell_low_v)
    return max(0.0, round(scale.cell_low_v + share * (scale.cell_high_v - scale.cell_low_v), _DIGITS))


def current(scale: Scale, amperes: float) -> float:
    """A current that is the same share of what the pack may carry in its direction."""
    discharging = scale.discharge_a / REFERENCE.discharge_a
    return round(amperes * (discharging if amperes >= 0.0 else scale.charge_a / REFERENCE.charge_a), _DIGITS)


def power(scale: Scale, watts: float) -> float:
    """A power at the link that is the same share of what the pack may give or take."""
    return round(scale.strings * current(scale, watts) * scale.pack_v / REFERENCE.pack_v, _DIGITS)


def scaled(scale: Scale, fault: str, parameters: Mapping[str, Value]) -> dict[str, Value]:
    """The parameters of a fault written for the bus pack, as they are for another one; as far as the fault allows."""
    if scale == REFERENCE:
        return dict(parameters)
    legal = {item.name: item for item in kind_named(fault).parameters}
    return {name: _within(legal.get(name), _scaled(scale, fault, name, value)) for name, value in parameters.items()}


def _within(legal: Parameter | None, value: Value) -> Value:
    """A value inside the range of its parameter."""
    if legal is None or isinstance(value, str):
        return value
    low = value if legal.minimum is None else max(value, legal.minimum)
    return low if legal.maximum is None else min(low, legal.maximum)


def _scaled(scale: Scale, fault: str, name: str, value: Value) -> Value:
    if isinstance(value, str):
        return value
    if fault in _CELLS and name == "voltage_v":
        return cell_voltage(scale, value)
    if fault.startswith("current-sensor-") and name in _CURRENTS:
        return current(scale, value)
    if name == "power_w":
        return _power_of(scale, fault, value)
    if fault.startswith(_PACK_KINDS) and name in _VOLTAGES:
        return round(value * scale.pack_v / REFERENCE.pack_v, _DIGITS)
    if name == "heat_w":
        return round(value * scale.heat_j_per_k / REFERENCE.heat_j_per_k, _DIGITS)
    return value


def _power_of(scale: Scale, fault: str, watts: float) -> float:
    """Regeneration is written as a positive number and goes into the pack."""
    return -power(scale, -watts) if fault == "regeneration-unlimited" else power(scale, watts)


def scaled_distance(scale: Scale, fault: str, parameter: str, distance: float) -> float:
    """A distance between two values of a parameter, e.g. how far is surely past a limit."""
    if scale == REFERENCE:
        return distance
    if fault in _CELLS and parameter == "voltage_v":
        span = (scale.cell_high_v - scale.cell_low_v) / (REFERENCE.cell_high_v - REFERENCE.cell_low_v)
        return round(distance * span, _DIGITS)
    value = _scaled(scale, fault, parameter, distance)
    return distance if isinstance(value, str) else float(value)
