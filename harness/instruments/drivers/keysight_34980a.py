# SPDX-License-Identifier: Apache-2.0
"""Keysight (Agilent) 34980A mainframe: relays, analogue outputs and digital inputs behind one port.

Source of the command set: "34980A Programmer's Reference" (help file, https://documentation.help/34980A/): ROUTe:CLOSe,
ROUTe:CLOSe?, ROUTe:OPEN for 34931A-34934A and 34937A-34939A, channels `(@sccc)` with ranges; [SENSe:]DIGital:DATA:BYTE?
and CONFigure:DIGital:DIRection for 34950A; "34950A User's Guide", page 16. For the 34951A isolated DAC `SOURce:VOLTage`
(-16 to 16 V) and `OUTPut:STATe` as public drivers use them (the help file's pages on them could not be
read); that `OUTPut:STATe?` takes a list and answers 0/1 for each is an assumption, as is the step of 0.5 mV (16 bit
over 32 V).

Gives lines by relays (closed = 1): sense wires of cells and sensors, HVIL, supply, ignition, plug, crash, auxiliary
contacts; pack current, pack, link and charger voltage as signals of an analogue output, U = offset + gain x value;
reads contactor drives from one digital byte. Channels below 1000 count the relays through the slots: with
relays_per_slot = 64 (34939A) and relay_slot = 1, channel 65 is 2001. Channels from 1000 on are meant as they are.
`reads` are bits 0 to 7. Options: relay_slot = 1, relays_per_slot = 64, digital_channel = 7101, and for each analogue
quantity <quantity>_gain (V per unit, needed) and <quantity>_offset_v = 0.
Safe state: relays used are open, analogue outputs used are off.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.instruments.drivers.channels import channel_text, chunks
from harness.instruments.drivers.quantities import refuse_beyond, steps, values_of
from harness.instruments.drivers.scpi import ScpiInstrument
from harness.instruments.model import ANALOG, LINES, READINGS, Envelope, Inputs, InstrumentSettings, Transport

ANALOG_V = (-16.0, 16.0)
STEP_V = 0.0005
NATIVE = 1000
MOST_IN_QUERY = 64


class Keysight34980a(ScpiInstrument):
    """One mainframe with the modules it was given."""

    models = ("34980A",)
    gives = frozenset(LINES) | {"pack_current_a", "pack_voltage_v", "link_voltage_v", "charger_voltage_v"}
    reads = frozenset(READINGS)

    def __init__(self, settings: InstrumentSettings, transport: Transport, envelope: Envelope) -> None:
        super().__init__(settings, transport, envelope)
        self._per_slot = int(settings.number("relays_per_slot", 64, 1, NATIVE - 1))
        self._slot = int(settings.number("relay_slot", 1))
        self._digital = int(settings.number("digital_channel", 7101))
        self._relays = {
            name: [self._relay(channel) for channel in channels]
            for name, channels in settings.channels.items()
            if name in LINES
        }
        self._outputs = {name: channels[0] for name, channels in settings.channels.items() if name in ANALOG}
        self._scale = {name: self._scale_of(name) for name in self._outputs}

    @property
    def _all_relays(self) -> list[int]:
        return sorted(relay for relays in self._relays.values() for relay in relays)

    def safe_lines(self) -> Sequence[str]:
        """Relays open, analogue outputs disconnected."""
        lines = [f"ROUT:OPEN {channel_text(self._all_relays)}"] if self._relays else []
        if self._outputs:
            lines.append(f"OUTP:STAT OFF,{channel_text(self._outputs.values())}")
        return lines

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """The relays used, then the outputs used."""
        return [(line, ",".join("0" * count)) for line, count in self._off_queries()]

    def is_off(self) -> bool:
        """No relay used is closed, no output used is on."""
        return not any(any(self._ask_all(line, count)) for line, count in self._off_queries())

    def _off_queries(self) -> Iterable[tuple[str, int]]:
        for some in chunks(self._all_relays, MOST_IN_QUERY):
            yield f"ROUT:CLOS? {channel_text(some)}", len(some)
        if self._outputs:
            yield f"OUTP:STAT? {channel_text(self._outputs.values())}", len(self._outputs)

    def _setup_lines(self) -> Iterable[str]:
        if self.settings.reads:
            yield f"CONF:DIG:DIR INP,(@{self._digital})"

    def _on_lines(self) -> Iterable[str]:
        if self._outputs:
            yield f"OUTP:STAT ON,{channel_text(self._outputs.values())}"

    def _volts(self, inputs: Inputs, name: str) -> NDArray[np.float64]:
        gain, offset = self._scale[name]
        return offset + gain * values_of(inputs, name)

    def _check(self, inputs: Inputs) -> None:
        for name in self._outputs:
            refuse_beyond(self._place, name, self._volts(inputs, name), *ANALOG_V, "V")

    def _change_lines(self, inputs: Inputs) -> Iterable[str]:
        close: list[int] = []
        open_: list[int] = []
        for name, relays in self._relays.items():
            closed = values_of(inputs, name).astype(np.int64)
            for index in self._sent.changed(name, closed):
                (close if closed[index] else open_).append(relays[index])
        if open_:  # break before make
            yield f"ROUT:OPEN {channel_text(open_)}"
        if close:
            yield f"ROUT:CLOS {channel_text(close)}"
        for name, channel in self._outputs.items():
            whole = steps(self._volts(inputs, name), STEP_V)
            if self._sent.changed(name, whole).size:
                yield f"SOUR:VOLT {whole[0] * STEP_V:.4f},(@{channel})"

    def _ask_readings(self) -> None:
        line = f"SENS:DIG:DATA:BYTE? (@{self._digital})"
        self._ask_later(line, lambda answer: self._bits(line, answer))

    def _bits(self, line: str, answer: str) -> Mapping[str, bool]:
        byte = int(self._number(line, answer))
        return {name: bool(byte >> bit & 1) for name, bit in self.settings.reads.items()}

    def _relay(self, channel: int) -> int:
        if channel >= NATIVE:
            return channel
        if channel < 1:
            raise UsageError(f"{self.settings.name}: relay {channel}; relays count from 1")
        slot = self._slot + (channel - 1) // self._per_slot
        return slot * NATIVE + (channel - 1) % self._per_slot + 1

    def _scale_of(self, name: str) -> tuple[float, float]:
        gain = self.settings.number(f"{name}_gain", 0.0)
        if gain == 0.0:
            raise UsageError(
                f"{self.settings.name}: option {name}_gain is missing or 0: volts of the output for each unit"
            )
        return gain, self.settings.number(f"{name}_offset_v", 0.0)
