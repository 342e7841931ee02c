# SPDX-License-Identifier: Apache-2.0
"""`bms-harness serve`: a virtual BMS in real time, on any CAN adapter, with emulated instruments on its pins."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import Duration, json_option, shell_quote
from harness.errors import UsageError

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table

    from harness.bench.boxed import Place, ServedBox
    from harness.bench.file import Bench
    from harness.clock import Clock
    from harness.rig.file import Rig

_SHOW_NS = 500_000_000


@click.command()
@click.argument("rig", metavar="RIG_OR_BENCH")
@click.option("--interface", help="Interface of python-can for CAN, e.g. socketcan, pcan, slcan, udp_multicast.")
@click.option("--channel", help="Its channel, e.g. can0.")
@click.option(
    "--folder", type=click.Path(path_type=Path, file_okay=False),
    help="Make pseudo-terminals with links in this folder: 'can' for an SLCAN adapter, one for each instrument.",
)  # fmt: skip
@click.option(
    "--tcp", "tcp_port", type=click.IntRange(1, 65_535),
    help="Serve the instruments at TCP ports of this machine from here on, CAN by python-can-remote behind them.",
)  # fmt: skip
@click.option("--for", "for_s", type=Duration(), help="End after this time, e.g. 60s; until Ctrl-C without.")
@click.option("--rest-bus", is_flag=True, help="Send the messages of vehicle and charger too; off: others do.")
@click.option("--plant", is_flag=True, help="What no instrument has given yet comes from the virtual pack.")
@click.option(
    "--state", "state_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the state as JSON here."
)
@json_option
def serve(
    rig: str, *, interface: str | None, channel: str | None, folder: Path | None, tcp_port: int | None,
    for_s: float | None, rest_bus: bool, plant: bool, state_file: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Be the controller of RIG_OR_BENCH in real time, for other programs and for the bench path without hardware.

    A rig lives on its virtual pack. A bench has its instruments, which are off at first: the controller has no supply
    until they are switched on, or --plant is given. Orders on standard input make things go wrong: 'help' lists them.
    Ctrl-C ends it.

    Example: bms-harness serve rigs/bench/ebus-lfp-box.toml --folder /tmp/box
    """
    from harness.bench.boxed import Places, ServedBox  # noqa: PLC0415 - not needed for --help
    from harness.clock import WallClock  # noqa: PLC0415 - see above
    from harness.instruments.priority import processor_first  # noqa: PLC0415 - see above

    _check_places(interface, channel, folder, tcp_port)
    loaded, bench = _load(rig)
    clock = WallClock()
    places = Places(interface, channel, folder, tcp_port, state_file, rest_bus=rest_bus, plant=plant)
    with _ended_by_signal(), processor_first(), ServedBox(places, loaded, bench, clock) as box:
        _announce(box, loaded, bench, as_json=as_json)
        with suppress(KeyboardInterrupt):  # the way a server is ended
            _loop(box, clock, for_s, show=not as_json and sys.stdout.isatty())
    if not as_json:
        click.echo("ended; links and ports are gone")


def _check_places(interface: str | None, channel: str | None, folder: Path | None, tcp_port: int | None) -> None:
    if (interface is None) != (channel is None):
        raise UsageError("--interface and --channel go together; example: --interface socketcan --channel can0")
    if folder is not None and tcp_port is not None:
        raise UsageError("--folder and --tcp are two ways to reach the same ports; choose one")
    if interface is None and folder is None and tcp_port is None:
        raise UsageError(
            "where is the bus? allowed: --interface I --channel C for a CAN adapter, --folder DIR for "
            "pseudo-terminals, "
            "--tcp PORT for TCP; example: --folder /tmp/box"
        )


def _load(name: str) -> tuple[Rig, Bench | None]:
    from harness.bench.file import is_bench_file, load_bench  # noqa: PLC0415 - not needed for --help
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above

    path = find_rig(name)
    if is_bench_file(path):
        bench = load_bench(path)
        return bench.rig, bench
    return load_rig(path), None


@contextmanager
def _ended_by_signal() -> Iterator[None]:
    """SIGTERM ends it like Ctrl-C; a job in the background that looks at its terminal is not stopped for it."""
    before = [
        (signal.SIGTERM, signal.signal(signal.SIGTERM, signal.default_int_handler)),
        (signal.SIGTTIN, signal.signal(signal.SIGTTIN, signal.SIG_IGN)),
    ]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


