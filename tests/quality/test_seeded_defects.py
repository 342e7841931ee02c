# SPDX-License-Identifier: Apache-2.0
"""The seeded defects of the reference firmware: each must fail by the requirement named for it, in a short scenario.

The failing scenario must replay to the same verdict, and the build without defects must not have them.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import UsageError
from harness.rig import find_rig, load_rig
from harness.rig.defectfile import load_defects
from harness.rig.file import Rig
from harness.rig.hunt import KillOutcome
from harness.rig.session import Session, build_libraries
from harness.rig.zoo import Matrix, ZooBudget, run_zoo, suite
from harness.scenario import dump_scenario, load_scenario
from harness.trace import Frames
from harness.verdict import Outcome

MAX_ACTIONS = 3
IDS = (1, 2, 3, 4, 5)  # a sample for every run of the tests; `bms-harness defects` plays all


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("ebus-lfp"))


@pytest.fixture(scope="module")
def matrix(rig: Rig) -> Matrix:
    return run_zoo(rig, budget=ZooBudget(only=IDS, sequences=0), jobs=2)


def test_the_build_without_defects_is_green_and_every_defect_is_caught(matrix: Matrix) -> None:
    assert () == matrix.baseline
    assert IDS == tuple(kill.defect.id for kill in matrix.kills)
    assert {KillOutcome.CAUGHT} == {kill.outcome for kill in matrix.kills}
    assert Outcome.PASS is matrix.outcome


@pytest.mark.parametrize("number", IDS)
def test_the_shrunk_scenario_is_short_and_replays_to_the_same_verdict(
    matrix: Matrix, rig: Rig, number: int, tmp_path: Path
) -> None:
    kill = next(kill for kill in matrix.kills if kill.defect.id == number)
    assert kill.scenario is not None
    assert len(kill.scenario.action) <= MAX_ACTIONS
    file = tmp_path / "scenario.toml"
    file.write_text(dump_scenario(kill.scenario))

    with Session(rig, defect=number) as session:
        replayed = session.run(load_scenario(file))
    with Session(rig) as session:
        sound = session.run(load_scenario(file))

    again = next(verdict for verdict in replayed.verdicts if verdict.requirement == kill.caught_by)
    assert (Outcome.FAIL, kill.reason) == (again.outcome, again.reason)
    assert [] == [verdict for verdict in sound.verdicts if verdict.outcome is Outcome.FAIL]


def test_a_requirement_that_killed_something_is_verified_and_others_are_only_claimed(matrix: Matrix) -> None:
    by_id = {evidence.requirement: evidence for evidence in matrix.evidence}
    assert by_id["PRT-OV-3"].verified
    assert {1, 3, 4} <= set(by_id["PRT-OV-3"].kills)
    assert 3 in by_id["PRT-OV-3"].only
    assert not by_id["GOAL-SC-1"].verified
    assert by_id["PRT-OV-3"].fired["cell-voltage"] > 0


def test_the_product_has_no_defects(rig: Rig) -> None:
    _, product = build_libraries(rig)
    _, seeded = build_libraries(rig, defects=True)
    assert product != seeded
    assert b"bms_defect" not in product.read_bytes()
    assert b"bms_defect" in seeded.read_bytes()


def test_a_defect_that_is_not_there_is_refused(rig: Rig) -> None:
    with pytest.raises(UsageError, match="no defect 9999"):
        Session(rig, defect=9999)


def test_every_id_of_the_list_is_one_the_firmware_has(rig: Rig) -> None:
    for defect in load_defects(rig).defect:
        Session(rig, defect=defect.id).close()


def test_without_a_defect_switched_on_the_seeded_build_behaves_as_the_product(rig: Rig) -> None:
    defines = (*rig.file.firmware.defines, "BMS_DEFECTS")
    firmware = rig.file.firmware.model_copy(update={"defines": defines})
    seeded = replace(rig, file=rig.file.model_copy(update={"firmware": firmware}))
    _, grids, generated = suite(rig, sequences=10, seed=1)
    with Session(rig) as one, Session(seeded) as other:
        for scenario in (*grids[::80], *generated):
            runs = [session.run(scenario) for session in (one, other)]
            assert _bytes(runs[0].trace.frames) == _bytes(runs[1].trace.frames), scenario.title
            assert runs[0].verdicts == runs[1].verdicts, scenario.title


def _bytes(frames: Frames) -> tuple[bytes, ...]:
    return tuple(array.tobytes() for array in (frames.t_ns, frames.id, frames.node, frames.length, frames.data))
