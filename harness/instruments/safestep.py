# SPDX-License-Identifier: Apache-2.0
"""The way to the safe state of one instrument, as data. Imports nothing heavy: the guardian process needs it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SafeStep:
    """What puts one instrument into its safe state, ready to be written to its descriptor by another process.

    `data`: the safe lines with their terminators. `checks`: query with its terminator, and the answer (stripped) that
    says off; empty for an instrument that cannot be asked. Both are bytes, so that a guardian needs no driver.
    """

    name: str
    fd: int
    data: bytes
    checks: tuple[tuple[bytes, bytes], ...] = ()
