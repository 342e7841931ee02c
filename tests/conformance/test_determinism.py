# SPDX-License-Identifier: Apache-2.0
"""One seed, one trace: in two processes, after a restore, and with or without a detour in between."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.firmware.builder import find_compiler
from harness.firmware.compiler import Family
from harness.firmware.sanitizer import child_environment

BENCH = Path(__file__).parents[1] / "firmware" / "echo_bench.py"


@pytest.fixture
def bench() -> Any:
    spec = importlib.util.spec_from_file_location("echo_bench_of_determinism", BENCH)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def simulation(bench: Any) -> Iterator[Any]:
    echo = bench.Echo()
    yield echo.simulation(messages=(bench.vehicle(),))
    echo.close()


def in_a_process(seed: int, *more: str, **variables: str) -> str:
    command = [sys.executable, str(BENCH), str(seed), *more]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **variables}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert result.stderr == ""
    assert len(result.stdout) == 64
    return result.stdout


def test_the_same_seed_gives_the_same_bytes_in_two_processes() -> None:
    assert in_a_process(1) == in_a_process(1)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="sanitizer builds are for Linux")
def test_a_sanitizer_build_of_the_kernel_finds_nothing_and_gives_the_same_bytes() -> None:
    compiler = find_compiler()
    if compiler.family is Family.ZIG:
        pytest.skip("the ziglang package has no sanitizer")
    assert in_a_process(1, "sanitize", **child_environment(compiler)) == in_a_process(1)


def test_another_seed_gives_others() -> None:
    assert in_a_process(1) != in_a_process(2)


def test_running_twice_from_a_checkpoint_gives_the_same_bytes(bench: Any, simulation: Any) -> None:
    simulation.send(bench.command(bench.CONTACTORS, 2))
    bench.run(simulation, 0.5, truth_cells=True)
    state = simulation.save_state()
    digests = []
    for _ in range(2):
        simulation.load_state(state)
        bench.eventful(simulation, 0.5)
        digests.append(bench.digest(bench.run(simulation, 1.5, truth_cells=True)))
    assert digests[0] == digests[1]


def test_a_restored_simulation_goes_on_like_one_that_never_stopped(bench: Any) -> None:
    digests = []
    for detour in (False, True):
        echo = bench.Echo()
        simulation = echo.simulation(messages=(bench.vehicle(),))
        bench.eventful(simulation, 0.0)
        bench.run(simulation, 0.5, truth_cells=True)
        if detour:
            state = simulation.save_state()
            simulation.plan()
            simulation.send(bench.command(bench.CONTACTORS, 5))
            bench.run(simulation, 2.0, truth_cells=True)
            simulation.load_state(state)
        digests.append(bench.digest(bench.run(simulation, 1.0, truth_cells=True)))
        echo.close()
    assert digests[0] == digests[1]


def test_a_checkpoint_brings_back_every_byte(bench: Any, simulation: Any) -> None:
    bench.eventful(simulation, 0.0)
    bench.run(simulation, 0.5, truth_cells=True)
    state = simulation.save_state()
    bench.run(simulation, 1.0, truth_cells=True)
    assert bytes(simulation.save_state()) != bytes(state)
    simulation.load_state(state)
    assert bytes(simulation.save_state()) == bytes(state)
