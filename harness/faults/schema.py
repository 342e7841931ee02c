# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas about faults: of the tables that start one, made from the catalogue, and of the catalogue as JSON.

Upper bounds that only a rig knows are left open.
"""

from __future__ import annotations

from typing import Any

from harness.faults.catalogue import CATALOGUE, shapes_of, timing_of
from harness.faults.model import NEEDS, FaultClass, FaultKind, Parameter, Where

_TEXT = {"type": "string", "minLength": 1}
_TEXTS = {"type": "array", "items": _TEXT}
_NUMBER = {"type": ["number", "null"]}
_PARAMETER = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z][a-z0-9_]*$"},
        "unit": {"type": "string", "description": "of the value; empty for counts, factors and words"},
        "min": {**_NUMBER, "description": "smallest legal value; null: it is a word"},
        "max": {**_NUMBER, "description": "largest legal value; null: a word, or the rig sets it"},
        "default": {"type": ["number", "string", "null"], "description": "null: must be given"},
        "choices": {**_TEXTS, "description": "words it may be instead of a number"},
        "meaning": _TEXT,
    },
}


def catalogue_schema() -> dict[str, Any]:
    """The schema of what `bms-harness faults --json` prints."""
    kind = {
        "type": "object",
        "properties": {
            "kind": {"type": "string", "pattern": "^[a-z][a-z0-9]*(-[a-z0-9]+)*$"},
            "class": {"enum": [group.value for group in FaultClass]},
            "title": _TEXT,
            "where": {"enum": [where.value for where in Where], "description": "what it bends"},
            "source": {**_TEXT, "description": "where the mechanism or its numbers come from"},
            "virtual": {"type": "boolean", "description": "can be played on a virtual rig"},
            "bench": {"type": "boolean", "description": "can be played on a bench"},
            "bench_obstacle": {"type": "string", "description": "why not; empty when it can"},
            "needs": {"enum": ["", *NEEDS], "description": "what a rig must have for it; empty: every rig has it"},
            "masks": {**_TEXTS, "description": "quantities the controller can no longer know"},
            "changes": {**_TEXTS, "minItems": 1, "description": "what differs as long as the controller does nothing"},
            "shapes": {"type": "array", "minItems": 1, "items": {"enum": ["step", "ramp", "intermittent", "noise"]}},
            "parameters": {"type": "array", "items": _closed(_PARAMETER)},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "bms-harness fault catalogue",
        **_closed({"type": "object", "properties": {"faults": {"type": "array", "items": _closed(kind)}}}),
    }


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """An object with all of its properties and no other."""
    return {**schema, "required": list(schema["properties"]), "additionalProperties": False}


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
