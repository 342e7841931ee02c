# SPDX-License-Identifier: Apache-2.0
"""Faults on readings that depend on their past or on chance, faults of wires, and spans."""

from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.kernel.config import Fault, Op, Point, Shape
from harness.kernel.simulation import Column

MS = 1_000_000
SILENT = (("report", 0),)
CELL_UV = 3_250_000  # at rest, see echo_bench
FROM = 50 * MS
RISING_S = 0.5
SETTLED_UV = 200  # cells at rest settle by some uV


def played(bench: Any, echo: Any, *faults: Fault, until_s: float = RISING_S) -> tuple[Any, tuple[Any, ...]]:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=faults)
    return bench.run(simulation, until_s), simulation.fault_reports()


def rising() -> Fault:
    """A current that rises by 100 A a second: in tick n, which ends at 10 n ms, it is n A."""
    return Fault(Point.SENSE_CURRENT_A, value=100.0 * RISING_S, shape=Shape.RAMP, ramp_s=RISING_S)


def current(buffers: Any) -> Any:
    return buffers.column(Column.GIVEN_PACK_CURRENT_A)


def cells(buffers: Any) -> Any:
    return buffers.rows("cell_uv")[-1].astype(np.int64)


# ---- one reading -----------------------------------------------------------------------------------------------


def test_a_drift_grows_with_the_time_since_it_began(bench: Any, echo: Any) -> None:
    fault = Fault(Point.SENSE_CURRENT_A, Op.DRIFT, value=-40.0, from_ns=FROM)
    buffers, [report] = played(bench, echo, fault)
    since_s = np.clip(buffers.row_ns.astype(float) - FROM, 0, None) / 1e9
    assert current(buffers) == pytest.approx(-40.0 * since_s, abs=1e-3)
    assert report.first_fired_ns == FROM + 10 * MS


def test_a_coarse_reading_is_the_nearest_multiple_of_its_step(bench: Any, echo: Any) -> None:
    buffers, _ = played(bench, echo, rising(), Fault(Point.SENSE_CURRENT_A, Op.QUANTISE, value=8.0))
    ticks = np.arange(1, 1 + len(current(buffers)))
    assert list(current(buffers)) == list(8.0 * np.round(ticks / 8.0))


def test_a_delayed_reading_is_the_true_one_of_some_time_ago(bench: Any, echo: Any) -> None:
    """A held cell that ramps: what is delayed is what was true, and before anything was kept, the oldest there is."""
    ramp = Fault(Point.CELL_VOLTAGE, Op.ADD, 5, 0.5, Shape.RAMP, ramp_s=RISING_S)
    plain, _ = played(bench, echo, ramp)
    late, reports = played(bench, echo, ramp, Fault(Point.SENSE_CELL_V, Op.DELAY, 5, 0.12))
    was, now = plain.rows("cell_uv")[:, 5], late.rows("cell_uv")[:, 5]
    assert list(now[12:]) == list(was[:-12])
    assert set(now[:12]) == {was[0]}
    assert reports[1].fired


def test_delays_are_kept_from_the_plan_on_so_that_one_that_begins_later_knows_the_past(bench: Any, echo: Any) -> None:
    ramp = Fault(Point.CELL_VOLTAGE, Op.ADD, 5, 0.5, Shape.RAMP, ramp_s=RISING_S)
    plain, _ = played(bench, echo, ramp)
    late, _ = played(bench, echo, ramp, Fault(Point.SENSE_CELL_V, Op.DELAY, 5, 0.1, from_ns=200 * MS))
    was, now = plain.rows("cell_uv")[:, 5], late.rows("cell_uv")[:, 5]
    assert list(now[:19]) == list(was[:19])
    assert list(now[19:]) == list(was[9:-10])


