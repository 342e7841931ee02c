# SPDX-License-Identifier: Apache-2.0
"""The trace: what the controller was given, what was true, what it did, in columns.

A trace is written once by a rig and then only read. It is saved without pickles and loads anywhere numpy does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Side = Literal["given", "truth", "output", "environment"]
FloatArray = NDArray[np.float32] | NDArray[np.float64]

DUT_NODE = 0


@dataclass(frozen=True, slots=True)
class Frames:
    """All frames seen on the buses, in the order of their end; one array element a frame.

    `t_ns` end of frame, `flags` FIL_FRAME_* (1 extended, 2 FD, 4 BRS, 8 remote, 16 error), `node` the sender
    (0 = DUT), `data` [n, width] padded with zeros.
    """

    t_ns: NDArray[np.uint64]
    id: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    bus: NDArray[np.uint8]
    node: NDArray[np.uint8]
    length: NDArray[np.uint8]
    data: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.t_ns)


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """One fault of the scenario: when it was meant to act and whether the controller's inputs changed by it."""

    label: str
    kind: str
    from_s: float
    until_s: float
    fired: bool
    first_fired_s: float | None


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened at a time: an action of the scenario, a boot, an error of the firmware."""

    t_s: float
    event: str


@dataclass(frozen=True, slots=True)
class Trace:
    """One recorded run of a scenario. Times are seconds since its start.

    `columns[side][quantity]` are arrays over `t_s`. `arrays` holds per-cell and per-sensor records, [rows, n]:
    "cell_voltage_v" and "cell_temp_degc" as given, "true_cell_voltage_v", "true_cell_temp_degc", "cell_flags".
    `error` is the text of a firmware or bench error that ended the run early, "" otherwise.
    `extremes` are least and greatest value of columns, as far as the recorder kept them (NaN: one is unknown).
    `header` has rig, seed, tick_s, scenario and the hashes of rig, DBC and firmware.
    """

    t_s: NDArray[np.float64]
    columns: Mapping[Side, Mapping[str, FloatArray]]
    frames: Frames
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    faults: tuple[FaultRecord, ...] = ()
    marks: tuple[Mark, ...] = ()
    header: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    extremes: Mapping[Side, Mapping[str, tuple[float, float]]] = field(default_factory=dict)

    @property
    def duration_s(self) -> float:
        """Time of the last row, 0 for an empty trace."""
        return float(self.t_s[-1]) if len(self.t_s) else 0.0


def save(trace: Trace, path: Path) -> None:
    """Write one .npz without pickles; complete or absent, never half (written aside and renamed)."""
    arrays: dict[str, NDArray[Any]] = {"t_s": trace.t_s}
    for side, columns in trace.columns.items():
        arrays.update({f"column/{side}/{name}": values for name, values in columns.items()})
    arrays.update({f"array/{name}": values for name, values in trace.arrays.items()})
    arrays.update({f"frame/{name}": getattr(trace.frames, name) for name in Frames.__dataclass_fields__})
    meta = {
        "header": dict(trace.header),
        "error": trace.error,
        "faults": [[getattr(fault, name) for name in FaultRecord.__dataclass_fields__] for fault in trace.faults],
        "marks": [[mark.t_s, mark.event] for mark in trace.marks],
    }
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as stream:
        np.savez_compressed(stream, allow_pickle=False, **arrays)
    partial.replace(path)


def load(path: Path) -> Trace:
    """Read a trace written by `save`. Raises ValueError or OSError when it is not one."""
    with np.load(path, allow_pickle=False) as stored:
        meta = json.loads(bytes(stored["meta"]))
        columns: dict[Any, dict[str, FloatArray]] = {}
        arrays: dict[str, NDArray[Any]] = {}
        frames: dict[str, Any] = {}
        for key in stored.files:
            group, _, name = key.partition("/")
            if group == "column":
                side, _, quantity = name.partition("/")
                columns.setdefault(side, {})[quantity] = stored[key]
            elif group == "array":
                arrays[name] = stored[key]
            elif group == "frame":
                frames[name] = stored[key]
        return Trace(
            t_s=stored["t_s"],
            columns=columns,
            frames=Frames(**frames),
            arrays=arrays,
            faults=tuple(FaultRecord(*row) for row in meta["faults"]),
            marks=tuple(Mark(t_s, event) for t_s, event in meta["marks"]),
            header=meta["header"],
            error=meta["error"],
        )
