# SPDX-License-Identifier: Apache-2.0
"""Reading product profiles."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from harness.canbus.database import Database, load_database
from harness.canbus.product import Binding, Location, Profile, Protection, RestbusMessage
from harness.canbus.profile_check import Resolver
from harness.canbus.profile_file import ProfileFile, SourceModel
from harness.errors import Problem, RigError
from harness.tomlfile import line_of, parse_toml, read_text, validate

__all__ = ["Binding", "Location", "Profile", "Protection", "RestbusMessage", "load_profile", "read_profile_file"]

FOLDERS = "BMS_HARNESS_DBC"  # environment variable: folders with databases that do not come with their profile


def load_profile(path: Path, *, dbc: Path | None = None) -> Profile:
    """Read a profile and its database: `dbc`, or the file the profile names, beside it or in a folder of the
    environment variable BMS_HARNESS_DBC.

    Raises RigError with every problem of the file, each with line, key, found and allowed.
    """
    file, text = read_profile_file(path)
    database = load_database(dbc or _database_of(file, path, text), strict=file.strict)
    return replace(Resolver(file, database, path, text).resolve(), notes=_notes(file.source, database))


def read_profile_file(path: Path) -> tuple[ProfileFile, str]:
    """What a profile file says, and its text, without a look at its database. Raises RigError."""
    text = read_text(path)
    return validate(parse_toml(text, path), ProfileFile, path=path, text=text), text


def find_database(file: ProfileFile, path: Path) -> Path | None:
    """The database a profile names, None where it is not."""
    folders = (path.parent, *(Path(folder) for folder in os.environ.get(FOLDERS, "").split(os.pathsep) if folder))
    places = [path.parent / file.dbc, *(folder / Path(file.dbc).name for folder in folders)]
    return next((place for place in places if place.is_file()), None)


def _database_of(file: ProfileFile, path: Path, text: str) -> Path:
    found = find_database(file, path)
    if found is not None:
        return found
    allowed = "a DBC file beside the profile"
    if file.source is not None:
        allowed = (
            f"the file from {file.source.url} ({file.source.licence}), which is not part of the harness: put it beside "
            f"the profile or into a folder that the environment variable {FOLDERS} names, or give it with --dbc"
        )
    raise RigError([Problem(str(path), line_of(text, ("dbc",)), "dbc", f"no file {path.parent / file.dbc}", allowed)])


def _notes(source: SourceModel | None, database: Database) -> tuple[str, ...]:
    if source is None or source.sha256 == database.sha256:
        return ()
    note = (
        f"{database.path} is not the file the profile was written for (sha256 {database.sha256[:12]}..., then "
        f"{source.sha256[:12]}...): its names fit; that bits, factors and meanings are the same is not sure"
    )
    return (note,)
