# SPDX-License-Identifier: Apache-2.0
"""The wheel holds all it needs: it works from an empty folder, without the checkout, and compiles what it brings."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network."""
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def unpacked(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What an installer puts into site-packages."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def call(unpacked: Path, folder: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command of the unpacked wheel, run in `folder` with a build cache of its own."""
    known = {**os.environ, "PYTHONPATH": str(unpacked), "XDG_CACHE_HOME": str(unpacked / "cache"), **environment}
    command = [sys.executable, "-m", "harness", *words]
    return subprocess.run(command, cwd=folder, env=known, capture_output=True, text=True, check=False)


def test_the_wheel_is_pure_python_and_carries_sources_data_and_licence(wheel: Path) -> None:
    assert wheel.name.endswith("-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for needed in (
        "harness/kernel/kernel.h",
        "harness/kernel/sim.c",
        "harness/firmware/fil.h",
        "harness/report/report.html.j2",
        "harness/report/vendor/uPlot.iife.min.js",
        "harness/py.typed",
        "harness/_data/rigs/ebus-lfp.toml",
        "harness/_data/rigs/reference-bms/fil_port.c",
        "harness/_data/dbc/reference-bms.dbc",
        "harness/_data/fixtures/requirements/ebus-lfp.toml",
    ):
        assert needed in names
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert [] == [name for name in names if name.startswith("tests/") or "__pycache__" in name]


def test_an_installed_wheel_works_from_an_empty_folder(unpacked: Path, tmp_path: Path) -> None:
    listed = call(unpacked, tmp_path, "rigs", "--json")
    assert listed.returncode == 0, listed.stderr
    (path,) = [rig["path"] for rig in json.loads(listed.stdout)["rigs"] if rig["name"] == "ebus-lfp"]
    assert Path(path).is_relative_to(unpacked)
    played = call(unpacked, tmp_path, "inject", "ebus-lfp", "cell-voltage", "cell=17", "voltage_v=3.80", "--json")
    assert played.returncode == 0, played.stderr
    assert json.loads(played.stdout)["fired"] is True
    assert [] == list(tmp_path.iterdir())


def test_a_campaign_of_an_installed_wheel_writes_its_report(unpacked: Path, tmp_path: Path) -> None:
    small = ("--no-grids", "--sequences", "0", "--generated", "2", "--jobs", "1")
    played = call(unpacked, tmp_path, "run", "ebus-lfp", *small, "--json")
    assert played.returncode in (0, 4), played.stderr
    report = tmp_path / json.loads(played.stdout)["run_dir"] / "report.html"
    assert "uPlot" in report.read_text(encoding="utf-8")


@pytest.mark.skipif(importlib.util.find_spec("ziglang") is not None, reason="ziglang brings a compiler")
def test_without_a_compiler_the_error_names_both_ways_out(unpacked: Path, tmp_path: Path) -> None:
    refused = call(unpacked, tmp_path, "build", "ebus-lfp", PATH=str(tmp_path), XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert refused.returncode == 3
    assert "install a compiler" in refused.stderr
    assert 'pip install "bms-harness[cc]"' in refused.stderr
    assert "Traceback" not in refused.stderr
