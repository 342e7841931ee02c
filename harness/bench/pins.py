# SPDX-License-Identifier: Apache-2.0
"""From what instruments put on the pins of a served controller to what its kernel is given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.bench.given import COLDEST_DEGC, HOTTEST_DEGC
from harness.kernel.outside import OPEN_WIRE, VALID, DigitalIn, Given
from harness.kernel.simulation import Simulation

DIAGNOSIS_NS = 200_000_000  # period of the open-wire test of the front end, as on a virtual rig
OPEN_NTC_DEGC = -50.0  # reading of a temperature sensor whose wire is open
_INT32 = 2**31 - 1
_UINT32 = 2**32 - 1
_MILLI, _MICRO = 1e3, 1e6


@dataclass(slots=True)
class Pins:
    """What instruments give the served controller; None: nothing does, the plant of the rig is what it sees.

    One entry of a list is one cell or sensor; a cell whose wire is open is in `open_cells` (from 0).
    """

    cell_voltage_v: Sequence[float] | NDArray[np.float64] | None = None
    open_cells: Sequence[int] = ()
    cell_temp_degc: Sequence[float] | NDArray[np.float64] | None = None
    open_temps: Sequence[int] = ()
    pack_current_a: float | None = None
    current_connected: bool = True
    pack_voltage_v: float | None = None
    link_voltage_v: float | None = None
    charger_voltage_v: float | None = None
    insulation_ohm: float | None = None
    supply_v: float | None = None
    supply_connected: bool = True
    ignition: bool | None = None
    charge_plug: bool | None = None
    hvil_closed: bool | None = None
    crash: bool | None = None
    aux_positive: bool | None = None
    aux_negative: bool | None = None
    aux_precharge: bool | None = None


_LINES: tuple[tuple[str, DigitalIn], ...] = (
    ("ignition", DigitalIn.IGNITION),
    ("charge_plug", DigitalIn.CHARGE_PLUG),
    ("hvil_closed", DigitalIn.HVIL_CLOSED),
    ("crash", DigitalIn.CRASH),
    ("aux_positive", DigitalIn.AUX_POSITIVE),
    ("aux_negative", DigitalIn.AUX_NEGATIVE),
    ("aux_precharge", DigitalIn.AUX_PRECHARGE),
)
_SINGLE: tuple[tuple[str, str, Given], ...] = (
    ("pack_voltage_v", "pack_mv", Given.PACK),
    ("link_voltage_v", "link_mv", Given.LINK),
    ("charger_voltage_v", "charger_mv", Given.CHARGER),
)


class PinEntry:
    """Puts pins into a simulation. The front end finds an open wire with its next test, 0.2 s later at the latest."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._outside = simulation.outside()
        self._outside.values.pack_flags = self._outside.values.link_flags = VALID
        self._outside.values.insulation_flags = VALID
        self._open_since: dict[int, int] = {}

    def put(self, pins: Pins) -> None:
        """What the controller is given from the next tick on."""
        values = self._outside.values
        given = self._cells(pins) | self._temps(pins) | self._current(pins) | self._supply(pins)
        for name, field, bit in _SINGLE:
            volts = getattr(pins, name)
            if volts is not None:
                setattr(values, field, _whole(volts * _MILLI))
                given |= bit
        if pins.insulation_ohm is not None:
            values.insulation_ohm = min(max(round(pins.insulation_ohm), 0), _UINT32)
            given |= Given.INSULATION
        values.given = given
        self._lines(pins)

    def _cells(self, pins: Pins) -> Given:
        if pins.cell_voltage_v is None:
            return Given.NONE
        outside = self._outside
        outside.cell_uv[:] = _wholes(pins.cell_voltage_v, _MICRO)
        outside.cell_flags[:] = VALID
        now_ns = self._simulation.now_ns
        since = self._open_since
        self._open_since = {cell: since.get(cell, now_ns) for cell in pins.open_cells}
        for cell, since_ns in self._open_since.items():
            if now_ns - since_ns >= DIAGNOSIS_NS:
                outside.cell_flags[cell] = OPEN_WIRE
        return Given.CELLS

    def _temps(self, pins: Pins) -> Given:
        if pins.cell_temp_degc is None:
            return Given.NONE
        degc = np.array(pins.cell_temp_degc, np.float64)
        degc[list(pins.open_temps)] = OPEN_NTC_DEGC
        self._outside.temp_mdegc[:] = _wholes(degc, _MILLI)
        self._outside.temp_flags[:] = np.where((degc > COLDEST_DEGC) & (degc < HOTTEST_DEGC), VALID, 0)
        return Given.TEMPS

    def _current(self, pins: Pins) -> Given:
        if pins.pack_current_a is None:
            return Given.NONE
        self._outside.values.current_ma = _whole(pins.pack_current_a * _MILLI)
        self._outside.values.current_flags = VALID if pins.current_connected else 0
        return Given.CURRENT

    def _supply(self, pins: Pins) -> Given:
        if pins.supply_v is None and pins.supply_connected:
            return Given.NONE
        volts = pins.supply_v if pins.supply_v is not None and pins.supply_connected else 0.0
        self._outside.values.supply_mv = _whole(volts * _MILLI)
        return Given.SUPPLY

    def _lines(self, pins: Pins) -> None:
        given = levels = DigitalIn.NONE
        for name, bit in _LINES:
            closed = getattr(pins, name)
            if closed is not None:
                given |= bit
                levels |= bit if closed else DigitalIn.NONE
        self._outside.values.digital_given = int(given)
        self._outside.values.digital_in = int(levels)


def _whole(value: float) -> int:
    """Rounded, within 32 bits; an open wire reads 0."""
    return 0 if value != value else round(min(max(value, -_INT32), _INT32))  # noqa: PLR0124 - NaN


def _wholes(values: Sequence[float] | NDArray[np.float64], per_unit: float) -> NDArray[np.int32]:
    scaled = np.nan_to_num(np.asarray(values, np.float64) * per_unit, nan=0.0)
    whole: NDArray[np.int32] = np.rint(scaled.clip(-_INT32, _INT32)).astype(np.int32)
    return whole
