# SPDX-License-Identifier: Apache-2.0
"""Faults of contactors, precharge, fuse and insulation, and of the monitors that watch them."""

from __future__ import annotations

from harness.faults.kinds.channels import LONGEST_DELAY_S, Channel
from harness.faults.kinds.parameters import CONTACTOR, CONTACTORS, FLOW, choice, number
from harness.faults.model import Effect, FaultClass, FaultKind, Where

_OPEN_OHM = 1e9
_WELD = "contactor diagnosis by command, auxiliary contact and voltages: foxBMS 2 v1.11.0 contactor driver"
_AUX = ("given.aux_positive", "given.aux_negative", "given.aux_precharge")
_SWITCHED = ("truth.contactors", *_AUX, *FLOW)
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
        options=CONTACTORS,
        changes=_SWITCHED,
    ),
    FaultKind(
        "contactor-stuck-open",
        FaultClass.ACTUATOR,
        "contactor stays open whatever is commanded",
        Where.TRUTH,
        (Effect("CONTACTOR_STUCK_OPEN", "SET", 1.0, "contactor"),),
        (CONTACTOR,),
        _WELD,
        options=CONTACTORS,
        changes=_SWITCHED,
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
        changes=_SWITCHED,
    ),
    FaultKind(
        "aux-contact-stuck",
        FaultClass.ACTUATOR,
        "auxiliary contact reads open or closed whatever the contactor does",
        Where.GIVEN,
        (Effect("SENSE_AUX", "SET", "state", "contactor"),),
        (CONTACTOR, choice("state", ("open", "closed"), "what the controller reads")),
        _WELD,
        masks=("aux_positive", "aux_negative", "aux_precharge"),
        options={**CONTACTORS, "open": 0.0, "closed": 1.0},
        changes=_AUX,
    ),
    FaultKind(
        "contactor-bouncing",
        FaultClass.ACTUATOR,
        "contact chatters after it has closed: open in every second step",
        Where.TRUTH,
        (Effect("CONTACTOR_BOUNCE_S", "SET", "bounce_s", "contactor"),),
        (CONTACTOR, number("bounce_s", "s", 0.02, 2.0, "how long it chatters after every closing")),
        "contact bounce lasts milliseconds; tens of them with a worn spring or low coil voltage (assumption)",
        options=CONTACTORS,
        shapes=("step", "intermittent"),
        changes=_SWITCHED,
    ),
    FaultKind(
        "coil-supply-dip",
        FaultClass.ACTUATOR,
        "supply of the contactor coils falls: closed contactors drop out, open ones do not pull in",
        Where.TRUTH,
        (Effect("COIL_SUPPLY_V", "SET", "voltage_v"),),
        (number("voltage_v", "V", 0.0, 36.0, "coil voltage; they pull in from 70 %, hold down to 30 % of the supply"),),
        "must-operate and must-release voltages of relay data sheets; 70 % and 30 % are an assumption",
        changes=_SWITCHED,
    ),
    FaultKind(
        "aux-contact-inverted",
        FaultClass.ACTUATOR,
        "auxiliary contact reads the opposite of what the contactor does",
        Where.GIVEN,
        (Effect("SENSE_AUX", "NEGATE", 0.0, "contactor"),),
        (CONTACTOR,),
        "a change-over contact wired to the wrong side (practice)",
        masks=("aux_positive", "aux_negative", "aux_precharge"),
        options=CONTACTORS,
        changes=_AUX,
    ),
    FaultKind(
        "aux-contact-late",
        FaultClass.ACTUATOR,
        "auxiliary contact follows the contactor late",
        Where.GIVEN,
        (Effect("SENSE_AUX", "DELAY", "delay_s", "contactor"),),
        (CONTACTOR, number("delay_s", "s", 0.01, LONGEST_DELAY_S, "how much later it reads the new position")),
        "filters and debouncing in the read-back (practice)",
        masks=("aux_positive", "aux_negative", "aux_precharge"),
        options=CONTACTORS,
        changes=_AUX,
    ),
    FaultKind(
        "precharge-open",
        FaultClass.ACTUATOR,
        "precharge resistor burnt through",
        Where.TRUTH,
        (Effect("PRECHARGE_OHM", "SET", _OPEN_OHM),),
        (),
        "overheated precharge resistor, the usual end of too many tries",
        changes=FLOW,
    ),
    FaultKind(
        "precharge-resistance",
        FaultClass.ACTUATOR,
        "precharge resistor has another value",
        Where.TRUTH,
        (Effect("PRECHARGE_OHM", "SET", "resistance_ohm"),),
        (number("resistance_ohm", "ohm", 0.1, 1e6, "resistance of the precharge branch"),),
        "precharge time constant R C: 50 ohm and 2 mF give 95 % after 0.30 s",
        changes=FLOW,
    ),
    FaultKind(
        "fuse-blown",
        FaultClass.ACTUATOR,
        "main fuse open",
        Where.TRUTH,
        (Effect("FUSE_OPEN", "SET", 1.0),),
        (),
        "end of every short circuit; stays open while the fault acts",
        changes=("truth.fuse_open", *FLOW),
    ),
)

MONITOR = Channel(
    "insulation-monitor", "insulation resistance", "SENSE_INSULATION_OHM", FaultClass.INSULATION, "insulation_ohm",
    "ohm", "ohm", "resistance", low=0.0, high=1e8, offset=1e8, noise=1e7, drift=1e7, spike=1e8, step=1e7, lowest=0.0,
    highest=5e7, source=_IMD,
)  # fmt: skip

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
        changes=("truth.insulation_ohm",),
    ),
    *MONITOR.readings(),
    *MONITOR.timing(),
    MONITOR.invalid("marked invalid: the monitor is dead and says so", "insulation_valid"),
)

KINDS: tuple[FaultKind, ...] = (*ACTUATORS, *INSULATION)
