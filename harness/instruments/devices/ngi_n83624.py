# SPDX-License-Identifier: Apache-2.0
"""An NGI N83624. Source: see harness.instruments.drivers.ngi_n83624. Header numbers and lists as in the guide's 5.2."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.instruments.devices.scpi import Call, Interpreter, ScpiDevice
from harness.instruments.model import InstrumentSettings

CHANNELS = 24
GREATEST_V = 6.0
GREATEST_MA = 5000.0


class NgiN83624Device(ScpiDevice):
    """24 channels in source mode. `tripped`: bits of OUTPut<n>:STATe? a test may set."""

    identity = "NGI,N83624,0,V1.00"

    def __init__(self, settings: InstrumentSettings) -> None:
        super().__init__(settings)
        self.volts = np.zeros(CHANNELS)
        self.on = np.zeros(CHANNELS, dtype=bool)
        self.limit_ma = np.zeros(CHANNELS)
        self.mode = np.zeros(CHANNELS, dtype=int)
        self.tripped = np.zeros(CHANNELS, dtype=int)
        self._interpreter = Interpreter(
            {
                "*IDN?": self._identify,
                "OUTPut<n>:MODE": lambda call: self._set(self.mode, call, call.number(0, 128)),
                "OUTPut<n>:ONOFF": lambda call: self._set(self.on, call, call.switch()),
                "OUTPut<n>:ONOFF?": lambda call: self._ask(self.on, call, "{:.0f}"),
                "OUTPut<n>:STATe?": lambda call: self._ask(self.on + self.tripped, call, "{:.0f}"),
                "SOURce<n>:VOLTage": lambda call: self._set(self.volts, call, call.number(0.0, GREATEST_V)),
                "SOURce<n>:VOLTage?": lambda call: self._ask(self.volts, call, "{:.4f}"),
                "SOURce<n>:OUTCURRent": lambda call: self._set(self.limit_ma, call, call.number(0.0, GREATEST_MA)),
                "SOURce<n>:RANGe": self._range,
                "MEASure<n>:VOLTage?": lambda call: self._ask(self.volts * self.on, call, "{:.4f}"),
            },
            reset=self._reset,
            no_error=None,
        )

    @property
    def errors(self) -> int:
        """Errors in the queue, which the guide gives no way to read."""
        return len(self._interpreter.errors)

    @property
    def is_off(self) -> bool:
        """No output on."""
        return not self.on.any()

    def given(self) -> Mapping[str, NDArray[np.float64]]:
        """Cell voltages."""
        used = np.array(self.settings.channels["cell_voltage_v"]) - 1
        given = {"cell_voltage_v": (self.volts * self.on)[used]}
        return self._seen(given, {"cell_voltage_v": bool(self.on[used].any())})

    def _message(self, text: str) -> str:
        return self._interpreter.message(text)

    def _set(self, values: NDArray[np.generic], call: Call, value: float) -> None:
        for channel in call.targets(CHANNELS):
            values[channel - 1] = value

    def _range(self, call: Call) -> None:
        call.number(0, 3)

    def _ask(self, values: NDArray[np.generic], call: Call, form: str) -> str:
        return ",".join(form.format(float(values[channel - 1])) for channel in call.targets(CHANNELS))

    def _reset(self) -> None:
        self.volts[:] = 0.0
        self.on[:] = False
