# SPDX-License-Identifier: Apache-2.0
"""What instruments without a port share: no lines, no descriptor, nothing a guardian could write."""

from __future__ import annotations

from collections.abc import Sequence

from harness.instruments.drivers.quantities import refuse, values_of
from harness.instruments.model import ANALOG, Envelope, Inputs, InstrumentSettings


class WithoutPort:
    """The half of `Instrument` of harness.instruments.model that is the same without a port."""

    def __init__(self, settings: InstrumentSettings, envelope: Envelope) -> None:
        self.settings = settings
        self._envelope = envelope
        self._wanted: Inputs | None = None
        self._armed = False
        self._off = False

    def check(self, inputs: Inputs) -> None:
        """BenchError when a value is NaN or outside the envelope."""
        for name in self.settings.channels:
            if name in ANALOG:
                refuse(self.settings.name, self._envelope, name, values_of(inputs, name))

    def acknowledge(self) -> None:
        """Nothing to wait for: what `apply` gave away is done, or cannot be asked for."""

    def busy(self) -> bool:
        """Never: nothing is kept back."""
        return False

    def fileno(self) -> int:
        """No descriptor."""
        return -1

    def safe_lines(self) -> Sequence[str]:
        """None: a guardian process has no port to write them to."""
        return ()

    def off_checks(self) -> Sequence[tuple[str, str]]:
        """None."""
        return ()

    def let_go(self) -> None:
        """Nothing: all is done by `safe`."""

    def is_off(self) -> bool:
        """Whether `safe` was the last, and done."""
        return self._off

    def close(self) -> None:
        """Nothing to let go of."""
