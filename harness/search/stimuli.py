# SPDX-License-Identifier: Apache-2.0
"""Which fault drives which quantity of the DUT's inputs to a value, in which state, and how far is far.

The table is about quantities, not about one product: a requirement on a quantity found here gets its boundary grid.
Recipes act on what the controller is given wherever the same value in the plant would also move other quantities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.faults.catalogue import kind_named
from harness.faults.check import Bounds, Value
from harness.faults.scale import cell_voltage, scaled, scaled_distance
from harness.requirements.model import Condition, Trip
from harness.scenario import Action, CommandAction, FaultAction, Start, begin

LEVEL_CELL_V = 3.30  # held on all cells where only the spread shall move
LEVEL_DEGC = 25.0  # the same for temperatures
HOT_DEGC = 57.0
_PLACE_MIDDLE = "middle"
_AGED = "aged"  # the message whose age the quantity is


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to drive one quantity. The parameter of the fault is `gain * value + offset`.

    `parameter` "" marks a quantity that is on or off: the fault has no value, only a duration. `lag_s` is the time
    from the start of the fault until the quantity crosses its limit; `extra_s` is what a scenario needs besides where
    that takes longer. `far` is the distance from the limit that no measuring error bridges. `prepare` comes first and
    lasts until the end; the fault begins at `at_s` at the earliest. `span` narrows the legal range of the parameter
    to where it still means what the quantity says.
    """

    fault: str
    parameter: str = ""
    fixed: Mapping[str, Value] = field(default_factory=dict)
    start: Start = "drive"
    prepare: tuple[Action, ...] = ()
    gain: float = 1.0
    offset: float = 0.0
    far: float = 0.0
    lag_s: float = 0.0
    extra_s: float = 0.0
    at_s: float = 0.5
    span: tuple[float, float] | None = None

    def action(self, at_s: float, value: float | None, for_s: float | None, **shape: Value) -> FaultAction:
        """The fault that drives the quantity to `value` from `at_s` on, past its limit for `for_s` seconds."""
        parameters: dict[str, Any] = {**self.fixed, **shape}
        if self.parameter and value is not None:
            parameters[self.parameter] = round(self.gain * value + self.offset, 6)
        if for_s is not None:
            parameters["for_s"] = round(for_s + self.lag_s, 2)
        return begin(round(at_s, 2), self.fault, **parameters)

    def reaches(self, value: float) -> bool:
        """Whether this fault may drive the quantity there."""
        if not self.parameter:
            return True
        found = self.gain * value + self.offset
        legal = next(item for item in kind_named(self.fault).parameters if item.name == self.parameter)
        low, high = self.span or (legal.minimum, legal.maximum)
        return (low is None or low <= found) and (high is None or found <= high)


def _load(scale: float) -> CommandAction:
    return CommandAction(at_s=0.0, do="load", scale=scale)


def _rest() -> tuple[Action, ...]:
    """Standing still: only the auxiliaries draw, so that no braking turns the current round."""
    return (_load(0.0),)


def _held_cells() -> tuple[Action, ...]:
    return (begin(0.0, "cell-voltage", cell="all", voltage_v=LEVEL_CELL_V),)


def _even_temperature() -> tuple[Action, ...]:
    return (*_rest(), begin(0.0, "temp-sensor-set", sensor="all", temp_degc=LEVEL_DEGC))


def _forced_charge() -> tuple[Action, ...]:
    """Current flows although the limit is zero at the alarm: the trip behind it is for that case."""
    return (begin(0.0, "charger-ignores-limits"),)


def _hot() -> tuple[Action, ...]:
    """Just below the trip, and for so long that the step to there is forgotten."""
    return (begin(0.0, "temp-sensor-set", sensor="all", temp_degc=HOT_DEGC),)


def _slow_precharge() -> tuple[Action, ...]:
    """A drive request after the fault has begun, and a precharge of seconds."""
    return (begin(0.0, "precharge-resistance", resistance_ohm=400.0), *_drive_request())


def _no_precharge() -> Recipe:
    """The link never follows, so that the positive contactor is not closed."""
    return Recipe("precharge-open", start="standby", prepare=_drive_request(), lag_s=0.2)


def _drive_request() -> tuple[Action, ...]:
    return (CommandAction(at_s=0.6, do="drive"),)


def _pulsed_load(power_w: float) -> tuple[Action, ...]:
    """A load that comes and goes twice a second: what stands still meanwhile is frozen."""
    pulses = begin(0.0, "load-power", power_w=power_w, shape="intermittent", period_s=1.0, duty=0.5)
    return (*_rest(), pulses)


