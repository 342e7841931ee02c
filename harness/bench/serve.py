# SPDX-License-Identifier: Apache-2.0
"""A virtual controller in real time: kernel and real firmware, its bus on an adapter, its inputs from instruments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from harness.bench.pacer import Lateness
from harness.canbus.portmodel import CanPort
from harness.clock import Clock
from harness.instruments.model import Outputs
from harness.rig.file import Rig


@dataclass(slots=True)
class Pins:
    """What instruments give the served controller; None: nothing does, the plant of the rig is what it sees.

    One entry of a list is one cell or sensor; a cell whose wire is open is in `open_cells` (from 0).
    """

    cell_voltage_v: Sequence[float] | None = None
    open_cells: Sequence[int] = ()
    cell_temp_degc: Sequence[float] | None = None
    open_temps: Sequence[int] = ()
    pack_current_a: float | None = None
    current_connected: bool = True
    pack_voltage_v: float | None = None
    link_voltage_v: float | None = None
    charger_voltage_v: float | None = None
    insulation_ohm: float | None = None
    supply_v: float | None = None
    supply_connected: bool = True
    ignition: bool | None = None
    charge_plug: bool | None = None
    hvil_closed: bool | None = None
    crash: bool | None = None
    aux_positive: bool | None = None
    aux_negative: bool | None = None
    aux_precharge: bool | None = None


class Devices(Protocol):
    """The instruments' side of a served controller: what they put on its pins, and what they read there."""

    def pins(self) -> Pins:
        """What is on the controller's pins now; called once a tick."""
        ...

    def drive(self, outputs: Outputs) -> None:
        """What the controller drives now; called once a tick."""
        ...

    def descriptors(self) -> Sequence[int]:
        """What to watch: readable when an instrument was written to."""
        ...

    def serve(self) -> None:
        """Answer what has arrived; never waits. Called when a descriptor is readable and once a tick."""
        ...


class ServedController:
    """A rig's firmware on a bench of its own. `devices` None: its inputs are those of the rig's plant.

    The supply decides whether it runs: switched off it forgets everything but its non-volatile memory. A context
    manager. Raises BenchError when the adapter is lost, FirmwareError when the firmware fails.
    """

    def __init__(
        self, rig: Rig, port: CanPort, devices: Devices | None, clock: Clock, *, defect: int = 0
    ) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError

    @property
    def next_ns(self) -> int:
        """When the next tick is due, on the clock."""
        raise NotImplementedError

    @property
    def outputs(self) -> Outputs:
        """What the controller drives."""
        raise NotImplementedError

    def step(self) -> None:
        """Wait for the next tick, serving devices and adapter, and play it."""
        raise NotImplementedError

    def run(self, until_s: float | None = None, *, stop: Callable[[], bool] = lambda: False) -> None:
        """Step until so many seconds after the start, or until `stop` says so."""
        raise NotImplementedError

    def lateness(self) -> Lateness:
        """How late the ticks came."""
        raise NotImplementedError

    def close(self) -> None:
        """End the firmware. The adapter stays open: it belongs to the caller."""
        raise NotImplementedError
