# SPDX-License-Identifier: Apache-2.0
"""Duty files: the power asked of the link over time, for everything that drives no cycle: UPS, trams, machines,
storage, and buses under an overhead line.

    [[segment]]
    title = "under the wire: drive and charge"
    duration_s = 30.0
    power_kw = [40.0, 120.0]   # a number, or from and to
    line_v = 620.0             # 0 = off the wire
    line_kw = 200.0            # taken from the line while its voltage is in the window of the rig

Segments that come again and again are a `[[block]]` with `repeat = 10` and its own `[[block.segment]]`; a file has
segments or blocks.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

import numpy as np
import pydantic
from numpy.typing import NDArray
from pydantic import Field

from harness.tomlfile import FileModel, load_model

EDGE_S = 0.01  # between the end of a segment and the beginning of the next
_W_PER_KW = 1000.0
Kilowatts = Annotated[float, Field(ge=-10_000.0, le=10_000.0, strict=False)]
FromTo = Annotated[tuple[Kilowatts, Kilowatts], Field(strict=False)]


class Segment(FileModel):
    """A stretch of the duty. `power_kw` negative = into the pack: regeneration, or charging through the link."""

    title: Annotated[str, Field(min_length=1)]
    duration_s: Annotated[float, Field(ge=0.05, le=1e7, strict=False)]
    power_kw: Kilowatts | FromTo
    line_v: Annotated[float, Field(ge=0.0, le=5000.0, strict=False)] = 0.0
    line_kw: Annotated[float, Field(ge=0.0, le=10_000.0, strict=False)] = 0.0

    @property
    def ends_w(self) -> tuple[float, float]:
        """Power at its begin and its end."""
        first, last = self.power_kw if isinstance(self.power_kw, tuple) else (self.power_kw, self.power_kw)
        return _W_PER_KW * first, _W_PER_KW * last


class Block(FileModel):
    """Segments played `repeat` times."""

    title: Annotated[str, Field(min_length=1)]
    repeat: Annotated[int, Field(ge=1, le=1000)] = 1
    segment: Annotated[tuple[Segment, ...], Field(min_length=1, strict=False)]


class Duty(FileModel):
    """A whole duty file, of segments or of blocks of them. It repeats."""

    title: Annotated[str, Field(min_length=1)]
    source: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    segment: Annotated[tuple[Segment, ...], Field(strict=False)] = ()
    block: Annotated[tuple[Block, ...], Field(strict=False)] = ()

    @pydantic.model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.segment) == bool(self.block):
            message = "either [[segment]] or [[block]] tables"
            raise ValueError(message)
        return self

    @property
    def segments(self) -> tuple[Segment, ...]:
        """All segments, one after the other."""
        return self.segment or tuple(segment for block in self.block for segment in block.repeat * block.segment)

    @property
    def has_line(self) -> bool:
        """Whether it knows an overhead line."""
        return any(segment.line_v > 0.0 for segment in self.segments)


@dataclass(frozen=True, slots=True, eq=False)
class LoadProfile:
    """Times in s, rising from 0, and at each the power asked of the link in W, the line's voltage and its power.

    `line_v` and `line_w` are None without a line.
    """

    load_s: NDArray[np.float64]
    load_w: NDArray[np.float64]
    line_v: NDArray[np.float64] | None = None
    line_w: NDArray[np.float64] | None = None


def load_duty(path: Path) -> Duty:
    """Read a duty file. Raises RigError with all problems of the file at once."""
    return load_model(path, Duty)


def duty_profile(duty: Duty, scale: float = 1.0) -> LoadProfile:
    """The duty as the kernel plays it; `scale` is a factor on the power, not on the line."""
    rows: list[tuple[float, float, float, float]] = []
    at_s = 0.0
    for segment in duty.segments:
        first_w, last_w = segment.ends_w
        line = (segment.line_v, _W_PER_KW * segment.line_kw)
        rows.append((at_s + (EDGE_S if rows else 0.0), scale * first_w, *line))
        at_s += segment.duration_s
        rows.append((at_s, scale * last_w, *line))
    load_s, load_w, line_v, line_w = np.array(rows, np.float64).T.copy()
    if not duty.has_line:
        return LoadProfile(load_s, load_w)
    return LoadProfile(load_s, load_w, line_v, line_w)
