# SPDX-License-Identifier: Apache-2.0
"""Judges a safety goal on the truth: no longer past the hazard limit than the FTTI, whatever the controller knew.

Past the limit while `when` surely holds, without a break, for longer than ftti_s + slack fails. Every time the truth
went past the limit, or within 2 % of it, counts as exercised; a time that the record cut off below the FTTI
does not. Margins: distance to the hazard limit where it was not passed; "ms" of the FTTI left where it was.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.requirements.conditions import all_hold, missing, past
from harness.requirements.evidence import Series
from harness.requirements.findings import Tally, conclude, margin_key, not_exercised, with_unit
from harness.requirements.intervals import Run, Runs, intersect, mask_at, runs_where
from harness.requirements.model import Goal
from harness.requirements.record import Record
from harness.verdict import Outcome, Verdict

_NEAR_SHARE = 0.02


def judge_goal(requirement: Goal, record: Record) -> Verdict:
    """The verdict on one safety goal."""
    series = record.series("truth", requirement.quantity)
    unseen = missing(record, requirement.when)
    if series is None or unseen:
        return not_exercised(requirement, f"{unseen or requirement.quantity + ' (truth)'} was not recorded")
    limit = hazard_of(requirement)
    near = _NEAR_SHARE * abs(limit)
    tally = Tally()
    _judge(requirement, record, series, near, tally)
    return conclude(
        requirement,
        tally,
        passed=f"{tally.must} times at the hazard limit of {with_unit(requirement.quantity, limit)}, "
        f"never for longer than {requirement.ftti_s:g} s",
        in_band=f"past {with_unit(requirement.quantity, limit)} when the record ended, before the FTTI was over",
        idle=f"{requirement.quantity} (truth) did not come near {with_unit(requirement.quantity, limit)}",
    )


def quick_goal(requirement: Goal) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where the truth stayed far from the hazard limit, None otherwise."""
    limit, below = hazard_of(requirement), requirement.hazard_above is None
    quantity, near, key = requirement.quantity, _NEAR_SHARE * abs(limit), margin_key(requirement.quantity)
    reason = f"{quantity} (truth) did not come near {with_unit(quantity, limit)}"
    idle = not_exercised(requirement, reason)

    def look(record: Record) -> Verdict | None:
        lowest, highest = record.extremes("truth", quantity)
        distance = lowest - limit if below else limit - highest
        if not near < distance < math.inf or missing(record, requirement.when):
            return None
        if requirement.when:
            return idle
        return Verdict(requirement.id, Outcome.NOT_EXERCISED, margin={key: distance}, reason=reason)

    return look


def hazard_of(requirement: Goal) -> float:
    """The hazard limit, whichever side it bounds."""
    limit = requirement.hazard_below if requirement.hazard_above is None else requirement.hazard_above
    return float("nan") if limit is None else limit


def _distance(requirement: Goal, value: float) -> float:
    limit = hazard_of(requirement)
    return limit - value if requirement.hazard_above is not None else value - limit


def _runs(requirement: Goal, record: Record, series: Series, widened_by: float, *, sure: bool) -> Runs:
    above, below = requirement.hazard_above, requirement.hazard_below
    mask = past(series.value, above=above, below=below, accuracy=widened_by, sure=sure)
    runs = runs_where(series.t_s, mask & ~np.isnan(series.value), record.end_s)
    return intersect(runs, all_hold(record, requirement.when, sure=True))


def _judge(requirement: Goal, record: Record, series: Series, near: float, tally: Tally) -> None:
    beyond = _runs(requirement, record, series, 0.0, sure=True)
    allowed_s = requirement.ftti_s + record.slack_s
    for run in beyond:
        if run.length_s > allowed_s:
            tally.demanded(run.start_s)
            tally.narrow("ms", 1e3 * (allowed_s - run.length_s))
            limit = with_unit(requirement.quantity, hazard_of(requirement))
            text = f"{requirement.quantity} (truth) past {limit} from {run.start_s:.3f} s for {run.length_s:.3f} s"
            tally.fail(run.start_s + allowed_s, f"{text}, FTTI {requirement.ftti_s:g} s")
        elif run.end_s >= record.end_s:
            tally.in_band += 1
        else:
            tally.demanded(run.start_s)
            tally.narrow("ms", 1e3 * (allowed_s - run.length_s))
    for run in _runs(requirement, record, series, near, sure=False):
        if not any(other.start_s < run.end_s and run.start_s < other.end_s for other in beyond):
            tally.demanded(run.start_s)
            tally.narrow(margin_key(requirement.quantity), _closest(requirement, series, run))


def _closest(requirement: Goal, series: Series, run: Run) -> float:
    values = series.value[mask_at((run,), series.t_s)]
    if not len(values):
        return float("nan")
    return _distance(requirement, float(values.max() if requirement.hazard_above is not None else values.min()))
