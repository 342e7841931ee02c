# SPDX-License-Identifier: Apache-2.0
"""Judges an invariant: whenever `when` has held for within_s, `always` holds.

It fails when `when` surely held for within_s + slack and `always` surely does not hold, away by slack from the end
of `when`. Only while the controller is up. Margins: distance of the quantity of `always` to its bound, and "ms":
how long before within_s had passed `always` began to hold.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from harness.requirements.conditions import all_hold, describe, expected, holds, missing, never, throughout
from harness.requirements.findings import Tally, conclude, margin_key, not_exercised, with_unit
from harness.requirements.intervals import ALWAYS, Run, complement, covers, intersect, run_at, shortened
from harness.requirements.model import Invariant
from harness.requirements.record import Record
from harness.requirements.windows import range_before, value_at
from harness.verdict import Exercised, Outcome, Verdict


def judge_invariant(requirement: Invariant, record: Record) -> Verdict:
    """The verdict on one invariant."""
    unseen = missing(record, (*requirement.when, requirement.always))
    if unseen:
        return not_exercised(requirement, f"{unseen} was not recorded")
    tally = Tally()
    when = intersect(all_hold(record, requirement.when, sure=True), record.operational())
    kept = holds(record, requirement.always, sure=True)
    broken = complement(holds(record, requirement.always, sure=False))
    for run in when:
        judged = shortened((run,), head_s=requirement.within_s + record.slack_s, tail_s=record.slack_s)
        judged = intersect(judged, ((Run(_begin(requirement, record), record.end_s)),))
        if not judged:
            continue
        violations = intersect(judged, broken)
        if violations:
            tally.demanded(_start_s(run))
            _blame(requirement, record, run, violations[0], tally)
        elif covers(kept, judged[0].start_s, judged[0].end_s - record.slack_s) or kept == ALWAYS:
            tally.demanded(_start_s(run))
            _measure(requirement, record, run, judged[0], tally)
        else:
            tally.in_band += 1
    conditions = _conditions(requirement)
    return conclude(
        requirement,
        tally,
        passed=_passed(requirement, tally.must),
        in_band=f"with {conditions} it was unsure whether {describe(requirement.always)} held",
        idle=_idle(requirement),
    )


def quick_invariant(requirement: Invariant) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where a condition of `when` never held, or all of it and `always` at every sample."""
    idle = not_exercised(requirement, _idle(requirement))
    when, always = requirement.when, requirement.always
    passed = _passed(requirement, 1)

    def look(record: Record) -> Verdict | None:
        if any(never(record, condition) for condition in when):
            return None if missing(record, (*when, always)) else idle
        kept = expected(always) is not None and all(throughout(record, condition) for condition in (*when, always))
        return _kept_throughout(requirement, record, passed) if kept and record.operational() is ALWAYS else None

    return look


def _kept_throughout(requirement: Invariant, record: Record, passed: str) -> Verdict | None:
    """The verdict where `when` and `always` held at every sample; None for a record that is too short."""
    runs, kept_runs = all_hold(record, requirement.when, sure=True), holds(record, requirement.always, sure=True)
    if not runs or not kept_runs:  # a record that ends before it began
        return None
    run, kept = runs[0], kept_runs[0]
    judged_s = max(run.start_s + (requirement.within_s + record.slack_s), kept.start_s)
    if not judged_s < min(run.end_s - record.slack_s, record.end_s):
        return None
    margin = {}
    if requirement.within_s and math.isfinite(run.start_s):
        margin["ms"] = 1e3 * (judged_s - run.start_s)
    return Verdict(requirement.id, Outcome.PASS, Exercised(1), margin, passed, _start_s(run))


def _start_s(run: Run) -> float:
    """When it began; what has held since before the record is told as of its start."""
    return run.start_s if math.isfinite(run.start_s) else 0.0


def _passed(requirement: Invariant, times: int) -> str:
    return f"{describe(requirement.always)} held all {times} times with {_conditions(requirement)}"


def _conditions(requirement: Invariant) -> str:
    return " and ".join(describe(item) for item in requirement.when) or "the controller up"


def _idle(requirement: Invariant) -> str:
    return f"{_conditions(requirement)} did not hold for longer than {requirement.within_s:g} s"


def _begin(requirement: Invariant, record: Record) -> float:
    series = record.series(requirement.always.side, requirement.always.quantity)
    return float(series.t_s[0]) if series is not None and len(series.t_s) else math.inf


def _blame(requirement: Invariant, record: Record, run: Run, violation: Run, tally: Tally) -> None:
    always = requirement.always
    series = record.series(always.side, always.quantity)
    assert series is not None
    value = float(value_at(series, np.array([violation.start_s]))[0])
    conditions = _conditions(requirement)
    since = f" since {run.start_s:.3f} s" if math.isfinite(run.start_s) else ""
    allowed = f", allowed for {requirement.within_s:g} s" if requirement.within_s else ""
    tally.fail(
        violation.start_s,
        f"with {conditions}{since}: {always.quantity} was {with_unit(always.quantity, value)} "
        f"at {violation.start_s:.3f} s instead of {describe(always)}{allowed}",
    )


def _measure(requirement: Invariant, record: Record, run: Run, judged: Run, tally: Tally) -> None:
    always = requirement.always
    reached = run_at(holds(record, always, sure=False), judged.start_s)
    if requirement.within_s and reached is not None and math.isfinite(run.start_s):
        tally.narrow("ms", 1e3 * (judged.start_s - max(run.start_s, reached.start_s)))
    series = record.series(always.side, always.quantity)
    if series is None or expected(always) is not None:
        return
    end_s = math.nextafter(judged.end_s, -math.inf)
    lowest, highest = range_before(series, np.array([end_s]), end_s - judged.start_s)
    if always.above is not None:
        tally.narrow(margin_key(always.quantity), float(lowest[0]) - always.above + always.accuracy)
    elif always.below is not None:
        tally.narrow(margin_key(always.quantity), always.below + always.accuracy - float(highest[0]))
