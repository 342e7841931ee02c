# SPDX-License-Identifier: Apache-2.0
"""`bms-harness replay`: a scenario file, played and judged."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.benchargs import bench_of, port_option, refuse_on_bench
from harness.cli.common import json_option, shell_quote
from harness.errors import UsageError


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--rig", help="Play it on this rig instead of the one the file names.")
@click.option("--sanitize", is_flag=True, help="Run the firmware under AddressSanitizer and UBSan.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the evidence in a folder below this one."
)
@port_option
@click.option("--defect", type=click.IntRange(1), metavar="ID", help="With this seeded defect of the firmware on.")
@click.option("--figure", type=click.Path(path_type=Path, dir_okay=False, writable=True), metavar="FILE",
              help="Draw the verdict that tells most as an SVG picture.")  # fmt: skip
@click.option("--requirement", metavar="ID", help="Draw the verdict on this requirement instead.")
@json_option
def replay(
    scenario: Path, *, rig: str | None, sanitize: bool, out: Path | None, ports: tuple[str, ...], defect: int | None,
    figure: Path | None, requirement: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Play the SCENARIO file and judge it; --rig may name a bench file, then it is played on that bench."""
    from harness.cli.single import Picture, play  # noqa: PLC0415 - not needed for --help
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.compose import bounds_of  # noqa: PLC0415 - see above
    from harness.scenario import load_scenario  # noqa: PLC0415 - see above

    chosen = rig or _beside(scenario, load_scenario(scenario).rig)
    bench = bench_of(chosen, ports)
    loaded = bench.rig if bench is not None else load_rig(find_rig(chosen))
    loaded.read_all()  # so that the problems of all its files are told at once
    checked = load_scenario(scenario, bounds_of(loaded))  # once more with the rig: its faults, with their lines
    if requirement and figure is None:
        raise UsageError("--requirement names what --figure FILE draws; give both")
    if sanitize and defect:
        raise UsageError("the build with the sanitizer has no seeded defects; give --sanitize or --defect")
    options = [*(["--rig", rig] if rig else []), *(["--sanitize"] if sanitize else [])]
    options += ["--defect", str(defect)] if defect else []
    repeat = shell_quote("bms-harness", "replay", str(scenario), *options)
    if bench is not None:
        from harness.cli.onbench import play_on_bench  # noqa: PLC0415 - only on a bench

        refuse_on_bench(sanitize=sanitize, defect=bool(defect), figure=figure is not None)
        play_on_bench(bench, checked, repeat=repeat, ports=ports, out=out, as_json=as_json)
    play(
        loaded, checked, repeat=repeat, sanitize=sanitize, out=out, as_json=as_json, defect=defect or 0,
        picture=Picture(figure, requirement or "") if figure else None,
    )  # fmt: skip


def _beside(scenario: Path, rig: str) -> str:
    """A rig file named relative to the scenario's folder is found from anywhere; else the name as it stands."""
    near = scenario.parent / rig
    return str(near) if near.is_file() else rig
