# SPDX-License-Identifier: Apache-2.0
"""What all drivers of line-based instruments share: identity, order of arming, error queue, asking without waiting.

A driver says which models it knows, what it gives, and how a change of inputs reads as lines. Everything about time,
limits and getting back in step is here. `*IDN?`, `*OPC?` and `SYSTem:ERRor?` are of IEEE 488.2 and SCPI-1999 vol. 1 and
2; a driver whose manual says otherwise overrides them.
"""

from __future__ import annotations

import contextlib
import math
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import ClassVar

import numpy as np

from harness.errors import BenchError, UsageError
from harness.instruments.drivers.quantities import Sent, count_text, refuse, resting, values_of
from harness.instruments.lines import shown
from harness.instruments.model import ANALOG, READINGS, Envelope, Inputs, InstrumentSettings, Transport

ERRORS_EVERY = 100  # polls between two looks at the error queue: about one second at a tick of 10 ms
MOST_ERRORS = 20  # read of one queue; SCPI-1999 vol. 2, 21.8: an overflowed queue ends with -350
MOST_STALE = 64  # answers of before that may come while getting back in step


class ScpiInstrument(ABC):
    """One instrument behind a transport. `Instrument` of harness.instruments.model."""

    models: ClassVar[tuple[str, ...]]  # one of these is in the answer to *IDN?
    gives: ClassVar[frozenset[str]]
    reads: ClassVar[frozenset[str]] = frozenset()
    _identity_line = "*IDN?"
    _clear_lines: tuple[str, ...] = ("*CLS",)  # errors of before are not this bench's

    def __init__(self, settings: InstrumentSettings, transport: Transport, envelope: Envelope) -> None:
        self.settings = settings
        self._transport = transport
        self._envelope = envelope
        self._asked: deque[tuple[str, Callable[[str], Mapping[str, bool]]]] = deque()
        self._sent = Sent()
        self._wanted: Inputs | None = None
        self._armed = False
        self._polls = 0
        self.late = 0  # updates replaced by a newer one because the line was still busy
        self._check_settings()

    # What a driver says.

    @abstractmethod
    def safe_lines(self) -> Sequence[str]:
        """Lines that put all outputs off, without an answer."""

    @abstractmethod
    def off_checks(self) -> Sequence[tuple[str, str]]:
        """Queries and the answers that say off."""

    @abstractmethod
    def is_off(self) -> bool:
        """Whether all outputs read back as off."""

    @abstractmethod
    def _setup_lines(self) -> Iterable[str]:
        """Lines once at arming, before any value."""

    @abstractmethod
    def _check(self, inputs: Inputs) -> None:
        """BenchError when the instrument itself cannot give this; the envelope is checked already."""

    @abstractmethod
    def _change_lines(self, inputs: Inputs) -> Iterable[str]:
        """Lines for what differs from what was sent last, by `_sent`."""

    @abstractmethod
    def _on_lines(self) -> Iterable[str]:
        """Lines that switch the outputs on."""

    def _ask_readings(self) -> None:
        """Ask for the readings of `settings.reads`, with `_ask_later`."""
        raise NotImplementedError

    def _ask_health(self) -> None:
        """Ask, with `_ask_later`, whether anything went wrong."""
        self._ask_later("SYST:ERR?", self._no_error)

    def _raise_errors(self) -> None:
        """Empty the error queue; BenchError with all that was in it."""
        self._raise_errors_of("SYST:ERR?")

    def _raise_errors_of(self, line: str) -> None:
        found: list[str] = []
        for _ in range(MOST_ERRORS):
            answer = self._ask(line)
            if self._number(line, answer.split(",", 1)[0]) == 0:
                break
            found.append(answer)
        if found:
            self._no_error("; ".join(found))

    # What every instrument does.

    def identify(self) -> str:
        """The answer to *IDN?; BenchError when it is no model of this driver."""
        text = self._ask(self._identity_line)
        if not self._is_model(text):
            raise BenchError(
                f"{self._place}: says it is '{text}', but driver {self.settings.driver} is for"
                f" {' or '.join(self.models)}. Correct port or driver of '{self.settings.name}' in the bench file."
            )
        return text

    def arm(self) -> None:
        """Values first (those last given to `apply`, else resting ones), then outputs on, then the error queue."""
        self._sent.forget()
        for line in (*self._clear_lines, *self._setup_lines(), *self._value_lines(), *self._on_lines()):
            self._transport.write(line)
        self._armed = True
        self.acknowledge()
        self._raise_errors()

    def check(self, inputs: Inputs) -> None:
        """BenchError when a value is NaN, outside the envelope, or beyond what the instrument gives."""
        for name in self.settings.channels:
            if name in ANALOG:
                refuse(self._place, self._envelope, name, values_of(inputs, name))
        self._check(inputs)

    def apply(self, inputs: Inputs) -> None:
        """Check, then send what changed; before `arm` only remembered. While the line is busy, the newest waits."""
        self.check(inputs)
        self.late += self._armed and self._wanted is not None
        self._wanted = inputs
        if self._armed:
            self._flush()

    def acknowledge(self) -> None:
        """Return when all that was sent has been carried out."""
        answer = self._ask("*OPC?")
        if answer.lstrip("+") != "1":
            raise BenchError(f"{self._place}: answered '{shown(answer)}' to *OPC?, expected '1'")

    def poll(self) -> Mapping[str, bool]:
        """Readings that arrived; asks for the next; looks at the error queue at a low rate."""
        found: dict[str, bool] = {}
        for line in self._transport.poll():
            found |= self._take(line)
        if self._armed:
            self._flush()
        if not self._asked:
            self._polls += 1
            if self._polls % ERRORS_EVERY == 0:
                self._ask_health()
            if self.settings.reads:
                self._ask_readings()
        return found

    def let_go(self) -> None:
        """See Instrument."""
        self._armed = False
        self._wanted = None
        self._sent.forget()
        self._transport.write("")
        for line in self.safe_lines():
            self._transport.write(line)

    def safe(self) -> None:
        """Outputs off, proven by reading back."""
        self.let_go()
        self._get_in_step()
        if not self.is_off():
            raise BenchError(
                f"{self._place}: outputs do not read back as off. Switch it off by hand before touching the bench."
            )

    def busy(self) -> bool:
        """Whether something given to `apply` has not left yet."""
        return self._wanted is not None or self._transport.backlog() > 0

    def close(self) -> None:
        """Let go of the port; outputs stay as they are."""
        self._transport.close()

    def fileno(self) -> int:
        """The descriptor for the guardian; -1 when there is none."""
        return self._transport.fileno()

    # For drivers.

    @property
    def _place(self) -> str:
        return f"{self.settings.name} at {self.settings.port}"

    def _ask(self, line: str) -> str:
        """Send and wait for the answer, after the answers that are still due."""
        while self._asked:
            self._take(self._transport.read())
        return self._transport.query(line)

    def _ask_all(self, line: str, count: int) -> list[float]:
        """Numbers, separated by commas; BenchError when there are not `count`."""
        answer = self._ask(line)
        try:
            numbers = [float(text) for text in answer.split(",")]
        except ValueError:
            numbers = []
        if len(numbers) != count:
            raise BenchError(f"{self._place}: answered '{shown(answer)}' to '{shown(line)}', expected {count} numbers")
        return numbers

    def _ask_later(self, line: str, take: Callable[[str], Mapping[str, bool]]) -> None:
        """Send; the answer is given to `take` in a later `poll`."""
        self._transport.write(line)
        self._asked.append((line, take))

    def _number(self, line: str, answer: str) -> float:
        number = math.nan
        with contextlib.suppress(ValueError):
            number = float(answer)
        if not math.isfinite(number):
            raise BenchError(f"{self._place}: answered '{shown(answer)}' to '{shown(line)}', expected a number")
        return number

    def _resting_inputs(self, name: str, count: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """What to arm with when nothing was given: analogue values at rest, lines open."""
        return np.full(count, resting(self._envelope, name) if name in ANALOG else 0.0)

    # Inside.

    def _value_lines(self) -> Iterable[str]:
        return self._change_lines(self._wanted if self._wanted is not None else self._rest())

    def _rest(self) -> Inputs:
        """Inputs at rest for the quantities this instrument gives; the others are not looked at."""
        some = self.settings.channels
        given = {name: self._resting_inputs(name, len(channels)) for name, channels in some.items()}
        scalars = {name: float(values[0]) for name, values in given.items() if not name.startswith(("cell_", "temp_"))}
        none = np.zeros(0)
        return Inputs(
            cell_voltage_v=given.get("cell_voltage_v", none),
            cell_connected=given.get("cell_connected", none) > 0.0,
            cell_temp_degc=given.get("cell_temp_degc", none),
            temp_connected=given.get("temp_connected", none) > 0.0,
            **{name: scalars.get(name, 0.0) for name in ANALOG if not name.startswith("cell_")},
            current_connected=False,
            supply_connected=False,
            ignition=False,
            charge_plug=False,
            hvil_closed=False,
            crash=False,
            aux_positive=False,
            aux_negative=False,
            aux_precharge=False,
        )

    def _flush(self) -> None:
        if self._wanted is None or self._transport.backlog():
            return
        for line in self._change_lines(self._wanted):
            self._transport.write(line)
        self._wanted = None

    def _take(self, line: str) -> Mapping[str, bool]:
        if not self._asked:
            raise BenchError(
                f"{self._place}: sent '{shown(line)}' without being asked. Check that no other program uses it."
            )
        return self._asked.popleft()[1](line)

    def _no_error(self, answer: str) -> Mapping[str, bool]:
        number = answer.split(",", 1)[0]
        if self._number("SYST:ERR?", number) != 0:
            raise BenchError(
                f"{self._place}: reports error {shown(answer)}. Its settings may differ from what was asked;"
                " check the channels of the bench file against its modules."
            )
        return {}

    def _get_in_step(self) -> None:
        """Answers that come from now on belong to questions from now on, whatever was due before."""
        self._asked.clear()
        self._transport.forget()
        answer = self._transport.query(self._identity_line)
        for _ in range(MOST_STALE):
            if self._is_model(answer):
                return
            answer = self._transport.read()
        raise BenchError(f"{self._place}: does not come to an end of old answers; last '{shown(answer)}'")

    def _is_model(self, text: str) -> bool:
        return any(model.lower() in text.lower() for model in self.models)

    def _check_settings(self) -> None:
        if not self.settings.channels and not self.settings.reads:
            raise UsageError(f"{self.settings.name}: gives and reads nothing; give it channels, or leave it out")
        wrong = frozenset(self.settings.channels) - self.gives
        if wrong:
            raise UsageError(
                f"{self.settings.name}: driver {self.settings.driver} cannot give {count_text(wrong)};"
                f" it gives {count_text(self.gives)}"
            )
        readable = frozenset(self.settings.reads) - self.reads
        if readable:
            raise UsageError(
                f"{self.settings.name}: driver {self.settings.driver} cannot read {', '.join(sorted(readable))};"
                f" it reads {', '.join(sorted(self.reads & frozenset(READINGS))) or 'nothing'}"
            )
