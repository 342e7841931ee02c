# SPDX-License-Identifier: Apache-2.0
"""A bench in a box: process 1 the harness, process 2 `serve`.

The same verdicts as in virtual time, over pseudo-terminals and over TCP; and whatever is pulled, silenced, garbled,
flooded or killed: the safe state, and a recording that can be read.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.bench.file import Bench, load_bench
from harness.bench.latch import Latch
from harness.rig.session import Run
from harness.scenario import Scenario
from harness.verdict import Outcome
from tests.bench.box import BENCH_FILE, Played, Served, differences, in_virtual_time, on_the_bench
from tests.bench.boxbroken import Broken, killed, played_while, scenario

OFF_WITHIN_MS = 500.0  # of the guardian
INSTRUMENTS = {"cells", "relays", "insulation", "supply"}


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
    served.wait_for(lambda state: state["can"]["plugged"])
    assert "lost" in broken.error
    assert_safe(served, bench, broken)


@pytest.mark.parametrize("order", ["silent insulation", "garbage relays"])
def test_an_instrument_that_fails_ends_in_the_safe_state(
    served: Served, bench: Bench, tmp_path: Path, order: str
) -> None:
    broken = played_while(served, bench, tmp_path, order)
    fault, name = order.split()
    assert name in broken.error
    assert_safe(served, bench, broken, but=name if fault == "silent" else "")
    served.order(f"restart {name}")
    served.wait_for(lambda state: state["off"] and not state["instruments"][name]["fault"])


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


def test_a_flooded_bus_and_noise_on_the_line_give_no_false_verdict(
    served: Served, bench: Bench, tmp_path: Path
) -> None:
    served.order("once standby in 1s noise can")
    served.order("once standby in 3s quiet")
    broken = played_while(served, bench, tmp_path, "flood")
    served.order("quiet")
    served.wait_for(lambda state: not state["acting"], within_s=8.0)
    if broken.error:
        assert_safe(served, bench, broken)
        return
    assert broken.run is not None
    assert [] == [verdict for verdict in broken.run.verdicts if verdict.outcome is Outcome.FAIL]
    assert served.wait_for(lambda state: state["off"])
    assert broken.frames() > 1000


def test_outputs_are_off_within_half_a_second_when_the_harness_is_killed(
    served: Served, bench: Bench, tmp_path: Path
) -> None:
    took_ms, recording = killed(served, tmp_path)
    assert took_ms <= OFF_WITHIN_MS
    assert served.wait_for(lambda _: Latch(bench.path).events())
    assert Broken(None, "", recording).frames() > 50
