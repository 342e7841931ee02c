# SPDX-License-Identifier: Apache-2.0
"""Faults: what they do to the inputs of the controller, when, and whether they count as fired."""

from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.kernel.config import Fault, Op, Point, Shape
from harness.kernel.simulation import Column

MS = 1_000_000
NS = 1_000_000_000
SILENT = (("report", 0),)
VALID, OPEN_WIRE = 1, 2
CELL_UV = 3_250_000  # at rest, see echo_bench
FROM, UNTIL = 50 * MS, 150 * MS


def outcome(bench: Any, echo: Any, *faults: Fault, until_s: float = 0.2) -> tuple[Any, tuple[Any, ...]]:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=faults)
    buffers = bench.run(simulation, until_s, truth_cells=True)
    return buffers, simulation.fault_reports()


def cell(buffers: Any, index: int) -> Any:
    return buffers.rows("cell_uv")[:, index]


def at_rest(values: Any) -> Any:
    """Whether cells read what they do without a fault; they settle by some uV."""
    return np.abs(np.asarray(values, dtype=np.int64) - CELL_UV) < 200


# ---- time ------------------------------------------------------------------------------------------------------


def test_a_fault_on_sensors_acts_on_samples_from_its_begin_to_before_its_end(bench: Any, echo: Any) -> None:
    fault = Fault(Point.SENSE_CELL_V, Op.SET, 4, 3.8, from_ns=FROM, until_ns=UNTIL)
    buffers, [report] = outcome(bench, echo, fault)
    active = (buffers.row_ns >= FROM) & (buffers.row_ns < UNTIL)
    assert list(cell(buffers, 4) == 3_800_000) == list(active)
    assert at_rest(cell(buffers, 5)).all()
    assert (report.first_fired_ns, report.last_fired_ns) == (FROM, UNTIL - 10 * MS)
    assert report.active_ticks == report.fired_ticks == 10


def test_a_fault_on_the_truth_acts_on_steps_that_start_from_its_begin_to_before_its_end(bench: Any, echo: Any) -> None:
    buffers, [report] = outcome(bench, echo, Fault(Point.HVIL_OPEN, value=1, from_ns=FROM, until_ns=UNTIL))
    closed = buffers.column(Column.GIVEN_DIGITAL_IN).astype(int) >> 2 & 1
    assert list(closed) == list(~((buffers.row_ns > FROM) & (buffers.row_ns <= UNTIL)))
    assert report.first_fired_ns == FROM + 10 * MS


def test_a_plan_without_faults_ends_those_of_the_old_one(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[Fault(Point.SENSE_CELL_V, Op.INVALID), Fault(Point.HVIL_OPEN, value=1)])
    bench.run(simulation, 0.05)
    simulation.plan()
    buffers = bench.run(simulation, 0.1)
    assert (buffers.rows("cell_flags") == VALID).all()
    assert (buffers.column(Column.GIVEN_DIGITAL_IN).astype(int) >> 2 & 1).all()


def test_a_ramp_runs_from_what_is_found_to_the_value(bench: Any, echo: Any) -> None:
    fault = Fault(Point.SENSE_CURRENT_A, Op.SET, value=100.0, shape=Shape.RAMP, ramp_s=0.1, from_ns=FROM)
    buffers, _ = outcome(bench, echo, fault)
    since = np.clip(buffers.row_ns.astype(float) - FROM, 0, 100 * MS) / (100 * MS)
    assert buffers.column(Column.GIVEN_PACK_CURRENT_A) == pytest.approx(100 * since, abs=1e-3)


def test_an_intermittent_fault_acts_in_the_first_part_of_every_period(bench: Any, echo: Any) -> None:
    fault = Fault(Point.SENSE_CURRENT_A, value=50, shape=Shape.INTERMITTENT, period_s=0.04, duty=0.25, from_ns=30 * MS)
    buffers, [report] = outcome(bench, echo, fault)
    phase = (buffers.row_ns.astype(np.int64) - 30 * MS) % (40 * MS)
    acts = (phase < 10 * MS) & (buffers.row_ns >= 30 * MS)
    assert list(buffers.column(Column.GIVEN_PACK_CURRENT_A) == 50) == list(acts)
    assert report.active_ticks == acts.sum()


