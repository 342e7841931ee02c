# SPDX-License-Identifier: Apache-2.0
"""Which words, units and ranges speak for which quantity. Meanings are those of `harness.canbus.words`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

# Unit as written, lower case: dimension, factor and offset to the unit of the vocabulary.
UNITS: Mapping[str, tuple[str, float, float]] = {
    "v": ("V", 1.0, 0.0), "volt": ("V", 1.0, 0.0), "volts": ("V", 1.0, 0.0), "mv": ("V", 1e-3, 0.0),
    "kv": ("V", 1e3, 0.0), "a": ("A", 1.0, 0.0), "amp": ("A", 1.0, 0.0), "amps": ("A", 1.0, 0.0),
    "ma": ("A", 1e-3, 0.0), "c": ("degC", 1.0, 0.0), "degc": ("degC", 1.0, 0.0), "°c": ("degC", 1.0, 0.0),
    "deg c": ("degC", 1.0, 0.0), "celsius": ("degC", 1.0, 0.0), "k": ("degC", 1.0, -273.15), "%": ("%", 1.0, 0.0),
    "percent": ("%", 1.0, 0.0), "ohm": ("Ohm", 1.0, 0.0), "kohm": ("Ohm", 1e3, 0.0), "mohm": ("Ohm", 1e6, 0.0),
    "kω": ("Ohm", 1e3, 0.0), "ω": ("Ohm", 1.0, 0.0),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rule:
    """One quantity: groups of meanings of which one each must be there, meanings that must not, dimension, and the
    least and greatest end a range may have to be plausible, in the unit of the vocabulary.
    """

    quantity: str
    needs: tuple[frozenset[str], ...]
    never: frozenset[str]
    dimension: str
    least_end: float
    greatest_end: float
    note: str = ""
    extra: frozenset[str] = field(default_factory=frozenset)  # meanings that fit besides


def _rule(  # a line of the table below
    quantity: str, needs: str, never: str, dimension: str, ends: tuple[float, float], note: str = "", extra: str = ""
) -> Rule:
    groups = tuple(frozenset(group.split("|")) for group in needs.split())
    return Rule(quantity, groups, frozenset(never.split()), dimension, *ends, note, frozenset(extra.split()))


_NO_NUMBER = "number counter crc error warning alarm threshold limit request valid time motor coolant"
_NO_PACK = f"{_NO_NUMBER} cell module min max average supply charger over under soc power energy cumulative"
_SIGN = "sign: positive = discharge is a guess, the database does not say it"
RULES = (
    _rule("cell_voltage_max_v", "cell voltage max", f"{_NO_NUMBER} min link temp over", "V", (2.0, 70.0), "", "pack"),
    _rule("cell_voltage_min_v", "cell voltage min", f"{_NO_NUMBER} max link temp under", "V", (2.0, 70.0), "", "pack"),
    _rule("cell_temp_max_degc", "cell|pack|module temp max", f"{_NO_NUMBER} min voltage over", "degC", (40.0, 7000.0)),
    _rule("cell_temp_min_degc", "cell|pack|module temp min", f"{_NO_NUMBER} max voltage under", "degC", (40.0, 7000.0)),
    _rule("pack_voltage_v", "pack|bms voltage", f"{_NO_PACK} link", "V", (12.0, 5e6), extra="bms pack"),
    _rule("link_voltage_v", "link voltage", _NO_PACK, "V", (12.0, 5e6), extra="pack bms"),
    _rule("charger_voltage_v", "charger voltage", _NO_PACK.replace(" charger", ""), "V", (12.0, 5e6), extra="link"),
    _rule("pack_current_a", "pack|bms current", f"{_NO_PACK} charge discharge", "A", (5.0, 3e6), _SIGN, "bms pack"),
    _rule("soc_pct", "soc", f"{_NO_NUMBER} cell cumulative soh balance energy", "%", (1.0, 2000.0),
          extra="bms pack state percent"),
    _rule("charge_limit_a", "charge current limit|max", "counter crc discharge voltage error over cell time", "A",
          (2.0, 1e5), extra="limit max pack bms"),
    _rule("discharge_limit_a", "discharge current limit|max", "counter crc charge voltage error over cell time", "A",
          (2.0, 1e5), extra="limit max pack bms"),
    _rule("charge_voltage_limit_v", "pack|charge|link voltage limit|max", "cell number min discharge error over temp",
          "V", (12.0, 5e6), extra="limit max"),
    _rule("insulation_ohm", "insulation", "error warning alarm state request valid number counter", "Ohm",
          (1e4, 1e10), extra="resistance pack bms"),
    _rule("supply_v", "supply voltage", "error over under cell pack min max", "V", (10.0, 5e6), extra="bms contactor"),
)  # fmt: skip
ARRAY_RULES = (
    _rule("cell_voltage_v", "cell|module voltage|cell", "counter crc error temp min max average limit soc balance", "V",
          (2.0, 70.0)),
    _rule("cell_temp_degc", "cell|module|pack temp", "counter crc error min max average limit motor coolant", "degC",
          (40.0, 7000.0)),
)  # fmt: skip

# Flag without its tier: meanings, each of which must be there, and those that must not. The first that fits counts.
FLAGS: tuple[tuple[str, frozenset[str], frozenset[str]], ...] = tuple(
    (name, frozenset(needs.split()), frozenset(never.split()))
    for name, needs, never in (
        ("charge_overtemperature", "over temp charge", "discharge coolant motor"),
        ("discharge_overtemperature", "over temp discharge", "coolant motor"),
        ("charge_undertemperature", "under temp charge", "discharge coolant motor"),
        ("discharge_undertemperature", "under temp discharge", "coolant motor"),
        ("charge_overcurrent", "over current charge", "discharge charger"),
        ("discharge_overcurrent", "over current discharge", "charger"),
        ("overcurrent", "over current", "charger motor"),
        ("cell_overtemperature", "over temp", "coolant motor charger contactor"),
        ("cell_undertemperature", "under temp", "coolant motor charger contactor"),
        ("supply", "supply under", "cell pack"),
        ("supply", "supply min", "cell pack"),
        ("pack_overvoltage", "over voltage pack", "cell charger link supply"),
        ("pack_undervoltage", "under voltage pack", "cell charger link supply"),
        ("cell_overvoltage", "over voltage", "charger link supply motor"),
        ("cell_undervoltage", "under voltage", "charger link supply motor"),
        ("cell_overvoltage", "max voltage", "charger link supply motor"),
        ("cell_undervoltage", "min voltage", "charger link supply motor"),
        ("cell_overtemperature", "max temp", "coolant motor"),
        ("cell_undertemperature", "min temp", "coolant motor"),
        ("cell_imbalance", "imbalance", ""),
        ("temperature_spread", "spread temp", ""),
        ("cell_imbalance", "spread voltage", ""),
        ("open_sense_wire", "open wire", ""),
        ("short_circuit", "short", ""),
        ("insulation", "insulation error", "request"),
        ("insulation", "insulation warning", "request"),
        ("hvil", "interlock error", ""),
        ("contactor_welded", "weld", "request"),
        ("contactor_stuck", "contactor stuck", ""),
        ("contactor", "contactor error", ""),
        ("precharge", "precharge error", ""),
        ("thermal_runaway", "runaway", ""),
        ("crash", "crash", ""),
        ("fuse", "fuse", "state"),
        ("current_sensor", "current sensor error", ""),
        ("vehicle_timeout", "vehicle timeout", ""),
        ("nvm", "memory error", ""),
    )
)
STATE_WORDS: Mapping[str, tuple[str, ...]] = {
    "off": ("off", "sleep"),
    "init": ("init", "initialization", "uninitialized", "initialized", "boot", "startup", "selftest"),
    "standby": ("standby", "idle", "ready"),
    "precharge": ("precharge", "precharging", "measure"),
    "drive": ("drive", "driving", "discharge", "discharging", "run", "running", "normal"),
    "charge": ("charge", "charging"),
    "fault": ("fault", "error", "failure", "fatal"),
    "latched": ("latched", "locked", "weld", "lockout"),
    "shutdown": ("shutdown", "opening", "down"),
}
