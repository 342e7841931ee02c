# SPDX-License-Identifier: Apache-2.0
"""A bench in a box: process 2 is `bms-harness serve`, this process the harness. For the tests, and by hand.

python -m tests.bench.box --scenarios 40            # boundary scenarios on both, with the table for docs/bench.md
python -m tests.bench.box --scenarios 40 --write
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import click

from harness.bench.campaign import choose_grid
from harness.bench.energise import energised
from harness.bench.file import Bench, load_bench
from harness.bench.preflight import Preflight
from harness.canbus.livelog import LiveLog
from harness.clock import NS_PER_S, WallClock
from harness.rig.session import Run, Session
from harness.scenario import Scenario
from harness.verdict import Outcome
from tests.bench.boxtable import Row, rows_of, write_table

ROOT = Path(__file__).resolve().parents[2]
BENCH_FILE = ROOT / "rigs" / "bench" / "ebus-lfp-box.toml"
READY_S = 60.0  # the firmware may have to be built
END_S = 20.0
COUNTED = ("contradictions", "undecided")
DECIDED = {Outcome.PASS, Outcome.FAIL, Outcome.ERROR}
TRIES = 4  # of a scenario during which the emulated controller stood still
PAUSE_NS = 2_000_000


class Served:
    """`bms-harness serve` as a process. A context manager; ends it with Ctrl-C and takes what is left of it away."""

    def __init__(self, folder: Path, *words: str, bench: Path = BENCH_FILE) -> None:
        self.clock = WallClock()
        self.state_file = folder / "seen.json"
        command = [sys.executable, "-m", "harness", "serve", str(bench), "--state", str(self.state_file), "--json"]
        self._errors = (folder / "serve.err").open("w+b")
        self.process = subprocess.Popen(
            [*command, *(words or ("--folder", str(folder / "box")))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            cwd=ROOT,
            start_new_session=True,
        )
        self.ready: Mapping[str, Any] = self._read_ready()
        self.ports: Mapping[str, str] = self.ready["ports"]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> int:
        """Ctrl-C; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(END_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        code = self.process.wait()
        self._errors.close()
        return code

    def order(self, text: str) -> None:
        """Make something go wrong, or right again."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode() + b"\n")
        self.process.stdin.flush()

    def state(self) -> dict[str, Any]:
        """What can be seen from outside now."""
        state: dict[str, Any] = json.loads(self.state_file.read_text(encoding="utf-8"))
        return state

    def wait_for(self, wanted: Callable[[dict[str, Any]], object], within_s: float = 5.0) -> dict[str, Any]:
        """The state once it is as wanted."""
        until_ns = self.clock.now_ns() + int(within_s * NS_PER_S)
        state: dict[str, Any] = {}
        while self.clock.now_ns() < until_ns:
            if self.state_file.exists():
                state = self.state()
                if wanted(state):
                    return state
            self.clock.sleep_until_ns(self.clock.now_ns() + PAUSE_NS)
        raise AssertionError(f"did not come within {within_s} s: {json.dumps(state)}; serve said: {self.said()}")

    def said(self) -> str:
        """What it wrote to stderr."""
        return Path(self._errors.name).read_text(encoding="utf-8", errors="replace")

    def _read_ready(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], READY_S)[0]:
            self.process.kill()
            raise AssertionError(f"serve is not ready after {READY_S} s: {self.said()}")
        line = self.process.stdout.readline()
        assert line, f"serve ended: {self.said()}"
        document: dict[str, Any] = json.loads(line)
        return document


@dataclass(frozen=True, slots=True)
class Played:
    """One scenario in both worlds."""

    scenario: Scenario
    virtual: Run
    bench: Run


def playable(bench: Bench) -> tuple[list[Scenario], int]:
    """The boundary scenarios a bench can make and whose values stay inside its envelope; and how many there are."""
    with Preflight(bench) as preflight:
        choice = choose_grid(bench, preflight, bench.rig.requirements)
    return list(choice.scenarios), len(choice.scenarios) + len(choice.left_out)


def sample(scenarios: Sequence[Scenario], count: int, longest_s: float) -> list[Scenario]:
    """So many, spread evenly over the boundary set, so that all requirements come."""
    short = [scenario for scenario in scenarios if scenario.duration_s <= longest_s]
    step = max(1.0, len(short) / count)
    return [short[int(place * step)] for place in range(min(count, len(short)))]


def on_the_bench(bench: Bench, scenarios: Sequence[Scenario], recording: Path | None = None) -> list[Run]:
    """Play them in one session."""
    clock = WallClock()
    with energised(bench, clock=clock) as opened, contextlib.ExitStack() as stack:
        log = stack.enter_context(LiveLog(recording, clock)) if recording is not None else None
        session = stack.enter_context(opened.session(recorder=log))
        return [session.run(scenario) for scenario in scenarios]


def in_virtual_time(bench: Bench, scenarios: Sequence[Scenario]) -> list[Run]:
    """Play them on the virtual rig."""
    with Session(bench.rig) as session:
        return [session.run(scenario) for scenario in scenarios]


def differences(played: Sequence[Played], *, decided: bool = True) -> list[str]:
    """Where one world passes what fails in the other. With `decided` False: where one says something and the other does
    not, because it was at the edge of being exercised or the bench cannot tell.
    """
    found = []
    for one in played:
        for virtual, real in zip(one.virtual.verdicts, one.bench.verdicts, strict=True):
            both = virtual.outcome in DECIDED and real.outcome in DECIDED
            if virtual.outcome is not real.outcome and both is decided:
                found.append(
                    f"{one.scenario.title}: {real.requirement} virtual {virtual.outcome.value} ({virtual.reason}), "
                    f"bench {real.outcome.value} ({real.reason})"
                )
    return found


def main() -> None:
    """Play a sample on both, print the table, and write it into docs/bench.md when asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenarios", type=int, default=40)
    parser.add_argument("--longest", type=float, default=16.0, help="leave out scenarios longer than this, s")
    parser.add_argument("--tcp", type=int, help="over TCP from this port on, not over pseudo-terminals")
    parser.add_argument("--write", action="store_true", help="write the table into docs/bench.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        words = ("--tcp", str(options.tcp)) if options.tcp else ()
        with Served(folder, *words) as served:
            bench = load_bench(BENCH_FILE, served.ports)
            played = _play(served, bench, options.scenarios, options.longest)
    rows = rows_of([(one.scenario, one.virtual, one.bench) for one in played], bench.rig.requirements)
    _report(rows, differences(played), played)
    if options.write:
        over = "TCP" if options.tcp else "pseudo-terminals"
        count = {name: len(differences(played, decided=name == "contradictions")) for name in COUNTED}
        write_table(ROOT / "docs" / "bench.md", rows, len(played), count, over)


def _play(served: Served, bench: Bench, count: int, longest_s: float) -> list[Played]:
    able, all_of_them = playable(bench)
    click.echo(f"{len(able)} of {all_of_them} boundary scenarios can be played on the bench")
    chosen = sample(able, count, longest_s)
    virtual = in_virtual_time(bench, chosen)
    with energised(bench) as opened, opened.session() as session:
        played = []
        for one, expected in zip(chosen, virtual, strict=True):
            for _ in range(TRIES):
                stalls = served.state()["stalls"]
                run = session.run(one)
                stood_still = served.state()["stalls"] - stalls
                told = f"; the emulated controller was late {stood_still} times" if stood_still else ""
                click.echo(f"{one.title}: {run.error or 'played'}; {run.lateness}{told}", err=True)
                if not stood_still:
                    break
            played.append(Played(one, expected, run))
        return played


def _report(rows: Sequence[Row], different: Sequence[str], played: Sequence[Played]) -> None:
    for row in rows:
        click.echo(row.text())
    undecided = differences(played, decided=False)
    click.echo(f"{len(played)} scenarios, {len(different)} contradictions, {len(undecided)} decided only in one world")
    for line in (*different, *undecided):
        click.echo(line)


if __name__ == "__main__":
    main()
