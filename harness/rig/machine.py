# SPDX-License-Identifier: Apache-2.0
"""Kernel, firmware and simulation as one thing that can be made anew after the firmware has failed."""

from __future__ import annotations

from pathlib import Path

from harness.firmware.loader import FirmwareLibrary, KernelLibrary, load_firmware, load_kernel
from harness.kernel.config import KernelConfig
from harness.kernel.simulation import Simulation


class Machine:
    """The simulation of one rig with a private copy of its firmware.

    `beside` is another machine with the same kernel and firmware, which it is to run together with.
    Raises FirmwareError when it does not load or refuses its configuration, UsageError for an unknown defect.
    """

    def __init__(
        self, kernel: Path, firmware: Path, config: KernelConfig, *, defect: int = 0, beside: Machine | None = None
    ) -> None:
        self.kernel_path = kernel
        self.firmware_path = firmware
        self.config = config
        self._kernel = load_kernel(kernel) if beside is None else beside.kernel
        self._defect = defect
        self.seen: bytearray | None = (
            None if beside is None else beside.seen
        )  # what a probe build notes, one byte a place; None for any other firmware
        self._firmware, self.simulation = self._load()

    @property
    def kernel(self) -> KernelLibrary:
        """The kernel that is loaded."""
        return self._kernel

    @property
    def firmware(self) -> FirmwareLibrary:
        """The copy that is loaded now."""
        return self._firmware

    @property
    def checkpointable(self) -> bool:
        """Whether states can be saved and restored; if not, every scenario boots afresh."""
        return self._firmware.checkpointable

    @property
    def tick_ns(self) -> int:
        """The tick of the lock-step in ns."""
        return self.config.tick_us * 1000

    def reload(self) -> None:
        """A fresh copy of the firmware and a simulation from power-on: what a crash left behind is gone."""
        self.close()
        self._firmware, self.simulation = self._load()

    def close(self) -> None:
        """End the simulation and unload the firmware."""
        self.simulation.close()
        self._firmware.close()

    def _load(self) -> tuple[FirmwareLibrary, Simulation]:
        firmware = load_firmware(self._kernel, self.firmware_path)
        try:
            if self._defect:
                firmware.defect(self._defect)
            self.seen = firmware.probe(self.seen)
            return firmware, Simulation(self._kernel, self.config, firmware)
        except BaseException:
            firmware.close()
            raise
