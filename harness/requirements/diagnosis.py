# SPDX-License-Identifier: Apache-2.0
"""Judges the diagnostics of a controller: answers, refusals, sessions, resets, values read, and trouble codes.

Works on the requests that were complete on the bus and what was answered, on a bench and on a record alike.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from harness.requirements.answers import (
    ACTIVE_SESSION,
    CLEAR,
    CODES,
    CODES_LENGTHS,
    PRESENT,
    READ,
    RESET,
    SESSION,
    form_problem,
    must_be_served,
    silent,
    single_identifier,
)
from harness.requirements.evidence import Exchange
from harness.requirements.findings import Tally, conclude, margin_key, not_exercised, with_unit
from harness.requirements.intervals import covers
from harness.requirements.model import Diagnosis, Trip
from harness.requirements.readouts import SETTLE_S
from harness.requirements.record import Record
from harness.requirements.troublecodes import judge_codes
from harness.units import CONTROLLER_STATES
from harness.verdict import Verdict

DEFAULT, EXTENDED = 0x01, 0x03
_ACTIVE_SESSION = bytes([READ, 0xF1, 0x86])
_LENGTHS: Mapping[int, tuple[int, ...]] = {SESSION: (2,), RESET: (2,), CLEAR: (4,), PRESENT: (2,)}
_SILENT = 0x80  # bit of a sub-function: no positive answer wanted
_SERVICE, _SUBFUNCTION, _LENGTH, _CONDITIONS, _RANGE, _IN_SESSION = 0x11, 0x12, 0x13, 0x22, 0x31, 0x7F
_RESERVED = 0x7F  # as a sub-function
_FRAME_S = 0.0005  # two frames end closer to each other than they were sent when the bus was busy before the first
_COMPLETE_S = 0.2  # the longest answer takes no longer
_VALUE_S = 0.3  # a value read is compared with what was reported this long around
_SURELY_S = 4.0  # a session lasts this long (S3 is 5 s)
_IDLE = "no diagnostic request"


def judge_diagnosis(requirement: Diagnosis, record: Record, trips: Sequence[Trip] = ()) -> Verdict:
    """The verdict on one rule about diagnostics; `trips` are those that may set a fault."""
    tally = Tally()
    rule = _RULES.get(requirement.rule)
    if rule is not None:
        rule(requirement, record, tally)
    else:
        judge_codes(requirement, record, tally, trips)
    times = tally.must + tally.must_not
    return conclude(
        requirement,
        tally,
        passed=f"held {times} times in {len(record.exchanges())} diagnostic requests",
        in_band="a code whose fault may have come just before power was lost, too late to be told on the bus",
        idle="no diagnostic request that tests it",
    )


def quick_diagnosis(requirement: Diagnosis) -> Callable[[Record], Verdict | None]:
    """A first look: the verdict where nobody asked anything."""
    idle = not_exercised(requirement, _IDLE)
    return lambda record: None if record.exchanges() or record.stalled() else idle


def refusal_of(request: bytes) -> int | None:
    """The reason for which a request must be refused in every session and state; None: it may be accepted."""
    service, length = request[0], len(request)
    if service not in (*_LENGTHS, CODES, READ):
        return _SERVICE
    if service in _LENGTHS and length not in _LENGTHS[service]:
        return _LENGTH
    if service == CLEAR and request[1:3] == b"\0\0" and request[3]:
        return _RANGE  # P0000 is no code (SAE J2012)
    if service == READ:
        odd = length % 2 == 1 and length > 1
        return (_RANGE if request[1:] == b"\xff\xff" else None) if odd else _LENGTH
    if service == CODES:
        return _refusal_of_codes(request)
    if service == SESSION and request[1] & ~_SILENT == _RESERVED:
        return _SUBFUNCTION
    return _SUBFUNCTION if service == PRESENT and request[1] & ~_SILENT else None


def _refusal_of_codes(request: bytes) -> int | None:
    if len(request) < 2:  # noqa: PLR2004 - service and sub-function
        return _LENGTH
    expected = CODES_LENGTHS.get(request[1])
    if expected is not None:
        return None if len(request) == expected else _LENGTH
    return _SUBFUNCTION if request[1] == _RESERVED else None


def _unanswered(exchange: Exchange) -> bool:
    """Whether silence is right: nothing to refuse, and no positive answer wanted."""
    return not exchange.answer and silent(exchange.request) and refusal_of(exchange.request) is None


def _answered(requirement: Diagnosis, record: Record, tally: Tally) -> None:
    for begin_s, until_s in record.stalled():
        within_s = begin_s + requirement.within_s + record.slack_s
        if covers(record.operational(), begin_s - SETTLE_S, within_s) and within_s < min(until_s, record.end_s):
            tally.demanded(begin_s)
            tally.fail(begin_s, f"the request that began at {begin_s:.3f} s has no flow control, and cannot go on")
    exchanges = record.exchanges()
    for place, exchange in enumerate(exchanges):
        until_s = exchange.request_s + requirement.within_s + record.slack_s
        next_s = exchanges[place + 1].request_s if place + 1 < len(exchanges) else record.end_s
        up = covers(record.operational(), exchange.request_s - SETTLE_S, until_s)
        if not up or next_s < until_s + _COMPLETE_S or _unanswered(exchange):
            continue
        tally.demanded(exchange.request_s)
        asked = f"the request {exchange.request.hex(' ').upper()} at {exchange.request_s:.3f} s"
        if math.isnan(exchange.answer_s):
            tally.fail(exchange.request_s, f"{asked} has no whole answer")
            continue
        late_s = exchange.answer_s - exchange.request_s
        tally.narrow("ms", 1e3 * (requirement.within_s - late_s))
        if exchange.answer_s > until_s:
            tally.fail(
                exchange.request_s, f"{asked} was answered after {late_s:.3f} s, {requirement.within_s:g} s allowed"
            )


def _asked(exchange: Exchange) -> str:
    return f"{exchange.request.hex(' ').upper()} at {exchange.request_s:.3f} s"


def _flow(_: Diagnosis, record: Record, tally: Tally) -> None:
    """No more frames and no closer ones than the tester's flow control allows."""
    for block in record.blocks():
        tally.demanded(block.flow_s)
        if block.early:
            tally.fail(block.flow_s, f"an answer went on at {block.flow_s:.3f} s without flow control")
            continue
        told = f"after the flow control at {block.flow_s:.3f} s"
        if block.allowed and block.frames > block.allowed:
            tally.fail(block.flow_s, f"{block.frames} frames {told}, {block.allowed} allowed")
        tally.narrow("ms", 1e3 * (block.gap_s - block.least_gap_s))
        if block.gap_s < block.least_gap_s - _FRAME_S:
            gap = f"{block.gap_s * 1e3:.3f} ms between two frames"
            tally.fail(block.flow_s, f"{gap} {told}, at least {block.least_gap_s * 1e3:g} ms were asked for")


