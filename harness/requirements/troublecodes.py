# SPDX-License-Identifier: Apache-2.0
"""Judges the status of trouble codes (ISO 14229-1) against the fault flags that were seen on the bus.

Every read-out that tells all codes is held against what the record shows of each fault since the codes were cleared,
and since power came on. What a bus-off or a loss of power may have hidden is not judged, nor what changes around the
read-out itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.requirements.causes import causes_of
from harness.requirements.evidence import Exchange, Series
from harness.requirements.findings import Tally
from harness.requirements.model import Trip
from harness.requirements.record import FLAG_SET, Record

Floats = NDArray[np.float64]
FAILED, THIS_CYCLE, PENDING, CONFIRMED = 0x01, 0x02, 0x04, 0x08
NOT_SINCE_CLEAR, SINCE_CLEAR, NOT_THIS_CYCLE = 0x10, 0x20, 0x40
STORED = CONFIRMED | SINCE_CLEAR
HISTORY = FAILED | THIS_CYCLE | PENDING | STORED
SETTLE_S = 0.1  # a flag and the code behind it change together, the message about it comes a little later
LISTED_S = 2.0  # lists this soon after a full one must agree with it
_CLEAR, _CODES, _ALL = 0x14, 0x19, bytes([0x14, 0xFF, 0xFF, 0xFF])
_COUNT, _BY_STATUS, _SUPPORTED = 0x01, 0x02, 0x0A
_SILENT_BITS = NOT_SINCE_CLEAR | NOT_THIS_CYCLE  # these change without a flag
_NAMES = {
    FAILED: "testFailed",
    THIS_CYCLE: "testFailedThisOperationCycle",
    PENDING: "pendingDTC",
    CONFIRMED: "confirmedDTC",
    NOT_SINCE_CLEAR: "testNotCompletedSinceLastClear",
    SINCE_CLEAR: "testFailedSinceLastClear",
    NOT_THIS_CYCLE: "testNotCompletedThisOperationCycle",
}


@dataclass(frozen=True, slots=True)
class _Flag:
    """What the bus told of one fault, and when it may have come without a word: just before power was lost."""

    series: Series
    untold_s: tuple[float, ...] = ()

    def seen(self, from_s: float, until_s: float) -> bool:
        """Whether it was reported set in this time."""
        return bool(self._between(from_s, until_s)[1].any())

    def untold(self, from_s: float, until_s: float) -> bool:
        """Whether it may have come in this time too late to be told."""
        return any(from_s <= t_s <= until_s for t_s in self.untold_s)

    def last_s(self, until_s: float) -> float:
        """When it was last reported set; -inf before."""
        t_s, is_set = self._between(-math.inf, until_s)
        return float(t_s[is_set][-1]) if is_set.any() else -math.inf

    def rose(self, from_s: float, until_s: float) -> bool:
        """Whether it was first reported clear and then set in this time."""
        is_set = self._between(from_s, until_s)[1]
        return bool((is_set[1:] & ~is_set[:-1]).any())

    def state(self, from_s: float, until_s: float) -> bool | None:
        """Set or clear all the time, from the last report before on; None: it changed, or nothing was reported."""
        before = int(np.searchsorted(self.series.t_s, from_s, side="right")) - 1
        if before < 0:
            return None
        is_set = self._between(float(self.series.t_s[before]), until_s)[1]
        return bool(is_set[0]) if (is_set == is_set[0]).all() else None

    def _between(self, from_s: float, until_s: float) -> tuple[Floats, NDArray[np.bool_]]:
        keep = (self.series.t_s >= from_s) & (self.series.t_s <= until_s)
        return self.series.t_s[keep], self.series.value[keep] > FLAG_SET


@dataclass(frozen=True, slots=True)
class _Readout:
    """One read-out of all codes, and what came before it: the last clear, power-on and loss of the memory."""

    at_s: float
    until_s: float
    status: Mapping[str, int]
    cleared_s: float
    begun_s: float  # nothing is known of the codes before this
    cycle_s: float
    quiet_s: float  # end of the last bus-off


def judge_codes(rule: str, record: Record, tally: Tally, trips: Sequence[Trip]) -> None:
    """Hold every read-out of the record against one rule; `trips` tell when a fault may have come untold."""
    readouts = tuple(_readouts(record))
    flags = {
        flag: _Flag(series, _untold(record, [trip for trip in trips if trip.flag == flag]))
        for flag in (readouts[0].status if readouts else ())
        if (series := record.raw("reported", flag)) is not None and len(series.t_s)
    }
    if rule == "lists":
        _judge_lists(record, tally)
        return
    if rule == "only_faults":
        _judge_between(readouts, flags, tally)
        return
    for readout in readouts:
        for name, flag in flags.items():
            _RULES[rule](readout, name, flag, tally)
    if rule == "this_cycle":
        _judge_pending(readouts, flags, record, tally)


def _readouts(record: Record) -> Iterator[_Readout]:
    cleared_s = begun_s = -math.inf
    lost, cleared = _memory_lost(record), record.codes_cleared()
    for exchange in record.exchanges():
        if exchange.request[0] == _CLEAR and exchange.positive and len(exchange.request) == len(_ALL):
            begun_s = exchange.complete_s
            cleared_s = exchange.complete_s if exchange.request == _ALL else -math.inf
        if exchange.status is None:
            continue
        at_s = exchange.request_s
        asked_s = max((t_s for t_s in cleared if t_s <= exchange.complete_s), default=-math.inf)
        forgot_s = max((t_s for t_s in lost if t_s <= at_s), default=-math.inf)
        yield _Readout(
            at_s=at_s,
            until_s=exchange.complete_s,
            status=exchange.status,
            cleared_s=cleared_s if cleared_s >= forgot_s else -math.inf,
            begun_s=max(begun_s, asked_s, forgot_s),
            cycle_s=max((t_s for t_s in record.power_ons() if t_s <= at_s), default=-math.inf),
            quiet_s=max(
                (run.end_s for run in record.bus_off() if run.start_s <= exchange.complete_s), default=-math.inf
            ),
        )


def _memory_lost(record: Record) -> tuple[float, ...]:
    """Power-ons with a damaged non-volatile image: what was stored before can no longer be known."""
    damaged = record.series("given", "nvm_damaged")
    if damaged is None or not record.extremes("given", "nvm_damaged")[1] > 0.0:
        return ()
    return tuple(damaged.t_s[damaged.value > 0.0].tolist())


def _untold(record: Record, trips: Sequence[Trip]) -> tuple[float, ...]:
    """Losses of power at which a fault may just have been confirmed, its message not yet sent."""
    runs = [
        (run, trip.confirm_s[0] - record.slack_s)
        for trip in trips
        if record.interruptions() and (causes := causes_of(record, trip)) is not None
        for run in causes.possible
    ]
    return tuple(
        t_s
        for t_s in record.interruptions()
        if any(run.start_s + least_s <= min(t_s, run.end_s) and t_s - SETTLE_S <= run.end_s for run, least_s in runs)
    )


def _expect(readout: _Readout, name: str, bits: int, tally: Tally, why: str) -> None:
    tally.demanded(readout.at_s)
    missing = bits & ~readout.status[name]
    if missing:
        told = f"the code of {name} read at {readout.at_s:.3f} s has status 0x{readout.status[name]:02X} without"
        tally.fail(readout.at_s, f"{told} {_text(missing)}, {why}")


def _forbid(readout: _Readout, name: str, bits: int, tally: Tally, why: str) -> None:
    tally.must_not += 1
    wrong = bits & readout.status[name]
    if wrong:
        told = f"the code of {name} read at {readout.at_s:.3f} s has status 0x{readout.status[name]:02X} with"
        tally.fail(readout.at_s, f"{told} {_text(wrong)}, {why}")


def _came_untold(readout: _Readout, name: str, bits: int, flag: _Flag, since_s: float, tally: Tally) -> bool:
    """Whether bits of a code may come from a fault that nobody could be told of; such a code is not judged."""
    if not (bits & readout.status[name] and flag.untold(since_s, readout.at_s)):
        return False
    tally.in_band += 1
    return True


def _text(bits: int) -> str:
    return " and ".join(name for bit, name in _NAMES.items() if bits & bit)


# ---- rules over one read-out ---------------------------------------------------------------------------------------


def _stored(readout: _Readout, name: str, flag: _Flag, tally: Tally) -> None:
    begin_s = max(readout.begun_s, readout.cycle_s) + SETTLE_S
    if flag.seen(begin_s, readout.at_s - SETTLE_S):
        last_s = flag.last_s(readout.at_s - SETTLE_S)
        _expect(readout, name, STORED, tally, f"though the fault was there at {last_s:.3f} s")


def _kept(readout: _Readout, name: str, flag: _Flag, tally: Tally) -> None:
    before_s = flag.last_s(readout.cycle_s)
    if before_s > readout.begun_s + SETTLE_S:
        why = f"though the fault was there at {before_s:.3f} s, before the power-on at {readout.cycle_s:.3f} s"
        _expect(readout, name, STORED, tally, why)


def _test_failed(readout: _Readout, name: str, flag: _Flag, tally: Tally) -> None:
    begin_s = readout.at_s - SETTLE_S
    if max(readout.quiet_s, readout.cycle_s) + SETTLE_S > begin_s or readout.begun_s > begin_s:
        return
    state = flag.state(begin_s, readout.until_s + SETTLE_S)
    if state:
        _expect(readout, name, FAILED, tally, "though the fault was there")
    elif state is False:
        _forbid(readout, name, FAILED, tally, "though the fault was not there")


def _this_cycle(readout: _Readout, name: str, flag: _Flag, tally: Tally) -> None:
    begin_s = max(readout.begun_s + SETTLE_S, readout.cycle_s)
    if flag.rose(begin_s, readout.at_s - SETTLE_S):
        _expect(readout, name, THIS_CYCLE | PENDING, tally, "though the fault came in this power cycle")
        _forbid(readout, name, _SILENT_BITS, tally, "though the fault came in this power cycle")
    elif readout.cycle_s > readout.quiet_s and not flag.seen(readout.cycle_s, readout.until_s + SETTLE_S):
        why = f"though the fault was not there since the power-on at {readout.cycle_s:.3f} s"
        _forbid(readout, name, THIS_CYCLE, tally, why)


def _cleared(readout: _Readout, name: str, flag: _Flag, tally: Tally) -> None:
    known = readout.cleared_s > readout.quiet_s and readout.cleared_s > -math.inf
    if known and not flag.seen(readout.cleared_s - SETTLE_S, readout.until_s + SETTLE_S):
        if _came_untold(readout, name, HISTORY, flag, readout.cleared_s, tally):
            return
        tally.demanded(readout.at_s)
        why = f"though it was cleared at {readout.cleared_s:.3f} s and the fault was not there since"
        _forbid(readout, name, HISTORY, tally, why)


_RULES: Mapping[str, Callable[[_Readout, str, _Flag, Tally], None]] = {
    "stored": _stored,
    "kept": _kept,
    "test_failed": _test_failed,
    "this_cycle": _this_cycle,
    "cleared": _cleared,
}


# ---- rules over two read-outs --------------------------------------------------------------------------------------


def _judge_between(readouts: tuple[_Readout, ...], flags: Mapping[str, _Flag], tally: Tally) -> None:
    """A code that was not stored is not stored later unless its fault was there meanwhile."""
    for first, second in pairwise(readouts):
        if second.quiet_s > first.at_s - SETTLE_S or second.begun_s > first.until_s:
            continue
        for name, flag in flags.items():
            fresh = not first.status[name] & STORED
            if not fresh or flag.seen(first.at_s - SETTLE_S, second.until_s + SETTLE_S):
                continue
            if not _came_untold(second, name, STORED, flag, first.at_s, tally):
                why = f"though the fault was not there since the read-out at {first.at_s:.3f} s"
                _forbid(second, name, STORED, tally, why)


def _judge_pending(readouts: tuple[_Readout, ...], flags: Mapping[str, _Flag], record: Record, tally: Tally) -> None:
    """After a cycle that was tested and did not fail a code is pending no longer."""
    for first, second in pairwise(readouts):
        cycles = sum(first.until_s < t_s <= second.at_s for t_s in record.power_ons())
        if cycles != 1 or second.quiet_s > first.at_s or second.begun_s > first.until_s:
            continue
        for name, flag in flags.items():
            passed = not first.status[name] & (THIS_CYCLE | NOT_THIS_CYCLE)
            if not passed or flag.seen(first.at_s - SETTLE_S, second.until_s + SETTLE_S):
                continue
            if not _came_untold(second, name, PENDING, flag, first.at_s, tally):
                _forbid(second, name, PENDING, tally, f"though the cycle read at {first.at_s:.3f} s passed its test")


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
        known = full is not None and len(asked) == 3 and not asked[2] & _SILENT_BITS  # noqa: PLR2004 - service, kind, mask
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
    return any(_Flag(item).state(first.request_s - SETTLE_S, second.complete_s + SETTLE_S) is None for item in series)


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
