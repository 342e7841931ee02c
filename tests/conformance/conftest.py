# SPDX-License-Identifier: Apache-2.0
"""Where the real databases and recordings are, and cantools as the witness for decoding."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.canbus.batch import Decoder
from harness.canbus.database import Database
from harness.canbus.model import Message, Signal
from harness.trace import Frames

DATA = Path(__file__).parents[3] / "shared" / "data"
Agreement = Callable[[Database, Frames], int]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder with real databases and recordings, which are not part of this repository."""
    if not DATA.is_dir():
        pytest.skip(f"the real databases and recordings are not here ({DATA})")
    return DATA


@pytest.fixture(scope="session")
def agree_with_cantools() -> Agreement:
    """Decode frames both ways, compare every raw and physical value bit by bit; returns how many were compared."""
    return _agree


def _agree(database: Database, frames: Frames) -> int:
    """Messages whose signals overlap, do not fit or hang on a renamed multiplexer are left out: cantools decodes those
    wrongly or not at all.
    """
    library = {message.name: message for message in database.codec.messages}
    plain = [message for message in database.messages if _is_plain(message, library[message.name])]
    expected, undecodable = _expected(library, plain, frames)
    decoded = Decoder(database, restbus=[message.name for message in database.messages]).decode(frames)
    if len(plain) == len(database.messages):
        assert len(undecodable) == decoded.counts.undecodable_multiplexer
    compared = 0
    for message in plain:
        for signal in message.signals:
            path = f"{message.name}.{signal.name}"
            series = decoded.signal(path)
            kept = ~np.isin(series.rows, undecodable)
            rows, raw, value = expected.get(path, ([], [], []))
            assert rows == series.rows[kept].tolist(), path
            assert _same(series.raw[kept].tolist(), raw), path
            assert _same(
                series.value[kept].tolist(), [_physical(signal, *pair) for pair in zip(raw, value, strict=True)]
            ), path
            compared += len(rows)
    return compared


def _is_plain(message: Message, library: object) -> bool:
    names = [signal.name for signal in message.signals]
    sound = all(signal.fits(message.length) and signal.decodable for signal in message.signals)
    if not sound or len(set(names)) < len(names):
        return False
    if {signal.multiplexer_signal for signal in library.signals} - {None, *names}:  # type: ignore[attr-defined]
        return False
    try:
        library.refresh(strict=True)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - any refusal means the same
        return False
    return True


def _expected(
    library: dict[str, object], messages: list[Message], frames: Frames
) -> tuple[dict[str, tuple[list[int], list[float], list[float]]], list[int]]:
    by_id = {(message.id, message.extended): message for message in messages}
    expected: dict[str, tuple[list[int], list[float], list[float]]] = {}
    undecodable = []
    for row in range(len(frames)):
        message = by_id.get((int(frames.id[row]), bool(frames.flags[row] & 1)))
        if message is None or frames.flags[row] & 24 or frames.length[row] < message.length:
            continue
        payload = frames.data[row, : message.length].tobytes()
        witness = library[message.name]
        try:
            raw = witness.decode(payload, decode_choices=False, scaling=False)  # type: ignore[attr-defined]
        except Exception:  # noqa: BLE001 - a multiplexer at an unknown value
            undecodable.append(row)
            continue
        value = _scaled(witness, payload)
        for name, number in raw.items():
            rows, raws, values = expected.setdefault(f"{message.name}.{name}", ([], [], []))
            rows.append(row)
            raws.append(number)
            values.append(value.get(name, float("nan")))
    return expected, undecodable


def _scaled(witness: object, payload: bytes) -> dict[str, float]:
    try:
        values: dict[str, float] = witness.decode(payload, decode_choices=False)  # type: ignore[attr-defined]
    except Exception:  # noqa: BLE001 - cantools takes the scaled value of a multiplexer for its selector
        return {}
    return values


def _physical(signal: Signal, raw: float, value: float) -> float:
    """What cantools says, as a double; what it gives no number for is calculated here."""
    return float(raw) * signal.scale + signal.offset if math.isnan(value) else float(value)


def _same(one: list[float], other: list[float]) -> bool:
    return len(one) == len(other) and all(
        a == b or (math.isnan(a) and math.isnan(b)) for a, b in zip(one, other, strict=True)
    )
