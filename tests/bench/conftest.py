# SPDX-License-Identifier: Apache-2.0
"""A small bench file for tests: one instrument gives everything. Ports and limits as the test wants them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from harness.bench.file import Bench, load_bench

LIMITS: Mapping[str, str] = {
    "cell_voltage_v": "[0.0, 5.0]",
    "cell_temp_degc": "[-50.0, 130.0]",
    "pack_current_a": "[-2000.0, 2000.0]",
    "pack_voltage_v": "[0.0, 1000.0]",
    "link_voltage_v": "[0.0, 1000.0]",
    "charger_voltage_v": "[0.0, 1000.0]",
    "insulation_ohm": "[0.0, 1e9]",
    "supply_v": "[0.0, 36.0]",
    "energy_wh": "10_000.0",
}
CHANNELS = """
cell_voltage_v = "1:192"
cell_temp_degc = "201:248"
pack_current_a = 301
pack_voltage_v = 302
link_voltage_v = 303
charger_voltage_v = 304
insulation_ohm = 305
supply_v = 306
"""


def bench_text(**limits: str) -> str:
    """The text of a bench file; a limit of "" is left out."""
    lines = [f"{name} = {value}" for name, value in {**LIMITS, **limits}.items() if value]
    return (
        'title = "Small bench"\nrig = "ebus-lfp"\n[can]\ninterface = "virtual"\nchannel = "small-bench"\n[limits]\n'
        + "\n".join(lines)
        + '\n[[instruments]]\nname = "all"\ndriver = "scpi-simulator"\nport = "loop://"\n[instruments.channels]'
        + CHANNELS
        + "[instruments.reads]\ncontactor_positive = 1\ncontactor_negative = 2\ncontactor_precharge = 3\n"
    )


@pytest.fixture
def write_bench(tmp_path: Path) -> Callable[..., Path]:
    """Writes a bench file with other limits, by their names in the file: cell_voltage_v="[0.0, 3.7]"."""

    def write(**limits: str) -> Path:
        path = tmp_path / "small.toml"
        path.write_text(bench_text(**limits))
        return path

    return write


@pytest.fixture
def make_bench(write_bench: Callable[..., Path]) -> Callable[..., Bench]:
    """The same, loaded."""
    return lambda **limits: load_bench(write_bench(**limits))
