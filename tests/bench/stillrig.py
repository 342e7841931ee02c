# SPDX-License-Identifier: Apache-2.0
"""A rig for tests of the shell in which nothing happens by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from harness.bench.live import ActiveFault, Row
from harness.bench.pacer import Lateness
from harness.kernel.config import Event, Fault
from harness.rig import find_rig, load_rig
from harness.rig.file import Rig
from harness.scenario import CommandAction, FaultAction
from harness.trace import Frames, Side

RIG = load_rig(find_rig("ebus-lfp"))
TICK_S = 0.01


class StillRig:
    """A rig in which nothing happens but what a test puts on its bus. Implements LiveRig; a step costs no time."""

    def __init__(self) -> None:
        self.ticks = 0
        self.frames_to_come: list[tuple[str, dict[str, float | str]]] = []
        self.commands: list[CommandAction] = []
        self.active: list[ActiveFault] = []

    @property
    def rig(self) -> Rig:
        return RIG

    @property
    def now_s(self) -> float:
        return self.ticks / 100

    @property
    def tick_s(self) -> float:
        return TICK_S

    def step(self) -> None:
        self.ticks += 1

    def row(self) -> Row:
        return Row(self.now_s, ())

    def frames(self) -> Frames:
        coming, self.frames_to_come = self.frames_to_come, []
        payloads = [RIG.profile.encode(name, values) for name, values in coming]
        n = len(payloads)
        zeros = np.zeros(n, np.uint8)
        data = np.array([list(payload.ljust(8, b"\0")) for payload in payloads], np.uint8).reshape(n, 8)
        return Frames(
            t_ns=np.full(n, self.ticks * 10_000_000, np.uint64),
            id=np.array([RIG.profile.database.by_name[name].id for name, _ in coming], np.uint32),
            flags=zeros,
            bus=zeros,
            node=zeros,
            length=np.full(n, 8, np.uint8),
            data=data,
        )

    def inject(self, action: FaultAction) -> str:
        label = action.label or action.fault
        self.active.append(ActiveFault(label, action, self.now_s, math.inf, fired=False))
        return label

    def clear(self, label: str) -> int:
        kept = [fault for fault in self.active if label not in (fault.label, fault.action.fault)]
        ended = len(self.active) - len(kept)
        self.active = kept
        return ended

    def command(self, action: CommandAction) -> None:
        self.commands.append(action)

    def faults(self) -> tuple[ActiveFault, ...]:
        return tuple(self.active)

    def plan(self, events: Sequence[Event], faults: Sequence[Fault]) -> None:
        raise NotImplementedError

    def lateness(self) -> Lateness:
        return Lateness()

    @property
    def unseen(self) -> tuple[tuple[Side, str], ...]:
        return ()

    def header(self) -> Mapping[str, Any]:
        return {}

    def close(self) -> None:
        pass
