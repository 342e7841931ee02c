# SPDX-License-Identifier: Apache-2.0
"""Bloomy Controls Advanced Battery Simulator (ABS): 8 cells and 8 analogue outputs a unit, 32 units on one RS-485 line.

Source of the command set: Bloomy Controls, ABS SCPI Driver, https://github.com/BloomyControls/abs-scpi-driver, commit
fdcfda5a (2026-03-31), src/ScpiClient_*.cpp and src/SerialDriver.cpp: `@<id> ` before each line on RS-485 (0 to 31, 32
for all), `OUTP`, `SOUR:VOLT` (0 to 5 V, 4 decimals), `SOUR:CURR:SRC|SNK`, `OUTP:FAUL NONE|OPEN|SHORT|POL`,
`AUX:AOUT` (-10 to 10 V, 3 decimals), `SYST:ERR?`, lines ended by CR LF, 115 200 baud 8N1.
Assumptions, not in that source: that the answer to *IDN? names the maker as "Bloomy"; the sink and source limit of a
new unit (both are set here); that a query with a list is answered in the order of the list.

Gives cell voltages, open sense wires (its fault relays), and temperatures as the voltage of a thermistor divider
(harness.instruments.ntc). Channels count through the units: channel 9 is cell 1 of the second unit.
Options: units (all channels used must fit), first_unit = 0, addressed = 1 (0: one unit on TCP, no address),
resolution_v = 0.0001, source_a = 0.5, sink_a = 0.5, ntc_*.
Safe state: all cells disabled, all analogue outputs 0 V.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.instruments.drivers.channels import by_value, channel_text, unit_and_channel
from harness.instruments.drivers.quantities import refuse_beyond, steps, steps_inside, values_of
from harness.instruments.drivers.scpi import ScpiInstrument
from harness.instruments.model import Envelope, Inputs, InstrumentSettings, Transport
from harness.instruments.ntc import ntc_of

PER_UNIT = 8
MOST_UNITS = 32
ALL_UNITS = 32
CELL_V = (0.0, 5.0)
ANALOG_V = (-10.0, 10.0)
ANALOG_STEP_V = 0.001


class BloomyAbs(ScpiInstrument):
    """A line of ABS units as one cell simulator."""

    models = ("Bloomy",)
    gives = frozenset({"cell_voltage_v", "cell_connected", "cell_temp_degc", "temp_connected"})

    def __init__(self, settings: InstrumentSettings, transport: Transport, envelope: Envelope) -> None:
        super().__init__(settings, transport, envelope)
        self._ntc = ntc_of(settings.name, settings.options)
        self._resolution_v = max(self.settings.number("resolution_v", 0.0001), 0.0001)
        self._first = int(self.settings.number("first_unit", 0))
        self._addressed = self.settings.number("addressed", 1) != 0
        greatest = max((max(channels) for channels in settings.channels.values()), default=1)
        self._units = int(self.settings.number("units", (greatest + PER_UNIT - 1) // PER_UNIT))
        if not 0 <= self._first <= self._first + self._units <= MOST_UNITS or (self._units > 1 and not self._addressed):
            raise UsageError(
                f"{settings.name}: {self._units} units from {self._first}; RS-485 has the addresses 0 to"
                f" {MOST_UNITS - 1}, and a unit without address is alone"
            )
        self._places = {
            name: [unit_and_channel(settings.name, channel, PER_UNIT, self._units) for channel in channels]
            for name, channels in settings.channels.items()
        }
        if "temp_connected" in self._places and "cell_temp_degc" not in self._places:
            raise UsageError(f"{settings.name}: temp_connected is the voltage of an open sensor; needs cell_temp_degc")
        self._health_unit = 0
        self._identity_line = self._line(self._units - 1, "*IDN?")
        self._clear_lines = tuple(self._line(unit, "*CLS") for unit in range(self._units))

    def identify(self) -> str:
        """The answer of the first unit, after all have answered."""
        answers = []
        for unit in range(self._units):
            self._identity_line = self._line(unit, "*IDN?")
            answers.append(super().identify())
        return answers[0]

    def safe_lines(self) -> Sequence[str]:
        """First one line for all units at once, then one each in case that one was lost."""
        off = ("OUTP 0,(@1:8)", "AUX:AOUT 0,(@1:8)")
        every = [self._prefix(ALL_UNITS) + line + "\r" for line in off] if self._addressed else []
        return (*every, *(self._line(unit, line) for unit in range(self._units) for line in off))

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """The cells of every unit; how 0 V of an analogue output is written is not documented."""
        return [(self._line(unit, "OUTP? (@1:8)"), ",".join("0" * PER_UNIT)) for unit in range(self._units)]

    def is_off(self) -> bool:
        """Every cell of every unit reads back as disabled, every analogue output as 0 V."""
        return not any(
            any(self._ask_all(self._line(unit, line), PER_UNIT))
            for unit in range(self._units)
            for line in ("OUTP? (@1:8)", "AUX:AOUT? (@1:8)")
        )

    def acknowledge(self) -> None:
        """Read back the outputs of the last unit: units on one line take their lines in order."""
        self._ask_all(self._line(self._units - 1, "OUTP? (@1:8)"), PER_UNIT)

    def _setup_lines(self) -> Iterable[str]:
        source_a, sink_a = self.settings.number("source_a", 0.5), self.settings.number("sink_a", 0.5)
        for unit in range(self._units):
            yield self._line(unit, f"SOUR:CURR:SRC {source_a:.4f},(@1:8)")
            yield self._line(unit, f"SOUR:CURR:SNK {sink_a:.4f},(@1:8)")

    def _on_lines(self) -> Iterable[str]:
        for unit, channels in self._by_unit("cell_voltage_v", range(len(self._places.get("cell_voltage_v", ())))):
            yield self._line(unit, f"OUTP 1,{channel_text(channel for channel, _ in channels)}")

    def _check(self, inputs: Inputs) -> None:
        if "cell_voltage_v" in self._places:
            refuse_beyond(self._place, "cell_voltage_v", inputs.cell_voltage_v, *CELL_V, "V")
        if "cell_temp_degc" in self._places:
            volts = self._ntc.voltage_v(inputs.cell_temp_degc)
            refuse_beyond(self._place, "cell_temp_degc", volts, *ANALOG_V, "V")

    def _change_lines(self, inputs: Inputs) -> Iterable[str]:
        if "cell_voltage_v" in self._places:
            limits = self._envelope.limits["cell_voltage_v"]
            whole = steps_inside(inputs.cell_voltage_v, self._resolution_v, limits)
            texts = [f"{value * self._resolution_v:.4f}" for value in whole]
            yield from self._set("cell_voltage_v", "SOUR", "VOLT", whole, texts)
        if "cell_connected" in self._places:
            whole = values_of(inputs, "cell_connected").astype(np.int64)
            yield from self._set("cell_connected", "OUTP", "FAUL", whole, ["NONE" if one else "OPEN" for one in whole])
        if "cell_temp_degc" in self._places:
            volts = self._ntc.voltage_v(inputs.cell_temp_degc)
            if "temp_connected" in self._places:  # an open sensor leaves the input at the reference
                volts = np.where(inputs.temp_connected, volts, self._ntc.reference_v)
            whole = steps(volts, ANALOG_STEP_V)
            texts = [f"{value * ANALOG_STEP_V:.3f}" for value in whole]
            yield from self._set("cell_temp_degc", "AUX:AOUT", "", whole, texts)

    def _set(self, name: str, head: str, tail: str, whole: NDArray[np.int64], texts: Sequence[str]) -> Iterable[str]:
        """One line a unit: a list where channels share a value, else the units' compound form."""
        changed = self._sent.changed(name, whole)
        for unit, channels in self._by_unit(name, (int(index) for index in changed)):
            groups = by_value((channel, texts[index]) for channel, index in channels)
            end = f":{tail}" if tail else ""
            if len(groups) == 1 or len(groups) * 2 <= len(channels):
                parts = [f":{head}{end} {text},{channel_text(members)}" for text, members in groups.items()]
            else:
                parts = [f":{head}{channel}{end} {texts[index]}" for channel, index in channels]
            yield self._line(unit, ";".join(parts))

    def _by_unit(self, name: str, indices: Iterable[int]) -> Iterable[tuple[int, list[tuple[int, int]]]]:
        units: dict[int, list[tuple[int, int]]] = {}
        for index in indices:
            unit, channel = self._places[name][index]
            units.setdefault(unit, []).append((channel, index))
        return units.items()

    def _ask_health(self) -> None:
        self._health_unit = (self._health_unit + 1) % self._units
        self._ask_later(self._line(self._health_unit, "SYST:ERR?"), self._no_error)

    def _raise_errors(self) -> None:
        for unit in range(self._units):
            self._raise_errors_of(self._line(unit, "SYST:ERR?"))

    def _line(self, unit: int, text: str) -> str:
        return f"{self._prefix(self._first + unit)}{text}\r"

    def _prefix(self, address: int) -> str:
        return f"@{address} " if self._addressed else ""