def test_a_delay_of_a_second_is_possible_at_most(echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan(faults=[Fault(Point.SENSE_CELL_V, Op.DELAY, 0, 1.0)])
    with pytest.raises(UsageError, match="not longer than readings are kept"):
        simulation.plan(faults=[Fault(Point.SENSE_CELL_V, Op.DELAY, 0, 1.01)])


def test_the_first_reading_is_that_of_the_moment_of_the_plan(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[rising()])
    first = current(bench.run(simulation, 0.1))[-1]
    held = Fault(Point.SENSE_CURRENT_A, Op.HOLD_FIRST, from_ns=150 * MS)
    simulation.plan(faults=[rising(), held])
    then = current(bench.run(simulation, 0.2))
    assert first == pytest.approx(10.0)
    assert then == pytest.approx([11.0, 12.0, 13.0, 14.0, *[10.0] * 6])


def test_spikes_come_in_their_share_of_the_samples_half_of_them_upwards(bench: Any, echo: Any) -> None:
    fault = Fault(Point.SENSE_CURRENT_A, Op.SPIKE, value=30.0, probability=0.2, seed=4)
    buffers, [report] = played(bench, echo, fault, until_s=20.0)
    spikes = current(buffers)
    n = len(spikes)
    assert set(spikes.tolist()) == {0.0, 30.0, -30.0}
    # binomial: five standard errors
    assert np.count_nonzero(spikes) / n == pytest.approx(0.2, abs=5 * (0.2 * 0.8 / n) ** 0.5)
    assert np.count_nonzero(spikes > 0) / n == pytest.approx(0.1, abs=5 * (0.1 * 0.9 / n) ** 0.5)
    assert report.fired_ticks == np.count_nonzero(spikes)


def test_spikes_of_two_cells_are_unrelated_and_a_seed_repeats_them(bench: Any, echo: Any) -> None:
    def spikes(seed: int) -> Any:
        fault = Fault(Point.SENSE_CELL_V, Op.SPIKE, -1, 1.0, probability=0.3, seed=seed)
        values = played(bench, echo, fault, until_s=5.0)[0].rows("cell_uv")
        return np.abs(values - CELL_UV) > SETTLED_UV

    first = spikes(7)
    assert np.array_equal(first, spikes(7))
    assert not np.array_equal(first, spikes(8))
    assert abs(np.corrcoef(first[:, 0], first[:, 1])[0, 1]) < 5 / len(first) ** 0.5


def test_a_span_is_so_many_elements_and_no_more(bench: Any, echo: Any) -> None:
    buffers, _ = played(bench, echo, Fault(Point.SENSE_CELL_V, Op.INVALID, 3, span=4))
    assert list(buffers.rows("cell_flags")[-1]) == [1] * 3 + [0] * 4 + [1] * 5


@pytest.mark.parametrize("fault", [Fault(Point.SENSE_CELL_V, index=9, span=4), Fault(Point.SENSE_CELL_V, span=2)])
def test_a_span_beyond_the_end_is_refused(echo: Any, fault: Fault) -> None:
    with pytest.raises(UsageError, match="span"):
        echo.simulation().plan(faults=[fault])


def test_a_late_auxiliary_contact_follows_after_its_delay(bench: Any, echo: Any) -> None:
    def closes_ns(*faults: Fault) -> int:
        simulation = echo.simulation(parameters=SILENT)
        simulation.plan(faults=faults)
        simulation.send(bench.command(bench.CONTACTORS, 1))
        buffers = bench.run(simulation, 0.5)
        closed = buffers.column(Column.GIVEN_DIGITAL_IN).astype(int) & 16 > 0
        return int(buffers.row_ns[closed.argmax()])

    assert closes_ns(Fault(Point.SENSE_AUX, Op.DELAY, 0, 0.15)) - closes_ns() == 150 * MS


# ---- wires -----------------------------------------------------------------------------------------------------


def test_exchanged_wires_turn_the_cell_between_them_round(bench: Any, echo: Any) -> None:
    """The wires above cells 4 and 5: cell 4 is read with 5 in series, 5 backwards, 6 with 5 in series."""
    buffers, [report] = played(bench, echo, Fault(Point.SENSE_WIRE_SWAP, index=4, value=1.0))
    expected = np.full(12, CELL_UV)
    expected[4], expected[5], expected[6] = 2 * CELL_UV, -CELL_UV, 2 * CELL_UV
    assert np.abs(cells(buffers) - expected).max() < 3 * SETTLED_UV
    assert report.fired


@pytest.mark.parametrize(("ohm", "left"), [(0.0, 0.0), (200.0, 0.5), (1800.0, 0.9)])
def test_a_short_between_wires_divides_the_voltage_with_both_filter_resistors(
    bench: Any, echo: Any, ohm: float, left: float
) -> None:
    """Two filters of 100 ohm: R / (R + 200) of the cell is left; half of the rest adds to each neighbour."""
    buffers, _ = played(bench, echo, Fault(Point.SENSE_WIRE_SHORT_OHM, index=4, value=ohm))
    expected = np.full(12, CELL_UV)
    expected[4] = left * CELL_UV
    expected[[3, 5]] += round(0.5 * (1.0 - left) * CELL_UV)
    assert np.abs(cells(buffers) - expected).max() < 2 * SETTLED_UV


def test_a_short_at_the_end_of_the_string_has_one_neighbour(bench: Any, echo: Any) -> None:
    buffers, _ = played(bench, echo, Fault(Point.SENSE_WIRE_SHORT_OHM, index=0, value=0.0))
    assert cells(buffers)[0] == 0
    assert cells(buffers)[1] == pytest.approx(1.5 * CELL_UV, abs=2 * SETTLED_UV)


@pytest.mark.parametrize(
    ("point", "where", "rows"),
    [
        (Point.SENSE_CELL_SWAP, Point.SENSE_CELL_V, "cell_uv"),
        (Point.SENSE_TEMP_SWAP, Point.SENSE_TEMP_DEGC, "temp_mdegc"),
    ],
)
def test_swapped_sensors_read_each_other(bench: Any, echo: Any, point: Point, where: Point, rows: str) -> None:
    marked = Fault(where, Op.SET, 1, 4.0)
    plain = played(bench, echo, marked)[0].rows(rows)[-1]
    swapped = played(bench, echo, marked, Fault(point, index=1, value=1.0))[0].rows(rows)[-1]
    assert list(swapped) == [plain[0], plain[2], plain[1], *plain[3:]]


@pytest.mark.parametrize(
    ("hidden", "cover"),
    [
        (Fault(Point.SENSE_WIRE_SHORT_OHM, index=4, value=0.0), Fault(Point.SENSE_CELL_V, value=3.3)),
        (Fault(Point.SENSE_WIRE_SWAP, index=4, value=1.0), Fault(Point.SENSE_CELL_V, value=3.3)),
        (Fault(Point.SENSE_TEMP_SWAP, index=1, value=1.0), Fault(Point.SENSE_TEMP_DEGC, value=25.0)),
    ],
)
def test_a_fault_of_the_wires_that_a_later_one_covers_does_not_fire(
    bench: Any, echo: Any, hidden: Fault, cover: Fault
) -> None:
    _, reports = played(bench, echo, hidden, cover)
    assert [report.fired for report in reports] == [False, True]


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (Fault(Point.SENSE_WIRE_SWAP, index=10, value=1.0), "index out of range"),
        (Fault(Point.SENSE_CELL_SWAP, index=11, value=1.0), "index out of range"),
        (Fault(Point.SENSE_TEMP_SWAP, index=3, value=1.0), "index out of range"),
        (Fault(Point.SENSE_CELL_SWAP, index=-1, value=1.0), "needs an index"),
        (Fault(Point.SENSE_CELL_SWAP, Op.HOLD, 1), "operation not possible"),
        (Fault(Point.SENSE_CURRENT_A, Op.RANDOM), "operation not possible"),
        (Fault(Point.CRASH, Op.DRIFT), "operation not possible"),
        (Fault(Point.SENSE_AUX, Op.DRIFT, 0), "operation not possible"),
        (Fault(Point.SENSE_CURRENT_A, Op.QUANTISE), "step must be > 0"),
        (Fault(Point.SENSE_CURRENT_A, Op.SPIKE, probability=1.5), "share of spikes"),
        (Fault(Point.START_TICK_MS, value=2.0**32), "0 to 4294967295"),
    ],
)
def test_impossible_ones_are_refused_with_the_reason(echo: Any, fault: Fault, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        echo.simulation().plan(faults=[fault])
