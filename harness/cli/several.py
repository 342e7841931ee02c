# SPDX-License-Identifier: Apache-2.0
"""`bms-harness run` of several rigs: one after the other, a run directory each, one table and one summary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from harness.cli.common import emit, leave, refusals_told
from harness.cli.failure import INTERRUPTED
from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.cli.run import ProgressLine
    from harness.report.summary import Summary
    from harness.rig.campaign import Budget, Progress
    from harness.rig.file import Rig

ALL = "all"


def rig_names(words: Sequence[str]) -> tuple[str, ...]:
    """The rigs meant, each once: `all` stands for every shipped one."""
    from harness.rig import shipped_rigs  # noqa: PLC0415 - not needed for --help

    shipped = [path.stem for path in shipped_rigs()]
    return tuple(dict.fromkeys(name for word in words for name in (shipped if word == ALL else [word])))


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be done with each rig."""

    budget: Budget
    jobs: int | None
    sanitize: bool
    out: Path
    as_json: bool


def prove_several(names: Sequence[str], order: Order) -> NoReturn:
    """Play the campaign of each rig, write and show the summary, and leave with the worst outcome.

    A rig that cannot be read or built is an ERROR of its own; the others are played all the same.
    """
    from harness.cli.run import ProgressLine, ended_by_signal  # noqa: PLC0415 - it imports this module
    from harness.clock import NS_PER_S, WallClock  # noqa: PLC0415 - not needed for --help
    from harness.report.summary import NAME, Summary  # noqa: PLC0415 - see above
    from harness.report.terminal import make_console  # noqa: PLC0415 - see above
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - see above

    clock, summary = WallClock(), Summary(names, order.budget.seed)
    start_ns = clock.now_ns()
    with (
        ended_by_signal() as asked,
        RunDirectory.create(order.out, NAME) as directory,
        ProgressLine(make_console(stderr=True), asked) as line,
    ):
        try:
            for place, name in enumerate(names, 1):
                summary.write(directory, (clock.now_ns() - start_ns) / NS_PER_S)
                _prove_one(name, order, summary, _Told(line, f"{name} ({place}/{len(names)})"))
                if summary.interrupted:
                    break
        except KeyboardInterrupt:  # while a rig was loaded, built or written: the ones before it stand
            summary.interrupted = True
        record = summary.write(directory, (clock.now_ns() - start_ns) / NS_PER_S)
    if order.as_json:
        emit(record)
    else:
        show(record)
    if summary.interrupted:
        click.echo(f"interrupted: what was finished is in {directory.path}", err=True)
        sys.exit(INTERRUPTED)
    leave(summary.outcome)


class _Told:
    """Progress with the name of the rig before it."""

    def __init__(self, line: ProgressLine, name: str) -> None:
        self._line = line
        self._name = name

    @property
    def show(self) -> Callable[[Progress], None]:
        """The call-back for a campaign."""
        return lambda progress: self._line.show(replace(progress, phase=f"{self._name} {progress.phase}"))

    def note(self, text: str) -> None:
        """Say something."""
        self._line.note(f"{self._name} {text}")


def _prove_one(name: str, order: Order, summary: Summary, told: _Told) -> None:
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - not needed for --help

    try:
        with refusals_told():
            rig = load_rig(find_rig(name))
            rig.read_all()  # before it gets a run directory
            _play(name, rig, order, summary, told)
    except HarnessError as error:
        summary.add_error(name, error)
        told.note(f"ERROR {str(error).partition(chr(10))[0]}")


def _play(name: str, rig: Rig, order: Order, summary: Summary, told: _Told) -> None:
    from harness.cli.run import as_repeated  # noqa: PLC0415 - it imports this module
    from harness.report.evidence import write_evidence  # noqa: PLC0415 - not needed for --help
    from harness.rig.campaign import run_campaign  # noqa: PLC0415 - see above
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - see above

    with RunDirectory.create(order.out, rig.name) as directory:
        campaign = run_campaign(
            rig, budget=order.budget, jobs=order.jobs, run_dir=directory, progress=told.show, sanitize=order.sanitize
        )
        campaign = as_repeated(campaign, sanitize=order.sanitize)
        told.note(f"{campaign.outcome.value} after {campaign.duration_s:.1f} s, writing the report")
        try:
            record = write_evidence(campaign, directory)
        except KeyboardInterrupt:  # the verdicts stand, pictures and report may be missing
            summary.add(name, campaign, str(directory.path), ())
            raise
    summary.add(name, campaign, str(directory.path), record["packs"])


def show(record: Mapping[str, Any]) -> None:
    """The table of rigs, what is wrong with each, and where the evidence is."""
    from rich.table import Table  # noqa: PLC0415 - not needed for --json
    from rich.text import Text  # noqa: PLC0415 - see above

    from harness.report import summary, terminal  # noqa: PLC0415 - see above
    from harness.report.text import count_text  # noqa: PLC0415 - see above
    from harness.verdict import Outcome  # noqa: PLC0415 - see above

    console = terminal.make_console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(summary.HEADINGS):
        table.add_column(heading, no_wrap=heading != "title", justify="right" if place in (2, 3, 4) else "left")
    for entry in record["rigs"]:
        name, word, *others = summary.cells(entry)
        verdict = terminal.outcome_text(Outcome(entry["outcome"])) if entry["outcome"] else Text(word, style="dim")
        table.add_row(Text(name), verdict, *map(Text, others))
    console.print(table)
    console.print()
    for entry in record["rigs"]:
        _show_reasons(console, entry)
    passed = sum(entry["outcome"] == "PASS" for entry in record["rigs"])
    console.print(terminal.outcome_text(Outcome(record["outcome"])), end=": ")
    told = f"{passed} of {count_text(len(record['rigs']), 'rig')} passed in {record['duration_s']:.1f} s"
    console.print(f"{told}, seed {record['seed']}", highlight=False)
    console.print(f"evidence: {record['summary_dir']}/summary.html", highlight=False, markup=False, soft_wrap=True)


def _show_reasons(console: Any, entry: Mapping[str, Any]) -> None:
    """What is wrong with a rig: every line of its error, or each requirement that did not pass."""
    from harness.report import terminal  # noqa: PLC0415 - see above
    from harness.verdict import Outcome  # noqa: PLC0415 - see above

    for text in entry["error"].splitlines():
        console.print(
            f"ERROR {entry['rig']}: {text}", style=terminal.COLOURS[Outcome.ERROR], markup=False, soft_wrap=True
        )
    if entry["interrupted"] or entry["error"]:
        return
    idle = [item["requirement"] for item in entry["failed"] if item["outcome"] == Outcome.NOT_EXERCISED.value]
    for item in entry["failed"]:
        if item["requirement"] in idle:
            continue
        reason = f": {item['reason']}" if item["reason"] else ""
        text = f"{item['outcome']} {entry['rig']} {item['requirement']}{reason}"
        console.print(text, style=terminal.COLOURS[Outcome(item["outcome"])], markup=False, soft_wrap=True)
        terminal.print_replay(console, item["replay"])
    if idle:
        console.print(f"NOT_EXERCISED {entry['rig']}: {', '.join(idle)}", markup=False, highlight=False, soft_wrap=True)
