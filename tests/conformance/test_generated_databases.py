# SPDX-License-Identifier: Apache-2.0
"""For any database, batch decoding gives what cantools gives, and strict loading refuses what cantools refuses."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import cantools.database
import numpy as np
import pytest
from cantools.database import UnsupportedDatabaseFormatError  # type: ignore[attr-defined]
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.canbus.batch_encode import encode, encode_raw
from harness.canbus.database import Database, load_database
from harness.errors import RigError
from harness.trace import Frames

LENGTHS = (1, 2, 3, 5, 8, 8, 8, 12, 16, 24, 48, 64)
SCALES = ("1", "0.1", "-1", "2", "0.0001", "1.5", "-0.25", "1e-7", "3600")
OFFSETS = ("0", "-40", "0.5", "1e6", "-273.15")
PAGE_BITS = 3


@dataclass(frozen=True)
class Drawn:
    """A message as text of a DBC file, and its length."""

    lines: tuple[str, ...]
    extra: tuple[str, ...]
    dbc_id: int
    length: int


@st.composite
def signal_text(draw: st.DrawFn, name: str, marker: str, n_bits: int) -> tuple[str, bool]:
    """A signal somewhere in a message of that many bits, and whether it is a float."""
    is_float = draw(st.integers(0, 9)) == 0 and n_bits >= 32
    length = (
        draw(st.sampled_from([32, 64] if n_bits >= 64 else [32])) if is_float else draw(st.integers(1, min(64, n_bits)))
    )
    first = draw(st.integers(0, n_bits - length))
    big_endian = draw(st.booleans())
    start = 8 * (first // 8) + 7 - first % 8 if big_endian else first
    sign = draw(st.sampled_from("+-"))
    scale, offset = draw(st.sampled_from(SCALES)), draw(st.sampled_from(OFFSETS))
    order = 0 if big_endian else 1
    return f' SG_ {name} {marker} : {start}|{length}@{order}{sign} ({scale},{offset}) [0|0] "" X', is_float


@st.composite
def message_text(draw: st.DrawFn, number: int) -> Drawn:
    """A message with plain signals, or with a multiplexer in the first bits and signals on its pages.

    With `nested`, one page holds a further multiplexer, in the extended form.
    """
    extended = draw(st.booleans())
    dbc_id = (0x80000000 | 0x1000 * (number + 1)) if extended else 0x100 + number
    length = draw(st.sampled_from(LENGTHS))
    lines = [f"BO_ {dbc_id} M{number}: {length} X"]
    extra: list[str] = []
    multiplexed = draw(st.booleans())
    nested = multiplexed and draw(st.booleans())
    if multiplexed:
        lines.append(f' SG_ Page M : 0|{PAGE_BITS}@1+ (1,0) [0|0] "" X')
    if nested:
        lines.append(f' SG_ Inner m1M : {PAGE_BITS}|{PAGE_BITS}@1{draw(st.sampled_from("+-"))} (1,0) [0|0] "" X')
        extra.append(f"SG_MUL_VAL_ {dbc_id} Inner Page 1-{draw(st.integers(1, 3))};")
    for at in range(draw(st.integers(1, 6))):
        page = draw(st.integers(0, 4)) if multiplexed and draw(st.booleans()) else None
        text, is_float = draw(signal_text(f"S{at}", "" if page is None else f"m{page}", 8 * length))
        lines.append(text)
        if nested and page is not None:
            parent = draw(st.sampled_from(["Page", "Inner"]))
            extra.append(f"SG_MUL_VAL_ {dbc_id} S{at} {parent} {page}-{page + draw(st.integers(0, 2))};")
        if is_float:
            extra.append(f"SIG_VALTYPE_ {dbc_id} S{at} : {2 if '|64@' in text else 1};")
    return Drawn(tuple(lines), tuple(extra), dbc_id, length)


@st.composite
def databases(draw: st.DrawFn) -> tuple[str, tuple[Drawn, ...]]:
    messages = tuple(draw(message_text(number)) for number in range(draw(st.integers(1, 3))))
    blocks = ["\n".join(message.lines) for message in messages]
    extra = [line for message in messages for line in message.extra]
    return 'VERSION ""\n\nBU_: X\n\n' + "\n\n".join(blocks) + "\n\n" + "\n".join(extra) + "\n", messages


@settings(max_examples=150)
@given(databases(), st.integers(0, 2**32 - 1))
def test_batch_decoding_equals_cantools(
    tmp_path_factory: pytest.TempPathFactory,
    agree_with_cantools: Callable[[Database, Frames], int],
    drawn: tuple[str, tuple[Drawn, ...]],
    seed: int,
) -> None:
    text, messages = drawn
    path = tmp_path_factory.mktemp("generated") / "generated.dbc"
    path.write_text(text)
    agree_with_cantools(load_database(path, strict=False), random_frames(messages, seed))


def random_frames(messages: tuple[Drawn, ...], seed: int) -> Frames:
    """Sixty frames of the messages with random payloads; some too short, remote, or of nobody."""
    generator = np.random.default_rng(seed)
    n = 60
    chosen = [messages[at] for at in generator.integers(0, len(messages), n)]
    odd = generator.integers(0, 12, n)
    length = np.array([message.length for message in chosen])
    data = generator.integers(0, 256, (n, 64), np.uint8)
    data[generator.random(n) < 0.2] = 0xFF
    data[np.arange(64)[None, :] >= length[:, None]] = 0
    extended = np.array([message.dbc_id >> 31 for message in chosen], np.uint8)
    return Frames(
        t_ns=np.arange(n, dtype=np.uint64),
        id=np.array([message.dbc_id & 0x1FFFFFFF for message in chosen], np.uint32) + (odd == 0).astype(np.uint32),
        flags=extended | np.where(odd == 1, 8, 0).astype(np.uint8),
        bus=np.zeros(n, np.uint8),
        node=generator.integers(0, 4, n).astype(np.uint8),
        length=(length - (odd == 2)).astype(np.uint8),
        data=data,
    )


@settings(max_examples=150)
@given(databases())
def test_strict_loading_refuses_exactly_what_cantools_refuses(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[str, tuple[Drawn, ...]]
) -> None:
    path = tmp_path_factory.mktemp("generated") / "generated.dbc"
    path.write_text(drawn[0])
    try:
        cantools.database.load_string(drawn[0], "dbc", strict=True)
    except UnsupportedDatabaseFormatError:
        with pytest.raises(RigError):
            load_database(path)
    else:
        assert load_database(path).warnings == ()


@settings(max_examples=150)
@given(databases(), st.integers(0, 2**32 - 1))
def test_batch_encoding_equals_cantools(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[str, tuple[Drawn, ...]], seed: int
) -> None:
    path = tmp_path_factory.mktemp("generated") / "generated.dbc"
    path.write_text(drawn[0])
    try:
        database = load_database(path)
    except RigError:
        return  # what is refused when strict has no defined bits
    generator = np.random.default_rng(seed)
    for message in database.messages:
        library = database.codec.get_message_by_name(message.name)
        payload = generator.integers(0, 256, message.length, np.uint8).tobytes()
        try:
            raw = library.decode(payload, scaling=False, decode_choices=False)
        except cantools.database.DecodeError:
            continue  # a multiplexer value without a page
        if any(math.isnan(value) for value in raw.values()):
            continue  # a float that is no number has many encodings
        expected = library.encode(raw, scaling=False, strict=False)
        values = {name: np.array([value, value], dtype=object) for name, value in raw.items()}
        encoded = encode_raw(message, values)
        assert [expected, expected] == [row.tobytes() for row in encoded]
        physical = library.decode(payload, decode_choices=False)
        if all(abs(value) < 2**53 for value in raw.values()):
            again = encode(message, {name: np.array([value]) for name, value in physical.items()})
            assert [library.encode(physical, strict=False)] == [row.tobytes() for row in again]
