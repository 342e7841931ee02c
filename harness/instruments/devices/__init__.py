# SPDX-License-Identifier: Apache-2.0
"""The other side of the drivers: instruments as programs, for `serve` and for tests.

Written from the manuals with a parser of their own, not from the drivers, so that an error of one side shows.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.instruments.model import InstrumentSettings


class DeviceFault(Enum):
    """What a device can be made to do wrong."""

    NONE = "none"
    SILENT = "silent"  # takes commands, answers nothing, does nothing
    GARBAGE = "garbage"  # answers bytes that are no line
    OTHER_MODEL = "other-model"  # identifies as another model


class Device(Protocol):
    """One emulated instrument; it lives between a port and the controller's terminals."""

    settings: InstrumentSettings
    fault: DeviceFault

    def feed(self, data: bytes) -> bytes:
        """Bytes that arrived at its port, in any pieces; returns the bytes it answers."""
        ...

    def given(self) -> Mapping[str, NDArray[np.float64]]:
        """Quantity or line of the bench file -> what is at the terminals now, a number for each element; lines 0 or 1.

        A quantity is in it from the first time its output was on. Output off: 0 V, 0 A, insulation inf, temperature NaN
        (open), line 0.
        """
        ...

    def drive(self, reading: str, *, closed: bool) -> None:
        """The controller drives one of its outputs (`READINGS`); for devices that read it back."""
        ...

    @property
    def is_off(self) -> bool:
        """Whether every output is off and every relay open."""
        ...


def device_for(settings: InstrumentSettings) -> Device | None:
    """The device a driver of a bench file talks to; None for drivers without a port (operator, cells over CAN).

    UsageError when there is no such driver.
    """
    from harness.instruments.devices.table import DEVICES, WITHOUT_PORT  # noqa: PLC0415 - the table imports this module

    if settings.driver in WITHOUT_PORT:
        return None
    if settings.driver not in DEVICES:
        known = ", ".join((*DEVICES, *WITHOUT_PORT))
        raise UsageError(f"{settings.name}: no emulation of driver '{settings.driver}'; there are {known}")
    return DEVICES[settings.driver](settings)
