# SPDX-License-Identifier: Apache-2.0
"""The two ways of giving inputs without a port: a person who is asked, and frames for debug firmware."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np
import pytest

from harness.errors import BenchError, UsageError
from harness.instruments.drivers import OutgoingFrame
from harness.instruments.drivers.can_cells import CanCells, no_bus
from harness.instruments.drivers.operator import Operator
from harness.instruments.model import InstrumentSettings

from .instruments_helper import CELLS, ENVELOPE, TEMPS, some_inputs

PERSON = InstrumentSettings(
    "person", "operator", "-", channels={"insulation_ohm": (1,), "charge_plug": (2,), "supply_v": (3,)}
)
DEBUG = InstrumentSettings(
    "debug",
    "can-cells",
    "-",
    channels={
        "cell_voltage_v": tuple(range(CELLS)),
        "cell_connected": tuple(range(CELLS)),
        "cell_temp_degc": tuple(range(TEMPS)),
        "temp_connected": tuple(range(TEMPS)),
    },
    options={
        "cell_id": 0x600,
        "temp_id": 0x640,
        "enable_id": 0x5FF,
        "enable_hex": "DE AD 01",
        "disable_hex": "DE AD 00",
        "repeat_polls": 5,
    },
)


class Person:
    """Types what is in `answers`, in order; then presses Enter."""

    def __init__(self, *answers: str) -> None:
        self.answers = deque(answers)
        self.asked: list[str] = []

    def __call__(self, text: str) -> str:
        self.asked.append(text)
        return self.answers.popleft() if self.answers else ""


def test_a_person_is_asked_once_for_each_thing_when_armed() -> None:
    person = Person()
    operator = Operator(PERSON, ENVELOPE, person)
    operator.apply(some_inputs())
    assert person.asked == []
    operator.arm()
    assert person.asked == [
        "person: set insulation_ohm to 500000 ohm [Enter: done, skip, abort] ",
        "person: charge_plug: open [Enter: done, skip, abort] ",
        "person: set supply_v to 24 V [Enter: done, skip, abort] ",
    ]


def test_a_person_is_asked_again_only_for_a_change_that_matters() -> None:
    person = Person()
    operator = Operator(replace(PERSON, options={"supply_v_step": 0.5}), ENVELOPE, person)
    operator.apply(some_inputs())
    operator.arm()
    person.asked.clear()
    operator.apply(some_inputs(supply_v=24.4))
    assert person.asked == []
    operator.apply(some_inputs(supply_v=24.6, charge_plug=True))
    assert [text.split(" [")[0] for text in person.asked] == [
        "person: charge_plug: close",
        "person: set supply_v to 24.6 V",
    ]


def test_skip_is_noted_and_abort_is_a_bench_error() -> None:
    person = Person("skip", "", "abort")
    operator = Operator(PERSON, ENVELOPE, person)
    operator.apply(some_inputs())
    with pytest.raises(BenchError, match="aborted by the operator at: person: set supply_v"):
        operator.arm()
    assert operator.skipped == ["person: set insulation_ohm to 500000 ohm"]


def test_an_answer_that_is_none_is_asked_for_again() -> None:
    person = Person("what?", "")
    operator = Operator(replace(PERSON, channels={"supply_v": (1,)}), ENVELOPE, person)
    operator.apply(some_inputs())
    operator.arm()
    assert len(person.asked) == 2


def test_a_person_is_not_asked_for_what_the_bench_forbids() -> None:
    person = Person()
    operator = Operator(PERSON, ENVELOPE, person)
    operator.apply(some_inputs())
    operator.arm()
    person.asked.clear()
    for wrong in (50.0, np.nan):
        with pytest.raises(BenchError, match="supply_v"):
            operator.apply(some_inputs(supply_v=wrong))
    assert person.asked == []


def test_off_is_what_the_person_confirmed() -> None:
    operator = Operator(PERSON, ENVELOPE, Person("no, wait"))
    assert not operator.is_off()
    with pytest.raises(BenchError, match=r"not confirmed as off \('no, wait'\)"):
        operator.safe()
    assert not operator.is_off()
    operator.safe()
    assert operator.is_off()
    assert (list(operator.safe_lines()), operator.fileno()) == ([], -1)


def test_nobody_at_the_bench_is_a_bench_error() -> None:
    with pytest.raises(BenchError, match="nobody at the bench"):
        Operator(PERSON, ENVELOPE, Person("")).identify()


def test_a_person_cannot_read_contactors() -> None:
    with pytest.raises(UsageError, match="contactor_positive"):
        Operator(replace(PERSON, reads={"contactor_positive": 1}), ENVELOPE, Person())


def test_cells_go_out_as_counts_in_consecutive_frames_after_the_enable_frame() -> None:
    frames: list[OutgoingFrame] = []
    debug = CanCells(DEBUG, ENVELOPE, frames.append)
    debug.apply(some_inputs(cell_temp_degc=np.array([25.0, -10.0, 60.0])))
    assert frames == []
    debug.arm()
    assert [frame.id for frame in frames] == [0x5FF, 0x600, 0x601, 0x602, 0x640]
    assert frames[0].data == b"\xde\xad\x01"
    volts = np.frombuffer(b"".join(frame.data for frame in frames[1:4]), dtype="<u2") * 0.0001
    assert volts == pytest.approx(3.0 + 0.01 * np.arange(CELLS))
    temps = np.frombuffer(frames[4].data, dtype="<u2") * 0.1 - 100.0
    assert temps == pytest.approx([25.0, -10.0, 60.0])


def test_only_the_frame_that_changed_is_sent_and_an_open_wire_has_its_own_count() -> None:
    frames: list[OutgoingFrame] = []
    debug = CanCells(replace(DEBUG, options={**DEBUG.options, "byte_order": "big"}), ENVELOPE, frames.append)
    debug.apply(some_inputs())
    debug.arm()
    frames.clear()
    wires = np.ones(CELLS, dtype=bool)
    wires[5] = False
    debug.apply(some_inputs(cell_connected=wires))
    assert [frame.id for frame in frames] == [0x601]
    assert np.frombuffer(frames[0].data, dtype=">u2").tolist() == [30_400, 0xFFFF, 30_600, 30_700]


def test_frames_are_repeated_and_end_with_the_disable_frame() -> None:
    frames: list[OutgoingFrame] = []
    debug = CanCells(DEBUG, ENVELOPE, frames.append)
    debug.apply(some_inputs())
    debug.arm()
    frames.clear()
    for _ in range(5):
        debug.poll()
    assert [frame.id for frame in frames] == [0x600, 0x601, 0x602, 0x640]
    debug.safe()
    assert frames[-1] == OutgoingFrame(0x5FF, b"\xde\xad\x00")
    frames.clear()
    for _ in range(20):
        debug.poll()
    assert frames == []
    assert debug.is_off()


def test_cells_over_can_refuse_what_the_bench_forbids_and_what_does_not_fit() -> None:
    frames: list[OutgoingFrame] = []
    debug = CanCells(DEBUG, ENVELOPE, frames.append)
    debug.arm()
    frames.clear()
    for wrong in (9.0, np.nan):
        with pytest.raises(BenchError, match="cell_voltage_v"):
            debug.apply(some_inputs(cell_voltage_v=np.full(CELLS, wrong)))
    fine = CanCells(replace(DEBUG, options={**DEBUG.options, "cell_unit_v": 0.00001}), ENVELOPE, frames.append)
    with pytest.raises(BenchError, match="gives 0 to 65534 counts"):
        fine.apply(some_inputs())
    assert frames == []


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"cell_id": 0x600}, "disable_hex"),
        ({**DEBUG.options, "per_frame": 5}, "per_frame 1 to 4"),
        ({**DEBUG.options, "byte_order": "mixed"}, "byte_order"),
        ({**DEBUG.options, "enable_hex": "0x01"}, "enable_hex"),
        ({**DEBUG.options, "cell_id": "many"}, "cell_id"),
        ({**DEBUG.options, "cell_id": 0x7FE}, r"cell_id = 0x7fe: 3 frames from there; identifiers end at 0x7ff"),
        ({**DEBUG.options, "temp_id": 0x602}, "frames of cell_id and temp_id have the same identifier 0x602"),
        ({**DEBUG.options, "enable_id": -1}, "enable_id"),
        ({**DEBUG.options, "repeat_polls": 0}, "repeat_polls"),
        ({**DEBUG.options, "open_count": 65536}, "open_count"),
        ({**DEBUG.options, "cell_unit_v": 0.0}, "cell_unit_v"),
        ({**DEBUG.options, "disable_hex": "00" * 9}, "disable_hex"),
    ],
)
def test_a_layout_that_cannot_be_is_refused_at_once(options: dict[str, str | int], text: str) -> None:
    with pytest.raises(UsageError, match=text):
        CanCells(replace(DEBUG, options=options), ENVELOPE, no_bus)


def test_without_a_bus_it_is_a_bench_error() -> None:
    with pytest.raises(BenchError, match="Open the CAN adapter"):
        CanCells(DEBUG, ENVELOPE, no_bus).arm()
