# SPDX-License-Identifier: Apache-2.0
"""Time that passes at once in the reference firmware: not while a timer runs, and nothing shows that it has."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

MakeBms = Callable[..., Any]
DM1, DM2_REQUEST = 0x18FECAF3, (0x18EAF3F9, bytes([0xCB, 0xFE, 0x00]))
HVESSD1 = 0x0CF090F3
EXTENDED = 1
CALM_S = 20.0  # after the boot: clear of its margin, and every trouble code tested


@pytest.fixture
def make_machine(make_bms: MakeBms) -> MakeBms:
    return lambda **more: make_bms(parameters={"j1939": 1, "contact_losses": 4}, **more).boot()


def calm(bms: Any) -> Any:
    bms.run(CALM_S)
    assert bms.lib.fil_idle() > 0
    return bms


def let_pass(bms: Any, ms: int) -> None:
    assert bms.lib.fil_pass(ms) == 0, bms.last_error()
    bms.ticks += ms // 10


def open_interlock_briefly(bms: Any) -> None:
    bms.hvil = False
    bms.run(0.03)
    bms.hvil = True
    bms.run(0.03)


def test_no_time_passes_at_once_while_a_lost_contact_is_remembered(make_machine: MakeBms) -> None:
    bms = calm(make_machine())
    for _ in range(5):
        open_interlock_briefly(bms)
    bms.run(2.0)
    assert "LooseContact" in bms.active("BMS_Warnings")
    assert bms.lib.fil_idle() == 0
    bms.run(20.0)  # forgotten after 10 s, released after that
    assert set() == bms.active("BMS_Warnings")
    assert bms.lib.fil_idle() > 0


def test_no_time_passes_at_once_while_a_long_message_is_under_way(make_machine: MakeBms) -> None:
    bms = make_machine()
    bms.supply_mv, bms.insulation_ohm = 15_000, 1_000
    bms.run(6.0)
    bms.supply_mv, bms.insulation_ohm = 24_000, 2_500_000
    bms.run(2.0)
    bms = calm(bms)
    assert bms.receive(*DM2_REQUEST, flags=EXTENDED, length=3) == 0
    bms.run(0.05)  # nobody answers: given up after 1.25 s
    assert bms.lib.fil_idle() == 0
    bms.run(1.5)
    assert bms.lib.fil_idle() > 0


def test_the_cycle_of_dm1_goes_on_as_if_no_time_had_passed(make_machine: MakeBms) -> None:
    bms = calm(make_machine())
    bms.run(0.37)
    passed_s = 60.0
    before_s = bms.now_s
    let_pass(bms, round(passed_s * 1000))
    bms.run(3.0)
    times = [t_s - (passed_s if t_s > before_s else 0.0) for t_s, found, _ in bms.frames if found == DM1]
    assert [1.0] * (len(times) - 1) == pytest.approx([later - earlier for earlier, later in pairwise(times)])
    assert times[-1] > before_s + 1.0


def test_a_node_speaks_on_when_its_clock_comes_round_to_the_moment_of_its_claim(make_bms: MakeBms) -> None:
    bms = calm(make_bms(parameters={"j1939": 1, "soc_rest_s": 36_000}).boot())
    while bms.ticks * 10 < 2**32 - 10_000:
        idle_ms = bms.lib.fil_idle() // 1000 * 1000
        if idle_ms > 0:
            let_pass(bms, idle_ms)
        bms.run(0.1)
    bms.frames.clear()
    bms.run(15.0)
    times = [t_s for t_s, found, _ in bms.frames if found == HVESSD1]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert [0.1] * 149 == pytest.approx(gaps)
