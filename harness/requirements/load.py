# SPDX-License-Identifier: Apache-2.0
"""Reads requirement files: every problem of every file at once, with file, line, key, found and allowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import Problem, RigError
from harness.requirements.extend import MAX_DEPTH, ExtendingFile, combine
from harness.requirements.model import (
    KINDS,
    Accuracy,
    Condition,
    Invariant,
    Limit,
    Requirement,
    RequirementFile,
    Sequence,
    Trip,
)
from harness.tomlfile import KeyPath, parse_toml, problem_at, read_text, validate
from harness.units import CONTROLLER_STATES, FLAG_PREFIXES, unit_of

_Placed = tuple[KeyPath, Requirement]
_Wrong = tuple[KeyPath, object, str]


def load_requirements(path: Path, *more: Path) -> tuple[Requirement, ...]:
    """The requirements of one file, or of several in the order given.

    Raises RigError with all problems: unknown keys and quantities, values out of range, contradictions within a
    requirement, an id used twice in a file or in two of them, a change of what is not there.
    """
    problems: list[Problem] = []
    seen: dict[str, str] = {}
    found: list[Requirement] = []
    for file in (path, *more):
        try:
            found += _load(file, seen, depth=0)
        except RigError as error:
            problems += error.problems
    if problems:
        raise RigError(problems)
    return tuple(found)


def requirement_schema() -> dict[str, Any]:
    """JSON Schema of a requirement file, for editors that complete and check."""
    schema = ExtendingFile.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "bms-harness requirements"
    for kind in KINDS:
        # The table's name already says the kind.
        schema["$defs"][kind.capitalize()]["properties"].pop("kind", None)
    return schema


def _load(path: Path, seen: dict[str, str], *, depth: int) -> tuple[Requirement, ...]:
    text = read_text(path)
    file = validate(parse_toml(text, path), ExtendingFile, path=path, text=text)
    wrong = [item for placed in _placed(file) for item in _contradictions(*placed)]
    wrong += _extension(file, depth)
    elsewhere = dict(seen)
    wrong += _duplicates(file, path, seen)
    if wrong:
        raise RigError([problem_at(path, text, key, found=found, allowed=allowed) for key, found, allowed in wrong])
    if file.extends is None:
        return file.all()
    base = _load(path.parent / file.extends, elsewhere, depth=depth + 1)
    found = combine(base, file, path=path, text=text)
    _check_combined(found, file, path, text)
    seen.update({requirement.id: path.name for requirement in found})
    return found


def _extension(file: ExtendingFile, depth: int) -> Iterator[_Wrong]:
    if file.extends is None:
        if not file.all():
            yield (), "no requirement", f"at least one table [[{']], [['.join(KINDS)}]], or `extends`"
        for key in ("leave_out", "change"):
            if getattr(file, key):
                yield (key,), "no file it refers to", 'with `extends = "..."` only'
    elif depth >= MAX_DEPTH:
        yield ("extends",), file.extends, f"at most {MAX_DEPTH} files that extend each other, and no circle"


def _check_combined(found: tuple[Requirement, ...], file: ExtendingFile, path: Path, text: str) -> None:
    """Ids once, and no contradictions in what was changed."""
    problems: list[Problem] = []
    changes = {change.id: place for place, change in enumerate(file.change)}
    ids: set[str] = set()
    for requirement in found:
        if requirement.id in ids:
            allowed = f"an id of its own, or a [[change]] of that of {file.extends}"
            problems.append(problem_at(path, text, (), found=requirement.id, allowed=allowed))
        ids.add(requirement.id)
        if requirement.id in changes:
            key: KeyPath = ("change", changes[requirement.id])
            wrong = _contradictions(key, requirement)
            problems += [problem_at(path, text, place, found=what, allowed=allowed) for place, what, allowed in wrong]
    if problems:
        raise RigError(problems)


def _placed(file: RequirementFile) -> Iterator[_Placed]:
    """Every requirement with the place it stands at."""
    for kind in KINDS:
        for index, requirement in enumerate(getattr(file, kind)):
            yield (kind, index), requirement


def _duplicates(file: RequirementFile, path: Path, seen: dict[str, str]) -> Iterator[_Wrong]:
    for key, requirement in _placed(file):
        if requirement.id in seen:
            yield (*key, "id"), requirement.id, f"an id of its own; {seen[requirement.id]} has this one"
        seen.setdefault(requirement.id, f"{path.name} {key[0]}[{int(key[1]) + 1}]")


def _contradictions(key: KeyPath, requirement: Requirement) -> Iterator[_Wrong]:
    for place, condition in _conditions(requirement):
        yield from _check_condition((*key, *place), condition)
    if isinstance(requirement, Trip):
        yield from _check_trip(key, requirement)
    elif isinstance(requirement, Accuracy):
        yield from _check_units(key, requirement.reported, requirement.quantity)
    elif isinstance(requirement, Limit) and requirement.reported == requirement.quantity:
        yield (*key, "quantity"), requirement.quantity, "another quantity than the reported limit"
    elif isinstance(requirement, Invariant) and requirement.within_s and not requirement.when:
        yield (*key, "within_s"), requirement.within_s, "0, or a `when` from which the time counts"


def _conditions(requirement: Requirement) -> Iterator[tuple[KeyPath, Condition]]:
    for index, condition in enumerate(requirement.when):
        yield ("when", index), condition
    if isinstance(requirement, Sequence):
        yield ("event",), requirement.event
        for index, condition in enumerate(requirement.requires):
            yield ("requires", index), condition
    elif isinstance(requirement, Invariant):
        yield ("always",), requirement.always


def _check_condition(key: KeyPath, condition: Condition) -> Iterator[_Wrong]:
    if condition.state is not None and condition.state not in CONTROLLER_STATES:
        yield (*key, "state"), condition.state, f"one of {', '.join(CONTROLLER_STATES)}"
    if condition.state is not None and condition.quantity != "bms_state":
        yield (*key, "quantity"), condition.quantity, "bms_state, the only quantity with named states"
    if condition.quantity.startswith(FLAG_PREFIXES) and condition.side != "reported":
        yield (*key, "side"), condition.side, '"reported": flags exist only on the bus'


def _check_trip(key: KeyPath, trip: Trip) -> Iterator[_Wrong]:
    if not trip.flag.startswith(FLAG_PREFIXES):
        yield (*key, "flag"), trip.flag, f"a flag: {', '.join(FLAG_PREFIXES)}..."
    if trip.quantity.startswith(FLAG_PREFIXES):
        yield (*key, "quantity"), trip.quantity, "something the controller is given, not a flag it reports"
    if trip.near is not None and trip.near < trip.accuracy:
        yield (*key, "near"), trip.near, f"at least the accuracy, {trip.accuracy:g}"
    if trip.latched and trip.release_s is not None:
        yield (*key, "release_s"), trip.release_s, "nothing: a latched flag goes by reset only"
    if trip.reset_after_s is not None and not trip.latched:
        yield (*key, "reset_after_s"), trip.reset_after_s, "nothing: only a latched flag goes by reset"
    if trip.safe_state == "none" and trip.safe_within_s:
        yield (*key, "safe_within_s"), trip.safe_within_s, "0: there is no safe state to reach"


def _check_units(key: KeyPath, reported: str, quantity: str) -> Iterator[_Wrong]:
    if unit_of(reported) != unit_of(quantity):
        found = f"{reported} against {quantity}"
        yield (*key, "reported"), found, "two quantities with the same unit"
