# SPDX-License-Identifier: Apache-2.0
"""Nothing that goes wrong in the loop of the bench leaves it energised: a served controller in one process again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytest

from harness.bench.file import Bench, load_bench
from harness.bench.session import BenchSession
from harness.errors import BenchError, RigError
from harness.instruments.model import Inputs
from harness.rig.resources import rigs_folder
from harness.verdict import Outcome
from tests.bench.inprocess import OVERVOLTAGE, FakeWatch, Loop, scenario


@pytest.fixture(scope="module")
def bench() -> Bench:
    return load_bench(rigs_folder() / "bench" / "ebus-lfp-box.toml")


@pytest.fixture
def loop(bench: Bench) -> Iterator[Loop]:
    made = Loop(bench.rig)
    yield made
    made.close()


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
    def pulled(_: object) -> str:
        loop.port.lost = True
        return ""

    with BenchSession(bench, loop.port, loop.rack, clock=loop.clock) as session:
        loop.rack.broken = pulled
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


def without_repeats(calls: Sequence[str]) -> list[str]:
    return [call for place, call in enumerate(calls) if place == 0 or call != calls[place - 1]]
