# SPDX-License-Identifier: Apache-2.0
"""The pack in numpy, as the usual stack would have it: vectorised over the cells, tables looked up once a step.

The same equations and parameters as the kernel's plant: OCV with hysteresis and entropy, R0 over SOC and temperature,
two RC pairs, heat, contactors with their times, precharge, DC link. Resistance and heat, which move slowly, are done
every tenth step.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.kernel.config import KernelConfig

POSITIVE, NEGATIVE, PRECHARGE = 1, 2, 4
VALID, OPEN_WIRE = 1, 2
SLOW_STEPS = 10
Array = NDArray[np.float64]


@dataclass(slots=True)
class Readings:
    """What the controller's sensors read; the arrays are written in place. Units as in fil.h."""

    cell_uv: NDArray[np.int32]
    temp_mdegc: NDArray[np.int32]
    cell_flags: NDArray[np.uint8]
    cell_age_ms: NDArray[np.uint16]
    temp_flags: NDArray[np.uint8]
    current_ma: int = 0
    pack_mv: int = 0
    link_mv: int = 0
    insulation_ohm: int = 0
    supply_mv: int = 0
    digital_in: int = 0


@dataclass(slots=True)
class Demand:
    """What vehicle and limits ask of the link."""

    power_w: float = 0.0
    charge_limit_a: float = 0.0
    discharge_limit_a: float = 0.0


@dataclass(slots=True)
class _Contactor:
    """One contactor: follows its command after its own time."""

    closed: bool = False
    pending_s: float = field(default=0.0)

    def step(self, command: bool, close_s: float, open_s: float, dt_s: float) -> None:  # noqa: FBT001 - a coil
        if command == self.closed:
            self.pending_s = 0.0
            return
        self.pending_s += dt_s
        if self.pending_s >= (close_s if command else open_s):
            self.closed, self.pending_s = command, 0.0


