# SPDX-License-Identifier: Apache-2.0
"""Messages of a GB/T 27930-2015 charging session, those of several frames put together again.

What fits into one frame is in dbc/gbt-27930.dbc; BRM, BCP, BCS, BMV and BMT come in packets (J1939-21, RTS/CTS) and are
decoded here. Bit places are assumptions where no text of the standard confirms them; see the comments of the database.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from harness.canbus.database import Database, load_database
from harness.trace import Frames

Field = float | str
CHARGER, BMS = 0x56, 0xF4
_CONNECTION, _PACKET = 0xEC, 0xEB
_RTS, _PACKET_BYTES = 16, 7
_CLOCK_BYTES, _NO_REGION = 7, 0xFFFFFF
_EXTENDED, _ERROR = 1, 16
_TYPES = {1: "lead acid", 2: "NiMH", 3: "LFP", 4: "lithium manganese", 6: "ternary", 8: "LTO"}
_NAMES = {0x0200: "BRM", 0x0600: "BCP", 0x1100: "BCS", 0x1500: "BMV", 0x1600: "BMT", 0x1700: "BSP"}


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a session: when it was complete, who sent it, and what it says.

    `packets` is the number of frames it came in, 1 for a plain one. Fields that cannot be read are left out.
    """

    t_s: float
    name: str
    sender: str
    data: bytes
    packets: int
    fields: Mapping[str, Field]


@dataclass(slots=True)
class _Assembly:
    """A message of several packets under way."""

    pgn: int
    length: int
    data: bytearray = field(default_factory=bytearray)
    packets: int = 0


def session_database(folder: Path) -> Database:
    """The database of the single-frame messages from a folder of databases. Raises RigError when it is not there."""
    return load_database(folder / "gbt-27930.dbc")


def messages(frames: Frames, database: Database) -> Iterator[Message]:
    """Every message between charger and BMS, in the order in which they were complete."""
    known = {message.id: message.name for message in database.messages if message.extended}
    under_way: dict[int, _Assembly] = {}
    for row in range(len(frames)):
        if frames.flags[row] & (_EXTENDED | _ERROR) != _EXTENDED:
            continue
        identifier, t_s = int(frames.id[row]), float(frames.t_ns[row]) / 1e9
        data = frames.data[row, : frames.length[row]].tobytes()
        sender = "BMS" if identifier & 0xFF == BMS else "charger"
        if identifier in known:
            yield Message(t_s, known[identifier], sender, data, 1, _plain(database, known[identifier], data))
        elif (done := _packet(under_way, identifier, data)) is not None:
            text = bytes(done.data[: done.length])
            name = _NAMES.get(done.pgn, f"PGN 0x{done.pgn:04X}")
            yield Message(t_s, name, sender, text, done.packets, decode(name, text))


def decode(name: str, data: bytes) -> Mapping[str, Field]:
    """The fields of a message of several packets; empty for one that is not known or too short."""
    reader, least = _READERS.get(name, (None, 0))
    return reader(data) if reader is not None and len(data) >= least else {}


def _plain(database: Database, name: str, data: bytes) -> Mapping[str, Field]:
    if name == "CTS" and len(data) >= _CLOCK_BYTES:
        second, minute, hour, day, month, low, high = (f"{byte:02X}" for byte in data[:_CLOCK_BYTES])
        return {"Time": f"{high}{low}-{month}-{day} {hour}:{minute}:{second}"}
    decoded = database.codec.get_message_by_name(name).decode(data, allow_truncated=True)
    if name == "CRM" and decoded.get("Region") == _NO_REGION:
        del decoded["Region"]
    return {key: str(value) if hasattr(value, "value") else float(value) for key, value in decoded.items()}


def _packet(under_way: dict[int, _Assembly], identifier: int, data: bytes) -> _Assembly | None:
    """Take a frame of the transport in; the message when it completes one. A packet out of order ends it."""
    way, form = identifier & 0xFFFF, identifier >> 16 & 0xFF
    if form == _CONNECTION and len(data) == 8 and data[0] == _RTS:  # noqa: PLR2004 - every frame of it has 8 bytes
        under_way[way] = _Assembly(int.from_bytes(data[5:8], "little"), int.from_bytes(data[1:3], "little"))
    if form != _PACKET or way not in under_way or not data:
        return None
    message = under_way[way]
    if data[0] != message.packets + 1:
        return None  # it is asked for again
    message.packets += 1
    message.data += data[1:]
    if message.packets * _PACKET_BYTES < message.length:
        return None
    return under_way.pop(way)


# ---- messages of several packets -----------------------------------------------------------------------------------


def _word(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "little")


def _voltage_v(data: bytes, at: int) -> float:
    return round(0.1 * _word(data, at), 1)


def _charge_a(data: bytes, at: int) -> float:
    return round(400.0 - 0.1 * _word(data, at), 1)


def _brm(data: bytes) -> dict[str, Field]:
    return {
        "Version": f"{data[0]}.{data[1]}",
        "BatteryType": _TYPES.get(data[3], f"type {data[3]}"),
        "Capacity_Ah": round(0.1 * _word(data, 4), 1),
        "Voltage_V": _voltage_v(data, 6),
    }


def _bcp(data: bytes) -> dict[str, Field]:
    return {
        "CellVoltageMax_V": round(0.01 * _word(data, 0), 2),
        "CurrentMax_A": _charge_a(data, 2),
        "Energy_kWh": round(0.1 * _word(data, 4), 1),
        "VoltageMax_V": _voltage_v(data, 6),
        "TempMax_degC": float(data[8] - 50),
        "StateOfCharge_pct": round(0.1 * _word(data, 9), 1),
        "Voltage_V": _voltage_v(data, 11),
    }


def _bcs(data: bytes) -> dict[str, Field]:
    cell = _word(data, 4)
    return {
        "Voltage_V": _voltage_v(data, 0),
        "Current_A": _charge_a(data, 2),
        "CellVoltageMax_V": round(0.01 * (cell & 0x0FFF), 2),
        "CellGroup": float(cell >> 12),
        "StateOfCharge_pct": float(data[6]),
        "Minutes": float(_word(data, 7)),
    }


def _spread(name: str, values: Iterable[float]) -> dict[str, Field]:
    found = list(values)
    return {"Count": float(len(found)), f"{name}_min": min(found), f"{name}_max": max(found)}


def _bmv(data: bytes) -> dict[str, Field]:
    return _spread("CellVoltage_V", (round(0.01 * (_word(data, at) & 0x0FFF), 2) for at in range(0, len(data) - 1, 2)))


def _bmt(data: bytes) -> dict[str, Field]:
    return _spread("CellTemp_degC", (float(byte - 50) for byte in data))


_Reader = Callable[[bytes], dict[str, Field]]
_READERS: Mapping[str, tuple[_Reader, int]] = {  # and the least number of bytes
    "BRM": (_brm, 41),
    "BCP": (_bcp, 13),
    "BCS": (_bcs, 9),
    "BMV": (_bmv, 2),
    "BMT": (_bmt, 1),
}
