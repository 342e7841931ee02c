# SPDX-License-Identifier: Apache-2.0
"""From a scenario to what the kernel plays: events, faults, and the marks a trace carries.

A planner keeps every payload it has encoded and every fault it has resolved, so that planning a scenario in a campaign
costs microseconds an action.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.canbus.profile import Profile
from harness.errors import RigError
from harness.faults.catalogue import find_kind
from harness.faults.check import CLEAR_CODES, Bounds, ResolvedFault, resolve
from harness.faults.rows import rows
from harness.kernel.config import FOREVER_NS, Event, EventKind, Fault
from harness.rig.diagnosis import describe_request, tester_events
from harness.scenario import (
    TESTER_PREFIX,
    Action,
    CommandAction,
    FaultAction,
    Scenario,
    fault_windows,
    scenario_problems,
)
from harness.trace import Mark

RESET_PULSE_S = 0.2
PULSES_S = {"reset-faults": RESET_PULSE_S, "clear-dtcs": 1.0}  # requests that do not last
_NS_PER_S = 1_000_000_000
_SEED_STEP = 0xBF58476D1CE4E5B9  # odd 64-bit constant: faults of one scenario get seeds far apart
_SEED_MASK = 2**63 - 1

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One fault action and its rows in the kernel's fault table."""

    label: str
    kind: str
    from_s: float
    until_s: float
    first_row: int
    n_rows: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What the kernel plays for one scenario. Kernel times are absolute, those of faults and marks the scenario's."""

    events: tuple[Event, ...]
    rows: tuple[Fault, ...]
    faults: tuple[PlannedFault, ...]
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class _Edit:
    """A change of what the rest bus says: values that stay, or a pulse that is laid over them."""

    t_ns: int
    values: Mapping[str, Values]
    pulse: int = 0  # +1 begins, -1 ends


class Planner:
    """Plans scenarios for one rig: the profile knows its commands, `bounds` what it has of cells, sensors, messages."""

    def __init__(self, profile: Profile, bounds: Bounds) -> None:
        self._profile = profile
        self._bounds = bounds
        self._messages = {message.name: place for place, message in enumerate(bounds.messages)}
        self._payloads: dict[tuple[Any, ...], bytes] = {}
        self._resolved: dict[tuple[Any, ...], ResolvedFault] = {}

    def plan(self, scenario: Scenario, base_ns: int, *, requested: str = "") -> Plan:
        """Everything of one scenario that begins at `base_ns` with the request `requested` on the bus.

        Raises RigError with every problem of the scenario at once.
        """
        actions = scenario.actions
        resolved = [self._resolve(action) for action in actions if isinstance(action, FaultAction)]
        late = bool(actions) and actions[-1].at_s >= scenario.duration_s
        late |= any(action.string > self._bounds.strings for action in actions)
        checked = any(
            isinstance(action, CommandAction)
            and (action.do in ("clear", CLEAR_CODES) or action.do.startswith(TESTER_PREFIX))
            for action in actions
        )
        if late or checked or None in resolved:
            problems = scenario_problems(scenario, self._bounds)
            if problems:
                raise RigError(problems)
        faults: list[PlannedFault] = []
        kernel_rows: list[Fault] = []
        for window, fault in zip(fault_windows(scenario), resolved, strict=True):
            assert fault is not None
            seed = (scenario.seed + len(faults) * _SEED_STEP) & _SEED_MASK
            until_ns = FOREVER_NS if window.until_s >= scenario.duration_s else base_ns + to_ns(window.until_s)
            from_ns = base_ns + to_ns(window.from_s)
            new = rows(fault, from_ns, until_ns, seed) if until_ns > from_ns else ()  # cleared as it begins: never acts
            action = window.action
            faults.append(
                PlannedFault(
                    label=action.label or action.fault,
                    kind=action.fault,
                    from_s=window.from_s,
                    until_s=window.until_s,
                    first_row=len(kernel_rows),
                    n_rows=len(new),
                )
            )
            kernel_rows.extend(new)
        events = self._events(actions, base_ns, requested)
        marks = tuple(Mark(action.at_s, describe(action)) for action in actions)
        return Plan(events, tuple(kernel_rows), tuple(faults), marks)

    def request(self, command: str, t_ns: int, *, requested: str = "") -> tuple[Event, ...]:
        """The events of one request alone, `requested` being on the bus before: how start states are reached."""
        return self._events((CommandAction.model_construct(at_s=0.0, do=command),), t_ns, requested)

    def _resolve(self, action: FaultAction) -> ResolvedFault | None:
        parameters = action.model_extra or {}
        key = (action.fault, *parameters.items())
        found = self._resolved.get(key)
        if found is None:
            kind = find_kind(action.fault)
            outcome = resolve(kind, parameters, self._bounds) if kind is not None else []
            if isinstance(outcome, list):
                return None
            found = self._resolved[key] = outcome
        return found

    def _events(self, actions: Sequence[Action], base_ns: int, requested: str) -> tuple[Event, ...]:
        events: list[Event] = []
        edits: list[_Edit] = []
        for action in actions:
            if isinstance(action, CommandAction):
                t_ns = base_ns + to_ns(action.at_s)
                events.extend(_plain_events(action, t_ns))
                edits.extend(self._edits(action, t_ns))
        if edits:
            events.extend(self._payload_events(edits, requested))
        events.sort(key=lambda event: event.t_ns)
        return tuple(events)

    def _edits(self, action: CommandAction, t_ns: int) -> tuple[_Edit, ...]:
        values = self._profile.commands.get(action.do)
        if not values:
            return ()
        if action.do in PULSES_S:
            return (_Edit(t_ns, values, 1), _Edit(t_ns + to_ns(PULSES_S[action.do]), values, -1))
        return (_Edit(t_ns, values),)

    def _payload_events(self, edits: Sequence[_Edit], requested: str) -> list[Event]:
        """Requests last until the next one; a pulse lies over them while it lasts, overlapping pulses join."""
        lasting = {name: dict(values) for name, values in self._profile.commands.get(requested, {}).items()}
        pulses: dict[str, list[Values]] = {}
        events = []
        for edit in sorted(edits, key=lambda edit: edit.t_ns):
            for name, values in edit.values.items():
                over = pulses.setdefault(name, [])
                if edit.pulse > 0:
                    over.append(values)
                elif edit.pulse:
                    over.remove(values)
                else:
                    lasting.setdefault(name, {}).update(values)
                layers = (lasting.get(name, {}), *over)
                payload = self._encode(name, {key: value for layer in layers for key, value in layer.items()})
                place = self._messages[name]
                events.append(Event(t_ns=edit.t_ns, kind=EventKind.PAYLOAD, index=place, value=0.0, payload=payload))
        return events

    def _encode(self, name: str, values: Values) -> bytes:
        key = (name, *values.items())
        payload = self._payloads.get(key)
        if payload is None:
            payload = self._payloads[key] = self._profile.encode(name, values)
        return payload


