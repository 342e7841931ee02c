# SPDX-License-Identifier: Apache-2.0
"""The border of a simulation on the wall clock: inputs from outside, frames for a real bus."""

from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.kernel.columns import Column
from harness.kernel.config import Fault, Node, Op, Point
from harness.kernel.outside import OPEN_WIRE, VALID, DigitalIn, Given

TICK_NS = 10_000_000
CELL_UV, TEMP_MDEGC = 3_700_000, 31_000


def given_all(outside: Any) -> None:
    """Everything from outside, each value another than the plant's."""
    values = outside.values
    outside.cell_uv[:] = CELL_UV + np.arange(len(outside.cell_uv)) * 1000
    outside.cell_flags[:] = VALID
    outside.temp_mdegc[:] = TEMP_MDEGC
    outside.temp_flags[:] = VALID
    values.current_ma, values.current_flags = -12_000, VALID
    values.pack_mv, values.pack_flags = 44_000, VALID
    values.link_mv, values.link_flags = 43_000, VALID
    values.charger_mv = 45_000
    values.insulation_ohm, values.insulation_flags = 123_456, VALID
    values.supply_mv = 23_500
    values.digital_in = DigitalIn.IGNITION | DigitalIn.AUX_NEGATIVE
    values.digital_given = 0x7F
    values.given = 0xFF


def last(buffers: Any, column: Column) -> float:
    return float(buffers.column(column)[-1])


