# SPDX-License-Identifier: Apache-2.0
"""One evidence as the judges read it: numbers as float64, power cuts marked, shared work done once.

A `Record` lives for one judging. It only remembers; the judges stay pure functions of evidence and requirement.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from harness.requirements.evidence import Block, Diagnosed, Evidence, Exchange, Series, Summary
from harness.requirements.intervals import ALWAYS, NEVER, Run, Runs, complement, intersect, merged, runs_where
from harness.requirements.model import Side

Found = TypeVar("Found")

# Two times closer than this are never told apart: float64 seconds of a day-long record are exact to some 10 ps.
TIME_EPSILON_S = 1e-6
FLAG_SET = 0.5  # halfway between clear and set
_NAN = float("nan")
_BUS_OFF = 2.0  # of the quantity can_state


class Record:
    """Evidence with a memory. `slack_s` is what every window is widened by: the timing uncertainty."""

    __slots__ = ("_memory", "_ranges", "_raw", "_series", "_summary", "_up", "end_s", "evidence", "slack_s")

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self._summary: Summary | None = evidence if hasattr(evidence, "bounds") else None  # type: ignore[assignment] # it has
        self._up: Runs | None = None
        self.end_s = float(evidence.duration_s)
        self.slack_s = float(evidence.timing_s) + TIME_EPSILON_S
        self._raw: dict[tuple[Side, str], Series | None] = {}
        self._series: dict[tuple[Side, str], Series | None] = {}
        self._ranges: dict[Side, dict[str, tuple[float, float]]] = {}
        self._memory: dict[Hashable, Any] = {}

    def remember(self, key: Hashable, work: Callable[[], Found]) -> Found:
        """The result of `work`, done only the first time `key` is asked for."""
        if key not in self._memory:
            self._memory[key] = work()
        return cast("Found", self._memory[key])

    def series(self, side: Side, quantity: str) -> Series | None:
        """A quantity as float64, None when it was not recorded. NaN is an unknown value.

        What the controller reports is unknown from power-off until its first message after the next power-on.
        An output that the rig does not record is taken from what the controller reports about it.
        """
        key = (side, quantity)
        if key not in self._series:
            self._series[key] = self._read(side, quantity)
        return self._series[key]

    def raw(self, side: Side, quantity: str) -> Series | None:
        """A quantity as the evidence has it, the reported one for an output that was not recorded."""
        key = (side, quantity)
        if key not in self._raw:
            found: Series | None = getattr(self.evidence, side)(quantity)
            self._raw[key] = self.raw("reported", quantity) if found is None and side == "output" else found
        return self._raw[key]

    def extremes(self, side: Side, quantity: str) -> tuple[float, float]:
        """Least and greatest value of the whole record, NaN when any is unknown or there is none."""
        known = self._ranges.get(side)
        found = (self.ranges(side) if known is None else known).get(quantity)
        if found is None:
            found = self._ranges[side][quantity] = _extremes_of(self.raw(side, quantity))
        return found

    def ranges(self, side: Side) -> dict[str, tuple[float, float]]:
        """The extremes of a side as far as they are known by now."""
        found = self._ranges.get(side)
        if found is None:
            found = self._ranges[side] = {} if self._summary is None else dict(self._summary.ranges(side))
        return found

    def bounds(self, side: Side, quantity: str) -> tuple[float, float]:
        """Values that no sample of the whole record lies beyond; as `extremes` where that costs nothing less."""
        if self._summary is not None and quantity not in self.ranges(side):
            told = self._summary.bounds(side, quantity)
            if told is not None:
                return told
        return self.extremes(side, quantity)

    def recorded(self, side: Side, quantity: str) -> bool:
        """Whether there is a series of a quantity, if only an empty one."""
        told = self.ranges(side).get(quantity)
        known = told is not None and told[0] == told[0]
        return known or self.raw(side, quantity) is not None

    def interrupted(self, side: Side, quantity: str) -> bool:
        """Whether unknown values stand in the series at power cuts, which the extremes do not count."""
        if not self.interruptions():
            return False
        return side == "reported" or (side == "output" and self.evidence.output(quantity) is None)

    def ever_set(self, flag: str) -> bool | None:
        """Whether a flag was reported set at any time; None when it is not reported at all."""
        greatest = self.extremes("reported", flag)[1]
        if greatest == greatest:  # noqa: PLR0124 - NaN is not itself
            return greatest > FLAG_SET
        return self.remember(("set", flag), lambda: self._any_set(flag))

    def powered(self) -> Runs:
        """When the controller had power; always, where the rig does not record it."""
        return self.remember("powered", self._powered)

    def operational(self) -> Runs:
        """When the controller had power, its boot time was over and it was not bus-off."""
        if self._up is None:
            self._up = self._operational()
        return self._up

    def bus_off(self) -> Runs:
        """When the controller's CAN was bus-off: it can tell nothing. Never, where that is not recorded."""
        return self.remember("bus_off", self._bus_off)

    def power_ons(self) -> tuple[float, ...]:
        """Every moment at which power came on within the record, rising."""
        return self.remember("power_ons", self._power_ons)

    def interruptions(self) -> tuple[float, ...]:
        """Every moment at which power went or came on within the record, rising."""
        return self.remember(
            "interruptions",
            lambda: tuple(
                sorted({*self.power_ons(), *(run.end_s for run in self.powered() if run.end_s < self.end_s)})
            ),
        )

    def exchanges(self) -> tuple[Exchange, ...]:
        """Every diagnostic request with its answer; none where the evidence knows nothing of diagnostics."""
        if not hasattr(self.evidence, "exchanges"):
            return ()
        return self.remember("exchanges", lambda: tuple(cast("Diagnosed", self.evidence).exchanges()))

    def stalled(self) -> tuple[tuple[float, float], ...]:
        """Diagnostic requests that the controller did not let go on: since when one waited, and until when."""
        if not hasattr(self.evidence, "stalled"):
            return ()
        return self.remember("stalled", lambda: tuple(cast("Diagnosed", self.evidence).stalled()))

    def blocks(self) -> tuple[Block, ...]:
        """What the controller sent of long answers after each flow control."""
        if not hasattr(self.evidence, "blocks"):
            return ()
        return self.remember("blocks", lambda: tuple(cast("Diagnosed", self.evidence).blocks()))

    def codes_cleared(self) -> tuple[float, ...]:
        """When trouble codes were asked to be cleared by J1939; only where there are `exchanges`."""
        times_s = cast("Diagnosed", self.evidence).codes_cleared() if self.exchanges() else ()
        return tuple(float(t_s) for t_s in times_s)

    def resets(self) -> tuple[float, ...]:
        """Every moment at which a reset of latched faults was requested."""
        return self.remember("resets", lambda: tuple(np.sort(self.evidence.resets()).tolist()))

    def resets_heard(self) -> tuple[float, ...]:
        """Those that the controller must have heard."""
        return self.remember("resets heard", lambda: tuple(np.sort(self.evidence.resets_heard()).tolist()))

    def _any_set(self, flag: str) -> bool | None:
        series = self.raw("reported", flag)
        return None if series is None else bool(np.count_nonzero(series.value > FLAG_SET))

    def _read(self, side: Side, quantity: str) -> Series | None:
        found = self.raw(side, quantity)
        if found is None:
            return None
        value = np.asarray(found.value, dtype=np.float64)
        t_s = np.asarray(found.t_s, dtype=np.float64)
        if self.interrupted(side, quantity):
            return _interrupted(t_s, value, self.interruptions())
        return Series(t_s, value)

    def _powered(self) -> Runs:
        if self.extremes("output", "powered")[0] > 0.0:
            return ALWAYS
        series = self.evidence.output("powered")
        if series is None or not len(series.t_s) or np.count_nonzero(series.value) == len(series.value):
            return ALWAYS
        return runs_where(np.asarray(series.t_s, dtype=np.float64), np.asarray(series.value) > 0, self.end_s)

    def _power_ons(self) -> tuple[float, ...]:
        told: NDArray[np.float64] = self.evidence.power_ons()
        times = set(np.asarray(told, dtype=np.float64).tolist())
        powered = self.powered()
        if powered != ALWAYS:
            series = self.evidence.output("powered")
            begin_s = float(series.t_s[0]) if series is not None and len(series.t_s) else -np.inf
            times |= {run.start_s for run in powered if run.start_s > begin_s}
        return tuple(sorted(times))

    def _operational(self) -> Runs:
        boots = self.power_ons()
        up = self.powered()
        if self.bus_off():
            up = intersect(up, complement(self.bus_off()))
        if not boots:
            return up
        boot_s = float(self.evidence.boot_s)
        return intersect(up, complement(merged(Run(start_s, start_s + boot_s) for start_s in boots)))

    def _bus_off(self) -> Runs:
        if not self.extremes("given", "can_state")[1] >= _BUS_OFF:
            return NEVER
        series = self.series("given", "can_state")
        return NEVER if series is None else runs_where(series.t_s, series.value >= _BUS_OFF, self.end_s)


def _extremes_of(series: Series | None) -> tuple[float, float]:
    if series is None or not len(series.value):
        return (_NAN, _NAN)
    # argmin and argmax return the first NaN if there is one, and cost half of min and max.
    value = series.value
    return (float(value[value.argmin()]), float(value[value.argmax()]))


def _interrupted(t_s: NDArray[np.float64], value: NDArray[np.float64], at_s: tuple[float, ...]) -> Series:
    """The series with an unknown value put in at each interruption."""
    index = np.searchsorted(t_s, at_s, side="left")
    return Series(np.insert(t_s, index, at_s), np.insert(value, index, np.nan))
