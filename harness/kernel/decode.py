# SPDX-License-Identifier: Apache-2.0
"""The kernel's batch decoder (decode.c): one pass over a whole frame buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from harness.kernel.simulation import Library

SIGNAL = np.dtype(
    [
        ("first_bit", np.int32),
        ("length", np.int32),
        ("kind", np.int32),
        ("reserved", np.int32),
        ("scale", np.float64),
        ("offset", np.float64),
    ]
)
SELECTOR = np.dtype([("signal", np.int32), ("first_value", np.int32), ("n_values", np.int32)])
NODE = np.dtype(
    [("first_signal", np.int32), ("n_signals", np.int32), ("first_selector", np.int32), ("n_selectors", np.int32)]
)
BIG_ENDIAN, SIGNED, FLOAT = 1, 2, 4  # BH_SIGNAL_*


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """The arrays of `struct bh_decode_plan`. `rows_per_frame` is in how many nodes one frame can be at most."""

    standard: NDArray[np.uint16]
    extended_id: NDArray[np.uint32]
    extended_message: NDArray[np.uint16]
    message_length: NDArray[np.uint16]
    dut_only: NDArray[np.uint8]
    nodes: NDArray[Any]
    selectors: NDArray[Any]
    values: NDArray[np.int64]
    value_node: NDArray[np.int32]
    signals: NDArray[Any]
    rows_per_frame: int


@dataclass(frozen=True, slots=True)
class DecodedNodes:
    """Frames by node and their values. Node i has the frames rows[start[i] : start[i] + count[i]] and, signal by
    signal, as many values from value_start[i]. `counts` is in the order of BH_COUNT_*.
    """

    start: list[int]
    count: list[int]
    value_start: list[int]
    rows: NDArray[np.int32]
    values: NDArray[np.float64]
    counts: tuple[int, ...]
    counts_of_nodes: NDArray[np.int32]
    starts_of_nodes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class WantedSignals:
    """Signals by their place in the plan, and the nodes they are in, each once."""

    signals: NDArray[np.intp]
    nodes: NDArray[np.int32]


class FrameArrays(NamedTuple):
    """Contiguous arrays of frames; `data` is [frame, width] with a width that 8 divides."""

    id: NDArray[np.uint32]
    flags: NDArray[np.uint8]
    node: NDArray[np.uint8]
    length: NDArray[np.uint8]
    data: NDArray[np.uint8]


class Crc8(NamedTuple):
    """struct bh_crc8."""

    table: NDArray[np.uint8]
    position: int
    length: int
    initial: int
    final_xor: int


class Counter(NamedTuple):
    """struct bh_counter; no counter where start_bit < 0."""

    start_bit: int
    length: int
    max: int


class FrameDecoder:
    """A decode plan inside the kernel. Not for use by two threads at once: it keeps its scratch memory."""

    def __init__(self, kernel: Library, plan: DecodePlan) -> None:
        self._ffi, self._lib = kernel.ffi, kernel.lib
        self._rows_per_frame = plan.rows_per_frame
        self._n_nodes = len(plan.nodes)
        self._n_signals = len(plan.signals)
        self._keep: list[Any] = []
        self._plan = self._ffi.new("bh_decode_plan *")
        self._plan.n_messages = len(plan.message_length)
        self._plan.n_nodes = self._n_nodes
        self._plan.n_extended = len(plan.extended_id)
        for name in ("standard", "extended_id", "extended_message", "message_length", "dut_only"):
            setattr(self._plan, name, self._point(getattr(plan, name)))
        for name in ("nodes", "selectors", "values", "value_node", "signals"):
            setattr(self._plan, name, self._point(getattr(plan, name)))
        self._frames = self._ffi.new("bh_decode_frames *")
        self._result = self._ffi.new("bh_decode_result *")
        self._places = np.zeros((2, self._n_nodes), np.int32)
        self._value_start = np.zeros(self._n_nodes, np.int64)
        self._result.node_start = self._pointer("int32_t[]", self._places[0])
        self._result.node_count = self._pointer("int32_t[]", self._places[1])
        self._result.value_start = self._pointer("int64_t[]", self._value_start)
        self._room = 0

    def decode(self, arrays: FrameArrays) -> DecodedNodes:
        """Sort and decode frames."""
        n = len(arrays.id)
        self._reserve(n)
        frames, result, ffi = self._point_frames(arrays), self._result, self._ffi
        rows = np.empty(n * self._rows_per_frame, np.int32)
        result.rows = ffi.from_buffer("int32_t[]", rows)
        result.max_rows = len(rows)
        total = self._lib.bh_decode_sort(self._plan, frames, result)
        assert total >= 0, "rows_per_frame too small: a bug of the plan"
        values = np.empty(total, np.float64)
        self._lib.bh_decode_values(self._plan, frames, result, ffi.from_buffer("double[]", values))
        start, count = self._places.tolist()
        counts = self._places[1].copy(), self._value_start.copy()
        return DecodedNodes(start, count, self._value_start.tolist(), rows, values, tuple(result.counts), *counts)

    def extremes(self, decoded: DecodedNodes, wanted: WantedSignals) -> list[tuple[float, float]]:
        """Least and greatest value of each wanted signal; NaN where there is no value, or a NaN."""
        found = np.empty((2, self._n_signals), np.float64)
        least = self._ffi.from_buffer("double[]", found)
        self._lib.bh_decode_extremes(
            self._plan,
            self._ffi.from_buffer("int32_t[]", decoded.counts_of_nodes),
            self._ffi.from_buffer("int64_t[]", decoded.starts_of_nodes),
            self._ffi.from_buffer("double[]", decoded.values),
            self._ffi.from_buffer("int32_t[]", wanted.nodes),
            len(wanted.nodes),
            least,
            least + self._n_signals,
        )
        return list(zip(*found.take(wanted.signals, axis=1).tolist(), strict=True))

    def crc8_fits(self, frames: FrameArrays, rows: NDArray[np.int32], crc: Crc8) -> NDArray[np.bool_]:
        """For each of some frames whether its checksum fits; it lies inside the width."""
        fits = np.empty(len(rows), np.bool_)
        target, keep = self._crc(crc)
        self._lib.bh_decode_crc8(
            self._point_frames(frames),
            self._ffi.from_buffer("int32_t[]", rows),
            len(rows),
            target,
            self._ffi.from_buffer("uint8_t[]", fits),
        )
        del keep
        return fits

    def unbroken(
        self, frames: FrameArrays, rows: NDArray[np.int32], length: int, flags: int, crc: Crc8 | None, counter: Counter
    ) -> bool:
        """Whether all frames `rows` of a message have none of the flags, this length, a checksum that fits and a
        counter one above that of the frame before.
        """
        null = self._ffi.NULL
        target, keep = (null, None) if crc is None else self._crc(crc)
        alive = null if counter.start_bit < 0 else self._ffi.new("bh_counter *", tuple(counter))
        indices = self._ffi.from_buffer("int32_t[]", rows)
        found = self._lib.bh_decode_unbroken(
            self._point_frames(frames), indices, len(rows), length, flags, target, alive
        )
        del keep
        return bool(found)

    def _crc(self, crc: Crc8) -> tuple[Any, Any]:
        """The struct, and what must live as long as it."""
        table = self._ffi.from_buffer("uint8_t[]", crc.table)
        return self._ffi.new("bh_crc8 *", (table, *crc[1:])), table

    def _point_frames(self, arrays: FrameArrays) -> Any:
        """The struct onto frame arrays, valid until the next call."""
        frames, ffi = self._frames, self._ffi
        frames.n, frames.width = len(arrays.id), arrays.data.shape[1]
        frames.id = ffi.from_buffer("uint32_t[]", arrays.id)
        frames.flags = ffi.from_buffer("uint8_t[]", arrays.flags)
        frames.node = ffi.from_buffer("uint8_t[]", arrays.node)
        frames.length = ffi.from_buffer("uint8_t[]", arrays.length)
        frames.data = ffi.from_buffer("uint8_t[]", arrays.data)
        return frames

    def _reserve(self, n: int) -> None:
        if n > self._room:
            self._room = n
            self._scratch = (np.empty(n, np.uint16), np.empty(n, np.int32), np.empty(2 * n, np.uint64))
            self._result.message = self._pointer("uint16_t[]", self._scratch[0])
            self._result.child = self._pointer("int32_t[]", self._scratch[1])
            self._result.words = self._pointer("uint64_t[]", self._scratch[2])

    def _point(self, array: NDArray[Any]) -> Any:
        array = np.ascontiguousarray(array)
        self._keep.append(array)
        return self._ffi.cast("void *", array.ctypes.data)

    def _pointer(self, kind: str, array: NDArray[Any]) -> Any:
        return self._ffi.cast(kind.replace("[]", " *"), array.ctypes.data)
