# SPDX-License-Identifier: Apache-2.0
"""Judges the status of trouble codes (ISO 14229-1) against the fault flags that were seen on the bus.

Every read-out that tells all codes is held against what the record shows of each fault since the codes were cleared,
and since power came on. What a bus-off or a loss of power may have hidden is not judged, nor what changes around the
read-out itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from harness.requirements.codetests import judge_tested
from harness.requirements.evidence import Exchange
from harness.requirements.findings import Tally
from harness.requirements.model import Diagnosis, Trip
from harness.requirements.readouts import (
    FAILED,
    HISTORY,
    NOT_THIS_CYCLE,
    PENDING,
    SETTLE_S,
    SILENT_BITS,
    STORED,
    THIS_CYCLE,
    Flag,
    Readout,
    came_untold,
    expect,
    forbid,
    readouts_of,
    untold_times,
)
from harness.requirements.record import Record

LISTED_S = 2.0  # lists this soon after a full one must agree with it
_CLEAR, _CODES = 0x14, 0x19
_COUNT, _BY_STATUS, _SUPPORTED = 0x01, 0x02, 0x0A


def judge_codes(requirement: Diagnosis, record: Record, tally: Tally, trips: Sequence[Trip]) -> None:
    """Hold every read-out of the record against one rule; `trips` tell when a fault may have come untold."""
    rule = requirement.rule
    readouts = tuple(readouts_of(record))
    flags = {
        flag: Flag(series, untold_times(record, [trip for trip in trips if trip.flag == flag]))
        for flag in (readouts[0].status if readouts else ())
        if (series := record.raw("reported", flag)) is not None and len(series.t_s)
    }
    if rule == "lists":
        _judge_lists(record, tally)
        return
    if rule == "only_faults":
        _judge_between(readouts, flags, tally)
        return
    if rule == "tested":
        judge_tested(requirement, readouts, flags, record, tally, trips)
        return
    for readout in readouts:
        for name, flag in flags.items():
            _RULES[rule](readout, name, flag, tally)
    if rule == "this_cycle":
        _judge_pending(readouts, flags, record, tally)


# ---- rules over one read-out ---------------------------------------------------------------------------------------


def _stored(readout: Readout, name: str, flag: Flag, tally: Tally) -> None:
    begin_s = max(readout.begun_s(name), readout.cycle_s) + SETTLE_S
    if flag.seen(begin_s, readout.at_s - SETTLE_S):
        last_s = flag.last_s(readout.at_s - SETTLE_S)
        expect(readout, name, STORED, tally, f"though the fault was there at {last_s:.3f} s")


def _kept(readout: Readout, name: str, flag: Flag, tally: Tally) -> None:
    before_s = flag.last_s(readout.cycle_s)
    if before_s > readout.begun_s(name) + SETTLE_S:
        why = f"though the fault was there at {before_s:.3f} s, before the power-on at {readout.cycle_s:.3f} s"
        expect(readout, name, STORED, tally, why)


def _test_failed(readout: Readout, name: str, flag: Flag, tally: Tally) -> None:
    begin_s = readout.at_s - SETTLE_S
    if max(readout.quiet_s, readout.cycle_s) + SETTLE_S > begin_s or readout.begun_s(name) > begin_s:
        return
    state = flag.state(begin_s, readout.until_s + SETTLE_S)
    if state:
        expect(readout, name, FAILED, tally, "though the fault was there")
    elif state is False:
        forbid(readout, name, FAILED, tally, "though the fault was not there")


def _this_cycle(readout: Readout, name: str, flag: Flag, tally: Tally) -> None:
    begin_s = max(readout.begun_s(name) + SETTLE_S, readout.cycle_s)
    if flag.rose(begin_s, readout.at_s - SETTLE_S):
        expect(readout, name, THIS_CYCLE | PENDING, tally, "though the fault came in this power cycle")
        forbid(readout, name, SILENT_BITS, tally, "though the fault came in this power cycle")
    elif readout.cycle_s > readout.quiet_s and not flag.seen(readout.cycle_s, readout.until_s + SETTLE_S):
        why = f"though the fault was not there since the power-on at {readout.cycle_s:.3f} s"
        forbid(readout, name, THIS_CYCLE, tally, why)


def _cleared(readout: Readout, name: str, flag: Flag, tally: Tally) -> None:
    cleared_s = readout.cleared_s(name)
    if cleared_s > readout.quiet_s and not flag.seen(cleared_s - SETTLE_S, readout.until_s + SETTLE_S):
        if came_untold(readout, name, HISTORY, flag, cleared_s, tally):
            return
        tally.demanded(readout.at_s)
        why = f"though it was cleared at {cleared_s:.3f} s and the fault was not there since"
        forbid(readout, name, HISTORY, tally, why)


_RULES: Mapping[str, Callable[[Readout, str, Flag, Tally], None]] = {
    "stored": _stored,
    "kept": _kept,
    "test_failed": _test_failed,
    "this_cycle": _this_cycle,
    "cleared": _cleared,
}


# ---- rules over two read-outs --------------------------------------------------------------------------------------


def _judge_between(readouts: tuple[Readout, ...], flags: Mapping[str, Flag], tally: Tally) -> None:
    """A code that was not stored is not stored later unless its fault was there meanwhile."""
    for first, second in pairwise(readouts):
        if second.quiet_s > first.at_s - SETTLE_S:
            continue
        for name, flag in flags.items():
            fresh = not first.status[name] & STORED and second.begun_s(name) <= first.until_s
            if not fresh or flag.seen(first.at_s - SETTLE_S, second.until_s + SETTLE_S):
                continue
            if not came_untold(second, name, STORED, flag, first.at_s, tally):
                why = f"though the fault was not there since the read-out at {first.at_s:.3f} s"
                forbid(second, name, STORED, tally, why)


def _judge_pending(readouts: tuple[Readout, ...], flags: Mapping[str, Flag], record: Record, tally: Tally) -> None:
    """After a cycle that was tested and did not fail a code is pending no longer."""
    for first, second in pairwise(readouts):
        cycles = sum(first.until_s < t_s <= second.at_s for t_s in record.power_ons())
        if cycles != 1 or second.quiet_s > first.at_s:
            continue
        for name, flag in flags.items():
            known = second.begun_s(name) <= first.until_s
            passed = known and not first.status[name] & (THIS_CYCLE | NOT_THIS_CYCLE)
            if not passed or flag.seen(first.at_s - SETTLE_S, second.until_s + SETTLE_S):
                continue
            if not came_untold(second, name, PENDING, flag, first.at_s, tally):
                forbid(second, name, PENDING, tally, f"though the cycle read at {first.at_s:.3f} s passed its test")


def _judge_lists(record: Record, tally: Tally) -> None:
    """The number and the list of codes with a status agree with the full list before; a list of all has all."""
    full: Exchange | None = None
    for exchange in record.exchanges():
        if exchange.status is not None:
            _compare_supported(exchange, exchange.status, tally)
            full = exchange
            continue
        asked = exchange.request
        if asked[0] != _CODES:
            full = full if asked[0] != _CLEAR else None
            continue
        known = full is not None and len(asked) == 3 and not asked[2] & SILENT_BITS  # noqa: PLR2004 - service, kind, mask
        if not known or not exchange.positive or full is None or exchange.request_s - full.request_s > LISTED_S:
            continue
        if not _changed(record, full, exchange):
            _compare(full, exchange, tally)


def _compare_supported(exchange: Exchange, status: Mapping[str, int], tally: Tally) -> None:
    if exchange.request[1] != _SUPPORTED:
        return
    tally.demanded(exchange.request_s)
    found = _listed(exchange)
    if found < len(status):
        told = f"0x19 0A tells of {found} codes at {exchange.request_s:.3f} s"
        tally.fail(exchange.request_s, f"{told}, there are at least {len(status)}")


def _listed(exchange: Exchange) -> int:
    return (len(exchange.answer) - 3) // 4


def _changed(record: Record, first: Exchange, second: Exchange) -> bool:
    """Whether a fault came or went between two answers, or power."""
    assert first.status is not None
    if any(first.request_s < t_s <= second.complete_s for t_s in record.power_ons()):
        return True
    series = [found for flag in first.status if (found := record.raw("reported", flag)) is not None and len(found.t_s)]
    return any(Flag(item).state(first.request_s - SETTLE_S, second.complete_s + SETTLE_S) is None for item in series)


def _compare(full: Exchange, exchange: Exchange, tally: Tally) -> None:
    assert full.status is not None
    kind, mask = exchange.request[1], exchange.request[2]
    expected = sum(bool(status & mask) for status in full.status.values())
    if kind == _COUNT:
        found = int.from_bytes(exchange.answer[-2:], "big")
    elif kind == _BY_STATUS:
        found = _listed(exchange)
    else:
        return
    tally.demanded(exchange.request_s)
    if found != expected:
        told = f"0x19 {kind:02X} tells of {found} codes with a bit of 0x{mask:02X} at {exchange.request_s:.3f} s"
        tally.fail(exchange.request_s, f"{told}, the list at {full.request_s:.3f} s has {expected}")
