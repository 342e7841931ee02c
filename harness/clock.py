# SPDX-License-Identifier: Apache-2.0
"""The only module that reads the wall clock. Everything else is given a time or a Clock."""

from __future__ import annotations

import datetime
import select
import time
from collections.abc import Sequence
from typing import Protocol

NS_PER_S = 1_000_000_000


class Clock(Protocol):
    """Monotonic time in integer nanoseconds, and a way to wait for it."""

    def now_ns(self) -> int:
        """Nanoseconds since an arbitrary start; never goes back."""
        ...

    def sleep_until_ns(self, when_ns: int) -> None:
        """Return at or after `when_ns`; at once if it has passed."""
        ...

    def wait_until_ns(self, when_ns: int, descriptors: Sequence[int]) -> bool:
        """As `sleep_until_ns`, but earlier, and True, as soon as one of the descriptors is readable."""
        ...


class WallClock:
    """Real time, for benches and for measuring how long something took."""

    def now_ns(self) -> int:
        """Nanoseconds of the monotonic clock of this machine."""
        return time.perf_counter_ns()

    def sleep_until_ns(self, when_ns: int) -> None:
        """Sleep without spinning."""
        remaining_ns = when_ns - self.now_ns()
        if remaining_ns > 0:
            time.sleep(remaining_ns / NS_PER_S)

    def wait_until_ns(self, when_ns: int, descriptors: Sequence[int]) -> bool:
        """Sleep in the system's poll; with the time passed, only look."""
        if not descriptors:
            self.sleep_until_ns(when_ns)
            return False
        while True:
            remaining_ns = when_ns - self.now_ns()
            readable = select.select(descriptors, (), (), max(remaining_ns, 0) / NS_PER_S)[0]
            if readable or remaining_ns <= 0:
                return bool(readable)


class ManualClock:
    """Time that moves only when told to; sleeping jumps. For tests."""

    def __init__(self, start_ns: int = 0) -> None:
        self._now_ns = start_ns

    def now_ns(self) -> int:
        """The time last set."""
        return self._now_ns

    def sleep_until_ns(self, when_ns: int) -> None:
        """Jump there."""
        self._now_ns = max(self._now_ns, when_ns)

    def wait_until_ns(self, when_ns: int, descriptors: Sequence[int]) -> bool:  # noqa: ARG002 - the Clock's
        """Jump there: nothing happens in between."""
        self.sleep_until_ns(when_ns)
        return False


def realtime_ns() -> int:
    """Time of day of this machine, nanoseconds since 1970; may jump. For time stamps that others take by it."""
    return time.time_ns()


def utc_timestamp() -> str:
    """Date and time of day for run headers, ISO 8601 with seconds, UTC."""
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
