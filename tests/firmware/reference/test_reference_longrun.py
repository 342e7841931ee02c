# SPDX-License-Identifier: Apache-2.0
"""Time that passes at once in the reference firmware: not while a timer runs, and nothing shows that it has."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

MakeBms = Callable[..., Any]
HVESSD1 = 0x0CF090F3
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
