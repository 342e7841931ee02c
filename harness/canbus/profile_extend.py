# SPDX-License-Identifier: Apache-2.0
"""Profiles that extend another: the same controller with more messages, or with other signals for some quantities."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from harness.canbus.database import Database
from harness.canbus.profile_file import ProfileFile
from harness.errors import Problem, RigError


def combined(base: ProfileFile, own: ProfileFile) -> ProfileFile:
    """What both say; where both say something of the same quantity, message or command, the own one counts."""
    reported = {entry.quantity for entry in own.signals.values()}
    kept = {path: entry for path, entry in base.signals.items() if entry.quantity not in reported}
    values: dict[str, Any] = {}
    for name in ProfileFile.model_fields:
        mine, other = getattr(own, name), getattr(base, name)
        if isinstance(mine, dict):
            values[name] = {**(kept if name == "signals" else other), **mine}
        elif isinstance(mine, tuple):
            values[name] = (*other, *mine)
        else:
            values[name] = mine if name in own.model_fields_set else other
    return own.model_copy(update=values)


def joined(base: Database, own: Database) -> Database:
    """Both databases as one, under the path of the own one. Raises RigError for a name or identifier in both."""
    taken = {message.name for message in base.messages} | {(item.id, item.extended) for item in base.messages}
    problems = [
        Problem(str(own.path), 0, message.name, f"also in {base.path.name}", "a name and an identifier of its own")
        for message in own.messages
        if message.name in taken or (message.id, message.extended) in taken
    ]
    if problems:
        raise RigError(problems)
    codec = type(own.codec)(messages=[*base.codec.messages, *own.codec.messages], strict=False)
    sha256 = hashlib.sha256(f"{base.sha256} {own.sha256}".encode()).hexdigest()
    warnings = (*base.warnings, *own.warnings)
    return Database(own.path, sha256, warnings, (*base.messages, *own.messages), codec)


def path_of_base(own: ProfileFile, path: Path, line: int) -> Path:
    """The file a profile extends. Raises RigError when there is none."""
    assert own.extends is not None
    base = path.parent / own.extends
    if not base.is_file():
        raise RigError([Problem(str(path), line, "extends", f"no file {base}", "a profile, relative to this one")])
    return base
