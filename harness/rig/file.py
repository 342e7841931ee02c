# SPDX-License-Identifier: Apache-2.0
"""The rig file: what a rig is made of, read from TOML and checked, with the files it names found.

A relative reference is looked up next to the rig file first and, if nothing is there, next to the shipped rigs. So a
copy of a shipped rig works in any folder, and a file put beside the copy takes precedence over the shipped one.
A rig file builds and loads native code: it is trusted like source.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any, Self

import pydantic
from pydantic import Field

from harness.errors import Problem, RigError
from harness.rig.resources import rigs_folder
from harness.tomlfile import FileModel, KeyPath, parse_toml, problem_at, read_text, validate

if TYPE_CHECKING:
    from harness.canbus.profile import Profile
    from harness.requirements.model import Requirement
    from harness.rig.cellfile import CellFile
    from harness.rig.duty import Duty, LoadProfile

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False, strict=False)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False, strict=False)]
Percent = Annotated[float, Field(ge=0.0, le=100.0, strict=False)]
Spread = Annotated[float, Field(ge=0.0, le=30.0, strict=False)]
Share = Annotated[float, Field(gt=0.0, le=1.0, strict=False)]
Celsius = Annotated[float, Field(ge=-50.0, le=100.0, strict=False)]
Int32 = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Reference = Annotated[str, Field(min_length=1)]
References = Annotated[tuple[Reference, ...], Field(min_length=1, strict=False)]
_WILDCARDS = "*?["


class FirmwareSection(FileModel):
    """The controller's C sources and the parameter block it is given at power-on."""

    sources: References
    include: Annotated[tuple[Reference, ...], Field(strict=False)] = ()
    defines: Annotated[tuple[str, ...], Field(strict=False)] = ()
    variant: Annotated[int, Field(ge=0, lt=2**16)] = 0
    defects: Reference | None = None
    boot_s: Annotated[float, Field(gt=0.0, le=600.0, strict=False)] = 0.6
    parameters: Annotated[dict[str, Int32], Field(default_factory=dict)]


class SpreadSection(FileModel):
    """Standard deviations between the cells; drawn from the seed, cut at three of them."""

    capacity_pct: Spread = 0.0
    resistance_pct: Spread = 0.0
    soc_pct: Spread = 0.0
    temp_k: Annotated[float, Field(ge=0.0, le=20.0, strict=False)] = 0.0


class CellsSection(FileModel):
    """The cells: `series` groups in series of `parallel` cells each. One group counts as one cell everywhere else.

    `module` groups share one measuring module; cells beside its border are tested too.
    """

    file: Reference
    series: Annotated[int, Field(ge=12, le=400)]
    parallel: Annotated[int, Field(ge=1, le=1000)] = 1
    module: Annotated[int, Field(ge=1, le=400)] = 12
    soc_pct: Percent = 50.0
    temp_degc: Celsius = 25.0
    spread: SpreadSection = SpreadSection()


class PackSection(FileModel):
    """The pack around the cells: sensors, cooling, joints, contactors, link, insulation, supply."""

    temperature_sensors: Annotated[int, Field(ge=1, le=400)]
    cooling_w_per_k: NonNegative
    ambient_w_per_k: NonNegative
    neighbour_w_per_k: NonNegative
    coolant_degc: Celsius = 25.0
    ambient_degc: Celsius = 25.0
    joint_ohm: Annotated[float, Field(ge=0.0, le=0.01, strict=False)]
    balancing_ohm: Positive
    self_discharge_ohm: Positive
    link_capacitance_f: Annotated[float, Field(gt=0.0, le=1.0, strict=False)]
    link_bleed_ohm: Positive
    precharge_ohm: Positive
    contactor_close_s: Annotated[float, Field(ge=0.0, le=1.0, strict=False)]
    contactor_open_s: Annotated[float, Field(ge=0.0, le=1.0, strict=False)]
    fuse_rated_a: Positive
    fuse_i2t_a2s: NonNegative
    insulation_positive_ohm: Positive
    insulation_negative_ohm: Positive
    supply_v: Annotated[float, Field(gt=0.0, le=100.0, strict=False)] = 24.0
    supply_min_v: Annotated[float, Field(ge=0.0, le=100.0, strict=False)]

    @pydantic.model_validator(mode="after")
    def _supply_runs(self) -> Self:
        if self.supply_min_v >= self.supply_v:
            raise ValueError("supply_min_v below supply_v, or the controller never runs")
        return self


