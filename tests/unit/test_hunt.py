# SPDX-License-Identifier: Apache-2.0
"""Hunting a defect, against firmware that is a function of the scenario: what counts as a kill and what does not."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest

from harness.errors import FirmwareError
from harness.requirements.model import Trip
from harness.rig.defectfile import Defect
from harness.rig.fleet import Fleet
from harness.rig.hunt import Kill, KillOutcome, by_affinity, hunt
from harness.rig.jobs import perform
from harness.rig.process import Worker, WorkerOptions
from harness.rig.surveys import Sighting, SurveyJob
from harness.rig.vacuity import vacuity
from harness.rig.wire import from_line, to_line
from harness.scenario import Scenario, begin
from harness.search.coverage import FaultSpace
from harness.search.runner import Case
from harness.trace import FaultRecord
from harness.verdict import Exercised, Outcome, Verdict

NAMES = ("PRT-A-1", "PRT-B-1")
Firmware = Callable[[Scenario], Case]


def defect(number: int = 1, requirement: str = "PRT-A-1") -> Defect:
    return Defect(id=number, name=f"defect {number}", story="a story", requirement=requirement)


def scenario(*volts: float, title: str = "") -> Scenario:
    actions = tuple(begin(1.0 + n, "cell-voltage", cell=5, voltage_v=volt) for n, volt in enumerate(volts))
    return Scenario(rig="toy", title=title, duration_s=9.0, action=actions)


def case(played: Scenario, *failed: str, error: str = "") -> Case:
    if error:
        return Case(played, tuple(Verdict(name, Outcome.ERROR) for name in NAMES), error)
    verdicts = tuple(
        Verdict(name, Outcome.FAIL if name in failed else Outcome.PASS, Exercised(1, 0), reason=f"{name} broken")
        for name in NAMES
    )
    return Case(played, verdicts)


def above(limit_v: float, *failed: str, error: str = "") -> Firmware:
    """Fails, or breaks off, when any cell is above the limit."""

    def run(played: Scenario) -> Case:
        high = any(action.parameters["voltage_v"] > limit_v for action in played.actions if action.fault)  # type: ignore[union-attr]
        return case(played, *failed, error=error) if high else case(played)

    return run


class Runner:
    def __init__(self, firmware: Firmware) -> None:
        self._firmware = firmware
        self.played = 0

    def run(self, played: Scenario) -> Case:
        self.played += 1
        return self._firmware(played)


def no_space(rig: str) -> FaultSpace:
    raise AssertionError(f"a hunt asked for the fault space of {rig}")


def drive(task: Any, firmware: Firmware) -> tuple[Kill, int]:
    """Answer a task's jobs in this process, through the wire; the kill and how many scenarios were played."""
    runner = Runner(firmware)
    answers: list[Any] | None = None
    while True:
        try:
            job = next(task) if answers is None else task.send(answers)
        except StopIteration as end:
            return end.value, runner.played
        message = from_line(to_line(job.message()))
        answers = [job.answer(from_line(to_line(perform(message, runner, NAMES, no_space))), NAMES)]


SUITE = (scenario(3.3), scenario(3.4, 3.5), scenario(3.6, 3.9, 3.5), scenario(4.2))


def test_a_defect_is_caught_by_the_requirement_named_for_it_and_its_scenario_made_small() -> None:
    kill, _ = drive(hunt(defect(), SUITE), above(3.8, "PRT-A-1"))
    assert (KillOutcome.CAUGHT, "PRT-A-1", 3) == (kill.outcome, kill.caught_by, kill.examples)
    assert kill.scenario is not None
    assert 1 == len(kill.scenario.action)
    assert "PRT-A-1 broken" == kill.reason


def test_what_another_requirement_fails_on_is_told_apart() -> None:
    kill, _ = drive(hunt(defect(), SUITE), above(3.8, "PRT-B-1"))
    assert (KillOutcome.CAUGHT_BY_OTHER, "PRT-B-1", ("PRT-B-1",)) == (kill.outcome, kill.caught_by, kill.killers)


