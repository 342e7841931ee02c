# SPDX-License-Identifier: Apache-2.0
"""Building, running, power cycles, errors of the firmware, checkpoints."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.errors import FirmwareError, UsageError
from harness.kernel import config as names
from harness.kernel.config import Event, EventKind, Fault, Point
from harness.kernel.simulation import COLUMNS, Column, Status
from harness.units import is_known

NS = 1_000_000_000
SILENT = (("report", 0),)


def power_cycle(off_ns: int, on_ns: int) -> list[Event]:
    return [Event(off_ns, EventKind.POWER, value=0), Event(on_ns, EventKind.POWER, value=1)]


# ---- the two sides of the interface agree ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("enumeration", "prefix"),
    [
        (names.Node, "BH_NODE_"),
        (names.Value, "BH_VALUE_"),
        (names.Point, "BH_AT_"),
        (names.Op, "BH_OP_"),
        (names.Shape, "BH_SHAPE_"),
        (names.EventKind, "BH_EVENT_"),
        (names.FrameFlag, "FIL_FRAME_"),
        (Column, "BH_"),
    ],
)
def test_enumerations_have_the_values_of_the_header(echo: Any, enumeration: Any, prefix: str) -> None:
    assert {m.name: int(m) for m in enumeration} == {
        m.name: getattr(echo.kernel.lib, prefix + m.name) for m in enumeration
    }


def test_every_column_of_the_header_has_a_name(echo: Any) -> None:
    assert len(Column) == echo.kernel.lib.BH_N_COLUMNS
    assert set(COLUMNS) == set(Column)
    assert len(set(COLUMNS.values())) == len(COLUMNS)


def test_what_the_vocabulary_knows_is_called_as_there() -> None:
    raw = {"digital_in", "contactors", "digital", "soc_mean", "soc_min", "soc_max", "fuse_open", "load_w"}
    raw |= {"charger_current_a", "coolant_degc", "bus_load", "can_restart", "soc_counted"}
    assert {name for _, name in COLUMNS.values() if not is_known(name)} == raw


@pytest.mark.parametrize(
    ("kind", "struct", "counts"),
    [
        (names.Message, "bh_message", set()),
        (names.Field, "bh_field", set()),
        (names.Fault, "bh_fault", set()),
        (names.Event, "bh_event", set()),
        (names.BusConfig, "bh_bus_config", set()),
        (names.CellModel, "bh_cell_model", {"n_soc", "n_temp"}),
        (names.PackConfig, "bh_pack_config", {"n_cells", "n_temps"}),
        (names.EnvironmentConfig, "bh_environment_config", {"n_load"}),
    ],
)
def test_dataclasses_have_the_fields_of_their_struct(echo: Any, kind: Any, struct: str, counts: set[str]) -> None:
    fields = {name for name, _ in echo.kernel.ffi.typeof(struct).fields}
    assert set(kind.__dataclass_fields__) | counts == fields


# ---- rows ------------------------------------------------------------------------------------------------------


def test_one_row_a_tick_at_the_end_of_the_tick(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(), 0.05)
    assert list(buffers.row_ns) == [10_000_000 * k for k in range(1, 6)]


def test_rows_can_be_recorded_every_so_many_ticks(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(), 0.1, record_every=5)
    assert list(buffers.row_ns) == [50_000_000, 100_000_000]


def test_runs_append_and_end_where_one_run_would(bench: Any, echo: Any) -> None:
    whole = bench.run(echo.simulation(), 0.2)
    twice = echo.simulation()
    buffers = bench.TraceBuffers(twice.config, 0.2)
    twice.run(0.07, buffers)
    twice.run(0.2, buffers)
    assert np.array_equal(whole.columns, buffers.columns)
    assert list(whole.frames("ns")) == list(buffers.frames("ns"))


def test_the_controller_is_given_the_truth_in_its_units(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(), 0.1, truth_cells=True)
    cells = buffers.rows("true_cell_v")[-1]
    assert buffers.rows("cell_uv")[-1] == pytest.approx(cells * 1e6, abs=0.6)
    assert list(buffers.rows("cell_flags")[-1]) == [1] * bench.N_CELLS
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_SUM_V)[-1] == pytest.approx(cells.sum(dtype=np.float64), rel=1e-6)
    # 12 cells at half charge of a line from 3.0 to 3.5 V: 3.25 V each; sensors at 20 degC; poles of 2 Mohm in parallel
    assert buffers.column(Column.GIVEN_PACK_VOLTAGE_V)[-1] == pytest.approx(39.0, abs=0.01)
    assert buffers.rows("temp_mdegc")[-1] == pytest.approx([20_000] * 4, abs=20)
    assert buffers.column(Column.GIVEN_INSULATION_OHM)[-1] == pytest.approx(1e6)
    assert buffers.column(Column.GIVEN_SUPPLY_V)[-1] == pytest.approx(24.0)
    assert bench.report(buffers, 0x101)[-1][0] == buffers.rows("cell_uv")[-2][0]


def test_extremes_and_their_indices_belong_to_the_recorded_cells(bench: Any, echo: Any) -> None:
    pack = replace(bench.config().pack, soc=np.array([0.5, 0.4, 0.6, *[0.5] * 9]), temp_degc=20.0 + np.arange(12))
    buffers = bench.run(echo.simulation(pack=pack), 0.05)
    cells, temps = buffers.rows("cell_uv")[-1], buffers.rows("temp_mdegc")[-1]
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_MAX_V)[-1] == pytest.approx(cells.max() / 1e6, rel=1e-6)
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_MIN_V)[-1] == pytest.approx(cells.min() / 1e6, rel=1e-6)
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_MAX_INDEX)[-1] == 3
    assert buffers.column(Column.GIVEN_CELL_VOLTAGE_MIN_INDEX)[-1] == 2
    states = [
        buffers.column(column)[-1] for column in (Column.TRUTH_SOC_MIN, Column.TRUTH_SOC_MEAN, Column.TRUTH_SOC_MAX)
    ]
    assert states == pytest.approx([0.4, 0.5, 0.6], abs=1e-4)
    assert buffers.column(Column.GIVEN_CELL_TEMP_MAX_INDEX)[-1] == 4
    assert buffers.column(Column.GIVEN_CELL_TEMP_MIN_INDEX)[-1] == 1
    assert buffers.column(Column.GIVEN_CELL_TEMP_MAX_DEGC)[-1] == pytest.approx(temps.max() / 1e3)


def test_commands_reach_the_plant_and_the_trace(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.send(bench.command(bench.CONTACTORS, 0b010))
    simulation.send(bench.command(bench.BALANCE, 5))
    buffers = bench.run(simulation, 0.2)
    assert buffers.column(Column.OUTPUT_CONTACTORS)[-1] == 0b010
    assert buffers.column(Column.TRUTH_CONTACTORS)[-1] == 0b010
    assert buffers.column(Column.OUTPUT_BALANCING)[-1] == 5
    assert int(buffers.column(Column.GIVEN_DIGITAL_IN)[-1]) & 0b1110000 == 0b0100000  # auxiliary contact


def test_ignition_and_plug_are_digital_inputs(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan([Event(20_000_000, EventKind.IGNITION, value=1), Event(40_000_000, EventKind.PLUG, value=1)])
    digital = bench.run(simulation, 0.06).column(Column.GIVEN_DIGITAL_IN).astype(int) & 3
    assert list(digital) == [0, 0, 1, 1, 3, 3]


def test_the_tick_counter_of_the_firmware_can_start_before_its_wrap(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(start_tick_ms=2**32 - 15), 0.04)
    ticks = bench.report(buffers, 0x105)[:, 1].astype(np.uint32)
    assert list(ticks) == [2**32 - 5, 5, 15]


# ---- power -----------------------------------------------------------------------------------------------------


def test_a_power_cycle_starts_the_firmware_from_its_load_time_memory_and_its_nvm(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan(power_cycle(NS // 10, 2 * NS // 10))
    buffers = bench.run(simulation, 0.3)
    power_ons, steps = bench.report(buffers, 0x104).T
    assert sorted(set(power_ons)) == [1, 2]
    assert steps[power_ons == 2][0] == 1
    powered = buffers.column(Column.OUTPUT_POWERED)
    assert list(powered) == [1] * 10 + [0] * 10 + [1] * 10


def test_without_supply_outputs_are_off_and_the_bus_is_silent(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.send(bench.command(bench.CONTACTORS, 0b110))
    bench.run(simulation, 0.1)
    simulation.plan([Event(NS // 10, EventKind.POWER, value=0)])
    buffers = bench.run(simulation, 0.3)
    assert not buffers.column(Column.OUTPUT_CONTACTORS).any()
    assert buffers.column(Column.TRUTH_CONTACTORS)[-1] == 0
    assert buffers.n_frames == 0


@pytest.mark.parametrize(("supply_v", "restarts"), [(8.9, True), (9.1, False)])
def test_a_supply_dip_below_the_minimum_restarts_the_controller(
    bench: Any, echo: Any, *, supply_v: float, restarts: bool
) -> None:
    simulation = echo.simulation()
    simulation.plan(faults=[Fault(Point.SUPPLY_V, value=supply_v, from_ns=NS // 10, until_ns=NS // 8)])
    buffers = bench.run(simulation, 0.3)
    assert bench.report(buffers, 0x104)[-1][0] == (2 if restarts else 1)
    assert simulation.fault_reports()[0].fired


def test_an_erased_nvm_is_factory_new(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan([Event(0, EventKind.NVM, -1), *power_cycle(NS // 10, NS // 5)])
    assert bench.report(bench.run(simulation, 0.3), 0x104)[-1][0] == 1


def test_a_flipped_bit_of_the_nvm_is_seen_at_the_next_power_on(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    # byte 4 is the lowest of the count: 1 becomes 1 ^ 6 = 7, and the power-on makes it 8
    simulation.plan([Event(0, EventKind.NVM, 4, value=6), *power_cycle(NS // 10, NS // 5)])
    assert bench.report(bench.run(simulation, 0.3), 0x104)[-1][0] == 8


# ---- errors ----------------------------------------------------------------------------------------------------


def test_an_assert_of_the_firmware_ends_the_run_with_its_text(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    buffers = bench.TraceBuffers(simulation.config, 1)
    simulation.send(bench.command(bench.FAIL))
    status = simulation.run(1.0, buffers)
    assert status.code == Status.FIRMWARE_ERROR
    assert status.error.startswith("fil_step returned -7: echo.c:")
    assert buffers.n_rows == 0  # the command arrived in the first tick
    assert simulation.run(1.0, buffers).code == Status.FIRMWARE_ERROR


@pytest.mark.parametrize(("code", "status"), [("CRASH", Status.FIRMWARE_CRASH), ("HANG", Status.FIRMWARE_HANG)])
def test_a_crash_or_hang_ends_the_run_with_the_place_in_the_source(
    bench: Any, echo: Any, code: str, status: Status
) -> None:
    simulation = echo.simulation()
    buffers = bench.TraceBuffers(simulation.config, 1)
    simulation.run(0.05, buffers)
    simulation.send(bench.command(getattr(bench, code)))
    result = simulation.run(1.0, buffers)
    assert result.code == status
    line, _, text = result.error.partition(": ")
    path, _, number = line.rpartition(":")
    assert path.endswith("echo.c")
    source = bench.ECHO.read_text().splitlines()[int(number) - 1]
    assert ("volatile int *" if code == "CRASH" else "for") in source or "}" in source
    assert text
    assert buffers.n_rows == 5


def test_a_frame_no_can_controller_could_send_is_an_error_of_the_firmware(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.send(bench.command(bench.BAD_FRAME))
    status = simulation.run(0.1, bench.TraceBuffers(simulation.config, 1))
    assert status.code == Status.FIRMWARE_ERROR
    assert "0x111" in status.error
    assert "9 bytes" in status.error


def test_a_checkpoint_brings_a_failed_simulation_back(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    bench.run(simulation, 0.1)
    state = simulation.save_state()
    simulation.send(bench.command(bench.CRASH))
    assert simulation.run(0.5, bench.TraceBuffers(simulation.config, 1)).code == Status.FIRMWARE_CRASH
    simulation.load_state(state)
    assert simulation.now_s == pytest.approx(0.1)
    bench.run(simulation, 0.5)


def test_frames_the_firmware_has_no_room_for_are_counted(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    for _ in range(90):  # 50 bits and intermission each: all within one tick; its queue holds 64
        simulation.send(bench.Frame(0))
    bench.run(simulation, 0.02)
    assert simulation.frames_lost == 90 - 64


def test_firmware_that_refuses_its_parameters_is_named_with_its_reason(echo: Any) -> None:
    with pytest.raises(FirmwareError, match=r"fil_init returned -1: echo\.c: unknown parameter nonsense"):
        echo.simulation(parameters=(("nonsense", 1),))


def test_full_buffers_say_what_is_full_and_what_to_do(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    with pytest.raises(UsageError, match=r"full at .* of 5\.000 s: .* rows, .* frames; ask for more"):
        simulation.run(5.0, bench.TraceBuffers(simulation.config, 1.0))


@pytest.mark.parametrize(("seconds", "frames_per_s"), [(0.07, 2000), (1.0, 20)])
def test_nothing_is_lost_when_rows_or_frames_run_full_in_the_middle(
    bench: Any, echo: Any, seconds: float, frames_per_s: float
) -> None:
    whole = bench.run(echo.simulation(), 1.0)
    simulation = echo.simulation()
    parts = []
    for _ in range(100):
        buffers = bench.TraceBuffers(simulation.config, seconds, frames_per_s=frames_per_s)
        try:
            simulation.run(1.0, buffers)
        except UsageError:
            parts.append(buffers)
            continue
        parts.append(buffers)
        break
    assert len(parts) > 2
    assert all(part.n_frames <= part.max_frames and part.n_rows <= part.max_rows for part in parts)
    assert np.array_equal(np.concatenate([part.columns for part in parts], axis=1), whole.columns)
    assert np.array_equal(np.concatenate([part.frames("ns") for part in parts]), whole.frames("ns"))


@pytest.mark.parametrize("until_s", [0.035, 0.01, -0.01])
def test_runs_end_on_a_tick_in_the_future(bench: Any, echo: Any, until_s: float) -> None:
    simulation = echo.simulation()
    bench.run(simulation, 0.02)
    with pytest.raises(UsageError):
        simulation.run(until_s, bench.TraceBuffers(simulation.config, 1))


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (Event(0, EventKind.SOC, value=1.5), "state of charge"),
        (Event(0, EventKind.TEMP_DEGC, value=float("nan")), "temperature"),
        (Event(0, EventKind.PAYLOAD, 0), "no such message"),
        (Event(0, EventKind.LOAD_SCALE, value=float("inf")), "not possible"),
        (Event(0, EventKind.NVM, 0, value=256), "not possible"),
    ],
)
def test_impossible_events_are_refused(echo: Any, event: Event, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        echo.simulation().plan([event])


def test_events_must_be_sorted_and_not_past(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    later, sooner = Event(NS, EventKind.PLUG, value=1), Event(NS // 2, EventKind.PLUG)
    with pytest.raises(UsageError, match="order"):
        simulation.plan([later, sooner])
    bench.run(simulation, 0.6)
    with pytest.raises(UsageError, match="past"):
        simulation.plan([sooner])


def test_more_than_there_is_room_for_is_refused(echo: Any) -> None:
    simulation = echo.simulation(max_events=1, max_faults=1)
    with pytest.raises(UsageError, match="room for 1"):
        simulation.plan([Event(0, EventKind.PLUG)] * 2)
    with pytest.raises(UsageError, match="room for 1"):
        simulation.plan(faults=[Fault(Point.HVIL_OPEN)] * 2)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tick_us": 10}, "tick_us"),
        ({"bus": names.BusConfig(n_buses=5)}, "bus.n_buses"),
        ({"bus": names.BusConfig(bitrate=1)}, "bus.bitrate"),
        ({"bus": names.BusConfig(data_bitrate=1000)}, "bus.data_bitrate"),
        ({"seed": -1}, "seed"),
        ({"variant": 70_000}, "variant"),
    ],
)
def test_impossible_settings_are_refused_by_name(echo: Any, changes: Any, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        echo.simulation(**changes)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"soc": np.full(12, 1.1)}, r"pack\.soc\[0\] = 1\.1"),
        ({"soc": np.full(11, 0.5)}, "pack.soc has shape"),
        ({"capacity_ah": np.zeros(12)}, r"pack\.capacity_ah\[0\]"),
        ({"temp_cell": np.array([12], dtype=np.int32)}, r"pack\.temp_cell\[0\] = 12: allowed 0\.\.11"),
        ({"joint_ohm": float("nan")}, "pack.joint_ohm"),
    ],
)
def test_impossible_packs_are_refused_by_name(bench: Any, echo: Any, changes: Any, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        echo.simulation(pack=replace(bench.config().pack, **changes))


def test_an_eleven_cell_pack_is_too_small(bench: Any, echo: Any) -> None:
    ones = np.ones(11)
    pack = replace(bench.config().pack, capacity_ah=ones, soc=ones / 2, r_scale=ones, temp_degc=ones)
    with pytest.raises(UsageError, match=r"pack\.n_cells = 11: allowed 12\.\.400"):
        echo.simulation(pack=pack)


def test_tables_must_rise(bench: Any, echo: Any) -> None:
    cell = replace(bench.config().cell, soc=np.array([0, 0.5, 0.4, 0.8, 1.0]))
    with pytest.raises(UsageError, match=r"cell\.soc\[2\] = 0\.4: must be finite and rise"):
        echo.simulation(cell=cell)


def test_a_closed_simulation_says_so(echo: Any) -> None:
    simulation = echo.simulation()
    simulation.close()
    with pytest.raises(UsageError, match="closed"):
        simulation.plan()
