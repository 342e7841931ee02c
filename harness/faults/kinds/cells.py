# SPDX-License-Identifier: Apache-2.0
"""Faults of the cells, of the bus bars between them and of the sense wires."""

from __future__ import annotations

from harness.faults.kinds.parameters import CELL, FLOW, LOWER_CELL, LOWER_WIRE, WIRE, number
from harness.faults.model import Effect, FaultClass, FaultKind, Parameter, Where

_CELL_SHORT = "levels of internal short circuits: doi 10.3390/batteries9070339; transient shorts: arXiv 2506.13394"
_SHORT = number("resistance_ohm", "ohm", 0.0001, 10.0, "short resistance; below 0.1 ohm is a hard short")
_LOOSE = "indistinct from resistance growth without interleaved sensing: arXiv 2008.10533; 0.1-5 mohm assumption"


def _cell(
    kind: str,
    title: str,
    effects: tuple[Effect, ...],
    parameters: tuple[Parameter, ...],
    source: str,
    *,
    shapes: tuple[str, ...] = (),
    fault_class: FaultClass = FaultClass.CELL,
    noise_from: str = "",
) -> FaultKind:
    return FaultKind(
        kind, fault_class, title, Where.TRUTH, effects, (CELL, *parameters), source, shapes=shapes,
        noise_from=noise_from, changes=FLOW,
    )  # fmt: skip


def _short(kind: str, title: str, *shapes: str) -> FaultKind:
    effect = Effect("CELL_LEAK_OHM", "SET", "resistance_ohm", "cell")
    return _cell(kind, title, (effect,), (_SHORT,), _CELL_SHORT, shapes=shapes)


CELLS: tuple[FaultKind, ...] = (
    _cell(
        "cell-voltage",
        "terminal voltage of a cell held at a value, whatever its charge",
        (Effect("CELL_VOLTAGE", "SET", "voltage_v", "cell"),),
        (number("voltage_v", "V", 0.0, 6.0, "voltage between the cell's terminals"),),
        "what a cell simulator channel does on a bench; 0..6 V is the usual channel range (assumption)",
    ),
    _cell(
        "cell-self-discharge",
        "raised self-discharge: a resistor across the cell",
        (Effect("CELL_LEAK_OHM", "SET", "resistance_ohm", "cell"),),
        (number("resistance_ohm", "ohm", 1.0, 1e6, "leak resistance; 10 ohm leaks 0.33 A of an LFP cell"),),
        "levels of internal short circuits, 100 ohm early to 1 ohm late: doi 10.3390/batteries9070339",
    ),
    _short("internal-short", "hard internal short circuit: heats the cell and pulls its voltage down"),
    _short("internal-short-growing", "internal short circuit that grows from nothing over ramp_s", "ramp"),
    _short("internal-short-transient", "internal short circuit that comes and burns free again", "intermittent"),
    _cell(
        "cell-resistance",
        "resistance growth of a cell by ageing or a bad weld inside",
        (Effect("CELL_RESISTANCE", "SCALE", "factor", "cell"),),
        (number("factor", "", 0.1, 100.0, "multiplies R0, R1 and R2"),),
        "end of life is commonly twice the resistance; larger for damaged cells (assumption)",
    ),
    _cell(
        "cell-capacity",
        "capacity loss of a cell",
        (Effect("CELL_CAPACITY", "SCALE", "factor", "cell"),),
        (number("factor", "", 0.01, 1.0, "multiplies the capacity; end of life is commonly 0.8"),),
        "end of life at 80 % of the rated capacity is common practice (assumption)",
    ),
    _cell(
        "cell-heating",
        "extra heat in a cell, up to thermal runaway",
        (Effect("CELL_HEAT_W", "SET", "heat_w", "cell"),),
        (number("heat_w", "W", 0.0, 200_000.0, "heat beyond the cell's own losses"),),
        "runaway signature dT/dt >= 1 K/s for 3 s: GB 38031, appendix on thermal propagation (not confirmed)",
    ),
    _cell(
        "cell-venting",
        "cell vents and runs away: its voltage collapses while it heats itself and its neighbours",
        (
            Effect("CELL_VOLTAGE", "SCALE", "voltage_share", "cell"),
            Effect("CELL_HEAT_W", "SET", "heat_w", "cell"),
        ),
        (
            number("voltage_share", "", 0.0, 1.0, "share of its voltage that remains", default=0.5),
            number("heat_w", "W", 100.0, 200_000.0, "heat it gives off"),
        ),
        "voltage drop of 25 % and dT/dt >= 1 K/s together: GB 38031, thermal propagation (not confirmed)",
        shapes=("step", "ramp", "intermittent"),
    ),
    _cell(
        "busbar-resistance",
        "loose bus bar behind a cell, inside its sense wires",
        (Effect("JOINT_OHM", "SET", "resistance_ohm", "cell"),),
        (number("resistance_ohm", "ohm", 0.0, 0.1, "extra resistance; 0.1 to 5 mohm were seen"),),
        _LOOSE,
        fault_class=FaultClass.CONNECTION,
    ),
    _cell(
        "busbar-vibrating",
        "loose bus bar that loses contact with every vibration",
        (Effect("JOINT_OHM", "SET", "resistance_ohm", "cell"),),
        (number("resistance_ohm", "ohm", 0.0, 0.1, "extra resistance while it has no contact"),),
        _LOOSE,
        fault_class=FaultClass.CONNECTION,
        shapes=("intermittent",),
    ),
    _cell(
        "busbar-noisy",
        "corroded bus bar whose resistance changes at random, as an arc does",
        (Effect("JOINT_OHM", "ADD", 0.0, "cell"),),
        (number("sigma_ohm", "ohm", 0.0, 0.05, "standard deviation, new every tick; never below the healthy joint"),),
        _LOOSE,
        fault_class=FaultClass.CONNECTION,
        noise_from="sigma_ohm",
    ),
)


