# SPDX-License-Identifier: Apache-2.0
"""One self-contained HTML file: verdicts with sources and margins, and the plots of the cases that matter."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import jinja2

from harness.report.clauses import STATUS_WORDS, pack_line
from harness.report.searched import Searched
from harness.report.text import margin_text
from harness.requirements.model import Requirement
from harness.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Case:
    """One plotted case: what `figure_json` made of it, its verdict and the command that repeats it."""

    figure: Mapping[str, Any]
    verdict: Verdict
    replay: str
    scenario: str


@dataclass(frozen=True, slots=True)
class ReportData:
    """What a report shows. `facts` are header lines in order: name and text; `packs` those of the run record."""

    title: str
    outcome: Outcome
    facts: Sequence[tuple[str, str]]
    requirements: Sequence[Requirement]
    verdicts: Mapping[str, Verdict]
    cases: Sequence[Case]
    notes: Sequence[str] = ()
    searched: Searched | None = None
    packs: Sequence[Mapping[str, Any]] = ()


def render(data: ReportData) -> str:
    """The HTML text. Everything inlined; opening it needs no network."""
    package = resources.files("harness.report")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["margin"] = margin_text
    environment.filters["pack_line"] = pack_line
    template = environment.from_string((package / "report.html.j2").read_text(encoding="utf-8"))
    counts = {outcome: sum(v.outcome is outcome for v in data.verdicts.values()) for outcome in Outcome}
    return template.render(
        data=data,
        rows=[(requirement, data.verdicts[requirement.id]) for requirement in data.requirements],
        counts=[(outcome.value, count) for outcome, count in counts.items()],
        status_words=STATUS_WORDS,
        figures=[_embed(case.figure) for case in data.cases],
        uplot_js=(package / "vendor" / "uPlot.iife.min.js").read_text(encoding="utf-8"),
        uplot_css=(package / "vendor" / "uPlot.min.css").read_text(encoding="utf-8"),
        plot_js=(package / "report.js").read_text(encoding="utf-8"),
        style_css=(package / "report.css").read_text(encoding="utf-8"),
    )


def write(data: ReportData, path: Path) -> None:
    """Render to a file, complete or absent."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(render(data), encoding="utf-8")
    partial.replace(path)


def _embed(data: object) -> str:
    """JSON that cannot end the script element it stands in."""
    return json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
