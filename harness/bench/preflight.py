# SPDX-License-Identifier: Apache-2.0
"""Every scenario first on the virtual plant: what it would ask of the bench, and whether the bench may give it.

with Preflight(bench) as preflight:
    preflight.require([scenario, ...])     # RigError with every number that leaves the envelope
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from harness.bench.file import Bench
from harness.errors import Problem, RigError
from harness.faults.catalogue import find_kind
from harness.instruments.model import ANALOG, Envelope
from harness.rig.session import Run, Session
from harness.scenario import CommandAction, FaultAction, Scenario, Start, fault_windows

_S_PER_H = 3600.0
_WAY_IN_S = 6.0  # from the request until contactors have closed and the current flows: precharge takes 0.3 s

# Quantity of the envelope -> the columns (given) that have its least and its greatest value, and which element that is.
_COLUMNS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "cell_voltage_v": (
        ("cell_voltage_min_v", "cell_voltage_min_index"),
        ("cell_voltage_max_v", "cell_voltage_max_index"),
    ),
    "cell_temp_degc": (
        ("cell_temp_min_degc", "cell_temp_min_index"),
        ("cell_temp_max_degc", "cell_temp_max_index"),
    ),
}
_ELEMENTS = {"cell_voltage_v": "cell", "cell_temp_degc": "sensor"}


@dataclass(frozen=True, slots=True)
class Peak:
    """The value of a quantity that is farthest out, and when; `element` "cell 17" where it is one of many."""

    quantity: str
    value: float
    t_s: float
    element: str = ""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a scenario would ask of the bench: least and greatest of every quantity, and the energy through the pack.

    `problems`: why the bench may not play it, with number, time and action; empty: it may.
    """

    scenario: Scenario
    peaks: tuple[Peak, ...]
    energy_wh: float
    problems: tuple[Problem, ...]