def _wiring(kind: str, title: str, effect: Effect, parameters: tuple[Parameter, ...], source: str) -> FaultKind:
    found = ("given.cells_open_wire", "given.cells_invalid") if effect.point == "SENSE_CELL_OPEN_WIRE" else ()
    return FaultKind(
        kind, FaultClass.WIRING, title, Where.GIVEN, (effect,), parameters, source,
        masks=("cell_voltage_v",), changes=("given.cell_voltage_v", *found),
    )  # fmt: skip


WIRES: tuple[FaultKind, ...] = (
    _wiring(
        "sense-wire-open",
        "sense wire between two cells broken",
        Effect("SENSE_CELL_OPEN_WIRE", "SET", 1.0, "wire"),
        (WIRE,),
        "open-wire test of LTC6811/6813 front ends as used by foxBMS 2 v1.11.0",
    ),
    _wiring(
        "sense-wires-swapped",
        "two neighbouring sense wires exchanged: the cell between them is measured backwards",
        Effect("SENSE_WIRE_SWAP", "SET", 1.0, "lower_wire"),
        (LOWER_WIRE,),
        "wiring error in assembly; the readings follow from the nodes the wires are on",
    ),
    _wiring(
        "sense-wires-shorted",
        "short between the two sense wires of a cell, behind their filter resistors of 100 ohm",
        Effect("SENSE_WIRE_SHORT_OHM", "SET", "resistance_ohm", "cell"),
        (
            Parameter("cell", "", 1, None, "cell, counted from the negative end", "index", integer=True),
            number("resistance_ohm", "ohm", 0.0, 100_000.0, "resistance of the short"),
        ),
        "chafed harness or conductive dirt; filter of the circuit in the LTC6811 data sheet",
    ),
    _wiring(
        "cell-sensors-swapped",
        "two neighbouring cells read each other's voltage",
        Effect("SENSE_CELL_SWAP", "SET", 1.0, "lower_cell"),
        (LOWER_CELL,),
        "channels exchanged in a connector or in the front end's configuration (practice)",
    ),
)

KINDS: tuple[FaultKind, ...] = (*CELLS, *WIRES)
