# SPDX-License-Identifier: Apache-2.0
"""Measurements beside their bars: the table, the plain statement of what is met, and the JSON document."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MET, NOT_MET, NO_BAR, NOT_MEASURED = "met", "NOT met", "-", "not measured"
_WIDTH = 118
_DIGITS_BELOW = 100.0  # numbers from here on are shown without decimals


@dataclass(frozen=True, slots=True)
class Bar:
    """What a value must reach: at least, at most, or both; None = open on that side."""

    at_least: float | None = None
    at_most: float | None = None

    def met(self, value: float) -> bool:
        """Whether the value is inside; never for a value that is no number."""
        if not math.isfinite(value):
            return False
        low = self.at_least is None or value >= self.at_least
        return low and (self.at_most is None or value <= self.at_most)

    def text(self, unit: str) -> str:
        """As a reader sees it, ">= 3000 x"."""
        parts = [
            f"{sign} {limit:g}" for sign, limit in ((">=", self.at_least), ("<=", self.at_most)) if limit is not None
        ]
        return f"{', '.join(parts)} {unit}".rstrip()


@dataclass(frozen=True, slots=True)
class Measurement:
    """One row. `row` is that of design section 6, `value` the ratio or time in `unit`, `detail` the absolute numbers.

    `bar` None: for information. `error` says why nothing could be measured; a bar is then not met. `missing` says what
    has to be there before it can be measured: that is neither met nor NOT met, but a bar then is not met either.
    """

    row: int
    what: str
    value: float
    unit: str
    bar: Bar | None = None
    detail: str = ""
    error: str = ""
    missing: str = ""

    @property
    def verdict(self) -> str:
        """met, NOT met, not measured, or - without a bar."""
        if self.missing:
            return NOT_MEASURED
        if self.bar is None:
            return NO_BAR if not self.error else NOT_MET
        return MET if not self.error and self.bar.met(self.value) else NOT_MET


def failed(row: int, what: str, error: str) -> Measurement:
    """A measurement that broke off: never met."""
    return Measurement(row, what, math.nan, "", error=error)


def not_measured(row: int, what: str, missing: str, bar: Bar | None = None) -> Measurement:
    """A measurement for which something is missing on this machine: never met."""
    return Measurement(row, what, math.nan, "", bar, missing=missing)


def all_met(measurements: Sequence[Measurement]) -> bool:
    """Whether every bar is met; not when there is nothing, or when one was not measured."""
    met = (found.verdict not in {NOT_MET, NOT_MEASURED} or _for_information(found) for found in measurements)
    return bool(measurements) and all(met)


def _for_information(found: Measurement) -> bool:
    """Whether a row says nothing of a bar: nobody is to be stopped by an extra that is not installed."""
    return found.bar is None and not found.error


def number(value: float, unit: str) -> str:
    """A value as the table shows it: three digits that matter."""
    if not math.isfinite(value):
        return "no value"
    shown = f"{value:.0f}" if abs(value) >= _DIGITS_BELOW else f"{value:.3g}"
    return f"{shown} {unit}".rstrip()


def table(measurements: Sequence[Measurement], machine: Mapping[str, Any]) -> str:
    """Machine, one line a measurement with its bar, the details, and which bars are met."""
    rows = [("row", "what", "measured", "bar", "")]
    rows += [
        (str(found.row), found.what, number(found.value, found.unit), _bar(found), found.verdict)
        for found in measurements
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = [", ".join(f"{name} {value}" for name, value in machine.items()), ""]
    lines += ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", *_details(measurements), "", *statement(measurements)]
    return "\n".join(lines)


def _bar(found: Measurement) -> str:
    return NO_BAR if found.bar is None else found.bar.text(found.unit)


def _details(measurements: Sequence[Measurement]) -> list[str]:
    lines = []
    for found in measurements:
        text = f"ERROR {found.error}" if found.error else found.detail
        text = f"not measured: {found.missing}" if found.missing else text
        if text:
            lines += textwrap.wrap(f"{found.row:>2}  {found.what}: {text}", _WIDTH, subsequent_indent="    ")
    return lines


def statement(measurements: Sequence[Measurement]) -> list[str]:
    """Which bars are met, in plain words."""
    judged = [found for found in measurements if not _for_information(found)]
    missed = [found for found in judged if found.verdict != MET]
    lines = [f"{len(judged) - len(missed)} of {len(judged)} bars met."]
    for found in missed:
        why = found.error or found.missing or f"{number(found.value, found.unit)}, the bar is {_bar(found)}"
        lines.append(f"{found.verdict}: row {found.row}, {found.what}: {why}")
    return lines


def document(measurements: Sequence[Measurement], machine: Mapping[str, Any]) -> dict[str, Any]:
    """The same as one JSON document; a value that is no number is null."""
    return {
        "machine": dict(machine),
        "all_met": all_met(measurements),
        "measurements": [
            {
                "row": found.row,
                "what": found.what,
                "value": found.value if math.isfinite(found.value) else None,
                "unit": found.unit,
                "at_least": found.bar.at_least if found.bar else None,
                "at_most": found.bar.at_most if found.bar else None,
                "verdict": found.verdict,
                "detail": found.detail,
                "error": found.error,
                "missing": found.missing,
            }
            for found in measurements
        ],
    }
