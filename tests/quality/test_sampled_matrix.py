# SPDX-License-Identifier: Apache-2.0
"""The kill matrix as CI runs it: a sample of the defects through the command, which must fail when one is missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from harness.cli import cli

SAMPLE = ("--sample", "8", "--seed", "9")
NEEDS_SEQUENCES = 86  # no boundary scenario shows this defect: without sequences it is missed


def matrix(folder: Path, *words: str) -> tuple[int, dict[str, Any]]:
    """Exit code and document of the command, with boundary scenarios only."""
    fixed = ("--sequences", "0", "--jobs", "2", "--out", str(folder), "--json")
    result = CliRunner().invoke(cli, ["defects", "ebus-lfp", *fixed, *words])
    return result.exit_code, json.loads(result.stdout)


def test_every_defect_of_a_sample_is_caught_by_name_in_a_few_actions(tmp_path: Path) -> None:
    code, record = matrix(tmp_path, *SAMPLE)
    defects = record["defects"]
    assert (0, "PASS", 8) == (code, record["outcome"], len(defects))
    assert [] == [defect["id"] for defect in defects if defect["caught_by"] != defect["requirement"]]
    assert [] == [defect["id"] for defect in defects if defect["actions"] > 6]
    sequences = [defect["actions"] for defect in defects if defect["sequence"]]
    assert sequences
    assert min(sequences) >= 2
    assert [] == record["baseline"]["failures"]
    assert not record["whole"]
    assert [] == list(tmp_path.iterdir())  # of a part nothing is kept: it says nothing of what a requirement is worth


def test_a_missed_defect_fails_the_command(tmp_path: Path) -> None:
    code, record = matrix(tmp_path, "--only", str(NEEDS_SEQUENCES))
    assert (1, "FAIL", ["missed"]) == (code, record["outcome"], [defect["outcome"] for defect in record["defects"]])
