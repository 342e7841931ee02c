# SPDX-License-Identifier: Apache-2.0
"""The catalogue as plain data, for JSON: what `bms-harness faults --json` prints and `catalogue_schema` describes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from harness.faults.catalogue import shapes_of
from harness.faults.model import FaultKind, Parameter


def catalogue_document(kinds: Iterable[FaultKind]) -> dict[str, Any]:
    """All of these kinds; valid against `harness.faults.schema.catalogue_schema`."""
    return {"faults": [kind_document(kind) for kind in kinds]}


def kind_document(kind: FaultKind) -> dict[str, Any]:
    """One kind of fault."""
    return {
        "kind": kind.kind,
        "class": kind.fault_class.value,
        "title": kind.title,
        "where": kind.where.value,
        "source": kind.source,
        "virtual": kind.virtual,
        "bench": kind.bench,
        "bench_obstacle": kind.bench_obstacle,
        "needs": kind.needs,
        "masks": list(kind.masks),
        "changes": list(kind.changes),
        "shapes": list(shapes_of(kind)),
        "parameters": [_parameter(parameter) for parameter in kind.parameters],
    }


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "unit": parameter.unit,
        "min": parameter.minimum,
        "max": parameter.maximum,
        "default": parameter.default,
        "choices": list(parameter.choices),
        "meaning": parameter.meaning,
    }
