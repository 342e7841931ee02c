# SPDX-License-Identifier: Apache-2.0
"""Rig files, and the parts they are made of. The only package that puts concrete parts together.

Importing it is cheap: the heavy modules (`file`, `session`, `workers`, `campaign`) are imported by who needs them.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import UsageError
from harness.rig.resources import rigs_folder

if TYPE_CHECKING:
    from harness.rig.file import Rig

__all__ = ["find_rig", "load_rig", "shipped_rigs"]


def shipped_rigs() -> tuple[Path, ...]:
    """The rig files that come with the harness, by name."""
    return tuple(sorted(rigs_folder().glob("*.toml")))


def find_rig(name_or_path: str) -> Path:
    """The rig file meant: an existing path, or the name of a shipped rig.

    Raises UsageError that lists the shipped rigs and names what is near.
    """
    path = Path(name_or_path)
    if path.is_file():
        return path
    names = {rig.stem: rig for rig in shipped_rigs()}
    if name_or_path in names:
        return names[name_or_path]
    near = difflib.get_close_matches(path.stem, names, n=1)
    hint = f", did you mean '{near[0]}'" if near else ""
    listed = ", ".join(sorted(names)) or "none"
    what = "is a folder" if path.is_dir() else "is neither a file nor the name of a shipped rig"
    raise UsageError(f"rig '{name_or_path}' {what}{hint}; shipped rigs: {listed}; or give the path of a rig file")


def load_rig(path: Path) -> Rig:
    """Read and check a rig file. Raises RigError with every problem of the file at once."""
    from harness.rig.file import load  # noqa: PLC0415 - keeps this package cheap to import (pydantic)

    return load(path)
