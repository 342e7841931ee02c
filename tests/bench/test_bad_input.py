# SPDX-License-Identifier: Apache-2.0
"""What is wrong with a bench is refused before anything is energised, with the remedy (issue 5, bad input).

Another model at a port is in test_box.py; another database, as heard on the bus, in test_buscheck.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.bench.energise import energised
from harness.bench.file import load_bench
from harness.bench.latch import Latch
from harness.canbus.portlock import PortLock
from harness.cli import cli
from harness.errors import BenchError, RigError
from tests.bench.box import BENCH_FILE, ROOT, Served

WriteBench = Callable[..., Path]


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("box")) as process:
        yield process


def ports_of(served: Served, **other: str) -> list[str]:
    return [word for name, port in {**served.ports, **other}.items() for word in ("--port", f"{name}={port}")]


@pytest.mark.parametrize(("name", "told"), [("can", "/dev/nothing-here"), ("cells", "cells: port /dev/nothing-here")])
def test_a_wrong_port_is_refused(served: Served, tmp_path: Path, name: str, told: str) -> None:
    words = ["inject", str(BENCH_FILE), "hvil-open", "--start", "standby", "--out", str(tmp_path)]
    result = CliRunner().invoke(cli, [*words, *ports_of(served, **{name: "/dev/nothing-here"})])
    assert result.exit_code == BenchError.exit_code
    assert told in result.stderr
    assert served.state()["off"]
    assert Latch(BENCH_FILE).events() == ()


def test_a_wrong_bit_rate_is_refused(served: Served, tmp_path: Path) -> None:
    rig = (ROOT / "rigs" / "ebus-lfp.toml").read_text()
    rig, count = re.subn(r"bitrate = 500_000", "bitrate = 250_000", rig)
    assert count == 1
    (tmp_path / "slow.toml").write_text(rig)
    bench = BENCH_FILE.read_text().replace('rig = "ebus-lfp"', 'rig = "slow.toml"')
    (tmp_path / "bench.toml").write_text(bench)
    loaded = load_bench(tmp_path / "bench.toml", served.ports)
    with (
        pytest.raises(BenchError, match=r"bit rate: .*250 kbit/s"),
        energised(loaded) as opened,
        opened.session(),
    ):
        pytest.fail("was energised")
    assert served.state()["off"]


def test_two_harnesses_on_one_adapter_are_refused(served: Served) -> None:
    bench = load_bench(BENCH_FILE, served.ports)
    lock = PortLock.take("slcan", served.ports["can"])
    try:
        with pytest.raises(BenchError, match="in use by"), energised(bench):
            pytest.fail("was opened")
    finally:
        lock.release()


@pytest.mark.parametrize("quantity", ["cell_voltage_v", "supply_v", "energy_wh"])
def test_a_bench_without_a_limit_is_refused_with_file_and_key(write_bench: WriteBench, quantity: str) -> None:
    path = write_bench(**{quantity: ""})
    with pytest.raises(RigError) as refused:
        load_bench(path)
    assert [(problem.file, problem.key) for problem in refused.value.problems] == [(str(path), f"limits.{quantity}")]
    result = CliRunner().invoke(cli, ["run", str(path)])
    assert result.exit_code == RigError.exit_code
    assert f"{path}:" in result.stderr


def test_a_scenario_beyond_the_limits_is_refused_by_the_command_line_with_the_number(
    write_bench: WriteBench, tmp_path: Path
) -> None:
    bench = write_bench(cell_voltage_v="[0.0, 3.7]")
    words = ["inject", str(bench), "cell-voltage", "cell=17", "voltage_v=3.8", "--out", str(tmp_path / "runs")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == RigError.exit_code
    assert "predicted 3.8 V (cell 17)" in result.stderr
    assert "0 to 3.7 V" in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["run", "BENCH", "--port", "cells"], "NAME=URL"),
        (["run", "BENCH", "--port", "lamp=/dev/ttyS0"], "lamp"),
        (["run", "ebus-lfp", "--port", "can=/dev/ttyS0"], "virtual rig"),
        (["run", "ebus-lfp", "--requirement", "PRT-OV-3"], "virtual rig"),
        (["run", "BENCH", "--requirement", "PRT-XX-9"], "PRT-XX-9"),
        (["run", "BENCH", "--sanitize"], "--sanitize means nothing on a bench"),
        (["doctor", "ebus-lfp", "--power"], "virtual rig"),
        (["doctor", "ebus-lfp", "--acknowledge", "A. Weber"], "never latches"),
        (["doctor", "BENCH", "--acknowledge", "A. Weber"], "not latched"),
    ],
)
def test_words_that_mean_nothing_are_refused(write_bench: WriteBench, words: list[str], told: str) -> None:
    bench = str(write_bench())
    result = CliRunner().invoke(cli, [bench if word == "BENCH" else word for word in words])
    assert result.exit_code == 2
    assert told in result.stderr


def test_a_copy_of_the_shipped_bench_file_works_in_any_folder(tmp_path: Path) -> None:
    copy = tmp_path / "mine.toml"
    copy.write_text(BENCH_FILE.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_bench(copy).rig.path == load_bench(BENCH_FILE).rig.path
