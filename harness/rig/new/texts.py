# SPDX-License-Identifier: Apache-2.0
"""The texts of a new rig's profile and messages.h."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from harness.canbus.guess import LEAST, LIKELY, SURE, ArrayGuess, Guess, name_of_state
from harness.canbus.model import Message, Signal
from harness.rig.new.plan import Plan, Sent, mode_value, raw_mode

NUMBERS = (
    "pack_voltage_v", "link_voltage_v", "charger_voltage_v", "pack_current_a", "supply_v", "insulation_ohm",
    "cell_voltage_max_v", "cell_voltage_min_v", "cell_temp_max_degc", "cell_temp_min_degc",
    "charge_limit_a", "discharge_limit_a", "charge_voltage_limit_v",
)  # fmt: skip
_EXACT_BITS = 32  # of a number the skeleton fills in
_EXTENDED, _FD, _BRS = "FIL_FRAME_EXTENDED", "FIL_FRAME_FD", "FIL_FRAME_BRS"
_BYTES_A_LINE = 16
_COUNTER_BITS = (2, 3, 4, 8)
_HEARD = ("charge_limit_a", "discharge_limit_a", "charge_voltage_limit_v")


def quoted(text: str) -> str:
    """A TOML string."""
    return json.dumps(text, ensure_ascii=False)


def level(confidence: float) -> str:
    """A confidence in a word and a number."""
    word = "high" if confidence >= SURE else "medium" if confidence >= LIKELY else "low"
    return f"{word} ({confidence:.2f})"


# ---- profile -----------------------------------------------------------------------------------------------


def profile_text(plan: Plan, dbc: str, title: str) -> str:
    """The proposed profile."""
    strict = () if plan.strict else ("strict = false # the database has what strict loading refuses: see below",)
    doubts = [] if plan.strict else ["", *(f"# {warning.rpartition('/')[2]}" for warning in plan.database.warnings)]
    return "\n".join(
        [
            f"# What the signals of {dbc} probably mean, guessed from names, units, ranges and value tables.",
            "#",
            "# Behind each guess stands how well these fit: high or medium, which count as they stand, or low, which",
            f"# is commented out; the number from {LEAST:g} to 1 is no probability. Check, then delete the remark.",
            "# Quantities: bms-harness requirements --quantities. The format: docs/bring-your-own-dbc.md.",
            f"dbc = {quoted(dbc)}",
            f"title = {quoted(title)}",
            *strict,
            *doubts,
            "",
            "[signals]",
            *(_signal_line(plan, item) for item in plan.guesses.signals),
            *_arrays(plan.guesses.arrays),
            *_protection(plan.sent),
            *_restbus(plan),
            *_environment(plan),
            "",
        ]
    )


def _signal_line(plan: Plan, item: Guess) -> str:
    active = plan.active(item)
    notes = [level(item.confidence), *([item.note] if item.note else [])]
    if item.also:
        notes.append("as likely: " + ", ".join(item.also))
    if not active and item.confidence >= LIKELY:
        notes.append("to be completed by hand")
    more = {}
    if item.scale != 1.0:
        more["scale"] = repr(item.scale)
    if item.offset != 0.0:
        more["offset"] = repr(item.offset)
    if item.states:
        more["states"] = "{ " + ", ".join(f"{quoted(n)} = {quoted(s)}" for n, s in item.states.items()) + " }"
    meaning = quoted(item.quantity)
    if more:
        meaning = "{ quantity = " + meaning + "".join(f", {key} = {text}" for key, text in more.items()) + " }"
    return f"{'' if active else '# '}{quoted(item.path)} = {meaning} # {'; '.join(notes)}"


def _arrays(arrays: Sequence[ArrayGuess]) -> Iterable[str]:
    for item in arrays:
        yield ""
        yield f"[[arrays]] # {level(item.confidence)}"
        yield f"signal = {quoted(item.signal)}"
        yield f"quantity = {quoted(item.quantity)}"
        yield f"count = {item.count}"
        if item.first != 1:
            yield f"first = {item.first}"
        if item.scale != 1.0:
            yield f"scale = {item.scale!r}"
        if item.offset != 0.0:
            yield f"offset = {item.offset!r}"


def _protection(sent: Sequence[Sent]) -> Iterable[str]:
    """Counters can be seen in names; which polynomial a checksum has is in no database."""
    from harness.canbus.words import meanings  # noqa: PLC0415 - only here

    named = []
    for item in sent:
        plain = [signal for signal in item.message.signals if signal.multiplexer is None and not signal.is_float]
        counters = [
            signal.name for signal in plain if "counter" in meanings(signal.name) and signal.length in (2, 3, 4, 8)
        ]
        sums = [signal.name for signal in plain if "crc" in meanings(signal.name)]
        if counters or sums:
            named.append((item.message.name, counters, sums))
    if named:
        yield ""
        yield "# Protected messages, by the names of their signals. Polynomial and data id are in no database."
    for message, counters, sums in named:
        yield f"# [messages.{quoted(message)}]"
        yield from (f"# counter = {quoted(name)}" for name in counters[:1])
        yield from (f"# crc = {{ signal = {quoted(name)}, polynomial = 0x1D, data_id = 0 }}" for name in sums[:1])


def _restbus(plan: Plan) -> Iterable[str]:
    asked = plan.asked
    yield ""
    if asked is None:
        yield "# What the vehicle sends. No message that asks for standby, drive and charge was recognised; such as:"
        yield '# [restbus.NAME]\n# node = "vehicle"\n# period_ms = 100'
        yield '# [commands]\n# standby = { "NAME.Signal" = 0 }\n# drive = { "NAME.Signal" = 1 }'
        return
    name = asked.message.name
    yield "# The request of the vehicle, recognised by its value table: medium. Which message it really is, check."
    yield f"[restbus.{quoted(name)}]"
    yield 'node = "vehicle"'
    yield f"period_ms = {asked.message.cycle_ms or 100}" + ("" if asked.message.cycle_ms else " # assumption")
    yield f"values = {{ {quoted(asked.signal.name)} = {_value(asked.signal, asked.modes['standby'])} }}"
    yield ""
    yield "[commands]"
    path = quoted(f"{name}.{asked.signal.name}")
    for mode in ("standby", "drive", "charge"):
        yield f"{mode} = {{ {path} = {_value(asked.signal, asked.modes[mode])} }}"


def _value(signal: Signal, name: str) -> str:
    value = mode_value(signal, name)
    return quoted(value) if isinstance(value, str) else repr(value)


def _environment(plan: Plan) -> Iterable[str]:
    """What vehicle and charger obey: what the skeleton fills in, the rest as a comment."""
    filled = {item.quantity: item for item, _, _ in _filled(plan)}
    yield ""
    yield "# What vehicle and charger obey. Without limits and readiness no current flows but the auxiliaries'."
    yield "[environment]"
    for name in _HEARD:
        item = filled.get(name)
        if item is None:
            yield f'# {name} = "MESSAGE.SIGNAL"'
            continue
        scaled = "" if item.scale == 1.0 else f", scale = {item.scale!r}"
        yield f"{name} = {{ signal = {quoted(item.path)}{scaled} }}"
    state = plan.state
    for ready, wanted in (("ready_to_drive", "drive"), ("ready_to_charge", "charge")):
        if state is None:
            yield f'# {ready} = {{ signal = "MESSAGE.SIGNAL", states = ["NAME"] }}'
            continue
        found = _neighbours(plan, state, wanted)
        names = ", ".join(quoted(name) for _, name in found)
        usable = "" if found[-1][0] else "# "  # a signal that was never sent reads 0, too
        yield f"{usable}{ready} = {{ signal = {quoted(state.path)}, states = [{names}] }}"


def _neighbours(plan: Plan, state: Guess, wanted: str) -> list[tuple[int, str]]:
    """Numbers and names of states that mean the same and stand side by side in the value table; 0 only for want of
    others.
    """
    place = plan.database.find(state.path)
    assert place is not None
    raws = sorted((raw_mode(place[1], name), name) for name, meant in state.states.items() if meant == wanted)
    raws = [item for item in raws if item[0]] or raws
    return [(raw, name) for step, (raw, name) in enumerate(raws) if raw == raws[0][0] + step]


# ---- messages.h --------------------------------------------------------------------------------------------

_TYPES = """\
/* A signal in the numbering of DBC files; message is its place in the table below. */
typedef struct {
    uint16_t message, start_bit;
    uint8_t length, big_endian;
} field;

