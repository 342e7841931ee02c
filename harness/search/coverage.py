# SPDX-License-Identifier: Apache-2.0
"""Coverage of the fault space: kind, operating state, side of the limit, relation to the confirmation time, place.

The bins follow from the requirements and the rig alone. The operating state is the one that was asked for: what a
controller does with the request is its own affair.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.faults.check import Bounds, Value
from harness.requirements.model import Requirement, Trip
from harness.scenario import CommandAction, FaultAction, Scenario, Start
from harness.search.moves import Aim, Move, Pick, Space, fault_of
from harness.search.places import NOWHERE, PLACED, class_of
from harness.search.stimuli import Recipe, limit_of, outward, recipes_for

STATES = ("standby", "starting", "drive", "charge")
STARTING_S = 1.5  # after a request or a power-up: precharge, boot
_NEAR = 3.0  # accuracies from the limit
_JUST_S = 0.2  # past the confirmation time
_BRIEF_S = 1.0  # where no confirmation time is known
_GAP_AT_ONCE, _GAP_DURING = 1, 3  # places in moves.GAPS_S: 0.0 s and 0.2 s


class Bin(NamedTuple):
    """One combination. `side` of the limit, `lasts` in relation to its confirmation time, `place` in the pack."""

    kind: str
    state: str
    side: str
    lasts: str
    place: str


@dataclass(frozen=True, slots=True)
class _Line:
    """A limit as one kind of fault meets it, in the unit of the fault's parameter; `parameter` "" = on or off."""

    parameter: str
    fixed: Mapping[str, Value]
    limit: float
    sign: float
    accuracy: float
    early_s: float
    late_s: float

    def past(self, value: float) -> float:
        """How far past the limit, in accuracies; negative on the good side."""
        return self.sign * (value - self.limit) / max(self.accuracy, 1e-9)


class FaultSpace:
    """The bins of one rig. `reachable` are those that sequences of its space `searched` can play."""

    def __init__(self, requirements: Sequence[Requirement], bounds: Bounds, searched: Space) -> None:
        self.searched = searched
        self._bounds = bounds
        self._lines: dict[str, list[_Line]] = {}
        trips = [requirement for requirement in requirements if isinstance(requirement, Trip)]
        for trip in trips:
            for recipe in recipes_for(trip, trips, bounds):
                self._lines.setdefault(recipe.fault, []).append(_line(trip, recipe))
        self._picks: dict[Bin, Pick] = {}
        self._commands: dict[str, Pick] = {}
        for group, moves in enumerate(searched.groups):
            for place, move in enumerate(moves):
                self._enter(group, place, move)
        self.reachable: tuple[Bin, ...] = tuple(self._picks)  # in a fixed order
        self._numbers = {found: number for number, found in enumerate(self.reachable)}

    def fired_bins(self, scenario: Scenario, fired: Sequence[bool]) -> list[int]:
        """The reachable bins of the faults that fired, by number; `fired` for each fault in order."""
        pairs = zip(self.bins(scenario), fired, strict=False)
        numbers = [self._numbers.get(found) for found, has_fired in pairs if has_fired]
        return [number for number in numbers if number is not None]

    def bins(self, scenario: Scenario) -> Iterator[Bin]:
        """The bin of each fault of a scenario, in its order."""
        for action, state in _with_states(scenario):
            yield self.bin_of(action, state)

    def bin_of(self, action: FaultAction, state: str) -> Bin:
        """The bin of one fault that begins in an operating state."""
        parameters = action.model_extra or {}
        line = self._line_for(action.fault, parameters)
        for_s = parameters.get("for_s")
        place = next((class_of(name, parameters[name], self._bounds) for name in PLACED if name in parameters), NOWHERE)
        return Bin(action.fault, state, _side(line, parameters), _lasts(line, for_s), place)

    def aim(self, wanted: Bin) -> Aim:
        """How a sequence plays a reachable bin."""
        pick = self._picks[wanted]
        if wanted.state == "starting":
            return Aim("standby", (self._commands["drive"]._replace(gap=_GAP_AT_ONCE), pick._replace(gap=_GAP_DURING)))
        start: Start = "drive" if wanted.state == "drive" else "charge" if wanted.state == "charge" else "standby"
        return Aim(start, (pick,))

    def _enter(self, group: int, place: int, move: Move) -> None:
        if move.command:
            self._commands.setdefault(move.name, Pick(group, place, 0, 0, 0))
            return
        for duration, for_s in enumerate(move.durations):
            action = fault_of(move, 0.0, for_s)
            for state in STATES:
                self._picks.setdefault(self.bin_of(action, state), Pick(group, place, duration, 0, 0))

    def _line_for(self, fault: str, parameters: Mapping[str, Any]) -> _Line | None:
        """The limit a fault is about: the hardest one it passes, or else the nearest."""
        lines = [line for line in self._lines.get(fault, ()) if _fits(line, parameters)]
        analog = [line for line in lines if line.parameter in parameters]
        if not analog:
            return next((line for line in lines if not line.parameter), None)
        distance = {id(line): line.past(float(parameters[line.parameter])) for line in analog}
        passed = [line for line in analog if distance[id(line)] > 0.0]
        return min(passed or analog, key=lambda line: abs(distance[id(line)]))


