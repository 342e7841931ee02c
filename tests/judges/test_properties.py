# SPDX-License-Identifier: Apache-2.0
"""What holds for every record, however broken the controller: judges never raise, and order what they allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

from harness.requirements import load_requirements
from harness.requirements.evidence import MessageSeries, Series
from harness.requirements.judge import full_judge, group_of, judge, judge_all, quick_look
from harness.requirements.model import Requirement, Trip
from harness.requirements.record import Record
from harness.verdict import Outcome, Verdict

FILE = Path(__file__).parents[2] / "fixtures" / "requirements" / "ebus-lfp.toml"


class Anything:
    """Evidence in which every quantity of every side is whatever `draw` returns for it."""

    def __init__(self, draw: Callable[[str, str], Series | None], message: MessageSeries | None, **rest: Any) -> None:
        self._draw = draw
        self._message = message
        self.duration_s: float = rest.get("duration_s", 10.0)
        self.timing_s: float = rest.get("timing_s", 0.01)
        self.boot_s: float = rest.get("boot_s", 0.5)
        self._resets: NDArray[np.float64] = rest.get("resets", np.empty(0))
        self._power_ons: NDArray[np.float64] = rest.get("power_ons", np.empty(0))

    def given(self, quantity: str) -> Series | None:
        return self._draw("given", quantity)

    def truth(self, quantity: str) -> Series | None:
        return self._draw("truth", quantity)

    def output(self, quantity: str) -> Series | None:
        return self._draw("output", quantity)

    def reported(self, quantity: str) -> Series | None:
        return self._draw("reported", quantity)

    def message(self, name: str, *, counter: str | None, crc: str | None) -> MessageSeries | None:  # noqa: ARG002 - port
        return self._message

    def resets(self) -> NDArray[np.float64]:
        return self._resets

    def resets_heard(self) -> NDArray[np.float64]:
        return self.resets()

    def power_ons(self) -> NDArray[np.float64]:
        return self._power_ons


@pytest.fixture(scope="module")
def requirements() -> tuple[Requirement, ...]:
    return load_requirements(FILE)


TIMES = hnp.arrays(np.float64, st.integers(0, 25), elements=st.floats(-1.0, 11.0, width=32)).map(np.sort)
WILD = st.sampled_from([np.nan, np.inf, -np.inf, 1e300, -1e300, 0.0, 1.0, 6.0, 3.75, 700.0, -900.0, 65.0, 1e-320])


@st.composite
def wild_series(draw: st.DrawFn) -> Series | None:
    times = draw(TIMES)
    values = draw(hnp.arrays(np.float64, len(times), elements=WILD))
    kind = draw(st.sampled_from(["missing", "float64", "float32", "bool"]))
    if kind == "missing":
        return None
    with np.errstate(all="ignore"):
        return Series(times, values.astype(kind))


@st.composite
def wild_message(draw: st.DrawFn) -> MessageSeries | None:
    times = draw(TIMES)
    counter = draw(st.none() | hnp.arrays(np.int64, len(times)))
    crc_ok = draw(st.none() | hnp.arrays(np.bool_, len(times)))
    return draw(st.sampled_from([None, MessageSeries(times, counter, draw(st.sampled_from([0, 1, 15])), crc_ok)]))


@settings(max_examples=60)
@given(
    pool=st.lists(wild_series(), min_size=1, max_size=6),
    salt=st.integers(0, 1000),
    message=wild_message(),
    resets=TIMES,
    power_ons=TIMES,
)
def test_judges_never_raise_and_repeat_themselves(
    requirements: tuple[Requirement, ...],
    pool: list[Series | None],
    salt: int,
    message: MessageSeries | None,
    resets: NDArray[np.float64],
    power_ons: NDArray[np.float64],
) -> None:
    def draw(side: str, quantity: str) -> Series | None:
        return pool[(salt + len(side) * 7 + sum(map(ord, quantity))) % len(pool)]

    evidence = Anything(draw, message, resets=resets, power_ons=power_ons)
    first = judge_all(requirements, evidence)
    assert [verdict.requirement for verdict in first] == [requirement.id for requirement in requirements]
    assert repr(first) == repr(judge_all(requirements, evidence))
    assert all(np.isfinite(list(verdict.margin.values())).all() for verdict in first)


@settings(max_examples=60)
@given(pool=st.lists(wild_series(), min_size=1, max_size=6), salt=st.integers(0, 1000), power_ons=TIMES)
def test_a_quick_look_says_what_the_full_judge_says(
    requirements: tuple[Requirement, ...],
    pool: list[Series | None],
    salt: int,
    power_ons: NDArray[np.float64],
) -> None:
    def draw(side: str, quantity: str) -> Series | None:
        return pool[(salt + len(side) * 7 + sum(map(ord, quantity))) % len(pool)]

    record = Record(Anything(draw, None, power_ons=power_ons))
    for requirement in requirements:
        quick = quick_look(requirement)(record)
        if quick is not None:
            full = full_judge(requirement, record, group_of(requirement, requirements))
            assert (quick.requirement, quick.outcome, quick.exercised) == (
                full.requirement,
                full.outcome,
                full.exercised,
            ), full.reason


# ---- one protection, random but sane records -------------------------------------------------------------------------

TRIP = Trip.model_validate(
    {
        "id": "PRT-1",
        "title": "a protection",
        "source": ["own choice"],
        "quantity": "cell_voltage_max_v",
        "above": 3.75,
        "accuracy": 0.005,
        "confirm_s": [0.8, 1.0],
        "flag": "fault.x",
        "flag_within_s": 0.2,
        "safe_state": "contactors_open",
        "safe_within_s": 0.5,
        "latched": True,
    }
)
GRID: NDArray[np.float64] = np.arange(1001, dtype=np.float64) * 0.01
BUS: NDArray[np.float64] = np.arange(101, dtype=np.float64) * 0.1 + 0.003
LEVELS = st.sampled_from([3.3, 3.74, 3.747, 3.752, 3.756, 3.8])


@st.composite
def levels(draw: st.DrawFn) -> NDArray[np.float64]:
    """A voltage that steps between levels around the limit, holding each for a while."""
    values = np.full(len(GRID), 3.3)
    at = draw(st.integers(0, 300))
    for _ in range(draw(st.integers(1, 6))):
        values[at:] = draw(LEVELS)
        at += draw(st.sampled_from([1, 5, 50, 79, 81, 95, 101, 125, 300]))
    return values


def stays(from_tick: int, grid: NDArray[np.float64], before: float, after: float) -> NDArray[np.float64]:
    return np.where(grid >= from_tick * 0.01, after, before)


def protection(voltage: NDArray[np.float64], flag_tick: int, open_tick: int, shift_s: float = 0.0) -> Anything:
    columns = {
        ("given", "cell_voltage_max_v"): Series(GRID + shift_s, voltage),
        ("output", "contactor_positive"): Series(GRID + shift_s, stays(open_tick, GRID, 1.0, 0.0)),
        ("output", "contactor_negative"): Series(GRID + shift_s, stays(open_tick, GRID, 1.0, 0.0)),
        ("reported", "fault.x"): Series(BUS + shift_s, stays(flag_tick, BUS, 0.0, 1.0)),
    }
    return Anything(lambda side, name: columns.get((side, name)), None, duration_s=10.0 + shift_s)


TICKS = st.integers(0, 1100)


@given(voltage=levels(), flag_tick=TICKS, open_tick=TICKS, wider=st.sampled_from([0.001, 0.003, 0.01, 0.1]))
def test_a_larger_accuracy_never_turns_a_pass_into_a_fail(
    voltage: NDArray[np.float64], flag_tick: int, open_tick: int, wider: float
) -> None:
    evidence = protection(voltage, flag_tick, open_tick)
    near = TRIP.model_copy(update={"near": 0.2})
    rough = near.model_copy(update={"accuracy": TRIP.accuracy + wider})
    if judge(near, evidence).outcome is not Outcome.FAIL:
        assert judge(rough, evidence).outcome is not Outcome.FAIL


@given(voltage=levels(), flag_tick=TICKS, open_tick=TICKS, wider_s=st.sampled_from([0.02, 0.1, 0.3]))
def test_a_larger_timing_uncertainty_never_turns_a_pass_into_a_fail(
    voltage: NDArray[np.float64], flag_tick: int, open_tick: int, wider_s: float
) -> None:
    evidence = protection(voltage, flag_tick, open_tick)
    if judge(TRIP, evidence).outcome is not Outcome.FAIL:
        evidence.timing_s += wider_s
        assert judge(TRIP, evidence).outcome is not Outcome.FAIL


@given(
    start=st.integers(0, 500),
    level=st.sampled_from([3.756, 3.8]),
    flag_tick=TICKS,
    open_tick=TICKS,
    later=st.integers(0, 500),
)
@example(start=200, level=3.8, flag_tick=330, open_tick=340, later=100)
def test_a_later_flag_never_turns_a_missed_deadline_into_a_pass(
    start: int, level: float, flag_tick: int, open_tick: int, later: int
) -> None:
    voltage = stays(start, GRID, 3.3, level)
    late = judge(TRIP, protection(voltage, flag_tick, open_tick))
    if late.outcome is Outcome.FAIL and late.margin.get("ms", 0.0) < 0.0:
        later_still = judge(TRIP, protection(voltage, flag_tick + later, open_tick + later))
        assert later_still.outcome is Outcome.FAIL


@given(voltage=levels(), flag_tick=TICKS, open_tick=TICKS, shift_s=st.sampled_from([-3.7, 0.1, 12.34, 4096.0]))
def test_shifting_everything_in_time_changes_nothing(
    voltage: NDArray[np.float64], flag_tick: int, open_tick: int, shift_s: float
) -> None:
    here = judge(TRIP, protection(voltage, flag_tick, open_tick))
    there = judge(TRIP, protection(voltage, flag_tick, open_tick, shift_s))
    assert without_times(here) == without_times(there)
    assert {key: pytest.approx(value, abs=1e-4) for key, value in here.margin.items()} == there.margin


def without_times(verdict: Verdict) -> Verdict:
    return replace(verdict, at_s=None, reason="", margin={})


@given(voltage=levels())
def test_a_controller_that_confirms_in_the_middle_never_fails(voltage: NDArray[np.float64]) -> None:
    """An independent little controller: 0.9 s of consecutive samples past 3.75 V, flag at once, open 20 ms later."""
    flag_tick = open_tick = 10_000
    pending = 0
    for tick, value in enumerate(voltage):
        pending = pending + 1 if value > 3.75 else 0
        if pending >= 90:
            flag_tick, open_tick = tick, tick + 2
            break
    found = judge(TRIP, protection(voltage, flag_tick, open_tick))
    assert found.outcome is not Outcome.FAIL, found.reason


@given(voltage=levels())
def test_a_controller_that_never_resets_its_counter_fails_where_it_trips_alone(voltage: NDArray[np.float64]) -> None:
    sums = np.cumsum(voltage > 3.75)
    flag_tick = int(np.argmax(sums >= 90)) if sums[-1] >= 90 else 10_000
    longest = longest_run(voltage > 3.745)
    found = judge(TRIP, protection(voltage, flag_tick, flag_tick + 2))
    if flag_tick < 10_000 and longest < 78:
        assert found.outcome is Outcome.FAIL


def longest_run(mask: NDArray[np.bool_]) -> int:
    longest = now = 0
    for item in mask:
        now = now + 1 if item else 0
        longest = max(longest, now)
    return longest
