# SPDX-License-Identifier: Apache-2.0
"""`bms-harness run`: the main job. Progress on stderr, the table on stdout, the evidence in a run directory."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import click
from click.core import ParameterSource

from harness.cli.benchargs import only_bench, port_option, refuse_on_bench
from harness.cli.common import emit, json_option, leave
from harness.cli.failure import INTERRUPTED
from harness.cli.several import Order, prove_several, rig_names
from harness.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.rig.campaign import Budget, Campaign, Progress
    from harness.rig.file import Rig

_REFRESH_HZ = 4  # drawing costs time that the campaign could use


@click.command()
@click.argument("rigs", nargs=-1, required=True, metavar="RIG...")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of sequences and noise.")
@click.option(
    "--sequences", type=click.IntRange(0), default=300, show_default=True, help="Fault sequences by Hypothesis."
)
@click.option(
    "--generated", type=click.IntRange(0), default=1500, show_default=True, help="Sequences by the plain generator."
)
@click.option("--no-grids", is_flag=True, help="Leave the boundary scenarios out: a quick look, not a proof.")
@click.option("--jobs", type=click.IntRange(1, 256), help="Worker processes; one a processor without.")
@click.option("--sanitize", is_flag=True, help="Run the firmware under AddressSanitizer and UBSan (slower).")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
              help="Folder in which the run directory is made.")  # fmt: skip
@click.option("--scenario", "files", multiple=True, type=click.Path(path_type=Path, dir_okay=False),
              help="On a bench: play these files instead of the boundary scenarios.")  # fmt: skip
@click.option("--requirement", "wanted", multiple=True, metavar="ID", help="On a bench: prove only these requirements.")
@port_option
@json_option
def run(
    rigs: tuple[str, ...], *, seed: int, sequences: int, generated: int, no_grids: bool, jobs: int | None,
    sanitize: bool, out: Path, files: tuple[Path, ...], wanted: tuple[str, ...], ports: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Prove the protection of RIG, or break it. Several are played one after the other; `all` is every shipped one.

    Plays kept failures, boundary scenarios dense at each limit and confirmation time, and fault sequences; judges every
    requirement on each; shrinks what fails. Ctrl-C ends it and keeps what is finished.

    RIG may be a bench file: then the boundary scenarios are played on the bench, in real time, each after it was tried
    on the virtual plant.
    """
    names = rig_names(rigs)
    bench = only_bench(names, ports)
    if bench is not None:
        from harness.cli.onbench import Order as BenchOrder  # noqa: PLC0415 - only on a bench
        from harness.cli.onbench import run_on_bench  # noqa: PLC0415 - see above

        refuse_on_bench(sanitize=sanitize, no_grids=no_grids, jobs=jobs, **_named("seed", "sequences", "generated"))
        run_on_bench(BenchOrder(bench, files, wanted, out, as_json))
    if files or wanted:
        raise UsageError(
            f"--scenario and --requirement are for benches; {names[0]} is a virtual rig ('replay' plays a file)"
        )
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - not needed for --help
    from harness.rig.campaign import Budget  # noqa: PLC0415 - see above

    budget = Budget(grids=not no_grids, sequences=sequences, generated=generated, seed=seed)
    if len(names) > 1:
        prove_several(names, Order(budget, jobs, sanitize, out, as_json))
    loaded = load_rig(find_rig(names[0]))
    _prove(loaded, budget, jobs=jobs, sanitize=sanitize, out=out, as_json=as_json)


def _named(*options: str) -> dict[str, bool]:
    """Which of these options, all of which have defaults, are on the command line."""
    context = click.get_current_context()
    return {name: context.get_parameter_source(name) is ParameterSource.COMMANDLINE for name in options}


def _prove(rig: Rig, budget: Budget, *, jobs: int | None, sanitize: bool, out: Path, as_json: bool) -> None:
    """Play the campaign of a virtual rig, write and show it, and leave with its outcome."""
    from harness.report.evidence import write_evidence  # noqa: PLC0415 - not needed for --help
    from harness.report.terminal import make_console  # noqa: PLC0415 - see above
    from harness.report.text import count_text  # noqa: PLC0415 - see above
    from harness.rig.campaign import run_campaign  # noqa: PLC0415 - see above
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - see above

    with (
        ended_by_signal() as asked,
        RunDirectory.create(out, rig.name) as directory,
        ProgressLine(make_console(stderr=True), asked) as line,
    ):
        campaign = run_campaign(rig, budget=budget, jobs=jobs, run_dir=directory, progress=line.show, sanitize=sanitize)
        campaign = as_repeated(campaign, sanitize=sanitize)
        line.note("writing the report")
        record = write_evidence(campaign, directory)
    if as_json:
        emit(record)
    else:
        show(campaign, record, directory.path, make_console())
    if campaign.interrupted:
        finished = f"{count_text(campaign.cases, 'finished scenario')} of this run, and the report, are in"
        click.echo(f"interrupted: {finished} {directory.path}", err=True)
        sys.exit(INTERRUPTED)
    leave(campaign.outcome)


