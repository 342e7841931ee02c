# SPDX-License-Identifier: Apache-2.0
"""`python -m tests.benchmarks.cyclic [--seconds 60] [--json]`: how regular cyclic messages are on the wire.

Eight rest-bus messages at 10 ms: by the loop of the bench (kernel, plant of 192 cells, pacer, recording) and
by python-can's own cyclic tasks. Both take turns on the same bus, first as the machine is, then with one busy core.
The bus is python-can's UDP multicast, whose frames the kernel of the machine stamps as they arrive: what is measured
does not depend on when a receiver gets to read them. A process of its own receives.

The error is what the time between two frames of a message differs from 10 ms.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import can
import numpy as np
from numpy.typing import NDArray

from harness.bench.machine import BenchMachine
from harness.bench.pacer import Pacer
from harness.canbus.livelog import LiveLog
from harness.canbus.portmodel import PortSettings
from harness.canbus.ports import open_port
from harness.clock import NS_PER_S, WallClock
from harness.firmware.builder import build_kernel
from harness.firmware.outside.controller import build_outside
from harness.instruments.model import Inputs, Outputs
from harness.kernel.config import Message
from harness.kernel.simulation import TraceBuffers
from harness.rig import find_rig, load_rig
from harness.rig.compose import kernel_config

MESSAGES, PERIOD_S, SPACING_S = 8, 0.010, 0.001
BITRATE = 500_000
ROUND_S = 10.0
GROUP, PORTS = "239.74.163.30", (43_930, 43_931)  # ours, python-can's
FIRST_ID = 0x300
SETTLE_S = 0.3  # left out at the beginning of each turn


@dataclass(frozen=True, slots=True)
class Errors:
    """How far the times between frames were from the period, ms, over all messages; and how many frames there were."""

    frames: int
    p50_ms: float
    p99_ms: float
    max_ms: float


class Nothing:
    """A rack without instruments."""

    accuracy: Mapping[str, float] = {}
    latency_s = 0.0

    def identify(self) -> Mapping[str, str]:
        return {}

    def arm(self, inputs: Inputs | None = None) -> None:
        del inputs

    def apply(self, inputs: Inputs) -> None:
        del inputs

    def poll(self) -> Outputs | None:
        return None

    def safe(self) -> None:
        pass


def settings(at: int) -> dict[str, Any]:
    return {"interface": "udp_multicast", "channel": GROUP, "port": PORTS[at]}


def ours(seconds: float, turns: Iterator[None]) -> Iterator[None]:
    """The loop of the bench; one turn of `seconds` for each item of `turns`."""
    rig = load_rig(find_rig("ebus-lfp"))
    messages = tuple(
        Message(
            id=FIRST_ID + at, length=8, period_us=round(PERIOD_S * 1e6), payload=bytes(8),
            offset_us=round(at * SPACING_S * 1e6), counter_start_bit=0, counter_length=4, counter_max=14,
            crc_byte=7, crc_polynomial=0x1D, crc_initial=0xFF, crc_final_xor=0xFF, crc_data_id=at,
        )
        for at in range(MESSAGES)
    )  # fmt: skip
    config = replace(kernel_config(rig), messages=messages)
    clock = WallClock()
    port = open_port(PortSettings("udp_multicast", GROUP, BITRATE, options={"port": PORTS[0]}), clock)
    with tempfile.TemporaryDirectory() as folder, LiveLog(Path(folder), clock) as log:
        machine = BenchMachine(build_kernel(), build_outside(), config, port, Nothing(), Pacer(clock), recorder=log)
        machine.reload()
        for _ in turns:
            simulation = machine.simulation
            simulation._running = False  # its pacer begins anew: it did nothing during the turn of the other
            simulation._bus.forget()
            simulation.run(simulation.now_s + seconds, TraceBuffers(machine.config, seconds))
            yield
        machine.close()
    port.close()


def theirs(seconds: float, turns: Iterator[None]) -> Iterator[None]:
    """python-can's cyclic tasks, begun as far apart as ours."""
    clock = WallClock()
    with can.Bus(**settings(1), ignore_config=True) as bus:
        for _ in turns:
            start_ns = clock.now_ns()
            tasks = []
            for at in range(MESSAGES):
                clock.sleep_until_ns(start_ns + round(at * SPACING_S * NS_PER_S))
                message = can.Message(arbitration_id=FIRST_ID + at, is_extended_id=False, data=bytes(8))
                tasks.append(bus.send_periodic(message, PERIOD_S))
            clock.sleep_until_ns(start_ns + round(seconds * NS_PER_S))
            for task in tasks:
                task.stop()
            yield


