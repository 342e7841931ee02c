# SPDX-License-Identifier: Apache-2.0
"""`bms-harness soak`: days and years of a rig, with time passing at once where nothing happens."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import check_writable, emit, json_option, leave, shell_quote, write_whole
from harness.cli.failure import INTERRUPTED
from harness.errors import UsageError
from harness.verdict import Outcome

if TYPE_CHECKING:
    from harness.rig.file import Rig
    from harness.rig.longrun import LongRun, Progress
    from harness.scenario import LongScenario

_DAY_S = 86_400.0
_UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": _DAY_S}
_SHOWN = 30  # happenings on the terminal


class LongTime(click.ParamType[float]):
    """A time such as 30d, 12h, 5min or 2s; at most 1000 days."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Seconds."""
        if isinstance(value, (int, float)):
            return float(value)
        text = str(value).strip()
        unit = next((unit for unit in sorted(_UNITS_S, key=len, reverse=True) if text.endswith(unit)), "")
        try:
            seconds = float(text.removesuffix(unit)) * _UNITS_S[unit]
        except (KeyError, ValueError):
            seconds = -1.0
        if not 0.0 <= seconds <= 1000.0 * _DAY_S:
            self.fail(
                f"'{text}' is not a time; allowed: a number with s, min, h or d, up to 1000d, e.g. 30d", param, ctx
            )
        return seconds


