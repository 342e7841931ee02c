# SPDX-License-Identifier: Apache-2.0
"""Recordings: BLF round trips exactly, every format is read, damage is an error that says what was readable."""

from __future__ import annotations

from pathlib import Path

import can
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.canbus.recorder import read_log, read_recording, write_blf
from harness.errors import RigError
from harness.trace import Frames

EXTENDED, FD, BRS, REMOTE, ERROR = 1, 2, 4, 8, 16
UNKNOWN = 255
FD_LENGTHS = (0, 1, 5, 8, 9, 12, 13, 16, 20, 24, 32, 48, 64)


def frames(*rows: tuple[int, int, int, int, bytes | int], nodes: int = UNKNOWN) -> Frames:
    """Frames from (time in ns, identifier, flags, bus, payload or length of a remote frame)."""
    n = len(rows)
    payloads = [b"" if isinstance(row[4], int) else row[4] for row in rows]
    width = 64 if any(len(payload) > 8 for payload in payloads) else 8
    return Frames(
        t_ns=np.array([row[0] for row in rows], np.uint64),
        id=np.array([row[1] for row in rows], np.uint32),
        flags=np.array([row[2] for row in rows], np.uint8),
        bus=np.array([row[3] for row in rows], np.uint8),
        node=np.full(n, nodes, np.uint8),
        length=np.array([row[4] if isinstance(row[4], int) else len(row[4]) for row in rows], np.uint8),
        data=np.array([list(payload.ljust(width, b"\0")) for payload in payloads], np.uint8).reshape(n, width),
    )


def assert_equal(expected: Frames, actual: Frames) -> None:
    for name in Frames.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(expected, name), getattr(actual, name), err_msg=name)


@st.composite
def rows(draw: st.DrawFn) -> list[tuple[int, int, int, int, bytes | int]]:
    """Rows in the order of their time; what a kind of frame cannot have, it does not have."""
    drawn = []
    for t_ns in sorted(draw(st.lists(st.integers(0, 100_000 * 10**9), max_size=12))):
        kind = draw(st.sampled_from([0, 0, FD, FD | BRS, REMOTE, ERROR]))
        extended = draw(st.booleans())
        number = draw(st.integers(0, 0x1FFFFFFF if extended else 0x7FF))
        length = draw(st.sampled_from(FD_LENGTHS)) if kind & FD else draw(st.integers(0, 8))
        content: bytes | int = length if kind == REMOTE else draw(st.binary(min_size=length, max_size=length))
        drawn.append((t_ns, number, kind | extended, draw(st.integers(0, 7)), content))
    return drawn


@settings(max_examples=60)
@given(rows())
def test_blf_round_trips_exactly_in_every_field(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, int, int, int, bytes | int]]
) -> None:
    path = tmp_path_factory.mktemp("blf") / "bus.blf"
    written = frames(*drawn)
    write_blf(written, path)
    assert_equal(written, read_log(path))
    assert not list(path.parent.glob("*.partial"))


