# SPDX-License-Identifier: Apache-2.0
"""How long frames are on the wire: worked out by hand, and against a walk over single bits."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

EXTENDED, FD, BRS, REMOTE = 1, 2, 4, 8
INTERMISSION = 3
TRAILER = 1 + 1 + 1 + 7  # CRC delimiter, acknowledge slot and delimiter, end of frame

Count = Callable[..., tuple[int, int]]


@pytest.fixture(scope="session")
def count(bench: Any) -> Count:
    kernel = bench.load_kernel(bench.build_kernel())

    def count(identifier: int, data: bytes = b"", flags: int = 0) -> tuple[int, int]:
        frame = kernel.ffi.new("fil_frame *", {"id": identifier, "flags": flags, "length": len(data), "data": data})
        data_bits = kernel.ffi.new("uint32_t *")
        return kernel.lib.bh_frame_bits(frame, data_bits), data_bits[0]

    return count


def test_a_standard_frame_of_eight_bytes_without_stuffing_takes_111_bits_with_intermission(count: Count) -> None:
    # 19 header + 64 data + 15 CRC + 10 trailer = 108, + 3 intermission. 0x555 and 0x55 alternate; the DLC 1000 breaks
    # the three zeros before it. Of the last bytes one is taken whose CRC has no five equal bits.
    lengths = {count(0x555, bytes([0x55] * 7 + [last]))[0] for last in (0x55, 0x54, 0x5A, 0x4A)}
    assert min(lengths) + INTERMISSION == 111


def test_all_zero_bits_are_stuffed_after_every_fifth(count: Count) -> None:
    # Identifier 0, no data: 19 header bits 0, so the CRC is 0 too: 34 zeros. A stuff bit 1 after each five of them: 6.
    assert count(0) == (34 + 6 + TRAILER, 0)


def test_a_stuff_bit_counts_for_the_next_run(count: Count) -> None:
    # Remote frame 0x7FF: SOF 0, eleven 1, RTR 1: twelve 1 in a row. 11111 [0] 11111 [0] 11, then IDE, r0 and DLC:
    # 00000 [1] 0. Three so far; the rest are those of the CRC, which the walk below takes care of.
    walked = reference(0x7FF, b"", REMOTE)
    header = bits_of(0, 1) + bits_of(0x7FF, 11) + [1, 0, 0, 0, 0, 0, 0]
    assert inserted(header) == 3
    assert count(0x7FF, b"", REMOTE) == walked


def test_an_fd_frame_without_data_by_hand(count: Count) -> None:
    # 0x555: after its last 1: RRS 0, IDE 0, FDF 1, then res, BRS, ESI and four bits DLC: seven 0, one stuff bit.
    # 22 bits + 1; CRC field: 4 stuff count + 17 CRC + 6 fixed stuff bits = 27; trailer 10.
    assert count(0x555, b"", FD) == (22 + 1 + 27 + TRAILER, 0)


def test_a_fixed_stuff_bit_stands_in_for_one_after_the_last_data_bit(count: Count) -> None:
    # With BRS 1, ESI and DLC are five 0 right before the CRC field: no stuff bit of their own.
    # Nominal: 16 up to res, BRS, and acknowledge, its delimiter, end of frame: 9. Data: 5 + 27 + CRC delimiter.
    assert count(0x555, b"", FD | BRS) == (16 + 1 + 9, 5 + 27 + 1)


def test_long_fd_frames_have_the_longer_crc(count: Count) -> None:
    # 4 + 21 + 7 against 4 + 17 + 6; alternating data, so that nothing else differs but four bytes.
    short, long = (sum(count(0x555, bytes([0x55] * n), FD | BRS)) for n in (16, 20))
    assert abs(long - short - (32 + 5)) <= 1  # the length code 1010 or 1011 may cost a stuff bit


# ---- a walk over single bits -----------------------------------------------------------------------------------


def bits_of(value: int, n: int) -> list[int]:
    return [value >> shift & 1 for shift in range(n - 1, -1, -1)]


def inserted(bits: list[int]) -> int:
    """Stuff bits the transmitter puts into and right behind these bits."""
    wire: list[int] = []
    for bit in bits:
        wire.append(bit)
        if len(wire) >= 5 and len(set(wire[-5:])) == 1:
            wire.append(1 - bit)
    return len(wire) - len(bits)


def crc15(bits: list[int]) -> int:
    crc = 0
    for bit in bits:
        feedback = bit ^ crc >> 14
        crc = crc << 1 & 0x7FFF
        if feedback:
            crc ^= 0x4599
    return crc


def reference(identifier: int, data: bytes, flags: int) -> tuple[int, int]:
    return fd_reference(identifier, data, flags) if flags & FD else classic_reference(identifier, data, flags)


def classic_reference(identifier: int, data: bytes, flags: int) -> tuple[int, int]:
    remote = int(bool(flags & REMOTE))
    if flags & EXTENDED:
        bits = [0, *bits_of(identifier >> 18, 11), 1, 1, *bits_of(identifier & 0x3FFFF, 18), remote, 0, 0]
    else:
        bits = [0, *bits_of(identifier, 11), remote, 0, 0]
    bits += bits_of(len(data), 4)
    for byte in b"" if remote else data:
        bits += bits_of(byte, 8)
    bits += bits_of(crc15(bits), 15)
    return len(bits) + inserted(bits) + TRAILER, 0


FD_STEPS = (*range(9), 12, 16, 20, 24, 32, 48, 64)


def fd_reference(identifier: int, data: bytes, flags: int) -> tuple[int, int]:
    brs = int(bool(flags & BRS))
    code = next(code for code, step in enumerate(FD_STEPS) if step >= len(data))
    if flags & EXTENDED:
        bits = [0, *bits_of(identifier >> 18, 11), 1, 1, *bits_of(identifier & 0x3FFFF, 18), 0, 1, 0]
    else:
        bits = [0, *bits_of(identifier, 11), 0, 0, 1, 0]
    before_brs = len(bits) + inserted(bits)
    bits += [brs, 0, *bits_of(code, 4)]
    for byte in data.ljust(FD_STEPS[code], b"\0"):
        bits += bits_of(byte, 8)
    # leaving out the last bit, a stuff bit behind it is not counted
    body = len(bits) + inserted(bits[:-1])
    crc_field = 27 if FD_STEPS[code] <= 16 else 32
    if not brs:
        return body + crc_field + TRAILER, 0
    return before_brs + 1 + TRAILER - 1, body - before_brs - 1 + crc_field + 1


IDENTIFIERS = st.one_of(st.sampled_from([0, 0x7FF, 0x0F0, 0x555, 0x07C]), st.integers(0, 0x7FF))
BYTES = st.one_of(st.sampled_from([0x00, 0xFF, 0x0F, 0x83, 0x7C]), st.integers(0, 255))


def payloads(longest: int) -> st.SearchStrategy[bytes]:
    return st.lists(BYTES, max_size=longest).map(bytes)


@given(identifier=IDENTIFIERS, data=payloads(8), remote=st.booleans())
def test_standard_frames_agree_with_a_walk_over_their_bits(
    count: Count, identifier: int, data: bytes, *, remote: bool
) -> None:
    flags = REMOTE if remote else 0
    assert reference(identifier, data, flags) == count(identifier, data, flags)


@given(identifier=st.integers(0, 0x1FFFFFFF), data=payloads(8), remote=st.booleans())
def test_extended_frames_agree_with_a_walk_over_their_bits(
    count: Count, identifier: int, data: bytes, *, remote: bool
) -> None:
    flags = EXTENDED | (REMOTE if remote else 0)
    assert reference(identifier, data, flags) == count(identifier, data, flags)


@given(identifier=st.integers(0, 0x1FFFFFFF), data=payloads(64), extended=st.booleans(), brs=st.booleans())
def test_fd_frames_agree_with_a_walk_over_their_bits(
    count: Count, identifier: int, data: bytes, *, extended: bool, brs: bool
) -> None:
    flags = FD | (EXTENDED if extended else 0) | (BRS if brs else 0)
    identifier = identifier if extended else identifier & 0x7FF
    assert reference(identifier, data, flags) == count(identifier, data, flags)


@given(identifier=IDENTIFIERS, data=payloads(8))
def test_no_standard_frame_of_eight_bytes_is_shorter_than_111_or_longer_than_135_bits(
    count: Count, identifier: int, data: bytes
) -> None:
    nominal, _ = count(identifier, data.ljust(8, b"\0"))
    assert 111 <= nominal + INTERMISSION <= 135


def test_the_crc_of_the_walk_is_the_one_of_the_standard() -> None:
    # CRC-15/CAN, check value of "123456789" in the catalogue of parametrised CRC algorithms.
    assert crc15([bit for byte in b"123456789" for bit in bits_of(byte, 8)]) == 0x059E
