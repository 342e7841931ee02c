# SPDX-License-Identifier: Apache-2.0
"""`bms-harness run`: the main job. Progress on stderr, the table on stdout, the evidence in a run directory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import click

from harness.cli.common import emit, json_option, leave

if TYPE_CHECKING:
    from rich.console import Console

    from harness.rig.campaign import Campaign, Progress

_REFRESH_HZ = 4  # drawing costs time that the campaign could use


@click.command()
@click.argument("rig")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of sequences and noise.")
@click.option(
    "--sequences", type=click.IntRange(0), default=300, show_default=True, help="Fault sequences by Hypothesis."
)
@click.option(
    "--generated", type=click.IntRange(0), default=1500, show_default=True, help="Sequences by the plain generator."
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Worker processes; one a processor without.")
@click.option("--sanitize", is_flag=True, help="Run the firmware under AddressSanitizer and UBSan (slower).")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
              help="Folder in which the run directory is made.")  # fmt: skip
@json_option
def run(
    rig: str, *, seed: int, sequences: int, generated: int, jobs: int | None, sanitize: bool, out: Path, as_json: bool
) -> None:
    """Prove the protection of RIG, or break it.

    Plays kept failures, boundary scenarios dense at each limit and confirmation time, and fault sequences; judges every
    requirement on each; shrinks what fails. Ctrl-C ends it and keeps what is finished.
    """
    from harness.report.evidence import write_evidence  # noqa: PLC0415 - not needed for --help
    from harness.report.terminal import make_console  # noqa: PLC0415 - see above
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.campaign import Budget, run_campaign  # noqa: PLC0415 - see above
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - see above

    loaded = load_rig(find_rig(rig))
    budget = Budget(sequences=sequences, generated=generated, seed=seed)
    with RunDirectory.create(out, loaded.name) as directory, ProgressLine(make_console(stderr=True)) as line:
        campaign = run_campaign(
            loaded, budget=budget, jobs=jobs, run_dir=directory, progress=line.show, sanitize=sanitize
        )
        line.note("writing the report")
        record = write_evidence(campaign, directory)
    if as_json:
        emit(record)
    else:
        show(campaign, directory.path, make_console())
    if campaign.interrupted:
        click.echo(f"interrupted: {campaign.cases} scenarios were finished and are in {directory.path}", err=True)
        sys.exit(130)
    leave(campaign.outcome)


def show(campaign: Campaign, folder: Path, console: Console) -> None:
    """The table, what failed and how to repeat it, and where the evidence is."""
    from harness.report import terminal  # noqa: PLC0415 - not needed for --json
    from harness.verdict import Outcome  # noqa: PLC0415 - see above

    by_id = {verdict.requirement: verdict for verdict in campaign.verdicts}
    console.print(terminal.verdict_table(campaign.requirements, by_id))
    console.print()
    terminal.print_reasons(console, campaign.verdicts)
    for finding in campaign.findings:
        actions = len(finding.scenario.action)
        name = finding.requirement or "ERROR"
        console.print(
            f"{name}: {finding.verdict.reason}"
            if not finding.requirement
            else f"{name}: smallest scenario has {actions} actions",
            highlight=False,
        )
        console.print(f"  repeat with: {finding.replay}", highlight=False, soft_wrap=True)
    passed = sum(verdict.outcome is Outcome.PASS for verdict in campaign.verdicts)
    console.print(terminal.outcome_text(campaign.outcome), end=": ")
    console.print(
        f"{passed} of {len(campaign.verdicts)} requirements passed, {campaign.cases} scenarios in "
        f"{campaign.duration_s:.1f} s, seed {campaign.seed}",
        highlight=False,
    )
    console.print(
        f"evidence: {folder}{'/report.html' if (folder / 'report.html').is_file() else ''}",
        highlight=False,
        soft_wrap=True,
    )


class ProgressLine(AbstractContextManager["ProgressLine"]):
    """One line that is redrawn on a terminal; on a log file a line per phase."""

    def __init__(self, console: Console) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - only with progress

        self._console = console
        self._bar = Progress(
            TextColumn("{task.description:<11}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}"),
            TimeElapsedColumn(),
            console=console,
            refresh_per_second=_REFRESH_HZ,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None, state="")
        self._phase = ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    @property
    def show(self) -> Callable[[Progress], None]:
        """The call-back for a campaign."""
        return self._show

    def _show(self, progress: Progress) -> None:
        state = f"{progress.failed} requirements failed" if progress.failed else ""
        if progress.errors:
            state += f" {progress.errors} errors"
        self._bar.update(
            self._task, description=progress.phase, completed=progress.done, total=progress.total, state=state
        )
        if not self._console.is_terminal and progress.done == progress.total and progress.phase != self._phase:
            self._phase = progress.phase
            self.note(f"{progress.phase}: {progress.total} done after {progress.elapsed_s:.1f} s {state}".rstrip())

    def note(self, text: str) -> None:
        """Say something that stays (on a log) or passes (on a terminal)."""
        if self._console.is_terminal:
            self._bar.update(self._task, description=text)
        else:
            self._console.print(text, highlight=False)
