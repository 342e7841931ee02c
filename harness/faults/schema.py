# SPDX-License-Identifier: Apache-2.0
"""JSON Schema of the fault kinds, made from the catalogue. Upper bounds that only a rig knows are left open."""

from __future__ import annotations

from typing import Any

from harness.faults.catalogue import CATALOGUE, shapes_of, timing_of
from harness.faults.model import FaultKind, Parameter


def fault_schemas() -> list[dict[str, Any]]:
    """One schema per kind, for a table that starts a fault of this kind."""
    return [_schema_of(kind) for kind in CATALOGUE]


def _schema_of(kind: FaultKind) -> dict[str, Any]:
    parameters = (*kind.parameters, *timing_of(kind))
    properties = {parameter.name: _schema_of_parameter(parameter) for parameter in parameters}
    if "shape" in properties:
        properties["shape"]["enum"] = list(shapes_of(kind))
    required = [parameter.name for parameter in kind.parameters if parameter.default is None]
    return {
        "type": "object",
        "title": kind.kind,
        "description": kind.title,
        "properties": {
            "at_s": {"type": "number", "minimum": 0, "maximum": 86_400, "description": "when it starts, in s"},
            "fault": {"const": kind.kind},
            "label": {"type": "string", "description": "name to clear it by"},
            **properties,
        },
        "required": ["at_s", "fault", *required],
        "additionalProperties": False,
    }


def _schema_of_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"description": f"{parameter.meaning}{f', in {parameter.unit}' if parameter.unit else ''}"}
    if parameter.default is not None:
        schema["default"] = parameter.default
    if parameter.role == "message":
        return {**schema, "type": "string"}
    if parameter.role == "option":
        return {**schema, "enum": list(parameter.choices)}
    number: dict[str, Any] = {"type": "integer" if parameter.integer else "number"}
    if parameter.minimum is not None:
        number["minimum"] = parameter.minimum
    if parameter.maximum is not None:
        number["maximum"] = parameter.maximum
    if parameter.choices:
        return {**schema, "anyOf": [number, {"enum": list(parameter.choices)}]}
    return {**schema, **number}
