# SPDX-License-Identifier: Apache-2.0
"""Requests and answers of ISO 14229-1: written, read, and found in recorded frames.

Only what the harness asks for; udsoncan knows far more services, but its client lives in real time, and a record needs
no client. The tests hold both against each other.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from harness.canbus.diagnostics import Diagnostics
from harness.canbus.isotp import FIRST, FLOW, SINGLE, Transfer, assemble
from harness.trace import DUT_NODE, Frames

SESSIONS = {"default": 0x01, "extended": 0x03}
SESSION, RESET, CLEAR, CODES, READ, PRESENT = 0x10, 0x11, 0x14, 0x19, 0x22, 0x3E
ACTIVE_SESSION = 0xF186
NEGATIVE, POSITIVE, PENDING = 0x7F, 0x40, 0x78
REASONS = {
    0x10: "general reject",
    0x11: "service not supported",
    0x12: "sub-function not supported",
    0x13: "incorrect message length",
    0x14: "response too long",
    0x21: "busy, repeat",
    0x22: "conditions not correct",
    0x24: "request sequence error",
    0x31: "request out of range",
    0x33: "security access denied",
    0x78: "response pending",
    0x7E: "sub-function not supported in this session",
    0x7F: "service not supported in this session",
}
STATUS_BITS = (
    "testFailed",
    "testFailedThisOperationCycle",
    "pendingDTC",
    "confirmedDTC",
    "testNotCompletedSinceLastClear",
    "testFailedSinceLastClear",
    "testNotCompletedThisOperationCycle",
    "warningIndicatorRequested",
)
NOT_TESTED = 0x50  # the two bits of a code whose test has not been completed
FLOW_WITHIN_S = 1.0  # N_Bs of ISO 15765-2
READ_CODES = bytes([CODES, 0x02, 0xFF])
CLEAR_CODES = bytes([CLEAR, 0xFF, 0xFF, 0xFF])
HARD_RESET = bytes([RESET, 0x01])
TESTER_PRESENT = bytes([PRESENT, 0x00])
_EXTENDED, _REMOTE_OR_ERROR, _ERROR_OR_UNHEARD = 0x01, 0x08 | 0x10, 0x10 | 0x20  # flags of a frame
_LISTS = (0x02, 0x0A)
Mask = NDArray[np.bool_]


def session_request(name: str) -> bytes:
    """To change into a session of SESSIONS."""
    return bytes([SESSION, SESSIONS[name]])


def read_request(identifier: int) -> bytes:
    """To read one data identifier."""
    return bytes([READ, identifier >> 8, identifier & 0xFF])


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request as it was complete on the bus, and the answer: b"" and NaN when none was complete before the next.

    The answer begins at `answer_s` and is complete at `complete_s`. `status` is that of every trouble code of the
    profile, by its fault, where the answer lists them all; one that is not listed is 0. `clears` are the faults whose
    codes were to be cleared, `asked` the quantities that were to be read, `values` those that were.
    """

    request_s: float
    request: bytes
    answer_s: float = math.nan
    complete_s: float = math.nan
    answer: bytes = b""
    status: Mapping[str, int] | None = None
    clears: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    values: Mapping[str, float] = field(default_factory=dict)

    @property
    def positive(self) -> bool:
        """Whether the controller did what was asked."""
        return bool(self.answer) and self.answer[0] == self.request[0] + POSITIVE

    @property
    def refused(self) -> int | None:
        """The reason of a negative answer."""
        negative = self.answer[:2] == bytes([NEGATIVE, self.request[0]]) and len(self.answer) > 2  # noqa: PLR2004
        return self.answer[2] if negative else None


def codes_of(answer: bytes) -> dict[int, int] | None:
    """Status by number of the trouble codes in an answer to 0x19 02 or 0A; None when it is none or cut short."""
    head = 3
    if len(answer) < head or answer[0] != CODES + POSITIVE or answer[1] not in _LISTS or (len(answer) - head) % 4:
        return None
    parts = [answer[at : at + 4] for at in range(head, len(answer), 4)]
    return {int.from_bytes(part[:3], "big"): part[3] for part in parts}


