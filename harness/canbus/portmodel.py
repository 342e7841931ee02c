# SPDX-License-Identifier: Apache-2.0
"""A CAN adapter as the bench sees it: settings, frames, status, and what every port can do. No python-can in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from harness.kernel.bustypes import NodeState
from harness.kernel.config import FrameFlag


@dataclass(frozen=True, slots=True)
class PortSettings:
    """How an adapter is reached, in the words of python-can. Bit rates in bit/s; `data_bitrate` 0: classic CAN only.

    `filters` are (identifier, mask) pairs of what is wanted; empty: everything. Error frames are always wanted.
    """

    interface: str
    channel: str | int
    bitrate: int
    data_bitrate: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    filters: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True, slots=True)
class PortFrame:
    """One frame on the real bus. `t_ns` is on the time line of the clock the port was opened with: the adapter's stamp
    where it has one. `own`: sent by this port; then the time is that of the echo, or when it was handed over.
    """

    t_ns: int
    id: int
    data: bytes = b""
    flags: FrameFlag = FrameFlag.NONE
    bus: int = 0
    own: bool = False


@dataclass(frozen=True, slots=True)
class PortStatus:
    """How the adapter stands on the bus. Counters are None where the adapter does not tell; frames since it opened.

    `error_frames`: also errors an adapter without error frames tells of (the status flags of SLCAN), each at least one.
    `malformed`: what it sent and nobody can read; `lost`: overruns it told of, each at least one frame that nobody got;
    `refused`: frames to send that it did not take (its queue is full while nobody acknowledges).
    """

    state: NodeState
    transmit_errors: int | None = None
    receive_errors: int | None = None
    frames: int = 0
    error_frames: int = 0
    malformed: int = 0
    lost: int = 0
    refused: int = 0


class CanPort(Protocol):
    """An open adapter. Everything in here raises BenchError when the adapter is lost."""

    def send(self, frame: PortFrame) -> None:
        """Hand one frame to the adapter; never waits for the bus. `t_ns` and `own` of the frame are not looked at."""
        ...

    def receive(self) -> Sequence[PortFrame]:
        """Frames that have arrived since the last call, in their order, echoes of own frames included where the adapter
        has them; never waits.
        """
        ...

    def fileno(self) -> int | None:
        """A descriptor that becomes readable when there is something to receive; None: poll."""
        ...

    def status(self) -> PortStatus:
        """How it stands on the bus."""
        ...

    def close(self) -> None:
        """Let go of the adapter. Further calls do nothing."""
        ...
