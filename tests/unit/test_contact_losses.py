# SPDX-License-Identifier: Apache-2.0
"""How often contacts were lost within 10 s, out of what the controller was given."""

from __future__ import annotations

import numpy as np
import pytest

from harness.derived import contact_losses
from harness.trace import Frames, Trace

TICK_S = 0.1


def no_frames() -> Frames:
    small, wide = np.empty(0, np.uint8), np.empty(0, np.uint64)
    return Frames(wide, wide.astype(np.uint32), small, small, small, small, small.reshape(0, 8))


def losses(
    seconds: float,
    *,
    wires: tuple[tuple[float, float], ...] = (),
    loop: tuple[tuple[float, float], ...] = (),
    off: tuple[tuple[float, float], ...] = (),
) -> np.ndarray:
    """`wires`, `loop`: from and to which times a sense wire or the interlock is open; `off`: without supply."""
    t_s = np.round(np.arange(round(seconds / TICK_S) + 1) * TICK_S, 6)

    def during(spans: tuple[tuple[float, float], ...]) -> np.ndarray:
        found = np.zeros(len(t_s))
        for begin_s, end_s in spans:
            found[(t_s > begin_s - 1e-9) & (t_s < end_s - 1e-9)] = 1.0
        return found

    frames = no_frames()
    powered = 1.0 - during(off)
    trace = Trace(t_s, {"output": {"powered": powered}}, frames)
    given = {"cells_open_wire": during(wires), "hvil_closed": 1.0 - during(loop)}

    found = contact_losses(lambda _, name: given.get(name), trace, np.array([end_s for _, end_s in off]))
    assert found is not None
    return found


def at(found: np.ndarray, t_s: float) -> float:
    return float(found[round(t_s / TICK_S)])


def test_each_opening_counts_once_however_long_it_is() -> None:
    found = losses(5.0, loop=((1.0, 1.2), (2.0, 4.0)))
    assert [0.0, 1.0, 1.0, 2.0, 2.0] == [at(found, t_s) for t_s in (0.9, 1.0, 1.9, 2.0, 5.0)]


def test_wires_and_interlock_count_together() -> None:
    assert 4.0 == at(losses(3.0, loop=((1.0, 1.1), (1.3, 1.4)), wires=((1.0, 1.2), (2.0, 2.2))), 3.0)


def test_a_loss_counts_for_ten_seconds() -> None:
    found = losses(14.0, loop=((2.0, 2.1),))
    assert (1.0, 0.0) == (at(found, 11.9), at(found, 12.0))


def test_a_power_cycle_begins_anew() -> None:
    found = losses(6.0, loop=((1.0, 1.1), (2.5, 2.6), (4.0, 4.1)), off=((2.0, 3.0),))
    assert (1.0, 0.0, 1.0) == (at(found, 1.9), at(found, 3.0), at(found, 4.0))


def test_a_contact_that_is_open_at_power_on_is_a_loss() -> None:
    assert 1.0 == at(losses(5.0, loop=((2.5, 4.0),), off=((2.0, 3.0),)), 3.5)


@pytest.mark.parametrize("missing", ["cells_open_wire", "hvil_closed"])
def test_without_a_record_of_both_nothing_is_known(missing: str) -> None:
    t_s = np.zeros(1)
    empty = np.empty(0)
    trace = Trace(t_s, {}, no_frames())
    assert contact_losses(lambda _, name: None if name == missing else t_s, trace, empty) is None