def status_text(status: int) -> str:
    """The names of the bits that are set."""
    return ", ".join(name for place, name in enumerate(STATUS_BITS) if status >> place & 1) or "none"


def code_text(number: int) -> str:
    """A trouble code as workshops write it (SAE J2012): "P1A12", with its failure type "P1A12-00"."""
    high = number >> 16
    return f"{'PCBU'[high >> 6]}{high >> 4 & 3}{high & 15:X}{number >> 8 & 0xFF:02X}-{number & 0xFF:02X}"


def status_of(request: bytes, answer: bytes, diagnostics: Diagnostics) -> dict[str, int] | None:
    """The status of every fault that has a trouble code, where the answer tells all of them."""
    if request != READ_CODES and request[:2] != bytes([CODES, _LISTS[1]]):
        return None
    codes = codes_of(answer)
    if codes is None:
        return None
    return {fault: codes.get(number, 0) for number, fault in diagnostics.codes.items()}


def clears_of(request: bytes, diagnostics: Diagnostics) -> tuple[str, ...]:
    """The faults of the profile whose codes a request clears."""
    if request == CLEAR_CODES:
        return tuple(diagnostics.codes.values())
    known = request[:1] == bytes([CLEAR]) and len(request) == len(CLEAR_CODES)
    fault = diagnostics.codes.get(int.from_bytes(request[1:], "big")) if known else None
    return () if fault is None else (fault,)


def asked_of(request: bytes, diagnostics: Diagnostics) -> tuple[tuple[int, int | None], ...]:
    """The identifiers asked for and the bytes of each, up to the first one of unknown length: there it ends."""
    if request[:1] != bytes([READ]) or len(request) % 2 == 0:
        return ()
    found: list[tuple[int, int | None]] = []
    for at in range(1, len(request), 2):
        identifier = int.from_bytes(request[at : at + 2], "big")
        known = diagnostics.identifiers.get(identifier)
        length = 1 if identifier == ACTIVE_SESSION else known[1].bytes if known else None
        if length is not None or at + 2 == len(request):
            found.append((identifier, length))
        if length is None:
            break
    return tuple(found)


def values_of(
    answer: bytes, diagnostics: Diagnostics, asked: Sequence[tuple[int, int | None]], *, all_asked: bool
) -> dict[str, float]:
    """The quantities in an answer to what was asked, up to what is not as it should be. `all_asked`: no more."""
    values: dict[str, float] = {}
    rest = answer[1:] if answer[:1] == bytes([READ + POSITIVE]) else b""
    for place, (identifier, length) in enumerate(asked):
        last = all_asked and place + 1 == len(asked)
        bytes_of = len(rest) - 2 if length is None else length
        if (
            rest[:2] != identifier.to_bytes(2, "big")
            or not 0 < bytes_of <= len(rest) - 2
            or (last and rest[2 + bytes_of :])
        ):
            break
        if identifier in diagnostics.identifiers:
            quantity, entry = diagnostics.identifiers[identifier]
            values[quantity] = (
                int.from_bytes(rest[2 : 2 + bytes_of], "big", signed=entry.signed) * entry.scale + entry.offset
            )
        rest = rest[2 + bytes_of :]
    return values


def dialogue_masks(frames: Frames, diagnostics: Diagnostics | None) -> tuple[Mask, Mask] | None:
    """Which frames of the tester and which of the controller arrived whole; None where nobody asked anything."""
    if diagnostics is None:
        return None
    asked = (frames.id == diagnostics.request_id) & (frames.node != DUT_NODE)
    if not asked.any():
        return None
    good = ((frames.flags & _EXTENDED) == int(diagnostics.extended)) & ((frames.flags & _ERROR_OR_UNHEARD) == 0)
    return good & asked, good & (frames.id == diagnostics.response_id)


def dialogue(frames: Frames, diagnostics: Diagnostics | None) -> tuple[Exchange, ...]:
    """Every whole request in recorded frames, with its answer, in the order of time."""
    masks = dialogue_masks(frames, diagnostics)
    if diagnostics is None or masks is None:
        return ()
    requests, answers = (assemble(_rows(frames, np.flatnonzero(mask))) for mask in masks)
    return tuple(_paired(requests, answers, diagnostics))


