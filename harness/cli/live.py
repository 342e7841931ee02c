# SPDX-License-Identifier: Apache-2.0
"""What `shell` and `inject --live` share: a rig or bench in real time, in the end judged and kept as a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from harness.cli.failure import INTERRUPTED
from harness.errors import BenchError, FirmwareError

if TYPE_CHECKING:
    from harness.bench.live import LiveRig
    from harness.bench.shell import Answer, Shell
    from harness.rig.file import Rig
    from harness.rig.session import Run
    from harness.scenario import FaultAction, Start

Poke = tuple["Shell", Callable[[], None]]  # what takes the orders, and the loop that plays them


def poke(
    reference: str,
    ports: Mapping[str, str],
    start: Start,
    make: Callable[[LiveRig, str], Poke],
    *,
    repeat: str,
    out: Path | None,
    as_json: bool,
) -> NoReturn:
    """Run the loop that `make` gives for a rig or bench, then show, keep and leave as for any judged scenario.

    Every way out goes through the safe state first. A bench or firmware that fails ends in a run with an error.
    """
    from harness.bench.shellopen import judged  # noqa: PLC0415 - not needed for --help
    from harness.cli.single import tell  # noqa: PLC0415 - see above

    rig, run, interrupted = _poked(reference, ports, start, make)
    if interrupted:
        click.echo("interrupted; what was done so far is judged and kept", err=True)
    try:
        tell(rig, judged(run, rig), repeat=repeat, out=out, as_json=as_json, time="real time")
    except SystemExit:
        if interrupted:
            sys.exit(INTERRUPTED)
        raise


def _poked(
    reference: str, ports: Mapping[str, str], start: Start, make: Callable[[LiveRig, str], Poke]
) -> tuple[Rig, Run, bool]:
    """The rig, what was done, and whether Ctrl-C ended it. What was recorded is not lost with the bench."""
    from harness.bench.shellopen import ended, opened  # noqa: PLC0415 - not needed for --help

    run: Run | None = None
    rig: Rig | None = None
    interrupted = False
    try:
        with opened(reference, ports, start) as it:
            rig = it.live.rig
            shell, loop = make(it.live, it.name)
            error = ""
            try:
                loop()
            except KeyboardInterrupt:
                interrupted = True
            except (BenchError, FirmwareError) as failure:
                error = str(failure)
            run = ended(shell, error)
    except (BenchError, FirmwareError) as failure:  # on the way to the safe state
        if run is None:
            raise
        run = replace(run, error=str(failure))
    assert rig is not None
    return rig, run, interrupted


def one_shot(live: LiveRig, name: str, start: Start, action: FaultAction, length_s: float, *, as_json: bool) -> Poke:
    """One fault at its time, and every reaction printed as it happens."""
    from harness.bench.shell import Shell  # noqa: PLC0415 - not needed for --help

    def say(answer: Answer) -> None:
        click.echo(f"{answer.t_s:9.3f} s  {answer.text}", err=as_json)

    shell = Shell(live, rig=name, start=start, say=say)

    def loop() -> None:
        begun = False
        while live.now_s < length_s - live.tick_s / 2:
            if not begun and live.now_s >= action.at_s - live.tick_s / 2:
                begun = True
                shell.inject(action)
            live.step()
            shell.tick()
        click.echo(err=as_json)

    return shell, loop
