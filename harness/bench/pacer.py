# SPDX-License-Identifier: Apache-2.0
"""Keeps a loop on the wall clock: when the next tick is, how late it came, and what to watch while waiting."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from harness.clock import NS_PER_S, Clock

_MOST_TICKS = 200_000  # kept for the percentiles: the latest half hour, told in a few ms
_OVERRUN_NS = 5_000_000


@dataclass(frozen=True, slots=True)
class Lateness:
    """How late the ticks of a run came, s. `overruns`: how many were later than allowed."""

    ticks: int = 0
    overruns: int = 0
    p50_s: float = 0.0
    p99_s: float = 0.0
    max_s: float = 0.0


class Pacer:
    """Maps the time of a simulation to a clock, on an absolute schedule: a late tick does not shift those after it, so
    that what is late is never later than the worst tick.
    """

    def __init__(self, clock: Clock, *, overrun_ns: int = _OVERRUN_NS) -> None:
        self.clock = clock
        self.overrun_ns = overrun_ns
        self._offset_ns = clock.now_ns()  # of the clock when the simulation's time is 0
        self._late_ns = array("q")
        self._ticks = 0
        self._overruns = 0
        self._worst_ns = 0

    def begin(self, simulation_ns: int) -> None:
        """From now on `simulation_ns` is the present moment of the clock; the statistics start over."""
        self._offset_ns = self.clock.now_ns() - simulation_ns
        self.forget()

    def clock_ns(self, simulation_ns: int) -> int:
        """The moment of the clock at which the simulation's time is this."""
        return simulation_ns + self._offset_ns

    def simulation_ns(self, clock_ns: int) -> int:
        """The simulation's time at a moment of the clock; never below 0."""
        return max(0, clock_ns - self._offset_ns)

    def wait(self, clock_ns: int, descriptors: Sequence[int] = ()) -> bool:
        """Until a moment of the clock, or until a descriptor is readable: True when it was that. At once when late."""
        return self.clock.wait_until_ns(clock_ns, descriptors)

    def tick(self, simulation_ns: int) -> float:
        """Note that the tick due at `simulation_ns` begins now; how late it is, s."""
        late_ns = max(0, self.clock.now_ns() - self.clock_ns(simulation_ns))
        if len(self._late_ns) < _MOST_TICKS:
            self._late_ns.append(late_ns)
        else:
            self._late_ns[self._ticks % _MOST_TICKS] = late_ns
        self._ticks += 1
        self._overruns += late_ns > self.overrun_ns
        self._worst_ns = max(self._worst_ns, late_ns)
        return late_ns / NS_PER_S

    def lateness(self) -> Lateness:
        """Since `begin` or `forget`."""
        if not self._ticks:
            return Lateness()
        late_ns = np.array(self._late_ns, np.int64)
        places = [int(share * (len(late_ns) - 1)) for share in (0.5, 0.99)]
        p50_ns, p99_ns = np.partition(late_ns, places)[places].tolist()  # a tenth of the time of sorting a long run
        return Lateness(self._ticks, self._overruns, p50_ns / NS_PER_S, p99_ns / NS_PER_S, self._worst_ns / NS_PER_S)

    def forget(self) -> None:
        """The statistics start over, the schedule goes on."""
        del self._late_ns[:]
        self._ticks = self._overruns = self._worst_ns = 0
