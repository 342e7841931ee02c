# SPDX-License-Identifier: Apache-2.0
"""Judges an order: whenever an event begins, other conditions must have held throughout the for_s before it.

An event is a moment within the record at which its condition begins to hold surely. It fails when a required
condition surely did not hold at some moment of the window, the window being narrowed by the timing uncertainty (for
for_s = 0: did not hold at any moment within the uncertainty of the event). An event whose requirement only possibly
held is in the band. Margin: distance of a required quantity to its bound at the event.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.requirements.conditions import all_hold, describe, holds, missing, never, throughout
from harness.requirements.findings import Tally, conclude, margin_key, not_exercised, with_unit
from harness.requirements.intervals import Runs, covers, run_at, touching
from harness.requirements.model import Condition, Sequence
from harness.requirements.record import Record
from harness.requirements.windows import value_at
from harness.verdict import Verdict


def judge_sequence(requirement: Sequence, record: Record) -> Verdict:
    """The verdict on one order of events."""
    unseen = missing(record, (requirement.event, *requirement.requires))
    if unseen:
        return not_exercised(requirement, f"{unseen} was not recorded")
    tally = Tally()
    for at_s in _events(requirement, record):
        _judge_event(requirement, record, at_s, tally)
    event = describe(requirement.event)
    return conclude(
        requirement,
        tally,
        passed=f"all {tally.must} times '{event}' began, what must come before it held",
        in_band=f"'{event}' began only while it was unsure whether what must come before it held",
        idle=f"'{event}' did not begin",
    )


def quick_sequence(requirement: Sequence) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where the event's condition never changed, None otherwise."""
    idle = not_exercised(requirement, f"'{describe(requirement.event)}' did not begin")

    def look(record: Record) -> Verdict | None:
        event = requirement.event
        if not never(record, event) and not throughout(record, event):
            return None
        # Of several power cycles each may begin the event anew without a change of the values seen.
        return None if record.power_ons() or missing(record, (event, *requirement.requires)) else idle

    return look


def _events(requirement: Sequence, record: Record) -> list[float]:
    """The moments at which the event began: it surely holds from then on, and possibly not just before."""
    event = requirement.event
    series = record.series(event.side, event.quantity)
    if series is None or not len(series.t_s):
        return []
    when = all_hold(record, requirement.when, sure=True)
    begin_s = float(series.t_s[0])
    starts = (run.start_s for run in holds(record, event, sure=True) if run.start_s > begin_s)
    return [at_s for at_s in starts if run_at(when, at_s)]


def _judge_event(requirement: Sequence, record: Record, at_s: float, tally: Tally) -> None:
    broken = [item for item in requirement.requires if not _held(requirement, record, item, at_s, sure=False)]
    if broken:
        tally.demanded(at_s)
        values = "; ".join(f"{describe(item)} did not hold, {_value(record, item, at_s)}" for item in broken)
        before = f" throughout the {requirement.for_s:g} s before" if requirement.for_s else ""
        tally.fail(at_s, f"'{describe(requirement.event)}' began at {at_s:.3f} s: {values}{before}")
    elif all(_held(requirement, record, item, at_s, sure=True) for item in requirement.requires):
        tally.demanded(at_s)
    else:
        tally.in_band += 1
    for item in requirement.requires:
        tally.narrow(margin_key(item.quantity), _distance(record, item, at_s))


def _held(requirement: Sequence, record: Record, item: Condition, at_s: float, *, sure: bool) -> bool:
    runs = holds(record, item, sure=sure)
    return held_throughout(runs, at_s - requirement.for_s, at_s, record.slack_s)


def held_throughout(runs: Runs, start_s: float, end_s: float, slack_s: float) -> bool:
    """Whether runs cover a window whose two ends are known only to within slack_s."""
    if end_s - start_s > 2 * slack_s:
        return covers(runs, start_s + slack_s, end_s - slack_s)
    middle_s = (start_s + end_s) / 2
    return bool(touching(runs, middle_s - slack_s, middle_s + slack_s))


def _distance(record: Record, item: Condition, at_s: float) -> float:
    """Distance of the value at the event to the bound widened by accuracy; NaN for states and equalities."""
    value = _at(record, item, at_s)
    if item.above is not None:
        return value - (item.above - item.accuracy)
    return item.below + item.accuracy - value if item.below is not None else math.nan


def _at(record: Record, item: Condition, at_s: float) -> float:
    series = record.series(item.side, item.quantity)
    return math.nan if series is None else float(value_at(series, np.array([at_s]))[0])


def _value(record: Record, item: Condition, at_s: float) -> str:
    return f"it was {with_unit(item.quantity, _at(record, item, at_s))}"
