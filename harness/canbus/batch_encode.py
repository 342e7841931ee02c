# SPDX-License-Identifier: Apache-2.0
"""Many payloads of one message at once, from arrays of values: the inverse of batch decoding.

A multiplexed signal is written only into those frames whose multiplexers select it, as a sender would.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from harness.canbus.model import Message, Signal
from harness.errors import UsageError

Payloads = NDArray[np.uint8]
_BYTE_BITS = 8


def encode_raw(message: Message, values: Mapping[str, ArrayLike]) -> Payloads:
    """Payloads [n, message.length] of raw values: integers as they stand in the frame, floats as numbers.

    Every array has n values, or one for all. Signals without values are 0. Raises UsageError, naming every signal that
    does not exist or cannot be encoded and every value that does not fit its bits.
    """
    arrays = {name: np.atleast_1d(np.asarray(array)) for name, array in values.items()}
    _check(message, arrays)
    n = max((len(array) for array in arrays.values()), default=0)
    payloads = np.zeros((n, message.length), np.uint8)
    for name, array in arrays.items():
        signal = message.by_name[name]
        bits = np.broadcast_to(_bits_of(signal, array), (n,))
        _put(payloads, signal, np.where(_selected(message, signal, arrays, n), bits, np.uint64(0)))
    return payloads


def encode(message: Message, values: Mapping[str, ArrayLike]) -> Payloads:
    """Payloads of physical values: raw = (value - offset) / scale, rounded to the nearest (ties to even).

    Raises UsageError as `encode_raw` does.
    """
    raw: dict[str, ArrayLike] = {}
    for name, array in values.items():
        signal = message.by_name.get(name)
        if signal is None or signal.is_plain:
            raw[name] = array
            continue
        scaled = (np.asarray(array, np.float64) - signal.offset) / signal.scale
        raw[name] = scaled if signal.is_float else _as_integers(scaled)
    return encode_raw(message, raw)


def _as_integers(scaled: NDArray[np.float64]) -> NDArray[Any]:
    """Rounded; unsigned where a value only fits so. What is not finite becomes a value that fits nothing."""
    rounded = np.rint(scaled)
    if not np.isfinite(rounded).all():
        return rounded
    exact = [int(value) for value in np.atleast_1d(rounded)]
    return np.array(exact, dtype=object)


def _check(message: Message, arrays: Mapping[str, NDArray[Any]]) -> None:
    problems = []
    sizes = {len(array) for array in arrays.values()} - {1}
    if len(sizes) > 1:
        problems.append(
            f"{message.name}: arrays of {sorted(sizes)} values; allowed: equal lengths, or one value for all"
        )
    for name, array in arrays.items():
        signal = message.by_name.get(name)
        if signal is None:
            problems.append(f"{message.name} has no signal '{name}'; it has {', '.join(message.by_name)}")
        elif not signal.decodable or not signal.fits(message.length):
            problems.append(
                f"{message.name}.{name} cannot be encoded: {signal.length} bits from bit {signal.start_bit}"
            )
        elif not signal.is_float and (wrong := _misfit(signal, array)) is not None:
            low, high = _range(signal)
            problems.append(f"{message.name}.{name}: found raw {wrong}; allowed: {low} to {high}")
    if problems:
        raise UsageError("\n".join(problems))


def _range(signal: Signal) -> tuple[int, int]:
    if signal.signed:
        return -(1 << (signal.length - 1)), (1 << (signal.length - 1)) - 1
    return 0, (1 << signal.length) - 1


def _misfit(signal: Signal, array: NDArray[Any]) -> str | None:
    """The first value that is no integer of the signal's range."""
    low, high = _range(signal)
    if array.dtype.kind in "iub":
        bad = (array < low) | (array > high)
        return str(array[bad][0]) if bad.any() else None
    for value in array.tolist():
        if not math.isfinite(value) or int(value) != value or not low <= value <= high:
            return str(value)
    return None


def _bits_of(signal: Signal, array: NDArray[Any]) -> NDArray[np.uint64]:
    """The bits of each value, right-aligned."""
    if signal.is_float:
        kind, bits = (np.float32, np.uint32) if signal.length == 32 else (np.float64, np.uint64)  # noqa: PLR2004 - IEEE 754
        return np.asarray(array, kind).view(bits).astype(np.uint64)
    mask = (1 << signal.length) - 1
    if array.dtype.kind in "iub":
        return array.astype(np.uint64) & np.uint64(mask)
    return np.array([int(value) & mask for value in array.tolist()], np.uint64)


def _selected(message: Message, signal: Signal, arrays: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.bool_]:
    """In which frames the multiplexers stand so that the signal is there. One that is not given stands at 0."""
    there = np.ones(n, dtype=np.bool_)
    for name, ids in message.selectors(signal):
        there &= np.isin(np.broadcast_to(arrays.get(name, np.zeros(1, np.int64)), (n,)).astype(np.int64), list(ids))
    return there


def _put(payloads: Payloads, signal: Signal, bits: NDArray[np.uint64]) -> None:
    """Lay the bits over the bytes they touch, least significant byte first."""
    if signal.big_endian:
        end = signal.first_bit + signal.length  # one past the lowest bit, counted along the wire
        byte, shift, step = (end - 1) // _BYTE_BITS, -end % _BYTE_BITS, -1
    else:
        byte, shift, step = signal.start_bit // _BYTE_BITS, signal.start_bit % _BYTE_BITS, 1
    done = 0
    while done < signal.length:
        part = (bits >> np.uint64(done)) << np.uint64(shift) if done == 0 else bits >> np.uint64(done)
        payloads[:, byte] |= (part & np.uint64(0xFF)).astype(np.uint8)
        done += _BYTE_BITS - shift
        byte, shift = byte + step, 0
