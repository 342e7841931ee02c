# SPDX-License-Identifier: Apache-2.0
"""`bms-harness inject`: one fault by hand, and the reaction as a time line against its budget."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from harness.cli.common import Duration, json_option
from harness.errors import UsageError

_TAIL_S = 6.0  # time watched after the fault when nothing else is said: longer than most confirmations, shorter than that of imbalance


def _complete_fault(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from harness.faults.catalogue import CATALOGUE  # noqa: PLC0415 - only for completion

    return [CompletionItem(k.kind, help=k.title) for k in CATALOGUE if k.kind.startswith(incomplete)]


def _complete_parameter(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from harness.cli.listing import allowed_text  # noqa: PLC0415 - only for completion
    from harness.faults.catalogue import kind_named  # noqa: PLC0415 - only for completion
    from harness.faults.model import TIMING  # noqa: PLC0415 - only for completion

    try:
        kind = kind_named(ctx.params.get("fault", ""))
    except UsageError:
        return []
    return [
        CompletionItem(f"{p.name}=", help=f"{p.meaning}: {allowed_text(p)} {p.unit}".strip())
        for p in (*kind.parameters, *TIMING)
        if p.name.startswith(incomplete)
    ]


@click.command()
@click.argument("rig")
@click.argument("fault", shell_complete=_complete_fault)
@click.argument("parameters", nargs=-1, metavar="[KEY=VALUE]...", shell_complete=_complete_parameter)
@click.option("--at", "at_s", type=Duration(), default=2.0, show_default=True, help="When the fault begins, e.g. 2s.")
@click.option("--for", "for_s", type=Duration(), help="How long it acts; until the end without.")
@click.option("--start", type=click.Choice(["off", "standby", "drive", "charge"]), default="drive", show_default=True)
@click.option("--duration", "duration_s", type=Duration(), help="Length of the run; fault time plus 8 s without.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True)
@click.option("--sanitize", is_flag=True, help="Run the firmware under AddressSanitizer and UBSan.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the evidence in a folder below this one."
)
@json_option
def inject(
    rig: str, fault: str, parameters: tuple[str, ...], *, at_s: float, for_s: float | None, start: str,
    duration_s: float | None, seed: int, sanitize: bool, out: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Inject FAULT into RIG and show the reaction.

    KEY=VALUE are the parameters of the fault: 'bms-harness faults FAULT' gives units and ranges.

    Example: bms-harness inject ebus-lfp cell-voltage cell=17 voltage_v=3.80 --at 2s
    """
    from harness.cli.single import play  # noqa: PLC0415 - not needed for --help
    from harness.scenario import Scenario  # noqa: PLC0415 - see above

    action: dict[str, Any] = {"at_s": at_s, "fault": fault, **parse_parameters(parameters)}
    if for_s is not None:
        action["for_s"] = for_s
    length_s = duration_s if duration_s is not None else at_s + min(for_s or 0.0, 60.0) + _TAIL_S
    scenario = Scenario.model_validate(
        {
            "rig": rig,
            "title": f"inject {fault}",
            "start": start,
            "duration_s": length_s,
            "seed": seed,
            "action": [action],
        }
    )
    play(rig, scenario, sanitize=sanitize, out=out, as_json=as_json)


def parse_parameters(words: tuple[str, ...]) -> dict[str, Any]:
    """KEY=VALUE words as a table; numbers become numbers. Raises UsageError with the word that is none."""
    table: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise UsageError(
                f"'{word}' is not KEY=VALUE; example: voltage_v=3.80 ('bms-harness faults FAULT' lists the keys)"
            )
        if key in table:
            raise UsageError(f"parameter '{key}' is given twice")
        table[key] = _number(value)
    return table


def _number(text: str) -> int | float | str:
    for convert in (int, float):
        try:
            return convert(text)
        except ValueError:
            continue
    return text
