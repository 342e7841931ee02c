# SPDX-License-Identifier: Apache-2.0
"""Faults of a charger that speaks GB/T 27930: what it says, hears, and delivers."""

from __future__ import annotations

from collections.abc import Mapping

from harness.faults.kinds.parameters import FLOW, choice, number
from harness.faults.model import Effect, FaultClass, FaultKind, Parameter, Where

# In the order of BH_GBT_CHM ... and BH_GBT_BHM ... of the kernel.
SENT = ("CHM", "CRM", "CTS", "CML", "CRO", "CCS", "CST", "CSD", "CEM", "transport")
HEARD = ("BHM", "BRM", "BCP", "BRO", "BCL", "BCS", "BSM", "BST", "BSD", "BEM")
STOPS = ("reached", "manual", "fault")
_STAGES = "GB/T 27930-2015, stages and their time-outs (open code and descriptions; the standard was not at hand)"
_OVERRIDE = "chargers that add 5 V to the demand of BCL and override CML are known from code comments of 2016"


def _numbered(words: tuple[str, ...]) -> Mapping[str, float]:
    return {word: float(place) for place, word in enumerate(words)}


def _kind(
    name: str,
    title: str,
    effect: Effect,
    *parameters: Parameter,
    source: str = _STAGES,
    options: Mapping[str, float] | None = None,
    changes: tuple[str, ...] = ("bus",),
) -> FaultKind:
    return FaultKind(
        name, FaultClass.CHARGER_VEHICLE, title, Where.BUS, (effect,), parameters, source,
        options=options or {}, shapes=("step", "intermittent"), changes=changes, needs="gbt",
    )  # fmt: skip


_SENT = choice("message", SENT, "message of the charger; transport: its answers to packets")
_HEARD = choice("message", HEARD, "message of the BMS")

KINDS: tuple[FaultKind, ...] = (
    _kind(
        "gbt-withheld",
        "the charger does not send a message of its session; when the fault ends, at once",
        Effect("GBT_SILENT", "SET", 1.0, "message"),
        _SENT,
        options=_numbered(SENT),
    ),
    _kind(
        "gbt-late",
        "the charger sends a message for the first time late after a stage has begun",
        Effect("GBT_LATE_S", "SET", "delay_s", "message"),
        _SENT,
        number("delay_s", "s", 0.01, 120.0, "after the beginning of each stage that begins meanwhile"),
        options=_numbered(SENT),
    ),
    _kind(
        "gbt-unheard",
        "the charger does not get a message of the BMS",
        Effect("GBT_DEAF", "SET", 1.0, "message"),
        _HEARD,
        options=_numbered(HEARD),
    ),
    _kind(
        "gbt-cml-voltage",
        "the charger offers this highest voltage in CML",
        Effect("GBT_CML_MAX_V", "SET", "voltage_v"),
        number("voltage_v", "V", 0.0, 1500.0, "highest output voltage"),
    ),
    _kind(
        "gbt-cml-floor",
        "the charger offers this lowest voltage in CML",
        Effect("GBT_CML_MIN_V", "SET", "voltage_v"),
        number("voltage_v", "V", 0.0, 1500.0, "lowest output voltage"),
    ),
    _kind(
        "gbt-cml-current",
        "the charger offers this highest current in CML",
        Effect("GBT_CML_MAX_A", "SET", "current_a"),
        number("current_a", "A", 0.0, 400.0, "highest output current"),
    ),
    _kind(
        "gbt-recognition",
        "the charger gives this result of the recognition in CRM",
        Effect("GBT_CRM_RESULT", "SET", "result"),
        Parameter("result", "", 0, 255, "170 = recognised, 0 = not", integer=True),
    ),
    _kind(
        "gbt-stops",
        "the charger ends the session with CST",
        Effect("GBT_STOP", "SET", "reason"),
        choice("reason", STOPS, "reason that it gives", "manual"),
        options=_numbered(STOPS),
        changes=("bus", *FLOW),
    ),
    _kind(
        "gbt-error",
        "the charger reports an error with CEM and gives up the session",
        Effect("GBT_ERROR", "SET", 1.0),
        changes=("bus", *FLOW),
    ),
    _kind(
        "gbt-begins-anew",
        "the charger begins anew with CHM in the middle of a session",
        Effect("GBT_AGAIN", "SET", 1.0),
        changes=("bus", *FLOW),
    ),
    _kind(
        "gbt-persists",
        "the charger begins anew after every error, however many there were",
        Effect("GBT_PERSISTS", "SET", 1.0),
    ),
    _kind(
        "gbt-overrides-current",
        "the charger delivers more current than BCL asks for",
        Effect("GBT_EXTRA_A", "SET", "extra_a"),
        number("extra_a", "A", 0.0, 400.0, "above the demand, up to what the charger can"),
        source=_OVERRIDE,
        changes=("bus", *FLOW),
    ),
    _kind(
        "gbt-overrides-voltage",
        "the charger regulates to a higher voltage than BCL asks for",
        Effect("GBT_EXTRA_V", "SET", "extra_v"),
        number("extra_v", "V", 0.0, 300.0, "above the demand, up to what the charger can"),
        source=_OVERRIDE,
        changes=("bus", *FLOW),
    ),
)
