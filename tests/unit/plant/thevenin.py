# SPDX-License-Identifier: Apache-2.0
"""The cells of the plant as PyBaMM's Thevenin model: the same tables, another author, another solver.

Its circuit has no hysteresis, and its open-circuit voltage no temperature; both are given to it, hysteresis as one
more state. It counts what goes into an RC pair as heat at once, the plant what its resistor turns into heat: over a
cycle that is the same.
"""

from __future__ import annotations

import os
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.rig.cellfile import CellFile

Numbers = NDArray[np.float64]
KELVIN = 273.15
SECONDS_PER_HOUR = 3600.0
HYSTERESIS = "Hysteresis"
WIDE_V = (0.1, 10.0)  # cut-off voltages that end nothing
NO_JIG_J_PER_K = 1e12  # the coolant keeps its temperature


@dataclass(frozen=True, slots=True)
class Cooling:
    """One cell and what it stands on, which has the cell's first temperature."""

    heat_capacity_j_per_k: float
    w_per_k: float
    degc: float


def solve(
    cell: CellFile, parallel: int, soc: float, cooling: Cooling, knots_s: Numbers, knots_a: Numbers, t_s: Numbers
) -> Any:
    """PyBaMM's solution at some times, for a current that runs straight between its knots."""
    os.environ["PYBAMM_DISABLE_TELEMETRY"] = "true"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pybamm  # noqa: PLC0415 - 700 MB, of the extra `validate`

        options = {"number of rc elements": 2, "diffusion element": "false"}
        model = pybamm.equivalent_circuit.Thevenin(options=options)
        _add_hysteresis(pybamm, model, cell, parallel)
        values = _parameters(pybamm, cell, parallel, soc, cooling)
        values["Current function [A]"] = lambda t: pybamm.Interpolant(knots_s, knots_a, t, interpolator="linear")
        solver = pybamm.IDAKLUSolver(rtol=1e-8, atol=1e-9)
        simulation = pybamm.Simulation(model, parameter_values=pybamm.ParameterValues(values), solver=solver)
        return simulation.solve(t_eval=knots_s, t_interp=t_s)


def _add_hysteresis(pybamm: Any, model: Any, cell: CellFile, parallel: int) -> None:
    """It nears -1 while the cell is discharged and +1 while it is charged, by the charge that flows."""
    state, current_a = pybamm.Variable(HYSTERESIS), model.variables["Current [A]"]
    scale_as = cell.capacity_ah * parallel * SECONDS_PER_HOUR * cell.open_circuit.hysteresis_soc
    model.rhs[state] = (-current_a - abs(current_a) * state) / scale_as
    model.initial_conditions[state] = pybamm.Scalar(0.0)


def _open_circuit(pybamm: Any, tables: Any) -> tuple[Any, Any]:
    """The open-circuit voltage over charge and temperature with hysteresis, and the change of it that makes heat."""

    def over_soc(values: Numbers, at: Any) -> Any:
        return pybamm.Interpolant(tables.soc, values, at, interpolator="linear")

    def entropy(at: Any) -> Any:
        return over_soc(tables.entropy_v_per_k, at)

    def hysteresis_v(at: Any) -> Any:
        return pybamm.Variable(HYSTERESIS) * over_soc(tables.hysteresis_v, at)

    def ocv(at: Any) -> Any:
        degc = pybamm.Variable("Cell temperature [degC]")
        return over_soc(tables.ocv_v, at) + entropy(at) * (degc - tables.reference_temp_degc) + hysteresis_v(at)

    def reversible(_ocv: Any, degc: Any) -> Any:
        at = pybamm.Variable("SoC")
        return entropy(at) + hysteresis_v(at) / (degc + KELVIN)  # its heat is current times this times temperature

    return ocv, reversible


def _parameters(pybamm: Any, cell: CellFile, parallel: int, soc: float, cooling: Cooling) -> dict[str, Any]:
    tables = cell.model(parallel)
    share = {"R1": tables.r1_ratio, "R2": tables.r2_ratio}
    tau_s = {"C1": tables.tau1_s, "C2": tables.tau2_s}

    ocv, reversible = _open_circuit(pybamm, tables)

    def r0(degc: Any, current: Any, at: Any) -> Any:
        places = (tables.temp_degc, tables.soc)
        out, into = (
            pybamm.Interpolant(places, table, [degc, at], interpolator="linear")
            for table in (tables.r0_discharge_ohm, tables.r0_charge_ohm)
        )
        return (current > 0) * out + (current <= 0) * into

    def pair(name: str) -> Any:
        if name in share:
            return lambda degc, current, at: share[name] * r0(degc, current, at)
        return lambda degc, current, at: tau_s[name] / (share[name.replace("C", "R")] * r0(degc, current, at))

    start_k = cooling.degc + KELVIN
    return {
        "Cell capacity [A.h]": cell.capacity_ah * parallel,
        "Nominal cell capacity [A.h]": cell.capacity_ah * parallel,
        "Initial SoC": soc,
        "Initial temperature [K]": start_k,
        "Ambient temperature [K]": start_k,
        "Upper voltage cut-off [V]": WIDE_V[1],
        "Lower voltage cut-off [V]": WIDE_V[0],
        "Cell thermal mass [J/K]": cooling.heat_capacity_j_per_k,
        "Cell-jig heat transfer coefficient [W/K]": cooling.w_per_k,
        "Jig thermal mass [J/K]": NO_JIG_J_PER_K,
        "Jig-air heat transfer coefficient [W/K]": 0.0,
        "Open-circuit voltage [V]": ocv,
        "Entropic change [V/K]": reversible,
        "R0 [Ohm]": r0,
        **{f"{name} [Ohm]": pair(name) for name in share},
        **{f"{name} [F]": pair(name) for name in tau_s},
        **{f"Element-{number} initial overpotential [V]": 0.0 for number in (1, 2)},
    }
