# SPDX-License-Identifier: Apache-2.0
"""Worker processes: firmware that goes wrong costs its own scenario only, and the number of workers changes nothing.

The canaries: the reference firmware, made to misbehave when it is told of a crash.
"""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import FirmwareError, RigError, UsageError
from harness.firmware.compiler import Family, find_compiler
from harness.rig import fleet, load_rig, worker, workers
from harness.rig.compose import bounds_of
from harness.rig.file import Rig
from harness.rig.jobs import Batch, ScenarioJob
from harness.rig.resources import rigs_folder
from harness.rig.session import Session
from harness.rig.tally import Tally
from harness.rig.wire import to_line
from harness.rig.workers import LocalRunner, Pool, with_sanitizer
from harness.scenario import Scenario
from harness.search.moves import space
from harness.search.runner import Case
from harness.search.sequences import generate
from harness.verdict import Outcome

HARMLESS = {"at_s": 0.2, "fault": "cell-voltage", "cell": 17, "voltage_v": 3.5}
CRASH = {"at_s": 0.2, "fault": "crash"}


def scenario(*actions: dict[str, Any], duration_s: float = 0.5, seed: int = 1) -> Scenario:
    return Scenario.model_validate({"rig": "ebus-lfp", "duration_s": duration_s, "seed": seed, "action": actions})


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(rigs_folder() / "ebus-lfp.toml")


