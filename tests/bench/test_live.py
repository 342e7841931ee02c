# SPDX-License-Identifier: Apache-2.0
"""Faults and requests by hand while a rig runs: the same on a virtual rig in real time and on a bench."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from harness.bench.file import load_bench
from harness.bench.live import LiveRig, VirtualRealtime
from harness.bench.session import BenchSession
from harness.clock import ManualClock, WallClock
from harness.errors import BenchError, RigError, UsageError
from harness.instruments.model import Inputs
from harness.kernel.config import Event, EventKind, Fault, Op, Point
from harness.rig import load_rig
from harness.rig.resources import rigs_folder
from harness.scenario import CommandAction, FaultAction, Start, begin
from harness.units import CONTROLLER_STATES
from tests.bench.inprocess import Loop

MAINS = 3
OPEN_S = 2.0  # confirmed after 1 s, flagged 0.2 s later, open 0.5 s after that


@dataclass
class Open:
    """Opens a rig that runs in real time, on a clock as fast as the machine."""

    live: Callable[[Start], LiveRig]
    clock: ManualClock

    def __call__(self, start: Start) -> LiveRig:
        return self.live(start)


@pytest.fixture(params=["virtual", "bench"])
def open_live(request: pytest.FixtureRequest) -> Iterator[Open]:
    if request.param == "virtual":
        opened: list[VirtualRealtime] = []
        clock = ManualClock()

        def virtual(start: Start) -> LiveRig:
            opened.append(VirtualRealtime(load_rig(rigs_folder() / "ebus-lfp.toml"), clock, start=start))
            return opened[-1]

        yield Open(virtual, clock)
        for live in opened:
            live.close()
    else:
        bench = load_bench(rigs_folder() / "bench" / "ebus-lfp-box.toml")
        loop = Loop(bench.rig)
        with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
            yield Open(session.live, loop.clock)
        assert not loop.rack.is_armed
        loop.close()


def let(live: LiveRig, seconds: float) -> None:
    until_s = live.now_s + seconds - 1e-9
    while live.now_s < until_s:
        live.step()


def contactors(live: LiveRig) -> int:
    return int(live.row().value("output", "contactors"))


def do(live: LiveRig, command: Any, **keys: Any) -> None:
    live.command(CommandAction(at_s=0.0, do=command, **keys))


def state(live: LiveRig) -> int | None:
    """The last state on the bus, as the profile decodes it; takes the frames."""
    frames = live.frames()
    place = live.rig.profile.bindings["bms_state"]
    series = live.rig.profile.decoder.decode(frames).signal(place.path)
    assert place.states is not None
    known = dict(zip(place.states.raw.tolist(), place.states.canonical.tolist(), strict=True))
    return int(known[series.raw[-1]]) if len(series.raw) else None


def test_a_fault_by_hand_trips_and_can_be_cleared_reset_and_driven_again(open_live: Open) -> None:
    live = open_live("drive")
    let(live, 0.5)
    assert contactors(live) == MAINS
    label = live.inject(begin(99.0, "cell-voltage", cell=17, voltage_v=3.8))
    let(live, OPEN_S)
    assert contactors(live) == 0
    assert live.row().value("given", "cell_voltage_max_v") == pytest.approx(3.8, abs=1e-3)
    (fault,) = live.faults()
    assert (fault.label, fault.fired, fault.until_s) == (label, True, math.inf)
    assert live.clear("cell-voltage") == 1
    assert live.faults() == ()
    let(live, 6.0)
    do(live, "reset-faults")
    let(live, 0.5)
    do(live, "standby")
    let(live, 0.5)
    assert state(live) == CONTROLLER_STATES["standby"]
    do(live, "drive")
    let(live, 3.0)
    assert contactors(live) == MAINS


def test_a_second_fault_leaves_the_first_as_it_is(open_live: Open) -> None:
    live = open_live("standby")
    live.inject(begin(0.0, "current-sensor-offset", offset_a=50.0))
    live.inject(begin(0.0, "temp-sensor-offset", sensor=3, offset_k=12.0, for_s=1.0, label="warm"))
    let(live, 0.5)
    live.inject(begin(0.0, "cell-voltage", cell=2, voltage_v=3.1))
    let(live, 0.1)
    assert live.row().value("given", "pack_current_a") == pytest.approx(50.0, abs=0.5)
    assert live.row().value("given", "cell_voltage_min_v") == pytest.approx(3.1, abs=1e-3)
    assert [fault.label for fault in live.faults()] == ["current-sensor-offset", "warm", "cell-voltage"]
    assert [fault.fired for fault in live.faults()] == [True, True, True]
    let(live, 0.6)
    assert [fault.label for fault in live.faults()] == ["current-sensor-offset", "cell-voltage"]  # one has ended
    assert live.clear("current-sensor-offset") == 1
    let(live, 0.1)
    assert abs(live.row().value("given", "pack_current_a")) < 5.0
    assert live.row().value("given", "cell_voltage_min_v") == pytest.approx(3.1, abs=1e-3)


def test_a_frozen_reading_stays_frozen_when_another_fault_comes(open_live: Open) -> None:
    live = open_live("standby")
    live.inject(begin(0.0, "cell-voltage", cell=5, voltage_v=3.2))
    let(live, 0.1)
    live.inject(begin(0.0, "cell-sensor-stuck", cell=5, at="last"))
    let(live, 0.1)
    live.clear("cell-voltage")
    let(live, 0.2)
    live.inject(begin(0.0, "hvil-open"))
    let(live, 0.2)
    assert live.row().value("given", "cell_voltage_min_v") == pytest.approx(3.2, abs=1e-3)


def test_a_power_cycle_by_hand_ends_although_something_else_is_asked_meanwhile(open_live: Open) -> None:
    live = open_live("standby")
    do(live, "power-cycle", off_s=1.0)
    let(live, 0.4)
    assert live.row().value("output", "powered") == 0.0
    do(live, "standby")
    live.inject(begin(0.0, "current-sensor-offset", offset_a=5.0))
    let(live, 0.4)
    assert live.row().value("output", "powered") == 0.0
    let(live, 0.4)
    assert live.row().value("output", "powered") == 1.0


def test_what_is_due_within_the_tick_that_has_just_begun_still_happens(open_live: Open) -> None:
    live = open_live("standby")
    do(live, "power-cycle", off_s=0.335)  # back between two ticks
    let(live, 0.34)
    assert live.row().value("output", "powered") == 0.0
    live.inject(begin(0.0, "current-sensor-offset", offset_a=5.0))
    let(live, 0.02)
    assert live.row().value("output", "powered") == 1.0


def test_a_request_during_a_reset_request_is_not_taken_back_when_that_ends(open_live: Open) -> None:
    live = open_live("standby")
    do(live, "reset-faults")
    let(live, 0.1)
    do(live, "drive")
    let(live, 4.0)
    assert contactors(live) == MAINS


def test_a_wrong_fault_is_refused_and_the_rig_goes_on(open_live: Open) -> None:
    live = open_live("standby")
    live.inject(begin(0.0, "current-sensor-offset", offset_a=5.0))
    with pytest.raises(RigError, match="1 to 192"):
        live.inject(begin(0.0, "cell-voltage", cell=193, voltage_v=3.8))
    with pytest.raises(RigError):
        live.inject(FaultAction(at_s=0.0, fault="no-such-fault"))
    let(live, 0.1)
    assert [fault.label for fault in live.faults()] == ["current-sensor-offset"]


def test_rows_and_events_of_the_kernel_can_be_planned_too(open_live: Open) -> None:
    live = open_live("standby")
    let(live, 0.05)
    live.plan((), (Fault(Point.SENSE_PACK_V, Op.SET, -1, 555.0),))
    live.inject(begin(0.0, "current-sensor-offset", offset_a=5.0))
    let(live, 0.1)
    assert live.row().value("given", "pack_voltage_v") == pytest.approx(555.0)
    with pytest.raises(UsageError, match="state of charge"):
        live.plan((Event(10**15, EventKind.SOC, value=7.0),), ())
    let(live, 0.1)
    assert live.row().value("given", "pack_voltage_v") == pytest.approx(555.0)


def test_frames_come_once_and_their_time_counts_from_the_start_state(open_live: Open) -> None:
    live = open_live("drive")
    let(live, 0.3)
    first = live.frames()
    assert len(live.frames()) == 0
    let(live, 0.3)
    second = live.frames()
    commands = [int(t_ns) for frames in (first, second) for t_ns in frames.t_ns[frames.id == 0x200]]
    assert len(commands) in (59, 60, 61)
    assert commands == sorted(commands)
    assert 0 <= commands[0] <= 20_000_000
    assert commands[-1] <= 610_000_000


def test_what_is_not_recorded_is_nan(open_live: Open) -> None:
    live = open_live("standby")
    assert math.isnan(live.row().value("given", "cell_voltage_max_v"))  # before the first step
    live.step()
    assert math.isnan(live.row().value("given", "no_such_quantity"))


def test_a_person_who_waits_long_makes_no_burst(open_live: Open) -> None:
    live = open_live("standby")
    let(live, 0.1)
    clock = open_live.clock
    clock.sleep_until_ns(clock.now_ns() + 5_000_000_000)
    before_ns = clock.now_ns()
    let(live, 0.1)
    assert clock.now_ns() - before_ns == pytest.approx(100_000_000, abs=11_000_000)


def test_all_the_time_in_which_only_the_controller_went_on_makes_times_uncertain() -> None:
    bench = load_bench(rigs_folder() / "bench" / "ebus-lfp-box.toml")
    loop = Loop(bench.rig)
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        live = session.live("standby")
        let(live, 0.1)
        punctual_s = live.header()["timing_s"]
        before_ns, before_s = loop.clock.now_ns(), live.now_s
        loop.clock.sleep_until_ns(before_ns + 300_000_000)
        let(live, 0.1)
        stood_still_s = (loop.clock.now_ns() - before_ns) / 1e9 - (live.now_s - before_s)
        assert stood_still_s == pytest.approx(0.3)
        assert live.header()["late_max_s"] >= stood_still_s - 1e-9
        assert live.header()["timing_s"] >= punctual_s + stood_still_s - 0.005  # overrun_ms is in the first already
    loop.close()


def test_a_bench_refuses_by_hand_what_it_cannot_make_and_fails_once() -> None:
    bench = load_bench(rigs_folder() / "bench" / "ebus-lfp-box.toml")
    loop = Loop(bench.rig)
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        live = session.live("standby")
        with pytest.raises(RigError, match="clock of a real controller"):
            live.inject(begin(0.0, "clock-drift", error_pct=1.0))
        let(live, 0.1)

        def broken(_: Inputs) -> str:
            return "cells does not answer"

        loop.rack.broken = broken
        with pytest.raises(BenchError, match="does not answer"):
            live.step()
        assert not loop.rack.is_armed
        with pytest.raises(BenchError, match="failed before"):
            live.step()
    loop.close()


def test_a_virtual_rig_keeps_to_the_wall_clock() -> None:
    clock = WallClock()
    with VirtualRealtime(load_rig(rigs_folder() / "ebus-lfp.toml"), clock) as live:
        before_ns = clock.now_ns()
        let(live, 0.3)
        assert clock.now_ns() - before_ns >= 290_000_000
        assert live.lateness().ticks == 30
