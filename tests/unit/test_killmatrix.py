# SPDX-License-Identifier: Apache-2.0
"""The kill matrix as a document: the keys scripts rely on, the gate, and the Markdown made of it."""

import json
from pathlib import Path

import pytest

from harness.report.killmatrix import fired_text, markdown, summary_line
from harness.report.searched import searched_of
from harness.rig import find_rig, load_rig
from harness.rig.defectfile import Defect
from harness.rig.hunt import Kill, KillOutcome
from harness.rig.killrecord import load_matrix, matrix_file, matrix_record
from harness.rig.surveys import Sighting
from harness.rig.vacuity import Evidence
from harness.rig.zoo import Matrix
from harness.scenario import CommandAction, Scenario, begin
from harness.verdict import Exercised, Outcome, Verdict

SHORT = Scenario(rig="ebus-lfp", duration_s=2.0, action=(begin(0.5, "hvil-open"),))
LONGER = SHORT.model_copy(update={"action": (*SHORT.action, CommandAction(at_s=1.0, do="power-cycle"))})
KEYS = {"id", "requirement", "outcome", "caught_by", "examples", "actions", "seconds"}  # design 5.5


def kill(number: int, outcome: KillOutcome, scenario: Scenario | None = SHORT) -> Kill:
    defect = Defect(id=number, name=f"defect {number}", story="a | story", requirement="PRT-OV-3", sequence=True)
    caught_by = {KillOutcome.CAUGHT: "PRT-OV-3", KillOutcome.CAUGHT_BY_OTHER: "PRT-UV-3"}.get(outcome, "")
    killers = (caught_by,) if caught_by else ()
    return Kill(defect, outcome, caught_by, 7, scenario if caught_by else None, killers=killers)


def matrix(*kills: Kill, whole: bool = True, allowed: dict[int, str] | None = None, red: bool = False) -> Matrix:
    evidence = (
        Evidence("PRT-OV-3", 3, 4, {"cell-voltage": 5, "": 1}, (1,), (1,), (1, 2)),
        Evidence("PRT-UV-3", 1, 0, {}, (), (), ()),
    )
    return Matrix(
        rig=load_rig(find_rig("ebus-lfp")),
        kills=kills,
        seconds=tuple(0.5 for _ in kills),
        allowed=allowed or {},
        evidence=evidence,
        baseline=(Sighting(SHORT, failed=("PRT-OV-3",)),) if red else (),
        scenarios=100,
        seed=3,
        whole=whole,
        full=False,
        product_sha256="ab" * 32,
        defects_sha256="cd" * 32,
        duration_s=12.0,
        interrupted=False,
    )


C, OTHER, MISSED, ERROR = KillOutcome.CAUGHT, KillOutcome.CAUGHT_BY_OTHER, KillOutcome.MISSED, KillOutcome.ERROR


@pytest.mark.parametrize(
    ("kills", "outcome"),
    [
        ([C] * 20, Outcome.PASS),
        ([C] * 19 + [OTHER], Outcome.PASS),  # 95 % by the requirement named
        ([C] * 18 + [OTHER] * 2, Outcome.FAIL),
        ([C] * 19 + [MISSED], Outcome.FAIL),
        ([C] * 19 + [ERROR], Outcome.ERROR),
        ([C] * 18 + [MISSED, ERROR], Outcome.FAIL),
        ([], Outcome.NOT_EXERCISED),
    ],
)
def test_every_defect_must_be_caught_and_almost_all_by_name(kills: list[KillOutcome], outcome: Outcome) -> None:
    assert outcome is matrix(*(kill(n + 1, one) for n, one in enumerate(kills))).outcome


def test_an_allowed_survivor_is_no_failure_and_a_sample_is_not_held_to_the_share() -> None:
    assert Outcome.PASS is matrix(kill(1, C), kill(2, MISSED), allowed={2: "cannot be seen"}).outcome
    assert Outcome.PASS is matrix(kill(1, C), kill(2, OTHER), whole=False).outcome


def test_a_baseline_that_is_not_green_fails() -> None:
    assert Outcome.FAIL is matrix(red=True).outcome