def receive(path: Path) -> None:
    """Note side, identifier and the kernel's stamp of everything until the standard input ends."""
    buses = [can.Bus(**settings(at), ignore_config=True) for at in range(2)]
    for bus in buses:
        bus._multicast._socket.setsockopt(1, 8, 4_000_000)  # type: ignore[attr-defined] # SO_RCVBUF: a late reader loses nothing
    rows: list[tuple[int, int, int]] = []
    print("ready", flush=True)
    over = False
    while not over:
        over = sys.stdin in select.select([*buses, sys.stdin], [], [], 1.0)[0]
        for at, bus in enumerate(buses):
            while (message := bus.recv(0)) is not None:
                rows.append((at, message.arbitration_id, round(message.timestamp * NS_PER_S)))
    np.save(path, np.array(rows, np.int64).reshape(-1, 3))
    for bus in buses:
        bus.shutdown()


@contextmanager
def child(*words: str) -> Iterator[subprocess.Popen[str]]:
    """A process that ends with its standard input."""
    with subprocess.Popen(
        [sys.executable, *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        try:
            yield process
            process.stdin.close()
            process.wait()
        finally:
            process.kill()


def measured(seconds: float) -> dict[str, Errors]:
    """Both sides in turns."""
    rounds = max(1, round(seconds / ROUND_S))
    each_s = seconds / rounds
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.npy"
        with child("-m", "tests.benchmarks.cyclic", "--receive", str(path)) as process:
            assert process.stdout is not None
            process.stdout.readline()
            take_turns([lambda turns: ours(each_s, turns), lambda turns: theirs(each_s, turns)], rounds)
        rows = np.load(path)
    return {name: errors(rows[rows[:, 0] == at][:, 1:], each_s) for at, name in enumerate(("ours", "python-can"))}


def take_turns(sides: list[Callable[[Iterator[None]], Iterator[None]]], rounds: int) -> None:
    """One turn of each side after the other, every other round backwards."""
    running = [side(iter([None] * rounds)) for side in sides]
    for number in range(rounds):
        for side in running if number % 2 == 0 else reversed(running):
            next(side)
    for side in running:
        next(side, None)


def errors(rows: NDArray[np.int64], turn_s: float) -> Errors:
    """Of the times between frames of each identifier; not over the turn of the other side, not while settling."""
    found = []
    for identifier in np.unique(rows[:, 0]):
        t_s = rows[rows[:, 0] == identifier][:, 1] / NS_PER_S
        gaps = np.diff(t_s)
        begins = np.concatenate(([t_s[0]], t_s[1:][gaps > turn_s / 2]))
        since = t_s[1:] - begins[np.searchsorted(begins, t_s[1:], side="right") - 1]
        found.append(np.abs(gaps - PERIOD_S)[(gaps <= turn_s / 2) & (since > SETTLE_S)] * 1e3)
    off = np.concatenate(found)
    p50, p99 = np.percentile(off, (50, 99))
    return Errors(len(rows), float(p50), float(p99), float(off.max()))


def busy() -> None:
    """Keep a core busy until the standard input ends."""
    while sys.stdin not in select.select([sys.stdin], [], [], 0)[0]:
        for _ in range(1000):
            pass


def table(document: Mapping[str, Any]) -> str:
    """As it stands in the documentation."""
    lines = ["| machine | column | frames | p50 ms | p99 ms | max ms |", "|---|---|---|---|---|---|"]
    for machine, sides in document["results"].items():
        for name, found in sides.items():
            numbers = " | ".join(f"{found[key]:.3f}" for key in ("p50_ms", "p99_ms", "max_ms"))
            lines.append(f"| {machine} | {name} | {found['frames']} | {numbers} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.cyclic", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="for each side, as it is and with a busy core")
    parser.add_argument("--json", action="store_true", help="one JSON document on standard output")
    parser.add_argument("--receive", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--busy", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.receive is not None:
        receive(arguments.receive)
        return
    if arguments.busy:
        busy()
        return
    loads = [os.getloadavg()[0]]
    results = {"as it is": {name: asdict(found) for name, found in measured(arguments.seconds).items()}}
    loads.append(os.getloadavg()[0])
    with child("-m", "tests.benchmarks.cyclic", "--busy"):
        results["one busy core"] = {name: asdict(found) for name, found in measured(arguments.seconds).items()}
    loads.append(os.getloadavg()[0])
    about = {"cores": os.cpu_count(), "load": [round(load, 2) for load in loads], "python-can": can.__version__}
    document = {"seconds": arguments.seconds, "machine": about, "results": results}
    print(json.dumps(document, indent=2) if arguments.json else f"{table(document)}\n\n{about}")


if __name__ == "__main__":
    main()
