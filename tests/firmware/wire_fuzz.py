# SPDX-License-Identifier: Apache-2.0
"""Random tables of faults on messages, frames and nodes: `wire_fuzz.py SEED RUNS [sanitize]`.

Every run has its own buses, messages, plans (a second one while the first acts), power cycles and a restored state.
Prints a digest of all frames. In a sanitizer build of the kernel the first finding ends the process.
"""

import hashlib
import sys
from collections.abc import Sequence
from typing import Any, TypeVar

import echo_bench as bench  # type: ignore[import-not-found] # found beside the script that is run
import numpy as np

from harness.firmware.builder import BuildOptions
from harness.kernel.bustypes import ANY, ANY_ID, NOT_THE_DUT, IdMode
from harness.kernel.config import BusConfig, Event, EventKind, Fault, FrameFlag, Message, Node, Op, Point
from harness.kernel.simulation import Frame, Simulation

Item = TypeVar("Item")
MS = 1_000_000
IDS = (0x000, 0x050, 0x101, 0x106, 0x200, 0x210, 0x7FF)
POINTS = [point for point in Point if point >= Point.MESSAGE_COUNTER]
VALUES: dict[Point, tuple[float, ...]] = {
    Point.MESSAGE_COUNTER: (0, 1, 14),
    Point.MESSAGE_CRC: (0, 1, 255),
    Point.FRAME_LENGTH: (0, 1, 7, 63),
    Point.FRAME_CORRUPT: (1, 8, 64, 512),
    Point.FRAME_BIT_ERROR: (0, 20, 21, 100, 1000),
    Point.FOREIGN_BABBLE: (0.001, 0.3, 1.0),
    Point.NODE_TEC: (0, 100, 127, 128, 255, 256),
}
TIMES = (0.001, 0.01, 0.05, 0.2)


class Draw:
    """Random choices from a seed."""

    def __init__(self, seed: int) -> None:
        self._generator = np.random.default_rng(seed)

    def whole(self, low: int, high: int) -> int:
        """From low to high, both included."""
        return int(self._generator.integers(low, high, endpoint=True))

    def one_of(self, items: Sequence[Item]) -> Item:
        """Any of them."""
        return items[self.whole(0, len(items) - 1)]

    def happens(self, share: float) -> bool:
        """True in so many cases."""
        return bool(self._generator.random() < share)

    def some_bytes(self, n: int) -> bytes:
        """Any n bytes."""
        return self._generator.bytes(n)


def fault(draw: Draw, buses: int) -> Fault:
    """One legal row."""
    point = draw.one_of(POINTS)
    message = point in (Point.MESSAGE_COUNTER, Point.MESSAGE_CRC)
    foreign = point in (Point.FOREIGN_SENDER, Point.FOREIGN_BABBLE)
    big_endian, bits = draw.happens(0.5), draw.whole(9, 57)
    corrupts, babbles = point == Point.FRAME_CORRUPT, point == Point.FOREIGN_BABBLE
    length = draw.whole(0, 600) if corrupts else draw.whole(0, 8) if babbles else bits
    start = draw.whole(0, 600) if corrupts else draw.one_of((0, 7, 16, 23, 440) if not big_endian else (7, 23, 440))
    return Fault(
        point,
        op=draw.one_of((Op.SET, Op.ADD, Op.HOLD, Op.RANDOM)) if message else Op.SET,
        index=draw.one_of((-1, 0, 1)) if message else -1,
        value=float(draw.one_of(VALUES.get(point, TIMES))),
        seed=draw.whole(0, 2**63 - 1),
        from_ns=(start_ns := draw.whole(0, 300) * MS),
        until_ns=start_ns + draw.whole(1, 300) * MS,
        id=draw.one_of(IDS),
        id_flags=draw.one_of((0, 0, FrameFlag.EXTENDED) if foreign else (0, 0, ANY_ID, FrameFlag.EXTENDED)),
        node=draw.one_of((ANY, NOT_THE_DUT, *Node)),
        bus=draw.whole(0, buses - 1) if foreign or draw.happens(0.7) else ANY,
        mode=draw.whole(0, 2 if message else 1),
        count=draw.one_of((0, 0, 1, 7)),
        every=draw.one_of((0, 1, 1, 3)),
        probability=draw.one_of((0.0, 0.3, 1.0, 1.0)),
        start_bit=start,
        length=length,
        big_endian=big_endian,
        mask=draw.one_of((0, 1, 0xFF00, 2**64 - 1)),
    )


