# SPDX-License-Identifier: Apache-2.0
"""A plant on its own, without firmware and bus: the C code of the kernel, stepped from Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

import cffi
import numpy as np
import pytest
from numpy.typing import NDArray

from harness.firmware.builder import build_kernel, kernel_folder
from harness.firmware.declarations import declaration_source

POSITIVE, NEGATIVE, PRECHARGE = 1, 2, 4  # FIL_OUT_*
MAIN = POSITIVE | NEGATIVE
TICK_NS = 10_000_000
FORCE_W = 1e9  # asks for more than any pack gives, so that the limit alone decides the current

CELL: Mapping[str, Any] = {
    "soc": [0.0, 1.0],
    "ocv_v": [3.0, 3.0],
    "hysteresis_v": [0.0, 0.0],
    "entropy_v_per_k": [0.0, 0.0],
    "temp_degc": [25.0],
    "r0_discharge_ohm": [1e-3, 1e-3],
    "r0_charge_ohm": [1e-3, 1e-3],
    "hysteresis_soc": 0.03,
    "r1_ratio": 0.0,
    "tau1_s": 2.0,
    "r2_ratio": 0.0,
    "tau2_s": 50.0,
    "reference_temp_degc": 25.0,
}
PACK: Mapping[str, Any] = {
    "n_cells": 12,
    "temp_cell": [0, 6],
    "capacity_ah": 100.0,
    "soc": 0.5,
    "r_scale": 1.0,
    "temp_degc": 25.0,
    "heat_capacity_j_per_k": 1000.0,
    "cooling_w_per_k": 0.0,
    "ambient_w_per_k": 0.0,
    "neighbour_w_per_k": 0.0,
    "coolant_degc": 25.0,
    "ambient_degc": 25.0,
    "joint_ohm": 0.0,
    "balancing_ohm": 30.0,
    "self_discharge_ohm": 1e12,
    "link_capacitance_f": 1e-9,
    "link_bleed_ohm": 1e12,
    "precharge_ohm": 50.0,
    "contactor_close_s": 0.0,
    "contactor_open_s": 0.0,
    "fuse_rated_a": 1e6,
    "fuse_i2t_a2s": 0.0,
    "insulation_positive_ohm": 1e6,
    "insulation_negative_ohm": 1e6,
    "supply_v": 24.0,
    "supply_min_v": 9.0,
}
ENVIRONMENT: Mapping[str, Any] = {
    "load_s": [],
    "load_w": [],
    "load_min_link_v": 1.0,
    "auxiliary_w": 0.0,
    "limit_lag_s": 0.0,
    "limit_timeout_s": 0.0,
    "charger_max_a": 50.0,
    "charger_max_v": 1e4,
    "charger_slope_a_per_s": 1e6,
}
PER_CELL = ("capacity_ah", "soc", "r_scale", "temp_degc")


class Plant:
    """One plant. `truth`, `controls`, `heard` and `distortion` are the C structs of internal.h."""

    def __init__(self, ffi: Any, lib: Any, sections: Mapping[str, Mapping[str, Any]], tick_us: int) -> None:
        self.ffi, self.lib = ffi, lib
        self._kept: list[Any] = []
        self._config = ffi.new("bh_config *")
        self._config.tick_us = tick_us
        self._fill(self._config.cell, {**CELL, **sections.get("cell", {})}, n_soc="soc", n_temp="temp_degc")
        pack = {**PACK, **sections.get("pack", {})}
        for name in PER_CELL:
            pack[name] = np.broadcast_to(pack[name], pack["n_cells"]).tolist()
        self._fill(self._config.pack, pack, n_temps="temp_cell")
        self._fill(self._config.environment, {**ENVIRONMENT, **sections.get("environment", {})}, n_load="load_s")
        counted = ffi.new("bh_arena *")
        lib.bh_plant_create(counted, self._config)
        self.size = int(counted.used)
        raw = ffi.new("uint8_t[]", self.size + 64)
        self._kept.append(raw)
        self.memory = raw + (-int(ffi.cast("uintptr_t", raw)) % 64)
        arena = ffi.new("bh_arena *", {"base": self.memory, "used": 0, "size": self.size})
        self.plant = lib.bh_plant_create(arena, self._config)
        assert arena.used == counted.used
        self.truth, self.distortion = lib.bh_plant_truth(self.plant), lib.bh_plant_distortion(self.plant)
        self.balancing = ffi.new("uint8_t[]", pack["n_cells"])
        self.controls = ffi.new("bh_controls *", {"ignition": 1, "load_scale": 1.0, "balancing": self.balancing})
        self.heard = ffi.new("bh_heard *", {"limits_ns": 0, "charge_voltage_limit_v": 1e4})
        self.n, self.tick_s, self.now_ns = int(pack["n_cells"]), tick_us * 1e-6, 0

    def _fill(self, target: Any, values: Mapping[str, Any], **counts: str) -> None:
        for name, value in values.items():
            if isinstance(value, list):
                kind = "int32_t[]" if name == "temp_cell" else "double[]"
                array = self.ffi.new(kind, value)
                self._kept.append(array)
                setattr(target, name, array)
            else:
                setattr(target, name, value)
        for count, name in counts.items():
            setattr(target, count, len(values[name]))

    def step(self, ticks: int = 1) -> None:
        """Advance by ticks."""
        for _ in range(ticks):
            self.lib.bh_plant_step(self.plant, self.controls, self.heard, self.now_ns, self.tick_s)
            self.now_ns += round(self.tick_s * 1e9)

    def run(self, seconds: float) -> None:
        """Advance by seconds."""
        self.step(round(seconds / self.tick_s))

    def draw(self, current_a: float) -> None:
        """From now on this pack current flows (positive = discharge): main contactors closed, limit in force."""
        if self.controls.contactors != MAIN:
            self.controls.contactors = MAIN
            self.step()  # the link comes up
        self.heard.ready_to_drive = 1
        self.heard.discharge_limit_a = max(current_a, 0.0)
        self.heard.charge_limit_a = max(-current_a, 0.0)
        self.distortion.load_w = FORCE_W if current_a > 0 else -FORCE_W if current_a < 0 else 0.0

    def bend(self, name: str, cell: int, value: float) -> None:
        """Set one element of a per-cell distortion."""
        self.distortion.cells_touched = 1
        getattr(self.distortion, name)[cell] = value

    def straighten(self) -> None:
        """Take all faults away."""
        self.lib.bh_plant_undistort(self.plant)

    def volts(self) -> NDArray[np.float64]:
        """Terminal voltages."""
        return np.array(self.ffi.unpack(self.truth.cell_v, self.n))

    def degc(self) -> NDArray[np.float64]:
        """Cell temperatures."""
        return np.array(self.ffi.unpack(self.truth.cell_degc, self.n))

    def effect(self, point: str, index: int = 0) -> float:
        """Effect of a fault that began in this tick."""
        fault = self.ffi.new("bh_fault *", {"point": getattr(self.lib, f"BH_AT_{point}"), "index": index})
        return float(self.lib.bh_plant_effect(self.plant, fault, self.ffi.new("double *"), self.tick_s))

    def snapshot(self) -> bytes:
        """Every byte of the plant's state."""
        return bytes(self.ffi.buffer(self.memory, self.size))

    def restore(self, snapshot: bytes) -> None:
        """Back to a snapshot of this very plant."""
        self.ffi.memmove(self.memory, snapshot, self.size)


def load_internals() -> tuple[Any, Any]:
    """The kernel with what its headers keep to themselves."""
    ffi = cffi.FFI()
    internal = (kernel_folder() / "internal.h").read_text(encoding="utf-8")
    internal = re.sub(r"^\s*#.*$", "", re.sub(r"/\*.*?\*/", "", internal, flags=re.DOTALL), flags=re.MULTILINE)
    ffi.cdef(declaration_source() + internal)
    return ffi, ffi.dlopen(str(build_kernel()))


@pytest.fixture(scope="session")
def kernel() -> tuple[Any, Any]:
    return load_internals()


MakePlant = Callable[..., Plant]


@pytest.fixture
def make_plant(kernel: tuple[Any, Any]) -> MakePlant:
    """A factory: sections `cell`, `pack`, `environment` override the plain defaults above."""

    def make(*, tick_us: int = 10_000, **sections: Mapping[str, Any]) -> Plant:
        return Plant(*kernel, sections, tick_us)

    return make