def _power_cycle() -> tuple[Action, ...]:
    return (CommandAction(at_s=1.0, do="power-cycle", off_s=0.5),)


def _frozen(fault: str, power_w: float, **fixed: Value) -> Recipe:
    return Recipe(fault, fixed=fixed, prepare=_pulsed_load(power_w), lag_s=0.3, extra_s=0.5, at_s=0.75)


_SWING_W = 80_000.0  # about 130 A of a 614 V pack
_SAG_W = 250_000.0  # all that the pack is made for: about 25 V
_NTC = (-44.0, 124.0)  # beyond, a conversion table ends and the reading is no temperature
_RISE_S = 20.0
_CONTROLLER_ON_V = (10.0, 60.0)  # below, the controller may be off

# Quantities with a value. A mark like _PLACE_MIDDLE becomes a number once the rig is known.
_ANALOG: Mapping[str, tuple[Recipe, ...]] = {
    "cell_voltage_max_v": (
        Recipe("cell-voltage", "voltage_v", {"cell": _PLACE_MIDDLE}, far=0.10),
        Recipe("cell-sensor-set", "voltage_v", {"cell": 1}, far=0.30),
    ),
    "cell_voltage_min_v": (
        Recipe("cell-voltage", "voltage_v", {"cell": _PLACE_MIDDLE}, far=0.20),
        Recipe("cell-sensor-set", "voltage_v", {"cell": 1}, far=0.50),
    ),
    "cell_voltage_spread_v": (
        Recipe(
            "cell-voltage",
            "voltage_v",
            {"cell": _PLACE_MIDDLE},
            prepare=_held_cells(),
            gain=-1.0,
            offset=LEVEL_CELL_V,
            far=0.10,
        ),
    ),
    "cell_temp_max_degc": (
        Recipe("temp-sensor-set", "temp_degc", {"sensor": "all"}, prepare=_rest(), far=6.0, span=_NTC),
    ),
    "cell_temp_min_degc": (
        Recipe("temp-sensor-set", "temp_degc", {"sensor": "all"}, prepare=_rest(), far=6.0, span=_NTC),
    ),
    "cell_temp_spread_k": (
        Recipe(
            "temp-sensor-set",
            "temp_degc",
            {"sensor": _PLACE_MIDDLE},
            prepare=_even_temperature(),
            offset=LEVEL_DEGC,
            far=6.0,
            span=_NTC,
        ),
    ),
    "cell_temp_rise_k_per_s": (
        Recipe(
            "temp-sensor-offset",
            "offset_k",
            {"sensor": "all", "shape": "ramp", "ramp_s": _RISE_S},
            prepare=_hot(),
            gain=_RISE_S,
            far=2.0,
            lag_s=1.4,
            extra_s=3.0,
            at_s=4.0,
        ),
    ),
    "pack_current_a": (Recipe("current-sensor-set", "current_a", far=150.0),),
    "voltage_mismatch_v": (
        Recipe("pack-voltage-sensor-offset", "offset_v", prepare=_rest(), far=30.0),
        Recipe("pack-voltage-sensor-offset", "offset_v", prepare=_rest(), gain=-1.0, far=30.0),
    ),
    "insulation_ohm": (
        Recipe("insulation-monitor-set", "resistance_ohm", far=25_000.0),
        Recipe("insulation-drop", "resistance_ohm", {"pole": "positive"}, far=25_000.0),
    ),
    "supply_v": (Recipe("supply-dip", "voltage_v", far=2.0, span=_CONTROLLER_ON_V),),
    "line_voltage_v": (Recipe("line-voltage", "voltage_v", far=60.0),),
}

