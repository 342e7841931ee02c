# SPDX-License-Identifier: Apache-2.0
"""The cell file: the measured tables of one cell type, and what they become in the simulation kernel.

Tables are those of one cell. Cells in parallel act as one: resistance divided by their number, capacity and heat
capacity multiplied.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field

from harness.kernel.config import CellModel
from harness.tomlfile import FileModel, load_model

Positive = Annotated[float, Field(gt=0.0, allow_inf_nan=False, strict=False)]
Table = Annotated[tuple[Annotated[float, Field(allow_inf_nan=False, strict=False)], ...], Field(strict=False)]
PositiveRows = Annotated[
    tuple[Annotated[tuple[Positive, ...], Field(strict=False)], ...], Field(min_length=1, strict=False)
]
Constant = Annotated[float, Field(allow_inf_nan=False, strict=False)]
_SHARES_SUM_WITHIN = 1e-9


class CellSection(FileModel):
    """What the data sheet of one cell says."""

    capacity_ah: Positive
    min_voltage_v: Annotated[float, Field(ge=0.0, le=10.0, strict=False)]
    max_voltage_v: Annotated[float, Field(gt=0.0, le=10.0, strict=False)]
    mass_kg: Positive
    specific_heat_j_per_kg_k: Positive

    @pydantic.model_validator(mode="after")
    def _window(self) -> Self:
        if self.min_voltage_v >= self.max_voltage_v:
            raise ValueError("min_voltage_v below max_voltage_v")
        return self


class OpenCircuitSection(FileModel):
    """Tables over the state of charge, at `temp_degc`. A single number stands for the whole table."""

    temp_degc: Annotated[float, Field(ge=-50.0, le=100.0, strict=False)]
    soc: Table
    voltage_v: Table
    hysteresis_v: Table | Constant = 0.0
    entropy_v_per_k: Table | Constant = 0.0
    hysteresis_soc: Annotated[float, Field(gt=0.0, le=1.0, strict=False)] = 0.03

    @pydantic.model_validator(mode="after")
    def _tables_fit(self) -> Self:
        _check_soc(self.soc)
        for name in ("voltage_v", "hysteresis_v", "entropy_v_per_k"):
            values = getattr(self, name)
            if isinstance(values, tuple) and len(values) != len(self.soc):
                raise ValueError(f"{name} with as many values as soc: {len(self.soc)}, not {len(values)}")
        if any(not 0.0 < voltage < 10.0 for voltage in self.voltage_v):  # noqa: PLR2004 - no cell has 10 V
            raise ValueError("voltage_v between 0 and 10 V")
        return self


class ResistanceSection(FileModel):
    """Whole direct-current resistance of one cell: a row for each temperature, a column for each state of charge."""

    soc: Table
    temp_degc: Table
    discharge_ohm: PositiveRows
    charge_ohm: PositiveRows

    @pydantic.model_validator(mode="after")
    def _tables_fit(self) -> Self:
        _check_soc(self.soc)
        if not self.temp_degc or not _rising(self.temp_degc):
            raise ValueError("temp_degc rising, with at least one value")
        for name in ("discharge_ohm", "charge_ohm"):
            rows = getattr(self, name)
            if len(rows) != len(self.temp_degc):
                raise ValueError(f"{name} with one row for each of the {len(self.temp_degc)} temperatures")
            if any(len(row) != len(self.soc) for row in rows):
                raise ValueError(f"{name} with {len(self.soc)} values in each row, as many as soc")
        return self


class DynamicsSection(FileModel):
    """How the whole resistance splits: an instantaneous part and two RC pairs."""

    instantaneous_share: Annotated[float, Field(gt=0.0, le=1.0, strict=False)]
    tau1_s: Positive
    share1: Annotated[float, Field(ge=0.0, lt=1.0, strict=False)]
    tau2_s: Positive
    share2: Annotated[float, Field(ge=0.0, lt=1.0, strict=False)]

    @pydantic.model_validator(mode="after")
    def _sums_to_one(self) -> Self:
        total = self.instantaneous_share + self.share1 + self.share2
        if abs(total - 1.0) > _SHARES_SUM_WITHIN:
            raise ValueError(f"instantaneous_share, share1 and share2 that sum to 1, not {total:g}")
        return self


class CellFile(FileModel):
    """A whole cell file."""

    title: Annotated[str, Field(min_length=1)]
    chemistry: Literal["LFP", "NMC", "LTO", "NCA", "LMO", "Na-ion", "other"]
    source: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    cell: CellSection
    open_circuit: OpenCircuitSection
    resistance: ResistanceSection
    dynamics: DynamicsSection

    @property
    def capacity_ah(self) -> float:
        """Of one cell."""
        return self.cell.capacity_ah

    @property
    def heat_capacity_j_per_k(self) -> float:
        """Of one cell."""
        return self.cell.mass_kg * self.cell.specific_heat_j_per_kg_k

    def model(self, parallel: int) -> CellModel:
        """The kernel's tables of `parallel` cells acting as one."""
        ocv, dynamics = self.open_circuit, self.dynamics
        share = dynamics.instantaneous_share / parallel
        return CellModel(
            soc=_array(ocv.soc),
            ocv_v=_array(ocv.voltage_v),
            hysteresis_v=self._over_soc(ocv.hysteresis_v),
            entropy_v_per_k=self._over_soc(ocv.entropy_v_per_k),
            temp_degc=_array(self.resistance.temp_degc),
            r0_discharge_ohm=share * self._on_ocv_points(self.resistance.discharge_ohm),
            r0_charge_ohm=share * self._on_ocv_points(self.resistance.charge_ohm),
            hysteresis_soc=ocv.hysteresis_soc,
            r1_ratio=dynamics.share1 / dynamics.instantaneous_share,
            tau1_s=dynamics.tau1_s,
            r2_ratio=dynamics.share2 / dynamics.instantaneous_share,
            tau2_s=dynamics.tau2_s,
            reference_temp_degc=ocv.temp_degc,
        )

    def _over_soc(self, values: tuple[float, ...] | float) -> NDArray[np.float64]:
        return np.full(len(self.open_circuit.soc), values) if isinstance(values, float) else _array(values)

    def _on_ocv_points(self, rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
        points = self.open_circuit.soc
        return np.array([np.interp(points, self.resistance.soc, row) for row in rows], np.float64)


def load_cell(path: Path) -> CellFile:
    """Read a cell file. Raises RigError with all problems of the file at once."""
    return load_model(path, CellFile)


def _array(values: Sequence[float]) -> NDArray[np.float64]:
    return np.array(values, np.float64)


def _rising(values: Sequence[float]) -> bool:
    return all(low < high for low, high in itertools.pairwise(values))


def _check_soc(soc: Sequence[float]) -> None:
    if len(soc) < 2 or soc[0] != 0.0 or soc[-1] != 1.0 or not _rising(soc):  # noqa: PLR2004 - a line has two ends
        raise ValueError("soc rising from 0 to 1, with at least two values")
