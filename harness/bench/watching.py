# SPDX-License-Identifier: Apache-2.0
"""Feeds a monitor: from an adapter in real time, from a recording at its own speed or at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.bench.monitor import Monitor, to_frames
from harness.bench.picture import Picture
from harness.canbus.livelog import LiveLog
from harness.canbus.portmodel import CanPort, PortFrame
from harness.clock import NS_PER_S, Clock
from harness.trace import Frames

REFRESH_NS = NS_PER_S // 5  # at most this often a picture is shown
_LOOK_NS = 50_000_000  # at least this often an adapter that can wake us is looked at
_POLL_NS = 2_000_000  # and one that cannot
Show = Callable[[Picture], None]


def watch(
    port: CanPort, monitor: Monitor, clock: Clock, *, for_s: float | None, show: Show, log: LiveLog | None = None
) -> float:
    """Listen for a time, or until interrupted; how long it was, s. Raises BenchError when the adapter is lost.

    Whatever ends it, what was received until then is in the monitor and in the log.
    """
    port.receive()  # what waited in the adapter is from before
    start_ns = clock.now_ns()
    end_ns = None if for_s is None else start_ns + round(for_s * NS_PER_S)
    waiting: list[PortFrame] = []
    shown_ns = start_ns
    try:
        while end_ns is None or clock.now_ns() < end_ns:
            _wait(port, clock, end_ns)
            frames = port.receive()
            waiting += frames
            if log is not None:
                log.append(frames)
            now_ns = clock.now_ns()
            if now_ns - shown_ns >= REFRESH_NS:
                _hand_over(waiting, monitor, start_ns)
                show(monitor.picture((now_ns - start_ns) / NS_PER_S))
                shown_ns = now_ns
    finally:
        _hand_over(waiting, monitor, start_ns)
    return (clock.now_ns() - start_ns) / NS_PER_S


def _wait(port: CanPort, clock: Clock, end_ns: int | None) -> None:
    descriptor = port.fileno()
    next_ns = clock.now_ns() + (_POLL_NS if descriptor is None else _LOOK_NS)
    if end_ns is not None:
        next_ns = min(next_ns, end_ns)
    clock.wait_until_ns(next_ns, () if descriptor is None else (descriptor,))


def _hand_over(waiting: list[PortFrame], monitor: Monitor, start_ns: int) -> None:
    monitor.add(to_frames(waiting, start_ns), own=sum(frame.own for frame in waiting))
    waiting.clear()


def replay(frames: Frames, monitor: Monitor, clock: Clock, *, for_s: float | None, fast: bool, show: Show) -> float:
    """Play a recording from its first frame on; how much of its time was played, s."""
    if not len(frames):
        return 0.0
    frames = replace(frames, t_ns=frames.t_ns - frames.t_ns[0])
    length_s = float(frames.t_ns[-1]) / NS_PER_S
    length_s = length_s if for_s is None else min(length_s, for_s)
    if fast:
        monitor.add(_until(frames, 0, int(np.searchsorted(frames.t_ns, length_s * NS_PER_S, side="right"))))
        return length_s
    start_ns, played, now_s = clock.now_ns(), 0, 0.0
    while now_s < length_s:
        clock.sleep_until_ns(min(clock.now_ns() + REFRESH_NS, start_ns + round(length_s * NS_PER_S)))
        now_s = min((clock.now_ns() - start_ns) / NS_PER_S, length_s)
        until = int(np.searchsorted(frames.t_ns, now_s * NS_PER_S, side="right"))
        monitor.add(_until(frames, played, until))
        played = until
        show(monitor.picture(now_s))
    return now_s


def _until(frames: Frames, first: int, end: int) -> Frames:
    return Frames(*(getattr(frames, name)[first:end] for name in Frames.__dataclass_fields__))