def test_an_intermittent_hold_takes_a_new_value_every_time(bench: Any, echo: Any) -> None:
    ramp = Fault(Point.SENSE_CURRENT_A, Op.SET, value=20.0, shape=Shape.RAMP, ramp_s=0.2)
    hold = Fault(Point.SENSE_CURRENT_A, Op.HOLD, shape=Shape.INTERMITTENT, period_s=0.1, duty=0.5)
    current = outcome(bench, echo, ramp, hold)[0].column(Column.GIVEN_PACK_CURRENT_A)
    # found at the first sample, 10 ms: 1 A; at 100 ms: 10 A
    assert current[:4] == pytest.approx([1, 1, 1, 1], abs=2e-3)
    assert current[9:14] == pytest.approx([10] * 5, abs=2e-3)
    assert current[6] == pytest.approx(7, abs=2e-3)


# ---- noise -----------------------------------------------------------------------------------------------------


def noise(index: int = -1, sigma: float = 0.01, seed: int = 3, from_ns: int = 0) -> Fault:
    return Fault(Point.SENSE_CELL_V, Op.ADD, index, 0.0, Shape.NOISE, sigma=sigma, seed=seed, from_ns=from_ns)


def test_noise_is_standard_normal_times_sigma(bench: Any, echo: Any) -> None:
    buffers, _ = outcome(bench, echo, noise(), until_s=5.0)
    z = (buffers.rows("cell_uv") / 1e6 - buffers.rows("true_cell_v")).ravel() / 0.01
    n = len(z)  # 6000 numbers: bounds are five standard errors
    assert abs(z.mean()) < 5 / n**0.5
    assert abs(z.var() - 1) < 5 * (2 / n) ** 0.5
    assert abs((z**3).mean()) < 5 * (15 / n) ** 0.5
    assert 0.66 < (np.abs(z) < 1).mean() < 0.71


def test_noise_of_cells_ticks_and_seeds_is_unrelated(bench: Any, echo: Any) -> None:
    first = outcome(bench, echo, noise(), until_s=5.0)[0].rows("cell_uv") - CELL_UV
    other = outcome(bench, echo, noise(seed=4), until_s=5.0)[0].rows("cell_uv") - CELL_UV
    pairs = [(first[:, 0], first[:, 1]), (first[:-1, 0], first[1:, 0]), (first[:, 0], other[:, 0])]
    assert all(abs(np.corrcoef(a, b)[0, 1]) < 5 / len(a) ** 0.5 for a, b in pairs)


def test_noise_at_a_tick_does_not_depend_on_what_was_before(bench: Any, echo: Any) -> None:
    early = outcome(bench, echo, noise(2))[0]
    late = outcome(bench, echo, noise(2, from_ns=100 * MS))[0]
    assert np.array_equal(cell(early, 2)[9:], cell(late, 2)[9:])
    assert not np.array_equal(cell(early, 2)[:9], cell(late, 2)[:9])


# ---- operations on what the controller is given ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("op", "value", "expected_uv"),
    [
        (Op.SET, 3.1, 3_100_000),
        (Op.ADD, -0.25, CELL_UV - 250_000),
        (Op.SCALE, 1.1, CELL_UV * 1.1),
        (Op.NEGATE, 0.0, -CELL_UV),
        (Op.SET, 1e9, 2**31 - 1),
    ],
)
def test_numbers_are_changed_as_the_operation_says(
    bench: Any, echo: Any, op: Op, value: float, expected_uv: float
) -> None:
    buffers, [report] = outcome(bench, echo, Fault(Point.SENSE_CELL_V, op, 0, value))
    assert cell(buffers, 0) == pytest.approx(expected_uv, abs=200)
    assert report.fired


@pytest.mark.parametrize(
    ("point", "column", "value"),
    [
        (Point.SENSE_CURRENT_A, Column.GIVEN_PACK_CURRENT_A, 12.345),
        (Point.SENSE_PACK_V, Column.GIVEN_PACK_VOLTAGE_V, 41.5),
        (Point.SENSE_LINK_V, Column.GIVEN_LINK_VOLTAGE_V, 17.25),
        (Point.SENSE_INSULATION_OHM, Column.GIVEN_INSULATION_OHM, 4711.0),
    ],
)
def test_single_sensors_can_be_set(bench: Any, echo: Any, point: Point, column: Column, value: float) -> None:
    buffers, [report] = outcome(bench, echo, Fault(point, value=value, from_ns=FROM))
    assert buffers.column(column)[-1] == pytest.approx(value, rel=1e-6)
    assert buffers.column(column)[3] != pytest.approx(value, rel=1e-3)
    assert report.first_fired_ns == FROM


