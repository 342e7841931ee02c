# SPDX-License-Identifier: Apache-2.0
"""Inputs by name, in the steps an instrument can make, and the limits on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from harness.errors import BenchError
from harness.instruments.model import ANALOG, Envelope, Inputs

RESTING_DEGC = 25.0


def values_of(inputs: Inputs, name: str) -> NDArray[np.float64]:
    """A quantity or a line of `Inputs` as an array, one number for each element; lines 0 or 1."""
    return np.atleast_1d(np.asarray(getattr(inputs, name), dtype=np.float64))


def resting(envelope: Envelope, name: str) -> float:
    """The value with least energy that the bench allows: what an instrument is armed with when it was told nothing."""
    least, greatest = envelope.limits[name]
    if name == "insulation_ohm":
        return greatest
    wanted = RESTING_DEGC if name == "cell_temp_degc" else 0.0
    return min(max(wanted, least), greatest)


def refuse(place: str, envelope: Envelope, name: str, values: NDArray[np.float64]) -> None:
    """BenchError naming the first element that is NaN or outside the envelope."""
    least, greatest = envelope.limits[name]
    wrong = np.flatnonzero(~((values >= least) & (values <= greatest)))
    if wrong.size:
        first = int(wrong[0])
        element = f" element {first}" if values.size > 1 else ""
        raise BenchError(f"{place}:{element} {envelope.problem(name, float(values[first]))}. Nothing was sent.")


def refuse_beyond(place: str, name: str, values: NDArray[np.float64], least: float, greatest: float, unit: str) -> None:
    """BenchError when what the instrument itself would have to give is NaN or outside its own range."""
    wrong = np.flatnonzero(~((values >= least) & (values <= greatest)))
    if wrong.size:
        found = float(values[int(wrong[0])])
        raise BenchError(
            f"{place}: {name} needs {found:g} {unit} of the instrument; it gives {least:g} to {greatest:g} {unit}."
            " Nothing was sent."
        )


def steps(values: NDArray[np.float64], resolution: float) -> NDArray[np.int64]:
    """Values as whole numbers of `resolution`, to the nearest."""
    return np.rint(values / resolution).astype(np.int64)


def steps_inside(values: NDArray[np.float64], resolution: float, limits: tuple[float, float]) -> NDArray[np.int64]:
    """As `steps`; where rounding would leave the limits, the next step inside."""
    whole = steps(values, resolution)
    whole = np.where(whole * resolution > limits[1], np.floor(values / resolution).astype(np.int64), whole)
    return np.where(whole * resolution < limits[0], np.ceil(values / resolution).astype(np.int64), whole)


def count_text(names: frozenset[str]) -> str:
    """Names for an error text, with their units."""
    return ", ".join(f"{name} ({ANALOG[name]})" if name in ANALOG else name for name in sorted(names))


class Sent:
    """What was last sent on each channel, in steps. Empty until the first time and after `forget`."""

    def __init__(self) -> None:
        self._steps: dict[str, NDArray[np.int64]] = {}

    def changed(self, name: str, whole: NDArray[np.int64]) -> NDArray[np.intp]:
        """Elements that differ from what was sent, and note them as sent."""
        before = self._steps.get(name)
        self._steps[name] = whole
        return np.arange(whole.size) if before is None else np.flatnonzero(before != whole)

    def forget(self) -> None:
        """The instrument's settings are unknown: everything is sent the next time."""
        self._steps.clear()
