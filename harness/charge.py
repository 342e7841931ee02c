# SPDX-License-Identifier: Apache-2.0
"""The state of charge a controller should tell: by the charge that has flowed, and what of it no reading tells.

A simulation keeps a perfect count of the current that the controller was given while it was on (column `soc_counted`,
0..1, wherever it leads to), also over the strides of long runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.derived import told_before_off
from harness.received import Times
from harness.requirements.evidence import Series
from harness.trace import Trace

REST_A = 2.0  # below it a controller may look at the rested voltage instead of counting on
REST_S = 5.0  # and has rested, if it began within the record
_HALF = 0.5
_EMPTY, _FULL = 0.0, 100.0
Values = NDArray[Any]
Mask = NDArray[np.bool_]


class Heard(Protocol):
    """What is asked of an observation."""

    @property
    def boot_s(self) -> float:
        """Time after power-on within which the controller need not tell anything yet."""
        ...

    def reported(self, quantity: str) -> Series | None:
        """What it said on the bus."""
        ...

    def power_ons(self) -> Times:
        """Times at which it was switched on or reset."""
        ...


def quantities(trace: Trace, heard: Heard) -> Mapping[str, Callable[[], Values | None]]:
    """The quantities about charge, each worked out when it is called for; None where the rig cannot tell."""

    def before_off() -> Values | None:
        told = heard.reported("soc_pct")
        return None if told is None else told_before_off(trace, told)

    return {
        "soc_before_off_pct": before_off,
        "soc_counted_pct": lambda: counted(trace, heard),
        "soc_unseen_pct": lambda: unseen(trace),
    }


def unseen(trace: Trace) -> Values | None:
    """By how much the true state of charge has left what a perfect count of the given current would say, %: the charge
    of a bent reading, of a switched-off controller, of a leak, or set by hand.
    """
    true, count = _of(trace, "soc_mean", "truth"), _of(trace, "soc_counted", "given")
    return None if true is None or count is None else 100.0 * np.abs(true - count)


def counted(trace: Trace, heard: Heard) -> Values | None:
    """The state of charge last told before the current flowed (at rest, at power-on, else first in the record), moved
    on by the given current and kept within 0 and 100 %. NaN while it rests, is off or boots.
    """
    told, count = heard.reported("soc_pct"), _of(trace, "soc_counted", "given")
    current = _of(trace, "pack_current_a", "given")
    if told is None or count is None or current is None:
        return None
    found = np.full(len(trace.t_s), np.nan)
    pause = _rests(trace.t_s, np.abs(current) < REST_A) | _down(trace, heard)
    for begin, end, since in _stretches(pause):
        anchor = _anchor(told, trace.t_s, since, begin, end)
        if anchor is not None:
            row = min(max(int(np.searchsorted(trace.t_s, told.t_s[anchor], side="right")) - 1, 0), end - 1)
            found[begin:end] = _kept(100.0 * (count[begin:end] - count[row]) + told.value[anchor])
    return found


def _of(trace: Trace, quantity: str, side: Any) -> Values | None:
    column = trace.columns.get(side, {}).get(quantity)
    return None if column is None else column.astype(np.float64)


def _down(trace: Trace, heard: Heard) -> Mask:
    """While the controller is off or boots."""
    powered = trace.columns.get("output", {}).get("powered")
    down = np.zeros(len(trace.t_s), np.bool_) if powered is None else powered < _HALF
    for on_s in heard.power_ons():
        down |= (trace.t_s >= on_s) & (trace.t_s < on_s + heard.boot_s)
    return down


def _rests(t_s: Times, small: Mask) -> Mask:
    """Of the stretches with next to no current those that last, or began before the record."""
    rests = np.zeros(len(small), np.bool_)
    for begin, end in _runs(small):
        rests[begin:end] = begin == 0 or t_s[end - 1] - t_s[begin] >= REST_S
    return rests


def _runs(mask: Mask) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    yield from zip(edges[0::2].tolist(), edges[1::2].tolist(), strict=True)


def _stretches(pause: Mask) -> Iterator[tuple[int, int, int]]:
    """Begin and end of each stretch outside the pauses, with the begin of the pause before it."""
    last = 0
    for begin, end in _runs(~pause):
        yield begin, end, last
        last = end


def _anchor(told: Series, t_s: Times, since: int, begin: int, end: int) -> int | None:
    """The last message of the pause before a stretch, else the first one in the stretch."""
    anchor = int(np.searchsorted(told.t_s, t_s[begin], side="right")) - 1
    if anchor >= 0 and told.t_s[anchor] >= t_s[since]:
        return anchor
    return anchor + 1 if anchor + 1 < len(told.t_s) and told.t_s[anchor + 1] <= t_s[end - 1] else None


def _kept(percent: Times) -> Times:
    """A count that stops at empty and at full, and goes on from there."""
    if not len(percent) or (percent.min() >= _EMPTY and percent.max() <= _FULL):
        return percent
    kept, value = np.empty(len(percent)), min(max(float(percent[0]), _EMPTY), _FULL)
    for place, step in enumerate(np.diff(percent, prepend=percent[0]).tolist()):
        value = min(max(value + step, _EMPTY), _FULL)
        kept[place] = value
    return kept
