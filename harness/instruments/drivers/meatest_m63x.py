# SPDX-License-Identifier: Apache-2.0
"""Meatest M63x programmable resistance: insulation resistance, or one temperature sensor.

Source of the command set: Meatest, "M631 Precision RTD Simulator, Operation manual", section 6.5, page 29
(https://manualshive.com/en/manual/meatest/m631/1758445?page=29): `:RES 100;:OUTP ON`, optional keywords in brackets,
lines ended by CR, LF or both, booleans always answered as 0 or 1. The pages with the list of commands could not be
read: `:OUTP?`, `*IDN?`, `*OPC?` and `SYSTem:ERRor?` are assumptions from that grammar and from IEEE 488.2. The range of
resistance depends on the unit. A unit for signal voltages must stand behind the measuring resistors of an insulation
monitor, never on the traction voltage itself.

Gives insulation_ohm, or cell_temp_degc of one sensor as the resistance of a thermistor (harness.instruments.ntc).
Options: least_ohm = 10, greatest_ohm = 1e7, resolution_ohm = 0.1 (of insulation: 10), ntc_*.
Safe state: output open.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.instruments.drivers.quantities import refuse_beyond, steps, steps_inside, values_of
from harness.instruments.drivers.scpi import ScpiInstrument
from harness.instruments.model import Envelope, Inputs, InstrumentSettings, Transport
from harness.instruments.ntc import ntc_of


class MeatestM63x(ScpiInstrument):
    """One resistance."""

    models = ("M630", "M631", "M632", "M-631", "M-632")
    gives = frozenset({"insulation_ohm", "cell_temp_degc"})

    def __init__(self, settings: InstrumentSettings, transport: Transport, envelope: Envelope) -> None:
        super().__init__(settings, transport, envelope)
        if len(settings.channels) != 1 or any(len(channels) != 1 for channels in settings.channels.values()):
            raise UsageError(
                f"{settings.name}: gives one resistance; found {', '.join(settings.channels) or 'nothing'}"
            )
        (self._quantity,) = settings.channels
        self._ntc = ntc_of(settings.name, settings.options)
        default = 10.0 if self._quantity == "insulation_ohm" else 0.1
        self._resolution_ohm = max(self.settings.number("resolution_ohm", default), 0.001)

    def safe_lines(self) -> Sequence[str]:
        """Output open."""
        return (":OUTP OFF",)

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """The output."""
        return ((":OUTP?", "0"),)

    def is_off(self) -> bool:
        """The output reads back as open."""
        return self._ask_all(":OUTP?", 1)[0] == 0.0

    def _setup_lines(self) -> Iterable[str]:
        return ()

    def _on_lines(self) -> Iterable[str]:
        yield ":OUTP ON"

    def _ohm(self, inputs: Inputs) -> NDArray[np.float64]:
        values = values_of(inputs, self._quantity)
        return values if self._quantity == "insulation_ohm" else self._ntc.resistance_ohm(values)

    def _check(self, inputs: Inputs) -> None:
        least, greatest = self.settings.number("least_ohm", 10.0), self.settings.number("greatest_ohm", 1e7)
        refuse_beyond(self._place, self._quantity, self._ohm(inputs), least, greatest, "ohm")

    def _change_lines(self, inputs: Inputs) -> Iterable[str]:
        if self._quantity == "insulation_ohm":
            whole = steps_inside(self._ohm(inputs), self._resolution_ohm, self._envelope.limits["insulation_ohm"])
        else:
            whole = steps(self._ohm(inputs), self._resolution_ohm)
        if self._sent.changed(self._quantity, whole).size:
            yield f":RES {whole[0] * self._resolution_ohm:.3f}"
