# SPDX-License-Identifier: Apache-2.0
"""Hand-made requests and answers, and how they are judged: shared by the tests of the diagnostics."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from harness.canbus.flow import Block
from harness.requirements.evidence import Evidence
from harness.requirements.judge import judge
from harness.requirements.model import Diagnosis, Requirement, Trip
from harness.verdict import Verdict

Make = Callable[..., Evidence]
HVIL = "fault.hvil"
FAILED, THIS_CYCLE, PENDING, CONFIRMED, SINCE_CLEAR = 0x01, 0x02, 0x04, 0x08, 0x20
STORED = CONFIRMED | SINCE_CLEAR
WHOLE = FAILED | THIS_CYCLE | PENDING | CONFIRMED | SINCE_CLEAR
CLEAR, ONE = b"\x14\xff\xff\xff", b"\x14\x1a\x12\x00"
SESSION = b"\x22\xf1\x86"


@dataclass(frozen=True)
class Asked:
    """A request and its answer, 10 ms later."""

    request_s: float
    request: bytes
    answer: bytes = b""
    status: Mapping[str, int] | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    late_s: float = 0.01

    @property
    def clears(self) -> tuple[str, ...]:
        return {CLEAR: (HVIL, "fault.supply"), ONE: (HVIL,)}.get(self.request, ())

    @property
    def answer_s(self) -> float:
        return self.request_s + self.late_s if self.answer else math.nan

    @property
    def complete_s(self) -> float:
        return self.answer_s + 0.01

    @property
    def positive(self) -> bool:
        return self.answer[:1] == bytes([self.request[0] + 0x40])

    @property
    def refused(self) -> int | None:
        return self.answer[2] if self.answer[:1] == b"\x7f" else None


class Talkative:
    """Evidence with requests."""

    def __init__(self, evidence: Evidence, asked: Sequence[Asked], cleared_s: Sequence[float]) -> None:
        self._evidence, self._asked, self._cleared_s = evidence, asked, cleared_s
        self.waits: Sequence[tuple[float, float]] = ()
        self.sent: Sequence[Block] = ()

    def blocks(self) -> Sequence[Block]:
        return self.sent

    def stalled(self) -> Sequence[tuple[float, float]]:
        return self.waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evidence, name)

    def exchanges(self) -> Sequence[Asked]:
        return self._asked

    def codes_cleared(self) -> Sequence[float]:
        return self._cleared_s


def judged(
    make: Make,
    rule: str,
    *asked: Asked,
    keys: Mapping[str, Any] | None = None,
    others: Sequence[Requirement] = (),
    cleared_s: Sequence[float] = (),
    stalled: Sequence[tuple[float, float]] = (),
    blocks: Sequence[Block] = (),
    **evidence: Any,
) -> Verdict:
    requirement = Diagnosis.model_validate(
        {"id": "DIA-X-1", "title": "a rule", "source": ["test"], "rule": rule, **(keys or {})}
    )
    made: Any = Talkative(make(**evidence), asked, cleared_s)
    made.waits, made.sent = stalled, blocks
    return judge(requirement, made, others)


def read(at_s: float, status: int) -> Asked:
    """All codes read; the interlock's has this status."""
    return Asked(at_s, b"\x19\x02\xff", b"\x59\x02\x7f", {HVIL: status})


def flag(*points: tuple[float, float]) -> dict[str, Any]:
    return {"reported": {HVIL: points}}


OPENED = flag((0.0, 0.0), (1.0, 1.0), (4.0, 0.0))  # the fault is there from 1 to 4 s
INTERLOCK = Trip.model_validate(
    {"id": "PRT-HVIL-3", "title": "Open interlock", "source": ["test"], "quantity": "hvil_closed", "below": 0.5}
    | {"confirm_s": [0.08, 0.12], "flag": HVIL, "flag_within_s": 0.2, "safe_state": "none"}
)
