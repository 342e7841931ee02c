# SPDX-License-Identifier: Apache-2.0
"""The reference firmware on its own: stepped through fil.h from Python, with a few lines of pack around it."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import cantools
import cantools.database
import cffi
import numpy as np
import pytest

from harness.firmware.builder import BuildOptions, build_firmware, port_folder

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "rigs" / "reference-bms"
DATABASE = ROOT / "dbc" / "reference-bms.dbc"
TICK_US = 10_000
VALID, OPEN_WIRE = 1, 2  # FIL_VALID, FIL_OPEN_WIRE
BUS_OFF = 2  # FIL_CAN_BUS_OFF
POSITIVE, NEGATIVE, PRECHARGE = 1, 2, 4  # FIL_OUT_*
AUX = {POSITIVE: 1 << 4, NEGATIVE: 1 << 5, PRECHARGE: 1 << 6}  # FIL_IN_AUX_*
CONTACTOR_TICKS = 3  # a contactor moves in 30 ms
MODES = {"off": 0, "standby": 1, "drive": 2, "charge": 3}


def crc8_j1850(data: bytes) -> int:
    """CRC-8 SAE J1850 bit by bit; the check value of b"123456789" is 0x4B."""
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D if crc & 0x80 else crc << 1) & 0xFF
    return crc ^ 0xFF


class Sender:
    """A sender of protected messages: counter in the low half of byte 1, CRC in byte 0."""

    def __init__(self, identifier: int, data_id: int) -> None:
        self.identifier = identifier
        self.data_id = data_id
        self.counter = 0
        self.on = True

    def payload(self, body: bytes) -> bytes:
        """`body` is bytes 1 to 7 with the counter's bits at 0. Counts on."""
        rest = bytes([body[0] | self.counter]) + body[1:]
        self.counter = (self.counter + 1) % 15
        return bytes([crc8_j1850(bytes([self.data_id]) + rest)]) + rest


