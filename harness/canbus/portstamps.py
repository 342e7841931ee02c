# SPDX-License-Identifier: Apache-2.0
"""Time stamps of adapters on the time line of a clock, with the offset between the two tracked.

No frame comes from the future, none before the one it follows, and none from before the moment at which everything had
been read: whatever a stamp says, the result keeps to that.
"""

from __future__ import annotations

from collections import deque
from typing import Protocol

from harness.clock import NS_PER_S, Clock, realtime_ns

WINDOW_NS = 5 * NS_PER_S  # how long a measured offset counts: 50 ppm of drift are 0.25 ms in it
_BUCKET_NS = NS_PER_S // 2
_LATEST_NS = NS_PER_S // 5  # a driver hands a frame over within this time
_READ_NS = 20_000  # two clocks that were read further apart say little of each other
_READS = 3


class StampMap(Protocol):
    """From stamps of an adapter to times of the clock. `offset_ns`: what is added now."""

    offset_ns: int

    def begin(self, clock: Clock) -> None:
        """A new look at the adapter begins."""
        ...

    def to_clock(self, stamp_ns: int, now_ns: int) -> int:
        """The time on the clock of a frame that was read at `now_ns`."""
        ...


class HostStamps:
    """Stamps taken by this machine's time of day (the kernel's or python-can's own). The offset is known at any time; a
    time of day that is set in mid-run moves it with it.
    """

    def __init__(self) -> None:
        self.offset_ns = 0

    def begin(self, clock: Clock) -> None:
        """See StampMap. The clocks are read again when the system took the processor away in between."""
        for _ in range(_READS):
            before_ns, real_ns, after_ns = clock.now_ns(), realtime_ns(), clock.now_ns()
            self.offset_ns = (before_ns + after_ns) // 2 - real_ns
            if after_ns - before_ns < _READ_NS:
                return

    def to_clock(self, stamp_ns: int, now_ns: int) -> int:
        """See StampMap."""
        return min(stamp_ns + self.offset_ns, now_ns)


class TrackedStamps:
    """Stamps of a clock nobody knows: the adapter's, or another host's.

    Transport only ever adds to a frame's time, so the least difference seen lately is the offset.
    """

    def __init__(self) -> None:
        self.offset_ns = 0
        self._least: deque[tuple[int, int]] = deque()  # (begin of bucket, least difference in it)

    def begin(self, clock: Clock) -> None:
        """See StampMap."""
        now_ns = clock.now_ns()
        while self._least and self._least[0][0] < now_ns - WINDOW_NS:
            self._least.popleft()

    def to_clock(self, stamp_ns: int, now_ns: int) -> int:
        """See StampMap."""
        difference = now_ns - stamp_ns
        if self._least and difference > self.offset_ns + NS_PER_S:
            self._least.clear()  # the adapter's clock began anew
        if not self._least or self._least[-1][0] < now_ns - _BUCKET_NS:
            self._least.append((now_ns, difference))
        elif difference < self._least[-1][1]:
            self._least[-1] = (self._least[-1][0], difference)
        self.offset_ns = min(least for _, least in self._least)
        return min(stamp_ns + self.offset_ns, now_ns)


class Timeline:
    """Times of frames in their order. `stamps`: None for an adapter without any."""

    def __init__(self, stamps: StampMap | None) -> None:
        self._stamps = stamps
        self._last_ns = 0
        self._all_read_ns: int | None = None

    def begin(self, clock: Clock) -> None:
        """A new look at the adapter begins."""
        if self._stamps is not None:
            self._stamps.begin(clock)

    def place(self, stamp_s: float, now_ns: int) -> int:
        """When a frame was on the bus; `stamp_s` 0: the adapter has not stamped it."""
        t_ns = now_ns
        if self._stamps is not None and stamp_s > 0.0:
            t_ns = self._stamps.to_clock(round(stamp_s * NS_PER_S), now_ns)
        if self._all_read_ns is not None:
            t_ns = max(t_ns, self._all_read_ns - _LATEST_NS)
        self._last_ns = max(self._last_ns, min(t_ns, now_ns))
        return self._last_ns

    def all_read(self, now_ns: int) -> None:
        """Nothing is left to read: what comes later happened later."""
        self._all_read_ns = now_ns
