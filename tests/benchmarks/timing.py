# SPDX-License-Identifier: Apache-2.0
"""Timing: sides that are compared take turns, round by round, because the machine drifts; ratios are within a round.

What needs one core is timed by processor time, that of this process and of the children it waited for, which does not
depend on how busy the machine is; on an idle machine it equals the wall clock, which is shown beside it. What uses two
cores is timed by the wall clock.
"""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns

if sys.platform != "win32":
    import resource

NS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured: `quick` for a look, otherwise for a table that is quoted."""

    quick: bool

    def of(self, full: int, quick: int) -> int:
        """The number for this effort."""
        return quick if self.quick else full


@dataclass(frozen=True, slots=True)
class Times:
    """One side, one entry a round: processor time of this process and its finished children, wall-clock time, in s."""

    cpu: tuple[float, ...]
    wall: tuple[float, ...]

    @property
    def median(self) -> float:
        """Processor time: the middle round, which is what is quoted."""
        return statistics.median(self.cpu)

    @property
    def least(self) -> float:
        """Processor time of the best round: what the core does when nobody shares its caches."""
        return min(self.cpu)

    @property
    def wall_median(self) -> float:
        """Wall-clock time of the middle round."""
        return statistics.median(self.wall)

    @property
    def wall_least(self) -> float:
        """Wall-clock time of the best round."""
        return min(self.wall)

    def per(self, amount: float, *, scale: float = 1e6) -> str:
        """Median and minimum of the processor time for one of `amount`, in microseconds unless scaled otherwise."""
        return f"{self.median / amount * scale:.3g} (least {self.least / amount * scale:.3g})"


def processor_s() -> float:
    """Processor time of this process and of the children it waited for; without the latter on Windows."""
    own = process_time_ns() / NS_PER_S
    if sys.platform == "win32":
        return own
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return own + children.ru_utime + children.ru_stime


def once(action: Callable[[], object]) -> tuple[float, float]:
    """Processor and wall-clock seconds of one call."""
    wall, cpu = perf_counter_ns(), processor_s()
    action()
    return processor_s() - cpu, (perf_counter_ns() - wall) / NS_PER_S


def interleaved(sides: Mapping[str, Callable[[], object]], rounds: int, *, warm_up: int = 1) -> dict[str, Times]:
    """Time every side once a round, in turns. Every other round goes backwards, so that no side is always first."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in sides}
    for _ in range(warm_up):
        for action in sides.values():
            action()
    for turn in range(rounds):
        order = list(sides) if turn % 2 == 0 else list(reversed(list(sides)))
        for name in order:
            found[name].append(once(sides[name]))
    times = {}
    for name, rounds_of in found.items():
        cpu, wall = zip(*rounds_of, strict=True)
        times[name] = Times(cpu, wall)
    return times


def ratio(of: Times, to: Times) -> float:
    """How many times more processor time `of` takes than `to`: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(of.cpu, to.cpu, strict=True))


def wall_ratio(of: Times, to: Times) -> float:
    """How many times longer `of` takes than `to` by the wall clock: the median over the rounds."""
    return statistics.median(a / b for a, b in zip(of.wall, to.wall, strict=True))
