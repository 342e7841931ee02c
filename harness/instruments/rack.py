# SPDX-License-Identifier: Apache-2.0
"""All instruments of a bench as one: inputs spread to them, readings gathered, one way into the safe state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from types import TracebackType
from typing import Self, TypeVar

from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError, HarnessError, UsageError
from harness.instruments.drivers import Send
from harness.instruments.drivers.can_cells import CanCells, no_bus
from harness.instruments.drivers.operator import Operator
from harness.instruments.drivers.table import ALL_DRIVERS, CAN_CELLS, DRIVERS, OPERATOR
from harness.instruments.model import (
    ANALOG,
    LINES,
    READINGS,
    Envelope,
    Inputs,
    Instrument,
    InstrumentSettings,
    Outputs,
)
from harness.instruments.safestep import SafeStep
from harness.instruments.transport import open_transport, terminator_of

Item = TypeVar("Item")
MEASUREMENTS = 3  # of the latency of each instrument; the longest counts


class Rack:
    """Instruments of a bench. As a context manager: safe state on every way out, then closed.

    `latency_s`: between `apply` and the value at the terminals, measured: the longest acknowledged round trip at
    arming, and since then that plus what a busy line has held back.
    """

    def __init__(self, instruments: Sequence[Instrument], clock: Clock) -> None:
        self.instruments = tuple(instruments)
        self.latency_s = 0.0
        self._clock = clock
        self._round_trip_ns: dict[str, int] = {}
        self._applied_ns = 0
        self._held_since_ns: dict[str, int] = {}
        self._strangers: set[str] = set()
        self._identities: dict[str, str] = {}
        self._readings: dict[str, bool] = {}
        self._read_ns: dict[str, int] = {}
        self._polled_ns = clock.now_ns()

    @property
    def accuracy(self) -> Mapping[str, float]:
        """Quantity -> what the bench may err by, in the quantity's unit."""
        return {name: error for instrument in self.instruments for name, error in instrument.settings.accuracy.items()}

    def identify(self) -> dict[str, str]:
        """Name of the instrument -> what it says it is. One BenchError names all that are no model of their driver."""
        identities: dict[str, str] = {}

        def ask(instrument: Instrument) -> None:
            name = instrument.settings.name
            self._strangers.add(name)
            identities[name] = instrument.identify()
            self._strangers.discard(name)

        _each(self.instruments, ask)
        self._identities = identities
        return dict(identities)

    def arm(self, inputs: Inputs | None = None) -> None:
        """Everything off and proven so, values set, sources on, relays closed, supply on; measures `latency_s`.

        BenchError when a quantity or a reading has no instrument; when an instrument fails, all go to the safe state.
        """
        self._refuse_gaps()
        if not self._identities:
            self.identify()
        self.safe()
        if inputs is not None:
            for instrument in self.instruments:
                instrument.check(inputs)
            for instrument in self.instruments:
                instrument.apply(inputs)
        try:
            for instrument in sorted(self.instruments, key=_arm_rank):
                instrument.arm()
            self._measure()
        except BenchError as error:
            self._safe_after(error)
            raise

    def apply(self, inputs: Inputs) -> None:
        """Send what changed; does not wait. A value that is refused is refused before any instrument is written to."""
        for instrument in self.instruments:
            instrument.check(inputs)
        self._applied_ns = self._clock.now_ns()
        for instrument in self.instruments:
            instrument.apply(inputs)

    def poll(self) -> Outputs | None:
        """The contactor drives as last read, with the age of the oldest; None until each was read once. Never waits."""
        now_ns = self._clock.now_ns()
        for instrument in self.instruments:
            for reading, closed in instrument.poll().items():
                self._readings[reading] = closed
                self._read_ns[reading] = self._polled_ns  # it was asked for then: it is at most that old
            self._watch_line(instrument, now_ns)
        self._polled_ns = now_ns
        if any(reading not in self._readings for reading in READINGS):
            return None
        age_ns = now_ns - min(self._read_ns[reading] for reading in READINGS)
        return Outputs(**{reading: self._readings[reading] for reading in READINGS}, age_s=age_ns / NS_PER_S)

    def safe(self) -> None:
        """Every instrument to its safe state, read back; tries all, then one BenchError that names all that failed.

        An instrument that did not say it is a model of its driver when asked is left alone.
        """
        self._readings.clear()
        self._read_ns.clear()
        self._held_since_ns.clear()
        known = self._known_sources_first()
        with suppress(BenchError):  # `safe` says it; here nobody is to wait for one that is silent
            _each(known, lambda instrument: instrument.let_go())
        _each(known, lambda instrument: instrument.safe())

    def is_off(self) -> bool:
        """Whether every instrument reads back as off."""
        return all(instrument.is_off() for instrument in self.instruments)

    def safe_plan(self) -> list[SafeStep]:
        """What the guardian writes, sources first; instruments without a descriptor (operator, CAN) are not in it."""
        return [_safe_step(instrument) for instrument in self._known_sources_first() if instrument.fileno() >= 0]

    def close(self) -> None:
        """Let go of every port; does not change outputs."""
        _each(self.instruments, lambda instrument: instrument.close())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if isinstance(error, HarnessError):
                self._safe_after(error)
            else:
                self.safe()
        finally:
            self.close()

    def _safe_after(self, error: HarnessError) -> None:
        """Safe state after a failure; when that fails too, one BenchError says both."""
        try:
            self.safe()
        except BenchError as second:
            raise BenchError(f"{error}\nOn the way to the safe state: {second}") from error

    def _known_sources_first(self) -> list[Instrument]:
        known = [one for one in self.instruments if one.settings.name not in self._strangers]
        return sorted(known, key=_has_relays)

    def _refuse_gaps(self) -> None:
        given = {name for instrument in self.instruments for name in instrument.settings.channels}
        read = {name for instrument in self.instruments for name in instrument.settings.reads}
        missing = [name for name in ANALOG if name not in given] + [name for name in READINGS if name not in read]
        if missing:
            raise BenchError(f"no instrument gives or reads {', '.join(missing)}. Add one to the bench file.")

    def _measure(self) -> None:
        for instrument in self.instruments:
            longest = 0
            for _ in range(MEASUREMENTS):
                start_ns = self._clock.now_ns()
                instrument.acknowledge()
                longest = max(longest, self._clock.now_ns() - start_ns)
            self._round_trip_ns[instrument.settings.name] = longest
        self.latency_s = max(self._round_trip_ns.values(), default=0) / NS_PER_S

    def _watch_line(self, instrument: Instrument, now_ns: int) -> None:
        name = instrument.settings.name
        if not instrument.busy():
            self._held_since_ns.pop(name, None)
            return
        held_ns = now_ns - self._held_since_ns.setdefault(name, self._applied_ns)
        self.latency_s = max(self.latency_s, (held_ns + self._round_trip_ns.get(name, 0)) / NS_PER_S)