def test_a_temperature_sensor_can_be_set_and_leads_the_extremes(bench: Any, echo: Any) -> None:
    buffers, _ = outcome(bench, echo, Fault(Point.SENSE_TEMP_DEGC, index=2, value=61.5))
    assert buffers.column(Column.GIVEN_CELL_TEMP_MAX_DEGC)[-1] == pytest.approx(61.5)
    assert buffers.column(Column.GIVEN_CELL_TEMP_MAX_INDEX)[-1] == 3
    assert buffers.column(Column.TRUTH_CELL_TEMP_MAX_DEGC)[-1] < 21


def test_invalid_clears_the_flag_and_leaves_the_value(bench: Any, echo: Any) -> None:
    buffers, [report] = outcome(bench, echo, Fault(Point.SENSE_CELL_V, Op.INVALID, 7, from_ns=FROM))
    assert list(buffers.rows("cell_flags")[-1]) == [VALID] * 7 + [0] + [VALID] * 4
    assert at_rest(cell(buffers, 7)).all()
    assert buffers.column(Column.GIVEN_CELLS_INVALID)[-1] == 1
    assert report.first_fired_ns == FROM


def test_extremes_and_sum_leave_invalid_cells_out(bench: Any, echo: Any) -> None:
    faults = (Fault(Point.SENSE_CELL_V, Op.SET, 7, 9.0), Fault(Point.SENSE_CELL_V, Op.INVALID, 7))
    buffers, _ = outcome(bench, echo, *faults)
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_MAX_V)[-1] < 3.3
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_SUM_V)[-1] == pytest.approx(11 * 3.25, abs=0.01)


def test_without_any_valid_cell_there_are_no_extremes(bench: Any, echo: Any) -> None:
    buffers, _ = outcome(bench, echo, Fault(Point.SENSE_CELL_V, Op.INVALID))
    assert buffers.column(Column.GIVEN_CELLS_INVALID)[-1] == bench.N_CELLS
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_MAX_INDEX)[-1] == 0


def test_the_current_sensor_can_lose_its_validity(bench: Any, echo: Any) -> None:
    buffers, _ = outcome(bench, echo, Fault(Point.SENSE_CURRENT_A, Op.INVALID, from_ns=FROM))
    assert list(buffers.column(Column.GIVEN_CURRENT_VALID)) == [1] * 4 + [0] * 16


