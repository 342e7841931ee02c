# SPDX-License-Identifier: Apache-2.0
"""Trouble codes judged on hand-made read-outs: each rule passes, fails and abstains where it has to."""

from __future__ import annotations

from typing import Any

import pytest

from harness.requirements.model import Condition
from harness.verdict import Outcome
from tests.judges.requests import (
    CLEAR,
    CONFIRMED,
    FAILED,
    HVIL,
    INTERLOCK,
    ONE,
    OPENED,
    PENDING,
    SINCE_CLEAR,
    STORED,
    THIS_CYCLE,
    WHOLE,
    Asked,
    Make,
    flag,
    judged,
    read,
)


@pytest.mark.parametrize(
    ("rule", "status", "outcome"),
    [
        ("stored", WHOLE, Outcome.PASS),
        ("stored", WHOLE & ~CONFIRMED, Outcome.FAIL),
        ("stored", WHOLE & ~SINCE_CLEAR, Outcome.FAIL),
        ("test_failed", WHOLE, Outcome.PASS),
        ("test_failed", WHOLE & ~FAILED, Outcome.FAIL),
        ("this_cycle", WHOLE, Outcome.PASS),
        ("this_cycle", WHOLE & ~THIS_CYCLE, Outcome.FAIL),
        ("this_cycle", WHOLE & ~PENDING, Outcome.FAIL),
        ("this_cycle", WHOLE | 0x10, Outcome.FAIL),  # failed, and yet not tested since the clear
        ("this_cycle", WHOLE | 0x40, Outcome.FAIL),
    ],
)
def test_a_fault_that_is_there_shows_in_its_code(evidence: Make, rule: str, status: int, outcome: Outcome) -> None:
    verdict = judged(evidence, rule, read(2.0, status), **OPENED)
    assert outcome is verdict.outcome
    if outcome is Outcome.FAIL:
        assert "fault.hvil" in verdict.reason


def test_a_fault_that_has_gone_no_longer_fails_but_stays_confirmed(evidence: Make) -> None:
    gone = WHOLE & ~FAILED
    assert Outcome.PASS is judged(evidence, "test_failed", read(5.0, gone), **OPENED).outcome
    assert Outcome.FAIL is judged(evidence, "test_failed", read(5.0, WHOLE), **OPENED).outcome
    assert Outcome.PASS is judged(evidence, "stored", read(5.0, gone), **OPENED).outcome
    assert Outcome.FAIL is judged(evidence, "stored", read(5.0, 0), **OPENED).outcome


@pytest.mark.parametrize("at_s", [1.0, 4.0])
def test_a_flag_that_changes_around_the_reading_is_not_judged(evidence: Make, at_s: float) -> None:
    assert Outcome.NOT_EXERCISED is judged(evidence, "test_failed", read(at_s, 0), **OPENED).outcome


def test_codes_stay_over_power_cycles(evidence: Make) -> None:
    for status, outcome in ((CONFIRMED | SINCE_CLEAR, Outcome.PASS), (PENDING, Outcome.FAIL)):
        verdict = judged(evidence, "kept", read(7.0, status), **OPENED, power_ons=[5.0])
        assert outcome is verdict.outcome
    assert Outcome.NOT_EXERCISED is judged(evidence, "kept", read(7.0, 0), **OPENED).outcome
    assert Outcome.NOT_EXERCISED is judged(evidence, "stored", read(7.0, 0), **OPENED, power_ons=[5.0]).outcome


def test_the_bit_of_this_cycle_goes_with_the_cycle(evidence: Make) -> None:
    stale = read(7.0, CONFIRMED | SINCE_CLEAR | THIS_CYCLE)
    assert Outcome.FAIL is judged(evidence, "this_cycle", stale, **OPENED, power_ons=[5.0]).outcome
    fresh = read(7.0, CONFIRMED | SINCE_CLEAR | PENDING | 0x40)
    assert Outcome.PASS is judged(evidence, "this_cycle", fresh, **OPENED, power_ons=[5.0]).outcome


