# SPDX-License-Identifier: Apache-2.0
"""`bms-harness new`: a rig folder to grow, from a database."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.common import emit, from_here, json_option

if TYPE_CHECKING:
    from harness.rig.new.folder import Made

_SHOWN_NODES = 6


@click.command()
@click.argument("name", type=click.Path(path_type=Path))
@click.option("--dbc", required=True, type=click.Path(path_type=Path, dir_okay=False), help="The product's database.")
@click.option("--node", help="The node that is the controller; default: the one that speaks most like one.")
@click.option("--cell", type=click.Choice(["lfp", "nmc", "lto"]), default="lfp", show_default=True,
              help="Chemistry of the cells.")  # fmt: skip
@click.option("--force", is_flag=True, help="Overwrite the files of an earlier 'new' in the folder.")
@json_option
def new(name: Path, *, dbc: Path, node: str | None, cell: str, force: bool, as_json: bool) -> None:
    """Make the folder NAME with a rig to grow: profile, firmware port, requirements, rig file.

    What the signals mean is guessed from the database, each guess with its confidence. The rig runs at once:
    bms-harness run NAME/rig.toml
    """
    from harness.rig.new.folder import make  # noqa: PLC0415 - not needed for --help

    made = make(name, dbc, node=node, cell=cell, force=force)
    if as_json:
        emit(_document(made))
        return
    _tell(made, node)


def _document(made: Made) -> dict[str, Any]:
    high, medium, low = made.levels
    return {
        "rig": str(made.rig),
        "files": [str(path) for path in made.files],
        "node": made.plan.node,
        "nodes": dict(made.plan.nodes),
        "messages": len(made.plan.sent),
        "left_out": list(made.plan.left_out),
        "series": made.series,
        "guesses": {"high": high, "medium": medium, "low": low},
        "request": None if made.plan.asked is None else made.plan.asked.message.name,
        "strict": made.plan.strict,
    }


def _tell(made: Made, node: str | None) -> None:
    plan, (high, medium, low) = made.plan, made.levels
    click.echo(f"{from_here(made.rig.parent)}: {', '.join(str(p.relative_to(made.rig.parent)) for p in made.files)}")
    others = sorted((name for name in plan.nodes if name != plan.node), key=lambda name: -plan.nodes[name])
    choice = f" (of {len(plan.nodes)}; --node chooses, next: {', '.join(others[:_SHOWN_NODES])})" if others else ""
    click.echo(f"controller: {plan.node}{'' if node else choice}, {len(plan.sent)} messages")
    if plan.left_out:
        click.echo(f"left out, longer than a frame: {', '.join(plan.left_out)}")
    click.echo(f"meaning of signals: {high} high, {medium} medium, {low} low (commented out); {made.series} cells")
    if high + medium == 0:
        click.echo("nothing in it reads like a battery controller: profile.toml has to be written by hand")
    asked = f"{plan.asked.message.name}.{plan.asked.signal.name}" if plan.asked else "not recognised"
    click.echo(f"request of the vehicle: {asked}")
    if not plan.strict:
        click.echo(f"the database has {len(plan.database.warnings)} doubtful places, listed in profile.toml")
    folder = from_here(made.rig.parent)
    click.echo(f"\nnext: bms-harness run {folder}/rig.toml")
    click.echo(
        f"then: check {folder}/profile.toml, fill in {folder}/requirements.toml and {folder}/firmware/fil_port.c"
    )
