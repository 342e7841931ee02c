# SPDX-License-Identifier: Apache-2.0
"""The diagnostic tester in the kernel: requests of any length, and the flow control of both sides (ISO 15765-2)."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from harness.errors import UsageError
from harness.kernel.bustypes import TesterConfig as Identifiers
from harness.kernel.config import Event, EventKind, Node
from harness.kernel.simulation import Frame

REQUEST, RESPONSE = 0x7E0, 0x7E8
NS = 1_000_000_000
IDENTIFIERS = Identifiers(REQUEST, RESPONSE, enabled=True)


def simulation(echo: Any, identifiers: Identifiers = IDENTIFIERS) -> Any:
    return echo.simulation(parameters=(("report", 0),), tester=identifiers)


def asked(at_s: float, message: bytes, *, bare: bool = False) -> Event:
    return Event(round(at_s * NS), EventKind.TESTER, len(message), float(bare), message)


def answer(data: str) -> Frame:
    """A frame of the controller's identifier; another node that the tester takes for the controller sends it."""
    return Frame(RESPONSE, bytes.fromhex(data).ljust(8, b"\0"), node=Node.FOREIGN)


def sent(buffers: Any) -> list[tuple[int, str]]:
    """What the tester sent, by whole milliseconds."""
    rows = zip(
        buffers.frames("ns"),
        buffers.frames("id"),
        buffers.frames("node"),
        buffers.frames("data"),
        buffers.frames("length"),
        strict=True,
    )
    return [
        (round(int(t_ns) / 1e6), data[:length].tobytes().hex())
        for t_ns, identifier, node, data, length in rows
        if identifier == REQUEST and node == Node.TESTER
    ]


def test_a_short_request_is_one_frame_filled_up(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([asked(0.02, b"\x3e\x00"), asked(0.05, bytes(range(7)))], [])
    assert [(20, "023e00cccccccccc"), (50, "0700010203040506")] == sent(bench.run(playing, 0.1))


def test_a_long_request_waits_for_flow_control_and_keeps_its_block_and_separation(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([asked(0.0, bytes(range(30)))], [])
    assert [(0, "101e000102030405")] == sent(bench.run(playing, 0.1))
    playing.send(answer("30 02 14"))  # two frames, 20 ms apart
    first = sent(bench.run(playing, 0.2))
    assert ["21060708090a0b0c", "220d0e0f10111213"] == [data for _, data in first]
    assert 20 == first[1][0] - first[0][0]
    playing.send(answer("30 00 00"))
    assert ["231415161718191a", "241b1c1dcccccccc"] == [data for _, data in sent(bench.run(playing, 0.3))]
    playing.send(answer("30 00 00"))
    assert [] == sent(bench.run(playing, 0.4))  # it was whole


def test_a_request_the_controller_does_not_take_is_given_up(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([asked(0.0, bytes(30))], [])
    bench.run(playing, 0.1)
    playing.send(answer("32 00 00"))
    bench.run(playing, 0.2)
    playing.send(answer("30 00 00"))
    assert [] == sent(bench.run(playing, 0.3))


def test_sequence_numbers_wrap_after_15(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([asked(0.0, bytes(64))], [])
    bench.run(playing, 0.1)
    playing.send(answer("30 00 00"))
    heads = [data[:2] for _, data in sent(bench.run(playing, 0.2))]
    assert ["21", "22", "23", "24", "25", "26", "27", "28", "29"] == heads


def test_a_long_answer_is_let_to_go_on_when_it_was_asked_for(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.send(answer("10 14 62"))
    assert [] == sent(bench.run(playing, 0.1))  # somebody else asked
    playing.plan([asked(0.1, b"\x19\x0a")], [])
    bench.run(playing, 0.2)
    playing.send(answer("10 14 59"))
    assert ["300000cccccccccc"] == [data for _, data in sent(bench.run(playing, 0.3))]


def flow(at_s: float, control: bytes) -> Event:
    return Event(round(at_s * NS), EventKind.TESTER, len(control), 2.0, control)


def test_a_long_answer_is_let_on_in_blocks_until_it_is_whole(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([flow(0.0, b"\x02\x14"), asked(0.0, b"\x19\x0a")], [])
    bench.run(playing, 0.1)
    heard = []
    for place, frame in enumerate(("10 1E 59", "21", "22", "23", "24")):  # 30 bytes are a first frame and four more
        playing.send(answer(frame))
        heard.append([data[:6] for _, data in sent(bench.run(playing, 0.2 + 0.1 * place))])
    assert [["300214"], [], ["300214"], [], []] == heard


def test_the_tester_asks_to_wait_before_it_lets_go_on(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([flow(0.0, b"\x00\x00\x02"), asked(0.0, b"\x19\x0a")], [])
    bench.run(playing, 0.1)
    playing.send(answer("10 1E 59"))
    found = sent(bench.run(playing, 1.0))
    assert ["310000", "310000", "300000"] == [data[:6] for _, data in found]
    assert [300, 300] == [second[0] - first[0] for first, second in pairwise(found)]


@pytest.mark.parametrize("frame", [Frame(0x7E9, b"\x10\x14\x59"), Frame(RESPONSE, b"\x10\x14"), Frame(RESPONSE, b"")])
def test_frames_of_others_and_frames_too_short_are_not_answered(bench: Any, echo: Any, frame: Frame) -> None:
    playing = simulation(echo)
    playing.plan([asked(0.0, b"\x19\x0a")], [])
    bench.run(playing, 0.1)
    playing.send(Frame(frame.id, frame.data, node=Node.FOREIGN))
    assert [] == sent(bench.run(playing, 0.2))


def test_a_bare_frame_is_sent_as_it_is(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([asked(0.0, b"\x21\x01\x02", bare=True)], [])
    assert [(0, "210102")] == sent(bench.run(playing, 0.1))


@pytest.mark.parametrize(
    ("event", "identifiers", "reason"),
    [
        (asked(0.0, b"\x3e\x00"), Identifiers(), "there is no tester"),
        (Event(0, EventKind.TESTER, 0), IDENTIFIERS, "length not possible"),
        (Event(0, EventKind.TESTER, 65), IDENTIFIERS, "length not possible"),
        (Event(0, EventKind.TESTER, 9, 1.0), IDENTIFIERS, "length not possible"),
        (Event(0, EventKind.TESTER, 4, 2.0), IDENTIFIERS, "length not possible"),
    ],
)
def test_what_cannot_be_sent_is_refused(echo: Any, event: Event, identifiers: Identifiers, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        simulation(echo, identifiers).plan([event], [])


def test_a_checkpoint_keeps_a_request_that_is_under_way(bench: Any, echo: Any) -> None:
    playing = simulation(echo)
    playing.plan([asked(0.0, bytes(range(10)))], [])
    bench.run(playing, 0.05)
    state = playing.save_state()
    rest = []
    for _ in range(2):
        playing.load_state(state)
        playing.send(answer("30 00 00"))
        rest.append(sent(bench.run(playing, 0.1)))
    assert [(50, "2106070809cccccc")] == rest[0]
    assert rest[0] == rest[1]
