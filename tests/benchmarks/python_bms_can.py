# SPDX-License-Identifier: Apache-2.0
"""The messages of the Python BMS, encoded by cantools at the times of the DBC."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from cantools.database.can import Database, Message

from harness.kernel.config import KernelConfig

from .numpy_plant import Readings
from .usual_stack import COUNTER_VALUES, Payload, protected

CELLS_A_FRAME, TEMPS_A_FRAME = 4, 5
DATA_IDS = {"BMS_State": 1, "BMS_Limits": 4, "BMS_Faults": 5, "BMS_Warnings": 6, "BMS_Alarms": 7}
Seen = Mapping[str, float]


class Transmitter:
    """One message of the 100 ms cycle a task, one group of cells a task, one of temperatures every second task."""

    def __init__(self, database: Database, config: KernelConfig) -> None:
        self._by_name = {message.name: message for message in database.messages}
        self._slot = 0
        self._counters = dict.fromkeys(DATA_IDS, 0)
        self._queue: list[Payload] = []
        self._zeros = {
            message.name: {signal.name: 0 for signal in message.signals}
            for message in database.messages
            if not message.is_multiplexed()
        }
        self._cells = _groups("CellVoltage", config.pack.n_cells, CELLS_A_FRAME)
        self._temps = _groups("CellTemp", config.pack.n_temps, TEMPS_A_FRAME)
        self._cyclic: tuple[Callable[[Seen], tuple[str, dict[str, Any]]], ...] = (
            _state, _pack, _cells, _temps, _limits, self._flags("BMS_Faults", "fault"),
            self._flags("BMS_Warnings", "warning"), self._flags("BMS_Alarms", "alarm"), _sensors, _supervision,
        )  # fmt: skip

    def step(self, seen: Seen, readings: Readings) -> None:
        """Queue what is due in this task."""
        self._send(*self._cyclic[self._slot % len(self._cyclic)](seen))
        group = self._slot % len(self._cells)
        first = group * CELLS_A_FRAME
        millivolts = readings.cell_uv[first : first + CELLS_A_FRAME].tolist()
        values = {name: microvolt * 1e-6 for name, microvolt in zip(self._cells[group], millivolts, strict=True)}
        self._send("BMS_CellVoltages", {"Group": group, **values})
        if self._slot % 2 == 0:
            group = self._slot // 2 % len(self._temps)
            first = group * TEMPS_A_FRAME
            found = readings.temp_mdegc[first : first + TEMPS_A_FRAME].tolist()
            temps = {name: value * 1e-3 for name, value in zip(self._temps[group], found, strict=False)}
            self._send("BMS_CellTemps", {"Group": group, **dict.fromkeys(self._temps[group], 154.7), **temps})
        if self._slot % 100 in (15, 25, 35):
            self._send(("BMS_Info", "BMS_Energy", "BMS_FaultMemory")[self._slot % 100 // 10 - 1], {})
        self._slot += 1

    def take(self) -> list[Payload]:
        """The queue, emptied."""
        queue, self._queue = self._queue, []
        return queue

    def _send(self, name: str, values: dict[str, Any]) -> None:
        message: Message = self._by_name[name]
        data_id = DATA_IDS.get(name)
        full = {**self._zeros.get(name, {}), **values}
        if data_id is None:
            self._queue.append((message.frame_id, message.encode(full, strict=False)))
            return
        full["AliveCounter"] = self._counters[name] = (self._counters[name] + 1) % COUNTER_VALUES
        self._queue.append((message.frame_id, protected(message.encode(full, strict=False), data_id)))

    def _flags(self, name: str, tier: str) -> Callable[[Seen], tuple[str, dict[str, Any]]]:
        names = [(signal, f"{tier}.{signal}") for signal in self._zeros[name]]
        return lambda seen: (name, {signal: int(seen[key]) for signal, key in names if key in seen})


def _groups(prefix: str, count: int, size: int) -> list[tuple[str, ...]]:
    """Signal names of each multiplexer group; the last one is filled up to its size where the DBC has the signals."""
    whole = range(1, -(-count // size) * size + 1)
    names = [f"{prefix}{number:03d}" for number in whole]
    return [tuple(names[first : first + size]) for first in range(0, len(names), size)]


def _state(seen: Seen) -> tuple[str, dict[str, Any]]:
    command, digital = int(seen["command"]), int(seen["digital"])
    return "BMS_State", {
        "State": seen["state"], "ContactorPositive": command & 1, "ContactorNegative": command >> 1 & 1,
        "ContactorPrecharge": command >> 2 & 1, "AuxPositive": digital >> 4 & 1, "AuxNegative": digital >> 5 & 1,
        "AuxPrecharge": digital >> 6 & 1, "Ignition": digital & 1, "HvilClosed": digital >> 2 & 1,
    }  # fmt: skip


def _pack(seen: Seen) -> tuple[str, dict[str, Any]]:
    return "BMS_PackValues", {
        "PackVoltage": seen["pack"], "PackCurrent": seen["current"], "LinkVoltage": seen["link"],
        "StateOfCharge": seen["soc"], "PackVoltageValid": 1, "CurrentValid": 1, "LinkVoltageValid": 1,
    }  # fmt: skip


def _cells(seen: Seen) -> tuple[str, dict[str, Any]]:
    return "BMS_CellExtremes", {
        "CellVoltageMax": seen["high"], "CellVoltageMin": seen["low"], "CellVoltageMaxIndex": seen["top"],
        "CellVoltageMinIndex": seen["bottom"], "CellVoltageSpread": seen["spread"],
    }  # fmt: skip


def _temps(seen: Seen) -> tuple[str, dict[str, Any]]:
    return "BMS_TempExtremes", {
        "CellTempMax": seen["warm"], "CellTempMin": seen["cool"], "CellTempMaxIndex": seen["hot"],
        "CellTempMinIndex": seen["cold"], "CellTempSpread": seen["temp_spread"], "CellTempRise": seen["rise"],
    }  # fmt: skip


def _limits(seen: Seen) -> tuple[str, dict[str, Any]]:
    return "BMS_Limits", {
        "ChargeLimit": seen["charge_limit"], "DischargeLimit": seen["discharge_limit"], "ChargeVoltageLimit": 681.6,
    }  # fmt: skip


def _sensors(seen: Seen) -> tuple[str, dict[str, Any]]:
    return "BMS_Sensors", {
        "InsulationResistance": seen["insulation"], "SupplyVoltage": seen["supply"],
        "CellsInvalid": seen["cells_invalid"], "TempsInvalid": seen["temps_invalid"], "InsulationValid": 1,
    }  # fmt: skip


def _supervision(seen: Seen) -> tuple[str, dict[str, Any]]:
    return "BMS_Supervision", {
        "VoltageMismatch": seen["mismatch"], "CellVoltageSum": seen["total"], "BalancingCount": seen["balancing"],
    }  # fmt: skip
