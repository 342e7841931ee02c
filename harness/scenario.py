# SPDX-License-Identifier: Apache-2.0
"""Scenarios: timed actions as data, read from and written to TOML without loss (design section 5.4)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal, Self, get_args

import pydantic
from pydantic import Field

from harness.errors import Problem, RigError
from harness.faults.catalogue import allowed_kinds, find_kind
from harness.faults.check import CLEAR_CODES, DIAGNOSTICS, Bounds, resolve
from harness.tomlfile import FileModel, KeyPath, dotted, line_of, load_model, parse_toml, read_text, validate

Start = Literal["off", "standby", "drive", "charge"]
LONGEST_S = 1e8  # three years: a long run (harness.rig.longrun)
Time = Annotated[float, Field(ge=0.0, le=LONGEST_S)]
StringNumber = Annotated[int, Field(ge=0, le=8)]
Command = Literal[
    "drive",
    "standby",
    "charge",
    "power-cycle",
    "ignition-off",
    "ignition-on",
    "plug-in",
    "unplug",
    "reset-faults",
    "clear-dtcs",
    "load",
    "soc",
    "soak",
    "clear",
    "uds-read-dtcs",
    "uds-clear",
    "uds-session",
    "uds-reset",
    "uds-read",
    "uds-send",
    "uds-flow",
]
COMMANDS: tuple[str, ...] = get_args(Command)

# The keys a command takes besides at_s; a key that would change nothing is refused.
COMMAND_KEYS: Mapping[str, str] = {
    "power-cycle": "off_s",
    "load": "scale",
    "soc": "soc_pct",
    "soak": "temp_degc",
    "clear": "label",
    "uds-session": "session",
    "uds-read": "identifier",
    "uds-send": "request",
    "uds-flow": "flow",
}
TESTER_PREFIX = "uds-"  # commands of the diagnostic tester
_PARAMETER_NAME = re.compile(r"[a-z][a-z0-9_]*\Z")


class FaultAction(pydantic.BaseModel):
    """Start one fault. Every key but at_s, fault, label and string is a parameter of that kind (`harness.faults`).

    `string`: on rigs with strings in parallel the one it befalls; 0, the first.
    """

    model_config = pydantic.ConfigDict(frozen=True, extra="allow", strict=True)

    at_s: Time
    fault: str
    label: str = ""
    string: StringNumber = 0

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The fault's parameters by name, unchecked: `harness.faults.check.resolve` knows their ranges."""
        return dict(self.model_extra or {})

    @pydantic.model_validator(mode="after")
    def _plain_parameters(self) -> Self:
        for name, value in (self.model_extra or {}).items():
            if not _PARAMETER_NAME.match(name):
                raise ValueError(f"'{name}' is no parameter name: lower-case letters, digits and _")
            if isinstance(value, bool) or not isinstance(value, (int, float, str)):
                raise ValueError(f"'{name}' must be a number or a word")  # noqa: TRY004 - the type pydantic reports
            if not isinstance(value, str) and not math.isfinite(value):
                raise ValueError(f"'{name}' must be finite")
        return self


class CommandAction(FileModel):
    """Do something a driver, an operator or a workshop would do.

    drive, standby, charge: ask the controller for that state. power-cycle: controller off for `off_s`, then on.
    ignition-off, ignition-on: the same as turning the key. reset-faults: service request to release latched faults.
    clear-dtcs: the diagnostic tool asks to clear all trouble codes.
    load: factor `scale` on the duty profile (0 = standstill). soc: all cells to `soc_pct` (spread kept). soak: all
    cells to `temp_degc` (spread kept), as after a night outside.
    clear: end every active fault with this `label` (or of this kind).
    uds-read-dtcs, uds-clear, uds-session, uds-reset, uds-read, uds-send: the diagnostic tester asks for all trouble
    codes with any status bit, clears them, changes the `session`, resets the controller, reads a data `identifier`,
    sends the bytes of a `request` in hexadecimal. uds-flow: from now on it lets answers of several frames come by this
    `flow` control: block size, least gap, and flow controls that ask to wait before it, in hexadecimal.
    `string`: on rigs with strings in parallel the one that is meant; 0, all of them.
    """

    at_s: Time
    do: Command
    off_s: Annotated[float, Field(ge=0.02, le=3600.0)] = 1.0
    scale: Annotated[float, Field(ge=-3.0, le=3.0)] = 1.0
    soc_pct: Annotated[float, Field(ge=0.0, le=100.0)] = 50.0
    temp_degc: Annotated[float, Field(ge=-50.0, le=85.0)] = -30.0
    label: str = ""
    session: Literal["default", "extended"] = "extended"
    identifier: Annotated[int, Field(ge=0, le=0xFFFF)] = 0xF186
    request: Annotated[str, Field(pattern=r"^([0-9A-Fa-f]{2} ?){0,64}$")] = ""
    flow: Annotated[str, Field(pattern=r"^[0-9A-Fa-f]{2} [0-9A-Fa-f]{2}( 0[0-9A-Fa-f])?$")] = "00 00"
    string: StringNumber = 0

    @pydantic.model_validator(mode="after")
    def _only_own_keys(self) -> Self:
        own = COMMAND_KEYS.get(self.do, "")
        foreign = sorted(self.model_fields_set - {"at_s", "do", "string", own})
        if foreign:
            allowed = f"takes only {own}" if own else "takes no further key"
            raise ValueError(f"'{foreign[0]}' changes nothing here: {self.do} {allowed}")
        if self.do == "clear" and not self.label:
            raise ValueError("clear needs the label or the kind of the fault to end")
        if self.do == "uds-send" and not self.request:
            raise ValueError('uds-send needs a request, such as "19 02 FF"')
        return self


