# SPDX-License-Identifier: Apache-2.0
"""Faults of the cells, of the bus bars between them and of the sense wires."""

from __future__ import annotations

from harness.faults.kinds.parameters import CELL, WIRE, number
from harness.faults.model import Effect, FaultClass, FaultKind, Where

KINDS: tuple[FaultKind, ...] = (
    FaultKind(
        "cell-voltage",
        FaultClass.CELL,
        "terminal voltage of a cell held at a value, whatever its charge",
        Where.TRUTH,
        (Effect("CELL_VOLTAGE", "SET", "voltage_v", "cell"),),
        (CELL, number("voltage_v", "V", 0.0, 6.0, "voltage between the cell's terminals")),
        "what a cell simulator channel does on a bench; 0..6 V is the usual channel range (assumption)",
        bench=True,
    ),
    FaultKind(
        "cell-self-discharge",
        FaultClass.CELL,
        "raised self-discharge: a resistor across the cell",
        Where.TRUTH,
        (Effect("CELL_LEAK_OHM", "SET", "resistance_ohm", "cell"),),
        (CELL, number("resistance_ohm", "ohm", 1.0, 1e6, "leak resistance; 10 ohm leaks 0.33 A of an LFP cell")),
        "levels of internal short circuits, 100 ohm early to 1 ohm late: doi 10.3390/batteries9070339",
    ),
    FaultKind(
        "internal-short",
        FaultClass.CELL,
        "hard internal short circuit: heats the cell and pulls its voltage down",
        Where.TRUTH,
        (Effect("CELL_LEAK_OHM", "SET", "resistance_ohm", "cell"),),
        (CELL, number("resistance_ohm", "ohm", 0.0001, 10.0, "short resistance; below 0.1 ohm is a hard short")),
        "levels of internal short circuits: doi 10.3390/batteries9070339; transient shorts: arXiv 2506.13394",
    ),
    FaultKind(
        "cell-resistance",
        FaultClass.CELL,
        "resistance growth of a cell by ageing or a bad weld inside",
        Where.TRUTH,
        (Effect("CELL_RESISTANCE", "SCALE", "factor", "cell"),),
        (CELL, number("factor", "", 0.1, 100.0, "multiplies R0, R1 and R2")),
        "end of life is commonly twice the resistance; larger for damaged cells (assumption)",
    ),
    FaultKind(
        "cell-capacity",
        FaultClass.CELL,
        "capacity loss of a cell",
        Where.TRUTH,
        (Effect("CELL_CAPACITY", "SCALE", "factor", "cell"),),
        (CELL, number("factor", "", 0.01, 1.0, "multiplies the capacity; end of life is commonly 0.8")),
        "end of life at 80 % of the rated capacity is common practice (assumption)",
    ),
    FaultKind(
        "cell-heating",
        FaultClass.CELL,
        "extra heat in a cell, up to thermal runaway",
        Where.TRUTH,
        (Effect("CELL_HEAT_W", "SET", "heat_w", "cell"),),
        (CELL, number("heat_w", "W", 0.0, 200_000.0, "heat beyond the cell's own losses")),
        "runaway signature dT/dt >= 1 K/s for 3 s: GB 38031, appendix on thermal propagation (not confirmed)",
    ),
    FaultKind(
        "busbar-resistance",
        FaultClass.CONNECTION,
        "loose bus bar behind a cell, inside its sense wires",
        Where.TRUTH,
        (Effect("JOINT_OHM", "SET", "resistance_ohm", "cell"),),
        (CELL, number("resistance_ohm", "ohm", 0.0, 0.1, "extra resistance; 0.1 to 5 mohm were seen")),
        "indistinct from resistance growth without interleaved sensing: arXiv 2008.10533; 0.1-5 mohm assumption",
        bench=True,
    ),
    FaultKind(
        "sense-wire-open",
        FaultClass.WIRING,
        "sense wire between two cells broken",
        Where.GIVEN,
        (Effect("SENSE_CELL_OPEN_WIRE", "SET", 1.0, "wire"),),
        (WIRE,),
        "open-wire test of LTC6811/6813 front ends as used by foxBMS 2 v1.11.0",
        bench=True,
        masks=("cell_voltage_v",),
    ),
)
