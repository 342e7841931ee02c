# SPDX-License-Identifier: Apache-2.0
"""`bms-harness doctor`: is this bench, or this virtual rig, ready? One line a check, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.cli.benchargs import bench_of, port_option
from harness.cli.common import emit, json_option
from harness.errors import BenchError, UsageError

if TYPE_CHECKING:
    from harness.bench.checks import Check
    from harness.bench.file import Bench

_MARKS = {"ok": "ok", "problem": "PROBLEM", "not checked": "-"}


@click.command()
@click.argument("rig")
@port_option
@click.option("--power", is_flag=True, help="Also supply the controller, in standby, and check what it sends.")
@click.option("--acknowledge", metavar="TEXT", help="Clear the latch of a bench that failed: who looked at it, and why "
              "it may be energised again.")  # fmt: skip
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), default=Path("runs"), show_default=True,
              help="Folder recordings go to.")  # fmt: skip
@json_option
def doctor(
    rig: str, *, ports: tuple[str, ...], power: bool, acknowledge: str | None, out: Path, as_json: bool
) -> None:  # fmt: skip
    """Look over the bench of a bench file, or a virtual RIG: each line ok, or what to do.

    Nothing is energised without --power. The exit code is 3 when something is not ok.
    """
    bench = bench_of(rig, ports)
    if acknowledge is not None:
        _acknowledge(rig, bench, acknowledge, as_json=as_json)
        return
    if bench is None and power:
        raise UsageError(f"--power: {rig} is a virtual rig, there is nothing to supply")
    checks = list(_shown(_examine(rig, bench, out, power=power), as_json=as_json))
    fine = all(check.state == "ok" for check in checks)
    if as_json:
        emit({"rig": rig, "ok": fine, "checks": [check.record() for check in checks]})
    sys.exit(0 if fine else BenchError.exit_code)


def _examine(rig: str, bench: Bench | None, out: Path, *, power: bool) -> Iterator[Check]:
    from harness.clock import WallClock  # noqa: PLC0415 - not needed for --help

    if bench is not None:
        from harness.bench.doctor import examine  # noqa: PLC0415 - see above

        return examine(bench, WallClock(), out=out, power=power)
    from harness.bench.doctor_virtual import examine_rig  # noqa: PLC0415 - see above
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above

    loaded = load_rig(find_rig(rig))
    loaded.read_all()
    return examine_rig(loaded, WallClock())


def _shown(checks: Iterable[Check], *, as_json: bool) -> Iterator[Check]:
    """Each line as soon as it is known."""
    for check in checks:
        if not as_json:
            click.echo(f"{_MARKS[check.state]:<8} {check.name:<22} {check.found}")
            if check.remedy:
                click.echo(f"{'':<31} -> {check.remedy}")
        yield check


def _acknowledge(rig: str, bench: Bench | None, who_and_why: str, *, as_json: bool) -> None:
    from harness.bench.latch import Latch, event_text  # noqa: PLC0415 - not needed for --help

    if bench is None:
        raise UsageError(f"--acknowledge: {rig} is a virtual rig, it never latches; name the bench file")
    latch = Latch(bench.path)
    events = latch.acknowledge(who_and_why)
    if as_json:
        emit({"bench": str(bench.path), "acknowledged": who_and_why, "events": events, "history": str(latch.history)})
        return
    for event in events:
        click.echo(f"was: {event_text(event)}")
    click.echo(f"acknowledged: {who_and_why}; kept in {latch.history}")
