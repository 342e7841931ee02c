# SPDX-License-Identifier: Apache-2.0
"""What only strings in parallel together show, as columns of the recording of each.

given.string_gap_v        the string is asked to join a link that others hold, and its contactors are open: how far pack
                          and link voltage are apart, as its sensors have it; 0 otherwise
given.string_deviation_a  how far its current is from the mean of all that are connected, as their sensors have it,
                          while it is connected itself: charge goes round between them
given.string_reason       1 = it has a reason of its own to open: a fault, nobody asks for it, request or plug has just
                          changed, nothing is heard of who asks, ignition or supply off
given.string_others_out   how many other strings report a fault
truth.string_gap_v        pack and link voltage apart while the string is open and others hold the link
truth.string_deviation_a  as above, of the true currents
truth.strings_connected   how many other strings are on the link
truth.string_id_clashes   frames of other controllers, so far, under an identifier of this string
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from harness.canbus.profile import Profile
from harness.kernel.config import Node
from harness.observation import Observation
from harness.received import asked
from harness.trace import FloatArray, Side, Trace
from harness.units import CONTROLLER_STATES

_HALF = 0.5
_REPORTED_S = 0.3  # a reason may be told so long after the contactors have moved
_CHANGED_S = 1.0  # a request is taken so long after it was made at the latest
_SILENT_S = 0.5
_OUT = (CONTROLLER_STATES["fault"], CONTROLLER_STATES["latched"])
Values = NDArray[np.float32]
Holds = NDArray[np.bool_]


class StringRecord:
    """The recording of one string while what only all of them together show is added to it."""

    def __init__(self, trace: Trace, profile: Profile, *, timing_s: float, boot_s: float) -> None:
        self._columns: dict[Side, dict[str, FloatArray]] = {side: dict(own) for side, own in trace.columns.items()}
        self._extremes = {side: dict(trace.extremes.get(side, {})) for side in self._columns}
        self.trace = replace(trace, columns=self._columns, extremes=self._extremes)
        self.observation = Observation(self.trace, profile, timing_s=timing_s, boot_s=boot_s)
        self._profile = profile
        self.connected = self._truth("contactor_positive") * self._truth("contactor_negative") > _HALF
        self.current_a = np.nan_to_num(self._given("pack_current_a"))
        self.true_current_a = self._truth("pack_current_a")
        self.out = self._state_is_out()

    def add(self, others: Sequence[StringRecord]) -> None:
        """Add the columns; before anything else looks at the observation."""
        for side, more in self._found(others).items():
            self._columns[side].update(more)
            if len(self.trace.t_s):
                ranges = {name: (float(values.min()), float(values.max())) for name, values in more.items()}
                self._extremes[side].update(ranges)

    def _found(self, others: Sequence[StringRecord]) -> Mapping[Side, Mapping[str, Values]]:
        connected = _count([other.connected for other in others])
        held = ~self.connected & (connected > 0)
        wanted, powered = self._wanted(), self._on("output", "powered")
        gap_v = np.nan_to_num(np.abs(self._given("pack_voltage_v") - self._given("link_voltage_v")))
        true_gap_v = np.abs(self._truth("pack_voltage_v") - self._truth("link_voltage_v"))
        reason = ~wanted | ~powered | ~self._on("given", "ignition") | self._soon(self.out) | self._unsteady()
        return {
            "given": {
                "string_gap_v": _where(held & wanted & powered, gap_v),
                "string_deviation_a": self._deviation(self.current_a, [(o.connected, o.current_a) for o in others]),
                "string_reason": reason.astype(np.float32),
                "string_others_out": _count([other.out for other in others]),
            },
            "truth": {
                "string_gap_v": _where(held, true_gap_v),
                "string_deviation_a": self._deviation(
                    self.true_current_a, [(o.connected, o.true_current_a) for o in others]
                ),
                "strings_connected": connected,
                "string_id_clashes": self._clashes(),
            },
        }

    def _deviation(self, own_a: Values, others: Sequence[tuple[Holds, Values]]) -> Values:
        total_a, count = own_a.copy(), np.ones(len(own_a), np.float32)
        for connected, current_a in others:
            total_a += _where(connected, current_a)
            count += connected
        return _where(self.connected, np.abs(own_a - total_a / count))

    def _clashes(self) -> Values:
        frames, profile = self.trace.frames, self._profile
        sent = {message.name for message in profile.restbus}
        own = [message.id for name, message in profile.database.by_name.items() if name not in sent]
        theirs = frames.node == Node.PEER
        times_s = frames.t_ns[theirs & np.isin(frames.id, own)] / 1e9
        return np.searchsorted(times_s, self.trace.t_s, side="right").astype(np.float32)

    def _state_is_out(self) -> Holds:
        """Whether the last state it reported is one of a fault; a controller without supply reports none."""
        series = self.observation.reported("bms_state")
        if series is None or not len(series.t_s):
            return np.zeros(len(self.trace.t_s), np.bool_)
        at = np.searchsorted(series.t_s, self.trace.t_s, side="right")
        out: Holds = np.concatenate(([False], np.isin(series.value, _OUT))).take(at)
        return out

    def _soon(self, holds: Holds, within_s: float = _REPORTED_S) -> Holds:
        """Whether it holds now or a little later; with a negative time, now or a little earlier."""
        first, end = sorted((0.0, within_s))
        begins = np.searchsorted(self.trace.t_s, self.trace.t_s + first, side="left")
        ends = np.searchsorted(self.trace.t_s, self.trace.t_s + end, side="right")
        sums = np.concatenate(([0], np.cumsum(holds)))
        soon: Holds = sums[ends] > sums[begins]
        return soon

    def _unsteady(self) -> Holds:
        """Whether the request has just changed, or nothing is heard of who makes it."""
        decoded, profile = self.observation.decoded, self._profile
        commands = [asked(profile, decoded, command) for command in ("drive", "charge", "standby")]
        begun = np.sort(np.concatenate(commands))
        latest = np.concatenate(([-np.inf], begun)).take(np.searchsorted(begun, self.trace.t_s, side="right"))
        age = self.observation.given("vehicle_message_age_s")
        silent = np.zeros(len(self.trace.t_s), np.bool_) if age is None else age.value > _SILENT_S
        plug = self._on("given", "charge_plug")
        pulled = self._soon(np.concatenate(([False], plug[:-1] & ~plug[1:])), -_CHANGED_S)
        unsteady: Holds = (self.trace.t_s - latest < _CHANGED_S) & (latest > 0.0) | silent | pulled
        return unsteady

    def _on(self, side: Side, quantity: str) -> Holds:
        found = self.observation.output(quantity) if side == "output" else self.observation.given(quantity)
        assert found is not None
        on: Holds = found.value > _HALF
        return on

    def _wanted(self) -> Holds:
        """Whether the last command asks for drive or charge."""
        trace, decoded, profile = self.trace, self.observation.decoded, self._profile
        begun = np.sort(np.concatenate([asked(profile, decoded, command) for command in ("drive", "charge")]))
        ended = asked(profile, decoded, "standby")
        latest = [
            np.concatenate(([-1.0], times_s)).take(np.searchsorted(times_s, trace.t_s, side="right"))
            for times_s in (begun, ended)
        ]
        wanted: Holds = latest[0] > latest[1]
        return wanted

    def _given(self, quantity: str) -> Values:
        found = self.observation.given(quantity)
        assert found is not None
        return found.value.astype(np.float32)

    def _truth(self, quantity: str) -> Values:
        found = self.observation.truth(quantity)
        assert found is not None
        return found.value.astype(np.float32)


def _where(holds: Holds, values: Values) -> Values:
    return np.where(holds, values, np.float32(0.0)).astype(np.float32)


def _count(holds: Sequence[Holds]) -> Values:
    total: Values = np.sum(holds, axis=0).astype(np.float32)
    return total
