# SPDX-License-Identifier: Apache-2.0
"""Three strings in parallel with a controller each: what they may carry together, and how they join."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from harness.rig import find_rig, load_rig
from harness.rig.session import Run, Session
from harness.scenario import CommandAction, Scenario

RIG, STRINGS = "hybrid-storage-nmc", (1, 2, 3)
STATE_ID, ID_OFFSET, PRECHARGE = 0x100, 0x200, 3


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session(load_rig(find_rig(RIG))) as booted:
        yield booted


def play(session: Session, duration_s: float, *actions: CommandAction) -> Run:
    return session.run(Scenario(rig=RIG, start="drive", duration_s=duration_s, action=actions))


def test_strings_together_may_carry_more_than_one(session: Session) -> None:
    run = play(session, 60.0, CommandAction(at_s=0.0, do="load", scale=3.0))
    one = run.observation.truth("pack_current_a")
    out, back = run.observation.reported("discharge_limit_a"), run.observation.reported("charge_limit_a")
    assert one is not None
    assert out is not None
    assert back is not None
    together_a = len(STRINGS) * one.value
    assert together_a.max() > 1.2 * out.value.max()
    assert -together_a.min() > 1.2 * back.value.max()


def precharges(run: Run, string: int) -> list[tuple[int, int]]:
    """Begin and end of each, in ns, by the messages of the string."""
    frames = run.trace.frames
    own = frames.id == STATE_ID + (string - 1) * ID_OFFSET
    times, on = frames.t_ns[own], frames.data[own, 1] >> 4 == PRECHARGE
    edges = np.flatnonzero(np.diff(on.astype(np.int8))) + 1
    return [(int(times[begins]), int(times[ends])) for begins, ends in zip(edges[::2], edges[1::2], strict=True)]


def test_strings_that_are_asked_together_join_one_after_the_other(session: Session) -> None:
    leave = [CommandAction(at_s=0.5, do="standby", string=string) for string in STRINGS]
    join = [CommandAction(at_s=3.0, do="drive", string=string) for string in STRINGS]
    run = play(session, 12.0, *leave, *join)
    joined = sorted(found for string in STRINGS for found in precharges(run, string))
    assert len(joined) == len(STRINGS)
    assert all(before[1] <= after[0] for before, after in pairwise(joined))
