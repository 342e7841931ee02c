# SPDX-License-Identifier: Apache-2.0
"""A profile file held against its database: every name, state, range and place checked, all problems at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path

import numpy as np

from harness.canbus.batch import Decoder
from harness.canbus.database import Database
from harness.canbus.diagnostics import resolve_diagnostics
from harness.canbus.e2e import AutosarChecksum, Checksum
from harness.canbus.e2e_file import resolve_e2e
from harness.canbus.encoding import encode_message, limits, value_problem
from harness.canbus.model import Message, Signal
from harness.canbus.product import Binding, Location, Profile, Protection, RestbusMessage, States, Value
from harness.canbus.profile_file import (
    COMMANDS,
    RECEIVED_STATES,
    RECEIVED_VALUES,
    SENT_VALUES,
    ArrayModel,
    CounterModel,
    CrcModel,
    HeardModel,
    MessageModel,
    ProfileFile,
    RestbusModel,
    SignalModel,
)
from harness.canbus.profile_place import by_header, locate, position_of
from harness.errors import Problem, RigError
from harness.tomlfile import KeyPath, problem_at
from harness.units import ARRAYS, CONTROLLER_STATES, QUANTITIES, is_known

_NUMBER = re.compile(r"\{i(?::0(\d)d)?\}")
_SHOWN = 12
_BYTE = 8
_MAX_COUNTER = 32767  # int16 in the kernel


def choices(found: str, known: Iterable[str]) -> str:
    """What is allowed instead of a wrong name: the nearest names, or all of them where they are few."""
    names = sorted(known)
    near = get_close_matches(found, names, 3)
    if near:
        return "did you mean " + " or ".join(repr(name) for name in near) + "?"
    shown = ", ".join(names[:_SHOWN])
    return shown + (f", ... ({len(names)} names)" if len(names) > _SHOWN else "")


def numbered(name: str, number: int) -> str:
    """A name with its `{i}` replaced by a number."""
    return _NUMBER.sub(lambda width: f"{number:0{width[1] or 0}d}", name)


class Resolver:
    """Builds a Profile from its file and collects what is wrong on the way."""

    def __init__(self, file: ProfileFile, database: Database, path: Path, text: str) -> None:
        self.file, self.database, self.path, self.text = file, database, path, text
        self.problems: list[Problem] = []
        self.bindings: dict[str, Binding] = {}

    def resolve(self) -> Profile:
        """The profile. Raises RigError with all problems."""
        for path, entry in self.file.signals.items():
            self._bind(("signals", path), path, entry)
        for number, array in enumerate(self.file.arrays):
            self._bind_array(("arrays", number), array)
        protections = {
            name: self._protected(("messages", name), message, entry)[0]
            for name, entry in self.file.messages.items()
            if (message := self._message(("messages", name), name)) is not None
        }
        restbus = [self._restbus(name, entry) for name, entry in self.file.restbus.items()]
        commands = {name: self._command(name, values) for name, values in self.file.commands.items()}
        environment = {name: self._heard(name, entry) for name, entry in self.file.environment.items()}
        diagnostics = resolve_diagnostics(self.file.diagnostics, self._wrong)
        if self.problems:
            raise RigError(self.problems)
        return Profile(
            path=self.path,
            title=self.file.title,
            database=self.database,
            decoder=Decoder(self.database, self.file.restbus),
            bindings=self.bindings,
            protections=protections,
            restbus=tuple(message for message in restbus if message is not None),
            commands=commands,
            environment={name: place for name, place in environment.items() if place is not None},
            diagnostics=diagnostics,
        )

    def _wrong(self, key: KeyPath, found: object, allowed: str) -> None:
        self.problems.append(problem_at(self.path, self.text, key, found=found, allowed=allowed))

    # ---- names ---------------------------------------------------------------------------------------------

    def _message(self, key: KeyPath, name: str) -> Message | None:
        message = self.database.by_name.get(name)
        if message is None:
            allowed = f"a message of {self.database.path.name}: {choices(name, self.database.by_name)}"
            self._wrong(key, name, allowed)
        return message

    def _signal(self, key: KeyPath, message: Message, name: str) -> Signal | None:
        signal = message.by_name.get(name)
        if signal is None:
            self._wrong(key, name, f"a signal of {message.name}: {choices(name, message.by_name)}")
        elif not (signal.decodable and signal.fits(message.length)):
            self._wrong(key, name, f"a signal of at most 64 bits inside the {message.length} bytes of {message.name}")
            return None
        return signal

    def _find(self, key: KeyPath, path: str) -> tuple[Message, Signal] | None:
        name, dot, signal_name = path.partition(".")
        if not dot:
            self._wrong(key, path, "'Message.Signal'")
            return None
        message = self._message(key, name)
        signal = self._signal(key, message, signal_name) if message else None
        return (message, signal) if message and signal else None

    # ---- quantities ----------------------------------------------------------------------------------------

    def _bind(self, key: KeyPath, path: str, entry: SignalModel) -> None:
        found = self._find(key, path)
        if entry.quantity in ARRAYS:
            self._wrong(key, entry.quantity, f"one element, such as {entry.quantity}[1], or an [[arrays]] table")
        elif not is_known(entry.quantity):
            self._wrong(key, entry.quantity, f"a quantity: {choices(entry.quantity, (*QUANTITIES, *ARRAYS))}")
        elif entry.quantity in self.bindings:
            self._wrong(key, entry.quantity, f"each quantity once; {self.bindings[entry.quantity].path} reports it")
        if entry.scale == 0.0:
            self._wrong((*key, "scale"), entry.scale, "a factor other than 0")
        if found is not None:
            states = self._states(key, found[1], entry)
            self.bindings.setdefault(entry.quantity, Binding(entry.quantity, path, entry.scale, entry.offset, states))

    def _states(self, key: KeyPath, signal: Signal, entry: SignalModel) -> States | None:
        if entry.quantity == "bms_state" and not entry.states:
            self._wrong(key, "no states", "states = { NameInTheValueTable = 'drive', ... }")
        if not entry.states:
            return None
        if entry.quantity != "bms_state":
            self._wrong((*key, "states"), entry.quantity, "states only for bms_state")
        states: dict[int, int] = {}
        for name, canonical in entry.states.items():
            raw = self._raw_state((*key, "states", name), signal, name)
            if canonical not in CONTROLLER_STATES:
                self._wrong((*key, "states", name), canonical, f"a state: {choices(canonical, CONTROLLER_STATES)}")
            elif raw is not None:
                states[raw] = CONTROLLER_STATES[canonical]
        raws = sorted(states)
        return States(np.array(raws, np.int64), np.array([states[raw] for raw in raws], np.float64)) if raws else None

    def _raw_state(self, key: KeyPath, signal: Signal, name: str) -> int | None:
        """The raw value of a state: by its name in the value table, or by its number where there is no such name."""
        raw = signal.raw_state(name)
        if raw is None and name.isdecimal() and int(name) < 1 << signal.length:
            return int(name)
        if raw is None:
            named = choices(name, signal.states.values())
            allowed = named if signal.states else f"a number: {signal.name} has no value table"
            self._wrong(key, name, allowed)
        return raw

    def _bind_array(self, key: KeyPath, array: ArrayModel) -> None:
        if array.quantity not in ARRAYS:
            self._wrong((*key, "quantity"), array.quantity, f"an array: {choices(array.quantity, ARRAYS)}")
        if not _NUMBER.search(array.signal):
            self._wrong((*key, "signal"), array.signal, "a name with {i} or {i:03d} in the place of the number")
            return
        missing = []
        for number in range(1, array.count + 1):
            path = numbered(array.signal, array.first + number - 1)
            quantity = f"{array.quantity}[{number}]"
            if self.database.find(path) is None:
                missing.append(path)
            elif quantity in self.bindings:
                self._wrong(key, quantity, f"each quantity once; {self.bindings[quantity].path} reports it")
            else:
                self.bindings[quantity] = Binding(quantity, path, array.scale, array.offset)
        if missing:
            found = f"{len(missing)} of {array.count} signals that do not exist, the first {missing[0]}"
            self._wrong((*key, "signal"), found, f"signals of {self.database.path.name}")

    # ---- protection ----------------------------------------------------------------------------------------

    def _protected(
        self, key: KeyPath, message: Message, entry: MessageModel | RestbusModel
    ) -> tuple[Protection, tuple[int, int]]:
        """Counter and checksum of a message, and where the counter is: lowest bit and length, -1 and 0 for none."""
        if entry.e2e is None:
            place = self._counter_place((*key, "counter"), message, entry.counter)
            return self._protection(key, message, entry.counter, entry.crc), place
        found, wrong = resolve_e2e(entry.e2e, message, counter=entry.counter, crc=entry.crc)
        for inside, value, allowed in wrong:
            self._wrong((*key, *inside), value, allowed)
        if found.from_header:
            return by_header(message, found), (found.counter_start_bit, found.counter_length)
        modulus = self._counter_modulus((*key, "counter"), message, entry.counter) if entry.counter else 0
        name = entry.counter.signal if entry.counter else None
        counter_place = self._counter_place((*key, "counter"), message, entry.counter)
        return Protection(name, modulus, entry.e2e.signal, found.checksum), counter_place

    def _protection(
        self, key: KeyPath, message: Message, counter: CounterModel | None, crc: CrcModel | None
    ) -> Protection:
        modulus = self._counter_modulus((*key, "counter"), message, counter) if counter else 0
        checksum = self._checksum((*key, "crc"), message, crc) if crc else None
        return Protection(
            counter.signal if counter else None, modulus, crc.signal if crc and checksum else None, checksum
        )

    def _counter_modulus(self, key: KeyPath, message: Message, counter: CounterModel) -> int:
        signal = self._signal(key, message, counter.signal)
        if signal is None:
            return 0
        highest = (1 << signal.length) - 1
        if counter.max is not None and counter.max > highest:
            self._wrong(key, counter.max, f"at most {highest}: the counter has {signal.length} bits")
        return 1 + (int(min(limits(signal)[1], highest)) if counter.max is None else counter.max)

    def _checksum(self, key: KeyPath, message: Message, crc: CrcModel) -> Checksum | AutosarChecksum | None:
        signal = self._signal(key, message, crc.signal)
        if signal is None:
            return None
        if crc.autosar is not None:
            return self._autosar(key, message, crc)
        if signal.length != _BYTE or signal.first_bit % _BYTE:
            self._wrong(key, f"{crc.signal}, {signal.length} bits from bit {signal.start_bit}", "one whole byte")
        if crc.data_id is not None and crc.data_id >= 1 << _BYTE:
            self._wrong((*key, "data_id"), crc.data_id, "0 to 255 for a CRC-8")
            return None
        position = signal.first_bit // _BYTE
        return Checksum(position, message.length, crc.polynomial, crc.initial, crc.final_xor, crc.data_id)

    def _autosar(self, key: KeyPath, message: Message, crc: CrcModel) -> AutosarChecksum | None:
        assert crc.autosar is not None
        if (crc.autosar == "P02") != (crc.data_ids is not None) or (crc.autosar != "P02") != (crc.data_id is not None):
            self._wrong(key, crc.autosar, "data_ids (16 bytes) with P02, data_id with P01 and P05")
            return None
        return AutosarChecksum(crc.autosar, message.length, crc.data_id or 0, crc.data_ids or ())

    # ---- rest bus ------------------------------------------------------------------------------------------

    def _restbus(self, name: str, entry: RestbusModel) -> RestbusMessage | None:
        key: KeyPath = ("restbus", name)
        message = self._message(key, name)
        if message is None:
            return None
        before = len(self.problems)
        period_ms = entry.period_ms or message.cycle_ms
        if not period_ms:
            self._wrong(key, "no period", "period_ms here, or GenMsgCycleTime in the database")
        protection, (start_bit, length) = self._protected(key, message, entry)
        if entry.crc is not None and isinstance(protection.checksum, AutosarChecksum):
            self._wrong((*key, "crc"), protection.checksum.profile, "a CRC-8 here, or e2e = { profile = ... }")
        if length > _BYTE:
            self._wrong((*key, "counter"), f"a counter of {length} bits", "at most 8 bits")
        self._check_values((*key, "values"), message, entry.values)
        dynamic = self._dynamic(key, message, entry)
        if len(self.problems) > before or not period_ms:
            return None
        checksum = protection.checksum
        return RestbusMessage(
            name=name,
            id=message.id,
            extended=message.extended,
            length=message.length,
            node=entry.node,
            period_ms=period_ms,
            offset_ms=entry.offset_ms,
            payload=encode_message(self.database, name, entry.values),
            values=entry.values,
            requires_plug=entry.requires_plug,
            counter_start_bit=start_bit,
            counter_length=length,
            counter_max=max(0, protection.counter_modulus - 1),
            crc_byte=position_of(checksum),
            checksum=checksum,
            dynamic=dynamic,
            needs=entry.needs,
            age=entry.age,
        )

    def _counter_place(self, key: KeyPath, message: Message, counter: CounterModel | None) -> tuple[int, int]:
        signal = message.by_name.get(counter.signal) if counter else None
        if counter is None or signal is None:
            return -1, 0
        inside = signal.first_bit % _BYTE + signal.length <= _BYTE
        if signal.big_endian and not inside:
            self._wrong(key, counter.signal, "a counter inside one byte, or a little-endian one")
        if counter.max is not None and counter.max > _MAX_COUNTER:
            self._wrong(key, counter.max, f"at most {_MAX_COUNTER}")
        start = signal.start_bit - signal.length + 1 if signal.big_endian else signal.start_bit
        return start, signal.length

    def _check_values(self, key: KeyPath, message: Message, values: Mapping[str, Value]) -> None:
        for name, value in values.items():
            signal = self._signal((*key, name), message, name)
            problem = value_problem(signal, value) if signal else None
            if problem:
                self.problems.append(problem_at(self.path, self.text, (*key, name), found=value, allowed=problem[1]))

    def _dynamic(self, key: KeyPath, message: Message, entry: RestbusModel) -> Mapping[str, Location]:
        places: dict[str, Location] = {}
        for name, value in entry.dynamic.items():
            at = (*key, "dynamic", name)
            signal = self._signal(at, message, name)
            if value not in SENT_VALUES:
                self._wrong(at, value, choices(value, SENT_VALUES))
            elif value in places:
                self._wrong(at, value, "each value once in a message")
            elif signal is not None and self._is_integer(at, signal):
                places[value] = locate(message, signal)
        return places

    def _is_integer(self, key: KeyPath, signal: Signal) -> bool:
        if signal.is_float or signal.multiplexer is not None:
            self._wrong(key, signal.name, "an integer signal that is in every frame of its message")
            return False
        return True

    # ---- commands and environment --------------------------------------------------------------------------

    def _command(self, name: str, values: Mapping[str, Value]) -> Mapping[str, Mapping[str, Value]]:
        key: KeyPath = ("commands", name)
        if name not in COMMANDS:
            self._wrong(key, name, choices(name, COMMANDS))
        command: dict[str, dict[str, Value]] = {}
        for path, value in values.items():
            found = self._find((*key, path), path)
            if found is None:
                continue
            message, signal = found
            if message.name not in self.file.restbus:
                self._wrong((*key, path), path, f"a message of [restbus]: {choices(message.name, self.file.restbus)}")
            problem = value_problem(signal, value)
            if problem:
                self._wrong((*key, path), value, problem[1])
            command.setdefault(message.name, {})[signal.name] = value
        return command

    def _heard(self, name: str, entry: HeardModel) -> Location | None:
        key: KeyPath = ("environment", name)
        known = (*RECEIVED_VALUES, *RECEIVED_STATES)
        if name not in known:
            self._wrong(key, name, choices(name, known))
        found = self._find(key, entry.signal)
        if found is None or not self._is_integer(key, found[1]):
            return None
        match = self._match(key, found[1], entry.states) if entry.states else None
        return locate(*found, scale=entry.scale, offset=entry.offset, match=match)

    def _match(self, key: KeyPath, signal: Signal, states: tuple[str, ...]) -> tuple[int, int] | None:
        raws = sorted(raw for name in states if (raw := self._raw_state((*key, "states"), signal, name)) is not None)
        if not raws:
            return None
        if raws[-1] - raws[0] != len(raws) - 1 or raws == [0]:
            self._wrong(
                (*key, "states"), list(states), "states next to each other in the value table, not only number 0"
            )
        return raws[0], raws[-1]
