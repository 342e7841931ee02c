# SPDX-License-Identifier: Apache-2.0
"""Diagnostics judged on hand-made requests and answers: each rule passes, fails and abstains where it has to."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from harness.requirements.diagnosis import refusal_of
from harness.requirements.evidence import Evidence
from harness.requirements.judge import judge
from harness.requirements.model import Diagnosis, Requirement, Trip
from harness.verdict import Exercised, Outcome, Verdict

Make = Callable[..., Evidence]
HVIL = "fault.hvil"
FAILED, THIS_CYCLE, PENDING, CONFIRMED, SINCE_CLEAR = 0x01, 0x02, 0x04, 0x08, 0x20
STORED = CONFIRMED | SINCE_CLEAR
WHOLE = FAILED | THIS_CYCLE | PENDING | CONFIRMED | SINCE_CLEAR
CLEAR = b"\x14\xff\xff\xff"
SESSION = b"\x22\xf1\x86"


@dataclass(frozen=True)
class Asked:
    """A request and its answer, 10 ms later."""

    request_s: float
    request: bytes
    answer: bytes = b""
    status: Mapping[str, int] | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    asked: tuple[str, ...] = ()
    late_s: float = 0.01

    @property
    def answer_s(self) -> float:
        return self.request_s + self.late_s if self.answer else math.nan

    @property
    def complete_s(self) -> float:
        return self.answer_s + 0.01

    @property
    def positive(self) -> bool:
        return self.answer[:1] == bytes([self.request[0] + 0x40])

    @property
    def refused(self) -> int | None:
        return self.answer[2] if self.answer[:1] == b"\x7f" else None


class Talkative:
    """Evidence with requests."""

    def __init__(self, evidence: Evidence, asked: Sequence[Asked], cleared_s: Sequence[float]) -> None:
        self._evidence, self._asked, self._cleared_s = evidence, asked, cleared_s
        self.waits: Sequence[tuple[float, float]] = ()

    def stalled(self) -> Sequence[tuple[float, float]]:
        return self.waits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._evidence, name)

    def exchanges(self) -> Sequence[Asked]:
        return self._asked

    def codes_cleared(self) -> Sequence[float]:
        return self._cleared_s


def judged(
    make: Make,
    rule: str,
    *asked: Asked,
    keys: Mapping[str, Any] | None = None,
    others: Sequence[Requirement] = (),
    cleared_s: Sequence[float] = (),
    stalled: Sequence[tuple[float, float]] = (),
    **evidence: Any,
) -> Verdict:
    requirement = Diagnosis.model_validate(
        {"id": "DIA-X-1", "title": "a rule", "source": ["test"], "rule": rule, **(keys or {})}
    )
    made: Any = Talkative(make(**evidence), asked, cleared_s)
    made.waits = stalled
    return judge(requirement, made, others)


def read(at_s: float, status: int) -> Asked:
    """All codes read; the interlock's has this status."""
    return Asked(at_s, b"\x19\x02\xff", b"\x59\x02\x7f", {HVIL: status})


def flag(*points: tuple[float, float]) -> dict[str, Any]:
    return {"reported": {HVIL: points}}


OPENED = flag((0.0, 0.0), (1.0, 1.0), (4.0, 0.0))  # the fault is there from 1 to 4 s


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


