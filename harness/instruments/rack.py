# SPDX-License-Identifier: Apache-2.0
"""All instruments of a bench as one: inputs spread to them, readings gathered, one way into the safe state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Self

from harness.clock import Clock
from harness.instruments.drivers import Send
from harness.instruments.model import Envelope, Inputs, Instrument, InstrumentSettings, Outputs
from harness.instruments.safestep import SafeStep


class Rack:
    """Instruments in the order of the bench file. As a context manager: safe state on every way out, then closed."""

    def __init__(self, instruments: Sequence[Instrument], clock: Clock) -> None:
        self.instruments = tuple(instruments)
        self._clock = clock
        self.latency_s = 0.0

    @property
    def accuracy(self) -> Mapping[str, float]:
        """Quantity -> what the bench may err by, in the quantity's unit."""
        raise NotImplementedError

    def identify(self) -> dict[str, str]:
        """Name of the instrument -> what it says it is. One BenchError names all that are no model of their driver."""
        raise NotImplementedError

    def arm(self, inputs: Inputs | None = None) -> None:
        """Relays open, sources off, values set, sources on; measures `latency_s`. BenchError without every quantity."""
        raise NotImplementedError

    def apply(self, inputs: Inputs) -> None:
        """Send what changed; does not wait. Out of the envelope: BenchError before any instrument was written to."""
        raise NotImplementedError

    def poll(self) -> Outputs | None:
        """The contactor drives as last read, with their age; None until each was read once. Never waits."""
        raise NotImplementedError

    def safe(self) -> None:
        """Every instrument to its safe state, read back; tries all, then one BenchError that names all that failed."""
        raise NotImplementedError

    def is_off(self) -> bool:
        """Whether every instrument reads back as off."""
        raise NotImplementedError

    def safe_plan(self) -> list[SafeStep]:
        """What the guardian writes, sources first; instruments without a descriptor (operator, CAN) are not in it."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of every port; does not change outputs."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        raise NotImplementedError


def open_rack(
    instruments: Sequence[InstrumentSettings],
    envelope: Envelope,
    clock: Clock,
    *,
    ask: Callable[[str], str] = input,
    send: Send | None = None,
) -> Rack:
    """Open every port; when one cannot be had, those opened are closed and one BenchError names all.

    `ask` shows a text to a person and returns what was typed; `send` puts a frame on the bus, for cells over CAN.
    """
    raise NotImplementedError(instruments, envelope, clock, ask, send)
