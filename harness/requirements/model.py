# SPDX-License-Identifier: Apache-2.0
"""What a requirement file may say (design section 5.3). One class per kind; quantities are those of `harness.units`.

`above` / `below` bound the given value. `accuracy` is what the measuring chain may err by, in the unit of the
quantity: inside limit +- accuracy both reactions are right. Times are seconds.
"""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, Self

import pydantic
from pydantic import Field

from harness.tomlfile import FileModel
from harness.units import is_known

Identifier = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9]*(-[A-Z0-9]+)+$")]
Seconds = Annotated[float, Field(ge=0.0, le=86_400.0, strict=False)]
Number = Annotated[float, Field(allow_inf_nan=False, strict=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False, strict=False)]
SafeState = Literal["contactors_open", "charge_limit_zero", "discharge_limit_zero", "none"]
Side = Literal["given", "truth", "output", "reported"]


def _known(name: str) -> str:
    if not is_known(name):
        message = f"quantity '{name}' is not in the vocabulary (bms-harness requirements --quantities lists it)"
        raise ValueError(message)
    return name


QuantityName = Annotated[str, pydantic.AfterValidator(_known)]


class Condition(FileModel):
    """A comparison that holds or not at each moment: quantity above, below or equal to a number, or a state by name.

    `side` picks the witness: what the controller was given, the truth, its outputs, or what it reported on the bus.
    """

    quantity: QuantityName
    side: Side = "given"
    above: Number | None = None
    below: Number | None = None
    equals: Number | None = None
    state: str | None = None
    accuracy: NonNegative = 0.0

    @cached_property
    def key(self) -> tuple[object, ...]:
        """What it says, as a tuple: equal conditions have equal keys, and they hash ten times as fast."""
        return (self.side, self.quantity, self.above, self.below, self.equals, self.state, self.accuracy)

    @pydantic.model_validator(mode="after")
    def _one_comparison(self) -> Self:
        given = [self.above, self.below, self.equals, self.state]
        if sum(item is not None for item in given) != 1:
            message = "exactly one of above, below, equals, state"
            raise ValueError(message)
        return self


class Base(FileModel):
    """What every requirement has. `assumption` marks numbers that no reachable norm text confirms."""

    id: Identifier
    title: Annotated[str, Field(min_length=3)]
    source: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    assumption: bool = False
    when: Annotated[tuple[Condition, ...], Field(strict=False)] = ()


class Trip(Base):
    """A protection: past the limit for longer than confirm_s[1] it must react, shorter than confirm_s[0] it must not.

    The flag must be on the bus within `flag_within_s` of the confirmation, the safe state reached `safe_within_s`
    after the flag. A latched flag stays, over power cycles too, until a reset is requested with the cause gone.
    One that is not latched does not go before the quantity has been back for `release_s`; a latched one goes by a
    reset request at the latest `reset_after_s` after the cause has gone.
    `near` is how close to the limit a quantity must come for the non-reaction to count as exercised. `side` is given
    but for supervisions of what the controller itself does ("output": a contactor that it could not close in time).
    """

    kind: Literal["trip"] = "trip"
    quantity: QuantityName
    side: Side = "given"
    above: Number | None = None
    below: Number | None = None
    accuracy: NonNegative = 0.0
    near: NonNegative | None = None
    confirm_s: Annotated[tuple[Seconds, Seconds], Field(strict=False)]
    flag: QuantityName
    flag_within_s: Seconds
    safe_state: SafeState = "contactors_open"
    safe_within_s: Seconds = 0.0
    latched: bool = False
    release_s: Seconds | None = None
    reset_after_s: Seconds | None = None

    @pydantic.model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.above is None) == (self.below is None):
            message = "exactly one of above, below"
            raise ValueError(message)
        if self.confirm_s[0] > self.confirm_s[1]:
            message = "confirm_s = [must not react before, must have confirmed after], rising"
            raise ValueError(message)
        return self


class CurvePoint(FileModel):
    """One corner of a limit curve."""

    at: Number
    limit: Number


class Limit(Base):
    """A limit the controller reports stays at or under a curve of a given quantity (linear between the corners).

    `settle_s` is how long after a change of the given quantity the old limit may still be reported. `side` says
    where the quantity is read: soc_pct, say, only the controller itself knows ("reported").
    """

    kind: Literal["limit"] = "limit"
    reported: QuantityName
    quantity: QuantityName
    side: Literal["given", "truth", "reported"] = "given"
    curve: Annotated[tuple[CurvePoint, ...], Field(min_length=2, strict=False)]
    accuracy: NonNegative = 0.0
    tolerance: NonNegative = 0.0
    settle_s: Seconds = 0.5

    @pydantic.model_validator(mode="after")
    def _rising(self) -> Self:
        corners = [point.at for point in self.curve]
        if corners != sorted(set(corners)):
            message = "curve corners rise strictly in 'at'"
            raise ValueError(message)
        return self


class Accuracy(Base):
    """A reported value follows what the controller was given (or the truth) within tolerance and latency.

    `every_s`: it also comes at least this often, for a value that no cyclic message carries all the time.
    """

    kind: Literal["accuracy"] = "accuracy"
    reported: QuantityName
    quantity: QuantityName
    side: Literal["given", "truth"] = "given"
    tolerance: NonNegative
    relative: NonNegative = 0.0
    within_s: Seconds = 0.3
    every_s: Seconds | None = None


