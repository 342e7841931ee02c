# SPDX-License-Identifier: Apache-2.0
"""The folder of a bench in a box: links to its ports, a lock, and a file that tells its state."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from harness.clock import NS_PER_S, Clock
from harness.errors import UsageError

STATE_FILE = "state.json"
_LOCK = ".lock"
_ANALOG_NS = NS_PER_S // 2


class BoxFolder:
    """A folder one box has for itself while it runs. A context manager; what was made in it is removed at its end."""

    def __init__(self, path: Path) -> None:
        try:
            path.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(path / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"folder {path} cannot be used: {error.strerror}; name another") from error
        self.path = path.resolve()
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UsageError(f"folder {path} is in use by another 'serve'; end it, or name another folder") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def link(self, name: str) -> Path:
        """Where the link of a port goes. UsageError when something else than a link is there."""
        link = self.path / name
        if link.exists() and not link.is_symlink():
            raise UsageError(f"{link} is in the way: it is no link; remove it, or name another folder")
        return link

    def close(self) -> None:
        """Let others have the folder; links are removed with their ports."""
        if self._lock >= 0:
            (self.path / STATE_FILE).unlink(missing_ok=True)
            (self.path / _LOCK).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = -1


class StateFile:
    """A JSON file for those who look from outside; replaced in one step, so that a reader never sees half of it.

    Written at once when anything that is no measured value has changed, otherwise at most twice a second. `t_ns`: when
    it was, on the monotonic clock all processes of this machine share; `off_since_ns`: when the last output went off,
    None while one is on.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._discrete: object = None
        self._next_ns = 0
        self._off_since_ns: int | None = None

    def update(self, state: Mapping[str, Any]) -> None:
        """Tell a state; `off` in it says whether every output is off."""
        now_ns = self._clock.now_ns()
        if not state["off"]:
            self._off_since_ns = None
        elif self._off_since_ns is None:
            self._off_since_ns = now_ns
        discrete = _discrete(state)
        if discrete == self._discrete and now_ns < self._next_ns:
            return
        self._discrete, self._next_ns = discrete, now_ns + _ANALOG_NS
        document = {"t_ns": now_ns, "off_since_ns": self._off_since_ns, **state}
        beside = self._path.with_name(f".{self._path.name}.new")
        beside.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
        beside.replace(self._path)


def _discrete(value: object) -> object:
    """What of a state is no measured number."""
    if isinstance(value, Mapping):
        return {key: _discrete(part) for key, part in value.items()}
    return None if isinstance(value, (int, float)) and not isinstance(value, bool) else value
