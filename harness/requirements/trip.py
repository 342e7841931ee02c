# SPDX-License-Identifier: Apache-2.0
"""Judges a protection: it must trip, must not trip, and between the two anything is right.

With `slack` = timing uncertainty, on what the controller was given while it was up:

* due: past limit + accuracy without a break for confirm_s[1] + slack (or until the reaction itself ended it): the
  flag is on the bus by confirm_s[1] + flag_within_s + slack after the start. What is due after the end of the record
  or after power was lost is not judged.
* allowed: past limit - accuracy for confirm_s[0] - slack, at most flag_within_s + slack before the flag. A flag
  without such a cause fails. When requirements share a flag, any of them may explain it; one that none explains
  fails the requirement that came nearest (by distance to its limit, then by time short of confirm_s[0]).
* after a flag: the safe state within safe_within_s + slack, kept until the flag goes.
* latched: the flag stays, over power cycles too, until a reset is requested while the cause is not surely there.
  Not latched: it does not go while the confirmed cause is surely there, nor before release_s have passed since.

Margins: in the unit of the quantity the distance that was left to the limit in the closest approach that did not
demand a reaction (negative: tripped that far before the limit, or past it by that much without the reaction);
"ms" the time left to the tightest deadline (negative: late by that).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from harness.requirements.causes import (
    Causes,
    approach,
    causes_of,
    distance_to_limit,
    explains,
    farthest_in,
    limit_of,
    near_of,
    near_runs,
    nearness,
)
from harness.requirements.conditions import describe as describe_condition
from harness.requirements.conditions import impossible
from harness.requirements.findings import Tally, conclude, margin_key, not_exercised, with_unit
from harness.requirements.flags import FlagRun, flag_runs
from harness.requirements.intervals import ALWAYS, Run, complement, covers, run_at, touching
from harness.requirements.model import Trip
from harness.requirements.record import Record
from harness.requirements.release import judge_early_release, judge_reset
from harness.requirements.safe_state import describe, safe_runs
from harness.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class _Case:
    """One requirement on one record. `group`: all requirements that share the flag, in file order."""

    trip: Trip
    record: Record
    causes: Causes
    group: tuple[Trip, ...]
    flags: tuple[FlagRun, ...]
    tally: Tally

    @property
    def limit(self) -> str:
        """The limit as printed."""
        return with_unit(self.trip.quantity, limit_of(self.trip))

    def approach_margin(self, distance: float) -> None:
        """Keep the smallest distance to the limit."""
        self.tally.narrow(margin_key(self.trip.quantity), distance)


def judge_trip(trip: Trip, record: Record, group: tuple[Trip, ...]) -> Verdict:
    """The verdict on one protection; `group` are all that share its flag, itself among them, in file order."""
    if record.series(trip.side, trip.quantity) is None:
        return not_exercised(trip, f"{trip.quantity} was not recorded")
    if record.series("reported", trip.flag) is None:
        return not_exercised(trip, f"{trip.flag} is not reported on the bus")
    causes = causes_of(record, trip)
    assert causes is not None
    flags = flag_runs(record, trip.flag, latched=any(other.latched for other in group))
    case = _Case(trip, record, causes, group, flags, Tally())
    own = [flag for flag in flags if _owns(case, flag)]
    for cause in causes.sure:
        _judge_deadline(case, cause)
    for flag in own:
        _judge_safe_state(case, flag)
        judge_early_release(trip, record, causes, flag, case.tally)
        judge_reset(trip, record, causes, flag, case.tally)
        if flag.dropped:
            _judge_release(case, flag)
    _count_near_misses(case)
    return _conclude(case)


def quick_trip(trip: Trip) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where the quantity stayed far from the limit and the flag clear, None otherwise."""
    below, limit = trip.above is None, limit_of(trip)
    side, quantity, flag = trip.side, trip.quantity, trip.flag
    far, key = max(near_of(trip), trip.accuracy), margin_key(quantity)
    reason = _idle(trip)
    idle = not_exercised(trip, reason)
    # Which part of the record counts is not worth working out here: no margin where it is not all of it.
    measured = not trip.when

    def look(record: Record) -> Verdict | None:
        if record.ever_set(flag) is not False:
            return None
        lowest, highest = record.extremes(side, quantity) if measured else record.bounds(side, quantity)
        distance = lowest - limit if below else limit - highest
        if far < distance < math.inf:
            if measured and record.operational() is ALWAYS:
                return Verdict(trip.id, Outcome.NOT_EXERCISED, margin={key: distance}, reason=reason)
            return idle
        if any(impossible(record, item, side, quantity) for item in trip.when):
            return idle
        return idle if _never_near(record, trip) else None

    return look


