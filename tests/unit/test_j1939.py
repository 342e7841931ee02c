# SPDX-License-Identifier: Apache-2.0
"""J1939 messages put together from frames, and trouble codes. Layouts from the standards' published descriptions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus import j1939
from harness.trace import Frames

PGN = 0xFECA


def transported(data: bytes, *, broadcast: bool = True) -> list[tuple[int, bytes]]:
    """The frames of a message: to everybody, or from F3 to F9 (without the answers)."""
    to = 0xFF if broadcast else 0xF9
    packets = -(-len(data) // 7)
    control = 32 if broadcast else 16
    head = bytes([control, len(data) & 0xFF, len(data) >> 8, packets, 0xFF, *PGN.to_bytes(3, "little")])
    parts = [bytes([n + 1, *data[7 * n : 7 * n + 7]]).ljust(8, b"\xff") for n in range(packets)]
    return [(0x18EC00F3 | to << 8, head), *((0x18EB00F3 | to << 8, part) for part in parts)]


def put_together(frames: list[tuple[int, bytes]], gap_s: float = 0.05) -> list[j1939.Message]:
    assembler = j1939.Assembler()
    found = [assembler.push(gap_s * place, *frame) for place, frame in enumerate(frames)]
    return [message for message in found if message is not None]


@given(st.binary(min_size=9, max_size=1785), st.sampled_from((0xFF, 0xF9)))
def test_a_message_of_any_length_comes_out_as_it_went_in(data: bytes, to: int) -> None:
    (message,) = put_together(transported(data, broadcast=to == 0xFF))
    assert (PGN, 0xF3, to, data) == (
        message.pgn,
        message.source,
        message.destination,
        message.data,
    )


def test_a_message_begins_with_its_announcement_and_ends_with_its_last_packet() -> None:
    (message,) = put_together(transported(bytes(20)))
    assert 0.0 == message.begin_s
    assert message.end_s == pytest.approx(0.15)


def test_a_frame_that_is_no_transport_is_a_message() -> None:
    (message,) = put_together([(0x18FECAF3, bytes(8))])
    assert (PGN, 0xF3, 0xFF, bytes(8)) == (message.pgn, message.source, message.destination, message.data)


@pytest.mark.parametrize("spoilt", [lambda f: f[:2] + f[3:], lambda f: [*f[:2], f[1], *f[2:]], lambda f: f[1:]])
def test_a_packet_missing_or_double_or_without_announcement_spoils_the_message(spoilt: object) -> None:
    assert callable(spoilt)
    assert [] == put_together(spoilt(transported(bytes(range(30)))))


def test_a_packet_that_is_late_spoils_the_message() -> None:
    assert [] == put_together(transported(bytes(20)), gap_s=1.3)
    assert [] != put_together(transported(bytes(20)), gap_s=1.2)


def test_an_abort_by_either_side_ends_the_message() -> None:
    frames = transported(bytes(20), broadcast=False)
    for abort in (0x18ECF9F3, 0x18ECF3F9):
        stopped = [*frames[:2], (abort, bytes([255, 1, 0xFF, 0xFF, 0xFF, *PGN.to_bytes(3, "little")])), *frames[2:]]
        assert [] == put_together(stopped)


def test_messages_to_different_nodes_may_be_mixed() -> None:
    one, two = transported(bytes(range(20))), transported(bytes(range(40, 60)), broadcast=False)
    mixed = [frame for pair in zip(one, two, strict=True) for frame in pair]
    assert [bytes(range(20)), bytes(range(40, 60))] == [message.data for message in put_together(mixed)]


def test_a_trouble_code_is_19_bits_of_spn_5_of_fmi_and_7_of_count() -> None:
    data = bytes([0b0000_0100, 0xFF, 0x13, 0xF0, 0b111_00010, 0x05])
    assert (j1939.Trouble(spn=0x7F013, fmi=2, count=5),) == j1939.troubles(data)
    assert ("amber warning",) == j1939.lamps(data)


@pytest.mark.parametrize(
    "nothing", [bytes(6), bytes([0, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF]), b"\0\xff\xff\xff\xff\xff\xff\xff"]
)
def test_a_message_without_a_code_has_none(nothing: bytes) -> None:
    assert () == j1939.troubles(nothing)


def test_only_extended_frames_of_the_wanted_groups_are_looked_at() -> None:
    sent = [(0x18FECAF3, 1), (0x18FECBF3, 1), (0x18FECAF3 & 0x7FF, 0), (0x18FECAF3, 1 | 16)]
    n = len(sent)
    frames = Frames(
        t_ns=(np.arange(n) * 10**9).astype(np.uint64),
        id=np.array([identifier for identifier, _ in sent], np.uint32),
        flags=np.array([flags for _, flags in sent], np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.zeros(n, np.uint8),
        length=np.full(n, 8, np.uint8),
        data=np.zeros((n, 8), np.uint8),
    )
    assert [0.0] == [message.end_s for message in j1939.messages(frames, (PGN,))]