class VehicleSection(FileModel):
    """The vehicle: driving resistances, efficiencies, limits of the drive, and the cycle it drives."""

    cycle: Reference
    mass_kg: Annotated[float, Field(ge=100.0, le=200_000.0, strict=False)]
    rolling_coefficient: Annotated[float, Field(ge=0.0, le=0.1, strict=False)]
    drag_area_m2: Annotated[float, Field(ge=0.0, le=50.0, strict=False)]
    rotating_mass_factor: Annotated[float, Field(ge=1.0, le=2.0, strict=False)] = 1.0
    drive_efficiency: Share
    regeneration_efficiency: Share
    max_drive_w: Positive
    max_regeneration_w: NonNegative
    auxiliary_w: NonNegative
    min_link_v: NonNegative
    limit_lag_s: NonNegative
    limit_timeout_s: NonNegative = 0.0


class LoadSection(FileModel):
    """What hangs on the link when it is no vehicle that drives a cycle: a duty file, and how it answers to limits.

    `line_min_v` and `line_max_v` are the window of an overhead line, for duties that know one.
    """

    duty: Reference
    scale: Annotated[float, Field(gt=0.0, le=1000.0, strict=False)] = 1.0
    auxiliary_w: NonNegative = 0.0
    min_link_v: NonNegative
    limit_lag_s: NonNegative
    limit_timeout_s: NonNegative = 0.0
    line_min_v: NonNegative = 0.0
    line_max_v: NonNegative = 0.0


class ChargerSection(FileModel):
    """The charger at the plug."""

    max_a: Positive
    max_v: Positive
    slope_a_per_s: Positive


class BusSection(FileModel):
    """The CAN buses. Bit rates in bit/s; `data_bitrate` 0 = classic frames only."""

    bitrate: Annotated[int, Field(ge=10_000, le=1_000_000)]
    data_bitrate: Annotated[int, Field(ge=0, le=12_000_000)] = 0
    buses: Annotated[int, Field(ge=1, le=8)] = 1


class CanSection(FileModel):
    """The profile that maps the product's DBC to quantities."""

    profile: Reference


class RequirementsSection(FileModel):
    """The requirement files judged on every run."""

    files: References


class SimulationSection(FileModel):
    """Tick of the lock-step, seed of the spread, and the firmware's 32-bit millisecond counter at power-on."""

    tick_ms: Annotated[int, Field(ge=1, le=100)] = 10
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    start_tick_ms: Annotated[int, Field(ge=0, lt=2**32)] = 0


class RigFile(FileModel):
    """A whole rig file."""

    title: Annotated[str, Field(min_length=1)]
    firmware: FirmwareSection
    cells: CellsSection
    pack: PackSection
    vehicle: VehicleSection | None = None
    load: LoadSection | None = None
    charger: ChargerSection
    bus: BusSection
    can: CanSection
    requirements: RequirementsSection
    simulation: SimulationSection = SimulationSection()

    @pydantic.model_validator(mode="after")
    def _one_load(self) -> Self:
        if (self.vehicle is None) == (self.load is None):
            raise ValueError("either [vehicle], which drives a cycle, or [load], which follows a duty")
        return self

    @property
    def link(self) -> VehicleSection | LoadSection:
        """What hangs on the link."""
        found = self.vehicle or self.load
        assert found is not None
        return found


@dataclass(frozen=True)
class Rig:
    """A rig file that was read and checked, and the files it names. `sha256` is that of the rig file.

    The files it names are read when they are first asked for; `read_all` reads them at once.
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
    defect_file: Path | None = None

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
    def profile(self) -> Profile:
        """What the product's signals mean. Raises RigError."""
        from harness.canbus.profile import load_profile  # noqa: PLC0415 - cantools is slow to import

        return load_profile(self.profile_file)

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
        for part in ("cell", "load_profile", "profile", "requirements"):
            try:
                getattr(self, part)
            except RigError as error:
                problems.extend(error.problems)
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
    defect_file = finder.one(("firmware", "defects"))
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
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        defect_file=defect_file if file.firmware.defects is not None else None,
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
