# SPDX-License-Identifier: Apache-2.0
"""The kill matrix as CI runs it: a sample of the defects through the command, which must fail when one is missed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from harness.cli import cli
from harness.rig import find_rig

SAMPLE = ("--sample", "8", "--seed", "9")


def matrix(folder: Path, *words: str, rig: str = "ebus-lfp") -> tuple[int, dict[str, Any]]:
    """Exit code and document of the command, with boundary scenarios only."""
    fixed = ("--sequences", "0", "--jobs", "2", "--out", str(folder), "--json")
    result = CliRunner().invoke(cli, ["defects", rig, *fixed, *words])
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
    only = tmp_path / "only.toml"
    only.write_text(
        '[[accuracy]]\nid = "ACC-PACK-1"\ntitle = "Voltage"\nsource = ["own choice"]\nreported = "pack_voltage_v"\n'
        'quantity = "pack_voltage_v"\ntolerance = 7.7\n'
    )
    listed = tmp_path / "defects.toml"  # a timer that is never reset changes no voltage
    listed.write_text(
        '[[defect]]\nid = 1\nname = "timer"\nstory = "Never reset."\norigin = "debounce"\nrequirement = "ACC-PACK-1"\n'
    )
    rig = tmp_path / "narrow.toml"
    text = find_rig("ebus-lfp").read_text()
    head, _, tail = text.partition("[requirements]")
    rig.write_text(
        head.replace('"reference-bms/defects.toml"', f'"{listed}"')
        + f'[requirements]\nfiles = ["{only}"]\n\n[simulation]\n'
        + tail.partition("[simulation]\n")[2]
    )
    code, record = matrix(tmp_path / "runs", rig=str(rig))
    assert (1, "FAIL", ["missed"]) == (code, record["outcome"], [defect["outcome"] for defect in record["defects"]])
