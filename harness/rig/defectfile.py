# SPDX-License-Identifier: Apache-2.0
"""The defect list: seeded defects of a firmware as data beside it, each with the requirement that must find it.

`[firmware] defects` of a rig file names it. The numbers are those `fil_defect` takes.
One list serves all rigs of a firmware: a defect of a function that a rig does not use, because its requirements do not
ask for it, is left out there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import suppress
from typing import Annotated, Self

import pydantic
from pydantic import Field

from harness.errors import RigError, UsageError
from harness.requirements import load_requirements
from harness.requirements.model import Identifier
from harness.rig.file import Rig
from harness.rig.resources import data_root
from harness.tomlfile import FileModel, KeyPath, parse_toml, problem_at, read_text, validate

Number = Annotated[int, Field(ge=1, lt=2**31)]
Line = Annotated[str, Field(min_length=3, pattern=r"^[^\n]+$")]


class Defect(FileModel):
    """One seeded defect. `story` is what goes wrong, `origin` the field bug or class of bugs it comes from.

    `sequence`: shows only in two or more events (path dependence, recovery, a second fault, a power cycle).
    `long_run`: shows only after longer than any scenario of a campaign lasts: `soak` finds it (docs/long-runs.md).
    """

    id: Number
    name: Line
    story: Line
    origin: Line = "our own"
    requirement: Identifier
    sequence: bool = False
    long_run: bool = False


class Survivor(FileModel):
    """A defect that need not be caught, and why; `rigs`: on these alone, by name."""

    id: Number
    reason: Line
    rigs: Annotated[tuple[str, ...], Field(strict=False)] = ()


class DefectFile(FileModel):
    """A whole defect list."""

    title: str = ""
    defect: Annotated[tuple[Defect, ...], Field(min_length=1, strict=False)]
    survivor: Annotated[tuple[Survivor, ...], Field(strict=False)] = ()

    @pydantic.model_validator(mode="after")
    def _each_once(self) -> Self:
        for key in ("id", "name"):
            counts = Counter(getattr(defect, key) for defect in self.defect)
            twice = [value for value, count in counts.items() if count > 1]
            if twice:
                raise ValueError(f"each {key} once; twice: {twice[0]}")
        return self

    @property
    def allowed(self) -> dict[int, str]:
        """The reasons of the allowed survivors by the id of the defect."""
        return {survivor.id: survivor.reason for survivor in self.survivor}


def load_defects(rig: Rig) -> DefectFile:
    """The defect list of a rig, without the defects whose requirement only other shipped rigs have, and without those
    that only a long run shows.

    Raises UsageError when the rig names none or nothing of the list is left, RigError with every problem of the file,
    requirements that no rig has and survivors that are no defects among them.
    """
    path = rig.defect_file
    if path is None:
        raise UsageError(
            f"rig '{rig.name}' names no defect list; set [firmware] defects in {rig.path} to a TOML file of the "
            "firmware's seeded defects (docs/defect-zoo.md)"
        )
    text = read_text(path)
    file = validate(parse_toml(text, path), DefectFile, path=path, text=text)
    own = {requirement.id for requirement in rig.requirements}
    foreign = {defect.requirement for defect in file.defect} - own
    foreign &= _shipped_requirements() if foreign else set()
    problems = [
        problem_at(path, text, key, found=found, allowed=allowed)
        for key, found, allowed in _dangling(file, own | foreign, rig)
    ]
    if problems:
        raise RigError(problems)
    return _without(file, foreign, rig)


def _shipped_requirements() -> set[str]:
    """The ids of all shipped requirement files that can be read."""
    found: set[str] = set()
    for path in sorted((data_root() / "fixtures" / "requirements").glob("*.toml")):
        with suppress(RigError):
            found |= {requirement.id for requirement in load_requirements(path)}
    return found


def _without(file: DefectFile, foreign: Collection[str], rig: Rig) -> DefectFile:
    kept = tuple(defect for defect in file.defect if defect.requirement not in foreign and not defect.long_run)
    if not kept:
        raise UsageError(f"no defect of {rig.defect_file} names a requirement of rig '{rig.name}'")
    survivors = tuple(survivor for survivor in file.survivor if not survivor.rigs or rig.name in survivor.rigs)
    return file.model_copy(update={"defect": kept, "survivor": survivors})


def select(file: DefectFile, only: tuple[int, ...], sample: int | None, seed: int) -> tuple[Defect, ...]:
    """The defects meant, in the order of the file: those with the ids `only`, and a seeded sample of them.

    Raises UsageError for an id that is not in the list.
    """
    known = {defect.id for defect in file.defect}
    missing = [number for number in only if number not in known]
    if missing:
        listed = ", ".join(str(number) for number in sorted(known))
        raise UsageError(f"no defect {missing[0]} in the list; there are {listed}")
    chosen = [defect for defect in file.defect if not only or defect.id in only]
    if sample is None or sample >= len(chosen):
        return tuple(chosen)
    import numpy as np  # noqa: PLC0415 - only to draw

    places = np.random.default_rng(seed).choice(len(chosen), size=sample, replace=False)
    return tuple(chosen[place] for place in sorted(places))


def _dangling(file: DefectFile, requirements: Collection[str], rig: Rig) -> Iterator[tuple[KeyPath, object, str]]:
    for place, defect in enumerate(file.defect):
        if defect.requirement not in requirements:
            allowed = f"a requirement of the rig (bms-harness requirements {rig.name})"
            yield ("defect", place, "requirement"), defect.requirement, allowed
    known = {defect.id for defect in file.defect}
    for place, survivor in enumerate(file.survivor):
        if survivor.id not in known:
            yield ("survivor", place, "id"), survivor.id, "the id of a defect of this list"
