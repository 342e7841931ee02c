# SPDX-License-Identifier: Apache-2.0
"""The messages of a product as faults name them."""

from __future__ import annotations

from harness.canbus.model import Message
from harness.canbus.product import Profile
from harness.faults.frames import DUT, BusMessage, BusSignal


def restbus_messages(profile: Profile) -> tuple[BusMessage, ...]:
    """What the harness sends, in the order of the kernel's messages."""
    return tuple(_message(profile.database.by_name[message.name], message.node) for message in profile.restbus)


def dut_messages(profile: Profile) -> tuple[BusMessage, ...]:
    """Everything else the database has: what the DUT may send."""
    others = profile.of_others
    return tuple(_message(message, DUT) for name, message in profile.database.by_name.items() if name not in others)


def _message(message: Message, node: str) -> BusMessage:
    """Signals that are in every frame of the message, and not floating point numbers."""
    signals = tuple(
        BusSignal(signal.name, signal.start_bit, signal.length, signal.big_endian)
        for signal in message.signals
        if not signal.is_float and signal.multiplexer is None and signal.fits(message.length)
    )
    return BusMessage(message.name, node, message.id, message.extended, signals)
