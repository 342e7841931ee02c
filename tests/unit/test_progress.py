# SPDX-License-Identifier: Apache-2.0
"""Long work that is asked to end."""

from __future__ import annotations

import signal
from io import StringIO

import pytest
from rich.console import Console

from harness.cli.run import Asked, ProgressLine, ended_by_signal


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_raised_where_nobody_heard_it_ends_the_next_progress(number: signal.Signals) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with ended_by_signal() as asked, ProgressLine(Console(file=StringIO()), asked) as line:
            line.phase("corpus", 1, 2)
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)

            with pytest.raises(KeyboardInterrupt):
                line.phase("boundaries", 1, 2)
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_background_job_goes_on_ignoring_ctrl_c() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ended_by_signal() as asked:
            signal.raise_signal(signal.SIGINT)
            asked.check()
    finally:
        signal.signal(signal.SIGINT, before)


def test_nothing_ends_unasked() -> None:
    Asked().check()
