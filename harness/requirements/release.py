# SPDX-License-Identifier: Apache-2.0
"""When a flag must go and when it must not yet: the end of a protection's reaction.

* `release_s`: a flag does not go before the quantity has been back for that long.
* `reset_after_s`: a latched flag goes upon a reset request once the cause has been gone for that long.

Both look only where nothing else can explain what is seen: the controller up all the time, its clock allowed to be a
tenth wrong, requests that surely arrived.
"""

from __future__ import annotations

from harness.requirements.causes import Causes
from harness.requirements.findings import Tally
from harness.requirements.flags import FlagRun
from harness.requirements.intervals import covers, touching
from harness.requirements.model import Trip
from harness.requirements.record import Record

CLOCK = 0.1  # share by which the controller's own times may be off: its clock, its sampling
ARRIVES_S = 0.05  # good vehicle frames are no older than this where a request surely arrives
PULSE_S = 0.2  # how long a reset request stands on the bus
APART_S = 0.5  # a request this soon after another may be no new one


def judge_early_release(trip: Trip, record: Record, causes: Causes, flag: FlagRun, tally: Tally) -> None:
    """A finding when the flag went before the cause had been gone for `release_s`."""
    if trip.release_s is None or trip.latched or not flag.dropped:
        return
    decided_s = flag.end_s - trip.flag_within_s - record.slack_s
    ends = [
        run.end_s for run in causes.sure if flag.start_s - trip.confirm_s[1] < run.end_s and run.start_s < decided_s
    ]
    if not ends:
        return
    back_s = ends[-1]
    if back_s > flag.end_s or not covers(record.operational(), back_s, flag.end_s):
        return
    earliest_s = back_s + (1.0 - CLOCK) * trip.release_s - trip.flag_within_s - record.slack_s
    if flag.end_s < earliest_s:
        told = f"{trip.flag} released at {flag.end_s:.3f} s, {flag.end_s - back_s:.3f} s after {trip.quantity} was back"
        tally.fail(flag.end_s, f"{told}; {trip.release_s:g} s needed")


def judge_reset(trip: Trip, record: Record, causes: Causes, flag: FlagRun, tally: Tally) -> None:
    """A finding when a latched flag outlived a reset request although its cause had been gone."""
    if trip.reset_after_s is None:
        return
    slack_s = record.slack_s
    gone_s = (1.0 + CLOCK) * trip.reset_after_s + slack_s
    requests = record.resets_heard()
    for place, asked_s in enumerate(requests):
        begin_s, deadline_s = asked_s - gone_s, asked_s + PULSE_S + trip.flag_within_s + slack_s
        if flag.start_s > asked_s - slack_s or flag.end_s <= deadline_s or deadline_s > record.end_s:
            continue
        if not covers(record.operational(), begin_s, deadline_s) or touching(causes.near, begin_s, deadline_s):
            continue
        if place and asked_s - requests[place - 1] < APART_S:
            continue
        if _arrives(record, asked_s):
            told = f"{trip.flag} stayed though a reset was requested at {asked_s:.3f} s"
            tally.fail(deadline_s, f"{told} and {trip.quantity} had been back for {trip.reset_after_s:g} s")


def _arrives(record: Record, asked_s: float) -> bool:
    """Whether good frames of the vehicle came all the time around a request."""
    age = record.series("given", "vehicle_message_age_s")
    if age is None:
        return False
    around = (age.t_s >= asked_s - ARRIVES_S) & (age.t_s <= asked_s + PULSE_S)
    values = age.value[around]
    return len(values) > 0 and bool((values <= ARRIVES_S).all())
