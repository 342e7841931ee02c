# SPDX-License-Identifier: Apache-2.0
"""Tours: scenarios that are about operation and physics rather than about one limit.

They exercise what no boundary grid reaches: start-up and precharge, contactor failures, limits over temperature and
charge, messages, and the safety goals, whose hazards need a fault in the plant.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from harness.faults.catalogue import find_kind
from harness.faults.check import Bounds
from harness.faults.scale import REFERENCE, scaled
from harness.requirements.model import CurvePoint, Limit, Requirement
from harness.scenario import Action, Command, CommandAction, FaultAction, Scenario, Start, begin
from harness.search.chargertours import charger_tours
from harness.search.planttours import plant_tours
from harness.search.rectifier import rectifier_tours
from harness.search.stimuli import limit_recipe, scaled_action
from harness.search.strings import string_tours

STEP_S = 1.5  # at each corner of a curve: longer than a limit may take to settle
_COUNTED_A = 3000.0  # a reading; takes the counted charge of 180 Ah from end to end in 216 s
_COUNT_NEARLY_FULL_S = 78.8  # at that reading, from the 55 % rigs begin with to 91.5 %
_OVERCURRENT_RELEASE_S = 32.0  # a little longer than the current must have been small
_SOC_MIDDLE = 50.0
_SOC_POINTS = (2.0, 8.0, 12.0, 30.0, 70.0, 90.0, 94.0, 97.0, 99.0)


def tours(requirements: Sequence[Requirement], bounds: Bounds, *, rig: str) -> list[Scenario]:
    """The tours of a rig; a curve of every limit requirement among them."""
    written = (
        _operation(),
        _contactors(),
        _charging(),
        _vehicle(bounds),
        _controller(),
        _sequels(),
        _bus(),
        plant_tours(bounds),
        _overhead(bounds),
        *((rectifier_tours(),) if "rectifier" in bounds.features else ()),
        *((charger_tours(),) if "gbt" in bounds.features else ()),
        string_tours(bounds),
    )
    scaled = [
        (title, start, duration_s, tuple(scaled_action(action, bounds) for action in actions))
        for part in written
        for title, start, duration_s, actions in part
        if all(_has_messages(action, bounds) for action in actions)
    ]
    return [
        Scenario(rig=rig, title=title, start=start, duration_s=duration_s, action=actions)
        for title, start, duration_s, actions in (*scaled, *_curves(requirements))
    ]


def _has_messages(action: Action, bounds: Bounds) -> bool:
    """Whether the rig's bus has the messages that a fault is to act on: not every one has a charger that speaks."""
    if not isinstance(action, FaultAction):
        return True
    kind = find_kind(action.fault)
    named = [item.name for item in kind.parameters if item.role == "message"] if kind is not None else []
    return all(bounds.sends(name, str(action.parameters[name])) for name in named if name in action.parameters)


_Tour = tuple[str, Start, float, tuple[Action, ...]]


def _do(at_s: float, do: Command, **keys: Any) -> CommandAction:
    return CommandAction(at_s=at_s, do=do, **keys)


def _operation() -> Iterator[_Tour]:
    """No fault at all: nothing may trip, and everything that is cyclic can be seen."""
    yield "a drive", "drive", 15.0, ()
    yield "a standstill", "drive", 8.0, (_do(0.0, "load", scale=0.0),)
    yield "standby for a while", "standby", 5.0, ()
    yield "standby to drive", "standby", 6.0, (_do(0.5, "drive"),)
    yield "standby to charge", "standby", 8.0, (_do(0.5, "charge"),)
    again = (_do(4.0, "drive"), _do(4.12, "standby"), _do(6.0, "drive"))  # the second standby comes while it precharges
    yield "drive, standby twice, drive", "drive", 11.0, (_do(1.0, "standby"), *again)
    yield "charge, standby, drive", "charge", 12.0, (_do(1.0, "standby"), _do(4.0, "drive"))
    yield "power on", "off", 8.0, (_do(0.5, "ignition-on"), _do(3.0, "drive"))
    yield "power cycle while driving", "drive", 9.0, (_do(1.0, "power-cycle", off_s=0.5), _do(4.0, "drive"))
    yield "brief power cycle", "drive", 6.0, (_do(1.0, "power-cycle", off_s=0.05),)
    yield "ignition off and on", "drive", 9.0, (_do(1.0, "ignition-off"), _do(4.0, "ignition-on"), _do(6.0, "drive"))
    yield "drive command while charging", "charge", 6.0, (_do(1.0, "drive"),)
    yield "plug pulled while charging", "charge", 8.0, (_do(1.0, "unplug"), _do(4.0, "plug-in"))


