# SPDX-License-Identifier: Apache-2.0
"""`bms-harness build`: compile kernel and firmware of a rig, and say where they are."""

from __future__ import annotations

import click

from harness.cli.common import emit, json_option


@click.command()
@click.argument("rig")
@click.option("--sanitize", is_flag=True, help="Build the firmware with AddressSanitizer and UBSan.")
@json_option
def build(rig: str, *, sanitize: bool, as_json: bool) -> None:
    """Compile kernel and firmware of RIG into the cache (nothing to do when they are there)."""
    from harness.clock import NS_PER_S, WallClock  # noqa: PLC0415 - not needed for --help
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.session import build_libraries  # noqa: PLC0415 - see above

    clock = WallClock()
    loaded = load_rig(find_rig(rig))
    start_ns = clock.now_ns()
    kernel, firmware = build_libraries(loaded, sanitize=sanitize)
    seconds = (clock.now_ns() - start_ns) / NS_PER_S
    if as_json:
        emit({"rig": loaded.name, "kernel": str(kernel), "firmware": str(firmware), "seconds": seconds})
        return
    click.echo(f"kernel    {kernel}\nfirmware  {firmware}\nready in {seconds:.2f} s")
