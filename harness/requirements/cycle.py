# SPDX-License-Identifier: Apache-2.0
"""Judges a cyclic message: it comes at its period, its counter counts by one, its CRC fits.

Judged while the controller is up (and `when` surely holds): from the end of booting to the first message, from each
message to the next, and from the last to the end of that time. Margin: "ms" left to the longest (and, unless the
message is also sent on change, the shortest) gap allowed.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from harness.requirements.conditions import all_hold
from harness.requirements.evidence import MessageSeries
from harness.requirements.findings import Tally, conclude, not_exercised
from harness.requirements.intervals import ALWAYS, Run, intersect
from harness.requirements.model import Cycle
from harness.requirements.record import Record
from harness.verdict import Exercised, Outcome, Verdict


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
        passed=_passed(requirement, tally.must) + _silence(record),
        in_band="",
        idle=f"too short a record for two messages of {requirement.message}",
    )
    unseen = _not_seen(requirement, message)
    if unseen and verdict.outcome is Outcome.PASS:
        return Verdict(verdict.requirement, Outcome.INCONCLUSIVE, verdict.exercised, verdict.margin, unseen)
    return verdict


def quick_cycle(requirement: Cycle) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where the controller was up all the time and no message missing or wrong."""
    longest_s = requirement.period_s + requirement.tolerance_s
    shortest_s = -math.inf if requirement.on_change else requirement.period_s - requirement.tolerance_s

    def look(record: Record) -> Verdict | None:
        if requirement.when or record.operational() is not ALWAYS:
            return None
        message = record.evidence.message(requirement.message, counter=requirement.counter, crc=requirement.crc)
        if message is None or len(message.t_s) < 2 or not _faultless(requirement, message):  # noqa: PLR2004 - a gap
            return None
        gaps = message.t_s[1:] - message.t_s[:-1]
        left_s = longest_s + record.slack_s - float(gaps.max())
        early_s = float(gaps.min()) - (shortest_s - record.slack_s)
        at_ends_s = max(float(message.t_s[0]) - begin_of_record(record), record.end_s - float(message.t_s[-1]))
        if left_s < 0.0 or early_s < 0.0 or at_ends_s > longest_s + record.slack_s:
            return None
        margin = {"ms": min(1e3 * left_s, 1e3 * early_s)}
        return Verdict(requirement.id, Outcome.PASS, Exercised(len(gaps)), margin, _passed(requirement, len(gaps)))

    return look


def _faultless(requirement: Cycle, message: MessageSeries) -> bool:
    """Whether counter and CRC are there if asked for, and right."""
    if requirement.counter is not None and (message.counter is None or _wrong_steps(message).any()):
        return False
    return requirement.crc is None or (message.crc_ok is not None and bool(message.crc_ok.all()))


def _passed(requirement: Cycle, gaps: int) -> str:
    return f"{requirement.message} kept its period of {requirement.period_s:g} s in {gaps} gaps"


def _silence(record: Record) -> str:
    """The longest time without any message because the controller was bus-off, and when it began."""
    runs = record.bus_off()
    if not runs:
        return ""
    longest = max(runs, key=lambda run: run.length_s)
    times = f"{len(runs)} times" if len(runs) > 1 else "once"
    return f"; it was bus-off {times}, longest {longest.length_s:.3f} s from {longest.start_s:.3f} s"


def _wrong_steps(message: MessageSeries) -> NDArray[np.int64]:
    """From each message to the next how far the counter is off; 0 = right."""
    assert message.counter is not None
    counter = message.counter
    return (counter[1:] - counter[:-1] - 1) % max(message.counter_modulus, 1)


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
    begin_s, end_s = max(run.start_s, begin_of_record(record)), min(run.end_s, record.end_s)
    first, last = message.t_s[:1].tolist(), message.t_s[-1:].tolist()
    for after_s, until_s in zip([begin_s, *last], [*first, end_s], strict=True):
        if until_s - after_s > longest_s:
            tally.must += 1
            tally.fail(*_gap(requirement, after_s, until_s - after_s, f"at most {longest_s:.4g}"))


def begin_of_record(record: Record) -> float:
    """When the record began, as far as any given or output series tells; its end when none does."""
    return record.remember("begin", lambda: _begin_of_record(record))


def _begin_of_record(record: Record) -> float:
    for side, quantity in (("output", "powered"), ("given", "pack_voltage_v"), ("given", "supply_v")):
        series = record.raw(side, quantity)  # type: ignore[arg-type] # literals of the right type
        if series is not None and len(series.t_s):
            return float(series.t_s[0])
    return record.end_s


def _gap(requirement: Cycle, after_s: float, gap_s: float, allowed: str) -> tuple[float, str]:
    """Time and text of a finding about a gap."""
    return after_s + gap_s, f"{requirement.message}: gap of {gap_s:.4f} s after {after_s:.3f} s, allowed {allowed} s"


def _judge_counter(requirement: Cycle, message: MessageSeries, tally: Tally) -> None:
    if requirement.counter is None or message.counter is None:
        return
    counter, off = message.counter, _wrong_steps(message)
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
