# SPDX-License-Identifier: Apache-2.0
"""What a bench may err by, put into requirements and verdicts: never a FAIL, nor a PASS, of what it cannot tell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.instruments.model import ANALOG
from harness.requirements.causes import near_of
from harness.requirements.model import Accuracy, Condition, Invariant, Limit, Requirement, Trip
from harness.requirements.model import Sequence as Order
from harness.verdict import Outcome, Verdict

_RISE_S = 3.0  # over which the rise of a temperature is measured
_PERCENT = 100.0

# How far one reading moved while another did not change at all.
_STANDING_STILL = frozenset({"cell_frozen_a", "pack_voltage_frozen_a", "link_voltage_frozen_a", "current_frozen_v"})
# Quantity -> the one it is read off, and how many readings it is the difference of.
_READ_OFF: Mapping[str, tuple[str, float]] = {
    "cell_voltage_max_v": ("cell_voltage_v", 1.0),
    "cell_voltage_min_v": ("cell_voltage_v", 1.0),
    "cell_voltage_spread_v": ("cell_voltage_v", 2.0),
    "cell_temp_max_degc": ("cell_temp_degc", 1.0),
    "cell_temp_min_degc": ("cell_temp_degc", 1.0),
    "cell_temp_spread_k": ("cell_temp_degc", 2.0),
    "cell_temp_rise_k_per_s": ("cell_temp_degc", 2.0 / _RISE_S),
}


class Erring:
    """How much each given quantity may differ from what the harness wanted to give.

    `accuracy` is that of the instruments by quantity of `ANALOG`; `pack_v` the usual voltage of the pack.
    """

    def __init__(self, accuracy: Mapping[str, float], *, n_cells: int, pack_v: float) -> None:
        self._accuracy = {name: float(value) for name, value in accuracy.items()}
        self._n_cells, self._pack_v = n_cells, pack_v

    def of(self, quantity: str) -> float:
        """In the unit of the quantity; 0 for one that no instrument gives."""
        name = quantity.partition("[")[0]
        if name in ANALOG:
            return self._accuracy.get(name, 0.0)
        if name in _READ_OFF:
            source, readings = _READ_OFF[name]
            return readings * self._accuracy.get(source, 0.0)
        cells_v = self._n_cells * self._accuracy.get("cell_voltage_v", 0.0)
        pack_v, link_v = self._accuracy.get("pack_voltage_v", 0.0), self._accuracy.get("link_voltage_v", 0.0)
        match name:
            case "cell_voltage_sum_v":
                return cells_v
            case "voltage_mismatch_v":
                return cells_v + pack_v
            case "link_of_pack_pct":
                return _PERCENT * (pack_v + link_v) / self._pack_v
            case _:
                return 0.0


def widened(requirements: Sequence[Requirement], erring: Erring) -> tuple[Requirement, ...]:
    """The requirements with the accuracy of what was given to the controller added to theirs."""
    return tuple(_widened(requirement, erring) for requirement in requirements)


def _widened(requirement: Requirement, erring: Erring) -> Requirement:
    changes: dict[str, Any] = {}
    when = tuple(_condition(condition, erring) for condition in requirement.when)
    if when != requirement.when:
        changes["when"] = when
    match requirement:
        case Trip() if requirement.side == "given":
            changes["accuracy"] = requirement.accuracy + erring.of(requirement.quantity)
            changes["near"] = near_of(requirement)  # to err by more is not to have come nearer
        case Limit() if requirement.side == "given":
            changes["accuracy"] = requirement.accuracy + erring.of(requirement.quantity)
        case Accuracy() if requirement.side == "given":
            changes["tolerance"] = requirement.tolerance + erring.of(requirement.quantity)
        case Order():
            changes["event"] = _condition(requirement.event, erring)
            changes["requires"] = tuple(_condition(condition, erring) for condition in requirement.requires)
        case Invariant():
            changes["always"] = _condition(requirement.always, erring)
        case _:
            pass
    return requirement.model_copy(update=changes) if changes else requirement


def _condition(condition: Condition, erring: Erring) -> Condition:
    more = erring.of(condition.quantity) if condition.side == "given" else 0.0
    if not more:
        return condition
    return Condition.model_validate({**condition.model_dump(), "accuracy": condition.accuracy + more})


def steadied(requirements: Sequence[Requirement], verdicts: Sequence[Verdict]) -> tuple[Verdict, ...]:
    """Verdicts on readings that stand still: an instrument gives steps, and hides changes smaller than one. That the
    controller saw one stand still is then no failure.
    """
    return tuple(
        replace(
            verdict,
            outcome=Outcome.INCONCLUSIVE,
            reason=f"the instrument gives steps and may have stood still between two; {verdict.reason}",
        )
        if verdict.outcome is Outcome.FAIL and isinstance(requirement, Trip) and requirement.quantity in _STANDING_STILL
        else verdict
        for requirement, verdict in zip(requirements, verdicts, strict=True)
    )


def guarded(wide: Sequence[Verdict], tight: Sequence[Verdict], doubt_s: float) -> tuple[Verdict, ...]:
    """Verdicts where times are known to within `doubt_s` more than on a virtual rig.

    `wide` were judged by widened requirements with windows that much longer, `tight` by the rig's own with the windows
    of a virtual rig, shorter by what the host was late. Who passes only the wide ones was not seen to be right, who
    fails only the tight ones was not seen to be wrong.
    """
    return tuple(
        replace(
            verdict,
            outcome=Outcome.INCONCLUSIVE,
            reason=f"passes only with the {1e3 * doubt_s:.0f} ms and what the instruments may err by; {strict.reason}",
        )
        if verdict.outcome is Outcome.PASS and strict.outcome is not Outcome.PASS
        else verdict
        for verdict, strict in zip(wide, tight, strict=True)
    )
