# SPDX-License-Identifier: Apache-2.0
"""NGI N83624 battery simulator: 24 cells behind one port (TCP 7000 or RS-232).

Source of the command set: Hunan Next Generation Instrumental T&C Tech., "N83624 Series Programming Guide SCPI
Protocol", V20240130, sections 4 to 6 (copy read: https://github.com/ami3go/NGI-N83624-Battery-simulator, folder
Docs/Programming Guide): `*IDN?` -> "NGI,N83624,0,V1.00", `*OPC?`, `OUTPut<n>:MODE 0` (source), `OUTPut<n>:ONOFF`,
`SOURce<n>:VOLTage`, for several channels `SOURce:VOLTage 5(@1,2)` (no comma before the list), `SOURce<n>:OUTCURRent` in
mA, `SOURce<n>:RANGe 3` (automatic), `OUTPut<n>:STATe?` with bits 1 to 6 for tripped protections. The guide has no
SYSTem:ERRor?: the state bits are read in its place. Assumption: the step of 0.1 mV. The fault relays
(`FAULt<n>:SIMUlate`) are not used: the guide forbids switching them while there is voltage at the port.

Gives cell voltages. Options: resolution_v = 0.0001, limit_ma = 1000, greatest_v = 6.
Safe state: all outputs off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from harness.errors import BenchError
from harness.instruments.drivers.channels import by_value, channel_text_plain, chunks, unit_and_channel
from harness.instruments.drivers.quantities import refuse_beyond, steps_inside
from harness.instruments.drivers.scpi import ScpiInstrument
from harness.instruments.model import Envelope, Inputs, InstrumentSettings, Transport

CHANNELS = 24
ON_BIT = 0x01
TRIPPED_BITS = 0x7E  # overvoltage, overcurrent, overpower, overtemperature, fault relay under voltage, wrong mode
STATES = ("overvoltage", "overcurrent", "overpower", "overtemperature", "relay switched under voltage", "wrong mode")
MOST_PARTS = 8  # settings in one line; the guide does not say how long a line may be
QUANTITY = "cell_voltage_v"


class NgiN83624(ScpiInstrument):
    """One N83624."""

    models = ("N83624",)
    _clear_lines = ()
    gives = frozenset({QUANTITY})

    def __init__(self, settings: InstrumentSettings, transport: Transport, envelope: Envelope) -> None:
        super().__init__(settings, transport, envelope)
        self._channels = settings.channels[QUANTITY]
        for channel in self._channels:
            unit_and_channel(settings.name, channel, CHANNELS, 1)
        self._resolution_v = max(self.settings.number("resolution_v", 0.0001), 0.0001)
        self._greatest_v = self.settings.number("greatest_v", 6.0)
        self._health = 0

    def safe_lines(self) -> Sequence[str]:
        """All 24 outputs off, also those this bench does not use."""
        return tuple(f"OUTP{channel}:ONOFF 0" for channel in range(1, CHANNELS + 1))

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """One query for each output."""
        return [(f"OUTP{channel}:ONOFF?", "0") for channel in range(1, CHANNELS + 1)]

    def is_off(self) -> bool:
        """Every output reads back as off."""
        return not any(self._ask_all(f"OUTP{channel}:ONOFF?", 1)[0] for channel in range(1, CHANNELS + 1))

    def _setup_lines(self) -> Iterable[str]:
        limit_ma = self.settings.number("limit_ma", 1000)
        for channel in self._channels:
            yield f":OUTP{channel}:MODE 0;:SOUR{channel}:OUTCURR {limit_ma:g};:SOUR{channel}:RANG 3"

    def _on_lines(self) -> Iterable[str]:
        return (f"OUTP{channel}:ONOFF 1" for channel in self._channels)

    def _check(self, inputs: Inputs) -> None:
        refuse_beyond(self._place, QUANTITY, inputs.cell_voltage_v, 0.0, self._greatest_v, "V")

    def _change_lines(self, inputs: Inputs) -> Iterable[str]:
        whole = steps_inside(inputs.cell_voltage_v, self._resolution_v, self._envelope.limits[QUANTITY])
        changed = self._sent.changed(QUANTITY, whole)
        groups = by_value(
            (self._channels[index], f"{whole[index] * self._resolution_v:.4f}")
            for index in (int(one) for one in changed)
        )
        parts = [
            f":SOUR{members[0]}:VOLT {text}" if len(members) == 1 else f":SOUR:VOLT {text}{channel_text_plain(members)}"
            for text, members in groups.items()
        ]
        for some in chunks(parts, MOST_PARTS):
            yield ";".join(some)

    def _ask_health(self) -> None:
        channel = self._channels[self._health % len(self._channels)]
        self._health += 1
        self._ask_later(f"OUTP{channel}:STAT?", lambda answer: self._healthy(channel, answer))

    def _raise_errors(self) -> None:
        for channel in self._channels:
            self._healthy(channel, self._ask(f"OUTP{channel}:STAT?"))

    def _healthy(self, channel: int, answer: str) -> Mapping[str, bool]:
        state = int(self._number(f"OUTP{channel}:STAT?", answer))
        if state & TRIPPED_BITS:
            tripped = ", ".join(name for place, name in enumerate(STATES, 1) if state >> place & 1)
            raise BenchError(f"{self._place}: channel {channel} has tripped: {tripped}. Check the wiring of that cell.")
        return {}
