# SPDX-License-Identifier: Apache-2.0
"""What the state of charge should be: moved by the charge that flows, from where it was told before that."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.charge import REST_S, counted, unseen
from harness.requirements.evidence import Series
from harness.trace import Frames, Side, Trace

TICK_S = 0.1
FLOW_A = 100.0
Values = NDArray[np.float64]


@dataclass
class Heard:
    """A controller that told of its state of charge once a second."""

    told: Mapping[float, float]
    on_s: tuple[float, ...] = ()
    boot_s: float = 0.5
    quantities: list[str] = field(default_factory=list)

    def reported(self, quantity: str) -> Series | None:
        self.quantities.append(quantity)
        return Series(np.array(list(self.told), np.float64), np.array(list(self.told.values()), np.float64))

    def power_ons(self) -> Values:
        return np.array(self.on_s)


def times(seconds: float) -> Values:
    return np.round(np.arange(round(seconds / TICK_S) + 1) * TICK_S, 6)


def trace(seconds: float, pct: Values, current_a: Values, **more: Values) -> Trace:
    small, wide = np.empty(0, np.uint8), np.empty(0, np.uint64)
    frames = Frames(wide, wide.astype(np.uint32), small, small, small, small, small.reshape(0, 8))
    columns: dict[Side, dict[str, Values]] = {
        "given": {"soc_counted": pct / 100.0, "pack_current_a": current_a},
        "truth": {"soc_mean": more["true"] / 100.0} if "true" in more else {},
        "output": {"powered": more["powered"]} if "powered" in more else {},
    }
    return Trace(times(seconds), columns, frames)


def falling(seconds: float, from_s: float, pct_per_s: float = -1.0) -> tuple[Values, Values]:
    """A count of 50 % until `from_s` and the current with it, on a level of its own."""
    flows = times(seconds) > from_s + 1e-9
    return 70.0 + pct_per_s * np.clip(times(seconds) - from_s, 0.0, None), np.where(flows, FLOW_A, 0.0)


def at(found: Values | None, t_s: float) -> float:
    assert found is not None
    return float(found[round(t_s / TICK_S)])


def test_what_was_told_at_rest_moves_with_the_count_once_current_flows() -> None:
    found = counted(trace(10.0, *falling(10.0, 4.0)), Heard({1.0: 52.0, 3.0: 50.0, 6.0: 12.0}))
    assert 48.0 == pytest.approx(at(found, 6.0))
    assert 44.0 == pytest.approx(at(found, 10.0))


def test_at_rest_nothing_is_expected() -> None:
    found = counted(trace(10.0, *falling(10.0, 4.0)), Heard({1.0: 50.0}))
    assert np.isnan(at(found, 3.9))


def test_without_a_rest_before_it_counts_from_the_first_message() -> None:
    pct, current = falling(6.0, -0.1)
    found = counted(trace(6.0, pct, current), Heard({2.0: 50.0, 4.0: 20.0}))
    assert [52.0, 50.0, 46.0] == [pytest.approx(at(found, t_s)) for t_s in (0.0, 2.0, 6.0)]


@pytest.mark.parametrize(("rest_s", "wanted"), [(REST_S - 1.0, 44.0), (REST_S + 1.0, 28.0)])
def test_only_a_rest_that_lasts_is_the_begin_of_a_new_count(rest_s: float, wanted: float) -> None:
    """Told 50 % before, 30 % in the pause and 2 s of flow after it: the lower one counts only after a rest."""
    t_s = times(6.0 + rest_s)
    pauses = (t_s > 4.0) & (t_s <= 4.0 + rest_s)
    pct = 80.0 - np.cumsum(np.where(pauses, 0.0, TICK_S))
    seconds = 6.0 + rest_s
    found = counted(trace(seconds, pct, np.where(pauses, 0.0, FLOW_A)), Heard({0.0: 50.0, 3.9 + rest_s: 30.0}))
    assert wanted == pytest.approx(at(found, seconds), abs=0.11)


def test_after_a_power_on_it_counts_from_what_is_told_then() -> None:
    pct, current = falling(8.0, -0.1)
    powered = np.where((times(8.0) > 2.0) & (times(8.0) < 3.0), 0.0, 1.0)
    heard = Heard({0.0: 60.0, 3.4: 40.0, 6.0: 10.0}, on_s=(3.0,))
    found = counted(trace(8.0, pct, current, powered=powered), heard)
    assert 58.5 == pytest.approx(at(found, 1.5))
    assert np.isnan([at(found, t_s) for t_s in (2.5, 3.0, 3.4)]).all()
    assert 40.0 - 4.6 == pytest.approx(at(found, 8.0))


def test_what_was_told_before_a_power_cut_counts_no_more() -> None:
    pct, current = falling(8.0, -0.1)
    powered = np.where((times(8.0) > 2.0) & (times(8.0) < 3.0), 0.0, 1.0)
    heard = Heard({0.0: 60.0, 4.0: 40.0, 6.0: 10.0}, on_s=(3.0,))
    assert 40.0 - 4.0 == pytest.approx(at(counted(trace(8.0, pct, current, powered=powered), heard), 8.0))


def test_a_count_stops_at_full_and_goes_on_from_there() -> None:
    t_s = times(20.0)
    pct = 90.0 + np.where(t_s < 10.0, 2.0 * t_s, 40.0 - 2.0 * t_s)
    found = counted(trace(20.0, pct, np.full(len(t_s), FLOW_A)), Heard({0.0: 90.0}))
    assert 100.0 == pytest.approx(at(found, 10.0))
    assert 100.0 - 20.0 == pytest.approx(at(found, 20.0))


def test_a_recording_without_a_count_expects_nothing() -> None:
    bare = trace(1.0, *falling(1.0, 0.0))
    without = Trace(bare.t_s, {"given": {"pack_current_a": times(1.0)}}, bare.frames)
    assert counted(without, Heard({0.0: 50.0})) is None
    assert unseen(without) is None


def test_unseen_is_what_the_truth_has_moved_apart_from_the_count_either_way() -> None:
    pct, current = falling(4.0, 4.0)
    true = np.where(times(4.0) < 2.0, 70.0, np.where(times(4.0) < 3.0, 74.0, 65.0))
    found = unseen(trace(4.0, pct, current, true=true))
    assert [0.0, 4.0, 5.0] == [pytest.approx(at(found, t_s)) for t_s in (1.0, 2.5, 4.0)]
