# SPDX-License-Identifier: Apache-2.0
"""Parameters that several kinds of fault share, and what moves together."""

from __future__ import annotations

from harness.faults.model import Parameter

ALL = "all"
CONTACTORS = {"positive": 0.0, "negative": 1.0, "precharge": 2.0}

# What moves with the pack current: declared as one by faults that change it.
FLOW = (
    "truth.pack_current_a",
    "truth.pack_voltage_v",
    "truth.link_voltage_v",
    "truth.charger_voltage_v",
    "truth.charger_current_a",
    "truth.load_w",
    "truth.cell_voltage_v",
    "truth.cell_temp_degc",
    "truth.soc",
)

CELL = Parameter("cell", "", 1, None, "cell, counted from the negative end", "index", integer=True, choices=(ALL,))
WIRE = Parameter("wire", "", 1, None, "sense wire between this cell and the next", "index", integer=True)
LOWER_CELL = Parameter("lower_cell", "", 1, None, "this cell and the next one", "index", integer=True)
LOWER_WIRE = Parameter("lower_wire", "", 1, None, "wire above this cell, and the next wire", "index", integer=True)
LOWER_SENSOR = Parameter("lower_sensor", "", 1, None, "this sensor and the next one", "index", integer=True)
MODULE = Parameter("module", "", 1, None, "module of 12 cells in a row, from the negative end", "index", integer=True)
SENSOR = Parameter("sensor", "", 1, None, "temperature sensor", "index", integer=True, choices=(ALL,))
CONTACTOR = Parameter("contactor", "", None, None, "which contactor", "option", choices=tuple(CONTACTORS))
MESSAGE = Parameter("message", "", None, None, "name of a rest-bus message, or a node: all it sends", "message")


def number(
    name: str, unit: str, minimum: float, maximum: float, meaning: str, *, default: float | None = None
) -> Parameter:
    """A parameter that is a number within inclusive bounds."""
    return Parameter(name, unit, minimum, maximum, meaning, default=default)


def choice(name: str, choices: tuple[str, ...], meaning: str, default: str | None = None) -> Parameter:
    """A parameter that is one of a few words."""
    return Parameter(name, "", None, None, meaning, "option", default=default, choices=choices)
