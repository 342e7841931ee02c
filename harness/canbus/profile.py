# SPDX-License-Identifier: Apache-2.0
"""Reading product profiles."""

from __future__ import annotations

from pathlib import Path

from harness.canbus.database import load_database
from harness.canbus.product import Binding, Location, Profile, Protection, RestbusMessage
from harness.canbus.profile_check import Resolver
from harness.canbus.profile_file import ProfileFile
from harness.errors import Problem, RigError
from harness.tomlfile import line_of, parse_toml, read_text, validate

__all__ = ["Binding", "Location", "Profile", "Protection", "RestbusMessage", "load_profile"]


def load_profile(path: Path) -> Profile:
    """Read a profile and the database it names (relative to the profile).

    Raises RigError with every problem of the file, each with line, key, found and allowed.
    """
    text = read_text(path)
    file = validate(parse_toml(text, path), ProfileFile, path=path, text=text)
    dbc = path.parent / file.dbc
    if not dbc.is_file():
        raise RigError(
            [Problem(str(path), line_of(text, ("dbc",)), "dbc", f"no file {dbc}", "a DBC file beside the profile")]
        )
    return Resolver(file, load_database(dbc, strict=file.strict), path, text).resolve()
