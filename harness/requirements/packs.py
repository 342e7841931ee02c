# SPDX-License-Identifier: Apache-2.0
"""Requirement packs: the clauses of a norm, and which requirements of a rig answer for each.

A clause names its requirements by selectors: an id, a flag, a quantity, a kind. A selector that is an exact id must
find it; every other one may find nothing, which is then shown as a gap. What no test on a virtual or real controller
can show (a vibration test, say) is listed too, with the reason.
"""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
from pydantic import Field

from harness.errors import Problem, RigError
from harness.requirements.model import Identifier, QuantityName, Requirement
from harness.tomlfile import FileModel, KeyPath, parse_toml, problem_at, read_text, validate
from harness.units import FLAG_PREFIXES, Application

Applications = Annotated[tuple[Application, ...], Field(min_length=1, strict=False)]
Kind = Literal["trip", "limit", "accuracy", "cycle", "sequence", "invariant", "goal"]
Text = Annotated[str, Field(min_length=3)]
_WILDCARDS = "*?["


class Selector(FileModel):
    """The requirements that match every key given. `id` and `flag` may have wildcards ("SEQ-PRE-*").

    An `optional` one adds evidence; without it what the selector does not find is missing from the clause.
    """

    id: str | None = None
    kind: Kind | None = None
    flag: str | None = None
    quantity: QuantityName | None = None
    reported: QuantityName | None = None
    message: str | None = None
    optional: bool = False

    @pydantic.model_validator(mode="after")
    def _selects(self) -> Self:
        if not any((self.id, self.flag, self.quantity, self.reported, self.message)):
            raise ValueError("at least one of id, flag, quantity, reported, message")
        if self.flag is not None and not self.flag.startswith((*FLAG_PREFIXES, "*.")):
            raise ValueError(f"a flag: {', '.join(FLAG_PREFIXES)} or *. and its name")
        return self

    @property
    def exact_id(self) -> str | None:
        """The one id it names, None when it has none or wildcards."""
        return self.id if self.id and not any(mark in self.id for mark in _WILDCARDS) else None

    def matches(self, requirement: Requirement) -> bool:
        """Whether a requirement has everything this selector asks for."""
        return all(
            fnmatchcase(getattr(requirement, key, ""), wanted)
            for key in ("id", "kind", "flag", "quantity", "reported", "message")
            if (wanted := getattr(self, key)) is not None
        )

    def __str__(self) -> str:
        """As printed where it found nothing: "kind goal, quantity pack_current_a"."""
        keys = ("id", "kind", "flag", "quantity", "reported", "message")
        return ", ".join(f"{key} {value}" for key in keys if (value := getattr(self, key)) is not None)


class Clause(FileModel):
    """What a norm asks for at one place, in our own words.

    `clause` is that place as far as it is known. `assumption`: no norm text in reach confirms place or content.
    """

    id: Identifier
    clause: Text
    title: Text
    asks: Text
    source: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    assumption: bool
    applies_to: Applications
    covered_by: Annotated[tuple[Selector, ...], Field(strict=False)] = ()
    out_of_reach: Text | None = None

    @pydantic.model_validator(mode="after")
    def _decided(self) -> Self:
        if bool(self.covered_by) == (self.out_of_reach is not None):
            raise ValueError("either covered_by, or out_of_reach = why no test on the controller can show it")
        return self


class PackFile(FileModel):
    """A whole file."""

    title: Text
    norm: Text
    clause: Annotated[tuple[Clause, ...], Field(min_length=1, strict=False)]


@dataclass(frozen=True, slots=True)
class Pack:
    """A pack that was read and checked by itself. `text` is kept to place later problems on their lines."""

    path: Path
    file: PackFile
    text: str

    @property
    def sha256(self) -> str:
        """Of the file, for run records."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def load_pack(path: Path) -> Pack:
    """Read one pack. Raises RigError with all problems: unknown keys and quantities, an id used twice."""
    text = read_text(path)
    file = validate(parse_toml(text, path), PackFile, path=path, text=text)
    seen: dict[str, int] = {}
    problems: list[Problem] = []
    for place, clause in enumerate(file.clause):
        if clause.id in seen:
            allowed = f"an id of its own; clause[{seen[clause.id] + 1}] has this one"
            problems.append(problem_at(path, text, ("clause", place, "id"), found=clause.id, allowed=allowed))
        seen.setdefault(clause.id, place)
    if problems:
        raise RigError(problems)
    return Pack(path, file, text)


def load_packs(paths: Sequence[Path], requirements: Sequence[Requirement]) -> tuple[Pack, ...]:
    """The packs of a rig, held against its requirements.

    Raises RigError with the problems of all packs at once: also a requirement named that the rig does not have, and a
    clause that two packs have.
    """
    problems: list[Problem] = []
    packs: list[Pack] = []
    for path in paths:
        try:
            packs.append(load_pack(path))
        except RigError as error:
            problems += error.problems
    problems += _twice(packs)
    problems += [problem for pack in packs for problem in _unknown(pack, requirements)]
    if problems:
        raise RigError(problems)
    return tuple(packs)


def pack_schema() -> dict[str, Any]:
    """JSON Schema of a pack file, for editors."""
    return {**PackFile.model_json_schema(), "title": "bms-harness requirement pack"}


def _twice(packs: Sequence[Pack]) -> Iterator[Problem]:
    owners: dict[str, Pack] = {}
    for pack in packs:
        for place, clause in enumerate(pack.file.clause):
            owner = owners.setdefault(clause.id, pack)
            if owner is not pack:
                allowed = f"an id of its own; {owner.path.name} has this one"
                yield problem_at(pack.path, pack.text, ("clause", place, "id"), found=clause.id, allowed=allowed)


def _unknown(pack: Pack, requirements: Sequence[Requirement]) -> Iterator[Problem]:
    known = [requirement.id for requirement in requirements]
    for place, clause in enumerate(pack.file.clause):
        for number, selector in enumerate(clause.covered_by):
            wanted = selector.exact_id
            if wanted is None or wanted in known:
                continue
            near = difflib.get_close_matches(wanted, known, n=3)
            hint = f", such as {' or '.join(near)}" if near else ""
            allowed = f"the id of a requirement of the rig{hint}; with a wildcard it may be absent and shows as a gap"
            key: KeyPath = ("clause", place, "covered_by", number, "id")
            yield problem_at(pack.path, pack.text, key, found=wanted, allowed=allowed)
