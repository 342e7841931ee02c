# SPDX-License-Identifier: Apache-2.0
"""A bench that failed stays latched until a person acknowledges: one file a bench in the user's state folder.

The bench is the path of its file, whatever is written in it: editing the file does not clear the latch.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.errors import BenchError, UsageError
from harness.instruments.latchfile import append_event, read_events

_SHOWN_EVENTS = 3  # what happened first is why; the rest is what followed


def state_folder() -> Path:
    """The user's folder for what must outlive a run; may not exist yet."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = str(Path.home() / "Library" / "Application Support")
    else:
        base = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "bms-harness"


class Latch:
    """The latch of one bench. Raises BenchError when its file cannot be read or written: then nothing is energised."""

    def __init__(self, bench: Path, folder: Path | None = None) -> None:
        self.bench = bench.resolve()
        digest = hashlib.sha256(str(self.bench).encode()).hexdigest()[:16]
        self._folder = folder if folder is not None else state_folder() / "latches"
        self.path = self._folder / f"{self.bench.stem}-{digest}.jsonl"
        self.history = self.path.with_suffix(".history.jsonl")

    def prepare(self) -> Path:
        """Make its folder, so that a guardian can write to it, and say where the file will be."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise self._unusable(error) from error
        if not os.access(self._folder, os.W_OK):
            raise self._unusable(PermissionError(0, "no permission to write"))
        return self.path

    def events(self) -> tuple[dict[str, Any], ...]:
        """What happened since the last acknowledgement, oldest first; empty: not latched."""
        try:
            events = read_events(self.path)
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise self._unusable(error) from error
        return events or ({"reason": "an empty latch file"},)

    def set(self, reason: str, *, run: str = "") -> None:
        """Latch the bench. On the disk when this returns."""
        self.prepare()
        try:
            append_event(self.path, {"by": "harness", "bench": str(self.bench), "run": run, "reason": reason})
        except OSError as error:
            raise self._unusable(error) from error

    def require_clear(self) -> None:
        """Raise BenchError with the reason and the way out when the bench is latched."""
        events = self.events()
        if events:
            told = "; ".join(event_text(event) for event in events[:_SHOWN_EVENTS])
            more = f"; and {len(events) - _SHOWN_EVENTS} more events" if len(events) > _SHOWN_EVENTS else ""
            raise LatchedError(
                f"the bench {self.bench} is latched: {told}{more}. Look at the bench, then: {self.way_out()}"
            )

    def way_out(self) -> str:
        """The command that acknowledges."""
        return f"bms-harness doctor {shlex.quote(str(self.bench))} --acknowledge 'who and why'"

    def acknowledge(self, who_and_why: str) -> tuple[dict[str, Any], ...]:
        """Clear it and keep what happened, and who says it is over, in the history. Raises UsageError when there is
        nothing to acknowledge or nobody said who.
        """
        if not who_and_why.strip():
            raise UsageError("--acknowledge wants to know who and why, e.g. --acknowledge 'A. Weber, cable replaced'")
        events = self.events()
        if not events:
            raise UsageError(f"the bench {self.bench} is not latched: there is nothing to acknowledge")
        try:
            for event in events:
                append_event(self.history, event, sync=False)  # keeps its own time
            append_event(self.history, {"bench": str(self.bench), "acknowledged": who_and_why.strip()})
            self.path.unlink()  # last: whatever fails before leaves it latched
        except OSError as error:
            raise self._unusable(error) from error
        return events

    def _unusable(self, error: OSError) -> BenchError:
        return BenchError(
            f"the latch of the bench cannot be kept in {self._folder}: {error.strerror}; make that folder writable, "
            "or set XDG_STATE_HOME to one that is"
        )


class LatchedError(BenchError):
    """The bench is latched already: nothing new has gone wrong."""


def event_text(event: Mapping[str, Any]) -> str:
    """When, what, and in which run."""
    when = f"{event['time']} " if event.get("time") else ""
    run = f" (run {event['run']})" if event.get("run") else ""
    return f"{when}{event.get('reason', 'no reason given')}{run}"
