# SPDX-License-Identifier: Apache-2.0
"""A bench in a box: process 1 the harness, process 2 `serve`.

The same verdicts as in virtual time, over pseudo-terminals and over TCP; and whatever is pulled, silenced, garbled,
flooded or killed: the safe state, and a recording that can be read.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import can
import pytest

from harness.bench.energise import energised
from harness.bench.file import Bench, load_bench
from harness.bench.latch import Latch
from harness.canbus.livelog import LiveLog
from harness.clock import NS_PER_S, WallClock
from harness.errors import BenchError
from harness.rig.session import Run
from harness.scenario import Scenario
from harness.verdict import Outcome
from tests.bench.box import BENCH_FILE, ROOT, Played, Served, differences, in_virtual_time, on_the_bench

OFF_WITHIN_NS = NS_PER_S // 2  # of the guardian
INSTRUMENTS = {"cells", "relays", "insulation", "supply"}


def scenario(fault: str, start: str, duration_s: float, **parameters: float) -> Scenario:
    action = {"at_s": 0.3, "fault": fault, **parameters}
    table = {"rig": "ebus-lfp", "title": fault, "start": start, "duration_s": duration_s, "seed": 1, "action": [action]}
    return Scenario.model_validate(table)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("box")) as process:
        yield process


@pytest.fixture
def bench(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return load_bench(BENCH_FILE, served.ports)


def assert_same(bench: Bench, scenarios: list[Scenario], runs: list[Run]) -> None:
    played = [Played(*one) for one in zip(scenarios, in_virtual_time(bench, scenarios), runs, strict=True)]
    assert [] == differences(played)
    for one in played:
        assert one.bench.error == ""
        assert any(verdict.outcome is Outcome.PASS and verdict.exercised.must for verdict in one.bench.verdicts)


def test_scenarios_get_the_verdicts_of_virtual_time_over_pseudo_terminals(served: Served, bench: Bench) -> None:
    scenarios = [scenario("hvil-open", "standby", 1.2), scenario("supply-dip", "drive", 1.2, voltage_v=14.0)]
    runs = on_the_bench(bench, scenarios)
    assert_same(bench, scenarios, runs)
    assert served.wait_for(lambda state: state["off"])


def test_scenarios_get_the_verdicts_of_virtual_time_over_tcp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    with Served(tmp_path, "--tcp", str(free_ports(5))) as served:
        bench = load_bench(BENCH_FILE, served.ports)
        scenarios = [scenario("hvil-open", "standby", 1.2)]
        assert_same(bench, scenarios, on_the_bench(bench, scenarios))
        assert served.wait_for(lambda state: state["off"])
        assert 0 == served.end()


def free_ports(count: int) -> int:
    """The first of some TCP ports in a row that nobody has."""
    for first in range(20_000, 30_000, count):
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            for port in range(first, first + count):
                stack.enter_context(socket.create_server(("127.0.0.1", port)))
            return first
    raise AssertionError("no TCP ports")


# -------------------------------------------------------------------------------------------------- what can go wrong


@dataclass(frozen=True, slots=True)
class Broken:
    """A run during which something went wrong."""

    run: Run | None
    error: str
    recording: Path

    def frames(self) -> int:
        """In the recording."""
        with can.BLFReader(self.recording) as reader:
            return sum(1 for _ in reader)


def played_while(served: Served, bench: Bench, folder: Path, order: str) -> Broken:
    """A run of 4 s in standby with an alarm that is not latched, in the middle of which something goes wrong."""
    clock = WallClock()
    error, run = "", None
    served.order(f"once standby in 2s {order}")
    try:
        with (
            energised(bench, clock=clock) as opened,
            LiveLog(folder / "bus.blf", clock) as log,
            opened.session(recorder=log) as session,
        ):
            run = session.run(scenario("cell-voltage", "standby", 4.0, cell=17, voltage_v=3.70))
            error = run.error
    except BenchError as failure:
        error = str(failure)
    return Broken(run, error, folder / "bus.blf")


def assert_safe(served: Served, bench: Bench, broken: Broken, *, but: str = "") -> None:
    assert broken.error, "nothing was noticed"
    assert broken.run is None or {Outcome.ERROR} == {verdict.outcome for verdict in broken.run.verdicts}
    state = served.wait_for(lambda now: all(now["instruments"][name]["off"] for name in INSTRUMENTS - {but}))
    assert not state["bms"]["contactor_positive"]
    assert Latch(bench.path).events(), "the bench is not latched"
    assert broken.frames() > 100


def test_an_adapter_that_is_unplugged_ends_in_the_safe_state(served: Served, bench: Bench, tmp_path: Path) -> None:
    broken = played_while(served, bench, tmp_path, "unplug can")
    served.order("plug can")
    assert "lost" in broken.error
    assert_safe(served, bench, broken)


@pytest.mark.parametrize("order", ["silent cells", "garbage cells", "unplug cells"])
def test_an_instrument_that_fails_ends_in_the_safe_state(
    served: Served, bench: Bench, tmp_path: Path, order: str
) -> None:
    broken = played_while(served, bench, tmp_path, order)
    assert "cells" in broken.error
    assert_safe(served, bench, broken, but="cells" if order != "garbage cells" else "")
    served.order("restart cells")
    served.order("plug cells")
    served.wait_for(lambda state: state["off"] and state["instruments"]["cells"]["plugged"])


def test_a_bench_that_failed_is_refused_until_a_person_acknowledges(
    served: Served, bench: Bench, tmp_path: Path
) -> None:
    Latch(bench.path).prepare()
    Latch(bench.path).set("it smelled of burning")
    broken = played_while(served, bench, tmp_path, "quiet")
    assert "acknowledge" in broken.error
    assert broken.run is None


def test_another_model_is_refused_before_anything_is_energised(served: Served, bench: Bench, tmp_path: Path) -> None:
    served.order("other-model cells")
    broken = played_while(served, bench, tmp_path, "quiet")
    served.order("good cells")
    assert "cells" in broken.error
    assert broken.run is None
    assert served.state()["off"]
    assert () == Latch(bench.path).events()


@pytest.mark.parametrize("order", ["flood", "noise can"])
def test_a_flooded_bus_and_noise_on_the_line_give_no_false_verdict(
    served: Served, bench: Bench, tmp_path: Path, order: str
) -> None:
    served.order("once standby in 4s quiet")
    broken = played_while(served, bench, tmp_path, order)
    served.order("quiet")
    served.wait_for(lambda state: not state["acting"], within_s=8.0)
    if broken.error:
        assert_safe(served, bench, broken)
        return
    assert broken.run is not None
    assert [] == [verdict for verdict in broken.run.verdicts if verdict.outcome is Outcome.FAIL]
    assert served.wait_for(lambda state: state["off"])
    assert broken.frames() > 100


def test_outputs_are_off_within_half_a_second_when_the_harness_is_killed(
    served: Served, bench: Bench, tmp_path: Path
) -> None:
    ports = [word for name, port in served.ports.items() for word in ("--port", f"{name}={port}")]
    fault = ("cell-voltage", "cell=17", "voltage_v=3.70", "--start", "standby", "--at", "0.2s", "--duration", "20s")
    with (tmp_path / "said").open("wb") as said:
        harness = subprocess.Popen(
            [sys.executable, "-m", "harness", "inject", str(BENCH_FILE), *fault, *ports, "--out", str(tmp_path)],
            cwd=ROOT,
            stdout=said,
            stderr=said,
        )
    try:
        served.wait_for(lambda state: highest_cell_v(state) > 3.69, within_s=20.0)
    except AssertionError as error:
        raise AssertionError((tmp_path / "said").read_text(encoding="utf-8")) from error
    killed_ns = served.clock.now_ns()
    os.kill(harness.pid, signal.SIGKILL)
    state = served.wait_for(lambda state: state["off"])
    harness.wait()
    assert state["off_since_ns"] - killed_ns <= OFF_WITHIN_NS
    served.wait_for(lambda _: Latch(bench.path).events())
    (recording,) = tmp_path.glob("*/bus.blf")
    assert Broken(None, "", recording).frames() > 50


def highest_cell_v(state: dict[str, dict[str, dict[str, dict[str, dict[str, float]]]]]) -> float:
    cells = state["instruments"]["cells"]["given"].get("cell_voltage_v")
    return cells["greatest"] if cells else 0.0
