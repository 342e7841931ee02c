# SPDX-License-Identifier: Apache-2.0
"""Numbers as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping

from harness.units import MARGIN_UNITS

_DIGITS = 3
_KILO = 1000.0


def margin_text(margin: Mapping[str, float]) -> str:
    """Margins with their units, time last: "0.012 V, 84 ms"; a dash when nothing was measured."""
    ordered = sorted(margin.items(), key=lambda item: (item[0] == "ms", item[0]))
    return ", ".join(_one(value, MARGIN_UNITS.get(key, key)) for key, value in ordered) or "–"


def _one(value: float, unit: str) -> str:
    if unit == "Ω" and abs(value) >= _KILO:
        value, unit = value / _KILO, "kΩ"
    text = f"{value:.0f}" if abs(value) >= _KILO else f"{value:.{_DIGITS}g}"
    return f"{text} {unit}".strip()


def count_text(count: int, noun: str) -> str:
    """A number with its noun: "1 action", "3 actions"."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
