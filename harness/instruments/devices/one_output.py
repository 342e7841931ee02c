# SPDX-License-Identifier: Apache-2.0
"""Instruments with one output: power supplies, load, resistance. Sources: see the drivers of the same names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.instruments.devices.scpi import ILLEGAL, Call, DeviceError, Handler, Interpreter, ScpiDevice, number_text
from harness.instruments.model import ANALOG, InstrumentSettings
from harness.instruments.ntc import ntc_of

NOT_IN_LOCAL = (550, "Command not allowed in local")


class OneOutputDevice(ScpiDevice):
    """A level, a switch."""

    off_value = 0.0

    def __init__(self, settings: InstrumentSettings) -> None:
        super().__init__(settings)
        self.level = 0.0
        self.on = False
        self._interpreter = Interpreter(self._commands(), reset=self._reset)

    def _commands(self) -> dict[str, Handler]:
        return {"*IDN?": self._identify}

    @property
    def is_off(self) -> bool:
        """The output is off."""
        return not self.on

    def given(self) -> Mapping[str, NDArray[np.float64]]:
        """The quantity at the terminals."""
        given = {
            name: np.array([self._value(name) if self.on else self.off_value])
            for name in self.settings.channels
            if name in ANALOG
        }
        return self._seen(given, dict.fromkeys(given, self.on))

    def _value(self, _name: str) -> float:
        return self.level

    def _switch(self, call: Call) -> None:
        self.on = call.switch()

    def _reset(self) -> None:
        self.level = 0.0
        self.on = False

    def _message(self, text: str) -> str:
        return self._interpreter.message(text)


class SupplyDevice(OneOutputDevice):
    """A power supply: the level is a voltage, and the output can be the switch of the supply line."""

    limit_a = 0.0

    def given(self) -> Mapping[str, NDArray[np.float64]]:
        """The voltage, and the supply line when the output is its switch."""
        given = dict(super().given())
        if "supply_connected" in self.settings.channels and given:
            given["supply_connected"] = np.array([float(self.on)])
        return given


class KeysightE364xDevice(SupplyDevice):
    """An E3645A on RS-232: nothing but queries before SYSTem:REMote. 35 V in the low range, 60 V in the high."""

    identity = "Agilent Technologies,E3645A,0,1.4-5.0-1.0"
    low_v = 36.05
    high_v = 61.8
    greatest_a = 2.266

    def __init__(self, settings: InstrumentSettings) -> None:
        self.remote = settings.number("remote", 1) == 0
        self.high = False
        super().__init__(settings)

    def _commands(self) -> dict[str, Handler]:
        return super()._commands() | {
            "SYSTem:REMote": self._to_remote,
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]": self._voltage,
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]?": lambda _call: number_text(self.level),
            "[SOURce]:VOLTage:RANGe": self._range,
            "[SOURce]:CURRent[:LEVel][:IMMediate][:AMPLitude]": self._current,
            "OUTPut[:STATe]": self._output,
            "OUTPut[:STATe]?": lambda _call: "1" if self.on else "0",
            "MEASure[:SCALar][:VOLTage][:DC]?": lambda _call: number_text(self.level if self.on else 0.0),
        }

    def _to_remote(self, _call: Call) -> None:
        self.remote = True

    def _only_remote(self) -> None:
        if not self.remote:
            raise DeviceError(*NOT_IN_LOCAL)

    def _voltage(self, call: Call) -> None:
        self._only_remote()
        self.level = call.number(0.0, self.high_v if self.high else self.low_v)

    def _current(self, call: Call) -> None:
        self._only_remote()
        self.limit_a = call.number(0.0, self.greatest_a)

    def _range(self, call: Call) -> None:
        self._only_remote()
        word = call.parameters[0].upper() if call.parameters else ""
        if word not in {"P35V", "LOW", "P60V", "HIGH"}:
            raise DeviceError(*ILLEGAL)
        self.high = word in {"P60V", "HIGH"}

    def _output(self, call: Call) -> None:
        self._only_remote()
        self._switch(call)


class TdkGenesysDevice(SupplyDevice):
    """A Genesys of 600 V."""

    identity = "TDK-LAMBDA,GEN600-5.5-LAN,S/N 11111-111111,REV:1U:3.0-D"
    greatest_v = 600.0
    greatest_a = 5.5

    def _commands(self) -> dict[str, Handler]:
        return super()._commands() | {
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]": self._voltage,
            "[SOURce]:VOLTage[:LEVel][:IMMediate][:AMPLitude]?": lambda _call: f"{self.level:.3f}",
            "[SOURce]:CURRent[:LEVel][:IMMediate][:AMPLitude]": self._current,
            "OUTPut:STATe": self._switch,
            "OUTPut:STATe?": lambda _call: "ON" if self.on else "OFF",
            "MEASure:VOLTage?": lambda _call: f"{self.level if self.on else 0.0:.3f}",
        }

    def _voltage(self, call: Call) -> None:
        self.level = call.number(0.0, self.greatest_v)

    def _current(self, call: Call) -> None:
        self.limit_a = call.number(0.0, self.greatest_a)


class RigolDl3000Device(OneOutputDevice):
    """A DL3021A: 40 A."""

    identity = "RIGOL TECHNOLOGIES,DL3021A,DL3A000000000,00.01.05.00.01"
    ranges_a = (4.0, 40.0)

    def __init__(self, settings: InstrumentSettings) -> None:
        self.function = "CURR"
        self.range_a = self.ranges_a[0]
        super().__init__(settings)

    def _value(self, _name: str) -> float:
        return self.level * self.settings.number("turns", 1.0)

    def _commands(self) -> dict[str, Handler]:
        return super()._commands() | {
            "[SOURce]:FUNCtion": self._function,
            "[SOURce]:CURRent:RANGe": self._range,
            "[SOURce]:CURRent[:LEVel][:IMMediate]": self._current,
            "[SOURce]:CURRent[:LEVel][:IMMediate]?": lambda _call: f"{self.level:.6f}",
            "[SOURce]:INPut[:STATe]": self._switch,
            "[SOURce]:INPut[:STATe]?": lambda _call: "1" if self.on else "0",
        }

    def _function(self, call: Call) -> None:
        word = call.parameters[0].upper() if call.parameters else ""
        if word not in {"CURR", "CURRENT", "RES", "RESISTANCE", "VOLT", "VOLTAGE", "POW", "POWER"}:
            raise DeviceError(*ILLEGAL)
        self.function = word[:4]

    def _range(self, call: Call) -> None:
        words = {"MIN": self.ranges_a[0], "MAX": self.ranges_a[1]}
        word = call.parameters[0].upper() if call.parameters else ""
        self.range_a = words[word] if word in words else call.number(0.0, self.ranges_a[1])

    def _current(self, call: Call) -> None:
        self.level = call.number(0.0, self.range_a)


class MeatestM63xDevice(OneOutputDevice):
    """A programmable resistance; off is open."""

    identity = "MEATEST,M631,412351,1.10"

    def __init__(self, settings: InstrumentSettings) -> None:
        super().__init__(settings)
        (self._quantity,) = settings.channels
        self._ntc = ntc_of(settings.name, settings.options)
        self.level = 100.0
        self.off_value = np.inf if self._quantity == "insulation_ohm" else np.nan

    def _value(self, _name: str) -> float:
        if self._quantity == "insulation_ohm":
            return self.level
        return float(self._ntc.temp_of_resistance_degc(np.array([self.level]))[0])

    def _commands(self) -> dict[str, Handler]:
        return super()._commands() | {
            "[SOURce]:RESistance[:LEVel]": self._resistance,
            "[SOURce]:RESistance[:LEVel]?": lambda _call: f"{self.level:.3f}",
            "OUTPut[:STATe]": self._switch,
            "OUTPut[:STATe]?": lambda _call: "1" if self.on else "0",
        }

    def _resistance(self, call: Call) -> None:
        least, greatest = self.settings.number("least_ohm", 10.0), self.settings.number("greatest_ohm", 1e7)
        self.level = call.number(least, greatest)
