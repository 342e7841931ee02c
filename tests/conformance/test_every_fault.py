# SPDX-License-Identifier: Apache-2.0
"""Every kind of the catalogue on the shipped rig: it fires, changes what it says, ends, and something reacts or not.

The scenarios are in fixtures/faults/ebus-lfp.toml. Each is compared with the same scenario without the fault, up to the
moment in which the controller does something else because of it.
"""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from harness.cli import cli
from harness.faults.catalogue import CATALOGUE, kind_named
from harness.faults.check import ResolvedFault, resolve
from harness.faults.model import FaultKind, Where
from harness.requirements.model import Trip
from harness.rig import load_rig
from harness.rig.compose import sensor_cells
from harness.rig.resources import data_root, rigs_folder
from harness.rig.session import Run, Session
from harness.scenario import Scenario, fault_windows
from harness.trace import Trace
from harness.verdict import EXIT_CODES, Outcome, Verdict

TICK_S = 0.01
AT_S = 1.0
FOR_S = 0.3
LENGTH_S = 4.0
NEAR_V, NEAR_A = 0.02, 10.0  # what a fault of 0.3 s leaves behind: charge, heat
LEFT = 0.1  # share of its voltage drop that a hard short leaves behind as diffusion
THERMAL_S = 0.1  # step of the plant's temperatures
PATH = data_root() / "fixtures" / "faults" / "ebus-lfp.toml"
EXAMPLES: Mapping[str, Mapping[str, Any]] = tomllib.loads(PATH.read_text(encoding="utf-8"))

# What follows from a quantity in the columns of a trace, besides the one of its own name.
CELLS = {"cell_voltage_max_v", "cell_voltage_min_v", "cell_voltage_max_index", "cell_voltage_min_index"}
CELLS_GIVEN = CELLS | {"cell_voltage_sum_v", "cell_voltage_spread_v", "voltage_mismatch_v", "cell_frozen_a"}
TEMPS = {"cell_temp_max_degc", "cell_temp_min_degc", "cell_temp_max_index"}
TEMPS_GIVEN = TEMPS | {"cell_temp_min_index", "cell_temp_spread_k", "cell_temp_rise_k_per_s"}
FROZEN = {"cell_frozen_a", "pack_voltage_frozen_a", "link_voltage_frozen_a", "current_frozen_v"}
FOLLOWS: Mapping[str, set[str]] = {
    "given.cell_voltage_v": CELLS_GIVEN,
    "given.cell_age_max_s": {"cell_frozen_a"},
    "given.cells_invalid": CELLS_GIVEN | {"cell_flags"},
    "given.cells_open_wire": {"cell_flags"},
    "given.cell_temp_degc": TEMPS_GIVEN,
    "given.temps_invalid": TEMPS_GIVEN,
    "given.pack_voltage_v": {"voltage_mismatch_v", "link_of_pack_pct", *FROZEN},
    "given.link_voltage_v": {"link_of_pack_pct", "link_voltage_frozen_a"},
    "given.pack_current_a": FROZEN,
    "given.current_valid": FROZEN,
    "given.pack_valid": FROZEN,
    "given.link_valid": FROZEN,
    "truth.cell_voltage_v": CELLS,
    "truth.cell_temp_degc": TEMPS,
    "truth.soc": {"soc_mean", "soc_min", "soc_max"},
    "given.insulation_valid": {"insulation_ohm"},
    "boot": {"nvm_damaged"},
}
DIGITAL_IN = {
    "ignition": 1,
    "charge_plug": 2,
    "hvil_closed": 4,
    "crash": 8,
    "aux_positive": 16,
    "aux_negative": 32,
    "aux_precharge": 64,
}
UNSEEN = {"given.pack_valid", "given.link_valid", "given.now_s", "boot", "bus"}

OFFERED = tuple(kind for kind in CATALOGUE if not kind.needs)  # of the shipped bus, which has no overhead line
every_kind = pytest.mark.parametrize("kind", OFFERED, ids=lambda kind: kind.kind)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(rigs_folder() / "ebus-lfp.toml")) as booted:
        yield booted


@pytest.fixture(scope="module")
def played() -> dict[str, Run]:
    """Runs of this module by scenario: most faults share the scenario without one."""
    return {}


def scenario(kind: FaultKind, *, faulty: bool = True, length_s: float | None = None, **timing: float) -> Scenario:
    example = EXAMPLES[kind.kind]
    fault = {"at_s": AT_S, "fault": kind.kind, **example["parameters"], **timing}
    return Scenario.model_validate(
        {
            "rig": "ebus-lfp",
            "start": example.get("start", "drive"),
            "duration_s": length_s or example.get("duration_s", LENGTH_S),
            "action": [*([fault] if faulty else []), *example.get("actions", [])],
        }
    )


