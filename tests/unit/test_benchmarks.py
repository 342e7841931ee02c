# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks say about measurements: a missed bar is never reported as met. Nothing is timed here."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.canbus.database import Database, load_database
from harness.trace import Frames
from tests.benchmarks import recordings
from tests.benchmarks.start import judged
from tests.benchmarks.table import Bar, Measurement, all_met, document, failed, not_measured, number, statement, table
from tests.benchmarks.timing import Effort, Times, interleaved, ratio, wall_ratio

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


def test_what_could_not_be_measured_says_what_is_missing_and_meets_no_bar() -> None:
    barred = not_measured(6, "decode a recording", "no recordings here", Bar(at_least=100.0))
    text = table([FAST, barred], MACHINE)
    assert line_of(text, "decode a recording").endswith("not measured")
    assert "1 of 2 bars met." in text
    assert "not measured: row 6, decode a recording: no recordings here" in text
    assert not all_met([FAST, barred])


def test_a_missing_extra_for_information_only_stops_nobody() -> None:
    other = not_measured(6, "against asammdf", "pip install it")
    assert all_met([FAST, other])
    assert ["1 of 1 bars met."] == statement([FAST, other])
    assert "against asammdf: not measured: pip install it" in table([FAST, other], MACHINE)


def test_recordings_that_are_not_here_are_not_measured_and_not_met(tmp_path: Path) -> None:
    found = recordings.measure(Effort(quick=True), tmp_path / "absent")
    assert {"not measured"} == {row.verdict for row in found}
    assert not all_met(found)


def test_a_difference_to_cantools_is_found() -> None:
    class Lying:
        """A message that decodes to one more than is there."""

        def __init__(self, message: Any) -> None:
            self._message = message

        def __getattr__(self, name: str) -> Any:
            return getattr(self._message, name)

        def decode(self, data: bytes, **options: Any) -> dict[str, float]:
            values: dict[str, float] = self._message.decode(data, **options)
            return {name: value + 1 for name, value in values.items()}

    class Codec:
        def __init__(self, messages: list[Any]) -> None:
            self.messages = messages

    database = load_database(Path(__file__).parents[2] / "dbc" / "reference-bms.dbc")
    frames = _frames(database)
    honest = recordings.compare(database, frames)
    assert (0, 0) == (honest.differing, honest.left_out)
    assert honest.compared > 0
    liar = replace(database, codec=Codec([Lying(message) for message in database.codec.messages]))
    assert honest.compared == recordings.compare(liar, frames).differing


def _frames(database: Database) -> Frames:
    """One frame of every message, all zeros."""
    n = len(database.messages)
    zeros = {name: np.zeros(n, np.uint8) for name in ("flags", "bus", "node")}
    return Frames(
        t_ns=np.arange(n, dtype=np.uint64),
        id=np.array([message.id for message in database.messages], np.uint32),
        length=np.array([message.length for message in database.messages], np.uint8),
        data=np.zeros((n, 8), np.uint8),
        **zeros,
    )


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
