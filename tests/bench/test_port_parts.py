# SPDX-License-Identifier: Apache-2.0
"""Parts of a port: time stamps of strange clocks, and fault confinement as each kind of adapter tells it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus.portstamps import Timeline, TrackedStamps
from harness.canbus.portstate import watch_for
from harness.clock import ManualClock
from harness.kernel.bustypes import NodeState

MS = 1_000_000
S = 1_000_000_000


@given(
    delays_us=st.lists(st.integers(50, 8000), min_size=50, max_size=300),
    start_s=st.floats(1.0, 1e6),
    drift=st.floats(-50e-6, 50e-6),
)
def test_stamps_of_an_adapter_are_late_by_no_more_than_its_quickest_delivery_and_never_out_of_order(
    delays_us: list[int], start_s: float, drift: float
) -> None:
    """The adapter's own clock begins anywhere and drifts; frames every 10 ms; each is read after its own delay."""
    timeline = Timeline(TrackedStamps())
    times = [S + at * 10 * MS for at in range(len(delays_us))]
    placed = []
    for t_ns, delay_us in zip(times, delays_us, strict=True):
        timeline.begin(ManualClock(t_ns + delay_us * 1000))
        stamp_s = start_s + t_ns / S * (1 + drift)
        placed.append(timeline.place(stamp_s, t_ns + delay_us * 1000))
    quickest_ns = [min(delays_us[: at + 1]) * 1000 for at in range(len(times))]
    rounding_ns = 1000
    drifted_ns = 50e-6 * 5 * S
    for t_ns, found_ns, least_ns in zip(times, placed, quickest_ns, strict=True):
        assert -rounding_ns - drifted_ns <= found_ns - t_ns <= max(delays_us) * 1000 + rounding_ns
        assert found_ns - t_ns >= least_ns - drifted_ns - rounding_ns
    assert placed == sorted(placed)
    settled = placed[-1] - times[-1]
    assert settled <= min(delays_us[-300:]) * 1000 + drifted_ns + rounding_ns or delays_us[-1] * 1000 >= settled


def test_a_late_reader_gets_the_time_of_the_frame_once_a_quick_one_was_seen() -> None:
    timeline = Timeline(TrackedStamps())
    timeline.begin(ManualClock(S))
    assert S == timeline.place(100.0, S)
    timeline.begin(ManualClock(2 * S))
    assert S + 500 * MS == timeline.place(100.5, 2 * S)


def test_a_quicker_delivery_than_those_before_sets_the_offset_at_once() -> None:
    timeline = Timeline(TrackedStamps())
    timeline.begin(ManualClock(S))
    assert S + 8 * MS == timeline.place(100.0, S + 8 * MS)  # took 8 ms
    assert S + 12 * MS == timeline.place(100.01, S + 12 * MS)  # took 2 ms
    assert S + 22 * MS == timeline.place(100.02, S + 28 * MS)  # took 8 ms again


def test_an_adapter_whose_clock_falls_behind_is_followed_after_five_seconds() -> None:
    timeline = Timeline(TrackedStamps())
    timeline.begin(ManualClock(S))
    timeline.place(100.0, S)
    timeline.begin(ManualClock(7 * S))
    assert 7 * S == timeline.place(105.9, 7 * S)  # 6 s later it has counted only 5.9 s


def test_an_adapter_whose_clock_begins_anew_is_followed() -> None:
    timeline = Timeline(TrackedStamps())
    timeline.begin(ManualClock(S))
    timeline.place(1000.0, S)
    timeline.begin(ManualClock(3 * S))
    assert 3 * S == timeline.place(0.5, 3 * S)
    timeline.begin(ManualClock(4 * S))
    assert 3 * S + 250 * MS == timeline.place(0.75, 4 * S)


def test_a_frame_without_a_stamp_has_the_time_of_reading() -> None:
    timeline = Timeline(TrackedStamps())
    timeline.begin(ManualClock(S))
    assert S == timeline.place(0.0, S)


