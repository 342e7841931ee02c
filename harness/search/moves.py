# SPDX-License-Identifier: Apache-2.0
"""The space sequences are drawn from: groups of moves, and how picks from it become a scenario.

A pick is four small numbers; smaller ones are simpler. The plain generator and the Hypothesis strategies draw picks
and share everything after that, so that both search the same space. Nothing here depends on the DUT.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from harness.faults.catalogue import CATALOGUE, kind_named, shapes_of
from harness.faults.check import Bounds, Value
from harness.faults.scale import scaled
from harness.requirements.model import Goal, Requirement, Trip
from harness.scenario import Action, Command, CommandAction, FaultAction, Scenario, Start, begin
from harness.search.places import places
from harness.search.samples import ALONE, HAZARDS, samples_of
from harness.search.stimuli import Recipe, limit_of, outward, recipes_for
from harness.search.strings import on_string

MAX_ACTIONS = 6
FIRST_S = 0.5
TAIL_S = 2.0
SHORTEST_S = 4.0
LONGEST_S = 15.0
GAPS_S = (0.5, 0.0, 0.05, 0.2, 1.0, 2.0, 3.5)  # from one action to the next
STARTS: tuple[Start, ...] = ("drive", "drive", "drive", "charge", "charge", "standby")
SHAPES: tuple[str, ...] = ("step",) * 8 + ("ramp", "intermittent")
_SHAPE_KEYS: Mapping[str, Mapping[str, Value]] = {
    "step": {},
    "ramp": {"shape": "ramp", "ramp_s": 1.0},
    "intermittent": {"shape": "intermittent", "period_s": 0.5},
}
_LEVELS = (2.0, 1.05, 0.5, -0.5, -1.05, -2.0)
_PLAIN_DURATIONS: tuple[float | None, ...] = (None, 1.0, 0.2, 3.0, 6.0)
_LONGEST_FAULT_S = 11.0


class Pick(NamedTuple):
    """One action as drawn: which group, which move of it, which duration, which gap before it, which shape."""

    group: int
    move: int
    duration: int
    gap: int
    shape: int


class Aim(NamedTuple):
    """What a sequence is to begin with: a start state and the first picks."""

    start: Start
    picks: tuple[Pick, ...]


@dataclass(frozen=True, slots=True)
class Move:
    """A fault or a command without its times. `lies`: a sensor or message is wrong. `hazard`: see `samples`."""

    name: str
    parameters: Mapping[str, Value] = field(default_factory=dict)
    durations: tuple[float | None, ...] = (None,)
    shapes: tuple[str, ...] = ("step",)
    command: bool = False
    lies: bool = False
    hazard: bool = False


@dataclass(frozen=True, slots=True)
class Space:
    """Everything sequences of one rig are made of. Every group is as likely as any other; some stand there twice."""

    rig: str
    groups: tuple[tuple[Move, ...], ...]
    strings: int = 0


_COMMANDS: tuple[tuple[tuple[Command, Mapping[str, Value]], ...], ...] = (
    (("clear", {}),),
    (("standby", {}), ("drive", {}), ("charge", {})),
    (("unplug", {}), ("plug-in", {})),
    (("drive", {}),),  # after a power cycle or a trip only a new request drives on
    (("power-cycle", {"off_s": 0.5}), ("power-cycle", {"off_s": 0.05}), ("power-cycle", {"off_s": 2.0})),
    (("reset-faults", {}), ("ignition-off", {}), ("ignition-on", {})),
    (("load", {"scale": 0.0}), ("load", {"scale": 2.0}), ("load", {"scale": -1.0})),
    (("soc", {"soc_pct": 50.0}), ("soc", {"soc_pct": 8.0}), ("soc", {"soc_pct": 97.0})),
)
# Clears, power cycles and phases are what makes a sequence, limits are what it is judged by: however many there are,
# limits and kinds of fault are equally likely, and a command is half as likely as either.
_COMMAND_SHARE = 0.5


def space(requirements: Sequence[Requirement], bounds: Bounds, *, rig: str) -> Space:
    """The space of a rig: near the limit of every protection, samples of every kind of fault, and commands."""
    trips = [requirement for requirement in requirements if isinstance(requirement, Trip)]
    goals = [requirement for requirement in requirements if isinstance(requirement, Goal)]
    limits: list[tuple[Move, ...]] = []
    for trip in trips:
        moves = [move for recipe in recipes_for(trip, trips, bounds) for move in _near(trip, recipe)]
        limits.append(tuple(move for move in moves if _survivable(move, goals)))
    kinds: list[tuple[Move, ...]] = []
    for kind in filter(bounds.offers, CATALOGUE):
        samples = [_expand(scaled(bounds.scale, kind.kind, sample), bounds) for sample in samples_of(kind)]
        moves = [_move(kind.kind, sample, _PLAIN_DURATIONS) for group in samples for sample in group]
        kinds.append(tuple(move for move in moves if _survivable(move, goals) and _sends(move, bounds)))
    commands = [tuple(Move(name, keys, command=True) for name, keys in group) for group in _COMMANDS]
    faults = max(len(limits), len(kinds))
    groups = (*_repeated(limits, faults), *_repeated(kinds, faults), *_repeated(commands, _COMMAND_SHARE * faults))
    return Space(rig, tuple(group for group in groups if group), bounds.strings)


def _repeated(groups: list[tuple[Move, ...]], wanted: float) -> list[tuple[Move, ...]]:
    """The groups, all of them as often as brings their number near to the one wanted."""
    return groups * max(1, round(wanted / len(groups))) if groups else []


def compose(searched: Space, start: Start, picks: Sequence[Pick], *, seed: int = 1) -> Scenario:
    """The scenario of some picks. Picks that cannot follow what came before are left out."""
    actions: list[Action] = []
    at_s, end_s = 0.0, SHORTEST_S - TAIL_S
    lies = hazard = False
    for pick in picks[:MAX_ACTIONS]:
        group = searched.groups[pick.group % len(searched.groups)]
        move = group[pick.move % len(group)]
        if (move.hazard and lies) or (move.lies and hazard):
            continue
        if move.name in ALONE and any(getattr(action, "fault", "") == move.name for action in actions):
            continue
        at_s = round(at_s + GAPS_S[pick.gap % len(GAPS_S)], 2)
        action, until_s = _action(move, pick, FIRST_S + at_s, actions)
        if action is None or action.at_s > LONGEST_S - TAIL_S:
            continue
        lies, hazard = lies or move.lies, hazard or move.hazard
        actions.append(action)
        end_s = max(end_s, until_s)
    duration_s = round(min(end_s + TAIL_S, LONGEST_S), 2)
    return on_string(
        Scenario(rig=searched.rig, start=start, duration_s=duration_s, seed=seed, action=tuple(actions)),
        1 + seed % searched.strings if searched.strings else 0,
    )


def _action(move: Move, pick: Pick, at_s: float, before: Sequence[Action]) -> tuple[Action | None, float]:
    """The action of a pick and the time until which it matters; None for a clear with nothing to clear."""
    at_s = round(at_s, 2)
    if move.command:
        keys: dict[str, Any] = dict(move.parameters)
        if move.name == "clear":
            faults = [action for action in before if isinstance(action, FaultAction)]
            if not faults:
                return None, at_s
            keys["label"] = faults[pick.duration % len(faults)].fault
        return CommandAction(at_s=at_s, do=move.name, **keys), at_s  # type: ignore[arg-type] # the table has commands only
    duration = move.durations[pick.duration % len(move.durations)]
    shape = _SHAPE_KEYS[move.shapes[pick.shape % len(move.shapes)]]
    return fault_of(move, at_s, duration, **shape), at_s + (duration or 1.0)


def fault_of(move: Move, at_s: float, for_s: float | None, **shape: Value) -> FaultAction:
    """The action of a move that is a fault; `for_s` None = until the end."""
    timing = {} if for_s is None else {"for_s": for_s}
    return begin(at_s, move.name, **move.parameters, **timing, **shape)


def _near(trip: Trip, recipe: Recipe) -> Iterator[Move]:
    """Moves beside the limit of a protection, with durations beside its confirmation time."""
    durations = _durations(trip, recipe.lag_s)
    if not recipe.parameter:
        yield _move(recipe.fault, recipe.fixed, durations)
        return
    far = limit_of(trip) + outward(trip) * recipe.far
    levels = [limit_of(trip) + outward(trip) * step * trip.accuracy for step in _LEVELS if trip.accuracy > 0]
    for value in (far, *levels):
        if recipe.reaches(value):
            parameter = round(recipe.gain * value + recipe.offset, 6)
            yield _move(recipe.fault, {**recipe.fixed, recipe.parameter: parameter}, durations)


def _durations(trip: Trip, lag_s: float) -> tuple[float | None, ...]:
    early, late = trip.confirm_s
    edge = max(0.05, 0.01 * late)
    wanted = (late + edge, late + 1.0, early - edge, 0.5 * early, 0.5 * (early + late))
    lengths = [round(length + lag_s, 2) for length in wanted if edge <= length <= _LONGEST_FAULT_S]
    return (None, *lengths)


def _move(name: str, parameters: Mapping[str, Value], durations: tuple[float | None, ...]) -> Move:
    kind = kind_named(name)
    taken = shapes_of(kind) if "shape" not in parameters else ()
    shapes = tuple(shape for shape in SHAPES if shape in taken) if len(taken) > 1 else ()  # one: there is no choice
    return Move(name, parameters, durations, shapes or ("step",), lies=bool(kind.masks), hazard=name in HAZARDS)


def _expand(sample: Mapping[str, Value], bounds: Bounds) -> list[Mapping[str, Value]]:
    """A sample for one cell or sensor of each class of places, where it names one."""
    place = next((name for name, value in sample.items() if value == f"@{name}"), "")
    if not place:
        return [sample]
    return [{**sample, place: number} for number in places(place, bounds).values()]


def _survivable(move: Move, goals: Sequence[Goal]) -> bool:
    """A cell held past its hazard limit violates a goal without conditions whatever the firmware does: not fair."""
    goals = [goal for goal in goals if not goal.when]
    if move.name != "cell-voltage":
        return True
    value = float(move.parameters["voltage_v"])
    high = [goal.hazard_above for goal in goals if goal.quantity == "cell_voltage_max_v" and goal.hazard_above]
    low = [goal.hazard_below for goal in goals if goal.quantity == "cell_voltage_min_v" and goal.hazard_below]
    return value < min(high, default=7.0) and value > max(low, default=-1.0)


def _sends(move: Move, bounds: Bounds) -> bool:
    """Whether the rig has the message or node a move names."""
    named = [item.name for item in kind_named(move.name).parameters if item.role == "message"]
    return all(bounds.sends(name, str(move.parameters[name])) for name in named if name in move.parameters)