def stalled(frames: Frames, diagnostics: Diagnostics | None) -> tuple[tuple[float, float], ...]:
    """Requests of several frames that had no flow control: from when on one waited, and when it was given up.

    It is given up by the next request, or after N_Bs (ISO 15765-2).
    """
    masks = dialogue_masks(frames, diagnostics)
    if masks is None:
        return ()
    own, answers = masks
    kind = np.where(frames.length > 0, frames.data[:, 0] >> 4, 0xFF)
    t_s = frames.t_ns / 1e9
    begins_s = t_s[own & ((kind == SINGLE) | (kind == FIRST))]
    flow_s = t_s[answers & (kind == FLOW)]
    found: list[tuple[float, float]] = []
    for begin_s in t_s[own & (kind == FIRST)].tolist():
        later_s = begins_s[begins_s > begin_s]
        until_s = min(begin_s + FLOW_WITHIN_S, float(later_s[0]) if len(later_s) else math.inf)
        if not ((flow_s > begin_s) & (flow_s <= until_s)).any():
            found.append((begin_s, until_s))
    return tuple(found)


def count_frames(frames: Frames, diagnostics: Diagnostics | None, known: Container[int] = ()) -> int:
    """How many frames are requests, answers or their flow control, without identifiers that are `known` otherwise."""
    if diagnostics is None:
        return 0
    own = [number for number in (diagnostics.request_id, diagnostics.response_id) if number not in known]
    asked = np.isin(frames.id, own)
    data = (frames.flags & (_EXTENDED | _REMOTE_OR_ERROR)) == (_EXTENDED if diagnostics.extended else 0)
    return int(np.count_nonzero(asked & data))


def _rows(frames: Frames, rows: NDArray[np.intp]) -> Iterator[tuple[float, bytes]]:
    for row in rows.tolist():
        yield float(frames.t_ns[row]) / 1e9, frames.data[row, : frames.length[row]].tobytes()


def _paired(
    requests: tuple[Transfer, ...], answers: tuple[Transfer, ...], diagnostics: Diagnostics
) -> Iterator[Exchange]:
    """An answer belongs to the last request before it; "response pending" is none yet."""
    waiting = [answer for answer in answers if not _is_pending(answer.data)]
    for place, request in enumerate(requests):
        until_s = requests[place + 1].end_s if place + 1 < len(requests) else math.inf
        found = next((answer for answer in waiting if request.end_s <= answer.start_s <= until_s), None)
        if found is None:
            yield Exchange(request.end_s, request.data)
            continue
        yield exchange_of(
            request.data,
            found.data,
            diagnostics,
            request_s=request.end_s,
            answer_s=found.start_s,
            complete_s=found.end_s,
        )


def exchange_of(
    request: bytes,
    answer: bytes,
    diagnostics: Diagnostics,
    *,
    request_s: float = 0.0,
    answer_s: float,
    complete_s: float,
) -> Exchange:
    """A request with its answer, read."""
    status = status_of(request, answer, diagnostics)
    asked = asked_of(request, diagnostics)
    values = values_of(answer, diagnostics, asked, all_asked=1 + 2 * len(asked) == len(request))
    names = tuple(diagnostics.identifiers[number][0] for number, _ in asked if number in diagnostics.identifiers)
    return Exchange(
        request_s, request, answer_s, complete_s, answer, status, clears_of(request, diagnostics), names, values
    )


def answers(request: bytes, answer: bytes) -> bool:
    """Whether an answer is to this request and final: "response pending" is none yet."""
    negative = answer[:2] == bytes([NEGATIVE, request[0]]) and answer[2:3] != bytes([PENDING])
    return negative or answer[:1] == bytes([request[0] + POSITIVE])


def _is_pending(answer: bytes) -> bool:
    return answer[:1] == bytes([NEGATIVE]) and answer[2:3] == bytes([PENDING])


def restarts(exchanges: tuple[Exchange, ...]) -> NDArray[np.float64]:
    """When resets were acknowledged: from then on the controller starts anew."""
    return np.array([e.complete_s for e in exchanges if e.request[0] == RESET and e.positive], np.float64)
