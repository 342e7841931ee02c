# SPDX-License-Identifier: Apache-2.0
"""The SLCAN adapter of the box: bytes as in the manual, frames as python-can speaks them, garbage answered with BEL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.bench.lines import PtyLine
from harness.bench.slcan_device import SlcanDevice
from harness.canbus.portmodel import PortFrame, PortSettings
from harness.canbus.ports import open_port
from harness.canbus.slcanbus import SlcanBus
from harness.clock import NS_PER_S, WallClock
from harness.errors import BenchError
from harness.kernel.config import FrameFlag

BITRATE, DATA_BITRATE = 500_000, 2_000_000
LENGTHS = [*range(9), 12, 16, 20, 24, 32, 48, 64]


def opened(setup: bytes = b"S6\rO\r", data_bitrate: int = 0) -> SlcanDevice:
    device = SlcanDevice(BITRATE, data_bitrate)
    device.feed(setup, 0)
    return device


@pytest.mark.parametrize(
    ("sent", "answered"),
    [
        (b"S6\r", b"\r"),
        (b"S6\rO\r", b"\r\r"),
        (b"S6\rO\rC\r", b"\r\r\r"),
        (b"\r", b"\r"),
        (b"V\r", b"V1013\r"),
        (b"N\r", b"NBH01\r"),
        (b"S6\rO\rF\r", b"\r\rF00\r"),
        (b"S6\rO\rt1003112233\r", b"\r\rz\r"),
        (b"S6\rO\rT1FFFFFFF0\r", b"\r\rZ\r"),
        (b"S6\rO\rr1238\r", b"\r\rz\r"),
        (b"O\r", b"\a"),  # no bit rate yet
        (b"C\r", b"\a"),  # closed already
        (b"S6\rO\rS5\r", b"\r\r\a"),  # not while open
        (b"t1000\r", b"\a"),  # closed
        (b"S6\rL\rt1000\r", b"\r\r\a"),  # listens only
        (b"S6\rO\rt8000\r", b"\r\r\a"),  # 12 bits
        (b"S6\rO\rt10021\r", b"\r\r\a"),  # half a byte
        (b"S6\rO\rt1009112233445566778899\r", b"\r\r\a"),  # nine bytes
        (b"S6\rO\rt1001G1\r", b"\r\r\a"),
        (b"S6\rO\rd10091122334455667788990011\r", b"\r\r\a"),  # CAN FD on a classic bus
        (b"S5\rO\rF\rt1000\r", b"\r\rF80\r\a"),  # another bit rate than the bus: nobody acknowledges
        (b"M00000000\r", b"\a"),  # filters are not part of it
        (b"\xff\x00?\r", b"\a"),
    ],
)
def test_every_command_is_answered_as_the_manual_says(sent: bytes, answered: bytes) -> None:
    assert answered == SlcanDevice(BITRATE).feed(sent, 0)


def test_pieces_of_a_line_are_put_together() -> None:
    device = opened()
    assert b"" == device.feed(b"t10", 0)
    assert b"z\r" == device.feed(b"02AABB\r", 7)
    assert [PortFrame(t_ns=7, id=0x100, data=b"\xaa\xbb", flags=FrameFlag.NONE)] == device.take()
    assert [] == device.take()


def test_a_line_that_never_ends_is_refused_and_forgotten() -> None:
    device = opened()
    assert b"\a" == device.feed(b"t" * 1000, 0)
    assert b"z\r" == device.feed(b"t1000\r", 0)


@pytest.mark.parametrize(
    ("frame", "line"),
    [
        (PortFrame(t_ns=0, id=0x7FF, data=b"\x01", flags=FrameFlag.NONE), b"t7FF101\r"),
        (PortFrame(t_ns=0, id=0x1FFFFFFF, data=b"", flags=FrameFlag.EXTENDED), b"T1FFFFFFF0\r"),
        (PortFrame(t_ns=0, id=0x123, data=bytes(4), flags=FrameFlag.REMOTE), b"r1234\r"),
        (PortFrame(t_ns=0, id=0x123, data=b"", flags=FrameFlag.ERROR), b""),
        (PortFrame(t_ns=0, id=0x123, data=b"", flags=FrameFlag.FD), b""),
    ],
)
def test_frames_are_told_as_the_manual_says(frame: PortFrame, line: bytes) -> None:
    assert line == opened().deliver(frame)


def test_time_stamps_are_milliseconds_of_a_minute() -> None:
    device = opened(b"Z1\rS6\rO\r")
    assert b"t10000001\r" == device.deliver(PortFrame(t_ns=60_001_000_000, id=0x100, data=b"", flags=FrameFlag.NONE))


@pytest.mark.parametrize("setup", [b"", b"S5\rO\r", b"S6\rO\rC\r", b"s031C\rO\r"])
def test_a_closed_channel_or_another_bit_rate_hears_nothing(setup: bytes) -> None:
    assert b"" == opened(setup).deliver(PortFrame(t_ns=0, id=1, data=b"", flags=FrameFlag.NONE))


def test_bus_timing_registers_set_the_bit_rate() -> None:
    """SJA1000, data sheet 6.5.1: BTR0 0x00, BTR1 0x1C are 500 kbit/s at 16 MHz."""
    assert opened(b"s001C\rO\r").matches


@given(st.binary(max_size=400))
def test_no_bytes_break_the_adapter(garbage: bytes) -> None:
    device = opened()
    answers = device.feed(garbage, 0)
    assert set(answers) <= set(b"\r\azZVFN0123456789BHACDE")
    device.feed(b"\r", 0)
    device.feed(b"C\rS6\rO\r", 0)
    assert b"\rz\r" == device.feed(b"\rt1000\r", 0)


@given(
    identifier=st.integers(0, 0x1FFFFFFF),
    kind=st.sampled_from([FrameFlag.NONE, FrameFlag.FD, FrameFlag.FD | FrameFlag.BRS]),
    length=st.sampled_from(LENGTHS),
    extended=st.booleans(),
)
def test_what_one_adapter_tells_another_understands(
    identifier: int, kind: FrameFlag, length: int, *, extended: bool
) -> None:
    flags = kind | (FrameFlag.EXTENDED if extended else FrameFlag.NONE)
    size = length if kind & FrameFlag.FD else min(length, 8)
    frame = PortFrame(t_ns=0, id=identifier if extended else identifier & 0x7FF, data=bytes(range(size)), flags=flags)
    here, there = (opened(b"S6\rY2\rO\r", DATA_BITRATE) for _ in range(2))
    there.feed(here.deliver(frame), 0)
    assert [frame] == there.take()


@pytest.fixture
def line(tmp_path: Path) -> Iterator[PtyLine]:
    port = PtyLine(tmp_path / "can")
    yield port
    port.close()


def served(line: PtyLine, device: SlcanDevice) -> None:
    line.write(device.feed(line.read(), 0))


MESSAGES = [
    can.Message(arbitration_id=0x100, data=b"\x01\x02", is_extended_id=False),
    can.Message(arbitration_id=0x1ABCDEF0, data=bytes(8), is_extended_id=True),
    can.Message(arbitration_id=0x123, dlc=3, is_remote_frame=True, is_extended_id=False),
    can.Message(arbitration_id=0x200, data=bytes(64), is_fd=True, is_extended_id=False),
    can.Message(arbitration_id=0x201, data=bytes(12), is_fd=True, bitrate_switch=True),
]


def test_python_can_talks_to_it(line: PtyLine) -> None:
    device = SlcanDevice(BITRATE, DATA_BITRATE)
    timing = can.BitTimingFd.from_sample_point(80_000_000, BITRATE, 80.0, DATA_BITRATE, 75.0)
    with can.Bus(interface="slcan", channel=line.address, timing=timing, sleep_after_open=0) as bus:
        served(line, device)
        assert device.matches
        for message in MESSAGES:
            bus.send(message)
            served(line, device)
            (frame,) = device.take()
            assert message.arbitration_id == frame.id
            line.write(device.deliver(frame))
            back = next(m for m in iter(lambda: bus.recv(1.0), None) if m)
            assert back.equals(message, timestamp_delta=None, check_channel=False, check_direction=False)


def send_for_ever(bus: can.BusABC) -> None:
    while True:
        bus.send(MESSAGES[0])


def test_a_port_that_takes_nothing_is_a_full_queue_and_keeps_nobody_waiting(line: PtyLine) -> None:
    with SlcanBus(line.address, bitrate=BITRATE, sleep_after_open=0) as bus:
        begin_ns = WallClock().now_ns()
        with pytest.raises(can.CanOperationError, match="full"):
            send_for_ever(bus)
        assert WallClock().now_ns() - begin_ns < 5 * NS_PER_S  # thousands of frames, each of which may not wait 50 ms
        sent = b"".join(iter(line.read, b""))
        bus.recv(0)
        assert b"t10020102\r" * 10 in sent + line.read()


def test_garbage_without_an_end_is_dropped_and_the_next_frame_is_read(line: PtyLine) -> None:
    with SlcanBus(line.address, bitrate=BITRATE, sleep_after_open=0) as bus:
        line.write(b"x" * 300)
        assert bus.recv(0) is None
        assert bus.garbage == 1
        line.write(b"\rt1000\r")
        message = bus.recv(0)
        assert message is not None
        assert (0x100, 1) == (message.arbitration_id, bus.garbage)


def test_an_unplugged_adapter_is_an_error_at_the_other_side(line: PtyLine) -> None:
    settings = PortSettings("slcan", line.address, BITRATE, options={"sleep_after_open": 0})
    with closing(open_port(settings, WallClock())) as port:  # closing what is gone must not raise again
        line.close()
        with pytest.raises(BenchError, match="is lost"):
            port.receive()


def test_a_reader_that_stops_reading_loses_frames_and_blocks_nobody(line: PtyLine) -> None:
    for _ in range(4000):
        line.write(b"t1008" + b"00" * 8 + b"\r")
    assert line.lost > 0