def _never_near(record: Record, trip: Trip) -> bool:
    """Whether the quantity was far from the limit as long as `when` possibly held, all the time the controller was up.

    Nothing is due or allowed then. Times that the timing uncertainty joins are shorter than any this is asked for.
    """
    if record.operational() is not ALWAYS or trip.confirm_s[0] <= 2.0 * record.slack_s:
        return False
    return record.recorded(trip.side, trip.quantity) and not near_runs(record, trip)


def _idle(trip: Trip) -> str:
    limit = with_unit(trip.quantity, limit_of(trip))
    return f"{trip.quantity} did not come near {limit}, or another cause had set {trip.flag}"


def _owns(case: _Case, flag: FlagRun) -> bool:
    """Whether the requirement answers for a flag: inherited or explained. An unexplained one may become a finding."""
    if flag.inherited or explains(case.record, case.trip, case.causes, flag):
        return True
    if _nearest_to_unexplained(case, flag) is case.trip:
        _blame_early(case, flag)
    return False


def _nearest_to_unexplained(case: _Case, flag: FlagRun) -> Trip | None:
    """The requirement that came nearest to a flag that none explains; None where one does or cannot be judged."""
    candidates = []
    for index, trip in enumerate(case.group):
        causes = causes_of(case.record, trip)
        if causes is None:
            case.tally.in_band += 1
            return None
        if explains(case.record, trip, causes, flag):
            return None
        candidates.append((nearness(case.record, trip, causes, flag), index, trip))
    return min(candidates)[2]


def _blame_early(case: _Case, flag: FlagRun) -> None:
    trip, found = case.trip, approach(case.record, case.trip, case.causes, flag)
    told = f"{trip.flag} set at {flag.start_s:.3f} s"
    if found.distance <= trip.accuracy:
        lasted = f"{trip.quantity} had been past {case.limit} for {found.lasted_s:.3f} s at most"
        reason = f"{told} too early or long after the cause: {lasted}, {trip.confirm_s[0]:g} s needed"
    elif math.isinf(found.distance):
        conditions = " and ".join(describe_condition(item) for item in trip.when) or f"{trip.quantity} known"
        reason = f"{told} without cause: {conditions} did not hold in the {found.window_s:.2f} s before"
    else:
        case.approach_margin(-found.distance)
        closest = f"{trip.quantity} came no closer than {with_unit(trip.quantity, found.distance)} to {case.limit}"
        reason = f"{told} without cause: {closest} in the {found.window_s:.2f} s before"
    case.tally.fail(flag.start_s, reason)


def _judge_deadline(case: _Case, cause: Run) -> None:
    trip, tally = case.trip, case.tally
    earliest_s, confirmed_s = trip.confirm_s[0] - case.record.slack_s, trip.confirm_s[1] + case.record.slack_s
    deadline_s = cause.start_s + confirmed_s + trip.flag_within_s
    seen = next((flag for flag in case.flags if flag.end_s > cause.start_s + earliest_s), None)
    if seen is not None and seen.start_s <= cause.start_s and seen.end_s >= deadline_s:
        return
    due = cause.length_s >= confirmed_s
    if seen is not None and seen.start_s <= deadline_s:
        if due or _reaction_ended(case, cause, seen):
            tally.demanded(cause.start_s)
            tally.narrow("ms", 1e3 * (deadline_s - seen.start_s))
    elif due and deadline_s <= _up_until(case.record, cause):
        tally.demanded(cause.start_s)
        _blame_late(case, cause, deadline_s, seen)
    elif cause.end_s >= min(_up_until(case.record, cause), cause.start_s + confirmed_s):
        tally.unjudged.append(cause)


