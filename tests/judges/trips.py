# SPDX-License-Identifier: Apache-2.0
"""PRT-OV-3 of the design and evidence for it, shared by the tests of protections: cell voltage, flag, contactors."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.requirements.evidence import Evidence
from harness.requirements.judge import judge
from harness.requirements.model import Trip
from harness.verdict import Verdict

Make = Callable[..., Evidence]
Points = list[tuple[float, float]]


def over_voltage(**changes: Any) -> Trip:
    return Trip.model_validate(
        {
            "id": "PRT-OV-3",
            "title": "Cell over-voltage opens the contactors",
            "source": ["UN R100.03, overcharge protection"],
            "quantity": "cell_voltage_max_v",
            "above": 3.75,
            "accuracy": 0.005,
            "confirm_s": [0.8, 1.0],
            "flag": "fault.cell_overvoltage",
            "flag_within_s": 0.2,
            "safe_state": "contactors_open",
            "safe_within_s": 0.5,
            "latched": True,
            **changes,
        }
    )


def cell(*points: tuple[float, float]) -> dict[str, Points]:
    return {"cell_voltage_max_v": [(0.0, 3.3), *points]}


def flag(*points: tuple[float, float]) -> dict[str, Points]:
    return {"fault.cell_overvoltage": [(0.0, 0.0), *points]}


def contactors(*points: tuple[float, float]) -> dict[str, Points]:
    return {name: [(0.0, 1.0), *points] for name in ("contactor_positive", "contactor_negative")}


def verdict(make: Make, requirement: Trip | None = None, **evidence: Any) -> Verdict:
    evidence.setdefault("output", contactors())
    return judge(requirement or over_voltage(), make(**evidence))
