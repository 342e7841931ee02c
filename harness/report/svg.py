# SPDX-License-Identifier: Apache-2.0
"""A figure as one SVG picture, for documents and tickets: what the report draws, without a browser.

The picture has no script and no font of its own; the same figure gives the same bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from html import escape
from math import ceil, floor, log10
from textwrap import shorten

import numpy as np

from harness.report.figure import Curve, Figure

_COLOURS = ("#0969da", "#bc4c00", "#1a7f37", "#8250df", "#bf3989")
_BANDS = {"cause": "#6e7781", "confirm": "#d4a72c", "flag": "#0969da", "safe": "#cf222e"}
_WIDTH, _LEFT, _RIGHT, _TOP = 900, 200, 20, 84
_HEIGHT, _LANE, _LANE_GAP, _BOTTOM = 260, 16, 8, 64
_MARKER_WIDTH = 130
_TICKS = 6
_CAPTION_CHARACTERS = 160
HALF = 0.5  # between the two values of a lane


@dataclass(frozen=True, slots=True)
class Marker:
    """A moment of the reaction: a vertical line with its name and time."""

    label: str
    t_s: float


def markers_of(figure: Figure) -> tuple[Marker, ...]:
    """When the cause was seen, the flag was on the bus and the first contactor was told to open; what there was."""
    found = [Marker("seen", band.from_s) for band in figure.bands if band.role == "cause"][:1]
    for name, label, to in (("fault.", "flag", 1.0), ("contactor_", "contactors", 0.0)):
        times = [t_s for lane in figure.lanes if lane.label.startswith(name) for t_s in _changes(lane, to)]
        found += [Marker(label, min(times))] if times else []
    return tuple(found)


def _changes(lane: Curve, to: float) -> Iterator[float]:
    """When a two-valued lane changed to a value; what it begins with is no change."""
    for before, after, t_s in zip(lane.value, lane.value[1:], lane.t_s[1:], strict=False):
        if before != after == to:
            yield float(t_s)


def svg(figure: Figure) -> str:
    """The picture. Time runs to the right in seconds; two-valued lanes stand below the plot."""
    lanes_y = _TOP + _HEIGHT + _LANE_GAP
    axis_y = lanes_y + len(figure.lanes) * (_LANE + _LANE_GAP)
    canvas = _Canvas(figure, axis_y)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {axis_y + _BOTTOM}" '
        f'width="{_WIDTH}" height="{axis_y + _BOTTOM}" font-family="sans-serif" font-size="12">'
    )
    parts = [
        head,
        f"<title>{escape(figure.requirement)}: {escape(figure.title)}</title>",
        f'<rect width="{_WIDTH}" height="{axis_y + _BOTTOM}" fill="#ffffff"/>',
        *canvas.heading(),
        *canvas.bands(),
        *canvas.axes(),
        *canvas.limits(),
        *canvas.curves(),
        *canvas.lanes(lanes_y),
        *canvas.markers(),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


class _Canvas:
    """Places values of one figure on the picture."""

    def __init__(self, figure: Figure, axis_y: float) -> None:
        self._figure = figure
        self._axis_y = axis_y
        values = [curve.value[np.isfinite(curve.value)] for curve in figure.curves]
        seen = [*np.concatenate([*values, np.zeros(0)]), *(line.value for line in figure.lines)] or [0.0, 1.0]
        low, high = float(min(seen)), float(max(seen))
        margin = 0.08 * (high - low) or 0.5
        self._low, self._high = low - margin, high + margin

    def _x(self, t_s: float) -> float:
        share = min(max(t_s / self._figure.duration_s, 0.0), 1.0)
        return round(_LEFT + share * (_WIDTH - _LEFT - _RIGHT), 1)

    def _y(self, value: float) -> float:
        return round(_TOP + _HEIGHT * (self._high - value) / (self._high - self._low), 1)

    def heading(self) -> Iterator[str]:
        """Requirement, what the verdict says, and the key of the shaded stretches."""
        figure = self._figure
        yield _text(12, 20, f"{figure.requirement}: {figure.title}", size=15, weight="bold")
        yield _text(12, 38, shorten(figure.caption, _CAPTION_CHARACTERS, placeholder=" ..."), colour="#57606a", size=11)
        x = float(_LEFT)
        for band in figure.bands:
            yield f'<rect x="{x}" y="48" width="12" height="12" fill="{_BANDS[band.role]}" fill-opacity="0.25"/>'
            yield _text(x + 16, 58, band.label)
            x += 30 + 6.6 * len(band.label)

    def bands(self) -> Iterator[str]:
        """Shaded stretches of time."""
        for band in self._figure.bands:
            x, end = self._x(band.from_s), self._x(band.until_s)
            yield (
                f'<rect x="{x}" y="{_TOP}" width="{round(end - x, 1)}" height="{_HEIGHT}" '
                f'fill="{_BANDS[band.role]}" fill-opacity="0.16"/>'
            )

    def axes(self) -> Iterator[str]:
        """Frame, ticks and the names of both axes with their units."""
        figure = self._figure
        right = _WIDTH - _RIGHT
        yield f'<rect x="{_LEFT}" y="{_TOP}" width="{right - _LEFT}" height="{_HEIGHT}" fill="none" stroke="#57606a"/>'
        yield _line(_LEFT, self._axis_y, right, self._axis_y, "#57606a")
        for value in ticks(self._low, self._high):
            yield _line(_LEFT - 4, self._y(value), _LEFT, self._y(value), "#57606a")
            yield _text(_LEFT - 8, self._y(value) + 4, f"{value:g}", anchor="end")
        for t_s in ticks(0.0, figure.duration_s):
            yield _line(self._x(t_s), self._axis_y, self._x(t_s), self._axis_y + 4, "#57606a")
            yield _text(self._x(t_s), self._axis_y + 18, f"{t_s:g}", anchor="middle")
        yield _text((_LEFT + right) / 2, self._axis_y + 36, "time of the scenario [s]", anchor="middle")
        yield _text(_LEFT - 8, _TOP - 8, f"{figure.quantity} [{figure.unit or '1'}]".lstrip(), anchor="end")
        for place, curve in enumerate(figure.curves):
            colour = _COLOURS[place % len(_COLOURS)]
            yield _text(12, _TOP + 14 + 16 * place, curve.label, colour=colour)

    def limits(self) -> Iterator[str]:
        """Horizontal limits; those widened by the accuracy are dashed and unnamed."""
        for line in self._figure.lines:
            widened = "accuracy" in line.label
            y = self._y(line.value)
            yield _line(_LEFT, y, _WIDTH - _RIGHT, y, "#cf222e", dash="4 4" if widened else "")
            if not widened:
                text = f"{line.label} {line.value:g} {self._figure.unit}"
                yield _text(_LEFT + 6, y - 6, text, colour="#cf222e")

    def curves(self) -> Iterator[str]:
        """Every value holds until the next."""
        for place, curve in enumerate(self._figure.curves):
            yield self._steps(curve, self._y, _COLOURS[place % len(_COLOURS)])

    def lanes(self, top: float) -> Iterator[str]:
        """Two-valued quantities, one below the other."""
        for place, lane in enumerate(self._figure.lanes):
            foot = top + place * (_LANE + _LANE_GAP) + _LANE
            yield _text(_LEFT - 8, foot - 3, lane.label, anchor="end", size=11)
            yield self._steps(lane, partial(_level, foot), "#1b1f24")

    def _steps(self, curve: Curve, height: Callable[[float], float], colour: str) -> str:
        known = np.isfinite(curve.value)
        if not known.any():
            return ""
        path: list[str] = []
        for t_s, value in zip(curve.t_s[known], curve.value[known], strict=True):
            x, y = self._x(float(t_s)), height(float(value))
            path.append(f"H{x}V{y}" if path else f"M{x} {y}")
        path.append(f"H{self._x(self._figure.duration_s)}")
        return f'<path d="{"".join(path)}" fill="none" stroke="{colour}" stroke-width="1.6"/>'

    def markers(self) -> Iterator[str]:
        """Vertical lines through plot and lanes, their names above, one below the other so that none is covered."""
        for place, marker in enumerate(markers_of(self._figure)):
            x = self._x(marker.t_s)
            yield _line(x, _TOP, x, self._axis_y, "#1b1f24", dash="2 3")
            y = _TOP + 14 + 15 * place
            late = x > _WIDTH - _RIGHT - _MARKER_WIDTH
            told = f"{marker.label} {marker.t_s:.2f} s"
            yield _text(x - 4 if late else x + 4, y, told, anchor="end" if late else "start", weight="bold")


def _level(foot: float, value: float) -> float:
    """The height of a lane: up for 1, at its foot for 0."""
    return foot - (_LANE if value > HALF else 0)


def ticks(low: float, high: float) -> list[float]:
    """Round values within a range, about six of them."""
    raw = (high - low) / _TICKS
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= raw)
    return [round(step * number, 10) for number in range(ceil(low / step), floor(high / step) + 1)]


def _line(x0: float, y0: float, x1: float, y1: float, colour: str, *, dash: str = "") -> str:
    dashed = f' stroke-dasharray="{dash}"' if dash else ""
    return f'<line x1="{x0}" y1="{y0}" x2="{x1}" y2="{y1}" stroke="{colour}"{dashed}/>'


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", colour: str = "#1b1f24", size: int = 12, weight: str = ""
) -> str:
    bold = f' font-weight="{weight}"' if weight else ""
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{colour}" font-size="{size}"{bold}>{escape(text)}</text>'
    )
