# SPDX-License-Identifier: Apache-2.0
"""The plant alone: microseconds a tick, cost of more cells, and no slow-down after a long rest.

`python -m tests.benchmarks.plant` prints the table.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cffi

from harness.firmware.builder import build_firmware, build_kernel, kernel_folder
from harness.firmware.declarations import declaration_source
from harness.rig.cellfile import load_cell
from harness.rig.resources import data_root
from tests.unit.plant.conftest import Plant

TICK_NS = 10_000_000
TICKS = 100_000
REPEATS = 5
REST_HOURS = 2
LOOP = "void bh_plant_loop(void *, bh_plant *, bh_controls *, bh_heard *, uint64_t, int64_t);"


@dataclass(frozen=True)
class Measured:
    """Microseconds of processor time a tick, the best of several runs, and two ratios."""

    us_192: float
    us_400: float
    us_192_with_cell_fault: float
    cost_400_over_192: float
    rested_over_fresh: float


def measure() -> Measured:
    """Both sides of each ratio are taken in turns, because machines drift."""
    bench = _Bench()
    small, large, bent, rested = (bench.plant(n) for n in (192, 400, 192, 192))
    bent.bend("cell_leak_siemens", 100, 1.0)
    rested.controls.contactors = 0
    bench.seconds(rested, REST_HOURS * 360_000)
    best = [
        min(column) for column in zip(*(bench.round(small, large, bent, rested) for _ in range(REPEATS)), strict=True)
    ]
    return Measured(best[0], best[1], best[2], best[1] / best[0], best[3] / best[0])


class _Bench:
    def __init__(self) -> None:
        self.ffi = cffi.FFI()
        internal = re.sub(
            r"/\*.*?\*/", "", (kernel_folder() / "internal.h").read_text(encoding="utf-8"), flags=re.DOTALL
        )
        self.ffi.cdef(declaration_source() + re.sub(r"^\s*#.*$", "", internal, flags=re.MULTILINE) + LOOP)
        self.kernel = self.ffi.dlopen(str(build_kernel()))
        source = Path(__file__).with_name("plant_loop.c")
        self.loop = self.ffi.dlopen(str(build_firmware([source], [kernel_folder()])))
        self.step = self.ffi.cast("void *", self.ffi.addressof(self.kernel, "bh_plant_step"))

    def plant(self, n_cells: int) -> Plant:
        """A pack of LFP cells that drives up and down, away from both ends of its charge."""
        model = load_cell(data_root() / "fixtures" / "cells" / "lfp-us26650ftc1.toml").model(60)
        cell: dict[str, Any] = {
            name: value.ravel().tolist() if hasattr(value, "ravel") else value
            for name, value in ((name, getattr(model, name)) for name in model.__slots__)
        }
        load = {"load_s": [0.0, 10.0, 30.0, 40.0], "load_w": [0.0, 180e3, -170e3, 0.0]}
        pack = {"n_cells": n_cells, "capacity_ah": 180.0, "neighbour_w_per_k": 1.0, "cooling_w_per_k": 2.0}
        plant = Plant(self.ffi, self.kernel, {"cell": cell, "pack": pack, "environment": load}, TICK_NS // 1000)
        plant.controls.contactors = 3
        plant.step(2)
        plant.heard.ready_to_drive = 1
        plant.heard.discharge_limit_a = plant.heard.charge_limit_a = 400.0
        return plant

    def seconds(self, plant: Plant, ticks: int) -> float:
        """Processor time of so many ticks."""
        start = time.process_time()
        self.loop.bh_plant_loop(self.step, plant.plant, plant.controls, plant.heard, TICK_NS, ticks)
        return time.process_time() - start

    def round(self, *plants: Plant) -> tuple[float, ...]:
        """Microseconds a tick of each."""
        return tuple(self.seconds(plant, TICKS) / TICKS * 1e6 for plant in plants)


def main() -> None:
    """Print what was measured."""
    found = measure()
    print(f"plant, 192 cells:                  {found.us_192:6.3f} us a tick (bar 0.7)")
    print(f"plant, 400 cells:                  {found.us_400:6.3f} us a tick")
    print(f"plant, 192 cells, one cell bent:   {found.us_192_with_cell_fault:6.3f} us a tick")
    print(f"400 over 192 cells:                {found.cost_400_over_192:6.2f} (bar 2.3)")
    print(f"after {REST_HOURS} h of rest over driving:      {found.rested_over_fresh:6.2f} (bar 1.1)")


if __name__ == "__main__":
    main()
