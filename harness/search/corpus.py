# SPDX-License-Identifier: Apache-2.0
"""Failures found are kept as scenario files, named by their content, and played first the next time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from harness.errors import Problem, RigError
from harness.scenario import Scenario, dump_scenario, load_scenario
from harness.search.runner import FailureKey

_DIGEST_CHARACTERS = 12


@dataclass(frozen=True, slots=True)
class Kept:
    """One scenario of the corpus and the file it stands in."""

    path: Path
    scenario: Scenario


def save_failure(scenario: Scenario, folder: Path, *, key: FailureKey | None = None) -> Path:
    """Write a failing scenario with the command that replays it. The same scenario gives the same bytes anywhere.

    Written aside and renamed, so that a killed process leaves no half file.
    """
    body = dump_scenario(scenario)
    digest = hashlib.sha256(body.encode()).hexdigest()[:_DIGEST_CHARACTERS]
    name = f"{key.requirement.lower() or 'error'}-{digest}.toml" if key else f"{digest}.toml"
    path = folder / name
    why = f"# {key.requirement or 'run'}: {key.outcome.value} when this was found\n" if key else ""
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(name + ".partial")
    partial.write_text(f"{why}# bms-harness replay {name}\n{body}", encoding="utf-8")
    partial.replace(path)
    return path


def load_corpus(folder: Path) -> tuple[Kept, ...]:
    """Every scenario file of a folder, by name; empty when the folder is not there.

    Raises RigError with the problems of all files at once.
    """
    kept: list[Kept] = []
    problems: list[Problem] = []
    for path in sorted(folder.glob("*.toml")):
        try:
            kept.append(Kept(path, load_scenario(path)))
        except RigError as error:
            problems += error.problems
    if problems:
        raise RigError(problems)
    return tuple(kept)