INTERLOCK = Trip.model_validate(
    {"id": "PRT-HVIL-3", "title": "Open interlock", "source": ["test"], "quantity": "hvil_closed", "below": 0.5}
    | {"confirm_s": [0.08, 0.12], "flag": HVIL, "flag_within_s": 0.2, "safe_state": "none"}
)


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


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (Asked(2.0, b"\x3e\x00", b"\x7e\x00"), Outcome.PASS),
        (Asked(2.0, b"\x3e\x01", b"\x7f\x3e\x12"), Outcome.PASS),
        (Asked(2.0, b"\x3e\x00", b"\x7e\x00", late_s=0.2), Outcome.FAIL),
        (Asked(2.0, b"\x3e\x00"), Outcome.FAIL),
        (Asked(2.0, b"\x3e\x80"), Outcome.NOT_EXERCISED),  # no answer is wanted
        (Asked(9.99, b"\x3e\x00"), Outcome.NOT_EXERCISED),  # the record ends
        (Asked(5.2, b"\x3e\x00"), Outcome.NOT_EXERCISED),  # the controller boots
    ],
)
def test_every_request_is_answered_in_time(evidence: Make, asked: Asked, outcome: Outcome) -> None:
    assert outcome is judged(evidence, "answered", asked, power_ons=[5.0]).outcome


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        ("27 01", 0x11),
        ("14 FF FF", 0x13),
        ("10", 0x13),
        ("22 F1", 0x13),
        ("3E 01", 0x12),
        ("3E 81", 0x12),
        ("22 FF FF", 0x31),
        ("14 FF FF FF", None),
        ("22 F1 86", None),
        ("3E 80", None),
        ("11 01", None),
    ],
)
def test_what_must_be_refused_is_known_from_the_request(evidence: Make, request_: str, reason: int | None) -> None:
    request = bytes.fromhex(request_)
    assert reason == refusal_of(request)
    if reason is None:
        return
    right = Asked(2.0, request, bytes([0x7F, request[0], reason]))
    done = Asked(2.0, request, bytes([request[0] + 0x40]))
    other = Asked(2.0, request, bytes([0x7F, request[0], 0x10]))
    outcomes = [judged(evidence, "refused", asked).outcome for asked in (right, done, other)]
    assert [Outcome.PASS, Outcome.FAIL, Outcome.FAIL] == outcomes


def test_answers_are_held_against_their_form_and_may_not_be_refused_without_reason(evidence: Make) -> None:
    right, cut = Asked(2.0, b"\x3e\x00", b"\x7e\x00"), Asked(2.0, b"\x3e\x00", b"\x7e")
    refused, silent = Asked(2.0, b"\x3e\x00", b"\x7f\x3e\x12"), Asked(2.0, b"\x3e\x80")
    forms = [judged(evidence, "form", asked).outcome for asked in (right, cut, refused, silent)]
    assert [Outcome.PASS, Outcome.FAIL, Outcome.PASS, Outcome.NOT_EXERCISED] == forms
    served = [judged(evidence, "served", asked).outcome for asked in (right, refused, silent)]
    assert [Outcome.PASS, Outcome.FAIL, Outcome.NOT_EXERCISED] == served


def test_an_identifier_that_is_read_alone_is_read_in_company(evidence: Make) -> None:
    alone = Asked(1.0, b"\x22\x02\x00", b"\x62\x02\x00\x01")
    both = Asked(2.0, b"\x22\xf1\x86\x02\x00", b"\x62\xf1\x86\x01")
    assert Outcome.PASS is judged(evidence, "form", both).outcome
    assert Outcome.FAIL is judged(evidence, "form", alone, both).outcome


@pytest.mark.parametrize(
    ("stalled", "outcome"),
    [
        ((2.0, 3.0), Outcome.FAIL),
        ((2.0, 2.04), Outcome.NOT_EXERCISED),  # given up before the controller had to answer
        ((9.99, 10.99), Outcome.NOT_EXERCISED),  # the record ends
        ((5.2, 6.2), Outcome.NOT_EXERCISED),  # the controller boots
    ],
)
def test_a_request_of_several_frames_is_let_go_on(
    evidence: Make, stalled: tuple[float, float], outcome: Outcome
) -> None:
    assert outcome is judged(evidence, "answered", stalled=[stalled], power_ons=[5.0]).outcome


def active(at_s: float, session: int) -> Asked:
    return Asked(at_s, SESSION, b"\x62\xf1\x86" + bytes([session]))


EXTENDED = Asked(1.0, b"\x10\x03", b"\x50\x03\x00\x32\x01\xf4")


@pytest.mark.parametrize(
    ("at_s", "session", "outcome"),
    [
        (5.8, 3, Outcome.PASS),
        (5.8, 1, Outcome.FAIL),  # ended too soon
        (6.2, 1, Outcome.PASS),
        (6.2, 3, Outcome.FAIL),  # not ended
        (6.0, 1, Outcome.NOT_EXERCISED),
        (6.0, 3, Outcome.NOT_EXERCISED),
    ],
)
def test_a_session_ends_in_its_time(evidence: Make, at_s: float, session: int, outcome: Outcome) -> None:
    assert outcome is judged(evidence, "session", EXTENDED, active(at_s, session)).outcome


