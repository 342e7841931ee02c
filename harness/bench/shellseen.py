# SPDX-License-Identifier: Apache-2.0
"""What the controller last said on the bus and drove, and what changed: for the live table and the live time line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.bench.live import Row
from harness.canbus.product import Profile, States
from harness.extremes import CONTACTORS
from harness.trace import Frames
from harness.units import CONTROLLER_STATES, FLAG_PREFIXES

_NS_PER_S = 1e9
_HALF = 0.5
_STATE_NAMES = {number: name for name, number in CONTROLLER_STATES.items()}
Values = NDArray[Any]
_LIMITS = ("charge_limit_a", "discharge_limit_a")


@dataclass(frozen=True, slots=True)
class Change:
    """Something that happened: when, what in words, and the flag it is about ("" for none)."""

    t_s: float
    event: str
    flag: str = ""
    on: bool = True


@dataclass(frozen=True, slots=True)
class Reported:
    """The last value of a quantity on the bus, and when it came."""

    t_s: float
    value: float


class Seen:
    """Follows a rig frame by frame and row by row. Frames of the bus are decoded in batches as they come."""

    def __init__(self, profile: Profile) -> None:
        self._profile = profile
        self._plain: dict[str, list[tuple[str, str, float, float, States | None]]] = {}
        for quantity, binding in profile.bindings.items():
            if "[" not in quantity:
                message = binding.path.partition(".")[0]
                entry = (quantity, binding.path, binding.scale, binding.offset, binding.states)
                self._plain.setdefault(message, []).append(entry)
        own = {message: profile.database.by_name[message].id for message in self._plain}
        self._messages = {identifier: name for name, identifier in own.items()}
        self._known: dict[str, Reported] = {}
        self._contactors = -1
        self.heard_s = math.nan  # when the last message of the controller came

    def reported(self, quantity: str) -> Reported | None:
        """What the controller last said of a quantity; None before it said anything."""
        return self._known.get(quantity)

    def flags(self, prefix: str) -> tuple[str, ...]:
        """The flags with a prefix ("fault.") that are set."""
        return tuple(name for name, known in self._known.items() if name.startswith(prefix) and known.value > _HALF)

    def state(self) -> str:
        """The reported state by name; "" before there is one."""
        known = self._known.get("bms_state")
        return "" if known is None else _STATE_NAMES.get(int(known.value), "unknown")

    def take(self, frames: Frames, row: Row) -> tuple[Change, ...]:
        """New frames and the newest row; what changed by them, in order of time."""
        changes = [*self._frames(frames), *self._outputs(row)]
        return tuple(sorted(changes, key=lambda change: change.t_s))

    def _frames(self, frames: Frames) -> Iterator[Change]:
        came = [name for number in np.unique(frames.id).tolist() if (name := self._messages.get(number))]
        if not came:
            return
        decoded = self._profile.decoder.decode(frames)
        for message in came:
            times = decoded.times(message)
            if not len(times):
                continue
            self.heard_s = max(float(times[-1]), 0.0 if math.isnan(self.heard_s) else self.heard_s)
            for quantity, path, scale, offset, states in self._plain[message]:
                if states is not None:
                    t_s, values = times, _canonical(states, decoded.signal(path).raw)
                else:
                    t_s, raw = decoded.values(path)
                    values = raw * scale + offset
                yield from self._values(quantity, t_s, values)

    def _values(self, quantity: str, t_s: Values, values: Values) -> Iterator[Change]:
        """Changes of one quantity; the first value known is no change."""
        told = quantity.startswith(FLAG_PREFIXES) or quantity in _LIMITS or quantity == "bms_state"
        for at_s, value in zip(t_s.tolist(), values.tolist(), strict=True):
            before = self._known.get(quantity)
            self._known[quantity] = Reported(at_s, value)
            if told and before is not None and before.value != value:
                yield from _change(at_s, quantity, before.value, value)

    def _outputs(self, row: Row) -> Iterator[Change]:
        value = row.value("output", "contactors")
        bits = -1 if math.isnan(value) else int(value)
        before, self._contactors = self._contactors, bits
        if bits < 0 or before < 0:
            return
        for name, bit in CONTACTORS.items():
            if (bits ^ before) & bit:
                yield Change(row.t_s, f"{name} commanded {'closed' if bits & bit else 'open'}")


def _canonical(states: States, raw: Values) -> Values:
    at = np.minimum(np.searchsorted(states.raw, raw), len(states.raw) - 1)
    return np.where(states.raw[at] == raw, states.canonical[at], -1.0)


def _change(t_s: float, quantity: str, before: float, value: float) -> Iterator[Change]:
    if quantity == "bms_state":
        yield Change(t_s, f"state {_STATE_NAMES.get(int(value), 'unknown')}")
    elif quantity in _LIMITS:
        if value <= 0.0 < before:
            yield Change(t_s, f"{quantity} to zero")
    else:
        on = value > _HALF
        yield Change(t_s, f"{quantity} {'on the bus' if on else 'cleared on the bus'}", quantity, on)
