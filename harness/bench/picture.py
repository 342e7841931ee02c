# SPDX-License-Identifier: Apache-2.0
"""A CAN bus at one moment, as a monitor sees it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any, Literal

from harness.bench.busload import Load

Remark = Literal["", "silent", "slower than nominal", "faster than nominal"]


@dataclass(frozen=True, slots=True)
class Period:
    """Times between frames of a message, ms; None where not enough came. `jitter_ms` is the standard deviation."""

    nominal_ms: float | None
    mean_ms: float | None = None
    least_ms: float | None = None
    greatest_ms: float | None = None
    jitter_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """The last value of a signal. `state` is its name in the value table, `quantity` what a profile calls it, and
    `quantity_value` the value in that quantity's unit. `in_range`: within what the database allows the signal; products
    tell a value they do not have by one outside.
    """

    path: str
    value: float
    unit: str
    age_s: float
    in_range: bool = True
    state: str = ""
    quantity: str = ""
    quantity_value: float | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """One message of the database. Counters and checksums None where the profile does not know them.

    `lost` is the least number of frames that the counter says are missing; frames with a wrong checksum are not asked
    for their counter. `short` frames were too short to be decoded.
    """

    name: str
    id: int
    extended: bool
    frames: int
    period: Period
    age_s: float | None
    lost: int | None
    repeated: int | None
    crc_errors: int | None
    short: int
    remark: Remark
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Unknown:
    """An identifier that the database does not have."""

    id: int
    extended: bool
    frames: int
    mean_ms: float | None
    age_s: float
    data: str


@dataclass(frozen=True, slots=True)
class TroubleCodes:
    """The last J1939 message that lists trouble codes, DM1 (active) or DM2 (previously active)."""

    message: str
    age_s: float
    lamps: tuple[str, ...]
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """The bus at one moment. `seen` in the order of identifiers, without messages that never came; those of them that
    should be cyclic are in `missing`. Times from the first frame or the start of listening.
    """

    t_s: float
    frames: int
    own: int
    error_frames: int
    remote: int
    load: Load
    seen: tuple[Seen, ...]
    unknown: tuple[Unknown, ...]
    missing: tuple[str, ...]
    troubles: tuple[TroubleCodes, ...] = ()


def record(picture: Picture) -> dict[str, Any]:
    """The picture as a JSON document; numbers that are none (NaN of a float signal) become null."""
    document: dict[str, Any] = _plain(asdict(picture))
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
