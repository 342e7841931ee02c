# SPDX-License-Identifier: Apache-2.0
"""A rig that follows a duty under an overhead line, from its file to the verdicts: the faults only such a rig has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.errors import RigError
from harness.faults.catalogue import CATALOGUE
from harness.rig import load_rig
from harness.rig.resources import rigs_folder
from harness.rig.session import Run, Session
from harness.scenario import Scenario, begin
from harness.verdict import Outcome

DUTY = """
title = "Under the wire: 40 kW of drive, 120 kW from the line"
source = ["test"]
[[segment]]
title = "wire"
duration_s = 600.0
power_kw = 40.0
line_v = 620.0
line_kw = 120.0
"""
LOAD = """
[load]
duty = "wire.toml"
min_link_v = 400.0
limit_lag_s = 0.1
line_min_v = {low}
line_max_v = {high}
"""
AT_S = 2.0


def rig_file(folder: Path, *, duty: str = DUTY, low: float = 400.0, high: float = 720.0) -> Path:
    """The shipped bus with a line in the place of its driving cycle."""
    text = (rigs_folder() / "ebus-lfp.toml").read_text(encoding="utf-8")
    head, _, rest = text.partition("[vehicle]")
    (folder / "wire.toml").write_text(duty, encoding="utf-8")
    path = folder / "wired.toml"
    path.write_text(head + LOAD.format(low=low, high=high) + "[charger]" + rest.partition("[charger]")[2])
    return path


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    with Session(load_rig(rig_file(tmp_path_factory.mktemp("wire")))) as booted:
        yield booted


def played(session: Session, fault: str, **parameters: float | str) -> Run:
    return session.run(Scenario(rig="wired", duration_s=5.0, action=(begin(AT_S, fault, for_s=1.0, **parameters),)))


def power_w(run: Run, at_s: float) -> float:
    """At the link, positive = out of the pack."""
    row = int(at_s / 0.01)
    truth = run.trace.columns["truth"]
    return float(truth["pack_current_a"][row] * truth["link_voltage_v"][row])


def test_the_kinds_that_need_a_line_are_offered(session: Session) -> None:
    assert {"pole-drop", "line-voltage", "line-gaps", "poles-fed"} == {
        kind.kind for kind in CATALOGUE if kind.needs == "line"
    }
    assert all(session.bounds.offers(kind) for kind in CATALOGUE if kind.needs in ("", "line"))


def test_a_pole_drop_steps_from_charging_to_driving_and_back_and_nothing_trips(session: Session) -> None:
    run = played(session, "pole-drop")
    assert [fault.fired for fault in run.trace.faults] == [True]
    assert power_w(run, AT_S - 0.1) == pytest.approx(-80e3, rel=0.01)  # 40 kW of drive, 120 kW from the line
    assert power_w(run, AT_S + 0.5) == pytest.approx(40e3, rel=0.01)
    assert power_w(run, AT_S + 1.5) == pytest.approx(-80e3, rel=0.01)
    assert [verdict for verdict in run.verdicts if verdict.outcome in (Outcome.FAIL, Outcome.ERROR)] == []
    assert set(run.trace.columns["truth"]["contactors"].tolist()) == {3.0}


@pytest.mark.parametrize(("line_v", "from_line_w"), [(450.0, 120e3), (350.0, 0.0), (800.0, 0.0)])
def test_the_line_gives_only_inside_its_window(session: Session, line_v: float, from_line_w: float) -> None:
    run = played(session, "line-voltage", voltage_v=line_v)
    assert power_w(run, AT_S + 0.5) == pytest.approx(40e3 - from_line_w, rel=0.01)


def test_a_bouncing_pole_changes_the_current_each_time(session: Session) -> None:
    run = played(session, "line-gaps", period_s=0.2, duty=0.5)
    assert [fault.fired for fault in run.trace.faults] == [True]
    seen = {round(power_w(run, AT_S + 0.02 + 0.1 * half) / 1e3) for half in range(8)}
    assert {-80, 40} == seen


@pytest.mark.parametrize(
    ("duty", "low", "high", "allowed"),
    [
        (DUTY, 0.0, 0.0, "below line_max_v: the duty has a line"),
        (DUTY.replace("620.0", "0.0"), 400.0, 720.0, "none: the duty has no line"),
    ],
)
def test_duty_and_window_must_fit(tmp_path: Path, duty: str, low: float, high: float, allowed: str) -> None:
    rig = load_rig(rig_file(tmp_path, duty=duty, low=low, high=high))
    with pytest.raises(RigError, match=f"load.line_min_v: found .*{allowed}"):
        rig.read_all()


def test_a_rig_with_neither_vehicle_nor_load_is_refused(tmp_path: Path) -> None:
    path = rig_file(tmp_path)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(LOAD.format(low=400.0, high=720.0), ""), encoding="utf-8")
    with pytest.raises(RigError, match=r"either \[vehicle\]"):
        load_rig(path)
