# SPDX-License-Identifier: Apache-2.0
"""An instrument's side of SCPI: headers in short and long form, the path rule, channel lists, the error queue.

Written from SCPI-1999 vol. 1 (syntax: 5 and 6; channel lists: 8.3.2) and vol. 2 (SYSTem:ERRor, 21.8), and from
IEEE 488.2 (common commands, ";" between message units). Shares nothing with the drivers.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.instruments.devices import DeviceFault
from harness.instruments.model import InstrumentSettings

LONGEST_MESSAGE = 65_536
QUEUE = 20
OTHER_MODEL = "Example Instruments,Model 1,0,1.0"
GARBAGE = b"\x00\xff\xfe\x81 garbage \x07\r\n"
NODE = re.compile(r"(\[?):?([A-Z]+)([a-z]*)(<n>)?(\]?)")
TOKEN = re.compile(r"^([A-Z]+?)(\d*)$")


class DeviceError(Exception):
    """An entry for the error queue."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f'{code},"{text}"')


UNDEFINED = (-113, "Undefined header")
MISSING = (-109, "Missing parameter")
DATA_TYPE = (-104, "Data type error")
OUT_OF_RANGE = (-222, "Data out of range")
ILLEGAL = (-224, "Illegal parameter value")


@dataclass(frozen=True, slots=True)
class Call:
    """One message unit: parameters without the channel list, channels as listed, numbers at the end of header nodes."""

    parameters: Sequence[str]
    channels: tuple[int, ...]
    suffixes: tuple[int, ...]

    def number(self, least: float = -np.inf, greatest: float = np.inf) -> float:
        """The only parameter as a number within limits."""
        if len(self.parameters) != 1:
            raise DeviceError(*MISSING)
        try:
            value = float(self.parameters[0])
        except ValueError:
            raise DeviceError(*DATA_TYPE) from None
        if not least <= value <= greatest:
            raise DeviceError(*OUT_OF_RANGE)
        return value

    def switch(self) -> bool:
        """The only parameter as a Boolean: ON, OFF, 1, 0."""
        if len(self.parameters) != 1:
            raise DeviceError(*MISSING)
        word = self.parameters[0].upper()
        if word not in {"ON", "OFF", "1", "0"}:
            raise DeviceError(*ILLEGAL)
        return word in {"ON", "1"}

    def targets(self, most: int) -> tuple[int, ...]:
        """Channels meant: those of the list, else the number in the header (1 without one). All within 1 to `most`."""
        channels = self.channels or (self.suffixes[0] if self.suffixes and self.suffixes[0] else 1,)
        if any(not 1 <= channel <= most for channel in channels):
            raise DeviceError(*OUT_OF_RANGE)
        return channels


Handler = Callable[[Call], str | None]


class Interpreter:
    """A command tree and an error queue. `commands`: pattern of the manual -> handler; queries end in "?".

    `no_error`: what SYSTem:ERRor? answers when the queue is empty; None: the instrument has no such query.
    """

    def __init__(
        self, commands: Mapping[str, Handler], reset: Callable[[], None], no_error: str | None = '0,"No error"'
    ) -> None:
        self._no_error = no_error
        self._handlers: dict[str, Handler] = {}
        self._known: dict[str, tuple[Handler, tuple[int, ...]]] = {}
        self.errors: deque[str] = deque()
        own: dict[str, Handler] = {
            "*CLS": lambda _call: self.errors.clear(),
            "*OPC?": lambda _call: "1",
            "*RST": lambda _call: reset(),
        }
        for header, handler in own.items():
            self._known[header] = (handler, ())
        if no_error is not None:
            commands = {**commands, "SYSTem:ERRor[:NEXT]?": self._next_error}
        for pattern, handler in commands.items():
            if pattern.startswith("*"):
                self._known[pattern] = (handler, ())
                continue
            for header in _forms(pattern):
                self._handlers[header] = handler

    def message(self, text: str) -> str:
        """Carry out one message; the answers of its queries, joined by ';'. Empty when it asked nothing."""
        answers: list[str] = []
        path = ""
        for unit in _units(text):
            header, _, rest = unit.strip().partition(" ")
            if not header:
                continue
            header, rest = _detach_list(header.upper(), rest)
            full = header if header.startswith("*") else header[1:] if header.startswith(":") else path + header
            if not header.startswith("*"):
                path = full.rpartition(":")[0] + ":" if ":" in full else ""
            try:
                answer = self._call(full, rest)
            except DeviceError as error:
                self.note(error)
                continue
            if answer is not None:
                answers.append(answer)
        return ";".join(answers)

    def note(self, error: DeviceError) -> None:
        """Queue an error; the last of a full queue becomes -350."""
        if len(self.errors) >= QUEUE:
            self.errors[-1] = '-350,"Queue overflow"'
        else:
            self.errors.append(str(error))

    def _next_error(self, _call: Call) -> str | None:
        return self.errors.popleft() if self.errors else self._no_error

    def _call(self, header: str, rest: str) -> str | None:
        known = self._known.get(header) or self._resolve(header)
        parameters, channels = _parameters(rest)
        return known[0](Call(parameters, channels, known[1]))

    def _resolve(self, header: str) -> tuple[Handler, tuple[int, ...]]:
        names: list[str] = []
        suffixes: list[int] = []
        for node in header.rstrip("?").split(":"):
            match = TOKEN.match(node)
            if match is None:
                raise DeviceError(*UNDEFINED)
            names.append(match[1] + ("#" if match[2] else ""))
            if match[2]:
                suffixes.append(int(match[2]))
        plain = ":".join(names) + ("?" if header.endswith("?") else "")
        handler = self._handlers.get(plain)
        if handler is None:
            raise DeviceError(*UNDEFINED)
        self._known[header] = (handler, tuple(suffixes))
        return self._known[header]


