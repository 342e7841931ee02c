# SPDX-License-Identifier: Apache-2.0
"""Cell files: what a wrong one is refused for, what the shipped ones say, and how cells in parallel scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import RigError
from harness.rig.cellfile import load_cell
from harness.rig.resources import data_root

CELLS = data_root() / "fixtures" / "cells"
LFP, NMC, LTO = (CELLS / f"{name}.toml" for name in ("lfp-us26650ftc1", "nmc-samsung94", "lto-20ah"))

MINIMAL = """
title = "Test cell"
chemistry = "LFP"
source = ["nobody"]

[cell]
capacity_ah = 2.0
min_voltage_v = 2.0
max_voltage_v = 3.6
mass_kg = 0.1
specific_heat_j_per_kg_k = 1000

[open_circuit]
temp_degc = 25
soc = [0.0, 0.5, 1.0]
voltage_v = [2.5, 3.3, 3.5]

[resistance]
soc = [0.0, 1.0]
temp_degc = [0.0, 25.0]
discharge_ohm = [[0.08, 0.06], [0.04, 0.02]]
charge_ohm = [[0.08, 0.08], [0.04, 0.04]]

[dynamics]
instantaneous_share = 0.5
tau1_s = 3.0
share1 = 0.3
tau2_s = 60.0
share2 = 0.2
"""


@pytest.mark.parametrize(
    ("path", "expected_v", "within_v"),
    [
        (LFP, [2.286, 3.255, 3.300, 3.319, 3.531], 0.001),
        (NMC, [3.238, 3.579, 3.694, 3.861, 4.127], 0.001),
        (LTO, [2.00, 2.166, 2.224, 2.340, 2.800], 1e-9),
    ],
)
def test_open_circuit_voltages_are_the_published_ones(path: Path, expected_v: list[float], within_v: float) -> None:
    table = load_cell(path).open_circuit
    found = np.interp([0.0, 0.25, 0.5, 0.75, 1.0], table.soc, table.voltage_v)
    assert found.tolist() == pytest.approx(expected_v, abs=within_v)


def test_lfp_resistance_capacity_and_heat_are_the_published_ones() -> None:
    cell = load_cell(LFP)
    at = {
        degc: (discharge[5], charge[5])  # state of charge 50 %
        for degc, discharge, charge in zip(
            cell.resistance.temp_degc, cell.resistance.discharge_ohm, cell.resistance.charge_ohm, strict=True
        )
    }
    assert at[10.0] == pytest.approx((0.0694, 0.0626), abs=1e-4)
    assert at[25.0] == pytest.approx((0.0478, 0.0448), abs=1e-4)
    assert at[40.0] == pytest.approx((0.0384, 0.0352), abs=1e-4)
    assert cell.capacity_ah == 3.0
    assert cell.heat_capacity_j_per_k == pytest.approx(0.070 * 1001.0)


@pytest.mark.parametrize("path", [LFP, NMC, LTO])
def test_voltage_rises_with_charge_and_resistance_falls_with_temperature(path: Path) -> None:
    model = load_cell(path).model(1)
    assert np.all(np.diff(model.ocv_v) > 0.0)
    assert np.all(np.diff(model.r0_discharge_ohm, axis=0) <= 0.0)
    assert np.all(np.diff(model.r0_charge_ohm, axis=0) <= 0.0)


@pytest.mark.parametrize("path", [LFP, NMC, LTO])
def test_the_three_parts_add_up_to_the_published_resistance(path: Path) -> None:
    cell = load_cell(path)
    model = cell.model(1)
    whole = model.r0_discharge_ohm * (1.0 + model.r1_ratio + model.r2_ratio)
    assert whole[:, 0].tolist() == pytest.approx([row[0] for row in cell.resistance.discharge_ohm])


def test_cells_in_parallel_divide_the_resistance_and_leave_the_voltage(tmp_path: Path) -> None:
    path = tmp_path / "cell.toml"
    path.write_text(MINIMAL)
    one, sixty = load_cell(path).model(1), load_cell(path).model(60)
    assert one.r0_discharge_ohm.tolist() == pytest.approx(np.array([[0.04, 0.035, 0.03], [0.02, 0.015, 0.01]]))
    assert sixty.r0_discharge_ohm.tolist() == pytest.approx(one.r0_discharge_ohm / 60.0)
    assert sixty.ocv_v.tolist() == [2.5, 3.3, 3.5]
    assert (one.r1_ratio, one.r2_ratio) == pytest.approx((0.6, 0.4))
    assert one.hysteresis_v.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("old", "new", "key", "allowed"),
    [
        ("capacity_ah = 2.0", "capacity_ah = 0.0", "cell.capacity_ah", "greater than 0"),
        ("min_voltage_v = 2.0", "min_voltage_v = 4.0", "cell", "min_voltage_v below max_voltage_v"),
        ("soc = [0.0, 0.5, 1.0]", "soc = [0.0, 0.5, 0.4]", "open_circuit", "rising from 0 to 1"),
        ("[2.5, 3.3, 3.5]", "[2.5, 3.3]", "open_circuit", "as many values as soc: 3, not 2"),
        ("[2.5, 3.3, 3.5]", "[2500, 3300, 3500]", "open_circuit", "between 0 and 10 V"),
        ("[[0.08, 0.06], [0.04, 0.02]]", "[[0.08, 0.06]]", "resistance", "one row for each of the 2 temperatures"),
        ("[[0.08, 0.06], [0.04, 0.02]]", "[[0.08], [0.04]]", "resistance", "2 values in each row"),
        ("temp_degc = [0.0, 25.0]", "temp_degc = [25.0, 0.0]", "resistance", "temp_degc rising"),
        ("share1 = 0.3", "share1 = 0.4", "dynamics", "sum to 1, not 1.1"),
        ('chemistry = "LFP"', 'chemistry = "lead"', "chemistry", "'LFP'"),
        ("mass_kg = 0.1", "mass_g = 100", "cell.mass_g", "only the keys of this table"),
    ],
)
def test_a_wrong_cell_file_is_refused_with_key_and_what_is_allowed(
    tmp_path: Path, old: str, new: str, key: str, allowed: str
) -> None:
    assert MINIMAL.count(old) == 1
    path = tmp_path / "cell.toml"
    path.write_text(MINIMAL.replace(old, new))
    with pytest.raises(RigError) as caught:
        load_cell(path)
    found = {problem.key: problem for problem in caught.value.problems}
    assert allowed in found[key].allowed
    assert found[key].line > 0
