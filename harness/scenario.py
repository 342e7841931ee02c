# SPDX-License-Identifier: Apache-2.0
"""Scenarios: timed actions as data, read from and written to TOML without loss (design section 5.4)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import pydantic
import tomlkit
from pydantic import Field

from harness.tomlfile import FileModel, load_model

Start = Literal["off", "standby", "drive", "charge"]
Time = Annotated[float, Field(ge=0.0, le=86_400.0, strict=False)]
COMMANDS = ("drive", "standby", "charge", "power-cycle", "ignition-off", "ignition-on", "reset-faults", "load", "soc", "clear")


class FaultAction(pydantic.BaseModel):
    """Start one fault. Every key but at_s, fault and label is a parameter of that kind of fault (`harness.faults`)."""

    model_config = pydantic.ConfigDict(frozen=True, extra="allow", strict=True)

    at_s: Time
    fault: str
    label: str = ""

    @property
    def parameters(self) -> Mapping[str, Any]:
        """The fault's parameters by name, unchecked: `harness.faults.catalogue.check` knows their ranges."""
        return dict(self.model_extra or {})


class CommandAction(FileModel):
    """Do something a driver, an operator or a workshop would do.

    drive, standby, charge: ask the controller for that state. power-cycle: controller off for `off_s`, then on.
    ignition-off, ignition-on: the same as turning the key. reset-faults: service request to release latched faults.
    load: factor `scale` on the duty profile (0 = standstill). soc: all cells to `soc_pct` (spread kept).
    clear: end every active fault with this `label` (or of this kind).
    """

    at_s: Time
    do: Literal["drive", "standby", "charge", "power-cycle", "ignition-off", "ignition-on", "reset-faults", "load", "soc", "clear"]
    off_s: Annotated[float, Field(ge=0.02, le=3600.0, strict=False)] = 1.0
    scale: Annotated[float, Field(ge=-3.0, le=3.0, strict=False)] = 1.0
    soc_pct: Annotated[float, Field(ge=0.0, le=100.0, strict=False)] = 50.0
    label: str = ""


Action = FaultAction | CommandAction


def _kind_of_action(value: Any) -> str:
    if isinstance(value, Mapping):
        return "command" if "do" in value else "fault"
    return "command" if isinstance(value, CommandAction) else "fault"


TaggedAction = Annotated[
    Annotated[FaultAction, pydantic.Tag("fault")] | Annotated[CommandAction, pydantic.Tag("command")],
    pydantic.Discriminator(_kind_of_action),
]


class Scenario(FileModel):
    """A repeatable run: from a start state, timed actions, then judged. Times count from the start state reached."""

    rig: str
    title: str = ""
    start: Start = "drive"
    duration_s: Annotated[float, Field(gt=0.0, le=86_400.0, strict=False)] = 10.0
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    action: Annotated[tuple[TaggedAction, ...], Field(strict=False)] = ()

    @property
    def actions(self) -> tuple[Action, ...]:
        """The actions in order of time; equal times keep their order in the file."""
        return tuple(sorted(self.action, key=lambda action: action.at_s))


def load_scenario(path: Path) -> Scenario:
    """Read a scenario file. Raises RigError with every problem of the file."""
    return load_model(path, Scenario)


def dump_scenario(scenario: Scenario) -> str:
    """The TOML text of a scenario; `load_scenario` of it gives an equal scenario."""
    document = tomlkit.document()
    for key, value in scenario.model_dump(exclude_defaults=True, exclude={"action"}).items():
        document[key] = value
    tables = tomlkit.aot()
    for action in scenario.action:
        table = tomlkit.table()
        fields: dict[str, Any] = action.model_dump(exclude_defaults=True)
        for key, value in fields.items():
            table[key] = value
        tables.append(table)
    if scenario.action:
        document["action"] = tables
    return tomlkit.dumps(document)
