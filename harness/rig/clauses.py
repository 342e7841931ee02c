# SPDX-License-Identifier: Apache-2.0
"""Clauses, requirements and verdicts of a run as JSON: what reports and exports show."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from harness.requirements.coverage import Covered, Status, cover
from harness.requirements.model import Requirement
from harness.requirements.packs import Pack
from harness.rig.file import Rig
from harness.verdict import Outcome, Verdict, overall


def clauses_record(rig: Rig, verdicts: Iterable[Verdict]) -> dict[str, Any]:
    """Keys for run.json: `requirements` (all of the rig), `applications` and `packs` (clause by clause).

    A requirement without a verdict, because only others were asked for, is NOT_EXERCISED in its clauses.
    Raises RigError when the packs of the rig cannot be read.
    """
    outcomes = {verdict.requirement: verdict.outcome for verdict in verdicts}
    applications = rig.file.requirements.applications
    covered = cover(rig.packs, rig.requirements, applications)
    return {
        "requirements": [_requirement(requirement) for requirement in rig.requirements],
        "applications": list(applications),
        "packs": [_pack(pack, [item for item in covered if item.pack is pack], outcomes) for pack in rig.packs],
    }


def _requirement(requirement: Requirement) -> dict[str, Any]:
    return {
        "id": requirement.id,
        "kind": requirement.kind,
        "title": requirement.title,
        "source": list(requirement.source),
        "assumption": requirement.assumption,
    }


def _pack(pack: Pack, covered: Sequence[Covered], outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    return {
        "title": pack.file.title,
        "norm": pack.file.norm,
        "file": pack.path.name,
        "sha256": pack.sha256,
        "clauses": [_clause(item, outcomes) for item in covered],
    }


def _clause(item: Covered, outcomes: Mapping[str, Outcome]) -> dict[str, Any]:
    """`status`: what the rig has for it. `outcome`: that of its requirements together, None when it has none."""
    clause = item.clause
    told = item.status in (Status.COVERED, Status.PARTIAL)
    return {
        "id": clause.id,
        "clause": clause.clause,
        "title": clause.title,
        "asks": clause.asks,
        "source": list(clause.source),
        "assumption": clause.assumption,
        "applies_to": list(clause.applies_to),
        "status": item.status.value,
        "outcome": overall(outcomes.get(name, Outcome.NOT_EXERCISED) for name in item.requirements).value
        if told
        else None,
        "requirements": list(item.requirements),
        "missing": list(item.missing),
        "out_of_reach": clause.out_of_reach,
    }
