# SPDX-License-Identifier: Apache-2.0
"""Making a failing scenario small: fewer actions first, then shorter, then plainer values. Greedy and deterministic.

The search for smaller ones is bounded by runs, so that a slow machine finds the same scenario as a fast one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from harness.faults.catalogue import find_kind
from harness.faults.model import TIMING
from harness.scenario import Action, CommandAction, FaultAction, Scenario, begin, fault_windows, without_idle_clears

MAX_RUNS = 400
_TIDY_S = (1.0, 0.5, 0.1)  # grids on which times are easy to read
_DIGITS = (0, 1, 2)
_TIMING_KEYS = ("shape", "ramp_s", "period_s", "duty", "sigma")
_PLACES = ("cell", "sensor", "wire")
_GAP_S = 0.5


@dataclass(frozen=True, slots=True)
class Shrunk:
    """The smallest scenario found, after how many runs. Not `complete`: the budget ended the search for smaller ones.

    `late`: its time was over before its runs were; another machine may find a smaller one.
    """

    scenario: Scenario
    runs: int
    complete: bool
    late: bool = False


def shrink(
    scenario: Scenario,
    fails: Callable[[Scenario], bool],
    *,
    max_runs: int = MAX_RUNS,
    is_late: Callable[[], bool] = lambda: False,
) -> Shrunk:
    """The smallest scenario that still fails in the same way. `scenario` itself is known to fail.

    `fails` must answer for one (requirement, outcome) only, or the search slips to another failure. The same input
    gives the same result; a candidate is tried once. `is_late` is asked before each run: a guard of time ends the
    search with what is found so far, at the price of that promise.
    """
    search = shrinking(scenario, max_runs=max_runs)
    answer: bool | None = None
    candidate, runs = scenario, 0
    while True:
        scenario = candidate if answer else scenario
        try:
            candidate = search.send(answer)
        except StopIteration as end:
            found: Shrunk = end.value
            return found
        if is_late():
            return Shrunk(scenario, runs, complete=False, late=True)
        answer = fails(candidate)
        runs += 1


def shrinking(scenario: Scenario, *, max_runs: int = MAX_RUNS) -> Generator[Scenario, bool | None, Shrunk]:
    """The same for who cannot answer at once: gives candidates and is sent whether each fails. Begins with None."""
    seen: set[str] = {_identity(scenario)}
    runs = 0
    improved = True
    while improved:
        improved = False
        for candidate in map(without_idle_clears, _candidates(scenario)):
            identity = _identity(candidate)
            if identity in seen:
                continue
            if runs >= max_runs:
                return Shrunk(scenario, runs, complete=False)
            seen.add(identity)
            runs += 1
            if (yield candidate):
                scenario, improved = candidate, True
                break
    return Shrunk(scenario, runs, complete=True)


def _identity(scenario: Scenario) -> str:
    return scenario.model_dump_json(exclude_defaults=True)


def _candidates(scenario: Scenario) -> Iterator[Scenario]:
    """Simpler neighbours, the boldest first."""
    yield from _fewer_actions(scenario)
    yield from _shorter(scenario)
    yield from _plainer_actions(scenario)
    yield from _plainer_frame(scenario)


def _with(scenario: Scenario, **changes: Any) -> Scenario:
    values = {name: getattr(scenario, name) for name in Scenario.model_fields}
    return Scenario(**{**values, **changes})


def _fewer_actions(scenario: Scenario) -> Iterator[Scenario]:
    """Without a half, without a single one."""
    actions = scenario.actions
    half = len(actions) // 2
    if half > 1:
        yield _with(scenario, action=actions[half:])
        yield _with(scenario, action=actions[:half])
    for place in range(len(actions)):
        yield _with(scenario, action=actions[:place] + actions[place + 1 :])


def _shorter(scenario: Scenario) -> Iterator[Scenario]:
    """Ending earlier, and with less waiting before an action."""
    last = max([action.at_s for action in scenario.actions], default=0.0)
    for share in (0.5, 0.75, 0.9):
        duration_s = round(scenario.duration_s * share, 1)
        if duration_s > last:
            yield _with(scenario, duration_s=duration_s)
    for place, action in enumerate(scenario.actions):
        before = scenario.actions[place - 1].at_s if place else 0.0
        excess = round(action.at_s - before - _GAP_S, 2)
        if excess > 0.0:
            yield _earlier(scenario, place, excess)
            if excess > 2 * _GAP_S:
                yield _earlier(scenario, place, round(excess / 2.0, 1))


def _earlier(scenario: Scenario, place: int, by_s: float) -> Scenario:
    """Move an action and all that follow, and the end with them."""
    actions = tuple(
        action if number < place else _change(action, at_s=round(action.at_s - by_s, 2))
        for number, action in enumerate(scenario.actions)
    )
    return _with(scenario, action=actions, duration_s=round(scenario.duration_s - by_s, 2))


def _plainer_actions(scenario: Scenario) -> Iterator[Scenario]:
    for place, action in enumerate(scenario.actions):
        options = _plainer_fault(action, scenario) if isinstance(action, FaultAction) else _plainer_command(action)
        for option in (*_tidy_time(action), *options):
            yield _with(scenario, action=(*scenario.actions[:place], option, *scenario.actions[place + 1 :]))


def _tidy_time(action: Action) -> Iterator[Action]:
    """The start on a coarser grid, never later than it was."""
    for grid in _TIDY_S:
        at_s = round(grid * int(action.at_s / grid + 1e-9), 2)
        if at_s < action.at_s:
            yield _change(action, at_s=at_s)


def _plainer_fault(action: FaultAction, scenario: Scenario) -> Iterator[FaultAction]:
    parameters = action.parameters
    if action.label:
        yield begin(action.at_s, action.fault, **parameters)
    if "shape" in parameters:
        yield begin(action.at_s, action.fault, **_without(parameters, _TIMING_KEYS))
    if "for_s" in parameters:
        yield begin(action.at_s, action.fault, **_without(parameters, ("for_s",)))
        yield from _tidy_duration(action, scenario)
    for name in _PLACES:
        if isinstance(parameters.get(name), int) and parameters[name] != 1:
            yield begin(action.at_s, action.fault, **{**parameters, name: 1})
    for name, value in parameters.items():
        if isinstance(value, float) and name != "for_s":
            for plain in _rounded(value):
                if _is_legal(action.fault, name, plain):
                    yield begin(action.at_s, action.fault, **{**parameters, name: plain})


def _is_legal(fault: str, name: str, value: float) -> bool:
    """Whether a rounded value is still in its range: a period of 0.02 s must not become 0."""
    kind = find_kind(fault)
    parameters = (*kind.parameters, *TIMING) if kind is not None else TIMING
    ranges = [(p.minimum, p.maximum) for p in parameters if p.name == name]
    return all((low is None or value >= low) and (high is None or value <= high) for low, high in ranges)


def _tidy_duration(action: FaultAction, scenario: Scenario) -> Iterator[FaultAction]:
    """A rounder duration, never one that outlasts the scenario."""
    for_s = float(action.parameters["for_s"])
    for grid in _TIDY_S:
        tidy = round(grid * round(for_s / grid), 2)
        if tidy > 0.0 and _is_rounder(tidy, for_s) and action.at_s + tidy < scenario.duration_s:
            yield _change(action, for_s=tidy)


def _plainer_command(action: CommandAction) -> Iterator[CommandAction]:
    if action.do == "power-cycle" and action.off_s != 1.0:
        yield CommandAction(at_s=action.at_s, do=action.do)


def _plainer_frame(scenario: Scenario) -> Iterator[Scenario]:
    if scenario.seed != 1:
        yield _with(scenario, seed=1)
    if scenario.title:
        yield _with(scenario, title="")
    windows = fault_windows(scenario)
    needed = max([action.at_s for action in scenario.actions] + [w.from_s for w in windows], default=0.0)
    for digits in (0, 1):
        tidy = round(scenario.duration_s, digits)
        if needed < tidy < scenario.duration_s:
            yield _with(scenario, duration_s=tidy)


def _rounded(value: float) -> list[float]:
    """The value with fewer decimals, the shortest first; nothing when it is as short already."""
    return [plain for plain in (round(value, digits) for digits in _DIGITS) if _is_rounder(plain, value)]


def _is_rounder(plain: float, value: float) -> bool:
    return len(repr(plain)) < len(repr(value))


def _without(parameters: Any, names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in parameters.items() if name not in names}


def _change(action: Any, **changes: Any) -> Any:
    return type(action)(**{**action.model_dump(exclude_unset=True), **changes})
