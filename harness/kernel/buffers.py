# SPDX-License-Identifier: Apache-2.0
"""The memory a run is recorded in, owned by Python and read without copying."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.kernel.columns import Column
from harness.kernel.config import BusConfig, KernelConfig

_CACHE_LINE_FLOATS = 16
_LEAST_FRAME_BITS = 33  # destroyed in its length code
_LEAST_FD_NOMINAL_BITS = 26


class TraceBuffers:
    """Rows and frames of one or more consecutive runs.

    Everything read from it is a view that the next `clear` and run overwrite: copy what has to outlive that. Reusing
    buffers is what makes short runs cheap, since fresh memory costs a page fault every three rows.

    `cells`: record every cell voltage as given, `flags`: validity and open wires of every cell, `temps`: every
    temperature. `truth_cells`: the true voltages and temperatures of every cell.
    """

    def __init__(
        self,
        config: KernelConfig,
        seconds: float,
        *,
        cells: bool = True,
        flags: bool = True,
        temps: bool = True,
        truth_cells: bool = False,
        frames_per_s: float = 2000,
        record_every: int = 1,
    ) -> None:
        n_cells, n_temps = config.pack.n_cells, config.pack.n_temps
        rows = math.ceil(seconds * 1e6 / config.tick_us / record_every) + 1
        self.max_rows = _odd_lines(rows)
        self.max_frames = math.ceil(seconds * frames_per_s) + _most_frames_per_tick(config.bus, config.tick_us)
        self.record_every = record_every
        self.frame_width = 64 if config.bus.data_bitrate else 8
        shapes: dict[str, tuple[type, tuple[int, ...]]] = {
            "row_ns": (np.uint64, (self.max_rows,)),
            "columns": (np.float32, (len(Column), self.max_rows)),
            "column_least": (np.float32, (len(Column),)),
            "column_greatest": (np.float32, (len(Column),)),
            "column_unknown": (np.int32, (len(Column),)),
            "frame_ns": (np.uint64, (self.max_frames,)),
            "frame_id": (np.uint32, (self.max_frames,)),
            "frame_data": (np.uint8, (self.max_frames, self.frame_width)),
        }
        for name in ("frame_flags", "frame_bus", "frame_node", "frame_length"):
            shapes[name] = (np.uint8, (self.max_frames,))
        if cells:
            shapes["cell_uv"] = (np.int32, (self.max_rows, n_cells))
        if flags:
            shapes["cell_flags"] = (np.uint8, (self.max_rows, n_cells))
        if temps:
            shapes["temp_mdegc"] = (np.int32, (self.max_rows, n_temps))
        if truth_cells:
            shapes["true_cell_v"] = (np.float32, (self.max_rows, n_cells))
            shapes["true_cell_degc"] = (np.float32, (self.max_rows, n_cells))
        self._arrays: dict[str, NDArray[Any]] = {
            name: np.empty(shape, dtype) for name, (dtype, shape) in shapes.items()
        }
        self.n_rows = 0
        self.n_frames = 0
        self.bound: tuple[Any, Any, list[Any]] | None = None  # the kernel's struct onto them; belongs to Simulation

    def clear(self) -> None:
        """Forget what was recorded; the memory stays."""
        self.n_rows = 0
        self.n_frames = 0

    @property
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The whole buffers by the names of bh_trace; for the kernel."""
        return self._arrays

    @property
    def row_ns(self) -> NDArray[np.uint64]:
        """Time of every row, [n_rows]."""
        return self._arrays["row_ns"][: self.n_rows]

    @property
    def columns(self) -> NDArray[np.float32]:
        """[len(Column), n_rows]."""
        return self._arrays["columns"][:, : self.n_rows]

    def column(self, column: Column) -> NDArray[np.float32]:
        """One column, [n_rows]."""
        return self._arrays["columns"][column, : self.n_rows]

    def extremes(self) -> list[tuple[float, float]]:
        """Least and greatest value of every column over all rows: kept while recording, so that this costs nothing.

        NaN for a column with an unknown value, and for all without rows.
        """
        if not self.n_rows:
            return [(math.nan, math.nan)] * len(Column)
        arrays = self._arrays
        found = list(zip(arrays["column_least"].tolist(), arrays["column_greatest"].tolist(), strict=True))
        for column in arrays["column_unknown"].nonzero()[0].tolist():
            found[column] = (math.nan, math.nan)
        return found

    def rows(self, name: str) -> NDArray[Any] | None:
        """cell_uv, cell_flags, temp_mdegc (given), true_cell_v or true_cell_degc, [n_rows, n]; None: not recorded."""
        array = self._arrays.get(name)
        return None if array is None else array[: self.n_rows]

    def frames(self, name: str) -> NDArray[Any]:
        """Ns, id, flags, bus, node, length or data of all frames in the order of their end, [n_frames, ...]."""
        return self._arrays[f"frame_{name}"][: self.n_frames]


def _odd_lines(rows: int) -> int:
    """At least `rows`, in an odd number of cache lines: columns then do not all fall on the same cache sets."""
    lines = math.ceil(rows / _CACHE_LINE_FLOATS)
    return (lines | 1) * _CACHE_LINE_FLOATS


def _most_frames_per_tick(bus: BusConfig, tick_us: int) -> int:
    """The room the kernel wants before it starts a tick."""
    bits = bus.bitrate * tick_us // 1_000_000
    least = _LEAST_FD_NOMINAL_BITS if bus.data_bitrate else _LEAST_FRAME_BITS
    return bus.n_buses * (bits // least + 2)
