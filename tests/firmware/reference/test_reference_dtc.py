# SPDX-License-Identifier: Apache-2.0
"""The trouble codes of the reference firmware: status bits of ISO 14229-1 in the non-volatile image."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

MakeBms = Callable[..., Any]
DTCS_AT = 196  # of the image
HVIL, SUPPLY, PRECHARGE, CHARGER_TIMEOUT = 18, 19, 22, 21  # FAULT_*
THIS_CYCLE, PENDING, CONFIRMED, NOT_SINCE_CLEAR, SINCE_CLEAR, NOT_THIS_CYCLE = 0x02, 0x04, 0x08, 0x10, 0x20, 0x40
NEW = NOT_SINCE_CLEAR | NOT_THIS_CYCLE
FAILED = THIS_CYCLE | PENDING | CONFIRMED | SINCE_CLEAR


def status(bms: Any, fault: int) -> int:
    """Of one fault, without the bit of the present failure, which is not stored."""
    return int(bms.nvm()[DTCS_AT + fault])


def test_a_test_counts_as_passed_after_it_has_been_watched_for_two_seconds(make_bms: MakeBms) -> None:
    bms = make_bms()
    bms.run(1.9)
    assert status(bms, HVIL) == NEW
    bms.run(0.2)
    assert status(bms, HVIL) == 0
    assert status(bms, PRECHARGE) == status(bms, CHARGER_TIMEOUT) == NEW  # nothing was precharged, nothing charges


def test_a_precharge_passes_its_test_and_a_charge_that_of_the_charger(make_bms: MakeBms) -> None:
    bms = make_bms().go("charge")
    assert status(bms, PRECHARGE) == 0
    assert status(bms, CHARGER_TIMEOUT) == 0


def test_a_fault_confirms_its_code_and_no_other(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.run(2.0)
    bms.supply_mv = 15_000
    bms.run(0.5)
    assert status(bms, SUPPLY) == FAILED
    assert status(bms, HVIL) == 0
    bms.supply_mv = 24_000
    bms.run(3.0)
    assert "Supply" not in bms.active()
    assert status(bms, SUPPLY) == FAILED  # history stays


def test_over_power_cycles_confirmed_stays_and_pending_goes_after_a_cycle_without_failure(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.supply_mv = 15_000
    bms.run(0.5)
    bms = make_bms(nvm=bms.nvm())
    assert status(bms.boot(), SUPPLY) == PENDING | CONFIRMED | SINCE_CLEAR | NOT_THIS_CYCLE
    untested = make_bms(nvm=bms.nvm()).boot()  # a cycle too short for the test says nothing
    assert status(untested, SUPPLY) == PENDING | CONFIRMED | SINCE_CLEAR | NOT_THIS_CYCLE
    untested.run(2.0)
    assert status(untested, SUPPLY) == PENDING | CONFIRMED | SINCE_CLEAR
    after = make_bms(nvm=untested.nvm()).boot()
    assert status(after, SUPPLY) == CONFIRMED | SINCE_CLEAR | NOT_THIS_CYCLE


def test_a_fault_latched_over_a_power_cycle_has_not_failed_in_the_new_one(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.hvil = False
    bms.run(0.5)
    assert status(bms, HVIL) == FAILED
    again = make_bms(nvm=bms.nvm()).boot()
    again.run(5.0)
    assert again.active() == {"Hvil"}
    assert status(again, HVIL) == PENDING | CONFIRMED | SINCE_CLEAR | NOT_THIS_CYCLE


def test_a_reset_of_the_faults_clears_no_code(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.hvil = False
    bms.run(0.5)
    bms.hvil = True
    bms.run(2.0)
    bms.request_reset()
    assert bms.active() == set()
    assert status(bms, HVIL) == FAILED
