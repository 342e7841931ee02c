# SPDX-License-Identifier: Apache-2.0
"""A small pack around echo.c, for tests of the kernel. As a program it runs once and prints a digest of the trace:
`echo_bench.py SEED [sanitize]`, the latter for a sanitizer build of the kernel.
"""

import hashlib
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.firmware.builder import BuildOptions, build_firmware, build_kernel
from harness.firmware.loader import FirmwareLibrary, KernelLibrary, load_firmware, load_kernel
from harness.kernel.config import (
    CellModel,
    EnvironmentConfig,
    Event,
    EventKind,
    Fault,
    KernelConfig,
    Message,
    Node,
    Op,
    PackConfig,
    Point,
    Shape,
)
from harness.kernel.outside import Given
from harness.kernel.simulation import Frame, Simulation, TraceBuffers

N_CELLS = 12
NS = 1_000_000_000
TICK_NS = 10_000_000
ECHO = Path(__file__).with_name("echo.c")

# Commands of echo.c.
CONTACTORS, BALANCE, FAIL, CRASH, HANG, BURST, BAD_FRAME, LIMITS, NOTE = range(1, 10)


def config(**changes: Any) -> KernelConfig:
    """Twelve LFP-like cells at rest, 50 % charged, 20 degC, four temperature sensors; silent vehicle."""
    soc = np.linspace(0.0, 1.0, 5)
    cell = CellModel(
        soc=soc,
        ocv_v=3.0 + 0.5 * soc,
        hysteresis_v=np.zeros(5),
        entropy_v_per_k=np.zeros(5),
        temp_degc=np.array([0.0, 40.0]),
        r0_discharge_ohm=np.full((2, 5), 1e-3),
        r0_charge_ohm=np.full((2, 5), 1e-3),
        hysteresis_soc=0.02,
        r1_ratio=0.5,
        tau1_s=2.0,
        r2_ratio=0.5,
        tau2_s=60.0,
        reference_temp_degc=25.0,
    )
    pack = PackConfig(
        temp_cell=np.array([0, 3, 6, 9], dtype=np.int32),
        capacity_ah=np.full(N_CELLS, 100.0),
        soc=np.full(N_CELLS, 0.5),
        r_scale=np.ones(N_CELLS),
        temp_degc=np.full(N_CELLS, 20.0),
        heat_capacity_j_per_k=4000.0,
        cooling_w_per_k=1.0,
        ambient_w_per_k=0.1,
        neighbour_w_per_k=1.0,
        coolant_degc=20.0,
        ambient_degc=20.0,
        joint_ohm=1e-5,
        balancing_ohm=30.0,
        self_discharge_ohm=1e9,
        link_capacitance_f=2e-3,
        link_bleed_ohm=1e6,
        precharge_ohm=50.0,
        contactor_close_s=0.02,
        contactor_open_s=0.02,
        fuse_rated_a=500.0,
        fuse_i2t_a2s=0.0,
        insulation_positive_ohm=2e6,
        insulation_negative_ohm=2e6,
        supply_v=24.0,
        supply_min_v=9.0,
    )
    environment = EnvironmentConfig(
        load_s=np.array([0.0, 1000.0]),
        load_w=np.zeros(2),
        load_min_link_v=10.0,
        auxiliary_w=0.0,
        limit_lag_s=0.1,
        limit_timeout_s=0.0,
        charger_max_a=100.0,
        charger_max_v=50.0,
        charger_slope_a_per_s=100.0,
    )
    return replace(KernelConfig(cell, pack, environment), **changes)


def vehicle(**changes: Any) -> Message:
    """A 10 ms message with counter and CRC."""
    message = Message(
        id=0x200,
        length=8,
        period_us=10_000,
        payload=bytes([0, 0, 1, 2, 3, 4, 5, 6]),
        node=Node.VEHICLE,
        counter_start_bit=8,
        counter_length=4,
        counter_max=14,
        crc_byte=0,
        crc_polynomial=0x1D,
        crc_initial=0xFF,
        crc_final_xor=0xFF,
        crc_data_id=0x20,
    )
    return replace(message, **changes)


def command(code: int, argument: int = 0, *more: int) -> Frame:
    """A frame that echo.c obeys in the tick after the next one."""
    return Frame(0x7F0, bytes([code, argument, *more]).ljust(8, b"\0"))


