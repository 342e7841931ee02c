# SPDX-License-Identifier: Apache-2.0
"""What a controller told of its faults by J1939 trouble codes, held against the flags it told at the same time.

`dtc.NAME` and `dtc_previous.NAME` are 1 while the last DM1 or DM2 has the code of fault.NAME. The numbers that
requirements ask for are made of all of them: how long flags and DM1 have disagreed, how old DM1 and DM2 are, which
codes were forgotten, and which are told although they were cleared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from harness.canbus import j1939
from harness.canbus.batch import Decoded
from harness.canbus.j1939 import Message
from harness.canbus.product import Profile
from harness.received import Times
from harness.requirements.evidence import Series
from harness.trace import Trace
from harness.units import DTC, DTC_PREVIOUS

SILENT_S = (
    1.0  # without any flags, or after a power-on: what was told before is no longer held against what is told now
)
RACE_S = 0.3  # a code may come or go while it is being told
Bits = NDArray[np.bool_]
_NONE: Times = np.empty(0)


class Troubles:
    """The trouble codes of one recording. `cleared_s`: when the controller must have heard a request to clear them;
    `lost_s`: when its memory was lost; `power_ons_s`: when it began anew.
    """

    def __init__(
        self, profile: Profile, trace: Trace, decoded: Decoded, cleared_s: Times, lost_s: Times, power_ons_s: Times
    ) -> None:
        assert profile.j1939 is not None
        self._node = profile.j1939
        self._names = [name for name in self._node.faults.values() if name in profile.bindings]
        found = list(j1939.messages(trace.frames, (j1939.DM1, j1939.DM2, j1939.REQUEST)))
        own = [message for message in found if message.source == self._node.address]
        self._active = [message for message in own if message.pgn == j1939.DM1]
        self._previous = [message for message in own if message.pgn == j1939.DM2]
        self._cleared_s = cleared_s
        asked = [m.end_s for m in found if m.pgn == j1939.REQUEST and j1939.asked_for(m) in (j1939.DM3, j1939.DM11)]
        self.asked_s = np.array(sorted(asked))  # to clear codes
        self._forgotten_s = np.union1d(self.asked_s, lost_s)
        self._flag_s, self._flags = self._all_flags(profile, decoded)
        silences = np.flatnonzero(np.diff(self._flag_s, prepend=-np.inf) > SILENT_S)
        boots = np.searchsorted(self._flag_s, power_ons_s)
        self._begins = np.union1d(silences, boots[boots < len(self._flag_s)])

    def series(self, quantity: str) -> Series | None:
        """One of the quantities by name; None for one that is not about trouble codes."""
        for prefix, told in ((DTC, self._active), (DTC_PREVIOUS, self._previous)):
            if quantity.startswith(prefix):
                name = "fault." + quantity.removeprefix(prefix)
                listed = self._listed(told)
                column = listed[:, self._names.index(name)] if name in self._names else np.zeros(len(told), np.bool_)
                return Series(_ends(told), column.astype(np.float64))
        match quantity:
            case "dtc_late_s":
                return Series(self._flag_s, self._late())
            case "dm1_age_s":
                return Series(self._flag_s, self._age(self._active))
            case "dm2_age_s":
                return Series(self._flag_s, self._age(self._previous))
            case "dtc_forgotten":
                return Series(_ends(self._previous), self._count(self._forgotten()))
            case "dtcs_cleared":
                return Series(_ends(self._previous), np.array([float(self._cleared(m)) for m in self._previous]))
            case "dtc_unfounded":
                return Series(_ends(self._previous), self._count(self._unfounded()))
        return None

    def told(self) -> tuple[str, ...]:
        """Every code that was told, and when: for people."""
        words: dict[str, list[str]] = {}
        for message in sorted((*self._active, *self._previous), key=lambda message: message.end_s):
            for trouble in j1939.troubles(message.data):
                when = words.setdefault(self._node.text(j1939.Trouble(trouble.spn, trouble.fmi, 0)), [])
                name = j1939.LISTS[message.pgn]
                if when and when[-1].startswith(name):
                    when[-1] = f"{when[-1].partition(' to ')[0]} to {message.end_s:.3f} s"
                else:
                    when.append(f"{name} {message.end_s:.3f} s")
        return tuple(f"{code}: {', '.join(when)}" for code, when in words.items())

    def _all_flags(self, profile: Profile, decoded: Decoded) -> tuple[Times, Bits]:
        """The flags of all faults with a code, at the times of the first one: they come in one message."""
        columns: list[Bits] = []
        t_s: Times = _NONE
        for name in self._names:
            own_s, value = decoded.values(profile.bindings[name].path)
            t_s = own_s if not columns else t_s
            columns.append(_at(t_s, own_s, value[:, np.newaxis] > 0)[:, 0])
        return t_s, np.stack(columns, axis=1) if columns else np.zeros((0, 0), np.bool_)

    def _listed(self, told: Sequence[Message]) -> Bits:
        """Which faults each message lists."""
        listed = np.zeros((len(told), len(self._names)), np.bool_)
        place = {name: column for column, name in enumerate(self._names)}
        for row, message in enumerate(told):
            for trouble in j1939.troubles(message.data):
                name = self._node.faults.get((trouble.spn, trouble.fmi))
                if name in place:
                    listed[row, place[name]] = True
        return listed

    def _late(self) -> Times:
        """How long the flag of any fault and DM1 have disagreed."""
        if not len(self._flag_s):
            return _NONE
        told = _at(self._flag_s, _ends(self._active), self._listed(self._active))
        agree = told == self._flags
        agree[self._begins] = True
        since = np.where(agree, self._flag_s[:, np.newaxis], -np.inf)
        late: Times = self._flag_s - np.maximum.accumulate(since, axis=0).min(axis=1, initial=np.inf)
        return np.where(np.isfinite(late), late, 0.0)

    def _age(self, told: Sequence[Message]) -> Times:
        """Time since a message ended, or since the controller is heard."""
        begins = np.full(len(self._flag_s), -np.inf)
        begins[self._begins] = self._flag_s[self._begins]
        begins = np.maximum.accumulate(begins)
        ends = np.concatenate(([-np.inf], _ends(told)))
        last = ends[np.searchsorted(ends, self._flag_s, side="right") - 1]
        age: Times = self._flag_s - np.maximum(begins, last)
        return age

    def _forgotten(self) -> list[Bits]:
        """At each DM2: codes whose fault has come since the last clearing, is gone, and that it does not list."""
        listed = self._listed(self._previous)
        return [
            self._seen(self._forgotten_s, message.begin_s - RACE_S)
            & ~self._during(message.begin_s - RACE_S, message.end_s)
            & ~listed[row]
            for row, message in enumerate(self._previous)
        ]

    def _cleared(self, message: Message) -> bool:
        return bool((self._cleared_s < message.begin_s).any())

    def _unfounded(self) -> list[Bits]:
        """At each DM2: codes that it lists although they were cleared, and whose fault has not come since then."""
        listed = self._listed(self._previous)
        return [
            listed[row] & ~self._seen(self._cleared_s - RACE_S, message.end_s) & self._cleared(message)
            for row, message in enumerate(self._previous)
        ]

    def _seen(self, starts_s: Times, until_s: float) -> Bits:
        """Faults whose flag was up at any time since the last of these starts."""
        before = starts_s[starts_s < until_s]
        first = int(np.searchsorted(self._flag_s, before[-1])) if len(before) else 0
        return self._up(first, until_s)

    def _during(self, from_s: float, until_s: float) -> Bits:
        return self._up(max(0, int(np.searchsorted(self._flag_s, from_s, side="right")) - 1), until_s)

    def _up(self, first: int, until_s: float) -> Bits:
        rows = self._flags[first : int(np.searchsorted(self._flag_s, until_s, side="right"))]
        return np.asarray(rows.any(axis=0), np.bool_)

    def _count(self, wrong: Sequence[Bits]) -> Times:
        return np.array([float(row.sum()) for row in wrong])


def _ends(told: Sequence[Message]) -> Times:
    return np.array([message.end_s for message in told], np.float64)


def _at(t_s: Times, own_s: Times, rows: Bits) -> Bits:
    """The rows that held at other times; nothing before the first."""
    if not len(own_s):
        return np.zeros((len(t_s), rows.shape[1]), np.bool_)
    place = np.searchsorted(own_s, t_s, side="right") - 1
    held: Bits = rows[np.maximum(place, 0)] & (place >= 0)[:, np.newaxis]
    return held