def _contactors() -> Iterator[_Tour]:
    for contactor in ("positive", "negative", "precharge"):
        welded = begin(0.5, "contactor-welded", contactor=contactor)
        stuck = begin(0.5, "contactor-stuck-open", contactor=contactor)
        yield f"{contactor} welded, standby, drive", "drive", 9.0, (welded, _do(1.0, "standby"), _do(4.0, "drive"))
        yield f"{contactor} welded from the start", "standby", 6.0, (welded, _do(2.0, "drive"))
        yield f"{contactor} does not close", "standby", 9.0, (stuck, _do(1.0, "drive"))
        yield f"{contactor} falls open", "drive", 4.0, (stuck,)
        yield (
            f"{contactor} a little slow",
            "standby",
            8.0,
            (begin(0.0, "contactor-slow", contactor=contactor, extra_s=0.04), _do(0.5, "drive"), _do(4.0, "standby")),
        )
    yield "precharge open, three tries", "standby", 24.0, (begin(0.0, "precharge-open"), _do(0.5, "drive"))
    yield "precharge open for one try", "standby", 14.0, (begin(0.0, "precharge-open", for_s=4.0), _do(0.5, "drive"))
    for ohm in (20.0, 150.0, 1000.0):
        actions = (begin(0.0, "precharge-resistance", resistance_ohm=ohm), _do(0.5, "drive"))
        yield f"precharge of {ohm:g} ohm", "standby", 24.0, actions
    yield "fuse blown", "drive", 5.0, (begin(1.0, "fuse-blown"),)
    yield "fault during precharge", "standby", 6.0, (_do(0.5, "drive"), begin(0.6, "hvil-open"))
    yield "fault before drive", "standby", 6.0, (begin(0.2, "hvil-open"), _do(2.0, "drive"))
    yield "cell invalid before drive", "standby", 5.0, (begin(0.2, "cell-sensor-invalid", cell=1), _do(0.5, "drive"))


def _charging() -> Iterator[_Tour]:
    """The charger misbehaves; at a high state of charge the voltage runs away within seconds."""
    for soc in (_SOC_MIDDLE, 98.0, 99.5):
        full = _do(0.0, "soc", soc_pct=soc)
        lasts_s = 30.0 if soc == _SOC_MIDDLE else 10.0  # long enough for a count to move by 1 %
        yield f"charge at {soc:g} %", "charge", lasts_s, (full,)
        yield f"charger ignores limits at {soc:g} %", "charge", 12.0, (full, begin(1.0, "charger-ignores-limits"))
        actions = (full, begin(1.0, "charger-overvoltage", offset_v=100.0), begin(1.0, "charger-ignores-limits"))
        yield f"charger too high at {soc:g} %", "charge", 12.0, actions
    cold = begin(0.5, "temp-sensor-set", sensor=1, temp_degc=-3.0)  # for less long than the spread may last
    yield "one cold sensor while charging", "charge", 5.0, (cold,)
    yield "interlock opens while charging", "charge", 4.0, (begin(1.0, "hvil-open"),)
    yield "charger does not stop", "charge", 6.0, (begin(0.5, "charger-ignores-limits"), _do(1.0, "standby"))