Action = FaultAction | CommandAction


def begin(at_s: float, fault: str, **parameters: Any) -> FaultAction:
    """An action that starts a fault; the short way to write one in Python."""
    return FaultAction(at_s=at_s, fault=fault, **parameters)


def _kind_of_action(value: Any) -> str:
    if isinstance(value, Mapping):
        return "CommandAction" if "do" in value else "FaultAction"
    return "CommandAction" if isinstance(value, CommandAction) else "FaultAction"


TaggedAction = Annotated[
    Annotated[FaultAction, pydantic.Tag("FaultAction")] | Annotated[CommandAction, pydantic.Tag("CommandAction")],
    pydantic.Discriminator(_kind_of_action),
]


class Scenario(FileModel):
    """A repeatable run: from a start state, timed actions, then judged. Times count from the start state reached."""

    rig: Annotated[str, Field(min_length=1)]
    title: str = ""
    start: Start = "drive"
    duration_s: Annotated[float, Field(gt=0.0, le=86_400.0)] = 10.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    action: Annotated[tuple[TaggedAction, ...], Field(strict=False)] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions in order of time; equal times keep their order in the file."""
        return tuple(sorted(self.action, key=lambda action: action.at_s))


class LongScenario(Scenario):
    """A scenario that may last for years: only long runs play it."""

    duration_s: Annotated[float, Field(gt=0.0, le=LONGEST_S)] = 86_400.0


@dataclass(frozen=True, slots=True)
class FaultWindow:
    """When one fault of a scenario acts, `clear` actions taken into account; `until_s` exclusive."""

    action: FaultAction
    from_s: float
    until_s: float


def fault_windows(scenario: Scenario) -> tuple[FaultWindow, ...]:
    """The time each fault acts, in order of their start. Parameters must have passed `scenario_problems`."""
    clears = [action for action in scenario.actions if isinstance(action, CommandAction) and action.do == "clear"]
    windows = []
    for action in scenario.actions:
        if isinstance(action, FaultAction):
            ends = [clear.at_s for clear in clears if _clears(clear, action)]
            natural = action.at_s + float(action.parameters.get("for_s", math.inf))
            windows.append(FaultWindow(action, action.at_s, min([natural, scenario.duration_s, *ends])))
    return tuple(windows)


def string_of(action: Action) -> int:
    """The string in parallel an action is for, from 1; 0 = all. A fault that names none befalls the first."""
    return action.string or (1 if isinstance(action, FaultAction) else 0)


def _clears(clear: CommandAction, action: FaultAction) -> bool:
    named = clear.label in (action.label, action.fault) and clear.string in (0, string_of(action))
    return named and clear.at_s >= action.at_s


def without_idle_clears(scenario: Scenario) -> Scenario:
    """Without the `clear` actions that have lost their fault: no rig plays them, and they did nothing."""
    idle = _idle_clears(scenario)
    kept = tuple(action for action in scenario.action if action not in idle)
    return scenario.model_copy(update={"action": kept}) if idle else scenario


def _idle_clears(scenario: Scenario) -> tuple[CommandAction, ...]:
    """The `clear` actions that name no fault which began before: `scenario_problems` refuses them."""
    faults = [action for action in scenario.action if isinstance(action, FaultAction)]
    clears = [action for action in scenario.action if isinstance(action, CommandAction) and action.do == "clear"]
    return tuple(clear for clear in clears if not any(_clears(clear, fault) for fault in faults))


def load_scenario(path: Path, bounds: Bounds | None = None) -> Scenario:
    """Read a scenario file and, when the rig's bounds are given, check its faults against them.

    Raises RigError with every problem of the file.
    """
    if bounds is None:
        return load_model(path, Scenario)
    text = read_text(path)
    scenario = validate(parse_toml(text, path), Scenario, path=path, text=text)
    problems = scenario_problems(scenario, bounds, path=path, text=text)
    if problems:
        raise RigError(problems)
    return scenario


def scenario_problems(
    scenario: Scenario, bounds: Bounds, *, path: Path = Path("scenario"), text: str = ""
) -> tuple[Problem, ...]:
    """Everything in a scenario that this rig cannot do: unknown faults, parameters out of range, actions too late.

    With the text of the file each problem carries its line.
    """
    found = [
        (("action", place, key), wrong, allowed)
        for place, action in enumerate(scenario.action)
        for key, wrong, allowed in _action_problems(action, scenario, bounds)
    ]
    return tuple(_problem(key, wrong, allowed, path, text) for key, wrong, allowed in found)


def _problem(key: KeyPath, found: str, allowed: str, path: Path, text: str) -> Problem:
    return Problem(str(path), line_of(text, key) if text else 0, dotted(key), found, allowed)


def _action_problems(action: Action, scenario: Scenario, bounds: Bounds) -> list[tuple[str, str, str]]:
    problems = []
    if action.at_s >= scenario.duration_s:
        allowed = f"a time before the end of the scenario, duration_s = {scenario.duration_s:g}"
        problems.append(("at_s", repr(action.at_s), allowed))
    if action.string > bounds.strings:
        allowed = f"at most {bounds.strings}" if bounds.strings else "nothing: this rig has no strings in parallel"
        problems.append(("string", repr(action.string), allowed))
    if isinstance(action, CommandAction):
        return problems + _command_problems(action, scenario, bounds)
    kind = find_kind(action.fault)
    if kind is None:
        return [*problems, ("fault", repr(action.fault), allowed_kinds(action.fault))]
    outcome = resolve(kind, action.parameters, bounds)
    if isinstance(outcome, list):
        problems += [(problem.parameter, problem.found, problem.allowed) for problem in outcome]
    return problems


def _command_problems(action: CommandAction, scenario: Scenario, bounds: Bounds) -> list[tuple[str, str, str]]:
    if action.do.startswith(TESTER_PREFIX) and DIAGNOSTICS not in bounds.features:
        return [("do", repr(action.do), "a rig whose profile has [diagnostics], and so somebody to ask")]
    if action.do == CLEAR_CODES and CLEAR_CODES not in bounds.features:
        return [("do", repr(action.do), f"a rig whose profile tells how: [commands] has {CLEAR_CODES}")]
    if action not in _idle_clears(scenario):
        return []
    faults = [item for item in scenario.action if isinstance(item, FaultAction)]
    faults = [fault for fault in faults if action.string in (0, string_of(fault))]
    where = f" on string {action.string}" if action.string else ""
    names = sorted({name for fault in faults for name in (fault.label, fault.fault) if name})
    near = get_close_matches(action.label, names, n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    allowed = f"the label or kind of a fault that began before{where}: {', '.join(names) or 'there is none'}{hint}"
    return [("label", repr(action.label), allowed)]


def dump_scenario(scenario: Scenario) -> str:
    """The TOML text of a scenario; `load_scenario` of it gives an equal scenario."""
    import tomlkit  # noqa: PLC0415 - only writers of scenarios pay for it

    document = tomlkit.document()
    for key, value in scenario.model_dump(exclude_defaults=True, exclude={"action"}).items():
        document[key] = value
    tables = tomlkit.aot()
    for action in scenario.action:
        table = tomlkit.table()
        for key, value in action.model_dump(exclude_defaults=True).items():
            table[key] = value
        tables.append(table)
    if scenario.action:
        document["action"] = tables
    return tomlkit.dumps(document)


def scenario_schema() -> dict[str, Any]:
    """JSON Schema of a scenario file, with one branch per kind of fault, for editors that complete and check."""
    from harness.faults.schema import fault_schemas  # noqa: PLC0415 - only exporters of the schema pay for it

    schema = Scenario.model_json_schema()
    command = {"$ref": "#/$defs/CommandAction"}
    schema["properties"]["action"]["items"] = {"anyOf": [command, *fault_schemas()]}
    del schema["$defs"]["FaultAction"]
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "bms-harness scenario"
    return schema
