# SPDX-License-Identifier: Apache-2.0
"""What a sampled quantity was over the last moments before given times."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.requirements.evidence import Series
from harness.requirements.record import Record

Floats = NDArray[np.float64]


def index_before(record: Record, samples_s: Floats, t_s: Floats) -> NDArray[np.intp]:
    """For each time the last sample at or before it, -1 where there is none; the same times are looked up once."""

    def look_up() -> tuple[Floats, Floats, NDArray[np.intp]]:
        return samples_s, t_s, np.searchsorted(samples_s, t_s, side="right") - 1

    # By identity: the arrays are kept with the result, so that no other can come by their numbers.
    return record.remember(("index", id(samples_s), id(t_s)), look_up)[2]


def value_at(series: Series, t_s: Floats, index: NDArray[np.intp] | None = None) -> Floats:
    """The value that holds at each time; NaN before the first sample. `index` as from `index_before`, if known."""
    if not len(series.t_s):
        return np.full(len(t_s), np.nan)
    if index is None:
        index = np.searchsorted(series.t_s, t_s, side="right") - 1
    found: Floats = series.value[np.maximum(index, 0)]
    return np.where(index < 0, np.nan, found) if len(index) and index[0] < 0 else found


def range_before(series: Series, t_s: Floats, length_s: float) -> tuple[Floats, Floats]:
    """Lowest and highest value during [t - length_s, t], for each time; NaN where a value is unknown."""
    if not len(series.t_s):
        unknown = np.full(len(t_s), np.nan)
        return unknown, unknown
    first = np.searchsorted(series.t_s, t_s - length_s, side="right") - 1
    last = np.searchsorted(series.t_s, t_s, side="right")
    bounds = np.empty(2 * len(t_s), dtype=np.intp)
    bounds[0::2] = np.minimum(np.maximum(first, 0), np.maximum(last - 1, 0))
    bounds[1::2] = np.maximum(last, 1)
    padded = np.append(series.value, np.nan)
    if not len(t_s):
        return np.empty(0), np.empty(0)
    lowest = np.minimum.reduceat(padded, bounds)[::2]
    highest = np.maximum.reduceat(padded, bounds)[::2]
    unknown_start = (first < 0) | (last == 0)
    return np.where(unknown_start, np.nan, lowest), np.where(unknown_start, np.nan, highest)
