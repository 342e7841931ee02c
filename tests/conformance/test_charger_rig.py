# SPDX-License-Identifier: Apache-2.0
"""The shipped rig with a GB/T 27930 charger: a session, every time-out from both sides, a charger that overrides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from harness.canbus.gbt import messages, session_database
from harness.faults.kinds.charger import HEARD, SENT
from harness.report.chargingpage import STAGES, page
from harness.rig import find_rig, load_rig
from harness.rig.resources import data_root
from harness.rig.session import Run, Session
from harness.scenario import CommandAction, Scenario, begin
from harness.search.chargertours import charger_tours
from harness.verdict import Outcome

TOURS = {title: (start, duration_s, actions) for title, start, duration_s, actions in charger_tours()}
# The charger goes on without BHM: 5 s of patience, and no error.
TIMED = [title for title in TOURS if title.endswith(("in time", "too late")) and "BHM" not in title]
FLAG = "fault.charging_protocol"
OFTEN = {"CHM", "BRO", "CCS", "BCL", "BSM", "BCS", "BST", "CST", "CSD"}
CHARGE = CommandAction(at_s=0.5, do="charge")


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(find_rig("charger-gbt"))) as booted:
        yield booted


def tour(session: Session, title: str) -> Run:
    start, duration_s, actions = TOURS[title]
    return session.run(Scenario(rig="charger-gbt", title=title, start=start, duration_s=duration_s, action=actions))


def flagged(run: Run) -> bool:
    series = run.observation.reported(FLAG)
    assert series is not None
    return bool(np.any(series.value > 0.5))


def failed(run: Run) -> list[str]:
    return [verdict.requirement for verdict in run.verdicts if verdict.outcome is Outcome.FAIL]


def names(run: Run) -> list[str]:
    return [message.name for message in messages(run.trace.frames, session_database(data_root() / "dbc"))]


@pytest.mark.parametrize("title", TIMED)
def test_an_answer_in_time_does_not_stop_the_charge_and_one_too_late_does(session: Session, title: str) -> None:
    run = tour(session, title)
    assert run.error == ""
    assert failed(run) == []
    assert flagged(run) == title.endswith("too late")
    assert any(record.fired for record in run.trace.faults)


def test_every_time_out_of_both_sides_has_its_pair() -> None:
    waits = {
        title.rpartition(" ")[0].removesuffix(" in").removesuffix(" heard") for title in TIMED if "in time" in title
    }
    bms = {"CRM", "CRM(AA)", "CML", "CRO(AA)", "CCS", "CST", "CSD"}
    charger = {"BRM", "BCP", "BRO", "BCL", "BCS", "BSD", "BST and BSD", "both contactors welded, BRO(AA)"}
    assert waits == bms | charger


def test_a_whole_session_has_every_message_of_the_standard_in_order(session: Session) -> None:
    run = tour(session, "a session from plug to statistics")
    seen = list(dict.fromkeys(names(run)))
    order = ["CHM", "BHM", "CRM", "BRM", "BCP", "CTS", "CML", "BRO", "CRO", "BCL", "BSM", "CCS", "BCS", "BMV", "BMT"]
    assert seen[: len(order)] == order
    assert seen[len(order) : len(order) + 4] == ["BST", "CST", "BSD", "CSD"]
    assert failed(run) == []


def test_cyclic_messages_come_at_the_periods_of_the_standard(session: Session) -> None:
    """The median of the gaps, of the messages that come often in one session; BCS comes in packets."""
    database = session_database(data_root() / "dbc")
    period_s = {message.name: (message.cycle_ms or 0) / 1e3 for message in database.messages} | {"BCS": 0.25}
    times: dict[str, list[float]] = {}
    for run in (tour(session, "CRO(AA) in time"), tour(session, "a session from plug to statistics")):
        for message in messages(run.trace.frames, database):
            times.setdefault(message.name, []).append(message.t_s)
    gaps = {name: float(np.median(np.diff(found))) for name, found in times.items() if name in OFTEN}
    assert set(gaps) == OFTEN
    assert {name: gap for name, gap in gaps.items() if abs(gap - period_s[name]) > 0.002} == {}


def test_the_page_sets_a_session_beside_the_standard(session: Session) -> None:
    text = page(tour(session, "a session from plug to statistics"))
    assert "never" not in text.partition("## Handshake")[0]
    assert "No requirement fails." in text


def test_the_committed_page_is_of_a_whole_session() -> None:
    text = (Path(__file__).parents[2] / "docs" / "charging-session.md").read_text(encoding="utf-8")
    assert [stage.title for stage in STAGES if f"## {stage.title}\n" not in text] == []
    assert {name for stage in STAGES for name in stage.first if f" {name} | " not in text} == set()
    assert "No requirement fails." in text


@pytest.mark.parametrize("message", [name for name in SENT if name not in ("CST", "CSD", "CEM", "transport")])
def test_a_message_that_is_withheld_is_not_on_the_bus(session: Session, message: str) -> None:
    actions = (CHARGE, begin(0.0, "gbt-withheld", message=message))
    run = session.run(Scenario(rig="charger-gbt", start="standby", duration_s=8.0, action=actions))
    assert message not in names(run)
    assert (message == "CHM") != ("CHM" in names(run))


@pytest.mark.parametrize(("message", "field"), [("BRM", "Brm"), ("BCP", "Bcp"), ("BRO", "Bro"), ("BCL", "Bcl")])
def test_the_charger_names_what_it_did_not_get(session: Session, message: str, field: str) -> None:
    actions = (CHARGE, begin(0.0, "gbt-unheard", message=message))
    run = session.run(Scenario(rig="charger-gbt", start="standby", duration_s=10.0, action=actions))
    errors = [
        found for found in messages(run.trace.frames, session_database(data_root() / "dbc")) if found.name == "CEM"
    ]
    assert message in HEARD
    assert [name for name, value in errors[0].fields.items() if value == "TimeOut"] == [field]


def test_the_plant_follows_the_demand(session: Session) -> None:
    """Once the ramp is over the charger delivers what BCL asks for."""
    run = tour(session, "CML up to 60 A")
    current = run.trace.columns["truth"]["charger_current_a"]
    assert current[-1] == pytest.approx(60.0, abs=0.2)
    assert current.max() < 60.5


def test_a_session_is_the_same_after_a_checkpoint(session: Session) -> None:
    first, second = (tour(session, "CCS too late") for _ in range(2))
    for name in ("t_ns", "id", "data"):
        assert np.array_equal(getattr(first.trace.frames, name), getattr(second.trace.frames, name))


@pytest.mark.parametrize(
    ("defect", "title", "requirement"),
    [
        (270, "charger delivers 120 A more than CML and BCL", "GBT-OVR-1"),
        (271, "charger regulates to 17 V more than CML and BCL", "GBT-OVR-2"),
        (289, "both contactors welded, BRO(AA) too late", "GBT-WLD-1"),
    ],
)
def test_a_charger_that_overrides_cml_is_found_when_the_answer_is_missing(
    session: Session, defect: int, title: str, requirement: str
) -> None:
    assert failed(tour(session, title)) == []
    with Session(session.rig, defect=defect) as defective:
        assert requirement in failed(tour(defective, title))


def test_the_cyclic_message_of_the_rest_bus_is_not_sent_by_such_a_charger(session: Session) -> None:
    run = tour(session, "charger stops, manual")
    assert 0x210 not in set(run.trace.frames.id.tolist())


def test_the_wrong_protocol_is_refused_with_what_is_allowed() -> None:
    charger = load_rig(find_rig("charger-gbt")).file.charger
    with pytest.raises(ValueError, match="gbt-27930"):
        type(charger).model_validate({**charger.model_dump(), "protocol": "chademo"})
