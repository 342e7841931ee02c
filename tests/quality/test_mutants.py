# SPDX-License-Identifier: Apache-2.0
"""Mutants of the reference firmware: the net must catch what it should, and a canary for each way it could lie."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.firmware.cache import hash_file
from harness.firmware.mutants import Mutant
from harness.firmware.schemata import Schemata
from harness.rig import find_rig, load_rig
from harness.rig.file import Rig
from harness.rig.fleet import Fleet
from harness.rig.mutantfile import MutantFile, load_mutant_file
from harness.rig.mutantrecord import load_record, mutation_of, mutation_record
from harness.rig.mutants import Fate, MutantBudget, Mutation, Trial, attempt, build_mutants
from harness.rig.process import WorkerOptions
from harness.rig.session import Session
from harness.scenario import Scenario, begin
from harness.verdict import Outcome

PROTECTING = ("contactor.c", "faults.c", "limits.c", "measure.c", "overcurrent.c", "protect.c", "state.c", "thermal.c")
LEAST = 300  # mutants there must be of the files that protect
NOTHING_JUDGED = """\
[[trip]]
id = "PRT-NONE-1"
title = "A supply at a voltage no vehicle has"
source = ["test"]
quantity = "supply_v"
above = 500.0
confirm_s = [0.8, 1.0]
flag = "fault.supply"
flag_within_s = 0.2
"""


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("ebus-lfp"))


@pytest.fixture(scope="module")
def file(rig: Rig) -> MutantFile:
    return load_mutant_file(rig)


@pytest.fixture(scope="module")
def built(rig: Rig, file: MutantFile) -> Schemata:
    return build_mutants(rig, file)


@pytest.fixture(scope="module")
def scenario() -> Scenario:
    """An over-voltage that has to trip."""
    return Scenario(rig="ebus-lfp", duration_s=4.0, action=(begin(1.0, "cell-voltage", cell=17, voltage_v=3.8),))


def named(built: Schemata, file: str, original: str, mutated: str) -> Mutant:
    found = [m for m in built.mutants if (m.file, m.original, m.mutated) == (file, original, mutated)]
    assert len(found) >= 1, f"no mutant of {file}: {original} -> {mutated}"
    return found[0]


def killing(built: Schemata) -> Mutant:
    return named(built, "protect.c", "rule->active[tier] = true;", "")


def tried(rig: Rig, built: Schemata, mutants: list[Mutant], scenarios: list[Scenario]) -> list[Trial]:
    tasks = (
        (WorkerOptions(rig=rig.path, defect=one.id, firmware=built.library), attempt(one, scenarios, len(scenarios)))
        for one in mutants
    )
    with Fleet[Trial](jobs=2) as fleet:
        trials = {finished.number: finished.result for finished in fleet.run(tasks)}
    return [trials[number] for number in sorted(trials)]


def test_every_file_that_protects_has_mutants_and_the_compiler_takes_all(built: Schemata) -> None:
    counts = Counter(mutant.file for mutant in built.mutants)
    assert set(PROTECTING) <= counts.keys()
    assert sum(counts[name] for name in PROTECTING) >= LEAST
    assert () == built.refused


def test_every_mutant_has_a_name_of_its_own(built: Schemata) -> None:
    names = [mutant.name for mutant in built.mutants]
    assert len(names) == len(set(names))


def test_seeded_defects_are_not_mutated(built: Schemata) -> None:
    assert [] == [m.name for m in built.mutants if "DEFECT(" in m.original and m.original.startswith("DEFECT")]
    assert [] == [m.name for m in built.mutants if m.file == "fil_port.c"]


def test_every_reason_for_a_survivor_fits_a_mutant(built: Schemata, file: MutantFile) -> None:
    assert () == file.unused(built.mutants)


def test_sources_are_not_written_to(rig: Rig, built: Schemata) -> None:
    assert [] == [path.name for path in rig.sources if b"BH_" in path.read_bytes()]
    assert not built.library.is_relative_to(rig.path.parent)


def test_without_a_mutant_the_build_does_as_the_product(rig: Rig, built: Schemata, scenario: Scenario) -> None:
    with Session(rig) as session:
        product = session.run(scenario)
    for library in (built.library, built.probe):
        with Session(rig, firmware=library) as session:
            run = session.run(scenario)
        assert product.verdicts == run.verdicts
        assert product.trace.frames.data.tobytes() == run.trace.frames.data.tobytes()


def test_a_mutant_the_suite_must_see_is_killed(rig: Rig, built: Schemata, scenario: Scenario) -> None:
    (trial,) = tried(rig, built, [killing(built)], [scenario])
    assert (Fate.KILLED, "PRT-OV") == (trial.fate, trial.killed_by[:6])


def test_a_mutant_that_hangs_is_an_error_and_no_kill(rig: Rig, built: Schemata, scenario: Scenario) -> None:
    endless = named(built, "faults.c", "rest != 0U", "rest == 0U")
    (trial,) = tried(rig, built, [endless], [scenario])
    assert (Fate.ERROR, "") == (trial.fate, trial.killed_by)
    assert "faults.c" in trial.error


def test_a_suite_that_judges_nothing_kills_nothing(
    rig: Rig, built: Schemata, scenario: Scenario, tmp_path: Path
) -> None:
    blind = blinded(rig, tmp_path)
    with Session(blind, firmware=built.library) as session:
        assert {Outcome.NOT_EXERCISED} == {verdict.outcome for verdict in session.run(scenario).verdicts}
    trials = tried(blind, built, [killing(built)], [scenario])
    assert [Fate.SURVIVED] == [trial.fate for trial in trials]


def test_reasons_given_later_need_no_second_campaign(rig: Rig, built: Schemata, file: MutantFile) -> None:
    trials = (
        Trial(killing(built), Fate.KILLED, 9, 4, "PRT-OV-3", "over-voltage"),
        Trial(built.mutants[0], Fate.SAME, 9),
    )
    played = Mutation(
        rig, trials, file, len(built.mutants), (), file.unused(built.mutants), (), 9, MutantBudget(),
        hash_file(built.library), 1.0, interrupted=False,
    )  # fmt: skip
    record = mutation_record(played, date="2026-11-24T10:00:00+00:00", command="bms-harness mutants ebus-lfp")
    assert played == mutation_of(json.loads(json.dumps(record)), rig)
    with pytest.raises(UsageError, match="play the mutants again"):
        mutation_of(record | {"library_sha256": "another"}, rig)


def test_a_record_of_another_rig_or_a_damaged_one_is_refused(rig: Rig, built: Schemata, file: MutantFile) -> None:
    played = Mutation(
        rig, (Trial(killing(built), Fate.SURVIVED, 9),), file, len(built.mutants), (), (), (), 9, MutantBudget(),
        hash_file(built.library), 1.0, interrupted=False,
    )  # fmt: skip
    record = mutation_record(played, date="2026-11-24T10:00:00+00:00", command="bms-harness mutants ebus-lfp")
    with pytest.raises(UsageError, match="of the rig trolley, not of ebus-lfp"):
        mutation_of(record | {"rig": "trolley"}, rig)
    unknown = dict(record["trials"][0], fate="eaten")
    elsewhere = dict(record["trials"][0], place="protect.c:1:1")
    for damaged in ({"trials": [unknown]}, {"trials": [elsewhere]}, {"trials": 3}, {"files": None}):
        with pytest.raises(UsageError, match="damaged"):
            mutation_of(record | damaged, rig)
    for key in ("rig", "library_sha256", "baseline", "seed"):
        with pytest.raises(UsageError, match="damaged"):
            mutation_of({name: value for name, value in record.items() if name != key}, rig)


def blinded(rig: Rig, folder: Path) -> Rig:
    """The same rig with a requirement that demands nothing of any scenario."""
    requirements = folder / "nothing.toml"
    requirements.write_text(NOTHING_JUDGED)
    text = rig.path.read_text().replace("../fixtures/requirements/ebus-lfp.toml", requirements.as_posix())
    path = folder / "blind.toml"
    path.write_text(text)
    return load_rig(path)


def test_a_record_without_its_date_or_command_is_none(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    whole = {
        "format": "bms-harness mutants 1",
        "date": "2026-11-24T11:16:55+00:00",
        "command": "bms-harness mutants toy",
    }
    for key in ("date", "command"):
        path.write_text(json.dumps({name: value for name, value in whole.items() if name != key}), encoding="utf-8")
        with pytest.raises(UsageError, match="not the record of a mutant campaign"):
            load_record(path)


def test_files_that_a_rig_has_switched_off_are_mutated_for_the_others_only() -> None:
    file = MutantFile.model_validate({"leave_out": ["port.c"], "unused_by": {"bus": ["line*.c"]}})
    sources = [Path(name) for name in ("bms.c", "line.c", "line_rx.c", "port.c")]
    assert ["line.c", "line_rx.c", "port.c"] == [path.name for path in file.left_alone(sources, "bus")]
    assert ["port.c"] == [path.name for path in file.left_alone(sources, "tram")]
