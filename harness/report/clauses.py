# SPDX-License-Identifier: Apache-2.0
"""Clause by requirement by verdict, from a run record: lines for the terminal, sections for the report, rows to export.

A record without packs (a rig that names none) has requirements only; an older one, or one of another command, is
completed from the rig as it is now.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import HarnessError
from harness.report.text import count_text

STATUS_WORDS: Mapping[str, str] = {
    "covered": "covered",
    "partial": "partly covered",
    "gap": "gap",
    "not_applicable": "does not apply",
    "out_of_reach": "out of reach",
}
_SHOWN = ("PASS", "FAIL", "ERROR", "INCONCLUSIVE", "NOT_EXERCISED")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a clause with one of its requirements, or either of them alone."""

    pack: Mapping[str, Any] | None
    clause: Mapping[str, Any] | None
    requirement: Mapping[str, Any] | None
    verdict: Mapping[str, Any] | None


def completed(record: Mapping[str, Any]) -> tuple[dict[str, Any], str]:
    """The record with requirements and packs, and a note, "" when the record had them itself.

    Without a rig that can be read, ids and verdicts stand alone.
    """
    if "packs" in record and "requirements" in record:
        return dict(record), ""
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - only for records that need it
    from harness.rig.clauses import clauses_record  # noqa: PLC0415 - see above
    from harness.rig.records import verdict_from_record  # noqa: PLC0415 - see above

    verdicts = [verdict_from_record(item) for item in record["verdicts"]]
    for name in (record.get("rig_file"), record.get("rig")):
        try:
            rig = load_rig(find_rig(str(name)))
            note = f"titles and clauses are those of {rig.name} as it is now: the run record has none"
            return {**record, **clauses_record(rig, verdicts)}, note
        except HarnessError:
            continue
    note = f"no titles and no clauses: the run record has none, and its rig '{record.get('rig')}' cannot be read"
    return {**record, "requirements": [], "applications": [], "packs": []}, note


def rows(record: Mapping[str, Any]) -> Iterator[Row]:
    """Every clause with every requirement of it, then the requirements that no clause names, as the rig has them."""
    known = {item["id"]: item for item in record["requirements"]}
    verdicts = {item["requirement"]: item for item in record["verdicts"]}
    named: set[str] = set()
    for pack in record["packs"]:
        for clause in pack["clauses"]:
            named.update(clause["requirements"])
            for name in clause["requirements"]:
                yield Row(pack, clause, known.get(name), verdicts.get(name))
            if not clause["requirements"]:
                yield Row(pack, clause, None, None)
    for name in dict.fromkeys((*known, *verdicts)):
        if name not in named:
            yield Row(None, None, known.get(name, {"id": name}), verdicts.get(name))


def result_of(clause: Mapping[str, Any]) -> str:
    """One word for a clause: its verdict, or why it has none. A clause that is only partly covered says so."""
    if clause["outcome"] is None:
        return STATUS_WORDS[clause["status"]]
    part = f" ({STATUS_WORDS['partial']})" if clause["status"] == "partial" else ""
    return f"{clause['outcome']}{part}"


def answer_text(clause: Mapping[str, Any]) -> str:
    """What answers for a clause, or why nothing does."""
    if clause["status"] == "not_applicable":
        return f"for {', '.join(clause['applies_to'])}"
    if clause["status"] == "out_of_reach":
        return str(clause["out_of_reach"])
    missing = f"no requirement with {'; '.join(clause['missing'])}" if clause["missing"] else ""
    return "; ".join(part for part in (", ".join(clause["requirements"]), missing) if part)


def reason_text(verdict: Mapping[str, Any]) -> str:
    """Why a verdict is not a PASS; of a PASS it is only how one scenario of many went, so nothing."""
    return "" if verdict.get("outcome", "PASS") == "PASS" else str(verdict["reason"])


def pack_line(pack: Mapping[str, Any]) -> str:
    """A pack in one sentence: "UN R100.03: 9 of 11 clauses PASS, 1 partly covered, 1 gap, 5 out of reach"."""
    clauses = pack["clauses"]
    asked = [clause for clause in clauses if clause["status"] in ("covered", "partial", "gap")]
    passed = sum(clause["outcome"] == "PASS" and clause["status"] == "covered" for clause in asked)
    parts = [f"{passed} of {count_text(len(asked), 'clause')} PASS"]
    counts = Counter(clause["outcome"] for clause in asked if clause["outcome"] not in ("PASS", None))
    parts += [f"{counts[outcome]} {outcome}" for outcome in _SHOWN if counts[outcome]]
    states = Counter(clause["status"] for clause in clauses)
    parts += [f"{states['partial']} partly covered"] if states["partial"] else []
    parts += [count_text(states["gap"], "gap")] if states["gap"] else []
    parts += [f"{states[state]} {STATUS_WORDS[state]}" for state in ("not_applicable", "out_of_reach") if states[state]]
    return f"{pack['norm']}: {', '.join(parts)}"


def gap_lines(packs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What has no requirement, clause by clause."""
    return [
        f"{STATUS_WORDS[clause['status']]} {clause['id']} {clause['title']}: no requirement with {'; '.join(missing)}"
        for pack in packs
        for clause in pack["clauses"]
        if clause["status"] in ("gap", "partial") and (missing := clause["missing"])
    ]
