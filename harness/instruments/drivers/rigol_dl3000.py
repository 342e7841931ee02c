# SPDX-License-Identifier: Apache-2.0
"""Rigol DL3000 electronic load (DL3021, DL3021A, DL3031, DL3031A): current through the pack's current sensor.

Source of the command set: Rigol, "DL3000 Programming Guide", April 2019, pages 2-20 to 2-24
(download.rigol.com, DL3000_ProgrammingGuide_EN.pdf), read through citations and public drivers that use it on a DL3021
and a DL3031A: `:SOURce:FUNCtion CURRent`, `:SOURce:CURRent:RANGe MAX`, `:SOURce:CURRent:LEVel:IMMediate` (1 mA steps),
`:SOURce:INPut:STATe 0|1`, whose query answers 0 or 1. Assumption: `SYSTem:ERRor?` as SCPI has it. Ratings: DL3021 40 A,
DL3031 60 A (data sheet DSJ01109-1110). `*RST` is never sent: it sets levels of several ampere.

Gives pack_current_a, discharge only, through `turns` turns of the sensor's window: a pack current of 600 A with
turns = 20 is 30 A of the load. Options: turns = 1, greatest_a = 40.
Safe state: input off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.instruments.drivers.quantities import refuse_beyond, steps_inside, values_of
from harness.instruments.drivers.scpi import ScpiInstrument
from harness.instruments.model import Envelope, Inputs, InstrumentSettings, Transport

QUANTITY = "pack_current_a"
RESOLUTION_A = 0.001


class RigolDl3000(ScpiInstrument):
    """One load in constant current."""

    models = ("DL3021", "DL3031")
    gives = frozenset({QUANTITY})

    def __init__(self, settings: InstrumentSettings, transport: Transport, envelope: Envelope) -> None:
        super().__init__(settings, transport, envelope)
        self._turns = self.settings.number("turns", 1.0)
        if self._turns <= 0.0:
            raise UsageError(f"{settings.name}: option turns = {self._turns:g}; above 0")

    def safe_lines(self) -> Sequence[str]:
        """Input off."""
        return (":SOUR:INP:STAT 0",)

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """The input."""
        return ((":SOUR:INP:STAT?", "0"),)

    def is_off(self) -> bool:
        """The input reads back as off."""
        return self._ask_all(":SOUR:INP:STAT?", 1)[0] == 0.0

    def _setup_lines(self) -> Iterable[str]:
        yield ":SOUR:FUNC CURR"
        yield ":SOUR:CURR:RANG MAX"

    def _on_lines(self) -> Iterable[str]:
        yield ":SOUR:INP:STAT 1"

    def _load_a(self, inputs: Inputs) -> NDArray[np.float64]:
        return values_of(inputs, QUANTITY) / self._turns

    def _check(self, inputs: Inputs) -> None:
        refuse_beyond(self._place, QUANTITY, self._load_a(inputs), 0.0, self.settings.number("greatest_a", 40.0), "A")

    def _change_lines(self, inputs: Inputs) -> Iterable[str]:
        least, greatest = self._envelope.limits[QUANTITY]
        whole = steps_inside(self._load_a(inputs), RESOLUTION_A, (least / self._turns, greatest / self._turns))
        if self._sent.changed(QUANTITY, whole).size:
            yield f":SOUR:CURR:LEV:IMM {whole[0] * RESOLUTION_A:.3f}"