def test_a_defect_that_nothing_fails_on_is_missed_after_the_whole_suite() -> None:
    kill, _ = drive(hunt(defect(), SUITE), above(9.9))
    assert (KillOutcome.MISSED, "", 4, None) == (kill.outcome, kill.caught_by, kill.examples, kill.scenario)


def test_a_crash_is_an_error_and_never_a_kill() -> None:
    kill, _ = drive(hunt(defect(), SUITE), above(3.8, "PRT-A-1", error="bms.c:7: assert"))
    assert (KillOutcome.ERROR, (), 2, "bms.c:7: assert") == (kill.outcome, kill.killers, kill.errors, kill.error)


def test_a_crash_outweighs_what_another_requirement_failed_on_but_not_the_named_one() -> None:
    def firmware(failed: str) -> Firmware:
        crashes, fails = above(4.1, error="boom"), above(3.8, failed)
        return lambda played: crashes(played) if crashes(played).error else fails(played)

    assert KillOutcome.ERROR is drive(hunt(defect(), SUITE), firmware("PRT-B-1"))[0].outcome
    assert KillOutcome.CAUGHT is drive(hunt(defect(), SUITE), firmware("PRT-A-1"))[0].outcome


def test_it_stops_at_the_kill_unless_asked_for_all_killers() -> None:
    def firmware(played: Scenario) -> Case:
        late = above(4.1, "PRT-A-1", "PRT-B-1")(played)
        return late if len(played.actions) == 1 else above(3.8, "PRT-A-1")(played)

    assert ("PRT-A-1",) == drive(hunt(defect(), SUITE), firmware)[0].killers
    assert ("PRT-A-1", "PRT-B-1") == drive(hunt(defect(), SUITE, full=True), firmware)[0].killers


def test_the_same_suite_and_firmware_give_the_same_kill() -> None:
    results = [drive(hunt(defect(), SUITE), above(3.8, "PRT-A-1")) for _ in range(2)]
    assert results[0] == results[1]


def test_firmware_that_does_not_boot_is_an_error() -> None:
    task = hunt(defect(), SUITE)
    next(task)
    with pytest.raises(StopIteration) as end:
        task.throw(FirmwareError("refused its configuration"))
    assert (KillOutcome.ERROR, "refused its configuration") == (end.value.value.outcome, end.value.value.error)


def test_scenarios_come_in_the_order_in_which_they_are_likely_to_fail() -> None:
    sightings = [
        Sighting(scenario(1.0, title="other far"), must=("PRT-B-1",)),
        Sighting(scenario(2.0, title="near"), must_not=("PRT-A-1",)),
        Sighting(scenario(3.0, title="demanded"), must=("PRT-A-1",)),
        Sighting(scenario(4.0, title="PRT-A-1 far")),
    ]
    ordered = [found.title for found in by_affinity("PRT-A-1", sightings)]
    assert ["PRT-A-1 far", "demanded", "near", "other far"] == ordered


# ---------------------------------------------------------------------------------------- worth of a requirement


def trip(identifier: str) -> Trip:
    return Trip(
        id=identifier, title="a protection", source=("test",), quantity="hvil_closed", below=0.5, confirm_s=(0.1, 0.2),
        flag="fault.hvil", flag_within_s=0.2,
    )  # fmt: skip


def test_a_requirement_is_worth_what_it_alone_kills_and_counts_only_faults_that_fired() -> None:
    two = scenario(3.9, 4.0)
    seen = [
        Sighting(two, must=("PRT-A-1",), fired=(True, False)),
        Sighting(scenario(), must_not=("PRT-A-1",)),
    ]
    kills = [
        Kill(defect(1), KillOutcome.CAUGHT, "PRT-A-1", killers=("PRT-A-1",)),
        Kill(defect(2, "PRT-B-1"), KillOutcome.CAUGHT_BY_OTHER, "PRT-A-1", killers=("PRT-A-1", "PRT-C-1")),
    ]
    first, second = vacuity([trip("PRT-A-1"), trip("PRT-B-1")], seen, kills)
    assert ((1, 2), (1,), (1,), True) == (first.kills, first.only, first.named, first.verified)
    assert (1, 1, {"cell-voltage": 1, "": 1}) == (first.must, first.must_not, first.fired)
    assert ((), (2,), False) == (second.kills, second.named, second.verified)


