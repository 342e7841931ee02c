# SPDX-License-Identifier: Apache-2.0
"""`bms-harness monitor`: what goes on on a CAN bus, decoded, live or from a recording."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.benchargs import bench_of, port_option
from harness.cli.common import Duration, emit, json_option
from harness.errors import HarnessError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.bench.monitor import Monitor
    from harness.bench.picture import Picture
    from harness.canbus.portmodel import CanPort, PortSettings, PortStatus
    from harness.canbus.product import Profile

DEFAULT_BITRATE = 500_000
Show = Callable[["Picture"], None]


@click.command()
@click.argument("reference", metavar="[RIG_OR_BENCH]", required=False)
@click.option("--profile", metavar="NAME_OR_FILE", help="Product profile: quantities, counters, checksums.")
@click.option("--dbc", type=click.Path(path_type=Path),
              help="A DBC file alone: signals by message. With --profile: its database.")  # fmt: skip
@click.option("--interface", help="Interface of python-can: slcan, socketcan, pcan, kvaser, remote, ...")
@click.option("--channel", help="Channel of the interface: /dev/ttyACM0, can0, 127.0.0.1:54701, ...")
@click.option("--bitrate", type=click.IntRange(10_000, 1_000_000), help="Bit/s; default: the rig's, or 500000.")
@click.option("--data-bitrate", type=click.IntRange(0, 12_000_000), help="Bit/s of CAN FD; 0 = classic CAN.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Further option of the interface.")
@port_option
@click.option("--for", "for_s", type=Duration(), help="How long; default: until Ctrl-C, a recording to its end.")
@click.option("--log", type=click.Path(path_type=Path, dir_okay=False),
              help="Record meanwhile: BLF, and ASC or MF4 besides when the file is called so.")  # fmt: skip
@click.option("--replay", type=click.Path(path_type=Path, dir_okay=False), help="A recording in place of an adapter.")
@click.option("--fast", is_flag=True, help="Play the recording at once, not at its own speed.")
@json_option
def monitor(reference: str | None, *, replay: Path | None, fast: bool, as_json: bool, **chosen: Any) -> None:
    """Show a CAN bus: decoded values, periods, alive counters, checksums, ages, unknown identifiers, bus load.

    Profile and adapter come from RIG_OR_BENCH (a rig has no adapter), or from the options, which come first. Nothing is
    sent. Ctrl-C ends it with a summary.
    """
    if replay is not None and (chosen["log"] or chosen["interface"] or chosen["channel"]):
        raise UsageError("--replay takes the place of an adapter: leave --interface, --channel and --log away")
    if fast and replay is None:
        raise UsageError("--fast is for recordings: name one with --replay")
    subject = _subject(reference, **chosen)
    run = _Run(subject, chosen["for_s"], as_json=as_json)
    if replay is not None:
        run.replay(replay, fast=fast)
    else:
        run.watch(chosen["log"])


@dataclass(frozen=True, slots=True)
class _Subject:
    """What to decode by, and where frames come from (None: only from a recording)."""

    name: str
    monitor: Monitor
    settings: PortSettings | None
    hint: str


def _subject(reference: str | None, *, profile: str | None, dbc: Path | None, **chosen: Any) -> _Subject:
    from harness.bench.monitor import Monitor  # noqa: PLC0415 - not needed for --help
    from harness.canbus.database import load_database  # noqa: PLC0415 - see above

    found = Found() if reference is None else found_of(reference, chosen["ports"])
    rates = {
        "bitrate": chosen["bitrate"] or found.bitrate,
        "data_bitrate": found.data_bitrate if chosen["data_bitrate"] is None else chosen["data_bitrate"],
    }
    settings = settings_of(found, rates, chosen)
    if dbc is not None and profile is None:
        database = load_database(dbc, strict=False)
        return _Subject(str(dbc), Monitor.of_database(database, **rates), settings, found.hint)
    product = _product(profile, dbc) if profile is not None else found.profile() if found.profile else None
    if product is None:
        raise UsageError("nothing to decode by: give a rig or bench file, --profile FILE or --dbc FILE")
    for note in product.notes:
        click.echo(f"note: {note}", err=True)
    return _Subject(product.title, Monitor.of_profile(product, **rates), settings, found.hint)


def _product(profile: str, dbc: Path | None) -> Profile:
    from harness.canbus.profile import load_profile  # noqa: PLC0415 - not needed for --help
    from harness.rig.profiles import find_profile  # noqa: PLC0415 - see above

    return load_profile(find_profile(profile), dbc=dbc)


@dataclass(frozen=True, slots=True)
class Found:
    """What a rig or bench file says."""

    profile: Callable[[], Profile] | None = None
    bitrate: int = DEFAULT_BITRATE
    data_bitrate: int = 0
    interface: str = ""
    channel: str | int = ""
    options: Mapping[str, Any] | None = None
    hint: str = ""


def found_of(reference: str, ports: Sequence[str]) -> Found:
    """What a rig or bench says of its product and its adapter."""
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - not needed for --help

    bench = bench_of(reference, ports)
    if bench is not None:
        can, bus, rig = bench.file.can, bench.rig.file.bus, bench.rig
        return Found(lambda: rig.profile, bus.bitrate, bus.data_bitrate, can.interface, can.channel, dict(can.options))
    virtual = load_rig(find_rig(reference))
    bus = virtual.file.bus
    hint = f"; {reference} is a virtual rig and names no adapter"
    return Found(lambda: virtual.profile, bus.bitrate, bus.data_bitrate, hint=hint)


def settings_of(found: Found, rates: Mapping[str, int], chosen: Mapping[str, Any]) -> PortSettings | None:
    """The adapter that is meant: options come first, then the bench file; None where there is none."""
    from harness.canbus.portmodel import PortSettings  # noqa: PLC0415 - not needed for --help

    interface = chosen["interface"] or found.interface
    if not interface:
        return None
    same = interface == found.interface
    channel = chosen["channel"] if chosen["channel"] is not None else (found.channel if same else "")
    options = {**(found.options or {})} if same else {}
    options |= dict(_option(word) for word in chosen["options"])
    return PortSettings(interface, channel, rates["bitrate"], rates["data_bitrate"], options)


def _option(word: str) -> tuple[str, str | int | float | bool]:
    name, equals, text = word.partition("=")
    if not (name and equals):
        raise UsageError(f"--option '{word}' is not NAME=VALUE; example: --option tty_baudrate=921600")
    if text.lower() in ("true", "false"):
        return name, text.lower() == "true"
    for kind in (int, float):
        try:
            return name, kind(text)
        except ValueError:
            continue
    return name, text


class _Run:
    """One run of the command: shows pictures while it lasts and the last one at the end."""

    def __init__(self, subject: _Subject, for_s: float | None, *, as_json: bool) -> None:
        self._subject, self._for_s, self._as_json = subject, for_s, as_json
        self._port: CanPort | None = None

    def replay(self, path: Path, *, fast: bool) -> None:
        """Play a recording."""
        from harness.bench.watching import replay  # noqa: PLC0415 - not needed for --help
        from harness.canbus.recorder import read_recording  # noqa: PLC0415 - see above
        from harness.clock import WallClock  # noqa: PLC0415 - see above

        recording = read_recording(path)
        for note in recording.notes:
            click.echo(f"note: {path}: {note}", err=True)

        def play(show: Show) -> float:
            return replay(recording.frames, self._subject.monitor, WallClock(), for_s=self._for_s, fast=fast, show=show)

        self._show(play, str(path), quiet=fast)

    def watch(self, log: Path | None) -> None:
        """Listen to an adapter."""
        settings = self._subject.settings
        if settings is None:
            raise UsageError(
                f"no adapter to listen to{self._subject.hint}: give --interface and --channel, or --replay LOG"
            )
        from harness.bench.watching import watch  # noqa: PLC0415 - not needed for --help
        from harness.canbus.livelog import LiveLog, formats_of  # noqa: PLC0415 - see above
        from harness.canbus.ports import open_port  # noqa: PLC0415 - see above
        from harness.clock import WallClock  # noqa: PLC0415 - see above

        clock = WallClock()
        formats = () if log is None else formats_of(log)
        with ExitStack() as stack:
            self._port = port = stack.enter_context(closing(open_port(settings, clock, listening=True)))
            recorder = None if log is None else stack.enter_context(LiveLog(log, clock, formats=formats))

            def listen(show: Show) -> float:
                return watch(port, self._subject.monitor, clock, for_s=self._for_s, show=show, log=recorder)

            self._show(listen, f"{settings.interface} {settings.channel}", quiet=False)

    def _show(self, play: Callable[[Show], float], source: str, *, quiet: bool) -> None:
        """Play with a live view where there is a terminal, then tell the end of it: also when it broke off."""
        error: HarnessError | None = None
        seconds: float | None = None
        try:
            seconds = self._play(play, quiet=quiet)
        except KeyboardInterrupt:
            pass  # the usual way to end it
        except HarnessError as lost:
            error = lost
        picture = self._subject.monitor.picture(seconds)
        status = None if self._port is None else self._port.status()
        if error is not None and self._as_json:
            raise error  # its document is the one of this command
        self._tell(picture, status, source)
        if error is not None:
            raise error

    def _play(self, play: Callable[[Show], float], *, quiet: bool) -> float:
        console = _console(stderr=self._as_json)
        if quiet or self._as_json or not console.is_terminal:
            return play(lambda _picture: None)
        from rich.live import Live  # noqa: PLC0415 - only on a terminal

        from harness.report.monitor import picture_view  # noqa: PLC0415 - see above

        with Live(console=console, auto_refresh=False, transient=True) as live:

            def show(picture: Picture) -> None:
                status = None if self._port is None else self._port.status()
                live.update(picture_view(picture, status, live=True), refresh=True)

            return play(show)

    def _tell(self, picture: Picture, status: PortStatus | None, source: str) -> None:
        if self._as_json:
            from harness.bench.picture import record  # noqa: PLC0415 - only for documents

            adapter = None if status is None else _status_record(status)
            emit({"source": source, "product": self._subject.name, "adapter": adapter, **record(picture)})
            return
        from harness.report.monitor import picture_view  # noqa: PLC0415 - rich is not needed for --json

        console = _console(stderr=False)
        console.print(f"{source}, decoded by {self._subject.name}", markup=False, highlight=False, soft_wrap=True)
        console.print(picture_view(picture, status, live=False), highlight=False)
        if not picture.seen:
            console.print(
                "not one frame is in the database: is it the one of this bus?"
                if picture.frames
                else "nothing was received: is the bus on, at this bit rate, and the adapter wired to it?",
                style="yellow",
            )


def _status_record(status: PortStatus) -> dict[str, Any]:
    return {name: getattr(status, name) for name in type(status).__dataclass_fields__} | {
        "state": status.state.name.lower()
    }


def _console(*, stderr: bool) -> Console:
    from harness.report.terminal import make_console  # noqa: PLC0415 - rich is not needed for --help

    return make_console(stderr=stderr)
