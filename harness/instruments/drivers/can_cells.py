# SPDX-License-Identifier: Apache-2.0
"""Cell values over CAN, for debug firmware that takes them in place of its AFE.

Source: none; the layout is the firmware's own and is given by options, 16-bit unsigned values in frames of consecutive
identifiers:
- cell_id (needed with cell_voltage_v), temp_id (needed with cell_temp_degc): identifier of the first frame;
- per_frame = 4: values in a frame; byte_order = "little" or "big"; extended = 0 or 1;
- cell_unit_v = 0.0001; temp_unit_k = 0.1, temp_zero_degc = -100: what one count means, and what count 0 is;
- open_count = 65535: the count for an open wire;
- enable_id, enable_hex, disable_hex: a frame that switches the debug inputs on and off (needed: without it the firmware
  would keep the last values for ever);
- repeat_polls = 10: after how many polls every frame is sent again, changed or not.
Gives cell voltages, temperatures and open wires of both. Safe state: the disable frame was sent; nothing is energised,
and nothing can be read back.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from harness.errors import BenchError, UsageError
from harness.instruments.drivers import OutgoingFrame, Send
from harness.instruments.drivers.portless import WithoutPort
from harness.instruments.drivers.quantities import refuse_beyond
from harness.instruments.model import Envelope, Inputs, InstrumentSettings

MOST_PER_FRAME = 4
MOST_BYTES = 8
GREATEST_COUNT = 0xFFFF
GREATEST_ID, GREATEST_EXTENDED_ID = 0x7FF, 0x1FFF_FFFF
LEAST_UNIT = 1e-9  # V or K a count; 0 would divide by it
GIVES = {"cell_voltage_v": "cell_connected", "cell_temp_degc": "temp_connected"}


class CanCells(WithoutPort):
    """`Instrument` of harness.instruments.model over `send`."""

    def __init__(self, settings: InstrumentSettings, envelope: Envelope, send: Send) -> None:
        super().__init__(settings, envelope)
        self._send = send
        self._extended = settings.number("extended", 0) != 0
        self._per_frame = int(settings.number("per_frame", MOST_PER_FRAME))
        self._open = int(settings.number("open_count", GREATEST_COUNT, 1, GREATEST_COUNT))
        self._repeat_polls = int(settings.number("repeat_polls", 10, 1))
        self._cell_unit_v = settings.number("cell_unit_v", 0.0001, LEAST_UNIT)
        self._temp_unit_k = settings.number("temp_unit_k", 0.1, LEAST_UNIT)
        self._order = str(settings.options.get("byte_order", "little"))
        self._sent: dict[int, bytes] = {}
        self._polls = 0
        self._check_settings()

    def identify(self) -> str:
        """What is known: where the values go. Debug firmware does not say who it is."""
        return f"debug inputs over CAN switched on by {int(self.settings.number('enable_id', 0)):#x}"

    def arm(self) -> None:
        """Enable frame, then every value once."""
        self._armed = True
        self._off = False
        self._sent.clear()
        self._command("enable_hex")
        if self._wanted is not None:
            self._send_changes(self._wanted)

    def check(self, inputs: Inputs) -> None:
        """BenchError when a value is NaN, outside the envelope, or does not fit its 16 bits."""
        super().check(inputs)
        self._frames(inputs)

    def apply(self, inputs: Inputs) -> None:
        """Check, then send the frames that changed."""
        self.check(inputs)
        self._wanted = inputs
        if self._armed:
            self._send_changes(inputs)

    def poll(self) -> Mapping[str, bool]:
        """Repeat every frame now and then, so that the firmware sees its source alive."""
        self._polls += 1
        if self._armed and self._wanted is not None and self._polls % self._repeat_polls == 0:
            self._sent.clear()
            self._send_changes(self._wanted)
        return {}

    def safe(self) -> None:
        """Disable frame."""
        self._armed = False
        self._wanted = None
        self._command("disable_hex")
        self._off = True

    def _send_changes(self, inputs: Inputs) -> None:
        for identifier, data in self._frames(inputs).items():
            if self._sent.get(identifier) != data:
                self._send(OutgoingFrame(identifier, data, self._extended))
                self._sent[identifier] = data

    def _frames(self, inputs: Inputs) -> dict[int, bytes]:
        frames: dict[int, bytes] = {}
        if "cell_voltage_v" in self.settings.channels:
            counts = inputs.cell_voltage_v / self._cell_unit_v
            frames |= self._pack("cell_voltage_v", "cell_id", counts, inputs.cell_connected)
        if "cell_temp_degc" in self.settings.channels:
            above = inputs.cell_temp_degc - self.settings.number("temp_zero_degc", -100.0)
            counts = above / self._temp_unit_k
            frames |= self._pack("cell_temp_degc", "temp_id", counts, inputs.temp_connected)
        return frames

    def _pack(
        self, name: str, first: str, counts: NDArray[np.float64], connected: NDArray[np.bool_]
    ) -> dict[int, bytes]:
        refuse_beyond(self.settings.name, name, counts, 0, min(self._open - 1, GREATEST_COUNT), "counts")
        whole = np.rint(counts).astype(np.int64)
        if GIVES[name] in self.settings.channels:
            whole = np.where(connected, whole, self._open)
        data = whole.astype("<u2" if self._order == "little" else ">u2")
        identifier = int(self.settings.number(first, 0))
        return {
            identifier + place // self._per_frame: data[place : place + self._per_frame].tobytes()
            for place in range(0, data.size, self._per_frame)
        }

    def _command(self, option: str) -> None:
        data = bytes.fromhex(str(self.settings.options[option]))
        self._send(OutgoingFrame(int(self.settings.number("enable_id", 0)), data, self._extended))

    def _check_settings(self) -> None:
        given = self.settings.channels
        needed = {"enable_id", "enable_hex", "disable_hex"}
        needed |= {"cell_id"} if "cell_voltage_v" in given else set()
        needed |= {"temp_id"} if "cell_temp_degc" in given else set()
        missing = needed - set(self.settings.options)
        wrong = set(given) - {*GIVES, *GIVES.values()}
        wrong |= {line for value, line in GIVES.items() if line in given and value not in given}
        if missing or wrong or not 1 <= self._per_frame <= MOST_PER_FRAME or self._order not in {"little", "big"}:
            raise UsageError(
                f"{self.settings.name}: cells over CAN: options missing: {', '.join(sorted(missing)) or 'none'};"
                f" cannot give: {', '.join(sorted(wrong)) or 'none'}; per_frame 1 to {MOST_PER_FRAME};"
                ' byte_order "little" or "big"'
            )
        for option in ("enable_hex", "disable_hex"):
            self._check_hex(option)
        self._check_identifiers()

    def _check_hex(self, option: str) -> None:
        text = str(self.settings.options[option])
        try:
            fits = len(bytes.fromhex(text)) <= MOST_BYTES
        except ValueError:
            fits = False
        if not fits:
            raise UsageError(
                f"{self.settings.name}: option {option} = '{text}'; at most {MOST_BYTES} pairs of hexadecimal digits"
            )

    def _check_identifiers(self) -> None:
        """Every frame needs an identifier of its own that there is; of two with the same one would be lost."""
        greatest = GREATEST_EXTENDED_ID if self._extended else GREATEST_ID
        counts = {"enable_id": 1}
        for name, option in (("cell_voltage_v", "cell_id"), ("cell_temp_degc", "temp_id")):
            if name in self.settings.channels:
                counts[option] = -(-len(self.settings.channels[name]) // self._per_frame)
        used: dict[int, str] = {}
        for option, count in counts.items():
            first = int(self.settings.number(option, 0, 0))
            if first + count - 1 > greatest:
                raise UsageError(
                    f"{self.settings.name}: option {option} = {first:#x}: {count} frames from there;"
                    f" identifiers end at {greatest:#x}"
                )
            for identifier in range(first, first + count):
                if used.setdefault(identifier, option) != option:
                    raise UsageError(
                        f"{self.settings.name}: frames of {used[identifier]} and {option} have the same identifier"
                        f" {identifier:#x}"
                    )


def no_bus(frame: OutgoingFrame) -> None:
    """`Send` for benches whose CAN adapter was not handed to the rack."""
    raise BenchError(f"cells over CAN: no bus to send {frame.id:#x} on. Open the CAN adapter before the rack.")
