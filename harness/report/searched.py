# SPDX-License-Identifier: Apache-2.0
"""The part of a report about the search itself: coverage of the fault space, statistics, worth of each requirement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.report.killmatrix import fired_text
from harness.verdict import Verdict

_HASH_SHOWN = 12


@dataclass(frozen=True, slots=True)
class MapCell:
    """One kind of fault in one operating state. `tone` 0 = nothing played to 4 = everything; -1 = cannot be played."""

    text: str
    tone: int


@dataclass(frozen=True, slots=True)
class Worth:
    """One requirement: what exercised it, and which seeded defects it killed. `status` "" = no kill matrix is there."""

    requirement: str
    must: int
    must_not: int
    fired: str
    kills: str
    only: str
    status: str


@dataclass(frozen=True, slots=True)
class Searched:
    """What the report says of the search. Empty parts are left out."""

    states: Sequence[str]
    rows: Sequence[tuple[str, Sequence[MapCell]]]
    shares: Sequence[tuple[str, str]]
    total: str
    sentence: str
    worth: Sequence[Worth]
    matrix: str


def searched_of(record: Mapping[str, Any], verdicts: Mapping[str, Verdict]) -> Searched:
    """From a run.json document; one of an older harness has none of it."""
    coverage: Mapping[str, Any] = record.get("coverage") or {}
    matrix: Mapping[str, Any] = record.get("kill_matrix") or {}
    return Searched(
        states=coverage.get("states", ()),
        rows=[(row["kind"], [_cell(cell) for cell in row["cells"]]) for row in coverage.get("map", ())],
        shares=[
            (name, ", ".join(f"{value} {done}/{of}" for value, (done, of) in values.items()))
            for name, values in coverage.get("by", {}).items()
        ],
        total=coverage_text(coverage),
        sentence=(record.get("statistics") or {}).get("sentence", ""),
        worth=_worth(record.get("exercised_by", {}), matrix, verdicts),
        matrix=_matrix_text(matrix, record),
    )


def coverage_text(coverage: Mapping[str, Any]) -> str:
    """How much of the fault space was played, in words; "" without a record of it."""
    if not coverage:
        return ""
    share = 100.0 * coverage["covered"] / max(coverage["reachable"], 1)
    return f"{coverage['covered']} of {coverage['reachable']} bins of the fault space ({share:.0f} %)"


def _cell(cell: Sequence[int] | None) -> MapCell:
    if cell is None:
        return MapCell("", -1)
    done, of = cell
    return MapCell(f"{done}/{of}", -(-4 * done // of))


def _worth(
    fired: Mapping[str, Mapping[str, int]], matrix: Mapping[str, Any], verdicts: Mapping[str, Verdict]
) -> list[Worth]:
    if not fired and not matrix:
        return []
    known = {item["requirement"]: item for item in matrix.get("vacuity", ())}
    rows = []
    for name, verdict in verdicts.items():
        item: Mapping[str, Any] = known.get(name, {})
        kills, only = (", ".join(map(str, item.get(key, ()))) for key in ("kills", "only"))
        exercised = verdict.exercised
        by = fired_text(fired.get(name, {}))
        rows.append(Worth(name, exercised.must, exercised.must_not, by, kills, only, item.get("status", "")))
    return rows


def _matrix_text(matrix: Mapping[str, Any], record: Mapping[str, Any]) -> str:
    """Which kill matrix this is, and whether it was made with the same firmware."""
    if not matrix:
        return "No kill matrix is there: `bms-harness defects` makes one."
    build = str(matrix["product_sha256"])
    same = record.get("header", {}).get("firmware_sha256") == build
    stale = "" if same else " It is of another build of the firmware: play the defects again."
    return f"Kills are those of the kill matrix of {matrix['date']}, build {build[:_HASH_SHOWN]}.{stale}"
