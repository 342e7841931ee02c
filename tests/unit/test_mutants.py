# SPDX-License-Identifier: Apache-2.0
"""Mutants: what the generator changes and leaves alone, that every mutant compiles, and what counts as a kill."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.errors import FirmwareError
from harness.firmware.mutants import Mutant, Rules, find_mutants
from harness.report.mutantpage import summary_line
from harness.rig import find_rig, load_rig
from harness.rig.mutantfile import AllowedSurvivor, SurvivorKind, load_mutant_file
from harness.rig.mutants import MAX_BROKEN, Fate, MutantBudget, Trial, attempt, build_mutants, select
from harness.rig.surveys import Sighting
from harness.scenario import Scenario


def changes(body: str, rules: Rules = Rules()) -> set[str]:  # noqa: B008 - frozen
    text = f"int f(int a, int b)\n{{\n{body}\n}}\n".encode()
    found = [mutant for mutant, _ in find_mutants(text, "f.c", rules)]
    return {f"{mutant.operator}: {mutant.original} -> {mutant.mutated or '(left out)'}" for mutant in found}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("return a < b;", "boundary: a < b -> a <= b"),
        ("return a >= b;", "boundary: a >= b -> a > b"),
        ("return a == b;", "equality: a == b -> a != b"),
        ("return a + b;", "arithmetic: a + b -> a - b"),
        ("return a && b;", "logic: a && b -> a || b"),
        ("return a & b;", "bits: a & b -> a | b"),
        ("if (a) { b = 1; }\nreturn b;", "statement: b = 1; -> (left out)"),
        ("g(a);\nreturn b;", "statement: g(a); -> (left out)"),
    ],
)
def test_each_operator_changes_its_place(body: str, expected: str) -> None:
    assert expected in changes(body)


def test_what_c_wants_to_know_when_it_compiles_is_left_alone() -> None:
    body = "static int kept = 7;\nint room[5];\nswitch (a) { case 3: return b; default: return kept + room[0]; }"
    text = " ".join(changes(body))
    for number in ("7", "5", "3"):
        assert f"constant: {number} ->" not in text
        assert f"kept = {number} ->" not in text


def test_seeded_defects_and_asserts_are_left_alone() -> None:
    rules = Rules(off=frozenset({"DEFECT"}), checks=frozenset({"BMS_ASSERT"}))
    assert changes("BMS_ASSERT(a < 3);\nif (DEFECT(1)) { g(b); }", rules) == set()


def test_the_place_is_named_from_one() -> None:
    text = b"int f(int a)\n{\n    return a < 3;\n}\n"
    mutant = next(mutant for mutant, _ in find_mutants(text, "f.c") if mutant.operator == "boundary")
    assert mutant.name == "f.c:3:12 boundary a < 3 -> a <= 3"


def test_the_reference_firmware_has_hundreds_of_mutants_in_one_library() -> None:
    rig = load_rig(find_rig("ebus-lfp"))
    built = build_mutants(rig, load_mutant_file(rig))
    assert len(built.mutants) > 300
    assert built.library.is_file()
    assert built.probe.is_file()
    assert {"protect.c", "contactor.c", "state.c", "limits.c"} <= {mutant.file for mutant in built.mutants}
    assert [mutant.id for mutant in select(built.mutants, MutantBudget(sample=50, seed=2))] == [
        mutant.id for mutant in select(built.mutants, MutantBudget(sample=50, seed=2))
    ]


# ---- what counts -----------------------------------------------------------------------------------------------------

MUTANT = Mutant(1, "f.c", 3, 12, "f", "boundary", "a < 3", "a <= 3")
SCENARIOS = tuple(Scenario(rig="toy", title=f"scenario {number}") for number in range(4))


def tried(answer: Sequence[Sighting] | Exception) -> Trial:
    """The trial when a worker answers so to everything it is asked."""
    trial: Generator[Any, list[Any], Trial] = attempt(MUTANT, SCENARIOS, 4)
    try:
        next(trial)
        while True:
            if isinstance(answer, Exception):
                trial.throw(answer)
            else:
                trial.send([tuple(answer)])
    except StopIteration as end:
        result: Trial = end.value
        return result


def test_a_requirement_that_fails_kills() -> None:
    trial = tried([Sighting(SCENARIOS[0]), Sighting(SCENARIOS[1], failed=("PRT-OV-3",))])
    assert (trial.fate, trial.killed_by, trial.played) == (Fate.KILLED, "PRT-OV-3", 2)


def test_a_suite_that_judges_nothing_kills_nothing() -> None:
    assert tried([Sighting(scenario) for scenario in SCENARIOS]).fate is Fate.SURVIVED


def test_a_crash_is_an_error_and_never_a_kill() -> None:
    broken = [Sighting(scenario, error="it crashed") for scenario in SCENARIOS[:MAX_BROKEN]]
    trial = tried(broken)
    assert (trial.fate, trial.killed_by, trial.error) == (Fate.ERROR, "", "it crashed")


def test_firmware_that_does_not_even_boot_is_an_error() -> None:
    assert tried(FirmwareError("fil_init returned -1")).fate is Fate.ERROR


def test_an_error_counts_against_the_score() -> None:
    record = {"score": 0.5, "played": 2, "counts": {fate.value: 0 for fate in Fate} | {"killed": 1, "error": 1}}
    told = "score 50.0 % of 2 mutants: 1 killed, 0 survived, 0 never different, 0 not covered, 1 error"
    assert told == summary_line(record)


def test_a_reason_allows_a_change_wherever_in_the_function_it_stands() -> None:
    def reason(*changed: str) -> AllowedSurvivor:
        return AllowedSurvivor(
            file="f.c", function="f", kind=SurvivorKind.EQUIVALENT, reason="never reached", changes=changed
        )

    assert reason("a < 3 -> a <= 3").allows(MUTANT)
    assert reason().allows(MUTANT)
    assert not reason("a < 4 -> a <= 4").allows(MUTANT)


def test_the_file_of_the_shipped_rig_names_only_sources_it_has() -> None:
    rig = load_rig(find_rig("ebus-lfp"))
    assert rig.mutant_file == Path(rig.mutant_file or "").resolve()
    assert load_mutant_file(rig).rules.off == frozenset({"DEFECT"})