def messages(draw: Draw, buses: int, *, fd: bool) -> tuple[Message, ...]:
    """Two messages of the rest bus, one with any protection."""
    flags = FrameFlag.FD | FrameFlag.BRS if fd else FrameFlag.NONE
    other = bench.vehicle(
        id=0x210,
        node=Node.CHARGER,
        bus=draw.whole(0, buses - 1),
        flags=flags,
        length=draw.one_of((12, 20, 64)) if fd else 8,
        payload=draw.some_bytes(8),
        period_us=draw.one_of((1_000, 5_000, 20_000)),
        e2e_width=draw.one_of((0, 8, 16)),
        e2e_reflected=draw.happens(0.5),
        e2e_id_mode=draw.one_of(list(IdMode)),
        e2e_polynomial=draw.whole(0, 255),
        e2e_data_id=draw.whole(0, 65535),
        crc_byte=draw.one_of((-1, 0, 2, 6)),
        counter_start_bit=draw.one_of((-1, 40)),
    )
    return (bench.vehicle(), other)


def one(echo: Any, draw: Draw, total: Any) -> None:
    """A run of 0.6 s, half of it twice: after it, and after a restored state."""
    buses, fd = draw.whole(1, 3), draw.happens(0.4)
    bus = BusConfig(n_buses=buses, bitrate=draw.one_of((125_000, 500_000)), data_bitrate=2_000_000 if fd else 0)
    parameters = (("restart", draw.whole(0, 7)), ("can_state", 1), ("report", draw.whole(0, 1)))
    simulation: Simulation = echo.simulation(bus=bus, messages=messages(draw, buses, fd=fd), parameters=parameters)
    off = draw.whole(1, 200) * MS
    events = (Event(off, EventKind.POWER, value=0), Event(off + 50 * MS, EventKind.POWER, value=1))
    simulation.plan(events if draw.happens(0.5) else (), [fault(draw, buses) for _ in range(draw.whole(0, 8))])
    for node in (Node.VEHICLE, draw.one_of((Node.TESTER, Node.FOREIGN))):
        flags = FrameFlag.FD if fd and draw.happens(0.5) else FrameFlag.NONE
        simulation.send(
            Frame(draw.one_of(IDS), draw.some_bytes(draw.whole(0, 8)), flags, draw.whole(0, buses - 1), node)
        )
    total.update(bench.digest(bench.run(simulation, 0.3, truth_cells=True)).encode())
    simulation.plan(faults=[fault(draw, buses) for _ in range(draw.whole(0, 8))])
    state = simulation.save_state() if simulation.checkpointable else None
    first = bench.digest(bench.run(simulation, 0.6, truth_cells=True))
    if state is not None:
        simulation.load_state(state)
        assert bench.digest(bench.run(simulation, 0.6, truth_cells=True)) == first
    total.update(first.encode())
    echo.simulations.pop().close()


def main() -> None:
    """Print the digest of all runs."""
    draw = Draw(int(sys.argv[1]))
    echo = bench.Echo(BuildOptions(sanitize="sanitize" in sys.argv))
    total = hashlib.sha256()
    for _ in range(int(sys.argv[2])):
        one(echo, draw, total)
    sys.stdout.write(total.hexdigest())


if __name__ == "__main__":
    main()
