# SPDX-License-Identifier: Apache-2.0
"""The mailbox of a controller that is outside of this process."""

from __future__ import annotations

from pathlib import Path

from harness.firmware.builder import build_firmware
from harness.firmware.loader import FirmwareLibrary

POSITIVE, NEGATIVE, PRECHARGE = 1, 2, 4  # FIL_OUT_*


def build_outside() -> Path:
    """The stand-in as a firmware library, built if needed. Raises FirmwareError without a compiler."""
    folder = Path(__file__).parent
    return build_firmware([folder / "outside.c"], [folder])


class OutsideController:
    """What the real controller was seen to do goes in here and takes effect in the next tick.

    A power-on of the simulation empties it: the real one has lost its supply, too.
    """

    def __init__(self, library: FirmwareLibrary) -> None:
        self._ffi, self._lib = library.functions
        self._frame = self._ffi.new("fil_frame *")

    def drive(self, contactors: int) -> None:
        """The contactors it drives, FIL_OUT_* bits; holds until the next call."""
        self._lib.outside_drive(contactors)

    def send(self, identifier: int, data: bytes, *, flags: int, bus: int) -> None:
        """A frame it sent: the others hear it in the next tick, at most the latest 128."""
        frame = self._frame
        frame.id, frame.flags, frame.bus, frame.length = identifier, flags, bus, len(data)
        self._ffi.memmove(frame.data, data, len(data))
        self._lib.outside_frame(frame)
