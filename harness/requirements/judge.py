# SPDX-License-Identifier: Apache-2.0
"""Judges requirements on evidence: picks the judge of the kind, shares the work between requirements.

Pure: the same evidence and requirements give the same verdicts, live, from a bench or from a log file.

Most requirements are not touched by most records. So each kind has a quick look, made once per requirement, that
needs only the extremes of the record; the full judge works where the quick look finds anything worth looking at.
"""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence as Many
from dataclasses import dataclass
from functools import lru_cache

from harness.requirements.accuracy import judge_accuracy, quick_accuracy
from harness.requirements.cycle import judge_cycle, quick_cycle
from harness.requirements.diagnosis import judge_diagnosis, quick_diagnosis
from harness.requirements.evidence import Evidence
from harness.requirements.goal import judge_goal, quick_goal
from harness.requirements.invariant import judge_invariant, quick_invariant
from harness.requirements.limit import judge_limit, quick_limit
from harness.requirements.model import Accuracy, Cycle, Diagnosis, Goal, Invariant, Limit, Requirement, Sequence, Trip
from harness.requirements.record import Record
from harness.requirements.sequence import judge_sequence, quick_sequence
from harness.requirements.trip import judge_trip, quick_trip
from harness.verdict import Verdict

_Look = Callable[[Record], Verdict | None]


def judge(requirement: Requirement, evidence: Evidence, others: Many[Requirement] = ()) -> Verdict:
    """The verdict on one requirement.

    `others` are further requirements of the rig: those that share its flag may explain a flag. Without them the
    requirement is taken to be the only one that may set its flag.
    """
    known = others if any(other is requirement for other in others) else (requirement, *others)
    record = Record(evidence)
    return quick_look(requirement)(record) or full_judge(requirement, record, group_of(requirement, known))


def judge_all(requirements: Many[Requirement], evidence: Evidence) -> tuple[Verdict, ...]:
    """The verdicts on all requirements, in their order.

    Fastest when called with the same tuple again and again: the quick looks are then made once.
    """
    plan = _plan(_Identity(requirements)) if isinstance(requirements, tuple) else _looks(requirements)
    record = Record(evidence)
    return tuple([look(record) or full_judge(requirement, record, group) for requirement, look, group in plan])


def group_of(requirement: Requirement, known: Many[Requirement]) -> tuple[Trip, ...]:
    """The trip requirements that share the flag of this one, itself among them; all for a rule of diagnostics.

    Empty for other kinds.
    """
    if isinstance(requirement, Diagnosis):
        return tuple(other for other in known if isinstance(other, Trip))
    if not isinstance(requirement, Trip):
        return ()
    return tuple(other for other in known if isinstance(other, Trip) and other.flag == requirement.flag)


def full_judge(requirement: Requirement, record: Record, group: tuple[Trip, ...]) -> Verdict:
    """The verdict without a quick look; `group` as by `group_of`."""
    match requirement:
        case Trip():
            return judge_trip(requirement, record, group)
        case Limit():
            return judge_limit(requirement, record)
        case Accuracy():
            return judge_accuracy(requirement, record)
        case Cycle():
            return judge_cycle(requirement, record)
        case Sequence():
            return judge_sequence(requirement, record)
        case Invariant():
            return judge_invariant(requirement, record)
        case Goal():
            return judge_goal(requirement, record)
        case Diagnosis():
            return judge_diagnosis(requirement, record, group)


def quick_look(requirement: Requirement) -> _Look:
    """The quick look for one requirement: the full judge's verdict where nothing happened, None elsewhere."""
    match requirement:
        case Trip():
            return quick_trip(requirement)
        case Limit():
            return quick_limit(requirement)
        case Accuracy():
            return quick_accuracy(requirement)
        case Cycle():
            return quick_cycle(requirement)
        case Sequence():
            return quick_sequence(requirement)
        case Invariant():
            return quick_invariant(requirement)
        case Goal():
            return quick_goal(requirement)
        case Diagnosis():
            return quick_diagnosis(requirement)


@dataclass(frozen=True, slots=True, eq=False)
class _Identity:
    """A tuple of requirements told apart by identity: comparing or hashing a hundred models costs more than judging."""

    requirements: tuple[Requirement, ...]

    def __hash__(self) -> int:
        return id(self.requirements)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Identity) and self.requirements is other.requirements


@lru_cache(maxsize=16)
def _plan(identity: _Identity) -> tuple[tuple[Requirement, _Look, tuple[Trip, ...]], ...]:
    return _looks(identity.requirements)


def _looks(requirements: Many[Requirement]) -> tuple[tuple[Requirement, _Look, tuple[Trip, ...]], ...]:
    return tuple((item, quick_look(item), group_of(item, requirements)) for item in requirements)
