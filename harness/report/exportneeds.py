# SPDX-License-Identifier: Apache-2.0
"""The coverage table as needs.json, the exchange format of Sphinx-Needs (`.. needimport:: needs.json`).

Only types and fields that Sphinx-Needs has without configuration are used: a clause is a `req`, a requirement of the
rig a `spec` that links to the clauses it answers for, a verdict a `test` that links to its requirement. `status` is the
verdict. Ids are those of the harness with "_" for "-", as Sphinx-Needs wants them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from harness.report.clauses import reason_text, result_of, rows
from harness.report.text import margin_text

_TYPES = {"req": "Requirement", "spec": "Specification", "test": "Test Case"}


def needs_text(record: Mapping[str, Any], *, created: str, version: str) -> str:
    """The document. `created` is an ISO time, `version` that of the harness: it names the set of needs."""
    needs = {need["id"]: need for need in _needs(record)}
    document = {
        "created": created,
        "current_version": version,
        "project": f"bms-harness {record['rig']}",
        "versions": {version: {"created": created, "needs": needs, "needs_amount": len(needs)}},
    }
    return json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n"


def need_id(name: str, prefix: str = "") -> str:
    """The id of a clause or requirement as Sphinx-Needs accepts it: capitals, digits and "_", five or more."""
    return f"{prefix}{name.replace('-', '_')}".ljust(5, "_")


def _needs(record: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    links: dict[str, list[str]] = {}
    found = list(rows(record))
    for row in found:
        if row.requirement is not None:
            answered = links.setdefault(row.requirement["id"], [])
            answered += [need_id(row.clause["id"])] if row.clause is not None else []
    for clause in {row.clause["id"]: row.clause for row in found if row.clause is not None}.values():
        yield _clause(clause)
    done: set[str] = set()
    for row in found:
        if row.requirement is None or row.requirement["id"] in done:
            continue
        done.add(row.requirement["id"])
        yield _requirement(row.requirement, links[row.requirement["id"]])
        if row.verdict is not None:
            yield _test(row.requirement, row.verdict, record)


def _need(kind: str, identifier: str, title: str, status: str, parts: Iterable[str], **more: Any) -> dict[str, Any]:
    return {
        "id": identifier,
        "type": kind,
        "type_name": _TYPES[kind],
        "title": title,
        "status": status,
        "content": "\n\n".join(_plain(part) for part in parts if part),
        "tags": [],
        "links": [],
        **more,
    }


def _clause(clause: Mapping[str, Any]) -> dict[str, Any]:
    parts = [
        clause["asks"],
        f"Place: {clause['clause']}",
        f"Source: {'; '.join(clause['source'])}",
        f"No requirement with: {'; '.join(clause['missing'])}" if clause["missing"] else "",
        f"Out of reach: {clause['out_of_reach']}" if clause["status"] == "out_of_reach" else "",
    ]
    tags = [clause["status"], *clause["applies_to"], *(["assumption"] if clause["assumption"] else [])]
    return _need("req", need_id(clause["id"]), f"{clause['id']} {clause['title']}", result_of(clause), parts, tags=tags)


def _requirement(known: Mapping[str, Any], links: list[str]) -> dict[str, Any]:
    parts = [f"Kind: {known['kind']}" if "kind" in known else "", f"Source: {'; '.join(known.get('source', ()))}"]
    tags = [*([known["kind"]] if "kind" in known else []), *(["assumption"] if known.get("assumption") else [])]
    title = f"{known['id']} {known.get('title', '')}".strip()
    return _need("spec", need_id(known["id"]), title, "open", parts, tags=tags, links=links)


def _test(known: Mapping[str, Any], verdict: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    parts = [
        f"Exercised: {verdict['must']} times the reaction was demanded, {verdict['must_not']} times none was allowed",
        f"Worst margin: {margin_text(verdict['margin'])}" if verdict["margin"] else "",
        reason_text(verdict),
    ]
    title = f"{known['id']} on {record['rig']}, seed {record['seed']}"
    identifier = need_id(known["id"], "RUN_")
    return _need("test", identifier, title, verdict["outcome"], parts, links=[need_id(known["id"])])


def _plain(text: str) -> str:
    """Text that reStructuredText takes literally: its marks are escaped."""
    return "".join(f"\\{mark}" if mark in "\\*`|_" else mark for mark in " ".join(text.split()))