def test_a_long_recording_round_trips_over_many_containers(tmp_path: Path) -> None:
    generator = np.random.default_rng(3)
    n = 5000
    written = Frames(
        t_ns=np.cumsum(generator.integers(1, 10**7, n)).astype(np.uint64),
        id=generator.integers(0, 0x800, n).astype(np.uint32),
        flags=np.zeros(n, np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.full(n, UNKNOWN, np.uint8),
        length=np.full(n, 8, np.uint8),
        data=generator.integers(0, 256, (n, 8)).astype(np.uint8),
    )
    write_blf(written, tmp_path / "bus.blf")
    assert_equal(written, read_log(tmp_path / "bus.blf"))


def test_the_wall_clock_of_the_start_costs_no_nanosecond(tmp_path: Path) -> None:
    written = frames((1, 1, 0, 0, b"a"), (123_456_789_123, 2, 0, 0, b"b"))
    write_blf(written, tmp_path / "bus.blf", t0_s=1_763_824_854.721)
    recording = read_recording(tmp_path / "bus.blf")
    assert_equal(written, recording.frames)
    assert 1_763_824_854.721 == pytest.approx(recording.start_s, abs=1e-6)


def test_frames_of_the_controller_are_received_ones_all_others_sent(tmp_path: Path) -> None:
    for node, is_rx in ((0, True), (1, False)):
        write_blf(frames((1, 1, 0, 0, b"a"), nodes=node), tmp_path / "bus.blf")
        with can.BLFReader(tmp_path / "bus.blf") as reader:
            assert [is_rx] == [message.is_rx for message in reader]


FOUR = frames(
    (0, 0x100, 0, 0, b"\1\2\3"),
    (1_000_000, 0x18FF0000, EXTENDED, 0, b"\4" * 8),
    (2_500_000, 0x7FF, 0, 0, b""),
    (3_000_000, 0x200, REMOTE, 0, 4),
)
CANDUMP = """(10.000000) can0 100#010203
(10.001000) can0 18FF0000#0404040404040404
(10.002500) can0 7FF#
(10.003000) can0 200#R4
"""
SAVVYCAN = """Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2,D3,D4,D5,D6,D7,D8
0,00000100,false,Rx,0,3,01,02,03,
1000,18FF0000,true,Rx,0,8,04,04,04,04,04,04,04,04,
2500,000007FF,false,Tx,0,0,
"""
ASC = """date Sat Sep 30 15:06:13.191 2017
base hex  timestamps absolute
no internal events logged
   0.000000 1  100             Rx   d 3 01 02 03
   0.001000 1  18FF0000x       Rx   d 8 04 04 04 04 04 04 04 04
   0.002500 1  7FF             Rx   d 0
   0.003000 1  200             Rx   r 4
"""
TRC = """;$FILEVERSION=2.1
;$STARTTIME=44548.6028595139
;$COLUMNS=N,O,T,B,I,d,R,L,D
      1         0.000 DT 0      0100 Rx -  3    01 02 03
      2         1.000 DT 0  18FF0000 Rx -  8    04 04 04 04 04 04 04 04
      3         2.500 DT 0      07FF Rx -  0
      4         3.000 RR 0      0200 Rx -  4
"""
PYTHON_CAN = """timestamp,arbitration_id,extended,remote,error,dlc,data
0.0,0x100,0,0,0,3,AQID
0.001,0x18ff0000,1,0,0,8,BAQEBAQEBAQ=
0.0025,0x7ff,0,0,0,0,
0.003,0x200,0,1,0,4,
"""


def without(whole: Frames, row: int) -> Frames:
    return Frames(*(np.delete(getattr(whole, name), row, axis=0) for name in Frames.__dataclass_fields__))


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("bus.asc", ASC, FOUR),
        ("bus.trc", TRC, FOUR),
        ("bus.csv", PYTHON_CAN, FOUR),
        ("savvy.CSV", SAVVYCAN, without(FOUR, 3)),
    ],
)
def test_every_text_format_gives_the_same_frames(tmp_path: Path, name: str, text: str, expected: Frames) -> None:
    path = tmp_path / name
    path.write_text(text)
    assert_equal(expected, read_log(path))


def test_candump_keeps_its_stamps(tmp_path: Path) -> None:
    path = tmp_path / "bus.log"
    path.write_text(CANDUMP)
    actual = read_log(path)
    assert (FOUR.t_ns + 10_000_000_000).tolist() == actual.t_ns.tolist()
    assert FOUR.data.tolist() == actual.data.tolist()


def test_stamps_since_1970_count_from_the_first_frame(tmp_path: Path) -> None:
    path = tmp_path / "bus.log"
    path.write_text("(1763824854.721518123) can0 100#00\n(1763824854.721519) can1 101#00 R\n")
    recording = read_recording(path)
    assert [0, 877] == recording.frames.t_ns.tolist()
    assert [0, 1] == recording.frames.bus.tolist()
    assert recording.start_s == pytest.approx(1763824854.721518)


def test_candump_error_and_fd_frames_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "bus.log"
    path.write_text(
        "(1.0) can0 20000004#0004000000000000\n(1.1) can0 20000080#0000000000000000\n"
        f"(1.2) can0 123##1{'AB' * 12}\n(1.3) can0 123##0{'AB' * 64}\n(1.4) can0 123#R\n"
    )
    actual = read_log(path)
    assert [ERROR, ERROR, FD | BRS, FD, REMOTE] == actual.flags.tolist()
    assert [8, 8, 12, 64, 0] == actual.length.tolist()


