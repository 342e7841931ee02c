# SPDX-License-Identifier: Apache-2.0
"""MF4 recordings, which need the extra `mf4`: every kind of frame is read, what is none is named, damage is refused."""

from __future__ import annotations

from pathlib import Path

import can
import numpy as np
import pytest

from harness.canbus.recorder import Recording, read_log, read_recording
from harness.errors import RigError

asammdf = pytest.importorskip("asammdf", reason='MF4 needs pip install "bms-harness[mf4]"')

EXTENDED, FD, BRS, REMOTE, ERROR = 1, 2, 4, 8, 16
FRAMES = (
    can.Message(arbitration_id=0x100, is_extended_id=False, data=b"12345678"),
    can.Message(arbitration_id=0x18FF0102, is_extended_id=True, data=b"123", channel=3),
    can.Message(arbitration_id=0x101, is_extended_id=False, is_remote_frame=True, dlc=4),
    can.Message(is_error_frame=True, is_extended_id=False),
    can.Message(arbitration_id=0x102, is_extended_id=False, is_fd=True, bitrate_switch=True, data=bytes(48)),
    can.Message(arbitration_id=0x103, is_extended_id=False, data=b""),
)


def write(path: Path, messages: tuple[can.Message, ...]) -> None:
    """The frames 10 ms apart, by the writer of python-can."""
    writer = can.MF4Writer(path)
    first_s = writer.last_timestamp
    for at, message in enumerate(messages):
        message.timestamp = first_s + 0.01 * at
        writer.on_message_received(message)
    writer.stop()


@pytest.fixture(scope="module")
def mf4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("mf4") / "bus.mf4"
    write(path, FRAMES)
    return path.read_bytes()


def read(tmp_path: Path, content: bytes) -> Recording:
    path = tmp_path / "bus.mf4"
    path.write_bytes(content)
    return read_recording(path)


def test_every_kind_of_frame_is_read(tmp_path: Path, mf4: bytes) -> None:
    recording = read(tmp_path, mf4)
    frames = recording.frames
    assert () == recording.notes
    assert [0, 10_000_000, 20_000_000, 30_000_000, 40_000_000, 50_000_000] == frames.t_ns.tolist()
    assert [0x100, 0x18FF0102, 0x101, 0, 0x102, 0x103] == frames.id.tolist()
    assert [0, EXTENDED, REMOTE, ERROR, FD | BRS, 0] == frames.flags.tolist()
    assert [0, 3, 0, 0, 0, 0] == frames.bus.tolist()
    assert [8, 3, 4, 0, 48, 0] == frames.length.tolist()
    assert [b"12345678", b"123"] == [bytes(frames.data[at, : frames.length[at]]) for at in range(2)]


def test_records_that_are_no_can_frames_are_named(tmp_path: Path) -> None:
    path = tmp_path / "signals.mf4"
    with asammdf.MDF(version="4.10") as recording:
        recording.append(asammdf.Signal(np.arange(5.0), np.arange(5.0), name="PackVoltage"))
        recording.save(path)
    found = read_recording(path)
    assert 0 == len(found.frames)
    assert ("5 records of PackVoltage were left out",) == found.notes


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "an empty file"),
        (b"LOGG" * 50, "beginning with b'LOGGLOGG'"),
        (b"MDF     4.10    " + bytes(100), "bus.mf4"),
    ],
)
def test_what_is_no_mf4_is_refused_and_says_what_it_is(tmp_path: Path, content: bytes, found: str) -> None:
    with pytest.raises(RigError) as caught:
        read(tmp_path, content)
    assert found in caught.value.problems[0].found


@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_a_truncated_mf4_is_refused(tmp_path: Path, mf4: bytes, share: float) -> None:
    with pytest.raises(RigError, match="complete recording"):
        read(tmp_path, mf4[: int(len(mf4) * share)])


def test_a_damaged_mf4_is_read_or_refused_without_a_word_on_the_screen(
    tmp_path: Path, mf4: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    generator = np.random.default_rng(1)
    refused = 0
    for _ in range(30):
        damaged = bytearray(mf4)
        for at in generator.integers(0, len(mf4), 4):
            damaged[int(at)] = int(generator.integers(256))
        try:
            read(tmp_path, bytes(damaged))
        except RigError:
            refused += 1
    assert refused > 0
    assert ("", "") == tuple(capfd.readouterr())


def test_an_mf4_with_the_suffix_in_capitals_is_read(tmp_path: Path, mf4: bytes) -> None:
    (tmp_path / "BUS.MF4").write_bytes(mf4)
    assert len(FRAMES) == len(read_log(tmp_path / "BUS.MF4"))
