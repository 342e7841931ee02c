# SPDX-License-Identifier: Apache-2.0
"""The loop of the bench against a served controller, in one process and as fast as the machine can: the same scenarios
give the same verdicts as on the virtual rig, and what a bench cannot tell is told as that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import pytest

from harness.bench.file import Bench, load_bench
from harness.bench.refusals import bench_problems
from harness.bench.session import BenchRun, BenchSession
from harness.canbus.portmodel import PortFrame
from harness.instruments.model import Inputs
from harness.kernel.config import Node
from harness.rig.resources import rigs_folder
from harness.rig.session import Run, Session
from harness.search.boundary import grids
from harness.verdict import Outcome
from tests.bench.inprocess import OVERVOLTAGE, Loop, outcome, scenario

GRID_SCENARIOS = 42
LONGEST_S = 10.0
NS_PER_S = 1_000_000_000


@pytest.fixture(scope="module")
def bench() -> Bench:
    return load_bench(rigs_folder() / "bench" / "ebus-lfp-box.toml")


@pytest.fixture(scope="module")
def virtual(bench: Bench) -> Iterator[Session]:
    with Session(bench.rig) as session:
        yield session


@pytest.fixture
def loop(bench: Bench) -> Iterator[Loop]:
    made = Loop(bench.rig)
    yield made
    made.close()


def outcomes(run: Run) -> dict[str, Outcome]:
    return {verdict.requirement: verdict.outcome for verdict in run.verdicts}


# ---- the same verdicts


def test_an_overvoltage_trips_and_one_below_the_limit_does_not(bench: Bench, loop: Loop, virtual: Session) -> None:
    below = {**OVERVOLTAGE, "voltage_v": 3.70}
    # the second ends before the imbalance of 0.4 V, which trips too, is confirmed (5 to 10 s)
    scenarios = (scenario(OVERVOLTAGE), scenario(below, duration_s=6.9))
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        tripped, held = (session.run(item) for item in scenarios)
    assert outcome(tripped, "PRT-OV-3") is Outcome.PASS
    assert tripped.trace.columns["output"]["contactors"][-1] == 0
    assert held.trace.columns["output"]["contactors"][-1] == 3
    assert [outcomes(virtual.run(item)) for item in scenarios] == [outcomes(tripped), outcomes(held)]


def test_boundary_scenarios_give_the_verdicts_of_the_virtual_rig(bench: Bench, loop: Loop, virtual: Session) -> None:
    every = grids(virtual.requirements, virtual.bounds, rig="ebus-lfp")
    playable = [item for item in every if not bench_problems(item, virtual.bounds) and item.duration_s <= LONGEST_S]
    assert len(playable) > 300
    chosen = playable[:: len(playable) // GRID_SCENARIOS][:GRID_SCENARIOS]
    different = set()
    passed: set[str] = set()
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        for item in chosen:
            there, here = session.run(item, keep=False), virtual.run(item, keep=False)
            assert there.error == "", item.title
            passed |= {name for name, found in outcomes(there).items() if found is Outcome.PASS}
            pairs = ((name, found, outcomes(there)[name]) for name, found in outcomes(here).items())
            different |= {(item.title, *pair) for pair in pairs if pair[1] is not pair[2]}
    # In lock-step the contactor closes in the very tick in which the link reaches 95 %, inside the band; a controller
    # with a clock of its own closes it a tick later, when the link is surely there.
    undecided = ("SEQ-PRE-1", Outcome.INCONCLUSIVE, Outcome.PASS)
    assert {item for item in different if item[1:] != undecided} == set()
    assert len(passed) > 40


# ---- a late host


@pytest.mark.parametrize("late_ms", [400, 80])
def test_a_late_host_neither_fails_nor_passes_what_depends_on_time(bench: Bench, loop: Loop, late_ms: int) -> None:
    played = scenario({"at_s": 2.0, "fault": "hvil-open"}, OVERVOLTAGE)
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        loop.clock.late = once_it_drives(loop, late_ms)
        late = session.run(played)
        loop.clock.late = lambda _: 0
        punctual = session.run(played)
    assert isinstance(late, BenchRun)
    assert late.error == ""
    assert late.trace.header["overruns"] == late.overruns > 10
    assert late.lateness.max_s == pytest.approx(late_ms / 1000.0, abs=0.011)
    assert late.trace.header["timing_s"] >= late_ms / 1000.0
    assert [verdict for verdict in late.verdicts if verdict.outcome is Outcome.FAIL] == []
    assert outcome(late, "PRT-HVIL-3") is Outcome.INCONCLUSIVE  # confirmed after 80 to 120 ms
    assert outcome(punctual, "PRT-HVIL-3") is Outcome.PASS
    assert punctual.trace.header["overruns"] == 0


def test_a_host_within_what_the_bench_file_allows_costs_no_verdict(bench: Bench, loop: Loop) -> None:
    played = scenario({"at_s": 2.0, "fault": "hvil-open"}, OVERVOLTAGE)
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        loop.clock.late = once_it_drives(loop, 4)  # overrun_ms is 5
        late, loop.clock.late = session.run(played), lambda _: 0
        punctual = session.run(played)
    assert late.trace.header["overruns"] == 0
    assert late.trace.header["late_max_s"] == pytest.approx(0.004, abs=1e-6)
    assert outcomes(late) == outcomes(punctual)


def test_a_controller_that_is_too_slow_fails(bench: Bench, loop: Loop) -> None:
    slow = loop.slow_frames(0.9)  # its flags reach the bus 0.9 s late; 0.2 s are allowed
    with BenchSession(bench, slow, loop.rack, clock=loop.clock) as session:
        run = session.run(scenario(OVERVOLTAGE, start="standby"))
    assert outcome(run, "PRT-OV-3") is Outcome.FAIL


def test_a_controller_does_not_fail_for_frames_the_adapter_lost(bench: Bench, loop: Loop) -> None:
    slow = loop.slow_frames(0.9)

    def overrun(inputs: Inputs) -> str:
        slow.missing = 1 if inputs.cell_voltage_v.max() > 3.75 else 0
        return ""

    loop.rack.broken = overrun
    with BenchSession(bench, slow, loop.rack, clock=loop.clock) as session:
        run = session.run(scenario(OVERVOLTAGE, start="standby"))
    assert outcome(run, "PRT-OV-3") is Outcome.INCONCLUSIVE
    assert run.trace.header["frames_missing"] == 1


def test_a_limit_within_what_the_instruments_err_by_decides_nothing(bench: Bench) -> None:
    found = []
    for accuracy_v in (0.001, 0.1):  # the fault is 50 mV beyond the limit
        loop = Loop(bench.rig, accuracy={"cell_voltage_v": accuracy_v})
        with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
            found.append(outcome(session.run(scenario(OVERVOLTAGE, start="standby")), "PRT-OV-3"))
        loop.close()
    assert found == [Outcome.PASS, Outcome.INCONCLUSIVE]


def test_an_instrument_that_stands_still_between_two_steps_fails_no_controller(bench: Bench, loop: Loop) -> None:
    def hold(inputs: Inputs) -> str:
        if loop.rack.driven.contactor_positive and loop.rack.held_cells_v is None:
            loop.rack.held_cells_v = inputs.cell_voltage_v.copy()
        return ""

    loop.rack.broken = hold
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        run = session.run(scenario(duration_s=30.0))
    (frozen,) = (item.id for item in session.requirements if getattr(item, "quantity", "") == "cell_frozen_a")
    (verdict,) = (item for item in run.verdicts if item.requirement == frozen)
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "the instrument gives steps" in verdict.reason


def once_it_drives(loop: Loop, late_ms: int) -> Callable[[int], int]:
    """A host that stands still for a while four times a second, from 2.5 s after the contactors have closed: before, a
    late answer of the auxiliary contacts keeps any controller from driving.
    """
    closed_ns, last_ns, late_ns = [0], [0], late_ms * 1_000_000

    def late(when_ns: int) -> int:
        closed_ns[0] = (closed_ns[0] or when_ns) if loop.rack.driven.contactor_positive else 0
        drives = closed_ns[0] and when_ns - closed_ns[0] > 2.5 * NS_PER_S
        if not drives or when_ns - last_ns[0] < NS_PER_S // 4 + late_ns:
            return 0
        last_ns[0] = when_ns
        return late_ns

    return late


def test_old_readings_and_slow_instruments_widen_the_time_of_their_run_only(bench: Bench, loop: Loop) -> None:
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        loop.rack.age_s, loop.rack.latency_s = 0.03, 0.004
        old = session.run(scenario(start="standby", duration_s=0.5)).trace.header
        loop.rack.age_s = 0.01
        new = session.run(scenario(start="standby", duration_s=0.5)).trace.header
    # tick and frames of a virtual rig, latency, age, and what the bench file allows a tick to be late
    assert old["timing_s"] == pytest.approx(0.012 + 0.004 + 0.03 + 0.005)
    assert new["timing_s"] == pytest.approx(0.012 + 0.004 + 0.01 + 0.005)


# ---- what the trace says


def test_what_nobody_could_see_is_not_in_the_trace(bench: Bench, loop: Loop) -> None:
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        run = session.run(scenario(start="standby", duration_s=0.5))
    assert run.observation.output("balancing_count") is None
    assert "can_state" not in run.trace.columns["given"]
    assert run.observation.given("cell_voltage_max_v") is not None


def test_frames_have_the_times_at_which_they_left_and_came(bench: Bench, loop: Loop) -> None:
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        run = session.run(scenario(start="drive", duration_s=2.0))
    frames = run.trace.frames
    assert (frames.t_ns[1:] >= frames.t_ns[:-1]).all()
    command = frames.t_ns[frames.id == 0x200].astype(int)  # VCU_Command, every 10 ms
    assert len(command) in (199, 200, 201)
    assert set((command[1:] - command[:-1]).tolist()) == {10_000_000}
    assert set(frames.node[frames.id == 0x200].tolist()) == {1}
    assert set(frames.node[frames.id == 0x100].tolist()) == {0}


def test_what_was_still_to_be_sent_in_one_scenario_is_not_sent_in_the_next(bench: Bench, loop: Loop) -> None:
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        late = {"at_s": 0.1, "fault": "message-late", "message": "VCU_Command", "delay_s": 0.3}
        session.run(scenario(late, start="standby", duration_s=0.5))
        frames = session.run(scenario(start="standby", duration_s=1.0)).trace.frames
    assert int((frames.id == 0x200).sum()) in (99, 100, 101)
    assert set(np.diff(frames.t_ns[frames.id == 0x200].astype(int)).tolist()) == {10_000_000}


def test_the_recorder_gets_every_frame_of_both_sides(bench: Bench, loop: Loop) -> None:
    seen: list[PortFrame] = []

    class Log:
        def append(self, frames: Sequence[PortFrame]) -> None:
            seen.extend(frames)

    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock, recorder=Log()) as session:
        session.run(scenario(start="standby", duration_s=0.5))
    sent = [frame for frame in seen if frame.own]
    assert len(sent) == len(loop.port.sent)
    assert any(frame.id == 0x100 for frame in seen if not frame.own)
    assert [frame.t_ns for frame in seen] == sorted(frame.t_ns for frame in seen)


def test_a_stranger_who_sends_what_the_harness_sends_is_not_taken_for_the_controller(bench: Bench, loop: Loop) -> None:
    def interfere(_: Inputs) -> str:
        loop.far_port.send(PortFrame(0, 0x200, bytes(8)))
        return ""

    loop.rack.broken = interfere
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        frames = session.run(scenario(start="standby", duration_s=0.5)).trace.frames
    assert set(frames.node[frames.id == 0x200].tolist()) == {Node.VEHICLE, Node.FOREIGN}


def test_an_echo_replaces_the_time_of_its_frame(bench: Bench, loop: Loop) -> None:
    echoing = loop.echoing(0.002)
    with BenchSession(bench, echoing, loop.rack, clock=loop.clock) as session:
        plain = session.run(scenario(start="drive", duration_s=1.0))
    frames = plain.trace.frames
    assert int((frames.id == 0x200).sum()) in (99, 100, 101)
    told = frames.t_ns[frames.id == 0x200].astype(int)[:-1]  # the echo of the last comes after the end
    assert set((told % 10_000_000).tolist()) == {2_000_000}
