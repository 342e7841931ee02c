# SPDX-License-Identifier: Apache-2.0
"""A serial CAN adapter in a process of its own: `slcan_child.py LINK BEHAVIOUR`. Ends when its stdin does.

Behaviours, begun by the first frame it is sent: `echo` gives every frame back (`echo-fd` also CAN FD), `flood` says
20000 numbered frames as quickly as they are taken, `garbage` says what no adapter says and then the frame, `vanish`
unplugs itself, `deaf` does not answer at all, `foreign` answers as some other instrument.
"""

from __future__ import annotations

import select
import sys
from dataclasses import replace
from pathlib import Path

from harness.bench.lines import PtyLine
from harness.bench.slcan_device import SlcanDevice

FLOOD = 20_000
GARBAGE = b"\xff\xfe\x00\rtXYZ8\rt1238AABB\rt12391122334455667788 9\r\a\a" + b"?" * 5000 + b"\rtFFF0\r"
CHUNK = 2000


def serve(line: PtyLine, device: SlcanDevice, behaviour: str) -> None:
    flood: list[bytes] = []
    while True:
        ready, _, _ = select.select([line, sys.stdin], [], [], 0.001 if flood or line._waiting else None)
        if sys.stdin in ready:
            return
        data = line.read()
        if behaviour == "foreign" and data:
            line.write(b"Keysight Technologies,E36312A\r")
            continue
        if behaviour == "deaf":
            continue
        line.write(device.feed(data, 0))
        for frame in device.take():
            if behaviour == "vanish":
                line.close()
                sys.stdin.read()
                return
            if behaviour == "garbage":
                line.write(GARBAGE)
            if behaviour == "flood":
                numbered = (replace(frame, data=at.to_bytes(8, "big")) for at in range(FLOOD))
                lines = [device.deliver(each) for each in numbered]
                flood = [b"".join(lines[at : at + CHUNK]) for at in range(0, FLOOD, CHUNK)]
            else:
                line.write(device.deliver(frame))
        if flood and len(line._waiting) < CHUNK:
            line.write(flood.pop(0))


def main() -> None:
    line = PtyLine(Path(sys.argv[1]))
    device = SlcanDevice(500_000, 2_000_000 if sys.argv[2] == "echo-fd" else 0)
    print("ready", flush=True)  # noqa: T201 - its parent waits for it
    serve(line, device, sys.argv[2])


if __name__ == "__main__":
    main()
