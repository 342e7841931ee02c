# SPDX-License-Identifier: Apache-2.0
"""`bms-harness compare`: the same scenarios on two firmwares, and where they part."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from harness.cli.common import emit, json_option, leave
from harness.cli.failure import INTERRUPTED
from harness.cli.run import ProgressLine, ended_by_signal

if TYPE_CHECKING:
    from harness.rig.compare import Comparison


@click.command()
@click.argument("rig_a")
@click.argument("rig_b")
@click.option("--sequences", type=click.IntRange(0), default=300, show_default=True, help="Generated fault sequences.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=1, show_default=True, help="Of the sequences.")
@click.option("--no-grids", is_flag=True, help="Leave the boundary scenarios out: a quick look.")
@json_option
def compare(rig_a: str, rig_b: str, *, sequences: int, seed: int, no_grids: bool, as_json: bool) -> None:
    """Play the same scenarios on RIG_A and RIG_B: two versions or variants of a firmware.

    Tells the first moment at which outputs, frames or verdicts differ, each shown by the smallest scenario that shows
    it. Scenarios are those of RIG_A; what one of the two cannot play is skipped.
    """
    from harness.report.terminal import make_console  # noqa: PLC0415 - not needed for --help
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.compare import compare as compare_rigs  # noqa: PLC0415 - see above
    from harness.rig.zoo import suite  # noqa: PLC0415 - see above

    first, second = load_rig(find_rig(rig_a)), load_rig(find_rig(rig_b))
    corpus, grids, generated = suite(first, sequences=sequences, seed=seed)
    scenarios = [*corpus, *([] if no_grids else grids), *generated]
    with ended_by_signal() as asked, ProgressLine(make_console(stderr=True), asked) as line:
        result = compare_rigs(first, second, scenarios, progress=line.phase)
    if as_json:
        emit({"seed": seed, **result.record()})
    else:
        _show(result)
    if result.interrupted:
        sys.exit(INTERRUPTED)
    leave(result.outcome)


def _show(result: Comparison) -> None:
    from harness.report import terminal  # noqa: PLC0415 - rich is not needed for --json
    from harness.report.text import count_text  # noqa: PLC0415 - see above
    from harness.scenario import dump_scenario  # noqa: PLC0415 - see above

    console = terminal.make_console()

    def say(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    for found in result.divergences:
        difference = found.difference
        at = "" if difference.at_s is None else f" at {difference.at_s:.3f} s"
        name = f"{difference.key.name} {difference.key.how}".strip()
        say(f"{difference.key.what} {name}{at}, in {count_text(found.seen, 'scenario')}; smallest:")
        say(f"  A: {difference.a}\n  B: {difference.b}")
        say("".join(f"    {line}\n" for line in dump_scenario(found.scenario).splitlines() if line))
    if result.more_keys:
        say(f"and {count_text(result.more_keys, 'further difference')}, not made small")
    console.print(terminal.outcome_text(result.outcome), end=": ")
    skipped = f", {result.skipped} skipped" if result.skipped else ""
    say(
        f"{result.diverged} of {count_text(result.played, 'scenario')} differ, "
        f"{count_text(len(result.divergences), 'difference')}{skipped}, {result.duration_s:.1f} s"
    )
