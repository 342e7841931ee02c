# SPDX-License-Identifier: Apache-2.0
"""The faults that every analogue sensor can have, made for one kind of sensor from its unit and its ranges."""

from __future__ import annotations

from dataclasses import dataclass

from harness.faults.kinds.parameters import choice, number
from harness.faults.model import Effect, FaultClass, FaultKind, Parameter, Where

FIELD = "field failure modes of sampling circuits: doi 10.1039/d5ya00093a; review: doi 10.3390/pr13040929"
PORT = "the port's validity flag and age, see fil.h"
LONGEST_DELAY_S = 1.0  # as long as the kernel keeps readings


@dataclass(frozen=True, slots=True)
class Channel:
    """One kind of sensor: how its faults are called, where they act, and what is plausible in its unit.

    `what` completes "sensed ... shifted". `unit` is that of a reading, `step_unit` that of a difference of two (K for
    °C), with `key` and `step_key` the ends of parameter names. `highest` and `lowest` are the ends of the measuring
    range. `index` names the parameter that says which one; "" for a single sensor.
    """

    prefix: str
    what: str
    point: str
    fault_class: FaultClass
    quantity: str
    unit: str
    key: str
    value: str
    low: float
    high: float
    offset: float
    noise: float
    drift: float
    spike: float
    step: float
    lowest: float
    highest: float
    place: Parameter | None = None
    step_unit: str = ""
    step_key: str = ""
    source: str = FIELD

    @property
    def _index(self) -> str | int:
        return self.place.name if self.place else -1

    def _kind(
        self,
        name: str,
        title: str,
        effects: tuple[Effect, ...],
        parameters: tuple[Parameter, ...] = (),
        *,
        source: str = "",
        noise_from: str = "",
        changes: tuple[str, ...] = (),
    ) -> FaultKind:
        own = (self.place,) if self.place else ()
        return FaultKind(
            f"{self.prefix}-{name}",
            self.fault_class,
            f"sensed {self.what} {title}",
            Where.GIVEN,
            effects,
            (*own, *parameters),
            source or self.source,
            masks=(self.quantity,),
            noise_from=noise_from,
            changes=changes or (f"given.{self.quantity}",),
        )

    def _effect(self, op: str, value: str | float = 0.0, *, at: str = "") -> Effect:
        return Effect(self.point, op, value, self._index, when=("at", (at,)) if at else None)

    def _step(self, name: str, low: float, high: float, meaning: str, *, per_s: bool = False) -> Parameter:
        unit, key = self.step_unit or self.unit, self.step_key or self.key
        tail, per = ("_per_s", "/s") if per_s else ("", "")
        return number(f"{name}_{key}{tail}", f"{unit}{per}", low, high, meaning)

    def readings(self) -> tuple[FaultKind, ...]:
        """The reading is another value: set, offset, gain, drift, noise, spikes, quantised."""
        value = number(f"{self.value}_{self.key}", self.unit, self.low, self.high, "the reading")
        offset = self._step("offset", -self.offset, self.offset, "added to the reading")
        drift = self._step("drift", -self.drift, self.drift, "added to the reading every second", per_s=True)
        sigma = self._step("sigma", 0.0, self.noise, "standard deviation, new every tick")
        spike = self._step("height", 0.0, self.spike, "added to or taken from the reading")
        share = number("share", "", 0.001, 1.0, "share of the samples that are spikes", default=0.05)
        step = self._step("step", self.step / 1000.0, self.step, "readings are multiples of this")
        spikes = Effect(self.point, "SPIKE", spike.name, self._index, extra={"probability": "share"})
        return (
            self._kind("set", "replaced by a value", (self._effect("SET", value.name),), (value,)),
            self._kind("offset", "shifted", (self._effect("ADD", offset.name),), (offset,)),
            self._kind("gain", "scaled", (self._effect("SCALE", "factor"),), (_FACTOR,)),
            self._kind("drift", "drifts away", (self._effect("DRIFT", drift.name),), (drift,)),
            self._kind("noise", "noisy", (self._effect("ADD"),), (sigma,), noise_from=sigma.name),
            self._kind("spikes", "with spikes", (spikes,), (spike, share)),
            self._kind("coarse", "quantised too coarsely", (self._effect("QUANTISE", step.name),), (step,)),
        )

    def timing(self) -> tuple[FaultKind, ...]:
        """The reading is an old one: stuck at something, delayed."""
        words = ("last", "first", "highest", "lowest")
        at = choice("at", words, "last reading, first of the scenario, or an end of the measuring range", "last")
        stuck = (
            self._effect("HOLD", at="last"),
            self._effect("HOLD_FIRST", at="first"),
            self._effect("SET", self.highest, at="highest"),
            self._effect("SET", self.lowest, at="lowest"),
        )
        delay = number("delay_s", "s", 0.01, LONGEST_DELAY_S, "age of the reading, which is said to be fresh")
        return (
            self._kind("stuck", "frozen, still marked valid and fresh", stuck, (at,)),
            self._kind("delayed", "late", (self._effect("DELAY", "delay_s"),), (delay,)),
        )

    def invalid(self, title: str, changes: str) -> FaultKind:
        """The reading is marked invalid; it stays what it was."""
        return self._kind("invalid", title, (self._effect("INVALID"),), source=PORT, changes=(f"given.{changes}",))


_FACTOR = number("factor", "", 0.0, 3.0, "multiplies the reading")
