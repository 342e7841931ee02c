# SPDX-License-Identifier: Apache-2.0
"""The rig file: what a rig is made of, read from TOML and checked, with the files it names found.

A relative reference is looked up next to the rig file first and, if nothing is there, next to the shipped rigs. So a
copy of a shipped rig works in any folder, and a file put beside the copy takes precedence over the shipped one.
A rig file builds and loads native code: it is trusted like source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from harness.errors import Problem, RigError, UsageError
from harness.rig.resources import rigs_folder
from harness.rig.sections import RigFile
from harness.tomlfile import KeyPath, parse_toml, problem_at, read_text, validate

if TYPE_CHECKING:
    from harness.canbus.profile import Profile
    from harness.requirements.model import Requirement
    from harness.requirements.packs import Pack
    from harness.rig.cellfile import CellFile
    from harness.rig.duty import Duty, LoadProfile

_WILDCARDS = "*?["


@dataclass(frozen=True)
class Rig:
    """A rig file that was read and checked, and the files it names. `sha256` is that of the rig file.

    The files it names are read when they are first asked for; `read_all` reads them at once. `string` is the number of
    the string this is the view of (`strings`), 0 for the rig as a whole.
    """

    path: Path
    file: RigFile
    sources: tuple[Path, ...]
    include: tuple[Path, ...]
    cell_file: Path
    duty_file: Path
    profile_file: Path
    requirement_files: tuple[Path, ...]
    sha256: str
    scenario_files: tuple[Path, ...] = ()
    defect_file: Path | None = None
    mutant_file: Path | None = None
    pack_files: tuple[Path, ...] = ()
    string: int = 0

    def strings(self) -> tuple[Rig, ...]:
        """The rig as each of its strings sees it, `string` counted from 1; none for a rig without [strings].

        Raises RigError where identifiers of two strings meet or leave their range.
        """
        from harness.canbus.shift import clashes, shifted  # noqa: PLC0415 - most rigs have no strings

        section = self.file.strings
        if section is None:
            return ()
        try:
            offsets = range(0, section.count * section.identifier_offset, section.identifier_offset)
            profiles = tuple(shifted(self.profile, offset) for offset in offsets)
        except UsageError as error:
            raise self._wrong_offset(str(error)) from error
        if found := clashes(profiles):
            raise self._wrong_offset(found[0])
        views = tuple(replace(self, string=number) for number in range(1, section.count + 1))
        shared = {"requirements": self.requirements, "cell": self.cell, "load_profile": self.load_profile}
        for view, profile in zip(views, profiles, strict=True):
            vars(view).update(shared, profile=profile)  # what cached properties would find
        return views

    def profile_of(self, string: int) -> Profile:
        """The profile of one of several strings, counted from 1; 0 = that of the rig."""
        views = self.strings() if string else ()
        return views[string - 1].profile if string <= len(views) and views else self.profile

    def _wrong_offset(self, found: str) -> RigError:
        text, key = read_text(self.path), ("strings", "identifier_offset")
        allowed = "an offset that keeps the identifiers of all strings apart and in their range"
        return RigError([problem_at(self.path, text, key, found=found, allowed=allowed)])

    @property
    def name(self) -> str:
        """The file name without its ending; how scenarios and reports call the rig."""
        return self.path.stem

    @property
    def title(self) -> str:
        """What the rig is, for people."""
        return self.file.title

    @cached_property
    def requirements(self) -> tuple[Requirement, ...]:
        """All requirements, in the order of the files. Raises RigError, also for an id used twice."""
        from harness.requirements import load_requirements  # noqa: PLC0415 - keeps loading a rig quick

        problems: list[Problem] = []
        found: dict[str, Requirement] = {}
        for path in self.requirement_files:
            try:
                loaded = load_requirements(path)
            except RigError as error:
                problems.extend(error.problems)
                continue
            for requirement in loaded:
                if requirement.id in found:
                    problems.append(Problem(str(path), 0, "id", f"{requirement.id} twice", "each id once in all files"))
                found[requirement.id] = requirement
        if problems:
            raise RigError(problems)
        return tuple(found.values())

    @cached_property
    def packs(self) -> tuple[Pack, ...]:
        """The packs of clauses the requirements answer for. Raises RigError, also for those of the requirements."""
        from harness.requirements.packs import load_packs  # noqa: PLC0415 - keeps loading a rig quick

        return load_packs(self.pack_files, self.requirements)

    @cached_property
    def profile(self) -> Profile:
        """What the product's signals mean, and the rest bus as this rig has it. Raises RigError."""
        from harness.canbus.profile import load_profile  # noqa: PLC0415 - cantools is slow to import

        profile = load_profile(self.profile_file)
        unknown = sorted(set(self.file.can.features) - profile.needs)
        if unknown:
            allowed = f"what a message of the profile needs: {', '.join(sorted(profile.needs)) or 'none does'}"
            text = read_text(self.path)
            raise RigError([problem_at(self.path, text, ("can", "features"), found=unknown[0], allowed=allowed)])
        return profile.sent_with(self.features)

    @property
    def features(self) -> frozenset[str]:
        """What this rig has that not every rig has: "line", an overhead line, "rectifier", one that floats the pack,
        "gbt", a charger that speaks GB/T 27930, and what its file names.
        """
        load = self.file.load
        fed = load is not None and load.line_min_v < load.line_max_v
        floats = load is not None and bool(load.float_v)
        has = {
            "line": fed and not floats,
            "rectifier": fed and floats,
            "gbt": self.file.charger.protocol == "gbt-27930",
        }
        return frozenset(self.file.can.features) | {name for name, there in has.items() if there}

    @cached_property
    def cell(self) -> CellFile:
        """The cell data. Raises RigError."""
        from harness.rig.cellfile import load_cell  # noqa: PLC0415 - keeps loading a rig quick

        return load_cell(self.cell_file)

    @cached_property
    def load_profile(self) -> LoadProfile:
        """The power asked of the link over time. Raises RigError."""
        from harness.rig import cycle, duty  # noqa: PLC0415 - keeps loading a rig quick

        if self.file.vehicle is not None:
            return duty.LoadProfile(*cycle.load_profile(cycle.load_cycle(self.duty_file), self.file.vehicle))
        assert self.file.load is not None
        found = duty.load_duty(self.duty_file)
        _check_line(self, found)
        return duty.duty_profile(found, self.file.load.scale)

    def read_all(self) -> None:
        """Read every file the rig names. Raises RigError with the problems of all of them at once."""
        problems: list[Problem] = []
        for part in ("cell", "load_profile", "profile", "requirements", "packs"):
            try:
                getattr(self, part)
            except RigError as error:  # packs cannot be held against requirements that are wrong: say those once
                problems.extend(problem for problem in error.problems if problem not in problems)
        if problems:
            raise RigError(problems)


