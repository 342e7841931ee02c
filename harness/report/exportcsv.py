# SPDX-License-Identifier: Apache-2.0
"""The coverage table as CSV (RFC 4180, UTF-8, a heading line): a row for each clause with each of its requirements.

A clause without a requirement has a row of its own, and so has a requirement that no clause names.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Any

from harness.report.clauses import Row, reason_text, rows
from harness.report.text import margin_text

COLUMNS = (
    "rig", "pack", "norm", "clause_id", "clause", "clause_title", "clause_asks", "clause_source", "clause_assumption",
    "applies_to", "clause_status", "clause_verdict", "missing", "out_of_reach", "requirement", "kind",
    "requirement_title", "requirement_source", "requirement_assumption", "verdict", "must", "must_not", "worst_margin",
    "reason",
)  # fmt: skip
_FORMULA_STARTS = ("=", "+", "-", "@")


def csv_text(record: Mapping[str, Any]) -> str:
    """The document. Texts that a spreadsheet would take for a formula get an apostrophe before them."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, restval="")
    writer.writeheader()
    for row in rows(record):
        cells = {"rig": record["rig"], **_clause(row), **_requirement(row)}
        writer.writerow({name: _harmless(value) for name, value in cells.items()})
    return stream.getvalue()


def _clause(row: Row) -> dict[str, Any]:
    if row.clause is None or row.pack is None:
        return {}
    clause = row.clause
    return {
        "pack": row.pack["title"],
        "norm": row.pack["norm"],
        "clause_id": clause["id"],
        "clause": clause["clause"],
        "clause_title": clause["title"],
        "clause_asks": clause["asks"],
        "clause_source": "; ".join(clause["source"]),
        "clause_assumption": _yes(clause["assumption"]),
        "applies_to": " ".join(clause["applies_to"]),
        "clause_status": clause["status"],
        "clause_verdict": clause["outcome"] or "",
        "missing": "; ".join(clause["missing"]),
        "out_of_reach": clause["out_of_reach"] or "",
    }


def _requirement(row: Row) -> dict[str, Any]:
    if row.requirement is None:
        return {}
    known, verdict = row.requirement, row.verdict or {}
    return {
        "requirement": known["id"],
        "kind": known.get("kind", ""),
        "requirement_title": known.get("title", ""),
        "requirement_source": "; ".join(known.get("source", ())),
        "requirement_assumption": _yes(known["assumption"]) if "assumption" in known else "",
        "verdict": verdict.get("outcome", "NOT_JUDGED"),
        "must": verdict.get("must", ""),
        "must_not": verdict.get("must_not", ""),
        "worst_margin": margin_text(verdict["margin"]) if verdict.get("margin") else "",
        "reason": reason_text(verdict),
    }


def _yes(value: bool) -> str:  # noqa: FBT001 - a word for a boolean
    return "yes" if value else "no"


def _harmless(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA_STARTS) else value
