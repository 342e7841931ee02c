# SPDX-License-Identifier: Apache-2.0
"""The form of answers by UDS, told from the request: what is whole and well formed, and what may not be refused."""

from __future__ import annotations

import pytest

from harness.requirements.answers import form_problem, must_be_served

KNOWN = {0xF186, 0x0200, 0x0201}


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("10 03", "50 03 00 32 01 F4"),
        ("11 01", "51 01"),
        ("14 FF FF FF", "54"),
        ("19 01 08", "59 01 7F 01 00 02"),
        ("19 02 08", "59 02 7F"),
        ("19 02 08", "59 02 7F 1A 12 00 2F 1A 13 00 28"),
        ("19 0A", "59 0A 7F 1A 12 00 00"),
        ("22 02 00", "62 02 00 01 F4"),
        ("22 02 00 F1 86 02 01", "62 02 00 01 F4 F1 86 01 02 01 17 D4"),
        ("22 02 00 12 34", "62 02 00 01 F4"),  # what is not known may be left out
        ("22 02 00 02 01", "62 02 00 02 01 02 01 17 D4"),  # a value that reads like the next identifier
        ("3E 00", "7E 00"),
        ("3E 80", "7F 3E 12"),  # refusals are sent all the same
        ("27 01", "7F 27 11"),
        ("27 01", "67 01 11 22 33 44"),  # services and kinds of lists whose form is not known here
        ("19 06 1A 12 00 FF", "59 06 1A 12 00 2F 01 05"),
        ("19 04 1A 12 00 01", "59 04 1A 12 00 2F"),
        ("19 02", "59 02 7F"),  # to be refused, which is another rule
        ("19", "59"),
    ],
)
def test_a_well_formed_answer_has_no_problem(request_: str, answer: str) -> None:
    assert "" == form_problem(bytes.fromhex(request_), bytes.fromhex(answer), KNOWN)


@pytest.mark.parametrize(
    ("request_", "answer", "told"),
    [
        ("10 03", "50 03", "2 bytes instead of 6"),
        ("10 03", "50 03 00 32 01 F4 00", "7 bytes"),
        ("10 03", "50 01 00 32 01 F4", "0x03 is not repeated"),
        ("10 83", "50 03 00 32 01 F4", "no positive answer was wanted"),
        ("11 01", "51 01 00", "3 bytes instead of 2"),
        ("14 FF FF FF", "54 00", "2 bytes instead of 1"),
        ("19 01 08", "59 01 7F 01 02", "5 bytes instead of 6"),
        ("19 01 08", "59 02 7F", "0x01 is not repeated"),
        ("19 02 08", "59 02", "four for each code"),
        ("19 02 08", "59 02 7F 1A 12 00", "four for each code"),
        ("19 02 08", "59 02 7F 1A 12 00 27", "without any status bit"),
        ("19 02 88", "59 02 7F 1A 12 00 A7", "outside the availability mask 0x7F"),
        ("19 0A", "59 0A 7F 1A 12 00 00 1A 12 00 00", "listed twice"),
        ("22 02 00", "62 02 00", "identifiers"),  # without a value
        ("22 02 00", "62 02 01 17 D4", "identifiers"),
        ("22 02 00 02 01", "62 02 00 01 F4", "identifiers"),  # one that is known is missing
        ("22 02 00 02 01", "62 02 01 17 D4 02 00 01 F4", "identifiers"),  # not in the order asked
        ("3E 00", "7E", "not repeated"),
        ("3E 00", "83", "neither 0x7E nor a refusal"),
        ("3E 00", "7F 3E", "a refusal has three bytes"),
        ("3E 00", "7F 10 12", "a refusal has three bytes"),
        ("3E 00", "7F 3E 00", "a refusal has three bytes"),
        ("27 01", "7F 27 11 00", "a refusal has three bytes"),
    ],
)
def test_what_is_wrong_with_the_form_is_told(request_: str, answer: str, told: str) -> None:
    assert told in form_problem(bytes.fromhex(request_), bytes.fromhex(answer), KNOWN)


@pytest.mark.parametrize(
    ("request_", "served"),
    [
        ("10 01", True),
        ("10 83", True),
        ("10 02", False),  # programming needs a bootloader
        ("10 03 00", False),
        ("11 01", False),  # depends on session and contactors
        ("14 FF FF FF", True),
        ("14 1A 12 00", False),
        ("19 01 0A", True),
        ("19 02 FF", True),
        ("19 02", False),
        ("19 0A", True),
        ("22 F1 86", True),
        ("22 02 00", False),
        ("3E 00", True),
        ("3E 80", True),
        ("3E 01", False),
    ],
)
def test_what_must_be_served_is_known_from_the_request(request_: str, *, served: bool) -> None:
    assert served is must_be_served(bytes.fromhex(request_))
