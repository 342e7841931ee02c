# SPDX-License-Identifier: Apache-2.0
"""`bms-harness defects`: every seeded defect of a firmware against every requirement, the kill matrix."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import emit, from_here, json_option, leave, shell_quote, write_whole
from harness.cli.failure import INTERRUPTED
from harness.cli.run import ProgressLine, ended_by_signal

if TYPE_CHECKING:
    from harness.rig.zoo import Matrix, ZooProgress


@click.command()
@click.argument("rig")
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
              help="Also write the matrix there, e.g. docs/kill-matrix.md.")  # fmt: skip
@click.option("--keep", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Keep the shrunk scenarios there; runs play those in fixtures/scenarios first.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
              help="Folder of the runs, whose reports show what each requirement killed.")  # fmt: skip
@json_option
def defects(
    rig: str, *, only: tuple[int, ...], sample: int | None, sequences: int, seed: int, full: bool, jobs: int | None,
    markdown: Path | None, keep: Path | None, out: Path, as_json: bool,
) -> None:  # fmt: skip
    """Prove that the suite of RIG finds the seeded defects of its firmware.

    The suite is played on the defect-free build first and must be green. Then every defect meets it until the
    requirement named for it has failed and the scenario is small. Ctrl-C ends it with the defects that are finished.
    """
    from harness.clock import utc_timestamp  # noqa: PLC0415 - not needed for --help
    from harness.report import killmatrix  # noqa: PLC0415 - see above
    from harness.report.terminal import make_console  # noqa: PLC0415 - see above
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.killrecord import matrix_file, matrix_record  # noqa: PLC0415 - see above
    from harness.rig.zoo import ZooBudget, run_zoo  # noqa: PLC0415 - see above

    loaded = load_rig(find_rig(rig))
    budget = ZooBudget(only=only, sample=sample, sequences=sequences, seed=seed, full=full)
    with ended_by_signal(), ProgressLine(make_console(stderr=True)) as line:
        matrix = run_zoo(loaded, budget=budget, jobs=jobs, progress=lambda progress: _show_progress(line, progress))
    record = matrix_record(matrix, date=utc_timestamp(), command=_command(rig, budget, markdown))
    kept = _keep(matrix, keep) if keep is not None else []
    if matrix.whole:  # a part of the list says nothing of what a requirement is worth
        write_whole(
            matrix_file(out, loaded.name), json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        )
    if markdown is not None:
        write_whole(markdown, killmatrix.markdown(record))
    if as_json:
        emit(record)
    else:
        _show(record, kept, markdown)
    if matrix.interrupted:
        sys.exit(INTERRUPTED)
    leave(matrix.outcome)


def _show_progress(line: ProgressLine, progress: ZooProgress) -> None:
    last = progress.last
    line.phase(progress.phase, progress.done, progress.total, f"{last.defect.id} {last.outcome.value}" if last else "")


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
    from harness.verdict import Outcome  # noqa: PLC0415 - see above

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
    from harness.verdict import Outcome  # noqa: PLC0415 - see above

    console = terminal.make_console()
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
    console.print(terminal.outcome_text(Outcome(record["outcome"])), end=": ")
    summary = f"{killmatrix.summary_line(record)}, {record['duration_s']:.0f} s, seed {record['seed']}"
    console.print(summary, highlight=False, soft_wrap=True)
    worthless = record["summary"]["not_verified"]
    console.print(f"{worthless} requirements killed nothing here: claimed, not verified", highlight=False)
    if kept:
        console.print(f"kept: {len(kept)} scenarios in {kept[0].parent}", highlight=False, markup=False)
    if markdown is not None:
        console.print(f"matrix: {markdown}", highlight=False, markup=False, soft_wrap=True)