class Asked:
    """Whether somebody asked for the end."""

    def __init__(self) -> None:
        self._asked = False

    def ask(self, *_: object) -> None:
        """A handler of signals."""
        self._asked = True
        raise KeyboardInterrupt

    def check(self) -> None:
        """Raise KeyboardInterrupt if somebody asked: the first may have been raised where Python drops it, in the
        finalizer of an object.
        """
        if self._asked:
            raise KeyboardInterrupt


@contextmanager
def ended_by_signal() -> Iterator[Asked]:
    """CI servers end a job with SIGTERM: treated like Ctrl-C, so that what is finished is written."""
    asked = Asked()
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, asked.ask)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not where it is ignored, as in a background job
        before[signal.SIGINT] = signal.signal(signal.SIGINT, asked.ask)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def as_repeated(campaign: Campaign, *, sanitize: bool) -> Campaign:
    """The failures told as the command that repeats them shows them: of the smallest scenario, not the first found.

    What only the sanitizer sees is repeated only with it.
    """
    more = " --sanitize" if sanitize else ""
    findings = tuple(replace(f, replay=f.replay and f.replay + more) for f in campaign.findings)
    found = {finding.requirement: finding.verdict for finding in findings}
    verdicts = tuple(
        replace(v, reason=found[v.requirement].reason, at_s=found[v.requirement].at_s) if v.requirement in found else v
        for v in campaign.verdicts
    )
    return replace(campaign, findings=findings, verdicts=verdicts)


def show(campaign: Campaign, record: Mapping[str, Any], folder: Path, console: Console) -> None:
    """The table, what failed and how to repeat it, clauses in short, and where the evidence is."""
    from harness.report import terminal  # noqa: PLC0415 - not needed for --json
    from harness.report.searched import coverage_text  # noqa: PLC0415 - see above
    from harness.report.text import count_text  # noqa: PLC0415 - see above
    from harness.verdict import Outcome  # noqa: PLC0415 - see above

    by_id = {verdict.requirement: verdict for verdict in campaign.verdicts}
    console.print(terminal.verdict_table(campaign.requirements, by_id))
    console.print()
    replay = {finding.requirement: finding.replay for finding in campaign.findings}
    if not campaign.errors:
        terminal.print_reasons(console, campaign.verdicts, replay)
    else:  # one broken scenario makes every requirement an ERROR: say it once
        terminal.print_reasons(console, [v for v in campaign.verdicts if v.outcome is not Outcome.ERROR], replay)
        broken = dict.fromkeys(case.error for case in campaign.errors)
        for text in broken:
            console.print(f"ERROR {text}", style=terminal.COLOURS[Outcome.ERROR], markup=False, soft_wrap=True)
        terminal.print_replay(console, replay.get("", ""))
    for note in campaign.notes:
        console.print(note, style="yellow", markup=False, soft_wrap=True)
    passed = sum(verdict.outcome is Outcome.PASS for verdict in campaign.verdicts)
    console.print(terminal.outcome_text(campaign.outcome), end=": ")
    console.print(
        f"{passed} of {count_text(len(campaign.verdicts), 'requirement')} passed, "
        f"{count_text(campaign.cases, 'scenario')} in {campaign.duration_s:.1f} s, seed {campaign.seed}",
        highlight=False,
    )
    if campaign.rate is not None and campaign.coverage is not None:
        told = f"{campaign.rate.sentence()}; played: {coverage_text(campaign.coverage)}"
        console.print(told, highlight=False, soft_wrap=True)
    terminal.print_packs(console, record["packs"])
    console.print(f"evidence: {folder}/report.html", highlight=False, markup=False, soft_wrap=True)


class ProgressLine(AbstractContextManager["ProgressLine"]):
    """One line that is redrawn on a terminal; on a log file a line per phase. Progress ends where `asked` says so."""

    def __init__(self, console: Console, asked: Asked) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415 - only with progress

        self._console = console
        self._asked = asked
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
        if not progress.total:
            return
        parts = [(progress.failed, "requirement failed", "requirements failed"), (progress.errors, "error", "errors")]
        state = ", ".join(f"{count} {one if count == 1 else many}" for count, one, many in parts if count)
        self.phase(progress.phase, progress.done, progress.total, state)
        if not self._console.is_terminal and progress.done == progress.total and progress.phase != self._phase:
            self._phase = progress.phase
            done = f"{progress.phase}: {progress.total} done after {progress.elapsed_s:.1f} s"
            self.note(f"{done}, {state}" if state else done)

    def phase(self, name: str, done: int, total: int, state: str = "") -> None:
        """Redraw: `done` of `total` of the phase `name`."""
        self._asked.check()
        self._bar.update(self._task, description=name, completed=done, total=total, state=state)

    def note(self, text: str) -> None:
        """Say something that stays (on a log) or passes (on a terminal)."""
        if self._console.is_terminal:
            self._bar.update(self._task, description=text)
        else:
            self._console.print(text, highlight=False)
