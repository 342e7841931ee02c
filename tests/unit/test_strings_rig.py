# SPDX-License-Identifier: Apache-2.0
"""What rig and scenario files say of strings in parallel, and which string a verdict names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness.errors import RigError
from harness.faults.check import Bounds
from harness.faults.scale import Scale, power
from harness.rig import find_rig, load_rig
from harness.rig.compose import bounds_of, kernel_config
from harness.rig.file import Rig
from harness.rig.strings import share_of, worst
from harness.scenario import (
    CommandAction,
    Scenario,
    begin,
    dump_scenario,
    fault_windows,
    load_scenario,
    scenario_problems,
)
from harness.search.boundary import grids
from harness.search.strings import on_string
from harness.verdict import Exercised, Outcome, Verdict

BOUNDS = Bounds(n_cells=160, n_temps=40, strings=3)


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("hybrid-storage-nmc"))


def test_each_string_is_told_its_number_and_has_identifiers_of_its_own(rig: Rig) -> None:
    configs = [kernel_config(view) for view in rig.strings()]
    assert [1, 2, 3] == [dict(config.parameters)["string_number"] for config in configs]
    assert [0x200, 0x400, 0x600] == [config.messages[0].id for config in configs]
    assert [0x104, 0x304, 0x504] == [
        min(field.id for field in c.received_fields if field.id % 0x100 == 4) for c in configs
    ]


def test_strings_differ_as_cells_do(rig: Rig) -> None:
    packs = [kernel_config(view).pack for view in rig.strings()]
    soc = [float(np.mean(pack.soc)) for pack in packs]
    assert len(set(soc)) == 3
    assert all(abs(value - 0.5) < 3 * 0.004 + 0.001 for value in soc)
    assert not np.array_equal(packs[0].capacity_ah, packs[1].capacity_ah)


def test_an_offset_at_which_identifiers_meet_is_refused_with_its_line(rig: Rig, tmp_path: Path) -> None:
    text = rig.path.read_text(encoding="utf-8").replace("identifier_offset = 0x200", "identifier_offset = 0x10")
    path = tmp_path / "meeting.toml"
    path.write_text(text)
    with pytest.raises(RigError) as error:
        load_rig(path).strings()
    (problem,) = error.value.problems
    assert ("strings.identifier_offset", text[: text.index("identifier_offset")].count("\n") + 1) == (
        problem.key,
        problem.line,
    )
    assert "0x210: CHG_Status of string 1, VCU_Command of 2" in problem.found


def test_a_rig_without_strings_has_none() -> None:
    bus = load_rig(find_rig("ebus-lfp"))
    assert ((), 0) == (bus.strings(), bounds_of(bus).strings)


def test_an_action_names_a_string_that_is_there() -> None:
    actions = (begin(1.0, "hvil-open", string=4), CommandAction(at_s=2.0, do="standby", string=2))
    scenario = Scenario(rig="x", action=actions)
    assert [("action[1].string", "4", "at most 3")] == [
        (item.key, item.found, item.allowed) for item in scenario_problems(scenario, BOUNDS)
    ]
    alone = scenario_problems(scenario, Bounds(n_cells=160, n_temps=40))
    assert {"nothing: this rig has no strings in parallel"} == {problem.allowed for problem in alone}


def test_a_clear_goes_to_the_strings_where_its_fault_has_begun() -> None:
    early, late = begin(0.5, "hvil-open", string=2), begin(2.0, "hvil-open")
    clear = CommandAction(at_s=1.0, do="clear", label="hvil-open")
    scenario = Scenario(rig="x", action=(early, clear, late))
    assert () == scenario_problems(scenario, BOUNDS)
    shares = [share_of(scenario, number) for number in (1, 2, 3)]
    assert [(late,), (early, clear), ()] == [share.action for share in shares]
    assert [()] * 3 == [scenario_problems(share, BOUNDS) for share in shares]


def test_a_clear_for_a_string_ends_the_faults_of_that_string_only() -> None:
    first, second = begin(0.5, "hvil-open"), begin(0.5, "hvil-open", string=2)
    clear = CommandAction(at_s=1.0, do="clear", label="hvil-open", string=2)
    ends = [window.until_s for window in fault_windows(Scenario(rig="x", action=(first, second, clear)))]
    assert [10.0, 1.0] == ends
    (problem,) = scenario_problems(Scenario(rig="x", action=(first, clear)), BOUNDS)
    assert ("action[2].label", "'hvil-open'") == (problem.key, problem.found)
    assert "on string 2: there is none" in problem.allowed


def test_the_string_of_an_action_is_kept_in_a_file(tmp_path: Path) -> None:
    actions = (begin(1.0, "hvil-open", string=2), CommandAction(at_s=2.0, do="soc", soc_pct=60.0, string=3))
    scenario = Scenario(rig="x", action=actions)
    path = tmp_path / "scenario.toml"
    path.write_text(dump_scenario(scenario))
    assert scenario == load_scenario(path, BOUNDS)


def test_the_search_puts_faults_on_one_string_and_leaves_commands_to_all() -> None:
    scenario = Scenario(rig="x", action=(begin(1.0, "hvil-open"), CommandAction(at_s=2.0, do="standby")))
    assert [2, 0] == [action.string for action in on_string(scenario, 2).action]
    named = on_string(scenario, 2)
    assert named == on_string(named, 3)


def test_a_power_at_the_link_is_that_of_all_strings() -> None:
    assert 3.0 * power(Scale(), 100e3) == pytest.approx(power(Scale(strings=3), 100e3))


@pytest.mark.parametrize(
    ("outcomes", "expected", "string"),
    [
        ((Outcome.PASS, Outcome.FAIL, Outcome.PASS), Outcome.FAIL, 2),
        ((Outcome.NOT_EXERCISED, Outcome.INCONCLUSIVE, Outcome.PASS), Outcome.PASS, 3),
        ((Outcome.FAIL, Outcome.ERROR, Outcome.FAIL), Outcome.FAIL, 3),
    ],
)
def test_a_verdict_is_that_of_the_worst_string_and_names_it(
    outcomes: tuple[Outcome, ...], expected: Outcome, string: int
) -> None:
    verdicts = [
        Verdict("X-1", outcome, Exercised(must=1), {"v": 5.0 - place}, f"reason {place + 1}")
        for place, outcome in enumerate(outcomes)
    ]
    found = worst(verdicts)
    assert (expected, Exercised(must=3), {"v": 3.0}) == (found.outcome, found.exercised, found.margin)
    assert f"string {string}: reason {string}" == found.reason


def test_among_strings_that_pass_the_one_with_the_least_margin_is_named() -> None:
    verdicts = [Verdict("X-1", Outcome.PASS, margin={"ms": value}, reason="ok") for value in (30.0, 10.0, 20.0)]
    assert "string 2: ok" == worst(verdicts).reason


def test_a_fault_of_a_tour_befalls_the_string_its_title_tells(rig: Rig) -> None:
    played = {scenario.title: scenario for scenario in grids(rig.requirements, bounds_of(rig), rig=rig.name)}

    assert [action.string for action in played["string 2 trips"].action] == [2]
    assert [action.string for action in played["no string can precharge"].action] == [1, 2, 3, 0]