# -------------------------------------------------------------------------------------------- parallel processes


class FakeWorker:
    """A worker that answers at once, or dies on a scenario with a voltage of 13 V."""

    started: Sequence[int] = ()

    def __init__(self, options: WorkerOptions, *, now_ns: int) -> None:
        FakeWorker.started = (*FakeWorker.started, options.defect)
        self.ready = False
        self.at_end = False
        self.requirements = NAMES
        self.busy_since_ns = now_ns
        self.output, self._input = os.pipe()
        self._answers: deque[Mapping[str, Any]] = deque()
        self._runner = Runner(above(3.8, "PRT-A-1") if options.defect == 1 else above(3.8, "PRT-B-1"))

    def send(self, place: tuple[int, int], message: Mapping[str, Any], *, now_ns: int) -> None:
        del place, now_ns
        self.ready = True
        if "13.0" in str(message):
            self.at_end = True
        else:
            self._answers.append({"answer": from_line(to_line(perform(message, self._runner, NAMES, no_space)))})
        os.write(self._input, b"x")

    def receive(self, *, now_ns: int) -> Iterator[Mapping[str, Any]]:
        del now_ns
        os.read(self.output, 100)
        while self._answers:
            yield self._answers.popleft()

    def finished(self, *, now_ns: int) -> None:
        self.busy_since_ns = now_ns

    def obituary(self) -> str:
        return "the worker was killed by SIGSEGV"

    def kill(self) -> None:
        if self.output >= 0:
            os.close(self.output)
            os.close(self._input)
            self.output = -1


def start(options: WorkerOptions, *, now_ns: int) -> Worker:
    return FakeWorker(options, now_ns=now_ns)  # type: ignore[return-value] # a fake of what the fleet uses


def run_fleet(defects: Sequence[Defect], suite: Sequence[Scenario], tmp: Any) -> dict[int, Kill]:
    FakeWorker.started = ()
    tasks = ((WorkerOptions(rig=tmp, defect=one.id), hunt(one, suite)) for one in defects)
    with Fleet[Kill](jobs=2, start=start) as fleet:
        return {finished.number: finished.result for finished in fleet.run(tasks)}


def test_every_defect_has_a_worker_of_its_own_and_its_own_result(tmp_path: Any) -> None:
    kills = run_fleet([defect(1), defect(2), defect(3)], SUITE, tmp_path)
    outcomes = [kills[number].outcome for number in range(3)]
    assert [KillOutcome.CAUGHT, KillOutcome.CAUGHT_BY_OTHER, KillOutcome.CAUGHT_BY_OTHER] == outcomes
    assert [1, 2, 3] == sorted(FakeWorker.started)


def test_a_scenario_that_takes_the_worker_down_is_found_and_the_others_still_count(tmp_path: Any) -> None:
    deadly = (scenario(3.3), scenario(13.0), scenario(4.2))
    kills = run_fleet([defect(1), defect(2)], deadly, tmp_path)
    assert (KillOutcome.CAUGHT, 3, 1) == (kills[0].outcome, kills[0].examples, kills[0].errors)
    assert (KillOutcome.ERROR, "the worker was killed by SIGSEGV") == (kills[1].outcome, kills[1].error)


def test_what_fired_is_told_per_fault() -> None:
    records = tuple(FaultRecord("", "cell-voltage", 1.0, 9.0, fired, None) for fired in (True, False))
    job_case = Case(scenario(3.9, 4.0), case(scenario()).verdicts, faults=records)

    class One:
        def run(self, played: Scenario) -> Case:
            del played
            return job_case

    job = SurveyJob((job_case.scenario,))
    sighting = job.answer(from_line(to_line(perform(job.message(), One(), NAMES, no_space))), NAMES)[0]
    assert ((True, False), ("cell-voltage",)) == (sighting.fired, sighting.kinds)
