# SPDX-License-Identifier: Apache-2.0
"""The usual stack: python-can `virtual` bus, cantools on every frame, numpy plant, a controller stepped every 10 ms.

Written as a competent user would: message look-ups are made once, a frame is decoded by the message it belongs to,
no checks are done twice, counter and CRC are put into the encoded payload, nothing is printed or judged. Every signal
of every frame of the controller is decoded and kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self

import can
import cantools.database
import numpy as np
from cantools.database.can import Database

from harness.kernel.config import KernelConfig
from harness.rig.file import Rig
from harness.rig.starts import SETTLE_S

from .numpy_plant import NEGATIVE, POSITIVE, Demand, NumpyPlant, Readings

TICK_S = 0.01
IGNITION, HVIL_CLOSED = 1, 4
DRIVE, STATE_DRIVE = 2, 4
COUNTER_VALUES = 15
VEHICLE_ID = 0x200
BOOT_S, PATIENCE_S = 1.0, 10.0
Payload = tuple[int, bytes]


class Controller(Protocol):
    """A BMS that is stepped from Python."""

    def receive(self, identifier: int, data: bytes) -> None:
        """A frame for it."""
        ...

    def step(self, now_us: int, readings: Readings) -> int:
        """Run until now; the contactor commands."""
        ...

    def transmit(self) -> Sequence[Payload]:
        """The frames it wants to send."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def crc_table(polynomial: int) -> list[int]:
    """The 256 entries of a CRC-8."""
    table = []
    for value in range(256):
        crc = value
        for _ in range(8):
            crc = (crc << 1 ^ polynomial) & 0xFF if crc & 0x80 else crc << 1
        table.append(crc)
    return table


CRC_TABLE = crc_table(0x1D)


def protected(data: bytes, data_id: int) -> bytes:
    """The payload with its CRC in byte 0, over the data id and the bytes behind it."""
    crc = CRC_TABLE[0xFF ^ data_id]
    for byte in data[1:]:
        crc = CRC_TABLE[crc ^ byte]
    return bytes((crc ^ 0xFF,)) + data[1:]


def load_database(rig: Rig) -> Database:
    """The product's DBC."""
    database = cantools.database.load_file(rig.profile.database.path)
    assert isinstance(database, Database)
    return database


class UsualStack:
    """Rest bus, plant and log around a controller. A context manager; `drive` plays the cycle from its beginning."""

    def __init__(self, rig: Rig, config: KernelConfig, controller: Controller, channel: str) -> None:
        database = load_database(rig)
        self._messages = {message.frame_id: message for message in database.messages}
        self._vehicle = database.get_message_by_name("VCU_Command")
        self._environment = config.environment
        self._plant = NumpyPlant(config, TICK_S)
        self._controller = controller
        self._demand = Demand()
        self._command = {"Crc": 0, "AliveCounter": 0, "ModeRequest": 1, "FaultReset": 0}
        self._tester = can.Bus(interface="virtual", channel=channel)
        self._device = can.Bus(interface="virtual", channel=channel)
        self._now_us = 0
        self._contactors = 0
        self._load_s = 0.0
        self.state = 0
        self.drawn = 0.0
        self.log: list[tuple[float, str, dict[str, Any]]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._tester.shutdown()
        self._device.shutdown()
        self._controller.close()

    def boot(self) -> None:
        """Until the controller drives. Raises RuntimeError when it does not."""
        self._run(BOOT_S)
        self._command["ModeRequest"] = DRIVE
        for _ in range(int(PATIENCE_S)):
            self._run(1.0)
            if self.state == STATE_DRIVE:
                return
        raise RuntimeError(f"the controller of the usual stack does not drive, its state is {self.state}")

    def drive(self, seconds: float) -> int:
        """Drive the cycle from where a session's scenarios begin; the number of frames on the bus.

        Raises RuntimeError on a trip.
        """
        self._load_s = SETTLE_S["drive"]
        self.log.clear()
        before = float(self._plant.soc.mean())
        self._run(seconds)
        self.drawn = before - float(self._plant.soc.mean())
        if self.state != STATE_DRIVE:
            raise RuntimeError(f"the controller of the usual stack left the drive, its state is {self.state}")
        return len(self.log) + round(seconds / TICK_S)

    def _run(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK_S)):
            self._tick()

    def _tick(self) -> None:
        self._send_command()
        readings = self._plant.step(self._contactors, self._demand, IGNITION | HVIL_CLOSED)
        self._now_us += 10_000
        for message in _waiting(self._device):
            self._controller.receive(message.arbitration_id, bytes(message.data))
        self._contactors = self._controller.step(self._now_us, readings)
        now_s = self._now_us * 1e-6
        for identifier, data in self._controller.transmit():
            self._device.send(
                can.Message(arbitration_id=identifier, data=data, is_extended_id=False, timestamp=now_s, check=False)
            )
        for message in _waiting(self._tester):
            self._hear(now_s, message)
        self._follow()

    def _send_command(self) -> None:
        command = self._command
        command["AliveCounter"] = (command["AliveCounter"] + 1) % COUNTER_VALUES
        command["LinkVoltage"] = self._plant.link_v  # type: ignore[assignment] # volts between the numbers
        command["VehiclePower"] = self._demand.power_w  # type: ignore[assignment] # same
        data = protected(self._vehicle.encode(command, strict=False), 0x20)
        self._tester.send(can.Message(arbitration_id=VEHICLE_ID, data=data, is_extended_id=False, check=False))

    def _hear(self, now_s: float, message: can.Message) -> None:
        known = self._messages[message.arbitration_id]
        values: dict[str, Any] = known.decode(message.data, decode_choices=False)  # type: ignore[assignment,arg-type] # a dict, of a bytearray
        self.log.append((now_s, known.name, values))
        if known.name == "BMS_Limits":
            self._demand.charge_limit_a = values["ChargeLimit"]
            self._demand.discharge_limit_a = values["DischargeLimit"]
        elif known.name == "BMS_State":
            self.state = values["State"]

    def _follow(self) -> None:
        """What the vehicle asks of the link in the next tick: nothing before it may."""
        if self.state != STATE_DRIVE or self._contactors & (POSITIVE | NEGATIVE) != POSITIVE | NEGATIVE:
            self._demand.power_w = 0.0
            return
        profile = self._environment
        self._load_s += TICK_S
        at_s = self._load_s % profile.load_s[-1]
        self._demand.power_w = float(np.interp(at_s, profile.load_s, profile.load_w)) + profile.auxiliary_w


def _waiting(bus: can.BusABC) -> Iterator[can.Message]:
    """What has arrived, without waiting for more."""
    while (message := bus.recv(timeout=0.0)) is not None:
        yield message
