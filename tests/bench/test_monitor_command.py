# SPDX-License-Identifier: Apache-2.0
"""`bms-harness monitor` as a process: a live bus on a serial adapter, Ctrl-C, an adapter that is lost, bad input."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from harness.bench.lines import PtyLine
from harness.bench.slcan_device import SlcanDevice
from harness.canbus.livelog import LiveLog
from harness.canbus.portmodel import PortFrame
from harness.canbus.recorder import read_recording
from harness.cli import cli
from harness.clock import NS_PER_S, ManualClock, WallClock

ROOT = Path(__file__).parents[2]
PROFILE = ROOT / "dbc" / "reference-bms.profile.toml"
PERIOD_NS = 10_000_000


class Bus:
    """A serial adapter on which 0x101 comes every 10 ms, for as long as something asks it to."""

    def __init__(self, folder: Path) -> None:
        self.line = PtyLine(folder / "can")
        self.device = SlcanDevice(500_000)
        self.sent = 0

    def words(self) -> list[str]:
        """What the command needs to listen to it."""
        return ["--interface", "slcan", "--channel", self.line.address, "--option", "sleep_after_open=0"]

    def run(self, is_over: Callable[[], bool], within_s: float = 20.0) -> None:
        """Be the bus until something holds."""
        clock = WallClock()
        start_ns = clock.now_ns()
        next_ns = start_ns
        while not is_over():
            assert clock.now_ns() < start_ns + int(within_s * NS_PER_S), "it did not end"
            clock.wait_until_ns(next_ns, (self.line.fileno(),))
            self.line.write(self.device.feed(self.line.read(), 0))
            if clock.now_ns() >= next_ns:
                next_ns += PERIOD_NS
                text = self.device.deliver(PortFrame(0, 0x101, bytes(8)))
                self.sent += bool(text)
                self.line.write(text)


def start(*words: str, **more: Any) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "harness", "monitor", *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        **more,
    )


def test_a_live_bus_is_told_as_a_json_document_and_recorded(tmp_path: Path) -> None:
    bus, log = Bus(tmp_path), tmp_path / "bus.blf"
    words = ["--profile", str(PROFILE), *bus.words(), "--for", "1s", "--log", str(log), "--json"]
    with start(*words) as process:
        bus.run(lambda: process.poll() is not None)
        out, err = process.communicate()
    assert (0, "") == (process.returncode, err)
    document = json.loads(out)
    (found,) = document["seen"]
    assert ("BMS_PackValues", "Reference BMS") == (found["name"], document["product"])
    assert found["period"]["mean_ms"] == pytest.approx(10.0, rel=0.2)
    assert 30 < found["frames"] <= 102
    assert document["adapter"]["state"] == "error_active"
    recording = read_recording(log)
    assert (found["frames"], ()) == (len(recording.frames), recording.notes)


def test_ctrl_c_ends_with_a_summary_and_a_whole_recording(tmp_path: Path) -> None:
    bus, log = Bus(tmp_path), tmp_path / "bus.blf"
    with start("ebus-lfp", *bus.words(), "--log", str(log)) as process:
        bus.run(lambda: log.is_file() and log.stat().st_size > 200)
        process.send_signal(signal.SIGINT)
        bus.run(lambda: process.poll() is not None)
        out, err = process.communicate()
    assert (0, "") == (process.returncode, err)
    assert "BMS_PackValues" in out
    assert "never seen: BMS_State" in out
    recording = read_recording(log)
    assert () == recording.notes
    assert len(recording.frames) > 10


def test_an_adapter_that_is_unplugged_ends_it_with_the_reason_and_what_was_seen(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    with start("ebus-lfp", *bus.words()) as process:
        bus.run(lambda: bus.sent > 20)
        bus.line.close()
        out, err = process.communicate(timeout=20)
    assert process.returncode == 3
    assert "BMS_PackValues" in out
    assert err.startswith(f"error: CAN adapter slcan {bus.words()[3]} is lost: ")
    assert "Traceback" not in err


def test_a_terminal_shows_it_live_at_most_five_times_a_second_and_is_left_as_it_was(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    master, slave = pty.openpty()
    words = ["ebus-lfp", *bus.words(), "--for", "1s"]
    shown = bytearray()
    with subprocess.Popen(
        [sys.executable, "-m", "harness", "monitor", *words],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "160", "LINES": "40", "TERM": "xterm"},
    ) as process:
        os.close(slave)

        def is_over() -> bool:
            while select.select([master], [], [], 0)[0]:
                try:
                    shown.extend(os.read(master, 65536))
                except OSError:
                    return True
            return process.poll() is not None

        bus.run(is_over)
    os.close(master)
    text = shown.decode()
    assert 2 <= text.count("period ms") <= 1 + 5 + 1
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h")  # the cursor is back
    assert "slcan" in text


# ---- bad input ------------------------------------------------------------------------------------------------------


def recorded(folder: Path) -> str:
    path = folder / "log.blf"
    with LiveLog(path, ManualClock()) as log:
        log.append([PortFrame(at * PERIOD_NS, 0x101, bytes(8)) for at in range(50)])
    return str(path)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ([], "nothing to decode by: give a rig or bench file, --profile FILE or --dbc FILE"),
        (["ebus-lfp"], "no adapter to listen to; ebus-lfp is a virtual rig and names no adapter: give --interface"),
        (["ebus-lfp", "--fast"], "--fast is for recordings"),
        (["ebus-lfp", "--interface", "slcan"], "no channel is named"),
        (["ebus-lfp", "--replay", "LOG", "--channel", "x"], "--replay takes the place of an adapter"),
        (["--profile", "reference-bmz", "--replay", "LOG"], "did you mean 'reference-bms'?; shipped profiles: "),
        (["--dbc", "nowhere.dbc", "--replay", "LOG"], "nowhere.dbc: found no such file"),
        (["ebus-lfp", "--replay", "nowhere.blf"], "nowhere.blf: found no such file"),
        (["ebus-lfp", "--interface", "virtual", "--channel", "x", "--option", "y"], "--option 'y' is not NAME=VALUE"),
        (["ebus-lfp", "--interface", "virtual", "--channel", "x", "--option", "y=1"], "no option 'y'. Its options: "),
        (["ebus-lfp", "--interface", "pcn", "--channel", "x"], "no CAN interface 'pcn'; did you mean pcan?"),
        (["nothing"], "rig 'nothing' is neither a file nor the name of a shipped rig"),
    ],
)
def test_what_is_wrong_is_told_with_what_to_do(tmp_path: Path, words: list[str], text: str) -> None:
    log = recorded(tmp_path)
    result = CliRunner().invoke(cli, ["monitor", *(log if word == "LOG" else word for word in words)])
    assert (2, True) == (result.exit_code, text in result.stderr), result.stderr


def test_a_recording_of_another_bus_is_asked_about(tmp_path: Path) -> None:
    dbc = tmp_path / "other.dbc"
    dbc.write_text('VERSION ""\n\nBU_: A\n\nBO_ 5 Other: 8 A\n SG_ X : 0|8@1+ (1,0) [0|0] "" A\n')
    result = CliRunner().invoke(cli, ["monitor", "--dbc", str(dbc), "--replay", recorded(tmp_path), "--fast"])
    assert result.exit_code == 0
    assert "1 identifiers the database does not have: 101 (50)" in result.stdout
    assert "is it the one of this bus?" in result.stdout


def test_the_suffix_of_the_log_decides_what_is_recorded_besides_blf(tmp_path: Path) -> None:
    bus = Bus(tmp_path)
    words = ["--profile", str(PROFILE), *bus.words(), "--for", "0.3s", "--log", str(tmp_path / "bus.asc"), "--json"]
    with start(*words) as process:
        bus.run(lambda: process.poll() is not None)
    assert len(read_recording(tmp_path / "bus.asc").frames) == len(read_recording(tmp_path / "bus.blf").frames) > 0


def test_a_log_of_no_format_is_refused_before_anything_is_opened(tmp_path: Path) -> None:
    words = ["monitor", "ebus-lfp", "--interface", "virtual", "--channel", "x", "--log", str(tmp_path / "bus.csv")]
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 2
    assert "no recording format 'csv'; there are blf, asc, mf4" in result.stderr
    assert list(tmp_path.iterdir()) == []
