# SPDX-License-Identifier: Apache-2.0
"""Which frames of the rest bus a careful controller accepts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus.profile import Profile, load_profile
from harness.derived import forgotten, recovered, restart_age, told_before_off
from harness.received import UNHEARD, Receptions, count_since, reception, request_new, told
from harness.requirements.evidence import Series
from harness.trace import Frames, Trace

ROOT = Path(__file__).parents[2]
PERIOD_S = 0.01
COMMAND = 0x200
VEHICLE, FOREIGN = 1, 4


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(ROOT / "dbc" / "reference-bms.profile.toml")


def crc8(data: bytes) -> int:
    """CRC-8 SAE J1850, bit by bit."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D if crc & 0x80 else crc << 1) & 0xFF
    return crc ^ 0xFF


def command(counter: int, *, mode: int = 1, damage: int = 0, reset: int = 0) -> bytes:
    body = bytes([counter | mode << 4, reset, 0, 0, 0, 0, 0])
    return bytes([crc8(b"\x20" + body) ^ damage]) + body


def frames(rows: Sequence[tuple[float, bytes]], flags: Sequence[int] = (), lengths: Sequence[int] = ()) -> Frames:
    n = len(rows)
    return Frames(
        t_ns=np.array([round(t_s * 1e9) for t_s, _ in rows], np.uint64),
        id=np.full(n, COMMAND, np.uint32),
        flags=np.array(flags or [0] * n, np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.full(n, VEHICLE, np.uint8),
        length=np.array(lengths or [8] * n, np.uint8),
        data=np.array([list(data.ljust(8, b"\0")) for _, data in rows], np.uint8).reshape(n, 8),
    )


def sort(profile: Profile, seen: Frames, restarts_s: Sequence[float] = ()) -> tuple[list[float], list[float]]:
    """Rounded times of good and of corrupt frames."""
    message = profile.restbus_of("vehicle")[0]
    found = reception(message, seen, profile.decoder.decode(seen), np.array(restarts_s, np.float64))
    return [round(t_s, 6) for t_s in found.good_s.tolist()], [round(t_s, 6) for t_s in found.corrupt_s.tolist()]


def stream(counters: Sequence[int], *, first_s: float = 0.0) -> list[tuple[float, bytes]]:
    return [(round(first_s + PERIOD_S * place, 6), command(counter)) for place, counter in enumerate(counters)]


def test_frames_in_step_are_all_good(profile: Profile) -> None:
    rows = stream([count % 15 for count in range(40)])
    assert ([t_s for t_s, _ in rows], []) == sort(profile, frames(rows))


def test_a_wrong_checksum_is_corrupt_and_the_next_frame_is_good(profile: Profile) -> None:
    rows = stream([0, 1, 2, 3])
    rows[2] = (rows[2][0], command(2, damage=0x04))
    assert ([0.0, 0.01, 0.03], [0.02]) == sort(profile, frames(rows))


def test_a_counter_that_does_not_exist_is_corrupt_although_its_checksum_fits(profile: Profile) -> None:
    assert ([0.0], [0.01]) == sort(profile, frames(stream([14, 15])))


def test_another_length_is_corrupt(profile: Profile) -> None:
    assert ([0.0, 0.02], [0.01]) == sort(profile, frames(stream([0, 1, 2]), lengths=[8, 6, 8]))


def test_a_frame_that_the_controller_did_not_get_is_neither(profile: Profile) -> None:
    assert ([0.0, 0.02], []) == sort(profile, frames(stream([0, 1, 2]), flags=[0, UNHEARD, 0]))


def test_a_repetition_is_not_good_and_not_corrupt(profile: Profile) -> None:
    assert ([0.0, 0.02], []) == sort(profile, frames(stream([5, 5, 6])))


@pytest.mark.parametrize("step", range(15))
def test_steps_of_one_to_three_are_good(profile: Profile, step: int) -> None:
    found, _ = sort(profile, frames(stream([2, (2 + step) % 15])))
    assert found == ([0.0, 0.01] if 1 <= step <= 3 else [0.0])


def test_a_gap_in_time_allows_as_many_more_steps_as_frames_are_missing(profile: Profile) -> None:
    rows = [(0.0, command(0)), (0.06, command(8))]  # five frames are missing
    assert [0.0, 0.06] == sort(profile, frames(rows))[0]
    rows = [(0.0, command(0)), (0.06, command(9))]
    assert [0.0] == sort(profile, frames(rows))[0]


def test_a_jump_is_in_step_again_with_the_third_frame(profile: Profile) -> None:
    assert [0.0, 0.03, 0.04] == sort(profile, frames(stream([0, 7, 8, 9, 10])))[0]


def test_after_a_restart_of_the_receiver_any_counter_is_taken(profile: Profile) -> None:
    assert [0.0, 0.01] == sort(profile, frames(stream([0, 7])), restarts_s=[0.005])[0]


@given(counters=st.lists(st.integers(0, 14), min_size=1, max_size=60), data=st.data())
def test_good_frames_are_among_those_that_arrived_and_the_first_is_one(
    profile: Profile, counters: list[int], data: Any
) -> None:
    damaged = data.draw(st.sets(st.integers(0, len(counters) - 1)))
    rows = [
        (t_s, payload if place not in damaged else bytes([payload[0] ^ 1]) + payload[1:])
        for place, (t_s, payload) in enumerate(stream(counters))
    ]
    good, corrupt = sort(profile, frames(rows))
    intact = [t_s for place, (t_s, _) in enumerate(rows) if place not in damaged]
    assert [rows[place][0] for place in sorted(damaged)] == corrupt
    assert set(good) <= set(intact)
    assert good[:1] == intact[:1]


def test_counts_begin_anew_at_each_start() -> None:
    events, starts = np.array([0.1, 0.2, 0.5, 0.9]), np.array([0.3, 0.8])
    at = np.array([0.0, 0.15, 0.25, 0.35, 0.6, 0.85, 1.0])
    assert [0, 1, 2, 0, 1, 0, 1] == count_since(events, starts, at).tolist()
    assert [0, 1, 2, 2, 3, 3, 4] == count_since(events, np.empty(0), at).tolist()


# ---- the controller's own CAN, memory and requests


def trace(given: dict[str, Any], output: dict[str, Any], n: int) -> Trace:
    columns: Any = {
        "given": {name: np.array(values, np.float32) for name, values in given.items()},
        "output": {name: np.array(values, np.float32) for name, values in output.items()},
    }
    t_s: Any = np.arange(n) * 0.1
    return Trace(t_s, columns, frames([]))


def test_recovery_is_told_for_a_second_and_only_after_bus_off() -> None:
    state = [0, 1, 0, 2, 2, 0, 0] + [0] * 13
    told = recovered(trace({"can_state": state}, {}, 20))
    assert told is not None
    assert [5, 6, 7, 8, 9, 10, 11, 12, 13, 14] == np.flatnonzero(told).tolist()
    assert recovered(trace({}, {}, 3)) is None


def test_a_power_cycle_ends_the_recovery_and_is_none() -> None:
    state = [2, 2, 0, 0, 0, 0, 2, 0, 0, 0]
    powered = [1, 1, 1, 1, 0, 1, 1, 0, 1, 1]
    told = recovered(trace({"can_state": state}, {"powered": powered}, 10))
    assert told is not None
    assert [2, 3] == np.flatnonzero(told).tolist()


def test_the_age_of_a_restart_request_counts_from_bus_off_and_from_each_request() -> None:
    found = restart_age(
        trace(
            {"can_state": [0, 2, 2, 2, 2, 2, 2, 0]},
            {"can_restart": [0, 0, 0, 1, 0, 0, 0, 0], "powered": [1, 1, 1, 1, 1, 0, 1, 1]},
            8,
        )
    )
    assert found is not None
    assert [0.0, 0.1, 0.2, 0.0, 0.1, 0.0, 0.1, 0.0] == pytest.approx(found.tolist())


def test_a_damaged_memory_is_told_once_per_power_on() -> None:
    assert [0.1, 0.5] == pytest.approx(forgotten(trace({"nvm_damaged": [0, 1, 1, 0, 0, 1]}, {}, 6)).tolist())
    assert [] == forgotten(trace({}, {}, 2)).tolist()


def test_a_request_is_new_once_it_began_after_the_power_on(profile: Profile) -> None:
    modes = [1, 2, 2, 2, 1, 3]
    seen = frames([(0.1 * place, command(place, mode=mode)) for place, mode in enumerate(modes)])
    at: Any = np.arange(6) * 0.1 + 0.01
    decoded = profile.decoder.decode(seen)
    assert [0, 1, 1, 1, 1, 1] == request_new(profile, decoded, np.empty(0), at).astype(int).tolist()
    assert [0, 1, 0, 0, 0, 1] == request_new(profile, decoded, np.array([0.15]), at).astype(int).tolist()


@pytest.mark.parametrize(
    ("frame", "heard_s"),
    [
        pytest.param(command(1, reset=1), [0.01], id="good"),
        pytest.param(command(1, reset=1, damage=0x04), [], id="damaged"),
        pytest.param(command(0, reset=1), [], id="repeated"),
    ],
)
def test_a_request_is_heard_only_in_a_frame_that_must_be_accepted(
    profile: Profile, frame: bytes, heard_s: list[float]
) -> None:
    seen = frames([(0.0, command(0)), (0.01, frame), (0.02, command(2))])
    run = Trace(columns={}, arrays={}, t_s=np.empty(0), frames=seen)
    found = Receptions(profile, run, profile.decoder.decode(seen), np.empty(0), {})
    assert heard_s == pytest.approx(found.heard("reset-faults").tolist())


# ---- what the controller knows from a message alone ------------------------------------------------------------------

LINE = 0x201


def line(counter: int, volts: float, *, on: bool = True, damage: int = 0) -> bytes:
    raw = round(volts * 10)
    body = bytes([counter | on << 4, raw & 0xFF, raw >> 8, 0, 0, 0, 0])
    return bytes([crc8(b"\x22" + body) ^ damage]) + body


def told_of(profile: Profile, value: str, rows: Sequence[tuple[float, bytes]], t_s: Sequence[float]) -> list[float]:
    seen = frames(rows)
    seen.id[:] = LINE
    trace = Trace(np.array(t_s, np.float64), {}, seen)
    decoded = profile.decoder.decode(seen)
    found = told(profile, Receptions(profile, trace, decoded, np.empty(0), {}), decoded, value, trace.t_s)
    assert found is not None
    return [float(value) for value in found]


def test_what_was_told_holds_until_the_next_good_frame(profile: Profile) -> None:
    rows = [(0.1, line(0, 620.0)), (0.2, line(1, 900.0, damage=1)), (0.3, line(2, 0.0, on=False))]
    assert told_of(profile, "line_voltage_v", rows, [0.1, 0.25, 0.3]) == [620.0, 620.0, 0.0]
    assert told_of(profile, "pole_contact", rows, [0.1, 0.25, 0.3]) == [1.0, 1.0, 0.0]
    assert np.isnan(told_of(profile, "line_voltage_v", rows, [0.05])).all()


def test_poles_carry_something_off_the_line_only(profile: Profile) -> None:
    rows = [(0.1, line(0, 620.0)), (0.2, line(1, 590.0, on=False))]
    assert told_of(profile, "pole_feed_v", rows, [0.1, 0.2]) == [0.0, 590.0]


def test_a_message_of_an_age_of_its_own_is_none_of_its_nodes(profile: Profile) -> None:
    assert ["VCU_Command"] == [message.name for message in profile.aged("vehicle_message_age_s", "vehicle")]
    assert ["VCU_Line"] == [message.name for message in profile.aged("line_message_age_s", "vehicle")]
    without = profile.sent_with(())
    assert () == without.aged("line_message_age_s", "vehicle")
    assert without.carrier("line_voltage_v") is None


def test_the_mode_is_that_of_the_last_good_frame_since_power_on(profile: Profile) -> None:
    rows = [
        (0.00, command(0)),
        (0.10, command(1, mode=2)),
        (0.20, command(2, mode=3, damage=0x10)),  # damaged
        (0.30, command(1, mode=3)),  # repeated
        (0.40, command(2, mode=3)),
        (0.60, command(3, mode=0)),
    ]
    seen = frames(rows)
    run = Trace(columns={}, arrays={}, t_s=np.empty(0), frames=seen)
    found = Receptions(profile, run, profile.decoder.decode(seen), np.array([0.5]), {})
    at: Any = np.array([-0.01, 0.01, 0.11, 0.21, 0.31, 0.41, 0.51, 0.61])
    expected = [np.nan, 1.0, 2.0, 2.0, 2.0, 3.0, np.nan, 0.0]
    assert expected == pytest.approx(found.mode(at).tolist(), nan_ok=True)


@pytest.mark.parametrize(("damaged", "kept"), [(0.0, 61.0), (1.0, np.nan)])
def test_what_was_told_before_the_supply_went_is_compared_for_two_seconds_after_it_came_back(
    damaged: float, kept: float
) -> None:
    t_s = np.arange(0.0, 6.0, 0.5)
    powered = np.where((t_s >= 1.0) & (t_s < 2.0), 0.0, 1.0)
    lost = np.where((t_s >= 2.0) & (t_s < 3.0), damaged, 0.0)
    columns: Any = {"output": {"powered": powered}, "given": {"nvm_damaged": lost}}
    run = Trace(columns=columns, arrays={}, t_s=t_s, frames=frames([]))
    told = Series(np.array([0.1, 0.4, 0.9, 2.1]), np.array([55.0, 60.0, 61.0, 55.0]))
    found = told_before_off(run, told)
    assert found is not None
    expected = [np.nan] * 4 + [kept] * 4 + [np.nan] * 4
    assert expected == pytest.approx(found.tolist(), nan_ok=True)


def test_a_mode_is_unknown_while_only_the_clock_of_the_controller_decides(profile: Profile) -> None:
    late = [(0.00, command(0)), (0.0205, command(5, mode=2))]  # one frame is missing by now, or almost two
    after = [(0.03 + 0.01 * place, command(6 + place, mode=2)) for place in range(5)]
    seen = frames([*late, *after])
    run = Trace(columns={}, arrays={}, t_s=np.empty(0), frames=seen)
    found = Receptions(profile, run, profile.decoder.decode(seen), np.empty(0), {})
    at: Any = np.array([0.01, 0.021, 0.055, 0.071])
    assert [1.0, np.nan, np.nan, 2.0] == pytest.approx(found.mode(at).tolist(), nan_ok=True)