class Echo:
    """Kernel and firmware, loaded."""

    def __init__(self, kernel_options: BuildOptions = BuildOptions()) -> None:  # noqa: B008 - frozen
        self.kernel: KernelLibrary = load_kernel(build_kernel(kernel_options))
        self.firmware: FirmwareLibrary = load_firmware(self.kernel, build_firmware([ECHO], []))
        self.simulations: list[Simulation] = []

    def simulation(self, **changes: Any) -> Simulation:
        """A simulation of `config(**changes)`; closed with the bench."""
        self.simulations.append(Simulation(self.kernel, config(**changes), self.firmware))
        return self.simulations[-1]

    def close(self) -> None:
        """Close all simulations, then the firmware."""
        for simulation in self.simulations:
            simulation.close()
        self.firmware.close()


def run(simulation: Simulation, until_s: float, **options: Any) -> TraceBuffers:
    """Run into fresh buffers; the run must end well."""
    buffers = TraceBuffers(simulation.config, until_s - simulation.now_s + 0.01, **{"frames_per_s": 12_000, **options})
    status = simulation.run(until_s, buffers)
    assert status.error == ""
    return buffers


def report(buffers: TraceBuffers, identifier: int) -> Any:
    """The two int32 of every frame with this identifier, [n, 2]."""
    data = buffers.frames("data")[buffers.frames("id") == identifier]
    return np.ascontiguousarray(data[:, :8]).view("<i4")


def times(buffers: TraceBuffers, identifier: int) -> Any:
    """End of every frame with this identifier in ns."""
    return buffers.frames("ns")[buffers.frames("id") == identifier].astype(np.int64)


def digest(buffers: TraceBuffers) -> str:
    """Over every byte that was recorded."""
    total = hashlib.sha256(str((buffers.n_rows, buffers.n_frames)).encode())
    total.update(np.ascontiguousarray(buffers.columns).tobytes())
    for name in ("cell_uv", "cell_flags", "temp_mdegc", "true_cell_v", "true_cell_degc"):
        rows = buffers.rows(name)
        assert rows is not None
        total.update(rows.tobytes())
    for name in ("ns", "id", "flags", "bus", "node", "length", "data"):
        total.update(buffers.frames(name).tobytes())
    return total.hexdigest()


def eventful(simulation: Simulation, from_s: float) -> None:
    """Plan something of everything, over one second."""
    start = round(from_s * NS)
    faults = (
        Fault(Point.SENSE_CELL_V, Op.ADD, 3, 0.0, Shape.NOISE, sigma=0.01, seed=5, from_ns=start + NS // 10),
        Fault(Point.SENSE_CURRENT_A, Op.ADD, -1, 20.0, Shape.RAMP, ramp_s=0.3, from_ns=start + NS // 5),
        Fault(Point.CELL_LEAK_OHM, Op.SET, 2, 0.05, from_ns=start + NS // 4),
        Fault(Point.SENSE_CELL_OPEN_WIRE, Op.SET, 6, 1.0, from_ns=start + NS // 3),
        Fault(Point.SUPPLY_V, Op.SET, -1, 5.0, from_ns=start + NS // 2, until_ns=start + 6 * NS // 10),
        Fault(Point.MESSAGE_LOST, Op.SET, 0, 1.0, Shape.INTERMITTENT, period_s=0.05, duty=0.5, from_ns=start),
    )
    events = (
        Event(start, EventKind.LOAD_SCALE, value=1.0),
        Event(start + 3 * NS // 10, EventKind.PAYLOAD, 0, payload=bytes(range(8))),
        Event(start + 7 * NS // 10, EventKind.SOC, value=0.6),
    )
    simulation.plan(events, faults)


def main() -> None:
    seed = int(sys.argv[1])
    echo = Echo(BuildOptions(sanitize="sanitize" in sys.argv))
    environment = replace(config().environment, load_w=np.array([500.0, 2000.0]))
    simulation = echo.simulation(seed=seed, messages=(vehicle(),), environment=environment)
    eventful(simulation, 0.0)
    simulation.send(command(CONTACTORS, 7))
    outside = simulation.outside()
    outside.temp_mdegc[:], outside.temp_flags[:] = 23_000, 1
    outside.values.given, outside.values.digital_given = Given.TEMPS | Given.SUPPLY, 1
    outside.values.supply_mv = 24_000
    simulation.outlet().open([Node.VEHICLE])
    sys.stdout.write(digest(run(simulation, 1.0, truth_cells=True)))


if __name__ == "__main__":
    main()
