# SPDX-License-Identifier: Apache-2.0
"""Batch decoding against payloads worked out by hand. Agreement with cantools is in tests/conformance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus.batch import NODE_UNKNOWN, Counts, Decoder
from harness.canbus.database import Database
from harness.canbus.model import Message, Signal
from harness.trace import Frames

EXTENDED, FD, REMOTE, ERROR = 1, 2, 8, 16
DUT, VEHICLE = 0, 1


def database(*messages: Message) -> Database:
    return Database(Path("product.dbc"), "", (), messages, None)


def frames(*rows: tuple[int, bytes], flags: Sequence[int] = (), nodes: Sequence[int] = (), width: int = 8) -> Frames:
    """Frames 10 ms apart from (identifier, payload)."""
    n = len(rows)
    data = np.zeros((n, width), np.uint8)
    for at, (_, payload) in enumerate(rows):
        data[at, : len(payload)] = list(payload)
    return Frames(
        t_ns=np.arange(n, dtype=np.uint64) * np.uint64(10_000_000),
        id=np.array([number for number, _ in rows], np.uint32),
        flags=np.array(flags or [0] * n, np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.array(nodes or [DUT] * n, np.uint8),
        length=np.array([len(payload) for _, payload in rows], np.uint8),
        data=data,
    )


def one(signal: Signal, payload: bytes) -> tuple[object, float]:
    """Raw and physical value of one signal in one frame."""
    message = Message("M", 1, extended=False, length=len(payload), signals=(signal,))
    width = max(8, len(payload))
    series = Decoder(database(message)).decode(frames((1, payload), width=width)).signal(f"M.{signal.name}")
    return series.raw[0], float(series.value[0])


@pytest.mark.parametrize(
    ("signal", "payload", "raw", "value"),
    [
        (Signal("S", 0, 16), "3412000000000000", 0x1234, 4660.0),
        (Signal("S", 7, 16, big_endian=True), "1234000000000000", 0x1234, 4660.0),
        (Signal("S", 4, 8), "F00F", 0xFF, 255.0),
        (Signal("S", 3, 8, big_endian=True), "0FF0", 0xFF, 255.0),
        (Signal("S", 0, 16, signed=True, scale=0.1), "18FC", -1000, -100.0),
        (Signal("S", 7, 12, signed=True, big_endian=True), "FFF0", -1, -1.0),
        (Signal("S", 0, 8, scale=0.5, offset=-40.0), "A0", 160, 40.0),
        (Signal("S", 0, 64), "FFFFFFFFFFFFFFFF", 2**64 - 1, 1.8446744073709552e19),
        (Signal("S", 0, 64, signed=True), "FFFFFFFFFFFFFFFF", -1, -1.0),
        (Signal("S", 7, 64, big_endian=True), "8000000000000001", 2**63 + 1, 9.223372036854775808e18),
        (Signal("S", 0, 32, is_float=True, scale=2.0), "0000C03F", 1.5, 3.0),
        (Signal("S", 7, 32, is_float=True, big_endian=True), "3FC00000", 1.5, 1.5),
        (Signal("S", 0, 64, is_float=True), "000000000000F03F", 1.0, 1.0),
        (Signal("S", 60, 16), "00" * 7 + "10" + "32" + "04" + "00" * 6, 0x4321, 17185.0),
        (Signal("S", 59, 12, big_endian=True), "00" * 7 + "0A" + "BC" + "00" * 7, 0xABC, 2748.0),
        (Signal("S", 62, 4, signed=True), "00" * 7 + "C0" + "03" + "00" * 7, -1, -1.0),
        (Signal("S", 488, 16), "00" * 61 + "3412" + "00", 0x1234, 4660.0),
    ],
)  # fmt: skip
def test_one_signal(signal: Signal, payload: str, raw: float, value: float) -> None:
    assert (raw, value) == one(signal, bytes.fromhex(payload))


def test_a_negative_zero_does_not_appear() -> None:
    assert "0.0" == str(one(Signal("S", 0, 8, scale=-1.0), b"\0")[1])


def test_a_signal_over_time_has_the_end_of_each_frame() -> None:
    message = Message("M", 0x100, extended=False, length=1, signals=(Signal("S", 0, 8),))
    decoded = Decoder(database(message)).decode(frames((0x100, b"\1"), (0x101, b"\2"), (0x100, b"\3")))
    series = decoded.signal("M.S")
    assert [0.0, 0.02] == series.t_s.tolist()
    assert [1.0, 3.0] == series.value.tolist()
    assert [0, 2] == decoded.rows("M").tolist()
    assert [0.0, 0.02] == decoded.times("M").tolist()
    assert ("M" in decoded, "N" in decoded) == (True, False)


PAGES = Message(
    "Pages",
    0x120,
    extended=False,
    length=2,
    signals=(
        Signal("Page", 0, 8, is_multiplexer=True, states={9: "Announced"}),
        Signal("A", 8, 8, multiplexer="Page", mux_ids=frozenset({0})),
        Signal("B", 8, 8, multiplexer="Page", mux_ids=frozenset({1}), scale=0.5),
        Signal("Both", 8, 4, multiplexer="Page", mux_ids=frozenset({0, 1})),
    ),
)


def test_a_multiplexed_signal_is_there_only_in_its_frames() -> None:
    decoded = Decoder(database(PAGES)).decode(
        frames((0x120, b"\1\x0a"), (0x120, b"\0\x0b"), (0x120, b"\1\x0c"), (0x120, b"\x09\x0d"), (0x120, b"\x05\x0e"))
    )
    assert [0.01] == decoded.signal("Pages.A").t_s.tolist()
    assert [5.0, 6.0] == decoded.signal("Pages.B").value.tolist()
    both = decoded.signal("Pages.Both")
    assert [0.0, 0.01, 0.02] == both.t_s.tolist()
    assert [0xA, 0xB, 0xC] == both.raw.tolist()
    assert [1, 0, 1, 9, 5] == decoded.signal("Pages.Page").raw.tolist()


def test_a_multiplexer_value_without_signals_is_counted_unless_the_value_table_names_it() -> None:
    decoded = Decoder(database(PAGES)).decode(frames((0x120, b"\x09\0"), (0x120, b"\x05\0"), (0x120, b"\0\0")))
    assert Counts(decoded=3, undecodable_multiplexer=1) == decoded.counts


def test_nested_multiplexers_select_step_by_step() -> None:
    message = Message(
        "Deep",
        5,
        extended=False,
        length=3,
        signals=(
            Signal("Outer", 0, 4, is_multiplexer=True),
            Signal("Inner", 4, 4, multiplexer="Outer", mux_ids=frozenset({2}), is_multiplexer=True),
            Signal("Value", 8, 8, multiplexer="Inner", mux_ids=frozenset({3})),
            Signal("Second", 16, 4, is_multiplexer=True),
            Signal("Other", 20, 4, multiplexer="Second", mux_ids=frozenset({1})),
        ),
    )
    decoded = Decoder(database(message)).decode(
        frames((5, b"\x32\x11\x71"), (5, b"\x33\x22\x82"), (5, b"\x42\x33\x91"), (5, b"\x32\x44\xa2"))
    )
    assert [0x11, 0x44] == decoded.signal("Deep.Value").raw.tolist()
    assert [3, 4, 3] == decoded.signal("Deep.Inner").raw.tolist()
    assert [7, 9] == decoded.signal("Deep.Other").raw.tolist()
    # Outer at 3 and Second at 2, Inner at 4, Second at 2 select nothing: three frames.
    assert Counts(decoded=4, undecodable_multiplexer=3) == decoded.counts


def test_two_multiplexers_that_select_each_other_are_never_decoded_and_end() -> None:
    message = Message(
        "Loop",
        5,
        extended=False,
        length=1,
        signals=(
            Signal("A", 0, 4, multiplexer="B", mux_ids=frozenset({0}), is_multiplexer=True),
            Signal("B", 4, 4, multiplexer="A", mux_ids=frozenset({0}), is_multiplexer=True),
        ),
    )
    decoded = Decoder(database(message)).decode(frames((5, b"\0")))
    with pytest.raises(KeyError):
        decoded.signal("Loop.A")


ID_11 = Message("Short", 0x10, extended=False, length=2, signals=(Signal("S", 0, 16),))
ID_29 = Message("Long", 0x10, extended=True, length=2, signals=(Signal("S", 0, 16),))
RESTBUS = Message("Command", 0x200, extended=False, length=1, signals=(Signal("S", 0, 8),))


def test_every_frame_is_counted_once_by_what_became_of_it() -> None:
    decoder = Decoder(database(ID_11, ID_29, RESTBUS), ["Command"])
    decoded = decoder.decode(
        frames(
            (0x10, b"ab"),  # decoded
            (0x10, b"ab"),  # extended: another message
            (0x10, b"abc"),  # longer is fine
            (0x10, b"a"),  # too short
            (0x11, b"ab"),  # unknown
            (0x12345, b"ab"),  # unknown, 29 bits
            (0x10, b""),  # remote
            (0x10, b""),  # error
            (0x10, b"ab"),  # the DUT's message from the vehicle
            (0x200, b"x"),  # the vehicle's own
            (0x10, b"ab"),  # from a log that does not name senders
            (0x1234, b"ab"),  # an 11-bit identifier with more than 11 bits
            flags=(0, EXTENDED, 0, 0, 0, EXTENDED, REMOTE, ERROR, 0, 0, 0, 0),
            nodes=(0, 0, 0, 0, 0, 0, 0, 0, VEHICLE, VEHICLE, NODE_UNKNOWN, 0),
        )
    )
    assert Counts(decoded=5, unknown_id=3, wrong_length=1, remote=1, error=1, other_node=1) == decoded.counts
    assert [0, 2, 10] == decoded.rows("Short").tolist()
    assert [1] == decoded.rows("Long").tolist()
    assert [9] == decoded.rows("Command").tolist()


def test_a_message_longer_than_any_frame_is_never_complete() -> None:
    uds = Message("Uds", 1, extended=False, length=100, signals=(Signal("S", 700, 8),))
    wide = Message("Wide", 2, extended=False, length=32, signals=(Signal("S", 200, 8),))
    narrow = frames((1, b"12345678"), (2, b"12345678"))
    lying = Frames(
        narrow.t_ns, narrow.id, narrow.flags, narrow.bus, narrow.node, np.full(2, 255, np.uint8), narrow.data
    )
    for buffer in (narrow, lying):
        assert Counts(wrong_length=2) == Decoder(database(uds, wide)).decode(buffer).counts


OUT = Signal("Out", 8, 16)


def test_signals_that_cannot_be_decoded_have_no_place_and_the_others_are_decoded() -> None:
    message = Message(
        "M", 1, extended=False, length=2, signals=(OUT, Signal("In", 0, 8), Signal("Odd", 0, 9, is_float=True))
    )  # fmt: skip
    decoded = Decoder(database(message)).decode(frames((1, b"\7\0")))
    assert [7] == decoded.signal("M.In").raw.tolist()
    for name in ("Out", "Odd"):
        with pytest.raises(KeyError):
            decoded.signal(f"M.{name}")


def test_no_frames_give_empty_series() -> None:
    decoded = Decoder(database(ID_11, PAGES)).decode(frames())
    assert Counts() == decoded.counts
    assert [] == decoded.signal("Short.S").value.tolist()
    assert [] == decoded.signal("Pages.Both").raw.tolist()


def test_decoding_again_leaves_earlier_results_alone() -> None:
    decoder = Decoder(database(ID_11))
    first = decoder.decode(frames((0x10, b"\1\0")))
    decoder.decode(frames((0x10, b"\2\0"), (0x10, b"\3\0")))
    assert [1.0] == first.signal("Short.S").value.tolist()
    assert Counts(decoded=1) == first.counts


@pytest.mark.parametrize("width", [1, 2, 3, 7, 9, 64])
def test_any_width_of_the_frame_buffer_is_taken(width: int) -> None:
    message = Message("M", 1, extended=False, length=1, signals=(Signal("S", 0, 8),))
    assert [5] == Decoder(database(message)).decode(frames((1, b"\5"), width=width)).signal("M.S").raw.tolist()


@given(
    start_bit=st.integers(0, 56), length=st.integers(1, 8), big_endian=st.booleans(), payload=st.integers(0, 2**64 - 1)
)
def test_an_unsigned_signal_is_the_bits_it_occupies(
    start_bit: int, length: int, *, big_endian: bool, payload: int
) -> None:
    signal = Signal("S", start_bit, length, big_endian=big_endian)
    if not signal.fits(8):
        return
    content = payload.to_bytes(8, "little")
    bits = [payload >> bit & 1 for bit in range(64) if signal.bits >> bit & 1]
    if not big_endian:
        assert sum(bit << at for at, bit in enumerate(bits)) == one(signal, content)[0]
    else:  # within one byte both orders read alike; across bytes the first byte is the high one
        assert sum(bits) == int(one(signal, content)[0]).bit_count()  # type: ignore[call-overload]
