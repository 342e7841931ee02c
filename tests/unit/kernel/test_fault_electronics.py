# SPDX-License-Identifier: Apache-2.0
"""Faults of the controller's clock, reset and memory, of the coils and of what hangs on the link."""

from typing import Any

import numpy as np
import pytest

from harness.kernel.config import Event, EventKind, Fault, Point
from harness.kernel.simulation import Column

MS = 1_000_000
NS = 1_000_000_000
POSITIVE, NEGATIVE = 1, 2
EMF_V = 12 * 3.25  # twelve cells at rest, see echo_bench


def power_cycle(off_ns: int, on_ns: int) -> list[Event]:
    return [Event(off_ns, EventKind.POWER, value=0), Event(on_ns, EventKind.POWER, value=1)]


def powered(buffers: Any) -> Any:
    return buffers.column(Column.OUTPUT_POWERED).astype(int)


def power_ons(bench: Any, buffers: Any) -> int:
    """As counted in the NVM of echo.c."""
    return int(bench.report(buffers, 0x104)[-1][0])


# ---- reset -----------------------------------------------------------------------------------------------------


def test_a_reset_holds_the_controller_for_its_time_and_then_it_boots(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan(faults=[Fault(Point.RESET_S, value=0.05, from_ns=100 * MS)])
    buffers = bench.run(simulation, 0.5)
    off = buffers.row_ns[powered(buffers) == 0]
    assert (off[0], off[-1]) == (110 * MS, 150 * MS)
    assert power_ons(bench, buffers) == 2
    [report] = simulation.fault_reports()
    assert (report.first_fired_ns, report.last_fired_ns) == (110 * MS, 150 * MS)


def test_contactors_fall_open_in_a_reset(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.send(bench.command(bench.CONTACTORS, POSITIVE))
    simulation.plan(faults=[Fault(Point.RESET_S, value=0.1, from_ns=200 * MS)])
    closed = bench.run(simulation, 0.5).column(Column.TRUTH_CONTACTORS).astype(int)
    assert closed[18] == POSITIVE
    assert closed[-1] == 0


def test_a_reset_of_a_controller_without_supply_does_not_fire(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan([Event(0, EventKind.POWER, value=0)], [Fault(Point.RESET_S, value=0.1, from_ns=50 * MS)])
    bench.run(simulation, 0.3)
    assert not simulation.fault_reports()[0].fired


# ---- memory and tick counter -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("byte", "power_ons_after", "fired"), [(0, 1, True), (4, 0xFE + 1, True), (12, 2, False)])
def test_a_byte_of_the_memory_is_inverted_at_a_power_on(
    bench: Any, echo: Any, *, byte: int, power_ons_after: int, fired: bool
) -> None:
    """echo.c: byte 0 is of the magic number, byte 4 of the count of power-ons (1), and there are 12 bytes."""
    simulation = echo.simulation()
    simulation.plan(power_cycle(100 * MS, 200 * MS), [Fault(Point.NVM_BYTE, value=byte)])
    assert power_ons(bench, bench.run(simulation, 0.5)) == power_ons_after
    assert simulation.fault_reports()[0].fired is fired


def test_erased_memory_has_lost_what_was_in_it(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan(power_cycle(100 * MS, 200 * MS), [Fault(Point.NVM_ERASED, value=1.0)])
    assert power_ons(bench, bench.run(simulation, 0.5)) == 1
    assert simulation.fault_reports()[0].first_fired_ns == 210 * MS


def test_memory_is_as_it_was_when_the_fault_is_over_before_the_power_on(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan(power_cycle(100 * MS, 200 * MS), [Fault(Point.NVM_ERASED, value=1.0, until_ns=150 * MS)])
    assert power_ons(bench, bench.run(simulation, 0.5)) == 2
    assert not simulation.fault_reports()[0].fired


def test_the_next_boot_starts_with_another_tick_count(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    start = 2**32 - 300
    simulation.plan(power_cycle(100 * MS, 200 * MS), [Fault(Point.START_TICK_MS, value=start)])
    buffers = bench.run(simulation, 0.5)
    ticks = bench.report(buffers, 0x105)[:, 1].astype(np.int64) % 2**32
    assert ticks[0] == 10
    assert ticks[-1] == (start + 490) % 2**32  # the frame of the last tick is still on its way


# ---- clock -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [1.01, 0.99])
def test_a_wrong_clock_gains_while_the_fault_acts_and_keeps_what_it_gained(
    bench: Any, echo: Any, factor: float
) -> None:
    simulation = echo.simulation()
    simulation.plan(faults=[Fault(Point.CLOCK_FACTOR, value=factor, until_ns=NS)])
    told = bench.report(bench.run(simulation, 2.0), 0x105)[:, 1]
    assert told[98] == pytest.approx(1000 * factor - 10, abs=2)
    assert told[-1] - told[98] == pytest.approx(len(told[99:]) * 10, abs=1)
    assert (np.diff(told) > 0).all()
    assert simulation.fault_reports()[0].fired


# ---- coils and contacts ------------------------------------------------------------------------------------------


def contacts(bench: Any, echo: Any, *faults: Fault) -> tuple[Any, Any]:
    """Positive contactor commanded from the start, closed from 50 ms on without faults."""
    simulation = echo.simulation()
    simulation.plan(faults=faults)
    simulation.send(bench.command(bench.CONTACTORS, POSITIVE))
    closed = bench.run(simulation, 0.6).column(Column.TRUTH_CONTACTORS).astype(int)
    return closed, simulation.fault_reports()


@pytest.mark.parametrize(
    ("voltage_v", "drops_out", "pulls_in"), [(24.0, False, True), (12.0, False, False), (5.0, True, False)]
)
def test_a_coil_holds_at_less_than_it_pulls_in_at(
    bench: Any, echo: Any, *, voltage_v: float, drops_out: bool, pulls_in: bool
) -> None:
    """Of 24 V: 16.8 V to pull in, 7.2 V to hold."""
    later, _ = contacts(bench, echo, Fault(Point.COIL_SUPPLY_V, value=voltage_v, from_ns=200 * MS))
    before, _ = contacts(bench, echo, Fault(Point.COIL_SUPPLY_V, value=voltage_v))
    assert later[18] == POSITIVE
    assert bool(later[-1] == 0) is drops_out
    assert bool(before[-1] == POSITIVE) is pulls_in


def test_contactors_pull_in_again_when_the_coil_supply_is_back(bench: Any, echo: Any) -> None:
    dip = Fault(Point.COIL_SUPPLY_V, value=0.0, from_ns=200 * MS, until_ns=300 * MS)
    closed, [report] = contacts(bench, echo, dip)
    assert closed[28] == 0
    assert closed[-1] == POSITIVE
    assert report.first_fired_ns is not None


def test_a_bouncing_contact_is_open_in_every_second_step_after_it_has_closed(bench: Any, echo: Any) -> None:
    plain, _ = contacts(bench, echo)
    closed, [report] = contacts(bench, echo, Fault(Point.CONTACTOR_BOUNCE_S, index=0, value=0.1))
    begin = int(plain.argmax())
    assert list(closed[begin : begin + 12]) == [1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 1]
    assert (closed[begin + 10 :] == 1).all()
    assert report.fired_ticks == 5


# ---- the link ----------------------------------------------------------------------------------------------------


def test_a_short_on_the_link_draws_what_the_resistances_let_through(bench: Any, echo: Any) -> None:
    """At once: the cells' R0, 12 x 1 mohm, 13 joints of 10 uohm, and the short of 1 ohm."""
    simulation = echo.simulation()
    simulation.send(bench.command(bench.CONTACTORS, POSITIVE | NEGATIVE))
    bench.run(simulation, 0.3)
    simulation.plan(faults=[Fault(Point.LINK_SHORT_OHM, value=1.0)])
    buffers = bench.run(simulation, 0.4)
    expected_a = EMF_V / (1.0 + 12e-3 + 13e-5)
    assert buffers.column(Column.TRUTH_PACK_CURRENT_A)[-1] == pytest.approx(expected_a, rel=2e-3)
    assert simulation.fault_reports()[0].fired


def test_a_short_empties_a_link_that_hangs_on_nothing(bench: Any, echo: Any) -> None:
    """100 ohm and 2 mF: after 0.2 s, one time constant, 37 % are left."""
    simulation = echo.simulation()
    simulation.send(bench.command(bench.CONTACTORS, POSITIVE | NEGATIVE))
    bench.run(simulation, 0.3)
    simulation.send(bench.command(bench.CONTACTORS, 0))
    before = bench.run(simulation, 0.4).column(Column.TRUTH_LINK_VOLTAGE_V)[-1]
    simulation.plan(faults=[Fault(Point.LINK_SHORT_OHM, value=100.0)])
    after = bench.run(simulation, 0.6).column(Column.TRUTH_LINK_VOLTAGE_V)[-1]
    assert after / before == pytest.approx(np.exp(-1.0), rel=1e-2)
    assert simulation.fault_reports()[0].fired
