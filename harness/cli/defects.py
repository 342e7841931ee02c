# SPDX-License-Identifier: Apache-2.0
"""`bms-harness defects`: every seeded defect of a firmware against every requirement, the kill matrix."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from harness.cli.common import (
    check_writable,
    emit,
    from_here,
    json_option,
    leave,
    refusals_told,
    shell_quote,
    write_whole,
)
from harness.cli.failure import INTERRUPTED
from harness.cli.run import ProgressLine, ended_by_signal
from harness.cli.several import rig_names
from harness.errors import HarnessError, UsageError
from harness.report.text import count_text
from harness.verdict import Outcome, overall

if TYPE_CHECKING:
    from rich.console import Console

    from harness.rig.zoo import Matrix, ZooBudget, ZooProgress

_RIG = "{rig}"


@click.command()
@click.argument("rigs", nargs=-1, required=True, metavar="RIG...")
@click.option("--only", type=click.IntRange(1), multiple=True, metavar="ID", help="This defect; may be repeated.")
@click.option("--sample", type=click.IntRange(1), metavar="N", help="N of the defects, drawn with the seed: for CI.")
@click.option("--sequences", type=click.IntRange(0), default=1000, show_default=True,
              help="Generated fault sequences played after corpus and boundary scenarios.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of sequences and sample."
)
@click.option("--full", is_flag=True, help="Play everything on every defect, so that all killers are known (slow).")
@click.option("--jobs", type=click.IntRange(1, 256), help="Worker processes; one a processor without.")
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Also write the matrix there, e.g. docs/kill-matrix.md; {rig} = the rig.")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep the shrunk scenarios there; runs play those in fixtures/scenarios first.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
              help="Folder of the runs, whose reports show what each requirement killed.")  # fmt: skip
@json_option
def defects(
    rigs: tuple[str, ...], *, only: tuple[int, ...], sample: int | None, sequences: int, seed: int, full: bool,
    jobs: int | None, markdown: Path | None, keep: Path | None, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Prove that the suite of RIG finds the seeded defects of its firmware.

    The suite is played on the defect-free build first and must be green. Then every defect meets it until the
    requirement named for it has failed and the scenario is small. Ctrl-C ends it with the defects that are finished.
    Several rigs are played one after the other; `all` is every shipped one.
    """
    from harness.report.terminal import make_console  # noqa: PLC0415 - not needed for --help
    from harness.rig.zoo import ZooBudget  # noqa: PLC0415 - see above

    names = rig_names(rigs)
    budget = ZooBudget(only=only, sample=sample, sequences=sequences, seed=seed, full=full)
    if len(names) > 1 and markdown is not None and _RIG not in markdown.name:
        raise UsageError(f"--markdown {markdown}: with several rigs the name needs {_RIG}, e.g. kill-matrix-{_RIG}.md")
    order = _Order(budget, jobs, markdown, keep, out, as_json)
    with ended_by_signal() as asked, ProgressLine(make_console(stderr=True), asked) as line:
        if len(names) == 1:
            done = _play(names[0], order, partial(_show_progress, line, ""))
        else:
            several = _play_several(names, order, line)
    if len(names) > 1:
        _leave_several(several, order)
    emit(done.record) if as_json else _show(done.record, done.kept, done.markdown)
    if done.record["interrupted"]:
        sys.exit(INTERRUPTED)
    leave(Outcome(done.record["outcome"]))


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be done with each rig."""

    budget: ZooBudget
    jobs: int | None
    markdown: Path | None
    keep: Path | None
    out: Path
    as_json: bool


@dataclass(frozen=True, slots=True)
class _Done:
    """One rig: its record, and what was written besides."""

    record: dict[str, Any]
    kept: list[Path]
    markdown: Path | None


def _play(rig: str, order: _Order, progress: Callable[[ZooProgress], None]) -> _Done:
    """The matrix of one rig, written where the order says. Raises what loading and building raise."""
    from harness.clock import utc_timestamp  # noqa: PLC0415 - not needed for --help
    from harness.report import killmatrix  # noqa: PLC0415 - see above
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.killrecord import matrix_file, matrix_record  # noqa: PLC0415 - see above
    from harness.rig.zoo import run_zoo  # noqa: PLC0415 - see above

    loaded = load_rig(find_rig(rig))
    page = order.markdown
    page = page.with_name(page.name.replace(_RIG, loaded.name)) if page is not None else None
    check_writable(page, matrix_file(order.out, loaded.name))
    matrix = run_zoo(loaded, budget=order.budget, jobs=order.jobs, progress=progress)
    record = matrix_record(matrix, date=utc_timestamp(), command=_command(rig, order.budget, page))
    kept = _keep(matrix, order.keep) if order.keep is not None else []
    if matrix.whole:  # a part of the list says nothing of what a requirement is worth
        document = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(matrix_file(order.out, loaded.name), document)
    if page is not None:
        write_whole(page, killmatrix.markdown(record))
    return _Done(record, kept, page)


def _play_several(names: Sequence[str], order: _Order, line: ProgressLine) -> list[dict[str, Any]]:
    """The records of the rigs, up to the one that was interrupted; one that cannot be played is an error."""
    records: list[dict[str, Any]] = []
    for place, name in enumerate(names, 1):
        told = f"{name} ({place}/{len(names)}) "
        try:
            with refusals_told():
                done = _play(name, order, partial(_show_progress, line, told))
        except HarnessError as error:
            records.append({"rig": name, "outcome": Outcome.ERROR.value, "interrupted": False, "error": str(error)})
            line.note(f"{told}ERROR {str(error).partition(chr(10))[0]}")
            continue
        except KeyboardInterrupt:  # while a rig was loaded or built: those before it stand
            return [*records, {"rig": name, "outcome": Outcome.NOT_EXERCISED.value, "interrupted": True, "error": ""}]
        records.append({**done.record, "error": ""})
        line.note(f"{told}{done.record['outcome']} after {done.record['duration_s']:.0f} s")
        if done.record["interrupted"]:
            break
    return records


def _leave_several(records: Sequence[Mapping[str, Any]], order: _Order) -> NoReturn:
    """Show them and leave with the worst outcome."""
    outcome = overall(Outcome(record["outcome"]) for record in records)
    interrupted = any(record["interrupted"] for record in records)
    if order.as_json:
        emit({"outcome": outcome.value, "interrupted": interrupted, "rigs": records})
    else:
        _show_several(records, outcome)
    if interrupted:
        sys.exit(INTERRUPTED)
    leave(outcome)


def _show_several(records: Sequence[Mapping[str, Any]], outcome: Outcome) -> None:
    from harness.report import killmatrix, terminal  # noqa: PLC0415 - rich is not needed for --json

    console = terminal.make_console()
    played = [record for record in records if "defects" in record]
    for record in played:
        console.print(f"{record['rig']}:", markup=False, highlight=False)
        _show_matrix(console, record)
        console.print()
    console.print(killmatrix.rigs_table(records))
    for record in records:
        for text in record["error"].splitlines():
            console.print(f"ERROR {record['rig']}: {text}", markup=False, highlight=False, soft_wrap=True)
    console.print(terminal.outcome_text(outcome), end=": ")
    found = sum(record["summary"]["caught"] for record in played)
    told = f"{found} of {sum(record['summary']['defects'] for record in played)} defects caught by the requirement"
    console.print(f"{told} named for them, on {count_text(len(played), 'rig')}", highlight=False)


def _show_progress(line: ProgressLine, told: str, progress: ZooProgress) -> None:
    last = progress.last
    line.phase(
        f"{told}{progress.phase}",
        progress.done,
        progress.total,
        f"{last.defect.id} {last.outcome.value}" if last else "",
    )


def _command(rig: str, budget: Any, markdown: Path | None) -> str:
    """What repeats the run with the same result."""
    words = ["bms-harness", "defects", rig, "--seed", str(budget.seed), "--sequences", str(budget.sequences)]
    for number in budget.only:
        words += ["--only", str(number)]
    words += ["--sample", str(budget.sample)] if budget.sample is not None else []
    words += ["--full"] if budget.full else []
    words += ["--markdown", from_here(markdown)] if markdown is not None else []
    return shell_quote(*words)


def _keep(matrix: Matrix, folder: Path) -> list[Path]:
    """Each shrunk scenario as a file of the corpus."""
    from harness.search.corpus import save_failure  # noqa: PLC0415 - only when asked for
    from harness.search.runner import FailureKey  # noqa: PLC0415 - see above

    return [
        save_failure(
            kill.scenario.model_copy(update={"title": f"{kill.caught_by} defect {kill.defect.id}: {kill.defect.name}"}),
            folder,
            key=FailureKey(kill.caught_by, Outcome.FAIL),
        )
        for kill in matrix.kills
        if kill.scenario is not None
    ]


def _show(record: Mapping[str, Any], kept: list[Path], markdown: Path | None) -> None:
    from harness.report import killmatrix, terminal  # noqa: PLC0415 - rich is not needed for --json

    console = terminal.make_console()
    _show_matrix(console, record)
    console.print(terminal.outcome_text(Outcome(record["outcome"])), end=": ")
    summary = f"{killmatrix.summary_line(record)}, {record['duration_s']:.0f} s, seed {record['seed']}"
    console.print(summary, highlight=False, soft_wrap=True)
    worthless = record["summary"]["not_verified"]
    console.print(f"{worthless} requirements killed nothing here: claimed, not verified", highlight=False)
    if kept:
        console.print(f"kept: {len(kept)} scenarios in {kept[0].parent}", highlight=False, markup=False)
    if markdown is not None:
        console.print(f"matrix: {markdown}", highlight=False, markup=False, soft_wrap=True)


def _show_matrix(console: Console, record: Mapping[str, Any]) -> None:
    """Every defect of a rig, and why one was not caught as it should be."""
    from harness.report import killmatrix  # noqa: PLC0415 - rich is not needed for --json

    failures = record["baseline"]["failures"]
    for failure in failures:
        what = ", ".join(failure["failed"]) or failure["error"]
        console.print(f"not green without a defect: {failure['title']}: {what}", markup=False, soft_wrap=True)
    if failures:
        text = f"no defect was played: make the defect-free build green first (bms-harness run {record['rig']})"
        console.print(text, markup=False, soft_wrap=True)
    else:
        console.print(killmatrix.kill_table(record["defects"]))
    for kill in record["defects"]:
        if kill["outcome"] != "caught":
            why = f"allowed: {kill['allowed']}" if kill["allowed"] else kill["error"] or kill["reason"] or kill["story"]
            console.print(f"{kill['outcome']} {kill['id']} {kill['name']}: {why}", markup=False, soft_wrap=True)
