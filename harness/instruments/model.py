# SPDX-License-Identifier: Apache-2.0
"""What a bench gives the controller and reads back, as data; and what every instrument can do.

Units are in the names; arrays count from 0; positive current discharges the pack.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError

# Quantities an instrument can give (keys of `channels` in a bench file), each with its unit.
ANALOG: Mapping[str, str] = {
    "cell_voltage_v": "V",
    "cell_temp_degc": "degC",
    "pack_current_a": "A",
    "pack_voltage_v": "V",
    "link_voltage_v": "V",
    "charger_voltage_v": "V",
    "insulation_ohm": "ohm",
    "supply_v": "V",
}
# Lines an instrument can close: 1 = closed. cell_connected and temp_connected are whole sense wires, one line each.
LINES: tuple[str, ...] = (
    "cell_connected",
    "temp_connected",
    "current_connected",
    "supply_connected",
    "ignition",
    "charge_plug",
    "hvil_closed",
    "crash",
    "aux_positive",
    "aux_negative",
    "aux_precharge",
)
# What an instrument can read back from the controller: its contactor drives.
READINGS: tuple[str, ...] = ("contactor_positive", "contactor_negative", "contactor_precharge")


@dataclass(frozen=True, slots=True, eq=False)
class Inputs:
    """What the controller is to be given at one moment. `cell_connected` False: the sense wire is open."""

    cell_voltage_v: NDArray[np.float64]
    cell_connected: NDArray[np.bool_]
    cell_temp_degc: NDArray[np.float64]
    temp_connected: NDArray[np.bool_]
    pack_current_a: float
    pack_voltage_v: float
    link_voltage_v: float
    charger_voltage_v: float
    insulation_ohm: float
    supply_v: float
    current_connected: bool
    supply_connected: bool
    ignition: bool
    charge_plug: bool
    hvil_closed: bool
    crash: bool
    aux_positive: bool
    aux_negative: bool
    aux_precharge: bool


@dataclass(frozen=True, slots=True)
class Outputs:
    """What the controller drives, as last read back. `age_s`: how old the reading is."""

    contactor_positive: bool = False
    contactor_negative: bool = False
    contactor_precharge: bool = False
    age_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Envelope:
    """Hard limits of bench and DUT by quantity of `ANALOG`: (least, greatest). Out of range is refused, never clipped.

    `energy_wh`: how much one scenario may move through the pack.
    """

    limits: Mapping[str, tuple[float, float]]
    energy_wh: float

    def problem(self, quantity: str, value: float) -> str:
        """Empty when the value is allowed; else what was found, what is allowed. NaN is never allowed."""
        least, greatest = self.limits[quantity]
        if least <= value <= greatest:
            return ""
        unit = ANALOG[quantity]
        return f"{quantity} = {value:g} {unit}; allowed by the bench: {least:g} to {greatest:g} {unit}"


@dataclass(frozen=True, slots=True)
class InstrumentSettings:
    """One instrument of a bench file. `channels`: quantity or line -> channels of the instrument, in order of the
    elements; `reads`: reading -> channel. `accuracy`: quantity -> what it may err by, in the quantity's unit.
    """

    name: str
    driver: str
    port: str
    baudrate: int = 115_200
    timeout_s: float = 0.5
    channels: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    reads: Mapping[str, int] = field(default_factory=dict)
    accuracy: Mapping[str, float] = field(default_factory=dict)
    options: Mapping[str, str | int | float] = field(default_factory=dict)

    def number(self, name: str, default: float, least: float = -math.inf, greatest: float = math.inf) -> float:
        """A number of `options`. UsageError, with what is allowed, when it is none or out of range."""
        value = self.options.get(name, default)
        if isinstance(value, str) or not math.isfinite(value) or not least <= value <= greatest:
            allowed = f" from {least:g}" if least > -math.inf else ""
            allowed += f" to {greatest:g}" if greatest < math.inf else ""
            raise UsageError(f"{self.name}: option {name} = {value!r}; a number{allowed} is needed")
        return float(value)


class Transport(Protocol):
    """Lines of text to and from one instrument. Raises BenchError when the port is lost or stays silent."""

    def write(self, line: str) -> None:
        """Send one line; the terminator is added."""
        ...

    def query(self, line: str) -> str:
        """Send one line and wait, at most the time-out, for the answer."""
        ...

    def read(self) -> str:
        """The next line; waits at most the time-out."""
        ...

    def forget(self) -> None:
        """Drop what has arrived and what was asked, to get back in step with an instrument that was lost."""
        ...

    def poll(self) -> Sequence[str]:
        """Whole lines that have arrived; never waits."""
        ...

    def backlog(self) -> int:
        """Bytes handed to `write` that are known to wait for the line; 0 when the instrument can take the next."""
        ...

    def fileno(self) -> int:
        """The descriptor a guardian process inherits to write to the instrument when this process is gone."""
        ...

    def close(self) -> None:
        """Let go of the port."""
        ...


class Instrument(Protocol):
    """One instrument. Values beyond `Envelope` raise BenchError in here too, before a byte is sent.

    Created with its outputs as they are; nothing is energised before `arm`.
    """

    settings: InstrumentSettings

    def identify(self) -> str:
        """What it says it is; BenchError when that is no model the driver was written for."""
        ...

    def arm(self) -> None:
        """Known safe values on all channels, then outputs on."""
        ...

    def check(self, inputs: Inputs) -> None:
        """BenchError when one of the values it is to give is NaN, outside the envelope, or beyond what it can give."""
        ...

    def apply(self, inputs: Inputs) -> None:
        """Check, then send what differs from what was sent by more than its resolution. Waits for no answer."""
        ...

    def acknowledge(self) -> None:
        """Return when everything sent so far was carried out (`*OPC?`); at most the time-out, then BenchError."""
        ...

    def poll(self) -> Mapping[str, bool]:
        """Readings that have arrived since the last call; asks for the next. Never waits."""
        ...

    def busy(self) -> bool:
        """Whether something given to `apply` has not left for the instrument yet."""
        ...

    def fileno(self) -> int:
        """The descriptor of its port for the guardian; -1 when it has none."""
        ...

    def safe_lines(self) -> Sequence[str]:
        """The lines that put it into its safe state; what the guardian sends. They need no answer."""
        ...

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """Queries and the answers that say off, for the guardian; none when it cannot be asked."""
        ...

    def let_go(self) -> None:
        """Hand over the safe lines and wait for nothing; `safe` comes afterwards. Nothing where there are none."""
        ...

    def safe(self) -> None:
        """Go to the safe state and read back that it is there; BenchError when it is not."""
        ...

    def is_off(self) -> bool:
        """Whether all its outputs are read back as off."""
        ...

    def close(self) -> None:
        """Let go of the port; does not change outputs."""
        ...
