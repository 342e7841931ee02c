# SPDX-License-Identifier: Apache-2.0
"""Faults of the controller itself: its supply, its reset, its clock and its non-volatile memory."""

from __future__ import annotations

from harness.faults.kinds.parameters import number
from harness.faults.model import Effect, FaultClass, FaultKind, Parameter, Where

_NETS = "24 V on-board nets: ISO 16750-2 supply voltage classes (not confirmed)"
_SUPPLY = ("given.supply_v",)
_POWER = ("output.powered",)
_HELD = number("held_s", "s", 0.01, 60.0, "how long it is held in reset before it boots", default=0.02)
_WRAP_MS = 2.0**32


def _electronics(
    kind: str,
    title: str,
    effects: tuple[Effect, ...],
    parameters: tuple[Parameter, ...],
    source: str,
    changes: tuple[str, ...],
    *,
    noise_from: str = "",
    shapes: tuple[str, ...] = (),
) -> FaultKind:
    return FaultKind(
        kind, FaultClass.SUPPLY, title, Where.TRUTH, effects, parameters, source, noise_from=noise_from,
        shapes=shapes, changes=changes,
    )  # fmt: skip


def _supply(kind: str, title: str, parameter: Parameter, source: str = _NETS, *, op: str = "SET") -> FaultKind:
    noise = parameter.name if parameter.name.startswith("sigma") else ""
    effect = Effect("SUPPLY_V", op, 0.0 if noise else parameter.name)
    changes = (*_SUPPLY, *_POWER)
    return _electronics(kind, title, (effect,), (parameter,), source, changes, noise_from=noise)


KINDS: tuple[FaultKind, ...] = (
    _supply(
        "supply-dip",
        "the controller's 24 V supply at another voltage",
        number("voltage_v", "V", 0.0, 60.0, "supply voltage; far below its minimum the controller is off"),
    ),
    _supply(
        "supply-brown-out",
        "supply so low that the controller resets, and boots when it comes back",
        number("voltage_v", "V", 0.0, 12.0, "supply voltage"),
        "cranking and brown-out profiles: ISO 16750-2 (not confirmed)",
    ),
    _supply(
        "supply-load-dump",
        "over-voltage of the on-board net after its load was thrown off",
        number("voltage_v", "V", 28.0, 65.0, "suppressed peak; 58 V is usual in 24 V nets"),
        "load dump with central suppression: ISO 16750-2 (not confirmed)",
    ),
    _supply(
        "supply-noise",
        "noise on the controller's supply",
        number("sigma_v", "V", 0.0, 10.0, "standard deviation, new every tick"),
        op="ADD",
    ),
    _electronics(
        "controller-reset",
        "the controller resets, at any moment: contactors fall open, then it boots",
        (Effect("RESET_S", "SET", "held_s"),),
        (_HELD,),
        "watchdog or EMC reset; with shape = intermittent a reset loop",
        _POWER,
        shapes=("step", "intermittent"),
    ),
    _electronics(
        "clock-drift",
        "the controller's clock runs fast or slow",
        (Effect("CLOCK_FACTOR", "SET", "error_pct", factor=0.01, offset=1.0),),
        (number("error_pct", "%", -5.0, 5.0, "positive = fast; a ceramic resonator is within 1 %"),),
        "tolerance of resonators and RC oscillators over temperature, 0.5 to 3 % (data-sheet habit)",
        ("given.now_s",),
        shapes=("step", "ramp", "intermittent"),
    ),
    _electronics(
        "clock-wrap",
        "the controller resets and its 32 bit millisecond counter is about to wrap",
        (
            Effect("START_TICK_MS", "SET", "before_wrap_s", factor=-1000.0, offset=_WRAP_MS),
            Effect("RESET_S", "SET", "held_s"),
        ),
        (number("before_wrap_s", "s", 0.1, 3600.0, "from the start of the counter to its wrap", default=3.0), _HELD),
        "2^32 ms are 49.7 days; a bus may stay on for longer",
        ("boot", *_POWER),
        shapes=("step",),
    ),
    _electronics(
        "nvm-corrupted",
        "at every power-on a byte of the non-volatile memory is inverted",
        (Effect("NVM_BYTE", "SET", "byte"),),
        (Parameter("byte", "", 0, 65_535, "its place in the image; beyond the image nothing happens", integer=True),),
        "retention and write errors of EEPROM and data flash (practice)",
        ("boot",),
        shapes=("step",),
    ),
    _electronics(
        "nvm-erased",
        "at every power-on the non-volatile memory reads as erased flash",
        (Effect("NVM_ERASED", "SET", 1.0),),
        (),
        "power loss while a flash page is being rewritten (practice)",
        ("boot",),
        shapes=("step",),
    ),
)
