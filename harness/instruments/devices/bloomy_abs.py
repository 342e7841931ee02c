# SPDX-License-Identifier: Apache-2.0
"""A line of Bloomy ABS units. Source: see harness.instruments.drivers.bloomy_abs.

After power-on every cell is disabled, every fault relay at rest and every analogue output at 0 V.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.instruments.devices.scpi import ILLEGAL, MISSING, Call, DeviceError, Interpreter, ScpiDevice
from harness.instruments.model import InstrumentSettings
from harness.instruments.ntc import ntc_of

CELLS = 8
OUTPUTS = 8
BROADCAST = 32
GREATEST_V = 5.0
GREATEST_A = 5.0
GREATEST_OUTPUT_V = 10.0
ADDRESS = re.compile(r"^@(\d+)\s+(.*)$")


class Unit:
    """One ABS: eight cells, eight analogue outputs."""

    def __init__(self, device: BloomyAbsDevice) -> None:
        self.volts = np.zeros(CELLS)
        self.enabled = np.zeros(CELLS, dtype=bool)
        self.relays = ["NONE"] * CELLS
        self.outputs_v = np.zeros(OUTPUTS)
        self.limits_a = {"SRC": np.zeros(CELLS), "SNK": np.zeros(CELLS)}
        self.interpreter = Interpreter(
            {
                "*IDN?": device._identify,  # noqa: SLF001 - a unit is a part of its device
                "OUTPut<n>": self._enable,
                "OUTPut<n>?": lambda call: _numbers(call, self.enabled, "{:.0f}"),
                "OUTPut<n>:FAULt": self._relay,
                "OUTPut<n>:FAULt?": lambda call: ",".join(self.relays[one - 1] for one in call.targets(CELLS)),
                "SOURce<n>:VOLTage": self._voltage,
                "SOURce<n>:VOLTage?": lambda call: _numbers(call, self.volts, "{:.4f}"),
                "SOURce<n>:CURRent:SRC": lambda call: self._limit("SRC", call),
                "SOURce<n>:CURRent:SNK": lambda call: self._limit("SNK", call),
                "MEASure<n>:VOLTage?": lambda call: _numbers(call, self.volts * self.enabled, "{:.4f}"),
                "AUX:AOUT<n>": self._output,
                "AUX:AOUT<n>?": lambda call: _numbers(call, self.outputs_v, "{:.3f}"),
            },
            reset=self._reset,
        )

    def _enable(self, call: Call) -> None:
        for cell in call.targets(CELLS):
            self.enabled[cell - 1] = call.switch()

    def _relay(self, call: Call) -> None:
        word = call.parameters[0].upper() if call.parameters else ""
        if not word:
            raise DeviceError(*MISSING)
        if word not in {"NONE", "OPEN", "SHORT", "POL"}:
            raise DeviceError(*ILLEGAL)
        for cell in call.targets(CELLS):
            self.relays[cell - 1] = word

    def _voltage(self, call: Call) -> None:
        value = call.number(0.0, GREATEST_V)
        for cell in call.targets(CELLS):
            self.volts[cell - 1] = value

    def _limit(self, kind: str, call: Call) -> None:
        value = call.number(0.0, GREATEST_A)
        for cell in call.targets(CELLS):
            self.limits_a[kind][cell - 1] = value

    def _output(self, call: Call) -> None:
        value = call.number(-GREATEST_OUTPUT_V, GREATEST_OUTPUT_V)
        for output in call.targets(OUTPUTS):
            self.outputs_v[output - 1] = value

    def _reset(self) -> None:
        self.volts[:] = 0.0
        self.enabled[:] = False
        self.outputs_v[:] = 0.0
        self.relays[:] = ["NONE"] * CELLS


class BloomyAbsDevice(ScpiDevice):
    """As many units as the channels of the bench file need."""

    identity = "Bloomy Controls,ABS,SN0001,1.2.0"

    def __init__(self, settings: InstrumentSettings) -> None:
        super().__init__(settings)
        greatest = max((max(channels) for channels in settings.channels.values()), default=1)
        count = int(settings.number("units", -(-greatest // CELLS)))
        first = int(settings.number("first_unit", 0))
        self._addressed = settings.number("addressed", 1) != 0
        self.units = {first + place: Unit(self) for place in range(count)}
        self._ntc = ntc_of(settings.name, settings.options)

    @property
    def is_off(self) -> bool:
        """No cell enabled, no analogue output away from 0 V."""
        return not any(unit.enabled.any() or unit.outputs_v.any() for unit in self.units.values())

    def given(self) -> Mapping[str, NDArray[np.float64]]:
        """Cells and sensors at their terminals."""
        units = list(self.units.values())
        on = np.concatenate([unit.enabled for unit in units])
        shorted = np.array([relay == "SHORT" for unit in units for relay in unit.relays])
        sign = np.array([-1.0 if relay == "POL" else 1.0 for unit in units for relay in unit.relays])
        volts = np.concatenate([unit.volts for unit in units]) * on * ~shorted * sign
        joined = on & np.array([relay != "OPEN" for unit in units for relay in unit.relays])
        temps = self._ntc.temp_of_voltage_degc(np.concatenate([unit.outputs_v for unit in units]))
        whole = {
            "cell_voltage_v": volts,
            "cell_connected": joined.astype(np.float64),
            "cell_temp_degc": temps,
            "temp_connected": (~np.isnan(temps)).astype(np.float64),
        }
        given = {
            name: whole[name][np.array(channels) - 1]
            for name, channels in self.settings.channels.items()
            if name in whole
        }
        lit = any(unit.outputs_v.any() for unit in units)
        return self._seen(
            given,
            {name: bool(on.any()) if name.startswith("cell_v") or name == "cell_connected" else lit for name in given},
        )

    def _message(self, text: str) -> str:
        if not self._addressed:
            return next(iter(self.units.values())).interpreter.message(text)
        match = ADDRESS.match(text.strip())
        if match is None:
            return ""  # not for a unit on this line
        address = int(match[1])
        if address >= BROADCAST:
            for unit in self.units.values():
                unit.interpreter.message(match[2])
            return ""
        return self.units[address].interpreter.message(match[2]) if address in self.units else ""


def _numbers(call: Call, values: NDArray[np.generic], form: str) -> str:
    return ",".join(form.format(float(values[one - 1])) for one in call.targets(CELLS))
