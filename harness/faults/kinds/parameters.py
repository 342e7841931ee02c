# SPDX-License-Identifier: Apache-2.0
"""Parameters that several kinds of fault share, and short names for the classes and places."""

from __future__ import annotations

from harness.faults.model import Parameter

ALL = "all"
CONTACTORS = {"positive": 0.0, "negative": 1.0, "precharge": 2.0}

CELL = Parameter("cell", "", 1, None, "cell, counted from the negative end", "index", integer=True, choices=(ALL,))
WIRE = Parameter("wire", "", 1, None, "sense wire between this cell and the next", "index", integer=True)
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
