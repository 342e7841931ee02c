# SPDX-License-Identifier: Apache-2.0
"""Diagnostics judged on hand-made requests and answers: each rule passes, fails and abstains where it has to."""

from __future__ import annotations

import math
from typing import Any

import pytest

from harness.canbus.flow import Block
from harness.requirements.diagnosis import refusal_of
from harness.requirements.judge import judge
from harness.requirements.model import Diagnosis
from harness.verdict import Exercised, Outcome
from tests.judges.requests import OPENED, SESSION, Asked, Make, judged


@pytest.mark.parametrize(
    ("asked", "outcome"),
    [
        (Asked(2.0, b"\x3e\x00", b"\x7e\x00"), Outcome.PASS),
        (Asked(2.0, b"\x3e\x01", b"\x7f\x3e\x12"), Outcome.PASS),
        (Asked(2.0, b"\x3e\x00", b"\x7e\x00", late_s=0.2), Outcome.FAIL),
        (Asked(2.0, b"\x3e\x00"), Outcome.FAIL),
        (Asked(2.0, b"\x3e\x80"), Outcome.NOT_EXERCISED),  # no answer is wanted
        (Asked(2.0, b"\x3e\x81"), Outcome.FAIL),  # a refusal is
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
        ("14 00 00 01", 0x31),
        ("3E 01", 0x12),
        ("3E 81", 0x12),
        ("22 FF FF", 0x31),
        ("10 FF", 0x12),  # refused aloud
        ("19", 0x13),
        ("19 02", 0x13),
        ("19 0A FF", 0x13),
        ("19 7F FF", 0x12),
        ("19 0A", None),
        ("19 01 08", None),
        ("19 06 1A 12 00 FF", None),  # a sub-function that a controller may have
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


@pytest.mark.parametrize(
    ("block", "outcome"),
    [
        (Block(2.0, 4, 0.02, 4, 0.02), Outcome.PASS),
        (Block(2.0, 0, 0.0, 100, 0.0003), Outcome.PASS),
        (Block(2.0, 4, 0.02, 1, math.inf), Outcome.PASS),
        (Block(2.0, 4, 0.02, 5, 0.02), Outcome.FAIL),  # more than allowed
        (Block(2.0, 4, 0.02, 4, 0.019), Outcome.FAIL),  # closer than asked for
        (Block(2.0, 0, 0.0, 4, 0.02, early=True), Outcome.FAIL),  # not yet let go on
    ],
)
def test_long_answers_come_in_the_blocks_and_at_the_pace_asked_for(
    evidence: Make, block: Block, outcome: Outcome
) -> None:
    asked = Asked(1.9, b"\x19\x0a", b"\x59\x0a\x7f")
    assert outcome is judged(evidence, "flow", asked, blocks=[block]).outcome


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


@pytest.mark.parametrize(
    ("before", "closed", "power_ons", "outcome"),
    [
        (EXTENDED, 0.0, [], Outcome.FAIL),
        (EXTENDED, 0.0, [2.0], Outcome.NOT_EXERCISED),  # the session is over
        (EXTENDED, 1.0, [], Outcome.PASS),
        (Asked(2.0, b"\x3e\x00", b"\x7e\x00"), 0.0, [], Outcome.NOT_EXERCISED),
    ],
)
def test_a_reset_is_not_refused_in_the_extended_session_with_contactors_open(
    evidence: Make, before: Asked, closed: float, power_ons: list[float], outcome: Outcome
) -> None:
    refused = Asked(3.0, b"\x11\x01", b"\x7f\x11\x22")
    verdict = judged(evidence, "reset", before, refused, power_ons=power_ons, **contactors(closed))
    assert outcome is verdict.outcome


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


@pytest.mark.parametrize(
    "wrong", [{"rule": "value"}, {"rule": "stored", "quantity": "soc_pct"}, {"s3_s": [5.1, 4.9]}, {"tested_s": [3, 1]}]
)
def test_contradictions_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"rule|_s = "):
        Diagnosis.model_validate({"id": "DIA-X-1", "title": "a rule", "source": ["test"], "rule": "stored", **wrong})