def _vehicle(bounds: Bounds) -> Iterator[_Tour]:
    careless = begin(0.5, "vehicle-ignores-limits")
    for power in (280e3, 330e3, 450e3, 720e3, 800e3, -190e3, -220e3, -330e3, -800e3):
        actions = (*_alone(bounds), careless, begin(0.5, "load-power", power_w=power))
        yield f"inverter takes {power / 1e3:g} kW", "drive", 13.0, actions
    for soc in _SOC_POINTS:
        yield f"driving at {soc:g} %", "drive", 6.0, (_do(0.0, "soc", soc_pct=soc), _do(0.5, "load", scale=1.5))
    yield (
        "regeneration into a full pack",
        "drive",
        10.0,
        (
            _do(0.0, "soc", soc_pct=99.0),
            careless,
            begin(1.0, "load-power", power_w=-150e3),
        ),
    )
    yield (
        "discharge of an empty pack",
        "drive",
        12.0,
        (
            _do(0.0, "soc", soc_pct=1.0),
            careless,
            begin(1.0, "load-power", power_w=200e3),
        ),
    )
    counts_s = round(40.0 * _longer_count(bounds, -_COUNTED_A), 1)
    counted = begin(0.5, "current-sensor-set", current_a=-_COUNTED_A, for_s=counts_s)
    cycle = _do(counts_s + 3.0, "power-cycle", off_s=0.5)
    further = begin(counts_s + 6.0, "current-sensor-set", current_a=-_COUNTED_A, for_s=5.0)  # 2 % of it
    yield "power cycle after much was counted", "drive", counts_s + 12.0, (counted, cycle, further)
    for title, current_a, for_s in (("full", -_COUNTED_A, 110.0), ("empty", _COUNTED_A, 135.0)):
        counts_s = round(for_s * _longer_count(bounds, current_a), 1)
        counted = begin(0.5, "current-sensor-set", current_a=current_a, for_s=counts_s)
        back_s = counts_s + _OVERCURRENT_RELEASE_S
        off = tuple(begin(back_s, action.fault) for action in _alone(bounds))
        again: tuple[Action, ...] = (
            *off,
            _do(back_s, "reset-faults"),
            _do(back_s + 1.0, "standby"),
            _do(back_s + 1.5, "drive"),
        )
        yield f"driving on after the charge is counted until {title}", "drive", back_s + 6.0, (counted, *again)
    yield "vehicle messages late", "drive", 5.0, (begin(0.5, "message-late", message="vehicle", delay_s=0.05),)
    yield "charger messages late", "charge", 6.0, (begin(0.5, "message-late", message="charger", delay_s=0.3),)


def _alone(bounds: Bounds) -> tuple[FaultAction, ...]:
    """The pack carries the load alone: a line would take its part."""
    return (begin(0.0, "pole-drop"),) if "line" in bounds.features else ()


def _longer_count(bounds: Bounds, current_a: float) -> float:
    """How much longer than the bus pack this one is counted from end to end, at the current carried over to it."""
    capacity = bounds.scale.capacity_ah / REFERENCE.capacity_ah
    counted = scaled(bounds.scale, "current-sensor-set", {"current_a": current_a})["current_a"]
    return capacity * current_a / float(counted)


def _controller() -> Iterator[_Tour]:
    """Resets, supply, clock and memory of the controller; the vehicle goes on asking for what it asked for."""
    for at_s in (0.1, 0.25, 0.4, 0.6, 0.75, 1.2):  # from the request to the closed contactors and beyond
        reset = begin(round(0.5 + at_s, 2), "controller-reset")
        yield f"reset {at_s:g} s after a drive request", "standby", 5.0, (_do(0.5, "drive"), reset)
    reset = begin(1.0, "controller-reset", held_s=0.3)
    yield "reset while driving, asked anew", "drive", 9.0, (reset, _do(4.0, "standby"), _do(4.5, "drive"))
    yield "reset while charging", "charge", 5.0, (begin(1.0, "controller-reset"),)
    yield "reset and a cell invalid", "drive", 4.0, (reset, begin(1.0, "cell-sensor-invalid", cell=1))
    loop = begin(1.0, "controller-reset", shape="intermittent", period_s=1.0, duty=0.1)
    yield "reset loop", "drive", 8.0, (loop,)
    for before_s in (0.3, 2.0, 6.0):
        wrap = begin(0.5, "clock-wrap", before_wrap_s=before_s)
        lost = begin(7.0, "message-lost", message="vehicle")
        actions = (wrap, _do(2.5, "standby"), _do(3.0, "drive"), lost)
        yield f"clock wraps {before_s:g} s after a reset", "drive", 10.0, actions
    for error_pct in (-1.0, 1.0):
        drift = begin(0.0, "clock-drift", error_pct=error_pct)
        yield f"clock {error_pct:+g} %", "drive", 12.0, (drift, begin(8.0, "message-lost", message="vehicle"))
        yield f"clock {error_pct:+g} % from precharge on", "standby", 8.0, (drift, _do(0.5, "drive"))
    for volts in (0.0, 5.0):
        dip = begin(1.0, "supply-brown-out", voltage_v=volts, for_s=0.05)
        yield f"brown-out to {volts:g} V", "drive", 6.0, (dip, _do(3.0, "standby"), _do(3.5, "drive"))
    latch = begin(0.5, "hvil-open", for_s=1.0)
    cycle = _do(2.0, "power-cycle", off_s=0.5)
    for fault in (begin(0.5, "nvm-erased"), *(begin(0.5, "nvm-corrupted", byte=byte) for byte in (0, 4, 203))):
        name = f"{fault.fault} {fault.parameters.get('byte', '')}".strip()
        yield f"{name} with a latched fault", "drive", 8.0, (latch, fault, cycle, _do(5.0, "drive"))


