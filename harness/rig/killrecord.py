# SPDX-License-Identifier: Apache-2.0
"""The kill matrix as the JSON document scripts rely on (design section 5.5)."""

from __future__ import annotations

import json
import statistics
from collections import Counter
from pathlib import Path
from typing import Any

from harness.rig.hunt import Kill, KillOutcome
from harness.rig.vacuity import Evidence
from harness.rig.zoo import Matrix


def matrix_record(matrix: Matrix, *, date: str, command: str) -> dict[str, Any]:
    """The whole document. `date` is the time of day of the run, `command` what repeats it."""
    return {
        "outcome": matrix.outcome.value,
        "rig": matrix.rig.name,
        "date": date,
        "seed": matrix.seed,
        "command": command,
        "product_sha256": matrix.product_sha256,
        "defects_sha256": matrix.defects_sha256,
        "duration_s": matrix.duration_s,
        "interrupted": matrix.interrupted,
        "whole": matrix.whole,
        "full": matrix.full,
        "baseline": {
            "scenarios": matrix.scenarios,
            "failures": [
                {
                    "title": seen.scenario.title,
                    "failed": list(seen.failed),
                    "error": seen.error,
                    "scenario": seen.scenario.model_dump(mode="json", exclude_defaults=True),
                }
                for seen in matrix.baseline
            ],
        },
        "summary": _summary(matrix),
        "defects": [
            _kill(kill, seconds, matrix.allowed) for kill, seconds in zip(matrix.kills, matrix.seconds, strict=True)
        ],
        "vacuity": [_evidence(evidence) for evidence in matrix.evidence],
    }


def matrix_file(folder: Path, rig: str) -> Path:
    """Where the last kill matrix of a rig is kept, in the folder of the runs."""
    return folder / f"kill-matrix-{rig}.json"


def load_matrix(folder: Path, rig: str) -> dict[str, Any] | None:
    """The last kill matrix of a rig; None when there is none or it is not readable."""
    try:
        record = json.loads(matrix_file(folder, rig).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) and {"date", "product_sha256", "vacuity"} <= record.keys() else None


def _summary(matrix: Matrix) -> dict[str, Any]:
    counts = Counter(kill.outcome for kill in matrix.kills)
    sizes = [len(kill.scenario.actions) for kill in matrix.kills if kill.scenario is not None]
    return {
        "defects": len(matrix.kills),
        **{outcome.value: counts[outcome] for outcome in KillOutcome},
        "allowed_survivors": len(matrix.kills) - len(matrix.needed),
        "named_share": matrix.named_share,
        "median_actions": statistics.median(sizes) if sizes else None,
        "most_actions": max(sizes, default=None),
        "median_examples": statistics.median([kill.examples for kill in matrix.kills]) if matrix.kills else None,
        "not_verified": sum(not evidence.verified for evidence in matrix.evidence),
    }


def _kill(kill: Kill, seconds: float, allowed: dict[int, str]) -> dict[str, Any]:
    scenario = kill.scenario
    return {
        "id": kill.defect.id,
        "name": kill.defect.name,
        "story": kill.defect.story,
        "origin": kill.defect.origin,
        "sequence": kill.defect.sequence,
        "requirement": kill.defect.requirement,
        "outcome": kill.outcome.value,
        "caught_by": kill.caught_by or None,
        "examples": kill.examples,
        "actions": len(scenario.actions) if scenario is not None else None,
        "seconds": seconds,
        "killers": list(kill.killers),
        "shrink_runs": kill.shrink_runs,
        "errors": kill.errors,
        "error": kill.error,
        "reason": kill.reason,
        "allowed": allowed.get(kill.defect.id),
        "scenario": scenario.model_dump(mode="json", exclude_defaults=True) if scenario is not None else None,
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {
        "requirement": evidence.requirement,
        "must": evidence.must,
        "must_not": evidence.must_not,
        "fired": evidence.fired,
        "kills": list(evidence.kills),
        "only": list(evidence.only),
        "named": list(evidence.named),
        "status": "verified" if evidence.verified else "claimed, not verified",
    }