def test_a_stale_cell_keeps_its_value_and_flag_while_its_age_grows(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    drift = Fault(Point.SENSE_CELL_V, Op.SET, 1, 4.0, Shape.RAMP, ramp_s=0.2)
    simulation.plan(faults=[drift, Fault(Point.SENSE_CELL_V, Op.STALE, 1, from_ns=FROM)])
    buffers = bench.run(simulation, 0.2)
    held = cell(buffers, 1)[4]
    assert held not in (CELL_UV, 4_000_000)
    assert (cell(buffers, 1)[4:] == held).all()
    assert (buffers.rows("cell_flags")[:, 1] == VALID).all()
    assert buffers.column(Column.GIVEN_CELL_AGE_MAX_S) == pytest.approx([0] * 4 + [0.01 * k for k in range(16)])


def test_an_auxiliary_contact_can_be_set_or_inverted(bench: Any, echo: Any) -> None:
    faults = (Fault(Point.SENSE_AUX, index=0, value=1), Fault(Point.SENSE_AUX, Op.NEGATE, 2))
    buffers, reports = outcome(bench, echo, *faults)
    assert int(buffers.column(Column.GIVEN_DIGITAL_IN)[-1]) >> 4 & 7 == 0b101
    assert all(report.fired for report in reports)


# ---- open sense wire -------------------------------------------------------------------------------------------


def test_an_open_wire_lets_the_lower_cell_fall_and_the_upper_take_its_voltage(bench: Any, echo: Any) -> None:
    buffers, [report] = outcome(
        bench, echo, Fault(Point.SENSE_CELL_OPEN_WIRE, index=4, value=1, from_ns=FROM), until_s=0.4
    )
    total = cell(buffers, 4).astype(np.int64) + cell(buffers, 5)
    assert np.abs(total - 2 * CELL_UV).max() < 400
    half = np.flatnonzero(buffers.row_ns == FROM + 100 * MS)[0]
    assert cell(buffers, 4)[half] == pytest.approx(CELL_UV / 2, abs=1000)
    assert cell(buffers, 4)[-1] == 0
    assert report.first_fired_ns == FROM + 10 * MS


def test_the_front_end_finds_an_open_wire_after_its_diagnosis_period(bench: Any, echo: Any) -> None:
    fault = Fault(Point.SENSE_CELL_OPEN_WIRE, index=4, value=1, from_ns=FROM, until_ns=350 * MS)
    buffers, _ = outcome(bench, echo, fault, until_s=0.4)
    found = (buffers.row_ns >= FROM + 200 * MS) & (buffers.row_ns < 350 * MS)
    for index in (4, 5):
        assert list(buffers.rows("cell_flags")[:, index] == OPEN_WIRE) == list(found)
    assert list(buffers.column(Column.GIVEN_CELLS_OPEN_WIRE)) == list(2 * found)
    assert (buffers.rows("cell_flags")[:, 6] == VALID).all()
    assert at_rest(cell(buffers, 4)[-1])


# ---- fired -----------------------------------------------------------------------------------------------------


def test_a_fault_that_says_what_is_there_anyway_does_not_fire(bench: Any, echo: Any) -> None:
    buffers, reports = outcome(
        bench,
        echo,
        Fault(Point.SENSE_LINK_V, value=0.0),
        Fault(Point.SENSE_AUX, index=1, value=0),
        Fault(Point.SENSE_CURRENT_A, Op.NEGATE),
        Fault(Point.SENSE_CELL_V, Op.SCALE, 3, 1.0),
    )
    assert [report.fired for report in reports] == [False] * 4
    assert [report.active_ticks for report in reports] == [20] * 4
    assert buffers.n_rows == 20


def test_a_fault_whose_effect_a_later_one_overwrites_does_not_fire(bench: Any, echo: Any) -> None:
    first, second = (Fault(Point.SENSE_CELL_V, Op.SET, 3, volts) for volts in (3.8, 3.7))
    _, reports = outcome(bench, echo, first, second)
    assert [report.fired for report in reports] == [False, True]


def test_an_overwritten_fault_fires_once_it_is_uncovered(bench: Any, echo: Any) -> None:
    first = Fault(Point.SENSE_CELL_V, Op.SET, 3, 3.8)
    second = Fault(Point.SENSE_CELL_V, Op.SET, 3, 3.7, until_ns=UNTIL)
    _, [report, _] = outcome(bench, echo, first, second)
    assert report.first_fired_ns == UNTIL


def test_two_faults_that_each_would_do_both_fire(bench: Any, echo: Any) -> None:
    fault = Fault(Point.SENSE_CELL_V, Op.SET, 3, 3.8)
    other = Fault(Point.SENSE_CURRENT_A, Op.SET, value=10)
    _, reports = outcome(bench, echo, fault, fault, other)
    assert [report.fired for report in reports] == [True, True, True]


def test_faults_on_different_cells_do_not_hide_each_other(bench: Any, echo: Any) -> None:
    _, reports = outcome(bench, echo, *(Fault(Point.SENSE_CELL_V, Op.SET, i, 3.8) for i in range(5)))
    assert [report.fired_ticks for report in reports] == [20] * 5


def test_two_faults_that_cancel_do_not_fire_alone_but_each_is_needed(bench: Any, echo: Any) -> None:
    _, reports = outcome(bench, echo, *(Fault(Point.SENSE_CELL_V, Op.ADD, 3, volts) for volts in (0.1, -0.1)))
    assert [report.fired for report in reports] == [True, True]  # without either the inputs would be others


def test_a_fault_that_has_not_begun_has_not_fired(bench: Any, echo: Any) -> None:
    _, [report] = outcome(bench, echo, Fault(Point.SENSE_CELL_V, Op.SET, 3, 3.8, from_ns=NS))
    assert (report.first_fired_ns, report.last_fired_ns, report.active_ticks) == (None, None, 0)


# ---- the truth -------------------------------------------------------------------------------------------------


def test_a_held_cell_is_true_and_given(bench: Any, echo: Any) -> None:
    buffers, [report] = outcome(bench, echo, Fault(Point.CELL_VOLTAGE, index=5, value=3.6, from_ns=FROM))
    assert buffers.rows("true_cell_v")[-1][5] == pytest.approx(3.6, abs=1e-4)
    assert cell(buffers, 5)[-1] == pytest.approx(3_600_000, abs=100)
    assert at_rest(cell(buffers, 4)).all()
    assert report.fired


def test_a_ramp_of_a_held_cell_starts_where_the_cell_was(bench: Any, echo: Any) -> None:
    fault = Fault(Point.CELL_VOLTAGE, Op.ADD, 5, 0.2, Shape.RAMP, ramp_s=0.1, from_ns=FROM)
    buffers, _ = outcome(bench, echo, fault)
    since = np.clip(buffers.row_ns.astype(float) - 10 * MS - FROM, 0, 100 * MS) / (100 * MS)
    assert cell(buffers, 5) == pytest.approx(CELL_UV + 200_000 * since, abs=300)


def test_the_truth_goes_back_when_the_fault_ends(bench: Any, echo: Any) -> None:
    faults = (
        Fault(Point.INSULATION_POSITIVE_OHM, value=1000.0, until_ns=UNTIL),
        Fault(Point.CRASH, value=1, until_ns=UNTIL),
        Fault(Point.SUPPLY_V, value=20.0, until_ns=UNTIL),
    )
    buffers, reports = outcome(bench, echo, *faults)
    # poles of 1 kohm and 2 Mohm in parallel
    assert buffers.column(Column.GIVEN_INSULATION_OHM)[5] == pytest.approx(2e9 / 2.001e6, rel=1e-3)
    assert buffers.column(Column.GIVEN_INSULATION_OHM)[-1] == pytest.approx(1e6, rel=1e-6)
    assert [int(bits) >> 3 & 1 for bits in buffers.column(Column.GIVEN_DIGITAL_IN)[[5, -1]]] == [1, 0]
    assert buffers.column(Column.GIVEN_SUPPLY_V)[[5, -1]] == pytest.approx([20, 24])
    assert all(report.fired for report in reports)


def test_a_welded_contactor_that_was_never_closed_changes_no_input(bench: Any, echo: Any) -> None:
    _, [report] = outcome(bench, echo, Fault(Point.CONTACTOR_STUCK_OPEN, index=0, value=1))
    assert not report.fired


# ---- plans -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(Point.SENSE_CELL_V, index=12), "index out of range"),
        (Fault(Point.SENSE_CELL_OPEN_WIRE, index=11), "index out of range"),
        (Fault(Point.SENSE_CELL_OPEN_WIRE, index=-1), "needs an index"),
        (Fault(Point.SENSE_TEMP_DEGC, index=4), "index out of range"),
        (Fault(Point.HVIL_OPEN, index=1), "index out of range"),
        (Fault(Point.HVIL_OPEN, Op.STALE), "operation not possible"),
        (Fault(Point.SENSE_AUX, Op.INVALID, 0), "operation not possible"),
        (Fault(Point.MESSAGE_LOST, index=0), "no such point"),
        (Fault(Point.SENSE_CURRENT_A, value=float("nan")), "finite"),
        (Fault(Point.SENSE_CURRENT_A, shape=Shape.RAMP), "ramp_s"),
        (Fault(Point.SENSE_CURRENT_A, shape=Shape.INTERMITTENT, period_s=1, duty=2), "duty"),
        (Fault(Point.SENSE_CURRENT_A, shape=Shape.NOISE, sigma=-1), "sigma"),
        (Fault(Point.SENSE_CURRENT_A, from_ns=5, until_ns=5), "until_ns"),
        (Fault(Point.CELL_VOLTAGE, index=0, value=101.0), "no such voltage"),
        (Fault(99), "no such point"),  # type: ignore[arg-type]
    ],
)
def test_impossible_faults_are_refused_with_the_reason(echo: Any, fault: Fault, reason: str) -> None:
    with pytest.raises(UsageError, match=rf"fault 0 of the plan .*{reason}"):
        echo.simulation().plan(faults=[fault])


def test_a_refused_plan_leaves_the_old_one(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[Fault(Point.SENSE_CELL_V, Op.SET, 0, 3.8)])
    with pytest.raises(UsageError):
        simulation.plan(faults=[Fault(Point.SENSE_CELL_V, index=99)])
    assert cell(bench.run(simulation, 0.05), 0)[-1] == 3_800_000
    assert simulation.fault_reports()[0].fired
