# SPDX-License-Identifier: Apache-2.0
"""`bms-harness inject`: one fault by hand, and the reaction as a time line against its budget."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click
from click.shell_completion import CompletionItem

from harness.cli.benchargs import bench_of, port_option, refuse_on_bench
from harness.cli.common import Duration, json_option, shell_quote
from harness.errors import Problem, RigError, UsageError

if TYPE_CHECKING:
    from harness.bench.shellopen import Opened
    from harness.cli.live import Poke
    from harness.faults.check import Bounds
    from harness.scenario import Scenario

_TAIL_S = 6.0  # watched after the fault when nothing else is said: longer than most confirmations
_LONGEST_S = 60.0  # a fault that acts longer is not watched to its end unless --duration says so
_OPTION_OF_KEY = {"at_s": "--at", "fault": "FAULT", "do": "'bms-harness replay' of a scenario file"}


def _complete_fault(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from harness.faults.catalogue import CATALOGUE  # noqa: PLC0415 - only for completion

    return [CompletionItem(k.kind, help=k.title) for k in CATALOGUE if k.kind.startswith(incomplete)]


def _complete_parameter(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from harness.cli.listing import allowed_text  # noqa: PLC0415 - only for completion
    from harness.faults.catalogue import kind_named, timing_of  # noqa: PLC0415 - only for completion

    try:
        kind = kind_named(ctx.params.get("fault", ""))
    except UsageError:
        return []
    return [
        CompletionItem(f"{p.name}=", help=f"{p.meaning}: {allowed_text(p)} {p.unit}".strip())
        for p in (*kind.parameters, *timing_of(kind))
        if p.name.startswith(incomplete)
    ]


class _ExplainingCommand(click.Command):
    """`inject RIG FAULT --help` tells of that fault too: its parameters with units and ranges."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Remember the words of the call: --help is answered before they become parameters."""
        ctx.meta["words"] = tuple(args)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The parameters of the fault named in the call."""
        from harness.cli.listing import allowed_text  # noqa: PLC0415 - only for --help with a fault
        from harness.faults.catalogue import find_kind, timing_of  # noqa: PLC0415 - see above

        kind = next((found for word in ctx.meta["words"] if (found := find_kind(word)) is not None), None)
        if kind is None:
            return
        rows = [
            (f"{p.name} [{p.unit}]" if p.unit else p.name, f"{p.meaning}; {allowed_text(p)}")
            for p in (*kind.parameters, *timing_of(kind))
        ]
        with formatter.section(f"Parameters of {kind.kind} ({kind.title})"):
            formatter.write_dl(rows)


@click.command(cls=_ExplainingCommand)
@click.argument("rig")
@click.argument("fault", shell_complete=_complete_fault)
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=_complete_parameter)
@click.option("--at", "at_s", type=Duration(), default=2.0, show_default=True, help="When the fault begins, e.g. 2s.")
@click.option("--for", "for_s", type=Duration(), help="How long it acts; until the end without.")
@click.option("--start", type=click.Choice(["off", "standby", "drive", "charge"]), default="drive", show_default=True)
@click.option("--duration", "duration_s", type=Duration(), help="Length of the run; without, 6 s more than the fault.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True)
@click.option("--sanitize", is_flag=True, help="Run the firmware under AddressSanitizer and UBSan.")
@click.option("--live", is_flag=True, help="In real time, each reaction printed as it happens.")
@port_option
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the evidence in a folder below this one."
)
@json_option
def inject(
    rig: str, fault: str, parameters: tuple[str, ...], *, at_s: float, for_s: float | None, start: str,
    duration_s: float | None, seed: int, sanitize: bool, live: bool, ports: tuple[str, ...], out: Path | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Inject FAULT into RIG, or on the bench of a bench file, and show the reaction.

    KEY=VALUE are the parameters of the fault: 'bms-harness faults FAULT' gives units and ranges.

    Example: bms-harness inject ebus-lfp cell-voltage cell=17 voltage_v=3.80 --at 2s
    """
    from harness.cli.single import play  # noqa: PLC0415 - not needed for --help
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.compose import bounds_of  # noqa: PLC0415 - see above

    action: dict[str, Any] = {"at_s": at_s, "fault": fault, **parse_parameters(parameters)}
    if for_s is not None:
        if "for_s" in action:
            raise UsageError("for_s is given twice: as --for and as KEY=VALUE")
        action["for_s"] = for_s
    acts_s = action.get("for_s", 0.0)
    watched_s = _TAIL_S + (min(float(acts_s), _LONGEST_S) if isinstance(acts_s, (int, float)) else 0.0)
    length_s = duration_s if duration_s is not None else at_s + watched_s
    table = {"rig": rig, "title": f"inject {fault}", "start": start, "duration_s": length_s, "seed": seed}
    if live:
        if sanitize:
            raise UsageError("--sanitize slows the firmware down: not together with --live")
        _live(rig, {**table, "action": [action]}, parameters, ports, out=out, as_json=as_json)
    bench = bench_of(rig, ports)
    loaded = bench.rig if bench is not None else load_rig(find_rig(rig))
    loaded.read_all()  # so that the problems of all its files are told at once
    scenario = _scenario({**table, "action": [action]}, bounds_of(loaded))
    repeat = _command_line(scenario, parameters, at_s=at_s, for_s=for_s, sanitize=sanitize)
    if bench is not None:
        from harness.cli.onbench import play_on_bench  # noqa: PLC0415 - only on a bench

        refuse_on_bench(sanitize=sanitize)
        play_on_bench(bench, scenario, repeat=repeat, ports=ports, out=out, as_json=as_json)
    play(loaded, scenario, repeat=repeat, sanitize=sanitize, out=out, as_json=as_json)


