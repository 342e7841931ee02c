# SPDX-License-Identifier: Apache-2.0
"""A fast, plain generator of fault sequences for large campaigns. The same seed and number give the same scenario."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from harness.scenario import Scenario
from harness.search.moves import MAX_ACTIONS, STARTS, Aim, Pick, Space, compose

_FIELDS = len(Pick._fields)
_SCALE = 1 << 16
_MAX_SEED = 1 << 62
# How many actions a sequence gets: short ones shrink at once, long ones reach the paths that depend on history.
_LENGTHS = (1, 2, 2, 3, 3, 3, 4, 4, 5, 6)


def generate(searched: Space, seed: int, n: int, *, first: int = 0, aims: Sequence[Aim] = ()) -> Iterator[Scenario]:
    """Scenarios number `first` to `first + n - 1` of a campaign. Disjoint ranges may run in different processes.

    With `aims` (`harness.search.coverage.aims_at`) every other scenario begins with one of them, in turn.
    """
    for number in range(first, first + n):
        yield scenario_number(searched, seed, number, aim=aim_of(aims, number))


def aim_of(aims: Sequence[Aim], number: int) -> Aim | None:
    """What a scenario of a campaign begins with; None = left to chance."""
    return aims[number // 2 % len(aims)] if aims and number % 2 == 0 else None


def scenario_number(searched: Space, seed: int, number: int, *, aim: Aim | None = None) -> Scenario:
    """One scenario of a campaign by its number."""
    import numpy as np  # noqa: PLC0415 - the command line lists this module without generating

    draws: list[int] = np.random.default_rng((seed, number)).integers(0, _SCALE, 2 + MAX_ACTIONS * _FIELDS).tolist()
    length = _LENGTHS[draws[0] * len(_LENGTHS) // _SCALE]
    start = STARTS[draws[1] * len(STARTS) // _SCALE]
    picks = [_pick(searched, draws, 2 + place * _FIELDS) for place in range(length)]
    if aim is not None:
        start, picks = aim.start, [*aim.picks, *picks[len(aim.picks) :]]
    return compose(searched, start, picks, seed=1 + (seed * 1_000_003 + number) % _MAX_SEED)


def _pick(searched: Space, draws: list[int], at: int) -> Pick:
    group = draws[at] * len(searched.groups) // _SCALE
    rest: Any = draws[at + 1 : at + _FIELDS]
    return Pick(group, *rest)