def _sequels() -> Iterator[_Tour]:
    """What only a second event shows: one fault on top of another, after a release, after a start, at a wrap-around."""
    hvil = begin(0.5, "hvil-open")
    released = begin(0.5, "hvil-open", for_s=1.0)
    yield "crash after an open interlock", "drive", 4.0, (hvil, begin(2.0, "crash"))
    yield "latched, cause gone, asked anew", "drive", 8.0, (released, _do(4.0, "standby"), _do(4.5, "drive"))
    yield "latched, then standby", "drive", 8.0, (released, _do(4.0, "standby"))
    over = begin(3.0, "current-sensor-set", current_a=750.0, for_s=1.5)
    yield "over-current after a power cycle", "drive", 6.0, (_do(0.5, "power-cycle", off_s=0.5), over)
    wrap = begin(0.5, "clock-wrap", before_wrap_s=6.0)
    silent = begin(6.2, "message-lost", message="vehicle")
    yield "vehicle silent while the clock wraps", "drive", 9.0, (wrap, _do(2.5, "standby"), _do(3.0, "drive"), silent)
    for degc in (62.0, -27.0):
        hot = begin(0.5, "temp-sensor-set", sensor="all", temp_degc=degc, for_s=6.5)
        yield f"standby at {degc:g} degC, and over", "standby", 14.0, (hot,)
    yield "crash during precharge", "standby", 4.0, (_do(0.5, "drive"), begin(0.65, "crash"))


def _bus() -> Iterator[_Tour]:
    """The controller off the bus once, again and again, and for long; commands that arrive damaged."""
    for at_s in (0.1, 0.4):
        yield (
            f"bus-off {at_s:g} s after a drive request",
            "standby",
            4.0,
            (_do(0.5, "drive"), begin(0.5 + at_s, "bus-off")),
        )
    yield "bus-off while charging", "charge", 4.0, (begin(1.0, "bus-off"),)
    yield "bus-off three times", "drive", 9.0, tuple(begin(at_s, "bus-off") for at_s in (1.0, 2.0, 6.0))
    yield "bus-off for half a second", "drive", 5.0, (begin(1.0, "bus-off", times=0, for_s=0.5),)
    yield "bus-off for long in standby", "standby", 9.0, (begin(0.5, "bus-off", times=0, for_s=4.0),)
    away = begin(1.0, "bus-off", times=0, for_s=4.0)
    yield "bus-off for long while driving", "drive", 12.0, (away, _do(8.0, "standby"), _do(8.5, "drive"))
    yield "a trip while bus-off", "drive", 5.0, (begin(1.0, "bus-off", times=0, for_s=0.5), begin(1.1, "hvil-open"))
    for kind in ("e2e-crc-random", "e2e-counter-random", "e2e-counter-freeze"):
        damaged = begin(1.0, kind, message="vehicle", for_s=0.5)
        yield f"{kind} for half a second", "drive", 6.0, (damaged,)
        yield f"{kind} for long", "drive", 4.0, (begin(1.0, kind, message="vehicle"),)
        request = (begin(0.4, kind, message="vehicle", for_s=1.0), _do(0.5, "drive"))
        yield f"{kind} while drive is asked for", "standby", 4.0, request
    yield "every third command damaged", "drive", 5.0, (begin(1.0, "frame-corrupt", frame="vehicle", bits=3, every=3),)
    yield "commands cut short", "drive", 5.0, (begin(1.0, "frame-short", frame="vehicle", length=6, frames=20),)


