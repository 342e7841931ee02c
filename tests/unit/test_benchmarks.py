# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks say about measurements: a missed bar is never reported as met. Nothing is timed here."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from tests.benchmarks.start import judged
from tests.benchmarks.table import Bar, Measurement, all_met, document, failed, number, statement, table
from tests.benchmarks.timing import Times, interleaved, ratio, wall_ratio

MACHINE: dict[str, Any] = {"cores": 2, "Python": "3.11"}
FAST = Measurement(1, "whole loop", 3500.0, "x", Bar(at_least=3000.0), "103 requirements")
SLOW = Measurement(2, "usual stack", 59.9, "x", Bar(at_least=60.0))
LATE = Measurement(9, "--help", 151.0, "ms", Bar(at_most=150.0))
PLAIN = Measurement(12, "build", 11.0, "s")


def line_of(text: str, what: str) -> str:
    return next(line for line in text.splitlines() if what in line)


@pytest.mark.parametrize("missed", [SLOW, LATE])
def test_a_missed_bar_is_reported_as_not_met_in_table_statement_and_document(missed: Measurement) -> None:
    text = table([FAST, missed], MACHINE)
    assert line_of(text, missed.what).endswith("NOT met")
    assert f"NOT met: row {missed.row}, {missed.what}" in text
    assert "1 of 2 bars met." in text
    assert document([FAST, missed], MACHINE)["all_met"] is False
    assert not all_met([FAST, missed])


def test_a_met_bar_is_reported_as_met() -> None:
    text = table([FAST, PLAIN], MACHINE)
    assert line_of(text, "whole loop").endswith("  met")
    assert "1 of 1 bars met." in text
    assert all_met([FAST, PLAIN])


def test_the_limit_itself_meets_the_bar() -> None:
    assert Bar(at_least=60.0).met(60.0)
    assert Bar(at_most=150.0).met(150.0)
    assert not Bar(at_least=5.0, at_most=20.0).met(20.1)
    assert not Bar(at_least=5.0, at_most=20.0).met(4.9)


def test_a_group_that_broke_is_not_met_even_without_a_bar_and_says_why() -> None:
    broken = failed(4, "group sequences", "FirmwareError: no compiler")
    assert not all_met([FAST, broken])
    assert ["1 of 2 bars met.", "NOT met: row 4, group sequences: FirmwareError: no compiler"] == statement(
        [FAST, broken]
    )


def test_a_good_value_with_an_error_is_not_met() -> None:
    wrong = Measurement(6, "batch decode", 200.0, "x", Bar(at_least=100.0), error="3 of 900 values differ")
    assert not all_met([wrong])
    assert "3 of 900 values differ" in table([wrong], MACHINE)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_number_meets_no_bar(value: float) -> None:
    assert not Bar(at_least=0.0).met(value)
    assert not Bar(at_most=0.0).met(value)


def test_nothing_measured_is_not_a_success() -> None:
    assert not all_met([])


def test_the_document_is_json_with_null_for_what_has_no_value() -> None:
    found = json.loads(json.dumps(document([FAST, failed(4, "group", "why")], MACHINE), allow_nan=False))
    assert [3500.0, None] == [row["value"] for row in found["measurements"]]
    assert ["met", "NOT met"] == [row["verdict"] for row in found["measurements"]]


def test_numbers_keep_the_digits_that_matter() -> None:
    assert ["5123 x", "2.31 x", "70.3 %"] == [number(5123.4, "x"), number(2.309, "x"), number(70.31, "%")]


def test_ratios_are_taken_within_a_round_and_then_the_middle_one() -> None:
    slow = Times(cpu=(10.0, 200.0, 12.0), wall=(20.0, 20.0, 20.0))
    quick = Times(cpu=(1.0, 10.0, 1.0), wall=(1.0, 2.0, 4.0))
    assert 12.0 == ratio(slow, quick)
    assert 10.0 == wall_ratio(slow, quick)


@pytest.mark.parametrize("output", ["", "Traceback", "{}", '{"verdicts": [{"outcome": "NOT_EXERCISED"}]}'])
def test_a_command_that_judges_nothing_is_not_timed_as_one_that_does(output: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        judged(output)


def test_sides_take_turns_and_the_order_alternates() -> None:
    calls: list[str] = []
    interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, 3)
    assert ["a", "b", "a", "b", "b", "a", "a", "b"] == calls
