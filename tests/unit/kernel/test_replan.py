# SPDX-License-Identifier: Apache-2.0
"""A plan replaced while it runs: with `keep`, faults that stay in it go on; without, everything begins anew."""

from types import ModuleType
from typing import Any

import pytest

from harness.errors import UsageError
from harness.kernel.columns import Column
from harness.kernel.config import Fault, Message, Op, Point, Shape

S = 1_000_000_000
OTHER = Fault(Point.SENSE_LINK_V, Op.ADD, -1, 3.0)
DRIFT = Fault(Point.SENSE_CURRENT_A, Op.DRIFT, -1, 10.0)


def given(bench: ModuleType, simulation: Any, seconds: float, column: Column) -> float:
    return float(bench.run(simulation, simulation.now_s + seconds).column(column)[-1])


@pytest.mark.parametrize(("keep", "expected"), [(True, 20.0), (False, 10.0)])
def test_a_drift_goes_on_from_where_it_was(bench: ModuleType, echo: Any, *, keep: bool, expected: float) -> None:
    simulation = echo.simulation()
    simulation.plan((), (DRIFT,))
    given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A)
    simulation.plan((), (OTHER, DRIFT), keep=keep)
    assert given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A) == pytest.approx(expected, abs=0.25)


@pytest.mark.parametrize("op", [Op.HOLD, Op.HOLD_FIRST])
def test_a_held_reading_stays_what_it_was(bench: ModuleType, echo: Any, op: Op) -> None:
    simulation = echo.simulation()
    moved = Fault(Point.CELL_VOLTAGE, Op.SET, 2, 3.6)
    held = Fault(Point.SENSE_CELL_V, op, 2, from_ns=S // 2)
    simulation.plan((), (moved,))
    given(bench, simulation, 0.5, Column.GIVEN_CELL_VOLTAGE_MAX_V)
    simulation.plan((), (moved, held), keep=True)
    given(bench, simulation, 0.5, Column.GIVEN_CELL_VOLTAGE_MAX_V)
    simulation.plan((), (held,), keep=True)
    assert given(bench, simulation, 0.5, Column.GIVEN_CELL_VOLTAGE_MAX_V) == pytest.approx(3.6)


def test_reports_go_with_their_faults_in_any_order(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    faults = [Fault(Point.SENSE_CELL_V, Op.ADD, cell, 0.1, from_ns=cell * S // 10) for cell in range(6)]
    simulation.plan((), faults)
    bench.run(simulation, 1.0)
    before = simulation.fault_reports()
    order = (5, 0, 3, 1, 4)
    simulation.plan((), [OTHER, *(faults[place] for place in order)], keep=True)
    after = simulation.fault_reports()
    assert [report.fired_ticks for report in after] == [0, *(before[place].fired_ticks for place in order)]
    assert [report.first_fired_ns for report in after[1:]] == [before[place].first_fired_ns for place in order]


def test_two_rows_alike_are_two_faults(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan((), (DRIFT, DRIFT))
    given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A)
    simulation.plan((), (DRIFT, DRIFT, DRIFT), keep=True)
    # two are 2 s old, one is 1 s old
    assert given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A) == pytest.approx(50.0, abs=0.7)


def test_a_row_with_another_field_is_another_fault(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan((), (DRIFT,))
    given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A)
    ended = Fault(Point.SENSE_CURRENT_A, Op.DRIFT, -1, 10.0, until_ns=90 * S)
    simulation.plan((), (ended,), keep=True)
    assert given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A) == pytest.approx(10.0, abs=0.25)


def test_ramps_and_counts_go_on(bench: ModuleType, echo: Any) -> None:
    message: Message = bench.vehicle()
    simulation = echo.simulation(messages=(message,))
    ramp = Fault(Point.SENSE_PACK_V, Op.ADD, -1, 100.0, Shape.RAMP, ramp_s=2.0)
    counter = Fault(Point.MESSAGE_COUNTER, Op.SET, 0, 9.0, count=80)
    simulation.plan((), (ramp, counter))
    bench.run(simulation, 0.5)
    simulation.plan((), (counter, ramp, OTHER), keep=True)
    bench.run(simulation, 1.5)
    (reported, _, _) = simulation.fault_reports()
    assert reported.fired_ticks <= 80
    assert reported.fired_ticks > 60  # those whose right value is 9 changed nothing


def test_a_plan_that_is_refused_changes_nothing(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan((), (DRIFT,))
    given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A)
    with pytest.raises(UsageError, match="index out of range"):
        simulation.plan((), (DRIFT, Fault(Point.SENSE_CELL_V, Op.SET, 999, 1.0)), keep=True)
    assert given(bench, simulation, 1.0, Column.GIVEN_PACK_CURRENT_A) == pytest.approx(20.0, abs=0.25)
