# SPDX-License-Identifier: Apache-2.0
"""A loaded product profile: what its signals mean and what the rest of its bus sends."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.canbus.batch import Decoder
from harness.canbus.database import Database
from harness.canbus.diagnostics import Diagnostics
from harness.canbus.e2e import AnyChecksum
from harness.canbus.encoding import encode_message
from harness.errors import UsageError

Node = Literal["vehicle", "charger", "tester"]
Value = str | int | float | bool


@dataclass(frozen=True, slots=True, eq=False)
class States:
    """Controller states of a product: `raw` rises, `canonical` are the numbers of `harness.units`."""

    raw: NDArray[np.int64]
    canonical: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Binding:
    """A quantity as one signal reports it: physical * scale + offset, or a state where `states` are named."""

    quantity: str
    path: str
    scale: float = 1.0
    offset: float = 0.0
    states: States | None = None


@dataclass(frozen=True, slots=True)
class Protection:
    """Alive counter and checksum of a message; the counter takes the values 0 to `counter_modulus` - 1."""

    counter: str | None = None
    counter_modulus: int = 0
    crc: str | None = None
    checksum: AnyChecksum | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """Where a number sits on the bus, as the simulation kernel wants it: DBC bit numbering, value = raw * scale +
    offset. `match` are the lowest and highest raw value that count as 1, None for a plain number.
    """

    message: str
    id: int
    extended: bool
    start_bit: int
    length: int
    big_endian: bool
    signed: bool
    scale: float
    offset: float
    match: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class RestbusMessage:
    """A cyclic message the harness sends. `payload` is the first one, without counter and checksum.

    `counter_start_bit` is the lowest bit of the counter counted from bit 0 of byte 0, -1 for none; `crc_byte` -1 for
    none. `dynamic` maps names of environment values to where they go. `needs` names what a rig must have for it,
    `age` the quantity that tells its silence alone.
    """

    name: str
    id: int
    extended: bool
    length: int
    node: Node
    period_ms: int
    offset_ms: int
    payload: bytes
    values: Mapping[str, Value]
    requires_plug: bool = False
    counter_start_bit: int = -1
    counter_length: int = 0
    counter_max: int = 0
    crc_byte: int = -1
    checksum: AnyChecksum | None = None
    dynamic: Mapping[str, Location] = field(default_factory=dict)
    needs: str = ""
    age: str = ""

    @property
    def protected(self) -> bool:
        """Whether the controller can tell a good frame of it from a bad one."""
        return self.counter_start_bit >= 0 or self.crc_byte >= 0


@dataclass(frozen=True, slots=True)
class Profile:
    """One product. `bindings` by quantity, array elements as "cell_voltage_v[17]"; `decoder` is the decode plan of its
    database; `commands[name][message]` are the signal values a command sets; `environment` by received value.
    `unsent` are the messages of other nodes that the rest bus of this rig lacks (`sent_with`); `notes` are what a
    person should know of it.
    """

    path: Path
    title: str
    database: Database
    decoder: Decoder = field(repr=False, compare=False)
    bindings: Mapping[str, Binding]
    protections: Mapping[str, Protection]
    restbus: tuple[RestbusMessage, ...]
    commands: Mapping[str, Mapping[str, Mapping[str, Value]]]
    environment: Mapping[str, Location]
    diagnostics: Diagnostics | None = None
    unsent: frozenset[str] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def needs(self) -> frozenset[str]:
        """What its messages need of a rig."""
        return frozenset(message.needs for message in self.restbus if message.needs)

    @property
    def of_others(self) -> frozenset[str]:
        """The messages that never come from the controller, whether they are sent on this bus or not."""
        return self.unsent | {message.name for message in self.restbus}

    def sent_with(self, features: Collection[str]) -> Profile:
        """The profile on a rig with these features: messages that need others are not sent and no command sets them."""
        sent = tuple(message for message in self.restbus if not message.needs or message.needs in features)
        unsent = self.of_others - {message.name for message in sent}
        commands = {
            command: {name: values for name, values in messages.items() if name not in unsent}
            for command, messages in self.commands.items()
        }
        return replace(self, restbus=sent, unsent=unsent, commands=commands)

    def encode(self, message: str, values: Mapping[str, Value]) -> bytes:
        """The payload of a message. Values are physical numbers or names of the value table; a signal that is not
        named is 0 raw, or as the profile's rest bus sets it.

        Raises UsageError for an unknown message or signal and for a value that does not fit.
        """
        if message not in self.database.by_name:
            known = ", ".join(sorted(self.database.by_name))
            raise UsageError(f"no message '{message}' in {self.database.path.name}; it has {known}")
        start = next((dict(rest.values) for rest in self.restbus if rest.name == message), {})
        return encode_message(self.database, message, {**start, **values})

    def restbus_of(self, node: Node) -> tuple[RestbusMessage, ...]:
        """The messages of one node without those of an age of their own, the protected ones only where it has any."""
        own = tuple(message for message in self.restbus if message.node == node and not message.age)
        return tuple(message for message in own if message.protected) or own

    def aged(self, quantity: str, node: Node) -> tuple[RestbusMessage, ...]:
        """The messages whose silence a quantity tells: those that name it, otherwise those of the node."""
        return tuple(message for message in self.restbus if message.age == quantity) or (
            self.restbus_of(node) if quantity.startswith(node) else ()
        )

    def carrier(self, value: str) -> tuple[RestbusMessage, str] | None:
        """The rest-bus message that carries an environment value, and the name of the signal there."""
        for message in self.restbus:
            place = message.dynamic.get(value)
            if place is not None:
                signals = self.database.by_name[message.name].signals
                return message, next(signal.name for signal in signals if signal.start_bit == place.start_bit)
        return None