def _reaction_ended(case: _Case, cause: Run, seen: FlagRun) -> bool:
    """Whether the cause was still there when the controller reacted: then the reaction, not luck, ended it."""
    earliest_s = cause.start_s + case.trip.confirm_s[0] - case.record.slack_s
    safe = safe_runs(case.record, case.trip.safe_state) if case.trip.safe_state != "none" else None
    reached = [run.start_s for run in safe or () if run.start_s > max(cause.start_s, earliest_s)]
    reacted_s = min([seen.start_s, *reached])
    return reacted_s >= earliest_s and cause.end_s >= reacted_s - case.record.slack_s


def _up_until(record: Record, cause: Run) -> float:
    """When the controller lost power after a cause began, at the latest the end of the record."""
    up = run_at(record.operational(), cause.start_s)
    return min(record.end_s, up.end_s if up is not None else cause.end_s)


def _blame_late(case: _Case, cause: Run, deadline_s: float, seen: FlagRun | None) -> None:
    trip = case.trip
    told = (
        f"{trip.quantity} past {case.limit} from {cause.start_s:.3f} s for {cause.length_s:.3f} s: "
        f"{trip.flag} set {{}}, allowed {trip.confirm_s[1] + trip.flag_within_s:.3f} s"
    )
    if seen is not None:
        case.tally.narrow("ms", 1e3 * (deadline_s - seen.start_s))
        case.tally.fail(deadline_s, told.format(f"after {seen.start_s - cause.start_s:.3f} s"))
    else:
        case.approach_margin(distance_to_limit(trip, farthest_in(trip, case.causes, cause)))
        case.tally.fail(deadline_s, told.format("never"))


def _judge_safe_state(case: _Case, flag: FlagRun) -> None:
    trip, record, tally = case.trip, case.record, case.tally
    if trip.safe_state == "none":
        return
    safe = safe_runs(record, trip.safe_state)
    if safe is None:
        tally.in_band += 1
        return
    deadline_s = flag.start_s + trip.safe_within_s + record.slack_s
    reached = next((run for run in safe if run.end_s > flag.start_s), None)
    reached_s = math.inf if reached is None else max(reached.start_s, flag.start_s)
    up = run_at(record.operational(), flag.start_s)
    judged_until_s = min(record.end_s, flag.end_s, math.inf if up is None else up.end_s)
    if reached_s <= deadline_s:
        if not flag.inherited:
            tally.narrow("ms", 1e3 * (deadline_s - reached_s))
        _judge_stays_safe(case, flag, reached_s)
    elif deadline_s <= judged_until_s:
        tally.narrow("ms", 1e3 * (deadline_s - reached_s))
        after = "never" if math.isinf(reached_s) else f"only after {reached_s - flag.start_s:.3f} s"
        told = f"{trip.flag} set at {flag.start_s:.3f} s, {describe(trip.safe_state)} {after}"
        tally.fail(deadline_s, f"{told}, allowed {trip.safe_within_s:g} s")


def _judge_stays_safe(case: _Case, flag: FlagRun, reached_s: float) -> None:
    trip, record = case.trip, case.record
    safe = safe_runs(record, trip.safe_state) or ()
    # The controller may have released the flag up to flag_within_s before the bus shows it.
    until_s = min(record.end_s, flag.end_s - trip.flag_within_s) - record.slack_s
    if not any(other.latched for other in case.group):  # what is not latched may be forgotten with the power
        up = run_at(record.operational(), flag.start_s)
        until_s = until_s if up is None else min(until_s, up.end_s)
    lost_s = next((run.start_s for run in complement(safe) if run.start_s > reached_s), math.inf)
    if lost_s < until_s:
        told = f"{describe(trip.safe_state)} lost at {lost_s:.3f} s while {trip.flag} was set"
        case.tally.fail(lost_s, told)


