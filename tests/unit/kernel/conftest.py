# SPDX-License-Identifier: Apache-2.0
"""The echo bench (tests/firmware/echo_bench.py) as fixtures."""

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest


@pytest.fixture(scope="session")
def bench() -> ModuleType:
    path = Path(__file__).parents[2] / "firmware" / "echo_bench.py"
    spec = importlib.util.spec_from_file_location("echo_bench", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["echo_bench"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def echo(bench: ModuleType) -> Iterator[Any]:
    echo = bench.Echo()
    yield echo
    echo.close()