@dataclass
class Coverage:
    """What was played, by bin. Only faults that fired count: one that changed nothing has tested nothing."""

    space: FaultSpace
    counts: Counter[Bin] = field(default_factory=Counter)

    def add(self, scenario: Scenario, fired: Sequence[bool]) -> None:
        """Take in one scenario; `fired` for each of its faults in order."""
        self.add_bins(self.space.fired_bins(scenario, fired))

    def add_bins(self, numbers: Iterable[int]) -> None:
        """Take in what `FaultSpace.fired_bins` gave, also in another process."""
        self.counts.update(self.space.reachable[number] for number in numbers)

    def empty(self) -> tuple[Bin, ...]:
        """Reachable bins that were not played yet."""
        return tuple(found for found in self.space.reachable if not self.counts[found])

    def record(self) -> dict[str, Any]:
        """As JSON: totals, a map of kind against state, and the share of each other dimension."""
        reachable = self.space.reachable
        return {
            "covered": sum(self.counts[found] > 0 for found in reachable),
            "reachable": len(reachable),
            "states": list(STATES),
            "map": self._map(),
            "by": {name: self._share(place) for place, name in enumerate(Bin._fields) if name != "kind"},
            "empty": [list(found) for found in self.empty()],
        }

    def _map(self) -> list[dict[str, Any]]:
        table: dict[str, dict[str, list[int]]] = {}
        for found in self.space.reachable:
            cell = table.setdefault(found.kind, {}).setdefault(found.state, [0, 0])
            cell[0] += self.counts[found] > 0
            cell[1] += 1
        return [{"kind": kind, "cells": [row.get(state) for state in STATES]} for kind, row in table.items()]

    def _share(self, place: int) -> dict[str, list[int]]:
        shares: dict[str, list[int]] = {}
        for found in self.space.reachable:
            cell = shares.setdefault(found[place], [0, 0])
            cell[0] += self.counts[found] > 0
            cell[1] += 1
        return shares


def aims_at(space: FaultSpace, wanted: Sequence[Bin], seed: int) -> tuple[Aim, ...]:
    """Aims at bins in a seeded order, for `sequences.generate`."""
    import numpy as np  # noqa: PLC0415 - the command line lists this module without generating

    order = np.random.default_rng((seed, len(wanted))).permutation(len(wanted))
    return tuple(space.aim(wanted[place]) for place in order.tolist())


def _line(trip: Trip, recipe: Recipe) -> _Line:
    return _Line(
        parameter=recipe.parameter,
        fixed={name: value for name, value in recipe.fixed.items() if name not in PLACED},
        limit=recipe.gain * limit_of(trip) + recipe.offset,
        sign=outward(trip) * (1.0 if recipe.gain > 0.0 else -1.0),
        accuracy=abs(recipe.gain) * trip.accuracy,
        early_s=trip.confirm_s[0] + recipe.lag_s,
        late_s=trip.confirm_s[1] + recipe.lag_s,
    )


def _fits(line: _Line, parameters: Mapping[str, Any]) -> bool:
    return all(parameters.get(name) == value for name, value in line.fixed.items())


def _side(line: _Line | None, parameters: Mapping[str, Any]) -> str:
    if line is None:
        return "no limit"
    if not line.parameter:
        return "on"
    past = line.past(float(parameters[line.parameter]))
    near = "just " if abs(past) <= _NEAR else ""
    return near + ("past" if past > 0.0 else "inside")


def _lasts(line: _Line | None, for_s: float | None) -> str:
    if for_s is None:
        return "to the end"
    if line is None:
        return "briefly" if for_s < _BRIEF_S else "long"
    if for_s < line.early_s:
        return "shorter"
    if for_s <= line.late_s:
        return "within the window"
    return "just longer" if for_s <= line.late_s + max(_JUST_S, 0.05 * line.late_s) else "longer"


def _with_states(scenario: Scenario) -> Iterator[tuple[FaultAction, str]]:
    """Each fault with the operating state that was asked for when it began."""
    state: str = scenario.start
    since_s = -STARTING_S
    for action in scenario.actions:
        if isinstance(action, FaultAction):
            fresh = state != "off" and action.at_s - since_s < STARTING_S
            yield action, "starting" if fresh else state
        elif action.do in ("drive", "charge") and action.do != state:
            state, since_s = action.do, action.at_s
        elif action.do == "standby":
            state, since_s = "standby", -STARTING_S
        else:
            state, since_s = _switched(action, state, since_s)


def _switched(action: CommandAction, state: str, since_s: float) -> tuple[str, float]:
    match action.do:
        case "power-cycle":
            return "standby", action.at_s + action.off_s
        case "ignition-off":
            return "off", since_s
        case "unplug" if state == "charge":
            return "standby", since_s
        case "ignition-on" if state == "off":
            return "standby", action.at_s
        case _:
            return state, since_s
