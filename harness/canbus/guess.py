# SPDX-License-Identifier: Apache-2.0
"""What the signals of a strange database probably mean: by their names, units, ranges and value tables.

Every guess has a confidence from 0 to 1, which is a product of how well each of these fits; it is no probability.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.canbus.guess_rules import ARRAY_RULES, FLAGS, RULES, STATE_WORDS, UNITS, Rule
from harness.canbus.model import Message, Signal
from harness.canbus.words import meanings

LEAST = 0.3  # below, nothing is proposed
SURE, LIKELY = 0.75, 0.5
_FROM_MESSAGE = 0.85  # a word that only the message's name has
_NO_UNIT = 0.8
_MILLI = 1e-3
_STRANGE_WORD = 0.95
_STRANGE_RANGE = 0.5
_UNIT_SAYS = 0.9  # the unit stands for the word: "Cell12 [V]"
_MUXED = 0.97
_LEAST_BITS = 6
_LEAST_ARRAY, _MOST_ARRAY = 4, 400
_MANY = 3
_CLOSE = 0.05
_NOT_BMS = 0.93  # where the database has messages that say they are the battery controller's
_FLAG_BITS = 2
_STATES_NEEDED = ("standby", "drive", "charge")
_LAST_NUMBER = re.compile(r"(\d+)(?!.*\d)")
_UNIT_WORDS = {"V": "voltage", "A": "current", "degC": "temp"}
_DIMENSIONS = frozenset(_UNIT_WORDS.values())
_OTHERS = {unit: _DIMENSIONS - {word} for unit, word in _UNIT_WORDS.items()}  # words that contradict a unit
_RELAYED = 0.97  # a measuring module's own message rather than the controller's


@dataclass(frozen=True, slots=True)
class Guess:
    """One signal taken for one quantity: quantity = physical * scale + offset. `also` are signals nearly as good."""

    quantity: str
    path: str
    confidence: float
    scale: float = 1.0
    offset: float = 0.0
    states: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayGuess:
    """Numbered signals of one message taken for an array; `signal` has {i} in the place of the number."""

    quantity: str
    signal: str
    first: int
    count: int
    confidence: float
    scale: float = 1.0
    offset: float = 0.0


@dataclass(frozen=True, slots=True)
class Guesses:
    """All that is guessed of some messages."""

    signals: tuple[Guess, ...]
    arrays: tuple[ArrayGuess, ...]

    @property
    def weight(self) -> float:
        """How much of a battery controller the messages speak; an array counts once."""
        single = sum(guess.confidence for guess in self.signals if "[" not in guess.quantity)
        lists = {guess.quantity.partition("[")[0] for guess in self.signals if "[" in guess.quantity}
        return single + sum(array.confidence for array in self.arrays) + LIKELY * len(lists)


def guess(messages: Sequence[Message]) -> Guesses:
    """What the signals of these messages probably mean; each quantity and each signal once."""
    arrays, elements = _settled(_arrays(messages), _elements(messages))
    taken = {_numbered(array, number) for array in arrays for number in range(array.count)}
    taken |= {element.path for element in elements}
    signals = [
        (message, signal)
        for message in messages
        for signal in message.signals
        if signal.decodable and signal.fits(message.length) and f"{message.name}.{signal.name}" not in taken
    ]
    own = {f"{message.name}.{signal.name}" for message, signal in signals if _says_bms(message, signal)}
    found = [*_states(signals), *_numbers(signals), *_flags(signals)]
    if own:
        found = [item if item.path in own else replace(item, confidence=item.confidence * _NOT_BMS) for item in found]
    return Guesses((*_each_once(found), *elements), arrays)


def _says_bms(message: Message, signal: Signal) -> bool:
    return "bms" in meanings(message.name) or "bms" in meanings(signal.name)


def _numbered(array: ArrayGuess, place: int) -> str:
    return re.sub(r"\{i(?::0(\d)d)?\}", lambda m: f"{array.first + place:0{m[1] or 0}d}", array.signal)


def _each_once(guesses: Sequence[Guess]) -> Iterable[Guess]:
    """The best guess of each quantity, no signal twice; what came close is told."""
    best = sorted(guesses, key=lambda item: -item.confidence)
    paths: set[str] = set()
    quantities: set[str] = set()
    for item in best:
        if item.quantity in quantities or item.path in paths:
            continue
        near = [
            other.path
            for other in best
            if other.quantity == item.quantity and other.path != item.path
            and other.confidence > item.confidence - _CLOSE
        ]  # fmt: skip
        quantities.add(item.quantity)
        paths.add(item.path)
        yield replace(item, also=tuple(near[:3]))


# ---- numbers -----------------------------------------------------------------------------------------------


def _numbers(signals: Sequence[tuple[Message, Signal]]) -> Iterable[Guess]:
    for message, signal in signals:
        if signal.length < _LEAST_BITS or signal.is_multiplexer or (signal.states and len(signal.states) > _FLAG_BITS):
            continue
        for rule in RULES:
            confidence = _fit(rule, message, signal)
            if confidence >= LEAST:
                _, scale, offset = _unit(signal, rule)
                yield Guess(rule.quantity, f"{message.name}.{signal.name}", confidence, scale, offset, note=rule.note)


def _unit(signal: Signal, rule: Rule) -> tuple[str, float, float]:
    """Dimension, and factor and offset to the unit of the vocabulary; without a unit it is taken to be that one, or
    millivolt where whole volts would be far too many.
    """
    if signal.unit.strip():
        return UNITS.get(signal.unit.strip().lower(), ("", 1.0, 0.0))
    top = _greatest(signal)
    milli = rule.dimension == "V" and top > rule.greatest_end >= top * _MILLI >= rule.least_end
    return rule.dimension, _MILLI if milli else 1.0, 0.0


def _fit(rule: Rule, message: Message, signal: Signal) -> float:
    """How well a signal fits a rule, 0 where it cannot be meant."""
    own, around = list(meanings(signal.name)), set(meanings(message.name))
    dimension, scale, offset = _unit(signal, rule)
    if dimension != rule.dimension or (rule.never | _OTHERS.get(rule.dimension, _DIMENSIONS)) & set(own):
        return 0.0
    confidence = 1.0 if signal.unit.strip() else _NO_UNIT
    used: set[str] = set()
    for group in rule.needs:
        here = group & set(own)
        if here:
            used |= here
        elif _UNIT_WORDS.get(rule.dimension) in group and signal.unit.strip():
            confidence *= _UNIT_SAYS
        elif group & around:
            confidence *= _FROM_MESSAGE
        else:
            return 0.0
    strange = [word for word in own if word not in used | rule.extra and word not in around]
    confidence *= _STRANGE_WORD ** len(strange)
    confidence *= _MUXED if signal.multiplexer is not None else 1.0
    confidence *= _RELAYED if "module" in around and "module" not in own else 1.0
    return confidence * _plausible(rule, signal, scale, offset)


def _plausible(rule: Rule, signal: Signal, scale: float, offset: float) -> float:
    top = _greatest(signal) * scale + offset
    return 1.0 if rule.least_end <= top <= rule.greatest_end else _STRANGE_RANGE


def _greatest(signal: Signal) -> float:
    """The greatest physical value: what the database says or what the bits can hold."""
    if signal.is_float:
        return float("inf") if signal.maximum is None else signal.maximum
    raw = (1 << (signal.length - 1 if signal.signed else signal.length)) - 1
    ends = (raw * signal.scale + signal.offset, -raw * signal.scale + signal.offset if signal.signed else signal.offset)
    said = signal.maximum
    return max(ends) if said is None or said <= (signal.minimum or 0.0) + abs(signal.scale) else said


# ---- flags and states --------------------------------------------------------------------------------------


def _flags(signals: Sequence[tuple[Message, Signal]]) -> Iterable[Guess]:
    for message, signal in signals:
        if signal.length > _FLAG_BITS or signal.is_multiplexer or signal.unit.strip().lower() in UNITS:
            continue
        own, around = set(meanings(signal.name)), set(meanings(message.name))
        if own & {"request", "counter", "crc", "limit"}:
            continue
        for name, needs, never in FLAGS:
            if needs <= own | (around & {"error", "warning", "alarm"}) and not never & own:
                tier, sure = _tier(own, around, signal)
                note = "" if 0 in signal.states or not signal.states else "the database does not say what 0 is"
                confidence = sure * (0.9 if needs & {"max", "min"} else 1.0) * (_MUXED if signal.multiplexer else 1.0)
                yield Guess(f"{tier}.{name}", f"{message.name}.{signal.name}", confidence, note=note)
                break


def _tier(own: Collection[str], around: Collection[str], signal: Signal) -> tuple[str, float]:
    for words, sure in ((own, 0.95), (around, 0.85)):
        for tier, word in (("alarm", "alarm"), ("warning", "warning"), ("fault", "error")):
            if word in words:
                return tier, sure
    named = {word for name in signal.states.values() for word in meanings(name)}
    return ("warning", 0.8) if "warning" in named else ("fault", 0.7)


def _states(signals: Sequence[tuple[Message, Signal]]) -> Iterable[Guess]:
    """Signals whose value tables read like the states of a controller."""
    for message, signal in signals:
        if signal.is_float or signal.is_multiplexer or len(signal.states) < len(_STATES_NEEDED):
            continue
        states = states_of(signal)
        kinds = set(states.values())
        own, around = set(meanings(signal.name)), set(meanings(message.name))
        if len(kinds) < len(_STATES_NEEDED) or own & {"request", "contactor"}:
            continue
        share = len(states) / len(signal.states)
        named = ("state" in own) + ("bms" in own | around) + ("pack" in own)
        complete = all(name in kinds for name in _STATES_NEEDED)
        confidence = (0.55 + 0.3 * share) * (1.0 if complete else 0.7) * (0.75 + 0.125 * min(2, named))
        note = "" if complete else f"no state taken for {', '.join(n for n in _STATES_NEEDED if n not in kinds)}"
        path = f"{message.name}.{signal.name}"
        yield Guess("bms_state", path, min(confidence, 0.95), states=states, note=note)


def states_of(signal: Signal) -> dict[str, str]:
    """Names of a value table that read like states of a controller, with the state."""
    found = {}
    for raw, name in sorted(signal.states.items()):
        if not 0 <= raw < 1 << (signal.length - signal.signed):
            continue  # the signal cannot carry it
        words = {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
        for state, known in STATE_WORDS.items():
            if words & set(known):
                found[name if list(signal.states.values()).count(name) == 1 else str(raw)] = state
                break
    return found


def name_of_state(states: Mapping[str, str], wanted: str) -> str | None:
    """The name that says a state best: one with its very word before the others, None where no name means it."""
    names = [name for name, meant in states.items() if meant == wanted]
    return next((name for name in names if wanted in name.lower()), names[0] if names else None)


# ---- arrays ------------------------------------------------------------------------------------------------


def _arrays(messages: Sequence[Message]) -> tuple[ArrayGuess, ...]:
    """The best run of numbered signals for each array."""
    found: dict[str, ArrayGuess] = {}
    for message in messages:
        runs: dict[tuple[str, int, str], dict[int, Signal]] = {}
        for signal in message.signals:
            place = _LAST_NUMBER.search(signal.name)
            if place and signal.length >= _LEAST_BITS and signal.decodable and signal.fits(message.length):
                width = len(place[1]) if place[1].startswith("0") and len(place[1]) > 1 else 0
                template = signal.name[: place.start()] + "\0" + signal.name[place.end() :]
                runs.setdefault((template, width, signal.unit), {})[int(place[1])] = signal
        for (template, width, _), members in _padded(runs).items():
            guessed = _array(message, template, width, members)
            if guessed and guessed.confidence > getattr(found.get(guessed.quantity), "confidence", 0.0):
                found[guessed.quantity] = guessed
    return tuple(found.values())


def _padded(runs: Mapping[tuple[str, int, str], dict[int, Signal]]) -> dict[tuple[str, int, str], dict[int, Signal]]:
    """`007` and `123` are of one run: padded numbers take in those that fill the width without padding."""
    joined = {key: dict(members) for key, members in runs.items()}
    for (template, width, unit), members in runs.items():
        if width:
            for number, signal in runs.get((template, 0, unit), {}).items():
                if len(str(number)) == width:
                    joined[template, width, unit][number] = signal
        elif any(other[0] == template and other[1] for other in runs):
            joined.pop((template, width, unit), None)
        del members
    return joined


def _array(message: Message, template: str, width: int, members: Mapping[int, Signal]) -> ArrayGuess | None:
    first = min(members)
    count = 0
    while first + count in members and count < _MOST_ARRAY:
        count += 1
    if count < _LEAST_ARRAY or first > 1:
        return None
    signal = members[first]
    for rule in ARRAY_RULES:
        confidence = _fit(rule, message, signal)
        if confidence >= LIKELY:
            _, scale, offset = _unit(signal, rule)
            number = f"{{i:0{width}d}}" if width else "{i}"
            name = f"{message.name}.{template}".replace("\0", number)
            return ArrayGuess(rule.quantity, name, first, count, confidence, scale, offset)
    return None


def _elements(messages: Sequence[Message]) -> dict[str, list[Guess]]:
    """Cells or sensors whose names count in no single number, in the order of identifier, multiplexer and place."""
    found: dict[str, list[Guess]] = {}
    for rule in ARRAY_RULES:
        alike: dict[tuple[str, ...], list[tuple[tuple[int, ...], Message, Signal, float]]] = {}
        for message in messages:
            for signal in message.signals:
                if signal.length < _LEAST_BITS or not (signal.decodable and signal.fits(message.length)):
                    continue
                confidence = _fit(rule, message, signal)
                if confidence >= LIKELY:
                    words = tuple(word for word in meanings(signal.name) if len(word) > 1)
                    order = (message.id, *sorted(signal.mux_ids)[:1], signal.first_bit)
                    alike.setdefault(words, []).append((order, message, signal, confidence))
        members = max(alike.values(), key=len, default=[])
        if len(members) >= _LEAST_ARRAY:
            found[rule.quantity] = [
                _element(rule, place, message, signal, confidence)
                for place, (_, message, signal, confidence) in enumerate(sorted(members, key=lambda m: m[0]), start=1)
            ][:_MOST_ARRAY]
    return found


def _element(rule: Rule, place: int, message: Message, signal: Signal, confidence: float) -> Guess:
    _, scale, offset = _unit(signal, rule)
    quantity, path = f"{rule.quantity}[{place}]", f"{message.name}.{signal.name}"
    note = "the order is a guess" if place == 1 else ""
    return Guess(quantity, path, min(confidence, LIKELY), scale, offset, note=note)


def _settled(
    arrays: Sequence[ArrayGuess], elements: Mapping[str, list[Guess]]
) -> tuple[tuple[ArrayGuess, ...], list[Guess]]:
    """A run of one message, unless far more signals that are alike are found over all messages."""
    counts = {array.quantity: array.count for array in arrays}
    listed = {name: found for name, found in elements.items() if len(found) >= _MANY * counts.get(name, 1)}
    kept = tuple(array for array in arrays if array.quantity not in listed)
    return kept, [element for found in listed.values() for element in found]
