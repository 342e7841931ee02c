# SPDX-License-Identifier: Apache-2.0
"""A Keysight 34980A with relay cards, an isolated DAC and a digital input. Source: see the driver of the same name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.instruments.devices.scpi import OUT_OF_RANGE, Call, DeviceError, Interpreter, ScpiDevice, number_text
from harness.instruments.model import ANALOG, LINES, InstrumentSettings

SLOTS = 8
GREATEST_V = 16.0
LAST_COUNTED = 999


class Keysight34980aDevice(ScpiDevice):
    """The modules the bench file's channels need."""

    identity = "Agilent Technologies,34980A,MY00000000,2.43-2.41-2.07-1.05"

    def __init__(self, settings: InstrumentSettings) -> None:
        super().__init__(settings)
        self._per_slot = int(settings.number("relays_per_slot", 64, 1, LAST_COUNTED))
        self._first_slot = int(settings.number("relay_slot", 1))
        self._digital = int(settings.number("digital_channel", 7101))
        self._relays = {
            name: [self._native(channel) for channel in channels]
            for name, channels in settings.channels.items()
            if name in LINES
        }
        self._fitted = {relay for relays in self._relays.values() for relay in relays}
        self.closed: set[int] = set()
        self._scales = {name: _scale(settings, name) for name in settings.channels if name in ANALOG}
        dacs = [channels[0] for name, channels in settings.channels.items() if name in ANALOG]
        self.volts = dict.fromkeys(dacs, 0.0)
        self.lit: set[int] = set()
        self.byte = 0
        self.inputs: set[int] = set()
        self._interpreter = Interpreter(
            {
                "*IDN?": self._identify,
                "[ROUTe]:CLOSe": lambda call: self.closed.update(self._relay_list(call)),
                "[ROUTe]:CLOSe?": lambda call: _bits(channel in self.closed for channel in self._relay_list(call)),
                "[ROUTe]:OPEN": lambda call: self.closed.difference_update(self._relay_list(call)),
                "[ROUTe]:OPEN?": lambda call: _bits(channel not in self.closed for channel in self._relay_list(call)),
                "SOURce:VOLTage[:LEVel]": self._voltage,
                "SOURce:VOLTage[:LEVel]?": lambda call: ",".join(
                    number_text(self.volts[c]) for c in self._dac_list(call)
                ),
                "OUTPut[:STATe]": self._output,
                "OUTPut[:STATe]?": lambda call: _bits(channel in self.lit for channel in self._dac_list(call)),
                "CONFigure:DIGital:DIRection": self._direction,
                "[SENSe]:DIGital:DATA:BYTE?": self._read_byte,
            },
            reset=self._reset,
            no_error='+0,"No error"',
        )

    @property
    def is_off(self) -> bool:
        """No relay closed, no analogue output on."""
        return not self.closed and not self.lit

    def drive(self, reading: str, *, closed: bool) -> None:
        """A contactor drive at its bit of the digital byte."""
        bit = 1 << self.settings.reads[reading]
        self.byte = self.byte | bit if closed else self.byte & ~bit

    def given(self) -> Mapping[str, NDArray[np.float64]]:
        """Lines by their relays, signals back through gain and offset."""
        given = {
            name: np.array([float(relay in self.closed) for relay in relays]) for name, relays in self._relays.items()
        }
        on = {name: bool(values.any()) for name, values in given.items()}
        for name, channels in self.settings.channels.items():
            if name in ANALOG:
                gain, offset = self._scales[name]
                lit = channels[0] in self.lit
                given[name] = np.array([(self.volts[channels[0]] - offset) / gain if lit else 0.0])
                on[name] = lit
        if any(on.values()):  # an open line is a value as soon as the bench is armed
            on |= dict.fromkeys(self._relays, True)
        return self._seen(given, on)

    def _native(self, channel: int) -> int:
        if channel > LAST_COUNTED:
            return channel
        slot, place = divmod(channel - 1, self._per_slot)
        return 1000 * (self._first_slot + slot) + place + 1

    def _relay_list(self, call: Call) -> tuple[int, ...]:
        if not call.channels or any(channel not in self._fitted for channel in call.channels):
            raise DeviceError(*OUT_OF_RANGE)
        return call.channels

    def _dac_list(self, call: Call) -> tuple[int, ...]:
        if not call.channels or any(channel not in self.volts for channel in call.channels):
            raise DeviceError(*OUT_OF_RANGE)
        return call.channels

    def _voltage(self, call: Call) -> None:
        value = call.number(-GREATEST_V, GREATEST_V)
        self.volts.update(dict.fromkeys(self._dac_list(call), value))

    def _output(self, call: Call) -> None:
        channels = self._dac_list(call)
        if call.switch():
            self.lit.update(channels)
        else:
            self.lit.difference_update(channels)

    def _direction(self, call: Call) -> None:
        if call.parameters[:1] != ["INP"] or self._digital not in call.channels:
            raise DeviceError(*OUT_OF_RANGE)
        self.inputs.update(call.channels)

    def _read_byte(self, call: Call) -> str:
        if call.channels != (self._digital,):
            raise DeviceError(*OUT_OF_RANGE)
        return str(self.byte)

    def _reset(self) -> None:
        self.closed.clear()
        self.lit.clear()

    def _message(self, text: str) -> str:
        return self._interpreter.message(text)


def _scale(settings: InstrumentSettings, name: str) -> tuple[float, float]:
    """Volts for each unit, and at 0."""
    gain = settings.number(f"{name}_gain", 0.0)
    if gain == 0.0:
        raise UsageError(f"{settings.name}: option {name}_gain is missing or 0: volts of the output for each unit")
    return gain, settings.number(f"{name}_offset_v", 0.0)


def _bits(values: Iterable[bool]) -> str:
    return ",".join("1" if value else "0" for value in values)