class ScpiDevice(ABC):
    """One emulated instrument with one interpreter. `Device` of harness.instruments.devices."""

    identity = ""

    def __init__(self, settings: InstrumentSettings) -> None:
        if not settings.channels and not settings.reads:
            raise UsageError(f"{settings.name}: gives and reads nothing; give it channels, or leave it out")
        self.settings = settings
        self.fault = DeviceFault.NONE
        self._input = bytearray()
        self._ever_on: set[str] = set()

    def feed(self, data: bytes) -> bytes:
        """Bytes in any pieces; the answers to the messages that are now complete."""
        self._input += data
        *whole, rest = self._input.replace(b"\r", b"\n").split(b"\n")
        self._input = bytearray(rest[-LONGEST_MESSAGE:])
        if self.fault is DeviceFault.SILENT:
            return b""
        return b"".join(self._answer(bytes(line)) for line in whole if line.strip())

    def drive(self, reading: str, *, closed: bool) -> None:
        """Nothing is read back by this instrument."""
        raise ValueError(reading, closed)

    @abstractmethod
    def given(self) -> Mapping[str, NDArray[np.float64]]:
        """See Device."""

    @property
    @abstractmethod
    def is_off(self) -> bool:
        """See Device."""

    @abstractmethod
    def _message(self, text: str) -> str:
        """Carry out one message."""

    def _identify(self, _call: Call) -> str:
        return OTHER_MODEL if self.fault is DeviceFault.OTHER_MODEL else self.identity

    def _answer(self, line: bytes) -> bytes:
        answer = self._message(line.decode("ascii", errors="replace"))
        if self.fault is DeviceFault.GARBAGE:
            return GARBAGE if b"?" in line else b""
        return answer.encode("ascii") + b"\r\n" if answer else b""

    def _seen(self, given: Mapping[str, NDArray[np.float64]], on: Mapping[str, bool]) -> dict[str, NDArray[np.float64]]:
        """Of all quantities those whose output was on at some time."""
        self._ever_on |= {name for name, now in on.items() if now}
        return {name: values for name, values in given.items() if name in self._ever_on}


def number_text(value: float) -> str:
    """NR3 as Keysight instruments answer: +1.00000000E+00."""
    return f"{value:+.8E}"


def _forms(pattern: str) -> Iterator[str]:
    """All spellings of a header pattern of a manual: optional nodes there or not, short or long, numbered or not."""
    query = "?" if pattern.endswith("?") else ""
    choices: list[list[str]] = []
    for match in NODE.finditer(pattern.rstrip("?")):
        optional, short, tail, numbered, _ = match.groups()
        names = {short, (short + tail).upper()}
        spellings = [*names, *(f"{name}#" for name in names if numbered)]
        choices.append(["", *spellings] if optional else spellings)
    for nodes in product(*choices):
        yield ":".join(node for node in nodes if node) + query


def _units(text: str) -> Iterator[str]:
    """Message units between semicolons outside of quotes."""
    unit, quoted = "", ""
    for letter in text:
        if quoted:
            quoted = "" if letter == quoted else quoted
        elif letter in "\"'":
            quoted = letter
        elif letter == ";":
            yield unit
            unit = ""
            continue
        unit += letter
    yield unit


def _detach_list(header: str, rest: str) -> tuple[str, str]:
    """A list may follow a query without a space."""
    place = header.find("(")
    return (header, rest) if place < 0 else (header[:place], header[place:] + rest)


def _parameters(text: str) -> tuple[list[str], tuple[int, ...]]:
    channels: tuple[int, ...] = ()
    place = text.find("(@")
    if place >= 0:
        end = text.find(")", place)
        if end < 0:
            raise DeviceError(-170, "Expression error")
        channels = tuple(_channels(text[place + 2 : end]))
        text = text[:place] + text[end + 1 :]
    return [part.strip() for part in text.split(",") if part.strip()], channels


def _channels(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, colon, last = part.partition(":")
        try:
            begin = int(first)
            end = int(last) if colon else begin
        except ValueError:
            raise DeviceError(-171, "Invalid expression") from None
        yield from range(begin, end + 1)
