# SPDX-License-Identifier: Apache-2.0
"""Requirement files that extend another: what they leave out of it, change in it, and add to it.

    extends = "ebus-lfp.toml"
    leave_out = ["PRT-CHG-3"]

    [[change]]
    id = "PRT-OV-3"
    above = 2.80
    source = ["pack specification"]

A changed requirement keeps its place, and every key that the change does not name. A change says its own source: the
old one is that of the old number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import pydantic
from pydantic import Field

from harness.errors import Problem, RigError
from harness.requirements.model import Requirement, RequirementFile
from harness.tomlfile import KeyPath, line_of, problem_at, validate

MAX_DEPTH = 4


class Change(pydantic.BaseModel):
    """A change of one requirement: new values by key, and the keys it is to have no longer (`without`)."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow", strict=True)

    id: Annotated[str, Field(min_length=1)]
    source: Annotated[tuple[str, ...], Field(strict=False, min_length=1)]
    without: Annotated[tuple[str, ...], Field(strict=False)] = ()

    @property
    def values(self) -> dict[str, Any]:
        """The new values, the source among them."""
        return {**(self.model_extra or {}), "source": list(self.source)}


class ExtendingFile(RequirementFile):
    """A requirement file as it is written: own tables, and what becomes of those of the file it extends."""

    extends: Annotated[str, Field(min_length=1)] | None = None
    leave_out: Annotated[tuple[str, ...], Field(strict=False)] = ()
    change: Annotated[tuple[Change, ...], Field(strict=False)] = ()


def combine(base: Sequence[Requirement], file: ExtendingFile, *, path: Path, text: str) -> tuple[Requirement, ...]:
    """The requirements of `base` without what is left out, with what is changed, and the file's own after them.

    Raises RigError: an id that the base does not have, one both left out and changed, values a requirement cannot have.
    """
    known = {requirement.id: requirement for requirement in base}
    problems = [
        problem_at(path, text, key, found=name, allowed=f"the id of a requirement of {file.extends}")
        for key, name in _named(file)
        if name not in known
    ]
    problems += [
        problem_at(path, text, ("change", place, "id"), found=change.id, allowed="one change, and not left out")
        for place, change in enumerate(file.change)
        if change.id in file.leave_out or change.id in {earlier.id for earlier in file.change[:place]}
    ]
    for place, change in enumerate(file.change):
        if change.id in known:
            try:
                known[change.id] = _changed(known[change.id], change)
            except RigError as error:
                problems += [_placed(problem, place, path, text) for problem in error.problems]
    if problems:
        raise RigError(problems)
    kept = tuple(requirement for name, requirement in known.items() if name not in file.leave_out)
    return (*kept, *file.all())


def _named(file: ExtendingFile) -> list[tuple[KeyPath, str]]:
    left_out: list[tuple[KeyPath, str]] = [(("leave_out", place), name) for place, name in enumerate(file.leave_out)]
    changed: list[tuple[KeyPath, str]] = [(("change", place, "id"), item.id) for place, item in enumerate(file.change)]
    return [*left_out, *changed]


def _changed(old: Requirement, change: Change) -> Requirement:
    """Validated like a requirement written out in full."""
    values: Mapping[str, Any] = old.model_dump(exclude={"kind"}, exclude_unset=True, mode="json")
    merged = {key: value for key, value in {**values, **change.values}.items() if key not in change.without}
    (new,) = validate({old.kind: [merged]}, RequirementFile, path=Path(), text="").all()
    return new


def _placed(problem: Problem, place: int, path: Path, text: str) -> Problem:
    """A problem of a changed requirement, on the line of the change."""
    key = problem.key.partition("].")[2]
    line = line_of(text, ("change", place, *key.split(".")[:1]))
    return Problem(str(path), line, f"change[{place + 1}].{key}", problem.found, problem.allowed)
