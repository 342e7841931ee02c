# SPDX-License-Identifier: Apache-2.0
"""Sample parameters per kind of fault for sequences: plausible damage, not the ends of the legal ranges.

A hazard is a fault that drives the pack towards harm and that the protection must stop. A hazard together with a
sensor that lies about it is a double fault which no single-channel controller can answer, so that sequences never
combine the two; `harness.search.moves` keeps that rule.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.faults.check import Value
from harness.faults.model import FaultKind, Parameter

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
    "internal-short-growing": _each("resistance_ohm", 0.1, 0.01, **_CELL, ramp_s=3.0),
    "internal-short-transient": _each("resistance_ohm", 0.1, 0.01, **_CELL, period_s=0.4),
    "cell-resistance": _each("factor", 2.0, 5.0, **_CELL),
    "cell-capacity": _each("factor", 0.8, 0.5, **_CELL),
    "cell-heating": _each("heat_w", 200.0, 2_000.0, 8_000.0, **_CELL),
    "cell-venting": _each("heat_w", 2_000.0, 20_000.0, **_CELL, voltage_share=0.8),
    "busbar-resistance": _each("resistance_ohm", 0.0002, 0.001, **_CELL),
    "busbar-vibrating": _each("resistance_ohm", 0.0002, 0.001, **_CELL, period_s=0.1),
    "busbar-noisy": _each("sigma_ohm", 0.00005, 0.0003, **_CELL),
    "sense-wire-open": ({"wire": "@wire"},),
    "sense-wires-swapped": ({"lower_wire": "@lower_wire"},),
    "sense-wires-shorted": _each("resistance_ohm", 0.0, 1_000.0, **_CELL),
    "cell-sensors-swapped": ({"lower_cell": "@lower_cell"},),
    "cell-sensor-set": _each("voltage_v", 0.0, 3.3, 5.0, **_CELL),
    "cell-sensor-offset": _each("offset_v", 0.05, -0.05, 0.4, -0.4, **_CELL),
    "cell-sensor-gain": _each("factor", 0.98, 1.05, **_CELL),
    "cell-sensor-stuck": ({**_CELL}, {"cell": "all"}, *_each("at", "first", "highest", "lowest", **_CELL)),
    "cell-sensor-noise": _each("sigma_v", 0.005, 0.05, **_CELL),
    "cell-sensor-drift": _each("drift_v_per_s", 0.02, -0.1, **_CELL),
    "cell-sensor-spikes": _each("height_v", 0.5, 2.0, **_CELL),
    "cell-sensor-coarse": _each("step_v", 0.01, 0.1, **_CELL),
    "cell-sensor-delayed": (*_each("delay_s", 0.1, 0.5, **_CELL), {"cell": "all", "delay_s": 0.2}),
    "cell-sensor-invalid": ({**_CELL}, {"cell": "all"}),
    "cell-sensor-stale": ({**_CELL}, {"cell": "all"}, {**_CELL, "validity": "lost"}),
    "module-lost": _each("reading", "invalid", "stale", module="@module"),
    "temp-sensor-open": ({**_SENSOR},),
    "temp-sensor-short": ({**_SENSOR},),
    "temp-sensor-set": _each("temp_degc", -15.0, 25.0, 48.0, **_SENSOR),
    "temp-sensor-offset": _each("offset_k", 4.0, -4.0, 12.0, **_SENSOR),
    "temp-sensor-stuck": ({**_SENSOR}, {"sensor": "all"}, *_each("at", "first", "highest", "lowest", **_SENSOR)),
    "temp-sensor-gain": _each("factor", 0.8, 1.3, **_SENSOR),
    "temp-sensor-drift": _each("drift_k_per_s", 0.5, -2.0, **_SENSOR),
    "temp-sensor-spikes": _each("height_k", 10.0, 60.0, **_SENSOR),
    "temp-sensor-coarse": _each("step_k", 1.0, 5.0, **_SENSOR),
    "temp-sensor-delayed": _each("delay_s", 0.5, 1.0, sensor="all"),
    "temp-sensors-swapped": ({"lower_sensor": "@lower_sensor"},),
    "temp-sensor-noise": _each("sigma_k", 0.2, 2.0, **_SENSOR),
    "temp-sensor-invalid": ({**_SENSOR}, {"sensor": "all"}),
    "current-sensor-set": _each("current_a", 0.0, 300.0, -200.0),
    "current-sensor-offset": _each("offset_a", 5.0, -5.0, 60.0, -60.0),
    "current-sensor-gain": _each("factor", 0.9, 1.1, 0.0),
    "current-sensor-drift": _each("drift_a_per_s", 5.0, -50.0),
    "current-sensor-spikes": _each("height_a", 50.0, 700.0),
    "current-sensor-coarse": _each("step_a", 1.0, 50.0),
    "current-sensor-delayed": _each("delay_s", 0.1, 0.5),
    "current-sensor-stuck": ({}, *_each("at", "first", "lowest")),
    "current-sensor-sign": ({},),
    "current-sensor-noise": _each("sigma_a", 2.0, 20.0),
    "current-sensor-invalid": ({},),
    "pack-voltage-sensor-set": _each("voltage_v", 0.0, 600.0),
    "pack-voltage-sensor-offset": _each("offset_v", 5.0, -5.0, 40.0, -40.0),
    "pack-voltage-sensor-gain": _each("factor", 0.97, 1.1),
    "pack-voltage-sensor-drift": _each("drift_v_per_s", 2.0, -20.0),
    "pack-voltage-sensor-noise": _each("sigma_v", 0.5, 5.0),
    "pack-voltage-sensor-spikes": _each("height_v", 10.0, 100.0),
    "pack-voltage-sensor-coarse": _each("step_v", 1.0, 20.0),
    "pack-voltage-sensor-delayed": _each("delay_s", 0.1, 0.5),
    "pack-voltage-sensor-stuck": ({}, *_each("at", "first", "highest", "lowest")),
    "pack-voltage-sensor-invalid": ({},),
    "link-voltage-sensor-set": _each("voltage_v", 0.0, 600.0),
    "link-voltage-sensor-offset": _each("offset_v", 20.0, -60.0),
    "link-voltage-sensor-gain": _each("factor", 0.97, 1.1),
    "link-voltage-sensor-drift": _each("drift_v_per_s", 2.0, -20.0),
    "link-voltage-sensor-noise": _each("sigma_v", 0.5, 5.0),
    "link-voltage-sensor-spikes": _each("height_v", 10.0, 100.0),
    "link-voltage-sensor-coarse": _each("step_v", 1.0, 20.0),
    "link-voltage-sensor-delayed": _each("delay_s", 0.1, 0.5),
    "link-voltage-sensor-stuck": ({}, *_each("at", "first", "highest", "lowest")),
    "link-voltage-sensor-invalid": ({},),
    "contactor-welded": _CONTACTORS,
    "contactor-stuck-open": _CONTACTORS,
    "contactor-slow": _each("contactor", "positive", "negative", extra_s=0.03),
    "contactor-bouncing": _each("contactor", "positive", "negative", "precharge", bounce_s=0.05),
    "coil-supply-dip": _each("voltage_v", 4.0, 12.0),
    "aux-contact-stuck": (
        *_each("state", "open", "closed", contactor="positive"),
        *_each("state", "open", "closed", contactor="negative"),
    ),
    "aux-contact-inverted": _CONTACTORS,
    "aux-contact-late": _each("contactor", "positive", "negative", "precharge", delay_s=0.05),
    "precharge-open": ({},),
    "precharge-resistance": _each("resistance_ohm", 25.0, 100.0, 400.0),
    "fuse-blown": ({},),
    "insulation-drop": (
        *_each("resistance_ohm", 5e3, 50e3, 200e3, pole="positive"),
        *_each("resistance_ohm", 5e3, 200e3, pole="negative"),
    ),
    "insulation-monitor-set": _each("resistance_ohm", 0.0, 100e3, 1e7),
    "insulation-monitor-offset": _each("offset_ohm", -200e3, 200e3),
    "insulation-monitor-gain": _each("factor", 0.05, 0.5),
    "insulation-monitor-drift": _each("drift_ohm_per_s", -200e3, 1e6),
    "insulation-monitor-noise": _each("sigma_ohm", 1e4, 2e5),
    "insulation-monitor-spikes": _each("height_ohm", 1e5, 2e6),
    "insulation-monitor-coarse": _each("step_ohm", 1e5, 1e6),
    "insulation-monitor-delayed": _each("delay_s", 0.5, 1.0),
    "insulation-monitor-stuck": ({}, *_each("at", "first", "highest", "lowest")),
    "insulation-monitor-invalid": ({},),
    "supply-dip": _each("voltage_v", 14.0, 17.0, 20.0, 31.0, 34.0),
    "supply-brown-out": _each("voltage_v", 0.0, 6.0, 10.0),
    "supply-load-dump": _each("voltage_v", 30.0, 58.0),
    "supply-noise": _each("sigma_v", 0.2, 1.5),
    "controller-reset": _each("held_s", 0.02, 0.3),
    "clock-drift": _each("error_pct", 1.0, -1.0),
    "clock-wrap": _each("before_wrap_s", 0.5, 2.0, 5.0),
    "nvm-corrupted": _each("byte", 0, 12, 40),
    "nvm-erased": ({},),
    "hvil-open": ({},),
    "crash": ({},),
    "service-plug-pulled": ({},),
    "coolant-loss": ({},),
    "ambient-temperature": _each("temp_degc", -30.0, 45.0),
    "charger-ignores-limits": ({},),
    "charger-overvoltage": _each("offset_v", 20.0, 80.0),
    "vehicle-ignores-limits": ({},),
    "load-power": _each("power_w", 0.0, 150e3, 300e3, -120e3),
    "pole-drop": ({},),
    "line-voltage": _each("voltage_v", 350.0, 450.0, 600.0, 750.0, 850.0),
    "line-gaps": _each("period_s", 0.2, 1.0, duty=0.3),
    "poles-fed": ({},),
    "mains-failure": _each("power_w", 60e3, 150e3, 190e3),
    "mains-dips": _each("power_w", 100e3, 190e3, period_s=0.4),
    "load-inrush": _each("power_w", 150e3, 300e3),
    "load-dump": ({},),
    "regeneration-unlimited": _each("power_w", 50e3, 120e3),
    "traction-unlimited": _each("power_w", 150e3, 300e3),
    "link-short": _each("resistance_ohm", 0.3, 2.0, 100.0),
    "charger-reversed": ({},),
    "message-lost": _each("message", "vehicle", "charger"),
    "message-late": (
        *_each("delay_s", 0.02, 0.15, message="vehicle"),
        *_each("delay_s", 0.05, 0.4, message="charger"),
    ),
    "frame-drop": (
        *_each("frame", "vehicle", "charger"),
        *_each("every", 2, 10, frame="vehicle"),
        {"frame": "dut", "seen_by": "recorder"},
    ),
    "frame-delay": _each("delay_s", 0.02, 0.15, frame="vehicle"),
    "frame-jitter": _each("jitter_s", 0.005, 0.05, frame="vehicle"),
    "frame-duplicate": _each("frame", "vehicle", "charger"),
    "frame-reorder": (*_each("frame", "vehicle", "charger"), {"frame": "vehicle", "every": 10}),
    "frame-replay": _each("age_s", 0.1, 0.5, frame="vehicle"),
    "frame-corrupt": (*_each("bits", 1, 8, frame="vehicle"), {"frame": "charger", "bits": 2}),
    "frame-bit-error": (*_each("found_by", "sender", "receiver", frame="vehicle", every=4),),
    "frame-short": _each("length", 0, 7, frame="vehicle"),
    "frame-byte-order": _each("signal", "vehicle", "charger"),
    "ack-loss": _each("frames", 1, 5, frame="vehicle"),
    "foreign-sender": _each("interval_s", 0.01, 0.2, imitated="vehicle"),
    "foreign-collision": _each("frames", 1, 20, imitated="vehicle"),
    "babbling-node": _each("load_pct", 10.0, 50.0),
    "bus-off": _each("node", "dut", "vehicle"),
    "error-passive": _each("node", "dut", "vehicle"),
    "e2e-counter-value": _each("message", "vehicle", "charger", value=3),
    "e2e-counter-freeze": _each("message", "vehicle", "charger"),
    "e2e-counter-random": _each("frames", 0, 5, message="vehicle"),
    "e2e-counter-offset": _each("offset", 1, 3, message="vehicle"),
    "e2e-crc-value": _each("message", "vehicle", "charger", value=17),
    "e2e-crc-freeze": _each("message", "vehicle", "charger"),
    "e2e-crc-random": _each("frames", 0, 5, message="vehicle"),
    "e2e-crc-offset": _each("message", "vehicle", "charger", offset=1),
    "gbt-withheld": _each("message", "CCS", "CST", "CRO", "CML", "CEM", "transport"),
    "gbt-late": _each("message", "CRM", "CML", "CRO", delay_s=3.0),
    "gbt-unheard": _each("message", "BCL", "BCS", "BST", "BRM"),
    "gbt-cml-voltage": _each("voltage_v", 400.0, 640.0, 1000.0),
    "gbt-cml-floor": _each("voltage_v", 50.0, 900.0),
    "gbt-cml-current": _each("current_a", 5.0, 60.0, 120.0),
    "gbt-recognition": _each("result", 0, 85),
    "gbt-stops": _each("reason", "reached", "manual", "fault"),
    "gbt-error": ({},),
    "gbt-begins-anew": ({},),
    "gbt-persists": ({},),
    "gbt-overrides-current": _each("extra_a", 10.0, 50.0, 150.0),
    "gbt-overrides-voltage": _each("extra_v", 5.0, 20.0),
}

# Kinds that come once in a sequence: two nodes that babble fill the bus, and no firmware can help that.
ALONE = frozenset({"babbling-node"})

HAZARDS = frozenset(
    {
        "cell-voltage",
        "internal-short",
        "internal-short-growing",
        "internal-short-transient",
        "cell-heating",
        "cell-venting",
        "charger-ignores-limits",
        "charger-overvoltage",
        "vehicle-ignores-limits",
        "load-power",
        "mains-failure",
        "mains-dips",
        "load-inrush",
        "ambient-temperature",
        "busbar-resistance",
        "busbar-vibrating",
        "busbar-noisy",
        "contactor-welded",
        "regeneration-unlimited",
        "traction-unlimited",
        "link-short",
        "charger-reversed",
        "gbt-overrides-current",
        "gbt-overrides-voltage",
    }
)


def samples_of(kind: FaultKind) -> tuple[Sample, ...]:
    """The samples of a kind; one out of the middle of its ranges for a kind the table does not have."""
    return SAMPLES.get(kind.kind) or ({item.name: _middle(item) for item in kind.parameters if item.default is None},)


def _middle(parameter: Parameter) -> Value:
    if parameter.role == "index":
        return f"@{parameter.name}"
    if parameter.role == "message":
        return "vehicle"
    if parameter.choices:
        return parameter.choices[0]
    low, high = parameter.minimum or 0.0, parameter.maximum or 1.0
    middle = math.sqrt(low * high) if low > 0.0 else 0.5 * (low + high)
    return int(middle) if parameter.integer else middle