class Preflight:
    """The virtual twin of a bench. A context manager; raises FirmwareError when its firmware does not build or load."""

    def __init__(self, bench: Bench) -> None:
        self._envelope = bench.envelope
        self._session = Session(bench.rig)
        self._rig = bench.rig.name
        self._ways_in: dict[Start, tuple[Problem, ...]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._session.close()

    def predict(self, scenario: Scenario) -> Prediction:
        """Play it virtually. Raises RigError when the scenario itself is wrong."""
        impossible = tuple(impossible_faults(scenario))
        if impossible:
            return Prediction(scenario, (), 0.0, impossible)
        problems = self._way_in(scenario.start)
        prediction = judge_run(self._session.run(scenario, keep=False), self._envelope)
        return Prediction(scenario, prediction.peaks, prediction.energy_wh, (*problems, *prediction.problems))

    def require(self, scenarios: Iterable[Scenario]) -> tuple[Prediction, ...]:
        """Predict all. Raises RigError with every problem of all of them at once."""
        predictions = tuple(self.predict(scenario) for scenario in scenarios)
        problems = [problem for prediction in predictions for problem in prediction.problems]
        if problems:
            raise RigError(problems)
        return predictions

    def _way_in(self, start: Start) -> tuple[Problem, ...]:
        """What is wrong with the way into a start state: the bench goes it before every scenario."""
        if start not in self._ways_in:
            asks = (CommandAction(at_s=0.0, do=start),) if start in ("drive", "charge") else ()
            way = Scenario(
                rig=self._rig, title=f"the way into {start}", start="standby", duration_s=_WAY_IN_S, action=asks
            )
            self._ways_in[start] = judge_run(self._session.run(way, keep=False), self._envelope).problems
        return self._ways_in[start]


def judge_run(run: Run, envelope: Envelope) -> Prediction:
    """The prediction that a virtual run is."""
    if run.error:
        problem = _problem(run.scenario, "", f"the virtual controller broke off: {run.error}", "a run to its end")
        return Prediction(run.scenario, (), 0.0, (problem,))
    peaks = tuple(_peaks(run))
    energy_wh = _energy_wh(run)
    problems = []
    for peak in peaks:
        text = envelope.problem(peak.quantity, peak.value)
        if text:
            problems.append(_outside(run.scenario, peak, envelope))
    if not energy_wh <= envelope.energy_wh:
        found = f"predicted {energy_wh:.4g} Wh through the pack in {run.scenario.duration_s:g} s"
        problems.append(_problem(run.scenario, "energy_wh", found, f"at most {envelope.energy_wh:g} Wh a scenario"))
    return Prediction(run.scenario, peaks, energy_wh, tuple(problems))


def impossible_faults(scenario: Scenario) -> Iterator[Problem]:
    """Every fault of a scenario that no bench can make: those inside a simulated controller or adapter."""
    for action in scenario.actions:
        kind = find_kind(action.fault) if isinstance(action, FaultAction) else None
        if kind is not None and not kind.bench:
            found = f"fault {kind.kind} at {action.at_s:g} s, which works only inside the simulation"
            yield _problem(scenario, "fault", found, "faults a bench can make; play this one on the virtual rig")


def _peaks(run: Run) -> Iterator[Peak]:
    """Least and greatest of every quantity, where a valid one was given."""
    given = run.trace.columns["given"]
    for quantity in ANALOG:
        for place, (name, index) in enumerate(_COLUMNS.get(quantity, ((quantity, ""), (quantity, "")))):
            values = np.asarray(given[name], dtype=np.float64)
            if not len(values) or np.isnan(values).all():
                continue
            row = int(np.nanargmax(values) if place else np.nanargmin(values))
            element = f"{_ELEMENTS[quantity]} {int(given[index][row])}" if index else ""
            yield Peak(quantity, float(values[row]), float(run.trace.t_s[row]), element)


def _energy_wh(run: Run) -> float:
    """Energy through the pack, whichever way it flows: charging does not take back what discharging has moved."""
    truth = run.trace.columns["truth"]
    t_s: NDArray[np.float64] = run.trace.t_s
    power_w = np.abs(np.asarray(truth["pack_voltage_v"], np.float64) * np.asarray(truth["pack_current_a"], np.float64))
    return float(np.trapezoid(power_w, t_s)) / _S_PER_H if len(t_s) > 1 else 0.0


def _outside(scenario: Scenario, peak: Peak, envelope: Envelope) -> Problem:
    least, greatest = envelope.limits[peak.quantity]
    unit = ANALOG[peak.quantity]
    where = f" ({peak.element})" if peak.element else ""
    found = f"predicted {peak.value:.5g} {unit}{where} at {peak.t_s:.2f} s, {_cause(scenario, peak)}"
    return _problem(scenario, peak.quantity, found, f"{least:g} to {greatest:g} {unit} (limits of the bench file)")


def _cause(scenario: Scenario, peak: Peak) -> str:
    """The action behind a value: a fault that acts then and changes this quantity, else the last thing done."""
    windows = [window for window in fault_windows(scenario) if window.from_s <= peak.t_s <= window.until_s + 1.0]
    changing = [window for window in windows if _changes(window.action, peak.quantity)]
    if changing or windows:
        action = (changing or windows)[-1].action
        return f"by {action.fault} from {action.at_s:g} s on"
    done = [action for action in scenario.actions if action.at_s <= peak.t_s]
    if done:
        last = done[-1]
        name = last.fault if isinstance(last, FaultAction) else last.do
        return f"after {name} at {last.at_s:g} s"
    return f"by the plant in '{scenario.start}'"


def _changes(action: FaultAction, quantity: str) -> bool:
    kind = find_kind(action.fault)
    names = [name for name, _ in _COLUMNS.get(quantity, ((quantity, ""),))]
    return kind is not None and any(f"{side}.{name}" in kind.changes for side in ("given", "truth") for name in names)


def _problem(scenario: Scenario, key: str, found: str, allowed: str) -> Problem:
    return Problem(scenario.title or "scenario", 0, key, found, allowed)


def totals(predictions: Sequence[Prediction]) -> tuple[float, float]:
    """Playing time in s, without the ways into start states, and energy through the pack in Wh."""
    return sum(item.scenario.duration_s for item in predictions), sum(item.energy_wh for item in predictions)
