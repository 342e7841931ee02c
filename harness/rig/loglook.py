# SPDX-License-Identifier: Apache-2.0
"""A plain recording as evidence: what of the two sides a bus log holds, and when the controller was heard.

A log holds what the controller reports and what the others told it. It holds neither what its inputs were, nor what
was true, nor whether it had power. Two things are inferred, and both are said in the verdicts: a controller of which
no frame at all comes is taken to be off, and its contactor commands are those it reports.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.canbus.profile import Profile
from harness.observation import Observation
from harness.requirements.evidence import Series
from harness.requirements.model import Cycle, Requirement
from harness.trace import Frames, Trace

NS_PER_S = 1e9
VEHICLE_AGE = "vehicle_message_age_s"
INFERRED = ("powered",)  # quantities of the grid that are no measurement
_MAX_ROWS = 5_000_000  # a log of days is looked at in coarser steps
_SHORTEST_SILENCE_S = 0.1  # for products without a cyclic message
Times = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Span:
    """A time, s."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """When any message of the controller came, and the silences between and after."""

    runs: tuple[Span, ...]
    end_s: float

    @property
    def silences(self) -> tuple[Span, ...]:
        """Times after its first frame in which nothing came of the whole controller."""
        ends = [*(run.start_s for run in self.runs[1:]), self.end_s]
        pairs = [Span(run.end_s, end_s) for run, end_s in zip(self.runs, ends, strict=True)]
        return tuple(span for span in pairs if span.end_s > span.start_s)


def messages_of(profile: Profile) -> frozenset[str]:
    """The messages only the controller sends: those the profile reads or knows protected."""
    named = {binding.path.partition(".")[0] for binding in profile.bindings.values()} | set(profile.protections)
    return frozenset(named - profile.of_others)


def longest_pause_s(requirements: Collection[Requirement], timing_s: float) -> float:
    """A pause of all messages beyond this is a silence: the shortest gap that a requirement would call too long."""
    allowed = [item.period_s + item.tolerance_s for item in requirements if isinstance(item, Cycle)]
    return max(min(allowed, default=_SHORTEST_SILENCE_S), _SHORTEST_SILENCE_S) + timing_s


def heard(times_s: Times, end_s: float, pause_s: float) -> Heard:
    """When the controller was heard, of the times of all its frames in order."""
    if not len(times_s):
        return Heard((), end_s)
    breaks = np.flatnonzero(np.diff(times_s) > pause_s)
    starts = [float(times_s[0]), *times_s[breaks + 1].tolist()]
    ends = [*times_s[breaks].tolist(), float(times_s[-1])]
    if end_s - ends[-1] <= pause_s:
        ends[-1] = end_s
    return Heard(tuple(Span(*pair) for pair in zip(starts, ends, strict=True)), end_s)


def as_trace(frames: Frames, when: Heard, tick_s: float) -> Trace:
    """The recording as a trace with one inferred column: whether the controller was heard."""
    step_s = max(tick_s, when.end_s / _MAX_ROWS)
    t_s: Times = np.arange(int(np.ceil(when.end_s / step_s)) + 1, dtype=np.float64) * step_s
    powered = np.zeros(len(t_s), np.float32)
    for run in when.runs:
        powered[int(run.start_s / step_s) : int(np.ceil(run.end_s / step_s)) + 1] = 1.0
    return Trace(t_s=t_s, columns={"output": {"powered": powered}}, frames=frames)


class LogEvidence(Observation):
    """A recording as judges see it. What is reported only now and then may have changed at any time since the report
    before: quantities in `early` are taken to have changed at once after it, the others when they were reported.
    """

    def __init__(
        self,
        trace: Trace,
        profile: Profile,
        when: Heard,
        *,
        timing_s: float,
        boot_s: float,
        early: Collection[str] = (),
    ) -> None:
        super().__init__(trace, profile, timing_s=timing_s, boot_s=boot_s)
        self._when = when
        self._early = frozenset(early)

    @property
    def duration_s(self) -> float:
        """End of the recording."""
        return self._when.end_s

    def with_early(self, early: Collection[str]) -> LogEvidence:
        """The same recording with other quantities taken to have changed early; decoded only once."""
        other = LogEvidence(
            self._trace, self._profile, self._when, timing_s=self._timing_s, boot_s=self._boot_s, early=early
        )
        other._decoded, other._received = self.decoded, self._received
        return other

    def given(self, quantity: str) -> Series | None:
        """Only the age of the vehicle's messages, unknown before the first good one: the log begins at any time."""
        if quantity != VEHICLE_AGE:
            return None
        series = super().given(quantity)
        messages = self._profile.restbus_of("vehicle")
        if series is None or not messages:
            return None
        received = self._reception()
        firsts = [received.of(message).good_s[:1] for message in messages]
        known_s = max((float(first[0]) if len(first) else np.inf for first in firsts), default=np.inf)
        return Series(series.t_s, np.where(series.t_s < known_s, np.nan, series.value))

    def output(self, quantity: str) -> Series | None:
        """What the controller says of its outputs where it is taken to be early; judges take the reported one else."""
        if quantity in INFERRED:
            return super().output(quantity)
        series = self.reported(quantity) if quantity in self._early else None
        return None if series is None else _changed_early(series, self._when)

    def bounds(self, *_: object) -> None:
        """Nothing is known without a look at the samples."""
        return

    def ranges(self, side: str) -> dict[str, tuple[float, float]]:
        """Only of what is reported."""
        return dict(super().ranges("reported")) if side == "reported" else {}


def _changed_early(series: Series, when: Heard) -> Series:
    """Each value from the report before on; unknown through a silence."""
    if len(series.t_s) < 2:  # noqa: PLR2004 - no report before
        return series
    value = np.append(np.asarray(series.value[1:], np.float64), series.value[-1])
    for silence in when.silences:
        last = int(np.searchsorted(series.t_s, silence.start_s, side="right")) - 1
        if 0 <= last < len(value) - 1:
            value[last] = np.nan
    return Series(series.t_s, value)
