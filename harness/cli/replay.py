# SPDX-License-Identifier: Apache-2.0
"""`bms-harness replay`: a scenario file, played and judged."""

from __future__ import annotations

from pathlib import Path

import click

from harness.cli.common import json_option


@click.command()
@click.argument("scenario", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--rig", help="Play it on this rig instead of the one the file names.")
@click.option("--sanitize", is_flag=True, help="Run the firmware under AddressSanitizer and UBSan.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), help="Keep the evidence in a folder below this one."
)
@json_option
def replay(scenario: Path, *, rig: str | None, sanitize: bool, out: Path | None, as_json: bool) -> None:
    """Play the SCENARIO file and judge it."""
    from harness.cli.single import play  # noqa: PLC0415 - not needed for --help
    from harness.scenario import load_scenario  # noqa: PLC0415 - see above

    loaded = load_scenario(scenario)
    play(rig or loaded.rig, loaded, sanitize=sanitize, out=out, as_json=as_json, file=scenario)
