# SPDX-License-Identifier: Apache-2.0
"""A bench in a box put together: served controller, emulated instruments, CAN, what can be done to them, their state.

with ServedBox(Places(folder=Path("/tmp/box")), rig, bench, clock) as box:
    while wanted:
        box.step()
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

from harness.bench.box import Box, Station
from harness.bench.box_can import FloodedPort, PluggedPort, SlcanPort
from harness.bench.box_folder import STATE_FILE, BoxFolder, StateFile
from harness.bench.box_hub import HubPort
from harness.bench.box_orders import CAN, Switchboard
from harness.bench.box_tap import Tap
from harness.bench.file import Bench
from harness.bench.lines import Line, PtyLine, TcpLine
from harness.bench.serve import ServedController
from harness.canbus.portmodel import CanPort, PortSettings
from harness.canbus.ports import open_port
from harness.clock import Clock
from harness.errors import UsageError
from harness.instruments.devices import Device, device_for
from harness.instruments.model import InstrumentSettings
from harness.rig.file import Rig

STALL_NS = 20_000_000  # a tick that is over so late: this machine was busy, a real controller would not have been
_LARGEST_TCP_PORT = 65_535


@dataclass(frozen=True, slots=True)
class Places:
    """Where the box is reached: CAN at `interface` and `channel` of python-can; without them, and the instruments,
    in `folder` or at TCP ports from `tcp_port` on, CAN behind the instruments. `state_file`: besides the folder's.
    `rest_bus`: vehicle and charger are sent from here too. `plant`: what no instrument gave comes from the rig's plant.
    """

    interface: str | None = None
    channel: str | None = None
    folder: Path | None = None
    tcp_port: int | None = None
    state_file: Path | None = None
    rest_bus: bool = False
    plant: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """One port of the box: whose it is ("can" or the name of an instrument), what is there, how it is opened."""

    name: str
    what: str
    address: str


class ServedBox:
    """A rig's controller in real time with everything around it. A context manager; everything is closed at its end.
    `stalls`: ticks that were over more than `STALL_NS` late.

    Raises UsageError for places that cannot be had together, BenchError when a port cannot be had.
    """

    def __init__(self, places: Places, rig: Rig, bench: Bench | None, clock: Clock) -> None:
        self._rig, self._bench, self._clock = rig, bench, clock
        self.stalls = 0
        self._was_on_time = False
        self._places = places
        self._interface = "remote" if places.folder is None else "slcan"
        with ExitStack() as stack:
            self._folder = stack.enter_context(BoxFolder(places.folder)) if places.folder is not None else None
            makers = self._makers()
            openers = [self._opener(place, name) for place, name in enumerate(makers)]
            stations = []
            for make, opener in zip(makers.values(), openers, strict=True):
                stations.append(Station(make, opener))
                stack.callback(stations[-1].unplug)
            self.box = Box(stations, plant=places.plant)
            port, self._plug = self._can(len(stations))
            stack.callback(port.close)
            bitrate = rig.file.bus.bitrate
            flooded = FloodedPort(port, bitrate, clock)
            self.tap = Tap(flooded, rig.profile, bitrate, clock)
            self.switchboard = Switchboard(self.box, flooded, self._plug, clock, self.tap.bms_state)
            self._states = [StateFile(path, clock) for path in self._state_files()]
            self.controller = stack.enter_context(
                ServedController(rig, self.tap, self.box if stations else None, clock, rest_bus=places.rest_bus)
            )
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def places(self) -> tuple[Place, ...]:
        """Everything that can be reached from outside, CAN first."""
        interface = self._places.interface or self._interface
        rate = f"{self._rig.file.bus.bitrate // 1000} kbit/s"
        address = self._address if self._places.interface is None else str(self._places.channel)
        stations = self.box.stations.values()
        return (
            Place(CAN, f"CAN, {rate}, python-can interface {interface}", address),
            *(Place(s.name, s.device.settings.driver, s.line.address) for s in stations if s.line is not None),
        )

    def ports(self) -> Mapping[str, str]:
        """What `harness.bench.file.load_bench` takes to reach this box."""
        interface = self._places.interface or self._interface
        return {"can-interface": interface} | {place.name: place.address for place in self.places()}

    def step(self) -> None:
        """Wait for the next tick and play it; tell the state where it is looked at."""
        due_ns = self.controller.next_ns
        self.controller.step()
        late = self._clock.now_ns() - due_ns > STALL_NS
        self._was_on_time |= not late  # what was to be told at the start made the first ticks late
        self.stalls += late and self._was_on_time
        self.switchboard.tick()
        if self._states:
            state = self.state()
            for file in self._states:
                file.update(state)

    def state(self) -> Mapping[str, Any]:
        """What can be seen from outside: controller, CAN, instruments, what was done to them."""
        outputs = self.controller.outputs
        return {
            "off": self.box.is_off(),
            "stalls": self.stalls,
            "bms": {
                "state": self.tap.bms_state(),
                "contactor_positive": outputs.contactor_positive,
                "contactor_negative": outputs.contactor_negative,
                "contactor_precharge": outputs.contactor_precharge,
            },
            "can": {
                "plugged": self._plug is None or self._plug.is_plugged,
                "load": round(self.tap.load, 4),
                "sent": self.tap.sent,
                "received": self.tap.received,
            },
            "instruments": dict(self.box.state()),
            "acting": list(self.switchboard.acting()),
        }

    def _makers(self) -> Mapping[str, Callable[[], Device]]:
        """What makes each instrument that has a port, by name."""
        if self._bench is None or (self._places.folder is None and self._places.tcp_port is None):
            return {}
        return {
            settings.name: partial(_made, settings)
            for settings in self._bench.instruments
            if device_for(settings) is not None
        }

    def _opener(self, place: int, name: str) -> Callable[[], Line]:
        if self._folder is not None:
            return partial(PtyLine, self._folder.link(name))
        return partial(TcpLine, self._tcp(place))

    def _can(self, n_devices: int) -> tuple[CanPort, PluggedPort | None]:
        places, bitrate = self._places, self._rig.file.bus.bitrate
        if places.interface is not None:
            options = self._bench.file.can.options if self._bench else {}
            settings = PortSettings(places.interface, places.channel or "", bitrate, options=options)
            return open_port(settings, self._clock), None
        port: SlcanPort | HubPort
        if self._folder is not None:
            port = SlcanPort(partial(PtyLine, self._folder.link(CAN)), bitrate, 0, self._clock)
        else:
            port = HubPort(self._tcp(n_devices), bitrate, self._clock, partial(open_port, clock=self._clock))
        self._address = port.address
        return port, port

    def _tcp(self, place: int) -> int:
        if self._places.tcp_port is None:
            raise UsageError("serve needs --interface and --channel, --folder, or --tcp")
        if self._places.tcp_port + place > _LARGEST_TCP_PORT:
            raise UsageError(f"TCP port {self._places.tcp_port + place} does not exist; name a lower first one")
        return self._places.tcp_port + place

    def _state_files(self) -> Iterator[Path]:
        if self._folder is not None:
            yield self._folder.path / STATE_FILE
        if self._places.state_file is not None:
            yield self._places.state_file


def _made(settings: InstrumentSettings) -> Device:
    device = device_for(settings)
    assert device is not None, "asked for instruments with a port only"
    return device
