# SPDX-License-Identifier: Apache-2.0
"""`bms-harness serve` as others use it: what it is told wrongly, what it leaves behind, a script that talks to it."""

from __future__ import annotations

import os
from pathlib import Path

import can
import pytest
from click.testing import CliRunner

from harness.cli import cli
from tests.bench.box import BENCH_FILE, Served


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "where is the bus"),
        (["--interface", "socketcan"], "go together"),
        (["--folder", "here", "--tcp", "20000"], "choose one"),
        (["--tcp", "65533"], "does not exist"),
        (["--interface", "nonsense", "--channel", "can0"], "nonsense"),
    ],
)
def test_places_that_cannot_be_had_are_refused_with_what_to_do(words: list[str], told: str) -> None:
    result = CliRunner().invoke(cli, ["serve", str(BENCH_FILE), *words])
    assert result.exit_code == 2, result.output
    assert told in result.output


def test_a_file_in_the_way_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "cells").write_text("mine", encoding="utf-8")
    result = CliRunner().invoke(cli, ["serve", str(BENCH_FILE), "--folder", str(tmp_path)])
    assert result.exit_code == 2, result.output
    assert "in the way" in result.output
    assert ["cells"] == [path.name for path in tmp_path.iterdir()]


def test_a_script_sees_a_pack_changes_what_an_instrument_gives_and_nothing_is_left(tmp_path: Path) -> None:
    """The supply is set to 14 V by the commands of its manual; below 16 V the controller trips (PRT-SUP)."""
    with Served(tmp_path, "--folder", str(tmp_path / "box"), "--plant") as served:
        assert {"can", "cells", "relays", "insulation", "supply", ".lock", "state.json"} >= {
            path.name for path in (tmp_path / "box").iterdir()
        }
        served.wait_for(lambda state: state["bms"]["state"] == "standby")
        heard: set[int] = set()
        with can.Bus(interface="slcan", channel=served.ports["can"], bitrate=500_000, sleep_after_open=0) as bus:
            while len(heard) < 5:
                message = bus.recv(1.0)
                assert message is not None, "the controller is silent"
                heard.add(message.arbitration_id)
        supply = os.open(served.ports["supply"], os.O_RDWR | os.O_NOCTTY)
        os.write(supply, b"*IDN?\nSYST:REM\nVOLT 14\nOUTP ON\n")
        served.wait_for(lambda state: state["bms"]["state"] == "fault")
        assert os.read(supply, 100).startswith(b"Agilent Technologies,E3645A")
        os.close(supply)
        served.order("explode")
        served.order("unplug supply")
        served.wait_for(lambda state: not state["instruments"]["supply"]["plugged"])
        assert 0 == served.end()
        assert "'explode' is no order" in served.said()
    assert [] == list((tmp_path / "box").iterdir())


def test_it_ends_after_its_time(tmp_path: Path) -> None:
    with Served(tmp_path, "--folder", str(tmp_path / "box"), "--for", "200ms") as served:
        assert 0 == served.process.wait(10.0)
    assert [] == list((tmp_path / "box").iterdir())
