# SPDX-License-Identifier: Apache-2.0
"""Faults of voltage, temperature and current sensing: what the controller is given differs from the truth."""

from __future__ import annotations

from harness.faults.kinds.channels import FIELD, PORT, Channel
from harness.faults.kinds.parameters import CELL, LOWER_SENSOR, MODULE, SENSOR, choice, number
from harness.faults.model import Effect, FaultClass, FaultKind, Parameter, Where

_NTC = "10 kohm NTC at its rail: the ends of common conversion tables (assumption)"

CELL_V = Channel(
    "cell-sensor", "cell voltage", "SENSE_CELL_V", FaultClass.SENSING, "cell_voltage_v", "V", "v", "voltage",
    low=0.0, high=6.0, offset=6.0, noise=1.0, drift=1.0, spike=6.0, step=1.0, lowest=0.0, highest=5.7,
    place=CELL,
)  # fmt: skip
CELL_T = Channel(
    "temp-sensor", "temperature", "SENSE_TEMP_DEGC", FaultClass.SENSING, "cell_temp_degc", "°C", "degc", "temp",
    low=-60.0, high=160.0, offset=100.0, noise=50.0, drift=50.0, spike=200.0, step=20.0, lowest=-40.0, highest=110.0,
    place=SENSOR, step_unit="K", step_key="k",
)  # fmt: skip
CURRENT = Channel(
    "current-sensor", "pack current", "SENSE_CURRENT_A", FaultClass.SENSING, "pack_current_a", "A", "a", "current",
    low=-3000.0, high=3000.0, offset=2000.0, noise=500.0, drift=500.0, spike=3000.0, step=200.0, lowest=-1500.0,
    highest=1500.0,
)  # fmt: skip
PACK_V = Channel(
    "pack-voltage-sensor", "pack voltage", "SENSE_PACK_V", FaultClass.SENSING, "pack_voltage_v", "V", "v", "voltage",
    low=-100.0, high=1500.0, offset=1000.0, noise=100.0, drift=100.0, spike=1000.0, step=100.0, lowest=0.0,
    highest=1000.0,
)  # fmt: skip
LINK_V = Channel(
    "link-voltage-sensor", "link voltage", "SENSE_LINK_V", FaultClass.SENSING, "link_voltage_v", "V", "v", "voltage",
    low=-100.0, high=1500.0, offset=1000.0, noise=100.0, drift=100.0, spike=1000.0, step=100.0, lowest=0.0,
    highest=1000.0,
)  # fmt: skip


def _given(
    kind: str,
    title: str,
    effects: tuple[Effect, ...],
    parameters: tuple[Parameter, ...],
    quantity: str,
    *changes: str,
    source: str = FIELD,
) -> FaultKind:
    return FaultKind(
        kind, FaultClass.SENSING, title, Where.GIVEN, effects, parameters, source, masks=(quantity,),
        changes=changes or (f"given.{quantity}",),
    )  # fmt: skip


_VALIDITY = choice("validity", ("kept", "lost"), "whether the front end still says the old value is valid", "kept")

CELL_SENSING: tuple[FaultKind, ...] = (
    *CELL_V.readings(),
    *CELL_V.timing(),
    CELL_V.invalid("marked invalid by the front end (PEC or self-test error)", "cells_invalid"),
    _given(
        "cell-sensor-stale",
        "cell voltage no longer sampled: value held, age grows, still valid or not",
        (
            Effect("SENSE_CELL_V", "STALE", 0.0, "cell", when=("validity", ("kept", "lost"))),
            Effect("SENSE_CELL_V", "INVALID", 0.0, "cell", when=("validity", ("lost",))),
        ),
        (CELL, _VALIDITY),
        "cell_voltage_v",
        "given.cell_age_max_s",
        "given.cell_voltage_v",
        "given.cells_invalid",
        source=PORT,
    ),
    _given(
        "module-lost",
        "a front end falls silent: all cells and temperatures of a module invalid, or old and still valid",
        (
            Effect("SENSE_CELL_V", "INVALID", 0.0, "module", when=("reading", ("invalid",))),
            Effect("SENSE_TEMP_DEGC", "INVALID", 0.0, "module", when=("reading", ("invalid",))),
            Effect("SENSE_CELL_V", "STALE", 0.0, "module", when=("reading", ("stale",))),
            Effect("SENSE_TEMP_DEGC", "HOLD", 0.0, "module", when=("reading", ("stale",))),
        ),
        (MODULE, choice("reading", ("invalid", "stale"), "what becomes of the readings", "invalid")),
        "cell_voltage_v",
        "given.cells_invalid",
        "given.temps_invalid",
        "given.cell_voltage_v",
        "given.cell_age_max_s",
        "given.cell_temp_degc",
        source="a daisy chain of front ends breaks: lost communication of LTC6811/6813 stacks, foxBMS 2 v1.11.0",
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
        "cell_temp_degc",
        "given.cell_temp_degc",
        "given.temps_invalid",
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
        "cell_temp_degc",
        "given.cell_temp_degc",
        "given.temps_invalid",
        source=_NTC,
    ),
    *CELL_T.readings(),
    *CELL_T.timing(),
    CELL_T.invalid("marked invalid, reading unchanged", "temps_invalid"),
    _given(
        "temp-sensors-swapped",
        "two neighbouring temperature sensors read each other's temperature",
        (Effect("SENSE_TEMP_SWAP", "SET", 1.0, "lower_sensor"),),
        (LOWER_SENSOR,),
        "cell_temp_degc",
        source="connectors exchanged in assembly (practice)",
    ),
)

CURRENT_SENSING: tuple[FaultKind, ...] = (
    *CURRENT.readings(),
    *CURRENT.timing(),
    _given(
        "current-sensor-sign",
        "pack current sensor mounted the wrong way round",
        (Effect("SENSE_CURRENT_A", "NEGATE", 0.0),),
        (),
        "pack_current_a",
    ),
    CURRENT.invalid("marked invalid", "current_valid"),
)

VOLTAGE_SENSING: tuple[FaultKind, ...] = (
    *PACK_V.readings(),
    *PACK_V.timing(),
    PACK_V.invalid("marked invalid", "pack_valid"),
    *LINK_V.readings(),
    *LINK_V.timing(),
    LINK_V.invalid("marked invalid", "link_valid"),
)

KINDS: tuple[FaultKind, ...] = (*CELL_SENSING, *TEMPERATURE_SENSING, *CURRENT_SENSING, *VOLTAGE_SENSING)
