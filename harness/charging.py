# SPDX-License-Identifier: Apache-2.0
"""A GB/T 27930 charging session as judges see it: how long the BMS has waited for what, and what the charger gave it.

Read from the frames on the bus alone, so that recordings of other controllers can be judged, too. A wait begins with
the message of the BMS that asks for an answer, and ends with the answer, or with what ends the session: BEM, the plug
pulled, the controller switched off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.trace import Frames, Side, Trace

Values = NDArray[Any]

CHARGER = {
    0x1826F456: "CHM", 0x1801F456: "CRM", 0x1808F456: "CML", 0x100AF456: "CRO", 0x1812F456: "CCS",
    0x101AF456: "CST", 0x181DF456: "CSD", 0x081FF456: "CEM",
}  # fmt: skip
BMS = {
    0x182756F4: "BHM", 0x100956F4: "BRO", 0x181056F4: "BCL", 0x101956F4: "BST", 0x181C56F4: "BSD", 0x081E56F4: "BEM",
    0x1CEC56F4: "packets",
}  # fmt: skip
_IDS = np.array(sorted([*CHARGER, *BMS]), np.uint32)
_PACKED = {0x0200: "BRM", 0x0600: "BCP"}
_EXTENDED, _UNHEARD, _ERROR = 1, 32, 16
_RTS, _YES = 16, b"\xaa"
_FRAME_BYTES = 8
_DEMAND_BYTES = 4
_PULSE_S = 0.5  # how long something that happened at one moment is seen
_NOTHING_OFFERED = 1000.0
_NOT_CHARGING = -1000.0
_HALF = 0.5

# Waits of the BMS, and the quantity each is.
WAITS: Mapping[str, str] = {
    "gbt_crm_wait_s": "CRM", "gbt_recognised_wait_s": "CRM(AA)", "gbt_cml_wait_s": "CML", "gbt_cro_wait_s": "CRO(AA)",
    "gbt_ccs_wait_s": "CCS", "gbt_cst_wait_s": "CST", "gbt_csd_wait_s": "CSD", "gbt_bcl_wait_s": "BCL",
}  # fmt: skip
QUANTITIES = (
    *WAITS, "gbt_recognised", "gbt_parameters", "gbt_error_reported", "gbt_begun_anew", "gbt_headroom_v",
    "gbt_offered_a", "gbt_offer_fits", "gbt_ready", "gbt_stopped", "gbt_errors", "gbt_excess_a", "gbt_excess_v",
)  # fmt: skip
_STEPS = (
    "recognised", "parameters", "ready", "stopped", "errors", "head", "offered", "fits", "a", "v",
)  # fmt: skip


@dataclass(slots=True)
class _Steps:
    """A value over time as the steps that it takes."""

    t_s: list[float] = field(default_factory=list)
    value: list[float] = field(default_factory=list)

    def put(self, t_s: float, value: float) -> None:
        self.t_s.append(t_s)
        self.value.append(value)

    def over(self, t_s: Values, before: float) -> Values:
        values = np.array([before, *self.value])
        return values[np.searchsorted(np.array(self.t_s), t_s, side="right")]


@dataclass(frozen=True, slots=True)
class Given:
    """What of the record is needed besides the frames, over its rows; None where it was not recorded."""

    t_s: Values
    plug: Values | None
    powered: Values | None
    pack_v: Values | None
    current_a: Values | None
    inlet_v: Values | None
    can_state: Values | None


def session_of(trace: Trace, column: Callable[[Side, str], Values | None]) -> Session:
    """The session in a record; `column` gives a quantity of a side over its rows."""
    return Session(
        trace.frames,
        Given(
            t_s=trace.t_s,
            plug=column("given", "charge_plug"),
            powered=column("output", "powered"),
            pack_v=column("given", "pack_voltage_v"),
            current_a=column("given", "pack_current_a"),
            inlet_v=column("given", "charger_voltage_v"),
            can_state=column("given", "can_state"),
        ),
    )


class Session:
    """Goes through the frames once; the quantities are made when asked for."""

    def __init__(self, frames: Frames, given: Given) -> None:
        self._given = given
        self._waits: dict[str, list[tuple[float, float]]] = {name: [] for name in WAITS.values()}
        self._open: dict[str, float] = {}
        self._steps: dict[str, _Steps] = {name: _Steps() for name in _STEPS}
        self._pulses: dict[str, list[float]] = {"error": [], "anew": []}
        self._known = False  # the charger has heard of the BMS
        self._agreed = False  # BCP was sent
        self._over = True
        self._cst = False
        self._erred = False
        self._errors = 0
        self.seen = False
        for t_s, name, data in self._events(frames):
            self.seen = True
            self._take(t_s, name, data)
        end_s = float(given.t_s[-1]) if len(given.t_s) else 0.0
        self._close(end_s + 1.0, *list(self._open))

    # ---- reading -------------------------------------------------------------------------------------------------

    def _events(self, frames: Frames) -> Iterator[tuple[float, str, bytes]]:
        rows = np.flatnonzero(((frames.flags & (_EXTENDED | _ERROR)) == _EXTENDED) & np.isin(frames.id, _IDS))
        found = [*self._frames(frames, rows), *self._breaks()] if len(rows) else []
        return iter(sorted(found, key=lambda event: event[0]))

    def _frames(self, frames: Frames, rows: Values) -> Iterator[tuple[float, str, bytes]]:
        deaf = self._deaf_at(frames.t_ns[rows] / 1e9)
        for row, dead in zip(rows.tolist(), deaf.tolist(), strict=True):
            identifier, unheard = int(frames.id[row]), bool(frames.flags[row] & _UNHEARD)
            data = frames.data[row, : frames.length[row]].tobytes()
            if identifier in BMS:
                yield float(frames.t_ns[row]) / 1e9, _name_of(identifier, data), data
            elif not unheard and not dead:
                yield float(frames.t_ns[row]) / 1e9, CHARGER[identifier], data

    def _deaf_at(self, t_s: Values) -> Values:
        state = self._given.can_state
        if state is None or not len(state) or not np.any(state > 1):
            return np.zeros(len(t_s), np.bool_)
        at = np.searchsorted(self._given.t_s, t_s).clip(0, len(state) - 1)
        off: Values = state[at] > 1
        return off

    def _breaks(self) -> Iterator[tuple[float, str, bytes]]:
        """Unplugged, or switched off."""
        for name, values in (("unplugged", self._given.plug), ("off", self._given.powered)):
            if values is not None and len(values):
                low = values < _HALF
                begins = np.flatnonzero(low & ~np.concatenate(([False], low[:-1])))
                yield from ((float(t_s), name, b"") for t_s in self._given.t_s[begins])

    # ---- the session ---------------------------------------------------------------------------------------------

    def _wait(self, t_s: float, name: str) -> None:
        self._open.setdefault(name, t_s)

    def _close(self, t_s: float, *names: str) -> None:
        for name in names:
            begun = self._open.pop(name, None)
            if begun is not None:
                self._waits[name].append((begun, t_s))

    def _put(self, t_s: float, **values: float) -> None:
        for name, value in values.items():
            self._steps[name].put(t_s, value)

    def _end(self, t_s: float) -> None:
        self._close(t_s, *list(self._open))
        self._known = self._agreed = False
        self._over = True
        self._put(t_s, recognised=0.0, parameters=0.0, ready=0.0)
        self._put(t_s, head=_NOTHING_OFFERED, offered=_NOTHING_OFFERED, fits=0.0, a=np.nan, v=np.nan)

    def _take(self, t_s: float, name: str, data: bytes) -> None:
        if name in ("unplugged", "off"):
            self._end(t_s)
            self._errors, self._erred = 0, False
            self._put(t_s, errors=0.0, stopped=0.0)
        elif name in CHARGER.values():
            self._charger(t_s, name, data)
        else:
            self._bms(t_s, name, data)

    def _bms(self, t_s: float, name: str, data: bytes) -> None:
        handler = {
            "BHM": self._hello,
            "BRM": self._recognition,
            "BCP": self._parameters,
            "BRO": self._readiness,
            "BCL": self._demand,
            "BST": self._end_asked,
            "BSD": self._statistics,
            "BEM": self._error,
        }.get(name)
        if handler is not None:
            handler(t_s, data)

    def _hello(self, t_s: float, _data: bytes) -> None:
        self._begin(t_s)
        self._wait(t_s, "CRM")

    def _recognition(self, t_s: float, _data: bytes) -> None:
        self._known = True
        self._close(t_s, "CRM")
        self._wait(t_s, "CRM(AA)")

    def _parameters(self, t_s: float, _data: bytes) -> None:
        self._agreed = True
        self._put(t_s, parameters=1.0)
        self._close(t_s, "CRM(AA)")
        self._wait(t_s, "CML")

    def _readiness(self, t_s: float, data: bytes) -> None:
        self._close(t_s, "CML")
        if data[:1] == _YES:
            self._wait(t_s, "CRO(AA)")

    def _end_asked(self, t_s: float, _data: bytes) -> None:
        self._close(t_s, "CRO(AA)", "CCS", "BCL")
        self._put(t_s, a=np.nan, v=np.nan)
        if not self._cst:
            self._wait(t_s, "CST")

    def _statistics(self, t_s: float, _data: bytes) -> None:
        self._close(t_s, "CST")
        self._wait(t_s, "CSD")

    def _error(self, t_s: float, _data: bytes) -> None:
        self._end(t_s)
        self._errors += not self._erred
        self._erred = True
        self._put(t_s, errors=float(self._errors))

    def _begin(self, t_s: float) -> None:
        if self._over:
            self._over = self._cst = self._erred = False
            self._put(t_s, stopped=0.0)

    def _demand(self, t_s: float, data: bytes) -> None:
        """BCL. A record that begins while charging begins with it."""
        self._begin(t_s)
        self._known = self._agreed = True
        self._close(t_s, "CRO(AA)", "BCL")
        self._wait(t_s, "BCL")
        self._wait(t_s, "CCS")
        if len(data) >= _DEMAND_BYTES:
            self._put(t_s, a=400.0 - 0.1 * _word(data, 2), v=0.1 * _word(data, 0))

    def _charger(self, t_s: float, name: str, data: bytes) -> None:
        match name:
            case "CHM" if self._agreed and not self._cst:
                self._pulses["anew"].append(t_s)
            case "CRM":
                self._close(t_s, "CRM")
                if data[:1] == _YES:
                    self._close(t_s, "CRM(AA)")
                    self._put(t_s, recognised=1.0)
            case "CML" if len(data) == _FRAME_BYTES:
                self._close(t_s, "CML")
                self._offer(t_s, data)
            case "CRO" if data[:1] == _YES and "CRO(AA)" in self._open:
                self._close(t_s, "CRO(AA)")
                self._wait(t_s, "BCL")
                self._put(t_s, ready=1.0)
            case "CCS" if "CCS" in self._open:
                self._close(t_s, "CCS")
                self._wait(t_s, "CCS")
            case "CST" if self._agreed:
                self._stop(t_s)
            case "CSD":
                self._close(t_s, "CSD")
                self._end(t_s)
            case "CEM" if self._known:
                self._pulses["error"].append(t_s)
                self._end(t_s)
            case _:
                pass

    def _stop(self, t_s: float) -> None:
        self._close(t_s, "CST", "CCS", "BCL", "CML", "CRO(AA)")
        self._cst = True
        self._put(t_s, stopped=1.0, a=np.nan, v=np.nan)

    def _offer(self, t_s: float, data: bytes) -> None:
        if self._over or not self._agreed:
            return
        most_v, least_v, most_a = 0.1 * _word(data, 0), 0.1 * _word(data, 2), 400.0 - 0.1 * _word(data, 4)
        pack_v = self._pack_v(t_s)
        head_v = min(most_v - pack_v, pack_v - least_v)
        self._put(t_s, head=head_v, offered=most_a, fits=float(head_v >= 0.0))

    def _pack_v(self, t_s: float) -> float:
        pack, rows = self._given.pack_v, self._given.t_s
        if pack is None or not len(rows):
            return 0.0
        return float(pack[min(int(np.searchsorted(rows, t_s)), len(rows) - 1)])

    # ---- quantities ----------------------------------------------------------------------------------------------

    def values(self, quantity: str) -> Values | None:
        """One of QUANTITIES over the rows of the record; None where it cannot be known."""
        t_s = self._given.t_s
        if quantity in WAITS:
            return _ages(self._waits[WAITS[quantity]], t_s)
        match quantity:
            case "gbt_error_reported":
                return _pulses(self._pulses["error"], t_s)
            case "gbt_begun_anew":
                return _pulses(self._pulses["anew"], t_s)
            case "gbt_excess_a":
                return self._excess(self._given.current_a, "a", -1.0)
            case "gbt_excess_v":
                return self._excess(self._given.inlet_v, "v", 1.0)
            case "gbt_headroom_v":
                return self._steps["head"].over(t_s, _NOTHING_OFFERED)
            case "gbt_offered_a":
                return self._steps["offered"].over(t_s, _NOTHING_OFFERED)
            case _:
                name = quantity.removeprefix("gbt_").replace("offer_fits", "fits")
                return self._steps[name].over(t_s, 0.0)

    def _excess(self, measured: Values | None, demand: str, sign: float) -> Values | None:
        if measured is None:
            return None
        asked = self._steps[demand].over(self._given.t_s, np.nan)
        excess: Values = sign * measured - asked
        return np.where(np.isnan(asked), _NOT_CHARGING, excess)


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _name_of(identifier: int, data: bytes) -> str:
    """A message of the BMS; of packets the announcement stands for all."""
    if BMS[identifier] != "packets":
        return BMS[identifier]
    if len(data) < _FRAME_BYTES or data[0] != _RTS:
        return ""
    return _PACKED.get(int.from_bytes(data[5:8], "little"), "")


def _ages(intervals: Iterable[tuple[float, float]], t_s: Values) -> Values:
    """Time since the beginning of the interval a row is in, 0 outside."""
    begins, ends = (np.array(column) for column in zip(*sorted(intervals), strict=True)) if intervals else ((), ())
    if not len(begins):
        return np.zeros(len(t_s))
    at = np.searchsorted(begins, t_s, side="right") - 1
    inside = (at >= 0) & (t_s < np.array(ends)[at])
    return np.where(inside, t_s - np.array(begins)[at], 0.0)


def _pulses(moments: list[float], t_s: Values) -> Values:
    return _ages([(moment, moment + _PULSE_S) for moment in moments], t_s) > 0.0 if moments else np.zeros(len(t_s))
