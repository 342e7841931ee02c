# SPDX-License-Identifier: Apache-2.0
"""The line transport over real pseudo-terminals and a real local socket, and what it does with bad lines."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import socket
import tty
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.clock import NS_PER_S, Clock, ManualClock, WallClock
from harness.errors import BenchError
from harness.instruments.lines import LONGEST_LINE, LineBuffer
from harness.instruments.model import InstrumentSettings
from harness.instruments.transport import SerialTransport, open_transport

from .transports import ScriptedTransport

CLOCK = WallClock()
SETTINGS = InstrumentSettings(name="cells", driver="bloomy-abs", port="", timeout_s=0.3)
LIMIT_NS = 5 * NS_PER_S


class Far:
    """The instrument's end of a line."""

    def __init__(self, fd: int, end: Callable[[], None]) -> None:
        self.fd = fd
        self.close = end

    def send(self, data: bytes) -> None:
        os.write(self.fd, data)

    def receive(self, count: int) -> bytes:
        heard = b""
        deadline_ns = CLOCK.now_ns() + LIMIT_NS
        while len(heard) < count and CLOCK.now_ns() < deadline_ns:
            if select.select([self.fd], [], [], 0.1)[0]:
                heard += os.read(self.fd, 65_536)
        return heard


def over_pty(clock: Clock = CLOCK) -> tuple[SerialTransport, Far]:
    far, near = pty.openpty()
    tty.setraw(far)
    transport = open_transport(replace(SETTINGS, port=os.ttyname(near)), clock)
    os.close(near)
    return transport, Far(far, lambda: os.close(far))


def over_socket() -> tuple[SerialTransport, Far]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        transport = open_transport(replace(SETTINGS, port=f"socket://127.0.0.1:{port}"), CLOCK)
        far, _ = server.accept()
    return transport, Far(far.fileno(), far.close)


@pytest.fixture(params=[over_pty, over_socket], ids=["pty", "socket"])
def line(request: pytest.FixtureRequest) -> Iterator[tuple[SerialTransport, Far]]:
    transport, far = request.param()
    yield transport, far
    transport.close()
    with contextlib.suppress(OSError):  # a test may have closed it
        far.close()


def arrived(transport: SerialTransport, count: int = 1) -> list[str]:
    """Poll until so many lines have come."""
    lines: list[str] = []
    deadline_ns = CLOCK.now_ns() + LIMIT_NS
    while len(lines) < count and CLOCK.now_ns() < deadline_ns:
        select.select([transport.fileno()], [], [], 0.05)
        lines += transport.poll()
    return lines


def until_error(act: Callable[[], object]) -> None:
    """Again and again until it raises; at most five seconds."""
    deadline_ns = CLOCK.now_ns() + LIMIT_NS
    while CLOCK.now_ns() < deadline_ns:
        act()


def test_a_line_goes_out_with_its_end(line: tuple[SerialTransport, Far]) -> None:
    transport, far = line
    transport.write("OUTP OFF")
    assert far.receive(9) == b"OUTP OFF\n"


def test_a_query_returns_the_answer_without_its_end(line: tuple[SerialTransport, Far]) -> None:
    transport, far = line
    far.send(b"NGI,N83624,0,V1.00\r\n")
    assert transport.query("*IDN?") == "NGI,N83624,0,V1.00"


def test_poll_never_waits_and_keeps_half_a_line_for_later(line: tuple[SerialTransport, Far]) -> None:
    transport, far = line
    assert list(transport.poll()) == []
    far.send(b"1\n0,0")
    assert arrived(transport) == ["1"]
    far.send(b",1\n")
    assert arrived(transport) == ["0,0,1"]


def test_silence_is_an_error_after_the_time_out_that_says_port_question_and_remedy(
    line: tuple[SerialTransport, Far],
) -> None:
    transport, far = line
    far.send(b"half an ans")
    start_ns = CLOCK.now_ns()
    with pytest.raises(BenchError) as caught:
        transport.query("MEAS:VOLT?")
    text = str(caught.value)
    assert "cells at " in text
    assert "'MEAS:VOLT?'" in text
    assert "half an ans" in text
    assert "115200 baud" in text
    waited_s = (CLOCK.now_ns() - start_ns) / NS_PER_S
    assert 0.3 <= waited_s < 3.0


