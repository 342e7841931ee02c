# SPDX-License-Identifier: Apache-2.0
"""What worker processes and their parent say to each other: one JSON document a line, nothing that can be executed."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.scenario import Scenario
from harness.search.runner import Case
from harness.trace import FaultRecord
from harness.verdict import Exercised, Outcome, Verdict


def to_line(message: Mapping[str, Any]) -> bytes:
    """One message. Numbers that JSON does not know are kept (both ends are Python)."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def from_line(line: bytes) -> dict[str, Any]:
    """The inverse of `to_line`. Raises ValueError for a line that is none."""
    message = json.loads(line)
    if not isinstance(message, dict):
        raise ValueError(f"not a message: {line[:60]!r}")  # noqa: TRY004 - one error for every kind of broken line
    return message


def scenario_to_wire(scenario: Scenario) -> dict[str, Any]:
    """A scenario as plain data."""
    return scenario.model_dump(mode="json", exclude_defaults=True)


def scenario_from_wire(data: Mapping[str, Any]) -> Scenario:
    """The inverse of `scenario_to_wire`."""
    return Scenario.model_validate(data)


def case_to_wire(case: Case) -> dict[str, Any]:
    """A case without its scenario, which the parent has. Untested requirements are left out: most are, most times."""
    return {
        "error": case.error,
        "verdicts": [
            [place, *verdict_to_wire(verdict)]
            for place, verdict in enumerate(case.verdicts)
            if verdict != Verdict(verdict.requirement, Outcome.NOT_EXERCISED)
        ],
        "faults": [[f.label, f.kind, f.from_s, f.until_s, f.fired, f.first_fired_s] for f in case.faults],
    }


def case_from_wire(data: Mapping[str, Any], scenario: Scenario, requirements: Sequence[str]) -> Case:
    """The inverse of `case_to_wire`, given what the parent knows: the scenario and the requirement ids in order."""
    verdicts = [Verdict(identifier, Outcome.NOT_EXERCISED) for identifier in requirements]
    for place, *fields in data["verdicts"]:
        verdicts[place] = verdict_from_wire(requirements[place], fields)
    faults = tuple(FaultRecord(*fields) for fields in data["faults"])
    return Case(scenario=scenario, verdicts=tuple(verdicts), error=data["error"], faults=faults)


def verdict_to_wire(verdict: Verdict) -> list[Any]:
    """A verdict without its requirement, as a list."""
    exercised, margin = verdict.exercised, {unit: float(value) for unit, value in verdict.margin.items()}
    at_s = None if verdict.at_s is None else float(verdict.at_s)
    return [verdict.outcome.value, int(exercised.must), int(exercised.must_not), margin, verdict.reason, at_s]


def verdict_from_wire(requirement: str, fields: Sequence[Any]) -> Verdict:
    """The inverse of `verdict_to_wire`."""
    outcome, must, must_not, margin, reason, at_s = fields
    return Verdict(requirement, Outcome(outcome), Exercised(must, must_not), margin, reason, at_s)