def test_pending_goes_after_a_cycle_that_was_tested_and_did_not_fail(evidence: Make) -> None:
    quiet = flag((0.0, 0.0))
    for first, outcome in ((PENDING, Outcome.FAIL), (PENDING | 0x40, Outcome.PASS)):
        verdict = judged(evidence, "this_cycle", read(2.0, first), read(6.0, PENDING), **quiet, power_ons=[4.0])
        assert outcome is verdict.outcome
    for cycles in ([], [3.0, 4.0]):  # in the same cycle it may still be pending; of one never read nothing is known
        verdict = judged(evidence, "this_cycle", read(2.0, PENDING), read(6.0, PENDING), **quiet, power_ons=cycles)
        assert Outcome.FAIL is not verdict.outcome


def test_after_a_clear_nothing_is_left_unless_the_fault_came_again(evidence: Make) -> None:
    cleared = Asked(5.0, CLEAR, b"\x54")
    for bit in (THIS_CYCLE, PENDING, CONFIRMED, SINCE_CLEAR, FAILED):
        assert Outcome.FAIL is judged(evidence, "cleared", cleared, read(6.0, bit), **OPENED).outcome
    assert Outcome.PASS is judged(evidence, "cleared", cleared, read(6.0, 0x50), **OPENED).outcome
    assert Outcome.NOT_EXERCISED is judged(evidence, "stored", cleared, read(6.0, 0x50), **OPENED).outcome
    still = flag((0.0, 0.0), (1.0, 1.0))
    assert Outcome.NOT_EXERCISED is judged(evidence, "cleared", cleared, read(6.0, WHOLE), **still).outcome
    assert Outcome.FAIL is judged(evidence, "stored", cleared, read(6.0, 0), **still).outcome


def test_one_code_is_cleared_and_the_others_stay(evidence: Make) -> None:
    cleared = Asked(5.0, ONE, b"\x54")
    both: dict[str, Any] = {"reported": {**OPENED["reported"], "fault.supply": [(0.0, 1.0), (2.0, 0.0)]}}
    kept = Asked(6.0, b"\x19\x02\xff", b"\x59\x02\x7f", {HVIL: 0x50, "fault.supply": STORED})
    gone = Asked(6.0, b"\x19\x02\xff", b"\x59\x02\x7f", {HVIL: STORED, "fault.supply": 0x50})
    for rule in ("cleared", "stored"):
        assert Outcome.PASS is judged(evidence, rule, cleared, kept, **both).outcome
        assert Outcome.FAIL is judged(evidence, rule, cleared, gone, **both).outcome
    unknown = Asked(5.0, b"\x14\xff\xff\x33", b"\x54")  # some group of codes: nobody knows which
    for rule in ("cleared", "stored"):
        assert Outcome.NOT_EXERCISED is judged(evidence, rule, unknown, gone, **both).outcome


@pytest.mark.parametrize(
    ("at_s", "status", "outcome"),
    [
        (3.0, 0x50, Outcome.PASS),
        (3.0, 0x00, Outcome.FAIL),  # tested too soon after the clear
        (3.0, 0x40, Outcome.FAIL),
        (3.0, 0x10, Outcome.FAIL),
        (4.5, 0x00, Outcome.NOT_EXERCISED),  # in between both are right
        (4.5, 0x50, Outcome.NOT_EXERCISED),
        (5.5, 0x00, Outcome.PASS),
        (5.5, 0x10, Outcome.FAIL),  # never tested
        (5.5, 0x40, Outcome.FAIL),
    ],
)
def test_a_code_is_untested_after_a_clear_and_tested_once_it_was_watched(
    evidence: Make, at_s: float, status: int, outcome: Outcome
) -> None:
    asked = (Asked(2.0, CLEAR, b"\x54"), read(at_s, status))
    quiet = flag((0.0, 0.0))
    assert outcome is judged(evidence, "tested", *asked, others=(INTERLOCK,), **quiet).outcome
    if at_s > 5.0:  # not watched as far as is known, or held up by a fault
        assert Outcome.NOT_EXERCISED is judged(evidence, "tested", *asked, **quiet).outcome
        failed = flag((0.0, 0.0), (4.0, 1.0))
        assert Outcome.NOT_EXERCISED is judged(evidence, "tested", *asked, others=(INTERLOCK,), **failed).outcome


