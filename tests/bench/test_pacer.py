# SPDX-License-Identifier: Apache-2.0
"""The pacer on a clock that moves only when told to, and the clock's waiting on descriptors."""

from __future__ import annotations

import os

import pytest

from harness.bench.pacer import Lateness, Pacer
from harness.clock import ManualClock, WallClock

TICK_NS = 10_000_000


def test_the_present_of_the_simulation_is_the_present_of_the_clock_when_it_begins() -> None:
    clock = ManualClock(5_000_000_000)
    pacer = Pacer(clock)
    pacer.begin(70_000_000)
    assert pacer.clock_ns(70_000_000) == 5_000_000_000
    assert pacer.clock_ns(80_000_000) == 5_010_000_000
    assert pacer.simulation_ns(5_003_000_000) == 73_000_000
    assert pacer.simulation_ns(0) == 0  # a stamp from before there was a simulation


def test_a_late_tick_does_not_shift_those_after_it() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)
    pacer.begin(0)
    late_s = []
    for tick in range(1, 6):
        pacer.wait(pacer.clock_ns(tick * TICK_NS))
        if tick == 2:
            clock.sleep_until_ns(clock.now_ns() + 25_000_000)
        late_s.append(pacer.tick(tick * TICK_NS))
    assert late_s == [0.0, 0.025, 0.015, 0.005, 0.0]


def test_overruns_are_ticks_later_than_allowed() -> None:
    clock = ManualClock()
    pacer = Pacer(clock, overrun_ns=5_000_000)
    pacer.begin(0)
    for tick, late_ns in enumerate((0, 5_000_000, 5_000_001, 9_000_000), 1):
        clock.sleep_until_ns(tick * TICK_NS + late_ns)
        pacer.tick(tick * TICK_NS)
    assert pacer.lateness() == Lateness(ticks=4, overruns=2, p50_s=0.005, p99_s=0.005000001, max_s=0.009)


def test_statistics_start_over_without_the_schedule() -> None:
    clock = ManualClock()
    pacer = Pacer(clock)
    pacer.begin(0)
    clock.sleep_until_ns(30_000_000)
    pacer.tick(TICK_NS)
    pacer.forget()
    assert pacer.lateness() == Lateness()
    assert pacer.clock_ns(TICK_NS) == TICK_NS


@pytest.mark.parametrize("clock", [ManualClock(), WallClock()])
def test_a_wait_for_the_past_returns_at_once(clock: ManualClock | WallClock) -> None:
    before_ns = clock.now_ns()
    assert not Pacer(clock).wait(before_ns - TICK_NS)
    assert not Pacer(clock).wait(before_ns - TICK_NS, ())


def test_a_wait_ends_when_a_descriptor_is_readable() -> None:
    clock = WallClock()
    reader, writer = os.pipe()
    try:
        os.write(writer, b"x")
        long_ns = clock.now_ns() + 60_000_000_000
        assert clock.wait_until_ns(long_ns, (reader,))
        assert clock.now_ns() < long_ns
        assert clock.wait_until_ns(clock.now_ns() - 1, (reader,))  # late, but there is something
        os.read(reader, 1)
        soon_ns = clock.now_ns() + 2_000_000
        assert not clock.wait_until_ns(soon_ns, (reader,))
        assert clock.now_ns() >= soon_ns
    finally:
        os.close(reader)
        os.close(writer)
