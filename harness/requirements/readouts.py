# SPDX-License-Identifier: Apache-2.0
"""Read-outs of trouble codes (ISO 14229-1) as judges hold them against the fault flags seen on the bus."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.requirements.causes import causes_of
from harness.requirements.evidence import Series
from harness.requirements.findings import Tally
from harness.requirements.model import Trip
from harness.requirements.record import FLAG_SET, Record

Floats = NDArray[np.float64]
FAILED, THIS_CYCLE, PENDING, CONFIRMED = 0x01, 0x02, 0x04, 0x08
NOT_SINCE_CLEAR, SINCE_CLEAR, NOT_THIS_CYCLE = 0x10, 0x20, 0x40
STORED = CONFIRMED | SINCE_CLEAR
HISTORY = FAILED | THIS_CYCLE | PENDING | STORED
SETTLE_S = 0.1  # a flag and the code behind it change together, the message about it comes a little later
_CLEAR, _CLEAR_BYTES = 0x14, 4
SILENT_BITS = NOT_SINCE_CLEAR | NOT_THIS_CYCLE  # these change without a flag
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
class Flag:
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
class Readout:
    """One read-out of all codes, and what came before it: the last clear, power-on and loss of the memory."""

    at_s: float
    until_s: float
    status: Mapping[str, int]
    cleared: Mapping[str, float]  # last acknowledged clear of each code, since nothing is known otherwise
    lost_s: float  # nothing is known of the codes before this
    cycle_s: float
    quiet_s: float  # end of the last bus-off

    def cleared_s(self, name: str) -> float:
        """When a code was last cleared; -inf when it was not, or it is not known."""
        return self.cleared.get(name, -math.inf)

    def begun_s(self, name: str) -> float:
        """From when on a code is known."""
        return max(self.lost_s, self.cleared_s(name))


def readouts_of(record: Record) -> Iterator[Readout]:
    """Every answer that tells all codes."""
    unknown_s = -math.inf  # a clear of codes that the profile does not have: of a group, perhaps
    told: dict[str, float] = {}
    lost, cleared = _memory_lost(record), record.codes_cleared()
    for exchange in record.exchanges():
        if exchange.request[0] == _CLEAR and exchange.positive and len(exchange.request) == _CLEAR_BYTES:
            told |= dict.fromkeys(exchange.clears, exchange.complete_s)
            unknown_s = unknown_s if exchange.clears else exchange.complete_s
        if exchange.status is None:
            continue
        at_s = exchange.request_s
        asked_s = max((t_s for t_s in cleared if t_s <= exchange.complete_s), default=-math.inf)
        forgot_s = max((t_s for t_s in lost if t_s <= at_s), default=-math.inf)
        known_s = max(unknown_s, forgot_s)
        yield Readout(
            at_s=at_s,
            until_s=exchange.complete_s,
            status=exchange.status,
            cleared={name: t_s for name, t_s in told.items() if t_s >= known_s},
            lost_s=max(asked_s, known_s),
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


def untold_times(record: Record, trips: Sequence[Trip]) -> tuple[float, ...]:
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


def expect(readout: Readout, name: str, bits: int, tally: Tally, why: str) -> None:
    """Fail where one of these bits is not set."""
    tally.demanded(readout.at_s)
    missing = bits & ~readout.status[name]
    if missing:
        told = f"the code of {name} read at {readout.at_s:.3f} s has status 0x{readout.status[name]:02X} without"
        tally.fail(readout.at_s, f"{told} {_text(missing)}, {why}")


def forbid(readout: Readout, name: str, bits: int, tally: Tally, why: str) -> None:
    """Fail where one of these bits is set."""
    tally.must_not += 1
    wrong = bits & readout.status[name]
    if wrong:
        told = f"the code of {name} read at {readout.at_s:.3f} s has status 0x{readout.status[name]:02X} with"
        tally.fail(readout.at_s, f"{told} {_text(wrong)}, {why}")


def came_untold(readout: Readout, name: str, bits: int, flag: Flag, since_s: float, tally: Tally) -> bool:
    """Whether bits of a code may come from a fault that nobody could be told of; such a code is not judged."""
    if not (bits & readout.status[name] and flag.untold(since_s, readout.at_s)):
        return False
    tally.in_band += 1
    return True


def _text(bits: int) -> str:
    return " and ".join(name for bit, name in _NAMES.items() if bits & bit)
