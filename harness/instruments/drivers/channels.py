# SPDX-License-Identifier: Apache-2.0
"""Channel lists of SCPI-1999 vol. 1, 8.3.2: (@1,3:5). Written here, read by the devices with a parser of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeVar

from harness.errors import UsageError

Item = TypeVar("Item")


def channel_text(channels: Iterable[int]) -> str:
    """Channels as a list with ranges: [1, 2, 3, 7] -> "(@1:3,7)"."""
    parts: list[str] = []
    for first, last in _runs(sorted(channels)):
        parts.append(str(first) if first == last else f"{first}:{last}")
    return f"(@{','.join(parts)})"


def channel_text_plain(channels: Iterable[int]) -> str:
    """Channels one by one, for instruments whose manual shows no ranges."""
    return f"(@{','.join(str(channel) for channel in sorted(channels))})"


def by_value(pairs: Iterable[tuple[int, str]]) -> dict[str, list[int]]:
    """Channels that get the same text, in the order the texts first come."""
    groups: dict[str, list[int]] = {}
    for channel, text in pairs:
        groups.setdefault(text, []).append(channel)
    return groups


def chunks(items: Sequence[Item], most: int) -> Iterator[Sequence[Item]]:
    """Pieces of at most `most` items, for instruments with a short input buffer."""
    for first in range(0, len(items), most):
        yield items[first : first + most]


def unit_and_channel(name: str, channel: int, per_unit: int, units: int) -> tuple[int, int]:
    """Unit (from 0) and its channel (from 1) of a channel counted through all units from 1. UsageError beyond them."""
    if not 1 <= channel <= per_unit * units:
        raise UsageError(f"{name}: channel {channel}; there are 1 to {per_unit * units} ({units} x {per_unit})")
    return (channel - 1) // per_unit, (channel - 1) % per_unit + 1


def _runs(channels: Sequence[int]) -> Iterator[tuple[int, int]]:
    start = 0
    for place in range(1, len(channels) + 1):
        if place == len(channels) or channels[place] != channels[place - 1] + 1:
            yield channels[start], channels[place - 1]
            start = place
