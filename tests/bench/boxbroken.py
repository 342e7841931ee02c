# SPDX-License-Identifier: Apache-2.0
"""What goes wrong with a bench in a box, and what became of it. For the tests, and by hand.

python -m tests.bench.boxbroken --write                  # the table for docs/bench.md: all troubles, 12 kills
python -m tests.bench.boxbroken --flood 60 --kills 12 --write
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import can
import click
import numpy as np

from harness.bench.energise import energised
from harness.bench.file import Bench, load_bench
from harness.bench.latch import Latch
from harness.canbus.livelog import LiveLog
from harness.clock import WallClock
from harness.errors import BenchError
from harness.rig.session import Run
from harness.scenario import Scenario
from tests.bench.box import BENCH_FILE, ROOT, Served

BEGIN, END = "<!-- trouble-table -->", "<!-- /trouble-table -->"
TROUBLES = (
    "unplug can",
    "silent cells",
    "garbage cells",
    "garbage relays",
    "unplug cells",
    "silent supply",
    "noise can",
)
NS_PER_MS = 1_000_000


def scenario(fault: str, start: str, duration_s: float, **parameters: float) -> Scenario:
    """One fault, 0.3 s after the start."""
    action = {"at_s": 0.3, "fault": fault, **parameters}
    table = {"rig": "ebus-lfp", "title": fault, "start": start, "duration_s": duration_s, "seed": 1, "action": [action]}
    return Scenario.model_validate(table)


@dataclass(frozen=True, slots=True)
class Broken:
    """A run during which something went wrong. `error`: what the harness said, empty for nothing."""

    run: Run | None
    error: str
    recording: Path

    def frames(self) -> int:
        """In the recording."""
        with can.BLFReader(self.recording) as reader:
            return sum(1 for _ in reader)

    def outcomes(self) -> str:
        """How many verdicts of each kind."""
        if self.run is None:
            return "no run"
        counts = Counter(verdict.outcome.value for verdict in self.run.verdicts)
        return ", ".join(f"{counts[name]} {name}" for name in ("PASS", "FAIL", "ERROR", "INCONCLUSIVE") if counts[name])


def played_while(served: Served, bench: Bench, folder: Path, order: str, duration_s: float = 4.0) -> Broken:
    """A run in standby with an alarm that is not latched; 2 s after standby was reached something goes wrong."""
    clock = WallClock()
    error, run = "", None
    served.order(f"once standby in 2s {order}")
    try:
        with (
            energised(bench, clock=clock) as opened,
            LiveLog(folder / "bus.blf", clock) as log,
            opened.session(recorder=log) as session,
        ):
            run = session.run(scenario("cell-voltage", "standby", duration_s, cell=17, voltage_v=3.70))
            error = run.error
    except BenchError as failure:
        error = f"{error}; {failure}" if error else str(failure)
    return Broken(run, error, folder / "bus.blf")


def killed(served: Served, folder: Path) -> tuple[float, Path]:
    """SIGKILL in the middle of a fault: ms until every output was read off from outside, and the recording."""
    ports = [word for name, port in served.ports.items() for word in ("--port", f"{name}={port}")]
    fault = ("cell-voltage", "cell=17", "voltage_v=3.70", "--start", "standby", "--at", "0.2s", "--duration", "20s")
    with (folder / "said").open("wb") as said:
        harness = subprocess.Popen(
            [sys.executable, "-m", "harness", "inject", str(BENCH_FILE), *fault, *ports, "--out", str(folder)],
            cwd=ROOT,
            stdout=said,
            stderr=said,
        )
    try:
        served.wait_for(lambda state: highest_cell_v(state) > 3.69, within_s=30.0)
    except AssertionError as error:
        harness.kill()
        raise AssertionError((folder / "said").read_text(encoding="utf-8")) from error
    killed_ns = served.clock.now_ns()
    os.kill(harness.pid, signal.SIGKILL)
    state = served.wait_for(lambda state: state["off"])
    harness.wait()
    (recording,) = folder.glob("*/bus.blf")
    return (state["off_since_ns"] - killed_ns) / NS_PER_MS, recording


def highest_cell_v(state: dict[str, Any]) -> float:
    """What the cell simulator gives; 0 while it gives nothing."""
    cells = state["instruments"]["cells"]["given"].get("cell_voltage_v")
    return float(cells["greatest"]) if cells else 0.0


def main() -> None:
    """Everything that can go wrong, one after the other, and the table of it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--flood", type=float, default=60.0, help="how long the bus is flooded, s")
    parser.add_argument("--kills", type=int, default=12)
    parser.add_argument("--write", action="store_true", help="write the table into docs/bench.md")
    options = parser.parse_args()
    lines = [
        "| what went wrong | outputs off | verdicts | recording | what the harness said |",
        "|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory() as name, Served(Path(name)) as served:
        bench = load_bench(BENCH_FILE, served.ports)
        lines += [_trouble(served, bench, Path(name), order, 4.0) for order in TROUBLES]
        lines.append(_trouble(served, bench, Path(name), "flood", options.flood))
        lines.append(_kills(served, Path(name), options.kills))
    click.echo("\n".join(lines))
    if options.write:
        _write(lines)


def _trouble(served: Served, bench: Bench, parent: Path, order: str, lasts_s: float) -> str:
    with tempfile.TemporaryDirectory(dir=parent) as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        broken = played_while(served, bench, folder, order, lasts_s)
        still_on = [key for key, value in served.state()["instruments"].items() if not value["off"]]
        frames, latched = broken.frames(), bool(Latch(bench.path).events())
    for word in ("quiet", "plug can", *(f"{verb} {name}" for name in served.ready["ports"] if name in INSTRUMENTS
                                        for verb in ("restart", "plug"))):  # fmt: skip
        served.order(word)
    served.wait_for(lambda state: state["off"] and not state["acting"] and state["can"]["plugged"])
    text = " ".join(broken.error.replace(str(parent), "").removeprefix("bench: ").split())
    told = text.split(". ")[0].split("; ")[0] or "nothing: the run went on"
    off = "all" if not still_on else f"all but {', '.join(still_on)}"
    click.echo(f"{order}: {broken.error or broken.outcomes()}", err=True)
    what = f"flood at full bus load for {lasts_s:g} s" if order == "flood" else order
    latch = "; latched" if latched else ""
    return f"| {what} | {off}{latch} | {broken.outcomes()} | {frames} frames | {told} |"


INSTRUMENTS = ("cells", "relays", "insulation", "supply")


def _kills(served: Served, parent: Path, count: int) -> str:
    took, frames = [], []
    for place in range(count):
        folder = parent / f"kill{place}"
        folder.mkdir()
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        ms, recording = killed(served, folder)
        took.append(ms)
        frames.append(Broken(None, "", recording).frames())
        click.echo(f"kill {place}: off after {ms:.0f} ms, {frames[-1]} frames", err=True)
    off = f"all after {min(took):.0f} to {max(took):.0f} ms, median {np.median(took):.0f} ms ({count} tries); latched"
    return f"| SIGKILL of the harness in mid-fault | {off} | no run | {min(frames)} frames or more | nothing any more |"


def _write(lines: Sequence[str]) -> None:
    path = ROOT / "docs" / "bench.md"
    head, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, found, tail = rest.partition(END)
    assert found, f"{path} has no {BEGIN} ... {END}"
    path.write_text(f"{head}{BEGIN}\n{chr(10).join(lines)}\n{END}{tail}", encoding="utf-8")


if __name__ == "__main__":
    main()
