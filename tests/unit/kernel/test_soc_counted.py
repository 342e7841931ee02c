# SPDX-License-Identifier: Apache-2.0
"""The perfect count of the current the controller is given, beside the true state of charge."""

from typing import Any

import pytest

from harness.kernel.columns import Column
from harness.kernel.config import Event, EventKind, Fault, Op, Point

SECOND = 1_000_000_000
READ_A = 300.0
TICK_S = 0.01


def last(buffers: Any, column: Column) -> float:
    return float(buffers.column(column)[-1])


def share(simulation: Any, ampere_seconds: float) -> float:
    """Of the mean of all cells, 0..1."""
    capacities = simulation.config.pack.capacity_ah
    return float(sum(ampere_seconds / 3600.0 / capacity for capacity in capacities) / len(capacities))


def test_it_begins_at_the_truth_and_stays_there_without_current(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(), 0.5)
    assert last(buffers, Column.GIVEN_SOC_COUNTED) == pytest.approx(last(buffers, Column.TRUTH_SOC_MEAN), abs=1e-6)


@pytest.mark.parametrize("read_a", [READ_A, -READ_A])
def test_a_reading_moves_it_and_not_the_truth(bench: Any, echo: Any, read_a: float) -> None:
    simulation = echo.simulation()
    true = last(bench.run(simulation, 0.1), Column.TRUTH_SOC_MEAN)
    simulation.plan(faults=[Fault(Point.SENSE_CURRENT_A, value=read_a, from_ns=SECOND)])
    buffers = bench.run(simulation, 3.0)
    assert last(buffers, Column.TRUTH_SOC_MEAN) == pytest.approx(true, abs=1e-6)
    moved = last(buffers, Column.GIVEN_SOC_COUNTED) - true
    readings = 201  # from 1.00 to 3.00 s, each for a tick
    assert moved == pytest.approx(-share(simulation, readings * TICK_S * read_a), rel=1e-3)


def test_a_controller_without_power_counts_nothing(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    off = [Event(0, EventKind.POWER, value=0.0)]
    simulation.plan(off, [Fault(Point.SENSE_CURRENT_A, value=READ_A)])
    count = bench.run(simulation, 2.0).column(Column.GIVEN_SOC_COUNTED)
    assert count[-1] == pytest.approx(count[1], abs=1e-7)


def test_a_reading_that_is_not_valid_counts_nothing(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    invalid = Fault(Point.SENSE_CURRENT_A, Op.INVALID, from_ns=0)
    simulation.plan(faults=[Fault(Point.SENSE_CURRENT_A, value=READ_A), invalid])
    count = bench.run(simulation, 2.0).column(Column.GIVEN_SOC_COUNTED)
    assert count[-1] == pytest.approx(count[1], abs=1e-7)


def test_charge_set_by_hand_moves_the_truth_alone(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    before = last(bench.run(simulation, 0.1), Column.GIVEN_SOC_COUNTED)
    simulation.plan([Event(SECOND // 2, EventKind.SOC, value=0.2)])
    buffers = bench.run(simulation, 1.0)
    assert last(buffers, Column.TRUTH_SOC_MEAN) == pytest.approx(0.2, abs=1e-4)
    assert last(buffers, Column.GIVEN_SOC_COUNTED) == pytest.approx(before, abs=1e-6)
