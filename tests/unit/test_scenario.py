# SPDX-License-Identifier: Apache-2.0
"""Scenario files: nothing is lost on the way to TOML and back, and what is wrong is named with its line."""

import string
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import jsonschema  # type: ignore[import-untyped, unused-ignore] # has no types of its own
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import RigError
from harness.faults.check import Bounds
from harness.faults.frames import BusMessage
from harness.scenario import (
    COMMAND_KEYS,
    COMMANDS,
    Command,
    CommandAction,
    FaultAction,
    Scenario,
    begin,
    dump_scenario,
    fault_windows,
    load_scenario,
    scenario_problems,
    scenario_schema,
)
from harness.tomlfile import parse_toml, validate

BOUNDS = Bounds(192, 48, (BusMessage("VCU_Command", "vehicle"), BusMessage("CHG_Status", "charger")))

TIMES = st.floats(0.0, 86_400.0)
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=12)
NAMES = st.text(string.ascii_lowercase, min_size=1, max_size=8).filter(
    lambda name: name not in ("fault", "label", "do")
)
VALUES = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False) | WORDS
FAULTS = st.builds(
    lambda at_s, fault, label, extra: FaultAction(at_s=at_s, fault=fault, label=label, **extra),
    TIMES,
    WORDS,
    WORDS,
    st.dictionaries(NAMES.filter(lambda name: name != "at_s"), VALUES, max_size=4),
)
KEYS: dict[str, st.SearchStrategy[Any]] = {
    "off_s": st.floats(0.02, 3600.0),
    "scale": st.floats(-3.0, 3.0),
    "soc_pct": st.floats(0.0, 100.0),
    "temp_degc": st.floats(-50.0, 85.0),
    "label": WORDS.filter(bool),
    "session": st.sampled_from(("default", "extended")),
    "identifier": st.integers(0, 0xFFFF),
    "request": st.binary(min_size=1, max_size=20).map(lambda request: request.hex(" ")),
    "flow": st.sampled_from(("00 00", "02 14", "00 F5 04")),
}


def command(do: Command) -> st.SearchStrategy[CommandAction]:
    key = COMMAND_KEYS.get(do, "")
    keys = st.fixed_dictionaries({key: KEYS[key]} if key else {})
    return st.builds(lambda at_s, extra: CommandAction(at_s=at_s, do=do, **extra), TIMES, keys)


SCENARIOS = st.builds(
    Scenario,
    rig=WORDS.filter(bool),
    title=WORDS,
    start=st.sampled_from(["off", "standby", "drive", "charge"]),
    duration_s=st.floats(0.001, 86_400.0),
    seed=st.integers(0, 2**63 - 1),
    action=st.lists(FAULTS | st.sampled_from(get_args(Command)).flatmap(command), max_size=5).map(tuple),
)


def read(text: str) -> Scenario:
    path = Path("case.toml")
    return validate(parse_toml(text, path), Scenario, path=path, text=text)


def refused_with_reason(text: str) -> bool:
    """False for a scenario, True for a refusal that names a problem; any other exception fails the test."""
    try:
        read(text)
    except RigError as refusal:
        if not refusal.problems:
            raise
        return True
    return False


@given(SCENARIOS)
def test_any_scenario_comes_back_from_toml_equal(scenario: Scenario) -> None:
    assert read(dump_scenario(scenario)) == scenario


@settings(max_examples=300)
@given(st.text(max_size=200) | st.text("[]=\"'{}#.\n abdefilnorstu_0123456789-", max_size=200))
def test_any_text_is_a_scenario_or_refused(text: str) -> None:
    assert refused_with_reason(text) in (True, False)


@settings(max_examples=200)
@given(SCENARIOS, st.integers(0, 10_000), st.text('=[]"\n.x9#', min_size=1, max_size=3))
def test_a_damaged_file_is_a_scenario_or_refused(scenario: Scenario, place: int, damage: str) -> None:
    text = dump_scenario(scenario)
    cut = place % (len(text) + 1)
    assert refused_with_reason(text[:cut] + damage + text[cut + 1 :]) in (True, False)


def test_file_of_the_design_reads_as_meant(tmp_path: Path) -> None:
    path = tmp_path / "case.toml"
    path.write_text(
        'rig = "ebus-lfp"\n[[action]]\nat_s = 2.0\nfault = "cell-voltage"\ncell = 17\nvoltage_v = 3.80\nfor_s = 5.0\n'
    )
    expected = Scenario(rig="ebus-lfp", action=(begin(2.0, "cell-voltage", cell=17, voltage_v=3.80, for_s=5.0),))
    assert load_scenario(path, BOUNDS) == expected


def problems_of(text: str, tmp_path: Path) -> list[tuple[int, str]]:
    path = tmp_path / "case.toml"
    path.write_text(text)
    with pytest.raises(RigError) as caught:
        load_scenario(path, BOUNDS)
    return [(problem.line, problem.key) for problem in caught.value.problems]


def test_every_problem_of_the_shape_is_named_with_its_line(tmp_path: Path) -> None:
    text = 'rig = "x"\nstart = "parked"\n[[action]]\nat_s = "2"\nfault = "crash"\n[[action]]\nat_s = 1.0\ndo = "fly"\n'
    assert problems_of(text, tmp_path) == [(2, "start"), (4, "action[1].at_s"), (8, "action[2].do")]


