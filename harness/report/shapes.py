# SPDX-License-Identifier: Apache-2.0
"""JSON documents of the listing commands and of time lines (design section 5.5). Keys may be added, never renamed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from harness.report.timeline import Entry
from harness.requirements.model import Requirement


def timeline_json(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """The time line of inject and replay."""
    return [
        {"t_s": round(entry.t_s, 6), "event": entry.event, "budget": entry.budget, "within": entry.within}
        for entry in entries
    ]


def requirements_json(requirements: Sequence[Requirement]) -> dict[str, Any]:
    """The document of requirements."""
    return {
        "requirements": [
            {
                "id": requirement.id,
                "kind": requirement.kind,
                "title": requirement.title,
                "source": list(requirement.source),
                "assumption": requirement.assumption,
            }
            for requirement in requirements
        ]
    }