def _live(
    rig: str,
    table: dict[str, Any],
    parameters: tuple[str, ...],
    ports: tuple[str, ...],
    *,
    out: Path | None,
    as_json: bool,
) -> NoReturn:
    """One shot in real time, on a virtual rig or a bench."""
    from harness.bench.shellopen import bounds_at  # noqa: PLC0415 - not needed for --help
    from harness.cli.benchargs import parse_ports  # noqa: PLC0415 - see above
    from harness.cli.live import one_shot, poke  # noqa: PLC0415 - see above
    from harness.scenario import CommandAction  # noqa: PLC0415 - see above

    table_of_ports = parse_ports(ports)
    scenario = _scenario(table, bounds_at(rig, table_of_ports))
    (action,) = scenario.action
    assert not isinstance(action, CommandAction)
    extra = [word for port in ports for word in ("--port", port)]
    words = ["bms-harness", "inject", rig, action.fault, *parameters, "--live", *extra, "--at", f"{action.at_s:g}s"]
    if "for_s" in action.parameters and not any(word.startswith("for_s=") for word in parameters):
        words += ["--for", f"{action.parameters['for_s']:g}s"]
    words += ["--start", scenario.start, "--duration", f"{scenario.duration_s:g}s"]

    def make(it: Opened) -> Poke:
        return one_shot(it, scenario.start, action, scenario.duration_s, as_json=as_json)

    poke(rig, table_of_ports, scenario.start, make, repeat=shell_quote(*words), out=out, as_json=as_json)


def _command_line(
    scenario: Scenario, parameters: tuple[str, ...], *, at_s: float, for_s: float | None, sanitize: bool
) -> str:
    """The command that does the same again, whatever the defaults will be then."""
    (action,) = scenario.action
    words = ["bms-harness", "inject", scenario.rig, getattr(action, "fault", ""), *parameters, "--at", f"{at_s:g}s"]
    words += [] if for_s is None else ["--for", f"{for_s:g}s"]
    words += ["--start", scenario.start, "--duration", f"{scenario.duration_s:g}s", "--seed", str(scenario.seed)]
    return shell_quote(*words, *(["--sanitize"] if sanitize else []))


def _scenario(table: Mapping[str, Any], bounds: Bounds) -> Scenario:
    """The scenario of the command line. Raises UsageError with everything that is wrong with it."""
    from harness.scenario import Scenario, scenario_problems  # noqa: PLC0415 - pydantic is not needed for --help
    from harness.tomlfile import validate  # noqa: PLC0415 - see above

    try:
        scenario = validate(table, Scenario, path=Path("inject"), text="")
    except RigError as error:
        raise _as_usage(error.problems) from error
    problems = scenario_problems(scenario, bounds)
    if problems:
        raise _as_usage(problems)
    return scenario


def _as_usage(problems: Sequence[Problem]) -> UsageError:
    told = [f"{_word(problem.key)}: found {problem.found}; allowed: {problem.allowed}" for problem in problems]
    return UsageError("\n       ".join(told))


def _word(key: str) -> str:
    """What the user typed for a key of the scenario: voltage_v, --at, FAULT."""
    name = key.rpartition(".")[2]
    return {"at_s": "--at", "for_s": "--for", "fault": "FAULT", "duration_s": "--duration"}.get(name, name)


def parse_parameters(words: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE words as a table; numbers become numbers. Raises UsageError with the word that is none."""
    from harness.faults.check import number_or_text  # noqa: PLC0415 - not needed for --help

    table: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise UsageError(
                f"'{word}' is not KEY=VALUE; example: voltage_v=3.80 ('bms-harness faults FAULT' lists the keys)"
            )
        if key in _OPTION_OF_KEY:
            raise UsageError(f"'{word}': {key} is no parameter of a fault; use {_OPTION_OF_KEY[key]}")
        if key in table:
            raise UsageError(f"parameter '{key}' is given twice")
        table[key] = number_or_text(value)
        if isinstance(table[key], float) and not math.isfinite(table[key]):
            raise UsageError(f"'{word}': the value must be a finite number")
    return table
