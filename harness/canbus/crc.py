# SPDX-License-Identifier: Apache-2.0
"""A CRC of 8 or 16 bits of any kind over many frames at once, as products outside the AUTOSAR profiles use it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

DataIdPlace = Literal["before", "after"]
_BYTE = 8


@dataclass(frozen=True, slots=True)
class Crc:
    """A CRC over the first `length` payload bytes without its own, which begin at byte `position`.

    `polynomial` and `initial` are not mirrored, also where `reflected` says that bits are taken from the lowest on.
    `data_id` (None: not fed) of `data_id_bytes` bytes, the low one first, goes before or behind the payload.
    """

    position: int
    length: int
    width: Literal[8, 16]
    polynomial: int
    initial: int = 0
    final_xor: int = 0
    reflected: bool = False
    big_endian: bool = False
    data_id: int | None = None
    data_id_bytes: Literal[1, 2] = 1
    data_id_place: DataIdPlace = "before"

    @property
    def id_bytes(self) -> bytes:
        """The data id as it is fed, empty when there is none."""
        return b"" if self.data_id is None else self.data_id.to_bytes(self.data_id_bytes, "little")


def check(data: NDArray[np.uint8], crc: Crc) -> NDArray[np.bool_]:
    """Whether the CRC of each payload of [frame, byte] fits. Payloads are at least `length` bytes wide."""
    found: NDArray[Any] = data[:, crc.position].astype(np.uint16)
    if crc.width == 2 * _BYTE:
        second = data[:, crc.position + 1].astype(np.uint16)
        found = found << _BYTE | second if crc.big_endian else second << _BYTE | found
    fits: NDArray[np.bool_] = found == value(data, crc)
    return fits


def value(data: NDArray[np.uint8], crc: Crc) -> NDArray[np.uint16]:
    """The CRC each payload of [frame, byte] should carry."""
    table = _table(crc.width, crc.polynomial, reflected=crc.reflected)
    initial = _mirrored(crc.initial, crc.width) if crc.reflected else crc.initial
    state: NDArray[Any] = np.full(len(data), initial, np.uint16)
    own = range(crc.position, crc.position + crc.width // _BYTE)
    columns = [data[:, column] for column in range(crc.length) if column not in own]
    ids = [np.full(len(data), byte, np.uint8) for byte in crc.id_bytes]
    for column in (*ids, *columns) if crc.data_id_place == "before" else (*columns, *ids):
        if crc.width == _BYTE or crc.reflected:
            state = state >> _BYTE ^ table.take((state ^ column) & 0xFF)
        else:
            state = (state << _BYTE) ^ table.take((state >> _BYTE) ^ column)
    return state ^ np.uint16(crc.final_xor)


@lru_cache(maxsize=16)
def _table(width: int, polynomial: int, *, reflected: bool) -> NDArray[np.uint16]:
    """The CRC of every single byte."""
    table = np.arange(256, dtype=np.int64)
    top, mask = 1 << (width - 1), (1 << width) - 1
    if reflected:
        mirrored = _mirrored(polynomial, width)
        for _ in range(_BYTE):
            table = np.where(table & 1, table >> 1 ^ mirrored, table >> 1)
        return table.astype(np.uint16)
    table <<= width - _BYTE
    for _ in range(_BYTE):
        table = np.where(table & top, table << 1 ^ polynomial, table << 1) & mask
    return table.astype(np.uint16)


def _mirrored(number: int, width: int) -> int:
    return int(f"{number:0{width}b}"[::-1], 2)
