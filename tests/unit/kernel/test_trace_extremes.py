# SPDX-License-Identifier: Apache-2.0
"""What the kernel works out while recording: extremes of the columns, the fastest rise of a temperature."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.kernel.config import Fault, Op, Point, Shape
from harness.kernel.simulation import Column, TraceBuffers

NS = 1_000_000_000
WINDOW_S = 3.0


def expected_extremes(buffers: TraceBuffers) -> list[tuple[float, float]]:
    return [(float(values.min()), float(values.max())) for values in buffers.columns]


@settings(deadline=None, max_examples=12)
@given(st.lists(st.sampled_from([1, 2, 7, 8, 9, 255, 256, 257, 300]), min_size=1, max_size=4))
def test_extremes_are_those_of_all_rows_however_many_runs_wrote_them(bench: Any, ticks: list[int]) -> None:
    echo = bench.Echo()
    try:
        simulation = echo.simulation(messages=(bench.vehicle(),))
        bench.eventful(simulation, 0.0)
        buffers = TraceBuffers(simulation.config, 20.0, frames_per_s=12_000)
        for n in ticks:
            simulation.run(round(simulation.now_s + n / 100, 2), buffers)
        assert expected_extremes(buffers) == buffers.extremes()
    finally:
        echo.close()


def test_cleared_buffers_forget_the_extremes_of_what_was_in_them(echo: Any) -> None:
    simulation = echo.simulation()
    state = simulation.save_state()
    simulation.plan(faults=[Fault(Point.SENSE_CURRENT_A, Op.SET, value=300.0)])
    buffers = TraceBuffers(simulation.config, 10.0, frames_per_s=12_000)
    simulation.run(1.0, buffers)
    assert buffers.extremes()[Column.GIVEN_PACK_CURRENT_A] == (300.0, 300.0)
    simulation.load_state(state)
    buffers.clear()
    assert np.isnan(buffers.extremes()).all()
    simulation.run(1.0, buffers)
    assert buffers.extremes()[Column.GIVEN_PACK_CURRENT_A] == (0.0, 0.0)
    assert expected_extremes(buffers) == buffers.extremes()


def test_a_column_with_an_unknown_value_has_no_extremes_and_the_others_keep_theirs(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(), 1.0, temps=False)
    assert np.isnan(buffers.column(Column.GIVEN_CELL_TEMP_RISE_K_PER_S)).all()
    found = buffers.extremes()
    assert np.isnan(found[Column.GIVEN_CELL_TEMP_RISE_K_PER_S]).all()
    assert not np.isnan([pair for column, pair in zip(Column, found, strict=True) if "RISE" not in column.name]).any()


def fastest_rise(temps_mdegc: Any, rows: int) -> list[float]:
    """The definition, sensor by sensor: valid at both ends, over the last 3 s or since the first row, 0 without any."""
    valid = (temps_mdegc > -45_000) & (temps_mdegc < 125_000)
    rises = []
    for now in range(len(temps_mdegc)):
        then = max(now - rows, 0)
        both = valid[now] & valid[then]
        found = (temps_mdegc[now].astype(np.int64) - temps_mdegc[then])[both]
        rises.append(float(found.max()) / 1000.0 / WINDOW_S if len(found) else 0.0)
    return rises


@pytest.mark.parametrize(("record_every", "rows"), [(1, 300), (7, 43)])
def test_the_fastest_rise_is_that_of_any_sensor_valid_now_and_three_seconds_ago(
    bench: Any, echo: Any, record_every: int, rows: int
) -> None:
    simulation = echo.simulation()
    simulation.plan(
        faults=[
            Fault(Point.SENSE_TEMP_DEGC, Op.ADD, 1, 40.0, Shape.RAMP, ramp_s=8.0, from_ns=NS),
            Fault(Point.SENSE_TEMP_DEGC, Op.SET, 2, 150.0, from_ns=4 * NS, until_ns=5 * NS),  # shorted for a second
            Fault(Point.SENSE_TEMP_DEGC, Op.SET, -1, -60.0, from_ns=11 * NS),  # none is valid any more
        ]
    )
    buffers = bench.run(simulation, 15.0, record_every=record_every)
    temps = buffers.rows("temp_mdegc")
    expected = fastest_rise(temps, rows)
    assert max(expected) == pytest.approx(5.0, abs=0.02)  # 40 K in 8 s
    assert expected[-1] == 0.0
    assert buffers.column(Column.GIVEN_CELL_TEMP_RISE_K_PER_S).tolist() == pytest.approx(expected, abs=1e-5)
