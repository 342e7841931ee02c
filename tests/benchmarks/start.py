# SPDX-License-Identifier: Apache-2.0
"""Start-up of the command line, whole processes from start to end; building kernel and firmware."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from .table import Bar, Measurement
from .timing import Effort, Times, interleaved

MILLI = 1e3
INJECT = ("inject", "ebus-lfp", "cell-voltage", "cell=17", "voltage_v=3.80", "--at", "2s", "--json")
BUILD = "from harness.rig import *; from harness.rig.session import *; build_libraries(load_rig(find_rig('ebus-lfp')))"


def measure(effort: Effort) -> list[Measurement]:
    """Rows 9 and 12. The first call of each command warms the caches."""
    with tempfile.TemporaryDirectory(prefix="bms-harness-bench-") as folder:
        return [*commands(effort, Path(folder)), build(effort, Path(folder))]


def command_line() -> list[str]:
    """The installed command beside this interpreter, else the module."""
    script = Path(sys.executable).with_name("bms-harness")
    return [str(script)] if script.is_file() else [sys.executable, "-m", "harness"]


def commands(effort: Effort, folder: Path) -> list[Measurement]:
    """Row 9."""
    bare = [sys.executable, "-c", "pass"]
    times = interleaved(
        {
            "python": lambda: _run(bare, folder),
            "help": lambda: helped(_run([*command_line(), "--help"], folder)),
            "inject": lambda: judged(_run([*command_line(), *INJECT], folder)),
        },
        effort.of(11, 5),
    )
    python = times["python"].median * MILLI
    return [
        _start("bms-harness --help", times["help"], 150.0, f"bare Python {python:.0f} ms"),
        _start("first verdict of inject, warm cache", times["inject"], 800.0, "the whole process to its end"),
    ]


def _start(what: str, times: Times, bar_ms: float, detail: str) -> Measurement:
    wall = f"by the wall clock {times.wall_median * MILLI:.0f} ms, best {times.wall_least * MILLI:.0f} ms"
    best = f"best round {times.least * MILLI:.0f} ms; {wall}; {detail}"
    return Measurement(9, what, times.median * MILLI, "ms", Bar(at_most=bar_ms), best)


def build(effort: Effort, folder: Path) -> Measurement:
    """Row 12: kernel and reference firmware with an empty cache of our own, and again."""
    cold_s: list[float] = []
    warm_s: list[float] = []
    wall_s: list[float] = []
    program = [sys.executable, "-c", BUILD]
    for turn in range(effort.of(3, 1)):
        cache = folder / f"cache-{turn}"
        environment = {"XDG_CACHE_HOME": str(cache), "LOCALAPPDATA": str(cache), "HOME": str(cache)}
        cold, warm = (interleaved({"": lambda: _run(program, folder, environment)}, 1, warm_up=0)[""] for _ in "cw")  # noqa: B023 - used at once
        cold_s.append(cold.least)
        warm_s.append(warm.least)
        wall_s.append(cold.wall_least)
    return Measurement(
        12, "build of kernel and firmware, cold, processor time", min(cold_s), "s", None,
        f"{min(warm_s) * MILLI:.0f} ms warm; cold by the wall clock {min(wall_s):.1f} s, compiled in parallel; whole "
        f"processes with reading the rig; best of {len(cold_s)}",
    )  # fmt: skip


def helped(output: str) -> None:
    """Raises ValueError when the output is no help text."""
    if "Usage:" not in output:
        raise ValueError(f"--help does not help: {output[:300]}")


def judged(output: str) -> None:
    """Raises ValueError when the output is not a JSON document with a verdict in it: then nothing was judged."""
    if '"PASS"' not in json.dumps(json.loads(output)):
        raise ValueError(f"inject judged nothing: {output[:300]}")


def _run(command: list[str], folder: Path, extra: Mapping[str, str] | None = None) -> str:
    """Run from an empty folder; what it wrote. Raises RuntimeError on any exit code but those of a verdict, 0 and 1."""
    paths = os.pathsep.join([str(Path(__file__).parents[2]), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])
    environment = {**os.environ, "PYTHONPATH": paths, **(extra or {})}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout
