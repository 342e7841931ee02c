# SPDX-License-Identifier: Apache-2.0
"""Whether this machine can keep time for a bench, and has room for its recordings."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from harness.bench.checks import Check, ok, problem
from harness.clock import Clock
from harness.instruments.priority import REAL_TIME, processor_first

_READS = 2000
_WAKES = 100
_WAKE_NS = 5_000_000
_COARSE_NS = 100_000  # a tenth of what frames are told apart by
_GIB = 1 << 30
_LEAST_FREE_GIB = 1.0
_BYTES_A_FRAME = 48  # of BLF before compression
_LEAST_FRAME_BITS = 111  # 8 data bytes, 11-bit identifier, without stuff bits


def check_clock(clock: Clock, overrun_ms: float) -> Iterator[Check]:
    """Its resolution, and how late this process wakes up."""
    steps = sorted(step for step in _steps(clock) if step > 0)
    resolution_ns = steps[0] if steps else _COARSE_NS
    found = f"resolution {resolution_ns / 1000:.3g} us"
    if resolution_ns < _COARSE_NS:
        yield ok("clock", found)
    else:
        yield problem("clock", found, "this machine has no clock for a bench; use another one")
    with processor_first() as priority:
        late_ms = sorted(_lateness_ms(clock))
    p50, p99 = late_ms[len(late_ms) // 2], late_ms[int(len(late_ms) * 0.99)]
    measured = f"late by {p50:.2f} ms (p50), {p99:.2f} ms (p99), {late_ms[-1]:.2f} ms (max)"
    found = f"{measured} in {len(late_ms)} wake-ups, {priority}"
    if p99 <= overrun_ms:
        yield ok("wake-up", found)
    else:
        allow = "" if priority == REAL_TIME else ", allow real-time priority (ulimit -r, rtprio in limits.conf)"
        remedy = f"more than overrun_ms = {overrun_ms:g}: end other programs{allow}, or use a machine of its own"
        yield problem("wake-up", found, remedy)


def check_disk(out: Path, bitrate: int) -> Check:
    """Room for recordings in the folder they go to."""
    folder = next(path for path in (out.resolve(), *out.resolve().parents) if path.is_dir())
    free = shutil.disk_usage(folder).free
    hours = free / (bitrate / _LEAST_FRAME_BITS * _BYTES_A_FRAME) / 3600.0
    found = f"{free / _GIB:.1f} GiB free in {folder}: {hours:.0f} h of a full bus"
    if free < _LEAST_FREE_GIB * _GIB:
        return problem("disk", found, "make room, or record elsewhere with --out")
    return ok("disk", found)


def _steps(clock: Clock) -> Iterator[int]:
    before = clock.now_ns()
    for _ in range(_READS):
        now = clock.now_ns()
        yield now - before
        before = now


def _lateness_ms(clock: Clock) -> Iterator[float]:
    due_ns = clock.now_ns()
    for _ in range(_WAKES):
        due_ns = max(due_ns, clock.now_ns()) + _WAKE_NS
        clock.sleep_until_ns(due_ns)
        yield (clock.now_ns() - due_ns) / 1e6
