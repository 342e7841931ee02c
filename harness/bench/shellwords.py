# SPDX-License-Identifier: Apache-2.0
"""What can be typed in the shell: one line becomes one order. Nothing is done here.

Every error is a UsageError of one line that says what is allowed.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import pydantic

from harness.errors import UsageError
from harness.faults.catalogue import kind_named
from harness.faults.check import Bounds, check, number_or_text
from harness.scenario import CommandAction, FaultAction
from harness.units import CONTROLLER_STATES

PATIENCE_S = 60.0  # how long `wait until` waits when nothing is said
_UNITS_S: Mapping[str, float] = {"ms": 1e-3, "s": 1.0, "min": 60.0}
_LONGEST_WAIT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Inject:
    """Begin a fault now."""

    action: FaultAction


@dataclass(frozen=True, slots=True)
class Clear:
    """End the faults with a label or of a kind; "" = all."""

    label: str


@dataclass(frozen=True, slots=True)
class Do:
    """What a driver, an operator or a workshop would do."""

    action: CommandAction


@dataclass(frozen=True, slots=True)
class Wait:
    """Take the next order when so much time has passed."""

    seconds: float


@dataclass(frozen=True, slots=True)
class WaitUntil:
    """Take the next order when a flag is (or is not) on the bus, or the controller reports a state."""

    flag: str
    state: str
    wanted: bool
    within_s: float

    def __str__(self) -> str:
        """As it was typed."""
        return f"state {self.state}" if self.state else self.flag if self.wanted else f"not {self.flag}"


@dataclass(frozen=True, slots=True)
class Note:
    """Remember a moment by a text."""

    text: str


@dataclass(frozen=True, slots=True)
class Save:
    """Write what was done so far as a scenario file."""

    path: Path


@dataclass(frozen=True, slots=True)
class Status:
    """Say how things stand, on one line."""


@dataclass(frozen=True, slots=True)
class Help:
    """Explain a command, or name all."""

    topic: str


@dataclass(frozen=True, slots=True)
class Quit:
    """End it."""


Order = Inject | Clear | Do | Wait | WaitUntil | Note | Save | Status | Help | Quit

# command -> (how it is typed, what it does)
HELP: Mapping[str, tuple[str, str]] = {
    "inject": ("inject FAULT key=value ... [for_s=S] [label=NAME]", "begin a fault now; Tab offers faults and keys"),
    "clear": ("clear [LABEL|FAULT|all]", "end faults put in by hand; all without a name"),
    "drive": ("drive", "unplug and ask for drive"),
    "charge": ("charge", "plug in and ask for charge"),
    "standby": ("standby", "ask for standby: contactors open"),
    "plug-in": ("plug-in", "put the charging plug in and ask for nothing"),
    "unplug": ("unplug", "pull the charging plug, whatever is asked for"),
    "ignition": ("ignition on|off", "turn the key"),
    "power-cycle": ("power-cycle [off_s=S]", "controller off, for 1 s if nothing is said, then on"),
    "reset": ("reset", "ask for the release of latched faults"),
    "set": ("set soc=PCT | set load=FACTOR", "all cells to a state of charge; scale the duty profile, 0 = standstill"),
    "wait": ("wait 2s | wait until [not] FLAG | wait until state NAME  [within 10s]", "hold back the next command"),
    "mark": ("mark TEXT", "remember this moment by a text"),
    "save": ("save FILE", "write what was typed so far as a scenario that 'bms-harness replay' plays"),
    "status": ("status", "how things stand, on one line"),
    "help": ("help [COMMAND]", "explain a command"),
    "quit": ("quit", "end, judge what was done and keep it"),
}
REQUESTS = ("drive", "charge", "standby", "plug-in", "unplug")


def parse(line: str, bounds: Bounds, flags: Collection[str]) -> Order | None:
    """The order of a line; None for an empty one or a remark (#). Raises UsageError."""
    head, _, text = line.strip().partition(" ")
    if head == "mark":  # its text is free: quotes and # mean nothing in it
        if not text.strip():
            raise UsageError(f"mark what? {usage('mark')}")
        return Note(text.strip())
    try:
        words = shlex.split(line, comments=True)
    except ValueError as error:
        raise UsageError(f"{error}: quotes come in pairs") from error
    if not words:
        return None
    name, rest = words[0], words[1:]
    if name in REQUESTS:
        _nothing_more(name, rest)
        return Do(CommandAction(at_s=0.0, do=name))  # type: ignore[arg-type] # one of REQUESTS
    if name == "wait":
        return _wait(rest, flags)
    if name == "inject":
        return Inject(_fault(rest, bounds))
    reader = _READERS.get(name)
    if reader is None:
        raise UsageError(f"no command '{name}'{_near(name, HELP)}; there are: {', '.join(HELP)}")
    return reader(rest)


def usage(name: str) -> str:
    """How a command is typed."""
    return f"type: {HELP[name][0]}"


def seconds_of(text: str) -> float:
    """A time such as 2s, 500ms, 1.5min or a plain number of seconds. Raises UsageError."""
    unit = next((unit for unit in sorted(_UNITS_S, key=len, reverse=True) if text.endswith(unit)), "")
    number = number_or_text(text[: len(text) - len(unit)])
    seconds = -1.0 if isinstance(number, str) else number * _UNITS_S.get(unit, 1.0)
    if not 0.0 <= seconds <= _LONGEST_WAIT_S:
        raise UsageError(f"'{text}' is not a time; allowed: 0 s to 1 h, e.g. 2s, 500ms or 1.5min")
    return seconds


def _fault(words: Sequence[str], bounds: Bounds) -> FaultAction:
    if not words:
        raise UsageError(f"inject what? {usage('inject')}")
    kind = kind_named(words[0])
    values = _values(words[1:], "inject")
    label = str(values.pop("label", ""))
    if "at_s" in values:
        raise UsageError("at_s: a fault typed here begins now; 'wait 2s' before it holds it back")
    if label == "all":
        raise UsageError("label=all: 'clear all' ends every fault; any other name is allowed")
    problems = check(kind, values, bounds)
    if problems:
        raise UsageError("; ".join(problems))
    return FaultAction(at_s=0.0, fault=kind.kind, label=label, **values)


def _values(words: Sequence[str], command: str) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise UsageError(f"'{word}' is not key=value; {usage(command)}")
        if key in table:
            raise UsageError(f"{key} is given twice")
        table[key] = number_or_text(value)
    return table


def _wait(words: Sequence[str], flags: Collection[str]) -> Order:
    if words[:1] != ["until"]:
        if len(words) != 1:
            raise UsageError(f"wait how long? {usage('wait')}")
        return Wait(seconds_of(words[0]))
    rest, within_s = list(words[1:]), PATIENCE_S
    if len(rest) > 2 and rest[-2] == "within":  # noqa: PLR2004 - what to wait for, "within", how long
        within_s = seconds_of(rest[-1])
        rest = rest[:-2]
    match rest:
        case ["state", state]:
            if state not in CONTROLLER_STATES:
                raise UsageError(f"no state '{state}'; there are: {', '.join(CONTROLLER_STATES)}")
            return WaitUntil("", state, wanted=True, within_s=within_s)
        case [flag] | ["not", flag]:
            if flag not in flags:
                hint = _near(flag, flags) or "; Tab offers all"
                raise UsageError(f"no flag '{flag}' on the bus of this rig{hint}")
            return WaitUntil(flag, "", wanted=rest[0] != "not", within_s=within_s)
    raise UsageError(f"wait until what? {usage('wait')}")


def _clear(words: Sequence[str]) -> Order:
    if len(words) > 1:
        raise UsageError(f"one name at a time; {usage('clear')}")
    return Clear("" if not words or words[0] == "all" else words[0])


def _ignition(words: Sequence[str]) -> Order:
    if list(words) not in (["on"], ["off"]):
        raise UsageError(f"ignition on or off? {usage('ignition')}")
    return Do(CommandAction(at_s=0.0, do="ignition-on" if words[0] == "on" else "ignition-off"))


def _power_cycle(words: Sequence[str]) -> Order:
    values = _values(words, "power-cycle")
    if set(values) - {"off_s"}:
        raise UsageError(f"power-cycle takes only off_s; {usage('power-cycle')}")
    return Do(_command("power-cycle", **values))


def _reset(words: Sequence[str]) -> Order:
    _nothing_more("reset", words)
    return Do(CommandAction(at_s=0.0, do="reset-faults"))


def _set(words: Sequence[str]) -> Order:
    values = _values(words, "set")
    keys = {"soc": "soc_pct", "load": "scale"}
    if len(values) != 1 or not set(values) <= set(keys):
        raise UsageError(f"set takes soc=PCT or load=FACTOR, one at a time; {usage('set')}")
    ((name, value),) = values.items()
    return Do(_command(name, **{keys[name]: value}))


def _save(words: Sequence[str]) -> Order:
    if len(words) != 1:
        raise UsageError(f"save where? {usage('save')}")
    path = Path(words[0]).expanduser()
    return Save(path if path.suffix else path.with_suffix(".toml"))


def _status(words: Sequence[str]) -> Order:
    _nothing_more("status", words)
    return Status()


def _help(words: Sequence[str]) -> Order:
    topic = words[0] if words else ""
    if len(words) > 1 or (topic and topic not in HELP):
        raise UsageError(f"help for what? there are: {', '.join(HELP)}")
    return Help(topic)


def _quit(words: Sequence[str]) -> Order:
    _nothing_more("quit", words)
    return Quit()


_READERS: Mapping[str, Callable[[Sequence[str]], Order]] = {
    "clear": _clear,
    "ignition": _ignition,
    "power-cycle": _power_cycle,
    "reset": _reset,
    "set": _set,
    "save": _save,
    "status": _status,
    "help": _help,
    "quit": _quit,
    "exit": _quit,
}


def _command(name: str, **values: Any) -> CommandAction:
    """A command with a number: what is not allowed is told on one line."""
    numbers = {key: float(value) if isinstance(value, int) else value for key, value in values.items()}
    try:
        return CommandAction(at_s=0.0, do=name, **numbers)  # type: ignore[arg-type] # names of this module
    except pydantic.ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg'].lower()}" for item in error.errors())
        raise UsageError(f"{told}, found {', '.join(map(str, values.values()))}") from error


def _nothing_more(name: str, words: Sequence[str]) -> None:
    if words:
        raise UsageError(f"'{words[0]}': {name} takes nothing more")


def _near(word: str, known: Collection[str]) -> str:
    near = get_close_matches(word, list(known), n=3, cutoff=0.5)
    return f"; did you mean {' or '.join(near)}?" if near else ""
