# SPDX-License-Identifier: Apache-2.0
"""Checksums of a profile as the simulation kernel takes them: one CRC that can be all of them."""

from __future__ import annotations

from typing import Any

from harness.canbus.e2e import AnyChecksum, AutosarChecksum, Checksum, DataIdMode
from harness.kernel.bustypes import IdMode

_P01_MODES: dict[DataIdMode, IdMode] = {
    "both": IdMode.BOTH,
    "alternating": IdMode.ALTERNATING,
    "low": IdMode.LOW,
    "nibble": IdMode.NIBBLE,
}


def protection(checksum: AnyChecksum | None) -> dict[str, Any]:
    """The fields `e2e_*` of a kernel message. The checksum's place is another field, `crc_byte`."""
    if checksum is None:
        return {}
    if isinstance(checksum, AutosarChecksum):
        return _autosar(checksum)
    if isinstance(checksum, Checksum):
        return {
            "e2e_width": 8,
            "e2e_polynomial": checksum.polynomial,
            "e2e_initial": checksum.initial,
            "e2e_final_xor": checksum.final_xor,
            "e2e_id_mode": IdMode.NONE if checksum.data_id is None else IdMode.LOW,
            "e2e_data_id": checksum.data_id or 0,
        }
    before = {1: IdMode.LOW, 2: IdMode.BOTH}[checksum.data_id_bytes]
    mode = before if checksum.data_id_place == "before" else IdMode.BOTH_AFTER
    return {
        "e2e_width": checksum.width,
        "e2e_polynomial": checksum.polynomial,
        "e2e_initial": checksum.initial,
        "e2e_final_xor": checksum.final_xor,
        "e2e_reflected": checksum.reflected,
        "e2e_big_endian": checksum.big_endian,
        "e2e_id_mode": IdMode.NONE if checksum.data_id is None else mode,
        "e2e_data_id": checksum.data_id or 0,
    }


def _autosar(checksum: AutosarChecksum) -> dict[str, Any]:
    """Profile 1: CRC-8 0x1D, in effect from 0 with nothing inverted. Profile 2: 0x2F. Profile 5: CRC-16 0x1021."""
    if checksum.profile == "P01":
        return {
            "e2e_width": 8,
            "e2e_polynomial": 0x1D,
            "e2e_id_mode": _P01_MODES[checksum.data_id_mode],
            "e2e_data_id": checksum.data_id,
        }
    if checksum.profile == "P02":
        return {
            "e2e_width": 8,
            "e2e_polynomial": 0x2F,
            "e2e_initial": 0xFF,
            "e2e_final_xor": 0xFF,
            "e2e_id_mode": IdMode.LIST_AFTER,
            "e2e_data_ids": checksum.data_ids,
        }
    return {
        "e2e_width": 16,
        "e2e_polynomial": 0x1021,
        "e2e_initial": 0xFFFF,
        "e2e_id_mode": IdMode.BOTH_AFTER,
        "e2e_data_id": checksum.data_id,
    }