def _form(_: Diagnosis, record: Record, tally: Tally) -> None:
    """An identifier that was read alone once can be read in company, too."""
    exchanges = [exchange for exchange in record.exchanges() if exchange.answer]
    alone = {single_identifier(exchange.request) for exchange in exchanges if exchange.positive}
    known = {ACTIVE_SESSION, *(identifier for identifier in alone if identifier is not None)}
    for exchange in exchanges:
        tally.demanded(exchange.request_s)
        problem = form_problem(exchange.request, exchange.answer, known)
        if problem:
            told = exchange.answer[:12].hex(" ").upper()
            tally.fail(exchange.request_s, f"{_asked(exchange)} was answered with {told}: {problem}")


def _served(_: Diagnosis, record: Record, tally: Tally) -> None:
    for exchange in record.exchanges():
        if must_be_served(exchange.request) and exchange.answer:
            tally.demanded(exchange.request_s)
            if exchange.refused is not None:
                tally.fail(exchange.request_s, f"{_asked(exchange)} was refused with 0x{exchange.refused:02X}")


def _refused(_: Diagnosis, record: Record, tally: Tally) -> None:
    for exchange in record.exchanges():
        reason = refusal_of(exchange.request)
        if reason is None or not exchange.answer:
            continue
        tally.demanded(exchange.request_s)
        if exchange.refused != reason:
            told = exchange.answer[:8].hex(" ").upper()
            tally.fail(
                exchange.request_s, f"{_asked(exchange)} was answered with {told}, to be refused with 0x{reason:02X}"
            )


def _session(requirement: Diagnosis, record: Record, tally: Tally) -> None:
    """Follow the session through the record; None where it cannot be known."""
    session: int | None = None
    last_s = -math.inf
    restarts = record.power_ons()
    least_s, most_s = requirement.s3_s
    for exchange in record.exchanges():
        began = any(last_s < t_s <= exchange.request_s for t_s in restarts)
        gap_s = exchange.request_s - last_s
        over = gap_s > most_s + record.slack_s
        if began or (over and session is not None):
            session, expired = DEFAULT, not began and session != DEFAULT
        else:
            expired = False
            session = session if session == DEFAULT or gap_s < least_s - record.slack_s else None
        if exchange.request == _ACTIVE_SESSION and exchange.positive and session is not None:
            _compare_session(exchange, session, tally, expired=expired, gap_s=gap_s)
        if exchange.request[0] == SESSION:
            session = _changed(exchange, record, session)
        last_s = exchange.request_s


def _changed(exchange: Exchange, record: Record, session: int | None) -> int | None:
    """The session after a request to change it. Silence is consent where a positive answer was not wanted."""
    if exchange.answer and not exchange.positive:
        return session
    heard = covers(record.operational(), exchange.request_s - SETTLE_S, exchange.request_s + SETTLE_S)
    agreed = exchange.positive or (silent(exchange.request) and must_be_served(exchange.request) and heard)
    return exchange.request[1] & ~_SILENT if agreed else None


