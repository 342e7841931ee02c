# SPDX-License-Identifier: Apache-2.0
"""CAN adapters through python-can, tried on what this machine can do: virtual, multicast, SLCAN, a network bridge."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import can
import pytest

from harness.canbus.portmodel import CanPort, PortFrame, PortSettings
from harness.canbus.portopen import NEEDS
from harness.canbus.ports import open_port
from harness.clock import NS_PER_S, WallClock
from harness.errors import BenchError, UsageError
from harness.kernel.bustypes import NodeState
from harness.kernel.config import FrameFlag

HERE = Path(__file__).parent
NO_SLEEP = {"sleep_after_open": 0}
CLASSIC = (
    PortFrame(0, 0x123, b"12345678"),
    PortFrame(0, 0x7FF, b""),
    PortFrame(0, 0x1ABCDEF0, b"\x00\xff", FrameFlag.EXTENDED),
    PortFrame(0, 0x100, bytes(4), FrameFlag.REMOTE),
    PortFrame(0, 0x100, bytes(8), FrameFlag.REMOTE | FrameFlag.EXTENDED),
)
FLEXIBLE = (
    PortFrame(0, 0x200, bytes(range(64)), FrameFlag.FD | FrameFlag.BRS),
    PortFrame(0, 0x201, bytes(12), FrameFlag.FD | FrameFlag.EXTENDED),
)


def content(frame: PortFrame) -> tuple[int, bytes, int]:
    return frame.id, frame.data, int(frame.flags)


def wait_for(port: CanPort, count: int, within_s: float = 5.0) -> list[PortFrame]:
    """Receive until that many frames are there, or the time is up."""
    clock = WallClock()
    end_ns = clock.now_ns() + int(within_s * NS_PER_S)
    frames: list[PortFrame] = []
    while len(frames) < count and clock.now_ns() < end_ns:
        descriptor = port.fileno()
        if descriptor is not None:
            select.select([descriptor], [], [], 0.05)
        frames += port.receive()
    return frames


def until(port: CanPort, condition: Callable[[], bool], within_s: float = 5.0) -> list[PortFrame]:
    """Receive until something holds."""
    clock = WallClock()
    end_ns = clock.now_ns() + int(within_s * NS_PER_S)
    frames: list[PortFrame] = []
    while not condition() and clock.now_ns() < end_ns:
        frames += port.receive()
    return frames


@contextmanager
def opened(interface: str, channel: str | int, data_bitrate: int = 0, **options: str | float) -> Iterator[CanPort]:
    port = open_port(PortSettings(interface, channel, 500_000, data_bitrate, options), WallClock())
    try:
        yield port
    finally:
        port.close()


@contextmanager
def child(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that says a line when it is ready and ends with its stdin."""
    with subprocess.Popen(
        [sys.executable, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def adapter(folder: Path, behaviour: str) -> Iterator[str]:
    """A serial adapter of another process; gives its port."""
    link = folder / "can"
    with child(str(HERE / "slcan_child.py"), str(link), behaviour) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield str(link)


@contextmanager
def bridge() -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """python-can-remote's server of a virtual bus; gives its address and the process."""
    pytest.importorskip("can_remote")
    program = (
        "from can_remote import RemoteServer;"
        "server = RemoteServer('127.0.0.1', 0, interface='virtual', channel='bridge');"
        "print(server.server_port, flush=True); server.serve_forever()"
    )
    with child("-c", program) as process:
        assert process.stdout is not None
        yield f"127.0.0.1:{process.stdout.readline().strip()}", process


# ---- frames ---------------------------------------------------------------------------------------------------------


def test_every_kind_of_frame_crosses_a_virtual_bus_in_its_order() -> None:
    with opened("virtual", "kinds", 2_000_000) as one, opened("virtual", "kinds", 2_000_000) as other:
        for frame in CLASSIC + FLEXIBLE:
            one.send(frame)
        assert [content(frame) for frame in CLASSIC + FLEXIBLE] == [content(frame) for frame in other.receive()]
        assert other.status().frames == len(CLASSIC + FLEXIBLE)
        assert one.status().frames == 0


def test_frames_are_stamped_on_the_clock_between_sending_and_reading_and_in_order() -> None:
    clock = WallClock()
    with opened("virtual", "stamps") as one, opened("virtual", "stamps") as other:
        before_ns = clock.now_ns()
        for _ in range(100):
            one.send(CLASSIC[0])
        after_ns = clock.now_ns()
        times_ns = [frame.t_ns for frame in other.receive()]
    assert times_ns == sorted(times_ns)
    assert before_ns - 1000 <= times_ns[0]  # the stamp is a double: 0.25 us
    assert times_ns[-1] <= after_ns + 1000


def test_only_wanted_frames_pass_a_filter_but_all_are_counted() -> None:
    settings = PortSettings("virtual", "filter", 500_000, filters=((0x100, 0x7F0),))
    port = open_port(settings, WallClock())
    with opened("virtual", "filter") as other:
        for identifier in (0x0FF, 0x100, 0x10F, 0x110):
            other.send(PortFrame(0, identifier))
        assert [0x100, 0x10F] == [frame.id for frame in port.receive()]
        assert port.status().frames == 4
    port.close()


def test_a_flood_of_unwanted_frames_ends_a_call_and_the_wanted_one_behind_it_comes_in_a_later_one() -> None:
    settings = PortSettings("virtual", "unwanted", 500_000, filters=((0x100, 0x7FF),))
    with opened("virtual", "unwanted") as other, closing(open_port(settings, WallClock())) as port:
        for _ in range(2500):
            other.send(PortFrame(0, 0x200))
        other.send(PortFrame(0, 0x100))
        assert [] == port.receive()
        assert port.status().frames < 2500
        assert [0x100] == [frame.id for frame in until(port, lambda: port.status().frames > 2500)]


def test_error_frames_are_frames_with_a_flag_and_counted_apart() -> None:
    settings = PortSettings("virtual", "errors", 500_000, filters=((0x100, 0x7FF),))
    port = open_port(settings, WallClock())
    with can.Bus(interface="virtual", channel="errors", ignore_config=True) as bus:
        bus.send(can.Message(is_error_frame=True, is_extended_id=False, arbitration_id=4, data=bytes(8)))
    assert [(4, FrameFlag.ERROR)] == [(frame.id, frame.flags) for frame in port.receive()]
    assert (port.status().frames, port.status().error_frames) == (0, 1)
    port.close()


def test_what_cannot_be_a_frame_is_counted_and_the_next_is_read() -> None:
    with opened("virtual", "odd") as port, can.Bus(interface="virtual", channel="odd", ignore_config=True) as bus:
        bus.send(can.Message(arbitration_id=0x800, is_extended_id=False, check=False))
        bus.send(can.Message(arbitration_id=1, dlc=8, data=b"12", is_extended_id=False, check=False))
        bus.send(can.Message(arbitration_id=2, data=b"12", is_extended_id=False))
        assert [2] == [frame.id for frame in port.receive()]
        assert port.status().malformed == 2


def test_an_echo_of_our_own_frame_is_marked_and_not_counted_as_received() -> None:
    with opened("virtual", "echo", receive_own_messages=True) as port, opened("virtual", "echo") as other:
        port.send(CLASSIC[0])
        other.send(CLASSIC[0])  # the same content, from another
        port.send(CLASSIC[1])
        assert [True, False, True] == [frame.own for frame in port.receive()]
        assert port.status().frames == 1


def test_an_echo_is_known_by_the_driver_where_it_says_so() -> None:
    with opened("virtual", "says") as port, can.Bus(interface="virtual", channel="says", ignore_config=True) as bus:
        bus.send(can.Message(arbitration_id=5, is_extended_id=False))
        assert [False] == [frame.own for frame in port.receive()]
        echo = can.Message(arbitration_id=6, is_extended_id=False, is_rx=False)
        port._bus.queue.put(echo)  # type: ignore[attr-defined] # what a driver with echoes hands over
        assert [True] == [frame.own for frame in port.receive()]


def test_own_frames_that_multicast_gives_back_are_marked() -> None:
    pytest.importorskip("msgpack")
    try:
        with (
            opened("udp_multicast", "239.74.163.9", port=43901) as one,
            opened("udp_multicast", "239.74.163.9", port=43901) as other,
        ):
            one.send(CLASSIC[0])
            one.send(CLASSIC[2])
            assert [(0x123, False), (0x1ABCDEF0, False)] == [(frame.id, frame.own) for frame in wait_for(other, 2)]
            other.send(CLASSIC[1])
            heard = wait_for(one, 3)
            assert [(0x123, True), (0x1ABCDEF0, True), (0x7FF, False)] == [(frame.id, frame.own) for frame in heard]
            assert one.status().frames == 1
    except BenchError as error:
        pytest.skip(f"no multicast here: {error}")


# ---- a serial adapter -----------------------------------------------------------------------------------------------


def test_every_kind_of_frame_comes_back_from_a_serial_adapter(tmp_path: Path) -> None:
    with adapter(tmp_path, "echo-fd") as link, opened("slcan", link, 2_000_000, **NO_SLEEP) as port:
        for frame in CLASSIC + FLEXIBLE:
            port.send(frame)
        heard = wait_for(port, len(CLASSIC + FLEXIBLE))
        assert [content(frame) for frame in CLASSIC + FLEXIBLE] == [content(frame) for frame in heard]
        assert (port.status().refused, port.status().malformed) == (0, 0)


def test_a_flood_from_a_serial_adapter_is_read_whole_and_in_order(tmp_path: Path) -> None:
    with adapter(tmp_path, "flood") as link, opened("slcan", link, **NO_SLEEP) as port:
        port.send(CLASSIC[0])
        numbers = [int.from_bytes(frame.data, "big") for frame in wait_for(port, 20_000, 15.0)]
        assert numbers == list(range(20_000))


def test_garbage_from_a_serial_adapter_is_counted_and_the_next_frame_is_read(tmp_path: Path) -> None:
    with adapter(tmp_path, "garbage") as link, opened("slcan", link, **NO_SLEEP) as port:
        port.send(CLASSIC[0])
        assert [content(CLASSIC[0])] == [content(frame) for frame in wait_for(port, 1)]
        assert port.status().malformed >= 5
        assert port.status().refused == 2


def test_an_adapter_that_was_unplugged_is_a_bench_error_from_then_on(tmp_path: Path) -> None:
    with adapter(tmp_path, "vanish") as link, opened("slcan", link, **NO_SLEEP) as port:
        port.send(CLASSIC[0])
        with pytest.raises(BenchError, match=f"CAN adapter slcan {link} is lost: .*Check its plug"):
            wait_for(port, 1)
        with pytest.raises(BenchError, match="is lost"):
            port.send(CLASSIC[0])
        assert port.status().frames == 0


def test_frames_that_nobody_acknowledges_are_refused_not_an_error(tmp_path: Path) -> None:
    with adapter(tmp_path, "echo") as link:
        port = open_port(PortSettings("slcan", link, 250_000, options=NO_SLEEP), WallClock())  # the bus has 500 kbit/s
        with closing(port):
            port.send(CLASSIC[0])
            assert [] == until(port, lambda: port.status().refused > 0)
            assert port.status().refused == 1


def test_an_adapter_that_does_not_answer_is_opened_and_one_that_answers_as_something_else_is_not(
    tmp_path: Path,
) -> None:
    with adapter(tmp_path, "deaf") as link, opened("slcan", link, **NO_SLEEP) as port:
        assert [] == port.receive()
    with adapter(tmp_path, "foreign") as link, pytest.raises(BenchError, match=r"Keysight.*no SLCAN adapter"):
        open_port(PortSettings("slcan", link, 500_000, options=NO_SLEEP), WallClock())


# ---- a bridge over the network --------------------------------------------------------------------------------------


def test_every_kind_of_frame_crosses_a_network_bridge_and_its_end_is_a_bench_error() -> None:
    with bridge() as (address, server), opened("remote", address) as one, opened("remote", address) as other:
        for frame in CLASSIC + FLEXIBLE:
            one.send(frame)
        heard = wait_for(other, len(CLASSIC + FLEXIBLE))
        assert [content(frame) for frame in CLASSIC + FLEXIBLE] == [content(frame) for frame in heard]
        server.kill()
        with pytest.raises(BenchError, match=f"CAN adapter remote {address} is lost"):
            wait_for(other, 1)


# ---- one harness for one adapter ------------------------------------------------------------------------------------


def test_a_second_port_on_one_adapter_is_refused_also_through_another_name(tmp_path: Path) -> None:
    with adapter(tmp_path, "echo") as link, opened("slcan", link, **NO_SLEEP):
        for name in (link, os.path.realpath(link)):
            with pytest.raises(BenchError, match="in use by this process"):
                open_port(PortSettings("slcan", name, 500_000, options=NO_SLEEP), WallClock())


def test_the_process_that_holds_an_adapter_is_named_and_its_death_frees_it(tmp_path: Path) -> None:
    program = (
        "import sys; from harness.canbus.portlock import PortLock;"
        "lock = PortLock.take('slcan', sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    )
    with adapter(tmp_path, "echo") as link, child("-c", program, link) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BenchError, match=f"in use by process {holder.pid}"):
            open_port(PortSettings("slcan", link, 500_000, options=NO_SLEEP), WallClock())
        holder.kill()
        holder.wait()
        with opened("slcan", link, **NO_SLEEP) as port:
            assert port.status().state is NodeState.ERROR_ACTIVE


def test_an_adapter_can_be_opened_again_after_it_was_closed_and_after_it_could_not_be_opened(tmp_path: Path) -> None:
    with adapter(tmp_path, "echo") as link:
        with pytest.raises(UsageError):
            open_port(PortSettings("slcan", link, 123_456, options=NO_SLEEP), WallClock())
        for _ in range(2):
            with opened("slcan", link, **NO_SLEEP) as port:
                port.close()
                assert [] == port.receive()
                port.send(CLASSIC[0])


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("interface", "channel", "options", "error", "text"),
    [
        ("socktcan", "can0", {}, UsageError, "no CAN interface 'socktcan'; did you mean socketcan"),
        ("slcan", "/dev/ttyACM99", {}, BenchError, "could not open port /dev/ttyACM99.*Serial ports found: "),
        ("slcan", "/dev/null", {}, BenchError, "Serial ports found: "),
        ("slcan", "x", {"sleep_aftr_open": 0}, UsageError, "no option 'sleep_aftr_open'; did you mean sleep_after"),
        ("slcan", "", {}, UsageError, "no channel is named"),
        ("virtual", "x", {"receive_own": 1}, UsageError, "no option 'receive_own'.*receive_own_messages"),
        ("remote", "127.0.0.1:9", {}, BenchError, "refused.*Start the other side first"),
        ("socketcan", "nocan7", {}, BenchError, "no CAN network interface 'nocan7'"),
        ("vector", 0, {}, UsageError, "XL Driver Library"),
        ("pcan", "PCAN_USBBUS1", {}, UsageError, "PCAN-Basic"),
        ("udp_multicast", "here", {}, BenchError, "multicast address such as"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_what_to_do(
    interface: str, channel: str | int, options: dict[str, str | int], error: type[Exception], text: str
) -> None:
    with pytest.raises(error, match=text):
        open_port(PortSettings(interface, channel, 500_000, options=options), WallClock())


def test_a_bit_rate_an_adapter_does_not_have_is_told_with_those_it_has(tmp_path: Path) -> None:
    with adapter(tmp_path, "echo") as link:
        for rates, text in (
            ((333_333, 0), "333333; an SLCAN adapter knows 10000"),
            ((500_000, 1_000_000), "knows 2000000, 5000000"),
        ):
            with pytest.raises(UsageError, match=text):
                open_port(PortSettings("slcan", link, *rates, NO_SLEEP), WallClock())


@pytest.mark.parametrize("interface", sorted(can.interfaces.BACKENDS.keys() - {"virtual"}))
def test_no_interface_of_python_can_shows_its_own_error(interface: str) -> None:
    with suppress(BenchError, UsageError):
        open_port(PortSettings(interface, "0", 500_000), WallClock()).close()


def test_every_need_is_of_an_interface() -> None:
    assert {*NEEDS} <= {*can.interfaces.BACKENDS, "remote"}
