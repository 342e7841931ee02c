# SPDX-License-Identifier: Apache-2.0
"""The fault catalogue: the single table behind the command line, the schema, the search and the tests."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from harness.errors import UsageError
from harness.faults.bench import obstacle
from harness.faults.kinds import actuators, can, cells, charger, electronics, overhead, rectifier, sensing, surroundings
from harness.faults.model import TIMING, FaultKind, Parameter

CATALOGUE: tuple[FaultKind, ...] = tuple(
    replace(kind, bench_obstacle=obstacle(kind))
    for part in (cells, sensing, actuators, electronics, surroundings, overhead, rectifier, charger, can)
    for kind in part.KINDS
)

_BY_NAME = {kind.kind: kind for kind in CATALOGUE}
_NUMERIC_OPS = ("SET", "ADD", "SCALE")


def find_kind(name: str) -> FaultKind | None:
    """The kind of fault with this name, or None."""
    return _BY_NAME.get(name)


def kind_named(name: str) -> FaultKind:
    """The kind of fault with this name. Raises UsageError that names the nearest ones."""
    kind = find_kind(name)
    if kind is None:
        raise UsageError(f"fault '{name}': {allowed_kinds(name)}")
    return kind


def allowed_kinds(name: str) -> str:
    """What to say to someone who asked for a fault that does not exist."""
    near = get_close_matches(name, _BY_NAME, n=3, cutoff=0.5)
    if near:
        return f"there is none of this name; near: {', '.join(near)}"
    return "there is none of this name; `bms-harness faults` lists all"


def shapes_of(kind: FaultKind) -> tuple[str, ...]:
    """The courses over time a kind can have. What is on or off has no ramp and no noise."""
    if kind.shapes:
        return kind.shapes
    if kind.noise_from:
        return ("noise",)
    numeric = {parameter.name for parameter in kind.parameters if parameter.role == "value"}
    continuous = all(effect.op in _NUMERIC_OPS and effect.value in numeric for effect in kind.effects)
    return ("step", "ramp", "intermittent", "noise") if continuous else ("step", "intermittent")


def timing_of(kind: FaultKind) -> tuple[Parameter, ...]:
    """The time parameters a kind takes besides its own."""
    shapes = shapes_of(kind)
    needs = {"ramp_s": "ramp", "period_s": "intermittent", "duty": "intermittent", "sigma": "noise"}
    taken = tuple(parameter for parameter in TIMING if needs.get(parameter.name, shapes[0]) in shapes)
    if len(shapes) > 1:
        return taken
    own = {"shape", "sigma"} if kind.noise_from else {"shape"}
    return tuple(parameter for parameter in taken if parameter.name not in own)