def test_every_input_from_outside_is_what_the_controller_is_given(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    given_all(simulation.outside())
    buffers = bench.run(simulation, 0.02)
    given = simulation.given()
    assert given.cell_uv.tolist() == [CELL_UV + 1000 * i for i in range(bench.N_CELLS)]
    assert given.temp_mdegc.tolist() == [TEMP_MDEGC] * 4
    values = given.values
    assert (values.current_ma, values.pack_mv, values.link_mv, values.charger_mv) == (-12_000, 44_000, 43_000, 45_000)
    assert (values.insulation_ohm, values.supply_mv) == (123_456, 23_500)
    assert values.digital_in == DigitalIn.IGNITION | DigitalIn.AUX_NEGATIVE
    assert buffers.rows("cell_uv")[-1].tolist() == given.cell_uv.tolist()
    assert last(buffers, Column.GIVEN_CELL_VOLTAGE_MAX_V) == pytest.approx(3.711)
    assert last(buffers, Column.GIVEN_CELL_VOLTAGE_MAX_INDEX) == bench.N_CELLS
    assert last(buffers, Column.GIVEN_CELL_VOLTAGE_MIN_V) == pytest.approx(3.7)
    assert last(buffers, Column.GIVEN_CELL_VOLTAGE_SUM_V) == pytest.approx(12 * 3.7 + 0.066)
    assert last(buffers, Column.GIVEN_CELL_TEMP_MAX_DEGC) == pytest.approx(31.0)
    assert last(buffers, Column.GIVEN_PACK_CURRENT_A) == pytest.approx(-12.0)


def test_the_truth_does_not_move_with_what_is_given(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    before = last(bench.run(simulation, 0.1), Column.TRUTH_CELL_VOLTAGE_MAX_V)
    given_all(simulation.outside())
    after = last(bench.run(simulation, 0.2), Column.TRUTH_CELL_VOLTAGE_MAX_V)
    assert after == pytest.approx(before, abs=1e-4)


@pytest.mark.parametrize(
    ("mask", "field", "value"),
    [
        (Given.CURRENT, "current_ma", -12_000),
        (Given.PACK, "pack_mv", 44_000),
        (Given.LINK, "link_mv", 43_000),
        (Given.CHARGER, "charger_mv", 45_000),
        (Given.INSULATION, "insulation_ohm", 123_456),
        (Given.SUPPLY, "supply_mv", 23_500),
    ],
)
def test_only_inputs_of_the_mask_come_from_outside(
    bench: ModuleType, echo: Any, mask: Given, field: str, value: int
) -> None:
    fields = ("current_ma", "pack_mv", "link_mv", "charger_mv", "insulation_ohm", "supply_mv", "digital_in")
    simulation = echo.simulation()
    bench.run(simulation, 0.01)
    plain = {name: getattr(simulation.given().values, name) for name in fields}
    outside = simulation.outside()
    given_all(outside)
    outside.values.given, outside.values.digital_given = mask, 0
    bench.run(simulation, 0.02)
    assert {name: getattr(simulation.given().values, name) for name in fields} == {**plain, field: value}


@pytest.mark.parametrize("line", [line for line in DigitalIn if line])
def test_digital_inputs_are_given_one_by_one(bench: ModuleType, echo: Any, line: DigitalIn) -> None:
    simulation = echo.simulation()
    bench.run(simulation, 0.01)
    plain = simulation.given().values.digital_in
    outside = simulation.outside()
    outside.values.digital_given, outside.values.digital_in = line, ~plain & 0x7F
    bench.run(simulation, 0.02)
    assert simulation.given().values.digital_in == plain ^ line


def test_a_cell_without_its_wire_is_invalid_and_open(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    outside = simulation.outside()
    given_all(outside)
    outside.cell_flags[4] = OPEN_WIRE
    outside.temp_flags[1] = 0
    outside.values.current_flags = 0
    buffers = bench.run(simulation, 0.02)
    assert last(buffers, Column.GIVEN_CELLS_INVALID) == 1
    assert last(buffers, Column.GIVEN_CELLS_OPEN_WIRE) == 1
    assert last(buffers, Column.GIVEN_TEMPS_INVALID) == 1
    assert last(buffers, Column.GIVEN_CURRENT_VALID) == 0


def test_when_the_mask_goes_the_plant_is_back_with_flags_and_all(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    plain = bench.run(simulation, 0.05)
    outside = simulation.outside()
    given_all(outside)
    outside.cell_flags[:] = OPEN_WIRE
    outside.temp_flags[:] = 0
    bench.run(simulation, 0.06)
    outside.values.given = outside.values.digital_given = 0
    back = bench.run(simulation, 0.08)
    for column in Column:
        if column.name.startswith("GIVEN_") and "FROZEN" not in column.name:
            assert last(back, column) == pytest.approx(last(plain, column), abs=1e-3), column.name


def test_what_comes_from_outside_is_stronger_than_a_fault(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan((), (Fault(Point.SENSE_CELL_V, Op.SET, 3, 2.0), Fault(Point.SENSE_CURRENT_A, Op.SET, -1, 99.0)))
    given_all(simulation.outside())
    bench.run(simulation, 0.02)
    assert simulation.given().cell_uv[3] == CELL_UV + 3000
    assert simulation.given().values.current_ma == -12_000


def test_a_supply_from_outside_decides_whether_the_controller_runs(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    outside = simulation.outside()
    bench.run(simulation, 0.01)
    assert simulation.powered
    outside.values.given, outside.values.supply_mv = Given.SUPPLY, 8_999  # the least is 9 V
    off = bench.run(simulation, 0.03)
    assert not simulation.powered
    assert last(off, Column.OUTPUT_POWERED) == 0
    outside.values.supply_mv = 9_000
    bench.run(simulation, 0.05)
    assert simulation.powered


def test_views_are_the_memory_of_the_simulation(echo: Any) -> None:
    simulation = echo.simulation()
    one, other = simulation.outside(), simulation.outside()
    one.cell_uv[2] = 7
    one.values.pack_mv = 8
    assert (other.cell_uv[2], other.values.pack_mv) == (7, 8)


def test_what_was_given_cannot_be_written_to(echo: Any) -> None:
    with pytest.raises(ValueError, match="read-only"):
        echo.simulation().given().cell_uv[0] = 1


def test_a_checkpoint_has_masks_and_values(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    outside = simulation.outside()
    given_all(outside)
    bench.run(simulation, 0.02)
    state = simulation.save_state()
    outside.values.given = outside.values.digital_given = 0
    outside.cell_uv[:] = 0
    simulation.load_state(state)
    assert (outside.values.given, outside.values.digital_given) == (0xFF, 0x7F)
    assert outside.cell_uv[0] == CELL_UV


def test_masks_that_are_off_change_no_byte(bench: ModuleType, echo: Any) -> None:
    digests = []
    for touched in (False, True):
        simulation = echo.simulation(messages=(bench.vehicle(),))
        bench.eventful(simulation, 0.0)
        if touched:
            given_all(simulation.outside())
            simulation.outside().values.given = simulation.outside().values.digital_given = 0
        digests.append(bench.digest(bench.run(simulation, 1.0, truth_cells=True)))
        simulation.close()
    assert digests[0] == digests[1]


def test_the_outlet_hands_out_frames_of_the_nodes_asked_for_at_their_time(bench: ModuleType, echo: Any) -> None:
    slow = bench.vehicle(id=0x300, node=Node.CHARGER, offset_us=3_000)
    simulation = echo.simulation(messages=(bench.vehicle(offset_us=2_000), slow))
    outlet = simulation.outlet()
    outlet.open([Node.CHARGER])
    recorded = bench.run(simulation, 0.03)
    frames = outlet.take()
    assert [frame.release_ns for frame in frames] == [3_000_000, 13_000_000, 23_000_000]
    assert {(frame.id, frame.node) for frame in frames} == {(0x300, Node.CHARGER)}
    on_the_bus = recorded.frames("data")[recorded.frames("id") == 0x300]
    assert [frame.data for frame in frames] == [bytes(row) for row in on_the_bus]
    assert outlet.take() == []


def test_faults_on_frames_are_done_before_they_leave(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation(messages=(bench.vehicle(),))
    simulation.outlet().open([Node.VEHICLE])
    late = Fault(Point.MESSAGE_DELAY_S, Op.SET, 0, 0.004, from_ns=TICK_NS, until_ns=2 * TICK_NS)
    lost = Fault(Point.MESSAGE_LOST, Op.SET, 0, 1.0, from_ns=2 * TICK_NS, until_ns=3 * TICK_NS)
    simulation.plan((), (late, lost))
    bench.run(simulation, 0.04)
    assert [frame.release_ns for frame in simulation.outlet().take()] == [0, TICK_NS + 4_000_000, 3 * TICK_NS]


def test_frames_by_hand_and_of_the_controller_leave_too(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.outlet().open([Node.TESTER, Node.DUT])
    simulation.send(replace(bench.command(0), id=0x123))
    bench.run(simulation, 0.02)
    frames = simulation.outlet().take()
    assert [frame.node for frame in frames if frame.id == 0x123] == [Node.TESTER]
    assert any(frame.node is Node.DUT for frame in frames)


def test_an_outlet_nobody_empties_counts_what_it_loses(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation(messages=(bench.vehicle(),))
    outlet = simulation.outlet()
    outlet.open([Node.VEHICLE])
    bench.run(simulation, 3.0)
    assert len(outlet.take()) == 256
    assert outlet.lost == 300 - 256


def test_a_closed_outlet_keeps_nothing(bench: ModuleType, echo: Any) -> None:
    simulation = echo.simulation(messages=(bench.vehicle(),))
    bench.run(simulation, 0.1)
    assert simulation.outlet().take() == []
