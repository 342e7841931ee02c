# SPDX-License-Identifier: Apache-2.0
"""What a scenario has executed of a probe build, with what it took to reach its start state.

A start state is reached once and restored from then on, so what was executed on the way is kept for every scenario that
begins there.
"""

from __future__ import annotations

from harness.search.runner import Footprint

_EXECUTED, _DIFFERED = 1, 2  # bits of a byte, see schemata.h


class Tracks:
    """Reads and clears the notes of a probe build; `seen` is its buffer, one byte a place."""

    def __init__(self, seen: bytearray) -> None:
        self._seen = memoryview(seen)
        self._ways: dict[str, Footprint] = {}
        self._start = ""

    def started(self, start: str) -> None:
        """The scenario begins now in a start state, which was reached or restored just before."""
        way = self._read()
        if start not in self._ways:
            before = self._ways.get("standby", Footprint())  # every other state is reached from there
            self._ways[start] = _joined(before, way)
        self._start = start

    def take(self) -> Footprint:
        """What was executed since the controller was first switched on, up to the end of the scenario."""
        return _joined(self._ways.get(self._start, Footprint()), self._read())

    def _read(self) -> Footprint:
        content = bytes(self._seen)
        self._seen[:] = bytes(len(content))
        executed = _bits(content, _EXECUTED)
        return Footprint(executed, _bits(content, _DIFFERED))


def _bits(content: bytes, mask: int) -> int:
    digits = bytes(49 if byte & mask else 48 for byte in reversed(content))
    return int(digits, 2) if digits else 0


def _joined(a: Footprint, b: Footprint) -> Footprint:
    return Footprint(a.executed | b.executed, a.differed | b.differed)
