# SPDX-License-Identifier: Apache-2.0
"""Readings that stand still: the kernel's columns against the plain definition, and the firmware against both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from harness.observation import Observation
from harness.rig import find_rig, load_rig
from harness.rig.session import Run, Session
from harness.scenario import Action, CommandAction, Scenario, begin

LIMIT_A, LIMIT_V = 50.0, 15.0  # PRT-FRZ-1 to -4
PULSES = begin(0.0, "load-power", power_w=200_000.0, shape="intermittent", period_s=1.0, duty=0.5)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(find_rig("ebus-lfp"))) as session:
        yield session


def play(session: Session, *actions: Action, duration_s: float = 9.0) -> Run:
    return session.run(Scenario(rig="ebus-lfp", duration_s=duration_s, action=actions))


def range_while_still(reading: Any, valid: Any, driver: Any, begins: Any) -> Any:
    """By definition, sample by sample: how far the driver has ranged since the reading last changed."""
    found = np.zeros(len(reading))
    low = high = driver[0]
    for at in range(len(reading)):
        still = at > 0 and reading[at] == reading[at - 1] and valid[at] and not begins[at]
        low, high = (min(low, driver[at]), max(high, driver[at])) if still else (driver[at], driver[at])
        found[at] = high - low
    return found


def column(observation: Observation, quantity: str) -> Any:
    series = observation.given(quantity)
    assert series is not None
    return np.asarray(series.value, np.float64)


def widest_cell(session: Session, run: Run) -> Any:
    observation = run.observation
    current_a = column(observation, "pack_current_a")
    powered = column(observation, "powered")
    begins = np.concatenate(([True], (powered[1:] > 0.5) & (powered[:-1] < 0.5)))
    flags = run.trace.arrays["cell_flags"]
    cells = run.trace.arrays["cell_voltage_v"]
    assert cells.shape[1] == session.bounds.n_cells
    # Cells that never stand still cannot be the widest: only the others are worth the slow loop.
    still = np.flatnonzero((cells[1:] == cells[:-1]).any(axis=0))
    ranges = [range_while_still(cells[:, cell], flags[:, cell] & 1, current_a, begins) for cell in still]
    return np.max([np.zeros(len(cells)), *ranges], axis=0)


@pytest.mark.parametrize(
    "fault",
    [
        begin(0.75, "cell-sensor-stuck", cell=7),
        begin(0.75, "cell-sensor-stuck", cell="all", for_s=3.0),
        begin(0.75, "cell-voltage", cell=17, voltage_v=3.35),
        begin(0.75, "cell-sensor-stuck", cell=7, shape="intermittent", period_s=0.1, duty=0.5),
        begin(0.75, "cell-sensor-invalid", cell=7),
    ],
    ids=lambda fault: f"{fault.fault}-{fault.parameters.get('shape', 'step')}-{fault.parameters['cell']}",
)
def test_the_column_of_cells_is_the_range_of_the_current_since_a_cell_last_changed(
    session: Session, fault: Action
) -> None:
    run = play(session, PULSES, fault)
    expected = widest_cell(session, run)[1:]  # the first row has a row before it that was not recorded
    np.testing.assert_allclose(column(run.observation, "cell_frozen_a")[1:], expected, atol=0.01)


def test_a_power_cycle_begins_the_ranges_anew(session: Session) -> None:
    cycle = CommandAction(at_s=4.0, do="power-cycle", off_s=0.5)
    run = play(session, PULSES, begin(0.75, "cell-sensor-stuck", cell=7), cycle)
    frozen = column(run.observation, "cell_frozen_a")
    powered = column(run.observation, "powered") > 0.5
    on = int(np.flatnonzero(powered[1:] & ~powered[:-1])[0]) + 1
    assert frozen[:on].max() > LIMIT_A
    assert frozen[on] == 0.0


@pytest.mark.parametrize(
    ("fault", "quantity", "flag", "limit"),
    [
        (begin(0.75, "cell-sensor-stuck", cell=192), "cell_frozen_a", "cell_frozen", LIMIT_A),
        (begin(0.75, "cell-voltage", cell=1, voltage_v=3.4), "cell_frozen_a", "cell_frozen", LIMIT_A),
        (begin(0.75, "pack-voltage-sensor-stuck"), "pack_voltage_frozen_a", "pack_voltage_frozen", LIMIT_A),
        (begin(0.75, "link-voltage-sensor-stuck"), "link_voltage_frozen_a", "link_voltage_frozen", LIMIT_A),
        (begin(0.75, "current-sensor-stuck"), "current_frozen_v", "current_frozen", LIMIT_V),
    ],
    ids=["sensed cell", "held cell", "pack", "link", "current"],
)
def test_the_firmware_warns_five_seconds_after_the_column_passed_its_limit_and_trips_nothing(
    session: Session, fault: Action, quantity: str, flag: str, limit: float
) -> None:
    run = play(session, PULSES, fault)
    past = run.observation.given(quantity)
    told = run.observation.reported(f"warning.{flag}")
    state = run.observation.reported("bms_state")
    assert past is not None
    assert told is not None
    assert state is not None
    begun_s = past.t_s[past.value > limit][0]
    assert told.t_s[told.value > 0.5][0] - begun_s == pytest.approx(5.0, abs=0.05)
    assert set(state.value.tolist()) == {4.0}


def test_nothing_stands_still_in_a_healthy_drive_of_a_minute(session: Session) -> None:
    run = play(session, duration_s=60.0)
    for quantity, limit in (
        ("cell_frozen_a", LIMIT_A),
        ("pack_voltage_frozen_a", LIMIT_A),
        ("link_voltage_frozen_a", LIMIT_A),
        ("current_frozen_v", LIMIT_V),
    ):
        assert column(run.observation, quantity).max() < limit / 10
