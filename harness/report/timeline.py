# SPDX-License-Identifier: Apache-2.0
"""The reaction as a time line: fault, flag on the bus, limit to zero, contactor command, current gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.requirements.causes import causes_of, limit_of
from harness.requirements.evidence import Evidence, Series
from harness.requirements.findings import with_unit
from harness.requirements.intervals import Runs
from harness.requirements.model import Requirement, SafeState, Trip
from harness.requirements.record import Record
from harness.trace import FaultRecord, Mark
from harness.units import CONTROLLER_STATES

CURRENT_GONE_A = 1.0  # a pack carrying less counts as disconnected (domain facts B1, "plant current < 1 A")
BEFORE_FLAG_S = 0.2  # a controller that acts this shortly before its flag is on the bus acts because of the same fault
MENTIONED_SHARE = 0.5  # of its shortest confirmation time: a cause that lasted less is not mentioned
_CAN_STATES = ("error active: it can send", "error passive", "bus-off: its frames stop")
_STATE_NAMES = {number: name for name, number in CONTROLLER_STATES.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: when, what, and for a reaction with a budget how long it took and may take, in seconds."""

    t_s: float
    event: str
    budget: str = ""
    within: bool | None = None


@dataclass(frozen=True, slots=True)
class _Reaction:
    """A flag that was set, and the safe state that is due after it."""

    flag: str
    t_s: float
    safe_state: SafeState
    within_s: float


def timeline(
    requirements: Sequence[Requirement],
    evidence: Evidence,
    faults: Iterable[FaultRecord],
    marks: Iterable[Mark],
    flags: Iterable[str],
) -> tuple[Entry, ...]:
    """Everything that happened, in order of time."""
    trips = [requirement for requirement in requirements if isinstance(requirement, Trip)]
    record = Record(evidence)
    causes = {trip.id: _cause_runs(record, trip) for trip in trips}
    entries: list[Entry] = [Entry(mark.t_s, mark.event) for mark in marks]
    entries += _fault_entries(faults)
    entries += _cause_entries(trips, causes)
    for flag in sorted(set(flags)):
        entries += _flag_entries(flag, trips, causes, evidence)
    due = list(_reactions(trips, evidence))
    entries += _limit_entries(evidence, due)
    entries += _state_entries(evidence)
    entries += _bus_entries(evidence)
    entries += _contactor_entries(evidence, due)
    return tuple(sorted(entries, key=lambda entry: entry.t_s))


def _fault_entries(faults: Iterable[FaultRecord]) -> Iterator[Entry]:
    for fault in faults:
        if fault.fired and fault.first_fired_s is not None:
            yield Entry(fault.first_fired_s, f"fault {fault.label} changes what the controller is given")
        else:
            yield Entry(
                fault.from_s, f"fault {fault.label} acts, but the controller's inputs did not change: not fired"
            )


def _cause_runs(record: Record, trip: Trip) -> Runs:
    """When the given quantity is surely past the limit while the conditions of the trip hold, if long enough to matter:
    a contactor on its way to open, say, is not welded.
    """
    causes = causes_of(record, trip)
    worth_s = MENTIONED_SHARE * trip.confirm_s[0]
    return () if causes is None else tuple(run for run in causes.sure if run.length_s >= worth_s)


def _cause_entries(trips: Sequence[Trip], causes: Mapping[str, Runs]) -> Iterator[Entry]:
    for trip in trips:
        if causes[trip.id] and trip.flag.startswith("fault."):
            side = "above" if trip.above is not None else "below"
            limit = with_unit(trip.quantity, limit_of(trip))
            yield Entry(causes[trip.id][0].start_s, f"{trip.quantity} {side} {limit} ({trip.id})")


def _flag_entries(flag: str, trips: Sequence[Trip], causes: Mapping[str, Runs], evidence: Evidence) -> Iterator[Entry]:
    for t_s, value in _changes(evidence.reported(flag)):
        if not value:
            yield Entry(t_s, f"{flag} cleared on the bus")
            continue
        budget, within = _flag_budget(flag, t_s, trips, causes)
        yield Entry(t_s, f"{flag} on the bus", budget, within)


