# SPDX-License-Identifier: Apache-2.0
"""Turning a database into the decode plan of the kernel: nodes of signals that are in the frame together.

Node i is the root of message i: its signals are in every frame. Each value of a multiplexer is a node below.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from harness.canbus.model import MAX_PAYLOAD_BYTES, Message, Signal
from harness.errors import UsageError
from harness.kernel.decode import BIG_ENDIAN, FLOAT, NODE, SELECTOR, SIGNAL, SIGNED, DecodePlan

STANDARD_IDS = 2048
MAX_MESSAGES = 0x7FFF  # the highest bit of a message number marks frames in the kernel
_INT64 = 1 << 63
_NEVER = 0xFFFF  # needed length of a message that no frame is long enough for


@dataclass(frozen=True, slots=True)
class Place:
    """Where the values of a signal are: which row of which node."""

    node: int
    row: int


@dataclass(frozen=True, slots=True)
class Layout:
    """The plan, and where in it each "Message.Signal" is; signals that cannot be decoded have no place."""

    plan: DecodePlan
    signals: Mapping[str, Signal]
    places: Mapping[str, tuple[Place, ...]]
    messages: Mapping[str, int]


def lay_out(messages: Sequence[Message], restbus: Collection[str]) -> Layout:
    """Build the decode plan. Messages named in `restbus` may come from any node, all others only from the DUT."""
    if len(messages) > MAX_MESSAGES:
        raise UsageError(f"{len(messages)} messages in one database, at most {MAX_MESSAGES} can be decoded")
    builder = _Builder(messages)
    builder.build()
    return Layout(
        plan=builder.plan(restbus),
        signals={
            f"{message.name}.{signal.name}": signal for message in messages for signal in message.by_name.values()
        },
        places={path: tuple(places) for path, places in builder.places.items()},
        messages={message.name: at for at, message in enumerate(messages)},
    )


@dataclass(frozen=True, slots=True)
class _Node:
    """A node still to be given its children."""

    message: Message
    signals: tuple[Signal, ...]


@dataclass(slots=True)
class _Builder:
    messages: Sequence[Message]
    pending: list[_Node] = field(default_factory=list)
    nodes: list[list[int]] = field(default_factory=list)
    selectors: list[tuple[int, int, int]] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    value_node: list[int] = field(default_factory=list)
    signals: list[Signal] = field(default_factory=list)
    places: dict[str, list[Place]] = field(default_factory=dict)

    def build(self) -> None:
        """All nodes, each after the one that selects it."""
        children = [_children(message) for message in self.messages]
        for message, below in zip(self.messages, children, strict=True):
            self._add(message, below.get(None, ()))
        index = {message.name: below for message, below in zip(self.messages, children, strict=True)}
        at = 0
        while at < len(self.pending):
            self._select(at, index[self.pending[at].message.name])
            at += 1

    def _add(self, message: Message, signals: Sequence[Signal]) -> int:
        number = len(self.nodes)
        self.nodes.append([len(self.signals), len(signals), 0, 0])
        self.signals += signals
        for row, signal in enumerate(signals):
            self.places.setdefault(f"{message.name}.{signal.name}", []).append(Place(number, row))
        self.pending.append(_Node(message, tuple(signals)))
        return number

    def _select(self, number: int, children: Mapping[str | None, Sequence[Signal]]) -> None:
        """Give a node its multiplexers, and these their values with a node each.

        A named value without signals is known too: some products announce a multiplexer only by its value table.
        """
        node, entry = self.pending[number], self.nodes[number]
        entry[2] = len(self.selectors)
        for row, signal in enumerate(node.signals):
            if not signal.is_multiplexer or signal.is_float:
                continue
            selected = children.get(signal.name, ())
            by_value: dict[int, list[Signal]] = {value: [] for value in signal.states}
            for child in selected:
                for value in child.mux_ids:
                    by_value.setdefault(value, []).append(child)
            known = sorted(value for value in by_value if -_INT64 <= value < _INT64)
            if known:
                self.selectors.append((entry[0] + row, len(self.values), len(known)))
                self.values += known
                self.value_node += [self._add(node.message, by_value[value]) for value in known]
        entry[3] = len(self.selectors) - entry[2]

    def _rows_per_frame(self) -> int:
        """In how many nodes one frame can be at most."""
        deep = [1] * len(self.nodes)
        for number in range(len(self.nodes) - 1, -1, -1):
            _, _, first, count = self.nodes[number]
            for _, value, n in self.selectors[first : first + count]:
                deep[number] += max(deep[child] for child in self.value_node[value : value + n])
        return max(deep[: len(self.messages)], default=1)

    def plan(self, restbus: Collection[str]) -> DecodePlan:
        """The finished arrays."""
        n = len(self.messages)
        standard = np.full(STANDARD_IDS, n, np.uint16)
        extended = sorted((message.id, at) for at, message in enumerate(self.messages) if message.extended)
        for at, message in enumerate(self.messages):
            if not message.extended:
                standard[message.id] = at
        lengths = [message.length if message.length <= MAX_PAYLOAD_BYTES else _NEVER for message in self.messages]
        return DecodePlan(
            standard=standard,
            extended_id=np.array([number for number, _ in extended], np.uint32),
            extended_message=np.array([at for _, at in extended], np.uint16),
            message_length=np.array(lengths, np.uint16),
            dut_only=np.array([message.name not in restbus for message in self.messages], np.uint8),
            nodes=np.array([tuple(node) for node in self.nodes], NODE),
            selectors=np.array(self.selectors, SELECTOR),
            values=np.array(self.values, np.int64),
            value_node=np.array(self.value_node, np.int32),
            signals=np.array([_record(signal) for signal in self.signals], SIGNAL),
            rows_per_frame=self._rows_per_frame(),
        )


def _children(message: Message) -> dict[str | None, list[Signal]]:
    """The signals that can be decoded by the multiplexer that selects them; of two with one name the later counts."""
    children: dict[str | None, list[Signal]] = {}
    for signal in message.signals:
        if signal.decodable and signal.fits(message.length) and message.by_name[signal.name] is signal:
            children.setdefault(signal.multiplexer, []).append(signal)
    return children


def _record(signal: Signal) -> tuple[Any, ...]:
    kind = BIG_ENDIAN * signal.big_endian | SIGNED * signal.signed | FLOAT * signal.is_float
    return signal.first_bit, signal.length, kind, 0, signal.scale, signal.offset