def play(session: Session, played: dict[str, Run], wanted: Scenario) -> Run:
    key = wanted.model_dump_json()
    if key not in played:
        played[key] = session.run(wanted)
        assert not played[key].error
    return played[key]


# ---- fires, and changes what it says -------------------------------------------------------------------------------


def table(trace: Trace) -> dict[str, Any]:
    """Everything a trace records of inputs and truth, digital inputs one by one."""
    columns: dict[str, Any] = {
        f"{side}.{name}": values for side in ("given", "truth") for name, values in trace.columns[side].items()
    }
    digital = columns.pop("given.digital_in").astype(int)
    columns.update({f"given.{name}": digital & mask for name, mask in DIGITAL_IN.items()})
    arrays = ("cell_voltage_v", "cell_temp_degc", "cell_flags", "true_cell_voltage_v", "true_cell_temp_degc")
    for name in arrays:
        side = "truth" if name.startswith("true_") else "given"
        columns[f"{side}.{name.removeprefix('true_')}"] = trace.arrays[name]
    columns["output.powered"] = trace.columns["output"]["powered"]
    return columns


def reaction(one: Trace, other: Trace) -> int:
    """The first row in which the controller, or the vehicle that follows its limits, does something else."""
    acts = [
        one.columns["output"][name] != other.columns["output"][name]
        for name in ("contactors", "digital", "balancing_count")
    ] + [
        one.columns["environment"][name] != other.columns["environment"][name]
        for name in ("charge_limit_a", "discharge_limit_a")
    ]
    differs = np.logical_or.reduce(acts)
    return int(differs.argmax()) + 1 if differs.any() else len(differs)


def differing(one: Trace, other: Trace) -> set[str]:
    end = reaction(one, other)
    before, after = table(other), table(one)
    return {
        name
        for name, values in after.items()
        if not np.array_equal(values[:end], before[name][:end], equal_nan=values.dtype.kind == "f")
    }


def allowed(kind: FaultKind) -> set[str]:
    """The declared quantities and what follows from them; the truth is given as far as there is a sensor."""
    names: set[str] = set()
    for change in kind.changes:
        side, _, quantity = change.rpartition(".")
        sides = (side, "given") if side == "truth" else (side or "given",)
        for each in sides:
            follows = FOLLOWS.get(change, set()) | FOLLOWS.get(f"{each}.{quantity}", set())
            names |= {f"{each}.{name}" for name in (quantity, *follows)}
    # The current as given is counted while it is valid and the controller is on.
    if names & {"given.pack_current_a", "given.current_valid", "output.powered", "truth.soc_mean"}:
        names.add("given.soc_counted")
    return names


@every_kind
def test_it_fires_and_changes_exactly_what_it_claims(kind: FaultKind, session: Session, played: dict[str, Run]) -> None:
    run = play(session, played, scenario(kind))
    (record,) = [record for record in run.trace.faults if record.kind == kind.kind]
    assert record.fired
    assert record.first_fired_s is not None
    assert record.first_fired_s >= AT_S
    plain = play(session, played, scenario(kind, faulty=False))
    found = differing(run.trace, plain.trace)
    assert found - allowed(kind) == set()
    if not set(kind.changes) & UNSEEN:
        assert found


# ---- ends ----------------------------------------------------------------------------------------------------------


@every_kind
def test_it_ends_when_it_should(kind: FaultKind, session: Session, played: dict[str, Run]) -> None:
    """After `for_s` it fires no more, and nothing is left of it but what it has set in motion."""
    run = session.run(scenario(kind, for_s=FOR_S, length_s=LENGTH_S))
    assert last_fired_s(session, run, kind) <= AT_S + FOR_S + TICK_S / 2
    slow_s = THERMAL_S if kind.where is Where.TRUTH else 0.0
    after = run.trace.t_s > AT_S + FOR_S + slow_s + TICK_S / 2
    plain = play(session, played, scenario(kind, faulty=False, length_s=LENGTH_S)).trace
    if kind.where is Where.GIVEN:
        assert sensors_tell_the_truth(run.trace, after, session)
    elif kind.where is Where.TRUTH:
        assert what_was_bent_is_back(run.trace, plain, after)
    else:
        assert abs(frames_at_the_end(run.trace) - frames_at_the_end(plain)) <= 0.02 * frames_at_the_end(plain)


def last_fired_s(session: Session, run: Run, kind: FaultKind) -> float:
    """When the kernel last saw a difference; -inf for never."""
    simulation = session._machine.simulation
    begin_ns = simulation.now_ns - round(run.scenario.duration_s * 1e9)
    reports = list(simulation.fault_reports())
    for window in fault_windows(run.scenario):
        outcome = resolve(kind_named(window.action.fault), window.action.parameters, session.bounds)
        assert isinstance(outcome, ResolvedFault)
        own, reports = reports[: len(outcome.effects)], reports[len(outcome.effects) :]
        if window.action.fault == kind.kind:
            times = [report.last_fired_ns for report in own if report.last_fired_ns is not None]
            return (max(times) - begin_ns) / 1e9 if times else -math.inf
    raise AssertionError(kind.kind)


