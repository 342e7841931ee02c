# SPDX-License-Identifier: Apache-2.0
"""Messages on the bus as faults name them, and the fields of kernel rows that select their frames and signals."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.kernel.bustypes import ANY, ANY_ID, NOT_THE_DUT
from harness.kernel.config import FrameFlag, Node

DUT = "dut"
NODES: Mapping[str, int] = {
    DUT: Node.DUT,
    "vehicle": Node.VEHICLE,
    "charger": Node.CHARGER,
    "tester": Node.TESTER,
}
GROUPS: Mapping[str, int] = {"all": ANY, "others": NOT_THE_DUT, **NODES}  # whose frames: by sender
# Names of parameters that say which frames, besides "message", the rest-bus message by its number.
FRAME, IMITATED, SIGNAL = "frame", "imitated", "signal"
_BYTE, _WORD = 8, 64


@dataclass(frozen=True, slots=True)
class BusSignal:
    """A signal that a fault may name, in DBC bit numbering."""

    name: str
    start_bit: int
    length: int
    big_endian: bool = False

    @property
    def has_byte_order(self) -> bool:
        """Whether its bytes can be swapped: more than one, within eight."""
        in_byte = self.start_bit % _BYTE
        lead = _BYTE - 1 - in_byte if self.big_endian else in_byte
        return self.length > _BYTE and lead + self.length <= _WORD


@dataclass(frozen=True, slots=True)
class BusMessage:
    """One message on the bus: its name in the DBC and the node that sends it (vehicle, charger, tester, dut)."""

    name: str
    node: str
    id: int = 0
    extended: bool = False
    signals: tuple[BusSignal, ...] = ()

    @property
    def fields(self) -> dict[str, int]:
        """What selects its frames in a kernel row."""
        flags = FrameFlag.EXTENDED if self.extended else FrameFlag.NONE
        return {"id": self.id, "id_flags": int(flags), "node": int(NODES[self.node])}


def names(parameter: str, messages: Sequence[BusMessage]) -> tuple[str, ...]:
    """What a parameter may say: groups of senders and messages, for signals "Message.Signal" as well."""
    own = tuple(message.name for message in messages)
    if parameter == FRAME:
        return (*GROUPS, *own)
    senders = tuple(dict.fromkeys(message.node for message in messages))
    if parameter == IMITATED:
        return (*senders, *own)
    return (
        *senders,
        *own,
        *(f"{message.name}.{signal.name}" for message in messages for signal in _swappable(message)),
    )


def selections(parameter: str, name: str, messages: Sequence[BusMessage]) -> list[dict[str, int]]:
    """The fields of kernel rows for what a parameter says; empty when there is nothing of this name."""
    if parameter == FRAME and name in GROUPS:
        return [{"id_flags": ANY_ID, "node": int(GROUPS[name])}]
    wanted, _, signal = name.partition(".")
    found = [message for message in messages if wanted in (message.name, message.node)]
    if parameter != SIGNAL:
        return [message.fields for message in found if not signal]
    return [
        {**message.fields, **_place(entry)}
        for message in found
        for entry in _swappable(message)
        if signal in ("", entry.name)
    ]


def _swappable(message: BusMessage) -> Iterable[BusSignal]:
    return (signal for signal in message.signals if signal.has_byte_order)


def _place(signal: BusSignal) -> dict[str, int]:
    return {"start_bit": signal.start_bit, "length": signal.length, "big_endian": int(signal.big_endian)}
