# SPDX-License-Identifier: Apache-2.0
"""The parts of a bench in a box: what is on the pins, a flooded bus, orders, folder, state."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.bench.box import Box, Station
from harness.bench.box_can import FLOOD_BITS, FloodedPort, SlcanPort
from harness.bench.box_folder import BoxFolder, StateFile
from harness.bench.box_orders import HELP, Switchboard
from harness.bench.box_tap import Tap
from harness.canbus.portmodel import PortFrame, PortStatus
from harness.clock import NS_PER_S, ManualClock
from harness.errors import UsageError
from harness.instruments.devices import DeviceFault
from harness.instruments.model import InstrumentSettings, Outputs
from harness.kernel.bustypes import NodeState
from harness.rig import find_rig, load_rig

BITRATE = 500_000


class Upper:
    """A device that answers in capitals."""

    def __init__(self, name: str = "upper", given: Mapping[str, Sequence[float]] | None = None) -> None:
        reads = {"contactor_positive": 1}
        self.settings = InstrumentSettings(name=name, driver="upper", port="", reads=reads)
        self.fault = DeviceFault.NONE
        self.is_off = True
        self.values = given or {}
        self.driven: list[tuple[str, bool]] = []

    def feed(self, data: bytes) -> bytes:
        return data.upper()

    def given(self) -> Mapping[str, NDArray[np.float64]]:
        return {name: np.array(values) for name, values in self.values.items()}

    def drive(self, reading: str, *, closed: bool) -> None:
        self.driven.append((reading, closed))


class Bus:
    """A port that keeps what is sent and gives what is put in."""

    def __init__(self) -> None:
        self.sent: list[PortFrame] = []
        self.waiting: list[PortFrame] = []

    def send(self, frame: PortFrame) -> None:
        self.sent.append(frame)

    def receive(self) -> Sequence[PortFrame]:
        frames, self.waiting = self.waiting, []
        return frames

    def fileno(self) -> int | None:
        return None

    def status(self) -> PortStatus:
        return PortStatus(NodeState.ERROR_ACTIVE)

    def close(self) -> None:
        pass


class Memory:
    """A line without a port."""

    address = "memory"
    lost = 0

    def __init__(self) -> None:
        self.inward = b""
        self.outward = b""
        self.closed = False

    def read(self) -> bytes:
        data, self.inward = self.inward, b""
        return data

    def write(self, data: bytes) -> None:
        self.outward += data

    def waiting(self) -> int:
        return len(self.outward)

    def forget(self) -> None:
        self.outward = b""

    def fileno(self) -> int:
        return 0

    def close(self) -> None:
        self.closed = True


def station(name: str = "upper", given: Mapping[str, Sequence[float]] | None = None) -> Station:
    return Station(lambda: Upper(name, given), Memory)


def test_what_no_instrument_gave_is_left_to_the_plant() -> None:
    pins = Box([station()], plant=True).pins()
    assert pins.cell_voltage_v is None
    assert pins.supply_v is None
    assert pins.hvil_closed is None


def test_instruments_that_were_never_on_give_nothing() -> None:
    channels = {
        "supply_v": (1,),
        "cell_voltage_v": (1, 2),
        "cell_temp_degc": (1,),
        "insulation_ohm": (1,),
        "crash": (1,),
    }
    device = Upper()
    device.settings = InstrumentSettings("upper", "upper", "", channels=channels)
    pins = Box([Station(lambda: device, Memory)]).pins()
    assert pins.cell_voltage_v is not None
    assert [0.0, 0.0] == list(pins.cell_voltage_v)
    assert [0] == list(pins.open_temps)
    assert (0.0, 1e12, False) == (pins.supply_v, pins.insulation_ohm, pins.crash)


def test_what_instruments_give_is_on_the_pins() -> None:
    box = Box(
        [
            station("cells", {"cell_voltage_v": [3.2, 3.3, 3.4]}),
            station("relays", {"cell_connected": [1.0, 0.0, 1.0], "hvil_closed": [0.0], "ignition": [1.0]}),
            station("sensors", {"cell_temp_degc": [25.0, np.nan], "temp_connected": [0.0, 1.0]}),
            station("supply", {"supply_v": [24.0], "pack_current_a": [-12.5]}),
        ]
    )
    pins = box.pins()
    assert pins.cell_voltage_v is not None
    assert [3.2, 3.3, 3.4] == list(pins.cell_voltage_v)
    assert [1] == list(pins.open_cells)
    assert [0, 1] == list(pins.open_temps)  # one wire open at the relay, one sensor that is none
    assert (False, True) == (pins.hvil_closed, pins.ignition)
    assert (24.0, -12.5) == (pins.supply_v, pins.pack_current_a)


def test_what_the_controller_drives_reaches_the_instrument_that_reads_it_once() -> None:
    one = station()
    box = Box([one])
    for _ in range(2):
        box.drive(Outputs(contactor_positive=True))
    assert isinstance(one.device, Upper)
    assert [("contactor_positive", True)] == one.device.driven


def test_instruments_answer_at_their_port_and_not_when_unplugged() -> None:
    one = station()
    line = one.line
    assert isinstance(line, Memory)
    line.inward = b"abc"
    one.serve()
    assert b"ABC" == line.outward
    one.unplug()
    assert line.closed
    one.serve()
    one.plug()
    assert one.line is not line


# ------------------------------------------------------------------------------------------------------- CAN, flooded


def frame(identifier: int) -> PortFrame:
    return PortFrame(t_ns=0, id=identifier, data=b"\x01")


def test_a_flood_fills_the_bus_and_no_more() -> None:
    clock, bus = ManualClock(), Bus()
    port = FloodedPort(bus, BITRATE, clock)
    assert [] == list(port.receive())
    port.flood()
    poured = 0
    for tick in range(1, 101):
        clock.sleep_until_ns(tick * NS_PER_S // 100)
        poured += len(port.receive())
    assert poured == pytest.approx(BITRATE / FLOOD_BITS, abs=2)  # of one second
    assert poured == len(bus.sent)
    port.calm()
    clock.sleep_until_ns(2 * NS_PER_S)
    assert [] == list(port.receive())


def test_frames_of_higher_priority_take_their_time_from_the_flood() -> None:
    clock, bus = ManualClock(), Bus()
    port = FloodedPort(bus, BITRATE, clock)
    port.flood()
    for _ in range(20):
        port.send(frame(0x100))
    clock.sleep_until_ns(NS_PER_S // 100)
    others = [sent for sent in bus.sent if sent.id == 0x100]
    poured = len(port.receive())
    assert 20 == len(others)
    assert poured + 20 == pytest.approx(BITRATE / FLOOD_BITS / 100, abs=2)


def test_frames_of_lower_priority_do_not_come_through() -> None:
    clock, bus = ManualClock(), Bus()
    port = FloodedPort(bus, BITRATE, clock)
    port.flood(0x0FF)
    port.send(frame(0x100))
    port.send(frame(0x080))
    bus.waiting = [frame(0x200), frame(0x001)]
    assert [0x001] == [got.id for got in port.receive() if got.data == b"\x01"]
    assert [0x080] == [sent.id for sent in bus.sent if sent.data == b"\x01"]


def test_the_load_is_the_share_of_bit_time_and_goes_back_to_none() -> None:
    clock, bus = ManualClock(), Bus()
    tap = Tap(bus, load_rig(find_rig("ebus-lfp")).profile, BITRATE, clock)
    for millisecond in range(3000):
        clock.sleep_until_ns(millisecond * NS_PER_S // 1000)
        tap.send(PortFrame(t_ns=0, id=0x300, data=bytes(8)))
    assert 1000 * FLOOD_BITS / BITRATE == pytest.approx(tap.load, rel=0.01)
    assert 3000 == tap.sent
    clock.sleep_until_ns(6 * NS_PER_S)
    assert tap.load == 0.0


def test_the_state_of_the_controller_is_read_from_its_frames() -> None:
    bus, rig, clock = Bus(), load_rig(find_rig("ebus-lfp")), ManualClock()
    tap = Tap(bus, rig.profile, BITRATE, clock)
    assert tap.bms_state() == ""
    message, signal = rig.profile.bindings["bms_state"].path.split(".")
    identifier = rig.profile.database.by_name[message].id
    for name, state in (("Standby", "standby"), ("Drive", "drive")):
        tap.send(PortFrame(t_ns=0, id=identifier, data=rig.profile.encode(message, {signal: name})))
        assert state == tap.bms_state()
    clock.sleep_until_ns(2 * NS_PER_S)
    assert tap.bms_state() == ""


# ---------------------------------------------------------------------------------------------------------- the orders


class Bench:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.instrument = station("cells")
        self.line = Memory()
        self.adapter = SlcanPort(lambda: self.line, BITRATE, 0, self.clock)
        self.port = FloodedPort(self.adapter, BITRATE, self.clock)
        self.state = "standby"
        self.board = Switchboard(Box([self.instrument]), self.port, self.adapter, self.clock, lambda: self.state)


@pytest.mark.parametrize(
    ("order", "fault"),
    [
        ("silent cells", DeviceFault.SILENT),
        ("garbage cells", DeviceFault.GARBAGE),
        ("other-model cells", DeviceFault.OTHER_MODEL),
    ],
)
def test_instruments_are_made_to_fail_and_are_well_again(order: str, fault: DeviceFault) -> None:
    bench = Bench()
    bench.board.order(order)
    assert fault == bench.instrument.device.fault
    bench.board.order("good cells")
    assert DeviceFault.NONE == bench.instrument.device.fault


def test_an_order_for_a_state_waits_until_the_controller_comes_into_it() -> None:
    bench = Bench()
    bench.board.order("once standby unplug can")
    for state, plugged in (("standby", True), ("drive", True), ("standby", False)):
        bench.state = state
        bench.board.tick()
        assert plugged == bool(bench.adapter.address)
    assert [] == list(bench.board.acting())


def test_mains_off_and_on_leave_an_instrument_well_and_off() -> None:
    bench = Bench()
    before = bench.instrument.device
    bench.board.order("silent cells")
    bench.board.order("restart cells")
    assert bench.instrument.device is not before
    assert DeviceFault.NONE == bench.instrument.device.fault


def test_ports_are_unplugged_and_put_back() -> None:
    bench = Bench()
    bench.board.order("unplug cells")
    bench.board.order("unplug can")
    assert not bench.instrument.state()["plugged"]
    assert bench.adapter.address == ""
    bench.board.order("plug cells")
    bench.board.order("plug can")
    assert bench.instrument.state()["plugged"]
    assert bench.adapter.address == "memory"


def test_noise_goes_on_until_quiet() -> None:
    bench = Bench()
    bench.board.order("noise can")
    for tick in range(11):
        bench.clock.sleep_until_ns(tick * NS_PER_S // 100)
        bench.board.tick()
    heard = bench.line.outward
    assert heard
    bench.board.order("flood 1A")
    assert ["flood 1A", "noise can"] == list(bench.board.acting())
    bench.board.order("quiet")
    bench.clock.sleep_until_ns(NS_PER_S)
    bench.board.tick()
    assert heard == bench.line.outward
    assert [] == list(bench.board.acting())


def test_an_order_for_later_waits() -> None:
    bench = Bench()
    bench.board.order("in 2.5s unplug can")
    bench.clock.sleep_until_ns(2 * NS_PER_S)
    bench.board.tick()
    assert bench.adapter.address
    bench.clock.sleep_until_ns(3 * NS_PER_S)
    bench.board.tick()
    assert not bench.adapter.address


@pytest.mark.parametrize(
    "order",
    [
        "explode",
        "silent",
        "silent nobody",
        "flood 800",
        "flood x",
        "unplug nobody",
        "quit now",
        "in 2s",
        "in -1s quit",
        "once asleep quit",
    ],
)
def test_an_order_that_is_none_says_what_there_is(order: str) -> None:
    with pytest.raises(UsageError, match=r"there are|allowed"):
        Bench().board.order(order)


def test_every_order_of_the_help_is_one() -> None:
    for line in HELP.splitlines():
        order = line.split("  ")[0].replace("NAME|can", "can").replace("NAME", "cells").replace(" [ID]", "")
        order = order.replace("SECONDS ORDER", "0s quit").replace("STATE ORDER", "drive quit")
        bench = Bench()
        bench.board.order(order)
        bench.board.tick()
        bench.state = "drive"
        bench.board.tick()
        assert order.endswith("quit") == bench.board.ended


def test_a_folder_serves_one_box_at_a_time_and_is_clean_after_it(tmp_path: Path) -> None:
    with BoxFolder(tmp_path / "box"), pytest.raises(UsageError, match="in use"):
        BoxFolder(tmp_path / "box")
    assert [] == list((tmp_path / "box").iterdir())
    BoxFolder(tmp_path / "box").close()


def test_a_file_in_the_place_of_a_link_is_not_removed(tmp_path: Path) -> None:
    (tmp_path / "can").write_text("mine", encoding="utf-8")
    with BoxFolder(tmp_path) as folder, pytest.raises(UsageError, match="in the way"):
        folder.link("can")


def test_a_change_is_told_at_once_and_measured_values_twice_a_second(tmp_path: Path) -> None:
    clock, path = ManualClock(), tmp_path / "state.json"
    states = StateFile(path, clock)

    def told(load: float, *, off: bool) -> dict[str, object]:
        states.update({"off": off, "can": {"load": load}})
        document: dict[str, object] = json.loads(path.read_text(encoding="utf-8"))
        return document

    assert told(0.1, off=True) == {"t_ns": 0, "off_since_ns": 0, "off": True, "can": {"load": 0.1}}
    clock.sleep_until_ns(10)
    assert told(0.2, off=True)["can"] == {"load": 0.1}
    assert told(0.2, off=False)["off_since_ns"] is None
    clock.sleep_until_ns(20)
    assert told(0.3, off=True)["off_since_ns"] == 20
    clock.sleep_until_ns(NS_PER_S)
    assert told(0.4, off=True) == {"t_ns": NS_PER_S, "off_since_ns": 20, "off": True, "can": {"load": 0.4}}
