# SPDX-License-Identifier: Apache-2.0
"""Records numbered frames at 1 kHz until it is killed: `recording_child.py FILE FORMAT...`. Says how many are appended
after each tick of 10 ms, with the time of the last in ns.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import cast

from harness.canbus.livelog import Format, LiveLog
from harness.canbus.portmodel import PortFrame
from harness.clock import WallClock
from harness.kernel.config import FrameFlag

TICK_NS = 10_000_000
PER_TICK = 10
ERROR_EVERY = 100


def frame(number: int, t_ns: int) -> PortFrame:
    """Every second one is our own, every hundredth an error frame."""
    flags = FrameFlag.ERROR if number % ERROR_EVERY == 0 else FrameFlag.NONE
    return PortFrame(t_ns, 0x123, number.to_bytes(8, "big"), flags, own=number % 2 == 1)


def main() -> None:
    clock = WallClock()
    start_ns = clock.now_ns()
    log = LiveLog(Path(sys.argv[1]), clock, t0_ns=start_ns, formats=cast("list[Format]", sys.argv[2:]))
    tick = 0
    while True:
        tick += 1
        clock.sleep_until_ns(start_ns + tick * TICK_NS)
        first = (tick - 1) * PER_TICK
        log.append([frame(first + at, start_ns + tick * TICK_NS + at) for at in range(PER_TICK)])
        print(first + PER_TICK, flush=True)  # noqa: T201 - the only way to tell before it is killed


if __name__ == "__main__":
    main()
