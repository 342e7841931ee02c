# SPDX-License-Identifier: Apache-2.0
"""Sample parameters per kind of fault for sequences: plausible damage, not the ends of the legal ranges.

A hazard is a fault that drives the pack towards harm and that the protection must stop. A hazard together with a
sensor that lies about it is a double fault which no single-channel controller can answer, so that sequences never
combine the two; `harness.search.moves` keeps that rule.
"""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.check import Value

Sample = Mapping[str, Value]


def _each(name: str, *values: Value, **fixed: Value) -> tuple[Sample, ...]:
    return tuple({**fixed, name: value} for value in values)


_CELL = {"cell": "@cell"}  # replaced by the first, the middle and the last cell of the rig
_SENSOR = {"sensor": "@sensor"}
_CONTACTORS: tuple[Sample, ...] = _each("contactor", "positive", "negative", "precharge")

SAMPLES: Mapping[str, tuple[Sample, ...]] = {
    "cell-voltage": _each("voltage_v", 2.7, 3.0, 3.45, 3.62, **_CELL),
    "cell-self-discharge": _each("resistance_ohm", 100.0, 10.0, **_CELL),
    "internal-short": _each("resistance_ohm", 1.0, 0.1, 0.01, **_CELL),
    "cell-resistance": _each("factor", 2.0, 5.0, **_CELL),
    "cell-capacity": _each("factor", 0.8, 0.5, **_CELL),
    "cell-heating": _each("heat_w", 200.0, 2_000.0, 8_000.0, **_CELL),
    "busbar-resistance": _each("resistance_ohm", 0.0002, 0.001, **_CELL),
    "sense-wire-open": ({"wire": "@wire"},),
    "cell-sensor-set": _each("voltage_v", 0.0, 3.3, 5.0, **_CELL),
    "cell-sensor-offset": _each("offset_v", 0.05, -0.05, 0.4, -0.4, **_CELL),
    "cell-sensor-gain": _each("factor", 0.98, 1.05, **_CELL),
    "cell-sensor-stuck": ({**_CELL}, {"cell": "all"}),
    "cell-sensor-noise": _each("sigma_v", 0.005, 0.05, **_CELL),
    "cell-sensor-invalid": ({**_CELL}, {"cell": "all"}),
    "cell-sensor-stale": ({**_CELL}, {"cell": "all"}),
    "temp-sensor-open": ({**_SENSOR},),
    "temp-sensor-short": ({**_SENSOR},),
    "temp-sensor-set": _each("temp_degc", -15.0, 25.0, 48.0, **_SENSOR),
    "temp-sensor-offset": _each("offset_k", 4.0, -4.0, 12.0, **_SENSOR),
    "temp-sensor-stuck": ({**_SENSOR}, {"sensor": "all"}),
    "temp-sensor-noise": _each("sigma_k", 0.2, 2.0, **_SENSOR),
    "temp-sensor-invalid": ({**_SENSOR}, {"sensor": "all"}),
    "current-sensor-set": _each("current_a", 0.0, 300.0, -200.0),
    "current-sensor-offset": _each("offset_a", 5.0, -5.0, 60.0, -60.0),
    "current-sensor-gain": _each("factor", 0.9, 1.1, 0.0),
    "current-sensor-stuck": ({},),
    "current-sensor-sign": ({},),
    "current-sensor-noise": _each("sigma_a", 2.0, 20.0),
    "current-sensor-invalid": ({},),
    "pack-voltage-sensor-set": _each("voltage_v", 0.0, 600.0),
    "pack-voltage-sensor-offset": _each("offset_v", 5.0, -5.0, 40.0, -40.0),
    "pack-voltage-sensor-stuck": ({},),
    "pack-voltage-sensor-invalid": ({},),
    "link-voltage-sensor-set": _each("voltage_v", 0.0, 600.0),
    "link-voltage-sensor-offset": _each("offset_v", 20.0, -60.0),
    "link-voltage-sensor-stuck": ({},),
    "link-voltage-sensor-invalid": ({},),
    "contactor-welded": _CONTACTORS,
    "contactor-stuck-open": _CONTACTORS,
    "contactor-slow": _each("contactor", "positive", "negative", extra_s=0.03),
    "aux-contact-stuck": (
        *_each("state", "open", "closed", contactor="positive"),
        *_each("state", "open", "closed", contactor="negative"),
    ),
    "precharge-open": ({},),
    "precharge-resistance": _each("resistance_ohm", 25.0, 100.0, 400.0),
    "fuse-blown": ({},),
    "insulation-drop": (
        *_each("resistance_ohm", 5e3, 50e3, 200e3, pole="positive"),
        *_each("resistance_ohm", 5e3, 200e3, pole="negative"),
    ),
    "insulation-monitor-set": _each("resistance_ohm", 0.0, 100e3, 1e7),
    "insulation-monitor-offset": _each("offset_ohm", -200e3, 200e3),
    "insulation-monitor-stuck": ({},),
    "supply-dip": _each("voltage_v", 14.0, 17.0, 20.0, 31.0, 34.0),
    "hvil-open": ({},),
    "crash": ({},),
    "coolant-loss": ({},),
    "ambient-temperature": _each("temp_degc", -30.0, 45.0),
    "charger-ignores-limits": ({},),
    "charger-overvoltage": _each("offset_v", 20.0, 80.0),
    "vehicle-ignores-limits": ({},),
    "load-power": _each("power_w", 0.0, 150e3, 300e3, -120e3),
    "message-lost": _each("message", "vehicle", "charger"),
    "message-late": (
        *_each("delay_s", 0.02, 0.15, message="vehicle"),
        *_each("delay_s", 0.05, 0.4, message="charger"),
    ),
}

HAZARDS = frozenset(
    {
        "cell-voltage",
        "internal-short",
        "cell-heating",
        "charger-ignores-limits",
        "charger-overvoltage",
        "vehicle-ignores-limits",
        "load-power",
        "ambient-temperature",
        "busbar-resistance",
        "contactor-welded",
    }
)
