# SPDX-License-Identifier: Apache-2.0
"""What `shell` and `inject --live` share: a rig or bench in real time, in the end judged and kept as a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import click

from harness.cli.failure import INTERRUPTED
from harness.errors import BenchError, FirmwareError, UsageError

if TYPE_CHECKING:
    from harness.bench.shell import Answer, Shell
    from harness.bench.shellopen import Opened
    from harness.rig.file import Rig
    from harness.rig.rundir import RunDirectory
    from harness.rig.session import Run
    from harness.scenario import FaultAction, Start

Poke = tuple["Shell", Callable[[], None]]  # what takes the orders, and the loop that plays them


def poke(
    reference: str,
    ports: Mapping[str, str],
    start: Start,
    make: Callable[[Opened], Poke],
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

    if out is not None:
        try:
            out.mkdir(parents=True, exist_ok=True)  # now: after an hour of poking it would be too late to hear of it
        except OSError as error:
            raise UsageError(f"--out {out}: {error.strerror}") from error
    rig, run, interrupted, directory = _poked(reference, ports, start, make, out)
    if interrupted:
        click.echo("interrupted; what was done so far is judged and kept", err=True)
    try:
        tell(rig, judged(run, rig), repeat=repeat, out=out, as_json=as_json, time="real time", recorded=directory)
    except SystemExit:
        if interrupted:
            sys.exit(INTERRUPTED)
        raise


def _poked(
    reference: str, ports: Mapping[str, str], start: Start, make: Callable[[Opened], Poke], out: Path | None
) -> tuple[Rig, Run, bool, RunDirectory | None]:
    """The rig, what was done, whether Ctrl-C ended it, and the folder of the recording of a bench.

    What was recorded is not lost with the bench.
    """
    from harness.bench.shellopen import ended, opened  # noqa: PLC0415 - not needed for --help

    it: Opened | None = None
    shell: Shell | None = None
    interrupted, error = False, ""
    try:
        with opened(reference, ports, start, out) as it:
            shell, loop = make(it)
            try:
                loop()
            except KeyboardInterrupt:
                interrupted = True
            except (BenchError, FirmwareError) as failure:
                error = str(failure)
            shell.finish()
    except (BenchError, FirmwareError) as failure:  # on the way to the safe state
        if shell is None or not shell.finished:
            raise
        error = error or str(failure)
    assert it is not None
    assert shell is not None
    return it.live.rig, ended(shell, error), interrupted, it.directory


def one_shot(it: Opened, start: Start, action: FaultAction, length_s: float, *, as_json: bool) -> Poke:
    """One fault at its time, and every reaction printed as it happens."""
    from harness.bench.shell import Shell  # noqa: PLC0415 - not needed for --help

    def say(answer: Answer) -> None:
        click.echo(f"{answer.t_s:9.3f} s  {answer.text}", err=as_json)

    live = it.live
    shell = Shell(live, rig=it.name, start=start, say=say, refuse=it.refuse)

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
