# SPDX-License-Identifier: Apache-2.0
"""The working machine: what only a pack outdoors meets, from the scenario files of the rig to the verdicts."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from harness.rig import find_rig, load_rig
from harness.rig.compose import bounds_of
from harness.rig.session import Run, Session
from harness.scenario import Scenario, load_scenario
from harness.trace import Side
from harness.verdict import Outcome

RIG = load_rig(find_rig("working-machine-nmc"))
OWN = {path.stem: path for path in RIG.scenario_files}
SPREAD_K = 4.0  # three standard deviations of 0.5 K on either side, and a little heat


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(RIG) as booted:
        yield booted


def scenario(name: str) -> Scenario:
    return load_scenario(OWN[name], bounds_of(RIG))


def column(run: Run, side: Side, name: str) -> np.ndarray:
    return run.trace.columns[side][name]


@pytest.mark.parametrize("name", sorted(OWN))
def test_the_controller_passes_the_scenarios_of_the_rig(session: Session, name: str) -> None:
    run = session.run(scenario(name))
    assert [] == [verdict for verdict in run.verdicts if verdict.outcome in (Outcome.FAIL, Outcome.ERROR)]


def test_a_soaked_pack_is_cold_all_over_and_keeps_its_spread(session: Session) -> None:
    run = session.run(scenario("cold-start"))
    low, high = column(run, "truth", "cell_temp_min_degc"), column(run, "truth", "cell_temp_max_degc")
    assert -30.0 == pytest.approx(float(low[50] + high[50]) / 2, abs=SPREAD_K / 2)
    assert float(low[50]) == pytest.approx(float(high[50]), abs=SPREAD_K)
    assert float(high[50]) - float(low[50]) > 0.5


def test_a_machine_as_cold_as_that_drives_within_its_limit(session: Session) -> None:
    run = session.run(scenario("cold-start"))
    current = column(run, "truth", "pack_current_a")
    assert 20.0 < current.max() < 75.0  # a sixth of 360 A is 60 A
    assert current.min() > -2.0  # and no regeneration


def test_a_charge_asked_for_in_the_cold_closes_nothing(session: Session) -> None:
    run = session.run(scenario("cold-charge"))
    assert {0.0} == set(column(run, "truth", "contactors").tolist())


def test_a_charge_is_not_refused_at_0_degc(session: Session) -> None:
    run = session.run(scenario("cold-edge"))
    assert 3.0 == column(run, "truth", "contactors")[-1]
    assert column(run, "truth", "pack_current_a").min() < -20.0
