# SPDX-License-Identifier: Apache-2.0
"""Judges a reported limit: it stays at or under a curve of a given quantity.

Each message is held against the most generous value of the curve during the settle_s + slack before it, over the
quantity +- accuracy, plus the tolerance. Only where the curve asks for less than its highest value is anything
tested; where accuracy or settling hide even that, the message is in the band. Margin: in the unit of the limit.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.requirements.conditions import all_hold
from harness.requirements.evidence import Series
from harness.requirements.findings import Tally, conclude, margin_key, not_exercised, with_unit
from harness.requirements.intervals import ALWAYS, Runs, intersect, mask_at, shortened
from harness.requirements.model import Limit
from harness.requirements.record import Record
from harness.requirements.windows import range_before, value_at
from harness.verdict import Verdict

Floats = NDArray[np.float64]


def judge_limit(requirement: Limit, record: Record) -> Verdict:
    """The verdict on one reported limit."""
    quantity = record.series(requirement.side, requirement.quantity)
    reported = record.series("reported", requirement.reported)
    if quantity is None:
        return not_exercised(requirement, f"{requirement.quantity} was not recorded")
    if reported is None:
        return not_exercised(requirement, f"{requirement.reported} is not reported on the bus")
    top = top_of(requirement)
    tally = Tally()
    allowed = intersect(record.operational(), _settled(requirement, record))
    keep = mask_at(allowed, reported.t_s) & ~np.isnan(reported.value)
    told = Series(reported.t_s[keep], reported.value[keep])
    if len(told.t_s):
        with np.errstate(invalid="ignore", over="ignore"):
            _compare(requirement, quantity, told, requirement.settle_s + record.slack_s, tally)
    unit = with_unit(requirement.reported, top)
    return conclude(
        requirement,
        tally,
        passed=f"{requirement.reported} stayed under the curve {tally.must} times it asks for less than {unit}",
        in_band="the curve asked for less only within accuracy or settling time",
        idle=f"nothing reported while {requirement.quantity} asked for less than {unit}",
    )


def top_of(requirement: Limit) -> float:
    """The highest value of the curve."""
    return max(point.limit for point in requirement.curve)


def quick_limit(requirement: Limit) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where the curve was at its highest all the time and nothing above was reported."""
    top = top_of(requirement)
    flats = flat_parts(requirement)
    idle = not_exercised(requirement, f"{requirement.quantity} stayed where the curve allows {top:g}")

    def look(record: Record) -> Verdict | None:
        if not record.extremes("reported", requirement.reported)[1] <= top + requirement.tolerance:
            return None
        lowest, highest = record.extremes(requirement.side, requirement.quantity)
        return idle if any(start <= lowest and highest <= end for start, end in flats) else None

    return look


def flat_parts(requirement: Limit) -> tuple[tuple[float, float], ...]:
    """The ranges of the quantity over which the curve is at its highest value; it is constant beyond its corners."""
    top = top_of(requirement)
    corners = [(-math.inf, requirement.curve[0].limit)]
    corners += [(point.at, point.limit) for point in requirement.curve]
    corners.append((math.inf, requirement.curve[-1].limit))
    return tuple(
        (at, until) for (at, limit), (until, limit_there) in pairwise(corners) if limit == top and limit_there == top
    )


def _settled(requirement: Limit, record: Record) -> Runs:
    runs = all_hold(record, requirement.when, sure=True)
    return runs if runs == ALWAYS else shortened(runs, head_s=requirement.settle_s + record.slack_s)


def curve_at(requirement: Limit, at: Floats) -> Floats:
    """The curve, linear between its corners and constant outside; NaN for an unknown quantity."""
    corners = [point.at for point in requirement.curve]
    return np.interp(at, corners, [point.limit for point in requirement.curve])


def most_generous(requirement: Limit, value: Floats) -> Floats:
    """The highest value the curve takes over quantity +- accuracy; inf for an unknown quantity."""
    reach = requirement.accuracy
    highest = np.maximum(curve_at(requirement, value - reach), curve_at(requirement, value + reach))
    for point in requirement.curve if reach else ():
        inside = np.abs(value - point.at) <= reach
        if np.count_nonzero(inside):
            highest = np.where(inside, np.maximum(highest, point.limit), highest)
    return np.where(np.isnan(value), np.inf, highest)


def _compare(requirement: Limit, quantity: Series, told: Series, window_s: float, tally: Tally) -> None:
    top = top_of(requirement)
    generous = Series(quantity.t_s, most_generous(requirement, quantity.value))
    highest = range_before(generous, told.t_s, window_s)[1]
    bound = np.where(np.isnan(highest), np.inf, highest) + requirement.tolerance
    asked = bound < top + requirement.tolerance
    tally.must += int(np.count_nonzero(asked[1:] > asked[:-1])) + int(asked[0])
    tally.in_band += int(np.count_nonzero(curve_at(requirement, value_at(quantity, told.t_s)) < top))
    left = bound - told.value
    if tally.must:
        tally.first_s = float(told.t_s[asked.argmax()])
        tally.narrow(margin_key(requirement.reported), float(left[asked].min()))
    if np.count_nonzero(left < 0.0):
        worst = int(left.argmin())
        tally.narrow(margin_key(requirement.reported), float(left[worst]))
        tally.fail(float(told.t_s[worst]), f"{_blame(requirement, quantity, told, worst)}; allowed {bound[worst]:.6g}")


def _blame(requirement: Limit, quantity: Series, told: Series, worst: int) -> str:
    at_s, value = float(told.t_s[worst]), float(told.value[worst])
    given = float(value_at(quantity, told.t_s[worst : worst + 1])[0])
    return (
        f"{requirement.reported} reported as {with_unit(requirement.reported, value)} at {at_s:.3f} s "
        f"with {requirement.quantity} at {with_unit(requirement.quantity, given)}"
    )
