# SPDX-License-Identifier: Apache-2.0
"""Judges a cyclic message: it comes at its period, its counter counts by one, its CRC fits.

Judged while the controller is up (and `when` surely holds): from the end of booting to the first message, from each
message to the next, and from the last to the end of that time. Margin: "ms" left to the longest (and, unless the
message is also sent on change, the shortest) gap allowed.
"""

from __future__ import annotations

import numpy as np

from harness.requirements.conditions import all_hold
from harness.requirements.evidence import MessageSeries
from harness.requirements.findings import Tally, conclude, not_exercised
from harness.requirements.intervals import ALWAYS, Run, intersect
from harness.requirements.model import Cycle
from harness.requirements.record import Record
from harness.verdict import Outcome, Verdict


def judge_cycle(requirement: Cycle, record: Record) -> Verdict:
    """The verdict on one cyclic message."""
    message = record.evidence.message(requirement.message, counter=requirement.counter, crc=requirement.crc)
    if message is None:
        return not_exercised(requirement, f"{requirement.message} is not known to the profile")
    tally = Tally()
    for run in intersect(record.operational(), all_hold(record, requirement.when, sure=True)):
        part = _part(message, run)
        _judge_period(requirement, part, record.slack_s, tally)
        _judge_ends(requirement, record, part, run, tally)
        _judge_counter(requirement, part, tally)
        _judge_crc(requirement, part, tally)
    verdict = conclude(
        requirement,
        tally,
        passed=f"{requirement.message} kept its period of {requirement.period_s:g} s in {tally.must} gaps",
        in_band="",
        idle=f"too short a record for two messages of {requirement.message}",
    )
    unseen = _not_seen(requirement, message)
    if unseen and verdict.outcome is Outcome.PASS:
        return Verdict(verdict.requirement, Outcome.INCONCLUSIVE, verdict.exercised, verdict.margin, unseen)
    return verdict


def _not_seen(requirement: Cycle, message: MessageSeries) -> str:
    """What the requirement asks for and the profile does not name."""
    parts = (("counter", requirement.counter, message.counter), ("crc", requirement.crc, message.crc_ok))
    lacking = [f"{word} {name}" for word, name, found in parts if name is not None and found is None]
    return f"{requirement.message}: {', '.join(lacking)} not recorded" if lacking else ""


def _part(message: MessageSeries, run: Run) -> MessageSeries:
    """The messages sent during a run."""
    if run == ALWAYS[0]:
        return message
    first, last = np.searchsorted(message.t_s, (run.start_s, run.end_s), side="left").tolist()
    return MessageSeries(
        message.t_s[first:last],
        None if message.counter is None else message.counter[first:last],
        message.counter_modulus,
        None if message.crc_ok is None else message.crc_ok[first:last],
    )


def _judge_period(requirement: Cycle, message: MessageSeries, slack_s: float, tally: Tally) -> None:
    longest_s = requirement.period_s + requirement.tolerance_s + slack_s
    shortest_s = requirement.period_s - requirement.tolerance_s - slack_s
    times = message.t_s
    gaps = times[1:] - times[:-1]
    tally.must += len(gaps)
    if not len(gaps):
        return
    longest, shortest = int(gaps.argmax()), int(gaps.argmin())
    tally.narrow("ms", 1e3 * (longest_s - float(gaps[longest])))
    if gaps[longest] > longest_s:
        tally.fail(*_gap(requirement, float(times[longest]), float(gaps[longest]), f"at most {longest_s:.4g}"))
    if requirement.on_change:
        return
    tally.narrow("ms", 1e3 * (float(gaps[shortest]) - shortest_s))
    if gaps[shortest] < shortest_s:
        tally.fail(*_gap(requirement, float(times[shortest]), float(gaps[shortest]), f"at least {shortest_s:.4g}"))


def _judge_ends(requirement: Cycle, record: Record, message: MessageSeries, run: Run, tally: Tally) -> None:
    """The message must come soon after the run began, and must not stop before it ends."""
    longest_s = requirement.period_s + requirement.tolerance_s + record.slack_s
    begin_s, end_s = max(run.start_s, _begin_of_record(record)), min(run.end_s, record.end_s)
    first, last = message.t_s[:1].tolist(), message.t_s[-1:].tolist()
    for after_s, until_s in zip([begin_s, *last], [*first, end_s], strict=True):
        if until_s - after_s > longest_s:
            tally.must += 1
            tally.fail(*_gap(requirement, after_s, until_s - after_s, f"at most {longest_s:.4g}"))


def _begin_of_record(record: Record) -> float:
    """When the record began, as far as any given or output series tells; its end when none does."""
    for side, quantity in (("output", "powered"), ("given", "pack_voltage_v"), ("given", "supply_v")):
        series = record.series(side, quantity)  # type: ignore[arg-type] # literals of the right type
        if series is not None and len(series.t_s):
            return float(series.t_s[0])
    return record.end_s


def _gap(requirement: Cycle, after_s: float, gap_s: float, allowed: str) -> tuple[float, str]:
    """Time and text of a finding about a gap."""
    return after_s + gap_s, f"{requirement.message}: gap of {gap_s:.4f} s after {after_s:.3f} s, allowed {allowed} s"


def _judge_counter(requirement: Cycle, message: MessageSeries, tally: Tally) -> None:
    if requirement.counter is None or message.counter is None:
        return
    counter = message.counter
    off = (counter[1:] - counter[:-1] - 1) % max(message.counter_modulus, 1)
    if np.count_nonzero(off):
        wrong = np.flatnonzero(off)
        at_s = float(message.t_s[int(wrong[0]) + 1])
        step = f"from {counter[wrong[0]]} to {counter[wrong[0] + 1]} at {at_s:.3f} s"
        text = f"{requirement.message}: {requirement.counter} went {step}, {len(wrong)} wrong steps in all"
        tally.fail(at_s, text)


def _judge_crc(requirement: Cycle, message: MessageSeries, tally: Tally) -> None:
    if requirement.crc is None or message.crc_ok is None:
        return
    if np.count_nonzero(message.crc_ok) < len(message.crc_ok):
        wrong = np.flatnonzero(~message.crc_ok)
        at_s = float(message.t_s[int(wrong[0])])
        tally.fail(at_s, f"{requirement.message}: {requirement.crc} wrong {len(wrong)} times, first at {at_s:.3f} s")