def _plain_events(action: CommandAction, t_ns: int) -> tuple[Event, ...]:
    """What a command does besides talking on the bus. To charge is to plug in and ask, to drive to unplug and ask."""

    def event(kind: EventKind, value: float, later_s: float = 0.0) -> Event:
        return Event(t_ns=t_ns + to_ns(later_s), kind=kind, index=0, value=value, payload=b"")

    match action.do:
        case "charge" | "plug-in":  # plugging alone leaves what is asked for as it is
            return (event(EventKind.PLUG, 1.0),)
        case "drive" | "unplug":
            return (event(EventKind.PLUG, 0.0),)
        case "power-cycle":
            return (event(EventKind.POWER, 0.0), event(EventKind.POWER, 1.0, action.off_s))
        case "ignition-on":  # the key wakes a controller that is off
            return (event(EventKind.IGNITION, 1.0), event(EventKind.POWER, 1.0))
        case "ignition-off":
            return (event(EventKind.IGNITION, 0.0),)
        case "load":
            return (event(EventKind.LOAD_SCALE, action.scale),)
        case "soc":
            return (event(EventKind.SOC, action.soc_pct / 100.0),)
        case "soak":
            return (event(EventKind.TEMP_DEGC, action.temp_degc),)
        case _:
            return tester_events(action, t_ns)


def describe(action: Action) -> str:
    """An action in the words of a scenario file: "cell-voltage cell=17 voltage_v=3.8", "power-cycle off_s=1"."""
    return f"{_describe(action)} string={action.string}" if action.string else _describe(action)


def _describe(action: Action) -> str:
    if isinstance(action, FaultAction):
        words = [action.fault, *(f"{name}={value:g}" if isinstance(value, float) else f"{name}={value}"
                                 for name, value in (action.model_extra or {}).items())]  # fmt: skip
        return " ".join(words)
    match action.do:
        case "power-cycle":
            return f"power-cycle off_s={action.off_s:g}"
        case "load":
            return f"load scale={action.scale:g}"
        case "soc":
            return f"soc soc_pct={action.soc_pct:g}"
        case "soak":
            return f"soak temp_degc={action.temp_degc:g}"
        case "clear":
            return f"clear {action.label}"
        case _:
            return describe_request(action)


def to_ns(seconds: float) -> int:
    """Seconds of a file as integer nanoseconds, rounded."""
    return round(seconds * _NS_PER_S)