def test_every_problem_with_the_rig_is_named_with_its_line(tmp_path: Path) -> None:
    text = (
        'rig = "x"\n'
        "[[action]]\nat_s = 2.0\nfault = 'cell-voltage'\ncell = 193\nvoltage_v = 9.0\n"
        "[[action]]\nat_s = 99.0\nfault = 'cell-voltge'\n"
        "[[action]]\nat_s = 1.0\ndo = 'clear'\nlabel = 'nothing'\n"
    )
    assert problems_of(text, tmp_path) == [
        (5, "action[1].cell"),
        (6, "action[1].voltage_v"),
        (8, "action[2].at_s"),
        (9, "action[2].fault"),
        (13, "action[3].label"),
    ]


@pytest.mark.parametrize("key", ["nan", "inf", "[1]", "true", "1979-05-27", "{a = 1}"])
def test_a_parameter_that_is_neither_number_nor_word_is_refused(key: str) -> None:
    with pytest.raises(RigError):
        read(f'rig = "x"\n[[action]]\nat_s = 1.0\nfault = "crash"\nx = {key}\n')


@pytest.mark.parametrize("do", COMMANDS)
def test_a_command_refuses_keys_of_other_commands(do: str) -> None:
    foreign = next(name for name in COMMAND_KEYS.values() if name != COMMAND_KEYS.get(do))
    value = '"x"' if foreign == "label" else "1.0"
    with pytest.raises(RigError):
        read(f'rig = "x"\n[[action]]\nat_s = 1.0\ndo = "{do}"\n{foreign} = {value}\n')


def test_actions_come_in_order_of_time_and_equal_times_keep_theirs() -> None:
    first, second, third = begin(2.0, "crash"), begin(1.0, "hvil-open"), begin(2.0, "coolant-loss")
    assert Scenario(rig="x", action=(first, second, third)).actions == (second, first, third)


def test_a_fault_ends_by_its_duration_by_a_clear_or_with_the_scenario() -> None:
    scenario = Scenario(
        rig="x",
        duration_s=9.0,
        action=(
            begin(1.0, "crash", for_s=2.0),
            begin(1.0, "hvil-open"),
            begin(1.0, "coolant-loss", label="pump"),
            begin(5.0, "coolant-loss", label="pump"),
            CommandAction(at_s=4.0, do="clear", label="pump"),
        ),
    )
    assert [(window.from_s, window.until_s) for window in fault_windows(scenario)] == [
        (1.0, 3.0),
        (1.0, 9.0),
        (1.0, 4.0),
        (5.0, 9.0),
    ]


def test_a_clear_may_name_the_kind() -> None:
    scenario = Scenario(rig="x", action=(begin(1.0, "crash"), CommandAction(at_s=2.0, do="clear", label="crash")))
    assert scenario_problems(scenario, BOUNDS) == ()
    assert fault_windows(scenario)[0].until_s == 2.0


GOOD: list[dict[str, Any]] = [
    {"rig": "x"},
    {"rig": "x", "action": [{"at_s": 1.0, "fault": "cell-voltage", "cell": 17, "voltage_v": 3.8}]},
    {"rig": "x", "action": [{"at_s": 1.0, "fault": "cell-voltage", "cell": "all", "voltage_v": 3.8, "shape": "ramp"}]},
    {"rig": "x", "action": [{"at_s": 1.0, "do": "power-cycle", "off_s": 0.5}]},
]
BAD: list[dict[str, Any]] = [
    {},
    {"rig": "x", "action": [{"at_s": 1.0, "fault": "no-such-fault"}]},
    {"rig": "x", "action": [{"at_s": 1.0, "fault": "cell-voltage", "cell": 0, "voltage_v": 3.8}]},
    {"rig": "x", "action": [{"at_s": 1.0, "fault": "cell-voltage", "cell": 1, "voltage_v": 6.1}]},
    {"rig": "x", "action": [{"at_s": 1.0, "fault": "cell-voltage", "cell": 1}]},
    {"rig": "x", "action": [{"at_s": 1.0, "fault": "hvil-open", "shape": "ramp"}]},
    {"rig": "x", "action": [{"at_s": -1.0, "do": "drive"}]},
]


def test_schema_accepts_what_may_be_written_and_refuses_the_rest() -> None:
    validator = jsonschema.Draft202012Validator(scenario_schema())
    assert [validator.is_valid(document) for document in GOOD] == [True] * len(GOOD)
    assert [validator.is_valid(document) for document in BAD] == [False] * len(BAD)


def test_schema_is_itself_valid() -> None:
    jsonschema.Draft202012Validator.check_schema(scenario_schema())


def test_codes_are_cleared_only_where_somebody_can_ask_for_it() -> None:
    scenario = Scenario(rig="x", action=(CommandAction(at_s=1.0, do="clear-dtcs"),))
    (problem,) = scenario_problems(scenario, BOUNDS)
    assert ("action[1].do", "'clear-dtcs'") == (problem.key, problem.found)
    assert "[commands] has clear-dtcs" in problem.allowed
    assert scenario_problems(scenario, replace(BOUNDS, features=frozenset({"clear-dtcs"}))) == ()