class Cycle(Base):
    """A message comes at its period, with a counter that counts and a CRC that fits.

    `on_change`: it is also sent when its content changes, so that only gaps longer than the period are wrong.
    """

    kind: Literal["cycle"] = "cycle"
    message: str
    period_s: Annotated[float, Field(gt=0.0, le=3600.0, strict=False)]
    tolerance_s: Seconds
    on_change: bool = False
    counter: str | None = None
    crc: str | None = None


class Sequence(Base):
    """An order: whenever `event` begins, `requires` must have held throughout the `for_s` before it (0 = at it)."""

    kind: Literal["sequence"] = "sequence"
    event: Condition
    requires: Annotated[tuple[Condition, ...], Field(min_length=1, strict=False)]
    for_s: Seconds = 0.0


class Invariant(Base):
    """Whenever `when` has held for `within_s`, `always` holds. Without `when`: always."""

    kind: Literal["invariant"] = "invariant"
    always: Condition
    within_s: Seconds = 0.0


class Goal(Base):
    """A safety goal on the truth: no longer past the hazard limit than the FTTI, whatever the controller was told."""

    kind: Literal["goal"] = "goal"
    quantity: QuantityName
    hazard_above: Number | None = None
    hazard_below: Number | None = None
    ftti_s: Seconds

    @pydantic.model_validator(mode="after")
    def _one_side(self) -> Self:
        if (self.hazard_above is None) == (self.hazard_below is None):
            message = "exactly one of hazard_above, hazard_below"
            raise ValueError(message)
        return self


class Diagnosis(Base):
    """A rule about the diagnostics (UDS, ISO 14229-1) of the controller, held against every request and its answer.

    About trouble codes, every fault of the profile held against its flag on the bus. stored: a fault leaves its code
    confirmed; kept: over a power cycle; test_failed: the bit tells whether the fault is there; this_cycle: its bits
    tell of this power cycle; only_faults: no code without its fault; cleared: nothing is left of a code cleared on
    command; tested: a code without its fault is untested for `tested_s[0]` after a clear or power-on, and tested
    `tested_s[1]` after it; lists: numbers and lists by status agree.
    answered: every request has its answer `within_s`; flow: it keeps the tester's flow control; form: it is whole, well
    formed and to the request; served: what every controller can do is not refused; refused: what cannot be done, with
    its reason; session: it lasts for the time `s3_s` [at least, at most] after a request; reset: the controller starts
    anew `within_s`, and refuses with contactors closed; value: a `quantity` read is the reported one within the
    tolerance.
    """

    kind: Literal["diagnosis"] = "diagnosis"
    rule: Literal[
        "stored",
        "kept",
        "test_failed",
        "this_cycle",
        "only_faults",
        "cleared",
        "tested",
        "lists",
        "answered",
        "flow",
        "form",
        "served",
        "refused",
        "session",
        "reset",
        "value",
    ]
    within_s: Seconds = 0.05
    s3_s: Annotated[tuple[Seconds, Seconds], Field(strict=False)] = (4.9, 5.1)
    tested_s: Annotated[tuple[Seconds, Seconds], Field(strict=False)] = (1.9, 3.0)
    quantity: QuantityName | None = None
    tolerance: NonNegative = 0.0

    @pydantic.model_validator(mode="after")
    def _own_keys(self) -> Self:
        if (self.rule == "value") != (self.quantity is not None):
            message = 'a quantity with rule = "value", and only there'
            raise ValueError(message)
        if self.s3_s[0] > self.s3_s[1]:
            message = "s3_s = [lasts at least, is over at most], rising"
            raise ValueError(message)
        if self.tested_s[0] > self.tested_s[1]:
            message = "tested_s = [not tested before, tested at most], rising"
            raise ValueError(message)
        return self


Requirement = Trip | Limit | Accuracy | Cycle | Sequence | Invariant | Goal | Diagnosis
KINDS = ("trip", "limit", "accuracy", "cycle", "sequence", "invariant", "goal", "diagnosis")


class RequirementFile(FileModel):
    """A whole file: one array of tables per kind."""

    title: str = ""
    trip: Annotated[tuple[Trip, ...], Field(strict=False)] = ()
    limit: Annotated[tuple[Limit, ...], Field(strict=False)] = ()
    accuracy: Annotated[tuple[Accuracy, ...], Field(strict=False)] = ()
    cycle: Annotated[tuple[Cycle, ...], Field(strict=False)] = ()
    sequence: Annotated[tuple[Sequence, ...], Field(strict=False)] = ()
    invariant: Annotated[tuple[Invariant, ...], Field(strict=False)] = ()
    goal: Annotated[tuple[Goal, ...], Field(strict=False)] = ()
    diagnosis: Annotated[tuple[Diagnosis, ...], Field(strict=False)] = ()

    def all(self) -> tuple[Requirement, ...]:
        """Every requirement, by kind and then in file order."""
        before: tuple[Requirement, ...] = (*self.trip, *self.limit, *self.accuracy, *self.cycle, *self.sequence)
        return (*before, *self.invariant, *self.goal, *self.diagnosis)
