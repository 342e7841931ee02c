# SPDX-License-Identifier: Apache-2.0
"""A BMS in Python with protections of comparable scope: the controller of the all-Python stack.

Written as one would: extremes by numpy, all protections of all tiers as arrays that are compared at once, messages by
cantools. It has what the reference firmware has in a drive: tiers with confirmation and release, the over-current
curve, plausibility, time-outs, contactor supervision, precharge, latched faults, derated limits, SOC, balancing, CAN.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from harness.kernel.config import KernelConfig
from harness.rig.file import Rig

from .numpy_plant import NEGATIVE, OPEN_WIRE, POSITIVE, PRECHARGE, VALID, Readings
from .python_bms_can import Transmitter
from .python_bms_rules import RULES, UNUSED
from .usual_stack import Payload, load_database, protected

TICK_MS = 10
STANDBY, PRECHARGING, DRIVING, FAULT, LATCHED = 2, 3, 4, 6, 7
MODE_DRIVE = 2
DISCHARGE_CURVE = ((600.0, 900), (480.0, 9000), (420.0, 55000), (1200.0, 20))  # A, ms; the last one is a short circuit
CHARGE_CURVE = ((-405.0, 900), (-324.0, 9000), (-283.5, 55000), (-810.0, 20))
CURVE = (*DISCHARGE_CURVE, *CHARGE_CURVE)
OCV_SOC = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.98, 1.0)
OCV_V = (2.286, 3.065, 3.197, 3.234, 3.270, 3.292, 3.299, 3.303, 3.311, 3.334, 3.342, 3.349, 3.530)


class Protections:
    """All limits of all tiers: three columns, warning, alarm, trip."""

    def __init__(self) -> None:
        signs = np.array([rule.sign for rule in RULES], float)
        limits = np.array([rule.limits for rule in RULES])
        self.signs = signs[:, None]
        self.limits = np.where(np.isnan(limits), np.inf, limits * self.signs)
        self.confirm_ms = np.array([rule.confirm_ms for rule in RULES], float)
        self.release_at = self.limits - np.array([rule.hysteresis for rule in RULES])[:, None]
        self.release_ms = np.array([rule.release_ms for rule in RULES], float)[:, None]
        self.pending_ms = np.zeros_like(self.limits)
        self.calm_ms = np.zeros_like(self.limits)
        self.active = np.zeros(self.limits.shape, bool)

    def step(self, values: Sequence[float]) -> None:
        """Values in the order of the rules; NaN = not to be watched now."""
        signed = self.signs * np.array(values)[:, None]
        self.pending_ms += TICK_MS
        self.pending_ms *= signed > self.limits
        self.calm_ms += TICK_MS
        self.calm_ms *= ~(signed >= self.release_at)
        self.active &= self.calm_ms < self.release_ms
        self.active |= self.pending_ms >= self.confirm_ms


class Curve:
    """Over-current by time, both directions, short circuit included."""

    def __init__(self) -> None:
        self.limits = np.array([abs(limit) for limit, _ in CURVE])
        self.signs = np.sign([limit for limit, _ in CURVE])
        self.confirm_ms = np.array([confirm for _, confirm in CURVE], float)
        self.pending_ms = np.zeros(len(CURVE))
        self.tripped = np.zeros(len(CURVE), bool)

    def step(self, current_a: float) -> None:
        """One more sample; tripped stays."""
        self.pending_ms += TICK_MS
        self.pending_ms *= self.signs * current_a > self.limits
        self.tripped |= self.pending_ms >= self.confirm_ms


class PythonBms:
    """A `usual_stack.Controller`."""

    def __init__(self, rig: Rig, config: KernelConfig) -> None:
        self._protections, self._curve = Protections(), Curve()
        self._capacity_as = float(config.pack.capacity_ah.mean()) * 3600.0
        self._transmitter = Transmitter(load_database(rig), config)
        self._vehicle = load_database(rig).get_message_by_name("VCU_Command")
        self._state, self._mode, self._fresh = STANDBY, 1, False
        self._command = 0
        self._age_ms = 0
        self._counter = -1
        self._since_ms = 0
        self._soc = math.nan
        self._aux_ms = {POSITIVE: 0, NEGATIVE: 0, PRECHARGE: 0}
        self._contactor_fault = False
        self._limits = (0.0, 0.0)
        self._temp_before: list[float] = []
        self._rise = 0.0
        self._now_ms = 0
        self._balancing = 0

    def receive(self, identifier: int, data: bytes) -> None:
        """A frame of the vehicle: checked by CRC and counter, then decoded."""
        if identifier != self._vehicle.frame_id or protected(data, 0x20)[0] != data[0]:
            return
        values = self._vehicle.decode(data, decode_choices=False)
        assert isinstance(values, Mapping)
        counter, mode = values["AliveCounter"], values["ModeRequest"]
        if self._counter >= 0 and not 1 <= (counter - self._counter) % 15 <= 3:  # type: ignore[operator] # numbers
            return
        self._counter, self._age_ms = counter, 0  # type: ignore[assignment] # numbers
        if mode != self._mode:
            self._mode, self._fresh = mode, mode == MODE_DRIVE  # type: ignore[assignment] # numbers

    def step(self, now_us: int, readings: Readings) -> int:
        """One task of 10 ms."""
        self._now_ms = now_us // 1000
        self._age_ms += TICK_MS
        seen = self._measure(readings)
        self._protections.step([seen[rule.quantity] for rule in RULES])
        self._curve.step(seen["current"])
        self._supervise(readings.digital_in)
        self._advance(seen)
        if self._now_ms % 100 == 0:
            self._derate(seen)
        if self._now_ms % 1000 == 0:
            self._balance(readings, seen)
        self._transmitter.step(self._report(seen), readings)
        return self._command

    def transmit(self) -> Sequence[Payload]:
        """What this step sends."""
        return self._transmitter.take()

    def close(self) -> None:
        """Nothing to let go of."""

    def _measure(self, readings: Readings) -> dict[str, float]:
        cells, temps = readings.cell_uv, readings.temp_mdegc
        valid = (readings.cell_flags & VALID).astype(bool)
        n_valid = int(np.count_nonzero(valid))
        open_wires = int(np.count_nonzero(readings.cell_flags & OPEN_WIRE))
        sensors = (temps > -45_000) & (temps < 125_000) & (readings.temp_flags & VALID).astype(bool)
        if n_valid < len(cells):
            cells = cells[valid] if n_valid else np.zeros(1, np.int32)
        lost_sensors = len(temps) - int(np.count_nonzero(sensors))
        if lost_sensors:
            temps = temps[sensors] if sensors.any() else np.zeros(1, np.int32)
        current = readings.current_ma * 1e-3
        top, bottom = int(cells.argmax()), int(cells.argmin())
        hot, cold = int(temps.argmax()), int(temps.argmin())
        high, low, total = cells[top] * 1e-6, cells[bottom] * 1e-6, int(cells.sum()) * 1e-6
        warm, cool = temps[hot] * 1e-3, temps[cold] * 1e-3
        charging = current < -2.0
        if math.isnan(self._soc):
            self._soc = float(np.interp(total / len(cells), OCV_V, OCV_SOC))
        self._soc -= current * 0.01 / self._capacity_as
        if self._now_ms % 100 == 0:
            self._temp_before = [*self._temp_before[-29:], warm]
            self._rise = (warm - self._temp_before[0]) / 3.0
        return {
            "high": high, "low": low, "spread": high - low, "top": top + 1, "bottom": bottom + 1, "total": total,
            "warm": warm, "cool": cool, "temp_spread": warm - cool, "hot": hot + 1, "cold": cold + 1,
            "warm_charging": warm if charging else math.nan, "cool_charging": cool if charging else math.nan,
            "warm_driving": math.nan if charging else warm, "cool_driving": math.nan if charging else cool,
            "current": current, "pack": readings.pack_mv * 1e-3, "link": readings.link_mv * 1e-3,
            "mismatch": abs(readings.pack_mv * 1e-3 - total) if n_valid == len(valid) else math.nan,
            "insulation": float(readings.insulation_ohm),
            "supply": readings.supply_mv * 1e-3, "hvil_open": float(not readings.digital_in & 4),
            "crash": float(bool(readings.digital_in & 8)), "soc": 100.0 * self._soc, "digital": readings.digital_in,
            "temps_invalid": float(lost_sensors), "cells_invalid": float(len(valid) - n_valid - open_wires),
            "open_wires": float(open_wires), "age": int(readings.cell_age_ms.max()) * 1e-3,
            "vehicle_age": float(self._age_ms) if self._state in (PRECHARGING, DRIVING) else math.nan,
            "runaway": self._rise if warm > 60.0 else 0.0, "rise": max(self._rise, 0.0),
        }  # fmt: skip

    def _supervise(self, digital_in: int) -> None:
        """Auxiliary contacts against commands."""
        for bit in self._aux_ms:
            differs = bool(digital_in >> 4 & bit) != bool(self._command & bit)
            self._aux_ms[bit] = self._aux_ms[bit] + TICK_MS if differs else 0
            self._contactor_fault |= self._aux_ms[bit] >= 300

    def _advance(self, seen: Mapping[str, float]) -> None:
        """The state machine."""
        if self._protections.active[:, 2].any() or self._curve.tripped.any() or self._contactor_fault:
            latched = self._contactor_fault or self._curve.tripped.any()
            self._enter(LATCHED if latched else FAULT, 0)
        elif self._state == STANDBY and self._fresh:
            self._enter(PRECHARGING, NEGATIVE | PRECHARGE)
        elif self._state == PRECHARGING:
            self._precharge(seen)
        elif self._state == DRIVING and self._mode != MODE_DRIVE:
            self._enter(STANDBY, 0)

    def _precharge(self, seen: Mapping[str, float]) -> None:
        self._since_ms += TICK_MS
        if seen["link"] >= 0.95 * seen["pack"] and self._since_ms >= 100:
            self._enter(DRIVING, NEGATIVE | POSITIVE)
        elif self._since_ms > 3000:
            self._contactor_fault = True

    def _enter(self, state: int, command: int) -> None:
        if state != self._state:
            self._state, self._command, self._since_ms = state, command, 0
            self._fresh = False

    def _derate(self, seen: Mapping[str, float]) -> None:
        """The smallest of the curves; nothing where the alarm begins."""
        if self._state != DRIVING:
            self._limits = (0.0, 0.0)
            return
        charge = min(_line(seen["high"], 3.65, 3.5), _line(seen["warm"], 50.0, 40.0), _line(seen["cool"], -5.0, 10.0),
                     _line(self._soc, 1.0, 0.9))  # fmt: skip
        discharge = min(_line(seen["low"], 2.6, 2.85), _line(seen["warm"], 55.0, 45.0),
                        _line(seen["cool"], -20.0, -5.0), _line(self._soc, 0.03, 0.15))  # fmt: skip
        alarms = self._protections.active[:, 1]
        self._limits = (0.0, 0.0) if alarms.any() else (270.0 * charge, 400.0 * discharge)

    def _balance(self, readings: Readings, seen: Mapping[str, float]) -> None:
        lowest_uv = max(3_400_000, round(seen["low"] * 1e6) + 10_000)
        self._balancing = int(np.count_nonzero(readings.cell_uv > lowest_uv)) if abs(seen["current"]) < 1.0 else 0

    def _report(self, seen: dict[str, float]) -> dict[str, float]:
        active = self._protections.active
        for column, tier in enumerate(("warning", "alarm", "fault")):
            for rule, on in zip(RULES, active[:, column].tolist(), strict=True):
                if rule.limits[column] is not UNUSED:
                    seen[f"{tier}.{rule.signal}"] = on
        trips = self._curve.tripped
        seen["fault.DischargeOvercurrent"] = bool(trips[:3].any())
        seen["fault.ShortCircuit"] = bool(trips[3] or trips[7])
        seen["fault.ChargeOvercurrent"] = bool(trips[4:7].any())
        seen["fault.ContactorWelded"] = self._contactor_fault
        seen["state"], seen["command"] = self._state, self._command
        seen["charge_limit"], seen["discharge_limit"] = self._limits
        seen["balancing"] = self._balancing
        return seen


def _line(value: float, zero: float, full: float) -> float:
    return min(max((value - zero) / (full - zero), 0.0), 1.0)
