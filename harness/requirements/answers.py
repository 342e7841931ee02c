# SPDX-License-Identifier: Apache-2.0
"""What an answer of ISO 14229-1 must look like, told from its request: the form, and whether it may be a refusal."""

from __future__ import annotations

import re
from collections.abc import Collection

SESSION, RESET, CLEAR, CODES, READ, PRESENT = 0x10, 0x11, 0x14, 0x19, 0x22, 0x3E
ACTIVE_SESSION = 0xF186
_NEGATIVE, _POSITIVE, _SILENT = 0x7F, 0x40, 0x80
_NEGATIVE_BYTES = 3
_COUNT, _BY_STATUS, _SUPPORTED = 0x01, 0x02, 0x0A
_LENGTHS = {SESSION: 6, RESET: 2, CLEAR: 1, PRESENT: 2}  # of positive answers; those of other services are not known
_ECHO = (SESSION, RESET, CODES, PRESENT)  # answers that begin with the sub-function
CODES_LENGTHS = {_COUNT: 3, _BY_STATUS: 3, _SUPPORTED: 2}  # requests for codes, with a mask of the status or without
_HEAD, _COUNT_BYTES, _CODE_BYTES = 3, 6, 4
# What every controller with these services can do, in every session and state.
_SERVED = re.compile(
    rb"\x10[\x01\x03\x81\x83]|\x14\xff\xff\xff|\x19[\x01\x02].|\x19\x0a|\x22\xf1\x86|\x3e[\x00\x80]", re.DOTALL
)


def silent(request: bytes) -> bool:
    """Whether a positive answer is not wanted."""
    return request[0] in (SESSION, RESET, PRESENT) and len(request) > 1 and bool(request[1] & _SILENT)


def must_be_served(request: bytes) -> bool:
    """Whether a request may not be refused, whatever the session and the state."""
    return _SERVED.fullmatch(request) is not None


def single_identifier(request: bytes) -> int | None:
    """The identifier of a request to read just one."""
    is_single = request[:1] == bytes([READ]) and len(request) == _HEAD
    return int.from_bytes(request[1:], "big") if is_single else None


def form_problem(request: bytes, answer: bytes, known: Collection[int]) -> str:
    """What is wrong with the form of an answer, "" if nothing. `known`: identifiers the controller can read."""
    if answer[0] == _NEGATIVE:
        whole = len(answer) == _NEGATIVE_BYTES and answer[1] == request[0] and answer[2] != 0
        return "" if whole else "a refusal has three bytes: 7F, the service and a reason"
    if answer[0] != request[0] + _POSITIVE:
        return f"neither 0x{request[0] + _POSITIVE:02X} nor a refusal"
    if silent(request):
        return "no positive answer was wanted"
    if request[0] in _ECHO and answer[1:2] != request[1:2]:
        return f"the sub-function 0x{request[1]:02X} is not repeated"
    if request[0] == CODES:
        told = len(request) > 1 and len(request) == CODES_LENGTHS.get(request[1])
        return _codes_problem(request, answer) if told else ""
    if request[0] == READ:
        return _identifiers_problem(request, answer, known)
    length = _LENGTHS.get(request[0], len(answer))
    return "" if len(answer) == length else f"{len(answer)} bytes instead of {length}"


def _codes_problem(request: bytes, answer: bytes) -> str:
    if answer[1] == _COUNT:
        return "" if len(answer) == _COUNT_BYTES else f"{len(answer)} bytes instead of {_COUNT_BYTES}"
    if len(answer) < _HEAD or (len(answer) - _HEAD) % _CODE_BYTES:
        return "not three bytes and four for each code"
    available = answer[2]
    mask = available & request[2] if answer[1] == _BY_STATUS else 0
    codes = [answer[at : at + _CODE_BYTES] for at in range(_HEAD, len(answer), _CODE_BYTES)]
    if len({code[:3] for code in codes}) < len(codes):
        return "a code is listed twice"
    if any(code[3] & ~available for code in codes):
        return f"a status bit outside the availability mask 0x{available:02X}"
    wrong = answer[1] == _BY_STATUS and any(not code[3] & mask for code in codes)
    return "a code without any status bit that was asked for" if wrong else ""


def _identifiers_problem(request: bytes, answer: bytes, known: Collection[int]) -> str:
    """Each identifier that is known comes in the order asked, with at least one byte; others may be left out."""
    pattern = b""
    for place in range(1, len(request) - 1, 2):
        name = request[place : place + 2]
        part = b"(?:" + re.escape(name) + b".+?)"
        pattern += part if int.from_bytes(name, "big") in known else part + b"?"
    whole = re.fullmatch(re.escape(answer[:1]) + pattern, answer, re.DOTALL)
    return "" if whole else "not the identifiers asked for, in their order and each with its value"