def _announce(box: ServedBox, rig: Rig, bench: Bench | None, *, as_json: bool) -> None:
    places, command = box.places(), _other_side(box, rig, bench)
    if as_json:
        document = {
            "ready": True,
            "pid": os.getpid(),
            "rig": rig.name,
            "ports": box.ports(),
            "places": [{"name": p.name, "what": p.what, "address": p.address} for p in places],
            "command": command,
        }
        click.echo(json.dumps(document))
        return
    from harness.report.terminal import make_console  # noqa: PLC0415 - rich is not needed for --json

    console = make_console()
    console.print(_places_table(places))
    console.print("\nfrom the other side:", highlight=False)
    console.print(command, highlight=False, markup=False, soft_wrap=True)
    console.print("\nCtrl-C ends it; 'help' and Enter lists what can be made to go wrong\n", highlight=False)


def _other_side(box: ServedBox, rig: Rig, bench: Bench | None) -> str:
    """The command that talks to this box, ready to be pasted."""
    ports = box.ports()
    if bench is not None and len(box.places()) > 1:
        words = [word for name, port in ports.items() for word in ("--port", f"{name}={port}")]
        return shell_quote("bms-harness", "run", str(bench.path), *words)
    words = ["--interface", ports["can-interface"], "--channel", ports["can"]]
    return shell_quote("bms-harness", "monitor", str(rig.path), *words)


def _places_table(places: tuple[Place, ...]) -> Table:
    from rich.table import Table  # noqa: PLC0415 - only for people

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("what", "driver or interface", "where"):
        table.add_column(title, no_wrap=True)
    for place in places:
        table.add_row(place.name, place.what, place.address)
    return table


def _loop(box: ServedBox, clock: Clock, for_s: float | None, *, show: bool) -> None:
    from harness.bench.box_input import LineInput  # noqa: PLC0415 - not needed for --help
    from harness.clock import NS_PER_S  # noqa: PLC0415 - see above

    orders = LineInput(sys.stdin)
    end_ns = None if for_s is None else clock.now_ns() + int(for_s * NS_PER_S)
    next_ns = 0
    with _live(show=show) as live:
        while not box.switchboard.ended and (end_ns is None or clock.now_ns() < end_ns):
            _tell(box.step)
            for line in orders.lines():
                _order(box, line)
            if live is not None and clock.now_ns() >= next_ns:
                live.update(_status(box.state()), refresh=True)
                next_ns = clock.now_ns() + _SHOW_NS


def _order(box: ServedBox, line: str) -> None:
    from harness.bench.box_orders import HELP  # noqa: PLC0415 - only when asked

    if line == "help":
        click.echo(HELP, err=True)
        return
    _tell(lambda: box.switchboard.order(line))


def _tell(act: Callable[[], None]) -> None:
    """An order that is none is told and changes nothing."""
    try:
        act()
    except UsageError as error:
        click.echo(f"error: {error}", err=True)


@contextmanager
def _live(*, show: bool) -> Iterator[Live | None]:
    if not show:
        yield None
        return
    from rich.live import Live  # noqa: PLC0415 - only for people

    from harness.report.terminal import make_console  # noqa: PLC0415 - see above

    with Live(console=make_console(), auto_refresh=False) as live:
        yield live


def _status(state: Mapping[str, Any]) -> Table:
    """Two lines: the controller with its bus, and the instruments."""
    from rich.table import Table  # noqa: PLC0415 - only for people

    bms, can = state["bms"], state["can"]
    closed = [name.removeprefix("contactor_") for name, on in bms.items() if on is True]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("BMS", f"{bms['state'] or 'silent'}, contactors closed: {', '.join(closed) or 'none'}")
    if state["stalls"]:
        table.add_row("late", f"{state['stalls']} ticks: this machine is busy, the controller was too")
    table.add_row("CAN", f"load {can['load']:.0%}, {can['sent']} frames sent, {can['received']} received")
    for name, instrument in state["instruments"].items():
        words = ["outputs off" if instrument["off"] else "on"]
        words += [] if instrument["plugged"] else ["unplugged"]
        words += [instrument["fault"]] if instrument["fault"] else []
        table.add_row(name, ", ".join(words))
    if state["acting"]:
        table.add_row("acting", ", ".join(state["acting"]))
    return table
