# SPDX-License-Identifier: Apache-2.0
"""The file that keeps a bench latched: one JSON object a line, one line an event. It exists = the bench is latched.

Harness and guardian both append to it; one write each, so that neither can lose what the other wrote.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from harness.clock import utc_timestamp


def append_event(path: Path, event: Mapping[str, Any], *, sync: bool = True) -> None:
    """Add one event with the time of day. `sync`: it is on the disk when this returns. Raises OSError."""
    line = json.dumps({"time": utc_timestamp(), **event}, ensure_ascii=False) + "\n"
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, line.encode())
        if sync:
            os.fsync(handle)
    finally:
        os.close(handle)


def read_events(path: Path) -> tuple[dict[str, Any], ...]:
    """All events, oldest first; a line that is no JSON object is an event too: {"reason": its text}. Raises OSError.

    FileNotFoundError when the bench is not latched.
    """
    return tuple(_event(line) for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if line)


def _event(line: str) -> dict[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        event = None
    return event if isinstance(event, dict) else {"reason": line}
