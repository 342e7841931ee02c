# SPDX-License-Identifier: Apache-2.0
"""What a rig says of its firmware's mutants: which code is none of the product, and which mutants may survive, and why.

`[firmware] mutants` of a rig file names it. Without one every source is mutated and no survivor is allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field

from harness.errors import RigError
from harness.firmware.mutants import Mutant, Rules
from harness.rig.file import Rig
from harness.tomlfile import FileModel, parse_toml, problem_at, read_text, validate

Line = Annotated[str, Field(min_length=1, pattern=r"^[^\n]+$")]
Lines = Annotated[tuple[Line, ...], Field(strict=False)]
ARROW = " -> "
LEFT_OUT = "(left out)"


class SurvivorKind(StrEnum):
    """Why a mutant may survive. Only the first is taken out of the score: it is no other firmware."""

    EQUIVALENT = "equivalent"  # does the same in every case
    TOLERANCE = "tolerance"  # differs by less than a requirement allows
    UNREQUIRED = "unrequired"  # differs in what nobody requires, e.g. diagnostics
    GAP = "gap"  # a requirement or stimulus is missing


class AllowedSurvivor(FileModel):
    """Survivors of one function with one reason: `changes` are "original -> mutated" as the command prints them,
    without any it is every mutant of the function.
    """

    file: Line
    function: Line
    kind: Annotated[SurvivorKind, Field(strict=False)]
    reason: Line
    changes: Lines = ()

    def allows(self, mutant: Mutant) -> bool:
        """Whether it is this mutant, wherever in the function it stands."""
        if (mutant.file, mutant.function) != (self.file, self.function):
            return False
        return not self.changes or change_of(mutant) in self.changes


class MutantFile(FileModel):
    """A whole file. `leave_out` are file names (with wildcards) that are no code of the product, `unused_by` those that
    a rig, by its name, has switched off; `off` are macros that are constantly 0 (seeded defects), `checks` calls that
    are checks of the firmware's own: asserts.
    """

    title: str = ""
    leave_out: Lines = ()
    unused_by: Mapping[str, Lines] = Field(default_factory=dict)
    off: Lines = ()
    checks: Lines = ()
    survivor: Annotated[tuple[AllowedSurvivor, ...], Field(strict=False)] = ()

    @property
    def rules(self) -> Rules:
        """What the generator must know."""
        return Rules(off=frozenset(self.off), checks=frozenset(self.checks))

    def left_alone(self, sources: Iterable[Path], rig: str) -> tuple[Path, ...]:
        """The sources that are not mutated for a rig of that name."""
        patterns = (*self.leave_out, *self.unused_by.get(rig, ()))
        return tuple(path for path in sources if any(fnmatchcase(path.name, pattern) for pattern in patterns))

    def allowed(self, mutant: Mutant) -> AllowedSurvivor | None:
        """What allows a mutant to survive, if anything does; what names the change before what names the function."""
        matching = [entry for entry in self.survivor if entry.allows(mutant)]
        return min(matching, key=lambda entry: not entry.changes, default=None)

    def unused(self, mutants: Sequence[Mutant]) -> tuple[str, ...]:
        """Changes and functions the file names that are none of these mutants: the source has moved on."""
        lost = []
        for entry in self.survivor:
            here = {change_of(m) for m in mutants if (m.file, m.function) == (entry.file, entry.function)}
            where = f"{entry.file} {entry.function}"
            lost += [f"{where}: {change}" for change in entry.changes if change not in here]
            if not here:
                lost.append(where)
        return tuple(lost)


def change_of(mutant: Mutant) -> str:
    """A mutant as a list of allowed survivors names it, without its place."""
    return f"{mutant.original}{ARROW}{mutant.mutated or LEFT_OUT}"


def load_mutant_file(rig: Rig) -> MutantFile:
    """The file of a rig, or an empty one. Raises RigError with every problem of the file."""
    path = rig.mutant_file
    if path is None:
        return MutantFile.model_validate({})
    text = read_text(path)
    file = validate(parse_toml(text, path), MutantFile, path=path, text=text)
    names = {source.name for source in rig.sources}
    problems = [
        problem_at(path, text, ("survivor", place, "file"), found=entry.file, allowed="the name of a source of the rig")
        for place, entry in enumerate(file.survivor)
        if entry.file not in names
    ]
    if problems:
        raise RigError(problems)
    return file
