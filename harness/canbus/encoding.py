# SPDX-License-Identifier: Apache-2.0
"""Payloads from values, through the library that read the database."""

from __future__ import annotations

import math
from collections.abc import Mapping

from harness.canbus.database import Database
from harness.canbus.model import Signal
from harness.errors import UsageError

Value = str | int | float | bool


def value_problem(signal: Signal, value: Value) -> tuple[str, str] | None:
    """What is wrong with a value for a signal, as (found, allowed); None when it fits."""
    if isinstance(value, str):
        if signal.raw_state(value) is not None:
            return None
        names = ", ".join(signal.states.values()) or "a number: the signal has no value table"
        return repr(value), names
    if not math.isfinite(value):
        return repr(value), "a finite number"
    low, high = limits(signal)
    if not low <= value <= high:
        return repr(value), f"{low:g} to {high:g} {signal.unit}".rstrip()
    return None


def limits(signal: Signal) -> tuple[float, float]:
    """Lowest and highest physical value: what the database says, and never more than the bits hold."""
    if signal.is_float:
        low, high = -math.inf, math.inf
    else:
        raw_low = -(1 << (signal.length - 1)) if signal.signed else 0
        raw_high = (1 << (signal.length - (1 if signal.signed else 0))) - 1
        ends = (raw_low * signal.scale + signal.offset, raw_high * signal.scale + signal.offset)
        low, high = min(ends), max(ends)
    if signal.minimum is not None:
        low = max(low, signal.minimum)
    if signal.maximum is not None:
        high = min(high, signal.maximum)
    return low, high


def encode_message(database: Database, name: str, values: Mapping[str, Value]) -> bytes:
    """The payload of one message; signals without a value are 0 raw.

    Raises UsageError, naming every signal that does not exist and every value that does not fit.
    """
    message = database.by_name[name]
    wrong = []
    for signal_name, value in values.items():
        signal = message.by_name.get(signal_name)
        if signal is None:
            wrong.append(f"{name} has no signal '{signal_name}'; it has {', '.join(message.by_name)}")
        elif (problem := value_problem(signal, value)) is not None:
            wrong.append(f"{name}.{signal_name}: found {problem[0]}; allowed: {problem[1]}")
    if wrong:
        raise UsageError("\n".join(wrong))
    data: dict[str, Value] = {signal.name: signal.offset for signal in message.signals}
    data.update({key: value if isinstance(value, str) else float(value) for key, value in values.items()})
    library = database.codec.get_message_by_name(name)
    try:
        payload: bytes = library.encode(data, strict=False)
    except Exception as error:
        raise UsageError(f"{name} cannot be encoded: {error}") from error
    return payload
