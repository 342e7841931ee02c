# SPDX-License-Identifier: Apache-2.0
"""From what the kernel gives a controller to what instruments are told."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from harness.instruments.model import Inputs
from harness.kernel.config import Fault, Point
from harness.kernel.outside import OPEN_WIRE, VALID, DigitalIn, GivenInputs

COLDEST_DEGC, HOTTEST_DEGC = -45.0, 125.0  # a temperature sensor at the rails of its divider: open, shorted


def inputs_of(given: GivenInputs, *, supplied: bool, open_wires: Iterable[int] = ()) -> Inputs:
    """What the controller is to be given.

    `open_wires`: sense wires that are open now, each between this cell (from 0) and the next. On a bench the wire is
    really open: both cells keep their voltage, and what the front end makes of it is its own business.
    """
    values = given.values
    cell_v = np.multiply(given.cell_uv, 1e-6, dtype=np.float64)
    connected = (given.cell_flags & OPEN_WIRE) == 0
    for cell in open_wires:
        cell_v[cell : cell + 2] = cell_v[cell : cell + 2].mean()
        connected[cell : cell + 2] = False
    temp_degc = np.multiply(given.temp_mdegc, 1e-3, dtype=np.float64)
    sensed = ((given.temp_flags & VALID) != 0) | (temp_degc >= HOTTEST_DEGC)
    digital = values.digital_in
    return Inputs(
        cell_voltage_v=cell_v,
        cell_connected=connected,
        cell_temp_degc=temp_degc,
        temp_connected=sensed & (temp_degc > COLDEST_DEGC),
        pack_current_a=values.current_ma * 1e-3,
        pack_voltage_v=values.pack_mv * 1e-3,
        link_voltage_v=values.link_mv * 1e-3,
        charger_voltage_v=values.charger_mv * 1e-3,
        insulation_ohm=float(values.insulation_ohm),
        supply_v=values.supply_mv * 1e-3,
        current_connected=bool(values.current_flags & VALID),
        supply_connected=supplied,
        ignition=bool(digital & DigitalIn.IGNITION),
        charge_plug=bool(digital & DigitalIn.CHARGE_PLUG),
        hvil_closed=bool(digital & DigitalIn.HVIL_CLOSED),
        crash=bool(digital & DigitalIn.CRASH),
        aux_positive=bool(digital & DigitalIn.AUX_POSITIVE),
        aux_negative=bool(digital & DigitalIn.AUX_NEGATIVE),
        aux_precharge=bool(digital & DigitalIn.AUX_PRECHARGE),
    )


def open_wires(rows: Iterable[Fault], now_ns: int) -> list[int]:
    """The sense wires that planned faults have open now."""
    return [
        row.index for row in rows if row.point is Point.SENSE_CELL_OPEN_WIRE and row.from_ns <= now_ns < row.until_ns
    ]
