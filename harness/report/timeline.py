# SPDX-License-Identifier: Apache-2.0
"""The reaction as a time line: fault, flag on the bus, limit to zero, contactor command, current gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.requirements.evidence import Evidence, Series
from harness.requirements.model import Requirement, Trip
from harness.trace import FaultRecord, Mark
from harness.units import CONTROLLER_STATES, unit_of

CURRENT_GONE_A = 1.0  # a pack carrying less counts as disconnected (domain facts B1, "plant current < 1 A")
_STATE_NAMES = {number: name for name, number in CONTROLLER_STATES.items()}


@dataclass(frozen=True, slots=True)
class Entry:
    """One line: when, what, and for a reaction with a budget how long it took and may take, in seconds."""

    t_s: float
    event: str
    budget: str = ""
    within: bool | None = None


def timeline(
    requirements: Sequence[Requirement],
    evidence: Evidence,
    faults: Iterable[FaultRecord],
    marks: Iterable[Mark],
    flags: Iterable[str],
) -> tuple[Entry, ...]:
    """Everything that happened, in order of time."""
    trips = [requirement for requirement in requirements if isinstance(requirement, Trip)]
    entries: list[Entry] = [Entry(mark.t_s, mark.event) for mark in marks]
    entries += _fault_entries(faults)
    causes = dict(_causes(trips, evidence))
    entries += _cause_entries(trips, causes)
    for flag in sorted(set(flags)):
        entries += _flag_entries(flag, trips, causes, evidence)
    entries += _limit_entries(evidence)
    entries += _state_entries(evidence)
    entries += _contactor_entries(evidence)
    return tuple(sorted(entries, key=lambda entry: entry.t_s))


def _fault_entries(faults: Iterable[FaultRecord]) -> Iterator[Entry]:
    for fault in faults:
        if fault.fired and fault.first_fired_s is not None:
            yield Entry(fault.first_fired_s, f"fault {fault.label} changes what the controller is given")
        else:
            yield Entry(
                fault.from_s, f"fault {fault.label} acts, but the controller's inputs did not change: not fired"
            )


def _causes(trips: Sequence[Trip], evidence: Evidence) -> Iterator[tuple[str, float]]:
    """First moment at which the given quantity is past the limit of each trip."""
    for trip in trips:
        series = evidence.given(trip.quantity)
        if series is None or not len(series.t_s):
            continue
        past = series.value > trip.above if trip.above is not None else series.value < trip.below
        if past.any():
            yield trip.id, float(series.t_s[int(np.argmax(past))])


def _cause_entries(trips: Sequence[Trip], causes: dict[str, float]) -> Iterator[Entry]:
    for trip in trips:
        if trip.id in causes and trip.flag.startswith("fault."):
            side, limit = ("above", trip.above) if trip.above is not None else ("below", trip.below)
            unit = unit_of(trip.quantity)[0]
            yield Entry(causes[trip.id], f"{trip.quantity} {side} {limit:g} {unit} ({trip.id})".replace("  ", " "))


def _flag_entries(flag: str, trips: Sequence[Trip], causes: dict[str, float], evidence: Evidence) -> Iterator[Entry]:
    for t_s, value in _changes(evidence.reported(flag)):
        if not value:
            yield Entry(t_s, f"{flag} cleared on the bus")
            continue
        budget, within = _flag_budget(flag, t_s, trips, causes)
        yield Entry(t_s, f"{flag} on the bus", budget, within)


def _flag_budget(flag: str, t_s: float, trips: Sequence[Trip], causes: dict[str, float]) -> tuple[str, bool | None]:
    for trip in trips:
        cause_s = causes.get(trip.id)
        if trip.flag == flag and cause_s is not None and cause_s <= t_s:
            took_s, may_s = t_s - cause_s, trip.confirm_s[0]
            must_s = trip.confirm_s[1] + trip.flag_within_s
            return f"{took_s:.3f} s, allowed {may_s:.2f} to {must_s:.2f} s", may_s <= took_s <= must_s
    return "", None


def _limit_entries(evidence: Evidence) -> Iterator[Entry]:
    for quantity in ("charge_limit_a", "discharge_limit_a"):
        series = evidence.reported(quantity)
        if series is None:
            continue
        zero = Series(series.t_s, np.asarray(series.value) <= 0.0)
        yield from (Entry(t_s, f"{quantity} to zero") for t_s, is_zero in _changes(zero) if is_zero)


def _state_entries(evidence: Evidence) -> Iterator[Entry]:
    series = evidence.reported("bms_state")
    for t_s, value in _changes(series):
        yield Entry(t_s, f"state {_STATE_NAMES.get(int(value), str(int(value)))}")


def _contactor_entries(evidence: Evidence) -> Iterator[Entry]:
    opened_s: list[float] = []
    for name in ("contactor_positive", "contactor_negative", "contactor_precharge"):
        for t_s, closed in _changes(evidence.output(name)):
            yield Entry(t_s, f"{name} commanded {'closed' if closed else 'open'}")
            if not closed and name != "contactor_precharge":
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
