# SPDX-License-Identifier: Apache-2.0
"""Faults of contactors, precharge, fuse and insulation, and of the monitors that watch them."""

from __future__ import annotations

from harness.faults.kinds.parameters import CONTACTOR, CONTACTORS, choice, number
from harness.faults.model import Effect, FaultClass, FaultKind, Where

_OPEN_OHM = 1e9
_WELD = "contactor diagnosis by command, auxiliary contact and voltages: foxBMS 2 v1.11.0 contactor driver"
_IMD = "insulation monitors of the Bender IR155 kind; limits of UN R100.03 5.1.3"

ACTUATORS: tuple[FaultKind, ...] = (
    FaultKind(
        "contactor-welded",
        FaultClass.ACTUATOR,
        "contactor stays closed once it was closed, or closes by itself",
        Where.TRUTH,
        (Effect("CONTACTOR_WELDED", "SET", 1.0, "contactor"),),
        (CONTACTOR,),
        _WELD,
        bench=True,
        options=CONTACTORS,
    ),
    FaultKind(
        "contactor-stuck-open",
        FaultClass.ACTUATOR,
        "contactor stays open whatever is commanded",
        Where.TRUTH,
        (Effect("CONTACTOR_STUCK_OPEN", "SET", 1.0, "contactor"),),
        (CONTACTOR,),
        _WELD,
        bench=True,
        options=CONTACTORS,
    ),
    FaultKind(
        "contactor-slow",
        FaultClass.ACTUATOR,
        "contactor takes longer to open or to close",
        Where.TRUTH,
        (
            Effect("CONTACTOR_EXTRA_OPEN_S", "SET", "extra_s", "contactor", when=("motion", ("open", "both"))),
            Effect("CONTACTOR_EXTRA_CLOSE_S", "SET", "extra_s", "contactor", when=("motion", ("close", "both"))),
        ),
        (
            CONTACTOR,
            number("extra_s", "s", 0.0, 10.0, "added to the time it takes"),
            choice("motion", ("open", "close", "both"), "which movement is slow", "both"),
        ),
        "mechanical opening takes 20-50 ms; slower by a tired spring or a free-wheeling diode (assumption)",
        options=CONTACTORS,
    ),
    FaultKind(
        "aux-contact-stuck",
        FaultClass.ACTUATOR,
        "auxiliary contact reads open or closed whatever the contactor does",
        Where.GIVEN,
        (Effect("SENSE_AUX", "SET", "state", "contactor"),),
        (CONTACTOR, choice("state", ("open", "closed"), "what the controller reads")),
        _WELD,
        bench=True,
        masks=("aux_positive", "aux_negative", "aux_precharge"),
        options={**CONTACTORS, "open": 0.0, "closed": 1.0},
    ),
    FaultKind(
        "precharge-open",
        FaultClass.ACTUATOR,
        "precharge resistor burnt through",
        Where.TRUTH,
        (Effect("PRECHARGE_OHM", "SET", _OPEN_OHM),),
        (),
        "overheated precharge resistor, the usual end of too many tries",
        bench=True,
    ),
    FaultKind(
        "precharge-resistance",
        FaultClass.ACTUATOR,
        "precharge resistor has another value",
        Where.TRUTH,
        (Effect("PRECHARGE_OHM", "SET", "resistance_ohm"),),
        (number("resistance_ohm", "ohm", 0.1, 1e6, "resistance of the precharge branch"),),
        "precharge time constant R C: 50 ohm and 2 mF give 95 % after 0.30 s",
    ),
    FaultKind(
        "fuse-blown",
        FaultClass.ACTUATOR,
        "main fuse open",
        Where.TRUTH,
        (Effect("FUSE_OPEN", "SET", 1.0),),
        (),
        "end of every short circuit; stays open while the fault acts",
        bench=True,
    ),
)

INSULATION: tuple[FaultKind, ...] = (
    FaultKind(
        "insulation-drop",
        FaultClass.INSULATION,
        "insulation resistance of a pole against the chassis falls",
        Where.TRUTH,
        (
            Effect("INSULATION_POSITIVE_OHM", "SET", "resistance_ohm", when=("pole", ("positive", "both"))),
            Effect("INSULATION_NEGATIVE_OHM", "SET", "resistance_ohm", when=("pole", ("negative", "both"))),
        ),
        (
            choice("pole", ("positive", "negative", "both"), "which pole", "positive"),
            number("resistance_ohm", "ohm", 100.0, 1e8, "resistance of that pole against the chassis"),
        ),
        _IMD,
        bench=True,
    ),
    FaultKind(
        "insulation-monitor-set",
        FaultClass.INSULATION,
        "insulation monitor reports a value whatever the insulation is",
        Where.GIVEN,
        (Effect("SENSE_INSULATION_OHM", "SET", "resistance_ohm"),),
        (number("resistance_ohm", "ohm", 0.0, 1e8, "what the monitor reports"),),
        _IMD,
        bench=True,
        masks=("insulation_ohm",),
    ),
    FaultKind(
        "insulation-monitor-offset",
        FaultClass.INSULATION,
        "insulation monitor reads too high or too low",
        Where.GIVEN,
        (Effect("SENSE_INSULATION_OHM", "ADD", "offset_ohm"),),
        (number("offset_ohm", "ohm", -1e8, 1e8, "added to the reading"),),
        _IMD,
        masks=("insulation_ohm",),
    ),
    FaultKind(
        "insulation-monitor-stuck",
        FaultClass.INSULATION,
        "insulation monitor dead: last value kept",
        Where.GIVEN,
        (Effect("SENSE_INSULATION_OHM", "HOLD", 0.0),),
        (),
        _IMD,
        masks=("insulation_ohm",),
    ),
)

KINDS: tuple[FaultKind, ...] = (*ACTUATORS, *INSULATION)
