# SPDX-License-Identifier: Apache-2.0
"""What a judge may look at: time series by side and quantity, and the messages on the bus. No DUT, fault or plant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

EvidenceSide = Literal["given", "truth", "output", "reported"]


@dataclass(frozen=True, slots=True)
class Series:
    """A quantity over time: `value[i]` holds from `t_s[i]` until `t_s[i + 1]`. Times rise; may be empty."""

    t_s: NDArray[np.float64]
    value: NDArray[Any]


@dataclass(frozen=True, slots=True)
class MessageSeries:
    """One DUT message on the bus. `counter` and `crc_ok` are None where the profile names no such signal."""

    t_s: NDArray[np.float64]
    counter: NDArray[np.int64] | None
    counter_modulus: int
    crc_ok: NDArray[np.bool_] | None


class Evidence(Protocol):
    """Both sides of one recorded run. A quantity that was not recorded gives None: it cannot be judged.

    `timing_s` is the uncertainty of any time difference seen (host jitter, adapter, one tick); judges widen their
    windows by it. `duration_s` is the end of the record: what is due later cannot be judged.
    """

    @property
    def duration_s(self) -> float:
        """End of the record, s."""
        ...

    @property
    def timing_s(self) -> float:
        """Uncertainty of any time difference, s."""
        ...

    @property
    def boot_s(self) -> float:
        """Time after power-on within which the controller need not react yet."""
        ...

    def given(self, quantity: str) -> Series | None:
        """A quantity as what the controller was given."""
        ...

    def truth(self, quantity: str) -> Series | None:
        """A quantity as what really was so."""
        ...

    def output(self, quantity: str) -> Series | None:
        """A quantity as what the controller commanded."""
        ...

    def reported(self, quantity: str) -> Series | None:
        """A quantity as what the controller told on the bus."""
        ...

    def message(self, name: str, *, counter: str | None, crc: str | None) -> MessageSeries | None:
        """All messages of one name, with the named counter and CRC signals if the profile has them."""
        ...

    def resets(self) -> NDArray[np.float64]:
        """Times at which a fault reset was requested, whether or not the request could be heard."""
        ...

    def resets_heard(self) -> NDArray[np.float64]:
        """Times at which a fault reset was requested so that the controller must have heard it."""
        ...

    def power_ons(self) -> NDArray[np.float64]:
        """Times at which the controller was switched on within the record (0 is included if it booted there)."""
        ...


class Exchange(Protocol):
    """A diagnostic request (ISO 14229-1) as it was complete on the bus, and its answer: b"" and NaN when none came.

    `status` is the status byte of every trouble code by its fault, where the answer tells them all; `asked` are the
    quantities that were to be read, `values` those that were.
    """

    @property
    def request_s(self) -> float:
        """End of the request."""
        ...

    @property
    def request(self) -> bytes:
        """What was asked."""
        ...

    @property
    def answer_s(self) -> float:
        """Begin of the answer."""
        ...

    @property
    def complete_s(self) -> float:
        """End of the answer."""
        ...

    @property
    def answer(self) -> bytes:
        """What was answered."""
        ...

    @property
    def positive(self) -> bool:
        """Whether it was done."""
        ...

    @property
    def refused(self) -> int | None:
        """The reason of a negative answer."""
        ...

    @property
    def status(self) -> Mapping[str, int] | None:
        """Status byte by fault."""
        ...

    @property
    def clears(self) -> tuple[str, ...]:
        """Faults whose codes it asks to clear; none for a number that no fault of the profile has."""
        ...

    @property
    def asked(self) -> tuple[str, ...]:
        """Quantities asked for."""
        ...

    @property
    def values(self) -> Mapping[str, float]:
        """Values read, by quantity."""
        ...


class Block(Protocol):
    """Consecutive frames of a long answer after a flow control (ISO 15765-2)."""

    @property
    def flow_s(self) -> float:
        """End of the flow control."""
        ...

    @property
    def allowed(self) -> int:
        """Frames it allowed, 0 = all."""
        ...

    @property
    def least_gap_s(self) -> float:
        """Least time between two frames it asked for."""
        ...

    @property
    def frames(self) -> int:
        """Frames that were sent."""
        ...

    @property
    def gap_s(self) -> float:
        """Least time between the ends of two."""
        ...

    @property
    def early(self) -> bool:
        """Whether they came without any flow control."""
        ...


class Diagnosed(Protocol):
    """What evidence of a controller that answers diagnostic requests has besides."""

    def exchanges(self) -> Sequence[Exchange]:
        """Every request, in the order of time."""
        ...

    def stalled(self) -> Sequence[tuple[float, float]]:
        """Requests of several frames that the controller did not let go on: since when one waited, and until when."""
        ...

    def blocks(self) -> Sequence[Block]:
        """What was sent of long answers after each flow control."""
        ...

    def codes_cleared(self) -> Sequence[float] | NDArray[np.float64]:
        """Times at which trouble codes were asked to be cleared in another way than by diagnostics (J1939)."""
        ...


class Summary(Protocol):
    """What evidence may know besides about all samples of a quantity, without a look at them."""

    def ranges(self, side: EvidenceSide) -> Mapping[str, tuple[float, float]]:
        """Least and greatest value of quantities, to the bit; NaN when one is unknown or there is none."""
        ...

    def bounds(self, side: EvidenceSide, quantity: str) -> tuple[float, float] | None:
        """Values that no sample lies beyond, where they are cheaper to tell than the extremes."""
        ...
