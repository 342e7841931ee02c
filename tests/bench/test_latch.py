# SPDX-License-Identifier: Apache-2.0
"""A bench that failed stays latched until a person says who they are and why it may go on."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from harness.bench.latch import Latch, LatchedError, state_folder
from harness.errors import BenchError, UsageError
from harness.instruments.latchfile import append_event, read_events


def test_a_new_bench_is_clear(tmp_path: Path) -> None:
    Latch(tmp_path / "bench.toml", tmp_path / "state").require_clear()


def test_a_latched_bench_refuses_with_reason_run_and_the_command_that_acknowledges(tmp_path: Path) -> None:
    bench = tmp_path / "my bench.toml"
    Latch(bench, tmp_path).set("cells stopped answering", run="runs/box-1")
    with pytest.raises(LatchedError, match="cells stopped answering \\(run runs/box-1\\)") as refused:
        Latch(bench, tmp_path).require_clear()
    assert f"bms-harness doctor '{bench}' --acknowledge 'who and why'" in str(refused.value)
    assert refused.value.exit_code == 3


def test_what_the_guardian_wrote_latches_too(tmp_path: Path) -> None:
    latch = Latch(tmp_path / "bench.toml", tmp_path)
    append_event(latch.prepare(), {"by": "guardian", "reason": "the harness died"})
    with pytest.raises(LatchedError, match="the harness died"):
        latch.require_clear()


def test_a_line_cut_off_and_an_empty_file_latch_too(tmp_path: Path) -> None:
    latch = Latch(tmp_path / "bench.toml", tmp_path)
    latch.prepare().write_text("")
    with pytest.raises(LatchedError):
        latch.require_clear()
    latch.path.write_text('{"reason": "cut o')
    with pytest.raises(LatchedError, match="cut o"):
        latch.require_clear()


def test_acknowledging_clears_and_keeps_what_happened_and_who_said_so(tmp_path: Path) -> None:
    latch = Latch(tmp_path / "bench.toml", tmp_path)
    latch.set("adapter lost")
    latch.set("supply not off")
    latch.acknowledge("A. Weber, cable replaced")
    latch.require_clear()
    *events, last = read_events(latch.history)
    assert [event["reason"] for event in events] == ["adapter lost", "supply not off"]
    assert last["acknowledged"] == "A. Weber, cable replaced"


def test_nothing_is_acknowledged_without_a_name_or_without_a_reason_to(tmp_path: Path) -> None:
    latch = Latch(tmp_path / "bench.toml", tmp_path)
    with pytest.raises(UsageError, match="not latched"):
        latch.acknowledge("A. Weber")
    latch.set("adapter lost")
    with pytest.raises(UsageError, match="who and why"):
        latch.acknowledge("  ")
    with pytest.raises(LatchedError):
        latch.require_clear()


def test_a_bench_is_its_path_whatever_way_it_is_written_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "link.toml").symlink_to(tmp_path / "bench.toml")
    one = Latch(tmp_path / "bench.toml", tmp_path)
    assert Latch(tmp_path / "sub" / ".." / "bench.toml", tmp_path).path == one.path
    assert Latch(tmp_path / "link.toml", tmp_path).path == one.path
    assert Latch(tmp_path / "sub" / "bench.toml", tmp_path).path != one.path


def test_the_state_folder_is_where_the_system_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    assert state_folder() == tmp_path / "bms-harness"
    assert Latch(tmp_path / "bench.toml").path.is_relative_to(tmp_path / "bms-harness")


def test_a_latch_that_cannot_be_kept_is_an_error_before_anything_is_energised(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a folder should be")
    with pytest.raises(BenchError, match="XDG_STATE_HOME"):
        Latch(tmp_path / "bench.toml", tmp_path / "state").prepare()


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_latch_that_cannot_be_read_counts_as_latched(tmp_path: Path) -> None:
    latch = Latch(tmp_path / "bench.toml", tmp_path)
    latch.set("adapter lost")
    latch.path.chmod(0)
    with pytest.raises(BenchError):
        latch.require_clear()
