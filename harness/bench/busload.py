# SPDX-License-Identifier: Apache-2.0
"""How much of its time a bus is in use, estimated from frames: what is on the wire beside the payload is calculated."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.kernel.config import FrameFlag
from harness.trace import Frames

# Bits of a classic frame beside its payload, with interframe space, and those of them that are stuffed (ISO 11898-1)
_STANDARD, _STANDARD_STUFFED = 47, 34
_EXTENDED, _EXTENDED_STUFFED = 67, 54
# Of a CAN FD frame: at the nominal rate, and in the data phase up to 16 bytes and beyond (CRC 17 and 21, stuff count)
_FD_STANDARD, _FD_EXTENDED = 29, 48
_FD_DATA_SHORT, _FD_DATA_LONG, _FD_SHORT_BYTES = 33, 38, 16
_ERROR_BITS = 20  # flag of 6 to 12, delimiter of 8, interframe space of 3
_STUFFING = 0.06  # stuff bits per stuffed bit: 0.03 in random bits, up to 0.25 in long runs; payloads have many zeros


@dataclass(frozen=True, slots=True)
class Load:
    """Shares of bit time in percent: over all the time, in the last whole second, in the busiest second."""

    mean_pct: float
    last_pct: float
    peak_pct: float


class LoadMeter:
    """Adds frames up by seconds."""

    def __init__(self, bitrate: int, data_bitrate: int = 0) -> None:
        self._bit_s = 1.0 / bitrate
        self._data_bit_s = 1.0 / data_bitrate if data_bitrate else self._bit_s
        self._busy_s: dict[int, float] = {}  # by second; a stamp of a recording may be years off

    def add(self, frames: Frames) -> None:
        """More frames, with times from the start."""
        seconds, place = np.unique(frames.t_ns // 1_000_000_000, return_inverse=True)
        found = np.bincount(place, frame_times_s(frames, self._bit_s, self._data_bit_s))
        for second, busy_s in zip(seconds.tolist(), found.tolist(), strict=True):
            self._busy_s[second] = self._busy_s.get(second, 0.0) + busy_s

    def load(self, now_s: float) -> Load:
        """The load at a moment."""
        whole = int(now_s)
        total_s = sum(self._busy_s.values())
        last = self._busy_s.get(whole - 1, 0.0)
        past = (busy_s for second, busy_s in self._busy_s.items() if second < whole)
        peak = max(past, default=0.0) if whole else total_s / max(now_s, 1e-3)
        mean = total_s / now_s if now_s > 0.0 else 0.0
        return Load(100 * mean, 100 * (last if whole else mean), 100 * peak)


def frame_times_s(frames: Frames, bit_s: float, data_bit_s: float) -> NDArray[np.float64]:
    """How long each frame keeps its bus."""
    flags = frames.flags
    extended, flexible = (flags & FrameFlag.EXTENDED) != 0, (flags & FrameFlag.FD) != 0
    payload = 8.0 * frames.length * ((flags & FrameFlag.REMOTE) == 0)
    stuffed = np.where(extended, _EXTENDED_STUFFED, _STANDARD_STUFFED) + payload
    classic = (np.where(extended, _EXTENDED, _STANDARD) + payload + _STUFFING * stuffed) * bit_s
    switched = np.where((flags & FrameFlag.BRS) != 0, data_bit_s, bit_s)
    data = payload + np.where(frames.length > _FD_SHORT_BYTES, _FD_DATA_LONG, _FD_DATA_SHORT)
    head = np.where(extended, _FD_EXTENDED, _FD_STANDARD) * bit_s
    times: NDArray[np.float64] = np.where(flexible, head + data * (1 + _STUFFING) * switched, classic)
    return np.where((flags & FrameFlag.ERROR) != 0, _ERROR_BITS * bit_s, times)
