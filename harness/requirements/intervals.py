# SPDX-License-Identifier: Apache-2.0
"""Stretches of time in which something holds, taken from series and combined whatever grid they were sampled on.

A run is half open, [start_s, end_s), in seconds of the record. A tuple of runs is sorted and disjoint.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Times = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Run(NamedTuple):
    """One stretch of time, from start_s up to but without end_s."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long the stretch lasts, s."""
        return self.end_s - self.start_s


Runs = tuple[Run, ...]
NEVER: Runs = ()
ALWAYS: Runs = (Run(-math.inf, math.inf),)


def runs_where(t_s: Times, mask: Mask, end_s: float) -> Runs:
    """The runs in which a sampled condition holds; sample i counts until sample i + 1, the last until `end_s`."""
    n = np.count_nonzero(mask)
    if not n:
        return NEVER
    bits = mask.tobytes()
    first, beyond = bits.find(1), bits.rfind(1) + 1
    if beyond - first == n:  # one run, as nearly always
        return merged(((float(t_s[first]), float(t_s[beyond]) if beyond < len(bits) else max(end_s, float(t_s[-1]))),))
    flips = (mask[1:] != mask[:-1]).nonzero()[0] + 1
    bounds = t_s[flips].tolist()
    if mask[0]:
        bounds.insert(0, float(t_s[0]))
    if mask[-1]:
        bounds.append(max(end_s, float(t_s[-1])))
    return merged(zip(bounds[0::2], bounds[1::2], strict=True))


def merged(pairs: Iterable[tuple[float, float]]) -> Runs:
    """Sorted pairs as runs: empty ones dropped, touching or overlapping ones joined."""
    joined: list[Run] = []
    for start_s, end_s in pairs:
        if not start_s < end_s:
            continue
        if joined and start_s <= joined[-1].end_s:
            joined[-1] = Run(joined[-1].start_s, max(end_s, joined[-1].end_s))
        else:
            joined.append(Run(start_s, end_s))
    return tuple(joined)


def intersect(first: Runs, second: Runs) -> Runs:
    """The runs in which both hold."""
    if not first or second == ALWAYS:
        return first
    if not second or first == ALWAYS:
        return second
    both: list[Run] = []
    i = j = 0
    while i < len(first) and j < len(second):
        a, b = first[i], second[j]
        start_s, end_s = max(a.start_s, b.start_s), min(a.end_s, b.end_s)
        if start_s < end_s:
            both.append(Run(start_s, end_s))
        if a.end_s < b.end_s:
            i += 1
        else:
            j += 1
    return tuple(both)


def complement(runs: Runs) -> Runs:
    """The runs in which it does not hold, from -inf to +inf."""
    edges = [-math.inf]
    for run in runs:
        edges += [run.start_s, run.end_s]
    edges.append(math.inf)
    return merged(zip(edges[0::2], edges[1::2], strict=True))


def bridged(runs: Runs, gap_s: float) -> Runs:
    """The runs with gaps shorter than `gap_s` closed."""
    closed: list[Run] = []
    for run in runs:
        if closed and run.start_s - closed[-1].end_s < gap_s:
            closed[-1] = Run(closed[-1].start_s, run.end_s)
        else:
            closed.append(run)
    return tuple(closed)


def shortened(runs: Runs, *, head_s: float = 0.0, tail_s: float = 0.0) -> Runs:
    """Every run begun `head_s` later and ended `tail_s` earlier; those that vanish are dropped."""
    cut = (Run(run.start_s + head_s, run.end_s - tail_s) for run in runs)
    return tuple(run for run in cut if run.start_s < run.end_s)


def run_at(runs: Runs, t_s: float) -> Run | None:
    """The run that contains a time."""
    index = bisect_right(runs, t_s, key=lambda run: run.start_s) - 1
    return runs[index] if index >= 0 and t_s < runs[index].end_s else None


def covers(runs: Runs, start_s: float, end_s: float) -> bool:
    """Whether one run contains the whole of [start_s, end_s]."""
    run = run_at(runs, start_s)
    return run is not None and end_s < run.end_s


def touching(runs: Iterable[Run], start_s: float, end_s: float) -> Runs:
    """The runs that share a moment with [start_s, end_s]."""
    return tuple(run for run in runs if run.start_s <= end_s and start_s < run.end_s)


def mask_at(runs: Runs, t_s: Times) -> Mask:
    """For each time whether it lies in a run."""
    if runs == ALWAYS:
        return np.ones(len(t_s), dtype=np.bool_)
    steps = np.zeros(len(t_s) + 1, dtype=np.int64)
    for run in runs:
        first, last = np.searchsorted(t_s, (run.start_s, run.end_s), side="left")
        steps[first] += 1
        steps[last] -= 1
    return np.asarray(np.cumsum(steps[:-1]) > 0)
