# SPDX-License-Identifier: Apache-2.0
"""What a new rig is made of, decided from the database: the node that is the controller, its messages and their
neutral contents, what its signals probably mean, and who asks it to drive.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.canbus.database import Database, load_database
from harness.canbus.encoding import encode_message, value_problem
from harness.canbus.guess import LIKELY, Guess, Guesses, guess, name_of_state, states_of
from harness.canbus.model import Message, Signal
from harness.canbus.product import Value
from harness.canbus.words import meanings
from harness.errors import RigError, UsageError

NO_SENDER = "(no sender)"
DEFAULT_PERIOD_MS = 100
MAX_PERIOD_MS = 5_000
MAX_PAGES = 256
BITRATE, DATA_BITRATE = 500_000, 2_000_000
_SHARE = 0.4  # of the bus at most
_CLASSIC, _LONGEST = 8, 64
_FD_LENGTHS = (12, 16, 20, 24, 32, 48, 64)
_OVERHEAD_BITS = 67  # identifier, CRC, spaces, and stuff bits of an extended frame
_NODE_NAMED = 2.0  # what the name of a node counts beside what its messages say
_MODES = ("standby", "drive", "charge")


@dataclass(frozen=True, slots=True)
class Sent:
    """A message of the controller: payloads, one for each value of its multiplexer; `known_ms` is the database's, and
    `length` what a frame of it has.
    """

    message: Message
    pages: tuple[bytes, ...]
    period_ms: int
    known_ms: int | None
    length: int

    @property
    def fd(self) -> bool:
        """Whether it needs CAN FD."""
        return self.message.fd or self.length > _CLASSIC


@dataclass(frozen=True, slots=True)
class Asked:
    """The message that asks the controller for a mode: its signal, and by mode the name in the value table."""

    message: Message
    signal: Signal
    modes: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """All that the files of a new rig say. `doubts` are what strict loading refused, `left_out` are messages."""

    database: Database
    node: str
    nodes: Mapping[str, float]
    sent: tuple[Sent, ...]
    guesses: Guesses
    asked: Asked | None
    strict: bool
    left_out: tuple[str, ...]

    @property
    def state(self) -> Guess | None:
        """The state signal, where it can be used as it is: sure enough, complete, in every frame of its message."""
        found = next((item for item in self.guesses.signals if item.quantity == "bms_state"), None)
        if found is None or found.confidence < LIKELY or not set(_MODES) <= set(found.states.values()):
            return None
        place = self.database.find(found.path)
        return found if place is not None and place[1].multiplexer is None else None

    def active(self, item: Guess) -> bool:
        """Whether a guess stands in the profile as it is, and not as a comment."""
        return item.confidence >= LIKELY and (item.quantity != "bms_state" or item is self.state)


def plan(dbc: Path, node: str | None) -> Plan:
    """Raises RigError for a database that cannot be loaded at all, UsageError for a node it does not have."""
    database, strict = _load(dbc)
    nodes: dict[str, list[Message]] = {}
    for message in database.messages:
        for sender in message.senders or (NO_SENDER,):
            nodes.setdefault(sender, []).append(message)
    weights = {name: _weight(name, found) for name, found in nodes.items()}
    chosen = _chosen(node, weights, dbc)
    own = nodes[chosen]
    others = [message for message in database.messages if chosen not in message.senders]
    if chosen == NO_SENDER:
        others = [message for message in own if "request" in meanings(message.name)]
        own = [message for message in own if message not in others] or own
    whole = [message for message in own if message.length <= _CLASSIC or (message.fd and message.length <= _LONGEST)]
    sendable = whole or own  # nothing but what goes over a transport protocol: its first bytes, rather than nothing
    left_out = tuple(message.name for message in own if message not in sendable)
    return Plan(
        database,
        chosen,
        weights,
        _sent(sendable),
        guess(sendable),
        _asked(database, others),
        strict=strict,
        left_out=left_out,
    )


def _load(dbc: Path) -> tuple[Database, bool]:
    try:
        return load_database(dbc), True
    except RigError:
        return load_database(dbc, strict=False), False


def _weight(name: str, messages: Sequence[Message]) -> float:
    named = {"bms", "pack"} & set(meanings(name)) and name != NO_SENDER
    return round(guess(messages).weight + (_NODE_NAMED if named else 0.0), 2)


def _chosen(node: str | None, weights: Mapping[str, float], dbc: Path) -> str:
    if node is None:
        return max(weights, key=lambda name: weights[name])
    if node in weights:
        return node
    near = difflib.get_close_matches(node, weights, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    raise UsageError(f"{dbc.name} has no node '{node}' that sends messages{hint} It has: {', '.join(sorted(weights))}")


# ---- messages ----------------------------------------------------------------------------------------------


def _sent(messages: Sequence[Message]) -> tuple[Sent, ...]:
    """With periods; where the database has none, one that leaves room on the bus."""
    free_ms = DEFAULT_PERIOD_MS
    while free_ms < MAX_PERIOD_MS and _load_of(messages, free_ms) > _SHARE:
        free_ms = min(2 * free_ms, MAX_PERIOD_MS)
    return tuple(
        Sent(message, _pages(message), message.cycle_ms or free_ms, message.cycle_ms, _fd_length(message))
        for message in messages
    )


def _load_of(messages: Iterable[Message], free_ms: int) -> float:
    bits = sum((_OVERHEAD_BITS + 8 * min(m.length, _CLASSIC)) * 1000.0 / (m.cycle_ms or free_ms) for m in messages)
    return bits / BITRATE


def _fd_length(message: Message) -> int:
    """CAN FD knows only some lengths beyond 8 bytes."""
    return (
        next((n for n in _FD_LENGTHS if n >= message.length), _LONGEST) if message.length > _CLASSIC else message.length
    )


def _pages(message: Message) -> tuple[bytes, ...]:
    """Neutral payloads: one for each value of the outermost multiplexer."""
    roots = [s for s in message.signals if s.is_multiplexer and s.multiplexer is None and s.fits(message.length)]
    if not roots:
        return (_payload(message, {}),)
    root = roots[0]
    values = sorted({raw for signal in message.signals if signal.multiplexer == root.name for raw in signal.mux_ids})
    return tuple(_payload(message, {root.name: raw}) for raw in values[:MAX_PAGES] or [0])


def _payload(message: Message, chosen: dict[str, int]) -> bytes:
    bits = 0
    for signal in sorted(message.signals, key=lambda item: len(message.selectors(item))):
        if not (signal.decodable and signal.fits(message.length)):
            continue
        if any(chosen.get(name) not in ids for name, ids in message.selectors(signal)):
            continue
        if signal.is_multiplexer:
            inner = {raw for other in message.signals if other.multiplexer == signal.name for raw in other.mux_ids}
            chosen.setdefault(signal.name, min(inner, default=0))
        raw = chosen.get(signal.name, neutral(signal))
        bits = bits & ~signal.bits | _at(signal, raw)
    n_bytes = max(message.length, _LONGEST)
    return bits.to_bytes(n_bytes, "little")[: max(_fd_length(message), 1)]


def _at(signal: Signal, raw: int) -> int:
    """A raw value at its bits, the payload read as a little-endian number."""
    raw &= (1 << signal.length) - 1
    if not signal.big_endian:
        return raw << signal.start_bit
    n_bytes = (signal.first_bit + signal.length + 7) // 8
    along = raw << (8 * n_bytes - signal.first_bit - signal.length)
    return int.from_bytes(along.to_bytes(n_bytes, "big"), "little")


def neutral(signal: Signal) -> int:
    """The raw value that says least: 0 of a value table, else the number of the range nearest to zero."""
    if signal.is_float:
        return 0
    if signal.states:
        return 0 if 0 in signal.states else min(signal.states)
    low, high = signal.minimum, signal.maximum
    bounded = low is not None and high is not None and low < high
    wanted = min(max(0.0, low), high) if bounded and low is not None and high is not None else 0.0
    half = 1 << signal.length - 1
    least, most = (-half, half - 1) if signal.signed else (0, 2 * half - 1)
    return min(max(round((wanted - signal.offset) / signal.scale), least), most)


# ---- who asks ----------------------------------------------------------------------------------------------


def mode_value(signal: Signal, name: str) -> Value:
    """A name of the value table, or where the table has the name twice the number, which is a physical one then."""
    return name if name in signal.states.values() else int(name) * signal.scale + signal.offset


def raw_mode(signal: Signal, name: str) -> int:
    """The raw value of a state as `states_of` names it."""
    raw = signal.raw_state(name)
    return int(name) if raw is None else raw


def _can_ask(database: Database, message: Message, signal: Signal, modes: Mapping[str, str]) -> bool:
    """Whether each mode can be put into the message and is there afterwards: signals of it may overlap."""
    for name in modes.values():
        value = mode_value(signal, name)
        if value_problem(signal, value):
            return False
        try:
            payload = encode_message(database, message.name, {signal.name: value})
        except UsageError:  # such as a multiplexer that knows no 0
            return False
        if int.from_bytes(payload, "little") & signal.bits != _at(signal, raw_mode(signal, name)):
            return False
    return True


def _asked(database: Database, messages: Sequence[Message]) -> Asked | None:
    """The signal of another node whose value table has a standby, a drive and a charge mode."""
    found: list[tuple[float, Asked]] = []
    for message in messages:
        for signal in message.signals:
            usable = signal.multiplexer is None and not signal.is_float and signal.fits(message.length)
            if not usable or not signal.states or message.length > _CLASSIC:
                continue
            states = states_of(signal)
            modes = {mode: name for mode in _MODES if (name := name_of_state(states, mode)) is not None}
            if set(_MODES) <= set(modes) and _can_ask(database, message, signal, modes):
                words = set(meanings(signal.name)) | set(meanings(message.name))
                found.append((len(words & {"request", "state", "bms"}), Asked(message, signal, modes)))
    return max(found, key=lambda item: item[0], default=(0.0, None))[1]
