# SPDX-License-Identifier: Apache-2.0
"""What a run on a bench leaves in its run directory. Figures are drawn as it goes: a bench run cannot be repeated.

results.jsonl (a line a scenario, with overruns), cases/ (the telling run of each requirement), traces/ (what failed or
broke off), trace.npz (the first run), run.json, junit.xml, report.html. bus.blf is the live recording of the whole run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from harness import trace as traces
from harness.bench.campaign import LeftOut
from harness.bench.file import Bench
from harness.report.evidence import CASES, write_report
from harness.report.figure import figure_json, figure_of
from harness.requirements.model import Requirement
from harness.rig.clauses import clauses_record
from harness.rig.records import case_record, frames_record, junit_xml, run_record, verdict_record
from harness.rig.rundir import RunDirectory
from harness.rig.session import Run
from harness.rig.tally import Tally
from harness.scenario import dump_scenario
from harness.search.runner import Case
from harness.verdict import Outcome, Verdict, overall

_KEPT = (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE)  # outcomes whose traces are kept
_MAX_TRACES = 50


class BenchEvidence:
    """Keeps what matters of each run while the bench goes on."""

    def __init__(
        self, bench: Bench, directory: RunDirectory, requirements: Sequence[Requirement], tally: Tally
    ) -> None:
        self._bench = bench
        self._directory = directory
        self._requirements = {requirement.id: requirement for requirement in requirements}
        self._tally = tally
        self._header: Mapping[str, Any] = {}
        self._frames: dict[str, int] = {}
        self._overruns = 0
        self._traces = 0
        self._cases: dict[str, str] = {}

    def add(self, run: Run) -> None:
        """One run, which is in the tally already."""
        header = run.trace.header
        overruns = int(header.get("overruns", 0))
        self._overruns += overruns
        record = case_record(Case(run.scenario, run.verdicts, run.error, run.trace.faults))
        self._directory.append({"phase": "bench", **record, "seconds": round(run.seconds, 3), "overruns": overruns})
        if not self._header:
            self._header, self._frames = dict(header), frames_record(run)
            self._directory.write_scenario(run.scenario)
            self._directory.write_trace_only(run.trace)
        if run.error or any(verdict.outcome in _KEPT for verdict in run.verdicts):
            self._keep_trace(run)
        if not run.error:
            self._keep_cases(run)

    def _keep_trace(self, run: Run) -> None:
        if self._traces >= _MAX_TRACES:
            return
        self._traces += 1
        self._directory.write_scenario(run.scenario, f"traces/{self._traces:03d}.toml")
        traces.save(run.trace, self._directory.path / "traces" / f"{self._traces:03d}.npz")

    def _keep_cases(self, run: Run) -> None:
        """The figure of each requirement for which this run is the most telling so far."""
        for name, witness in self._tally.worst().items():
            if witness.scenario is not run.scenario or name not in self._requirements:
                continue
            verdict = next(item for item in run.verdicts if item.requirement == name)
            if verdict.outcome is Outcome.NOT_EXERCISED:
                continue
            path = self._directory.write_scenario(run.scenario, f"{CASES}/{name}.toml")
            document = {
                "figure": figure_json(
                    figure_of(self._requirements[name], verdict, run.observation, run.scenario.title)
                ),
                "verdict": verdict_record(verdict),
                "replay": f"bms-harness run {self._bench.path} --scenario {path}",
                "scenario": dump_scenario(run.scenario),
            }
            self._cases[name] = f"{CASES}/{name}.json"
            self._directory.write_text(self._cases[name], json.dumps(document, ensure_ascii=False, allow_nan=False))

    def finish(
        self,
        verdicts: Sequence[Verdict],
        *,
        duration_s: float,
        interrupted: bool,
        left_out: Sequence[LeftOut],
        failure: str,
    ) -> dict[str, Any]:
        """run.json, JUnit and the report; returns the run.json document."""
        rig = self._bench.rig
        errors = [case.error for case in self._tally.errors] or ([failure] if failure else [])
        outcome = overall([*(verdict.outcome for verdict in verdicts), *([Outcome.ERROR] if errors else [])])
        more = {
            "outcome": outcome.value,
            "bench": str(self._bench.path),
            "rig_file": str(rig.path),
            "title": self._bench.file.title,
            "interrupted": interrupted,
            "scenarios": self._tally.cases,
            "left_out": [asdict(item) for item in left_out],
            "overruns": self._overruns,
            "errors": errors,
            "cases": list(self._cases.values()),
            "header": dict(self._header),
            "frames": self._frames,
            "notes": self._notes(left_out),
            **clauses_record(rig, verdicts),
        }
        record = run_record(
            rig=rig.name, verdicts=verdicts, seed=1, duration_s=duration_s, run_dir=str(self._directory.path), more=more
        )
        self._directory.write_run(record)
        titles = {name: requirement.title for name, requirement in self._requirements.items()}
        junit = junit_xml(rig.name, verdicts, titles=titles, replay={}, duration_s=duration_s)
        self._directory.write_junit(junit)
        write_report(self._directory.path, record, rig)
        return record

    def _notes(self, left_out: Sequence[LeftOut]) -> list[str]:
        notes = [f"Played on the bench {self._bench.path.name}: {self._bench.file.title}; bus.blf has the whole run."]
        if self._overruns:
            notes.append(f"{self._overruns} ticks were late by more than {self._bench.file.timing.overrun_ms:g} ms.")
        if left_out:
            notes.append(f"{len(left_out)} scenarios were left out: {left_out[0].title}: {left_out[0].why}, ...")
        return notes
