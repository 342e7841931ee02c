# SPDX-License-Identifier: Apache-2.0
"""Looks a virtual rig over: does this machine build, boot, repeat and run it, and how fast."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from harness.bench.checks import Check, from_error, not_checked, ok, problem
from harness.clock import NS_PER_S, Clock
from harness.errors import HarnessError
from harness.firmware.builder import find_compiler
from harness.rig.file import Rig
from harness.rig.session import Run, Session, build_libraries
from harness.scenario import Scenario

_SECONDS = 10.0
_ROUNDS = 3


def examine_rig(rig: Rig, clock: Clock) -> Iterator[Check]:
    """All checks, as they are made."""
    try:
        compiler = find_compiler()
        yield ok("compiler", f"{compiler.family}: {compiler}")
        start_ns = clock.now_ns()
        kernel, firmware = build_libraries(rig)
        yield ok("build", f"{kernel.name} and {firmware.name} ready in {_since(clock, start_ns):.2f} s")
        start_ns = clock.now_ns()
        with Session(rig) as session:
            runs = [session.run(_scenario(rig)) for _ in range(2)]
            broken = next((run.error for run in runs if run.error), "")
            if broken:
                yield problem("boot", broken, "the firmware does not get into the state 'standby'")
                yield from (not_checked(name, "the controller does not boot") for name in ("determinism", "speed"))
                return
            yield ok("boot", f"in standby after {_since(clock, start_ns):.2f} s of loading, booting and running")
            yield _deterministic(*runs)
            yield _speed(session, rig, clock)
    except HarnessError as error:
        yield from_error("build", error)


def _scenario(rig: Rig) -> Scenario:
    return Scenario(rig=rig.name, title="doctor", start="standby", duration_s=_SECONDS)


def _deterministic(one: Run, other: Run) -> Check:
    """The same scenario twice: every frame and every column must be the same."""
    same = np.array_equal(one.trace.frames.data, other.trace.frames.data)
    same &= np.array_equal(one.trace.frames.t_ns, other.trace.frames.t_ns)
    for side, columns in one.trace.columns.items():
        same &= all(np.array_equal(v, other.trace.columns[side][n], equal_nan=True) for n, v in columns.items())
    found = f"{len(one.trace.frames)} frames and {len(one.trace.t_s)} rows twice the same"
    if not same:
        remedy = "the firmware reads something that is not an input: memory it has not set, a clock, an address"
        return problem("determinism", "the same scenario went differently the second time", remedy)
    return ok("determinism", found)


def _speed(session: Session, rig: Rig, clock: Clock) -> Check:
    start_ns = clock.now_ns()
    for _ in range(_ROUNDS):
        session.run(_scenario(rig), keep=False)
    taken_s = _since(clock, start_ns) / _ROUNDS
    return ok("speed", f"{_SECONDS / taken_s:.0f} times real time, judged, on one processor")


def _since(clock: Clock, start_ns: int) -> float:
    return (clock.now_ns() - start_ns) / NS_PER_S