@pytest.mark.parametrize(("current_a", "outcome"), [(-5.0, Outcome.FAIL), (5.0, Outcome.NOT_EXERCISED)])
@pytest.mark.parametrize("first", [True, False])
def test_a_code_is_watched_when_all_its_protections_are(
    evidence: Make, current_a: float, outcome: Outcome, *, first: bool
) -> None:
    charging = INTERLOCK.model_copy(update={"when": (Condition(quantity="pack_current_a", below=-2.0),)})
    others = (charging, INTERLOCK) if first else (INTERLOCK, charging)
    record: dict[str, Any] = {"given": {"pack_current_a": [(0.0, current_a)]}, **flag((0.0, 0.0))}
    asked = (Asked(2.0, CLEAR, b"\x54"), read(5.5, 0x50))
    assert outcome is judged(evidence, "tested", *asked, others=others, **record).outcome


def test_a_power_cycle_needs_its_own_test(evidence: Make) -> None:
    quiet = {**flag((0.0, 0.0)), "power_ons": [4.0], "others": (INTERLOCK,)}
    for at_s, status, outcome in (
        (5.0, 0x40, Outcome.PASS),
        (5.0, 0x00, Outcome.FAIL),
        (8.0, 0x00, Outcome.PASS),
        (8.0, 0x40, Outcome.FAIL),
    ):
        assert outcome is judged(evidence, "tested", read(at_s, status), **quiet).outcome


@pytest.mark.parametrize(
    "request_", [Asked(5.0, CLEAR, b"\x7f\x14\x22"), Asked(5.0, CLEAR), Asked(5.0, CLEAR[:3], b"\x54")]
)
def test_what_is_no_acknowledged_clear_clears_nothing(evidence: Make, request_: Asked) -> None:
    assert Outcome.FAIL is judged(evidence, "stored", request_, read(6.0, 0), **OPENED).outcome
    assert Outcome.NOT_EXERCISED is judged(evidence, "cleared", request_, read(6.0, WHOLE), **OPENED).outcome


def test_a_code_does_not_appear_without_its_fault(evidence: Make) -> None:
    quiet = flag((0.0, 0.0))
    assert Outcome.PASS is judged(evidence, "only_faults", read(1.0, 0x50), read(3.0, 0x50), **quiet).outcome
    assert Outcome.FAIL is judged(evidence, "only_faults", read(1.0, 0x50), read(3.0, CONFIRMED), **quiet).outcome
    old = judged(evidence, "only_faults", read(1.0, CONFIRMED), read(3.0, CONFIRMED), **quiet)
    assert Outcome.NOT_EXERCISED is old.outcome  # it was there before the record


def test_a_lost_memory_and_a_silent_bus_excuse_what_is_not_known(evidence: Make) -> None:
    damaged = {"nvm_damaged": [(0.0, 0.0), (5.0, 1.0), (6.0, 0.0)]}
    verdict = judged(evidence, "kept", read(7.0, 0), **OPENED, power_ons=[5.0], given=damaged)
    assert Outcome.NOT_EXERCISED is verdict.outcome
    silent = {"can_state": [(0.0, 0.0), (2.0, 2.0), (2.5, 0.0)]}
    quiet = flag((0.0, 0.0))
    verdict = judged(evidence, "only_faults", read(1.0, 0), read(4.0, CONFIRMED), **quiet, given=silent)
    assert Outcome.NOT_EXERCISED is verdict.outcome


