# SPDX-License-Identifier: Apache-2.0
"""Clause by requirement by verdict: in the run record, the report, on the terminal and as CSV, ReqIF and needs.json."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from reqif.parser import ReqIFParser

from harness.cli import cli
from harness.report.clauses import gap_lines, pack_line, rows
from harness.report.evidence import write_report
from harness.report.exportcsv import csv_text
from harness.report.exportneeds import need_id, needs_text
from harness.report.exportreqif import reqif_text
from harness.rig import find_rig, load_rig
from harness.rig.clauses import clauses_record
from harness.rig.records import run_record
from harness.rig.resources import data_root
from harness.verdict import Exercised, Outcome, Verdict

CREATED = "2026-11-24T12:00:00+00:00"
ODD = 'at 3.8 V <limit> & "more"'


@pytest.fixture(scope="module")
def gapped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rig of the bus without the one requirement that a clause about accuracy has."""
    folder = tmp_path_factory.mktemp("rig")
    text = find_rig("ebus-lfp").read_text(encoding="utf-8")
    shipped = "../fixtures/requirements/ebus-lfp.toml"
    assert text.count(shipped) == 1
    shutil.copy(data_root() / "fixtures" / "requirements" / "ebus-lfp.toml", folder / "all.toml")
    (folder / "fewer.toml").write_text('extends = "all.toml"\nleave_out = ["ACC-SOC-2"]\n', encoding="utf-8")
    (folder / "ebus-lfp.toml").write_text(text.replace(shipped, "fewer.toml"), encoding="utf-8")
    return folder / "ebus-lfp.toml"


@pytest.fixture(scope="module")
def record(gapped: Path) -> dict[str, Any]:
    """A run of the bus in which all passed but two requirements of one clause, and one clause has none."""
    rig = load_rig(gapped)
    bad = {"PRT-OV-3": (Outcome.FAIL, ODD), "PRT-OV-2": (Outcome.NOT_EXERCISED, "")}
    verdicts = []
    for requirement in rig.requirements:
        outcome, reason = bad.get(requirement.id, (Outcome.PASS, "fine"))
        verdicts.append(Verdict(requirement.id, outcome, Exercised(3, 2), {"ms": 12.0}, reason))
    return run_record(
        rig=rig.name, verdicts=verdicts, seed=1, duration_s=1.0, run_dir=None,
        more={"title": rig.title, "rig_file": str(rig.path), **clauses_record(rig, verdicts)},
    )  # fmt: skip


def clause_of(record: dict[str, Any], name: str) -> dict[str, Any]:
    return next(item for pack in record["packs"] for item in pack["clauses"] if item["id"] == name)


