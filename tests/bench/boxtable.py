# SPDX-License-Identifier: Apache-2.0
"""Reaction times side by side, virtual and on the bench, and their table in docs/bench.md."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from harness.requirements.evidence import Series
from harness.requirements.model import Requirement, Trip
from harness.rig.session import Run
from harness.scenario import FaultAction, Scenario
from harness.verdict import Outcome

BEGIN, END = "<!-- box-table -->", "<!-- /box-table -->"
S_TO_MS = 1000.0


@dataclass(frozen=True, slots=True)
class Reaction:
    """From the fault to the flag on the bus, and from the flag to the contactors commanded open, ms; None: did not."""

    outcome: str
    flag_ms: float | None
    contactors_ms: float | None


@dataclass(frozen=True, slots=True)
class Row:
    """One requirement in one scenario, in both worlds."""

    requirement: str
    scenario: str
    virtual: Reaction
    bench: Reaction

    def text(self) -> str:
        """A row of a Markdown table."""
        cells = [self.requirement, self.scenario, self.virtual.outcome, self.bench.outcome]
        for name in ("flag_ms", "contactors_ms"):
            cells += [_ms(getattr(self.virtual, name)), _ms(getattr(self.bench, name))]
        return f"| {' | '.join(cells)} |"


def rows_of(played: Sequence[tuple[Scenario, Run, Run]], requirements: Sequence[Requirement]) -> list[Row]:
    """One row for each requirement a scenario exercised in virtual time, in the order of the requirements."""
    order = {requirement.id: place for place, requirement in enumerate(requirements)}
    rows = [row for scenario, virtual, bench in played for row in _rows(scenario, virtual, bench, requirements)]
    return sorted(rows, key=lambda row: order[row.requirement])


def _rows(scenario: Scenario, virtual: Run, bench: Run, requirements: Sequence[Requirement]) -> Iterator[Row]:
    from_s = min((action.at_s for action in scenario.action if isinstance(action, FaultAction)), default=0.0)
    for place, requirement in enumerate(requirements):
        outcome = virtual.verdicts[place].outcome
        if not isinstance(requirement, Trip) or outcome is Outcome.NOT_EXERCISED:
            continue
        yield Row(
            requirement.id, scenario.title, _reaction(virtual, place, requirement, from_s),
            _reaction(bench, place, requirement, from_s),
        )  # fmt: skip


def _reaction(run: Run, place: int, trip: Trip, from_s: float) -> Reaction:
    outcome = run.verdicts[place].outcome.value
    flag_s = _first(run.observation.reported(trip.flag), from_s, on=True)
    if flag_s is None:
        return Reaction(outcome, None, None)
    open_s = None
    if trip.safe_state == "contactors_open":
        before_s = flag_s - S_BEFORE_FLAG
        times = [_first(run.observation.output(name), before_s, on=False) for name in CONTACTORS]
        open_s = max((t_s for t_s in times if t_s is not None), default=None)
    contactors_ms = None if open_s is None else (open_s - flag_s) * S_TO_MS
    return Reaction(outcome, (flag_s - from_s) * S_TO_MS, contactors_ms)


CONTACTORS = ("contactor_positive", "contactor_negative")
S_BEFORE_FLAG = 0.2  # a controller may act this shortly before its flag is on the bus


def _first(series: Series | None, from_s: float, *, on: bool) -> float | None:
    """When a switch first changed to `on` at or after a time."""
    if series is None or not len(series.t_s):
        return None
    state = np.asarray(series.value) > 0.5
    changed = np.flatnonzero((state[1:] == on) & (state[:-1] != on)) + 1
    later = [float(series.t_s[place]) for place in changed if series.t_s[place] >= from_s]
    return later[0] if later else None


def table(rows: Sequence[Row]) -> str:
    """All rows with a flag, and the differences in one line."""
    lines = [
        "| requirement | scenario | verdict virtual | bench | flag virtual, ms | bench | open virtual, ms | bench |",
        "|---|---|---|---|---:|---:|---:|---:|",
        *(row.text() for row in rows if row.virtual.flag_ms is not None or row.bench.flag_ms is not None),
    ]
    return "\n".join(lines)


def spread(rows: Sequence[Row], name: str) -> str:
    """Bench minus virtual: median, least, greatest."""
    pairs = [(getattr(row.virtual, name), getattr(row.bench, name)) for row in rows]
    late = [bench - virtual for virtual, bench in pairs if virtual is not None and bench is not None]
    if not late:
        return "nothing measured"
    return f"median {np.median(late):+.0f} ms, {min(late):+.0f} to {max(late):+.0f} ms, {len(late)} reactions"


def write_table(path: Path, rows: Sequence[Row], n_scenarios: int, count: Mapping[str, int], over: str) -> None:
    """Put the table between its marks in the document."""
    text = path.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, found, tail = rest.partition(END)
    assert found, f"{path} has no {BEGIN} ... {END}"
    summary = (
        f"{n_scenarios} scenarios over {over}, {len(rows)} verdicts on trips: {count['contradictions']} pass in one "
        f"world and fail in the other, {count['undecided']} (of all requirements) are decided only in one. "
        f"The bench is later than virtual time by: flag {spread(rows, 'flag_ms')}; "
        f"contactors {spread(rows, 'contactors_ms')}. "
        "Rows without a flag (nothing was to happen, and nothing did) are left out."
    )
    path.write_text(f"{head}{BEGIN}\n{summary}\n\n{table(rows)}\n{END}{tail}", encoding="utf-8")


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.0f}"
