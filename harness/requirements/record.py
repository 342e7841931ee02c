# SPDX-License-Identifier: Apache-2.0
"""One evidence as the judges read it: numbers as float64, power cuts marked, shared work done once.

A `Record` lives for one judging. It only remembers; the judges stay pure functions of evidence and requirement.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from harness.requirements.evidence import Evidence, Series
from harness.requirements.intervals import ALWAYS, Run, Runs, complement, intersect, merged, runs_where
from harness.requirements.model import Side

Found = TypeVar("Found")

# Two times closer than this are never told apart: float64 seconds of a day-long record are exact to some 10 ps.
TIME_EPSILON_S = 1e-6
FLAG_SET = 0.5  # halfway between clear and set
_NAN = float("nan")


class Record:
    """Evidence with a memory. `slack_s` is what every window is widened by: the timing uncertainty."""

    __slots__ = ("_extremes", "_flags", "_memory", "_raw", "_series", "end_s", "evidence", "slack_s")

    def __init__(self, evidence: Evidence) -> None:
        self.evidence = evidence
        self.end_s = float(evidence.duration_s)
        self.slack_s = float(evidence.timing_s) + TIME_EPSILON_S
        self._raw: dict[tuple[Side, str], Series | None] = {}
        self._series: dict[tuple[Side, str], Series | None] = {}
        self._extremes: dict[tuple[Side, str], tuple[float, float]] = {}
        self._flags: dict[str, bool | None] = {}
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
        key = (side, quantity)
        found = self._extremes.get(key)
        if found is None:
            found = self._extremes[key] = _extremes_of(self.raw(side, quantity))
        return found

    def ever_set(self, flag: str) -> bool | None:
        """Whether a flag was reported set at any time; None when it is not reported at all."""
        if flag not in self._flags:
            series = self.raw("reported", flag)
            self._flags[flag] = None if series is None else _any_set(series.value)
        return self._flags[flag]

    def powered(self) -> Runs:
        """When the controller had power; always, where the rig does not record it."""
        return self.remember("powered", self._powered)

    def operational(self) -> Runs:
        """When the controller had power and its boot time was over."""
        return self.remember("operational", self._operational)

    def power_ons(self) -> tuple[float, ...]:
        """Every moment at which power came on within the record, rising."""
        return self.remember("power_ons", self._power_ons)

    def resets(self) -> tuple[float, ...]:
        """Every moment at which a reset of latched faults was requested."""
        return self.remember("resets", lambda: tuple(np.sort(self.evidence.resets()).tolist()))

    def _read(self, side: Side, quantity: str) -> Series | None:
        found = self.raw(side, quantity)
        if found is None:
            return None
        value = np.asarray(found.value, dtype=np.float64)
        t_s = np.asarray(found.t_s, dtype=np.float64)
        told = side == "reported" or (side == "output" and self.evidence.output(quantity) is None)
        if told and self._interruptions():
            return _interrupted(t_s, value, self._interruptions())
        return Series(t_s, value)

    def _interruptions(self) -> tuple[float, ...]:
        return self.remember(
            "interruptions",
            lambda: tuple(
                sorted({*self.power_ons(), *(run.end_s for run in self.powered() if run.end_s < self.end_s)})
            ),
        )

    def _powered(self) -> Runs:
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
        if not boots:
            return self.powered()
        boot_s = float(self.evidence.boot_s)
        return intersect(self.powered(), complement(merged(Run(start_s, start_s + boot_s) for start_s in boots)))


def _extremes_of(series: Series | None) -> tuple[float, float]:
    if series is None or not len(series.value):
        return (_NAN, _NAN)
    # argmin and argmax return the first NaN if there is one, and cost half of min and max.
    value = series.value
    return (float(value[value.argmin()]), float(value[value.argmax()]))


def _any_set(value: NDArray[Any]) -> bool:
    return bool(np.count_nonzero(value)) and bool(np.count_nonzero(value > FLAG_SET))


def _interrupted(t_s: NDArray[np.float64], value: NDArray[np.float64], at_s: tuple[float, ...]) -> Series:
    """The series with an unknown value put in at each interruption."""
    index = np.searchsorted(t_s, at_s, side="left")
    return Series(np.insert(t_s, index, at_s), np.insert(value, index, np.nan))
