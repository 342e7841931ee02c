# SPDX-License-Identifier: Apache-2.0
"""`bms-harness shell`: a rig or a bench in real time, poked by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.common import json_option, shell_quote
from harness.cli.failure import INTERRUPTED
from harness.errors import BenchError, FirmwareError, UsageError

if TYPE_CHECKING:
    from harness.bench.live import LiveRig
    from harness.bench.shell import Shell
    from harness.bench.shellplain import Plain
    from harness.bench.shellscreen import Screen
    from harness.scenario import Start


@click.command()
@click.argument("rig")
@click.option(
    "--port", "ports", multiple=True, metavar="NAME=URL", help="Port of an instrument or of 'can' of a bench."
)
@click.option("--start", type=click.Choice(["off", "standby", "drive", "charge"]), default="standby", show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="The run is kept in a folder below this one.",
)
@json_option
def shell(rig: str, *, ports: tuple[str, ...], start: str, out: Path, as_json: bool) -> None:  # fmt: skip
    r"""Poke RIG, or the bench of a bench file, while it runs.

    On a terminal: a live table and a prompt; 'help' lists the commands, Tab completes. Otherwise commands are read
    from standard input, one line of answer each:

    Example: printf 'drive\nwait 2s\ninject hvil-open\nwait 2s\n' | bms-harness shell ebus-lfp
    """
    from harness.bench.shellopen import ended, judged, opened  # noqa: PLC0415 - not needed for --help
    from harness.cli.single import RUN_DIR, tell  # noqa: PLC0415 - see above

    begin: Start = start  # type: ignore[assignment] # click allows only these
    interrupted = False
    with opened(rig, parse_ports(ports), begin) as it:
        poked, view = _shell(it.live, it.name, begin, as_json=as_json)
        error = ""
        try:
            view.run(poked)
        except KeyboardInterrupt:
            interrupted = True
        except (BenchError, FirmwareError) as failure:
            error = str(failure)
        run = ended(poked, error)
    run = judged(run, it.live.rig)
    if interrupted:
        click.echo("interrupted; what was done so far is judged and kept", err=True)
    repeat = shell_quote("bms-harness", "replay", f"{RUN_DIR}/scenario.toml")
    try:
        tell(it.live.rig, run, repeat=repeat, out=out, as_json=as_json, time="real time")
    except SystemExit:
        if interrupted:
            sys.exit(INTERRUPTED)
        raise


def parse_ports(words: tuple[str, ...]) -> dict[str, str]:
    """NAME=URL words as a table. Raises UsageError."""
    table: dict[str, str] = {}
    for word in words:
        name, equals, url = word.partition("=")
        if not equals or not name or not url:
            raise UsageError(f"--port {word}: not NAME=URL; example: --port cells=/dev/ttyUSB0")
        if name in table:
            raise UsageError(f"--port {name} is given twice")
        table[name] = url
    return table


def _shell(live: LiveRig, name: str, start: Start, *, as_json: bool) -> tuple[Shell, Screen | Plain]:
    """The shell and what feeds it: a screen on a terminal, else lines from standard input."""
    from harness.bench.shell import Shell  # noqa: PLC0415 - not needed for --help

    view: Screen | Plain
    if sys.stdin.isatty() and sys.stdout.isatty() and not as_json:
        from harness.bench.shellscreen import Screen  # noqa: PLC0415 - prompt_toolkit only on a terminal

        view = Screen()
    else:
        from harness.bench.shellplain import Plain  # noqa: PLC0415 - see above

        view = Plain(sys.stdin.fileno(), lambda line: click.echo(line, err=as_json))
    return Shell(live, rig=name, start=start, say=view.say), view
