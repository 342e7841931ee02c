# SPDX-License-Identifier: Apache-2.0
"""Runs of several rigs in one summary: summary.json, summary.html, junit.xml, and the table for the terminal.

The files are written again after each rig, so that a run that is ended early leaves what is done. The page links to the
reports in the run directories beside it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from harness.errors import HarnessError
from harness.report.clauses import pack_line
from harness.report.evidence import suite_of
from harness.rig.campaign import Campaign
from harness.rig.records import junit_document
from harness.rig.rundir import RunDirectory
from harness.verdict import Outcome, overall

NAME = "summary"
NOT_RUN = "not run"


@dataclass(slots=True)
class Summary:
    """The rigs of one command, in their order; `entries` and `suites` by the name they were called by."""

    names: Sequence[str]
    seed: int
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)
    suites: dict[str, ET.Element] = field(default_factory=dict)
    interrupted: bool = False

    def add(self, name: str, campaign: Campaign, run_dir: str, packs: Sequence[Mapping[str, Any]]) -> None:
        """A rig that was played, or interrupted while it was; `packs` are those of its run record."""
        self.entries[name] = _played(campaign, run_dir, packs)
        self.suites[name] = suite_of(campaign)
        self.interrupted |= campaign.interrupted

    def add_error(self, name: str, error: HarnessError) -> None:
        """A rig that could not be read, built or played."""
        text = str(error)
        self.entries[name] = _empty(name) | {"outcome": Outcome.ERROR.value, "error": text}
        suite = ET.Element("testsuite", name=f"bms-harness {name}", tests="1", errors="1", failures="0", skipped="0")
        case = ET.SubElement(suite, "testcase", classname=name, name="the rig can be run")
        ET.SubElement(case, "error", message=text)
        self.suites[name] = suite

    @property
    def outcome(self) -> Outcome:
        """The worst of the rigs that were played."""
        return overall(Outcome(entry["outcome"]) for entry in self.entries.values())

    def record(self, duration_s: float) -> dict[str, Any]:
        """The JSON document. A rig that was not reached has the outcome null."""
        return {
            "outcome": self.outcome.value,
            "interrupted": self.interrupted,
            "seed": self.seed,
            "duration_s": duration_s,
            "rigs": [self.entries.get(name, _empty(name)) for name in self.names],
        }

    def write(self, directory: RunDirectory, duration_s: float) -> dict[str, Any]:
        """All three files as things stand, and the document."""
        record = self.record(duration_s) | {"summary_dir": str(directory.path)}
        text = json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2) + "\n"
        directory.write_text(f"{NAME}.json", text)
        suites = ET.Element("testsuites", name="bms-harness")
        suites.extend(self.suites[name] for name in self.names if name in self.suites)
        directory.write_junit(junit_document(suites))
        directory.write_text(f"{NAME}.html", _page(record))
        return record


def _empty(name: str) -> dict[str, Any]:
    return {
        "rig": name.rpartition("/")[2].removesuffix(".toml"),
        "title": "",
        "outcome": None,
        "passed": 0,
        "requirements": 0,
        "scenarios": 0,
        "duration_s": 0.0,
        "tightest": None,
        "interrupted": False,
        "failed": [],
        "packs": [],
        "error": "",
        "run_dir": None,
    }


def _played(campaign: Campaign, run_dir: str, packs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    verdicts = campaign.verdicts
    replay = {finding.requirement: finding.replay for finding in campaign.findings}
    return {
        "rig": campaign.rig.name,
        "title": campaign.rig.title,
        "outcome": campaign.outcome.value,
        "passed": sum(verdict.outcome is Outcome.PASS for verdict in verdicts),
        "requirements": len(verdicts),
        "scenarios": campaign.cases,
        "duration_s": campaign.duration_s,
        "tightest": _tightest(campaign),
        "interrupted": campaign.interrupted,
        "failed": [
            {
                "requirement": v.requirement,
                "outcome": v.outcome.value,
                "reason": v.reason,
                "replay": replay.get(v.requirement, ""),
            }
            for v in verdicts
            if v.outcome is not Outcome.PASS
        ],
        "packs": [pack_line(pack) for pack in packs],
        "error": next((case.error for case in campaign.errors), ""),
        "run_dir": run_dir,
    }


def _tightest(campaign: Campaign) -> dict[str, Any] | None:
    """The smallest margin in time of a protection: what kept the reaction furthest from its budget."""
    trips = {requirement.id for requirement in campaign.requirements if requirement.kind == "trip"}
    margins = [
        (v.margin["ms"], v.requirement) for v in campaign.verdicts if v.requirement in trips and "ms" in v.margin
    ]
    if not margins:
        return None
    value, name = min(margins)
    return {"requirement": name, "ms": value}


def cells(entry: Mapping[str, Any]) -> tuple[str, ...]:
    """A rig as printed: name, verdict, requirements, scenarios, time, tightest trip, title or what is wrong."""
    tightest = entry["tightest"]
    played = entry["scenarios"] or entry["requirements"]
    return (
        entry["rig"],
        entry["outcome"] or NOT_RUN,
        f"{entry['passed']}/{entry['requirements']}" if played else "–",
        str(entry["scenarios"]) if played else "–",
        f"{entry['duration_s']:.1f} s" if played else "–",
        f"{tightest['ms']:.0f} ms {tightest['requirement']}" if tightest else "–",
        f"{entry['title']}{' (interrupted)' if entry['interrupted'] else ''}"
        or ("cannot be run: see below" if entry["error"] else ""),
    )


HEADINGS = ("rig", "verdict", "requirements", "scenarios", "time", "tightest trip", "title")


def _page(record: Mapping[str, Any]) -> str:
    import jinja2  # noqa: PLC0415 - slow to import, and only for pages

    package = resources.files("harness.report")
    environment = jinja2.Environment(
        autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined
    )
    template = environment.from_string((package / "summary.html.j2").read_text(encoding="utf-8"))
    return template.render(
        record=record,
        headings=HEADINGS,
        rows=[(entry, cells(entry), Path(entry["run_dir"] or "").name) for entry in record["rigs"]],
        style_css=(package / "report.css").read_text(encoding="utf-8"),
    )
