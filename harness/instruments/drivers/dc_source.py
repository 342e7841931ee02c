# SPDX-License-Identifier: Apache-2.0
"""Power supplies with one output that give one voltage: two products that differ in few lines.

keysight-e364x: Keysight (Agilent) E3640A to E3645A. Source: "Agilent E3640A - E3645A Single Output DC Power Supplies,
User's Guide" (E3640-90001), chapter 4, pages 79 to 81
(https://manualsdump.com/en/manuals/agilent_technologies-e3640-90001/155224/82) and "E364xA User's and Service Guide",
page 110 (https://www.easymanua.ls/keysight-technologies/e364-a-series/manual?p=111): `VOLTage`, `CURRent`,
`VOLTage:RANGe LOW|HIGH`, and for the same family `OUTPut[:STATe]` (E3631A guide, page 77). Assumptions, from pages of
that guide that were not read: `SYSTem:ERRor?`, and that `SYSTem:REMote` is needed on RS-232 (option remote = 0 leaves
it out, for gateways to GPIB).

tdk-genesys: TDK-Lambda Genesys with LAN or IEEE interface. Source: "LAN Interface for Genesys Power Supplies",
IA672-04-01 Rev. D
(https://vdocument.in/genesysa-power-supplies-tdk-lambda-emea-introduction-the-local-area-network.html), and the IEEE
interface manual, 2.2 and 2.6.8 (GEN-20-165-1P230, pages 14 and 24): `SOURce:VOLTage`, `SOURce:CURRent`, `*IDN?`;
`*OPC?` in the GH10-150 manual, page 100. Assumptions: `OUTPut:STATe`, whose answer is read as 0/1 or OFF/ON, and
`SYSTem:ERRor?` as SCPI has them.

Gives one of supply_v, pack_voltage_v, link_voltage_v, charger_voltage_v, and with supply_v also supply_connected
(output on and off). Options: current_a = 1 (limit), resolution_v = 0.001, greatest_v = 60 or 600, range = "LOW" or
"HIGH" (E364x). Safe state: output off.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from harness.errors import UsageError
from harness.instruments.drivers.quantities import refuse_beyond, steps_inside, values_of
from harness.instruments.drivers.scpi import ScpiInstrument
from harness.instruments.model import ANALOG, Envelope, Inputs, InstrumentSettings, Transport

VOLTAGES = frozenset({"supply_v", "pack_voltage_v", "link_voltage_v", "charger_voltage_v"})
OFF_ANSWERS = frozenset({"0", "+0", "OFF"})


class DcSource(ScpiInstrument):
    """A supply with one output."""

    gives = VOLTAGES | {"supply_connected"}
    greatest_v = 60.0
    volt_head = "VOLT"
    current_head = "CURR"
    output_head = "OUTP"
    off_answer = "0"

    def __init__(self, settings: InstrumentSettings, transport: Transport, envelope: Envelope) -> None:
        super().__init__(settings, transport, envelope)
        given = [name for name in settings.channels if name in ANALOG]
        if len(given) != 1 or ("supply_connected" in settings.channels and given != ["supply_v"]):
            raise UsageError(
                f"{settings.name}: gives one voltage, and supply_connected only with supply_v;"
                f" found {', '.join(settings.channels) or 'nothing'}"
            )
        self._quantity = given[0]
        self._resolution_v = max(self.settings.number("resolution_v", 0.001), 0.001)

    def safe_lines(self) -> Sequence[str]:
        """Output off."""
        return (f"{self.output_head} OFF",)

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """The output."""
        return ((f"{self.output_head}?", self.off_answer),)

    def is_off(self) -> bool:
        """The output reads back as off."""
        return self._ask(f"{self.output_head}?").upper() in OFF_ANSWERS

    def _setup_lines(self) -> Iterable[str]:
        yield f"{self.current_head} {self.settings.number('current_a', 1.0):.3f}"

    def _on_lines(self) -> Iterable[str]:
        if "supply_connected" not in self.settings.channels:
            yield f"{self.output_head} ON"

    def _check(self, inputs: Inputs) -> None:
        greatest = self.settings.number("greatest_v", self.greatest_v)
        refuse_beyond(self._place, self._quantity, values_of(inputs, self._quantity), 0.0, greatest, "V")

    def _change_lines(self, inputs: Inputs) -> Iterable[str]:
        limits = self._envelope.limits[self._quantity]
        whole = steps_inside(values_of(inputs, self._quantity), self._resolution_v, limits)
        if self._sent.changed(self._quantity, whole).size:
            yield f"{self.volt_head} {whole[0] * self._resolution_v:.3f}"
        if "supply_connected" in self.settings.channels:
            on = values_of(inputs, "supply_connected").astype(np.int64)
            if self._sent.changed("supply_connected", on).size:
                yield f"{self.output_head} {'ON' if on[0] else 'OFF'}"


class KeysightE364x(DcSource):
    """E3640A to E3645A."""

    models = ("E3640A", "E3641A", "E3642A", "E3643A", "E3644A", "E3645A")

    def safe_lines(self) -> Sequence[str]:
        """On RS-232 the supply obeys only in remote."""
        return (*self._remote_lines(), *super().safe_lines())

    def _remote_lines(self) -> Sequence[str]:
        return ("SYST:REM",) if self.settings.number("remote", 1) != 0 else ()

    def _setup_lines(self) -> Iterable[str]:
        yield from self._remote_lines()
        span = str(self.settings.options.get("range", "LOW")).upper()
        if span not in {"LOW", "HIGH"}:
            raise UsageError(f"{self.settings.name}: option range = '{span}'; LOW or HIGH")
        yield f"VOLT:RANG {span}"
        yield from super()._setup_lines()


class TdkGenesys(DcSource):
    """Genesys with an interface that speaks SCPI."""

    models = ("LAMBDA",)
    greatest_v = 600.0
    volt_head = "SOUR:VOLT"
    current_head = "SOUR:CURR"
    output_head = "OUTP:STAT"
    off_answer = "OFF"
