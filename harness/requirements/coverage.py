# SPDX-License-Identifier: Apache-2.0
"""Clauses against the requirements of a rig: what answers for each, and what is missing. Nothing is left out."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

from harness.requirements.model import Requirement
from harness.requirements.packs import Clause, Pack


class Status(Enum):
    """What a rig has for a clause, whatever its verdicts."""

    COVERED = "covered"
    PARTIAL = "partial"  # some of what the clause needs has no requirement
    GAP = "gap"  # nothing of it has one
    NOT_APPLICABLE = "not_applicable"  # to another kind of application
    OUT_OF_REACH = "out_of_reach"  # of any test on the controller: the pack says why


@dataclass(frozen=True, slots=True)
class Covered:
    """One clause of a pack: the ids that answer for it, in the order of the rig, and the selectors that found none."""

    pack: Pack
    clause: Clause
    status: Status
    requirements: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def cover(
    packs: Sequence[Pack], requirements: Sequence[Requirement], applications: Collection[str]
) -> tuple[Covered, ...]:
    """Every clause of every pack, in their order."""
    return tuple(_covered(pack, clause, requirements, applications) for pack in packs for clause in pack.file.clause)


def _covered(pack: Pack, clause: Clause, requirements: Sequence[Requirement], applications: Collection[str]) -> Covered:
    if not set(clause.applies_to) & set(applications):
        return Covered(pack, clause, Status.NOT_APPLICABLE)
    if clause.out_of_reach is not None:
        return Covered(pack, clause, Status.OUT_OF_REACH)
    found = tuple(r.id for r in requirements if any(selector.matches(r) for selector in clause.covered_by))
    missing = tuple(
        str(selector)
        for selector in clause.covered_by
        if not selector.optional and not any(selector.matches(requirement) for requirement in requirements)
    )
    status = Status.GAP if not found else Status.PARTIAL if missing else Status.COVERED
    return Covered(pack, clause, status, found, missing)
