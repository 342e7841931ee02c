# SPDX-License-Identifier: Apache-2.0
"""The border of a simulation that is stepped against the wall clock: inputs from outside, and frames for a real bus.

Everything in here is a view of the simulation's own memory, to be read and written between two runs. It is part of a
checkpoint: loading one puts back the masks, values and waiting frames of the moment it was saved. Views die with the
simulation.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntFlag
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.kernel.config import FrameFlag, Node

VALID, OPEN_WIRE = 1, 2  # FIL_VALID, FIL_OPEN_WIRE: flags of one measured value
NO_NODES = 0


class Given(IntFlag):
    """Which inputs come from outside (BH_OUTSIDE_*), with their flags. SUPPLY decides whether the controller runs."""

    NONE = 0
    CELLS = 1
    TEMPS = 2
    CURRENT = 4
    PACK = 8
    LINK = 16
    CHARGER = 32
    INSULATION = 64
    SUPPLY = 128


class DigitalIn(IntFlag):
    """Digital inputs (FIL_IN_*). Auxiliary contacts read 1 when the contactor is closed."""

    NONE = 0
    IGNITION = 1
    CHARGE_PLUG = 2
    HVIL_CLOSED = 4
    CRASH = 8
    AUX_POSITIVE = 16
    AUX_NEGATIVE = 32
    AUX_PRECHARGE = 64


class OutsideInputs:
    """What the controller is given instead of what plant and faults say, from the next tick on.

    `values` is the struct itself (bh_outside): given, digital_given, digital_in, current_ma, pack_mv, link_mv,
    charger_mv, insulation_ohm, supply_mv and *_flags are read and assigned there. The arrays are numpy views.
    """

    def __init__(self, ffi: Any, values: Any, n_cells: int, n_temps: int) -> None:
        self.values = values
        self.cell_uv: NDArray[np.int32] = _view(ffi, values.cell_uv, n_cells, np.int32)
        self.cell_flags: NDArray[np.uint8] = _view(ffi, values.cell_flags, n_cells, np.uint8)
        self.temp_mdegc: NDArray[np.int32] = _view(ffi, values.temp_mdegc, n_temps, np.int32)
        self.temp_flags: NDArray[np.uint8] = _view(ffi, values.temp_flags, n_temps, np.uint8)


class GivenInputs:
    """What the controller was given in the last tick. `values` is the struct itself (fil_inputs); not to be written."""

    def __init__(self, ffi: Any, values: Any, n_cells: int, n_temps: int) -> None:
        self.values = values
        self.cell_uv: NDArray[np.int32] = _view(ffi, values.cell_uv, n_cells, np.int32)
        self.cell_flags: NDArray[np.uint8] = _view(ffi, values.cell_flags, n_cells, np.uint8)
        self.temp_mdegc: NDArray[np.int32] = _view(ffi, values.temp_mdegc, n_temps, np.int32)
        self.temp_flags: NDArray[np.uint8] = _view(ffi, values.temp_flags, n_temps, np.uint8)
        for view in (self.cell_uv, self.cell_flags, self.temp_mdegc, self.temp_flags):
            view.flags.writeable = False


@dataclass(frozen=True, slots=True)
class OutFrame:
    """A frame a node handed over to be sent, not before `release_ns` of the simulation."""

    release_ns: int
    id: int
    data: bytes
    flags: FrameFlag
    bus: int
    node: Node


class Outlet:
    """Frames of some nodes as they are handed over: before they wait for the virtual bus, faults on them done."""

    def __init__(self, ffi: Any, row: Any) -> None:
        self._ffi, self._row = ffi, row

    def open(self, nodes: Iterable[Node]) -> None:
        """From now on frames of these nodes are kept for `take`, which has to come every few ticks."""
        mask = NO_NODES
        for node in nodes:
            mask |= 1 << node
        self._row.nodes = mask
        self._row.n = 0

    @property
    def lost(self) -> int:
        """Frames there was no room for."""
        return int(self._row.lost)

    def take(self) -> list[OutFrame]:
        """The frames since the last call, in the order they were handed over."""
        row, buffer = self._row, self._ffi.buffer
        taken = []
        for place in range(row.n):
            out = row.frames[place]
            frame = out.frame
            data = bytes(buffer(frame.data, frame.length))
            taken.append(OutFrame(out.release_ns, frame.id, data, FrameFlag(frame.flags), frame.bus, Node(out.node)))
        row.n = 0
        return taken


def _view(ffi: Any, pointer: Any, length: int, dtype: type[Any]) -> NDArray[Any]:
    size = length * np.dtype(dtype).itemsize
    return np.frombuffer(ffi.buffer(ffi.cast("uint8_t *", pointer), size), dtype)
