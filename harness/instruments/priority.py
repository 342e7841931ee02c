# SPDX-License-Identifier: Apache-2.0
"""The processor first for the loop of a bench, where the system allows it: other programs do not make it late."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

LOOP, GUARDIAN = 1, 2  # the least of the real-time ones; the guardian comes before what it watches
ORDINARY = "ordinary priority"
REAL_TIME = "real-time priority"


@contextmanager
def processor_first() -> Iterator[str]:
    """Real-time priority for this process, not for those it starts; ordinary again at the end. Gives what it got."""
    if not take_priority(LOOP):
        yield ORDINARY
        return
    try:
        yield REAL_TIME
    finally:
        _set("SCHED_OTHER", 0)


def take_priority(priority: int) -> bool:
    """Real-time priority for this process from now on; False when this user may not."""
    return _set("SCHED_RR", priority)


def _set(policy: str, priority: int) -> bool:
    try:
        number = getattr(os, policy) | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, number, os.sched_param(priority))
    except (AttributeError, OSError):  # not on every system, not for every user
        return False
    return True
