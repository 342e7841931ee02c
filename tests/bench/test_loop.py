# SPDX-License-Identifier: Apache-2.0
"""The loop of the bench against a served controller, in one process and as fast as the machine can: the same scenarios
give the same verdicts as on the virtual rig, and nothing that goes wrong leaves the bench energised.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from harness.bench.file import Bench, load_bench
from harness.bench.refusals import bench_problems
from harness.bench.session import BenchRun, BenchSession
from harness.canbus.portmodel import PortFrame
from harness.errors import BenchError, RigError
from harness.instruments.model import Inputs
from harness.kernel.config import Node
from harness.rig.resources import rigs_folder
from harness.rig.session import Run, Session
from harness.scenario import Scenario
from harness.search.boundary import grids
from harness.verdict import Outcome
from tests.bench.inprocess import Loop

OVERVOLTAGE = {"at_s": 2.0, "fault": "cell-voltage", "cell": 17, "voltage_v": 3.80}
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


def scenario(*actions: dict[str, Any], **frame: Any) -> Scenario:
    return Scenario.model_validate({"rig": "ebus-lfp", "action": actions, **frame})


def outcome(run: Run, requirement: str) -> Outcome:
    return next(verdict.outcome for verdict in run.verdicts if verdict.requirement == requirement)


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


# ---- nothing leaves the bench energised


def test_the_order_is_identify_guardian_check_arm_run_safe_release(bench: Bench, loop: Loop) -> None:
    calls = loop.rack.calls
    watch = FakeWatch(calls)
    with BenchSession(
        bench,
        loop.port,
        loop.rack,
        clock=loop.clock,
        guardian=watch.start,
        live_check=lambda: calls.append("live check"),
    ) as session:
        session.run(scenario(start="standby", duration_s=0.5))
        session.run(scenario(start="standby", duration_s=0.5))
    once = ["arm", "beat", "safe", "rest"]
    assert without_repeats(calls) == ["identify", "guard", "live check", *once, *once, "safe", "rest", "release"]


def test_every_tick_is_told_to_the_guardian(bench: Bench, loop: Loop) -> None:
    watch = FakeWatch([])
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock, guardian=watch.start) as session:
        session.run(scenario(start="standby", duration_s=1.0))
    assert watch.calls.count("beat") >= 100


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ZeroDivisionError(), MemoryError()])
def test_whatever_ends_a_run_leads_to_the_safe_state(bench: Bench, loop: Loop, error: BaseException) -> None:
    def broken(inputs: Inputs) -> str:
        if inputs.cell_voltage_v.max() > 3.75:
            raise error
        return ""

    loop.rack.broken = broken
    session = BenchSession(bench, loop.port, loop.rack, clock=loop.clock).__enter__()
    with pytest.raises(type(error)):
        session.run(scenario(OVERVOLTAGE))
    assert not loop.rack.is_armed  # at once, not only when the session ends
    assert loop.rack.calls.count("safe") == 2  # by the loop, and by the session that looks after it
    session.close()
    assert loop.rack.calls[-1] == "safe"


def test_an_instrument_that_fails_ends_the_run_with_its_record_and_latches(bench: Bench, loop: Loop) -> None:
    loop.rack.broken = lambda inputs: "cells does not answer" if inputs.cell_voltage_v.max() > 3.75 else ""
    told: list[BenchError] = []
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock, on_failure=told.append) as session:
        run = session.run(scenario(OVERVOLTAGE))
        assert not loop.rack.is_armed
        assert "cells does not answer" in run.error
        assert {verdict.outcome for verdict in run.verdicts} == {Outcome.ERROR}
        assert run.trace.duration_s == pytest.approx(2.0, abs=0.02)
        assert len(run.trace.frames) > 100
        with pytest.raises(BenchError, match="failed before"):
            session.run(scenario(duration_s=0.5))
        assert not loop.rack.is_armed
    assert [str(error) for error in told] == ["cells does not answer"]


def test_an_adapter_that_is_pulled_is_a_bench_error_and_safe(bench: Bench, loop: Loop) -> None:
    def pull(inputs: Inputs) -> str:
        loop.port.lost = bool(inputs.cell_voltage_v.max() > 3.75)
        return ""

    loop.rack.broken = pull
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        run = session.run(scenario(OVERVOLTAGE))
        assert "adapter is gone" in run.error
        assert not loop.rack.is_armed


def test_an_adapter_pulled_while_it_boots_is_one_too(bench: Bench, loop: Loop) -> None:
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        loop.rack.broken = lambda _: setattr(loop.port, "lost", True) or ""  # type: ignore[func-returns-value]
        run = session.run(scenario(start="standby", duration_s=0.5))
    assert "adapter is gone" in run.error
    assert {verdict.outcome for verdict in run.verdicts} == {Outcome.ERROR}


def test_when_the_safe_state_is_not_reached_the_guardian_puts_outputs_off(bench: Bench, loop: Loop) -> None:
    watch = FakeWatch([])
    session = BenchSession(bench, loop.port, loop.rack, clock=loop.clock, guardian=watch.start).__enter__()
    loop.rack.unsafe = True
    run = session.run(scenario(start="standby", duration_s=0.5))
    assert "does not answer" in run.error
    assert "put off" in watch.calls
    with pytest.raises(BenchError, match="does not answer"):
        session.close()
    assert watch.calls[-1] == "release"


def test_outputs_are_put_off_although_the_latch_cannot_be_written(bench: Bench, loop: Loop) -> None:
    def full_disk(_: BenchError) -> None:
        raise BenchError("the latch of the bench cannot be kept: no space left")

    watch = FakeWatch([])
    session = BenchSession(
        bench, loop.port, loop.rack, clock=loop.clock, guardian=watch.start, on_failure=full_disk
    ).__enter__()
    session.live("standby").step()
    loop.rack.unsafe = True
    with pytest.raises(BenchError, match="no space left"):
        session.close()
    assert watch.calls[-2:] == ["put off", "release"]


def test_an_interrupt_on_the_way_to_the_safe_state_begins_it_again(bench: Bench, loop: Loop) -> None:
    watch = FakeWatch([])
    session = BenchSession(bench, loop.port, loop.rack, clock=loop.clock, guardian=watch.start).__enter__()
    session.live("standby").step()
    loop.rack.interrupted = True
    with pytest.raises(KeyboardInterrupt):
        session.close()
    assert not loop.rack.is_armed
    assert watch.calls[-2:] == ["rest", "release"]


def test_an_interrupt_while_the_next_scenario_is_armed_leads_to_the_safe_state_at_once(
    bench: Bench, loop: Loop
) -> None:
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        session.run(scenario(start="standby", duration_s=0.5))
        loop.rack.interrupted = True
        with pytest.raises(KeyboardInterrupt):
            session.run(scenario(start="standby", duration_s=0.5))
        assert not loop.rack.is_armed


def test_a_guardian_lost_while_the_supply_is_off_leads_to_the_safe_state_at_once(bench: Bench, loop: Loop) -> None:
    watch = FakeWatch([])
    watch.lost = lambda: loop.rack.is_armed
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock, guardian=watch.start) as session:
        run = session.run(scenario(start="standby", duration_s=0.5))
        assert "guardian was killed" in run.error
        assert not loop.rack.is_armed


def test_what_was_recorded_until_the_guardian_was_lost_is_kept(bench: Bench, loop: Loop) -> None:
    watch = FakeWatch([])
    watch.lost = lambda: loop.rack.current is not None and loop.rack.current.cell_voltage_v.max() > 3.75
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock, guardian=watch.start) as session:
        run = session.run(scenario(OVERVOLTAGE))
    assert "guardian was killed" in run.error
    assert run.trace.duration_s == pytest.approx(2.0, abs=0.02)
    assert len(run.trace.frames) > 100


def test_a_live_pack_is_not_energised(bench: Bench, loop: Loop) -> None:
    def live() -> None:
        raise BenchError("the pack is live: contactor_positive is driven")

    session = BenchSession(bench, loop.port, loop.rack, clock=loop.clock, live_check=live)
    with pytest.raises(BenchError, match="is live"), session:
        pass
    assert "arm" not in loop.rack.calls


def test_a_fault_that_a_bench_cannot_make_is_refused_before_anything_is_energised(bench: Bench, loop: Loop) -> None:
    impossible = scenario(
        {"at_s": 1.0, "fault": "nvm-erased"},
        {"at_s": 1.5, "fault": "hvil-open"},
        {"at_s": 2.0, "fault": "frame-drop", "frame": "dut"},
        {"at_s": 2.5, "fault": "frame-drop", "frame": "vehicle"},
    )
    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        with pytest.raises(RigError) as refused:
            session.run(impossible)
        assert "arm" not in loop.rack.calls
    found = [(problem.key, problem.found) for problem in refused.value.problems]
    assert found == [("action[1].fault", "'nvm-erased'"), ("action[3].fault", "'frame-drop'")]
    assert "memory of a real controller" in refused.value.problems[0].allowed


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


# ---- helpers


class FakeWatch:
    """A guardian that only writes down what it is told."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls
        self.lost: Callable[[], bool] = lambda: False

    def start(self) -> FakeWatch:
        self.calls.append("guard")
        return self

    def beat(self) -> None:
        self.calls.append("beat")
        if self.lost():
            raise BenchError("the guardian was killed")

    def rest(self) -> None:
        self.calls.append("rest")

    def put_off(self) -> object:
        self.calls.append("put off")
        return ()

    def release(self) -> None:
        self.calls.append("release")


def without_repeats(calls: Sequence[str]) -> list[str]:
    return [call for place, call in enumerate(calls) if place == 0 or call != calls[place - 1]]
