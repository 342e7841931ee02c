# SPDX-License-Identifier: Apache-2.0
"""Faults of the overhead line and of the poles on it; only rigs with such a line have them."""

from __future__ import annotations

from harness.faults.kinds.parameters import FLOW, number
from harness.faults.model import Effect, FaultClass, FaultKind, Where

KINDS: tuple[FaultKind, ...] = (
    FaultKind(
        "pole-drop",
        FaultClass.CHARGER_VEHICLE,
        "the pole leaves the overhead line: no voltage, the pack carries the drive alone",
        Where.TRUTH,
        (Effect("POLE_OFF", "SET", 1.0),),
        (),
        "in-motion charging: step from line to battery in less than 1 s (general knowledge)",
        changes=(*FLOW, "truth.line_voltage_v", "truth.pole_contact", "bus"),
        needs="line",
    ),
    FaultKind(
        "line-voltage",
        FaultClass.CHARGER_VEHICLE,
        "voltage of the overhead line",
        Where.TRUTH,
        (Effect("LINE_V", "SET", "voltage_v"),),
        (number("voltage_v", "V", 0.0, 2000.0, "at the pole, while it is on the line"),),
        "EN 50163: 600 V lines 400-720 V, 800 V for 5 min; 750 V lines 500-900 V, 1000 V (general knowledge)",
        changes=(*FLOW, "truth.line_voltage_v", "bus"),
        needs="line",
    ),
    FaultKind(
        "line-gaps",
        FaultClass.CHARGER_VEHICLE,
        "the pole bounces on the line: its voltage comes and goes",
        Where.TRUTH,
        (Effect("POLE_OFF", "SET", 1.0),),
        (),
        "section insulators and crossings of overhead lines (practice)",
        shapes=("intermittent",),
        changes=(*FLOW, "truth.line_voltage_v", "truth.pole_contact", "bus"),
        needs="line",
    ),
    FaultKind(
        "poles-fed",
        FaultClass.CHARGER_VEHICLE,
        "the poles leave the overhead line and stay live: the vehicle feeds them from its link",
        Where.TRUTH,
        (Effect("POLE_OFF", "SET", 1.0), Effect("POLE_FED", "SET", 1.0)),
        (),
        "a failed feed-back block of the vehicle: its collectors must be dead off the line (assumption)",
        changes=(*FLOW, "truth.line_voltage_v", "truth.pole_contact", "bus"),
        needs="line",
    ),
)
