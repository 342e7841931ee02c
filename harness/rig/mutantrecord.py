# SPDX-License-Identifier: Apache-2.0
"""A mutant campaign as the JSON document scripts rely on, and back: reasons can be given without playing again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import UsageError
from harness.firmware.cache import hash_file
from harness.firmware.mutants import Mutant
from harness.firmware.schemata import Schemata
from harness.rig.file import Rig
from harness.rig.mutantfile import MutantFile, change_of, load_mutant_file
from harness.rig.mutants import Fate, MutantBudget, Mutation, Trial, build_mutants
from harness.rig.surveys import Sighting
from harness.scenario import Scenario

_FORMAT = "bms-harness mutants 1"


def mutation_record(mutation: Mutation, *, date: str, command: str) -> dict[str, Any]:
    """The whole document; `score` is None when nothing was played. `date` is when, `command` what repeats it."""
    counts = {fate.value: sum(trial.fate is fate for trial in mutation.trials) for fate in Fate}
    return {
        "format": _FORMAT,
        "outcome": mutation.outcome.value,
        "rig": mutation.rig.name,
        "date": date,
        "command": command,
        "seed": mutation.budget.seed,
        "sample": mutation.budget.sample,
        "files": list(mutation.budget.files),
        "sequences": mutation.budget.sequences,
        "library_sha256": mutation.library_sha256,
        "scenarios": mutation.scenarios,
        "duration_s": mutation.duration_s,
        "interrupted": mutation.interrupted,
        "baseline": [
            {"title": seen.scenario.title, "failed": list(seen.failed), "error": seen.error}
            for seen in mutation.baseline
        ],
        "mutants": mutation.total,
        "refused": [mutant.name for mutant in mutation.refused],
        "played": len(mutation.trials),
        "counts": counts,
        "equivalent": mutation.equivalent,
        "unexplained": len(mutation.unexplained),
        "score": mutation.score,
        "unused_reasons": list(mutation.unused),
        "trials": [_trial(mutation, trial) for trial in mutation.trials],
    }


def _trial(mutation: Mutation, trial: Trial) -> dict[str, Any]:
    reason = mutation.allowed(trial)
    mutant = trial.mutant
    return {
        "place": f"{mutant.file}:{mutant.line}:{mutant.column}",
        "file": mutant.file,
        "function": mutant.function,
        "operator": mutant.operator,
        "change": change_of(mutant),
        "fate": trial.fate.value,
        "killed_by": trial.killed_by,
        "scenario": trial.scenario,
        "covered": trial.covered,
        "played": trial.played,
        "errors": trial.errors,
        "error": trial.error,
        "seconds": trial.seconds,
        "reason": None if reason is None else {"kind": reason.kind.value, "text": reason.reason},
    }


def record_file(folder: Path, rig: str) -> Path:
    """Where the last campaign of a rig is kept, in the folder of the runs."""
    return folder / f"mutants-{rig}.json"


def load_record(path: Path) -> dict[str, Any]:
    """A document written before. Raises UsageError when it is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: cannot be read as the record of a mutant campaign: {error}") from error
    whole = isinstance(record, dict) and record.get("format") == _FORMAT and {"date", "command"} <= record.keys()
    if not whole:
        raise UsageError(f"{path}: not the record of a mutant campaign; play one with bms-harness mutants")
    return dict(record)


def mutation_of(record: Mapping[str, Any], rig: Rig) -> Mutation:
    """The campaign a document tells of, with the reasons as they are now.

    Raises UsageError when it is one of another rig, damaged, or of a firmware that is no longer the one that was
    played; RigError for bad reasons.
    """
    file = load_mutant_file(rig)
    built = build_mutants(rig, file)
    try:
        return _restored(record, rig, file, built)
    except (KeyError, TypeError, ValueError) as error:
        what = f"{type(error).__name__}: {error}"
        raise UsageError(f"the record of the mutants of {rig.name} is damaged ({what}): play them again") from error


def _restored(record: Mapping[str, Any], rig: Rig, file: MutantFile, built: Schemata) -> Mutation:
    if record["rig"] != rig.name:
        raise UsageError(f"the record is that of the rig {record['rig']}, not of {rig.name}")
    if hash_file(built.library) != record["library_sha256"]:
        raise UsageError(
            f"firmware of {rig.name}, or how it is built, has changed since {record['date']}: play the mutants again"
        )
    known = {mutant.name: mutant for mutant in built.mutants}
    budget = MutantBudget(record["sample"], tuple(record["files"]), record["sequences"], record["seed"])
    return Mutation(
        rig=rig,
        trials=tuple(_restored_trial(entry, known) for entry in record["trials"]),
        file=file,
        total=len(built.mutants),
        refused=built.refused,
        unused=file.unused(built.mutants),
        baseline=tuple(_sighting(entry, rig) for entry in record["baseline"]),
        scenarios=record["scenarios"],
        budget=budget,
        library_sha256=record["library_sha256"],
        duration_s=record["duration_s"],
        interrupted=record["interrupted"],
    )


def _restored_trial(entry: Mapping[str, Any], known: Mapping[str, Mutant]) -> Trial:
    told = {name: entry[name] for name in ("covered", "played", "killed_by", "scenario", "errors", "error", "seconds")}
    return Trial(known[f"{entry['place']} {entry['operator']} {entry['change']}"], Fate(entry["fate"]), **told)


def _sighting(entry: Mapping[str, Any], rig: Rig) -> Sighting:
    scenario = Scenario(rig=rig.name, title=entry["title"])
    return Sighting(scenario, failed=tuple(entry["failed"]), error=entry["error"])