def test_no_frame_is_from_before_all_had_been_read_nor_from_the_future() -> None:
    timeline = Timeline(TrackedStamps())
    timeline.begin(ManualClock(S))
    timeline.place(10.0, S)
    timeline.all_read(S + 900 * MS)
    timeline.begin(ManualClock(S + 950 * MS))
    assert S + 700 * MS == timeline.place(10.1, S + 950 * MS)
    assert S + 950 * MS == timeline.place(20.0, S + 950 * MS)


@pytest.mark.parametrize(
    ("frames", "state", "counters", "lost"),
    [
        ([], NodeState.ERROR_ACTIVE, (None, None), 0),
        ([(0x004, "0010000000000000")], NodeState.ERROR_PASSIVE, (None, None), 0),
        ([(0x204, "0020000000008000")], NodeState.ERROR_PASSIVE, (128, 0), 0),
        ([(0x204, "0008000000006010")], NodeState.ERROR_ACTIVE, (96, 16), 0),  # a warning
        ([(0x040, "0000000000000000")], NodeState.BUS_OFF, (None, None), 0),
        ([(0x040, "00"), (0x100, "00")], NodeState.ERROR_ACTIVE, (None, None), 0),
        ([(0x004, "0010"), (0x004, "0040")], NodeState.ERROR_ACTIVE, (None, None), 0),
        ([(0x004, "0010"), (0x004, "0001")], NodeState.ERROR_PASSIVE, (None, None), 1),  # an overrun says no state
        ([(0x002, "05")], NodeState.ERROR_ACTIVE, (None, None), 0),  # lost arbitration
    ],
)
def test_linux_tells_state_and_counters_in_error_frames(
    frames: list[tuple[int, str]], state: NodeState, counters: tuple[int | None, int | None], lost: int
) -> None:
    """Numbers as in linux/can/error.h."""
    watch = watch_for("socketcan", object())
    for identifier, data in frames:
        watch.error_frame(identifier, bytes.fromhex(data))
    watch.ask()
    assert (state, counters, lost) == (watch.state, (watch.transmit_errors, watch.receive_errors), watch.lost)


class Flags:
    """An SLCAN adapter that has answered F."""

    def __init__(self, flags: int) -> None:
        self.flags: int | None = flags
        self.refused = self.garbage = 0

    def ask_flags(self) -> None:
        pass


@pytest.mark.parametrize(
    ("flags", "state", "lost", "errors"),
    [
        (0x00, NodeState.ERROR_ACTIVE, 0, 0),
        (0x01, NodeState.ERROR_ACTIVE, 1, 0),  # receive queue full
        (0x08, NodeState.ERROR_ACTIVE, 1, 0),  # overrun
        (0x20, NodeState.ERROR_PASSIVE, 0, 0),
        (0x80, NodeState.ERROR_ACTIVE, 0, 1),  # bus error
    ],
)
def test_an_slcan_adapter_tells_each_overrun_once(flags: int, state: NodeState, lost: int, errors: int) -> None:
    """Flags as in the Lawicel CANUSB manual."""
    watch = watch_for("slcan", Flags(flags))
    for _ in range(2):
        watch.ask()
    assert (state, lost, errors) == (watch.state, watch.lost, watch.errors)


class Status:
    """A driver with a status word."""

    def __init__(self, number: int) -> None:
        self._number = number

    def status(self) -> int:
        return self._number


@pytest.mark.parametrize(
    ("number", "state", "lost"),
    [
        (0, NodeState.ERROR_ACTIVE, 0),
        (0x8, NodeState.ERROR_ACTIVE, 0),
        (0x2, NodeState.ERROR_ACTIVE, 1),  # overrun of the controller
        (0x40, NodeState.ERROR_ACTIVE, 1),  # overrun of the driver's queue
        (0x40000, NodeState.ERROR_PASSIVE, 0),
        (0x10, NodeState.BUS_OFF, 0),
    ],
)
def test_pcan_tells_its_state_in_a_status_word(number: int, state: NodeState, lost: int) -> None:
    """Numbers as in PCANBasic.h."""
    watch = watch_for("pcan", Status(number))
    watch.ask()
    assert (state, lost) == (watch.state, watch.lost)
