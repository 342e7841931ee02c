# SPDX-License-Identifier: Apache-2.0
"""The protections of the Python BMS: the numbers of the reference firmware's parameter table."""

from __future__ import annotations

import math
from dataclasses import dataclass

UNUSED = math.nan
NEVER = math.inf
_V_MS, _T_MS = (2000.0, 1000.0, 900.0), (3000.0, 3000.0, 4500.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """One quantity with its three limits (warning, alarm, trip), confirmation times, hysteresis and release time.

    `sign` 1: too high is bad, -1: too low is.
    """

    signal: str
    quantity: str
    sign: int
    limits: tuple[float, float, float]
    confirm_ms: tuple[float, float, float]
    hysteresis: float
    release_ms: float


def _trip(signal: str, quantity: str, confirm_ms: float, release_ms: float = 1000.0, above: float = 0.5) -> Rule:
    return Rule(signal, quantity, 1, (UNUSED, UNUSED, above), (NEVER, NEVER, confirm_ms), 0.0, release_ms)


RULES = (
    Rule("CellOvervoltage", "high", 1, (3.6, 3.65, 3.75), _V_MS, 0.1, 5000.0),
    Rule("CellUndervoltage", "low", -1, (2.8, 2.6, 2.5), _V_MS, 0.1, 5000.0),
    Rule("CellImbalance", "spread", 1, (0.1, 0.2, 0.3), (2000.0, 1000.0, 7500.0), 0.05, 5000.0),
    Rule("ChargeOvertemperature", "warm_charging", 1, (45.0, 50.0, 55.0), _T_MS, 5.0, 5000.0),
    Rule("ChargeUndertemperature", "cool_charging", -1, (0.0, -5.0, -10.0), _T_MS, 5.0, 5000.0),
    Rule("DischargeOvertemperature", "warm_driving", 1, (50.0, 55.0, 60.0), _T_MS, 5.0, 5000.0),
    Rule("DischargeUndertemperature", "cool_driving", -1, (-15.0, -20.0, -25.0), _T_MS, 5.0, 5000.0),
    Rule("TemperatureSpread", "temp_spread", 1, (5.0, 10.0, 15.0), (3000.0, 3000.0, 7500.0), 2.5, 5000.0),
    Rule("DischargeOvercurrent", "current", 1, (420.0, 480.0, UNUSED), (2000.0, 1000.0, NEVER), 20.0, 5000.0),
    Rule("ChargeOvercurrent", "current", -1, (-283.5, -324.0, UNUSED), (2000.0, 1000.0, NEVER), 20.0, 5000.0),
    Rule("Insulation", "insulation", -1, (350e3, 70e3, 35e3), (2000.0, 1000.0, 3500.0), 10e3, 5000.0),
    Rule("Supply", "supply", -1, (18.0, UNUSED, 16.0), (1000.0, NEVER, 100.0), 0.5, 1000.0),
    Rule("Supply", "supply", 1, (UNUSED, UNUSED, 32.0), (NEVER, NEVER, 100.0), 0.5, 1000.0),
    Rule("SocLow", "soc", -1, (10.0, UNUSED, UNUSED), (2000.0, NEVER, NEVER), 2.0, 2000.0),
    Rule("SocHigh", "soc", 1, (95.0, UNUSED, UNUSED), (2000.0, NEVER, NEVER), 2.0, 2000.0),
    _trip("OpenSenseWire", "open_wires", 1000.0),
    _trip("VoltagePlausibility", "mismatch", 1750.0, above=15.0),
    _trip("MeasurementStale", "age", 300.0, above=0.25),
    _trip("CellsInvalid", "cells_invalid", 750.0),
    _trip("TemperatureSensor", "temps_invalid", 1500.0),
    _trip("Hvil", "hvil_open", 100.0),
    _trip("Crash", "crash", 20.0),
    _trip("VehicleTimeout", "vehicle_age", 900.0, above=100.0),
    _trip("ThermalRunaway", "runaway", 3000.0, 5000.0, above=1.0),
)
