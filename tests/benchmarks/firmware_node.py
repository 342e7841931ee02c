# SPDX-License-Identifier: Apache-2.0
"""The reference firmware's shared library stepped from Python through cffi, arrays passed without copies."""

from __future__ import annotations

from collections.abc import Sequence

from harness.firmware.loader import load_firmware, load_kernel
from harness.kernel.config import KernelConfig
from harness.rig.file import Rig
from harness.rig.session import build_libraries

from .numpy_plant import VALID, Readings
from .usual_stack import Payload

FRAMES = 64


class FirmwareNode:
    """A `usual_stack.Controller` with the same library a session loads."""

    def __init__(self, rig: Rig, config: KernelConfig) -> None:
        kernel_path, firmware_path = build_libraries(rig)
        kernel = load_kernel(kernel_path)
        self._library = load_firmware(kernel, firmware_path)
        self._ffi = ffi = kernel.ffi
        self._calls = self._library.pointers()
        self._inputs = ffi.new("fil_inputs *")
        self._outputs = ffi.new("fil_outputs *")
        self._balancing = ffi.new("uint8_t[]", config.pack.n_cells)
        self._outputs.balancing = self._balancing
        self._frame = ffi.new("fil_frame *")
        self._frames = ffi.new("fil_frame[]", FRAMES)
        self._arrays: list[object] = []
        self._boot(config)
        inputs = self._inputs
        inputs.current_flags = inputs.pack_flags = inputs.link_flags = inputs.insulation_flags = VALID
        self._readings: Readings | None = None

    def _boot(self, config: KernelConfig) -> None:
        ffi = self._ffi
        names = [ffi.new("char[]", name.encode()) for name, _ in config.parameters]
        parameters = ffi.new("fil_parameter[]", max(1, len(names)))
        for slot, name, (_, value) in zip(parameters, names, config.parameters, strict=False):
            slot.name, slot.value = name, value
        start = ffi.new("fil_config *")
        start.abi_version = 1
        start.n_cells, start.n_temps = config.pack.n_cells, config.pack.n_temps
        start.n_parameters, start.parameters = len(names), parameters
        start.variant, start.start_tick_ms = config.variant, config.start_tick_ms
        if self._calls.init(start) < 0:
            raise RuntimeError(ffi.string(self._calls.last_error()).decode())

    def _pointer(self, kind: str, array: object) -> object:
        view = self._ffi.from_buffer(kind, array)
        self._arrays.append(view)
        return view

    def receive(self, identifier: int, data: bytes) -> None:
        """fil_can_rx."""
        frame = self._frame
        frame.id, frame.length = identifier, len(data)
        self._ffi.memmove(frame.data, data, len(data))
        self._calls.can_rx(frame)

    def step(self, now_us: int, readings: Readings) -> int:
        """fil_step."""
        inputs = self._inputs
        if self._readings is not readings:
            self._readings = readings
            inputs.cell_uv = self._pointer("int32_t[]", readings.cell_uv)
            inputs.temp_mdegc = self._pointer("int32_t[]", readings.temp_mdegc)
            inputs.cell_flags = self._pointer("uint8_t[]", readings.cell_flags)
            inputs.cell_age_ms = self._pointer("uint16_t[]", readings.cell_age_ms)
            inputs.temp_flags = self._pointer("uint8_t[]", readings.temp_flags)
        inputs.now_us = now_us
        inputs.current_ma = readings.current_ma
        inputs.pack_mv = readings.pack_mv
        inputs.link_mv = readings.link_mv
        inputs.insulation_ohm = readings.insulation_ohm
        inputs.supply_mv = readings.supply_mv
        inputs.digital_in = readings.digital_in
        if self._calls.step(inputs, self._outputs) < 0:
            raise RuntimeError(self._ffi.string(self._calls.last_error()).decode())
        return int(self._outputs.contactors)

    def transmit(self) -> Sequence[Payload]:
        """fil_can_tx."""
        frames = self._frames
        count = self._calls.can_tx(frames, FRAMES)
        buffer = self._ffi.buffer
        return [(frames[i].id, buffer(frames[i].data, frames[i].length)[:]) for i in range(count)]

    def close(self) -> None:
        """Unload it."""
        self._library.close()
