# SPDX-License-Identifier: Apache-2.0
"""One-line defects put into a copy of the reference firmware: each must fail by the requirement meant for it.

The failing scenario must be short (at most three actions) and replay to the same verdict.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.rig import find_rig, load_rig
from harness.rig.campaign import Budget, Campaign, run_campaign
from harness.rig.file import Rig
from harness.rig.resources import rigs_folder
from harness.rig.session import Session
from harness.scenario import dump_scenario, load_scenario
from harness.verdict import Outcome

MAX_ACTIONS = 3


@dataclass(frozen=True)
class Defect:
    """A line of the firmware and what it becomes; `caught_by` is the requirement meant for it."""

    name: str
    file: str
    line: str
    becomes: str
    caught_by: str


DEFECTS = (
    Defect(
        "confirmation counter never reset",
        "protect.c",
        "        rule->pending_ms[tier] = 0;\n        return;",
        "        return;",
        "PRT-OV-3",
    ),
    Defect(
        "greater instead of less: charging is taken for not charging",
        "measure.c",
        "state.charging = current < -params->charging_current_ma;",
        "state.charging = current > -params->charging_current_ma;",
        "PRT-COT-3",
    ),
    Defect(
        "latch lost on power cycle",
        "nvm.c",
        "    nvm.latched = latched;\n",
        "    nvm.latched = 0U;\n    (void)latched;\n",
        "PRT-OV-3",
    ),
    Defect(
        "contactor opens 2 s late",
        "contactor.c",
        "    if (elapsed_ms >= contactor.negative_delay_ms) {",
        "    if (elapsed_ms >= contactor.negative_delay_ms + 2000) {",
        "PRT-OV-3",
    ),
    Defect(
        "over-temperature checked only while charging",
        "protect_table.c",
        "TEMPERATURE(Q_TEMP_MAX_MDEGC, 1, WATCH_NOT_CHARGING, FAULT_DISCHARGE_OVERTEMPERATURE,",
        "TEMPERATURE(Q_TEMP_MAX_MDEGC, 1, WATCH_CHARGING, FAULT_DISCHARGE_OVERTEMPERATURE,",
        "PRT-DOT-3",
    ),
)


def rig_with(defect: Defect, folder: Path) -> Rig:
    """A copy of the bus rig whose firmware has the defect."""
    shipped = find_rig("ebus-lfp")
    shutil.copytree(rigs_folder() / "reference-bms", folder / "reference-bms")
    source = folder / "reference-bms" / defect.file
    text = source.read_text()
    assert text.count(defect.line) == 1, f"the line of '{defect.name}' is not unique in {defect.file}"
    source.write_text(text.replace(defect.line, defect.becomes))
    return load_rig(Path(shutil.copy(shipped, folder / "ebus-lfp.toml")))


def verdict_of(campaign: Campaign, requirement: str) -> Outcome:
    return next(verdict.outcome for verdict in campaign.verdicts if verdict.requirement == requirement)


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda defect: defect.name.replace(" ", "-"))
def test_one_line_defect_fails_by_the_requirement_meant_for_it(defect: Defect, tmp_path: Path) -> None:
    rig = rig_with(defect, tmp_path)

    campaign = run_campaign(rig, budget=Budget(corpus=False, sequences=0, generated=0), jobs=2)

    assert verdict_of(campaign, defect.caught_by) is Outcome.FAIL
    finding = next(finding for finding in campaign.findings if finding.requirement == defect.caught_by)
    assert len(finding.scenario.action) <= MAX_ACTIONS
    file = tmp_path / "scenario.toml"
    file.write_text(dump_scenario(finding.scenario))
    with Session(rig) as session:
        replayed = session.run(load_scenario(file))
    again = next(verdict for verdict in replayed.verdicts if verdict.requirement == defect.caught_by)
    assert (Outcome.FAIL, finding.verdict.reason) == (again.outcome, again.reason)
