# SPDX-License-Identifier: Apache-2.0
"""The record of a rig that runs for as long as a person likes: every row and every frame, and what the faults did."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.bench.live import LiveRig
from harness.kernel.columns import COLUMNS
from harness.scenario import FaultAction, Scenario
from harness.trace import FaultRecord, FloatArray, Frames, Mark, Side, Trace

_CHUNK_ROWS = 6000  # a minute of 10 ms ticks


@dataclass(slots=True)
class _Injected:
    """A fault that was put in: what a trace says of it in the end."""

    label: str
    kind: str
    from_s: float
    until_s: float
    first_fired_s: float | None = None


class LiveRecord:
    """Takes every tick of a rig; some 35 kB a second. Cells one by one are not kept: the few requirements on
    single cells or sensors are then not exercised, and say so.
    """

    def __init__(self, live: LiveRig) -> None:
        self._live = live
        self._chunks: list[NDArray[np.float32]] = []
        self._times: list[float] = []
        self._frames: list[Frames] = []
        self._faults: list[_Injected] = []
        self._header: Mapping[str, Any] = {}
        self._unseen: Collection[tuple[Side, str]] = ()

    def take(self, frames: Frames) -> None:
        """The newest row, and the frames since the last call."""
        row = self._live.row()
        if row.columns:
            place = len(self._times) % _CHUNK_ROWS
            if not place:
                self._chunks.append(np.empty((_CHUNK_ROWS, len(COLUMNS)), np.float32))
            self._chunks[-1][place] = row.columns
            self._times.append(row.t_s)
        if len(frames):
            self._frames.append(frames)
        if any(fault.first_fired_s is None for fault in self._faults):
            self._note_fired()

    def injected(self, label: str, action: FaultAction, from_s: float) -> None:
        """A fault begins now."""
        length_s = float(action.parameters.get("for_s", np.inf))
        self._faults.append(_Injected(label, action.fault, from_s, from_s + length_s))

    def cleared(self, name: str, at_s: float) -> None:
        """Every fault with this label or of this kind ends now."""
        for fault in self._faults:
            if name in (fault.label, fault.kind):
                fault.until_s = min(fault.until_s, at_s)

    def finish(self) -> None:
        """Ask the rig what only it knows, while it is open."""
        self._header, self._unseen = self._live.header(), self._live.unseen

    def trace(self, scenario: Scenario, marks: Sequence[Mark], error: str = "") -> Trace:
        """All of it, after `finish`."""
        rows = np.concatenate(self._chunks)[: len(self._times)] if self._chunks else np.empty((0, len(COLUMNS)))
        columns: dict[Side, dict[str, FloatArray]] = {}
        for place, (side, name) in COLUMNS.items():
            if (side, name) in self._unseen:
                continue
            columns.setdefault(side, {})[name] = np.ascontiguousarray(rows[:, int(place)], np.float32)
        told = {"seed": scenario.seed, "scenario": scenario.title, "start": scenario.start}
        end_s = scenario.duration_s
        return Trace(
            t_s=np.array(self._times, np.float64),
            columns=columns,
            frames=_joined(self._frames),
            faults=tuple(_record(fault, end_s) for fault in self._faults),
            marks=tuple(marks),
            header={**self._header, **told},
            error=error,
        )

    def _note_fired(self) -> None:
        fired = {(fault.label, fault.action.fault, fault.from_s) for fault in self._live.faults() if fault.fired}
        for fault in self._faults:
            if fault.first_fired_s is None and (fault.label, fault.kind, fault.from_s) in fired:
                fault.first_fired_s = self._live.now_s


def _record(fault: _Injected, end_s: float) -> FaultRecord:
    return FaultRecord(
        label=fault.label,
        kind=fault.kind,
        from_s=fault.from_s,
        until_s=min(fault.until_s, end_s),
        fired=fault.first_fired_s is not None,
        first_fired_s=fault.first_fired_s,
    )


def _joined(parts: Sequence[Frames]) -> Frames:
    """All frames, in the order of their time."""
    if not parts:
        empty = np.empty(0, np.uint8)
        return Frames(
            np.empty(0, np.uint64), np.empty(0, np.uint32), empty, empty, empty, empty, np.empty((0, 8), np.uint8)
        )
    width = max(part.data.shape[1] for part in parts)
    parts = [replace(part, data=np.pad(part.data, ((0, 0), (0, width - part.data.shape[1])))) for part in parts]
    whole = Frames(*(np.concatenate([getattr(part, name) for part in parts]) for name in Frames.__dataclass_fields__))
    if not len(whole) or (whole.t_ns[1:] >= whole.t_ns[:-1]).all():
        return whole
    order = np.argsort(whole.t_ns, kind="stable")
    return Frames(*(getattr(whole, name)[order] for name in Frames.__dataclass_fields__))