def call(*words: str | Path) -> Result:
    result = CliRunner().invoke(cli, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
    return result


# ---------------------------------------------------------------------------------------------------- the run record


def test_a_clause_is_as_good_as_the_worst_of_its_requirements(record: dict[str, Any]) -> None:
    assert clause_of(record, "R100-OVERCHARGE")["outcome"] == "FAIL"
    assert clause_of(record, "R100-OVERTEMP")["outcome"] == "PASS"


def test_a_clause_without_a_requirement_has_no_verdict_and_is_told_as_a_gap(record: dict[str, Any]) -> None:
    gap = clause_of(record, "GBT38661-ACC-SOC")
    assert ("gap", None, []) == (gap["status"], gap["outcome"], gap["requirements"])
    (line,) = gap_lines(record["packs"])
    assert line.startswith("gap GBT38661-ACC-SOC State of charge within 5 %: ")
    assert line.endswith("no requirement with kind accuracy, quantity soc_pct, reported soc_pct")


def test_a_requirement_that_was_not_judged_leaves_its_clause_not_exercised() -> None:
    rig = load_rig(find_rig("ebus-lfp"))
    partly = clauses_record(rig, [Verdict("PRT-SC-3", Outcome.PASS)])
    assert clause_of(partly, "R100-SHORT")["outcome"] == "NOT_EXERCISED"


def test_a_pack_is_told_in_one_line(record: dict[str, Any]) -> None:
    lines = [pack_line(pack) for pack in record["packs"]]
    assert "UN Regulation No. 100, revision 3: 9 of 10 clauses PASS, 1 FAIL, 6 out of reach" == lines[0]
    assert "GB/T 38661-2020: 10 of 12 clauses PASS, 1 FAIL, 1 gap" == lines[1]


def test_a_clause_that_is_partly_covered_is_not_counted_as_passed(record: dict[str, Any]) -> None:
    pack = record["packs"][1]
    partly = [
        clause | {"status": "partial"} if clause["id"] == "GBT38661-DIAG-T" else clause for clause in pack["clauses"]
    ]
    line = "GB/T 38661-2020: 9 of 12 clauses PASS, 1 FAIL, 1 partly covered, 1 gap"
    assert line == pack_line(pack | {"clauses": partly})


def test_every_clause_and_every_requirement_has_a_row(record: dict[str, Any]) -> None:
    table = list(rows(record))
    clauses = {item["id"] for pack in record["packs"] for item in pack["clauses"]}
    assert clauses == {row.clause["id"] for row in table if row.clause}
    assert {item["id"] for item in record["requirements"]} == {
        row.requirement["id"] for row in table if row.requirement
    }


def test_the_report_shows_clauses_gaps_and_links_to_requirements(record: dict[str, Any], tmp_path: Path) -> None:
    page = write_report(tmp_path, record, load_rig(find_rig("ebus-lfp"))).read_text(encoding="utf-8")
    section = page.partition('id="clauses"')[2].partition("<h2>Cases")[0]
    over = re.search(r"<b>R100-OVERCHARGE</b>.*?</tr>", section, re.DOTALL)
    assert over is not None
    assert 'badge FAIL">FAIL' in over[0]
    assert '<a href="#PRT-OV-3" class="FAIL">PRT-OV-3</a>' in over[0]
    gap = re.search(r"<b>GBT38661-ACC-SOC</b>.*?</tr>", section, re.DOTALL)
    assert gap is not None
    assert "no requirement with kind accuracy, quantity soc_pct, reported soc_pct" in gap[0]
    assert "badge" not in gap[0]
    assert "a fire test on the pack" in section


def test_a_report_of_a_rig_without_packs_has_no_such_section(record: dict[str, Any], tmp_path: Path) -> None:
    page = write_report(tmp_path, {**record, "packs": []}, load_rig(find_rig("ebus-lfp"))).read_text(encoding="utf-8")
    assert 'id="clauses"' not in page


# --------------------------------------------------------------------------------------------------------------- CSV


def test_csv_has_clause_requirement_and_verdict_in_each_row(record: dict[str, Any]) -> None:
    table = list(csv.DictReader(io.StringIO(csv_text(record))))
    row = next(r for r in table if (r["clause_id"], r["requirement"]) == ("R100-OVERCHARGE", "PRT-OV-3"))
    assert ("FAIL", "FAIL", "yes", "no", ODD) == (
        row["verdict"], row["clause_verdict"], row["clause_assumption"], row["requirement_assumption"], row["reason"]
    )  # fmt: skip
    assert ("3", "2", "12 ms") == (row["must"], row["must_not"], row["worst_margin"])
    gap = next(r for r in table if r["clause_id"] == "GBT38661-ACC-SOC")
    assert ("gap", "", "") == (gap["clause_status"], gap["clause_verdict"], gap["requirement"])
    assert any(r["requirement"] == "CYC-PACK-1" and not r["clause_id"] for r in table)


def test_csv_holds_nothing_that_a_spreadsheet_would_calculate(record: dict[str, Any]) -> None:
    verdicts = [{**verdict, "reason": "=1+1", "outcome": "FAIL"} for verdict in record["verdicts"]]
    table = csv.DictReader(io.StringIO(csv_text({**record, "verdicts": verdicts})))
    assert {"'=1+1", ""} >= {row["reason"] for row in table}


# -------------------------------------------------------------------------------------------------------------- ReqIF


def test_reqif_is_valid_by_the_schema_and_read_back_by_the_library(record: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "coverage.reqif"
    path.write_text(reqif_text(record, created=CREATED), encoding="utf-8")
    command = [sys.executable, "-m", "reqif.cli.main", "validate", "--use-reqif-schema", str(path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "0 errors, 0 schema issues found, 0 semantic issues found" in told, told

    bundle = ReqIFParser.parse(str(path))
    assert [] == bundle.exceptions
    content = bundle.core_content.req_if_content
    objects = {item.identifier: item for item in content.spec_objects}
    values = {key: item.value for key, item in objects["requirement-PRT-OV-3"].attribute_map.items()}
    assert ["verdict-FAIL"] == values["requirement-verdict"]
    assert ODD == values["requirement-reason"]
    assert ["status-gap"] == objects["clause-GBT38661-ACC-SOC"].attribute_map["clause-status"].value
    pairs = {(relation.source, relation.target) for relation in content.spec_relations}
    assert ("requirement-PRT-OV-3", "clause-R100-OVERCHARGE") in pairs
    assert {item for pair in pairs for item in pair} <= objects.keys()
    assert [len(pack["clauses"]) for pack in record["packs"]] == [
        len(specification.children) for specification in content.specifications[:-1]
    ]


# --------------------------------------------------------------------------------------------------------- needs.json


def test_needs_link_verdict_to_requirement_to_clause(record: dict[str, Any]) -> None:
    document = json.loads(needs_text(record, created=CREATED, version="1"))
    version = document["versions"][document["current_version"]]
    needs = version["needs"]
    assert version["needs_amount"] == len(needs)
    assert ["PRT_OV_3"] == needs["RUN_PRT_OV_3"]["links"]
    assert {"R100_OVERCHARGE", "GBT38661_DIAG_U"} == set(needs["PRT_OV_3"]["links"])
    assert ("req", "spec", "test") == tuple(
        needs[name]["type"] for name in ("R100_OVERCHARGE", "PRT_OV_3", "RUN_PRT_OV_3")
    )
    assert "FAIL" == needs["RUN_PRT_OV_3"]["status"] == needs["R100_OVERCHARGE"]["status"]
    assert {link for need in needs.values() for link in need["links"]} <= needs.keys()
    assert [] == [name for name in needs if not re.fullmatch(r"[A-Z0-9_]{5,}", name)]


def test_short_ids_are_made_long_enough_for_sphinx_needs() -> None:
    assert "A_1__" == need_id("A-1")


# -------------------------------------------------------------------------------------------------------- the command


def test_export_writes_all_three_into_the_run_directory(record: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    told = json.loads(call("export", tmp_path, "--json").stdout)
    assert {"csv", "reqif", "needs"} == told["written"].keys()
    assert all(Path(path).is_file() for path in told["written"].values())
    assert "" == told["note"]


def test_export_writes_only_what_is_asked_for(record: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text(json.dumps(record), encoding="utf-8")
    result = call("export", tmp_path / "run.json", "--csv", tmp_path / "deep" / "mine.csv")
    assert 0 == result.exit_code
    assert ["deep", "run.json"] == sorted(path.name for path in tmp_path.iterdir())


def test_export_of_a_record_without_clauses_takes_them_from_the_rig_and_says_so(
    record: dict[str, Any], tmp_path: Path
) -> None:
    old = {key: value for key, value in record.items() if key not in ("packs", "requirements", "applications")}
    (tmp_path / "run.json").write_text(json.dumps(old), encoding="utf-8")
    result = call("export", tmp_path)
    assert "as it is now" in result.stderr
    assert csv_text(record) == (tmp_path / "coverage.csv").read_bytes().decode()


def test_export_of_a_record_whose_rig_is_gone_still_has_the_verdicts(record: dict[str, Any], tmp_path: Path) -> None:
    old = {"rig": "gone", "outcome": "FAIL", "seed": 1, "verdicts": record["verdicts"]}
    (tmp_path / "run.json").write_text(json.dumps(old), encoding="utf-8")
    result = call("export", tmp_path)
    assert 0 == result.exit_code
    assert "its rig 'gone' cannot be read" in result.stderr
    table = list(csv.DictReader(io.StringIO((tmp_path / "coverage.csv").read_text(encoding="utf-8"))))
    assert len(record["verdicts"]) == len(table)
    assert [] == ReqIFParser.parse(str(tmp_path / "coverage.reqif")).exceptions
    assert json.loads((tmp_path / "needs.json").read_text(encoding="utf-8"))["versions"]


def test_export_of_something_else_says_what_it_wants(tmp_path: Path) -> None:
    result = call("export", tmp_path)
    assert 2 == result.exit_code
    assert "no run directory" in result.stderr


@pytest.mark.parametrize(
    "wrong",
    [{"verdicts": 3}, {"verdicts": [{}]}, {"packs": 3}, {"packs": [{"title": "half a pack"}]}, {"requirements": [1]}],
)
def test_export_of_a_record_that_was_spoilt_says_so_and_writes_nothing(
    record: dict[str, Any], tmp_path: Path, wrong: dict[str, Any]
) -> None:
    file = tmp_path / "run.json"
    spoilt = {key: value for key, value in record.items() if key != "packs" or "verdicts" not in wrong}
    file.write_text(json.dumps(spoilt | wrong), encoding="utf-8")
    result = call("export", tmp_path)
    assert (2, True) == (result.exit_code, "a run.json written by bms-harness" in result.stderr), result.stderr
    assert [file] == list(tmp_path.iterdir())


def test_clauses_are_listed_without_a_run_and_without_verdicts(gapped: Path) -> None:
    told = call("requirements", gapped, "--clauses").stdout
    assert re.search(r"GBT38661-ACC-SOC +gap .*no requirement with", told)
    assert re.search(r"R100-SHORT +covered .*PRT-SC-3, PRT-SC-4", told)
    packs = json.loads(call("requirements", gapped, "--clauses", "--json").stdout)["packs"]
    assert not any("outcome" in clause for pack in packs for clause in pack["clauses"])
