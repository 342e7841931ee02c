# SPDX-License-Identifier: Apache-2.0
"""Instruments of a bench, each at a pseudo-terminal of its own, in a process of their own.

One argument: the settings of the instruments as JSON. Prints one JSON line with the names of the ports. Then reads
orders, one a line: "fault NAME KIND", "state" (answers with a JSON line of what is off and given), "close NAME"; ends
when its input ends.
"""

from __future__ import annotations

import json
import os
import pty
import select
import sys
import tty

import numpy as np

from harness.instruments.devices import Device, DeviceFault, device_for
from harness.instruments.model import InstrumentSettings


def main() -> None:
    """See above."""
    devices: dict[str, Device] = {}
    ports: dict[int, str] = {}
    names: dict[str, str] = {}
    for settings in (InstrumentSettings(**one) for one in json.loads(sys.argv[1])):
        far, near = pty.openpty()
        tty.setraw(near)
        os.set_blocking(far, False)
        device = device_for(settings)
        assert device is not None
        devices[settings.name], ports[far], names[settings.name] = device, settings.name, os.ttyname(near)
    print(json.dumps(names), flush=True)  # noqa: T201 - this is how the test hears of it
    while True:
        ready, _, _ = select.select([*ports, sys.stdin], [], [])
        if sys.stdin in ready:
            order = sys.stdin.readline().split()
            if not order:
                return
            obey(order, devices, ports)
        for port in ready:
            if port in ports:
                answer = devices[ports[port]].feed(os.read(port, 65_536))
                while answer:
                    answer = answer[os.write(port, answer) :]


def obey(order: list[str], devices: dict[str, Device], ports: dict[int, str]) -> None:
    """One order."""
    if order[0] == "fault":
        devices[order[1]].fault = DeviceFault(order[2])
    elif order[0] == "close":
        port = next(port for port, name in ports.items() if name == order[1])
        os.close(port)
        del ports[port]
    elif order[0] == "state":
        state = {
            name: {
                "off": device.is_off,
                "given": {key: np.nan_to_num(values).tolist() for key, values in device.given().items()},
            }
            for name, device in devices.items()
        }
        print(json.dumps(state), flush=True)  # noqa: T201 - this is how the test hears of it


if __name__ == "__main__":
    main()
