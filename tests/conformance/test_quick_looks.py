# SPDX-License-Identifier: Apache-2.0
"""Every short cut to a verdict gives what the long way gives, on generated sequences and boundary scenarios."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from harness.kernel.columns import COLUMNS
from harness.observation import Observation
from harness.requirements.evidence import Evidence
from harness.requirements.judge import full_judge, group_of, judge_all
from harness.requirements.record import Record
from harness.rig import load_rig
from harness.rig.compose import bounds_of
from harness.rig.resources import rigs_folder
from harness.rig.session import Session
from harness.scenario import Scenario
from harness.search.boundary import grids
from harness.search.moves import space
from harness.search.sequences import generate
from harness.verdict import Outcome, Verdict

N_SEQUENCES, EVERY_GRID = 120, 12
SEED = 20261124
SUMMARY = ("ranges", "bounds")
# Worked out by the kernel in integers, by the observation in single precision: both round.
ROUNDED = {"cell_temp_rise_k_per_s": 1e-5}


class Plain:
    """Evidence that knows nothing but its samples."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence

    def __getattr__(self, name: str) -> Any:
        if name in SUMMARY:
            raise AttributeError(name)
        return getattr(self._evidence, name)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(rigs_folder() / "ebus-lfp.toml")) as booted:
        yield booted


@pytest.fixture(scope="module")
def scenarios(session: Session) -> list[Scenario]:
    bounds = bounds_of(session.rig)
    searched = space(session.requirements, bounds, rig=session.rig.name)
    boundary = grids(session.requirements, bounds, rig=session.rig.name)
    return [*generate(searched, SEED, N_SEQUENCES), *boundary[::EVERY_GRID]]


def observations(session: Session, scenarios: list[Scenario]) -> Iterator[Observation]:
    """Of every scenario, until the next is played."""
    for scenario in scenarios:
        run = session.run(scenario, keep=False)
        assert run.error == ""
        yield run.observation


def told(verdict: Verdict) -> tuple[Any, ...]:
    """A verdict as what can be compared, NaN included. Of what nothing tested, a quick look says otherwise why."""
    if verdict.outcome is Outcome.NOT_EXERCISED:
        return (verdict.requirement, verdict.outcome, verdict.exercised)
    margin = repr(sorted(verdict.margin.items()))
    return (verdict.requirement, verdict.outcome, verdict.exercised, margin, verdict.reason, repr(verdict.at_s))


def test_quick_verdicts_are_those_of_the_full_judges(session: Session, scenarios: list[Scenario]) -> None:
    for observation in observations(session, scenarios):
        record = Record(Plain(observation))
        expected = [
            full_judge(requirement, record, group_of(requirement, session.requirements))
            for requirement in session.requirements
        ]
        found = judge_all(session.requirements, observation)
        assert [told(verdict) for verdict in expected] == [told(verdict) for verdict in found]


def test_what_is_known_without_a_look_at_samples_changes_no_verdict(
    session: Session, scenarios: list[Scenario]
) -> None:
    for observation in observations(session, scenarios):
        looked = judge_all(session.requirements, Plain(observation))
        assert [repr(verdict) for verdict in looked] == [
            repr(verdict) for verdict in judge_all(session.requirements, observation)
        ]


def test_ranges_are_the_extremes_of_the_series_to_the_bit(session: Session, scenarios: list[Scenario]) -> None:
    for observation in observations(session, scenarios[::3]):
        for side in ("given", "truth", "output", "reported"):
            for quantity, found in observation.ranges(side).items():
                series = getattr(observation, side)(quantity)
                empty = not len(series.value)
                expected = (np.nan, np.nan) if empty else (series.value.min(), series.value.max())
                assert np.array_equal(expected, found, equal_nan=True), (side, quantity)


def test_what_the_kernel_works_out_is_what_a_recording_without_it_gives(
    session: Session, scenarios: list[Scenario]
) -> None:
    recorded = {quantity for side, quantity in COLUMNS.values() if side == "given"}
    for observation in observations(session, scenarios[::3]):
        trace = observation._trace  # the very arrays that were judged
        for quantity in recorded & set(observation._derived) | {"cell_voltage_spread_v", "cell_temp_spread_k"}:
            given = {name: values for name, values in trace.columns["given"].items() if name != quantity}
            plain = session.observe(replace(trace, columns={**trace.columns, "given": given}, extremes={}))
            found, expected = observation.given(quantity), plain.given(quantity)
            assert found is not None
            assert expected is not None
            near = ROUNDED.get(quantity, 0.0)
            assert np.allclose(found.value, expected.value, rtol=0.0, atol=near, equal_nan=True), quantity