# Quantities that are on or off, and ages that only time can raise.
_ON_OFF: Mapping[str, tuple[Recipe, ...]] = {
    "cells_open_wire": (
        Recipe("sense-wire-open", fixed={"wire": _PLACE_MIDDLE}),
        Recipe("sense-wire-open", fixed={"wire": 1}),
    ),
    "cells_invalid": (
        Recipe("cell-sensor-invalid", fixed={"cell": _PLACE_MIDDLE}),
        Recipe("cell-sensor-invalid", fixed={"cell": "all"}),
    ),
    "cells_lost": (
        Recipe("cell-sensor-invalid", fixed={"cell": _PLACE_MIDDLE}),
        Recipe("cell-sensor-invalid", fixed={"cell": "all"}),
    ),
    "cell_age_max_s": (
        Recipe("cell-sensor-stale", fixed={"cell": _PLACE_MIDDLE}),
        Recipe("cell-sensor-stale", fixed={"cell": "all"}),
    ),
    "temps_invalid": (
        Recipe("temp-sensor-invalid", fixed={"sensor": _PLACE_MIDDLE}),
        Recipe("temp-sensor-open", fixed={"sensor": 1}),
        Recipe("temp-sensor-short", fixed={"sensor": _PLACE_MIDDLE}),
        Recipe("temp-sensor-set", fixed={"sensor": _PLACE_MIDDLE, "temp_degc": 131.0}),
        Recipe("temp-sensor-set", fixed={"sensor": 1, "temp_degc": -52.0}),
    ),
    "current_valid": (Recipe("current-sensor-invalid"),),
    "cell_frozen_a": (
        _frozen("cell-sensor-stuck", _SWING_W, cell=_PLACE_MIDDLE),
        _frozen("cell-voltage", _SWING_W, cell=1, voltage_v=LEVEL_CELL_V),
    ),
    "pack_voltage_frozen_a": (_frozen("pack-voltage-sensor-stuck", _SWING_W),),
    "link_voltage_frozen_a": (_frozen("link-voltage-sensor-stuck", _SWING_W),),
    "current_frozen_v": (_frozen("current-sensor-stuck", _SAG_W),),
    "can_recovered": (Recipe("bus-off", lag_s=0.2, extra_s=0.5),),
    "nvm_damaged": (Recipe("nvm-corrupted", fixed={"byte": 12}, prepare=_power_cycle(), extra_s=2.0, at_s=1.4),),
    "hvil_closed": (Recipe("hvil-open"),),
    "crash": (Recipe("crash"),),
    "contact_losses": (
        Recipe("hvil-open", fixed={"shape": "intermittent", "period_s": 0.3, "duty": 0.1}, lag_s=1.3),
        Recipe(
            "sense-wire-open",
            fixed={"wire": _PLACE_MIDDLE, "shape": "intermittent", "period_s": 0.5, "duty": 0.5},
            lag_s=2.1,
        ),
    ),
    "vehicle_message_age_s": (Recipe("message-lost", fixed={"message": "vehicle"}),),
    "charger_message_age_s": (Recipe("message-lost", fixed={"message": "charger"}, start="charge"),),
    "line_message_age_s": (Recipe("message-lost", fixed={"message": _AGED}),),
    "pole_feed_v": (Recipe("poles-fed"),),
    "link_of_pack_pct": (_no_precharge(),),
    "contactor_positive": (_no_precharge(),),
    "aux_positive": (Recipe("aux-contact-stuck", fixed={"contactor": "positive"}),),
    "aux_negative": (Recipe("aux-contact-stuck", fixed={"contactor": "negative"}),),
    "aux_precharge": (Recipe("aux-contact-stuck", fixed={"contactor": "precharge"}),),
}
_AGES = ("cell_age_max_s", "vehicle_message_age_s", "charger_message_age_s", "line_message_age_s")
_FULL_PCT = 100.0
_COLD_QUANTITIES = ("cell_temp_max_degc", "cell_temp_min_degc")


def recipes_for(trip: Trip, trips: Sequence[Trip], bounds: Bounds) -> tuple[Recipe, ...]:
    """The ways to drive the quantity of a requirement past its limit, made fit for the rig; empty: none is known.

    `trips` are all of the file: a far value must not cross the next, faster tier of the same quantity.
    """
    recipes = _ANALOG.get(trip.quantity) or _ON_OFF.get(trip.quantity) or ()
    return tuple(_fit(recipe, trip, trips, bounds) for recipe in recipes if _possible(recipe, trip, bounds))


def _possible(recipe: Recipe, trip: Trip, bounds: Bounds) -> bool:
    """Whether the rig has what the fault needs, and the message it is about."""
    has_message = recipe.fixed.get("message") != _AGED or trip.quantity in bounds.ages
    return bounds.offers(kind_named(recipe.fault)) and has_message


def limit_of(trip: Trip) -> float:
    """The number a trip compares with."""
    limit = trip.above if trip.above is not None else trip.below
    assert limit is not None  # the model has exactly one
    return limit


def outward(trip: Trip) -> float:
    """+1 when larger values are worse, -1 when smaller ones are."""
    return 1.0 if trip.above is not None else -1.0