def record() -> dict[str, object]:
    found = matrix(kill(1, C), kill(2, C, LONGER), kill(3, MISSED), allowed={3: "cannot be | seen"})
    return matrix_record(found, date="2026-01-02T03:04:05+00:00", command="bms-harness defects ebus-lfp")


def test_the_document_has_the_keys_scripts_rely_on_and_is_strict_json() -> None:
    document = json.loads(json.dumps(record(), allow_nan=False))
    assert all(KEYS <= entry.keys() for entry in document["defects"])
    assert ["caught", "caught", "missed"] == [entry["outcome"] for entry in document["defects"]]
    assert [1, 2, None] == [entry["actions"] for entry in document["defects"]]
    assert ["PRT-OV-3", "PRT-OV-3", None] == [entry["caught_by"] for entry in document["defects"]]
    summary = document["summary"]
    assert (1.5, 2, 1, 1.0) == tuple(
        summary[key] for key in ("median_actions", "most_actions", "allowed_survivors", "named_share")
    )
    assert ["verified", "claimed, not verified"] == [item["status"] for item in document["vacuity"]]


def test_the_markdown_says_date_seed_and_build_and_no_text_ends_its_cell() -> None:
    text = markdown(record())
    for part in ("2026-01-02T03:04:05", "| seed | 3 |", "abababab", "cdcdcdcd", "allowed: cannot be \\| seen"):
        assert part in text
    rows = [line for line in text.splitlines() if line.startswith(("| 1 |", "| 2 |", "| 3 |"))]
    assert [9, 9, 9] == [line.replace("\\|", "").count("|") for line in rows]
    assert "| PRT-UV-3 | 1 | 0 |  |  |  | claimed, not verified |" in text


def test_the_summary_counts_what_became_of_the_defects() -> None:
    assert "3 defects: 2 caught, 1 missed (100 % by the requirement named for them)" in summary_line(record())


def test_the_faults_that_exercised_most_come_first_and_the_rest_is_counted() -> None:
    assert "a 4, no fault 3, c 2, 2 more kinds" == fired_text({"a": 4, "": 3, "c": 2, "d": 1, "e": 1})
    assert "" == fired_text({})


def test_the_last_matrix_is_found_beside_the_runs_and_a_broken_one_is_none(tmp_path: Path) -> None:
    assert load_matrix(tmp_path, "ebus-lfp") is None
    matrix_file(tmp_path, "ebus-lfp").write_text(json.dumps(record()))
    found = load_matrix(tmp_path, "ebus-lfp")
    assert found is not None
    assert 3 == found["seed"]
    matrix_file(tmp_path, "ebus-lfp").write_text("{")
    assert load_matrix(tmp_path, "ebus-lfp") is None


def test_the_report_shows_what_was_searched_and_whether_the_matrix_is_of_this_build() -> None:
    document = {
        "coverage": {"covered": 1, "reachable": 4, "states": ["drive"], "map": [{"kind": "crash", "cells": [[1, 4]]}]},
        "statistics": {"sentence": "0 of 10"},
        "exercised_by": {"PRT-OV-3": {"cell-voltage": 2}},
        "kill_matrix": record(),
        "header": {"firmware_sha256": "ab" * 32},
    }
    verdicts = {"PRT-OV-3": Verdict("PRT-OV-3", Outcome.PASS, Exercised(2, 3))}
    shown = searched_of(document, verdicts)
    assert ("1 of 4 bins of the fault space (25 %)", "0 of 10") == (shown.total, shown.sentence)
    assert [("1/4", 1)] == [(cell.text, cell.tone) for cell in shown.rows[0][1]]
    assert [("PRT-OV-3", 2, 3, "cell-voltage 2", "1", "verified")] == [
        (row.requirement, row.must, row.must_not, row.fired, row.kills, row.status) for row in shown.worth
    ]
    assert "another build" not in shown.matrix
    assert "another build" in searched_of({**document, "header": {"firmware_sha256": "00"}}, verdicts).matrix
    assert "" == searched_of({}, verdicts).total
