# SPDX-License-Identifier: Apache-2.0
"""Drivers, each for a product that exists, written against its documented command set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class OutgoingFrame:
    """A data frame for the bus."""

    id: int
    data: bytes
    extended: bool = False


Send = Callable[[OutgoingFrame], None]