@pytest.mark.parametrize(("cleared_s", "outcome"), [(4.5, Outcome.NOT_EXERCISED), (0.5, Outcome.FAIL)])
def test_codes_cleared_by_j1939_need_not_be_told_by_uds(evidence: Make, cleared_s: float, outcome: Outcome) -> None:
    """DM11 and DM3 clear the same codes."""
    assert outcome is judged(evidence, "stored", read(6.0, 0), cleared_s=[cleared_s], **OPENED).outcome
    kept = judged(evidence, "kept", read(7.0, 0), cleared_s=[cleared_s], **OPENED, power_ons=[5.0])
    assert outcome is kept.outcome


@pytest.mark.parametrize(
    ("opens_s", "outcome"),
    [
        (4.9, Outcome.INCONCLUSIVE),  # confirmed at 5.0 s at best
        (4.95, Outcome.FAIL),  # not confirmed when power goes
        (None, Outcome.FAIL),
    ],
)
def test_a_fault_that_came_as_power_went_is_not_taken_for_none(
    evidence: Make, opens_s: float | None, outcome: Outcome
) -> None:
    """Its code is stored, but its flag was never sent."""
    opened = [] if opens_s is None else [(opens_s, 0.0), (5.5, 1.0)]
    record: dict[str, Any] = {
        "others": (INTERLOCK,),
        "given": {"hvil_closed": [(0.0, 1.0), *opened]},
        "output": {"powered": [(0.0, 1.0), (5.0, 0.0), (6.0, 1.0)]},
        "power_ons": [6.0],
        **flag((0.0, 0.0)),
    }
    first, stored = read(2.0, 0), read(8.0, STORED)
    assert outcome is judged(evidence, "only_faults", first, stored, **record).outcome
    assert outcome is judged(evidence, "cleared", Asked(2.0, CLEAR, b"\x54"), stored, **record).outcome
    pending = read(8.0, PENDING)
    cycle = judged(evidence, "this_cycle", first, pending, **record)  # has another bit to judge
    assert (outcome is Outcome.FAIL) is (cycle.outcome is Outcome.FAIL)
    later = judged(evidence, "only_faults", read(7.0, 0), stored, **record)
    assert Outcome.FAIL is later.outcome  # power was not lost since


@pytest.mark.parametrize(
    ("request_", "answer", "outcome"),
    [
        (b"\x19\x01\x08", b"\x59\x01\x7f\x01\x00\x01", Outcome.PASS),
        (b"\x19\x01\x08", b"\x59\x01\x7f\x01\x00\x1d", Outcome.FAIL),
        (b"\x19\x02\x08", b"\x59\x02\x7f\x1a\x12\x00\x2f", Outcome.PASS),
        (b"\x19\x02\x08", b"\x59\x02\x7f", Outcome.FAIL),
        (b"\x19\x02\x80", b"\x59\x02\x7f", Outcome.PASS),
        (b"\x19\x01\x40", b"\x59\x01\x7f\x01\x00\x05", Outcome.NOT_EXERCISED),  # tests complete without a word
    ],
)
def test_lists_and_numbers_by_status_agree_with_the_list_of_all(
    evidence: Make, request_: bytes, answer: bytes, outcome: Outcome
) -> None:
    assert outcome is judged(evidence, "lists", read(2.0, WHOLE), Asked(2.5, request_, answer), **OPENED).outcome


@pytest.mark.parametrize(("codes", "outcome"), [(1, Outcome.FAIL), (2, Outcome.PASS)])
def test_the_list_of_all_codes_has_all_of_the_profile(evidence: Make, codes: int, outcome: Outcome) -> None:
    answer = b"\x59\x0a\x7f" + bytes(4 * codes)
    listed = Asked(2.0, b"\x19\x0a", answer, {HVIL: 0, "fault.supply": 0})
    assert outcome is judged(evidence, "lists", listed).outcome