MISBEHAVIOUR = r"""
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>
#include "bms_assert.h"
static uint16_t how; /* fil_config.variant */
static volatile uint32_t spins;
static void *volatile nowhere;
static uint8_t small[4];
static volatile int past = 4;
static void misbehave(void) {
    switch (how) {
    case 1: BMS_ASSERT(false, "made to fail"); break; /* at: 1 */
    case 2: for (;;) { spins++; } /* at: 2 */
    case 3: *(volatile int *)nowhere = 1; break; /* at: 3 */
    case 4: _exit(3);
    case 5: pause(); break;
    case 6: puts("{\"id\": 0}"); fflush(stdout); break;
    case 7: small[past] = 1U; break; /* at: 7 */
    default: break;
    }
}
"""
ASSERT, LOOP, NULL_POINTER, EXIT, SLEEP, PRINT, PAST_BUFFER = range(1, 8)


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the shipped rig and its firmware, which misbehaves when it is told of a crash."""
    folder = tmp_path_factory.mktemp("misbehaving")
    shutil.copytree(rigs_folder() / "reference-bms", folder / "reference-bms")
    port = folder / "reference-bms" / "fil_port.c"
    text = port.read_text(encoding="utf-8")
    for place, more in (
        ("    take_inputs(inputs, &taken);\n", "    if (taken.crash) { misbehave(); }\n"),
        ("    port.ready = true;\n", "    how = config->variant;\n"),
    ):
        assert place in text
        text = text.replace(place, place + more)
    port.write_text(MISBEHAVIOUR + text, encoding="utf-8")
    return folder


def misbehaving(folder: Path, how: int) -> Rig:
    """The rig of that folder whose firmware misbehaves in that way."""
    text = (rigs_folder() / "ebus-lfp.toml").read_text(encoding="utf-8")
    path = folder / f"variant-{how}.toml"
    path.write_text(text.replace("[firmware]\n", f"[firmware]\nvariant = {how}\n", 1), encoding="utf-8")
    return load_rig(path)


def place_of(how: int) -> str:
    """Where it does."""
    lines = MISBEHAVIOUR.splitlines()
    return f"fil_port.c:{1 + next(number for number, line in enumerate(lines) if f'at: {how} ' in line)}"


def outcomes(cases: Iterable[Case]) -> list[bool]:
    return [bool(case.error) for case in cases]


def play(rig: Rig, scenarios: Sequence[Scenario], **options: Any) -> list[Case]:
    with Pool(rig, jobs=2, **options) as pool:
        return list(pool.map(scenarios))


def assert_only_the_third_is_an_error(cases: Sequence[Case]) -> Case:
    assert outcomes(cases) == [False, False, True, False, False]
    broken = cases[2]
    assert {verdict.outcome for verdict in broken.verdicts} == {Outcome.ERROR}
    assert {verdict.reason for verdict in broken.verdicts} == {broken.error}
    assert all(verdict.outcome is not Outcome.ERROR for verdict in cases[3].verdicts)
    return broken


MIXED = [scenario(HARMLESS), scenario(HARMLESS), scenario(CRASH), scenario(HARMLESS), scenario()]


def test_results_come_in_order_and_do_not_depend_on_the_number_of_workers(rig: Rig) -> None:
    scenarios = [scenario({**HARMLESS, "voltage_v": 3.3 + 0.1 * n}, seed=n) for n in range(12)]
    with Session(rig) as session:
        runner = LocalRunner(session)
        local = [runner.run(item) for item in scenarios]
    with Pool(rig, jobs=1) as one, Pool(rig, jobs=2) as two:
        assert list(one.map(scenarios)) == local
        assert list(two.map(scenarios)) == local
    assert [case.scenario for case in local] == scenarios


def test_a_pool_is_a_runner(rig: Rig) -> None:
    with Pool(rig, jobs=1) as pool:
        case = pool.run(scenario(HARMLESS))
    assert (case.error, [record.kind for record in case.faults]) == ("", ["cell-voltage"])


def total_of(batches: Iterable[Batch], rig: Rig) -> Tally:
    total = Tally([requirement.id for requirement in rig.requirements])
    for batch in batches:
        batch.join_into(total)
    return total


def test_sums_are_those_of_the_cases_one_by_one(rig: Rig) -> None:
    levels = [3.3 + 0.02 * n for n in range(40)]
    scenarios = [scenario({**HARMLESS, "voltage_v": level}, duration_s=1.5) for level in levels]
    with Pool(rig, jobs=2) as pool:
        batches = list(pool.sums(scenarios))
        single = Tally([requirement.id for requirement in rig.requirements])
        for case in pool.map(scenarios):
            single.add(case)
    total = total_of(batches, rig)
    assert (total.verdicts(), total.worst()) == (single.verdicts(), single.worst())
    assert (total.cases, single.cases) == (40, 40)
    assert sum(len(batch.lines) for batch in batches) == 40


def test_what_workers_generate_themselves_is_what_the_generator_gives(rig: Rig) -> None:
    searched = space(rig.requirements, bounds_of(rig), rig=str(rig.path))
    with Pool(rig, jobs=2) as pool:
        here = list(pool.sums(generate(searched, 7, 37)))
        there = list(pool.generate(searched, 7, 37))
    assert [batch.lines for batch in there] == [batch.lines for batch in here]
    assert [list(batch.scenarios) for batch in there] == [list(batch.scenarios) for batch in here]
    first, second = total_of(here, rig), total_of(there, rig)
    assert (first.verdicts(), first.worst(), first.cases) == (second.verdicts(), second.worst(), second.cases)


def test_a_batch_loses_only_the_scenario_that_took_its_worker_down(copied: Path) -> None:
    rig = misbehaving(copied, EXIT)
    with Pool(rig, jobs=1) as pool:
        batches = list(pool.sums(MIXED))
    total = total_of(batches, rig)
    assert (total.cases, total.error_count) == (5, 1)
    assert [case.scenario for case in total.errors] == [MIXED[2]]
    lines = [line for batch in batches for line in batch.lines]
    assert [bool(line.get("error")) for line in lines] == [False, False, True, False, False]


def test_an_assert_is_an_error_with_file_and_line(copied: Path) -> None:
    broken = assert_only_the_third_is_an_error(play(misbehaving(copied, ASSERT), MIXED))
    assert place_of(ASSERT) in broken.error
    assert "made to fail" in broken.error


@pytest.mark.parametrize("how", [LOOP, NULL_POINTER])
def test_an_endless_loop_and_a_null_pointer_are_errors_with_file_and_line(copied: Path, how: int) -> None:
    broken = assert_only_the_third_is_an_error(play(misbehaving(copied, how), MIXED))
    assert place_of(how) in broken.error


def test_a_worker_that_ends_costs_its_scenario_only(copied: Path) -> None:
    broken = assert_only_the_third_is_an_error(play(misbehaving(copied, EXIT), MIXED))
    assert "code 3" in broken.error


def test_a_worker_that_does_not_answer_is_ended_at_the_limit(copied: Path) -> None:
    broken = assert_only_the_third_is_an_error(play(misbehaving(copied, SLEEP), MIXED, limit_s=5.0))
    assert "no answer within 5 s" in broken.error


ALARMED = """\
import harness.rig.worker as worker
worker.JOB_ALARM_S = 1
worker.main()
"""


@pytest.mark.skipif(sys.platform == "win32", reason="has no alarm")
def test_a_busy_worker_ends_itself_when_nobody_is_left_to_end_it(copied: Path) -> None:
    path = misbehaving(copied, SLEEP).path
    request = to_line({"rig": str(path), "sanitize": False, "defect": 0, "firmware": ""}).decode()
    command = [sys.executable, "-c", ALARMED, request]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        process.stdin.write(to_line(ScenarioJob(scenario(CRASH)).message()))
        process.stdin.flush()
        try:
            assert process.wait(timeout=60.0) == -signal.SIGALRM
        finally:
            process.kill()


def test_a_worker_whose_answer_waits_to_be_read_does_not_end_itself(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    armed: list[int] = []
    at_writing: list[int] = []

    class Pipe(io.BytesIO):
        def write(self, line: Any) -> int:
            at_writing.append(armed[-1] if armed else 0)
            return super().write(line)

    jobs = io.BytesIO(to_line(ScenarioJob(scenario(HARMLESS)).message()))
    monkeypatch.setattr(worker, "_alarm", armed.append)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(jobs))
    worker._serve({"rig": str(rig.path), "sanitize": False, "defect": 0, "firmware": ""}, Pipe())
    assert worker.JOB_ALARM_S in armed
    assert [0, 0] == at_writing


def test_no_worker_ends_itself_while_its_parent_still_waits() -> None:
    assert worker.JOB_ALARM_S > max(fleet.LIMIT_S, workers.LIMIT_S)
    assert worker.START_ALARM_S > max(fleet.START_LIMIT_S, workers.START_LIMIT_S)


def test_what_firmware_prints_does_not_disturb_the_answers(copied: Path) -> None:
    assert outcomes(play(misbehaving(copied, PRINT), MIXED)) == [False] * 5


@pytest.mark.skipif(find_compiler().family is Family.ZIG, reason="ziglang has no address sanitizer")
def test_a_write_past_a_buffer_is_found_by_the_sanitizer_with_file_and_line(copied: Path) -> None:
    broken = assert_only_the_third_is_an_error(play(misbehaving(copied, PAST_BUFFER), MIXED, sanitize=True))
    assert place_of(PAST_BUFFER) in broken.error


@pytest.mark.skipif(find_compiler().family is Family.ZIG, reason="ziglang has no address sanitizer")
def test_a_run_takes_over_what_the_sanitizer_finds_and_keeps_its_recording(copied: Path) -> None:
    rig = misbehaving(copied, PAST_BUFFER)
    with Session(rig) as session:
        harmless, harmful = session.run(scenario(HARMLESS)), session.run(scenario(CRASH))
    assert with_sanitizer(rig, harmless) == harmless
    found = with_sanitizer(rig, harmful)
    assert place_of(PAST_BUFFER) in found.error
    assert {verdict.outcome for verdict in found.verdicts} == {Outcome.ERROR}
    assert found.trace is harmful.trace


@pytest.mark.skipif(find_compiler().family is Family.ZIG, reason="ziglang has no address sanitizer")
def test_a_sanitizer_build_is_refused_where_it_would_end_the_process(rig: Rig) -> None:
    with pytest.raises(UsageError, match="LD_PRELOAD"):
        Session(rig, sanitize=True)


def test_a_scenario_that_cannot_be_played_is_refused_before_any_other_result_is_lost(rig: Rig) -> None:
    wrong = scenario({"at_s": 0.2, "fault": "cell-voltage", "cell": 193, "voltage_v": 3.5})
    with Pool(rig, jobs=2) as pool, pytest.raises(RigError, match="192"):
        list(pool.map([scenario(HARMLESS), wrong]))


def test_firmware_that_does_not_compile_is_told_with_the_compilers_words(tmp_path: Path) -> None:
    (tmp_path / "mine.c").write_text("this is not C\n", encoding="utf-8")
    text = (rigs_folder() / "ebus-lfp.toml").read_text(encoding="utf-8")
    (tmp_path / "copy.toml").write_text(text.replace("reference-bms/*.c", "mine.c"), encoding="utf-8")
    with Pool(load_rig(tmp_path / "copy.toml"), jobs=2) as pool, pytest.raises(FirmwareError, match=r"mine\.c:1"):
        list(pool.map(MIXED))


def test_a_defect_the_firmware_does_not_have_is_refused(rig: Rig) -> None:
    with Pool(rig, jobs=1, defect=9999) as pool, pytest.raises(UsageError, match="9999"):
        pool.run(scenario())


def test_leaving_early_ends_the_workers(rig: Rig) -> None:
    pool = Pool(rig, jobs=2)
    with pool:
        cases = pool.map(scenario(HARMLESS, seed=n) for n in range(1000))
        assert not next(cases).error
    assert pool.workers == ()
