# SPDX-License-Identifier: Apache-2.0
"""Where the counter, the checksum and the numbers of a message sit, for the kernel and for judges."""

from __future__ import annotations

from harness.canbus.e2e import AnyChecksum, AutosarChecksum
from harness.canbus.e2e_file import Found
from harness.canbus.model import Message, Signal
from harness.canbus.product import Location, Protection


def by_header(message: Message, found: Found) -> Protection:
    """Protection whose header says where everything is; names as the database has them for these bits."""

    def name(bits: int) -> str | None:
        return next((signal.name for signal in message.signals if signal.bits == bits), None)

    return Protection(name(found.counter_bits), found.counter_modulus, name(found.checksum_bits), found.checksum)


def position_of(checksum: AnyChecksum | None) -> int:
    """The first byte of a checksum, -1 for none."""
    if checksum is None:
        return -1
    return checksum.offset if isinstance(checksum, AutosarChecksum) else checksum.position


def locate(
    message: Message,
    signal: Signal,
    *,
    scale: float = 1.0,
    offset: float = 0.0,
    match: tuple[int, int] | None = None,
) -> Location:
    """Where a signal sits; `scale` and `offset` act on its physical value."""
    return Location(
        message=message.name,
        id=message.id,
        extended=message.extended,
        start_bit=signal.start_bit,
        length=signal.length,
        big_endian=signal.big_endian,
        signed=signal.signed,
        scale=signal.scale * scale,
        offset=signal.offset * scale + offset,
        match=match,
    )
