# SPDX-License-Identifier: Apache-2.0
"""Checking the parameters of a fault against its kind and a rig: everything wrong at once, nothing clipped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, Literal

from harness.faults import frames
from harness.faults.catalogue import shapes_of, timing_of
from harness.faults.frames import BusMessage
from harness.faults.model import NEEDS, TIMING, Effect, FaultKind, Parameter
from harness.faults.scale import REFERENCE, Scale

Value = float | int | str
Shape = Literal["step", "ramp", "intermittent", "noise"]
DIAGNOSTICS = "diagnostics"  # feature of a rig whose controller answers UDS
CLEAR_CODES = "clear-dtcs"  # feature of a rig, and the command, to clear trouble codes by a message
MODULE_CELLS = 12  # channels of a common front end, e.g. the LTC6811
_INDEX_ALL = -1
_SHOWN = 16  # names in a hint
_SHAPE_OF = {"ramp_s": "ramp", "period_s": "intermittent", "duty": "intermittent", "sigma": "noise"}


@dataclass(frozen=True, slots=True)
class Bounds:
    """What of a rig bounds the parameters: how many cells and sensors, its rest-bus messages in kernel order, and what
    the DUT may send.

    `module_cells` is how many cells one measuring module has; it bounds nothing but tells where modules meet.
    `features` are the things not every rig has (`FaultKind.needs`). `scale` is what the pack is made for.
    `ages` are the messages of an age of their own, by the quantity that tells it. `strings` is how many strings in
    parallel an action may name; 0 = the rig has no such thing.
    """

    n_cells: int
    n_temps: int
    messages: tuple[BusMessage, ...] = ()
    dut_messages: tuple[BusMessage, ...] = ()
    module_cells: int = 12
    features: frozenset[str] = frozenset()
    scale: Scale = REFERENCE
    ages: Mapping[str, str] = field(default_factory=dict)
    strings: int = 0

    def offers(self, kind: FaultKind) -> bool:
        """Whether this rig has what a kind of fault needs."""
        return not kind.needs or kind.needs in self.features

    def highest(self, parameter: str) -> int:
        """The highest number, counted from 1, that an index parameter may have."""
        return {
            "cell": self.n_cells,
            "wire": self.n_cells - 1,
            "lower_cell": self.n_cells - 1,
            "lower_wire": self.n_cells - 2,
            "sensor": self.n_temps,
            "lower_sensor": self.n_temps - 1,
            "module": -(-self.n_cells // MODULE_CELLS),
        }[parameter]

    def cells_of(self, module: int) -> range:
        """The cells of a module, counted from 0; the last module may have fewer."""
        first = (module - 1) * MODULE_CELLS
        return range(first, min(first + MODULE_CELLS, self.n_cells))

    def sensors_of(self, module: int) -> range:
        """The temperature sensors on the cells of a module, from 0: sensor s sits on cell s * n_cells // n_temps."""
        cells = self.cells_of(module)
        first, end = (-(-place * self.n_temps // self.n_cells) for place in (cells.start, cells.stop))
        return range(first, end)

    def message_names(self, parameter: str = "message") -> tuple[str, ...]:
        """The nodes that send and the messages, as this parameter of a fault may name them."""
        if parameter != "message":
            return frames.names(parameter, (*self.messages, *self.dut_messages))
        nodes = dict.fromkeys(message.node for message in self.messages)
        return (*nodes, *(message.name for message in self.messages))

    def sends(self, parameter: str, name: str) -> bool:
        """Whether the rig has what a parameter of the role "message" names."""
        return bool(self.message_indices(name) if parameter == "message" else self.frame_fields(parameter, name))

    def frame_fields(self, parameter: str, name: str) -> list[dict[str, int]]:
        """Which frames or signals a parameter names, fields for each kernel row; empty when there is none."""
        return frames.selections(parameter, name, (*self.messages, *self.dut_messages))

    def message_indices(self, name: str) -> tuple[int, ...]:
        """Kernel indices of the message, or of all messages of the node, with this name; empty when there is none."""
        return tuple(place for place, message in enumerate(self.messages) if name in (message.name, message.node))


@dataclass(frozen=True, slots=True)
class ParameterProblem:
    """One thing wrong with the parameters of a fault."""

    parameter: str
    found: str
    allowed: str

    def __str__(self) -> str:
        """One line: parameter: found ..., allowed ..."""
        return f"{self.parameter}: found {self.found}; allowed: {self.allowed}"


@dataclass(frozen=True, slots=True)
class PlacedEffect:
    """One row of the kernel's fault table but for its times: names as in kernel.h, index from 0, -1 = all.

    `extra` are further fields of the row by name.
    """

    point: str
    op: str
    index: int
    value: float
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ResolvedFault:
    """A fault whose parameters are all there and legal. `for_s` None = until the end of the scenario."""

    kind: FaultKind
    parameters: Mapping[str, Value]
    effects: tuple[PlacedEffect, ...]
    for_s: float | None = None
    shape: Shape = "step"
    ramp_s: float = 1.0
    period_s: float = 1.0
    duty: float = 0.5
    sigma: float = 0.0


def resolve(
    kind: FaultKind, parameters: Mapping[str, object], bounds: Bounds
) -> ResolvedFault | list[ParameterProblem]:
    """The fault with defaults filled in, or every problem of its parameters."""
    problems = [*_unoffered(kind, bounds), *_unknown(kind, parameters), *_missing(kind, parameters)]
    values: dict[str, Value] = {}
    for parameter in (*kind.parameters, *timing_of(kind)):
        found = parameters.get(parameter.name, parameter.default)
        if found is None:
            continue
        problem = _problem_of(parameter, found, bounds)
        if problem:
            problems.append(ParameterProblem(parameter.name, repr(found), problem))
        elif isinstance(found, (int, float, str)):
            values[parameter.name] = found
    problems += _without_effect(kind, parameters, values)
    return problems or _resolved(kind, values, bounds)


def check(kind: FaultKind, parameters: Mapping[str, object], bounds: Bounds) -> list[str]:
    """The problems of `resolve` as lines of text; empty when the parameters are legal."""
    outcome = resolve(kind, parameters, bounds)
    return [str(problem) for problem in outcome] if isinstance(outcome, list) else []


def _unoffered(kind: FaultKind, bounds: Bounds) -> list[ParameterProblem]:
    if bounds.offers(kind):
        return []
    return [ParameterProblem("fault", repr(kind.kind), f"only on rigs with {NEEDS[kind.needs]}")]


def _unknown(kind: FaultKind, parameters: Mapping[str, object]) -> list[ParameterProblem]:
    known = [parameter.name for parameter in (*kind.parameters, *timing_of(kind))]
    problems = []
    for name in parameters:
        if name in known:
            continue
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        shape = _SHAPE_OF.get(name, "")
        hint = f"; did you mean {near[0]}?" if near else ""
        why = f"; a {kind.kind} has no shape '{shape}'" if shape else ""
        problems.append(ParameterProblem(name, "an unknown parameter", ", ".join(known) + hint + why))
    return problems


def _missing(kind: FaultKind, parameters: Mapping[str, object]) -> list[ParameterProblem]:
    return [
        ParameterProblem(parameter.name, "nothing", describe(parameter))
        for parameter in kind.parameters
        if parameter.default is None and parameters.get(parameter.name) is None
    ]


def _without_effect(
    kind: FaultKind, parameters: Mapping[str, object], values: Mapping[str, Value]
) -> list[ParameterProblem]:
    """A key that changes nothing is a misunderstanding: say so."""
    shape = values.get("shape", shapes_of(kind)[0])
    problems = [
        ParameterProblem(name, repr(parameters[name]), f"only with shape = '{needs}'")
        for name, needs in _SHAPE_OF.items()
        if name in parameters and name in values and shape != needs
    ]
    if isinstance(shape, str) and shape not in shapes_of(kind) and not kind.noise_from:
        problems.append(ParameterProblem("shape", repr(shape), ", ".join(shapes_of(kind))))
    return problems


def describe(parameter: Parameter, bounds: Bounds | None = None) -> str:
    """What a parameter may be, in words: "a number in V from 0 to 6"."""
    if parameter.role == "message":
        names = bounds.message_names(parameter.name) if bounds else ()
        names = names[:_SHOWN] + (("...",) if len(names) > _SHOWN else ())
        return ", ".join(names) if names else "the name of a rest-bus message or node (this rig has none)"
    if parameter.role == "option":
        return ", ".join(parameter.choices)
    noun = "a whole number" if parameter.integer else "a number"
    unit = f" in {parameter.unit}" if parameter.unit else ""
    low, high = parameter.minimum, parameter.maximum
    if parameter.role == "index" and bounds:
        high = bounds.highest(parameter.name)
    span = f" from {low:g} to {high:g}" if low is not None and high is not None else f" from {low:g}" if low else ""
    others = "".join(f", or '{word}'" for word in parameter.choices)
    return f"{noun}{unit}{span}{others}"


def _problem_of(parameter: Parameter, found: object, bounds: Bounds) -> str:
    """What is allowed instead, or "" when the value is legal."""
    allowed = describe(parameter, bounds)
    if parameter.role == "message":
        return _message_problem(parameter.name, found, bounds, allowed)
    if isinstance(found, str):
        return "" if found in parameter.choices else allowed + _hint(parameter, found)
    if isinstance(found, bool) or not isinstance(found, (int, float)) or parameter.role == "option":
        return allowed
    whole = not parameter.integer or float(found).is_integer()
    return "" if math.isfinite(found) and whole and _inside(parameter, found, bounds) else allowed


def _inside(parameter: Parameter, found: float, bounds: Bounds) -> bool:
    low = -math.inf if parameter.minimum is None else parameter.minimum
    high = math.inf if parameter.maximum is None else parameter.maximum
    if parameter.role == "index":
        high = bounds.highest(parameter.name)
    return low <= found <= high


def _message_problem(parameter: str, found: object, bounds: Bounds, allowed: str) -> str:
    if isinstance(found, str) and bounds.sends(parameter, found):
        return ""
    near = get_close_matches(str(found), bounds.message_names(parameter), n=1, cutoff=0.5)
    return allowed + (f"; did you mean {near[0]}?" if near else "")


def number_or_text(text: str) -> Value:
    """A number where it is one; words such as "all" stay words."""
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text


def _hint(parameter: Parameter, found: str) -> str:
    """Help for "3.8V" and "3,8" where a number is due, and for a word almost right."""
    near = get_close_matches(found, parameter.choices, n=1, cutoff=0.5)
    if near:
        return f"; did you mean {near[0]}?"
    if parameter.role == "option":
        return ""
    text = found.strip().replace(",", ".").rstrip("VvAaWwKkCcsSΩ°ohm% ")
    number = number_or_text(text)
    return f"; write {text} without a unit" if not isinstance(number, str) else ""


def _resolved(kind: FaultKind, values: dict[str, Value], bounds: Bounds) -> ResolvedFault:
    effects = tuple(placed for effect in kind.effects for placed in _place(kind, effect, values, bounds))
    own = {parameter.name: values[parameter.name] for parameter in kind.parameters}
    given = {
        parameter.name: values[parameter.name]
        for parameter in TIMING
        if parameter.name in values and parameter.name != "shape"
    }
    times = {name: float(value) for name, value in given.items()}
    shape = _shape(values.get("shape", shapes_of(kind)[0]))
    if kind.noise_from:
        shape, times["sigma"] = "noise", float(values[kind.noise_from])
    return ResolvedFault(kind, own, effects, shape=shape, **times)


def _shape(name: Value) -> Shape:
    shapes: dict[Value, Shape] = {"ramp": "ramp", "intermittent": "intermittent", "noise": "noise"}
    return shapes.get(name, "step")


def _place(kind: FaultKind, effect: Effect, values: Mapping[str, Value], bounds: Bounds) -> list[PlacedEffect]:
    if effect.when and values[effect.when[0]] not in effect.when[1]:
        return []
    value = _number(kind, effect.value, values) * effect.factor + effect.offset
    extra = {name: _field(name, _number(kind, source, values)) for name, source in effect.extra.items()}
    if effect.index in (frames.FRAME, frames.IMITATED, frames.SIGNAL):
        selected = bounds.frame_fields(str(effect.index), str(values[str(effect.index)]))
        return [PlacedEffect(effect.point, effect.op, _INDEX_ALL, value, {**extra, **fields}) for fields in selected]
    if effect.index == "module":
        return _place_module(effect, value, int(values["module"]), bounds)
    return [
        PlacedEffect(effect.point, effect.op, index, value, extra) for index in _indices(kind, effect, values, bounds)
    ]


def _field(name: str, number: float) -> float:
    """Every further field of a row is a whole number, but for the chance."""
    return number if name == "probability" else int(number)


def _place_module(effect: Effect, value: float, module: int, bounds: Bounds) -> list[PlacedEffect]:
    """All cells of a module, or all sensors on them."""
    span = bounds.sensors_of(module) if effect.point == "SENSE_TEMP_DEGC" else bounds.cells_of(module)
    return [PlacedEffect(effect.point, effect.op, span.start, value, {"span": len(span)})] if span else []


def _number(kind: FaultKind, source: str | float, values: Mapping[str, Value]) -> float:
    value = values[source] if isinstance(source, str) else source
    return kind.options[value] if isinstance(value, str) else float(value)


def _indices(kind: FaultKind, effect: Effect, values: Mapping[str, Value], bounds: Bounds) -> Sequence[int]:
    if not isinstance(effect.index, str):
        return (effect.index,)
    value = values[effect.index]
    parameter = next(item for item in kind.parameters if item.name == effect.index)
    if parameter.role == "message":
        return bounds.message_indices(str(value))
    if isinstance(value, str):
        return (int(kind.options[value]),) if parameter.role == "option" else (_INDEX_ALL,)
    return (int(value) - 1,)
