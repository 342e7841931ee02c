# SPDX-License-Identifier: Apache-2.0
"""Reductions along the rows of per-cell and per-sensor records, faster than numpy's along a short axis."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


def highest(rises: NDArray[Any]) -> NDArray[Any]:
    """The largest of each row; NaN (no valid sensor) counts as no rise."""
    n, sensors = rises.shape
    if not n or not sensors:
        return np.zeros(n)
    starts = np.arange(0, n * sensors, sensors)  # reduceat: half the time of a reduction along the short axis
    highest_of_each: NDArray[Any] = np.maximum.reduceat(rises.ravel(), starts)
    if np.isnan(highest_of_each).any():
        highest_of_each = np.nan_to_num(np.fmax.reduceat(rises.ravel(), starts), nan=0.0)
    return highest_of_each
