# SPDX-License-Identifier: Apache-2.0
"""`bms-harness mutants`: small changes anywhere in the firmware, and how many of them the suite notices."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import check_writable, emit, from_here, json_option, leave, shell_quote, write_whole
from harness.cli.failure import INTERRUPTED
from harness.cli.run import ProgressLine, ended_by_signal

if TYPE_CHECKING:
    from harness.rig.mutants import MutantBudget, MutantProgress


@click.command()
@click.argument("rig")
@click.option("--mutants", "--sample", "sample", type=click.IntRange(1), metavar="N", default=300, show_default=True,
              help="N of the mutants, drawn with the seed.")  # fmt: skip
@click.option("--all", "everything", is_flag=True, help="Every mutant instead of a sample (slow).")
@click.option("--file", "files", multiple=True, metavar="NAME", help="Only mutants of this source; may be repeated.")
@click.option("--sequences", type=click.IntRange(0), default=0, show_default=True,
              help="Generated fault sequences played besides corpus and boundary scenarios.")  # fmt: skip
@click.option(
    "--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of sample and sequences."
)
@click.option("--jobs", type=click.IntRange(1, 256), help="Worker processes; one a processor without.")
@click.option("--from", "kept", type=click.Path(path_type=Path, dir_okay=False, exists=True), metavar="FILE",
              help="Play nothing: the record of an earlier campaign with the reasons as they are now.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
              help="Folder of the runs, where the record is kept.")  # fmt: skip
@click.option("--markdown", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Also write the result there, e.g. docs/mutants.md.")  # fmt: skip
@json_option
def mutants(
    rig: str, *, sample: int, everything: bool, files: tuple[str, ...], sequences: int, seed: int, jobs: int | None,
    kept: Path | None, out: Path, markdown: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Measure the suite of RIG on its firmware: mutants of single statements, operators and constants.

    All mutants are compiled into one library. The suite must be green without one. Then each mutant plays the
    scenarios in which it makes a difference, until a requirement fails. A crash or a hang is an error, never a kill.
    Ctrl-C ends it with the mutants that are finished.
    """
    from harness.clock import utc_timestamp  # noqa: PLC0415 - not needed for --help
    from harness.report import mutantpage  # noqa: PLC0415 - see above
    from harness.report.terminal import make_console  # noqa: PLC0415 - see above
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.mutantrecord import load_record, mutation_of, mutation_record, record_file  # noqa: PLC0415 - see above
    from harness.rig.mutants import MutantBudget, run_mutants  # noqa: PLC0415 - see above

    loaded = load_rig(find_rig(rig))
    check_writable(markdown)
    if kept is not None:
        before = load_record(kept)
        mutation = mutation_of(before, loaded)
        record = mutation_record(mutation, date=before["date"], command=before["command"])
    else:
        budget = MutantBudget(sample=None if everything else sample, files=files, sequences=sequences, seed=seed)
        check_writable(record_file(out, loaded.name))
        with ended_by_signal() as asked, ProgressLine(make_console(stderr=True), asked) as line:
            mutation = run_mutants(
                loaded, budget=budget, jobs=jobs, progress=lambda progress: _show_progress(line, progress)
            )
        record = mutation_record(mutation, date=utc_timestamp(), command=_command(rig, budget, markdown))
        write_whole(
            record_file(out, loaded.name), json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )
    if markdown is not None:
        write_whole(markdown, mutantpage.markdown(record))
    if as_json:
        emit(record)
    else:
        _show(record, markdown)
    if mutation.interrupted:
        sys.exit(INTERRUPTED)
    leave(mutation.outcome)


def _show_progress(line: ProgressLine, progress: MutantProgress) -> None:
    last = progress.last
    line.phase(progress.phase, progress.done, progress.total, f"{last.mutant.name} {last.fate.value}" if last else "")


def _command(rig: str, budget: MutantBudget, markdown: Path | None) -> str:
    """What repeats the campaign with the same result."""
    words = ["bms-harness", "mutants", rig, "--seed", str(budget.seed), "--sequences", str(budget.sequences)]
    words += ["--all"] if budget.sample is None else ["--mutants", str(budget.sample)]
    for name in budget.files:
        words += ["--file", name]
    words += ["--markdown", from_here(markdown)] if markdown is not None else []
    return shell_quote(*words)


def _show(record: Mapping[str, Any], markdown: Path | None) -> None:
    from harness.report import mutantpage, terminal  # noqa: PLC0415 - rich is not needed for --json
    from harness.verdict import Outcome  # noqa: PLC0415 - see above

    console = terminal.make_console()
    for failure in record["baseline"]:
        what = ", ".join(failure["failed"]) or failure["error"]
        console.print(f"not green without a mutant: {failure['title']}: {what}", markup=False, soft_wrap=True)
    for trial in mutantpage.survivors_of(record):
        reason = trial["reason"]
        told = f"{reason['kind']}: {reason['text']}" if reason else "no reason given"
        text = f"{trial['fate']:<11} {trial['place']} {trial['function']}: {trial['change']} [{told}]"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    for lost in record["unused_reasons"]:
        console.print(f"a reason fits no mutant any more: {lost}", markup=False, highlight=False, soft_wrap=True)
    console.print(terminal.outcome_text(Outcome(record["outcome"])), end=": ")
    console.print(f"{mutantpage.summary_line(record)}, {record['duration_s']:.0f} s", highlight=False, soft_wrap=True)
    if markdown is not None:
        console.print(f"page: {markdown}", highlight=False, markup=False, soft_wrap=True)
