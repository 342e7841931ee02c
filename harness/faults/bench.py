# SPDX-License-Identifier: Apache-2.0
"""What a bench cannot do to a real controller, and why. Instruments set what it is given, an adapter sends frames, the
plant around it is simulated: everything else is out of reach.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import TYPE_CHECKING

from harness.faults.model import Effect, FaultKind
from harness.kernel.bustypes import ANY
from harness.kernel.config import Node

if TYPE_CHECKING:
    from harness.faults.check import ResolvedFault

_MEMORY = "the memory of a real controller cannot be reached"
_WIRE = "a CAN adapter cannot disturb bits or acknowledgements on the wire"
_POINTS: Mapping[str, str] = {
    "CLOCK_FACTOR": "the clock of a real controller cannot be bent",
    "START_TICK_MS": "the counter of a real controller cannot be set",
    "NVM_BYTE": _MEMORY,
    "NVM_ERASED": _MEMORY,
    "NODE_TEC": "the error counters of a real CAN controller cannot be set",
    "FRAME_BIT_ERROR": _WIRE,
    "FRAME_ACK": _WIRE,
    "SENSE_WIRE_SWAP": "a cell measured backwards is a negative voltage, which no cell simulator gives",
}
_INVALID = "what is valid is the front end's own finding: only an open wire or an impossible reading makes it invalid"
_FINDABLE = ("SENSE_CURRENT_A",)  # unplugged, it is missed
_STALE = "the age of a sample is known only inside the front end"
_COLLISION = "a CAN adapter cannot send at the very time another node does"
_OWN_FRAMES = "frames of the controller itself are on the wire before the harness sees them"
_CHARGER = "the charger of the harness is part of the simulation"
_SEEN = "a frame that is on the wire reaches its receiver: only seen_by = nobody"


def obstacle(kind: FaultKind) -> str:
    """Why a bench cannot make this kind of fault, whatever its parameters are; "" when it can."""
    found = [_first(_effects(kind, choice)) for choice in _choices(kind)]
    return "" if "" in found else found[0]


def obstacle_of(fault: ResolvedFault) -> str:
    """Why a bench cannot make this fault with these parameters; "" when it can."""
    chosen = {name: str(value) for name, value in fault.parameters.items()}
    reason = _first(_effects(fault.kind, chosen))
    if reason:
        return reason
    for effect in fault.effects:
        bends_frames = effect.point.startswith("FRAME_")
        if bends_frames and effect.extra.get("node", ANY) in (Node.DUT, ANY):
            return _OWN_FRAMES
        if effect.point == "FRAME_DROP" and effect.extra.get("mode"):
            return _SEEN
    return ""


def _choices(kind: FaultKind) -> Iterable[Mapping[str, str]]:
    """Every way to choose among words that decide which effects a kind has."""
    deciding = {effect.when[0] for effect in kind.effects if effect.when}
    words = {parameter.name: parameter.choices for parameter in kind.parameters if parameter.name in deciding}
    return [dict(zip(words, chosen, strict=True)) for chosen in product(*words.values())]


def _effects(kind: FaultKind, chosen: Mapping[str, str]) -> tuple[Effect, ...]:
    return tuple(
        effect for effect in kind.effects if effect.when is None or chosen.get(effect.when[0]) in effect.when[1]
    )


def _first(effects: tuple[Effect, ...]) -> str:
    return next((reason for effect in effects if (reason := _of_effect(effect, effects))), "")


def _of_effect(effect: Effect, together: tuple[Effect, ...]) -> str:
    if effect.point in _POINTS:
        return _POINTS[effect.point]
    if effect.point == "FOREIGN_SENDER" and effect.extra.get("mode"):
        return _COLLISION
    if effect.point.startswith("GBT_"):
        return _CHARGER
    if effect.op == "STALE":
        return _STALE
    impossible = any(other.op == "SET" and other.point == effect.point for other in together)
    if effect.op == "INVALID" and effect.point not in _FINDABLE and not impossible:
        return _INVALID
    return ""