def test_poll_finds_an_instrument_that_stopped_answering(line: tuple[SerialTransport, Far]) -> None:
    transport, _ = line
    transport.write("SENS:DIG:DATA:BYTE? (@7101)")
    with pytest.raises(BenchError, match="did not answer 'SENS:DIG:DATA:BYTE"):
        until_error(transport.poll)


def test_a_lost_port_is_an_error_that_says_so(line: tuple[SerialTransport, Far]) -> None:
    transport, far = line
    far.close()
    with pytest.raises(BenchError, match="port lost"):
        until_error(lambda: transport.query("*OPC?"))


def test_more_than_the_line_takes_waits_and_arrives_whole(line: tuple[SerialTransport, Far]) -> None:
    transport, far = line
    sent = [f"SOUR:VOLT {number:06d}" for number in range(6000)]  # 100 kB: more than a pseudo-terminal holds
    for text in sent:
        transport.write(text)
    heard = b""
    deadline_ns = CLOCK.now_ns() + LIMIT_NS
    total = sum(len(text) + 1 for text in sent)
    while len(heard) < total and CLOCK.now_ns() < deadline_ns:
        heard += far.receive(1)
        transport.poll()
    assert heard.decode().split("\n")[:-1] == sent
    assert transport.backlog() == 0


def test_backlog_says_that_the_line_is_busy() -> None:
    transport, far = over_pty()
    for _ in range(3000):
        transport.write("SOUR:VOLT 3.300,(@1:8)")
    assert transport.backlog() > 0
    transport.close()
    far.close()


