# SPDX-License-Identifier: Apache-2.0
"""The text of a new rig's requirement file: cycle times as they stand, protections and accuracies as proposals."""

from __future__ import annotations

from collections.abc import Iterable

from harness.canbus.guess import Guess
from harness.canbus.model import Signal
from harness.rig.new.plan import Plan, Sent
from harness.rig.new.texts import level, quoted
from harness.units import unit_of

_ASSUMED = 5  # cycle times of messages for which the database has none
_SHARE, _LEAST_S = 0.3, 0.025  # tolerance of a cycle time
_HEAD = """\
# The requirements your controller is judged by. The format: docs/bring-your-own-requirement.md.
#
# As they stand: cycle times, and one protection to be filled in. Everything below them is a proposal: take the comment
# signs out, put in your numbers and where they come from. A proposal's limits are those of the cell; the ranges of the
# database beside them say what a signal can carry, not what a cell can bear.
title = {title}

# FILL IN: the flag your controller sets, and where the limit comes from. Until then: NOT_EXERCISED.
[[trip]]
id = "PRT-OV-1"
title = "Fill in: cell over-voltage opens the contactors"
source = ["fill in"]
assumption = true
quantity = "cell_voltage_max_v"
above = {above}
accuracy = 0.005
confirm_s = [0.5, 1.0]
flag = "fault.fill_in"
flag_within_s = 0.2
safe_state = "contactors_open"
safe_within_s = 0.5
"""
# Flag: quantity, side of the limit, margin beyond the cell's own limits or a number of its own.
_TRIPS = {
    "cell_overvoltage": ("cell_voltage_max_v", "above", "cell_high"),
    "cell_undervoltage": ("cell_voltage_min_v", "below", "cell_low"),
    "charge_overtemperature": ("cell_temp_max_degc", "above", 55.0),
    "discharge_overtemperature": ("cell_temp_max_degc", "above", 60.0),
    "cell_overtemperature": ("cell_temp_max_degc", "above", 60.0),
    "charge_undertemperature": ("cell_temp_min_degc", "below", -10.0),
    "discharge_undertemperature": ("cell_temp_min_degc", "below", -25.0),
    "cell_undertemperature": ("cell_temp_min_degc", "below", -25.0),
    "cell_imbalance": ("cell_voltage_spread_v", "above", 0.3),
    "temperature_spread": ("cell_temp_spread_k", "above", 15.0),
    "open_sense_wire": ("cells_open_wire", "above", 0.5),
    "insulation": ("insulation_ohm", "below", 35000.0),
    "hvil": ("hvil_closed", "below", 0.5),
    "supply": ("supply_v", "below", 16.0),
    "crash": ("crash", "above", 0.5),
    "current_sensor": ("current_valid", "below", 0.5),
    "discharge_overcurrent": ("pack_current_a", "above", "current"),
    "overcurrent": ("pack_current_a", "above", "current"),
    "charge_overcurrent": ("pack_current_a", "below", "-current"),
}
_SUM = {"pack_voltage_v", "pack_current_a", "cell_voltage_max_v", "cell_voltage_min_v", "cell_temp_max_degc",
        "cell_temp_min_degc", "insulation_ohm", "supply_v", "link_voltage_v"}  # fmt: skip


def requirements_text(plan: Plan, dbc: str, title: str, *, cell_v: tuple[float, float], current_a: float) -> str:
    """The file; `cell_v` are the lowest and the highest voltage of the cell, `current_a` what the pack is made for."""
    limits = {"cell_low": cell_v[0], "cell_high": cell_v[1], "current": 1.5 * current_a, "-current": -1.5 * current_a}
    parts = [
        _HEAD.format(title=quoted(title), above=cell_v[1] + 0.05),
        *_cycles(plan, dbc),
        *_trips(plan, limits),
        *_accuracies(plan),
    ]
    return "\n".join(parts)


def _cycles(plan: Plan, dbc: str) -> Iterable[str]:
    """A multiplexed message's cycle time may be that of all its parts together: left to the user."""
    known = [item for item in plan.sent if item.known_ms and len(item.pages) == 1]
    shown = known or [item for item in plan.sent if not item.known_ms][:_ASSUMED] or list(plan.sent[:1])
    for number, item in enumerate(shown, start=1):
        yield _cycle(item, number, dbc)


def _cycle(item: Sent, number: int, dbc: str) -> str:
    period_s = item.period_ms / 1000.0
    source = f"{dbc}, GenMsgCycleTime" if item.known_ms else "assumption: the database has no cycle time"
    return f"""\
[[cycle]]
id = "CYC-{number:02d}"
title = {quoted(f"{item.message.name} every {item.period_ms} ms")}
source = [{quoted(source + "; tolerance: assumption")}]
assumption = true
message = {quoted(item.message.name)}
period_s = {period_s:g}
tolerance_s = {max(_SHARE * period_s, _LEAST_S):g}
"""


def _trips(plan: Plan, limits: dict[str, float]) -> Iterable[str]:
    number = 0
    for item in plan.guesses.signals:
        tier, dot, name = item.quantity.partition(".")
        if not dot or name not in _TRIPS:
            continue
        number += 1
        quantity, side, limit = _TRIPS[name]
        value = limits[limit] if isinstance(limit, str) else limit
        safe = '"contactors_open"\nsafe_within_s = 0.5' if tier == "fault" else '"none"'
        extra = f" # range of the signal in the database: {_range(plan, quantity)}" if _range(plan, quantity) else ""
        text = f"""\
[[trip]] # flag {item.path}: {level(item.confidence)}
id = "PRT-{number + 10}"
title = "{name.replace("_", " ").capitalize()}: {tier}"
source = ["fill in"]
assumption = true
quantity = "{quantity}"
{side} = {value:g}{extra}
confirm_s = [0.5, 1.0]
flag = "{item.quantity}"
flag_within_s = 0.2
safe_state = {safe}
"""
        yield _commented(text)


def _accuracies(plan: Plan) -> Iterable[str]:
    for number, item in enumerate(i for i in plan.guesses.signals if i.quantity in _SUM and plan.active(i)):
        place = plan.database.find(item.path)
        assert place is not None
        step = abs(place[1].scale * item.scale)
        steps = f"in steps of {step:g} {unit_of(item.quantity)[0]}; {_range(plan, item.quantity) or 'no range'}"
        text = f"""\
[[accuracy]] # {item.path}, {steps}
id = "ACC-{number + 1:02d}"
title = "Reported {item.quantity} follows what was measured"
source = ["fill in"]
assumption = true
reported = "{item.quantity}"
quantity = "{item.quantity}"
tolerance = {2 * step:g}
relative = 0.01
within_s = 0.3
"""
        yield _commented(text)


def _range(plan: Plan, quantity: str) -> str:
    """The range the database gives the signal of a quantity, in its unit; "" where it gives none."""
    item = next((i for i in plan.guesses.signals if i.quantity == quantity), None)
    place = plan.database.find(item.path) if item else None
    if item is None or place is None:
        return ""
    return _said(item, place[1])


def _said(item: Guess, signal: Signal) -> str:
    low, high = signal.minimum, signal.maximum
    if low is None or high is None or high - low <= abs(signal.scale):
        return ""
    ends = [value * item.scale + item.offset for value in (low, high)]
    return f"{ends[0]:g} to {ends[1]:g} {unit_of(item.quantity)[0]}"


def _commented(text: str) -> str:
    return "".join(f"# {line}\n" if line else "\n" for line in text.splitlines())
