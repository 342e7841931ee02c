# SPDX-License-Identifier: Apache-2.0
"""A harness in small, to be killed: opens ports, starts a guardian, switches outputs on, beats every 10 ms.

One JSON object as argument: ports (name -> path), heartbeat_ms, latch, checks (whether instruments can be asked). Tells
"guardian PID" and "armed" on standard output. Ends on a line of standard input: "release", "rest", "busy" or "spin".
"""

from __future__ import annotations

import json
import os
import select
import sys
import tty
from pathlib import Path

from harness.clock import WallClock
from harness.errors import BenchError
from harness.instruments.guardian import Guardian
from harness.instruments.safestep import SafeStep

BUSY_S = 0.6  # three heartbeats


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def beat_until_told(guardian: Guardian) -> bytes:
    while not select.select([0], [], [], 0.01)[0]:
        guardian.beat()
    return os.read(0, 100).strip()


def main() -> None:
    job = json.loads(sys.argv[1])
    clock = WallClock()
    steps = []
    for name, path in job["ports"].items():
        port = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(port)
        checks = ((b"OUTP?\n", b"0"),) if job["checks"] else ()
        steps.append(SafeStep(name, port, b"VOLT 0\nOUTP OFF\n", checks))
    guardian = Guardian.start(
        steps, heartbeat_ms=job["heartbeat_ms"], latch=Path(job["latch"]), clock=clock, bench="box.toml", run="runs/1"
    )
    tell(f"guardian {guardian.pid}")
    guardian.beat()
    for step in steps:
        os.write(step.fd, b"OUTP ON\n")
    tell("armed")
    try:
        word = beat_until_told(guardian)
        if word == b"busy":
            guardian.busy()
            select.select([], [], [], BUSY_S)
            guardian.beat()
            tell("not busy any more")
            word = beat_until_told(guardian)
        while word == b"spin":
            pass
        if word == b"rest":
            guardian.rest()
            tell("resting")
            select.select([0], [], [])
    except BenchError as error:
        for step in steps:
            os.write(step.fd, b"OUTP OFF\n")
        tell(f"error {error}")
        guardian.release()
        sys.exit(error.exit_code)
    guardian.release()
    tell("released")


if __name__ == "__main__":
    main()