def _compare_session(exchange: Exchange, session: int, tally: Tally, *, expired: bool, gap_s: float) -> None:
    found = exchange.answer[-1]
    if expired:
        tally.demanded(exchange.request_s)
    else:
        tally.must_not += 1
    if found != session:
        since = f"{gap_s:.3f} s after the request before" if math.isfinite(gap_s) else "at first"
        tally.fail(exchange.request_s, f"session 0x{found:02X} is active {since}, expected 0x{session:02X}")


def _reset(requirement: Diagnosis, record: Record, tally: Tally) -> None:
    """Refused while a main contactor is commanded closed; otherwise the controller starts anew.

    Right after the extended session was entered it may not be refused then.
    """
    before: Exchange | None = None
    for exchange in record.exchanges():
        entered, before = _entered_before(before, exchange, record), exchange
        if exchange.request[:1] != bytes([RESET]) or not exchange.answer or len(exchange.request) != _LENGTHS[RESET][0]:
            continue
        closed = _contactors(record, exchange)
        if closed:
            tally.must_not += 1
            if exchange.positive:
                tally.fail(
                    exchange.request_s, f"a reset at {exchange.request_s:.3f} s was accepted with contactors closed"
                )
        elif closed is False and entered and exchange.refused is not None:
            tally.demanded(exchange.request_s)
            tally.fail(
                exchange.request_s, f"{_asked(exchange)} was refused with contactors open in the extended session"
            )
        elif closed is False and exchange.positive:
            tally.demanded(exchange.request_s)
            deadline_s = exchange.complete_s + requirement.within_s + record.slack_s
            if deadline_s < record.end_s and not _started_anew(record, exchange, deadline_s):
                tally.fail(
                    exchange.complete_s, f"no start-up was reported after the reset at {exchange.request_s:.3f} s"
                )


def _entered_before(before: Exchange | None, exchange: Exchange, record: Record) -> bool:
    """Whether the request before entered the extended session, which lasts still."""
    if before is None or before.request != bytes([SESSION, EXTENDED]) or not before.positive:
        return False
    begun = any(before.request_s < t_s <= exchange.request_s for t_s in record.power_ons())
    known = exchange.request[1:] in (b"\x01", b"\x03")  # hard and soft
    return known and not begun and exchange.request_s - before.request_s < _SURELY_S


def _contactors(record: Record, exchange: Exchange) -> bool | None:
    """Whether a main contactor was commanded closed around a request; None: it changed, or is not known."""
    seen: set[bool] = set()
    for quantity in ("contactor_positive", "contactor_negative"):
        series = record.series("output", quantity)
        if series is None:
            return None
        keep = (series.t_s >= exchange.request_s - SETTLE_S) & (series.t_s <= exchange.answer_s)
        values = series.value[keep] > 0.5  # noqa: PLR2004 - between open and closed
        if not len(values) or values.all() != values.any():
            return None
        seen.add(bool(values.any()))
    return True in seen


def _started_anew(record: Record, exchange: Exchange, deadline_s: float) -> bool:
    """Whether "init" was reported after a reset, or a fault that is latched over it."""
    state = record.raw("reported", "bms_state")
    if state is None:
        return True
    keep = (state.t_s > exchange.complete_s) & (state.t_s <= deadline_s)
    wanted = (CONTROLLER_STATES["init"], CONTROLLER_STATES["latched"], CONTROLLER_STATES["fault"])
    return bool(keep.any()) and any(bool((state.value[keep] == number).any()) for number in wanted)


def _value(requirement: Diagnosis, record: Record, tally: Tally) -> None:
    assert requirement.quantity is not None
    reported = record.raw("reported", requirement.quantity)
    if reported is None:
        return
    for exchange in record.exchanges():
        if requirement.quantity not in exchange.asked or not exchange.answer:
            continue
        value = exchange.values.get(requirement.quantity)
        if value is None:
            tally.demanded(exchange.request_s)
            tally.fail(exchange.request_s, f"{_asked(exchange)} was answered without {requirement.quantity}")
            continue
        near = abs(reported.t_s - exchange.answer_s) <= _VALUE_S
        told = reported.value[near]
        if len(told):
            tally.demanded(exchange.request_s)
            low, high = float(told.min()) - requirement.tolerance, float(told.max()) + requirement.tolerance
            tally.narrow(margin_key(requirement.quantity), min(value - low, high - value))
            if not low <= value <= high:
                read = f"{requirement.quantity} read as {with_unit(requirement.quantity, value)}"
                tally.fail(exchange.request_s, f"{read} at {exchange.request_s:.3f} s, reported as {told[0]:.6g}")


_RULES: Mapping[str, Callable[[Diagnosis, Record, Tally], None]] = {
    "answered": _answered,
    "flow": _flow,
    "form": _form,
    "served": _served,
    "refused": _refused,
    "session": _session,
    "reset": _reset,
    "value": _value,
}
