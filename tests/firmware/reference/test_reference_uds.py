# SPDX-License-Identifier: Apache-2.0
"""Diagnostics of the reference firmware, spoken frame by frame: ISO 15765-2 below, services of ISO 14229-1 above."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

MakeBms = Callable[..., Any]
REQUEST, RESPONSE = 0x7E0, 0x7E8
ON = {"uds": 1}
HVIL_CODE, SUPPLY_CODE = bytes.fromhex("1A1200"), bytes.fromhex("1A1300")
CONFIRMED, FAILED_NOW = 0x08, 0x01


def frames(bms: Any, since: int) -> list[bytes]:
    """What came on the response identifier after the first `since` frames."""
    return [data for _, identifier, data in bms.frames[since:] if identifier == RESPONSE]


def say(bms: Any, *payload: int | bytes) -> None:
    """One frame, padded to 8 bytes."""
    data = b"".join(part if isinstance(part, bytes) else bytes([part]) for part in payload)
    assert bms.receive(REQUEST, data + b"\xcc" * (8 - len(data))) == 0


def ask(bms: Any, request: str) -> bytes:
    """A request of at most seven bytes; its whole answer, b"" for none."""
    body = bytes.fromhex(request)
    since = len(bms.frames)
    say(bms, len(body), body)
    bms.run(0.03)
    got = frames(bms, since)
    if not got:
        return b""
    if got[0][0] >> 4 == 0:
        assert len(got) == 1
        return got[0][1 : 1 + got[0][0]]
    length = (got[0][0] & 15) << 8 | got[0][1]
    assert len(got) == 1  # the rest waits for the flow control
    say(bms, b"\x30\x00\x00")
    bms.run(0.2)
    got = frames(bms, since)
    assert [data[0] for data in got[1:]] == [0x20 | number & 15 for number in range(1, len(got))]
    return (got[0][2:] + b"".join(data[1:] for data in got[1:]))[:length]


def codes(answer: bytes) -> dict[bytes, int]:
    """Number and status of the codes in an answer to 0x19 02 or 0A."""
    assert answer[:1] == b"\x59"
    assert answer[2] == 0x7F
    return {answer[at : at + 3]: answer[at + 3] for at in range(3, len(answer), 4)}


def tripped(make_bms: MakeBms, **arguments: Any) -> Any:
    """In standby with the interlock having been open: latched."""
    bms = make_bms(parameters=ON, **arguments).boot()
    bms.hvil = False
    bms.run(0.5)
    bms.hvil = True
    bms.run(1.5)
    return bms


def test_it_is_silent_until_switched_on_and_asked(make_bms: MakeBms) -> None:
    off = make_bms().boot()
    assert ask(off, "3E00") == b""
    on = make_bms(parameters=ON).boot()
    on.run(10.0)
    assert frames(on, 0) == []
    assert ask(on, "3E00") == b"\x7e\x00"


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        ("27 01", "7F 27 11"),  # service not supported
        ("10 02", "7F 10 12"),  # programming session
        ("11 02", "7F 11 12"),
        ("3E 01", "7F 3E 12"),
        ("19 06 FF", "7F 19 12"),
        ("10", "7F 10 13"),  # length
        ("10 03 00", "7F 10 13"),
        ("14 FF FF", "7F 14 13"),
        ("14 FF FF FF FF", "7F 14 13"),
        ("19", "7F 19 13"),
        ("19 02", "7F 19 13"),
        ("19 02 FF FF", "7F 19 13"),
        ("19 0A FF", "7F 19 13"),
        ("22", "7F 22 13"),
        ("22 F1 89 F1", "7F 22 13"),
        ("3E", "7F 3E 13"),
        ("22 12 34", "7F 22 31"),  # out of range
        ("14 12 34 56", "7F 14 31"),
        ("11 01", "7F 11 7F"),  # not in the default session
    ],
)
def test_what_cannot_be_done_is_refused_with_its_reason(make_bms: MakeBms, request_: str, answer: str) -> None:
    bms = make_bms(parameters=ON).boot()
    assert ask(bms, request_) == bytes.fromhex(answer)


def test_positive_answers_are_suppressed_on_request_negative_ones_are_not(make_bms: MakeBms) -> None:
    bms = make_bms(parameters=ON).boot()
    assert ask(bms, "3E 80") == b""
    assert ask(bms, "10 83") == b""
    assert ask(bms, "22 F1 86") == bytes.fromhex("62 F1 86 03")
    assert ask(bms, "10 82") == bytes.fromhex("7F 10 12")


def test_identifiers_are_read_alone_and_several_at_once(make_bms: MakeBms) -> None:
    bms = make_bms(parameters=ON).boot()
    assert ask(bms, "22 F1 89") == b"\x62\xf1\x891.0.0"
    assert ask(bms, "22 F1 8C") == b"\x62\xf1\x8cREF0000001"  # 13 bytes: first and next frames
    assert ask(bms, "22 02 01") == bytes.fromhex("62 02 01") + (396).to_bytes(2, "big")  # 12 x 3.3 V
    assert ask(bms, "22 02 03") == bytes.fromhex("62 02 03") + (3300).to_bytes(2, "big")
    assert ask(bms, "22 02 05 12 34 F1 86") == bytes.fromhex("62 02 05 02 F1 86 01")  # the unknown one is left out
    bms.current_ma = -50_000
    bms.run(0.1)
    assert ask(bms, "22 02 02") == bytes.fromhex("62 02 02") + (-500).to_bytes(4, "big", signed=True)


def test_a_request_in_several_frames_is_answered_after_flow_control(make_bms: MakeBms) -> None:
    bms = make_bms(parameters=ON).boot()
    body = bytes.fromhex("22 02 05 12 34 F1 86 12 34")
    say(bms, bytes([0x10, len(body)]), body[:6])
    bms.run(0.03)
    assert frames(bms, 0) == [b"\x30\x00\x00" + b"\xcc" * 5]
    say(bms, 0x21, body[6:])
    bms.run(0.03)
    assert frames(bms, 0)[1] == bytes.fromhex("07 62 02 05 02 F1 86 01")


@pytest.mark.parametrize("spoilt", ["late", "out of order", "too long"])
def test_a_broken_request_in_several_frames_is_forgotten(make_bms: MakeBms, spoilt: str) -> None:
    bms = make_bms(parameters=ON).boot()
    body = bytes.fromhex("22 02 05 12 34 F1 86 12 34")
    say(bms, b"\x1f\xff" if spoilt == "too long" else bytes([0x10, len(body)]), body[:6])
    bms.run(1.1 if spoilt == "late" else 0.03)
    say(bms, 0x22 if spoilt == "out of order" else 0x21, body[6:])
    bms.run(0.1)
    got = frames(bms, 0)
    assert [data[0] for data in got] == ([0x32] if spoilt == "too long" else [0x30])
    assert ask(bms, "3E00") == b"\x7e\x00"


@pytest.mark.parametrize("frame", ["00", "08", "0F", "07 22 F1 86", "10 05", "2F", "40", "FF", ""])
def test_frames_that_are_none_of_the_transport_are_ignored(make_bms: MakeBms, frame: str) -> None:
    bms = make_bms(parameters=ON).boot()
    data = bytes.fromhex(frame)
    assert bms.receive(REQUEST, data, length=len(data)) == 0
    bms.run(0.1)
    assert frames(bms, 0) == []


def test_block_size_separation_and_wait_of_the_tester_are_kept(make_bms: MakeBms) -> None:
    bms = make_bms(parameters=ON).boot()
    say(bms, b"\x02\x19\x0a")
    bms.run(0.02)
    say(bms, b"\x31\x00\x00")  # wait
    bms.run(0.5)
    assert len(frames(bms, 0)) == 1
    say(bms, b"\x30\x03\x14")  # three frames, 20 ms apart
    bms.run(0.5)
    sent = [(t_s, data[0]) for t_s, identifier, data in bms.frames if identifier == RESPONSE]
    assert [pci for _, pci in sent] == [0x10, 0x21, 0x22, 0x23]
    assert [round(b - a, 3) for (a, _), (b, _) in pairwise(sent[1:])] == [0.02, 0.02]
    bms.run(1.0)  # no more flow control: given up
    say(bms, b"\x30\x00\x00")
    bms.run(0.2)
    assert len(frames(bms, 0)) == 4


def test_a_session_ends_five_seconds_after_the_last_request(make_bms: MakeBms) -> None:
    bms = make_bms(parameters=ON).boot()
    assert ask(bms, "10 03") == bytes.fromhex("50 03 00 32 01 F4")
    bms.run(4.9)
    assert ask(bms, "3E 00") == b"\x7e\x00"
    bms.run(4.9)
    assert ask(bms, "22 F1 86") == bytes.fromhex("62 F1 86 03")
    bms.run(5.1)
    assert ask(bms, "22 F1 86") == bytes.fromhex("62 F1 86 01")


def test_codes_are_counted_listed_by_status_and_cleared_on_command_only(make_bms: MakeBms) -> None:
    bms = tripped(make_bms)
    assert codes(ask(bms, "19 02 08")) == {HVIL_CODE: 0x2F}  # failed, this cycle, pending, confirmed, since clear
    assert ask(bms, "19 01 08") == bytes.fromhex("59 01 7F 01 00 01")
    assert ask(bms, "19 02 80") == bytes.fromhex("59 02 7F")
    supported = codes(ask(bms, "19 0A"))
    assert len(supported) > 20
    assert supported[HVIL_CODE] == 0x2F
    bms.request_reset()
    assert codes(ask(bms, "19 02 08")) == {HVIL_CODE: 0x2E}
    assert ask(bms, "14 FF FF") == bytes.fromhex("7F 14 13")
    again = make_bms(parameters=ON, nvm=bms.nvm()).boot()
    assert codes(ask(again, "19 02 08"))[HVIL_CODE] & CONFIRMED
    again.run(2.0)
    assert ask(again, "14 FF FF FF") == b"\x54"
    statuses = codes(ask(again, "19 0A"))
    assert statuses[SUPPLY_CODE] == 0x50  # its test begins anew
    again.run(2.0)
    assert codes(ask(again, "19 0A"))[SUPPLY_CODE] == 0
    assert ask(again, "19 02 08") == bytes.fromhex("59 02 7F")


def test_a_single_code_is_cleared_and_comes_back_while_its_fault_is_there(make_bms: MakeBms) -> None:
    bms = tripped(make_bms)
    bms.supply_mv = 15_000
    bms.run(0.5)
    bms.supply_mv = 24_000
    bms.run(3.0)
    assert len(codes(ask(bms, "19 02 08"))) == 2
    assert ask(bms, "14 1A 13 00") == b"\x54"
    assert codes(ask(bms, "19 02 08")) == {HVIL_CODE: 0x2F}
    assert ask(bms, "14 FF FF FF") == b"\x54"
    bms.run(0.05)
    assert codes(ask(bms, "19 02 08")) == {HVIL_CODE: 0x2F}  # still latched


def test_a_reset_needs_a_session_and_open_contactors_and_keeps_codes_and_latches(make_bms: MakeBms) -> None:
    bms = tripped(make_bms)
    cycles = int.from_bytes(ask(bms, "22 02 06")[3:], "big")
    ask(bms, "10 03")
    assert ask(bms, "11 01") == bytes.fromhex("51 01")
    bms.run(1.0)
    assert bms.active() == {"Hvil"}
    assert ask(bms, "22 F1 86") == bytes.fromhex("62 F1 86 01")
    assert int.from_bytes(ask(bms, "22 02 06")[3:], "big") == cycles + 1
    status = codes(ask(bms, "19 02 08"))[HVIL_CODE]
    assert status & CONFIRMED
    assert status & FAILED_NOW


def test_a_reset_is_refused_while_driving(make_bms: MakeBms) -> None:
    bms = make_bms(parameters=ON).go("drive")
    ask(bms, "10 03")
    assert ask(bms, "11 01") == bytes.fromhex("7F 11 22")
    bms.run(0.5)
    assert bms.state == "Drive"


def test_a_healthy_controller_starts_anew_upon_a_reset(make_bms: MakeBms) -> None:
    bms = make_bms(parameters=ON).boot()
    ask(bms, "10 03")
    ask(bms, "11 01")
    assert bms.state == "Init"
    bms.run(0.5)
    assert bms.state == "Standby"
    assert bms.active() == set()


def test_it_talks_with_the_transport_of_can_isotp(make_bms: MakeBms) -> None:
    """The library is no dependency: it is the other side where it is installed."""
    isotp = pytest.importorskip("isotp")
    bms = make_bms(parameters=ON).boot()
    told = 0

    def arrived(_: float = 0.0) -> Any:
        nonlocal told
        for place in range(told, len(bms.frames)):
            told = place + 1
            _, identifier, data = bms.frames[place]
            if identifier == RESPONSE:
                return isotp.CanMessage(arbitration_id=RESPONSE, data=data, dlc=8)
        return None

    def send(message: Any) -> None:
        assert bms.receive(message.arbitration_id, bytes(message.data), length=len(message.data)) == 0

    address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=REQUEST, rxid=RESPONSE)
    stack = isotp.TransportLayerLogic(rxfn=arrived, txfn=send, address=address, params={"tx_padding": 0xCC})
    for request, head, length in (("19 0A", "59 0A 7F", 131), ("22 F1 86 F1 89 F1 8C 02 01", "62 F1 86 01", 27)):
        stack.send(bytes.fromhex(request))
        for _ in range(60):
            stack.process()
            bms.run(0.01)
        answer = bytes(stack.recv() or b"")
        assert answer.startswith(bytes.fromhex(head))
        assert len(answer) == length
