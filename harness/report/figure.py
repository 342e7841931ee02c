# SPDX-License-Identifier: Apache-2.0
"""Figures of a report: what the controller was given against what it did, with limit, confirmation and budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.requirements.evidence import Evidence, Series
from harness.requirements.model import (
    Accuracy,
    Condition,
    Cycle,
    Diagnosis,
    Goal,
    Invariant,
    Limit,
    Requirement,
    Sequence,
    Side,
    Trip,
)
from harness.units import unit_of
from harness.verdict import Outcome, Verdict

MAX_POINTS = 4000
_SIDES: Mapping[Side, str] = {
    "given": "given to the controller",
    "truth": "truth",
    "output": "commanded by the controller",
    "reported": "reported on the bus",
}
_DIGITS = 7


@dataclass(frozen=True, slots=True)
class Curve:
    """A quantity over time, in the plot or as a two-valued lane below it; `value` holds until the next point."""

    label: str
    t_s: NDArray[np.float64]
    value: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Line:
    """A horizontal limit."""

    label: str
    value: float


@dataclass(frozen=True, slots=True)
class Band:
    """A shaded stretch of time: `role` is cause, confirm, flag or safe."""

    role: str
    label: str
    from_s: float
    until_s: float


@dataclass(frozen=True, slots=True)
class Figure:
    """Everything one plot shows. Times in seconds of the scenario, values in `unit`."""

    requirement: str
    title: str
    caption: str
    unit: str
    duration_s: float
    curves: tuple[Curve, ...]
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    lanes: tuple[Curve, ...]
    mark_s: float | None
    quantity: str = ""


def figure_of(requirement: Requirement, verdict: Verdict, evidence: Evidence, caption: str) -> Figure:
    """The plot that explains one verdict."""
    curves, lines, bands = _parts(requirement, verdict, evidence)
    return Figure(
        requirement=requirement.id,
        title=requirement.title,
        caption=caption,
        unit=unit_of(_main_quantity(requirement))[0],
        duration_s=evidence.duration_s,
        curves=curves,
        lines=lines,
        bands=bands,
        lanes=_lanes(requirement, evidence),
        mark_s=verdict.at_s,
        quantity=_main_quantity(requirement),
    )


def _main_quantity(requirement: Requirement) -> str:
    if isinstance(requirement, Cycle):
        return "period_s"
    if isinstance(requirement, Sequence):
        return requirement.requires[0].quantity
    if isinstance(requirement, Invariant):
        return requirement.always.quantity
    if isinstance(requirement, (Limit, Accuracy)):
        return requirement.reported
    if isinstance(requirement, Diagnosis):
        return requirement.quantity or "bms_state"
    return requirement.quantity


def _parts(
    requirement: Requirement, verdict: Verdict, evidence: Evidence
) -> tuple[tuple[Curve, ...], tuple[Line, ...], tuple[Band, ...]]:
    if isinstance(requirement, Trip):
        failed_s = verdict.at_s if verdict.outcome is Outcome.FAIL else None
        return _trip_parts(requirement, evidence, failed_s)
    if isinstance(requirement, Limit):
        return _limit_curves(requirement, evidence), (), ()
    if isinstance(requirement, Accuracy):
        curves = _curves((_SIDES[requirement.side], _read(requirement.side, requirement.quantity, evidence)))
        return curves + _curves(("reported on the bus", evidence.reported(requirement.reported))), (), ()
    if isinstance(requirement, Goal):
        limit = requirement.hazard_above if requirement.hazard_above is not None else requirement.hazard_below
        assert limit is not None
        curves = _curves(("truth", evidence.truth(requirement.quantity)))
        return curves, (Line("hazard limit", limit),), ()
    if isinstance(requirement, Cycle):
        return _cycle_parts(requirement, evidence)
    if isinstance(requirement, Invariant):
        return _condition_parts((requirement.always,), evidence)
    if isinstance(requirement, Diagnosis):
        return _curves(("reported on the bus", evidence.reported(_main_quantity(requirement)))), (), ()
    return _condition_parts(requirement.requires, evidence)


def _trip_parts(
    requirement: Trip, evidence: Evidence, failed_s: float | None
) -> tuple[tuple[Curve, ...], tuple[Line, ...], tuple[Band, ...]]:
    limit = requirement.above if requirement.above is not None else requirement.below
    assert limit is not None
    series = _read(requirement.side, requirement.quantity, evidence)
    lines = [Line("limit", limit)]
    if requirement.accuracy:
        lines += [Line("limit + accuracy", limit + requirement.accuracy)]
        lines += [Line("limit - accuracy", limit - requirement.accuracy)]
    past: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
    if requirement.above is not None:
        bound = limit + requirement.accuracy
        past = lambda value: value > bound  # noqa: E731 - two directions of one comparison
    else:
        bound = limit - requirement.accuracy
        past = lambda value: value < bound  # noqa: E731 - see above
    start_s = _run_shown(series, past, evidence.duration_s, failed_s) if series else None
    bands = () if start_s is None else _trip_bands(requirement, start_s)
    return _curves((_SIDES[requirement.side], series)), tuple(lines), bands


def _trip_bands(requirement: Trip, start_s: float) -> tuple[Band, ...]:
    may_s, must_s = (start_s + time_s for time_s in requirement.confirm_s)
    flag_s = must_s + requirement.flag_within_s
    bands = [
        Band("cause", "must not react yet", start_s, may_s),
        Band("confirm", "may react", may_s, must_s),
        Band("flag", "flag due", must_s, flag_s),
    ]
    if requirement.safe_state != "none":
        bands.append(Band("safe", "safe state due", flag_s, flag_s + requirement.safe_within_s))
    return tuple(bands)


def _run_shown(
    series: Series, past: Callable[[NDArray[np.float64]], NDArray[np.bool_]], end_s: float, failed_s: float | None
) -> float | None:
    """Start of a stretch in which the series is past its limit: the last before the failure if there was one, else the
    longest; None when it never is.
    """
    mask = past(np.asarray(series.value, dtype=np.float64))
    if not mask.any():
        return None
    edges = np.flatnonzero(np.diff(np.concatenate(([False], mask, [False])).astype(np.int8)))
    times = np.append(series.t_s, end_s)
    starts, ends = times[edges[::2]], times[np.minimum(edges[1::2], len(times) - 1)]
    before = starts[starts <= failed_s] if failed_s is not None else starts[:0]
    return float(before[-1] if len(before) else starts[np.argmax(ends - starts)])


def _limit_curves(requirement: Limit, evidence: Evidence) -> tuple[Curve, ...]:
    read = _read(requirement.side, requirement.quantity, evidence)
    curves = _curves(("reported on the bus", evidence.reported(requirement.reported)))
    if read is None:
        return curves
    corners = [point.at for point in requirement.curve]
    limits = [point.limit for point in requirement.curve]
    allowed = Series(read.t_s, np.interp(read.value, corners, limits))
    return _curves(("allowed by the curve", allowed)) + curves


def _cycle_parts(
    requirement: Cycle, evidence: Evidence
) -> tuple[tuple[Curve, ...], tuple[Line, ...], tuple[Band, ...]]:
    message = evidence.message(requirement.message, counter=requirement.counter, crc=requirement.crc)
    lines = (
        Line("longest allowed", requirement.period_s + requirement.tolerance_s),
        Line("period", requirement.period_s),
    )
    if message is None or len(message.t_s) < 2:  # noqa: PLR2004 - an interval needs two frames
        return (), lines, ()
    gaps = Series(message.t_s[1:], np.diff(message.t_s))
    return _curves(("interval between frames", gaps)), lines, ()


def _condition_parts(
    conditions: tuple[Condition, ...], evidence: Evidence
) -> tuple[tuple[Curve, ...], tuple[Line, ...], tuple[Band, ...]]:
    curves: tuple[Curve, ...] = ()
    lines: list[Line] = []
    for condition in conditions:
        series = _read(condition.side, condition.quantity, evidence)
        curves += _curves((f"{condition.quantity} ({condition.side})", series))
        for label in ("above", "below", "equals"):
            value = getattr(condition, label)
            if value is not None:
                lines.append(Line(f"{condition.quantity} {label}", value))
    return curves, tuple(lines), ()


def _read(side: Side, quantity: str, evidence: Evidence) -> Series | None:
    found: Series | None = getattr(evidence, side)(quantity)
    return found


def _curves(*named: tuple[str, Series | None]) -> tuple[Curve, ...]:
    return tuple(Curve(label, *_thin(series)) for label, series in named if series is not None and len(series.t_s))


def _lanes(requirement: Requirement, evidence: Evidence) -> tuple[Curve, ...]:
    wanted: list[tuple[str, Series | None]] = []
    if isinstance(requirement, Trip):
        wanted.append((requirement.flag, evidence.reported(requirement.flag)))
    names = ("contactor_positive", "contactor_negative", "contactor_precharge")
    wanted += [(f"{name} commanded", evidence.output(name)) for name in names]
    return _curves(*wanted)


def _thin(series: Series) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Only points at which something changes, at most MAX_POINTS, keeping every group's extremes: no spike is lost."""
    t_s = np.asarray(series.t_s, dtype=np.float64)
    value = np.asarray(series.value, dtype=np.float64)
    if len(t_s):  # values hold until the next point, so repeated ones say nothing
        changes = np.concatenate(([True], np.diff(value) != 0.0))
        t_s, value = t_s[changes], value[changes]
    if len(t_s) <= MAX_POINTS:
        return t_s, value
    edges = np.linspace(0, len(t_s), MAX_POINTS // 2 + 1).astype(int)
    picks = [
        np.unique((start + int(np.argmin(value[start:stop])), start + int(np.argmax(value[start:stop]))))
        for start, stop in pairwise(edges)
    ]
    keep = np.concatenate(picks)
    return t_s[keep], value[keep]


def figure_json(figure: Figure) -> dict[str, Any]:
    """The figure as plain JSON values: what a run directory keeps and report.js draws."""
    data: dict[str, Any] = {
        "requirement": figure.requirement,
        "title": figure.title,
        "caption": figure.caption,
        "quantity": figure.quantity,
        "unit": figure.unit,
        "duration_s": figure.duration_s,
        "mark_s": figure.mark_s,
        "lines": [asdict(line) for line in figure.lines],
        "bands": [asdict(band) for band in figure.bands],
    }
    for name in ("curves", "lanes"):
        items = getattr(figure, name)
        data[name] = [{"label": i.label, "t_s": _numbers(i.t_s), "value": _numbers(i.value)} for i in items]
    return data


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    return [float(f"{value:.{_DIGITS}g}") if np.isfinite(value) else None for value in values.tolist()]
