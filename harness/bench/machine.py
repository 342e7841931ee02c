# SPDX-License-Identifier: Apache-2.0
"""A real controller in the place of the simulated one: plant, faults and rest bus run in the kernel, tick by tick on the
wall clock; inputs go to the instruments, frames to the adapter, and what comes back is what the controller did.

The kernel plays a tick when it is over. The inputs at its end leave at once, its rest-bus frames one tick later than the
kernel has them, each at its own time; the trace has the times at which they really left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from harness.bench.pacer import Lateness, Pacer
from harness.canbus.portmodel import CanPort, PortFrame
from harness.instruments.model import Inputs, Outputs
from harness.kernel.config import KernelConfig


class Instruments(Protocol):
    """What the loop needs of a rack (harness.instruments.rack.Rack)."""

    @property
    def accuracy(self) -> Mapping[str, float]:
        """Quantity -> what it may err by."""
        ...

    @property
    def latency_s(self) -> float:
        """Between `apply` and the value at the controller's pins."""
        ...

    def identify(self) -> Mapping[str, str]:
        """Name -> what it says it is; BenchError when an instrument is another."""
        ...

    def arm(self, inputs: Inputs | None = None) -> None:
        """Known values, then outputs on."""
        ...

    def apply(self, inputs: Inputs) -> None:
        """Send what changed; does not wait."""
        ...

    def poll(self) -> Outputs | None:
        """The contactor drives as last read; None until there is a reading."""
        ...

    def safe(self) -> None:
        """Safe state, read back."""
        ...


class FrameLog(Protocol):
    """What records the bus as it goes by (harness.canbus.livelog.LiveLog)."""

    def append(self, frames: Sequence[PortFrame]) -> None:
        """Frames in the order of their time, own ones included."""
        ...


class BenchMachine:
    """The same face as `harness.rig.machine.Machine`, for a controller that cannot be copied: `reload` takes its supply
    away and gives it back. `simulation` has plan, run (paced by the clock), now_ns, now_s and fault_reports.

    `beat` is called once a tick, for the guardian. Raises BenchError out of `run` when instrument or adapter fail; what
    came before is in the buffers then.
    """

    checkpointable = False

    def __init__(
        self,
        kernel: Path,
        outside: Path,
        config: KernelConfig,
        port: CanPort,
        rack: Instruments,
        pacer: Pacer,
        *,
        recorder: FrameLog | None = None,
        beat: Callable[[], None] | None = None,
    ) -> None:
        raise NotImplementedError

    def lateness(self) -> Lateness:
        """Of the ticks since the last `Pacer.forget`."""
        raise NotImplementedError
