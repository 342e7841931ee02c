# SPDX-License-Identifier: Apache-2.0
"""Of bus_types.h and fault_types.h: fault confinement, marks in traces, protection, faults on frames, the tester."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, IntFlag

NOT_THE_DUT, ANY = 254, 255  # senders and buses of a fault (BH_NOT_THE_DUT, BH_ANY)
ANY_ID = 128  # in `id_flags` of a fault: every identifier (BH_ANY_ID)


class Mark(IntFlag):
    """In the flags of recorded frames (BH_FRAME_*).

    UNHEARD: on the wire, but its receiver did not get it (the DUT, or for its own frames the others). BENT: a fault
    changed or forged it, or sent it at another time or once more.
    """

    UNHEARD = 32
    BENT = 64


class NodeState(IntEnum):
    """Fault confinement of a node on a bus (BH_ERROR_ACTIVE, BH_ERROR_PASSIVE, BH_BUS_OFF)."""

    ERROR_ACTIVE = 0
    ERROR_PASSIVE = 1
    BUS_OFF = 2


class ErrorCause(IntEnum):
    """Why an error frame was sent: its first data byte in a trace (BH_CAUSE_*)."""

    BIT = 1
    COLLISION = 2
    CHECKSUM = 3
    ACKNOWLEDGE = 4


class IdMode(IntEnum):
    """Where the data identifier goes into a checksum (BH_ID_*)."""

    LOW = 0
    NONE = 1
    BOTH = 2
    ALTERNATING = 3
    NIBBLE = 4
    BOTH_AFTER = 5
    LIST_AFTER = 6


class Resume(IntEnum):
    """How an alive counter goes on after a fault (BH_RESUME_*)."""

    CORRECT = 0
    LAST_VALID = 1
    LAST_SENT = 2


@dataclass(frozen=True, slots=True)
class TesterConfig:
    """The identifiers of the diagnostic tester and of the controller's answers; not `enabled`: there is none."""

    request_id: int = 0
    response_id: int = 0
    enabled: bool = False
    extended: bool = False
    bus: int = 0
