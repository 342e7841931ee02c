# SPDX-License-Identifier: Apache-2.0
"""Long answers in recorded frames, block by block, with what the flow control before each allowed."""

from __future__ import annotations

import math

import pytest

from harness.canbus.flow import Block, blocks
from harness.canbus.isotp import least_gap_s
from tests.unit.test_uds import DIAGNOSTICS, REQUEST, RESPONSE, recorded

FIRST, WAIT = (1.0, RESPONSE, "10 1E 59"), (1.1, REQUEST, "31 00 00")


def test_frames_are_counted_from_one_flow_control_to_the_next() -> None:
    frames = recorded(
        FIRST,
        WAIT,
        (1.2, REQUEST, "30 02 14"),
        (1.21, RESPONSE, "21 00"),
        (1.23, RESPONSE, "22 00"),
        (1.24, REQUEST, "30 00 F5"),
        (1.25, RESPONSE, "23 00"),
    )
    first, second = blocks(frames, DIAGNOSTICS)
    assert (1.2, 2, 0.02, 2, False) == (first.flow_s, first.allowed, first.least_gap_s, first.frames, first.early)
    assert first.gap_s == pytest.approx(0.02)
    assert Block(1.24, 0, 0.0005, 1, math.inf) == second


@pytest.mark.parametrize("before", [(), (WAIT,)])
def test_frames_before_the_answer_was_let_go_on_are_early(before: tuple[tuple[float, int, str], ...]) -> None:
    (early,) = blocks(recorded(FIRST, *before, (1.2, RESPONSE, "21 00"), (1.3, REQUEST, "30 00 00")), DIAGNOSTICS)
    assert early.early


def test_each_answer_has_to_be_let_go_on_anew() -> None:
    flow = (1.2, REQUEST, "30 00 00")
    second = ((2.0, RESPONSE, "10 1E 59"), (2.1, RESPONSE, "21 00"))
    found = blocks(recorded(FIRST, flow, (1.3, RESPONSE, "21 00"), *second), DIAGNOSTICS)
    assert [False, True] == [block.early for block in found]


def test_without_diagnostics_and_without_long_answers_there_are_none() -> None:
    assert () == blocks(recorded(FIRST), None)
    assert () == blocks(recorded((1.0, RESPONSE, "02 7E 00"), (1.2, REQUEST, "30 02 14")), DIAGNOSTICS)


@pytest.mark.parametrize(
    ("code", "gap_s"), [(0, 0.0), (0x14, 0.02), (0x7F, 0.127), (0xF1, 1e-4), (0xF9, 9e-4), (0x80, 0.127)]
)
def test_the_least_gap_is_that_of_its_code(code: int, gap_s: float) -> None:
    assert gap_s == pytest.approx(least_gap_s(code))
