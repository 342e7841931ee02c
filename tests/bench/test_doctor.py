# SPDX-License-Identifier: Apache-2.0
"""The doctor: each line ok with what was measured, or what to do; and the way out of a latch."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.bench.doctor import examine
from harness.bench.file import Bench
from harness.bench.hostcheck import check_clock, check_disk
from harness.bench.latch import Latch
from harness.cli import cli
from harness.clock import ManualClock
from harness.errors import BenchError
from tests.bench.box import BENCH_FILE, Served
from tests.bench.test_energise import HastyClock, Stage

BUS = ("bit rate", "database", "messages", "periods", "other senders")
HOST = {"clock", "wake-up", "disk"}  # of the machine the tests run on, which may be busy


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("box")) as process:
        yield process


def doctor(*words: str) -> tuple[int, dict[str, dict[str, Any]]]:
    """The exit code, and the checks by name; the last one of a name."""
    result = CliRunner().invoke(cli, ["doctor", *words, "--json"])
    document = json.loads(result.stdout)
    assert document["ok"] == (result.exit_code == 0)
    return result.exit_code, {check["name"]: check for check in document["checks"]}


def ports_of(served: Served, **other: str) -> list[str]:
    return [word for name, port in {**served.ports, **other}.items() for word in ("--port", f"{name}={port}")]


def states(checks: dict[str, dict[str, Any]]) -> dict[str, str]:
    return {name: check["state"] for name, check in checks.items() if name not in HOST}


def test_a_bench_without_supply_is_all_right_but_for_its_silent_bus(served: Served) -> None:
    code, checks = doctor(str(BENCH_FILE), *ports_of(served))
    assert code == BenchError.exit_code
    odd = {name for name, state in states(checks).items() if state != "ok"}
    assert odd == set(BUS)
    assert "--power" in checks["bit rate"]["remedy"]
    assert "read back off in" in checks["safe state"]["found"]
    assert "20 beats" in checks["guardian"]["found"]
    assert "read back off" in checks["guardian"]["found"]
    assert "NOT OFF" not in checks["guardian"]["found"]
    assert all(name in checks["guardian"]["found"] for name in ("cells", "insulation", "relays", "supply"))
    assert {name for name in checks if name.startswith("instrument ")} == {
        "instrument cells", "instrument relays", "instrument insulation", "instrument supply",
    }  # fmt: skip
    assert served.state()["off"]


def test_with_power_the_frames_of_the_controller_are_looked_at_too_and_outputs_are_off_again(served: Served) -> None:
    _, checks = doctor(str(BENCH_FILE), *ports_of(served), "--power")
    assert set(states(checks).values()) == {"ok"}
    assert "frames in 2.5 s, no error frame" in checks["bit rate"]["found"]
    assert served.wait_for(lambda state: state["off"])


def test_an_instrument_of_another_model_gets_nothing_sent_and_is_named(served: Served) -> None:
    served.order("other-model cells")
    code, checks = doctor(str(BENCH_FILE), *ports_of(served))
    served.order("good cells")
    assert code == BenchError.exit_code
    assert checks["instrument cells"]["state"] == "problem"
    assert checks["instrument supply"]["state"] == "ok"
    assert {checks[name]["state"] for name in ("safe state", "drives", "guardian")} == {"not checked"}


def test_drives_that_nobody_reads_are_not_called_ok(make_bench: Callable[..., Bench], tmp_path: Path) -> None:
    with closing(Stage(outputs=None)) as stage:
        parts = stage.parts(tmp_path / "latches")
        checks = {check.name: check for check in examine(make_bench(), HastyClock(), out=tmp_path, parts=parts)}
    assert checks["drives"].state == "problem"
    assert "no reading within 0.5 s" in checks["drives"].found


def test_ports_that_are_not_there_are_told_and_what_hangs_on_them_is_not_called_ok() -> None:
    _, checks = doctor(str(BENCH_FILE), "--port", "can=/dev/nothing-here")
    assert checks["adapter"]["state"] == "problem"
    assert "/dev/nothing-here" in checks["adapter"]["found"]
    assert {checks[name]["state"] for name in (*BUS, "pack not live", "safe state", "guardian")} == {"not checked"}


def test_a_latched_bench_is_told_with_the_way_out_and_acknowledged_by_name() -> None:
    latch = Latch(BENCH_FILE)
    latch.set("cells stopped answering")
    _, checks = doctor(str(BENCH_FILE), "--port", "can=/dev/nothing-here")
    assert "cells stopped answering" in checks["latch"]["found"]
    assert "--acknowledge" in checks["latch"]["remedy"]
    result = CliRunner().invoke(cli, ["doctor", str(BENCH_FILE), "--acknowledge", "A. Weber, cable replaced"])
    assert result.exit_code == 0
    assert "cells stopped answering" in result.stdout
    assert latch.events() == ()
    assert "A. Weber, cable replaced" in latch.history.read_text()


def test_a_virtual_rig_is_built_booted_repeated_and_timed() -> None:
    code, checks = doctor("ebus-lfp")
    assert code == 0
    assert ["compiler", "build", "boot", "determinism", "speed"] == list(checks)


class LateClock(ManualClock):
    """Wakes up 8 ms late every so many times."""

    def __init__(self, every: int = 1) -> None:
        super().__init__()
        self._every, self._slept = every, 0

    def sleep_until_ns(self, when_ns: int) -> None:
        self._slept += 1
        super().sleep_until_ns(when_ns + (0 if self._slept % self._every else 8_000_000))


def test_a_machine_that_wakes_up_late_now_and_then_is_no_machine_for_a_bench() -> None:
    found = {check.name: check for check in check_clock(LateClock(every=20), overrun_ms=5.0)}
    assert found["wake-up"].state == "problem"


def test_a_machine_that_wakes_up_late_is_told_in_numbers() -> None:
    found = {check.name: check for check in check_clock(LateClock(), overrun_ms=5.0)}
    assert found["wake-up"].state == "problem"
    assert "8.00 ms (max)" in found["wake-up"].found
    assert {check.name: check.state for check in check_clock(LateClock(), overrun_ms=9.0)}["wake-up"] == "ok"


def test_room_for_recordings_is_told_of_the_nearest_folder_that_exists(tmp_path: Path) -> None:
    assert str(tmp_path) in check_disk(tmp_path / "runs" / "of today", 500_000).found
