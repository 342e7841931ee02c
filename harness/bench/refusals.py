# SPDX-License-Identifier: Apache-2.0
"""What of a scenario a bench cannot do, said before anything is energised."""

from __future__ import annotations

from pathlib import Path

from harness.errors import Problem
from harness.faults.bench import obstacle_of
from harness.faults.catalogue import find_kind
from harness.faults.check import Bounds, resolve
from harness.scenario import FaultAction, Scenario, scenario_problems
from harness.tomlfile import dotted

_SCENARIO = Path("scenario")


def bench_problems(scenario: Scenario, bounds: Bounds, *, path: Path = _SCENARIO) -> tuple[Problem, ...]:
    """Everything wrong with a scenario, and every fault in it that a bench cannot make."""
    found = list(scenario_problems(scenario, bounds, path=path))
    for place, action in enumerate(scenario.action):
        if isinstance(action, FaultAction) and (reason := _reason(action, bounds)):
            allowed = f"a fault that a bench can make: {reason}. `bms-harness faults` lists those it can"
            found.append(Problem(str(path), 0, dotted(("action", place, "fault")), f"'{action.fault}'", allowed))
    return tuple(found)


def _reason(action: FaultAction, bounds: Bounds) -> str:
    kind = find_kind(action.fault)
    fault = resolve(kind, action.parameters, bounds) if kind is not None else []
    return "" if isinstance(fault, list) else obstacle_of(fault)
