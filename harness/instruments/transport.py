# SPDX-License-Identifier: Apache-2.0
"""Lines of text over a serial device or a URL of pyserial: socket://, rfc2217://, loop://.

Nothing here blocks for longer than the time-out of the instrument.
"""

from __future__ import annotations

from harness.clock import Clock
from harness.instruments.model import InstrumentSettings, Transport


def open_transport(settings: InstrumentSettings, clock: Clock) -> Transport:
    """Open `settings.port` for this process alone. BenchError with the remedy when it cannot be had."""
    raise NotImplementedError(settings, clock)
