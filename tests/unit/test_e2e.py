# SPDX-License-Identifier: Apache-2.0
"""Checksums against published check values and a bit-by-bit calculation; counters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from e2e import p01, p02, p05
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus.batch import Decoder
from harness.canbus.database import Database
from harness.canbus.e2e import AutosarChecksum, Checksum, check, counter_steps, crc8
from harness.trace import Frames

DECODER = Decoder(Database(Path("product.dbc"), "", (), (), None))


def bitwise(content: bytes, polynomial: int, initial: int, final_xor: int) -> int:
    """CRC-8 as the definition says it: one bit after the other."""
    register = initial
    for byte in content:
        register ^= byte
        for _ in range(8):
            register = (register << 1) ^ polynomial if register & 0x80 else register << 1
            register &= 0xFF
    return register ^ final_xor


@pytest.mark.parametrize(
    ("polynomial", "initial", "final_xor", "expected"),
    [
        (0x1D, 0xFF, 0xFF, 0x4B),  # SAE J1850, AUTOSAR CRC8
        (0x2F, 0xFF, 0xFF, 0xDF),  # AUTOSAR CRC8H2F
        (0x07, 0x00, 0x00, 0xF4),  # SMBus
        (0x31, 0x00, 0x00, 0xA2),  # Maxim's polynomial, not reflected
    ],
)
def test_check_values_of_the_catalogue(polynomial: int, initial: int, final_xor: int, expected: int) -> None:
    digits = np.frombuffer(b"123456789\0", np.uint8)[None, :]  # the last byte holds the checksum
    checksum = Checksum(9, 10, polynomial, initial, final_xor)
    assert [expected] == crc8(digits, checksum).tolist()


@given(
    st.lists(st.binary(min_size=8, max_size=8), max_size=5),
    st.integers(0, 7),
    st.integers(1, 8),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.none() | st.integers(0, 255),
)
def test_many_frames_at_once_give_what_one_bit_after_the_other_gives(
    payloads: list[bytes], position: int, length: int, rule: tuple[int, int, int], data_id: int | None
) -> None:
    position = min(position, length - 1)
    data = np.frombuffer(b"".join(payloads), np.uint8).reshape(-1, 8)
    checksum = Checksum(position, length, *rule, data_id=data_id)
    prefix = b"" if data_id is None else bytes([data_id])
    expected = [bitwise(prefix + row[:position] + row[position + 1 : length], *rule) for row in payloads]
    assert expected == crc8(data, checksum).tolist()
    assert [row[position] == crc for row, crc in zip(payloads, expected, strict=True)] == check(data, checksum).tolist()


def test_one_wrong_bit_or_the_data_id_of_another_message_is_found() -> None:
    checksum = Checksum(0, 8, data_id=0x20)
    good = np.array([[0, 0x10, 1, 2, 3, 4, 5, 6]], np.uint8)
    good[:, 0] = crc8(good, checksum)
    assert check(good, checksum).all()
    assert not check(good, Checksum(0, 8, data_id=0x21)).any()
    for bit in range(64):
        bad = good.copy()
        bad[0, bit // 8] ^= 1 << bit % 8
        assert not check(bad, checksum).any()


def test_autosar_profiles_are_checked_by_their_library() -> None:
    ids = tuple(range(16))
    one, two, five = (bytearray(b"\0\0\3\4\5\6\7\x08") for _ in range(3))
    p01.e2e_p01_protect(one, 0x123)
    p02.e2e_p02_protect(two, bytes(ids), length=8)
    p05.e2e_p05_protect(five, 0x123)
    rules = [
        (one, AutosarChecksum("P01", 8, 0x123), AutosarChecksum("P01", 8, 0x124)),
        (two, AutosarChecksum("P02", 8, data_ids=ids), AutosarChecksum("P02", 8, data_ids=ids[::-1])),
        (five, AutosarChecksum("P05", 8, 0x123), AutosarChecksum("P05", 8, 0x124)),
    ]
    for payload, right, wrong in rules:
        data = np.frombuffer(bytes(payload), np.uint8)[None, :]
        assert [True] == check(data, right).tolist()
        assert [False] == check(data, wrong).tolist()


def test_counter_steps_show_repetitions_gaps_and_the_wrap() -> None:
    assert [1, 1, 1, 0, 3] == counter_steps([13, 14, 0, 1, 1, 4], 15).tolist()
    assert [] == counter_steps([3], 15).tolist()


@given(
    st.lists(st.binary(min_size=8, max_size=8), min_size=1, max_size=5),
    st.integers(0, 7),
    st.integers(1, 8),
    st.tuples(*[st.integers(0, 255)] * 3),
    st.none() | st.integers(0, 255),
)
def test_the_kernel_finds_the_same_frames_wrong(
    payloads: list[bytes], position: int, length: int, rule: tuple[int, int, int], data_id: int | None
) -> None:
    data = np.frombuffer(b"".join(payloads), np.uint8).reshape(-1, 8).copy()
    checksum = Checksum(min(position, length - 1), length, *rule, data_id=data_id)
    data[0, checksum.position] = crc8(data, checksum)[0]
    n = len(data)
    frames = Frames(
        t_ns=np.arange(n, dtype=np.uint64),
        id=np.full(n, 1, np.uint32),
        flags=np.zeros(n, np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.zeros(n, np.uint8),
        length=np.full(n, 8, np.uint8),
        data=data,
    )
    rows = np.arange(n, dtype=np.int32)
    fits = DECODER.decode(frames).checksums_fit(rows, checksum)
    assert check(data, checksum).tolist() == fits.tolist()
    assert fits[0]
