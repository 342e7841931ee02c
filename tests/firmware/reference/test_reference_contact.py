# SPDX-License-Identifier: Apache-2.0
"""Contacts that open again and again, each time too briefly for a fault."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

MakeBms = Callable[..., Any]
OPEN_WIRE = 2  # FIL_OPEN_WIRE
LOOSE = "LooseContact"


@pytest.fixture
def make_machine(make_bms: MakeBms) -> MakeBms:
    return lambda: make_bms(parameters={"contact_losses": 4}).boot()


def bounce(bms: Any, times: int, *, every_s: float = 0.3) -> None:
    """The interlock opens for 30 ms."""
    for _ in range(times):
        bms.hvil = False
        bms.run(0.03)
        bms.hvil = True
        bms.run(every_s - 0.03)


def warned(bms: Any) -> bool:
    return LOOSE in bms.active("BMS_Warnings")


def test_the_fifth_loss_is_warned_of_and_four_are_not(make_machine: MakeBms) -> None:
    bms = make_machine()
    bounce(bms, 4)
    assert not warned(bms)
    bounce(bms, 1)
    assert warned(bms)
    assert set() == bms.active()  # and nothing trips


def test_sense_wires_and_interlock_are_counted_together(make_machine: MakeBms) -> None:
    bms = make_machine()
    bounce(bms, 2)
    for _ in range(3):
        bms.cell_flags[4] = OPEN_WIRE
        bms.run(0.1)
        bms.cell_flags[4] = 1
        bms.run(0.1)
    assert warned(bms)


def test_a_contact_that_stays_open_is_lost_once(make_machine: MakeBms) -> None:
    bms = make_machine()
    bounce(bms, 3)
    bms.hvil = False
    bms.run(2.0)
    assert not warned(bms)


def test_losses_are_forgotten_after_ten_seconds(make_machine: MakeBms) -> None:
    bms = make_machine()
    bounce(bms, 3)
    bms.run(10.0)
    bounce(bms, 3)
    assert not warned(bms)


def test_the_warning_goes_when_fewer_losses_are_left(make_machine: MakeBms) -> None:
    bms = make_machine()
    bounce(bms, 5)
    bms.run(8.0)
    assert warned(bms)
    bms.run(4.0)
    assert not warned(bms)


def test_very_many_losses_are_as_bad_as_many(make_machine: MakeBms) -> None:
    bms = make_machine()
    bounce(bms, 60, every_s=0.06)
    assert warned(bms)


def test_a_product_that_does_not_count_never_warns(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bounce(bms, 60, every_s=0.06)
    assert not warned(bms)
