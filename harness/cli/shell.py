# SPDX-License-Identifier: Apache-2.0
"""`bms-harness shell`: a rig or a bench in real time, poked by hand."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.benchargs import parse_ports, port_option
from harness.cli.common import json_option, shell_quote

if TYPE_CHECKING:
    from harness.bench.shellopen import Opened
    from harness.bench.shellplain import Plain
    from harness.bench.shellscreen import Screen
    from harness.cli.live import Poke
    from harness.scenario import Start


@click.command()
@click.argument("rig")
@port_option
@click.option("--start", type=click.Choice(["off", "standby", "drive", "charge"]), default="standby", show_default=True)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("runs"),
    show_default=True,
    help="The run is kept in a folder below this one.",
)
@json_option
def shell(rig: str, *, ports: tuple[str, ...], start: Start, out: Path, as_json: bool) -> None:  # fmt: skip
    r"""Poke RIG, or the bench of a bench file, while it runs.

    On a terminal: a live table and a prompt; 'help' lists the commands, Tab completes. Otherwise commands are read
    from standard input, one line of answer each. In the end what was done is judged and kept as a run.

    Example: printf 'drive\nwait 2s\ninject hvil-open\nwait 2s\n' | bms-harness shell ebus-lfp
    """
    from harness.cli.live import poke  # noqa: PLC0415 - not needed for --help
    from harness.cli.single import RUN_DIR  # noqa: PLC0415 - see above

    repeat = shell_quote("bms-harness", "replay", f"{RUN_DIR}/scenario.toml")
    view = _view(as_json=as_json)  # before anything is energised: it takes a moment to load

    def make(it: Opened) -> Poke:
        from harness.bench.shell import Shell  # noqa: PLC0415 - not needed for --help

        poked = Shell(it.live, rig=it.name, start=start, say=view.say, refuse=it.refuse)
        return poked, lambda: view.run(poked)

    poke(rig, parse_ports(ports), start, make, repeat=repeat, out=out, as_json=as_json)


def _view(*, as_json: bool) -> Screen | Plain:
    """What feeds the shell: a screen on a terminal, else lines from standard input."""
    if sys.stdin.isatty() and sys.stdout.isatty() and not as_json:
        from harness.bench.shellscreen import Screen  # noqa: PLC0415 - prompt_toolkit only on a terminal

        return Screen()
    from harness.bench.shellplain import Plain  # noqa: PLC0415 - see above

    return Plain(sys.stdin, lambda line: click.echo(line, err=as_json))