def load(path: Path) -> Rig:
    """Read a rig file. Raises RigError with every problem of it at once, files that are missing among them."""
    text = read_text(path)
    data = parse_toml(text, path)
    problems: list[Problem] = []
    file: RigFile | None = None
    try:
        file = validate(data, RigFile, path=path, text=text)
    except RigError as error:
        problems.extend(error.problems)
    finder = _Finder(path, text, data, problems)
    sources = finder.many(("firmware", "sources"))
    include = finder.many(("firmware", "include"), folders=True)
    cell_file = finder.one(("cells", "file"))
    duty_file = finder.one(("load", "duty") if "load" in data else ("vehicle", "cycle"))
    profile_file = finder.one(("can", "profile"))
    requirement_files = finder.many(("requirements", "files"))
    scenario_files = finder.many(("scenarios", "files"))
    pack_files = finder.many(("requirements", "packs"))
    defect_file = finder.one(("firmware", "defects"))
    mutant_file = finder.one(("firmware", "mutants"))
    if file is not None and file.pack.temperature_sensors > file.cells.series:
        problems.append(
            problem_at(
                path,
                text,
                ("pack", "temperature_sensors"),
                found=file.pack.temperature_sensors,
                allowed=f"at most one sensor a cell: cells.series = {file.cells.series}",
            )
        )
    if problems or file is None:
        raise RigError(problems)
    return Rig(
        path=path.resolve(),
        file=file,
        sources=sources,
        include=include,
        cell_file=cell_file,
        duty_file=duty_file,
        profile_file=profile_file,
        requirement_files=requirement_files,
        scenario_files=scenario_files,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        defect_file=defect_file if file.firmware.defects is not None else None,
        mutant_file=mutant_file if file.firmware.mutants is not None else None,
        pack_files=pack_files,
    )


def _check_line(rig: Rig, duty: Duty) -> None:
    """A duty with a line needs its window, one without must not have one."""
    load = rig.file.load
    assert load is not None
    if duty.has_line == (load.line_min_v < load.line_max_v):
        return
    allowed = "below line_max_v: the duty has a line" if duty.has_line else "none: the duty has no line"
    text = read_text(rig.path)
    raise RigError([problem_at(rig.path, text, ("load", "line_min_v"), found=load.line_min_v, allowed=allowed)])


class _Finder:
    """Finds the files a rig names; keys of the wrong type are left to the model, which has reported them."""

    def __init__(self, path: Path, text: str, data: Mapping[str, Any], problems: list[Problem]) -> None:
        self._path = path
        self._text = text
        self._data = data
        self._problems = problems
        self._folders = tuple(dict.fromkeys((path.resolve().parent, rigs_folder())))

    def one(self, key: KeyPath) -> Path:
        """The file named by a single key; the rig's own path stands in for one that was reported missing."""
        reference = self._value(key)
        if not isinstance(reference, str) or not reference:
            return self._path
        return next(iter(self._find(key, reference, folders=False)), self._path)

    def many(self, key: KeyPath, *, folders: bool = False) -> tuple[Path, ...]:
        """The files (or folders) named by a list, in the order of the list, a wildcard's matches by name."""
        references = self._value(key)
        if not isinstance(references, list):
            return ()
        found: dict[Path, None] = {}
        for index, reference in enumerate(references):
            if isinstance(reference, str) and reference:
                found.update(dict.fromkeys(self._find((*key, index), reference, folders=folders)))
        return tuple(found)

    def _value(self, key: KeyPath) -> Any:
        value: Any = self._data
        for part in key:
            value = value.get(part) if isinstance(value, Mapping) else None
        return value

    def _find(self, key: KeyPath, reference: str, *, folders: bool) -> Sequence[Path]:
        for folder in self._folders:
            matches = [match for match in matching(folder, reference) if match.is_dir() == folders]
            if matches:
                return matches
        kind = "folder" if folders else "file"
        allowed = f"an existing {kind}, relative to " + " or to ".join(str(folder) for folder in self._folders)
        self._problems.append(problem_at(self._path, self._text, key, found=reference, allowed=allowed))
        return ()


def matching(folder: Path, reference: str) -> list[Path]:
    """What a reference means below a folder: the path itself, or the matches of its wildcards by name."""
    parts = PurePosixPath(reference).parts
    plain = next((i for i, part in enumerate(parts) if any(mark in part for mark in _WILDCARDS)), len(parts))
    base = folder.joinpath(*parts[:plain])
    if plain == len(parts):
        return [base.resolve()] if base.exists() else []
    return sorted(match.resolve() for match in base.glob("/".join(parts[plain:])))
