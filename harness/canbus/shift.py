# SPDX-License-Identifier: Apache-2.0
"""The profile of one of several equal controllers on a bus: the same messages, every identifier moved by an offset."""

from __future__ import annotations

from dataclasses import replace

from harness.canbus.batch import Decoder
from harness.canbus.product import Location, Profile, RestbusMessage
from harness.errors import UsageError

_MOST = {False: 0x7FF, True: 0x1FFF_FFFF}


def shifted(profile: Profile, offset: int) -> Profile:
    """The profile with `offset` added to every identifier. Raises UsageError when one leaves its range."""
    if not offset:
        return profile
    messages = tuple(
        replace(message, id=_moved(message.name, message.id, offset, extended=message.extended))
        for message in profile.database.messages
    )
    database = replace(profile.database, messages=messages)
    return replace(
        profile,
        database=database,
        decoder=Decoder(database, [message.name for message in profile.restbus]),
        restbus=tuple(_message(message, offset) for message in profile.restbus),
        environment={name: _place(place, offset) for name, place in profile.environment.items()},
    )


def clashes(profiles: tuple[Profile, ...]) -> tuple[str, ...]:
    """Messages of two of the profiles that have one identifier: "0x210: CHG_Status of string 1, VCU_Command of 2"."""
    seen: dict[tuple[bool, int], tuple[str, int]] = {}
    found = []
    for number, profile in enumerate(profiles, start=1):
        for message in profile.database.messages:
            name, other = seen.setdefault((message.extended, message.id), (message.name, number))
            if other != number:
                found.append(f"0x{message.id:X}: {name} of string {other}, {message.name} of {number}")
    return tuple(found)


def _moved(name: str, identifier: int, offset: int, *, extended: bool) -> int:
    moved = identifier + offset
    if moved > _MOST[extended]:
        raise UsageError(f"identifier 0x{identifier:X} of {name} moved by 0x{offset:X} is above 0x{_MOST[extended]:X}")
    return moved


def _place(place: Location, offset: int) -> Location:
    return replace(place, id=_moved(place.message, place.id, offset, extended=place.extended))


def _message(message: RestbusMessage, offset: int) -> RestbusMessage:
    dynamic = {name: _place(place, offset) for name, place in message.dynamic.items()}
    return replace(message, id=_moved(message.name, message.id, offset, extended=message.extended), dynamic=dynamic)
