# SPDX-License-Identifier: Apache-2.0
"""When a condition surely holds and when it possibly holds.

Surely: whatever the measuring chain erred by within its accuracy. Possibly: some error within it would make it so.
An unknown value (NaN, before the first sample, or a quantity that was not recorded) possibly holds, never surely.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from harness.requirements.intervals import ALWAYS, NEVER, Mask, Run, Runs, intersect, merged, runs_where
from harness.requirements.model import Condition, Side
from harness.requirements.record import Record
from harness.units import CONTROLLER_STATES, unit_of

Values = NDArray[np.float64]
_SAME = 1e-6  # states and 0/1 values are whole numbers; decoding may leave a rounding error


def past(values: Values, *, above: float | None, below: float | None, accuracy: float, sure: bool) -> Mask:
    """Which values lie past a limit; exactly limit +- accuracy is possibly, not surely, past it."""
    if above is not None:
        return values > above + accuracy if sure else ~(values < above - accuracy)
    limit = math.inf if below is None else below
    return values < limit - accuracy if sure else ~(values > limit + accuracy)


def mask(condition: Condition, values: Values, *, sure: bool) -> Mask:
    """For which values a condition surely or possibly holds."""
    target = expected(condition)
    if target is None:
        return past(values, above=condition.above, below=condition.below, accuracy=condition.accuracy, sure=sure)
    distance = np.abs(values - target)
    reach = condition.accuracy + _SAME
    return distance <= reach if sure else ~(distance > reach)


def expected(condition: Condition) -> float | None:
    """The number an `equals` or `state` condition asks for, None for above and below."""
    if condition.state is not None:
        return float(CONTROLLER_STATES.get(condition.state, -1))
    return condition.equals


def never(record: Record, condition: Condition) -> bool:
    """Whether a condition surely held at no sample of the record; a cheap look that may miss it."""
    lowest, highest = record.extremes(condition.side, condition.quantity)
    if condition.above is not None:
        return highest <= condition.above + condition.accuracy
    if condition.below is not None:
        return lowest >= condition.below - condition.accuracy
    target = expected(condition)
    reach = condition.accuracy + _SAME
    return target is not None and (highest < target - reach or lowest > target + reach)


def impossible(record: Record, condition: Condition, side: Side, quantity: str) -> bool:
    """Whether a condition surely did not hold at any time of a quantity's record; a cheap look that may miss it."""
    lowest, highest = record.extremes(condition.side, condition.quantity)
    if condition.above is not None:
        outside = highest < condition.above - condition.accuracy
    elif condition.below is not None:
        outside = lowest > condition.below + condition.accuracy
    else:
        outside = never(record, condition)
    if not outside or record.power_ons():
        return False
    own, other = record.raw(condition.side, condition.quantity), record.raw(side, quantity)
    return own is not None and other is not None and len(other.t_s) > 0 and bool(own.t_s[0] <= other.t_s[0])


def throughout(record: Record, condition: Condition) -> bool:
    """Whether a condition surely held at every sample of the record."""
    lowest, highest = record.extremes(condition.side, condition.quantity)
    if condition.above is not None:
        return lowest > condition.above + condition.accuracy
    if condition.below is not None:
        return highest < condition.below - condition.accuracy
    target = expected(condition)
    reach = condition.accuracy + _SAME
    return target is not None and lowest >= target - reach and highest <= target + reach


def holds(record: Record, condition: Condition, *, sure: bool) -> Runs:
    """The runs in which one condition surely or possibly holds."""
    return record.remember((condition.key, sure), lambda: _holds(record, condition, sure=sure))


def _holds(record: Record, condition: Condition, *, sure: bool) -> Runs:
    if sure and never(record, condition):
        return NEVER
    if throughout(record, condition) and not record.interrupted(condition.side, condition.quantity):
        return _all_of(record, condition, sure=sure)
    series = record.series(condition.side, condition.quantity)
    if series is None or not len(series.t_s):
        return NEVER if sure else ALWAYS
    with np.errstate(invalid="ignore"):
        runs = runs_where(series.t_s, mask(condition, series.value, sure=sure), record.end_s)
    return runs if sure else merged((Run(-math.inf, float(series.t_s[0])), *runs))


def _all_of(record: Record, condition: Condition, *, sure: bool) -> Runs:
    """The record of a quantity, for which a condition holds at every sample; possibly before it, too."""
    series = record.raw(condition.side, condition.quantity)
    assert series is not None  # a condition holds throughout something
    begin_s, last_s = float(series.t_s[0]), float(series.t_s[-1])
    return merged(((begin_s if sure else -math.inf, max(record.end_s, last_s)),))


def all_hold(record: Record, conditions: tuple[Condition, ...], *, sure: bool) -> Runs:
    """The runs in which all conditions surely (or all possibly) hold; always without any."""
    runs = ALWAYS
    for condition in conditions:
        runs = intersect(runs, holds(record, condition, sure=sure))
    return runs


def missing(record: Record, conditions: tuple[Condition, ...]) -> str:
    """The first quantity of the conditions that was not recorded, "" when all were."""
    for condition in conditions:
        if not record.recorded(condition.side, condition.quantity):
            return f"{condition.quantity} ({condition.side})"
    return ""


def describe(condition: Condition) -> str:
    """A condition as a person would say it."""
    unit = unit_of(condition.quantity)[0]
    name = condition.quantity if condition.side == "given" else f"{condition.quantity} ({condition.side})"
    if condition.state is not None:
        return f"{name} = {condition.state}"
    for sign, limit in ((">", condition.above), ("<", condition.below), ("=", condition.equals)):
        if limit is not None:
            return f"{name} {sign} {limit:g} {unit}".rstrip()
    return name
