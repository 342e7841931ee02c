# SPDX-License-Identifier: Apache-2.0
"""The lines of a bench in a box: pseudo-terminals and TCP ports that come and go, and orders from a pipe."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.bench.box_input import LineInput
from harness.bench.lines import BACKLOG, Line, PtyLine, TcpLine
from harness.errors import BenchError

BITRATE = 500_000


@pytest.fixture
def pty(tmp_path: Path) -> Iterator[PtyLine]:
    line = PtyLine(tmp_path / "port")
    yield line
    line.close()


def test_a_link_leads_to_the_port_and_goes_with_it(pty: PtyLine, tmp_path: Path) -> None:
    peer = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY)
    os.write(peer, b"\x00\r\n\x03\xff")
    assert b"\x00\r\n\x03\xff" == pty.read()  # raw: nothing is changed, echoed or taken for Ctrl-C
    assert b"" == pty.read()
    pty.write(b"\x07\r")
    assert b"\x07\r" == os.read(peer, 100)
    os.close(peer)
    pty.close()
    assert [] == list(tmp_path.iterdir())


def test_a_link_left_behind_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "port").symlink_to("/nonexistent")
    line = PtyLine(tmp_path / "port")
    assert (tmp_path / "port").exists()
    line.close()


def test_a_pseudo_terminal_outlives_its_peers(pty: PtyLine, tmp_path: Path) -> None:
    for _ in range(2):
        peer = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY)
        os.write(peer, b"hello")
        assert b"hello" == pty.read()
        os.close(peer)
        assert b"" == pty.read()


def test_what_a_slow_reader_leaves_is_kept_up_to_the_backlog(pty: PtyLine, tmp_path: Path) -> None:
    peer = os.open(tmp_path / "port", os.O_RDWR | os.O_NOCTTY)
    block = bytes(1000)
    written = 0
    while not pty.lost:
        pty.write(block)
        written += len(block)
    assert pty.lost == len(block)
    assert written - len(block) >= BACKLOG - len(block)
    taken = 0
    while taken < written - len(block):
        taken += len(os.read(peer, 65_536))
        pty.read()
    assert taken == written - len(block)
    os.close(peer)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def read_until(line: Line, wanted: bytes, clock_ticks: int = 5000) -> bytes:
    data = b""
    for _ in range(clock_ticks):
        data += line.read()
        if data == wanted:
            break
    return data


def test_a_tcp_port_serves_one_peer_after_another() -> None:
    port = free_port()
    line = TcpLine(port)
    for word in (b"first", b"second"):
        with socket.create_connection(("127.0.0.1", port)) as peer:
            peer.sendall(word)
            assert word == read_until(line, word)
            line.write(b"answer")
            assert b"answer" == peer.recv(100)
        line.read()  # sees that it has gone
    line.write(b"to nobody")
    line.close()


def test_a_tcp_port_that_is_taken_is_told() -> None:
    line = TcpLine(free_port())
    with pytest.raises(BenchError, match="name another"):
        TcpLine(int(line.address.rpartition(":")[2]))
    line.close()


def test_lines_from_a_pipe_come_whole() -> None:
    reader, writer = os.pipe()
    stream = os.fdopen(reader)
    lines = LineInput(stream)
    assert () == lines.lines()
    os.write(writer, b"flood 7FF\nqu")
    assert ["flood 7FF"] == lines.lines()
    os.write(writer, b"iet\n\n")
    assert ["quiet"] == lines.lines()
    os.close(writer)
    assert [] == list(lines.lines())
    assert () == lines.lines()
    stream.close()


def test_a_process_without_standard_input_has_no_lines() -> None:
    assert () == LineInput(None).lines()
