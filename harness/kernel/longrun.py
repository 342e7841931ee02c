# SPDX-License-Identifier: Apache-2.0
"""What a long run tells the kernel and hears of it (soak_types.h)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.kernel.columns import Column

# Reasons of BH_AWAKE_*, in their order: what kept time from passing at once.
AWAKE_REASONS = (
    "a fault that moves, or bends readings or frames",
    "something planned, or the end of a stretch of the load, within seconds",
    "controller off, or contactors or limits under way",
    "a reading near a limit",
    "a reading on the move",
    "the firmware has something under way, or cannot tell",
)
# What is noted of every stride, in the order of bh_stride.seen.
SEEN = ("soc", "pack_current_a", "cell_voltage_max_v", "cell_voltage_min_v", "cell_temp_max_degc", "pack_voltage_v")
MAX_STRIDES = 4096
_NS_PER_S = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Band:
    """Where a column of the trace must lie for time to pass at once."""

    column: Column
    low: float
    high: float


@dataclass(frozen=True, slots=True, eq=False)
class Strides:
    """The strides of one piece: time of the simulation at which each began, what passed in it, and `SEEN` before it."""

    at_ns: NDArray[np.uint64]
    passed_s: NDArray[np.float64]
    seen: Mapping[str, NDArray[np.float32]]


class Soak:
    """One long run: how much of it is left, and what of it passed at once. Belongs to one simulation.

    The first piece is played tick by tick, so that what must hold for a while is judged for a whole piece at least.
    """

    def __init__(self, left_ns: int, bands: Sequence[Band], *, longest_s: float, enough_rows: int) -> None:
        self._total_ns = left_ns
        self._bands = tuple(bands)
        self._longest_s = longest_s
        self._enough_rows = enough_rows
        self._row: Any = None
        self._keep: list[Any] = []

    def bind(self, ffi: Any) -> Any:
        """The kernel's struct; its strides are those of the piece that comes."""
        if self._row is None:
            row = ffi.new("bh_soak *")
            bands = ffi.new("bh_band[]", [(band.column, band.low, band.high) for band in self._bands])
            strides = ffi.new("bh_stride[]", MAX_STRIDES)
            row.left_ns, row.enough_rows = self._total_ns, self._enough_rows
            row.n_bands, row.bands = len(self._bands), bands
            row.max_strides, row.strides = MAX_STRIDES, strides
            self._row, self._keep = row, [ffi, bands, strides]
        self._row.n_strides = 0
        begun = int(self._row.left_ns) < self._total_ns
        self._row.longest_ms = round(self._longest_s * 1000) if begun else 0
        return self._row

    @property
    def left_s(self) -> float:
        """What is still to go."""
        return (self._total_ns if self._row is None else int(self._row.left_ns)) / _NS_PER_S

    @property
    def passed_s(self) -> float:
        """What has passed at once so far."""
        return 0.0 if self._row is None else int(self._row.passed_ns) / _NS_PER_S

    @property
    def quiet(self) -> bool:
        """Whether the last piece ended with nothing under way."""
        return self._row is not None and bool(self._row.quiet)

    def awake_s(self) -> dict[str, int]:
        """Seconds that were played tick by tick although a stride was due, by what kept it from coming."""
        counts = [0] * len(AWAKE_REASONS) if self._row is None else list(self._row.awake_s)
        return dict(zip(AWAKE_REASONS, counts, strict=True))

    def strides(self) -> Strides:
        """Copies of what was noted in the last piece."""
        n = 0 if self._row is None else int(self._row.n_strides)
        dtype = np.dtype([("at_ns", "u8"), ("passed_ms", "u4"), ("seen", "f4", (len(SEEN),))], align=True)
        if not n:
            rows = np.empty(0, dtype)
        else:
            ffi = self._keep[0]
            assert dtype.itemsize == ffi.sizeof("bh_stride")
            rows = np.frombuffer(ffi.buffer(self._row.strides, n * dtype.itemsize), dtype).copy()
        seen = {name: rows["seen"][:, place].copy() for place, name in enumerate(SEEN)}
        return Strides(rows["at_ns"].copy(), rows["passed_ms"] / 1000.0, seen)
