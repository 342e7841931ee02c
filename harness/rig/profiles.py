# SPDX-License-Identifier: Apache-2.0
"""Product profiles that come with the harness, found by name. Databases of others do not come with them."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from pathlib import Path

from harness.canbus.profile import find_database, read_profile_file
from harness.errors import UsageError
from harness.rig.resources import data_root

_ENDING = ".profile.toml"
_REQUIREMENTS = ".requirements.toml"


@dataclass(frozen=True, slots=True)
class Shipped:
    """A shipped profile; `database` is None where its DBC is not on this machine, `url` "" where it is ours."""

    name: str
    path: Path
    title: str
    dbc: str
    database: Path | None
    url: str
    licence: str


def shipped_profiles() -> tuple[Path, ...]:
    """The profile files that come with the harness, ours first."""
    folder = data_root() / "dbc"
    return (*sorted(folder.glob(f"*{_ENDING}")), *sorted((folder / "profiles").glob(f"*{_ENDING}")))


def name_of(path: Path) -> str:
    """How a profile is called: its file name without the ending."""
    return path.name.removesuffix(_ENDING).removesuffix(".toml")


def find_profile(name_or_path: str) -> Path:
    """The profile file meant: an existing path, or the name of a shipped one. Raises UsageError that lists them."""
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = {name_of(profile): profile for profile in shipped_profiles()}
    if name_or_path in names:
        return names[name_or_path]
    near = difflib.get_close_matches(name_of(path), names, n=1)
    hint = f", did you mean '{near[0]}'?" if near else ""
    what = "is a folder" if path.is_dir() else "is neither a file nor the name of a shipped profile"
    raise UsageError(f"profile '{name_or_path}' {what}{hint}; shipped profiles: {', '.join(names)}")


def requirements_beside(profile: Path) -> Path | None:
    """The requirement file that goes with a profile: NAME.requirements.toml beside NAME.profile.toml, if any."""
    path = profile.with_name(name_of(profile) + _REQUIREMENTS)
    return path if path.is_file() else None


def describe(path: Path) -> Shipped:
    """What a person wants to know of a shipped profile. Raises RigError for a file that is wrong."""
    file, _ = read_profile_file(path)
    url, licence = ("", "Apache-2.0") if file.source is None else (file.source.url, file.source.licence)
    return Shipped(name_of(path), path, file.title, Path(file.dbc).name, find_database(file, path), url, licence)
