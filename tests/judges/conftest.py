# SPDX-License-Identifier: Apache-2.0
"""Hand-made evidence: what the controller was given every 10 ms, what it reported every 100 ms and on change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.requirements.evidence import Evidence, MessageSeries, Series

Points = Sequence[tuple[float, float]]
Columns = Mapping[str, Points | Series]
TICK_S = 0.01
CYCLE_S = 0.1


@dataclass(frozen=True)
class FakeEvidence:
    """Evidence from breakpoints: [(0.0, 3.3), (2.0, 3.8)] is 3.3 from the start and 3.8 from 2.0 s on."""

    duration_s: float = 10.0
    timing_s: float = 0.01
    boot_s: float = 0.5
    given_points: Columns = field(default_factory=dict)
    truth_points: Columns = field(default_factory=dict)
    output_points: Columns = field(default_factory=dict)
    reported_points: Columns = field(default_factory=dict)
    messages: Mapping[str, MessageSeries] = field(default_factory=dict)
    reset_times: Sequence[float] = ()
    power_on_times: Sequence[float] = ()

    def given(self, quantity: str) -> Series | None:
        return self._sampled(self.given_points, quantity, TICK_S, on_change=False)

    def truth(self, quantity: str) -> Series | None:
        return self._sampled(self.truth_points, quantity, TICK_S, on_change=False)

    def output(self, quantity: str) -> Series | None:
        return self._sampled(self.output_points, quantity, TICK_S, on_change=False)

    def reported(self, quantity: str) -> Series | None:
        return self._sampled(self.reported_points, quantity, CYCLE_S, on_change=True)

    def message(self, name: str, *, counter: str | None, crc: str | None) -> MessageSeries | None:  # noqa: ARG002 - port
        return self.messages.get(name)

    def resets(self) -> NDArray[np.float64]:
        return np.array(self.reset_times, dtype=np.float64)

    def resets_heard(self) -> NDArray[np.float64]:
        return self.resets()

    def power_ons(self) -> NDArray[np.float64]:
        return np.array(self.power_on_times, dtype=np.float64)

    def _sampled(self, columns: Columns, quantity: str, period_s: float, *, on_change: bool) -> Series | None:
        points = columns.get(quantity)
        if points is None or isinstance(points, Series):
            return points
        times = np.round(np.arange(round(self.duration_s / period_s) + 1) * period_s, 6)
        if on_change:
            times = np.unique(np.concatenate([times, [t_s for t_s, _ in points]]))
        starts = np.array([t_s for t_s, _ in points])
        index = np.searchsorted(starts, times, side="right") - 1
        keep = index >= 0
        return Series(times[keep], np.array([value for _, value in points])[index[keep]])


Make = Callable[..., Evidence]


@pytest.fixture
def evidence() -> Make:
    """Makes evidence of breakpoints by side."""

    def make(
        *,
        given: Columns | None = None,
        truth: Columns | None = None,
        output: Columns | None = None,
        reported: Columns | None = None,
        resets: Sequence[float] = (),
        power_ons: Sequence[float] = (),
        messages: Mapping[str, MessageSeries] | None = None,
        duration_s: float = 10.0,
        timing_s: float = 0.01,
    ) -> Evidence:
        return FakeEvidence(
            duration_s=duration_s,
            timing_s=timing_s,
            given_points=given or {},
            truth_points=truth or {},
            output_points=output or {},
            reported_points=reported or {},
            messages=messages or {},
            reset_times=resets,
            power_on_times=power_ons,
        )

    return make