class Bms:
    """One power cycle of the firmware, and the pack it thinks it is in. Public attributes are what it is given."""

    def __init__(
        self,
        ffi: Any,
        lib: Any,
        database: Any,
        *,
        cells: int = 12,
        temps: int = 4,
        parameters: Mapping[str, int] | None = None,
        nvm: bytes | None = None,
        start_tick_ms: int = 0,
    ) -> None:
        self.ffi, self.lib, self.database = ffi, lib, database
        self.cell_uv = np.full(cells, 3_300_000, np.int32)
        self.cell_flags = np.full(cells, VALID, np.uint8)
        self.cell_age_ms = np.full(cells, 10, np.uint16)
        self.temp_mdegc = np.full(temps, 25_000, np.int32)
        self.temp_flags = np.full(temps, VALID, np.uint8)
        self.balancing = np.full(cells, 0xAA, np.uint8)
        self.current_ma = 0
        self.pack_mv: int | None = None  # None: the sum of the cells
        self.link_mv: int | None = None  # None: follows the contactors
        self.insulation_ohm = 2_500_000
        self.supply_mv = 24_000
        self.flags = {"current": VALID, "pack": VALID, "link": VALID, "insulation": VALID}
        self.ignition, self.plug, self.hvil, self.crash = True, False, True, False
        self.aux: dict[int, bool] = {}  # contacts held, whatever the contactor does
        self.mode, self.reset = "standby", False
        self.can_state = np.zeros(1, np.uint8)  # FIL_CAN_*
        self.can_recovers = True  # whether a restart brings the bus back
        self.restarts: list[float] = []
        self.clock = 1.0  # of its clock against the true one
        self.vehicle, self.charger = Sender(0x200, 0x20), Sender(0x210, 0x21)
        self.ticks = 0
        self.frames: list[tuple[float, int, bytes]] = []
        self.commands: list[tuple[float, int]] = []
        self._latest: dict[int, bytes] = {}
        self._closed = {bit: [False] * CONTACTOR_TICKS for bit in AUX}
        self._link_v = 0.0
        self._inputs, self._outputs = ffi.new("fil_inputs *"), ffi.new("fil_outputs *")
        self._tx = ffi.new("fil_frame[64]")
        self._bind()
        self.error = self._power_on(dict(parameters or {}), nvm, start_tick_ms)

    def _bind(self) -> None:
        for name, kind in (
            ("cell_uv", "int32_t[]"),
            ("cell_flags", "uint8_t[]"),
            ("cell_age_ms", "uint16_t[]"),
            ("temp_mdegc", "int32_t[]"),
            ("temp_flags", "uint8_t[]"),
        ):
            setattr(self._inputs, name, self.ffi.from_buffer(kind, getattr(self, name)))
        self._inputs.can_state, self._inputs.n_buses = self.ffi.from_buffer("uint8_t[]", self.can_state), 1
        self._outputs.balancing = self.ffi.from_buffer("uint8_t[]", self.balancing)

    def _power_on(self, parameters: dict[str, int], nvm: bytes | None, start_tick_ms: int) -> str | None:
        names = [self.ffi.new("char[]", name.encode()) for name in parameters]
        table = self.ffi.new("fil_parameter[]", len(parameters))
        for row, name, value in zip(table, names, parameters.values(), strict=True):
            row.name, row.value = name, value
        config = self.ffi.new("fil_config *")
        config.abi_version = self.lib.fil_abi_version()
        config.start_tick_ms = start_tick_ms
        config.n_cells, config.n_temps = len(self.cell_uv), len(self.temp_mdegc)
        config.n_parameters, config.parameters = len(parameters), table
        image = self.ffi.from_buffer(nvm) if nvm is not None else self.ffi.NULL
        config.nvm, config.nvm_size = self.ffi.cast("uint8_t *", image), len(nvm or b"")
        return None if self.lib.fil_init(config) == 0 else self.last_error()

    def last_error(self) -> str:
        """Text of fil_last_error."""
        return str(self.ffi.string(self.lib.fil_last_error()).decode())

    # ---- the pack around it

    def closed(self, contactor: int) -> bool:
        """Whether a contactor has really closed by now."""
        return self._closed[contactor][-1]

    def _move_contactors(self, command: int) -> None:
        for bit, history in self._closed.items():
            history.insert(0, bool(command & bit))
            history.pop()

    def _link(self, pack_v: float) -> float:
        if self.closed(NEGATIVE) and self.closed(POSITIVE):
            self._link_v = pack_v
        elif self.closed(NEGATIVE) and self.closed(PRECHARGE):
            self._link_v += (pack_v - self._link_v) * 0.01 / 0.1  # 2 mF over 50 ohm
        return self._link_v

    def _fill(self) -> None:
        inputs = self._inputs
        inputs.now_us = round(self.ticks * TICK_US * self.clock)
        pack_mv = int(self.cell_uv.sum(dtype=np.int64)) // 1000 if self.pack_mv is None else self.pack_mv
        link_mv = round(self._link(pack_mv / 1000) * 1000)
        inputs.current_ma, inputs.pack_mv = self.current_ma, pack_mv
        inputs.link_mv = link_mv if self.link_mv is None else self.link_mv
        inputs.insulation_ohm, inputs.supply_mv = self.insulation_ohm, self.supply_mv
        inputs.digital_in = self.ignition | self.plug << 1 | self.hvil << 2 | self.crash << 3
        for bit, mask in AUX.items():
            inputs.digital_in |= mask if self.aux.get(bit, self.closed(bit)) else 0
        for name, value in self.flags.items():
            setattr(inputs, f"{name}_flags", value)

    # ---- bus

    def receive(self, identifier: int, data: bytes, *, flags: int = 0, length: int = 8) -> int:
        """Hand the firmware one frame; returns what fil_can_rx returns."""
        frame = self.ffi.new("fil_frame *")
        frame.id, frame.flags, frame.length = identifier, flags, length
        frame.data[0 : len(data)] = list(data)
        return int(self.lib.fil_can_rx(frame))

    @property
    def bus_off(self) -> bool:
        """Whether its CAN controller is bus-off: it hears nothing, and what it sends is thrown away."""
        return bool(self.can_state[0] == BUS_OFF)

    def _restart_bus(self) -> None:
        """128 times 11 recessive bits take 2.8 ms at 500 kbit/s: back with the next tick."""
        if self._outputs.can_restart & 1:
            self.restarts.append(self.now_s)
            if self.can_recovers:
                self.can_state[0] = 0

    def _rest_bus(self) -> None:
        if self.bus_off:
            for sender in (self.vehicle, self.charger):
                sender.counter = (sender.counter + 1) % 15
            return
        if self.vehicle.on:
            body = bytes([MODES[self.mode] << 4, int(self.reset), 0, 0, 0, 0, 0])
            assert self.receive(self.vehicle.identifier, self.vehicle.payload(body)) == 0
        if self.charger.on and self.plug and self.ticks % 10 == 0:
            assert self.receive(self.charger.identifier, self.charger.payload(bytes([0x10, 0, 0, 0, 0, 0, 0]))) == 0

    def _collect(self) -> None:
        while (count := self.lib.fil_can_tx(self._tx, len(self._tx))) > 0:
            for frame in self._tx[0:count]:
                if self.bus_off:
                    continue
                data = bytes(frame.data[0 : frame.length])
                self.frames.append((self.now_s, frame.id, data))
                self._latest[frame.id] = data

    # ---- time

    @property
    def now_s(self) -> float:
        """Time of the last step."""
        return (self.ticks - 1) * TICK_US / 1e6

    def try_step(self) -> int:
        """One tick of 10 ms; returns what fil_step returns."""
        self._rest_bus()
        self._fill()
        result = int(self.lib.fil_step(self._inputs, self._outputs))
        self.ticks += 1
        self._move_contactors(self._outputs.contactors)
        self._collect()
        self._restart_bus()
        if not self.commands or self.commands[-1][1] != self._outputs.contactors:
            self.commands.append((self.now_s, self._outputs.contactors))
        return result

    def run(self, seconds: float) -> None:
        """Step for a time."""
        for _ in range(round(seconds * 1e6 / TICK_US)):
            assert self.try_step() == 0, self.last_error()

    def until(self, holds: Callable[[], bool], within_s: float) -> float | None:
        """Step until something holds; the time from the first step on, or None."""
        for tick in range(round(within_s * 1e6 / TICK_US) + 1):
            self.run(TICK_US / 1e6)
            if holds():
                return tick * TICK_US / 1e6
        return None

    # ---- what it says and does

    @property
    def contactors(self) -> int:
        """FIL_OUT_* as commanded."""
        return int(self._outputs.contactors)

    def decode(self, message: str) -> dict[str, Any]:
        """The newest frame of a message, decoded by cantools."""
        layout = self.database.get_message_by_name(message)
        return dict(layout.decode(self._latest[layout.frame_id], decode_choices=True))

    def signal(self, message: str, name: str) -> Any:
        """One signal of the newest frame; names of value tables as text."""
        value = self.decode(message)[name]
        return str(value) if hasattr(value, "value") else value

    @property
    def state(self) -> str:
        """Name of the state on the bus."""
        return str(self.signal("BMS_State", "State"))

    def active(self, message: str = "BMS_Faults") -> set[str]:
        """Names of the active flags of BMS_Faults, BMS_Warnings or BMS_Alarms."""
        return {name for name, value in self.decode(message).items() if str(value) == "Active" and name != "AnyLatched"}

    def nvm(self) -> bytes:
        """The image as it would survive a power cycle now."""
        size = self.lib.fil_nvm(1, self.ffi.NULL, 0)
        buffer = self.ffi.new("uint8_t[]", size)
        assert self.lib.fil_nvm(0, buffer, size) == size
        return bytes(buffer)

    # ---- ways into a state

    def boot(self) -> Bms:
        """Power-on to standby."""
        assert self.error is None
        self.run(0.5)
        return self

    def go(self, mode: str) -> Bms:
        """Standby to drive or charge, contactors closed and limits grown."""
        self.boot()
        self.plug = mode == "charge"
        self.mode = mode
        self.run(3.0)
        assert self.state == mode.capitalize()
        return self

    def request_reset(self) -> None:
        """A pulse of FaultReset, 0.2 s."""
        self.reset = True
        self.run(0.2)
        self.reset = False
        self.run(0.05)


def declarations() -> str:
    """The text of fil.h as cffi reads it."""
    text = (port_folder() / "fil.h").read_text(encoding="utf-8")
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r"^#ifdef __cplusplus$.*?^#endif$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"^#.*$", "", text, flags=re.MULTILINE)


@pytest.fixture(scope="session")
def library_path() -> Path:
    options = BuildOptions(sanitize="BMS_TEST_SANITIZE" in os.environ)  # set by test_reference_sanitizer for its child
    return build_firmware(sorted(SOURCES.glob("*.c")), [SOURCES], options)


@pytest.fixture(scope="session")
def library(library_path: Path) -> tuple[Any, Any]:
    ffi = cffi.FFI()
    ffi.cdef(declarations())
    return ffi, ffi.dlopen(str(library_path))


@pytest.fixture(scope="session")
def database() -> Any:
    return cantools.database.load_file(DATABASE, strict=True)


@pytest.fixture
def make_bms(library: tuple[Any, Any], database: Any) -> Callable[..., Bms]:
    return lambda **arguments: Bms(*library, database, **arguments)
