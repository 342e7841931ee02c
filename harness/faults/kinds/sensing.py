# SPDX-License-Identifier: Apache-2.0
"""Faults of voltage, temperature and current sensing: what the controller is given differs from the truth."""

from __future__ import annotations

from harness.faults.kinds.parameters import CELL, SENSOR, number
from harness.faults.model import Effect, FaultClass, FaultKind, Parameter, Where

_FIELD = "field failure modes of sampling circuits: doi 10.1039/d5ya00093a; review: doi 10.3390/pr13040929"
_PORT = "the port's validity flag and age, see fil.h"
_NTC = "10 kohm NTC at its rail: the ends of common conversion tables (assumption)"


def _given(
    kind: str,
    title: str,
    effects: tuple[Effect, ...],
    parameters: tuple[Parameter, ...],
    masks: tuple[str, ...],
    *,
    source: str = _FIELD,
    bench: bool = True,
    noise_from: str = "",
) -> FaultKind:
    return FaultKind(
        kind, FaultClass.SENSING, title, Where.GIVEN, effects, parameters, source, bench=bench, masks=masks,
        noise_from=noise_from,
    )  # fmt: skip


_CELL_V = ("cell_voltage_v",)
_CELL_T = ("cell_temp_degc",)
_AMPERE = ("pack_current_a",)
_FACTOR = number("factor", "", 0.0, 3.0, "multiplies the reading")

CELL_SENSING: tuple[FaultKind, ...] = (
    _given(
        "cell-sensor-set",
        "sensed cell voltage replaced by a value",
        (Effect("SENSE_CELL_V", "SET", "voltage_v", "cell"),),
        (CELL, number("voltage_v", "V", 0.0, 6.0, "reading of the front end")),
        _CELL_V,
        bench=False,
    ),
    _given(
        "cell-sensor-offset",
        "sensed cell voltage shifted",
        (Effect("SENSE_CELL_V", "ADD", "offset_v", "cell"),),
        (CELL, number("offset_v", "V", -6.0, 6.0, "added to the reading")),
        _CELL_V,
    ),
    _given(
        "cell-sensor-gain",
        "sensed cell voltage scaled",
        (Effect("SENSE_CELL_V", "SCALE", "factor", "cell"),),
        (CELL, _FACTOR),
        _CELL_V,
    ),
    _given(
        "cell-sensor-stuck",
        "sensed cell voltage frozen at its last value, still marked valid and fresh",
        (Effect("SENSE_CELL_V", "HOLD", 0.0, "cell"),),
        (CELL,),
        _CELL_V,
    ),
    _given(
        "cell-sensor-noise",
        "noise on a sensed cell voltage",
        (Effect("SENSE_CELL_V", "ADD", 0.0, "cell"),),
        (CELL, number("sigma_v", "V", 0.0, 1.0, "standard deviation, new every tick")),
        _CELL_V,
        noise_from="sigma_v",
    ),
    _given(
        "cell-sensor-invalid",
        "cell voltage marked invalid by the front end (PEC or self-test error)",
        (Effect("SENSE_CELL_V", "INVALID", 0.0, "cell"),),
        (CELL,),
        _CELL_V,
        source=_PORT,
        bench=False,
    ),
    _given(
        "cell-sensor-stale",
        "cell voltage no longer sampled: value held, still valid, age grows",
        (Effect("SENSE_CELL_V", "STALE", 0.0, "cell"),),
        (CELL,),
        _CELL_V,
        source=_PORT,
        bench=False,
    ),
)

