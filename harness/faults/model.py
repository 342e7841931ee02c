# SPDX-License-Identifier: Apache-2.0
"""The shape of a catalogue entry. The table itself is in `catalogue.py`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

# What `FaultKind.needs` names: things not every rig has, and how a rig file comes by them.
NEEDS: Mapping[str, str] = {
    "line": "an overhead line: line_v and line_kw in the duty that [load] names",
    "rectifier": "a rectifier that floats the pack: line_v in the duty that [load] names, and float_v of [load]",
    "gbt": 'a GB/T 27930 charger: protocol = "gbt-27930" in [charger]',
}

Role = Literal["value", "index", "message", "option"]


class FaultClass(Enum):
    """Groups of the catalogue, as printed by `bms-harness faults`."""

    CELL = "cell"
    CONNECTION = "connection"
    WIRING = "wiring"
    SENSING = "sensing"
    ACTUATOR = "actuator"
    INSULATION = "insulation"
    SUPPLY = "supply and ECU"
    ENVIRONMENT = "environment"
    CHARGER_VEHICLE = "charger and vehicle"
    CAN = "CAN"


class Where(Enum):
    """Where a fault acts: it bends the truth, only what the controller is given, or the bus."""

    TRUTH = "truth"
    GIVEN = "given"
    BUS = "bus"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter of a fault. Bounds are inclusive; out of range is refused, never clipped.

    `role` index: a cell, sensor or contactor counted from 1, whose upper bound the rig sets (maximum None).
    `choices` replaces the bounds of an enumeration (e.g. contactor = positive | negative | precharge).
    """

    name: str
    unit: str
    minimum: float | None
    maximum: float | None
    meaning: str
    role: Role = "value"
    default: float | str | None = None
    integer: bool = False
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Effect:
    """One row of the kernel's fault table: point and op by their name in kernel.h without the prefix.

    `value` and `index` name the parameter they come from, or are numbers; `index` -1 = all.
    `when` = (parameter, choices): the row exists only when the parameter is one of the choices.
    The value of the row is `factor * value + offset`. `extra` fills further fields of the row (id, node, mode, ...),
    each from a parameter or with a number.
    """

    point: str
    op: str
    value: str | float = 1.0
    index: str | int = -1
    factor: float = 1.0
    offset: float = 0.0
    extra: Mapping[str, str | float] = field(default_factory=dict)
    when: tuple[str, tuple[str, ...]] | None = None


@dataclass(frozen=True, slots=True)
class FaultKind:
    """One kind of fault.

    `masks` names the quantities that the controller can no longer know because of it: information for the report,
    judges work on what was given and need no mask. `source` says where the mechanism or its numbers come from.
    `options` gives the number behind each choice of an enumeration. `noise_from` names the parameter that is the
    standard deviation: such a kind is always noise. `shapes` are the courses over time it takes; empty: those that its
    effects allow (`catalogue.shapes_of`). `bench_obstacle`: why a bench cannot make it; the catalogue fills it in.

    `changes` names what differs because of the fault alone, as long as the controller has not reacted: "given.<q>" what
    the controller is given, "truth.<q>" what is true, with the quantities of `harness.units` and the columns of a
    trace; "given.now_s" is the controller's clock, "boot" what it finds when it starts, "bus" the frames.

    `needs` names what a rig must have for it: "line" an overhead line, "gbt" a charger that speaks
    GB/T 27930. "" = every rig has it.
    """

    kind: str
    fault_class: FaultClass
    title: str
    where: Where
    effects: tuple[Effect, ...]
    parameters: tuple[Parameter, ...]
    source: str
    virtual: bool = True
    bench_obstacle: str = ""
    masks: tuple[str, ...] = ()
    options: Mapping[str, float] = field(default_factory=dict)
    noise_from: str = ""
    shapes: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()
    needs: str = ""

    @property
    def bench(self) -> bool:
        """Whether a bench can make it; single parameters may be refused still (`harness.faults.bench.obstacle_of`)."""
        return not self.bench_obstacle


# Parameters every fault takes: when it acts and with which time shape (design issue "time shapes").
TIMING: tuple[Parameter, ...] = (
    Parameter("for_s", "s", 0.01, 86_400.0, "how long it acts; until the end without", default=None),
    Parameter(
        "shape", "", None, None, "course over time", "option", "step", choices=("step", "ramp", "intermittent", "noise")
    ),
    Parameter("ramp_s", "s", 0.01, 86_400.0, "ramp: time from as found to full effect", default=1.0),
    Parameter("period_s", "s", 0.02, 3_600.0, "intermittent: period", default=1.0),
    Parameter("duty", "", 0.01, 0.99, "intermittent: share of the period in which it acts", default=0.5),
    Parameter("sigma", "of the value", 0.0, 1e6, "noise: standard deviation, in the unit of the value", default=0.0),
)