def _judge_release(case: _Case, flag: FlagRun) -> None:
    if case.trip.latched:
        _judge_latch(case, flag)
    else:
        _judge_held(case, flag)


def _judge_latch(case: _Case, flag: FlagRun) -> None:
    trip, slack_s = case.trip, case.record.slack_s
    requests = [t_s for t_s in case.record.resets() if flag.start_s - slack_s <= t_s <= flag.end_s + slack_s]
    sure = case.causes.sure
    if any(not covers(sure, t_s - slack_s, t_s + trip.flag_within_s + slack_s) for t_s in requests):
        return
    how = "over a power cycle" if flag.over_power_cycle else f"at {flag.end_s:.3f} s"
    why = f"released by a reset while {trip.quantity} was past {case.limit}" if requests else "no reset was requested"
    case.tally.fail(flag.end_s, f"latch lost: {trip.flag}, set at {flag.start_s:.3f} s, was gone {how}; {why}")


def _judge_held(case: _Case, flag: FlagRun) -> None:
    trip, slack_s = case.trip, case.record.slack_s
    decided_s = flag.end_s - trip.flag_within_s - slack_s
    cause = run_at(case.causes.sure, decided_s)
    if cause is None or flag.end_s > cause.end_s - slack_s:
        return
    if decided_s >= cause.start_s + trip.confirm_s[1] + slack_s:
        told = f"{trip.flag} released at {flag.end_s:.3f} s while {trip.quantity} was past {case.limit}"
        case.tally.fail(flag.end_s, f"{told} since {cause.start_s:.3f} s")


def _count_near_misses(case: _Case) -> None:
    trip, causes, tally = case.trip, case.causes, case.tally
    shortest_s = trip.confirm_s[0] - case.record.slack_s
    allowed = [run for run in causes.possible if run.length_s >= shortest_s]
    tally.in_band += sum(_in_band(case, run, shortest_s) for run in allowed)
    for near in causes.near:
        until_s = near.end_s + trip.flag_within_s + case.record.slack_s
        flagged = any(flag.start_s <= until_s and near.start_s < flag.end_s for flag in case.flags)
        if flagged or any(run.start_s < near.end_s and near.start_s < run.end_s for run in allowed):
            continue
        tally.must_not += 1
        distance = distance_to_limit(trip, farthest_in(trip, causes, near))
        if distance >= 0.0:
            case.approach_margin(distance)


def _in_band(case: _Case, run: Run, shortest_s: float) -> bool:
    """Whether a possible cause lasted long enough within the record, and was not cut off."""
    lasted_s = run.end_s - max(run.start_s, case.causes.begin_s)
    return lasted_s > 0.0 and lasted_s >= shortest_s and not touching(case.tally.unjudged, *run)


def _conclude(case: _Case) -> Verdict:
    trip, tally, causes = case.trip, case.tally, case.causes
    if tally.must or tally.must_not or tally.findings:
        left = f", {tally.margin['ms']:.0f} ms left to the tightest deadline" if "ms" in tally.margin else ""
        passed = f"reacted {tally.must} times as demanded{left}; {tally.must_not} times near {case.limit} without"
        return conclude(trip, tally, passed=passed, in_band="", idle="")
    longest_s = max((run.end_s - max(run.start_s, causes.begin_s) for run in causes.possible), default=0.0)
    in_band = f"only inside the tolerance band of {case.limit} (for {longest_s:.3f} s): either reaction is right"
    idle = _idle(trip)
    if tally.unjudged:
        idle = f"{trip.quantity} was past {case.limit} when the record ended or power was lost, too short to judge"
    return conclude(trip, tally, passed="", in_band=in_band, idle=idle)