@pytest.mark.parametrize(
    ("tick_ns", "text"), [(0, "takes no more data: 26[0-9]{4} bytes"), (NS_PER_S // 10, "has taken no data for 0.3 s")]
)
def test_an_instrument_that_takes_nothing_is_an_error_not_a_full_memory(tick_ns: int, text: str) -> None:
    clock = ManualClock()
    transport, far = over_pty(clock)

    def write() -> None:
        clock.sleep_until_ns(clock.now_ns() + tick_ns)
        transport.write("SOUR:VOLT 3.300,(@1:8)")

    with pytest.raises(BenchError, match=text):
        until_error(write)
    transport.close()
    far.close()


@pytest.mark.parametrize(
    ("bytes_sent", "expected"),
    [
        pytest.param(b"\x00\xff\xfe\x81\n", "no text", id="binary"),
        pytest.param(b"\xe9t\xe9\n", "no text", id="another code"),
        pytest.param(b"x" * (LONGEST_LINE + 1), "without a line end", id="endless"),
        pytest.param(b"x" * (LONGEST_LINE + 1) + b"\n", "a line of", id="too long"),
    ],
)
def test_garbage_is_an_error_with_an_excerpt(bytes_sent: bytes, expected: str) -> None:
    buffer = LineBuffer("cells at /dev/ttyUSB0")
    pieces = iter([bytes_sent[start : start + 1000] for start in range(0, len(bytes_sent), 1000)])
    with pytest.raises(BenchError, match=expected) as caught:
        until_error(lambda: buffer.feed(next(pieces)))
    assert repr(bytes_sent[:3])[2:-1] in str(caught.value)
    assert len(str(caught.value)) < 500
    assert buffer.feed(b"1\n") == ["1"]


@given(st.lists(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1), max_size=20), st.data())
def test_lines_are_the_same_however_their_bytes_are_cut(lines: list[str], data: st.DataObject) -> None:
    whole = [text.strip() for text in lines]
    sent = "".join(f"{text}\r\n" for text in lines).encode()
    buffer = LineBuffer("any")
    got: list[str] = []
    while sent:
        count = data.draw(st.integers(1, len(sent)))
        got += buffer.feed(sent[:count])
        sent = sent[count:]
    assert got == whole


@given(st.binary(max_size=5000))
def test_no_bytes_break_the_buffer_otherwise_than_by_a_bench_error(noise: bytes) -> None:
    buffer = LineBuffer("any")
    try:
        lines = buffer.feed(noise)
    except BenchError:
        return
    assert all((text.isascii() and text.isprintable()) or "\t" in text for text in lines)


def test_loop_gives_back_what_was_written() -> None:
    transport = open_transport(replace(SETTINGS, port="loop://"), CLOCK)
    assert transport.query("*IDN?") == "*IDN?"
    assert transport.fileno() == -1
    transport.close()


def test_the_descriptor_is_the_real_one_so_that_another_process_can_write_to_it(
    line: tuple[SerialTransport, Far],
) -> None:
    transport, far = line
    os.write(transport.fileno(), b"OUTP OFF\n")
    assert far.receive(9) == b"OUTP OFF\n"


def test_a_second_harness_on_the_port_is_refused() -> None:
    far, near = pty.openpty()
    settings = replace(SETTINGS, port=os.ttyname(near))
    first = open_transport(settings, CLOCK)
    with pytest.raises(BenchError, match=r"Another program has the port"):
        open_transport(settings, CLOCK)
    first.close()
    open_transport(settings, CLOCK).close()
    os.close(near)
    os.close(far)


@pytest.mark.parametrize(
    ("port", "remedy"),
    [
        ("/dev/there-is-no-such-port", "/dev/serial/by-id"),
        ("socket://127.0.0.1:1", "host and port number"),
        ("gopher://instrument", "A port is a device, or a URL"),
    ],
)
def test_a_port_that_cannot_be_had_is_an_error_with_a_remedy(port: str, remedy: str) -> None:
    with pytest.raises(BenchError) as caught:
        open_transport(replace(SETTINGS, port=port), CLOCK)
    assert port in str(caught.value)
    assert remedy in str(caught.value)


def test_what_was_asked_before_forget_is_not_waited_for(line: tuple[SerialTransport, Far]) -> None:
    transport, far = line
    transport.write("MEAS:VOLT?")
    far.send(b"3.3\n")
    select.select([transport.fileno()], [], [], 1.0)
    transport.forget()
    far.send(b"1\n")
    assert transport.query("*OPC?") == "1"


def test_a_question_of_before_forget_is_never_found_unanswered() -> None:
    clock = ManualClock()
    transport, far = over_pty(clock)
    transport.write("MEAS:VOLT?")
    transport.forget()
    clock.sleep_until_ns(NS_PER_S)
    assert transport.poll() == []
    transport.close()
    far.close()


def test_the_time_of_a_question_runs_from_the_answer_to_the_one_before() -> None:
    clock = ManualClock()
    transport, far = over_pty(clock)
    transport.write("MEAS:VOLT?")
    transport.write("*OPC?")
    clock.sleep_until_ns(NS_PER_S // 4)
    far.send(b"3.3\n")
    assert arrived(transport) == ["3.3"]
    clock.sleep_until_ns(NS_PER_S // 2)
    assert transport.poll() == []
    clock.sleep_until_ns(NS_PER_S)
    with pytest.raises(BenchError, match=r"did not answer '\*OPC\?'"):
        transport.poll()
    transport.close()
    far.close()


def test_the_scripted_twin_is_strict() -> None:
    script = ScriptedTransport([(b"*IDN?\n", b"NGI,N83624,0,V1.00\r\n")])
    with pytest.raises(AssertionError, match="expected"):
        script.write("OUTP OFF")
    script = ScriptedTransport([(b"*IDN?\n", b"NGI,N83624,0,V1.00\r\n")])
    assert script.query("*IDN?") == "NGI,N83624,0,V1.00"
    assert script.done()
    with pytest.raises(AssertionError, match="end of the script"):
        script.write("OUTP OFF")