def _flag_budget(flag: str, t_s: float, trips: Sequence[Trip], causes: Mapping[str, Runs]) -> tuple[str, bool | None]:
    """Of the trips that share the flag the one whose budget it meets, else the first that had a cause."""
    found: list[tuple[str, bool | None]] = []
    for trip in trips:
        starts = [run.start_s for run in causes[trip.id] if run.start_s <= t_s]
        if trip.flag == flag and starts:
            took_s, may_s = t_s - starts[-1], trip.confirm_s[0]
            must_s = trip.confirm_s[1] + trip.flag_within_s
            text = f"{took_s:.3f} s after the cause, allowed {may_s:.2f} to {must_s:.2f} s"
            found.append((text, may_s <= took_s <= must_s))
    return next((item for item in found if item[1]), found[0] if found else ("", None))


def _reactions(trips: Sequence[Trip], evidence: Evidence) -> Iterator[_Reaction]:
    for trip in trips:
        if trip.safe_state != "none":
            for t_s, value in _changes(evidence.reported(trip.flag)):
                if value:
                    yield _Reaction(trip.flag, t_s, trip.safe_state, trip.safe_within_s)


def _safe_budget(safe_state: SafeState, t_s: float, due: Sequence[_Reaction]) -> tuple[str, bool | None]:
    """How long after its flag a safe state came; controllers may act a moment before the flag is on the bus."""
    matching = [item for item in due if item.safe_state == safe_state and item.t_s <= t_s + BEFORE_FLAG_S]
    if not matching:
        return "", None
    last = max(matching, key=lambda item: item.t_s)
    took_s = t_s - last.t_s
    when = f"{took_s:.3f} s after the flag" if took_s >= 0.0 else f"{-took_s:.3f} s before the flag"
    return f"{when}, allowed {last.within_s:.2f} s", took_s <= last.within_s


def _limit_entries(evidence: Evidence, due: Sequence[_Reaction]) -> Iterator[Entry]:
    states: tuple[tuple[str, SafeState], ...] = (
        ("charge_limit_a", "charge_limit_zero"),
        ("discharge_limit_a", "discharge_limit_zero"),
    )
    for quantity, safe_state in states:
        series = evidence.reported(quantity)
        if series is None:
            continue
        zero = Series(series.t_s, np.asarray(series.value) <= 0.0)
        for t_s, is_zero in _changes(zero):
            if is_zero:
                yield Entry(t_s, f"{quantity} to zero", *_safe_budget(safe_state, t_s, due))


def _state_entries(evidence: Evidence) -> Iterator[Entry]:
    series = evidence.reported("bms_state")
    for t_s, value in _changes(series):
        yield Entry(t_s, f"state {_STATE_NAMES.get(int(value), str(int(value)))}")


def _bus_entries(evidence: Evidence) -> Iterator[Entry]:
    """The controller's CAN leaving and coming back to the bus."""
    for t_s, value in _changes(evidence.given("can_state")):
        yield Entry(t_s, f"CAN of the controller is {_CAN_STATES[int(value)]}")


def _contactor_entries(evidence: Evidence, due: Sequence[_Reaction]) -> Iterator[Entry]:
    opened_s: list[float] = []
    for name in ("contactor_positive", "contactor_negative", "contactor_precharge"):
        for t_s, closed in _changes(evidence.output(name)):
            main = name != "contactor_precharge"
            opens = main and not closed
            budget = _safe_budget("contactors_open", t_s, due) if opens else ("", None)
            yield Entry(t_s, f"{name} commanded {'closed' if closed else 'open'}", *budget)
            if opens:
                opened_s.append(t_s)
    current = evidence.truth("pack_current_a") or evidence.given("pack_current_a")
    if current is not None and opened_s:
        gone = (np.abs(current.value) < CURRENT_GONE_A) & (current.t_s >= min(opened_s))
        if gone.any():
            yield Entry(float(current.t_s[int(np.argmax(gone))]), "pack current gone (below 1 A)")


def _changes(series: Series | None) -> Iterator[tuple[float, float]]:
    """Times and new values at which a series changes; its first value is no change."""
    if series is None or len(series.t_s) < 2:  # noqa: PLR2004 - a change needs two values
        return
    value: NDArray[np.float64] = np.asarray(series.value, dtype=np.float64)
    for index in np.flatnonzero(np.diff(value)) + 1:
        yield float(series.t_s[index]), float(value[index])
