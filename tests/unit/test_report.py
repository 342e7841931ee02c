# SPDX-License-Identifier: Apache-2.0
"""Time line, figures and the HTML file."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.report.figure import MAX_POINTS, figure_json, figure_of
from harness.report.html import Case, ReportData, render
from harness.report.text import margin_text
from harness.report.timeline import timeline
from harness.requirements.evidence import MessageSeries, Series
from harness.requirements.model import Limit, Trip
from harness.trace import FaultRecord, Mark
from harness.verdict import Exercised, Outcome, Verdict

TRIP = Trip.model_validate(
    {
        "id": "PRT-OV-3",
        "title": "Cell over-voltage </script> opens the contactors",
        "source": ["pack specification"],
        "quantity": "cell_voltage_max_v",
        "above": 3.75,
        "accuracy": 0.005,
        "confirm_s": [0.8, 1.0],
        "flag": "fault.cell_overvoltage",
        "flag_within_s": 0.2,
        "safe_within_s": 0.5,
    }
)


def steps(*points: tuple[float, float]) -> Series:
    t_s, value = zip(*points, strict=True)
    return Series(np.array(t_s), np.array(value, dtype=np.float64))


@dataclass
class Record:
    """Hand-made evidence: a table of series by side and quantity."""

    series: dict[tuple[str, str], Series] = field(default_factory=dict)
    duration_s: float = 10.0
    timing_s: float = 0.01
    boot_s: float = 0.5

    def given(self, quantity: str) -> Series | None:
        return self.series.get(("given", quantity))

    def truth(self, quantity: str) -> Series | None:
        return self.series.get(("truth", quantity))

    def output(self, quantity: str) -> Series | None:
        return self.series.get(("output", quantity))

    def reported(self, quantity: str) -> Series | None:
        return self.series.get(("reported", quantity))

    def message(self, name: str, *, counter: str | None, crc: str | None) -> MessageSeries | None:
        del name, counter, crc
        return None

    def resets(self) -> NDArray[np.float64]:
        return np.array([])

    def resets_heard(self) -> NDArray[np.float64]:
        return np.array([])

    def power_ons(self) -> NDArray[np.float64]:
        return np.array([])


@pytest.fixture
def tripped() -> Record:
    return Record(
        {
            ("given", "cell_voltage_max_v"): steps((0.0, 3.3), (2.0, 3.8)),
            ("reported", "fault.cell_overvoltage"): steps((0.0, 0.0), (2.95, 1.0)),
            ("output", "contactor_positive"): steps((0.0, 1.0), (3.0, 0.0)),
            ("truth", "pack_current_a"): steps((0.0, 80.0), (3.05, 0.0)),
            ("reported", "charge_limit_a"): steps((0.0, 270.0), (2.3, 0.0)),
        }
    )


def entries_of(record: Record) -> list[tuple[float, str]]:
    faults = [FaultRecord("cell-voltage", "cell-voltage", 2.0, 10.0, fired=True, first_fired_s=2.0)]
    entries = timeline([TRIP], record, faults, [Mark(0.0, "start drive")], [TRIP.flag])
    return [(entry.t_s, entry.event) for entry in entries]


def test_timeline_tells_the_reaction_in_order_of_time(tripped: Record) -> None:
    events = entries_of(tripped)

    assert [
        (0.0, "start drive"),
        (2.0, "fault cell-voltage changes what the controller is given"),
        (2.0, "cell_voltage_max_v above 3.75 V (PRT-OV-3)"),
        (2.3, "charge_limit_a to zero"),
        (2.95, "fault.cell_overvoltage on the bus"),
        (3.0, "contactor_positive commanded open"),
        (3.05, "pack current gone (below 1 A)"),
    ] == events


@pytest.mark.parametrize(("flag_s", "within"), [(2.95, True), (2.5, False), (3.3, False)])
def test_timeline_holds_the_flag_against_its_budget(tripped: Record, flag_s: float, within: bool) -> None:  # noqa: FBT001
    tripped.series["reported", TRIP.flag] = steps((0.0, 0.0), (flag_s, 1.0))

    entries = timeline([TRIP], tripped, [], [], [TRIP.flag])

    assert [within] == [entry.within for entry in entries if entry.event == f"{TRIP.flag} on the bus"]


def test_timeline_says_when_a_fault_did_not_fire(tripped: Record) -> None:
    fault = FaultRecord("cell-voltage", "cell-voltage", 4.0, 5.0, fired=False, first_fired_s=None)

    entries = timeline([], tripped, [fault], [], [])

    assert any("not fired" in entry.event for entry in entries if entry.t_s == 4.0)


def test_figure_draws_the_windows_of_the_requirement(tripped: Record) -> None:
    figure = figure_of(TRIP, Verdict("PRT-OV-3", Outcome.PASS), tripped, "a case")

    windows = [(band.role, round(band.from_s, 6), round(band.until_s, 6)) for band in figure.bands]
    assert [("cause", 2.0, 2.8), ("confirm", 2.8, 3.0), ("flag", 3.0, 3.2), ("safe", 3.2, 3.7)] == windows


@pytest.mark.parametrize(
    ("side", "label"), [("output", "commanded by the controller"), ("reported", "reported on the bus")]
)
def test_a_figure_draws_what_the_requirement_reads_on_its_own_side(tripped: Record, side: str, label: str) -> None:
    tripped.series[side, "cell_voltage_max_v"] = steps((0.0, 3.3), (1.0, 3.9))
    trip = TRIP.model_copy(update={"side": side})

    figure = figure_of(trip, Verdict("PRT-OV-3", Outcome.PASS), tripped, "a case")

    assert [(label, 3.9)] == [(curve.label, curve.value.max()) for curve in figure.curves]
    assert figure.bands[0].from_s == 1.0


def test_a_figure_of_a_limit_over_a_reported_quantity_draws_its_curve(tripped: Record) -> None:
    tripped.series["reported", "soc_pct"] = steps((0.0, 50.0))
    curve = [{"at": 0.0, "limit": 0.0}, {"at": 100.0, "limit": 200.0}]
    head = {"id": "LIM-X-1", "title": "a limit", "source": ["own choice"], "reported": "charge_limit_a"}
    limit = Limit.model_validate({**head, "quantity": "soc_pct", "side": "reported", "curve": curve})

    curves = figure_of(limit, Verdict("LIM-X-1", Outcome.PASS), tripped, "a case").curves

    assert [100.0] == [value for drawn in curves if drawn.label == "allowed by the curve" for value in drawn.value]


def test_figure_of_many_points_keeps_the_spike(tripped: Record) -> None:
    value = np.full(50_000, 3.3)
    value[31_234] = 3.9
    tripped.series["given", "cell_voltage_max_v"] = Series(np.arange(50_000, dtype=np.float64) / 100.0, value)

    curve = figure_of(TRIP, Verdict("PRT-OV-3", Outcome.PASS), tripped, "").curves[0]

    assert len(curve.value) <= MAX_POINTS
    assert curve.value.max() == 3.9


def test_html_is_one_file_and_its_data_cannot_break_out(tripped: Record) -> None:
    verdict = Verdict("PRT-OV-3", Outcome.FAIL, Exercised(1, 2), {"ms": -12.0}, "flag late by 12 ms", 3.2)
    case = Case(
        figure_json(figure_of(TRIP, verdict, tripped, "worst")),
        verdict,
        "bms-harness replay x.toml",
        'rig = "ebus-lfp"',
    )
    data = ReportData("ebus </script>", Outcome.FAIL, [("seed", "1")], [TRIP], {"PRT-OV-3": verdict}, [case])

    html = render(data)

    assert not re.search(r'(src|href)="(https?:)?//', html)
    assert html.count("<script") == html.count("</script>")
    plots = re.search(r'<script type="application/json" id="data-0">(.*?)</script>', html, re.DOTALL)
    assert plots is not None
    assert json.loads(plots.group(1))["lines"][0] == {"label": "limit", "value": 3.75}


def test_margins_are_printed_with_units_and_time_last() -> None:
    assert margin_text({"ms": 84.2, "v": 0.0123}) == "0.0123 V, 84.2 ms"
    assert margin_text({}) == "–"