def test_frames_out_of_order_are_put_in_order_and_it_is_said(tmp_path: Path) -> None:
    path = tmp_path / "bus.log"
    path.write_text("(2.0) can0 2#00\n(1.0) can0 1#00\n")
    recording = read_recording(path)
    assert [1, 2] == recording.frames.id.tolist()
    assert "backwards" in recording.notes[0]


@pytest.mark.parametrize(
    ("name", "content", "line", "found"),
    [
        ("bus.log", CANDUMP + "(10.1) can0 10", 5, "4 frames over 0.003 s were readable"),
        ("bus.log", "(10.0) can0 100#0102030405060708090A\n", 1, "nothing was readable"),
        ("bus.log", "\0\1\2garbage", 1, "nothing was readable"),
        ("bus.log", "(10.0) can0 100#01\n(999999999999.0) can0 100#01\n", 2, "a time stamp of 1e+12 s; 2 frames"),
        ("bus.csv", SAVVYCAN + "3000,00000100,false,Rx,0,3,01,02", 5, "2 bytes where the frame has 3; 3 frames"),
        ("bus.csv", SAVVYCAN + "oops\n", 5, "3 frames over 0.003 s were readable"),
        ("bus.csv", "Time Stamp,ID,Extended,Bus\n", 1, "no column len, d1"),
        ("bus.csv", "a,b,c\n1,2,3\n", 1, "'a,b,c'"),
        ("bus.csv", PYTHON_CAN + "0.004,0x1", 6, "4 frames over 0.003 s were readable"),
        ("bus.asc", ASC + "   0.004000 1  100  Rx   d 3 01 02 zz\n", 8, "4 frames over 0.003 s were readable"),
        ("bus.asc", "this is not a log\n", 1, "no 'date' or 'base' line"),
        ("bus.trc", TRC + "      5         4.000 DT 0      0100 Rx", 8, "4 frames over 0.003 s were readable"),
        ("bus.blf", "", 0, "an empty file"),
        ("bus.blf", "LOGG", 0, "beginning with b'LOGG'"),
        ("bus.blf", "x" * 200, 0, "beginning with b'xxxx'"),
        ("bus.txt", "x", 0, "suffix '.txt'"),
    ],
)
def test_damage_names_the_line_and_how_much_was_readable(
    tmp_path: Path, name: str, content: str, line: int, found: str
) -> None:
    path = tmp_path / name
    path.write_text(content)
    with pytest.raises(RigError) as caught:
        read_log(path)
    (problem,) = caught.value.problems
    assert (str(path), line) == (problem.file, problem.line)
    assert found in problem.found


def test_a_missing_recording_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RigError, match="no such file"):
        read_log(tmp_path / "none.blf")


@pytest.fixture(scope="module")
def blf(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("blf") / "bus.blf"
    write_blf(frames(*((at * 1000, at % 2048, 0, 0, bytes([at % 256] * 8)) for at in range(4000))), path)
    return path.read_bytes()


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9, 0.999])
def test_a_truncated_blf_says_what_was_readable(tmp_path: Path, blf: bytes, share: float) -> None:
    path = tmp_path / "cut.blf"
    path.write_bytes(blf[: int(len(blf) * share)])
    with pytest.raises(RigError, match="readable"):
        read_log(path)


@settings(max_examples=40)
@given(st.data())
def test_a_damaged_recording_is_read_or_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, blf: bytes, data: st.DataObject
) -> None:
    name, content = data.draw(
        st.sampled_from(
            [
                ("a.blf", blf),
                *((f"a{suffix}", text.encode()) for suffix, text in SAMPLES.items()),
                ("b.csv", SAVVYCAN.encode()),
            ]
        )
    )
    at = data.draw(st.integers(0, len(content)))
    cut = data.draw(st.sampled_from([0, 1, 2, len(content)]))
    damaged = content[:at] + data.draw(st.binary(max_size=4)) + content[at + cut :]
    path = tmp_path_factory.mktemp("fuzz") / name
    path.write_bytes(damaged)
    try:
        read = read_log(path)
    except RigError as error:
        found = error.problems[0].found
    else:
        found = "nothing wrong"
        assert len(read.t_ns) == len(read.data)
    assert found


SAMPLES = {".log": CANDUMP, ".asc": ASC, ".trc": TRC, ".csv": PYTHON_CAN}
