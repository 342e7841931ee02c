# SPDX-License-Identifier: Apache-2.0
"""What a scenario asks the controller by UDS, as the tester in the kernel sends it."""

from __future__ import annotations

from harness.canbus import uds
from harness.kernel.config import Event, EventKind
from harness.scenario import CommandAction

_FLOW = 2.0  # value of the kernel's event


def request_of(action: CommandAction) -> bytes | None:
    """The request of an action; None for one that is not of the tester."""
    match action.do:
        case "uds-read-dtcs":
            return uds.READ_CODES
        case "uds-clear":
            return uds.CLEAR_CODES
        case "uds-reset":
            return uds.HARD_RESET
        case "uds-session":
            return uds.session_request(action.session)
        case "uds-read":
            return uds.read_request(action.identifier)
        case "uds-send":
            return bytes.fromhex(action.request)
        case _:
            return None


def tester_events(action: CommandAction, t_ns: int) -> tuple[Event, ...]:
    """The event of the kernel that sends the request of an action, or sets the flow control."""
    if action.do == "uds-flow":
        flow = bytes.fromhex(action.flow)
        return (Event(t_ns=t_ns, kind=EventKind.TESTER, index=len(flow), value=_FLOW, payload=flow),)
    request = request_of(action)
    if request is None:
        return ()
    return (Event(t_ns=t_ns, kind=EventKind.TESTER, index=len(request), value=0.0, payload=request),)


def describe_request(action: CommandAction) -> str:
    """The action in the words of a scenario file."""
    match action.do:
        case "uds-session":
            return f"uds-session session={action.session}"
        case "uds-read":
            return f"uds-read identifier=0x{action.identifier:04X}"
        case "uds-send":
            return f"uds-send request={action.request}"
        case "uds-flow":
            return f"uds-flow flow={action.flow}"
        case _:
            return action.do