@click.command()
@click.argument("rig")
@click.argument("fault", required=False)
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--for", "length_s", type=LongTime(), default="30d", show_default=True, help="Length of the run, e.g. 30d."
)
@click.option("--at", "at_s", type=LongTime(), default="1d", show_default=True, help="When the fault begins.")
@click.option("--start", type=click.Choice(["off", "standby", "drive", "charge"]), default="drive", show_default=True)
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True)
@click.option("--stride", "stride_s", type=LongTime(), default="5min", show_default=True, help="What may pass at once.")
@click.option("--tick-by-tick", is_flag=True, help="Let no time pass at once: slow, to compare with.")
@click.option("--defect", type=click.IntRange(min=1), help="On the firmware with this seeded defect.")
@click.option("--scenario", "file", type=click.Path(path_type=Path, dir_okay=False), help="Play this file instead.")
@click.option("--csv", type=click.Path(path_type=Path, dir_okay=False), help="Write the course of the run there.")
@json_option
def soak(
    rig: str, fault: str | None, parameters: tuple[str, ...], *, length_s: float, at_s: float, start: str, seed: int,
    stride_s: float, tick_by_tick: bool, defect: int | None, file: Path | None, csv: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Run RIG for days or years, with FAULT from some moment on, and judge every requirement all the way.

    Where nothing happens time passes at once: no fault, event or change of the load, no reading near a limit or on the
    move, nothing under way in the firmware. Everything else is played tick by tick. Ctrl-C ends it and keeps what was
    played.

    Example: bms-harness soak ups-lfp internal-short cell=80 resistance_ohm=10 --for 30d --at 1d
    """
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - not needed for --help

    if file is not None and (fault or parameters):
        raise UsageError("--scenario has its own faults: FAULT and KEY=VALUE are for a run without a file")
    loaded = load_rig(find_rig(rig))
    loaded.read_all()
    table: dict[str, Any] = {"rig": rig, "start": start, "seed": seed, "duration_s": length_s}
    if fault:
        table["action"] = [_action(fault, parameters, at_s)]
    scenario = _scenario(loaded, table, file)
    check_writable(csv)
    run = _play(loaded, scenario, 0.0 if tick_by_tick else stride_s, defect or 0)
    if csv is not None:
        write_whole(csv, _csv(run))
    words = sys.argv[1:] if sys.argv[1:2] == ["soak"] else ["soak", rig]
    if as_json:
        emit(_record(loaded, run))
    else:
        _show(loaded, run, repeat=shell_quote("bms-harness", *words))
    if run.interrupted:
        click.echo(f"interrupted after {_long(run.done_s)} of the run", err=True)
        sys.exit(INTERRUPTED)
    leave(run.outcome)


def _action(fault: str, parameters: Sequence[str], at_s: float) -> dict[str, Any]:
    from harness.cli.inject import parse_parameters  # noqa: PLC0415 - not needed for --help

    return {"at_s": at_s, "fault": fault, **parse_parameters(tuple(parameters))}


def _scenario(rig: Rig, table: dict[str, Any], file: Path | None) -> LongScenario:
    """Of the command line, or of a file. Raises RigError or UsageError with all that is wrong with it."""
    from harness.errors import RigError  # noqa: PLC0415 - not needed for --help
    from harness.rig.compose import bounds_of  # noqa: PLC0415 - see above
    from harness.scenario import LongScenario, scenario_problems  # noqa: PLC0415 - see above
    from harness.tomlfile import parse_toml, read_text, validate  # noqa: PLC0415 - see above

    text = read_text(file) if file is not None else ""
    path = file if file is not None else Path("soak")
    scenario = validate(parse_toml(text, path) if file is not None else table, LongScenario, path=path, text=text)
    problems = scenario_problems(scenario, bounds_of(rig), path=path, text=text)
    if problems and file is None:
        raise UsageError(
            "; ".join(f"{p.key.rpartition('.')[2]}: found {p.found}; allowed: {p.allowed}" for p in problems)
        )
    if problems:
        raise RigError(problems)
    return scenario


def _play(rig: Rig, scenario: LongScenario, stride_s: float, defect: int) -> LongRun:
    from harness.cli.run import ended_by_signal  # noqa: PLC0415 - not needed for --help
    from harness.rig.longrun import play_long  # noqa: PLC0415 - see above
    from harness.rig.session import Session  # noqa: PLC0415 - see above

    with ended_by_signal(), Session(rig, defect=defect) as session, _progress() as show:
        return play_long(session, scenario, longest_s=stride_s, progress=show)


@contextmanager
def _progress() -> Iterator[Any]:
    """A line on a terminal that is redrawn, and nothing in a log."""
    from harness.report.terminal import make_console  # noqa: PLC0415 - not needed for --help

    console = make_console(stderr=True)
    if not console.is_terminal:
        yield lambda _: None
        return
    with console.status("starting") as status:

        def show(progress: Progress) -> None:
            ratio = progress.done_s / progress.elapsed_s if progress.elapsed_s > 0.0 else 0.0
            failed = f", {progress.failed} failed" if progress.failed else ""
            status.update(f"{_long(progress.done_s)} of {_long(progress.total_s)}, {ratio:,.0f} x real time{failed}")

        yield show


def _long(seconds: float) -> str:
    """3 d 04:05:06.789; days left out when there is none."""
    days, rest = divmod(seconds, _DAY_S)
    hours, rest = divmod(rest, 3600.0)
    minutes, rest = divmod(rest, 60.0)
    clock = f"{int(hours):02d}:{int(minutes):02d}:{rest:06.3f}"
    return f"{int(days)} d {clock}" if days else clock


def _number(value: float) -> float | None:
    """For JSON, which has no NaN."""
    return value if math.isfinite(value) else None


def _csv(run: LongRun) -> str:
    rows = zip(*(column.tolist() for column in run.history.values()), strict=True)
    lines = [",".join(run.history), *(",".join(f"{value:.7g}" for value in row) for row in rows)]
    return "\n".join(lines) + "\n"


def _record(rig: Rig, run: LongRun) -> dict[str, Any]:
    from harness.rig.records import run_record  # noqa: PLC0415 - only for documents

    more = {
        "outcome": run.outcome.value,
        "error": run.error,
        "interrupted": run.interrupted,
        "played_s": run.done_s,
        "tick_by_tick_s": run.ticked_s,
        "awake_s": dict(run.awake_s),
        "pieces": run.pieces,
        "soc_pct": _number(run.soc_pct[0]),
        "soc_reported_pct": _number(run.soc_pct[1]),
        "faults": [
            {"label": f.label, "kind": f.kind, "fired": f.fired, "first_fired_s": f.first_fired_s} for f in run.faults
        ],
        "happenings": [{"at_s": item.at_s, "what": item.what} for item in run.happenings],
    }
    return run_record(
        rig=rig.name, verdicts=run.verdicts, seed=run.scenario.seed, duration_s=run.seconds, run_dir=None, more=more
    )


def _show(rig: Rig, run: LongRun, *, repeat: str) -> None:
    from harness.report import terminal  # noqa: PLC0415 - rich is not needed for --json

    console = terminal.make_console()
    for item in run.happenings[:_SHOWN]:
        console.print(f"{_long(item.at_s):>20}  {item.what}", highlight=False, markup=False)
    if len(run.happenings) > _SHOWN:
        console.print(f"... and {len(run.happenings) - _SHOWN} more (--json has them)", highlight=False)
    touched = {v.requirement: v for v in run.verdicts if v.outcome is not Outcome.NOT_EXERCISED}
    if not run.error:
        console.print(terminal.verdict_table([r for r in rig.requirements if r.id in touched], touched))
        console.print()
        terminal.print_reasons(console, touched.values(), {})
    else:
        console.print(f"ERROR {run.error}", style=terminal.COLOURS[Outcome.ERROR], markup=False, soft_wrap=True)
    for fault in run.faults:
        when = (
            "did not fire"
            if fault.first_fired_s is None
            else f"first told the controller at {_long(fault.first_fired_s)}"
        )
        console.print(f"fault {fault.label}: {when}", highlight=False, markup=False)
    console.print(f"SOC at the end {run.soc_pct[0]:.2f} %, reported {run.soc_pct[1]:.1f} %", highlight=False)
    ratio = run.done_s / run.seconds if run.seconds > 0.0 else 0.0
    console.print(terminal.outcome_text(run.outcome), end=": ")
    console.print(
        f"{len(touched)} of {len(rig.requirements)} requirements exercised in {_long(run.done_s)}, "
        f"{_long(run.ticked_s)} of it tick by tick; {run.seconds:.1f} s, {ratio:,.0f} x real time",
        highlight=False,
        soft_wrap=True,
    )
    for reason, count in run.awake_s.items():
        if count:
            console.print(f"  {count} s kept awake by {reason}", highlight=False, style="dim")
    if run.outcome in (Outcome.FAIL, Outcome.ERROR):
        terminal.print_replay(console, repeat)
