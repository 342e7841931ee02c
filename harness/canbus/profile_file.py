# SPDX-License-Identifier: Apache-2.0
"""What a profile file may say. What it means is checked against its database in `profile.py`.

A profile maps the signals of one product's database to the quantities of `harness.units`, names the protected
messages, and says what the rest of the bus sends.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import pydantic
from pydantic import Field

from harness.canbus.diagnostics import DiagnosticsModel
from harness.tomlfile import FileModel
from harness.units import QUANTITIES

Byte = Annotated[int, Field(ge=0, le=255)]
Factor = Annotated[float, Field(allow_inf_nan=False, strict=False)]
Value = str | int | float | bool
SENT_VALUES = (
    "charger_voltage_v",
    "charger_current_a",
    "link_voltage_v",
    "vehicle_power_w",
    "line_voltage_v",
    "pole_contact",
)
RECEIVED_VALUES = ("charge_limit_a", "discharge_limit_a", "charge_voltage_limit_v")
RECEIVED_STATES = ("ready_to_drive", "ready_to_charge")
AGE_ENDING = "_message_age_s"
COMMANDS = ("off", "standby", "drive", "charge", "reset-faults")


def _table(key: str) -> pydantic.BeforeValidator:
    """A plain string stands for a table with only that key."""
    return pydantic.BeforeValidator(lambda value: {key: value} if isinstance(value, str) else value)


def _an_age(name: str) -> str:
    if name and not (name.endswith(AGE_ENDING) and name in QUANTITIES):
        ages = ", ".join(sorted(quantity for quantity in QUANTITIES if quantity.endswith(AGE_ENDING)))
        message = f"the age of messages: {ages}"
        raise ValueError(message)
    return name


class SignalModel(FileModel):
    """What one signal reports: quantity = physical * scale + offset, or a state by the names of its value table."""

    quantity: str
    scale: Factor = 1.0
    offset: Factor = 0.0
    states: Annotated[dict[str, str], Field(default_factory=dict)]


class ArrayModel(FileModel):
    """Numbered signals: `{i}` or `{i:03d}` in the name is the number, which is `first` for element 1."""

    signal: str
    quantity: str
    count: Annotated[int, Field(ge=1, le=1000)]
    first: Annotated[int, Field(ge=0, le=1000)] = 1
    scale: Factor = 1.0
    offset: Factor = 0.0


class CounterModel(FileModel):
    """An alive counter. `max` is the last value before it wraps to 0; the database's maximum where it is not given."""

    signal: str
    max: Annotated[int, Field(ge=1, lt=2**32)] | None = None


class CrcModel(FileModel):
    """A checksum. Without `autosar`: CRC-8 over the data id and then the payload without the checksum byte.

    `autosar` names an E2E profile, whose header says where checksum, counter and data id are; only for messages of
    the controller. Its `data_id` has 16 bits; P02 takes a list of 16 bytes instead.
    """

    signal: str
    polynomial: Byte = 0x1D
    initial: Byte = 0xFF
    final_xor: Byte = 0xFF
    data_id: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    autosar: Literal["P01", "P02", "P05"] | None = None
    data_ids: Annotated[tuple[Byte, ...], Field(min_length=16, max_length=16, strict=False)] | None = None


class E2eModel(FileModel):
    """End-to-end protection of a message, on either side, instead of `crc`.

    An AUTOSAR profile has its header (checksum, counter) at byte `offset` and needs nothing else but its data id, P02
    the list of 16. "crc" is any CRC of `width` bits in `signal`, over `data_id` (where given, of `data_id_bytes` bytes)
    and the payload without the CRC; its counter is the message's `counter`.
    """

    profile: Literal["P01", "P02", "P05", "crc"]
    data_id: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    data_ids: Annotated[tuple[Byte, ...], Field(min_length=16, max_length=16, strict=False)] | None = None
    data_id_mode: Literal["both", "alternating", "low", "nibble"] = "both"
    offset: Annotated[int, Field(ge=0, le=61)] = 0
    signal: str | None = None
    width: Literal[8, 16] = 8
    polynomial: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None
    initial: Annotated[int, Field(ge=0, le=0xFFFF)] = 0
    final_xor: Annotated[int, Field(ge=0, le=0xFFFF)] = 0
    reflected: bool = False
    data_id_bytes: Literal[1, 2] = 1
    data_id_place: Literal["before", "after"] = "before"


class MessageModel(FileModel):
    """Protection of a message the controller sends."""

    counter: Annotated[CounterModel | None, _table("signal")] = None
    crc: CrcModel | None = None
    e2e: E2eModel | None = None


class RestbusModel(FileModel):
    """A message the harness sends for another node. The period is the database's unless given here.

    `needs` names what a rig must have for it ("line", an overhead line, or a name of `[can] features` in the rig file);
    other rigs do not send it. "" = every rig sends it. `age` is the quantity that tells its silence where that is not
    the age of all that its node sends.
    """

    node: Literal["vehicle", "charger", "tester"]
    period_ms: Annotated[int, Field(ge=1, le=60_000)] | None = None
    offset_ms: Annotated[int, Field(ge=0, le=60_000)] = 0
    counter: Annotated[CounterModel | None, _table("signal")] = None
    crc: CrcModel | None = None
    e2e: E2eModel | None = None
    requires_plug: bool = False
    needs: str = ""
    age: Annotated[str, pydantic.AfterValidator(_an_age)] = ""
    values: Annotated[dict[str, Value], Field(default_factory=dict)]
    dynamic: Annotated[dict[str, str], Field(default_factory=dict)]


class HeardModel(FileModel):
    """A signal that vehicle and charger listen to; with `states` it counts as 1 in these and as 0 otherwise."""

    signal: str
    states: Annotated[tuple[str, ...], Field(strict=False)] = ()
    scale: Factor = 1.0
    offset: Factor = 0.0


class SourceModel(FileModel):
    """Where a database that does not come with the profile is from, and the file the profile was written for."""

    url: Annotated[str, Field(pattern=r"^https?://")]
    licence: Annotated[str, Field(min_length=1)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class ProfileFile(FileModel):
    """A whole profile file."""

    dbc: str
    title: str = ""
    strict: bool = True
    source: SourceModel | None = None
    signals: Annotated[dict[str, Annotated[SignalModel, _table("quantity")]], Field(default_factory=dict)]
    arrays: Annotated[tuple[ArrayModel, ...], Field(strict=False)] = ()
    messages: Annotated[dict[str, MessageModel], Field(default_factory=dict)]
    restbus: Annotated[dict[str, RestbusModel], Field(default_factory=dict)]
    commands: Annotated[dict[str, dict[str, Value]], Field(default_factory=dict)]
    environment: Annotated[dict[str, Annotated[HeardModel, _table("signal")]], Field(default_factory=dict)]
    diagnostics: DiagnosticsModel | None = None


def schema() -> Mapping[str, Any]:
    """The JSON Schema of profile files, for editors."""
    return ProfileFile.model_json_schema()
