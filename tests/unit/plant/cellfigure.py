# SPDX-License-Identifier: Apache-2.0
"""Writes docs/cells.svg: python -m tests.unit.plant.cellfigure (needs PyBaMM, the extra `validate`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.report.svg import ticks

from .conftest import Plant, load_internals
from .test_validation import CELLS, Compared, compare

Numbers = NDArray[np.float64]
TARGET = Path(__file__).parents[3] / "docs" / "cells.svg"
SHOWN_S = (184.0, 368.0)  # the second of the cycles
WIDTH, LEFT, GAP, RIGHT, TOP, ROW, SPACE = 900, 60, 70, 20, 46, 130, 44
PLANT, OTHER, GREY = "#0969da", "#bc4c00", "#6e7781"
SPLIT = 540  # where the left panel ends


def panel(x0: float, x1: float, y0: float, t_s: Numbers, curves: list[tuple[Numbers, str, str]]) -> Iterator[str]:
    """One plot: curves with their colour and dashes, and marks on both axes."""
    low, high = min(float(v.min()) for v, _, _ in curves), max(float(v.max()) for v, _, _ in curves)
    low, high = low - 0.08 * (high - low), high + 0.08 * (high - low)
    x = x0 + (t_s - SHOWN_S[0]) / (SHOWN_S[1] - SHOWN_S[0]) * (x1 - x0)
    for mark in ticks(low, high):
        y = y0 + ROW - (mark - low) / (high - low) * ROW
        yield f'<path d="M{x0} {y:.1f}H{x1}" stroke="#d0d7de"/>'
        yield f'<text x="{x0 - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{GREY}">{mark:g}</text>'
    for values, colour, dash in curves:
        heights = y0 + ROW - (values - low) / (high - low) * ROW
        points = " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x.tolist(), heights.tolist(), strict=True))
        style = f'stroke="{colour}" stroke-width="1.6" stroke-dasharray="{dash}"'
        yield f'<polyline points="{points}" fill="none" {style}/>'


def row(chemistry: str, found: Compared, y0: float) -> Iterator[str]:
    """Both voltages on the left, their difference on the right."""
    shown = (found.t_s >= SHOWN_S[0]) & (found.t_s < SHOWN_S[1])
    t_s, (own, other) = found.t_s[shown], (found.volts[0][shown], found.volts[1][shown])
    told = f"{chemistry}: {1e3 * found.rms_v:.3f} mV RMS, temperature within {found.most_k:.2f} K over 15 min"
    yield f'<text x="{LEFT}" y="{y0 - 8}" font-weight="600">{told}</text>'
    yield from panel(LEFT, SPLIT, y0, t_s, [(own, PLANT, ""), (other, OTHER, "5 4")])
    yield from panel(SPLIT + GAP, WIDTH - RIGHT, y0, t_s, [(1e3 * (own - other), GREY, "")])


def figure(compared: dict[str, Compared]) -> str:
    """The whole picture."""
    height = TOP + len(compared) * (ROW + SPACE)
    names = f'<tspan fill="{PLANT}">harness</tspan> and <tspan fill="{OTHER}">PyBaMM</tspan>'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}">',
        '<style>text{font:12px sans-serif}</style><rect width="100%" height="100%" fill="#fff"/>',
        f'<text x="{LEFT}" y="18">{names}, terminal voltage of one cell in V over SORT 2</text>',
        f'<text x="{SPLIT + GAP}" y="18" fill="{GREY}">difference in mV</text>',
    ]
    for place, (chemistry, found) in enumerate(compared.items()):
        parts += row(chemistry, found, TOP + place * (ROW + SPACE))
    return "\n".join([*parts, "</svg>\n"])


def main() -> None:
    """Compare all chemistries and write the picture."""
    internals = load_internals()

    def make(*, tick_us: int = 10_000, **sections: Any) -> Plant:
        return Plant(*internals, sections, tick_us)

    TARGET.write_text(figure({chemistry: compare(make, chemistry) for chemistry in CELLS}), encoding="utf-8")


if __name__ == "__main__":
    main()
