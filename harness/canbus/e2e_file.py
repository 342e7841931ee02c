# SPDX-License-Identifier: Apache-2.0
"""What `e2e = { ... }` of a profile file means for one message of the database."""

from __future__ import annotations

from dataclasses import dataclass

from harness.canbus.crc import Crc
from harness.canbus.e2e import AnyChecksum, AutosarChecksum, AutosarProfile
from harness.canbus.model import Message
from harness.canbus.profile_file import CounterModel, CrcModel, E2eModel

_BYTE = 8
_WIDE = 16
Wrong = tuple[tuple[str, ...], object, str]  # key, found, allowed


@dataclass(frozen=True, slots=True)
class Header:
    """An AUTOSAR E2E header: bytes of the checksum, where the counter begins in it, and its bits and values."""

    checksum_bytes: int
    counter_bit: int
    counter_length: int
    counter_modulus: int


# AUTOSAR PRS E2E Protocol: profile 1 and 2 CRC in byte 0, counter in the low half of byte 1 (0..14 and 0..15); profile
# 5 CRC in bytes 0 and 1, the low one first, counter in byte 2.
HEADERS: dict[AutosarProfile, Header] = {
    "P01": Header(1, 8, 4, 15),
    "P02": Header(1, 8, 4, 16),
    "P05": Header(2, 16, 8, 256),
}


@dataclass(frozen=True, slots=True)
class Found:
    """The protection: `from_header` says whether the profile's header places counter and checksum.

    `*_bits` are the bits of the payload they occupy, as `Signal.bits`.
    """

    checksum: AnyChecksum | None = None
    from_header: bool = False
    counter_start_bit: int = -1
    counter_length: int = 0
    counter_modulus: int = 0
    counter_bits: int = 0
    checksum_bits: int = 0


def resolve_e2e(
    entry: E2eModel, message: Message, *, counter: CounterModel | None, crc: CrcModel | None
) -> tuple[Found, list[Wrong]]:
    """The protection of a message, and what is wrong with its entry."""
    wrong: list[Wrong] = []
    if crc is not None:
        wrong.append((("e2e",), entry.profile, "either e2e or crc"))
    if entry.profile == "crc":
        return Found(_any_crc(entry, message, wrong)), wrong
    if counter is not None:
        wrong.append((("counter",), counter.signal, f"no counter: the header of {entry.profile} has it"))
    return _autosar(entry.profile, entry, message, wrong), wrong


def _autosar(profile: AutosarProfile, entry: E2eModel, message: Message, wrong: list[Wrong]) -> Found:
    header = HEADERS[profile]
    if (profile == "P02") != (entry.data_ids is not None) or (profile != "P02") != (entry.data_id is not None):
        wrong.append((("e2e",), profile, "data_ids (16 bytes) with P02, data_id with P01 and P05"))
    if profile == "P02" and entry.offset:
        wrong.append((("e2e", "offset"), entry.offset, "0 for P02"))
    if profile != "P01" and entry.data_id_mode != "both":
        wrong.append((("e2e", "data_id_mode"), entry.data_id_mode, "only with P01"))
    end = entry.offset + (header.counter_bit + header.counter_length + _BYTE - 1) // _BYTE
    if end > message.length:
        wrong.append((("e2e", "offset"), entry.offset, f"a header that ends within the {message.length} bytes"))
    start = _BYTE * entry.offset
    return Found(
        AutosarChecksum(
            profile, message.length, entry.data_id or 0, entry.data_ids or (), entry.data_id_mode, entry.offset
        ),
        from_header=True,
        counter_start_bit=start + header.counter_bit,
        counter_length=header.counter_length,
        counter_modulus=header.counter_modulus,
        counter_bits=((1 << header.counter_length) - 1) << (start + header.counter_bit),
        checksum_bits=((1 << _BYTE * header.checksum_bytes) - 1) << start,
    )


def _any_crc(entry: E2eModel, message: Message, wrong: list[Wrong]) -> Crc | None:
    signal = message.by_name.get(entry.signal or "")
    if signal is None or not signal.fits(message.length):
        wrong.append((("e2e", "signal"), entry.signal or "nothing", f"a signal of {message.name} for the CRC"))
        return None
    if entry.polynomial is None:
        wrong.append((("e2e", "polynomial"), "nothing", "the polynomial without its leading bit, e.g. 0x1021"))
        return None
    if signal.length != entry.width or signal.first_bit % _BYTE:
        place = f"{signal.name}, {signal.length} bits from bit {signal.start_bit}"
        wrong.append((("e2e", "signal"), place, f"{entry.width} bits in whole bytes"))
    numbers = {"polynomial": entry.polynomial, "initial": entry.initial, "final_xor": entry.final_xor}
    for name, number in numbers.items():
        if number >> entry.width:
            wrong.append((("e2e", name), number, f"at most {(1 << entry.width) - 1:#x} for {entry.width} bits"))
    if entry.data_id is not None and entry.data_id >> (_BYTE * entry.data_id_bytes):
        wrong.append((("e2e", "data_id"), entry.data_id, "0 to 255, or data_id_bytes = 2"))
        return None
    if entry.data_id is not None and entry.data_id_place == "after" and entry.data_id_bytes == 1:
        wrong.append((("e2e", "data_id_bytes"), 1, "2 with data_id_place = 'after'"))
    return Crc(
        position=signal.first_bit // _BYTE,
        length=message.length,
        width=entry.width,
        polynomial=entry.polynomial,
        initial=entry.initial,
        final_xor=entry.final_xor,
        reflected=entry.reflected,
        big_endian=signal.big_endian,
        data_id=entry.data_id,
        data_id_bytes=entry.data_id_bytes,
        data_id_place=entry.data_id_place,
    )
