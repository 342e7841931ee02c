# SPDX-License-Identifier: Apache-2.0
"""Verdicts as the JSON documents scripts rely on (design section 5.5), and as JUnit XML."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

from harness.search.runner import Case
from harness.verdict import Exercised, Outcome, Verdict, overall

if TYPE_CHECKING:
    from harness.rig.session import Run

_BAD = (Outcome.FAIL, Outcome.ERROR)


def verdict_record(verdict: Verdict) -> dict[str, Any]:
    """One verdict as JSON. `exercised` counts both sides, `must` and `must_not` each of them."""
    return {
        "requirement": verdict.requirement,
        "outcome": verdict.outcome.value,
        "exercised": verdict.exercised.must + verdict.exercised.must_not,
        "must": verdict.exercised.must,
        "must_not": verdict.exercised.must_not,
        "margin": {unit: float(value) for unit, value in verdict.margin.items() if math.isfinite(value)},
        "reason": verdict.reason,
        "at_s": verdict.at_s,
    }


def verdict_from_record(record: Mapping[str, Any]) -> Verdict:
    """The inverse of `verdict_record`. Raises KeyError or ValueError for something else."""
    return Verdict(
        requirement=record["requirement"],
        outcome=Outcome(record["outcome"]),
        exercised=Exercised(record["must"], record["must_not"]),
        margin=dict(record["margin"]),
        reason=record["reason"],
        at_s=record["at_s"],
    )


def run_record(
    *,
    rig: str,
    verdicts: Sequence[Verdict],
    seed: int,
    duration_s: float,
    run_dir: str | None,
    more: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The document of run, inject, replay and judge. `duration_s` is the time the work took."""
    return {
        "outcome": overall(verdict.outcome for verdict in verdicts).value,
        "rig": rig,
        "seed": seed,
        "duration_s": duration_s,
        "verdicts": [verdict_record(verdict) for verdict in verdicts],
        "run_dir": run_dir,
        **(more or {}),
    }


def frames_record(run: Run) -> dict[str, int]:
    """What became of the frames of a run: "frames" in all, and how many were decoded or why not."""
    counts = run.observation.decoded.counts
    return {"frames": len(run.trace.frames)} | {name: getattr(counts, name) for name in counts.__dataclass_fields__}


def frames_note(frames: Mapping[str, int]) -> str:
    """One sentence on frames that were not decoded in full, "" when there is none."""
    odd = [f"{n} {name.replace('_', ' ')}" for name, n in frames.items() if n and name not in {"frames", "decoded"}]
    return f"of {frames['frames']} frames: {', '.join(odd)}; kept in the recording" if odd else ""


def case_record(case: Case) -> dict[str, Any]:
    """One line of results.jsonl: the scenario itself only where something was wrong."""
    bad = [verdict for verdict in case.verdicts if verdict.outcome in _BAD]
    seen = {verdict.outcome for verdict in case.verdicts} - {Outcome.NOT_EXERCISED}
    outcome = Outcome.ERROR if case.error else overall(seen)
    record: dict[str, Any] = {"title": case.scenario.title, "outcome": outcome.value}
    if bad or case.error:
        record["error"] = case.error
        record["verdicts"] = [verdict_record(verdict) for verdict in bad if not case.error]
        record["scenario"] = case.scenario.model_dump(mode="json", exclude_defaults=True)
    return record


def to_json(record: Mapping[str, Any]) -> str:
    """One line of strict JSON: no NaN, no line break inside."""
    return json.dumps(record, ensure_ascii=False, allow_nan=False)


def junit_xml(
    rig: str, verdicts: Iterable[Verdict], *, titles: Mapping[str, str], replay: Mapping[str, str], duration_s: float
) -> bytes:
    """The JUnit document of one rig, see `junit_suite`."""
    return junit_document(junit_suite(rig, verdicts, titles=titles, replay=replay, duration_s=duration_s))


def junit_document(root: ET.Element) -> bytes:
    """A suite, or a `testsuites` element with several, as the bytes of a file."""
    ET.indent(root)
    document: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
    return document


def junit_suite(
    rig: str, verdicts: Iterable[Verdict], *, titles: Mapping[str, str], replay: Mapping[str, str], duration_s: float
) -> ET.Element:
    """A JUnit suite: one test case a requirement, margins as properties, the replay command in the failure text.

    What was not judged (INCONCLUSIVE, NOT_EXERCISED) is reported as skipped: most readers know no third outcome.
    """
    suite = ET.Element("testsuite", name=f"bms-harness {rig}", time=f"{duration_s:.3f}")
    counts = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for verdict in verdicts:
        title = titles.get(verdict.requirement, "")
        case = ET.SubElement(suite, "testcase", classname=rig, name=f"{verdict.requirement} {title}".strip())
        _properties(case, verdict)
        counts["tests"] += 1
        tag, counter = _JUNIT_TAGS.get(verdict.outcome, ("", ""))
        if tag:
            counts[counter] += 1
            command = replay.get(verdict.requirement, "")
            node = ET.SubElement(case, tag, message=f"{verdict.outcome.value}: {verdict.reason}")
            node.text = f"repeat with: {command}" if command else None
    suite.attrib.update({name: str(count) for name, count in counts.items()})
    return suite


_JUNIT_TAGS = {
    Outcome.FAIL: ("failure", "failures"),
    Outcome.ERROR: ("error", "errors"),
    Outcome.INCONCLUSIVE: ("skipped", "skipped"),
    Outcome.NOT_EXERCISED: ("skipped", "skipped"),
}


def _properties(case: ET.Element, verdict: Verdict) -> None:
    properties = ET.SubElement(case, "properties")
    ET.SubElement(properties, "property", name="requirement", value=verdict.requirement)
    ET.SubElement(properties, "property", name="outcome", value=verdict.outcome.value)
    ET.SubElement(properties, "property", name="exercised_must", value=str(verdict.exercised.must))
    ET.SubElement(properties, "property", name="exercised_must_not", value=str(verdict.exercised.must_not))
    for unit, value in sorted(verdict.margin.items()):
        ET.SubElement(properties, "property", name=f"margin_{unit}", value=f"{value:.6g}")
