# SPDX-License-Identifier: Apache-2.0
"""The kernel's batch decoder (decode.c): one pass over a whole frame buffer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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


class FrameDecoder:
    """A decode plan inside the kernel. Not for use by two threads at once: it keeps its scratch memory."""

    def __init__(self, kernel: Library, plan: DecodePlan) -> None:
        self._ffi, self._lib = kernel.ffi, kernel.lib
        self._rows_per_frame = plan.rows_per_frame
        self._n_nodes = len(plan.nodes)
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

    def decode(
        self,
        id_: NDArray[np.uint32],
        flags: NDArray[np.uint8],
        node: NDArray[np.uint8],
        length: NDArray[np.uint8],
        data: NDArray[np.uint8],
    ) -> DecodedNodes:
        """Sort and decode contiguous frame arrays; `data` is [frame, width] with a width that 8 divides."""
        n = len(id_)
        self._reserve(n)
        frames, result, ffi = self._frames, self._result, self._ffi
        frames.n, frames.width = n, data.shape[1]
        frames.id = ffi.from_buffer("uint32_t[]", id_)
        frames.flags = ffi.from_buffer("uint8_t[]", flags)
        frames.node = ffi.from_buffer("uint8_t[]", node)
        frames.length = ffi.from_buffer("uint8_t[]", length)
        frames.data = ffi.from_buffer("uint8_t[]", data)
        rows = np.empty(n * self._rows_per_frame, np.int32)
        result.rows = ffi.from_buffer("int32_t[]", rows)
        result.max_rows = len(rows)
        total = self._lib.bh_decode_sort(self._plan, frames, result)
        assert total >= 0, "rows_per_frame too small: a bug of the plan"
        values = np.empty(total, np.float64)
        self._lib.bh_decode_values(self._plan, frames, result, ffi.from_buffer("double[]", values))
        start, count = self._places.tolist()
        return DecodedNodes(start, count, self._value_start.tolist(), rows, values, tuple(result.counts))

    def extremes(self, series: NDArray[np.float64]) -> list[tuple[float, float]]:
        """Least and greatest value of each row of a contiguous [signal, frame]; NaN for an empty row or one with NaN."""
        found = np.empty((2, len(series)), np.float64)
        pointer = self._ffi.from_buffer("double[]", found)
        values = self._ffi.from_buffer("double[]", series)
        self._lib.bh_decode_extremes(values, len(series), series.shape[1], pointer, pointer + len(series))
        return list(zip(*found.tolist(), strict=True))

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
