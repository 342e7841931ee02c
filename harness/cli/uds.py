# SPDX-License-Identifier: Apache-2.0
"""`bms-harness uds`: the diagnostic tester on a CAN adapter."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.cli.benchargs import port_option
from harness.cli.common import emit, json_option, leave
from harness.cli.monitor import Found, found_of, settings_of
from harness.errors import UsageError
from harness.verdict import Outcome

if TYPE_CHECKING:
    from harness.canbus.diagnostics import Diagnostics
    from harness.canbus.portmodel import PortSettings
    from harness.canbus.uds import Exchange

ACTIONS = ("read-dtcs", "clear", "read", "reset", "session", "send")
_TAKES = {
    "read": "data identifiers (read F189 0x0201) or quantities of the profile (read pack_voltage_v)",
    "session": "default or extended",
    "send": "the bytes of a request in hexadecimal (send 19 01 08)",
}


@click.command(context_settings={"ignore_unknown_options": False})
@click.argument("reference", metavar="RIG_OR_BENCH")
@click.argument("action", type=click.Choice(ACTIONS))
@click.argument("words", nargs=-1, metavar="[WORD]...")
@click.option("--interface", help="Interface of python-can: slcan, socketcan, pcan, kvaser, udp_multicast, ...")
@click.option("--channel", help="Channel of the interface: /dev/ttyACM0, can0, 239.74.163.2, ...")
@click.option("--bitrate", type=click.IntRange(10_000, 1_000_000), help="Bit/s; default: the rig's.")
@click.option("--option", "options", multiple=True, metavar="NAME=VALUE", help="Further option of the interface.")
@click.option("--profile", type=click.Path(path_type=Path), help="Another product profile, with [diagnostics].")
@port_option
@json_option
def uds(reference: str, action: str, words: tuple[str, ...], *, as_json: bool, **chosen: Any) -> None:
    """Ask a controller by UDS (ISO 14229-1) over ISO-TP, on the adapter of a bench file or that of the options.

    read-dtcs lists every trouble code with any status bit, clear clears all, read reads data identifiers or quantities
    of the profile, reset changes into the extended session and resets, session changes the session, send sends bytes.
    A refusal ends with exit code 1.
    """
    found = found_of(reference, chosen["ports"])
    diagnostics = _diagnostics(found, chosen["profile"])
    requests = requests_of(action, words, diagnostics)
    settings = settings_of(found, {"bitrate": chosen["bitrate"] or found.bitrate, "data_bitrate": 0}, chosen)
    if settings is None:
        raise UsageError(f"no adapter to ask on{found.hint}: give --interface and --channel, or a bench file")
    exchanges = _ask(settings, diagnostics, requests)
    if as_json:
        emit([_record(exchange) for exchange in exchanges])
    else:
        for exchange in exchanges:
            click.echo("\n".join(told(exchange, diagnostics)))
    leave(Outcome.PASS if all(exchange.positive for exchange in exchanges) else Outcome.FAIL)


def _diagnostics(found: Found, path: Path | None) -> Diagnostics:
    from harness.canbus.profile import load_profile  # noqa: PLC0415 - not needed for --help

    profile = load_profile(path) if path is not None else found.profile() if found.profile else None
    if profile is None or profile.diagnostics is None:
        name = "the profile" if profile is None else profile.path
        raise UsageError(f"{name} has no [diagnostics] table with request_id and response_id: nobody to ask")
    return profile.diagnostics


def _ask(settings: PortSettings, diagnostics: Diagnostics, requests: tuple[bytes, ...]) -> list[Exchange]:
    """The exchanges until one is refused."""
    from harness.bench.tester import DiagnosticTester  # noqa: PLC0415 - not needed for --help
    from harness.canbus.ports import open_port  # noqa: PLC0415 - see above
    from harness.clock import WallClock  # noqa: PLC0415 - see above

    clock = WallClock()
    exchanges: list[Exchange] = []
    with closing(open_port(settings, clock)) as port:
        tester = DiagnosticTester(port, clock, diagnostics)
        for request in requests:
            exchanges.append(tester.ask(request))
            if not exchanges[-1].positive:
                break
    return exchanges


def requests_of(action: str, words: tuple[str, ...], diagnostics: Diagnostics) -> tuple[bytes, ...]:
    """What an action sends. Raises UsageError with what the action takes."""
    from harness.canbus import uds as service  # noqa: PLC0415 - not needed for --help

    plain: dict[str, tuple[bytes, ...]] = {"read-dtcs": (service.READ_CODES,), "clear": (service.CLEAR_CODES,)}
    plain["reset"] = (service.session_request("extended"), service.HARD_RESET)
    if action in plain:
        if words:
            raise UsageError(f"{action} takes no further word, found '{words[0]}'")
        return plain[action]
    if not words:
        raise UsageError(f"{action} takes {_TAKES[action]}")
    if action == "session":
        if len(words) != 1 or words[0] not in service.SESSIONS:
            raise UsageError(f"session '{' '.join(words)}' is none: {_TAKES[action]}")
        return (service.session_request(words[0]),)
    if action == "send":
        return (_bytes(words),)
    known = {quantity: number for number, (quantity, _) in diagnostics.identifiers.items()}
    return tuple(service.read_request(_identifier(word, known)) for word in words)


def _bytes(words: tuple[str, ...]) -> bytes:
    try:
        request = bytes.fromhex("".join(words))
    except ValueError:
        request = b""
    if not 0 < len(request) <= 0xFFF:  # noqa: PLR2004 - the longest message of ISO-TP
        raise UsageError(f"'{' '.join(words)}' is no request: {_TAKES['send']}")
    return request


def _identifier(word: str, known: Mapping[str, int]) -> int:
    try:
        number = known[word] if word in known else int(word, 16)
    except ValueError:
        number = -1
    if not 0 <= number <= 0xFFFF:  # noqa: PLR2004 - two bytes
        quantities = ", ".join(sorted(known)) or "none"
        raise UsageError(f"'{word}' is no identifier: {_TAKES['read']}; quantities: {quantities}")
    return number


def told(exchange: Exchange, diagnostics: Diagnostics) -> list[str]:
    """An answer in lines for people."""
    from harness.canbus import uds as service  # noqa: PLC0415 - not needed for --help

    asked = exchange.request.hex(" ").upper()
    if exchange.refused is not None:
        reason = service.REASONS.get(exchange.refused, "a reason of the product")
        return [f"{asked}: refused, {reason} (0x{exchange.refused:02X})"]
    if exchange.request == service.READ_CODES:
        return _codes_told(exchange, diagnostics)
    if exchange.values:
        return [f"{quantity} = {value:.6g}" for quantity, value in exchange.values.items()]
    if exchange.request[0] == service.READ and len(exchange.request) == 3:  # noqa: PLR2004 - service and one identifier
        data = exchange.answer[3:]
        text = f'  "{data.decode()}"' if data and all(32 <= byte < 127 for byte in data) else ""  # noqa: PLR2004 - printable ASCII
        return [f"0x{exchange.request[1:3].hex().upper()} = {data.hex(' ').upper()}{text}"]
    return [f"{asked}: done ({exchange.answer.hex(' ').upper()})"]


def _codes_told(exchange: Exchange, diagnostics: Diagnostics) -> list[str]:
    from harness.canbus import uds as service  # noqa: PLC0415 - not needed for --help

    found = service.codes_of(exchange.answer)
    if found is None:
        return [f"the list of codes is cut short: {exchange.answer.hex(' ').upper()}"]
    failed = {number: status for number, status in found.items() if status & ~service.NOT_TESTED}
    untested = len(found) - len(failed)
    lines = [
        f"{service.code_text(number)}  0x{status:02X}  {diagnostics.codes.get(number, 'not in the profile'):32}"
        f"  {service.status_text(status)}"
        for number, status in failed.items()
    ]
    return [*(lines or ["no trouble code has failed"]), f"{untested} further codes not tested yet"]


def _record(exchange: Exchange) -> dict[str, Any]:
    return {
        "request": exchange.request.hex(),
        "answer": exchange.answer.hex(),
        "answer_s": round(exchange.answer_s, 6),
        "positive": exchange.positive,
        "refused": exchange.refused,
        "status": exchange.status,
        "values": dict(exchange.values),
    }
