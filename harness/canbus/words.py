# SPDX-License-Identifier: Apache-2.0
"""The words in names of messages and signals, and what they usually mean in a battery's database.

A name is cut at capitals, digits and underscores, and names written without any gap at the words known here. Each word
that is known stands for a meaning; other words are kept as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache

# Meaning: the ways it is written.
_WRITTEN: Mapping[str, str] = {
    "voltage": "voltage voltages volt volts vol",
    "current": "current curr amps amp amperage",
    "temp": "temp temperature temperatures temps thermistor tmp",
    "max": "max maximum highest high hi",
    "min": "min minimum lowest low lo",
    "pack": "pack battery batt bat hv hvb traction accumulator accu ress stack total",
    "cell": "cell cells brick bricks",
    "module": "module mod segment slave cmu afe",
    "bms": "bms bmu lbc becm bmc bcm bmsmaster",
    "soc": "soc",
    "soh": "soh",
    "charge": "charge charging chg chrg chrge",
    "discharge": "discharge discharging dischg dchg dch dischrg dischar",
    "limit": "limit limits lim allowed permitted allowable",
    "over": "over",
    "under": "under",
    "link": "link inverter bus dclink",
    "charger": "charger obc evse",
    "insulation": "insulation isolation iso riso imd",
    "resistance": "resistance res ohm",
    "interlock": "interlock hvil",
    "state": "state mode status st sts",
    "request": "request req command cmd ctrl control set demand rq",
    "error": "error err fault faults flt fail failed failure fatal trip msl erro",
    "warning": "warning warn wrn warni mol",
    "alarm": "alarm rsl",
    "number": "number num no nr index idx id cellno which",
    "supply": "supply aux",
    "contactor": "contactor contactors relay contact main",
    "precharge": "precharge prechg pre",
    "weld": "weld welded",
    "stuck": "stuck",
    "timeout": "timeout comms",
    "imbalance": "imbalance unbalance unbalanced imbal",
    "spread": "spread delta diff difference",
    "open": "open",
    "wire": "wire",
    "short": "short",
    "runaway": "runaway",
    "crash": "crash collision",
    "fuse": "fuse",
    "memory": "nvm nvram eeprom fram flash",
    "sensor": "sensor measurement meas",
    "average": "average avg ave mean avrg",
    "power": "power pwr",
    "energy": "energy",
    "positive": "positive pos",
    "negative": "negative neg",
    "counter": "counter alive rolling cnt ctr",
    "crc": "crc checksum chksum cs",
    "vehicle": "vehicle vcu can",
    "coolant": "coolant inlet outlet cooling water fan pump ambient pcb die mcu board heater heating target",
    "motor": "motor igbt rotor stator wheel speed torque rpm mppt solar",
    "time": "time timer duration hours minutes",
    "threshold": "threshold setpoint margin reference target",
    "valid": "valid invalid validity ok plausible flag",
    "cumulative": "capacity ah wh counted charged",
}
_SHORT: Mapping[str, tuple[str, ...]] = {
    "ov": ("over", "voltage"),
    "uv": ("under", "voltage"),
    "ot": ("over", "temp"),
    "ut": ("under", "temp"),
    "oc": ("over", "current"),
    "overvoltage": ("over", "voltage"),
    "undervoltage": ("under", "voltage"),
    "overvolt": ("over", "voltage"),
    "undervolt": ("under", "voltage"),
    "overtemperature": ("over", "temp"),
    "undertemperature": ("under", "temp"),
    "overtemp": ("over", "temp"),
    "undertemp": ("under", "temp"),
    "overcurrent": ("over", "current"),
    "stateofcharge": ("soc",),
}
_MEANING: Mapping[str, str] = {word: meaning for meaning, words in _WRITTEN.items() for word in words.split()}
_LOW_VOLTAGE = re.compile(r"(?<!\d)(?:12|24)_?[vV](?![a-z])")  # "v12vBattVoltage": the vehicle net, not the pack
_PARTS = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+")
_LEAST_PART = 3


@cache
def meanings(name: str) -> tuple[str, ...]:
    """What the words of a name mean, in order; numbers are left out."""
    found: list[str] = []
    for part in _PARTS.findall(_LOW_VOLTAGE.sub("_Supply_", name)):
        found += [] if part.isdigit() else _of_word(part.lower())
    return tuple(_joined(found))


def _of_word(word: str) -> list[str]:
    if word in _SHORT:
        return list(_SHORT[word])
    if word in _MEANING:
        return [_MEANING[word]]
    cut = _cut(word)
    return (
        [word]
        if cut is None
        else [meaning for part in cut for meaning in _SHORT.get(part, (_MEANING.get(part, part),))]
    )


@cache
def _cut(word: str) -> tuple[str, ...] | None:
    """A word cut into known ones of at least three letters, None where that is not possible."""
    if not word:
        return ()
    for end in range(len(word), _LEAST_PART - 1, -1):
        head = word[:end]
        if head in _MEANING or head in _SHORT or head == "of":
            rest = _cut(word[end:])
            if rest is not None:
                return (head, *rest)
    return None


def _joined(words: list[str]) -> list[str]:
    """The words with "state of charge" as one."""
    text = " ".join(words)
    return text.replace("state of charge", "soc").split()
