# SPDX-License-Identifier: Apache-2.0
"""Lines from a descriptor that is looked at now and then; nothing in here waits."""

from __future__ import annotations

import os
import select
from collections.abc import Sequence
from typing import IO

_CHUNK = 4096


class LineInput:
    """Whole lines of a terminal or a pipe. At its end, or when it cannot be read, there are no more."""

    def __init__(self, stream: IO[str] | None) -> None:
        """`stream` None: a process that was started without this stream has no lines."""
        self._rest = b""
        self._poll = select.poll()
        self._ended = stream is None
        if stream is not None:
            self._descriptor = stream.fileno()
            self._poll.register(self._descriptor, select.POLLIN)

    def lines(self) -> Sequence[str]:
        """What has come since the last call."""
        if self._ended or not self._poll.poll(0):
            return ()
        try:
            data = os.read(self._descriptor, _CHUNK)
        except OSError:  # a job in the background may not read its terminal
            data = b""
        self._ended = not data
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [line.decode(errors="replace").strip() for line in lines if line.strip()]
