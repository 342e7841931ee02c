# SPDX-License-Identifier: Apache-2.0
"""The run directory: everything one run leaves behind (design section 5.7).

run.json (header and verdicts), results.jsonl (one line a finished scenario), trace.npz, bus.blf, scenario.toml,
scenarios/ (what failed or came closest), junit.xml. A killed process leaves readable what was finished: lines are
flushed one by one, every other file is written aside and renamed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Self

from harness import trace as traces
from harness.clock import utc_timestamp
from harness.errors import Problem, RigError, UsageError
from harness.rig.records import to_json
from harness.scenario import Scenario, dump_scenario

RESULTS = "results.jsonl"
_MAX_SAME_SECOND = 1000


class RunDirectory:
    """One run's folder. Use as a context manager, or call `close`: results.jsonl is open in between."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._results: IO[str] | None = None

    @classmethod
    def create(cls, base: Path, rig: str) -> RunDirectory:
        """A new folder below `base`, named after rig and time of day. Raises UsageError when it cannot be made."""
        stamp = utc_timestamp().partition("+")[0].replace(":", "").replace("-", "")
        for attempt in range(_MAX_SAME_SECOND):
            path = base / (f"{rig}-{stamp}" if attempt == 0 else f"{rig}-{stamp}-{attempt}")
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if not base.is_dir():
                    break
                continue
            except OSError as error:
                raise UsageError(f"cannot create the run directory {path}: {error.strerror}") from error
            return cls(path)
        raise UsageError(
            f"cannot create a run directory below {base}: it is not a folder, or full of runs of this second"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def append(self, record: Mapping[str, Any]) -> None:
        """Add one line to results.jsonl; it is on its way to the disk when this returns."""
        if self._results is None:
            self._results = (self.path / RESULTS).open("a", encoding="utf-8")
        self._results.write(to_json(record) + "\n")
        self._results.flush()

    def write_run(self, record: Mapping[str, Any]) -> Path:
        """Header and verdicts. May be called again: the newest one stands."""
        return self.write_text("run.json", json.dumps(record, ensure_ascii=False, allow_nan=False, indent=2) + "\n")

    def write_trace(self, trace: traces.Trace) -> Path:
        """What the controller was given, what was true and what it did; and the same frames as a BLF log."""
        path = self.write_trace_only(trace)
        from harness.canbus.recorder import write_blf  # noqa: PLC0415 - python-can is slow to import

        partial = self.path / "partial.blf"  # the writer picks the format by the ending
        write_blf(trace.frames, partial)
        partial.replace(self.path / "bus.blf")
        return path

    def write_trace_only(self, trace: traces.Trace) -> Path:
        """The trace without the log: the bus was recorded as it went by."""
        path = self.path / "trace.npz"
        traces.save(trace, path)
        return path

    def write_scenario(self, scenario: Scenario, name: str = "scenario.toml") -> Path:
        """A scenario that replays: `bms-harness replay <path>`."""
        return self.write_text(name, dump_scenario(scenario))

    def write_junit(self, document: bytes) -> Path:
        """The JUnit document made by `records.junit_xml`."""
        return self.write_text("junit.xml", document.decode())

    def write_text(self, name: str, text: str) -> Path:
        """Any text file of the run; complete or absent, never half."""
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".partial")
        with partial.open("w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(path)
        return path

    def close(self) -> None:
        """Close results.jsonl."""
        if self._results is not None:
            self._results.close()
            self._results = None


def load_run(path: Path) -> dict[str, Any]:
    """The run.json of a run directory, or that file named itself.

    Raises UsageError when there is none, RigError when it is not readable.
    """
    file = path if path.is_file() else path / "run.json"
    if not file.is_file():
        raise UsageError(
            f"{path} is no run directory: it has no run.json (an interrupted run may still have {RESULTS})"
        )
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RigError([Problem(str(file), 0, "", str(error), "JSON written by bms-harness")]) from error
    if not isinstance(record, dict) or "verdicts" not in record:
        raise RigError([Problem(str(file), 0, "verdicts", "nothing", "a run.json written by bms-harness")])
    return record


def finished_results(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of results.jsonl that were finished; a last line cut off by a kill is left out."""
    file = path / RESULTS
    if not file.is_file():
        return
    with file.open(encoding="utf-8") as stream:
        for line in stream:
            if line.endswith("\n"):
                yield json.loads(line)
