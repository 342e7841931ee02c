# SPDX-License-Identifier: Apache-2.0
"""What the benchmark of cyclic timing makes of stamps: errors of periods, not the turn of the other side."""

from __future__ import annotations

import numpy as np
import pytest

from tests.benchmarks.cyclic import SETTLE_S, errors

MS = 1_000_000
TURN_S = 10.0


def rows(times_ms: list[float], identifier: int = 0x300) -> list[tuple[int, int]]:
    return [(identifier, round(t_ms * MS)) for t_ms in times_ms]


def test_the_error_is_what_a_gap_differs_from_the_period_either_way() -> None:
    times_ms = [10.0 * at for at in range(102)]
    times_ms[60] += 3.0  # 13 ms, then 7 ms
    assert times_ms[60] > SETTLE_S * 1e3
    found = errors(np.array(rows(times_ms), np.int64), TURN_S)
    assert (102, 0.0, 3.0) == pytest.approx((found.frames, found.p50_ms, found.max_ms), abs=1e-6)


def test_neither_the_turn_of_the_other_side_nor_the_start_of_ones_own_is_an_error() -> None:
    turn_ms = [10.0 * at for at in range(1000)]
    turn_ms[5] += 4.0  # while settling
    both = rows([*turn_ms, *(t_ms + 20_000 for t_ms in turn_ms)])
    assert errors(np.array(both, np.int64), TURN_S).max_ms == pytest.approx(0.0, abs=1e-6)


def test_each_message_is_looked_at_by_itself() -> None:
    mixed = sorted(
        rows([10.0 * at for at in range(200)]) + rows([10.0 * at + 1 for at in range(200)], 0x301),
        key=lambda row: row[1],
    )
    assert errors(np.array(mixed, np.int64), TURN_S).max_ms == pytest.approx(0.0, abs=1e-6)
