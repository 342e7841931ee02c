# SPDX-License-Identifier: Apache-2.0
"""Writes the folder of a new rig."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from harness.canbus.guess import LIKELY, SURE
from harness.errors import UsageError
from harness.rig.new.plan import Plan, plan
from harness.rig.new.requirements import requirements_text
from harness.rig.new.rigtext import CELLS, cells_of, duty_text, rig_text
from harness.rig.new.texts import messages_text, profile_text

PORT = "fil_port.c"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\Z")
_CURRENT_C = 1.0


@dataclass(frozen=True, slots=True)
class Made:
    """A new rig: its rig file, the files written, and what was decided."""

    rig: Path
    files: tuple[Path, ...]
    plan: Plan
    series: int

    def count(self, least: float, below: float = 2.0) -> int:
        """How many signals and arrays were guessed with a confidence in a range."""
        guesses = self.plan.guesses
        found = [*(item.confidence for item in guesses.signals), *(item.confidence for item in guesses.arrays)]
        return sum(least <= confidence < below for confidence in found)

    @property
    def levels(self) -> tuple[int, int, int]:
        """How many guesses are high, medium and low."""
        return self.count(SURE), self.count(LIKELY, SURE), self.count(0.0, LIKELY)


def make(folder: Path, dbc: Path, *, node: str | None = None, cell: str = "lfp", force: bool = False) -> Made:
    """Write a rig folder for the controller of a database.

    Raises UsageError when the folder has files already and `force` is not given, when it cannot be written, or when the
    database has no such node or the name of one of the files; RigError when the database cannot be loaded.
    """
    _check_folder(folder, force=force)
    found = plan(dbc, node)
    chosen = CELLS[cell]
    name = folder.resolve().name
    title = f"{name}: {found.node} of {dbc.name}"
    low_v, _, high_v = chosen.volts
    current_a = _CURRENT_C * chosen.pack_ah
    texts = {
        "rig.toml": rig_text(found, title, chosen, folder=folder.as_posix()),
        "duty.toml": duty_text(found, chosen),
        "profile.toml": profile_text(found, dbc.name, title),
        "requirements.toml": requirements_text(
            found, dbc.name, f"{name}, to be filled in", cell_v=(low_v, high_v), current_a=current_a
        ),
        "firmware/messages.h": messages_text(found, dbc.name, high_v),
        f"firmware/{PORT}": (Path(__file__).parent / PORT).read_text(encoding="utf-8"),
    }
    if dbc.name in texts:
        raise UsageError(f"{dbc.name} has the name of a file that 'new' writes: give the database another name")
    try:
        (folder / "firmware").mkdir(parents=True, exist_ok=True)
        for place, text in texts.items():
            (folder / place).write_text(text, encoding="utf-8")
        own = folder / dbc.name
        if not (own.exists() and own.samefile(dbc)):
            shutil.copyfile(dbc, own)
    except OSError as error:
        raise UsageError(f"cannot write {error.filename or folder}: {error.strerror}") from error
    files = tuple(folder / place for place in (*texts, dbc.name))
    return Made(folder / "rig.toml", files, found, cells_of(found)[0])


def _check_folder(folder: Path, *, force: bool) -> None:
    name = folder.resolve().name
    if not _NAME.match(name):
        raise UsageError(f"'{name}' is no name for a rig: letters, digits, '.', '_' and '-', a letter or digit first")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file: give the name of a folder to be made")
    if folder.is_dir() and any(folder.iterdir()) and not force:
        raise UsageError(
            f"{folder} has files already and nothing was written: choose another name, or --force to overwrite what "
            "'new' writes (other files stay)"
        )
