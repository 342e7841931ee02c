# SPDX-License-Identifier: Apache-2.0
"""A person as an instrument: asked on the terminal to set a thing, waited for.

For quantities a bench has no instrument for, and that stay constant in a run. Source: the bench file's own words; there
is no command set. A person may answer with Enter (done), "skip" (left as it was: noted in `skipped`) or "abort".

Options: <quantity>_step: how much a value must change before the person is asked again; default a hundredth of what the
bench allows. Safe state: the person is asked to switch everything off and to confirm it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from harness.errors import BenchError, UsageError
from harness.instruments.drivers.portless import WithoutPort
from harness.instruments.drivers.quantities import values_of
from harness.instruments.model import ANALOG, LINES, Envelope, Inputs, InstrumentSettings

SPAN_PART = 0.01
HELP = "[Enter: done, skip, abort] "


class Operator(WithoutPort):
    """`Instrument` of harness.instruments.model without a port. `ask` shows a text and returns what was typed."""

    def __init__(self, settings: InstrumentSettings, envelope: Envelope, ask: Callable[[str], str]) -> None:
        if settings.reads:
            raise UsageError(f"{settings.name}: a person cannot read {', '.join(settings.reads)} in time")
        super().__init__(settings, envelope)
        self._ask = ask
        self._set: dict[str, NDArray[np.float64]] = {}
        self.skipped: list[str] = []

    def identify(self) -> str:
        """A name typed by the person; empty is refused."""
        name = self._ask(f"{self.settings.name}: type your name, you are part of this bench: ").strip()
        if not name or name == "abort":
            raise BenchError(f"{self.settings.name}: nobody at the bench. Give a name, or remove the operator.")
        return f"operator {name}"

    def arm(self) -> None:
        """Ask for what was last given to `apply`."""
        self._armed = True
        self._off = False
        self._set.clear()
        if self._wanted is not None:
            self.apply(self._wanted)

    def apply(self, inputs: Inputs) -> None:
        """Check the limits; ask, and wait, for what changed by more than its step."""
        self.check(inputs)
        self._wanted = inputs
        if not self._armed:
            return
        for name in self.settings.channels:
            values = values_of(inputs, name)
            before = self._set.get(name)
            if before is None or bool(np.any(np.abs(values - before) > self._step(name))):
                self._request(self._text(name, values))
                self._set[name] = values

    def poll(self) -> Mapping[str, bool]:
        """Nothing is read."""
        return {}

    def safe(self) -> None:
        """Ask to switch off, and for a confirmation."""
        self._armed = False
        self._wanted = None
        self._set.clear()
        answer = self._ask(f"{self.settings.name}: switch off all you set by hand, then press Enter: ")
        self._off = not answer.strip()
        if not self._off:
            raise BenchError(f"{self.settings.name}: not confirmed as off ('{answer.strip()}'). Look before touching.")

    def _step(self, name: str) -> float:
        if name in LINES:
            return 0.5
        least, greatest = self._envelope.limits[name]
        step = self.settings.options.get(f"{name}_step", (greatest - least) * SPAN_PART)
        if isinstance(step, str) or not step >= 0.0:
            raise UsageError(f"{self.settings.name}: option {name}_step = {step!r}; a number from 0")
        return float(step)

    def _text(self, name: str, values: NDArray[np.float64]) -> str:
        if name in LINES:
            shown = ", ".join("close" if value else "open" for value in values)
            return f"{self.settings.name}: {name}: {shown}"
        return f"{self.settings.name}: set {name} to {', '.join(f'{value:g}' for value in values)} {ANALOG[name]}"

    def _request(self, text: str) -> None:
        while True:
            answer = self._ask(f"{text} {HELP}").strip().lower()
            if not answer:
                return
            if answer == "skip":
                self.skipped.append(text)
                return
            if answer == "abort":
                raise BenchError(f"{self.settings.name}: aborted by the operator at: {text}")
