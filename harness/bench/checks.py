# SPDX-License-Identifier: Apache-2.0
"""What a doctor says: one line a check, "ok" with the number that was measured, or what to do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

State = Literal["ok", "problem", "not checked"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `found`: what was measured; `remedy`: what to do, "" when it is ok."""

    name: str
    state: State
    found: str
    remedy: str = ""

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return {"name": self.name, "state": self.state, "found": self.found, "remedy": self.remedy}


def ok(name: str, found: str) -> Check:
    """It is as it should be."""
    return Check(name, "ok", found)


def problem(name: str, found: str, remedy: str) -> Check:
    """It is not."""
    return Check(name, "problem", found, remedy)


def not_checked(name: str, why: str) -> Check:
    """It could not be looked at, because of something that was told before."""
    return Check(name, "not checked", why)


def from_error(name: str, error: Exception) -> Check:
    """An expected error: its text says what happened and what to do."""
    found, _, remedy = str(error).partition("; ")
    return Check(name, "problem", found, remedy)
