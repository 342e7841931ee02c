# SPDX-License-Identifier: Apache-2.0
"""What instruments put on the pins of a served controller, and what the bench tells instruments: both ways fit."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from harness.bench.given import inputs_of, open_wires
from harness.bench.pins import PinEntry, Pins
from harness.kernel.columns import Column
from harness.kernel.config import Fault, Op, Point
from harness.kernel.outside import VALID
from harness.kernel.simulation import Simulation, TraceBuffers
from harness.rig import load_rig
from harness.rig.compose import kernel_config
from harness.rig.machine import Machine
from harness.rig.resources import rigs_folder
from harness.rig.session import build_libraries

N_CELLS, N_TEMPS = 192, 48


@pytest.fixture(scope="module")
def machine() -> Iterator[Machine]:
    rig = load_rig(rigs_folder() / "ebus-lfp.toml")
    made = Machine(*build_libraries(rig), replace(kernel_config(rig), messages=(), sent_fields=()))
    yield made
    made.close()


@pytest.fixture
def simulation(machine: Machine) -> Simulation:
    machine.reload()
    return machine.simulation


def whole() -> Pins:
    return Pins(
        cell_voltage_v=np.linspace(3.0, 3.5, N_CELLS),
        cell_temp_degc=np.linspace(10.0, 30.0, N_TEMPS),
        pack_current_a=-12.5,
        pack_voltage_v=620.0,
        link_voltage_v=610.0,
        charger_voltage_v=5.0,
        insulation_ohm=1.5e6,
        supply_v=23.5,
        ignition=True,
        charge_plug=False,
        hvil_closed=True,
        crash=False,
        aux_positive=False,
        aux_negative=True,
        aux_precharge=False,
    )


def step(simulation: Simulation, ticks: int = 1) -> TraceBuffers:
    until_s = simulation.now_s + ticks * 0.01
    buffers = TraceBuffers(simulation.config, ticks * 0.01)
    assert simulation.run(until_s, buffers).error == ""
    return buffers


def test_what_is_on_the_pins_comes_back_as_what_the_bench_would_give(simulation: Simulation) -> None:
    pins = whole()
    PinEntry(simulation).put(pins)
    step(simulation)
    inputs = inputs_of(simulation.given(), supplied=True)
    assert inputs.cell_voltage_v == pytest.approx(pins.cell_voltage_v, abs=1e-6)
    assert inputs.cell_temp_degc == pytest.approx(pins.cell_temp_degc, abs=1e-3)
    names = ("pack_current_a", "pack_voltage_v", "link_voltage_v", "charger_voltage_v", "insulation_ohm", "supply_v")
    for name in names:
        assert getattr(inputs, name) == pytest.approx(getattr(pins, name), abs=1e-3), name
    for name in ("ignition", "charge_plug", "hvil_closed", "crash", "aux_positive", "aux_negative", "aux_precharge"):
        assert getattr(inputs, name) is getattr(pins, name), name
    assert inputs.cell_connected.all()
    assert inputs.temp_connected.all()
    assert inputs.current_connected


def test_pins_without_an_instrument_have_what_the_plant_says(simulation: Simulation) -> None:
    step(simulation)
    plain = inputs_of(simulation.given(), supplied=True)
    PinEntry(simulation).put(Pins(pack_current_a=7.0))
    step(simulation)
    mixed = inputs_of(simulation.given(), supplied=True)
    assert mixed.pack_current_a == 7.0
    assert mixed.cell_voltage_v == pytest.approx(plain.cell_voltage_v, abs=1e-4)
    assert mixed.supply_v == plain.supply_v


def test_the_front_end_finds_an_open_wire_with_its_next_test(simulation: Simulation) -> None:
    entry, pins = PinEntry(simulation), whole()
    pins.open_cells = (4, 5)
    open_after = []
    for _ in range(25):
        entry.put(pins)
        open_after.append(step(simulation).column(Column.GIVEN_CELLS_OPEN_WIRE)[-1])
    assert open_after.index(2.0) == 20  # 0.2 s after it was opened
    pins.open_cells = ()
    entry.put(pins)
    assert step(simulation).column(Column.GIVEN_CELLS_OPEN_WIRE)[-1] == 0


@pytest.mark.parametrize(("degc", "valid"), [(-45.0, 0), (-44.0, VALID), (124.0, VALID), (125.0, 0), (math.nan, 0)])
def test_a_temperature_at_the_rails_is_invalid(simulation: Simulation, degc: float, valid: int) -> None:
    pins = whole()
    temps = np.full(N_TEMPS, 20.0)
    temps[7] = degc
    pins.cell_temp_degc = temps
    PinEntry(simulation).put(pins)
    step(simulation)
    assert simulation.given().temp_flags[7] == valid
    assert simulation.given().temp_flags[6] == VALID


def test_an_unplugged_current_sensor_is_missed(simulation: Simulation) -> None:
    pins = whole()
    pins.current_connected = False
    PinEntry(simulation).put(pins)
    assert step(simulation).column(Column.GIVEN_CURRENT_VALID)[-1] == 0


@pytest.mark.parametrize(
    "off", [Pins(supply_connected=False), Pins(supply_v=2.0), Pins(supply_v=24.0, supply_connected=False)]
)
def test_without_supply_the_controller_is_off(simulation: Simulation, off: Pins) -> None:
    assert simulation.powered
    PinEntry(simulation).put(off)
    step(simulation)
    assert not simulation.powered


def test_readings_beyond_32_bits_are_held_at_the_end_of_the_range(simulation: Simulation) -> None:
    PinEntry(simulation).put(Pins(pack_voltage_v=1e9, link_voltage_v=math.nan, insulation_ohm=1e12))
    step(simulation)
    values = simulation.given().values
    assert (values.pack_mv, values.link_mv, values.insulation_ohm) == (2**31 - 1, 0, 2**32 - 1)


def test_an_open_sense_wire_leaves_the_voltages_of_the_simulator_alone(simulation: Simulation) -> None:
    wire = Fault(Point.SENSE_CELL_OPEN_WIRE, Op.SET, 16, 1.0)
    step(simulation)
    before = inputs_of(simulation.given(), supplied=True).cell_voltage_v.copy()
    simulation.plan((), (wire,))
    step(simulation, 10)  # half way of the drift: the kernel gives the cells 1.6 V and 5 V
    assert simulation.given().cell_uv[16] < 2_500_000
    inputs = inputs_of(simulation.given(), supplied=True, open_wires=open_wires((wire,), simulation.now_ns))
    assert inputs.cell_voltage_v == pytest.approx(before, abs=0.02)
    assert np.flatnonzero(~inputs.cell_connected).tolist() == [16, 17]


def test_a_shorted_temperature_sensor_is_a_reading_and_an_open_one_an_open_wire(simulation: Simulation) -> None:
    rows = [
        Fault(Point.SENSE_TEMP_DEGC, op, sensor, value)
        for sensor, value in ((2, -50.0), (3, 140.0))
        for op in (Op.SET, Op.INVALID)
    ]
    simulation.plan((), rows)
    step(simulation)
    inputs = inputs_of(simulation.given(), supplied=True)
    assert np.flatnonzero(~inputs.temp_connected).tolist() == [2]
    assert inputs.cell_temp_degc[3] == pytest.approx(140.0)
