# SPDX-License-Identifier: Apache-2.0
"""Who gets the bus, when frames end, how much of it is in use."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.kernel.config import BusConfig, FrameFlag, Node
from harness.kernel.simulation import Column, Frame

SILENT = (("report", 0),)


def ends(buffers: Any) -> list[int]:
    return [int(t) for t in buffers.frames("ns")]


def ids(buffers: Any) -> list[int]:
    return [int(identifier) for identifier in buffers.frames("id")]


def bits(echo: Any, frame: Frame) -> int:
    target = echo.kernel.ffi.new(
        "fil_frame *", {"id": frame.id, "flags": frame.flags, "length": len(frame.data), "data": frame.data}
    )
    return int(echo.kernel.lib.bh_frame_bits(target, echo.kernel.ffi.new("uint32_t *")))


def test_a_frame_ends_after_its_bits(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.send(Frame(0))  # 50 bits by hand, see test_bus_bits; 2 us each at 500 kbit/s
    assert ends(bench.run(simulation, 0.01)) == [100_000]


def test_the_next_frame_starts_after_three_bits_of_intermission(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.send(Frame(0))
    simulation.send(Frame(0))
    assert ends(bench.run(simulation, 0.01)) == [100_000, 100_000 + (3 + 50) * 2000]


def test_the_lowest_identifier_wins_whatever_the_order_of_queueing(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    order = [0x300, 0x7FF, 0x001, 0x300, 0x100, 0x2FF]
    for identifier in order:
        simulation.send(Frame(identifier))
    assert ids(bench.run(simulation, 0.01)) == sorted(order)


def test_frames_queued_by_the_firmware_at_once_leave_in_order_of_priority(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.send(bench.command(bench.BURST, 30))
    buffers = bench.run(simulation, 0.05)
    sent = [i for i, node in zip(ids(buffers), buffers.frames("node"), strict=True) if node == Node.DUT]
    assert sent == list(range(0x6FF - 29, 0x6FF + 1))


def test_standard_beats_remote_beats_extended_of_the_same_base(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    frames = [
        Frame(0x100 << 18 | 5, flags=FrameFlag.EXTENDED | FrameFlag.REMOTE),
        Frame(0x100 << 18 | 5, flags=FrameFlag.EXTENDED),
        Frame(0x100, flags=FrameFlag.REMOTE),
        Frame(0x101),
        Frame(0x100),
    ]
    for frame in frames:
        simulation.send(frame)
    buffers = bench.run(simulation, 0.01)
    sent = list(zip(ids(buffers), (int(flags) for flags in buffers.frames("flags")), strict=True))
    assert sent == [(0x100, 0), (0x100, 8), (0x100 << 18 | 5, 1), (0x100 << 18 | 5, 9), (0x101, 0)]


def test_equal_identifiers_keep_their_order(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    for value in range(20):
        simulation.send(Frame(0x123, bytes([value])))
    assert list(bench.run(simulation, 0.01).frames("data")[:, 0]) == list(range(20))


def test_a_frame_on_the_wire_is_not_interrupted_by_a_more_important_one(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(bitrate=10_000))
    simulation.send(Frame(0x7FF, bytes(8)))  # more than 100 bits of 0.1 ms: longer than a tick
    assert bench.run(simulation, 0.01).n_frames == 0
    simulation.send(Frame(0x001))
    assert ids(bench.run(simulation, 0.03)) == [0x7FF, 0x001]


def test_who_is_ready_when_the_bus_falls_idle_at_the_end_of_a_tick_still_takes_part(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(bitrate=50_000))
    # Seven frames of 50 bits and one of 126, each with 3 bits of intermission, are 500 bits of 20 us: one tick.
    for _ in range(7):
        simulation.send(Frame(0))
    simulation.send(next(frame for frame in candidates() if bits(echo, frame) == 126))
    simulation.send(Frame(0x700))
    assert bench.run(simulation, 0.01).n_frames == 8
    simulation.send(Frame(0x001))
    assert ids(bench.run(simulation, 0.02)) == [0x001, 0x700]


def candidates() -> Iterator[Frame]:
    """Frames of eight bytes with many stuff bits."""
    patterns = (0x00, 0x0F, 0x1E, 0x3C, 0x78, 0xE1, 0x87, 0xFF)
    return (Frame(0x078, bytes([a] * 4 + [b] * 3 + [c])) for a in patterns for b in patterns for c in range(256))


def test_buses_do_not_wait_for_each_other(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(n_buses=2))
    simulation.send(Frame(0, bus=0))
    simulation.send(Frame(0, bus=1))
    buffers = bench.run(simulation, 0.01)
    assert ends(buffers) == [100_000, 100_000]
    assert sorted(buffers.frames("bus")) == [0, 1]


def test_frames_of_all_buses_are_recorded_in_the_order_of_their_end(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(n_buses=3))
    for i in range(30):
        simulation.send(Frame(i * 37 % 2048, bytes(i % 9), bus=i % 3))
    times = ends(bench.run(simulation, 0.02))
    assert len(times) == 30
    assert times == sorted(times)


def test_load_is_the_share_of_bit_time_over_the_last_100_ms(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    buffers = bench.TraceBuffers(simulation.config, 1.0)
    for _ in range(20):
        simulation.send(Frame(0))
        simulation.run(simulation.now_s + 0.01, buffers)
    load = buffers.column(Column.ENV_BUS_LOAD)
    # 53 bits with intermission in every 10 ms of 5000 bits
    np.testing.assert_allclose(53 / 5000, load[9:], rtol=1e-6)
    np.testing.assert_allclose(53 / 5000 / 10, load[0], rtol=1e-6)


def test_an_overloaded_bus_is_full_and_holds_the_firmware_back_without_losing_its_frames(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=(("report", 0), ("filler", 12)), bus=BusConfig(bitrate=20_000))
    buffers = bench.run(simulation, 2.0)  # wanted: 1200 frames a second of 5.5 ms each; the firmware's queue overflows
    assert buffers.column(Column.ENV_BUS_LOAD)[-1] == pytest.approx(1.0, abs=1e-6)
    assert simulation.frames_lost == 0
    gaps = np.diff(ends(buffers))
    assert gaps.max() < 160 * 50_000  # back to back: never longer than the longest frame


def test_a_frame_too_many_in_the_waiting_room_is_refused(echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    for _ in range(512):
        simulation.send(Frame(1))
    with pytest.raises(UsageError, match="512 frames are waiting"):
        simulation.send(Frame(1))


@pytest.mark.parametrize(
    "frame",
    [
        Frame(0x800),
        Frame(1, bytes(9)),
        Frame(1, bus=1),
        Frame(1 << 29, flags=FrameFlag.EXTENDED),
        Frame(1, flags=FrameFlag.ERROR),
        Frame(1, node=Node.DUT),
        Frame(1, bytes(65), flags=FrameFlag.FD),
    ],
)
def test_what_is_no_can_frame_is_refused(echo: Any, frame: Frame) -> None:
    with pytest.raises(UsageError, match="frame 0x"):
        echo.simulation().send(frame)


def test_fd_frames_take_data_time_and_keep_their_bytes(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(bitrate=500_000, data_bitrate=2_000_000))
    payload = bytes(range(64))
    simulation.send(Frame(0x555, payload, flags=FrameFlag.FD | FrameFlag.BRS))
    simulation.send(Frame(0x556, flags=FrameFlag.FD | FrameFlag.BRS))
    buffers = bench.run(simulation, 0.01)
    assert bytes(buffers.frames("data")[0]) == payload
    # 26 nominal bits of 2 us and 33 data bits of 0.5 us (test_bus_bits), identifier 0x556 with one more zero, after
    # the intermission of the first
    assert np.diff(ends(buffers)) == [3 * 2000 + 26 * 2000 + 33 * 500]


def test_bytes_behind_the_length_are_recorded_as_zero(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.send(bench.command(bench.LIMITS, 1, 2, 3, 4, 5))
    buffers = bench.run(simulation, 0.05)
    [data] = buffers.frames("data")[buffers.frames("id") == 0x110]
    assert bytes(data) == bytes([1, 2, 3, 4, 5, 0, 0, 0])
