# SPDX-License-Identifier: Apache-2.0
"""Faults on frames: each touches exactly the frames it is meant for, in both directions, and ends when it should.

The vehicle sends 0x200 every 10 ms, a counter 0..14 in the low half of byte 1; the DUT sends 0x101 ... in every step
and answers every frame it hears with 0x106: its identifier and first four bytes.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.firmware.builder import find_compiler
from harness.firmware.compiler import Family
from harness.firmware.sanitizer import child_environment
from harness.kernel.bustypes import ANY, ANY_ID, NOT_THE_DUT, Mark
from harness.kernel.config import Fault, Node, Op, Point, Shape
from harness.kernel.simulation import Frame

MS = 1_000_000
PERIOD = 10 * MS
BENDING = [p for p in Point if Point.FRAME_DROP <= p <= Point.FRAME_BYTE_ORDER]


def run(bench: Any, echo: Any, *faults: Fault, seconds: float = 0.3, **changes: Any) -> tuple[Any, Any]:
    simulation = echo.simulation(**{"messages": (bench.vehicle(),), **changes})
    simulation.plan(faults=list(faults))
    return simulation, bench.run(simulation, seconds)


def of(buffers: Any, identifier: int) -> Any:
    return np.flatnonzero(buffers.frames("id") == identifier)


def counters(buffers: Any, identifier: int = 0x200) -> list[int]:
    return [int(c) & 0x0F for c in buffers.frames("data")[of(buffers, identifier), 1]]


def begins(bench: Any, buffers: Any, identifier: int = 0x200) -> Any:
    """In which period each frame ended."""
    return bench.times(buffers, identifier) // PERIOD


def marks(buffers: Any, identifier: int) -> list[int]:
    return [int(flags) & (Mark.BENT | Mark.UNHEARD) for flags in buffers.frames("flags")[of(buffers, identifier)]]


def heard(bench: Any, buffers: Any) -> list[int]:
    """Counters of the frames the firmware got."""
    rows = bench.report(buffers, 0x106)
    return [int(first) >> 8 & 0x0F for identifier, first in rows if identifier == 0x200]


def window(point: Point, **changes: Any) -> Fault:
    """Acts on frames of the vehicle asked for in [100 ms, 150 ms): five of them."""
    return Fault(point, **{"id": 0x200, "from_ns": 100 * MS, "until_ns": 150 * MS, **changes})


# ---- drop ------------------------------------------------------------------------------------------------------


def test_a_dropped_frame_is_not_on_the_wire_and_the_counter_shows_it(bench: Any, echo: Any) -> None:
    simulation, buffers = run(bench, echo, window(Point.FRAME_DROP))
    assert begins(bench, buffers).tolist() == [k for k in range(30) if not 10 <= k < 15]
    assert np.mod(np.diff(counters(buffers)), 15).tolist() == [1] * 9 + [6] + [1] * 14
    [report] = simulation.fault_reports()
    assert (report.fired_ticks, report.first_fired_ns, report.last_fired_ns) == (5, 100 * MS, 140 * MS)


def test_a_frame_lost_at_its_receiver_is_on_the_wire_but_not_heard(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_DROP, mode=1))
    assert len(of(buffers, 0x200)) == 30
    assert [k for k, mark in enumerate(marks(buffers, 0x200)) if mark] == [10, 11, 12, 13, 14]
    assert heard(bench, buffers) == [k % 15 for k in range(29) if not 10 <= k < 15]


def test_frames_of_the_dut_are_lost_too(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_DROP, id=0x102, until_ns=200 * MS))
    # asked for at the end of a step: 100 ms to 190 ms
    assert len(of(buffers, 0x102)) == len(of(buffers, 0x103)) - 10


@pytest.mark.parametrize(
    ("selection", "touched"),
    [
        ({"node": Node.DUT}, 0),
        ({"node": Node.VEHICLE}, 5),
        ({"node": NOT_THE_DUT}, 5),
        ({"node": NOT_THE_DUT, "id_flags": ANY_ID, "id": 0}, 5),
        ({"id": 0x201}, 0),
        ({"id_flags": 1}, 0),  # the extended identifier 0x200
    ],
)
def test_only_frames_of_the_identifier_and_sender_are_touched(
    bench: Any, echo: Any, selection: dict[str, Any], touched: int
) -> None:
    simulation, buffers = run(bench, echo, window(Point.FRAME_DROP, **selection))
    assert len(of(buffers, 0x200)) == 30 - touched
    assert simulation.fault_reports()[0].fired_ticks == touched


def test_every_third_and_at_most_two(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, Fault(Point.FRAME_DROP, id=0x200, every=3, count=2))
    assert sorted(set(range(30)) - set(begins(bench, buffers).tolist())) == [2, 5]


def test_chance_comes_from_the_seed(bench: Any, echo: Any) -> None:
    def lost(seed: int) -> list[int]:
        _, buffers = run(bench, echo, Fault(Point.FRAME_DROP, id=0x200, probability=0.4, seed=seed), seconds=2.0)
        return sorted(set(range(200)) - set(begins(bench, buffers).tolist()))

    assert lost(1) == lost(1)
    assert lost(1) != lost(2)
    assert 50 < len(lost(1)) < 110  # 80 of 200 expected; four standard deviations are 28


def test_an_intermittent_fault_acts_in_its_share_of_the_period(bench: Any, echo: Any) -> None:
    fault = Fault(Point.FRAME_DROP, id=0x200, shape=Shape.INTERMITTENT, period_s=0.1, duty=0.3)
    _, buffers = run(bench, echo, fault)
    assert sorted(set(range(30)) - set(begins(bench, buffers).tolist())) == [0, 1, 2, 10, 11, 12, 20, 21, 22]


# ---- time ------------------------------------------------------------------------------------------------------


def test_a_delayed_frame_comes_later_by_so_much(bench: Any, echo: Any) -> None:
    silent: dict[str, Any] = {"parameters": (("report", 0),)}
    _, right = run(bench, echo, **silent)
    _, late = run(bench, echo, window(Point.FRAME_DELAY_S, value=0.004), **silent)
    delay = bench.times(late, 0x200) - bench.times(right, 0x200)
    assert delay.tolist() == [4 * MS if 10 <= k < 15 else 0 for k in range(30)]
    assert [k for k, mark in enumerate(marks(late, 0x200)) if mark == Mark.BENT] == [10, 11, 12, 13, 14]


def test_jitter_is_spread_between_nothing_and_its_limit(bench: Any, echo: Any) -> None:
    silent: dict[str, Any] = {"parameters": (("report", 0),), "seconds": 2.0}
    _, right = run(bench, echo, **silent)
    _, late = run(bench, echo, Fault(Point.FRAME_JITTER_S, id=0x200, value=0.005, seed=3), **silent)
    delay = (bench.times(late, 0x200) - bench.times(right, 0x200)) / (5 * MS)
    assert 0.0 <= delay.min() < 0.05
    assert 0.95 < delay.max() <= 1.0
    assert abs(delay.mean() - 0.5) < 0.1


def test_a_duplicate_follows_its_original(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_DUPLICATE, value=0.003), parameters=(("report", 0),))
    assert counters(buffers) == [c % 15 for k in range(30) for c in ([k, k] if 10 <= k < 15 else [k])]
    times = bench.times(buffers, 0x200)
    assert (np.diff(times)[10:20:2] == 3 * MS).all()


def test_a_held_frame_goes_out_behind_the_next_one(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_REORDER, count=1))
    assert counters(buffers)[8:14] == [8, 9, 11, 10, 12, 13]
    assert len(of(buffers, 0x200)) == 30


def test_what_is_held_when_the_fault_ends_goes_out_then(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_REORDER, until_ns=110 * MS))
    # asked for at 100 ms, held; at 110 ms the fault is over: out before the one of 110 ms
    assert counters(buffers)[8:13] == [8, 9, 10, 11, 12]
    assert begins(bench, buffers)[9:12].tolist() == [9, 11, 11]


def test_a_replay_repeats_what_was_sent_so_long_ago(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_REPLAY_S, value=0.05))
    assert counters(buffers)[9:16] == [9, 5, 6, 7, 8, 9, 15 % 15]


def test_a_replay_without_a_past_does_not_fire(bench: Any, echo: Any) -> None:
    simulation, buffers = run(bench, echo, Fault(Point.FRAME_REPLAY_S, id=0x200, value=1.0))
    assert not simulation.fault_reports()[0].fired
    assert counters(buffers) == [k % 15 for k in range(30)]


# ---- content ---------------------------------------------------------------------------------------------------


def test_a_mask_inverts_its_bits_and_no_others(bench: Any, echo: Any) -> None:
    _, right = run(bench, echo)
    _, bent = run(bench, echo, window(Point.FRAME_CORRUPT, mask=0x80_00_00_00_00_01_00_00))
    difference = right.frames("data")[of(right, 0x200)] ^ bent.frames("data")[of(bent, 0x200)]
    assert difference[10:15].tolist() == [[0, 0, 1, 0, 0, 0, 0, 0x80]] * 5
    assert not np.delete(difference, range(10, 15), axis=0).any()


def test_the_firmware_is_not_told_what_was_bent(bench: Any, echo: Any) -> None:
    simulation, buffers = run(bench, echo, window(Point.FRAME_CORRUPT, mask=1))
    assert Mark.BENT in marks(buffers, 0x200)
    assert simulation.frames_lost == 0  # echo.c refuses frames with flags that fil.h does not have on a bus


def test_random_bits_are_as_many_as_said_and_inside_the_stretch(bench: Any, echo: Any) -> None:
    _, right = run(bench, echo)
    fault = Fault(Point.FRAME_CORRUPT, id=0x200, value=3.0, start_bit=20, length=12, seed=9)
    _, bent = run(bench, echo, fault)
    bits = np.unpackbits(
        right.frames("data")[of(right, 0x200)] ^ bent.frames("data")[of(bent, 0x200)], axis=1, bitorder="little"
    )
    assert set(bits.sum(axis=1)) == {3}
    assert set(np.flatnonzero(bits.any(axis=0))) <= set(range(20, 32))
    assert len({tuple(row) for row in bits}) > 10


def test_what_the_dut_sends_reaches_the_vehicle_bent(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, Fault(Point.FRAME_CORRUPT, id=0x102, node=Node.DUT, mask=0xFF))
    assert set(marks(buffers, 0x102)) == {Mark.BENT}
    assert set(marks(buffers, 0x103)) == {0}


def test_a_short_frame_has_fewer_bytes(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_LENGTH, value=3.0))
    lengths = buffers.frames("length")[of(buffers, 0x200)].tolist()
    assert lengths == [3 if 10 <= k < 15 else 8 for k in range(30)]
    assert not buffers.frames("data")[of(buffers, 0x200)[10:15], 3:].any()


def test_a_frame_that_is_short_enough_is_not_touched(bench: Any, echo: Any) -> None:
    simulation, _ = run(bench, echo, window(Point.FRAME_LENGTH, value=8.0))
    assert not simulation.fault_reports()[0].fired


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        # payload bytes 2.. are 1 2 3 4 5 6
        ({"start_bit": 16, "length": 16}, [2, 1, 3, 4, 5, 6]),
        ({"start_bit": 16, "length": 32}, [4, 3, 2, 1, 5, 6]),
        ({"start_bit": 23, "length": 16, "big_endian": True}, [2, 1, 3, 4, 5, 6]),
        # 12 bits from bit 16: 0x201 in little endian, bytes 02 01 swapped are 0x102; the upper half of byte 3 stays
        ({"start_bit": 16, "length": 12}, [0x02, 0x01, 3, 4, 5, 6]),
    ],
)
def test_a_field_with_its_bytes_swapped_leaves_its_neighbours(
    bench: Any, echo: Any, field: dict[str, Any], expected: list[int]
) -> None:
    _, buffers = run(bench, echo, window(Point.FRAME_BYTE_ORDER, **field))
    data = buffers.frames("data")[of(buffers, 0x200)]
    assert data[12, 2:].tolist() == expected
    assert data[9, 2:].tolist() == [1, 2, 3, 4, 5, 6]


# ---- foreign senders -------------------------------------------------------------------------------------------


def test_a_foreign_sender_repeats_what_it_saw_with_bits_inverted(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, window(Point.FOREIGN_SENDER, value=0.02, mask=0x01_0000, from_ns=105 * MS))
    foreign = of(buffers, 0x200)[buffers.frames("node")[of(buffers, 0x200)] == Node.FOREIGN]
    assert len(foreign) == 3  # 105, 125, 145 ms: never together with the vehicle
    assert set(buffers.frames("data")[foreign, 2]) == {0}
    assert len(of(buffers, 0x200)) == 33


def test_a_foreign_sender_is_heard_by_the_dut(bench: Any, echo: Any) -> None:
    _, buffers = run(bench, echo, Fault(Point.FOREIGN_SENDER, id=0x155, value=0.02, mask=0x1234))
    rows = [tuple(row) for row in bench.report(buffers, 0x106)]
    assert rows.count((0x155, 0x1234)) == 15


def test_a_foreign_sender_at_the_same_time_collides(bench: Any, echo: Any) -> None:
    simulation, buffers = run(bench, echo, window(Point.FOREIGN_SENDER, mode=1, mask=0x01_0000, count=1))
    errors = (buffers.frames("flags") & 0x10) != 0
    assert int(errors.sum()) == 16
    assert simulation.node_status(Node.VEHICLE).transmit_errors > 0
    assert len(of(buffers, 0x200)) == 30 + 1 + 16


# ---- the table -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("point", BENDING)
def test_a_fault_that_is_not_due_changes_nothing(bench: Any, echo: Any, point: Point) -> None:
    _, right = run(bench, echo)
    later = Fault(point, id=0x200, value=9.0, from_ns=10**12, start_bit=16, length=16)
    _, same = run(bench, echo, later)
    for name in ("ns", "id", "flags", "node", "length", "data"):
        assert np.array_equal(right.frames(name), same.frames(name))


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(Point.FRAME_DROP, id=0x800), "identifier"),
        (Fault(Point.FRAME_DROP, id=1, bus=1), "no such bus"),
        (Fault(Point.FRAME_DROP, id=1, node=9), "no such node"),
        (Fault(Point.FRAME_DROP, id=1, mode=2), "mode"),
        (Fault(Point.FRAME_DROP, id=1, probability=1.5), "probability"),
        (Fault(Point.FRAME_DROP, Op.ADD, id=1), "operation"),
        (Fault(Point.FRAME_DELAY_S, id=1, value=-1.0), "time"),
        (Fault(Point.FRAME_LENGTH, id=1, value=1.5), "bytes"),
        (Fault(Point.FRAME_CORRUPT, id=1), "mask"),
        (Fault(Point.FRAME_BYTE_ORDER, id=1, start_bit=0, length=8), "9..64 bits"),
        (Fault(Point.FRAME_BYTE_ORDER, id=1, start_bit=1, length=64), "9..64 bits"),
        (Fault(Point.FRAME_BIT_ERROR, id=1, value=5.0), "20..1000"),
        (Fault(Point.FOREIGN_SENDER, id=1), "period"),
        (Fault(Point.FOREIGN_BABBLE, id=1, value=1.5), "bus time"),
        (Fault(Point.FOREIGN_BABBLE, id_flags=ANY_ID, value=0.5), "needs an identifier"),
        (Fault(Point.NODE_TEC, value=257.0), "0..256"),
    ],
)
def test_a_fault_outside_its_range_is_refused(echo: Any, fault: Fault, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        echo.simulation().plan(faults=[fault])


def wire_faults() -> st.SearchStrategy[list[Fault]]:
    times = st.integers(0, 300).map(lambda ms: ms * MS)
    common = {
        "id": st.sampled_from([0, 0x101, 0x106, 0x200, 0x7FF]),
        "id_flags": st.sampled_from([0, 0, 1, ANY_ID]),
        "node": st.sampled_from([ANY, NOT_THE_DUT, 0, 1, 4]),
        "mode": st.integers(0, 1),
        "count": st.sampled_from([0, 1, 5]),
        "every": st.sampled_from([0, 1, 3]),
        "probability": st.sampled_from([0.0, 0.3, 1.0]),
        "seed": st.integers(0, 2**64 - 1),
        "from_ns": times,
    }
    values = {
        Point.FRAME_LENGTH: st.integers(0, 8),
        Point.FRAME_CORRUPT: st.integers(1, 64),
        Point.FRAME_BIT_ERROR: st.sampled_from([0, 20, 64, 1000]),
        Point.FOREIGN_BABBLE: st.sampled_from([0.01, 0.5, 1.0]),
        Point.NODE_TEC: st.sampled_from([0, 100, 128, 256]),
    }
    points = st.sampled_from([p for p in Point if p >= Point.FRAME_DROP])

    def build(point: Point) -> st.SearchStrategy[Fault]:
        value = values.get(point, st.sampled_from([0.001, 0.02, 0.5]))
        extra: dict[str, Any] = {"value": value.map(float)}
        if point in (Point.FOREIGN_SENDER, Point.FOREIGN_BABBLE):
            extra["id_flags"] = st.sampled_from([0, 1])
        if point == Point.FRAME_CORRUPT:
            extra |= {"start_bit": st.integers(0, 600), "length": st.integers(0, 600)}
            extra["mask"] = st.sampled_from([0, 1, 2**64 - 1])
        if point == Point.FOREIGN_BABBLE:
            extra["length"] = st.integers(0, 8)
        if point == Point.FRAME_BYTE_ORDER:
            extra |= {"start_bit": st.sampled_from([0, 16, 23]), "length": st.integers(9, 40)}
            extra["big_endian"] = st.booleans()
        return st.builds(Fault, st.just(point), **{**common, **extra})

    return st.lists(points.flatmap(build), max_size=6)


@settings(max_examples=60, deadline=None)
@given(faults=wire_faults(), restart=st.sampled_from([0, 1]))
def test_any_table_runs_and_gives_the_same_twice(fresh: Any, faults: list[Fault], restart: int) -> None:
    bench, echo = fresh

    def once() -> str:
        parameters = (("restart", restart), ("can_state", 1))
        simulation = echo.simulation(messages=(bench.vehicle(),), parameters=parameters)
        simulation.plan(faults=faults)
        simulation.send(Frame(0x101, b"x", node=Node.FOREIGN))
        digest: str = bench.digest(bench.run(simulation, 0.3, truth_cells=True))
        echo.simulations.pop().close()
        return digest

    assert once() == once()


@pytest.fixture(scope="module")
def fresh(bench: Any) -> Any:
    echo = bench.Echo()
    yield bench, echo
    echo.close()


def fuzzed(*arguments: str, **environment: str) -> str:
    program = Path(__file__).parents[2] / "firmware" / "wire_fuzz.py"
    command = [sys.executable, str(program), *arguments]
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_sanitizer_build_finds_nothing_in_random_tables_and_gives_the_same_bytes() -> None:
    compiler = find_compiler()
    if not sys.platform.startswith("linux") or compiler.family is Family.ZIG:
        pytest.skip("no sanitizer here")
    assert fuzzed("1", "40", "sanitize", **child_environment(compiler)) == fuzzed("1", "40")
