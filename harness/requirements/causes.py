# SPDX-License-Identifier: Apache-2.0
"""What a trip requirement could and had to react to, worked out from what the controller was given."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from harness.requirements.conditions import all_hold, past
from harness.requirements.evidence import Series
from harness.requirements.flags import FlagRun
from harness.requirements.intervals import NEVER, Run, Runs, bridged, intersect, mask_at, merged, runs_where
from harness.requirements.model import Trip
from harness.requirements.record import TIME_EPSILON_S, Record

_NEAR_ACCURACIES = 10.0
_NEAR_SHARE = 0.02
_ROUNDING = 1e-9  # the extremes only sort out what is clearly far; the samples decide


@dataclass(frozen=True, slots=True)
class Causes:
    """The stretches in which a reaction is due, allowed or just not yet allowed.

    `sure`: surely past the limit, `when` surely holding, controller up: a reaction is due after confirm_s[1].
    `possible`: the same with possibly, controller powered: a reaction is allowed after confirm_s[0].
    `near`: past the limit or closer to it than `near`.
    """

    series: Series
    sure: Runs
    possible: Runs
    near: Runs

    @property
    def begin_s(self) -> float:
        """When the quantity is first known."""
        return float(self.series.t_s[0]) if len(self.series.t_s) else math.inf


def limit_of(requirement: Trip) -> float:
    """The limit, whichever side it bounds."""
    limit = requirement.below if requirement.above is None else requirement.above
    return math.nan if limit is None else limit


def near_of(requirement: Trip) -> float:
    """How close to the limit counts as tested: as written, else 10 x accuracy, else 2 % of the limit."""
    if requirement.near is not None:
        return requirement.near
    if requirement.accuracy:
        return _NEAR_ACCURACIES * requirement.accuracy
    return _NEAR_SHARE * abs(limit_of(requirement))


def distance_to_limit(requirement: Trip, value: float) -> float:
    """How far a value is on the permitted side of the limit; negative = past it."""
    limit = limit_of(requirement)
    return limit - value if requirement.above is not None else value - limit


def causes_of(record: Record, requirement: Trip) -> Causes | None:
    """The causes within a record, None when the quantity was not recorded."""
    return record.remember(("causes", id(requirement)), lambda: _causes(record, requirement))


def near_runs(record: Record, requirement: Trip) -> Runs:
    """When the quantity was past the limit or near it, `when` possibly held and the controller was up."""
    return record.remember(("near", id(requirement)), lambda: _near_runs(record, requirement))


def _near_runs(record: Record, requirement: Trip) -> Runs:
    when = intersect(all_hold(record, requirement.when, sure=False), record.operational())
    series = record.series(requirement.side, requirement.quantity) if when else None
    if series is None:
        return NEVER
    return intersect(
        when, _past(record, series, requirement, max(near_of(requirement), requirement.accuracy), sure=False)
    )


def _causes(record: Record, requirement: Trip) -> Causes | None:
    series = record.series(requirement.side, requirement.quantity)
    if series is None:
        return None
    possibly_when = all_hold(record, requirement.when, sure=False)
    possible = _past(record, series, requirement, requirement.accuracy, sure=False)
    # Dips no longer than the timing uncertainty cannot be told from none: the controller may have missed them.
    possible = bridged(_from_before(record, series, possible), record.slack_s - 2 * TIME_EPSILON_S)
    sure = intersect(_past(record, series, requirement, requirement.accuracy, sure=True), record.operational())
    return Causes(
        series=series,
        sure=intersect(sure, all_hold(record, requirement.when, sure=True)),
        possible=intersect(intersect(possible, possibly_when), record.powered()),
        near=near_runs(record, requirement),
    )


def _past(record: Record, series: Series, requirement: Trip, accuracy: float, *, sure: bool) -> Runs:
    lowest, highest = record.extremes(requirement.side, requirement.quantity)
    closest = distance_to_limit(requirement, highest if requirement.above is not None else lowest)
    if closest > (-accuracy if sure else accuracy) + _ROUNDING:
        return NEVER
    mask = past(series.value, above=requirement.above, below=requirement.below, accuracy=accuracy, sure=sure)
    return runs_where(series.t_s, mask, record.end_s)


def _from_before(record: Record, series: Series, runs: Runs) -> Runs:
    """A controller that was already running may react to what it was given before the record began."""
    if not len(series.t_s):
        return runs
    begin_s = float(series.t_s[0])
    booted = any(on_s <= begin_s + record.slack_s for on_s in record.power_ons())
    return runs if booted else merged(((-math.inf, begin_s), *runs))


def farthest_in(requirement: Trip, causes: Causes, run: Run) -> float:
    """The value farthest to the wrong side during a run; NaN when none is known."""
    t_s = causes.series.t_s
    first, last = int(t_s.searchsorted(run.start_s, side="right")) - 1, int(t_s.searchsorted(run.end_s, side="left"))
    values = causes.series.value[max(first, 0) : max(last, 1)]
    if not len(values):
        return math.nan
    farthest = float(values.max() if requirement.above is not None else values.min())
    if math.isnan(farthest):
        farthest = float(np.fmax.reduce(values) if requirement.above is not None else np.fmin.reduce(values))
    return farthest


def explains(record: Record, requirement: Trip, causes: Causes, flag: FlagRun) -> bool:
    """Whether a flag may have been set because of this requirement: a possible cause had lasted long enough."""
    confirm_s = requirement.confirm_s[0] - record.slack_s
    latest_s = requirement.flag_within_s + record.slack_s
    # What it confirmed while booting, or just before power was lost, shows only in the first message after booting.
    windows = [(min(flag.start_s - latest_s, flag.start_s if flag.booted_s is None else flag.booted_s), flag.start_s)]
    if flag.power_off_s is not None:
        until_s = flag.power_off_s if flag.booted_s is None else max(flag.power_off_s, flag.booted_s)
        windows.append((flag.power_off_s - latest_s, until_s))
    if flag.silent_s is not None:  # what it confirmed while bus-off shows only afterwards
        windows.append((flag.silent_s - latest_s, flag.start_s))
    return any(
        run.start_s + confirm_s <= min(seen_s, run.end_s) and since_s <= run.end_s
        for since_s, seen_s in windows
        for run in causes.possible
    )


@dataclass(frozen=True, slots=True, order=True)
class Nearness:
    """How near a requirement came to explaining a flag: first by distance (share of the limit), then by time."""

    share: float
    missing_s: float


@dataclass(frozen=True, slots=True)
class Approach:
    """The last moments before an unexplained flag: closest distance to the limit, longest possible cause."""

    distance: float
    lasted_s: float
    window_s: float


def approach(record: Record, requirement: Trip, causes: Causes, flag: FlagRun) -> Approach:
    """How close the quantity had come, and for how long it had possibly been past the limit, when a flag appeared."""
    window_s = requirement.confirm_s[1] + requirement.flag_within_s + record.slack_s
    begin_s = flag.start_s - window_s
    lasted_s = [
        min(run.end_s, flag.start_s) - max(run.start_s, causes.begin_s)
        for run in causes.possible
        if run.start_s <= flag.start_s and begin_s <= run.end_s
    ]
    within = merged([(begin_s, flag.start_s + record.slack_s)])
    allowed = intersect(within, all_hold(record, requirement.when, sure=False))
    values = causes.series.value[mask_at(allowed, causes.series.t_s)]
    values = values[~np.isnan(values)]
    if not len(values):
        return Approach(math.inf, max(lasted_s, default=0.0), window_s)
    farthest = values.max() if requirement.above is not None else values.min()
    return Approach(distance_to_limit(requirement, float(farthest)), max(lasted_s, default=0.0), window_s)


def nearness(record: Record, requirement: Trip, causes: Causes, flag: FlagRun) -> Nearness:
    """The order in which requirements that share a flag answer for one that none of them explains."""
    found = approach(record, requirement, causes, flag)
    scale = max(abs(limit_of(requirement)), 1e-9)
    outside = max(0.0, found.distance - requirement.accuracy)
    return Nearness(outside / scale, max(0.0, requirement.confirm_s[0] - found.lasted_s))