def sensors_tell_the_truth(trace: Trace, rows: np.ndarray[Any, np.dtype[np.bool_]], session: Session) -> bool:
    """What the controller is given is what is true again, in the resolution of its inputs."""
    given, truth, arrays = trace.columns["given"], trace.columns["truth"], trace.arrays
    sensors = sensor_cells(session.bounds.n_cells, session.bounds.n_temps)
    aux = given["digital_in"].astype(int) >> 4 & 7
    pairs = (
        (arrays["cell_voltage_v"], arrays["true_cell_voltage_v"], 2e-6),
        (arrays["cell_temp_degc"], arrays["true_cell_temp_degc"][:, sensors], 2e-3),
        (given["pack_current_a"], truth["pack_current_a"], 2e-3),
        (given["pack_voltage_v"], truth["pack_voltage_v"], 2e-3),
        (given["link_voltage_v"], truth["link_voltage_v"], 2e-3),
        (given["insulation_ohm"], truth["insulation_ohm"], 2.0),
        (aux, truth["contactors"].astype(int), 0),
        (given["cells_invalid"], 0, 0),
        (given["cells_open_wire"], 0, 0),
        (given["cell_age_max_s"], 0, 0),
        (given["temps_invalid"], 0, 0),
        (given["current_valid"], 1, 0),
    )
    return all(
        np.all(np.abs(one[rows] - (other[rows] if isinstance(other, np.ndarray) else other)) <= within)
        for one, other, within in pairs
    )


def what_was_bent_is_back(trace: Trace, plain: Trace, rows: np.ndarray[Any, np.dtype[np.bool_]]) -> bool:
    """Single quantities are as without the fault; cells and current nearly, as long as no contactor moved."""
    one, other = table(trace), table(plain)
    single = ("truth.insulation_ohm", "given.supply_v", "given.hvil_closed", "given.crash", "truth.coolant_degc")
    exact = all(np.array_equal(one[name][rows], other[name][rows]) for name in single)
    blown = np.any(one["truth.fuse_open"][rows] != other["truth.fuse_open"][rows])
    moved = np.any(one["truth.contactors"] != other["truth.contactors"])
    if moved:
        return exact and not blown
    apart_v = np.max(np.abs(one["truth.cell_voltage_v"] - other["truth.cell_voltage_v"]), axis=1)
    near_v = apart_v[-1] - LEFT * np.max(apart_v)
    near_a = abs(one["truth.pack_current_a"][-1] - other["truth.pack_current_a"][-1])
    return bool(exact and not blown and near_v < NEAR_V and near_a < NEAR_A)


def frames_at_the_end(trace: Trace) -> int:
    """Frames of all nodes in the last second."""
    return int(np.count_nonzero(trace.frames.t_ns > np.uint64((trace.duration_s - 1.0) * 1e9)))


# ---- requirements ----------------------------------------------------------------------------------------------------


def verdict_of(run: Run, requirement: str) -> Verdict:
    return next(verdict for verdict in run.verdicts if verdict.requirement == requirement)


@every_kind
def test_a_requirement_reacts_or_there_is_a_reason_why_none_does(
    kind: FaultKind, session: Session, played: dict[str, Run]
) -> None:
    example = EXAMPLES[kind.kind]
    assert ("requirement" in example) != ("reason" in example)
    run = play(session, played, scenario(kind))
    assert [verdict for verdict in run.verdicts if verdict.outcome in (Outcome.FAIL, Outcome.ERROR)] == []
    if "requirement" in example:
        verdict = verdict_of(run, example["requirement"])
        assert verdict.outcome is Outcome.PASS, verdict.reason
        assert verdict.exercised.must > 0, verdict.reason
        return
    trips = {requirement.id for requirement in session.requirements if isinstance(requirement, Trip)}
    reacting = [verdict for verdict in run.verdicts if verdict.requirement in trips and verdict.exercised.must]
    assert reacting == []


def test_every_kind_has_a_scenario_and_there_is_no_other() -> None:
    assert sorted(EXAMPLES) == sorted(kind.kind for kind in OFFERED)


# ---- from the command line -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "cell-venting",
        "module-lost",
        "current-sensor-spikes",
        "coil-supply-dip",
        "clock-drift",
        "frame-drop",
    ],
)
def test_it_can_be_injected_from_the_command_line(name: str) -> None:
    words = [f"{key}={value}" for key, value in EXAMPLES[name]["parameters"].items()]
    result = CliRunner().invoke(cli, ["inject", "ebus-lfp", name, *words, "--at", "1s", "--duration", "3s", "--json"])
    assert result.exit_code == EXIT_CODES[Outcome.PASS], result.output
    assert json.loads(result.stdout)["fired"] is True
