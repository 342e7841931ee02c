# SPDX-License-Identifier: Apache-2.0
"""The kill matrix for people: docs/kill-matrix.md from the JSON document, and a table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

_STYLES = {"caught": "green", "caught_by_other": "yellow", "missed": "bold red", "error": "bold magenta"}
_WORDS = {"caught": "caught", "caught_by_other": "caught by another", "missed": "missed", "error": "error"}
_FIRED_SHOWN = 3
_HASH_SHOWN = 16


def markdown(record: Mapping[str, Any]) -> str:
    """The document as Markdown. The same record gives the same text."""
    return "\n".join([*_head(record), *_defects(record), *_survivors(record), *_vacuity(record)]) + "\n"


def kill_table(defects: Sequence[Mapping[str, Any]]) -> Table:
    """One line a defect."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("id", "examples", "actions", "seconds"):
        table.add_column(heading, justify="right")
    for heading in ("outcome", "required", "caught by", "defect"):
        table.add_column(heading, no_wrap=True, overflow="ellipsis")
    for kill in defects:
        table.add_row(
            str(kill["id"]),
            str(kill["examples"]),
            _count(kill["actions"]),
            f"{kill['seconds']:.1f}",
            Text(_WORDS[kill["outcome"]], style=_STYLES[kill["outcome"]]),
            kill["requirement"],
            kill["caught_by"] or "",
            Text(kill["name"]),
        )
    return table


def rigs_table(records: Sequence[Mapping[str, Any]]) -> Table:
    """One line a rig."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("rig", no_wrap=True)
    table.add_column("outcome", no_wrap=True)
    for heading in ("defects", *_WORDS.values(), "seconds"):
        table.add_column(heading, justify="right")
    for record in records:
        summary = record.get("summary")
        counts = [str(summary[name]) for name in ("defects", *_WORDS)] if summary else ["–"] * (1 + len(_WORDS))
        seconds = f"{record['duration_s']:.0f}" if summary else "–"
        interrupted = " (interrupted)" if record["interrupted"] else ""
        table.add_row(record["rig"], f"{record['outcome']}{interrupted}", *counts, seconds)
    return table


def summary_line(record: Mapping[str, Any]) -> str:
    """The figures of merit in one sentence."""
    summary = record["summary"]
    parts = [f"{summary[name]} {words}" for name, words in _WORDS.items() if summary[name]]
    sizes = ""
    if summary["median_actions"] is not None:
        sizes = f"; shrunk scenarios: median {summary['median_actions']:g}, largest {summary['most_actions']} actions"
    share = f"{100.0 * summary['named_share']:.0f} % by the requirement named for them"
    defects = f"{summary['defects']} defect{'' if summary['defects'] == 1 else 's'}"
    return f"{defects}: {', '.join(parts) or 'none played'} ({share}){sizes}"


def _head(record: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Kill matrix of {record['rig']}"
    yield ""
    yield f"Written by `{record['command']}`; do not edit."
    yield ""
    yield "| | |"
    yield "|---|---|"
    yield f"| outcome | {record['outcome']} |"
    yield f"| date | {record['date']} |"
    yield f"| seed | {record['seed']} |"
    yield f"| defect-free build, SHA-256 | `{record['product_sha256'][:_HASH_SHOWN]}` |"
    yield f"| build with the defects, SHA-256 | `{record['defects_sha256'][:_HASH_SHOWN]}` |"
    yield f"| wall-clock time | {record['duration_s']:.0f} s |"
    failures = len(record["baseline"]["failures"])
    green = f"{failures} not green" if failures else "all green"
    yield f"| defect-free run before | {record['baseline']['scenarios']} scenarios, {green} |"
    yield ""
    partly = "" if record["whole"] else " Only a part of the defect list was played."
    yield f"{summary_line(record)}.{partly}"
    yield ""
    for failure in record["baseline"]["failures"]:
        yield f"- not green: {_cell(failure['title'])}: {_cell(', '.join(failure['failed']) or failure['error'])}"


def _defects(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## Defects"
    yield ""
    yield "Examples: scenarios played until the requirement failed. Actions: of the scenario after shrinking."
    yield "An error (crash) is no kill. S marks defects that show only in two or more events."
    yield ""
    yield "| id | defect | must be caught by | outcome | caught by | examples | actions | seconds |"
    yield "|---:|---|---|---|---|---:|---:|---:|"
    for kill in record["defects"]:
        mark = " (S)" if kill["sequence"] else ""
        name = f"**{_cell(kill['name'])}**{mark}: {_cell(kill['story'])} *{_cell(kill['origin'])}*"
        cells = [str(kill["id"]), name, kill["requirement"], _WORDS[kill["outcome"]], kill["caught_by"] or ""]
        yield _row([*cells, str(kill["examples"]), _count(kill["actions"]), f"{kill['seconds']:.1f}"])
    yield ""


def _survivors(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## Not caught by the requirement named for them"
    yield ""
    others = [kill for kill in record["defects"] if kill["outcome"] != "caught"]
    for kill in others:
        why = f"allowed: {kill['allowed']}" if kill["allowed"] else kill["error"] or "not on the list of survivors"
        yield f"- {kill['id']} {_cell(kill['name'])}: {_WORDS[kill['outcome']]}; {_cell(why)}"
    if not others:
        yield "None."
    yield ""


def _vacuity(record: Mapping[str, Any]) -> Iterator[str]:
    yield "## What each requirement is worth"
    yield ""
    how = (
        "Every scenario was played on every defect."
        if record["full"]
        else "A defect was left as soon as the requirement named for it had failed: what it would have failed after"
        " that is not counted (`--full` counts it)."
    )
    yield "Exercised: scenarios of the defect-free run that demanded the reaction, or came close and allowed none."
    yield how
    yield 'A requirement that failed on no defect is "claimed, not verified": nothing here shows that it can fail.'
    yield ""
    yield "| requirement | must | must not | by faults that fired | kills | only it kills | status |"
    yield "|---|---:|---:|---|---|---|---|"
    for item in record["vacuity"]:
        kills, only = (", ".join(map(str, item[key])) for key in ("kills", "only"))
        cells = [item["requirement"], str(item["must"]), str(item["must_not"]), fired_text(item["fired"])]
        yield _row([*cells, kills, only, item["status"]])


def fired_text(fired: Mapping[str, int]) -> str:
    """The kinds of fault that exercised a requirement most often, and how many more there are."""
    shown = [f"{kind or 'no fault'} {count}" for kind, count in list(fired.items())[:_FIRED_SHOWN]]
    more = len(fired) - len(shown)
    return ", ".join([*shown, *([f"{more} more kinds"] if more > 0 else [])])


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    """Text that cannot end its cell."""
    return " ".join(text.replace("|", "\\|").split())


def _count(number: int | None) -> str:
    return "" if number is None else str(number)
