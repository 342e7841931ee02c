# SPDX-License-Identifier: Apache-2.0
"""Planning: what the kernel is told for each action of a scenario, and how wrong scenarios are refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from harness.canbus.profile import Profile, load_profile
from harness.errors import RigError
from harness.faults.check import Bounds
from harness.faults.frames import BusMessage
from harness.kernel.config import Event, EventKind, Op, Point
from harness.rig.plan import Plan, Planner
from harness.rig.resources import data_root
from harness.scenario import Scenario

BASE_NS = 5_000_000_000
FOREVER_NS = 10**15


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(data_root() / "dbc" / "reference-bms.profile.toml")


@pytest.fixture
def planner(profile: Profile) -> Planner:
    messages = tuple(BusMessage(message.name, message.node) for message in profile.restbus)
    return Planner(profile, Bounds(n_cells=192, n_temps=48, messages=messages))


def scenario(*actions: dict[str, Any], duration_s: float = 10.0, seed: int = 1) -> Scenario:
    return Scenario.model_validate({"rig": "ebus-lfp", "duration_s": duration_s, "seed": seed, "action": actions})


def plan(planner: Planner, *actions: dict[str, Any], requested: str = "drive", **frame: Any) -> Plan:
    return planner.plan(scenario(*actions, **frame), BASE_NS, requested=requested)


def signal(profile: Profile, event: Event, name: str) -> int:
    """The raw value of a little-endian signal of VCU_Command in the payload of an event."""
    found = profile.database.by_name["VCU_Command"].by_name[name]
    assert not found.big_endian
    return int.from_bytes(event.payload, "little") >> found.start_bit & ((1 << found.length) - 1)


def payloads(planned: Plan) -> list[Event]:
    return [event for event in planned.events if event.kind == EventKind.PAYLOAD]


def test_a_fault_acts_from_its_time_for_its_duration_after_the_start_state(planner: Planner) -> None:
    action = {"at_s": 2.0, "fault": "cell-voltage", "cell": 17, "voltage_v": 3.8, "for_s": 0.5}
    (row,) = plan(planner, action).rows
    assert (row.point, row.op, row.index, row.value) == (Point.CELL_VOLTAGE, Op.SET, 16, 3.8)
    assert (row.from_ns, row.until_ns) == (BASE_NS + 2_000_000_000, BASE_NS + 2_500_000_000)


def test_a_fault_without_end_acts_past_the_end_of_the_scenario(planner: Planner) -> None:
    (row,) = plan(planner, {"at_s": 2.0, "fault": "hvil-open"}).rows
    assert row.until_ns > FOREVER_NS


def test_clear_ends_the_faults_of_its_label_and_no_other(planner: Planner) -> None:
    planned = plan(
        planner,
        {"at_s": 1.0, "fault": "hvil-open", "label": "mine"},
        {"at_s": 1.0, "fault": "crash"},
        {"at_s": 3.0, "do": "clear", "label": "mine"},
    )
    mine, other = planned.faults
    assert (mine.label, mine.until_s, other.label, other.until_s) == ("mine", 3.0, "crash", 10.0)
    assert planned.rows[mine.first_row].until_ns == BASE_NS + 3_000_000_000
    assert planned.rows[other.first_row].until_ns > FOREVER_NS


def test_rows_of_a_fault_on_a_whole_node_belong_to_one_fault(planner: Planner) -> None:
    planned = plan(
        planner, {"at_s": 1.0, "fault": "message-lost", "message": "vehicle"}, {"at_s": 2.0, "fault": "crash"}
    )
    first, second = planned.faults
    assert second.first_row == first.first_row + first.n_rows
    assert len(planned.rows) == second.first_row + second.n_rows


def test_the_noise_of_a_fault_follows_the_seed_of_the_scenario(planner: Planner) -> None:
    noise = {"at_s": 1.0, "fault": "current-sensor-noise", "sigma_a": 5.0}
    seeds = [plan(planner, noise, noise, seed=seed).rows for seed in (1, 1, 2)]
    assert [row.seed for row in seeds[0]] == [row.seed for row in seeds[1]]
    assert len({row.seed for rows in (seeds[0], seeds[2]) for row in rows}) == 4


def test_to_drive_is_to_unplug_and_ask(planner: Planner, profile: Profile) -> None:
    planned = plan(planner, {"at_s": 1.0, "do": "drive"}, requested="charge")
    assert {(event.kind, event.value) for event in planned.events} == {(EventKind.PLUG, 0.0), (EventKind.PAYLOAD, 0.0)}
    states = profile.database.by_name["VCU_Command"].by_name["ModeRequest"].states
    assert states[signal(profile, payloads(planned)[0], "ModeRequest")] == "Drive"


def test_to_charge_is_to_plug_in_and_ask(planner: Planner, profile: Profile) -> None:
    planned = plan(planner, {"at_s": 1.0, "do": "charge"})
    assert [event.value for event in planned.events if event.kind == EventKind.PLUG] == [1.0]
    states = profile.database.by_name["VCU_Command"].by_name["ModeRequest"].states
    assert states[signal(profile, payloads(planned)[0], "ModeRequest")] == "Charge"


def test_a_reset_is_a_pulse_over_the_request_that_stands(planner: Planner, profile: Profile) -> None:
    set_event, clear_event = payloads(plan(planner, {"at_s": 1.0, "do": "reset-faults"}))
    assert (set_event.t_ns, clear_event.t_ns) == (BASE_NS + 1_000_000_000, BASE_NS + 1_200_000_000)
    assert [signal(profile, event, "FaultReset") for event in (set_event, clear_event)] == [1, 0]
    states = profile.database.by_name["VCU_Command"].by_name["ModeRequest"].states
    assert {states[signal(profile, event, "ModeRequest")] for event in (set_event, clear_event)} == {"Drive"}


def test_a_request_during_a_reset_pulse_survives_it(planner: Planner, profile: Profile) -> None:
    events = payloads(plan(planner, {"at_s": 1.0, "do": "reset-faults"}, {"at_s": 1.1, "do": "standby"}))
    states = profile.database.by_name["VCU_Command"].by_name["ModeRequest"].states
    seen = [(states[signal(profile, event, "ModeRequest")], signal(profile, event, "FaultReset")) for event in events]
    assert seen == [("Drive", 1), ("Standby", 1), ("Standby", 0)]


def test_overlapping_reset_pulses_join(planner: Planner, profile: Profile) -> None:
    events = payloads(plan(planner, {"at_s": 1.0, "do": "reset-faults"}, {"at_s": 1.1, "do": "reset-faults"}))
    assert [signal(profile, event, "FaultReset") for event in events] == [1, 1, 1, 0]
    assert events[-1].t_ns == BASE_NS + 1_300_000_000


def test_pulses_of_two_kinds_in_one_message_lie_over_each_other(profile: Profile) -> None:
    asks = {**profile.commands, "clear-dtcs": {"VCU_Command": {"ModeRequest": "Standby"}}}
    messages = tuple(BusMessage(message.name, message.node) for message in profile.restbus)
    bounds = Bounds(n_cells=192, n_temps=48, messages=messages, features=frozenset({"clear-dtcs"}))
    planner = Planner(replace(profile, commands=asks), bounds)
    events = payloads(plan(planner, {"at_s": 1.0, "do": "clear-dtcs"}, {"at_s": 1.1, "do": "reset-faults"}))
    states = profile.database.by_name["VCU_Command"].by_name["ModeRequest"].states
    seen = [(states[signal(profile, event, "ModeRequest")], signal(profile, event, "FaultReset")) for event in events]
    assert seen == [("Standby", 0), ("Standby", 1), ("Standby", 0), ("Drive", 0)]


def test_a_power_cycle_is_off_and_on_again(planner: Planner) -> None:
    planned = plan(planner, {"at_s": 1.0, "do": "power-cycle", "off_s": 0.5})
    assert [(event.kind, event.value, event.t_ns - BASE_NS) for event in planned.events] == [
        (EventKind.POWER, 0.0, 1_000_000_000),
        (EventKind.POWER, 1.0, 1_500_000_000),
    ]


def test_state_of_charge_is_a_fraction_for_the_kernel(planner: Planner) -> None:
    (event,) = plan(planner, {"at_s": 1.0, "do": "soc", "soc_pct": 7.5}).events
    assert (event.kind, event.value) == (EventKind.SOC, 0.075)


@pytest.mark.parametrize(("command", "plugged"), [("plug-in", 1.0), ("unplug", 0.0)])
def test_the_plug_moves_without_a_word_on_the_bus(planner: Planner, command: str, plugged: float) -> None:
    (event,) = plan(planner, {"at_s": 1.0, "do": command}).events
    assert (event.kind, event.value) == (EventKind.PLUG, plugged)


def test_events_come_in_the_order_of_time_whatever_the_order_in_the_file(planner: Planner) -> None:
    planned = plan(
        planner,
        {"at_s": 5.0, "do": "load", "scale": 0.0},
        {"at_s": 1.0, "do": "power-cycle", "off_s": 6.0},
        {"at_s": 3.0, "do": "ignition-off"},
    )
    times = [event.t_ns for event in planned.events]
    assert times == sorted(times)
    assert [mark.event for mark in planned.marks] == ["power-cycle off_s=6", "ignition-off", "load scale=0"]


def test_all_problems_of_a_scenario_come_at_once(planner: Planner) -> None:
    with pytest.raises(RigError) as caught:
        plan(
            planner,
            {"at_s": 1.0, "fault": "cell-voltage", "cell": 193, "voltage_v": 3.8},
            {"at_s": 1.0, "fault": "cell-voltag", "cell": 1, "voltage_v": 3.8},
            {"at_s": 11.0, "fault": "crash"},
            {"at_s": 2.0, "do": "clear", "label": "nothing"},
        )
    assert [problem.key for problem in caught.value.problems] == [
        "action[1].cell",
        "action[2].fault",
        "action[3].at_s",
        "action[4].label",
    ]
    assert "192" in caught.value.problems[0].allowed
    assert "cell-voltage" in caught.value.problems[1].allowed


def test_planning_twice_gives_the_same(planner: Planner) -> None:
    actions = (
        {"at_s": 1.0, "fault": "cell-voltage", "cell": 3, "voltage_v": 3.8, "shape": "ramp", "ramp_s": 2.0},
        {"at_s": 2.0, "do": "reset-faults"},
    )
    assert plan(planner, *actions) == plan(planner, *actions)
