# SPDX-License-Identifier: Apache-2.0
"""What a campaign leaves in its run directory: run.json, JUnit, the cases that matter with their figures, the report.

Each requirement's telling scenario (failing, or tightest) is played once more with everything kept: runs are
deterministic, so the figure shows exactly what was judged. The report is made from the files alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

from harness.errors import HarnessError, Problem, RigError
from harness.report.figure import figure_json, figure_of
from harness.report.html import Case, ReportData, write
from harness.report.searched import searched_of
from harness.requirements.model import Requirement
from harness.rig import find_rig, load_rig
from harness.rig.campaign import Campaign, replay_command
from harness.rig.clauses import clauses_record
from harness.rig.file import Rig
from harness.rig.killrecord import load_matrix
from harness.rig.records import (
    frames_note,
    frames_record,
    junit_document,
    junit_suite,
    run_record,
    verdict_from_record,
    verdict_record,
)
from harness.rig.rundir import RunDirectory, load_run
from harness.rig.session import Run, Session
from harness.scenario import Scenario, dump_scenario
from harness.verdict import Outcome

CASES = "cases"
_SHOWN_CHARACTERS = 16  # of a hash: enough to compare by eye; run.json has all of it


def write_evidence(campaign: Campaign, directory: RunDirectory) -> dict[str, Any]:
    """Write everything below the run directory and return the run.json document."""
    record = run_record(
        rig=campaign.rig.name,
        verdicts=campaign.verdicts,
        seed=campaign.seed,
        duration_s=campaign.duration_s,
        run_dir=str(directory.path),
        more=_more(campaign, directory.path.parent),
    )
    directory.write_run(record)  # first, so that an interrupted report leaves the verdicts
    directory.write_junit(junit_document(suite_of(campaign)))
    record |= _keep_cases(campaign, directory)
    directory.write_run(record)
    write_report(directory.path, record, campaign.rig)
    return record


def suite_of(campaign: Campaign) -> Element:
    """The JUnit suite of a campaign."""
    replay = {finding.requirement: finding.replay for finding in campaign.findings}
    titles = {requirement.id: requirement.title for requirement in campaign.requirements}
    return junit_suite(
        campaign.rig.name, campaign.verdicts, titles=titles, replay=replay, duration_s=campaign.duration_s
    )


def _more(campaign: Campaign, folder: Path) -> dict[str, Any]:
    return {
        "outcome": campaign.outcome.value,
        "interrupted": campaign.interrupted,
        "scenarios": campaign.cases,
        "rig_file": str(campaign.rig.path),
        "title": campaign.rig.title,
        "failures": [
            {
                "requirement": finding.requirement,
                "reason": finding.verdict.reason,
                "actions": len(finding.scenario.action),
                "scenario": str(finding.path) if finding.path else None,
                "replay": finding.replay,
            }
            for finding in campaign.findings
        ],
        "errors": [case.error for case in campaign.errors],
        "unfinished": list(campaign.notes),
        "exercised_by": {name: dict(fired) for name, fired in campaign.fired.items()},
        "coverage": campaign.coverage,
        "statistics": campaign.rate.record() if campaign.rate is not None else None,
        "kill_matrix": _kill_matrix(campaign.rig, folder),
        **clauses_record(campaign.rig, campaign.verdicts),
    }


def _kill_matrix(rig: Rig, folder: Path) -> dict[str, Any] | None:
    """What is needed of the last kill matrix of this rig, when `bms-harness defects` left one beside the runs."""
    record = load_matrix(folder, rig.name)
    return None if record is None else {key: record[key] for key in ("date", "product_sha256", "vacuity")}


def _keep_cases(campaign: Campaign, directory: RunDirectory) -> dict[str, Any]:
    """Play each telling scenario again and keep a figure of each requirement in it; failing ones come first."""
    failed = [finding.requirement for finding in campaign.findings if finding.requirement]
    chosen = {finding.requirement: finding.scenario for finding in campaign.findings if finding.requirement}
    chosen |= {name: w.scenario for name, w in campaign.worst.items() if name not in chosen}
    by_scenario: dict[Scenario, list[str]] = {}
    for name in sorted(chosen, key=lambda name: name not in failed):
        by_scenario.setdefault(chosen[name], []).append(name)
    kept: list[str] = []
    header: dict[str, Any] = {}
    frames: dict[str, int] = {}
    try:
        with Session(campaign.rig) as session:
            for scenario, names in by_scenario.items():
                run = session.run(scenario)
                if not kept:
                    header, frames = dict(run.trace.header), frames_record(run)
                    directory.write_scenario(scenario)
                    directory.write_trace(run.trace)
                wanted = [requirement for requirement in campaign.requirements if requirement.id in names]
                kept += [_write_case(r, run, scenario, directory, f"{CASES}/{r.id}") for r in wanted]
    except HarnessError as error:  # firmware that breaks again: the verdicts stand without pictures
        return {"cases": kept, "header": header, "frames": frames, "notes": [f"figures are missing: {error}"]}
    note = frames_note(frames) if frames else ""
    return {"cases": kept, "header": header, "frames": frames, "notes": [f"trace.npz, {note}"] if note else []}


def _write_case(requirement: Requirement, run: Run, scenario: Scenario, directory: RunDirectory, name: str) -> str:
    path = directory.write_scenario(scenario, f"{name}.toml")
    verdict = next(v for v in run.verdicts if v.requirement == requirement.id)
    document = {
        "figure": figure_json(figure_of(requirement, verdict, run.observation, scenario.title)),
        "verdict": verdict_record(verdict),
        "replay": replay_command(path),
        "scenario": dump_scenario(scenario),
    }
    directory.write_text(f"{name}.json", json.dumps(document, ensure_ascii=False, allow_nan=False))
    return f"{name}.json"


def write_report(folder: Path, record: Mapping[str, Any], rig: Rig) -> Path:
    """report.html from what the run directory holds. Raises RigError when a kept case is not readable."""
    verdicts = {item["requirement"]: verdict_from_record(item) for item in record["verdicts"]}
    notes = ["This run was interrupted: verdicts cover what was finished."] if record.get("interrupted") else []
    notes += [
        *record.get("notes", ()),
        *record.get("unfinished", ()),
        *(f"ERROR: {text}" for text in record.get("errors", ())),
    ]
    data = ReportData(
        title=rig.title,
        outcome=Outcome(record["outcome"]),
        facts=_facts(record, folder),
        requirements=[requirement for requirement in rig.requirements if requirement.id in verdicts],
        verdicts=verdicts,
        cases=[_load_case(folder / name) for name in record.get("cases", ()) if (folder / name).is_file()],
        notes=notes,
        searched=searched_of(record, verdicts),
        packs=record.get("packs", ()),
    )
    path = folder / "report.html"
    write(data, path)
    return path


def _load_case(path: Path) -> Case:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        verdict = verdict_from_record(document["verdict"])
        return Case(document["figure"], verdict, document["replay"], document["scenario"])
    except (OSError, ValueError, KeyError) as error:
        raise RigError([Problem(str(path), 0, "", str(error), "a case written by bms-harness run")]) from error


def _facts(record: Mapping[str, Any], folder: Path) -> list[tuple[str, str]]:
    facts = [
        ("rig", str(record["rig"])),
        ("seed", str(record["seed"])),
        ("scenarios", str(record.get("scenarios", 1))),
        ("wall-clock time", f"{record['duration_s']:.1f} s"),
        ("run directory", folder.name),
    ]
    header = {key: value for key, value in record.get("header", {}).items() if key not in {"rig", "seed", "scenario"}}
    return facts + [(_label(key), str(value)[:_SHOWN_CHARACTERS]) for key, value in header.items()]


def _label(key: str) -> str:
    name, suffix, rest = key.rpartition("_s")
    return (f"{name} [s]" if suffix and not rest else key).replace("_", " ")


def rewrite_report(folder: Path) -> Path:
    """The report of a run directory again. Raises UsageError or RigError when it cannot be read."""
    record = load_run(folder)
    return write_report(folder, record, load_rig(find_rig(str(record.get("rig_file", record["rig"])))))