def _overhead(bounds: Bounds) -> Iterator[_Tour]:
    """Only with an overhead line: off it, back on it, a dead one, braking there, nearly full, and for long."""
    if "line" not in bounds.features:
        return
    yield "the duty for two minutes", "drive", 120.0, ()
    brake = _do(0.0, "load", scale=-1.0)
    for soc in (50.0, 88.0, 92.0):
        level = _do(0.0, "soc", soc_pct=soc)
        off = begin(1.0, "pole-drop", for_s=2.0)
        dead = begin(1.0, "line-voltage", voltage_v=0.0, for_s=2.0)
        yield f"poles off and on at {soc:g} %", "drive", 5.0, (level, off)
        yield f"braking with the wire dead at {soc:g} %", "drive", 5.0, (level, brake, dead)
        yield f"braking off the wire at {soc:g} %", "drive", 5.0, (level, brake, begin(1.0, "pole-drop"))
    yield _off_the_wire_nearly_full(bounds)
    yield "a rough line", "drive", 8.0, (begin(0.5, "line-gaps", period_s=0.3, duty=0.5, for_s=4.0),)
    yield "poles fed at standstill", "drive", 5.0, (_do(0.0, "load", scale=0.0), begin(1.0, "poles-fed", for_s=2.0))
    yield "off the wire before drive", "standby", 6.0, (begin(0.0, "pole-drop"), _do(0.5, "drive"))
    yield "power cycle under the wire", "drive", 8.0, (_do(1.0, "power-cycle", off_s=0.5), _do(4.0, "drive"))
    for message in bounds.ages.values():
        for kind in ("e2e-crc-random", "e2e-counter-freeze"):
            yield f"{kind} of the line", "drive", 5.0, (begin(1.0, kind, message=message, for_s=2.5),)


def _off_the_wire_nearly_full(bounds: Bounds) -> _Tour:
    """The controller believes its own count: counted up to 91.5 %, then the poles go off the wire and on again."""
    counts_s = round(_COUNT_NEARLY_FULL_S * _longer_count(bounds, -_COUNTED_A), 1)
    counted = begin(0.5, "current-sensor-set", current_a=-_COUNTED_A, for_s=counts_s)
    back_s = counts_s + _OVERCURRENT_RELEASE_S
    again = (_do(back_s, "reset-faults"), _do(back_s + 1.0, "standby"), _do(back_s + 1.5, "drive"))
    off = begin(back_s + 6.0, "pole-drop", for_s=3.0)
    return "off the wire when nearly full", "drive", back_s + 12.0, (counted, *again, off)


def _curves(requirements: Sequence[Requirement]) -> Iterator[_Tour]:
    """Up and down every curve of a reported limit, a stop at each corner, beside it and half way between; and half way
    down it by one cell or sensor alone, the others staying what they are.
    """
    for requirement in requirements:
        if not isinstance(requirement, Limit) or requirement.side == "reported":
            continue  # what only the controller knows cannot be set
        values = _stops(requirement.curve)
        for title, path in (("up", values), ("down", values[::-1])):
            actions = limit_recipe(requirement.quantity, path, STEP_S)
            if actions:
                yield f"{requirement.id} {title} the curve", "drive", 0.5 + STEP_S * len(path), actions
        alone = limit_recipe(requirement.quantity, [_half_way(requirement.curve)], 2.0 * STEP_S, everywhere=False)
        if alone:
            yield f"{requirement.id} by one alone", "drive", 0.5 + 2.0 * STEP_S, alone


def _half_way(curve: Sequence[CurvePoint]) -> float:
    """Between the corner of the least limit and the one beside it."""
    least = min(range(len(curve)), key=lambda place: curve[place].limit)
    return 0.5 * (curve[least].at + curve[least - 1 if least else 1].at)


def _stops(curve: Sequence[CurvePoint]) -> list[float]:
    corners = [point.at for point in curve]
    middles = [0.5 * (low + high) for low, high in pairwise(corners)]
    return sorted({*corners, *middles})
