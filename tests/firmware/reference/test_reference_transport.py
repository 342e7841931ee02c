# SPDX-License-Identifier: Apache-2.0
"""The J1939 transport of the reference firmware on its own: frames and times of J1939-21, both kinds, both sides."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cffi
import pytest

OWN, PEER, ALL = 0xF4, 0x56, 0xFF
PGN = 0x0200
RTS, CTS, END, BAM, ABORT = 16, 17, 19, 32, 255
STEP_MS = 10
DECLARATIONS = """
typedef struct { uint32_t id; bool extended; uint8_t length; uint8_t data[8]; } can_frame;
typedef struct { uint32_t pgn; uint8_t source; uint8_t destination; const uint8_t *data; uint32_t length; }
    j1939_message;
void can_queue_init(void);
bool can_queue_pop(can_frame *frame);
void j1939_tp_init(uint8_t own_address);
bool j1939_tp_send(uint32_t pgn, uint8_t destination, uint8_t priority, const uint8_t *data, uint32_t length);
bool j1939_tp_sending(uint32_t pgn);
void j1939_tp_step(uint32_t now_ms);
bool j1939_tp_push(uint32_t id, uint32_t length, const uint8_t *data);
bool j1939_tp_poll(j1939_message *message);
uint32_t j1939_tp_failures(void);
"""

Frame = tuple[int, bytes]


class Transport:
    """One node; times in ms."""

    def __init__(self, ffi: Any, lib: Any, start_ms: int) -> None:
        self.ffi, self.lib, self.now_ms = ffi, lib, start_ms
        lib.can_queue_init()
        lib.j1939_tp_init(OWN)
        self.step(0)

    def step(self, ms: int = STEP_MS) -> list[Frame]:
        """Let so much time pass; what it sends in that time."""
        sent = []
        for _ in range(max(1, ms // STEP_MS)):
            self.now_ms = (self.now_ms + min(ms, STEP_MS)) % 2**32
            self.lib.j1939_tp_step(self.now_ms)
            sent += self.sent()
        return sent

    def sent(self) -> list[Frame]:
        frame = self.ffi.new("can_frame *")
        found = []
        while self.lib.can_queue_pop(frame):
            assert frame.extended
            found.append((frame.id, bytes(frame.data[0 : frame.length])))
        return found

    def send(self, data: bytes, destination: int = PEER, pgn: int = PGN) -> bool:
        return bool(self.lib.j1939_tp_send(pgn, destination, 7, data, len(data)))

    def push(self, identifier: int, data: bytes) -> bool:
        return bool(self.lib.j1939_tp_push(identifier, len(data), data))

    def poll(self) -> tuple[int, int, bytes] | None:
        message = self.ffi.new("j1939_message *")
        if not self.lib.j1939_tp_poll(message):
            return None
        return message.pgn, message.source, bytes(self.ffi.buffer(message.data, message.length))


@pytest.fixture(params=[0, 2**32 - 500], ids=["from 0", "over the wrap of the clock"])
def node(library_path: Path, request: pytest.FixtureRequest) -> Iterator[Transport]:
    ffi = cffi.FFI()
    ffi.cdef(DECLARATIONS)
    lib = ffi.dlopen(str(library_path))
    yield Transport(ffi, lib, request.param)
    lib.can_queue_init()
    lib.j1939_tp_init(0xFE)


def connection(head: list[int], source: int = PEER, destination: int = OWN, pgn: int = PGN) -> Frame:
    """A TP.CM frame."""
    data = bytes([*head, *[0xFF] * (5 - len(head)), pgn & 0xFF, pgn >> 8 & 0xFF, pgn >> 16])
    return 0x1CEC0000 | destination << 8 | source, data


def packet(number: int, data: bytes, source: int = PEER, destination: int = OWN) -> Frame:
    """A TP.DT frame of a message."""
    part = data[(number - 1) * 7 : number * 7]
    return 0x1CEB0000 | destination << 8 | source, bytes([number]) + part.ljust(7, b"\xff")


def text(length: int) -> bytes:
    """A message in which every byte tells its place."""
    return bytes((3 * i + 1) % 251 for i in range(length))


def kinds(frames: list[Frame]) -> list[int]:
    """First byte of each frame."""
    return [data[0] for _, data in frames]


# ---- sending


def test_a_message_is_announced_cleared_sent_and_acknowledged(node: Transport) -> None:
    data = text(20)
    assert node.send(data)
    assert node.step() == [(0x1CEC56F4, bytes([RTS, 20, 0, 3, 0xFF, 0, 2, 0]))]
    node.push(*connection([CTS, 3, 1]))
    expected = [packet(n, data, OWN, PEER) for n in (1, 2, 3)]
    assert node.step(100) == expected
    assert node.lib.j1939_tp_sending(PGN)
    node.push(*connection([END, 20, 0, 3]))
    assert not node.lib.j1939_tp_sending(PGN)
    assert node.lib.j1939_tp_failures() == 0


def test_only_what_was_cleared_is_sent_and_lost_packets_again(node: Transport) -> None:
    data = text(30)
    node.send(data)
    node.step()
    node.push(*connection([CTS, 2, 1]))
    assert node.step(200) == [packet(1, data, OWN, PEER), packet(2, data, OWN, PEER)]
    node.push(*connection([CTS, 9, 2]))
    assert kinds(node.step(200)) == [2, 3, 4, 5]


@pytest.mark.parametrize(("answered_ms", "then"), [(1250, [1, 2]), (1260, [ABORT])])
def test_a_request_waits_t3_for_its_clearance(node: Transport, answered_ms: int, then: list[int]) -> None:
    node.send(text(9))
    node.step()
    seen = kinds(node.step(answered_ms))
    node.push(*connection([CTS, 2, 1]))
    assert seen + kinds(node.step(20)) == then


@pytest.mark.parametrize(("held_ms", "then"), [(1050, [1, 2]), (1060, [ABORT])])
def test_a_sender_that_is_held_waits_t4(node: Transport, held_ms: int, then: list[int]) -> None:
    node.send(text(9))
    node.step()
    node.push(*connection([CTS, 0, 255]))
    seen = kinds(node.step(held_ms))
    node.push(*connection([CTS, 2, 1]))
    assert seen + kinds(node.step(20)) == then


def test_a_missing_acknowledgement_is_given_up_after_t3_with_an_abort_of_the_message(node: Transport) -> None:
    node.send(text(9))
    node.step()
    node.push(*connection([CTS, 2, 1]))
    node.step(20)
    assert node.step(1250) == []
    assert node.step() == [(0x1CEC56F4, bytes([ABORT, 3, 255, 255, 255, 0, 2, 0]))]
    assert node.lib.j1939_tp_failures() == 1


def test_an_abort_ends_the_message_and_the_next_one_goes_on(node: Transport) -> None:
    node.send(text(9))
    node.send(text(10), pgn=0x0600)
    assert node.step(100) == [(0x1CEC56F4, bytes([RTS, 9, 0, 2, 255, 0, 2, 0]))], "one to a destination at a time"
    node.push(*connection([ABORT, 1]))
    assert node.step(100) == [(0x1CEC56F4, bytes([RTS, 10, 0, 2, 255, 0, 6, 0]))]


def test_a_broadcast_has_its_gaps(node: Transport) -> None:
    data = text(15)
    node.send(data, ALL)
    assert node.step() == [(0x1CECFFF4, bytes([BAM, 15, 0, 3, 0xFF, 0, 2, 0]))]
    for number in (1, 2, 3):
        assert node.step(40) == []
        assert node.step() == [packet(number, data, OWN, ALL)]
    assert not node.lib.j1939_tp_sending(PGN)


def test_the_longest_message_is_sent_and_no_longer_or_shorter_one(node: Transport) -> None:
    assert not node.send(text(1786))
    assert not node.send(text(8))
    assert node.send(text(1785))
    node.step()
    node.push(*connection([CTS, 255, 1]))
    assert kinds(node.step(3000)) == list(range(1, 256))


# ---- receiving


def test_a_message_is_received(node: Transport) -> None:
    data = text(30)
    assert node.push(*connection([RTS, 30, 0, 5, 255]))
    assert node.sent() == [connection([CTS, 5, 1], OWN, PEER)]
    for number in range(1, 6):
        node.push(*packet(number, data))
    assert node.sent() == [connection([END, 30, 0, 5], OWN, PEER)]
    assert node.poll() == (PGN, PEER, data)
    assert node.poll() is None


def test_the_sender_says_how_many_packets_it_takes_at_once(node: Transport) -> None:
    data = text(30)
    node.push(*connection([RTS, 30, 0, 5, 2]))
    seen = kinds(node.sent())
    for number in range(1, 6):
        node.push(*packet(number, data))
        seen += [frame[1] if frame[0] == CTS else -1 for _, frame in node.sent()]
    assert seen == [CTS, 2, 1, -1]


def test_a_lost_packet_is_asked_for_again(node: Transport) -> None:
    data = text(30)
    node.push(*connection([RTS, 30, 0, 5, 255]))
    node.sent()
    for number in (1, 3, 4, 5):
        node.push(*packet(number, data))
    assert node.sent() == [connection([CTS, 4, 2], OWN, PEER)]
    for number in (2, 3, 4, 5):
        node.push(*packet(number, data))
    assert node.poll() == (PGN, PEER, data)


def test_a_packet_lost_for_ever_ends_in_an_abort(node: Transport) -> None:
    data = text(30)
    node.push(*connection([RTS, 30, 0, 5, 255]))
    node.sent()
    for number in (3, 4, 5):
        node.push(*packet(number, data))
    assert kinds(node.sent()) == [CTS]
    assert node.step(1250) == []
    assert kinds(node.step()) == [ABORT]
    assert node.poll() is None


@pytest.mark.parametrize(("packets", "limit_ms"), [(0, 1250), (1, 750)], ids=["T2", "T1"])
def test_a_sender_that_falls_silent_is_given_up(node: Transport, packets: int, limit_ms: int) -> None:
    node.push(*connection([RTS, 9, 0, 2, 255]))
    for number in range(1, packets + 1):
        node.push(*packet(number, text(9)))
    node.sent()
    assert node.step(limit_ms) == []
    assert node.step() == [connection([ABORT, 3], OWN, PEER)]


def test_a_packet_just_in_time_is_taken(node: Transport) -> None:
    node.push(*connection([RTS, 9, 0, 2, 255]))
    node.step(1250)
    node.push(*packet(1, text(9)))
    node.step(750)
    node.push(*packet(2, text(9)))
    assert node.poll() == (PGN, PEER, text(9))


def test_a_sender_waits_every_th_until_its_last_message_was_read(node: Transport) -> None:
    node.push(*connection([RTS, 9, 0, 2, 255]))
    for number in (1, 2):
        node.push(*packet(number, text(9)))
    node.sent()
    hold = connection([CTS, 0, 255], OWN, PEER)
    node.push(*connection([RTS, 9, 0, 2, 255]))
    assert node.sent() == [hold]
    assert node.step(490) == []
    assert node.step() == [hold]
    assert node.poll() is not None
    assert node.step() == [connection([CTS, 2, 1], OWN, PEER)]


def test_a_broadcast_is_received_without_an_answer_and_lost_with_a_packet(node: Transport) -> None:
    data = text(20)
    for numbers in ((1, 2, 3), (1, 3)):
        node.push(*connection([BAM, 20, 0, 3], destination=ALL))
        for number in numbers:
            node.push(*packet(number, data, destination=ALL))
    assert node.sent() == []
    assert node.poll() == (PGN, PEER, data)
    assert node.poll() is None
    assert node.lib.j1939_tp_failures() == 1


def test_messages_for_others_and_announcements_that_contradict_themselves_are_left_alone(node: Transport) -> None:
    assert node.push(*connection([RTS, 20, 0, 3, 255], destination=0x21)), "a frame of the transport all the same"
    assert node.push(*connection([RTS, 20, 0, 4, 255]))
    assert node.push(*connection([RTS, 8, 0, 2, 255]))
    assert node.push(*connection([RTS, 20, 0, 3, 255], destination=ALL))
    assert node.sent() == []
    assert not node.push(0x18FECA00, bytes(8)), "not a frame of the transport"


def test_a_bms_without_29_bit_functions_answers_nothing(make_bms: Any) -> None:
    bms = make_bms().boot()
    before = len(bms.frames)
    bms.receive(0x1CECF456, bytes([RTS, 20, 0, 3, 255, 0, 2, 0]), flags=1)
    bms.receive(0x1CECFE56, bytes([RTS, 20, 0, 3, 255, 0, 2, 0]), flags=1)
    bms.run(1.0)
    assert not [frame for frame in bms.frames[before:] if frame[1] > 0x7FF]
