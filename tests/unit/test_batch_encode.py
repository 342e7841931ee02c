# SPDX-License-Identifier: Apache-2.0
"""Payloads from arrays of values; expected bytes are worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from harness.canbus.batch_encode import encode, encode_raw
from harness.canbus.model import Message, Signal
from harness.errors import UsageError

INTEL = Signal("Intel", start_bit=4, length=12)
MOTOROLA = Signal("Motorola", start_bit=19, length=12, big_endian=True, signed=True)
PAGE = Signal("Page", start_bit=0, length=4, is_multiplexer=True)
ON_PAGE_1 = Signal("OnPage1", start_bit=8, length=8, multiplexer="Page", mux_ids=frozenset({1}))
TEMPERATURE = Signal("Temperature", start_bit=0, length=8, scale=0.5, offset=-40.0, unit="degC")


def message(*signals: Signal, length: int = 4) -> Message:
    return Message("M", 0x100, extended=False, length=length, signals=signals)


def test_both_byte_orders_lie_where_the_database_says() -> None:
    payloads = encode_raw(message(INTEL, MOTOROLA), {"Intel": [0xABC, 0x001], "Motorola": [-1, 0x123]})

    # Intel: low nibble in the high half of byte 0. Motorola: bits 19..16 of byte 2 first, then byte 3.
    assert [[0xC0, 0xAB, 0x0F, 0xFF], [0x10, 0x00, 0x01, 0x23]] == payloads.tolist()


def test_a_multiplexed_signal_is_written_only_on_its_page() -> None:
    payloads = encode_raw(message(PAGE, ON_PAGE_1, length=2), {"Page": [1, 2], "OnPage1": 0x55})

    assert [[0x01, 0x55], [0x02, 0x00]] == payloads.tolist()


def test_physical_values_are_scaled_and_rounded_to_even() -> None:
    payloads = encode(message(TEMPERATURE, length=1), {"Temperature": [-40.0, 25.0, 25.25, 87.5]})

    assert [[0], [130], [130], [255]] == payloads.tolist()


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"Temperature": [88.0]}, "found raw 256; allowed: 0 to 255"),
        ({"Temperature": [float("nan")]}, "found raw nan"),
        ({"Temprature": [1.0]}, "has no signal 'Temprature'; it has Temperature"),
    ],
)
def test_what_does_not_fit_is_refused_never_clipped(values: dict[str, list[float]], text: str) -> None:
    with pytest.raises(UsageError, match="M") as caught:
        encode(message(TEMPERATURE, length=1), values)

    assert text in str(caught.value)


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(UsageError) as caught:
        encode_raw(message(INTEL), {"Intel": np.array([4096]), "Nobody": 1})

    assert len(str(caught.value).splitlines()) == 2
