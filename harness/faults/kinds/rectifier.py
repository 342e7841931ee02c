# SPDX-License-Identifier: Apache-2.0
"""Faults of the mains and the load of a UPS, whose rectifier floats the pack."""

from __future__ import annotations

from harness.faults.kinds.parameters import FLOW, number
from harness.faults.model import Effect, FaultClass, FaultKind, Where

_STEP = (Effect("LINE_V", "SET", 0.0), Effect("LOAD_W", "SET", "power_w"))
_POWER = number("power_w", "W", 0.0, 2e6, "load the pack takes over")
_CHANGES = (*FLOW, "truth.line_voltage_v", "bus")

KINDS: tuple[FaultKind, ...] = (
    FaultKind(
        "mains-failure",
        FaultClass.CHARGER_VEHICLE,
        "the mains of a UPS fails: the rectifier gives nothing, the pack carries the load from one tick to the next",
        Where.TRUTH,
        _STEP,
        (_POWER,),
        "UPS: step from float to 1-2 C for 5 to 30 min, must not open on the transient (general knowledge)",
        changes=_CHANGES,
        needs="rectifier",
    ),
    FaultKind(
        "mains-dips",
        FaultClass.CHARGER_VEHICLE,
        "the mains of a UPS comes and goes: the load falls to the pack and back",
        Where.TRUTH,
        _STEP,
        (_POWER,),
        "voltage dips and short interruptions, IEC 61000-4-11 (not confirmed)",
        shapes=("intermittent",),
        changes=_CHANGES,
        needs="rectifier",
    ),
    FaultKind(
        "load-inrush",
        FaultClass.CHARGER_VEHICLE,
        "the load of a UPS draws this power whatever the controller allows, as a load that starts does for a moment",
        Where.TRUTH,
        (Effect("LOAD_W", "SET", "power_w"), Effect("VEHICLE_IGNORES_LIMITS", "SET", 1.0)),
        (number("power_w", "W", 0.0, 2e6, "power taken from the link"),),
        "inrush of transformers and motors, several times the rated current for up to some 100 ms (general knowledge)",
        changes=FLOW,
        needs="rectifier",
    ),
)
