# SPDX-License-Identifier: Apache-2.0
"""Keeps a loop on the wall clock: when the next tick is, how late it came, and what to watch while waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.clock import Clock


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the ticks of a run came, s. `overruns`: how many were later than allowed."""

    ticks: int = 0
    overruns: int = 0
    p50_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


class Pacer:
    """Maps the time of a simulation to a clock, on an absolute schedule: a late tick does not shift those after it."""

    def __init__(self, clock: Clock, tick_ns: int, *, overrun_ns: int = 5_000_000) -> None:
        raise NotImplementedError

    def begin(self, simulation_ns: int) -> None:
        """From now on `simulation_ns` is the present moment of the clock; the statistics start over."""
        raise NotImplementedError

    def clock_ns(self, simulation_ns: int) -> int:
        """The moment of the clock at which the simulation's time is this."""
        raise NotImplementedError

    def simulation_ns(self, clock_ns: int) -> int:
        """The simulation's time at a moment of the clock; never below 0."""
        raise NotImplementedError

    def wait(self, clock_ns: int, descriptors: Sequence[int] = ()) -> bool:
        """Until a moment of the clock, or until a descriptor is readable: True when it was that. At once when late."""
        raise NotImplementedError

    def tick(self, simulation_ns: int) -> float:
        """Note that the tick due at `simulation_ns` begins now; how late it is, s."""
        raise NotImplementedError

    def lateness(self) -> Lateness:
        """Since `begin` or `forget`."""
        raise NotImplementedError

    def forget(self) -> None:
        """The statistics start over, the schedule goes on."""
        raise NotImplementedError
