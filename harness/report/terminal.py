# SPDX-License-Identifier: Apache-2.0
"""Tables for a terminal. Everything goes through one rich Console, which knows width and colour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report.clauses import gap_lines, pack_line
from harness.report.text import margin_text
from harness.report.timeline import Entry
from harness.requirements.model import Requirement
from harness.verdict import Outcome, Verdict

WIDTH_OF_A_FILE = 140  # columns, where the output is no terminal that knows its width

COLOURS: Mapping[Outcome, str] = {
    Outcome.PASS: "green",
    Outcome.FAIL: "bold red",
    Outcome.ERROR: "bold magenta",
    Outcome.INCONCLUSIVE: "yellow",
    Outcome.NOT_EXERCISED: "dim",
}


def make_console(*, stderr: bool = False) -> Console:
    """The console of a command; wide enough for every table when the output goes to a file or a pipe."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH_OF_A_FILE)


def outcome_text(outcome: Outcome) -> Text:
    """The outcome in its colour."""
    return Text(outcome.value, style=COLOURS[outcome])


def verdict_table(requirements: Sequence[Requirement], verdicts: Mapping[str, Verdict]) -> Table:
    """Requirement, verdict, worst margin, times exercised."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("requirement", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    table.add_column("worst margin", justify="right", no_wrap=True)
    table.add_column("must", justify="right", no_wrap=True)
    table.add_column("must not", justify="right", no_wrap=True)
    table.add_column("title", min_width=20)
    for requirement in requirements:
        verdict = verdicts[requirement.id]
        table.add_row(
            requirement.id,
            outcome_text(verdict.outcome),
            margin_text(verdict.margin),
            str(verdict.exercised.must),
            str(verdict.exercised.must_not),
            requirement.title,
        )
    return table


def print_reasons(console: Console, verdicts: Iterable[Verdict], replay: Mapping[str, str]) -> None:
    """Each verdict that is worse than a pass with its reason, and below it the command that repeats it."""
    for verdict in verdicts:
        if verdict.outcome in (Outcome.FAIL, Outcome.ERROR, Outcome.INCONCLUSIVE):
            at = "" if verdict.at_s is None else f" at {verdict.at_s:.3f} s"
            text = f"{verdict.outcome.value} {verdict.requirement}{at}: {verdict.reason}"
            console.print(Text(text, style=COLOURS[verdict.outcome]), soft_wrap=True)
            print_replay(console, replay.get(verdict.requirement, ""))


def print_replay(console: Console, command: str) -> None:
    """The command that repeats it, on one line whatever the width, so that it can be copied."""
    if command:
        console.print(Text(f"  repeat with: {command}"), soft_wrap=True)


def print_packs(console: Console, packs: Sequence[Mapping[str, Any]]) -> None:
    """The packs of a run record: a line each, and a line for each clause without a requirement."""
    for pack in packs:
        console.print(pack_line(pack), markup=False, highlight=False, soft_wrap=True)
    for line in gap_lines(packs):
        console.print(f"  {line}", style="yellow", markup=False, highlight=False, soft_wrap=True)


def timeline_table(entries: Sequence[Entry], origin_s: float) -> Table:
    """The reaction, line by line, with the time since the fault."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("time", justify="right")
    table.add_column("since fault", justify="right")
    table.add_column("event")
    table.add_column("budget")
    for entry in entries:
        since = entry.t_s - origin_s
        style = {True: "green", False: "bold red", None: ""}[entry.within]
        table.add_row(
            f"{entry.t_s:.3f} s",
            f"{since:+.3f} s" if since >= 0 else "",
            Text(entry.event),
            Text(entry.budget, style=style),
        )
    return table
