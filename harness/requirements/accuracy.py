# SPDX-License-Identifier: Apache-2.0
"""Judges a reported value: it follows what the controller was given, or the truth.

Each message must lie within the larger of `tolerance` and `relative` x |given| of the range the quantity had during
the within_s + slack before it. A message near the present value is right at once; the range is worked out only
for the others. With `every_s` it must not stay away for longer while the controller is up. Margin: tolerance minus the
largest such distance, in the unit of the reported quantity.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from harness.requirements.conditions import all_hold, throughout
from harness.requirements.cycle import begin_of_record
from harness.requirements.evidence import Series
from harness.requirements.findings import Tally, conclude, margin_key, not_exercised, with_unit
from harness.requirements.intervals import ALWAYS, intersect, mask_at, shortened
from harness.requirements.model import Accuracy
from harness.requirements.record import Record
from harness.requirements.windows import index_before, range_before, value_at
from harness.verdict import Exercised, Outcome, Verdict

Floats = NDArray[np.float64]


def judge_accuracy(requirement: Accuracy, record: Record) -> Verdict:
    """The verdict on one reported value."""
    quantity = record.series(requirement.side, requirement.quantity)
    reported = record.series("reported", requirement.reported)
    if quantity is None:
        return not_exercised(requirement, f"{requirement.quantity} ({requirement.side}) was not recorded")
    if reported is None:
        return not_exercised(requirement, f"{requirement.reported} is not reported on the bus")
    tally = Tally()
    for after_s, gap_s in _silences(requirement, record, reported):
        told = f"{requirement.reported}: not reported for {gap_s:.3f} s after {after_s:.3f} s"
        tally.fail(after_s + gap_s, f"{told}, allowed {requirement.every_s:g} s")
    messages = _judged(requirement, record, reported)
    if len(messages.t_s) and len(quantity.t_s):
        with np.errstate(invalid="ignore", over="ignore"):
            _compare(requirement, record, quantity, messages, tally)
    return conclude(
        requirement,
        tally,
        passed=_passed(requirement, tally.must),
        in_band="",
        idle=f"no message with {requirement.reported} could be compared",
    )


def quick_accuracy(requirement: Accuracy) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where every message was near the present value all the time the controller was up."""
    key = margin_key(requirement.reported)

    def look(record: Record) -> Verdict | None:
        if record.operational() is not ALWAYS or not all(throughout(record, item) for item in requirement.when):
            return None
        quantity = record.raw(requirement.side, requirement.quantity)
        told = record.series("reported", requirement.reported)
        if quantity is None or told is None or not len(quantity.t_s) or not len(told.t_s):
            return None
        if _silences(requirement, record, told):
            return None
        with np.errstate(invalid="ignore", over="ignore"):
            left = _left_at_once(requirement, record, quantity, told)
        worst = int(left.argmin())  # the first NaN if there is one
        least = float(left[worst])
        if not 0.0 <= least < math.inf:
            return None
        n, at_s = len(left), float(told.t_s[worst])
        return Verdict(requirement.id, Outcome.PASS, Exercised(n), {key: least}, _passed(requirement, n), at_s)

    return look


def _passed(requirement: Accuracy, messages: int) -> str:
    return f"{requirement.reported} followed in all {messages} messages"


def _judged(requirement: Accuracy, record: Record, reported: Series) -> Series:
    """The messages sent while the controller was up and, if there is a `when`, it had held for the whole window."""
    runs = record.operational()
    if not all(throughout(record, condition) for condition in requirement.when):
        when = all_hold(record, requirement.when, sure=True)
        runs = intersect(runs, shortened(when, head_s=requirement.within_s + record.slack_s))
    if runs == ALWAYS:
        return reported
    keep = mask_at(runs, reported.t_s)
    return Series(reported.t_s[keep], reported.value[keep])


def _silences(requirement: Accuracy, record: Record, reported: Series) -> list[tuple[float, float]]:
    """Each time without the value that was too long: when it began and how long it lasted."""
    if requirement.every_s is None:
        return []
    longest_s = requirement.every_s + record.slack_s
    found = []
    for run in record.operational():
        begin_s, end_s = max(run.start_s, begin_of_record(record)), min(run.end_s, record.end_s)
        within = reported.t_s[(reported.t_s >= begin_s) & (reported.t_s < end_s)]
        times = np.concatenate(([begin_s], within, [end_s]))
        gaps = times[1:] - times[:-1]
        found += [(float(times[place]), float(gaps[place])) for place in np.flatnonzero(gaps > longest_s)]
    return found


def _compare(requirement: Accuracy, record: Record, quantity: Series, told: Series, tally: Tally) -> None:
    left = _left_at_once(requirement, record, quantity, told)
    doubtful = np.flatnonzero(~(left >= 0.0))
    if len(doubtful):
        window_s = requirement.within_s + record.slack_s
        lowest, highest = range_before(quantity, told.t_s[doubtful], window_s)
        left[doubtful] = _left_to_range(requirement, lowest, highest, told.value[doubtful])
    known = left if not len(doubtful) else left[~np.isnan(left)]
    tally.must += len(known)
    if tally.must:
        worst = int(left.argmin()) if known is left else int(np.where(np.isnan(left), np.inf, left).argmin())
        tally.first_s = float(told.t_s[worst])
        tally.narrow(margin_key(requirement.reported), float(left[worst]))
        if left[worst] < 0.0:
            tally.fail(float(told.t_s[worst]), _blame(requirement, quantity, told, worst))


def _left_at_once(requirement: Accuracy, record: Record, quantity: Series, told: Series) -> Floats:
    present = value_at(quantity, told.t_s, index_before(record, quantity.t_s, told.t_s)).astype(np.float64)
    allowed = _tolerance(requirement, present)
    left: Floats = allowed - np.abs(told.value - present)
    return left


def _left_to_range(requirement: Accuracy, lowest: Floats, highest: Floats, told: Floats) -> Floats:
    below = _tolerance(requirement, lowest) - (lowest - told)
    above = _tolerance(requirement, highest) - (told - highest)
    return np.minimum(below, above)


def _tolerance(requirement: Accuracy, given: Floats | np.float64) -> Floats | float:
    if not requirement.relative:
        return requirement.tolerance
    return np.maximum(requirement.tolerance, requirement.relative * np.abs(given))


def _blame(requirement: Accuracy, quantity: Series, told: Series, worst: int) -> str:
    at_s = float(told.t_s[worst])
    name = requirement.reported
    given = float(value_at(quantity, told.t_s[worst : worst + 1])[0])
    allowed = with_unit(name, float(_tolerance(requirement, np.float64(given))))
    return (
        f"{name} reported as {with_unit(name, float(told.value[worst]))} at {at_s:.3f} s, "
        f"{requirement.side} {with_unit(requirement.quantity, given)}; allowed +- {allowed} within "
        f"{requirement.within_s:g} s"
    )
