# SPDX-License-Identifier: Apache-2.0
"""`bms-harness report`: the HTML report of a run directory again."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import emit, json_option


@click.command()
@click.argument("run_dir", type=click.Path(path_type=Path, exists=True, file_okay=False))
@json_option
def report(run_dir: Path, *, as_json: bool) -> None:
    """Write report.html of RUN_DIR again, from the recordings in it."""
    from harness.report.evidence import rewrite_report  # noqa: PLC0415 - not needed for --help

    path = rewrite_report(run_dir)
    if as_json:
        emit({"report": str(path)})
    else:
        click.echo(f"report: {path}")
