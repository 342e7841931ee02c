# SPDX-License-Identifier: Apache-2.0
"""End-to-end protection over many frames at once: CRC-8 of any kind, AUTOSAR E2E profiles 1, 2 and 5, counters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from harness.canbus import crc
from harness.canbus.crc import Crc
from harness.kernel.decode import Crc8

AutosarProfile = Literal["P01", "P02", "P05"]
DataIdMode = Literal["both", "alternating", "low", "nibble"]
_TOP_BIT = 0x80


@dataclass(frozen=True, slots=True)
class Checksum:
    """A CRC-8 over `data_id` (not fed when None) and the first `length` payload bytes without byte `position`."""

    position: int
    length: int
    polynomial: int = 0x1D
    initial: int = 0xFF
    final_xor: int = 0xFF
    data_id: int | None = None


@dataclass(frozen=True, slots=True)
class AutosarChecksum:
    """An AUTOSAR E2E profile with its standard header at byte `offset` (P02: always 0).

    P02 takes `data_ids`, the others `data_id`; `data_id_mode` is for P01.
    """

    profile: AutosarProfile
    length: int
    data_id: int = 0
    data_ids: tuple[int, ...] = ()
    data_id_mode: DataIdMode = "both"
    offset: int = 0


AnyChecksum = Checksum | AutosarChecksum | Crc


@lru_cache(maxsize=16)
def crc8_table(polynomial: int) -> NDArray[np.uint8]:
    """The CRC of every single byte, for a polynomial without its leading bit (SAE J1850: 0x1D)."""
    table = np.arange(256, dtype=np.int64)
    for _ in range(8):
        shifted = table << 1
        table = np.where(table & _TOP_BIT, shifted ^ polynomial, shifted) & 0xFF
    return table.astype(np.uint8)


@lru_cache(maxsize=256)
def _parts(checksum: Checksum) -> tuple[NDArray[np.intp], NDArray[np.uint8], int]:
    """A CRC is affine: it is the exclusive or of what each byte contributes in its place, and a constant.

    Columns of the payload as offsets into the tables, the tables one after the other, and the constant.
    """
    table = crc8_table(checksum.polynomial)
    columns = [column for column in range(checksum.length) if column != checksum.position]
    contribution = np.arange(256, dtype=np.uint8)
    tables = []
    for _ in columns:  # of the last byte, of the one before, ...
        contribution = table.take(contribution)
        tables.append(contribution)
    constant = checksum.initial
    for byte in ([] if checksum.data_id is None else [checksum.data_id]) + [0] * len(columns):
        constant = int(table[constant ^ byte])
    offsets = np.arange(len(columns), dtype=np.intp) * 256
    return offsets, np.concatenate([*reversed(tables), np.empty(0, np.uint8)]), constant ^ checksum.final_xor


@lru_cache(maxsize=256)
def kernel_checksum(checksum: Checksum) -> Crc8:
    """A checksum as the kernel's decoder takes it."""
    table = crc8_table(checksum.polynomial)
    initial = checksum.initial if checksum.data_id is None else int(table[checksum.initial ^ checksum.data_id])
    return Crc8(table, checksum.position, checksum.length, initial, checksum.final_xor)


def crc8(data: NDArray[np.uint8], checksum: Checksum) -> NDArray[np.uint8]:
    """The checksum each payload of [frame, byte] should carry."""
    offsets, tables, constant = _parts(checksum)
    at = checksum.position
    if at == 0:
        fed = data[:, 1 : checksum.length]
    else:
        fed = np.concatenate((data[:, :at], data[:, at + 1 : checksum.length]), axis=1)
    crc: NDArray[np.uint8] = np.bitwise_xor.reduce(tables.take(fed + offsets), axis=1) ^ np.uint8(constant)
    return crc


def check(data: NDArray[np.uint8], checksum: AnyChecksum) -> NDArray[np.bool_]:
    """Whether the checksum of each payload of [frame, byte] fits. Payloads are at least `length` bytes wide."""
    if isinstance(checksum, Checksum):
        fits: NDArray[np.bool_] = data[:, checksum.position] == crc8(data, checksum)
        return fits
    if isinstance(checksum, Crc):
        return crc.check(data, checksum)
    return _check_autosar(np.ascontiguousarray(data[:, : checksum.length]), checksum)


def _check_autosar(data: NDArray[np.uint8], checksum: AutosarChecksum) -> NDArray[np.bool_]:
    """One library call a frame: these profiles mix the counter into the checksum, and 0.2 us a frame is enough."""
    if checksum.profile == "P01":
        from e2e import p01  # noqa: PLC0415 - only for products that use it

        modes = {
            "both": p01.E2E_P01_DATAID_BOTH,
            "alternating": p01.E2E_P01_DATAID_ALT,
            "low": p01.E2E_P01_DATAID_LOW,
            "nibble": p01.E2E_P01_DATAID_NIBBLE,
        }
        how = {"data_id_mode": modes[checksum.data_id_mode], "offset": checksum.offset}
        good = [p01.e2e_p01_check(bytearray(row), checksum.data_id, **how) for row in data]
    elif checksum.profile == "P02":
        from e2e.p02 import e2e_p02_check  # noqa: PLC0415 - only for products that use it

        good = [e2e_p02_check(bytes(row), bytes(checksum.data_ids), length=checksum.length) for row in data]
    else:
        from e2e.p05 import e2e_p05_check  # noqa: PLC0415 - only for products that use it

        good = [e2e_p05_check(bytes(row), checksum.data_id, offset=checksum.offset) for row in data]
    return np.array(good, np.bool_)


def counter_steps(counter: Sequence[int] | NDArray[np.int64], modulus: int) -> NDArray[np.int64]:
    """How far an alive counter moved from each frame to the next: 1 is right, 0 a repetition, n > 1 means that n - 1
    frames are missing (or that it ran backwards: the two cannot be told apart).
    """
    steps: NDArray[np.int64] = np.mod(np.diff(np.asarray(counter, np.int64)), modulus)
    return steps