/* A message, flags FIL_FRAME_*, and where its payloads are: one, or one for each value of a multiplexer. */
typedef struct {
    uint32_t id;
    uint8_t flags, length;
    uint32_t period_ms;
    uint16_t first_page, n_pages;
} message;

typedef enum {
    QUANTITIES
} quantity;

/* A number that is filled in: raw = value * factor + shift. A length of 0 ends their table. */
typedef struct {
    field at;
    quantity of;
    double factor, shift;
    uint8_t is_signed;
} number;

/* Who asks for a mode, and by which raw values. */
typedef struct {
    uint32_t id;
    uint8_t extended, length;
    field at;
    uint64_t drive, charge;
} asking;
"""


def messages_text(plan: Plan, dbc: str, full_v: float) -> str:
    """The tables of the port: what the controller sends, which numbers are filled in, who asks it. `full_v` is the
    voltage of a full cell.
    """
    payload = max([8, *(item.length for item in plan.sent)])
    pages = [(item, page) for item in plan.sent for page in item.pages]
    filled = _filled(plan)
    parts = [
        f"/* The messages of node {plan.node.replace('*/', '')}, from {dbc}. Yours to change. */",
        '#ifndef MESSAGES_H\n#define MESSAGES_H\n\n#include "fil.h"\n',
        f"#define CELL_FULL_V {full_v!r}",
        f"enum {{ N_MESSAGES = {len(plan.sent)}, N_PAGES = {len(pages)}, PAYLOAD = {payload} }};",
        f"enum {{ HAS_STATE = {int(plan.state is not None)}, HAS_REQUEST = {int(plan.asked is not None)} }};\n",
        _TYPES.replace("QUANTITIES", ",\n    ".join(name.upper() for name in NUMBERS)),
        *_message_table(plan.sent),
        *_page_table(pages),
        *_number_table(plan, filled),
        *_state_table(plan),
        *_request_table(plan),
        "#endif\n",
    ]
    return "\n".join(parts)


def _message_table(sent: Sequence[Sent]) -> Iterable[str]:
    yield "static const message messages[N_MESSAGES] = {"
    first = 0
    for item in sent:
        flags = [_EXTENDED] if item.message.extended else []
        flags += [_FD, _BRS] if item.fd else []
        source = "" if item.known_ms else ", period: assumption"
        yield (
            f"    {{0x{item.message.id:X}, {' | '.join(flags) or 0}, {item.length}, {item.period_ms}, {first}, "
            f"{len(item.pages)}}}, /* {item.message.name}{source} */"
        )
        first += len(item.pages)
    yield "};\n"


def _page_table(pages: Sequence[tuple[Sent, bytes]]) -> Iterable[str]:
    yield "static const uint8_t pages[N_PAGES][PAYLOAD] = {"
    last = ""
    for item, page in pages:
        if item.message.name != last:
            yield f"    /* {item.message.name} */"
            last = item.message.name
        text = [f"0x{byte:02X}" for byte in page]
        lines = [", ".join(text[at : at + _BYTES_A_LINE]) for at in range(0, len(text), _BYTES_A_LINE)]
        yield "    {" + ",\n     ".join(lines) + "},"
    yield "};\n"


def _filled(plan: Plan) -> list[tuple[Guess, Message, Signal]]:
    found = []
    for item in plan.guesses.signals:
        place = plan.database.find(item.path)
        if place is None or item.quantity not in NUMBERS or not plan.active(item):
            continue
        message, signal = place
        if signal.multiplexer is None and not signal.is_float and signal.length <= _EXACT_BITS:
            found.append((item, message, signal))
    return found


def _number_table(plan: Plan, filled: Sequence[tuple[Guess, Message, Signal]]) -> Iterable[str]:
    yield "static const number numbers[] = {"
    for item, message, signal in filled:
        factor = 1.0 / (item.scale * signal.scale)
        shift = -(item.offset / item.scale + signal.offset) / signal.scale + 0.0
        at = _field(plan, message, signal)
        yield f"    /* {item.path} */"
        yield f"    {{{at}, {item.quantity.upper()}, {factor!r}, {shift!r}, {int(signal.signed)}}},"
    yield "    {{0, 0, 0, 0}, PACK_VOLTAGE_V, 0.0, 0.0, 0},\n};\n"


def _field(plan: Plan, message: Message, signal: Signal) -> str:
    at = next(place for place, item in enumerate(plan.sent) if item.message is message)
    return f"{{{at}, {signal.start_bit}, {signal.length}, {int(signal.big_endian)}}}"


def _state_table(plan: Plan) -> Iterable[str]:
    state = plan.state
    if state is None:
        yield "/* No signal was taken for the state of the controller. */"
        yield "static const field state_field = {0, 0, 0, 0};\nstatic const uint64_t state_raw[4] = {0, 0, 0, 0};\n"
        return
    place = plan.database.find(state.path)
    assert place is not None
    raws = [_raw_of(place[1], state, mode) for mode in ("standby", "precharge", "drive", "charge")]
    yield f"/* {state.path}: standby, precharge, drive, charge */"
    yield f"static const field state_field = {_field(plan, *place)};"
    yield f"static const uint64_t state_raw[4] = {{{', '.join(map(str, raws))}}};\n"


def _raw_of(signal: Signal, state: Guess, mode: str) -> int:
    """The raw value the skeleton sends in a mode; standby where the table has no such state."""
    name = name_of_state(state.states, mode) or name_of_state(state.states, "standby")
    assert name is not None
    return raw_mode(signal, name)


def _request_table(plan: Plan) -> Iterable[str]:
    asked = plan.asked
    if asked is None:
        yield "/* No request of another node was recognised. */"
        yield "static const asking request = {0, 0, 0, {0, 0, 0, 0}, 0, 0};\n"
        return
    message, signal = asked.message, asked.signal
    drive, charge = (raw_mode(signal, asked.modes[mode]) for mode in ("drive", "charge"))
    yield f"/* {message.name}.{signal.name}: drive, charge; all else is standby */"
    place = f"{{0, {signal.start_bit}, {signal.length}, {int(signal.big_endian)}}}"
    yield (
        f"static const asking request = {{0x{message.id:X}, {int(message.extended)}, {message.length}, {place}, "
        f"{drive}, {charge}}};\n"
    )
