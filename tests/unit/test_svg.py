# SPDX-License-Identifier: Apache-2.0
"""The static picture of a figure: well-formed, labelled with units, marked where the reaction was."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.figure import Band, Curve, Figure, Line
from harness.report.svg import Marker, markers_of, svg, ticks

_SVG = "{http://www.w3.org/2000/svg}"


def curve(label: str, *points: tuple[float, float]) -> Curve:
    return Curve(label, np.array([t for t, _ in points]), np.array([value for _, value in points]))


FIGURE = Figure(
    requirement="PRT-OV-3",
    title="Cell over-voltage opens the contactors <at once>",
    caption="PASS: in time & order",
    unit="V",
    duration_s=8.0,
    curves=(curve("given to the controller", (0.0, 3.3), (2.0, 3.8)),),
    lines=(Line("limit", 3.75), Line("limit + accuracy", 3.755)),
    bands=(Band("cause", "must not react yet", 2.0, 2.8), Band("flag", "flag due", 3.0, 3.2)),
    lanes=(
        curve("fault.cell_overvoltage", (0.0, 0.0), (2.9, 1.0)),
        curve("contactor_positive commanded", (0.0, 1.0), (2.95, 0.0)),
        curve("contactor_negative commanded", (0.0, 1.0), (3.0, 0.0)),
    ),
    mark_s=None,
    quantity="cell_voltage_max_v",
)


def parsed(figure: Figure) -> ET.Element:
    return ET.fromstring(svg(figure))  # noqa: S314 - our own output


def texts(figure: Figure) -> list[str]:
    return [element.text or "" for element in parsed(figure).iter(f"{_SVG}text")]


def test_the_picture_names_requirement_units_limit_and_what_is_drawn() -> None:
    shown = texts(FIGURE)
    assert "PRT-OV-3: Cell over-voltage opens the contactors <at once>" in shown
    assert {
        "cell_voltage_max_v [V]",
        "time of the scenario [s]",
        "limit 3.75 V",
        "PASS: in time & order",
        "flag due",
    } <= set(shown)
    assert {"given to the controller", "fault.cell_overvoltage", "contactor_negative commanded"} <= set(shown)


def test_a_reason_that_is_too_long_says_that_it_goes_on() -> None:
    shown = next(text for text in texts(replace(FIGURE, caption="too early " * 30)) if text.startswith("too early"))
    assert shown.endswith(" ...")
    assert len(shown) <= 160


def test_it_marks_when_the_cause_was_seen_when_the_flag_came_and_when_the_contactors_opened() -> None:
    assert (Marker("seen", 2.0), Marker("flag", 2.9), Marker("contactors", 2.95)) == markers_of(FIGURE)
    assert {"seen 2.00 s", "flag 2.90 s", "contactors 2.95 s"} <= set(texts(FIGURE))


def test_without_a_reaction_only_the_cause_is_marked() -> None:
    idle = tuple(replace(lane, t_s=lane.t_s[:1], value=lane.value[:1]) for lane in FIGURE.lanes)
    assert (Marker("seen", 2.0),) == markers_of(replace(FIGURE, lanes=idle))


def test_a_value_past_the_limit_stands_above_its_line_and_one_inside_below() -> None:
    figure = replace(FIGURE, lines=FIGURE.lines[:1])
    limit_y = next(float(e.get("y1", "")) for e in parsed(figure).iter(f"{_SVG}line") if e.get("stroke") == "#cf222e")
    path = next(element.get("d", "") for element in parsed(figure).iter(f"{_SVG}path"))
    heights = [float(y) for y in re.findall(r"(?:M[\d.]+ |V)([\d.]+)", path)]
    assert heights[0] > limit_y > heights[1]  # 3.3 V, then 3.8 V; the picture counts downwards


@pytest.mark.parametrize(
    "empty", [{"curves": ()}, {"lines": ()}, {"lanes": (), "bands": ()}, {"curves": (), "lines": ()}]
)
def test_what_a_figure_lacks_is_not_drawn(empty: dict[str, tuple[()]]) -> None:
    parsed(replace(FIGURE, **empty))  # type: ignore[arg-type] # each is a tuple of the right kind


def test_a_curve_of_which_no_value_is_known_is_not_drawn() -> None:
    figure = replace(FIGURE, curves=(curve("given to the controller", (0.0, np.nan), (2.0, np.nan)),))
    paths = [path.get("d", "") for path in parsed(figure).iter(f"{_SVG}path")]
    assert len(FIGURE.lanes) == len(paths)
    assert all(path.startswith("M") for path in paths)


@given(low=st.floats(-1e6, 1e6), span=st.floats(1e-3, 1e6))
def test_ticks_are_inside_the_range_evenly_spaced_and_few(low: float, span: float) -> None:
    found = ticks(low, low + span)
    assert 2 <= len(found) <= 8
    assert low - 1e-6 * span <= found[0] <= found[-1] <= low + span * (1 + 1e-6)
