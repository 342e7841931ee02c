# SPDX-License-Identifier: Apache-2.0
"""`bms-harness export`: clause by requirement by verdict of a run, for other tools."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import emit, json_option, write_whole
from harness.errors import Problem, RigError


@click.command()
@click.argument("run", type=click.Path(path_type=Path, exists=True))
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE", help="Write the table there.")
@click.option("--reqif", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write ReqIF there: clauses, requirements, verdicts and which answers for which.")  # fmt: skip
@click.option("--needs", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Write needs.json of Sphinx-Needs there.")  # fmt: skip
@json_option
def export(run: Path, *, csv: Path | None, reqif: Path | None, needs: Path | None, as_json: bool) -> None:
    """Export which clauses, requirements and verdicts belong together in RUN, a run directory or its run.json.

    Without options all three are written into the run directory: coverage.csv, coverage.reqif, needs.json.
    """
    from harness import __version__  # noqa: PLC0415 - see above
    from harness.clock import utc_timestamp  # noqa: PLC0415 - not needed for --help
    from harness.report.clauses import completed, rows  # noqa: PLC0415 - see above
    from harness.report.exportcsv import csv_text  # noqa: PLC0415 - see above
    from harness.report.exportneeds import needs_text  # noqa: PLC0415 - see above
    from harness.rig.rundir import load_run  # noqa: PLC0415 - see above

    folder = run if run.is_dir() else run.parent
    if csv is reqif is needs is None:
        csv, reqif, needs = folder / "coverage.csv", folder / "coverage.reqif", folder / "needs.json"
    created, loaded = utc_timestamp(), load_run(run)
    texts: list[tuple[str, Path, str]] = []
    try:
        record, note = completed(loaded)
        count = sum(1 for _ in rows(record))
        if csv is not None:
            texts.append(("csv", csv, csv_text(record)))
        if reqif is not None:
            from harness.report.exportreqif import reqif_text  # noqa: PLC0415 - lxml is slow to import

            texts.append(("reqif", reqif, reqif_text(record, created=created)))
        if needs is not None:
            texts.append(("needs", needs, needs_text(record, created=created, version=__version__)))
    except (AttributeError, KeyError, TypeError, ValueError) as error:  # changed by hand, or of another tool
        found = f"what cannot be exported, {type(error).__name__}: {error}"
        raise RigError([Problem(str(run), 0, "", found, "a run.json written by bms-harness")]) from error
    for _, path, text in texts:
        write_whole(path, text)
    written = {name: str(path) for name, path, _ in texts}
    if as_json:
        emit({"written": written, "rows": count, "note": note})
        return
    if note:
        click.echo(f"note: {note}", err=True)
    for name, place in written.items():
        click.echo(f"{name}: {place}")