def open_rack(
    instruments: Sequence[InstrumentSettings],
    envelope: Envelope,
    clock: Clock,
    *,
    ask: Callable[[str], str] = input,
    send: Send = no_bus,
) -> Rack:
    """Open every port; when one cannot be had, those opened are closed and one BenchError names all.

    `ask` shows a text to a person and returns what was typed; `send` puts a frame on the bus, for cells over CAN.
    Raises UsageError for a driver that does not exist, or settings its driver cannot use.
    """
    unknown = [settings for settings in instruments if settings.driver not in ALL_DRIVERS]
    if unknown:
        names = ", ".join(f"{settings.name}: '{settings.driver}'" for settings in unknown)
        raise UsageError(f"no such driver: {names}; there are {', '.join(ALL_DRIVERS)}")
    opened: list[Instrument] = []
    with ExitStack() as undo:

        def open_one(settings: InstrumentSettings) -> None:
            instrument = _open(settings, envelope, clock, ask, send, undo)
            opened.append(instrument)

        _each(instruments, open_one)
        undo.pop_all()
    return Rack(opened, clock)


def _open(
    settings: InstrumentSettings,
    envelope: Envelope,
    clock: Clock,
    ask: Callable[[str], str],
    send: Send,
    undo: ExitStack,
) -> Instrument:
    if settings.driver == OPERATOR:
        return Operator(settings, envelope, ask)
    if settings.driver == CAN_CELLS:
        return CanCells(settings, envelope, send)
    transport = open_transport(settings, clock)
    undo.callback(transport.close)
    return DRIVERS[settings.driver](settings, transport, envelope)


def _each(items: Sequence[Item], act: Callable[[Item], None]) -> None:
    """Do it to all, whatever happens to one; then one BenchError with the texts of all that failed."""
    failures: list[str] = []

    def one(item: Item) -> None:
        try:
            act(item)
        except BenchError as error:
            failures.append(str(error))

    with ExitStack() as stack:
        for item in reversed(items):
            stack.callback(one, item)
    if failures:
        raise BenchError("\n".join(failures))


def _arm_rank(instrument: Instrument) -> int:
    """Sources, then relays, then the supply: the controller wakes up with its sensors in place."""
    return 2 if "supply_v" in instrument.settings.channels else int(_has_relays(instrument))


def _has_relays(instrument: Instrument) -> bool:
    """Whether it switches lines of its own; a supply that is switched by its output is a source."""
    return any(name in LINES and name != "supply_connected" for name in instrument.settings.channels)


def _safe_step(instrument: Instrument) -> SafeStep:
    end = terminator_of(instrument.settings)
    return SafeStep(
        name=instrument.settings.name,
        fd=instrument.fileno(),
        data=b"".join(line.encode("ascii") + end for line in instrument.safe_lines()),
        checks=tuple(
            (query.encode("ascii") + end, answer.encode("ascii")) for query, answer in instrument.off_checks()
        ),
    )
