# SPDX-License-Identifier: Apache-2.0
"""Three strings in parallel with a controller each, from the shipped rig to the verdicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest

from harness.rig import find_rig, load_rig
from harness.rig.judging import judge_trace
from harness.rig.session import Run, Session
from harness.scenario import Action, Command, CommandAction, Scenario, Start, begin
from harness.trace import load, save
from harness.verdict import Outcome

RIG = "hybrid-storage-nmc"


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(find_rig(RIG))) as booted:
        yield booted


def do(at_s: float, command: Command, string: int = 0, **keys: float) -> CommandAction:
    return CommandAction.model_validate({"at_s": at_s, "do": command, "string": string, **keys})


def play(session: Session, duration_s: float, *actions: Action, start: Start = "drive") -> Run:
    return session.run(Scenario(rig=RIG, start=start, duration_s=duration_s, action=actions))


def rejoin(session: Session, string: int, soc_pct: float, duration_s: float) -> Run:
    """A string leaves, its charge changes meanwhile, and it is asked to come back. The recording shown is its own."""
    back = (do(2.0, "soc", string, soc_pct=soc_pct), do(3.0, "drive", string))
    return play(session, duration_s, do(0.5, "standby", string), *back)


def truth(run: Run, quantity: str) -> np.ndarray:
    found = run.observation.truth(quantity)
    assert found is not None
    return found.value


def flagged(run: Run, flag: str) -> bool:
    found = run.observation.reported(flag)
    assert found is not None
    return bool(found.value.any())


def failed(run: Run) -> set[str]:
    return {verdict.requirement for verdict in run.verdicts if verdict.outcome in (Outcome.FAIL, Outcome.ERROR)}


def test_all_strings_are_connected_and_carry_a_like_share(session: Session) -> None:
    run = play(session, 4.0)
    assert {2.0} == set(truth(run, "strings_connected").tolist())
    assert failed(run) == set()
    currents = np.abs(truth(run, "pack_current_a"))
    loaded = currents > 15.0
    assert loaded.any()
    assert float((truth(run, "string_deviation_a") / currents)[loaded].max()) < 0.5


@pytest.mark.parametrize(("string", "soc_pct"), [(1, 75.0), (2, 25.0), (3, 75.0)])
def test_a_string_of_another_voltage_does_not_rejoin_and_says_so(session: Session, string: int, soc_pct: float) -> None:
    run = rejoin(session, string, soc_pct, 15.0)
    assert run.trace.header["string"] == string
    assert not truth(run, "contactor_positive")[run.trace.t_s > 1.0].any()
    assert flagged(run, "fault.string_unequal")
    assert failed(run) == set()
    assert {2.0} == set(truth(run, "strings_connected").tolist())


def test_an_equal_string_rejoins(session: Session) -> None:
    run = rejoin(session, 2, 50.0, 6.0)
    closed = truth(run, "contactor_positive")
    assert not closed[(run.trace.t_s > 1.0) & (run.trace.t_s < 3.0)].any()
    assert closed[-1]
    assert not flagged(run, "fault.string_unequal")
    assert failed(run) == set()


def test_the_trip_of_one_leaves_the_load_to_the_others(session: Session) -> None:
    run = play(session, 4.0, begin(1.0, "hvil-open", string=3), do(3.0, "standby", 1))
    assert run.trace.header["string"] == 3
    assert flagged(run, "fault.hvil")
    assert failed(run) == set()
    assert {2.0} == set(truth(run, "strings_connected")[(run.trace.t_s > 1.5) & (run.trace.t_s < 3.0)].tolist())
    carried = np.abs(run.trace.columns["truth"]["load_w"])
    assert float(carried[(run.trace.t_s > 2.0) & (run.trace.t_s < 3.0)].min()) > 20e3
    exercised = {verdict.requirement: verdict.exercised.must for verdict in run.verdicts}
    assert exercised["STR-CARRY-1"] > 0


def test_a_string_far_behind_leaves_the_others(session: Session) -> None:
    run = play(session, 6.0, do(0.0, "load", scale=0.0), do(1.0, "soc", 3, soc_pct=35.0))
    assert flagged(run, "fault.string_unequal")
    assert truth(run, "string_deviation_a").max() > 80.0
    assert not truth(run, "contactor_positive")[-1]
    assert {2.0} == set(truth(run, "strings_connected").tolist())  # the others stay
    assert failed(run) == set()


def test_a_saved_recording_is_judged_with_the_identifiers_of_its_string(session: Session, tmp_path: Path) -> None:
    run = rejoin(session, 3, 75.0, 15.0)
    save(run.trace, tmp_path / "trace.npz")
    trace = load(tmp_path / "trace.npz")
    rig = session.rig
    judged = judge_trace(trace, rig.profile_of(trace.header["string"]), rig.requirements, timing_s=0.01, boot_s=0.6)
    found = {verdict.requirement: verdict for verdict in judged.verdicts}
    assert (Outcome.PASS, 1) == (found["STR-WAIT-1"].outcome, found["STR-WAIT-1"].exercised.must)
    assert rig.profile is rig.profile_of(0)


def test_faults_are_told_in_the_order_of_the_scenario_whatever_their_string(session: Session) -> None:
    faults = (begin(2.0, "hvil-open", string=1), begin(1.0, "crash", string=3), begin(1.5, "hvil-open", string=2))
    run = play(session, 3.0, *faults)
    assert [("crash", True, 1.0), ("hvil-open", True, 1.5), ("hvil-open", True, 2.0)] == [
        (record.kind, record.fired, record.from_s) for record in run.trace.faults
    ]


def test_the_same_scenario_gives_the_same_frames_from_the_checkpoint(session: Session) -> None:
    runs = []
    for _ in range(2):
        run = rejoin(session, 2, 55.0, 4.0)
        runs.append((run.trace.frames.data.tobytes(), run.trace.frames.t_ns.tobytes(), run.verdicts))
        play(session, 1.0, begin(0.1, "crash", string=2))
    assert runs[0] == runs[1]


# ---- the firmware's answer taken away ----------------------------------------------------------------------------

LEAVES: Mapping[int, tuple[str, tuple[Action, ...], float]] = {
    300: ("STR-ID-1", (), 2.0),
    301: ("STR-JOIN-1", (do(0.5, "standby", 2), do(2.0, "soc", 2, soc_pct=60.0), do(3.0, "drive", 2)), 6.0),
    302: ("STR-CARRY-1", (begin(1.0, "hvil-open", string=1),), 3.0),
    303: ("STR-WAIT-1", (do(0.5, "standby", 2), do(2.0, "soc", 2, soc_pct=75.0), do(3.0, "drive", 2)), 16.0),
    304: ("STR-CIRC-1", (do(0.0, "load", scale=0.0), do(1.0, "soc", 3, soc_pct=35.0)), 6.0),
    306: (
        "STR-WAIT-1",
        (
            do(0.5, "standby", 2),
            *(do(1.0, "power-cycle", dark, off_s=14.0) for dark in (1, 3)),
            do(3.0, "drive", 2),
        ),
        16.0,
    ),
    305: ("STR-JOIN-1", (do(0.5, "standby", 2), do(2.0, "soc", 2, soc_pct=30.0), do(3.0, "drive", 2)), 6.0),
}


@pytest.mark.parametrize("defect", LEAVES)
def test_a_seeded_defect_is_found_by_the_requirement_named_for_it(defect: int) -> None:
    requirement, actions, duration_s = LEAVES[defect]
    with Session(load_rig(find_rig(RIG)), defect=defect) as session:
        run = play(session, duration_s, *actions)
    assert requirement in failed(run) or run.error
    assert run.error == "" or defect == 300
