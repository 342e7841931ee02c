# SPDX-License-Identifier: Apache-2.0
"""The vocabulary of quantities shared by rig profiles, requirements, scenarios and reports.

Every name ends in its unit (design section 5.2). Positive current discharges the pack. Cells and sensors count from 1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal


@dataclass(frozen=True, slots=True)
class Quantity:
    """A named quantity: its unit as printed ("" for counts and states), its margin key and what it means."""

    name: str
    unit: str
    meaning: str


# Suffix of a name -> unit as printed, and the key a margin in that unit has.
SUFFIXES: Mapping[str, tuple[str, str]] = {
    "_v": ("V", "v"),
    "_a": ("A", "a"),
    "_degc": ("°C", "k"),
    "_k": ("K", "k"),
    "_k_per_s": ("K/s", "k_per_s"),
    "_ohm": ("Ω", "ohm"),
    "_pct": ("%", "pct"),
    "_w": ("W", "w"),
    "_s": ("s", "s"),
    "_hz": ("Hz", "hz"),
    "_ah": ("Ah", "ah"),
}

# Margin key -> unit as printed: "ms" is the time left, "s" the distance of a quantity that is a time.
MARGIN_UNITS: Mapping[str, str] = {
    "v": "V",
    "a": "A",
    "k": "K",
    "k_per_s": "K/s",
    "ohm": "Ω",
    "pct": "%",
    "w": "W",
    "ms": "ms",
    "s": "s",
    "hz": "Hz",
    "ah": "Ah",
    "count": "",
}

_SCALARS = {
    "pack_voltage_v": "cell side of the contactors",
    "link_voltage_v": "vehicle side of the contactors",
    "charger_voltage_v": "charging inlet",
    "line_voltage_v": "at the poles: of the overhead line, 0 off it unless the vehicle feeds them",
    "pole_contact": "1 = the poles are on the overhead line, live or dead",
    "pole_feed_v": "voltage at the poles while they are off the overhead line",
    "link_of_pack_pct": "link voltage as a share of the pack voltage",
    "pack_current_a": "pack current, positive = discharge",
    "cell_voltage_max_v": "highest valid cell voltage",
    "cell_voltage_min_v": "lowest valid cell voltage",
    "cell_voltage_sum_v": "sum of all valid cell voltages",
    "cell_voltage_spread_v": "highest minus lowest valid cell voltage",
    "cell_voltage_max_index": "cell with the highest voltage",
    "cell_voltage_min_index": "cell with the lowest voltage",
    "cell_temp_max_degc": "highest valid cell temperature",
    "cell_temp_min_degc": "lowest valid cell temperature",
    "cell_temp_spread_k": "highest minus lowest valid cell temperature",
    "cell_temp_max_index": "sensor with the highest temperature",
    "cell_temp_min_index": "sensor with the lowest temperature",
    "cell_temp_rise_k_per_s": "fastest rise of any valid sensor over the last 3 s",
    "voltage_mismatch_v": "absolute difference of cell sum and pack voltage, all cells valid",
    "cells_invalid": "number of cells without a valid voltage",
    "cells_lost": "number of cells without a valid voltage although their sense wires are whole",
    "cells_open_wire": "number of cells whose open-wire test failed",
    "cell_age_max_s": "age of the oldest cell voltage",
    "temps_invalid": "number of temperature sensors without a valid value",
    "current_valid": "1 = the current sensor is valid",
    "pack_voltage_valid": "1 = the pack voltage is valid",
    "insulation_ohm": "insulation resistance",
    "supply_v": "24 V supply of the controller",
    "ignition": "1 = on",
    "charge_plug": "1 = plugged",
    "hvil_closed": "1 = closed",
    "crash": "1 = crash signalled",
    "aux_positive": "auxiliary contact of the positive contactor, 1 = closed",
    "aux_negative": "auxiliary contact of the negative contactor, 1 = closed",
    "aux_precharge": "auxiliary contact of the precharge contactor, 1 = closed",
    "contactor_positive": "positive contactor, 1 = closed",
    "contactor_negative": "negative contactor, 1 = closed",
    "contactor_precharge": "precharge contactor, 1 = closed",
    "soc_pct": "state of charge",
    "soc_counted_pct": "state of charge last told before the current flowed, and the charge given since; NaN at rest",
    "soc_unseen_pct": "true state of charge apart from a perfect count of the given current, set by hand or not seen",
    "soc_before_off_pct": "for 2 s after a power-on: the last state of charge reported before the supply went",
    "charge_limit_a": "allowed charge current, a positive number",
    "discharge_limit_a": "allowed discharge current",
    "charge_voltage_limit_v": "voltage the charger may go to",
    "bms_state": "state of the controller (CONTROLLER_STATES)",
    "vehicle_message_age_s": "time since the controller last got a good vehicle command (checksum, length, counter)",
    "charger_message_age_s": "time since the controller last got a good charger message while plugged",
    "line_message_age_s": "time since the controller last got a good message about the overhead line",
    "cell_frozen_a": "widest range of the pack current while a valid cell voltage has not changed at all",
    "pack_voltage_frozen_a": "range of the pack current while the valid pack voltage has not changed at all",
    "link_voltage_frozen_a": "range of the pack current while the valid link voltage has not changed at all",
    "current_frozen_v": "range of the pack voltage while the valid pack current has not changed at all",
    "can_state": "controller's CAN: 0 = error active, 1 = error passive, 2 = bus-off",
    "can_restart_age_s": "time since the CAN went bus-off or the controller last asked for its restart, 0 on the bus",
    "can_recovered": "1 for the first second after the controller's CAN came back from bus-off",
    "mode_requested": "mode asked for by the last good vehicle command: 0 = off, 1 = standby, 2 = drive, 3 = charge",
    "request_new": "1 = the vehicle has begun to ask for drive or charge since power-on",
    "nvm_damaged": "1 for the first second after a power-on with a non-volatile image that had been altered",
    "vehicle_frames_corrupt": "vehicle commands since power-on with a wrong CRC or length",
    "charger_frames_corrupt": "charger messages since power-on with a wrong CRC or length",
    "gbt_crm_wait_s": "GB/T 27930: time the BMS has waited for CRM since its first BHM",
    "gbt_recognised_wait_s": "GB/T 27930: time the BMS has waited for CRM(AA) since its first BRM",
    "gbt_cml_wait_s": "GB/T 27930: time the BMS has waited for CML since its first BCP",
    "gbt_cro_wait_s": "GB/T 27930: time the BMS has waited for CRO(AA) since its first BRO(AA)",
    "gbt_ccs_wait_s": "GB/T 27930: time since the last CCS while charging",
    "gbt_cst_wait_s": "GB/T 27930: time the BMS has waited for CST since its first BST",
    "gbt_csd_wait_s": "GB/T 27930: time the BMS has waited for CSD since its first BSD",
    "gbt_bcl_wait_s": "GB/T 27930: time since CRO(AA) or the last BCL while charging",
    "gbt_recognised": "GB/T 27930: 1 = the charger has sent CRM(AA) in this session",
    "gbt_parameters": "GB/T 27930: 1 = the BMS has sent BCP in this session",
    "gbt_error_reported": "GB/T 27930: 1 for half a second after a CEM in a session",
    "gbt_begun_anew": "GB/T 27930: 1 for half a second after a CHM in the middle of a session",
    "gbt_headroom_v": "GB/T 27930: pack voltage inside the range of the last CML; 1000 without one",
    "gbt_offered_a": "GB/T 27930: highest current of the last CML; 1000 without one",
    "gbt_offer_fits": "GB/T 27930: 1 = the pack voltage was in the range of the last CML",
    "gbt_ready": "GB/T 27930: 1 = the charger has sent CRO(AA) in this session",
    "gbt_stopped": "GB/T 27930: 1 = the charger has sent CST in this session",
    "gbt_errors": "GB/T 27930: errors that the BMS has reported with BEM since the plug went in",
    "gbt_excess_a": "GB/T 27930: charge current above the demand of BCL; -1000 while not charging",
    "gbt_excess_v": "GB/T 27930: voltage at the inlet above the demand of BCL; -1000 while not charging",
    "contact_losses": "how often sense wires or the interlock lost contact within the last 10 s, since power-on",
    "dtc_late_s": "for how long the flag of any fault and DM1 have disagreed (J1939)",
    "dm1_age_s": "time since the last complete DM1, or since the controller is heard",
    "dm2_age_s": "time since the last complete DM2, or since the controller is heard",
    "dtc_forgotten": "at each DM2: codes of faults that came, went, were not cleared, and are not listed",
    "dtcs_cleared": "at each DM2: 1 once the controller has been told to clear its codes",
    "dtc_unfounded": "at each DM2: codes listed that were cleared and whose fault has not come since",
    "balancing_count": "bleed resistors on",
    "powered": "1 = the controller runs",
    "string_gap_v": "pack and link voltage apart while other strings hold the link; given: and it is asked to join",
    "string_deviation_a": "pack current less the mean of all strings on the link: charge goes round between them",
    "string_reason": "1 = the string has a reason of its own to open: a fault, no request, ignition or supply off",
    "string_others_out": "other strings in parallel that report a fault",
    "string_id_clashes": "frames of other controllers, so far, under an identifier of this string",
    "strings_connected": "other strings on the link",
    "bus_load_pct": "share of bit time in use",
}

# Canonical controller states: a profile maps its product's value table to these numbers.
CONTROLLER_STATES: Mapping[str, int] = {
    "off": 0,
    "init": 1,
    "standby": 2,
    "precharge": 3,
    "drive": 4,
    "charge": 5,
    "fault": 6,
    "latched": 7,
    "shutdown": 8,
}

# What a rig is: decides which clauses of a norm apply to it. "charging" = a session with a charger that talks.
Application = Literal["vehicle", "rail", "machine", "stationary", "charging"]


@cache
def unit_of(name: str) -> tuple[str, str]:
    """The unit as printed and the margin key of a quantity name; ("", "count") for counts, states and flags."""
    base = name.partition("[")[0]
    for suffix in sorted(SUFFIXES, key=len, reverse=True):
        if base.endswith(suffix):
            return SUFFIXES[suffix]
    return ("", "count")


QUANTITIES: Mapping[str, Quantity] = {
    name: Quantity(name, unit_of(name)[0], meaning) for name, meaning in _SCALARS.items()
}
ARRAYS = ("cell_voltage_v", "cell_temp_degc")
FLAG_PREFIXES = ("fault.", "alarm.", "warning.")
DTC, DTC_PREVIOUS = "dtc.", "dtc_previous."  # 1 while the code of fault.NAME is in the last DM1 or DM2 (J1939)
HVESS = "hvess."  # a quantity as the HVESS messages of J1939 tell it, beside the product's own message


def is_known(name: str) -> bool:
    """Whether a quantity name is in the vocabulary: a scalar, an array element "name[i]", a flag or a trouble code."""
    if name.removeprefix(HVESS) in QUANTITIES or name.startswith((*FLAG_PREFIXES, DTC, DTC_PREVIOUS)):
        return True
    base, bracket, rest = name.partition("[")
    return bool(bracket) and base in ARRAYS and rest.endswith("]") and rest[:-1].isdigit()
