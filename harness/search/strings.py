# SPDX-License-Identifier: Apache-2.0
"""What the search does on rigs with strings in parallel: faults go to each of them in turn, and tours of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.faults.check import Bounds
from harness.scenario import Action, Command, CommandAction, FaultAction, Scenario, Start, begin

_WAIT_S = 14.0  # longer than a string may ask in vain to join
_Tour = tuple[str, Start, float, tuple[Action, ...]]


def on_string(scenario: Scenario, string: int) -> Scenario:
    """The scenario with its faults on one of several strings in parallel, where it does not name any; 0 = as it is."""
    if not string or any(action.string for action in scenario.action):
        return scenario
    moved = tuple(
        action.model_copy(update={"string": string}) if isinstance(action, FaultAction) else action
        for action in scenario.action
    )
    return scenario.model_copy(update={"action": moved})


def string_tours(bounds: Bounds) -> Iterator[_Tour]:
    """None can precharge the link; a string leaves and comes back, equal or not; one trips and the others go on."""
    if not bounds.strings:
        return
    none = (begin(0.0, "precharge-open", string=string) for string in range(1, bounds.strings + 1))
    yield "no string can precharge", "standby", 24.0, (*none, _do(0.5, "drive"))
    for string in range(1, bounds.strings + 1):
        left = (_do(0.5, "standby", string=string),)
        yield f"string {string} leaves and rejoins", "drive", 8.0, (*left, _do(3.0, "drive", string=string))
        for soc in (25.0, 45.0, 55.0, 75.0):
            moved = (*left, _do(2.0, "soc", soc_pct=soc, string=string), _do(3.0, "drive", string=string))
            yield f"string {string} rejoins at {soc:g} %", "drive", 3.0 + _WAIT_S, moved
        trip, other = begin(0.5, "hvil-open", string=string), 1 + string % bounds.strings
        yield f"string {string} trips", "drive", 5.0, (trip,)
        yield f"string {string} trips, {other} is sent away", "drive", 5.0, (trip, _do(2.5, "standby", string=other))
        lost = begin(0.5, "controller-reset", string=string, held_s=1.0)
        yield f"string {string} resets", "drive", 5.0, (lost,)
        dark = (_do(1.0, "power-cycle", string=n, off_s=_WAIT_S) for n in range(1, bounds.strings + 1) if n != string)
        alone = (*left, *dark, _do(3.0, "drive", string=string))
        yield f"string {string} comes back to a dead link", "drive", 3.0 + _WAIT_S, alone
        for soc in (20.0, 35.0):
            apart = _do(1.0, "soc", soc_pct=soc, string=string)
            yield f"string {string} falls back to {soc:g} %", "drive", 7.0, (_do(0.0, "load", scale=0.0), apart)


def _do(at_s: float, do: Command, **keys: Any) -> CommandAction:
    return CommandAction(at_s=at_s, do=do, **keys)