def test_every_request_keeps_a_session_and_power_off_ends_it(evidence: Make) -> None:
    kept = (EXTENDED, Asked(5.0, b"\x3e\x80"), active(9.0, 3))
    assert Outcome.PASS is judged(evidence, "session", *kept).outcome
    assert Outcome.FAIL is judged(evidence, "session", *kept[:2], active(9.0, 1)).outcome
    begun = judged(evidence, "session", EXTENDED, active(3.0, 1), power_ons=[2.0])
    assert (Outcome.PASS, Exercised(0, 1)) == (begun.outcome, begun.exercised)
    silent = Asked(1.0, b"\x10\x83")
    assert Outcome.PASS is judged(evidence, "session", silent, active(3.0, 3)).outcome
    assert Outcome.FAIL is judged(evidence, "session", silent, active(3.0, 1)).outcome
    lost = judged(evidence, "session", silent, active(3.0, 1), power_ons=[0.9])  # the controller boots
    assert Outcome.NOT_EXERCISED is lost.outcome
    left = Asked(2.0, b"\x10\x01", b"\x50\x01\x00\x32\x01\xf4")
    assert Outcome.FAIL is judged(evidence, "session", EXTENDED, left, active(3.0, 3)).outcome


def contactors(closed: float) -> dict[str, Any]:
    return {"output": {name: [(0.0, closed)] for name in ("contactor_positive", "contactor_negative")}}


def test_a_reset_starts_anew_and_is_refused_with_contactors_closed(evidence: Make) -> None:
    done, refused = Asked(3.0, b"\x11\x01", b"\x51\x01"), Asked(3.0, b"\x11\x01", b"\x7f\x11\x22")
    keys = {"within_s": 0.6}
    anew: dict[str, Any] = {"reported": {"bms_state": [(0.0, 2.0), (3.1, 1.0), (3.4, 2.0)]}}
    stayed: dict[str, Any] = {"reported": {"bms_state": [(0.0, 2.0)]}}
    assert Outcome.PASS is judged(evidence, "reset", done, keys=keys, **anew, **contactors(0.0)).outcome
    assert Outcome.FAIL is judged(evidence, "reset", done, keys=keys, **stayed, **contactors(0.0)).outcome
    assert Outcome.FAIL is judged(evidence, "reset", done, keys=keys, **anew, **contactors(1.0)).outcome
    assert Outcome.PASS is judged(evidence, "reset", refused, keys=keys, **stayed, **contactors(1.0)).outcome


def test_a_value_read_is_the_one_reported(evidence: Make) -> None:
    reported: dict[str, Any] = {"reported": {"pack_voltage_v": [(0.0, 600.0), (5.0, 610.0)]}}
    keys = {"quantity": "pack_voltage_v", "tolerance": 0.2}

    refused = Asked(2.0, b"\x22\x02\x01", b"\x7f\x22\x31", asked=("pack_voltage_v",))
    assert Outcome.FAIL is judged(evidence, "value", refused, keys=keys, **reported).outcome

    def outcome(at_s: float, value: float) -> Outcome:
        asked = Asked(at_s, b"\x22\x02\x01", b"\x62\x02\x01\x00", None, {"pack_voltage_v": value}, ("pack_voltage_v",))
        return judged(evidence, "value", asked, keys=keys, **reported).outcome

    assert [Outcome.PASS, Outcome.FAIL, Outcome.FAIL] == [outcome(2.0, 600.1), outcome(2.0, 600.3), outcome(2.0, 610.0)]
    assert Outcome.PASS is outcome(5.1, 600.0)  # it changes there


@pytest.mark.parametrize("rule", ["stored", "answered", "session", "lists"])
def test_without_requests_nothing_is_exercised(evidence: Make, rule: str) -> None:
    assert Outcome.NOT_EXERCISED is judged(evidence, rule, **OPENED).outcome


def test_evidence_that_knows_no_diagnostics_exercises_nothing(evidence: Make) -> None:
    rule = Diagnosis.model_validate({"id": "DIA-X-1", "title": "a rule", "source": ["test"], "rule": "stored"})
    assert Outcome.NOT_EXERCISED is judge(rule, evidence(**OPENED)).outcome


@pytest.mark.parametrize("wrong", [{"rule": "value"}, {"rule": "stored", "quantity": "soc_pct"}, {"s3_s": [5.1, 4.9]}])
def test_contradictions_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rule|s3_s"):
        Diagnosis.model_validate({"id": "DIA-X-1", "title": "a rule", "source": ["test"], "rule": "stored", **wrong})
