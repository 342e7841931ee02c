# SPDX-License-Identifier: Apache-2.0
"""Mutants of C text: which changes there are at a place, where there are none, and that the switch is the change."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.errors import FirmwareError, UsageError
from harness.firmware.builder import build_firmware, port_folder
from harness.firmware.mutants import Mutant, Rules, Site, find_mutants
from harness.firmware.schemata import build_schemata, instrumented
from harness.report.mutantpage import summary_line
from harness.rig import find_rig, load_rig
from harness.rig.jobs import perform
from harness.rig.mutantfile import AllowedSurvivor, MutantFile, SurvivorKind
from harness.rig.mutants import Fate, MutantBudget, Mutation, Trial, attempt, select
from harness.rig.tracks import Tracks
from harness.rig.wire import from_line, to_line
from harness.scenario import Scenario, Start
from harness.search.runner import Case, Footprint
from harness.verdict import Outcome, Verdict

PLAIN = Rules()


def changes(body: str, rules: Rules = PLAIN) -> set[tuple[str, str, str]]:
    """Operator, original and mutated text of every mutant of one function."""
    text = f"int f(int a, int b) {{ {body} }}\n".encode()
    return {(m.operator, m.original, m.mutated) for m, _ in find_mutants(text, "f.c", rules)}


# ---------------------------------------------------------------------------------------------- one place, one change


@pytest.mark.parametrize(
    ("body", "operator", "original", "mutated"),
    [
        ("return a < b;", "boundary", "a < b", "a <= b"),
        ("return a <= b;", "boundary", "a <= b", "a < b"),
        ("return a > b;", "boundary", "a > b", "a >= b"),
        ("return a >= b;", "boundary", "a >= b", "a > b"),
        ("return a == b;", "equality", "a == b", "a != b"),
        ("return a != b;", "equality", "a != b", "a == b"),
        ("return a + b;", "arithmetic", "a + b", "a - b"),
        ("return a / b;", "arithmetic", "a / b", "a * b"),
        ("return -a;", "arithmetic", "-a", "(a)"),
        ("return a << b;", "bits", "a << b", "a >> b"),
        ("return a & b;", "bits", "a & b", "a | b"),
        ("return a && b;", "logic", "a && b", "a || b"),
        ("return a && b && g();", "logic", "a && b && g()", "(a || b) && g()"),
        ("return !a;", "negation", "!a", "(a)"),
        ("if (a > b) { a = b; }", "negation", "a > b", "!(a > b)"),
        ("while (a > b) { a = b; }", "negation", "a > b", "!(a > b)"),
        ("return a ? b : a;", "negation", "a ? b : a", "!(a) ? b : a"),
        ("return 900;", "constant", "900", "901"),
        ("return 900;", "constant", "900", "0"),
        ("return 0x1FU;", "constant", "0x1FU", "0x20U"),
        ("return -1;", "constant", "-1", "0"),
        ("return true;", "constant", "true", "false"),
        ("a += b;", "assignment", "a += b", "a -= b"),
        ("a |= b;", "assignment", "a |= b", "a &= b"),
        ("a = b;", "statement", "a = b;", ""),
        ("g(a);", "statement", "g(a);", ""),
        ("a++;", "statement", "a++;", ""),
        ("while (a) { break; }", "flow", "break;", ""),
        ("while (a) { continue; }", "flow", "continue;", ""),
        ("if (a) { return b; } return a;", "flow", "return b;", ""),
    ],
)  # fmt: skip
def test_a_place_is_changed_by_its_operator(body: str, operator: str, original: str, mutated: str) -> None:
    assert (operator, original, mutated) in changes(body)


def test_a_mutant_is_named_by_its_place_and_its_change() -> None:
    (mutant, _), *_ = find_mutants(b"int f(int a) {\n    return a < 3;\n}\n", "limit.c")
    assert "limit.c:2:12 boundary a < 3 -> a <= 3" == mutant.name
    assert "f" == mutant.function


@pytest.mark.parametrize(
    "text",
    [
        "static const int table[2 + 1] = {1, 2, 3 + 4};",  # not in a function
        "enum { A = 1, B = A + 1 };",
        "#define LIMIT (3 + 4)",
        "int f(void) { static int n = 3 + 4; return n; }",
        "int f(int a) { switch (a) { case 1 + 2: return a; } }",
        "int f(void) { return sizeof(int[3]); }",
        "void f(void) { int room[3 + 4]; (void)room; }",
        'void f(void) { _Static_assert(1 + 1 == 2, "sum"); }',
        "void f(void) { enum { HERE = 3 }; }",
        "int f(int a) { return a @ 3; }",  # not understood
    ],
)
def test_what_c_must_know_when_it_compiles_is_left_alone(text: str) -> None:
    assert [] == [mutant.name for mutant, _ in find_mutants(text.encode(), "f.c")]


def test_what_negates_itself_is_not_negated_again() -> None:
    assert {("equality", "a == b", "a != b")} == {c for c in changes("if (a == b) { }") if c[0] != "constant"}
    assert {("negation", "!a", "(a)")} == changes("if (!a) { }")


def test_a_division_by_nothing_is_no_mutant() -> None:
    assert ("constant", "a / 10", "a / 11") in changes("return a / 10;")
    assert ("constant", "a / 10", "a / 0") not in changes("return a / 10;")


def test_the_last_return_of_a_function_stays() -> None:
    assert [] == [c for c in changes("return a;") if c[0] == "flow"]
    assert [] == [c for c in changes("if (a) { return b; } g(a);") if c[0] == "flow"]


def test_seeded_defects_and_asserts_are_no_code_of_the_product() -> None:
    rules = Rules(off=frozenset({"DEFECT"}), checks=frozenset({"ASSERT"}))
    assert set() == changes("ASSERT(a < 3); (void)b;", rules)
    assert {("constant", "DEFECT(4) ? 7 : 8", f"DEFECT(4) ? 7 : {n}") for n in (9, 0)} == changes(
        "return DEFECT(4) ? 7 : 8;", rules
    )
    assert {("boundary", "a < b", "a <= b")} == {
        (m, o.split(" ||")[0], t.split(" ||")[0]) for m, o, t in changes("return a < b || (DEFECT(4) && b > 9);", rules)
    }


# ------------------------------------------------------------------------------------------ the switch is the change

SNIPPET = b"""\
int f(int a, int b) {
    int sum = 0;
    for (int i = 0; i < (b & 7); i++) {
        if ((a > i) && (a != 3 || b == 2)) {
            sum += a * 2 - i;
            continue;
        }
        switch (i) {
        case 1:
            sum |= 4;
            break;
        case 2:
            sum -= 5;
            break;
        default:
            sum = -sum;
        }
        if (sum > 40) {
            return 40;
        }
    }
    return (sum << 1) + (a < 0 ? 3 : 1);
}
"""
ENDLESS = "!(i < (b & 7))"
INPUTS = [(a, b) for a in range(-3, 6) for b in range(8)]


def by_hand(pairs: Sequence[tuple[Mutant, Site]]) -> bytes:
    """Every mutant as a function of its own, the change written into the text."""
    made = []
    for mutant, site in pairs:
        changed = SNIPPET[: site.start] + (site.mutated or b";") + SNIPPET[site.end :]
        made.append(changed.replace(b"int f(", f"int f{mutant.id}(".encode()))
    return b"\n".join(made)


def values(function: Any) -> list[int]:
    return [function(a, b) for a, b in INPUTS]


def test_switched_on_a_mutant_is_the_text_with_its_change(tmp_path: Path) -> None:
    source = tmp_path / "f.c"
    source.write_bytes(SNIPPET)
    built = build_schemata([source], [])
    pairs = [(mutant, site) for mutant, site in find_mutants(SNIPPET, "f.c") if mutant.mutated != ENDLESS]
    plain = tmp_path / "plain.c"
    plain.write_bytes(by_hand(pairs))
    switched, written = ctypes.CDLL(str(built.library)), ctypes.CDLL(str(build_firmware([plain], [])))
    original = values(switched.f)
    differing = 0
    for mutant, _ in pairs:
        assert 0 == switched.fil_defect(mutant.id)
        found = values(switched.f)
        assert values(getattr(written, f"f{mutant.id}")) == found, mutant.name
        differing += found != original
    assert 0 == switched.fil_defect(0)
    assert original == values(switched.f)
    assert -1 == switched.fil_defect(max(mutant.id for mutant, _ in pairs) + 1)
    assert differing > len(pairs) // 2


def test_a_probe_never_misses_a_place_whose_mutant_gives_another_result(tmp_path: Path) -> None:
    source = tmp_path / "f.c"
    source.write_bytes(SNIPPET)
    built = build_schemata([source], [])
    switched, probe = ctypes.CDLL(str(built.library)), ctypes.CDLL(str(built.probe))
    seen = (ctypes.c_ubyte * probe.bh_probe(None))()
    probe.bh_probe(seen)
    spared = 0
    for a, b in INPUTS:
        ctypes.memset(seen, 0, len(seen))
        original = probe.f(a, b)
        for mutant in (mutant for mutant in built.mutants if mutant.mutated != ENDLESS):
            switched.fil_defect(mutant.id)
            if seen[mutant.id] & 2:
                continue
            spared += 1
            assert original == switched.f(a, b), mutant.name
    assert spared > 0


def test_what_a_place_does_is_done_once_while_probed(tmp_path: Path) -> None:
    source = tmp_path / "n.c"
    source.write_text("static int n;\nint f(int a) { return (n += 2) + 1 > a; }\n")
    probe = ctypes.CDLL(str(build_schemata([source], []).probe))
    probe.bh_probe((ctypes.c_ubyte * probe.bh_probe(None))())
    assert [0, 0, 1, 1] == [probe.f(6) for _ in range(4)]


def test_lines_keep_their_numbers(tmp_path: Path) -> None:
    source = tmp_path / "f.c"
    source.write_bytes(SNIPPET)
    text = instrumented(source, find_mutants(SNIPPET, "f.c")).decode()
    _, _, twice = text.partition('#line 1 "f.c"\n')
    body = twice.split('#line 1 "f.c"\n')[-1].splitlines()
    assert "sum > 40" in body[18 - 1]
    assert "return" in body[19 - 1]


def test_what_the_compiler_refuses_is_left_out_and_told(tmp_path: Path) -> None:
    source = tmp_path / "p.c"
    source.write_text(
        "int f(const char *a, const char *b) {\n    return (int)(a - b);\n}\nint g(int a) { return a + 1; }\n"
    )
    built = build_schemata([source], [port_folder()])
    assert ["p.c:2:18 arithmetic (int)(a - b) -> (int)(a + b)"] == [mutant.name for mutant in built.refused]
    assert "a + 1" in {mutant.original for mutant in built.mutants}


# ------------------------------------------------------------------------------------------------------ footprints


def test_the_way_to_a_start_state_counts_for_every_scenario_that_begins_there() -> None:
    seen = bytearray(4)
    tracks = Tracks(seen)
    seen[1] = 3  # on the way to standby
    tracks.started("standby")
    assert Footprint(0b10, 0b10) == tracks.take()
    seen[2] = 1  # on the way from there to drive
    tracks.started("drive")
    seen[3] = 1
    assert Footprint(0b1110, 0b10) == tracks.take()
    tracks.started("drive")  # restored: nothing was executed
    assert Footprint(0b110, 0b10) == tracks.take()


# ------------------------------------------------------------------------------------------------ one mutant's trial

NAMES = ("PRT-A-1", "PRT-B-1")
MUTANT = Mutant(7, "protect.c", 3, 5, "step", "boundary", "a < b", "a <= b")
Firmware = Callable[[Scenario], Case]


def scenarios(*starts: Start) -> list[Scenario]:
    return [Scenario(rig="toy", title=f"{n}", duration_s=1.0, start=start) for n, start in enumerate(starts)]


def drives(n: int) -> list[Start]:
    return ["drive"] * n


def case(played: Scenario, outcome: Outcome = Outcome.PASS, error: str = "") -> Case:
    return Case(played, tuple(Verdict(name, outcome) for name in NAMES), error)


def drive(task: Generator[Any, list[Any], Trial], firmware: Firmware) -> Trial:
    class Runner:
        def run(self, scenario: Scenario) -> Case:
            return firmware(scenario)

    def no_space(rig: str) -> Any:
        raise AssertionError(rig)

    answers: list[Any] | None = None
    while True:
        try:
            job = next(task) if answers is None else task.send(answers)
        except StopIteration as end:
            found: Trial = end.value
            return found
        message = from_line(to_line(job.message()))
        answers = [job.answer(from_line(to_line(perform(message, Runner(), NAMES, no_space))), NAMES)]


def test_the_first_failure_of_any_requirement_kills_and_ends_the_trial() -> None:
    suite = scenarios(*drives(40))
    trial = drive(
        attempt(MUTANT, suite, 40),
        lambda played: case(played, Outcome.FAIL if played.title in ("19", "30") else Outcome.PASS),
    )
    assert (Fate.KILLED, "PRT-A-1", "19", 20) == (trial.fate, trial.killed_by, trial.scenario, trial.played)


def test_a_suite_that_judges_nothing_kills_nothing() -> None:
    trial = drive(attempt(MUTANT, scenarios(*drives(40)), 40), lambda played: case(played, Outcome.NOT_EXERCISED))
    assert (Fate.SURVIVED, "", 40) == (trial.fate, trial.killed_by, trial.played)


def test_a_crash_is_an_error_and_never_a_kill_whatever_the_verdicts_say() -> None:
    trial = drive(attempt(MUTANT, scenarios(*drives(40)), 40), lambda played: case(played, Outcome.FAIL, "f.c:1: hung"))
    assert (Fate.ERROR, "", "f.c:1: hung", 2) == (trial.fate, trial.killed_by, trial.error, trial.errors)


def test_a_mutant_that_never_reaches_one_start_state_can_be_killed_from_another() -> None:
    def firmware(played: Scenario) -> Case:
        return case(played, error="not reached") if played.start == "drive" else case(played, Outcome.FAIL)

    trial = drive(attempt(MUTANT, scenarios(*drives(9), "standby"), 10), firmware)
    assert (Fate.KILLED, 2, 3) == (trial.fate, trial.errors, trial.played)


def test_firmware_that_does_not_even_boot_is_an_error() -> None:
    task = attempt(MUTANT, scenarios("drive"), 1)
    next(task)
    with pytest.raises(StopIteration) as end:
        task.throw(FirmwareError("refused its configuration"))
    assert (Fate.ERROR, "refused its configuration") == (end.value.value.fate, end.value.value.error)


def mutation(file: MutantFile, *fates: Fate) -> Mutation:
    trials = tuple(Trial(replace(MUTANT, id=place, original=fate.value), fate) for place, fate in enumerate(fates))
    rig = load_rig(find_rig("ebus-lfp"))
    return Mutation(rig, trials, file, 99, (), (), (), 9, MutantBudget(), "", 1.0, interrupted=False)


def test_an_error_counts_against_the_score_and_what_is_equivalent_does_not() -> None:
    same = [f"{fate.value} -> a <= b" for fate in (Fate.KILLED, Fate.SURVIVED, Fate.ERROR)]
    file = MutantFile(survivor=(entry(*same, kind=SurvivorKind.EQUIVALENT),))
    played = mutation(file, Fate.KILLED, Fate.SURVIVED, Fate.NOT_COVERED, Fate.ERROR)
    assert 1 / 3 == played.score
    assert [Fate.NOT_COVERED] == [trial.fate for trial in played.unexplained]
    assert None is mutation(MutantFile()).score


@pytest.mark.parametrize(
    ("fates", "outcome"),
    [((Fate.KILLED, Fate.ERROR), Outcome.PASS), ((Fate.KILLED, Fate.SAME), Outcome.FAIL), ((), Outcome.NOT_EXERCISED)],
)
def test_a_survivor_without_a_reason_fails_a_campaign(fates: tuple[Fate, ...], outcome: Outcome) -> None:
    assert outcome is mutation(MutantFile(), *fates).outcome


def test_score_and_counts_are_told_in_one_line() -> None:
    record = {"score": 0.5, "played": 2, "counts": {fate.value: 0 for fate in Fate} | {"killed": 1, "error": 1}}
    told = "score 50.0 % of 2 mutants: 1 killed, 0 survived, 0 never different, 0 not covered, 1 error"
    assert told == summary_line(record)


# --------------------------------------------------------------------------------------------- sample and reasons


def mutants(n: int, file: str = "protect.c") -> list[Mutant]:
    return [Mutant(i, file, i, 1, "step", "boundary", f"a < {i}", f"a <= {i}") for i in range(1, n + 1)]


def test_a_sample_is_drawn_with_the_seed_and_stays_in_the_order_of_the_code() -> None:
    everything = mutants(100)
    drawn = select(everything, MutantBudget(sample=10, seed=3))
    assert drawn == select(everything, MutantBudget(sample=10, seed=3))
    assert drawn != select(everything, MutantBudget(sample=10, seed=4))
    assert sorted(m.id for m in drawn) == [m.id for m in drawn]
    assert 10 == len(drawn)


def test_a_file_without_mutants_is_told() -> None:
    with pytest.raises(UsageError, match=r"protect\.c"):
        select(mutants(3), MutantBudget(files=("protekt.c",)))


def entry(*changes: str, function: str = "step", kind: SurvivorKind = SurvivorKind.TOLERANCE) -> AllowedSurvivor:
    return AllowedSurvivor(file="protect.c", function=function, kind=kind, reason="inside the window", changes=changes)


def test_a_reason_is_found_by_file_function_and_change_and_not_by_the_line() -> None:
    moved = Mutant(9, "protect.c", 999, 1, "step", "boundary", "a < b", "a <= b")
    file = MutantFile(survivor=(entry("a < b -> a <= b"),))
    assert file.allowed(MUTANT) is file.allowed(moved) is file.survivor[0]
    assert MutantFile(survivor=(entry("a < c -> a <= c"),)).allowed(MUTANT) is None
    assert MutantFile(survivor=(entry("a < b -> a <= b", function="other"),)).allowed(MUTANT) is None


def test_a_reason_that_fits_no_mutant_any_more_is_told() -> None:
    file = MutantFile(survivor=(entry("a < b -> a <= b", "gone -> away"), entry(function="gone")))
    assert ("protect.c step: gone -> away", "protect.c gone") == file.unused([MUTANT])
