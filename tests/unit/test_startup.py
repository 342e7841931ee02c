# SPDX-License-Identifier: Apache-2.0
"""What an entry point asks of the libraries it is about to import."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator

import pytest

from harness.startup import LEAN_VARIABLES, lean


@pytest.fixture(autouse=True)
def _thresholds() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_what_the_user_has_set_stays_and_the_rest_is_filled_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "4")
    monkeypatch.delenv("PYDANTIC_DISABLE_PLUGINS", raising=False)
    lean()
    assert {**LEAN_VARIABLES, "OPENBLAS_NUM_THREADS": "4"} == {name: os.environ[name] for name in LEAN_VARIABLES}


def test_garbage_is_collected_less_often_but_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in LEAN_VARIABLES:
        monkeypatch.setenv(name, LEAN_VARIABLES[name])
    before = gc.get_threshold()[0]
    lean()
    assert before < gc.get_threshold()[0]
    assert gc.isenabled()