class NumpyPlant:
    """Cells, contactors and link. `step` carries it over one tick and returns what the sensors read."""

    def __init__(self, config: KernelConfig, dt_s: float) -> None:
        cell, pack = config.cell, config.pack
        self._pack, self._dt_s = pack, dt_s
        self._grid, self._temp_grid = cell.soc, cell.temp_degc
        self._cell = cell
        self._slope = {
            name: np.diff(getattr(cell, name)) / np.diff(cell.soc)
            for name in ("ocv_v", "hysteresis_v", "entropy_v_per_k")
        }
        self.soc = pack.soc.copy()
        self.temp_degc = pack.temp_degc.copy()
        n = pack.n_cells
        self._x1, self._x2, self._h = np.zeros(n), np.zeros(n), np.zeros(n)
        self._keep1, self._keep2 = math.exp(-dt_s / cell.tau1_s), math.exp(-dt_s / cell.tau2_s)
        self._capacity_c = pack.capacity_ah * 3600.0
        self._resistance = (np.zeros(n), np.zeros(n))
        self._step = 0
        self._joule_j = np.zeros(n)
        self._contactors = {bit: _Contactor() for bit in (POSITIVE, NEGATIVE, PRECHARGE)}
        self.link_v = 0.0
        insulation = pack.insulation_positive_ohm * pack.insulation_negative_ohm
        insulation /= pack.insulation_positive_ohm + pack.insulation_negative_ohm
        self.readings = Readings(
            np.zeros(n, np.int32),
            np.zeros(pack.n_temps, np.int32),
            np.full(n, VALID, np.uint8),
            np.zeros(n, np.uint16),
            np.full(pack.n_temps, VALID, np.uint8),
            insulation_ohm=round(insulation),
            supply_mv=round(pack.supply_v * 1e3),
        )

    def step(self, command: int, demand: Demand, digital_in: int) -> Readings:
        """One tick with the contactors commanded and the power demanded."""
        closed = self._switch(command)
        if self._step % SLOW_STEPS == 0:
            self._slow()
        self._step += 1
        at = np.searchsorted(self._grid, self.soc, side="right") - 1
        np.clip(at, 0, len(self._grid) - 2, out=at)
        beyond = self.soc - self._grid[at]
        emf = self._cell.ocv_v[at] + beyond * self._slope["ocv_v"][at]
        emf += self._h * (self._cell.hysteresis_v[at] + beyond * self._slope["hysteresis_v"][at])
        entropy = self._cell.entropy_v_per_k[at] + beyond * self._slope["entropy_v_per_k"][at]
        emf += entropy * (self.temp_degc - self._cell.reference_temp_degc)
        current = self._flow(closed, emf, demand)
        cell_v = self._carry(current, emf)
        return self._read(closed, current, cell_v, digital_in)

    def _switch(self, command: int) -> int:
        pack, closed = self._pack, 0
        for bit, contactor in self._contactors.items():
            contactor.step(bool(command & bit), pack.contactor_close_s, pack.contactor_open_s, self._dt_s)
            closed |= bit if contactor.closed else 0
        return closed

    def _slow(self) -> None:
        """Resistance over SOC and temperature, and the heat of the last steps."""
        pack, dt_s = self._pack, self._dt_s * SLOW_STEPS
        heat_w = self._joule_j / dt_s
        heat_w -= pack.cooling_w_per_k * (self.temp_degc - pack.coolant_degc)
        heat_w -= pack.ambient_w_per_k * (self.temp_degc - pack.ambient_degc)
        between = pack.neighbour_w_per_k * np.diff(self.temp_degc)
        heat_w[:-1] += between
        heat_w[1:] -= between
        self.temp_degc += heat_w * (dt_s / pack.heat_capacity_j_per_k)
        self._joule_j[:] = 0.0
        at, part = _place(self._grid, self.soc)
        row, share = _place(self._temp_grid, self.temp_degc)
        cell = self._cell
        self._resistance = tuple(  # type: ignore[assignment] # two of them
            pack.r_scale * _bilinear(table, row, share, at, part)
            for table in (cell.r0_discharge_ohm, cell.r0_charge_ohm)
        )

    def _flow(self, closed: int, emf: Array, demand: Demand) -> float:
        """The pack current of this step; positive discharges. Moves the link."""
        pack, cell = self._pack, self._cell
        total_v = float(emf.sum())
        r0 = self._resistance[0 if demand.power_w >= 0.0 else 1]
        total_v -= float(r0 @ (cell.r1_ratio * self._x1 + cell.r2_ratio * self._x2))
        ohm = float(r0.sum()) + pack.joint_ohm * (pack.n_cells + 1)
        if closed & (POSITIVE | NEGATIVE) == POSITIVE | NEGATIVE:
            return self._drive(total_v, ohm, demand)
        farad, dt_s = pack.link_capacitance_f, self._dt_s
        if closed & (PRECHARGE | NEGATIVE) == PRECHARGE | NEGATIVE:
            before = self.link_v
            self.link_v += (total_v - before) * (1.0 - math.exp(-dt_s / (farad * (pack.precharge_ohm + ohm))))
            return farad * (self.link_v - before) / dt_s
        self.link_v *= math.exp(-dt_s / (farad * pack.link_bleed_ohm))
        return 0.0

    def _drive(self, total_v: float, ohm: float, demand: Demand) -> float:
        root = total_v * total_v - 4.0 * ohm * demand.power_w
        self.link_v = 0.5 * (total_v + math.sqrt(max(root, 0.0)))
        current = (total_v - self.link_v) / ohm
        current = min(max(current, -demand.charge_limit_a), demand.discharge_limit_a)
        self.link_v = total_v - ohm * current
        return current + self.link_v / self._pack.link_bleed_ohm

    def _carry(self, current: float, emf: Array) -> Array:
        """Charge, RC pairs, hysteresis and heat over the step; the terminal voltages at its end."""
        cell, dt_s = self._cell, self._dt_s
        r0 = self._resistance[0 if current >= 0.0 else 1]
        self._x1 += (current - self._x1) * (1.0 - self._keep1)
        self._x2 += (current - self._x2) * (1.0 - self._keep2)
        drop = r0 * (current + cell.r1_ratio * self._x1 + cell.r2_ratio * self._x2)
        moved = (current * dt_s) / self._capacity_c
        self.soc -= moved
        if current:
            branch = -1.0 if current > 0.0 else 1.0
            self._h += (branch - self._h) * np.minimum(np.abs(moved) * (1.0 / cell.hysteresis_soc), 1.0)
        self._joule_j += drop * (current * dt_s)
        return emf - drop

    def _read(self, closed: int, current: float, cell_v: Array, digital_in: int) -> Readings:
        found, pack = self.readings, self._pack
        np.rint(cell_v * 1e6, out=found.cell_uv, casting="unsafe")
        np.rint(self.temp_degc[pack.temp_cell] * 1e3, out=found.temp_mdegc, casting="unsafe")
        found.current_ma = round(current * 1e3)
        found.pack_mv = round((float(cell_v.sum()) - current * pack.joint_ohm * (pack.n_cells + 1)) * 1e3)
        found.link_mv = round(self.link_v * 1e3)
        found.digital_in = digital_in | closed << 4
        return found


def _place(grid: Any, values: Array) -> tuple[NDArray[np.intp], Array]:
    """The segment of a grid each value lies in, and how far into it."""
    at = np.clip(np.searchsorted(grid, values, side="right") - 1, 0, len(grid) - 2)
    return at, np.clip((values - grid[at]) / (grid[at + 1] - grid[at]), 0.0, 1.0)


def _bilinear(table: Array, row: NDArray[np.intp], share: Array, at: NDArray[np.intp], part: Array) -> Array:
    low = table[row, at] + part * (table[row, at + 1] - table[row, at])
    high = table[row + 1, at] + part * (table[row + 1, at + 1] - table[row + 1, at])
    result: Array = low + share * (high - low)
    return result
