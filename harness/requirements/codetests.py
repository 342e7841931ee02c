# SPDX-License-Identifier: Apache-2.0
"""Judges whether trouble codes tell that their test has been completed (ISO 14229-1, status bits 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.requirements.conditions import all_hold
from harness.requirements.findings import Tally
from harness.requirements.intervals import covers
from harness.requirements.model import Diagnosis, Trip
from harness.requirements.readouts import NOT_THIS_CYCLE, SETTLE_S, SILENT_BITS, Flag, Readout, expect, forbid
from harness.requirements.record import Record


def judge_tested(
    requirement: Diagnosis,
    readouts: tuple[Readout, ...],
    flags: Mapping[str, Flag],
    record: Record,
    tally: Tally,
    trips: Sequence[Trip],
) -> None:
    """A code without its fault is untested at first, after a clear and a power-on, and tested once it was watched."""
    least_s, most_s = requirement.tested_s
    for readout in readouts:
        for name, flag in flags.items():
            cleared_s, cycle_s = readout.cleared_s(name), readout.cycle_s
            early_s = readout.until_s - least_s + record.slack_s
            if flag.seen(max(readout.begun_s(name), cycle_s) - SETTLE_S, readout.until_s + SETTLE_S):
                continue
            if cleared_s > max(early_s, readout.quiet_s):
                expect(readout, name, SILENT_BITS, tally, f"though it was cleared at {cleared_s:.3f} s")
            elif cycle_s > max(early_s, readout.quiet_s):
                expect(readout, name, NOT_THIS_CYCLE, tally, f"though power came at {cycle_s:.3f} s")
        begin_s = readout.at_s - most_s - record.slack_s
        if not any(flag.seen(begin_s - SETTLE_S, readout.until_s) for flag in flags.values()):
            _judge_watched(readout, _watched(record, flags, trips, begin_s, readout.at_s), begin_s, tally)


def _judge_watched(readout: Readout, names: Sequence[str], begin_s: float, tally: Tally) -> None:
    for name in names:
        if max(readout.begun_s(name), readout.cycle_s, readout.quiet_s) < begin_s:
            forbid(readout, name, SILENT_BITS, tally, f"though it has been watched since {begin_s:.3f} s")


def _watched(
    record: Record, names: Mapping[str, Flag], trips: Sequence[Trip], begin_s: float, end_s: float
) -> list[str]:
    """Faults whose protections all looked at their quantities all this time."""
    if not covers(record.operational(), begin_s, end_s):
        return []
    found: dict[str, bool] = {}
    for trip in trips:
        watched = covers(all_hold(record, trip.when, sure=True), begin_s, end_s)
        found[trip.flag] = found.get(trip.flag, True) and watched
    return [name for name in names if found.get(name)]
