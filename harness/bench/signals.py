# SPDX-License-Identifier: Apache-2.0
"""Signals while a bench is energised: each leads to the safe state once, and none disturbs the way there."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

ENDING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT")
STOPPING = ("SIGTSTP", "SIGTTIN", "SIGTTOU")  # a stopped harness is a frozen one: the guardian would end it


@contextmanager
def orderly_end() -> Iterator[None]:
    """The first Ctrl-C, SIGTERM or hang-up raises KeyboardInterrupt, further ones are ignored until the context ends;
    Ctrl-Z does nothing. Handlers that were set before are back afterwards.
    """
    ending = False

    def end(_number: int, _frame: FrameType | None) -> None:
        nonlocal ending
        if not ending:
            ending = True
            raise KeyboardInterrupt

    before: dict[int, Any] = {}
    try:
        for name in (*ENDING, *STOPPING):
            number = getattr(signal, name)
            before[number] = signal.signal(number, end if name in ENDING else signal.SIG_IGN)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
