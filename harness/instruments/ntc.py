# SPDX-License-Identifier: Apache-2.0
"""The thermistor an instrument plays: resistance by the beta equation, voltage at the divider of the controller.

R(T) = R25 exp(B (1/T - 1/298.15 K)); e.g. Vishay, "NTC Thermistors", document 29053. U = Uref R / (R + Rpull).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError

ZERO_DEGC_K = 273.15
T25_K = 298.15


@dataclass(frozen=True, slots=True)
class Ntc:
    """A thermistor and the divider it hangs on. Defaults: 10 kOhm, B 3435 K, pulled up to 5 V by 10 kOhm."""

    r25_ohm: float = 10_000.0
    beta_k: float = 3435.0
    pull_up_ohm: float = 10_000.0
    reference_v: float = 5.0

    def resistance_ohm(self, temp_degc: NDArray[np.float64]) -> NDArray[np.float64]:
        """Resistance at a temperature."""
        kelvin = temp_degc + ZERO_DEGC_K
        return self.r25_ohm * np.exp(self.beta_k * (1.0 / kelvin - 1.0 / T25_K))

    def temp_of_resistance_degc(self, ohm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Temperature at which it has this resistance."""
        return 1.0 / (np.log(ohm / self.r25_ohm) / self.beta_k + 1.0 / T25_K) - ZERO_DEGC_K

    def voltage_v(self, temp_degc: NDArray[np.float64]) -> NDArray[np.float64]:
        """Voltage at the controller's input."""
        ohm = self.resistance_ohm(temp_degc)
        return self.reference_v * ohm / (ohm + self.pull_up_ohm)

    def temp_of_voltage_degc(self, volt: NDArray[np.float64]) -> NDArray[np.float64]:
        """Temperature this voltage stands for; NaN at or beyond the ends, where the sensor is open or short."""
        inside = (volt > 0.0) & (volt < self.reference_v)
        safe = np.where(inside, volt, self.reference_v / 2.0)
        temp = self.temp_of_resistance_degc(self.pull_up_ohm * safe / (self.reference_v - safe))
        return np.where(inside, temp, np.nan)


def ntc_of(name: str, options: Mapping[str, str | int | float]) -> Ntc:
    """The thermistor of an instrument's options `ntc_*`. UsageError for values that are no thermistor."""
    default = Ntc()
    names = {
        "ntc_r25_ohm": default.r25_ohm,
        "ntc_beta_k": default.beta_k,
        "ntc_pull_up_ohm": default.pull_up_ohm,
        "ntc_reference_v": default.reference_v,
    }
    values = {key: options.get(key, value) for key, value in names.items()}
    for key, value in values.items():
        if isinstance(value, str) or not 0.0 < value < float("inf"):
            raise UsageError(f"{name}: option {key} = {value!r}; a number above 0 is needed")
    return Ntc(*(float(value) for value in values.values()))
