# SPDX-License-Identifier: Apache-2.0
"""Recording while it happens: exact, complete, and readable whatever becomes of the process or of the disk."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import can
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.canbus.livelog import FLUSH_NS, Format, LiveLog
from harness.canbus.portmodel import PortFrame
from harness.canbus.recorder import read_recording
from harness.clock import NS_PER_S, ManualClock, realtime_ns
from harness.errors import BenchError, UsageError
from harness.kernel.config import FrameFlag

HERE = Path(__file__).parent
T0_NS = 5 * NS_PER_S
FRAMES = (
    PortFrame(T0_NS, 0x100, b"12345678"),
    PortFrame(T0_NS + 1, 0x18FF0102, b"123", FrameFlag.EXTENDED, 3),
    PortFrame(T0_NS + 1_000_003, 0x101, bytes(4), FrameFlag.REMOTE, own=True),
    PortFrame(T0_NS + 2_000_000, 0x4, bytes(8), FrameFlag.ERROR),
    PortFrame(T0_NS + 3_000_000, 0x102, bytes(range(48)), FrameFlag.FD | FrameFlag.BRS),
    PortFrame(T0_NS + 4_000_000, 0x103, b"", own=True),
    PortFrame(T0_NS + 3_600 * NS_PER_S + 7, 0x100, b"87654321"),
)


def recorded(path: Path, frames: tuple[PortFrame, ...] = FRAMES, formats: tuple[Format, ...] = ("blf",)) -> None:
    with LiveLog(path, ManualClock(T0_NS), formats=formats) as log:
        log.append(frames)


def read(path: Path) -> list[tuple[int, int, bytes, int, int]]:
    frames = read_recording(path).frames
    return [
        (int(t_ns), int(identifier), data[:length].tobytes(), int(flags), int(bus))
        for t_ns, identifier, data, length, flags, bus in zip(
            frames.t_ns, frames.id, frames.data, frames.length, frames.flags, frames.bus, strict=True
        )
    ]


def meant(frames: tuple[PortFrame, ...]) -> list[tuple[int, int, bytes, int, int]]:
    return [(frame.t_ns - T0_NS, frame.id, frame.data, int(frame.flags), frame.bus) for frame in frames]


def test_every_kind_of_frame_is_recorded_to_the_nanosecond(tmp_path: Path) -> None:
    recorded(tmp_path / "log.blf")
    assert meant(FRAMES) == read(tmp_path / "log.blf")
    assert () == read_recording(tmp_path / "log.blf").notes


def test_own_frames_have_the_direction_they_went(tmp_path: Path) -> None:
    recorded(tmp_path / "log.blf")
    with can.BLFReader(tmp_path / "log.blf") as reader:
        directions = [(message.arbitration_id, not message.is_rx) for message in reader if not message.is_error_frame]
    assert [(frame.id, frame.own) for frame in FRAMES if not frame.flags & FrameFlag.ERROR] == directions


def test_a_recording_knows_the_time_of_day_it_began(tmp_path: Path) -> None:
    before_s = realtime_ns() / NS_PER_S
    recorded(tmp_path / "log.blf")
    start_s = read_recording(tmp_path / "log.blf").start_s
    assert start_s is not None
    assert before_s - 0.01 <= start_s <= realtime_ns() / NS_PER_S + 0.01


def test_a_recording_in_a_folder_is_called_bus(tmp_path: Path) -> None:
    with LiveLog(tmp_path, ManualClock(), formats=("blf", "asc")) as log:
        assert (tmp_path / "bus.blf", tmp_path / "bus.asc") == log.paths
    assert all(path.is_file() for path in log.paths)
    assert [] == read(tmp_path / "bus.blf")


def test_asc_beside_it_holds_the_same_frames_to_the_microsecond(tmp_path: Path) -> None:
    recorded(tmp_path / "log.blf", formats=("asc",))
    assert meant(FRAMES) == read(tmp_path / "log.blf")
    text = read(tmp_path / "log.asc")
    assert [(frame.id, frame.data, int(frame.flags)) for frame in FRAMES if not frame.flags & FrameFlag.ERROR] == [
        (identifier, data, flags) for _, identifier, data, flags, _ in text if not flags & FrameFlag.ERROR
    ]
    assert [round(t_ns / 1000) for t_ns, *_ in meant(FRAMES)] == pytest.approx(
        [t_ns / 1000 for t_ns, *_ in text], abs=1
    )


def test_mf4_is_made_when_the_recording_ends(tmp_path: Path) -> None:
    pytest.importorskip("asammdf", reason='MF4 needs pip install "bms-harness[mf4]"')
    recorded(tmp_path / "log.blf", FRAMES[:5], ("mf4",))
    found = read_recording(tmp_path / "log.mf4")
    blf_s = read_recording(tmp_path / "log.blf").start_s
    assert sorted(int(frame.id) for frame in FRAMES[:5]) == sorted(found.frames.id.tolist())
    assert found.start_s == pytest.approx(blf_s, abs=0.002)


def test_mf4_without_its_library_is_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    try:
        import asammdf  # noqa: F401, PLC0415 - only whether it is there
    except ImportError:
        with pytest.raises(UsageError, match=r"pip install \"bms-harness\[mf4\]\""):
            LiveLog(tmp_path / "log.blf", ManualClock(), formats=("mf4",))
        assert [] == list(tmp_path.iterdir())


def test_frames_are_in_the_file_soon_after_they_came_and_not_at_every_tick(tmp_path: Path) -> None:
    clock = ManualClock(T0_NS)
    log = LiveLog(tmp_path / "log.blf", clock)
    log.append(FRAMES[:1])
    assert [] == read(tmp_path / "log.blf")
    clock.sleep_until_ns(T0_NS + FLUSH_NS)
    log.append(())
    assert FLUSH_NS <= NS_PER_S // 2
    assert meant(FRAMES[:1]) == read(tmp_path / "log.blf")
    log.close()


def test_a_recording_that_was_not_ended_says_so(tmp_path: Path) -> None:
    log = LiveLog(tmp_path / "log.blf", ManualClock(T0_NS))
    log.append(FRAMES)
    log.flush()
    recording = read_recording(tmp_path / "log.blf")
    assert len(recording.frames) == len(FRAMES)
    assert recording.start_s is not None
    assert ["the recording was never ended"] == [note.partition(":")[0] for note in recording.notes]
    log.close()
    assert () == read_recording(tmp_path / "log.blf").notes


# ---- killed ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ticks", [40, 97, 133])
def test_a_killed_process_leaves_a_recording_that_misses_at_most_half_a_second(tmp_path: Path, ticks: int) -> None:
    path = tmp_path / "log.blf"
    appended = _record_and_kill(path, ticks)
    for numbers in (_numbers(path), _numbers_by_python_can(path)):
        assert numbers == list(range(len(numbers)))
        assert appended - 500 <= len(numbers)
    errors = [message.is_error_frame for message in can.BLFReader(path)]
    assert [number % 100 == 0 for number in range(len(errors))] == errors


def test_a_killed_process_leaves_a_readable_asc(tmp_path: Path) -> None:
    appended = _record_and_kill(tmp_path / "log.blf", 60)
    frames = read_recording(tmp_path / "log.asc").frames
    assert appended - 500 <= len(frames)


def _record_and_kill(path: Path, ticks: int) -> int:
    """How many frames were appended for sure before the process was killed."""
    with subprocess.Popen(
        [sys.executable, str(HERE / "recording_child.py"), str(path), "asc"],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(ticks)]
        process.kill()
        return int(lines[-1])


def _numbers(path: Path) -> list[int]:
    return [int.from_bytes(data.tobytes(), "big") for data in read_recording(path).frames.data]


def _numbers_by_python_can(path: Path) -> list[int]:
    with can.BLFReader(path) as reader:
        return [int.from_bytes(message.data, "big") for message in reader]


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, list[int]]:
    """A recording of 600 frames in six blocks that was not ended, and the size of the file after each block."""
    path = tmp_path_factory.mktemp("unfinished") / "log.blf"
    log = LiveLog(path, ManualClock())
    sizes = [path.stat().st_size]
    for block in range(6):
        log.append([PortFrame(n, 0x100, n.to_bytes(8, "big")) for n in range(100 * block, 100 * block + 100)])
        log.flush()
        sizes.append(path.stat().st_size)
    content = path.read_bytes()
    log.close()
    return content, sizes


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whole_blocks_are_read_wherever_a_file_that_was_not_ended_is_cut(
    unfinished: tuple[bytes, list[int]], tmp_path: Path, data: st.DataObject
) -> None:
    content, sizes = unfinished
    cut = data.draw(st.one_of(st.integers(sizes[0], len(content)), st.sampled_from(sizes)))
    path = tmp_path / "cut.blf"
    path.write_bytes(content[:cut])
    numbers = _numbers(path)
    whole = sum(size <= cut for size in sizes[1:])
    assert numbers == list(range(len(numbers)))
    assert 100 * whole <= len(numbers) <= 100 * (whole + 1)


# ---- the disk -------------------------------------------------------------------------------------------------------


def test_a_full_disk_is_a_bench_error_that_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "log.blf").symlink_to("/dev/full")
    with pytest.raises(BenchError, match=r"log\.blf cannot be written: no space left on device; make room"):
        LiveLog(tmp_path / "log.blf", ManualClock())


def test_a_disk_that_fills_up_ends_the_recording_and_keeps_what_was_there(tmp_path: Path) -> None:
    program = (
        "import resource, signal, sys; from pathlib import Path;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000));"
        f"sys.path.insert(0, {str(HERE)!r});"
        "from recording_child import frame; from harness.canbus.livelog import LiveLog;"
        "from harness.clock import ManualClock; from harness.errors import BenchError\n"
        "path = Path(sys.argv[1]); log = LiveLog(path, ManualClock()); told = []; size = 0\n"
        "for n in range(100):\n"
        "    try:\n"
        "        log.append([frame(20 * n + at, 20 * n + at) for at in range(20)]); log.flush()\n"
        "        size = path.stat().st_size\n"
        "    except BenchError as error: told.append(str(error))\n"
        "try: log.close()\n"
        "except BenchError as error: told.append('at the end: ' + str(error))\n"
        "print(len(told)); print(told[0]); print(told[-1]); print(size)\n"
    )
    path = tmp_path / "log.blf"
    result = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(HERE.parents[1])},
    )
    count, first, last, size = result.stdout.splitlines()
    assert int(count) > 10
    assert "log.blf cannot be written: file too large; make room" in first
    assert last == f"at the end: {first}"
    numbers = _numbers(path)
    assert numbers == list(range(len(numbers)))
    assert len(numbers) >= 100
    assert path.stat().st_size == int(size), "part of a block was left behind"


def test_a_place_whose_beginning_cannot_be_written_again_is_a_bench_error_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "log.blf"
    os.mkfifo(path)
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    log = LiveLog(path, ManualClock())
    with pytest.raises(BenchError, match=r"log\.blf cannot be written: illegal seek; name another file"):
        log.close()
    os.close(reading)


@pytest.mark.parametrize("where", ["nowhere/log.blf", "file/log.blf"])
def test_a_place_that_cannot_be_written_is_a_bench_error(tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(BenchError, match=r"cannot be written: .*; name another file"):
        LiveLog(tmp_path / where, ManualClock())


def test_a_format_that_does_not_exist_is_refused() -> None:
    with pytest.raises(UsageError, match="no recording format 'trc'; there are blf, asc, mf4"):
        LiveLog(Path("log.blf"), ManualClock(), formats=("trc",))  # type: ignore[arg-type] # what is wrong is the point
