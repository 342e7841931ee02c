# SPDX-License-Identifier: Apache-2.0
"""Messages and signals as the harness sees them, free of the library that read the database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

MAX_SIGNAL_BITS = 64
FLOAT_BITS = (32, 64)
Selectors = tuple[tuple[str, frozenset[int]], ...]  # multiplexers and their values, outermost first
EXACT_BITS = 53  # of a double
MAX_PAYLOAD_BYTES = 64


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal. `start_bit` is in DBC numbering: the lowest bit of a little-endian signal, the highest of a
    big-endian one. physical = raw * scale + offset.

    `multiplexer` names the signal of the same message that selects this one, `mux_ids` the raw values that do.
    `as_written` are scale and offset with whole numbers kept whole, where the database has them.
    `states` is the value table, raw value to name. Minimum and maximum are None where the database says 0|0.
    """

    name: str
    start_bit: int
    length: int
    big_endian: bool = False
    signed: bool = False
    is_float: bool = False
    scale: float = 1.0
    offset: float = 0.0
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    states: Mapping[int, str] = field(default_factory=dict)
    is_multiplexer: bool = False
    multiplexer: str | None = None
    mux_ids: frozenset[int] = frozenset()
    as_written: tuple[int | float, int | float] | None = None
    is_wide: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """`is_wide`: its whole numbers can grow longer than the 53 bits of a double; then they are calculated whole, as
        the database's factor allows, and rounded once.
        """
        scale = 1.0 if self.is_float or self.as_written is None else self.as_written[0]
        reach = (1 << self.length) * abs(scale) + abs(self.offset) if isinstance(scale, int) else 0
        object.__setattr__(self, "is_wide", reach > 1 << EXACT_BITS)

    @property
    def first_bit(self) -> int:
        """The first bit the signal occupies, counted along the wire for its byte order (big-endian: from the
        highest bit of byte 0, little-endian: from the lowest).
        """
        if self.big_endian:
            return 8 * (self.start_bit // 8) + 7 - self.start_bit % 8
        return self.start_bit

    @property
    def bits(self) -> int:
        """The occupied bits as a number, bit 8 * byte + bit-in-byte set. Used to find overlaps."""
        mask = (1 << self.length) - 1
        if not self.big_endian:
            return mask << self.start_bit
        n_bytes = (self.first_bit + self.length + 7) // 8
        along_wire = mask << (8 * n_bytes - self.first_bit - self.length)
        return int.from_bytes(along_wire.to_bytes(n_bytes, "big"), "little")

    def fits(self, n_bytes: int) -> bool:
        """Whether the signal lies inside a payload of that many bytes."""
        return self.first_bit + self.length <= 8 * n_bytes

    @property
    def decodable(self) -> bool:
        """Whether the batch decoder handles it: at most 64 bits, floats of 32 or 64."""
        return self.length in FLOAT_BITS if self.is_float else self.length <= MAX_SIGNAL_BITS

    @property
    def is_plain(self) -> bool:
        """Whether the physical value is the raw one, exactly: an integer of up to 53 bits, neither scaled nor moved."""
        return self.scale == 1.0 and self.offset == 0.0 and not self.is_float and self.length <= EXACT_BITS

    def physical(self, value: str | float) -> float:
        """The value a frame that carries `value` decodes to: a name of the value table, or a number as it is."""
        if not isinstance(value, str):
            return float(value)
        raw = self.raw_state(value)
        return float("nan") if raw is None else raw * self.scale + self.offset

    def raw_state(self, name: str) -> int | None:
        """The raw value of a name in the value table, None when it has no such name."""
        for raw, text in self.states.items():
            if text == name:
                return raw
        return None


@dataclass(frozen=True, slots=True)
class Message:
    """One message: `id` without flag bits, `length` in bytes, `cycle_ms` None where the database names no period."""

    name: str
    id: int
    extended: bool
    length: int
    signals: tuple[Signal, ...]
    fd: bool = False
    cycle_ms: int | None = None
    senders: tuple[str, ...] = ()
    by_name: Mapping[str, Signal] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {signal.name: signal for signal in self.signals})

    def selectors(self, signal: Signal) -> Selectors:
        """The multiplexers that must stand at one of their values for the signal to be there, outermost first.

        A chain that never reaches the root (a cycle) ends where it repeats; such a signal is never decoded.
        """
        chain: list[tuple[str, frozenset[int]]] = []
        seen = set()
        while signal.multiplexer is not None and signal.name not in seen:
            seen.add(signal.name)
            chain.append((signal.multiplexer, signal.mux_ids))
            parent = self.by_name.get(signal.multiplexer)
            if parent is None:
                break
            signal = parent
        return tuple(reversed(chain))
