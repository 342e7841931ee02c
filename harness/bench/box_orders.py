# SPDX-License-Identifier: Apache-2.0
"""What a person or a test can do to a bench in a box: one order a line."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from harness.bench.box import GARBAGE, Box, Station
from harness.bench.box_can import LOWEST_PRIORITY, FloodedPort, PluggedPort
from harness.clock import NS_PER_S, Clock
from harness.errors import UsageError
from harness.instruments.devices import DeviceFault
from harness.units import CONTROLLER_STATES

CAN = "can"
HELP = """\
silent NAME         the instrument takes no command and answers nothing
garbage NAME        the instrument answers bytes that are no line
other-model NAME    the instrument identifies as another model
good NAME           the instrument is well again
restart NAME        mains of the instrument off and on: its outputs are off
unplug NAME|can     the port is gone; an instrument's outputs stay as they are
plug NAME|can       the port is back
noise NAME|can      bytes on the line that nobody sent, until 'quiet'
flood [ID]          another node fills the bus with frames of ID (hex, 7FF without), until 'quiet'
quiet               no noise, no flood
in SECONDS ORDER    the order, later
once STATE ORDER    the order, when the controller next comes into this state, e.g. standby
quit                end"""
_FAULTS = {fault.value: fault for fault in DeviceFault} | {"good": DeviceFault.NONE}
_LONGEST_S = 3600.0
_NOISE_PERIOD_NS = NS_PER_S // 50


@dataclass(frozen=True, slots=True)
class _Once:
    """An order that waits for a state."""

    state: str
    line: str
    was_elsewhere: bool = False


class Switchboard:
    """Carries orders out and keeps up what goes on in time. `quit` sets `ended`."""

    def __init__(
        self, box: Box, can: FloodedPort, plug: PluggedPort | None, clock: Clock, state: Callable[[], str]
    ) -> None:
        """`state`: what the controller reports."""
        self._box = box
        self._state = state
        self._can = can
        self._plug = plug
        self._clock = clock
        self._noisy: dict[str, Callable[[bytes], None]] = {}
        self._noise_ns = 0
        self._later: list[tuple[int, str]] = []
        self._once: list[_Once] = []
        self.ended = False

    def order(self, line: str) -> None:
        """Carry out one order, or note it for later. UsageError says what there is."""
        match line.split(maxsplit=2):
            case ["in", seconds, later]:
                self._later.append((self._clock.now_ns() + int(_seconds(seconds) * NS_PER_S), later))
            case ["once", state, later]:
                if state not in CONTROLLER_STATES:
                    raise UsageError(f"'{state}' is no state; allowed: {', '.join(CONTROLLER_STATES)}")
                self._once.append(_Once(state, later))
            case _:
                self._carry_out(line)

    def _carry_out(self, line: str) -> None:
        verb, *words = line.split()
        match verb, words:
            case "quit", []:
                self.ended = True
            case "quiet", []:
                self._can.calm()
                self._noisy.clear()
            case "flood", []:
                self._can.flood()
            case "flood", [identifier]:
                self._can.flood(_identifier(identifier))
            case (("unplug" | "plug"), [name]):
                self._switch(name, on=verb == "plug")
            case "restart", [name]:
                self._station(name).restart()
            case "noise", [name]:
                self._noisy[name] = self._noise_of(name)
            case _, [name] if verb in _FAULTS:
                self._station(name).device.fault = _FAULTS[verb]
            case _:
                raise UsageError(f"'{line}' is no order; there are:\n{HELP}")

    def tick(self) -> None:
        """Called once a tick: noise goes on, orders for later come. Raises UsageError for one of them that is none."""
        now_ns = self._clock.now_ns()
        due = [line for at_ns, line in self._later if at_ns <= now_ns]
        self._later = [(at_ns, line) for at_ns, line in self._later if at_ns > now_ns]
        for line in (*due, *self._reached()):
            self.order(line)
        if self._noisy and now_ns >= self._noise_ns:
            self._noise_ns = now_ns + _NOISE_PERIOD_NS
            for make in self._noisy.values():
                make(GARBAGE)

    def acting(self) -> Sequence[str]:
        """What goes on now, for a status line."""
        flood = [] if self._can.flood_id is None else [f"flood {self._can.flood_id:X}"]
        later = [*(line for _, line in self._later), *(once.line for once in self._once)]
        return [*flood, *(f"noise {name}" for name in self._noisy), *(f"later {line}" for line in later)]

    def _reached(self) -> list[str]:
        """Orders whose state the controller has just come into."""
        if not self._once:
            return []
        state = self._state()
        due = [once for once in self._once if once.was_elsewhere and once.state == state]
        self._once = [
            replace(once, was_elsewhere=once.was_elsewhere or once.state != state)
            for once in self._once
            if once not in due
        ]
        return [once.line for once in due]

    def _switch(self, name: str, *, on: bool) -> None:
        what = self._adapter() if name == CAN else self._station(name)
        if on:
            what.plug()
        else:
            what.unplug()

    def _noise_of(self, name: str) -> Callable[[bytes], None]:
        if name != CAN:
            return self._station(name).noise
        noise: Callable[[bytes], None] | None = getattr(self._adapter(), "noise", None)
        if noise is None:
            raise UsageError("this CAN adapter is no serial line: there can be no noise on it")
        return noise

    def _adapter(self) -> PluggedPort:
        if self._plug is None:
            raise UsageError("the CAN adapter is not emulated here: it cannot be unplugged")
        return self._plug

    def _station(self, name: str) -> Station:
        if name not in self._box.stations:
            allowed = ", ".join(self._box.stations) or "none"
            raise UsageError(f"no instrument '{name}'; there are: {allowed}")
        return self._box.stations[name]


def _seconds(text: str) -> float:
    try:
        seconds = float(text.removesuffix("s"))
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds <= _LONGEST_S:
        raise UsageError(f"'{text}' is no time; allowed: 0 to {_LONGEST_S:g} s, e.g. 2.5s")
    return seconds


def _identifier(text: str) -> int:
    try:
        identifier = int(text, 16)
    except ValueError:
        identifier = -1
    if not 0 <= identifier <= LOWEST_PRIORITY:
        raise UsageError(f"'{text}' is no identifier; allowed: 0 to 7FF, hexadecimal")
    return identifier
