# SPDX-License-Identifier: Apache-2.0
"""What run, inject and replay do when they are given a bench file: preflight, the bench in real time, evidence."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from harness.bench.file import Bench
from harness.cli.common import emit, leave, shell_quote
from harness.cli.failure import INTERRUPTED
from harness.clock import NS_PER_S, Clock, WallClock
from harness.errors import BenchError
from harness.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from harness.bench.campaign import Choice
    from harness.cli.run import ProgressLine
    from harness.report.benchevidence import BenchEvidence
    from harness.rig.rundir import RunDirectory
    from harness.rig.tally import Tally
    from harness.scenario import Scenario

NOT_REACHED = "did not reach"  # in the errors of harness.rig.starts
RUNS = Path("runs")  # where the recording goes when nobody says where


@dataclass(frozen=True, slots=True)
class Order:
    """What of a bench is to be run. No files: the boundary scenarios of the requirements, of all when none is named."""

    bench: Bench
    files: Sequence[Path]
    requirements: Sequence[str]
    out: Path
    as_json: bool


def play_on_bench(
    bench: Bench, scenario: Scenario, *, repeat: str, ports: Sequence[str], out: Path | None, as_json: bool
) -> NoReturn:
    """One scenario, after it was tried on the virtual plant. The bus is always recorded, below `out` or runs."""
    from harness.bench.energise import energised  # noqa: PLC0415 - not needed for --help
    from harness.bench.latch import Latch  # noqa: PLC0415 - see above
    from harness.bench.preflight import Preflight  # noqa: PLC0415 - see above
    from harness.canbus.livelog import LiveLog  # noqa: PLC0415 - see above
    from harness.cli.single import tell  # noqa: PLC0415 - see above
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - see above

    clock = WallClock()
    Latch(bench.path).require_clear()
    with Preflight(bench) as preflight:
        (prediction,) = preflight.require([scenario])
    repeat = " ".join([repeat, *(shell_quote("--port", word) for word in ports)])
    with RunDirectory.create(out or RUNS, bench.name) as directory:
        click.echo(f"preflight ok: {prediction.energy_wh:.3g} Wh; on the bench now, in real time", err=True)
        with (
            energised(bench, clock=clock, run=str(directory.path)) as opened,
            LiveLog(directory.path, clock, formats=bench.file.recording.also) as recording,
            opened.session(recorder=recording) as session,
        ):
            run = session.run(scenario)
        hint(run.error)
        tell(bench.rig, run, repeat=repeat, out=None, as_json=as_json, time="real time", recorded=directory)


def hint(error: str) -> None:
    """A controller that is not heard at all is most often on another bit rate or has another database."""
    if NOT_REACHED in error:
        words = "is the bit rate that of the rig, the database that of the controller, the adapter on its bus?"
        click.echo(f"{words} 'bms-harness doctor BENCH --power' tells", err=True)


def run_on_bench(order: Order) -> NoReturn:
    """Choose, try virtually, play, add up, keep the evidence; leaves with the exit code of the outcome."""
    from harness.bench.campaign import named_requirements  # noqa: PLC0415 - not needed for --help
    from harness.bench.latch import Latch  # noqa: PLC0415 - see above
    from harness.cli.run import ProgressLine, ended_by_signal  # noqa: PLC0415 - see above
    from harness.report.benchevidence import BenchEvidence  # noqa: PLC0415 - see above
    from harness.report.terminal import make_console  # noqa: PLC0415 - see above
    from harness.rig.rundir import RunDirectory  # noqa: PLC0415 - see above
    from harness.rig.tally import Tally  # noqa: PLC0415 - see above

    bench, clock = order.bench, WallClock()
    bench.rig.read_all()
    Latch(bench.path).require_clear()
    requirements = named_requirements(bench, order.requirements)
    tally = Tally([requirement.id for requirement in bench.rig.requirements])
    with ended_by_signal() as asked, ProgressLine(make_console(stderr=True), asked) as line:
        choice = _choose(order, line)
        with RunDirectory.create(order.out, bench.name) as directory:
            evidence = BenchEvidence(bench, directory, requirements, tally)
            start_ns = clock.now_ns()
            interrupted, failure = _play(order, choice, directory, evidence, tally, clock, line)
            line.note("writing the report")
            wanted = {requirement.id for requirement in requirements}
            verdicts = _verdicts(tally, wanted, only_touched=bool(order.files))
            record = evidence.finish(
                verdicts,
                duration_s=(clock.now_ns() - start_ns) / NS_PER_S,
                interrupted=interrupted,
                left_out=choice.left_out,
                failure=failure,
            )
    hint("".join(record["errors"]))
    _tell(order, record, verdicts, directory.path)
    if interrupted:
        click.echo(f"interrupted: outputs are off; what was finished is in {directory.path}", err=True)
        sys.exit(INTERRUPTED)
    leave(Outcome(record["outcome"]))


def _choose(order: Order, line: ProgressLine) -> Choice:
    from harness.bench.campaign import (  # noqa: PLC0415 - see above
        choose_files,
        choose_grid,
        estimate_s,
        named_requirements,
    )
    from harness.bench.preflight import Preflight  # noqa: PLC0415 - see above
    from harness.errors import UsageError  # noqa: PLC0415 - rare

    with Preflight(order.bench) as preflight:
        if order.files:
            choice = choose_files(order.bench, preflight, order.files)
        else:
            wanted = named_requirements(order.bench, order.requirements)
            choice = choose_grid(order.bench, preflight, wanted, lambda now: line.phase(now.phase, now.done, now.total))
    if not choice.predictions:
        reasons = "; ".join(f"{item.title}: {item.why}" for item in choice.left_out[:3])
        raise UsageError(f"this bench may play none of the {len(choice.left_out)} scenarios: {reasons}")
    minutes = estimate_s(choice.scenarios, order.bench.rig.file.firmware.boot_s) / 60.0
    left_out = f", {len(choice.left_out)} left out (see the report)" if choice.left_out else ""
    line.note(f"preflight ok: {len(choice.predictions)} scenarios, about {minutes:.1f} min in real time{left_out}")
    return choice


def _play(
    order: Order,
    choice: Choice,
    directory: RunDirectory,
    evidence: BenchEvidence,
    tally: Tally,
    clock: Clock,
    line: ProgressLine,
) -> tuple[bool, str]:
    """Whether it was interrupted, and the error that ended it, "" for none."""
    from harness.bench.campaign import Progress, play  # noqa: PLC0415 - see above
    from harness.bench.energise import energised  # noqa: PLC0415 - see above
    from harness.canbus.livelog import LiveLog  # noqa: PLC0415 - see above

    def show(now: Progress) -> None:
        failed = f", {now.failed} requirements failed" if now.failed else ""
        line.phase(now.phase, now.done, now.total, f"{now.left_s / 60.0:.1f} min left{failed}")

    try:
        with (
            energised(order.bench, clock=clock, run=str(directory.path)) as opened,
            LiveLog(directory.path, clock, formats=order.bench.file.recording.also) as recording,
            opened.session(recorder=recording) as session,
        ):
            play(
                session,
                choice.scenarios,
                tally,
                clock,
                boot_s=order.bench.rig.file.firmware.boot_s,
                seen=evidence.add,
                progress=show,
            )
            failed = session.failure
    except KeyboardInterrupt:
        return True, ""
    except BenchError as error:
        if not tally.cases:
            raise  # nothing was played: there is nothing to report but this
        return False, str(error)
    return False, "" if failed is None else str(failed)


def _verdicts(tally: Tally, wanted: set[str], *, only_touched: bool) -> tuple[Verdict, ...]:
    """Of scenarios a person chose only what they exercised counts, if they exercised anything."""
    verdicts = tuple(verdict for verdict in tally.verdicts() if verdict.requirement in wanted)
    touched = tuple(verdict for verdict in verdicts if verdict.outcome is not Outcome.NOT_EXERCISED)
    return touched if only_touched and touched else verdicts


def _tell(order: Order, record: dict[str, Any], verdicts: Sequence[Verdict], folder: Path) -> None:
    if order.as_json:
        emit(record)
        return
    from harness.report import terminal  # noqa: PLC0415 - rich is not needed for --json

    console = terminal.make_console()
    by_id = {verdict.requirement: verdict for verdict in verdicts}
    shown = [requirement for requirement in order.bench.rig.requirements if requirement.id in by_id]
    console.print(terminal.verdict_table(shown, by_id))
    console.print()
    terminal.print_reasons(console, verdicts, {})
    for text in record["errors"]:
        console.print(f"ERROR {text}", style=terminal.COLOURS[Outcome.ERROR], markup=False, soft_wrap=True)
    passed = sum(verdict.outcome is Outcome.PASS for verdict in verdicts)
    console.print(terminal.outcome_text(Outcome(record["outcome"])), end=": ")
    console.print(
        f"{passed} of {len(verdicts)} requirements passed, {record['scenarios']} scenarios in real time, "
        f"{record['duration_s']:.1f} s, {record['overruns']} late ticks",
        highlight=False,
    )
    terminal.print_packs(console, record["packs"])
    console.print(f"evidence: {folder}/report.html", highlight=False, markup=False, soft_wrap=True)