def _fit(recipe: Recipe, trip: Trip, trips: Sequence[Trip], bounds: Bounds) -> Recipe:
    scale = bounds.scale
    placed = {name: _place(name, value, trip, bounds) for name, value in recipe.fixed.items()}
    fixed = scaled(scale, recipe.fault, placed)
    if trip.quantity.startswith("aux_"):
        fixed["state"] = "closed" if trip.above is not None else "open"
    lag_s = limit_of(trip) if trip.quantity in _AGES else recipe.lag_s
    start, prepare = _state_for(recipe, trip)
    prepare = (*_without_line(trip, bounds), *prepare)
    if trip.quantity == "aux_precharge" and trip.below is not None:
        start, prepare, lag_s = "standby", _slow_precharge(), 0.2  # commanded closed only while precharging
    prepare = tuple(scaled_action(action, bounds) for action in prepare)
    far = min(scaled_distance(scale, recipe.fault, recipe.parameter, recipe.far), _room(trip, trips))
    offset = cell_voltage(scale, recipe.offset) if recipe.offset == LEVEL_CELL_V else recipe.offset
    return replace(recipe, fixed=fixed, lag_s=lag_s, start=start, prepare=prepare, far=far, offset=offset)


def scaled_action(action: Action, bounds: Bounds) -> Action:
    """An action written for the bus pack, as it is for the pack of these bounds."""
    if isinstance(action, CommandAction):
        return action
    return action.model_copy(update=scaled(bounds.scale, action.fault, action.parameters))


def _place(name: str, value: Value, trip: Trip, bounds: Bounds) -> Value:
    if value == _AGED:
        return bounds.ages[trip.quantity]
    return (bounds.highest(name) + 1) // 2 if value == _PLACE_MIDDLE else value


def _state_for(recipe: Recipe, trip: Trip) -> tuple[Start, tuple[Action, ...]]:
    """Charging when the requirement asks for charge current; contactors open when it asks for an open command."""
    if any(_asks_for_charging(condition) for condition in trip.when) and trip.quantity in _COLD_QUANTITIES:
        return "charge", _forced_charge()
    if trip.quantity.startswith("aux_") and trip.above is not None:
        return "standby", recipe.prepare
    return recipe.start, recipe.prepare


def _without_line(trip: Trip, bounds: Bounds) -> tuple[Action, ...]:
    """The line or the mains gone from the start, when the requirement is about the time without."""
    if not any(item.quantity == "line_voltage_v" and item.below is not None for item in trip.when):
        return ()
    if "rectifier" in bounds.features:
        return (begin(0.0, "mains-failure", power_w=_SWING_W),)
    return (begin(0.0, "pole-drop"),) if "line" in bounds.features else ()


def _asks_for_charging(condition: Condition) -> bool:
    if condition.quantity == "pack_current_a":
        return condition.below is not None and condition.below <= 0.0
    return condition.state == "charge"


def _room(trip: Trip, trips: Sequence[Trip]) -> float:
    """Half the distance to the next limit of the same quantity on the same side, or unbounded."""
    sign = outward(trip)
    beyond = [
        sign * (limit_of(other) - limit_of(trip))
        for other in trips
        if other.quantity == trip.quantity and outward(other) == sign and sign * (limit_of(other) - limit_of(trip)) > 0
    ]
    return min(beyond) / 2.0 if beyond else 1e9


def limit_recipe(
    quantity: str, values: Sequence[float], step_s: float, *, everywhere: bool = True
) -> tuple[Action, ...]:
    """Actions that take a quantity through values, `step_s` each, by all cells or sensors or by the first; empty when
    none is known.
    """
    starts = [round(0.5 + step_s * place, 2) for place in range(len(values))]
    if quantity == "soc_pct" and everywhere:
        full = [min(max(value, 0.0), _FULL_PCT) for value in values]
        return tuple(
            CommandAction(at_s=at_s, do="soc", soc_pct=value) for at_s, value in zip(starts, full, strict=True)
        )
    recipes = _ANALOG.get(quantity, ())
    if not recipes:
        return ()
    place: Value = "all" if everywhere else 1
    fixed = {name: place if name in ("cell", "sensor") else value for name, value in recipes[0].fixed.items()}
    recipe = replace(recipes[0], fixed=fixed)
    steps = [(at_s, value) for at_s, value in zip(starts, values, strict=True) if recipe.reaches(value)]
    return tuple(recipe.action(at_s, value, step_s) for at_s, value in steps)