TEMPERATURE_SENSING: tuple[FaultKind, ...] = (
    _given(
        "temp-sensor-open",
        "temperature sensor or its wire open: coldest reading, flagged invalid",
        (
            Effect("SENSE_TEMP_DEGC", "SET", "reading_degc", "sensor"),
            Effect("SENSE_TEMP_DEGC", "INVALID", 0.0, "sensor"),
        ),
        (SENSOR, number("reading_degc", "°C", -55.0, -45.0, "reading of an open NTC", default=-50.0)),
        _CELL_T,
        source=_NTC,
    ),
    _given(
        "temp-sensor-short",
        "temperature sensor shorted: hottest reading, flagged invalid",
        (
            Effect("SENSE_TEMP_DEGC", "SET", "reading_degc", "sensor"),
            Effect("SENSE_TEMP_DEGC", "INVALID", 0.0, "sensor"),
        ),
        (SENSOR, number("reading_degc", "°C", 125.0, 150.0, "reading of a shorted NTC", default=140.0)),
        _CELL_T,
        source=_NTC,
    ),
    _given(
        "temp-sensor-set",
        "sensed temperature replaced by a value",
        (Effect("SENSE_TEMP_DEGC", "SET", "temp_degc", "sensor"),),
        (SENSOR, number("temp_degc", "°C", -60.0, 160.0, "reading of the sensor")),
        _CELL_T,
    ),
    _given(
        "temp-sensor-offset",
        "sensed temperature shifted",
        (Effect("SENSE_TEMP_DEGC", "ADD", "offset_k", "sensor"),),
        (SENSOR, number("offset_k", "K", -100.0, 100.0, "added to the reading")),
        _CELL_T,
    ),
    _given(
        "temp-sensor-stuck",
        "sensed temperature frozen at its last value",
        (Effect("SENSE_TEMP_DEGC", "HOLD", 0.0, "sensor"),),
        (SENSOR,),
        _CELL_T,
    ),
    _given(
        "temp-sensor-noise",
        "noise on a sensed temperature",
        (Effect("SENSE_TEMP_DEGC", "ADD", 0.0, "sensor"),),
        (SENSOR, number("sigma_k", "K", 0.0, 50.0, "standard deviation, new every tick")),
        _CELL_T,
        noise_from="sigma_k",
    ),
    _given(
        "temp-sensor-invalid",
        "temperature marked invalid, reading unchanged",
        (Effect("SENSE_TEMP_DEGC", "INVALID", 0.0, "sensor"),),
        (SENSOR,),
        _CELL_T,
        source=_PORT,
        bench=False,
    ),
)

CURRENT_SENSING: tuple[FaultKind, ...] = (
    _given(
        "current-sensor-set",
        "sensed pack current replaced by a value",
        (Effect("SENSE_CURRENT_A", "SET", "current_a"),),
        (number("current_a", "A", -3000.0, 3000.0, "reading, positive = discharge"),),
        _AMPERE,
    ),
    _given(
        "current-sensor-offset",
        "sensed pack current shifted",
        (Effect("SENSE_CURRENT_A", "ADD", "offset_a"),),
        (number("offset_a", "A", -2000.0, 2000.0, "added to the reading"),),
        _AMPERE,
    ),
    _given(
        "current-sensor-gain",
        "sensed pack current scaled",
        (Effect("SENSE_CURRENT_A", "SCALE", "factor"),),
        (_FACTOR,),
        _AMPERE,
    ),
    _given(
        "current-sensor-stuck",
        "sensed pack current frozen at its last value",
        (Effect("SENSE_CURRENT_A", "HOLD", 0.0),),
        (),
        _AMPERE,
    ),
    _given(
        "current-sensor-sign",
        "pack current sensor mounted the wrong way round",
        (Effect("SENSE_CURRENT_A", "NEGATE", 0.0),),
        (),
        _AMPERE,
    ),
    _given(
        "current-sensor-noise",
        "noise on the sensed pack current",
        (Effect("SENSE_CURRENT_A", "ADD", 0.0),),
        (number("sigma_a", "A", 0.0, 500.0, "standard deviation, new every tick"),),
        _AMPERE,
        noise_from="sigma_a",
    ),
    _given(
        "current-sensor-invalid",
        "pack current marked invalid",
        (Effect("SENSE_CURRENT_A", "INVALID", 0.0),),
        (),
        _AMPERE,
        source=_PORT,
        bench=False,
    ),
)


def _voltage_kinds(prefix: str, what: str, point: str, masks: tuple[str, ...]) -> tuple[FaultKind, ...]:
    """The same four faults for the pack's and for the link's voltage sensor."""
    return (
        _given(
            f"{prefix}-set",
            f"sensed {what} voltage replaced by a value",
            (Effect(point, "SET", "voltage_v"),),
            (number("voltage_v", "V", -100.0, 1500.0, "reading"),),
            masks,
        ),
        _given(
            f"{prefix}-offset",
            f"sensed {what} voltage shifted",
            (Effect(point, "ADD", "offset_v"),),
            (number("offset_v", "V", -1000.0, 1000.0, "added to the reading"),),
            masks,
        ),
        _given(
            f"{prefix}-stuck",
            f"sensed {what} voltage frozen at its last value",
            (Effect(point, "HOLD", 0.0),),
            (),
            masks,
        ),
        _given(
            f"{prefix}-invalid",
            f"{what} voltage marked invalid",
            (Effect(point, "INVALID", 0.0),),
            (),
            masks,
            source=_PORT,
            bench=False,
        ),
    )


KINDS: tuple[FaultKind, ...] = (
    *CELL_SENSING,
    *TEMPERATURE_SENSING,
    *CURRENT_SENSING,
    *_voltage_kinds("pack-voltage-sensor", "pack", "SENSE_PACK_V", ("pack_voltage_v",)),
    *_voltage_kinds("link-voltage-sensor", "link", "SENSE_LINK_V", ("link_voltage_v",)),
)
