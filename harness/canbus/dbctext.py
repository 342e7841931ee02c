# SPDX-License-Identifier: Apache-2.0
"""What must be known of a DBC text before it is parsed: where things stand, what to repair, what would hang a parser.

The parser (cantools) stops at the first problem, knows no lines after its tokenizer, and expands multiplexer ranges
into lists. So a light scan comes first. It never decides what a signal means.
"""

from __future__ import annotations

import bisect
import re
from dataclasses import dataclass, field

EXTENDED_BIT = 1 << 31
MAX_STANDARD_ID = 0x7FF
MAX_EXTENDED_ID = 0x1FFF_FFFF
INDEPENDENT = "VECTOR__INDEPENDENT_SIG_MSG"  # holder of signals that belong to no message
MAX_MESSAGE_BYTES = 4095  # ISO-TP; a longer one is a typing error that would exhaust memory
MAX_MUX_CODECS = 100_000
MAX_SIGNALS = 4096  # of one message; pairs of them are compared

_STRING = re.compile(r'"(?:\\"|[^"])*?"')
_STATEMENT = re.compile(
    r"^[ \t]*(BO_|SG_MUL_VAL_|SG_|VAL_|SIG_VALTYPE_)[ \t]+(\w+)(?:[ \t]+(\w+))?([^\n]*)", re.MULTILINE
)
_LENGTH = re.compile(r"[ \t]*:[ \t]*(\w+)")
_SIGNAL_BITS = re.compile(r":[ \t]*(\d+)[ \t]*\|[ \t]*(\d+)[ \t]*@")
_RANGE = re.compile(r"(\d+)[ \t]*-[ \t]*(\d+)")
_REFERENCE = (
    r"^([ \t]*(?:BO_|VAL_|SIG_VALTYPE_|SG_MUL_VAL_|BO_TX_BU_|SIG_GROUP_|CM_[ \t]+(?:BO_|SG_)"
    r'|BA_[ \t]+"[^"\n]*"[ \t]+(?:BO_|SG_))[ \t]+)({ids})\b'
)
_MAX_DIGITS = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one line. `fatal` cannot be loaded at all, otherwise strict loading refuses it; `harmless`
    changes no decoded value and is only reported.
    """

    line: int
    key: str
    found: str
    allowed: str
    fatal: bool = False
    harmless: bool = False


@dataclass(slots=True)
class Scan:
    """Lines of messages and signals by DBC identifier, the repaired text, and what was found."""

    text: str
    message_line: dict[int, int] = field(default_factory=dict)
    signal_line: dict[tuple[int, str], int] = field(default_factory=dict)
    message_id: dict[str, int] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def line_of(self, dbc_id: int, signal: str = "") -> int:
        """The line of a signal, or of its message where the signal is not known by that name; 0 = not known."""
        return self.signal_line.get((dbc_id, signal), self.message_line.get(dbc_id, 0))


def scan(text: str) -> Scan:
    """Find the statements that matter and repair what can be repaired without guessing."""
    masked = _STRING.sub(lambda found: '"' + re.sub(r"[^\n]", " ", found.group()[1:-1]) + '"', text)
    result = Scan(text)
    line_starts = [0, *(found.end() for found in re.finditer("\n", masked))]
    statements = [(bisect.bisect_right(line_starts, found.start(1)), found) for found in _STATEMENT.finditer(masked)]
    _index(statements, result)
    _limit_multiplexing(statements, result)
    orphans = _orphans(statements, masked, result)
    result.text = _mark_extended(_blank(text, orphans), result)
    return result


def _index(statements: list[tuple[int, re.Match[str]]], result: Scan) -> None:
    current, count = -1, 0
    for line, found in statements:
        keyword, first, second, rest = found.groups()
        if keyword == "BO_" and second:
            current = int(first) if first.isdigit() and len(first) <= _MAX_DIGITS else -1
            _index_message(result, line, current, second, rest)
            count = 0
        elif keyword == "SG_" and current >= 0:
            count += 1
            if count == MAX_SIGNALS + 1:
                found_text = f"more than {MAX_SIGNALS} signals in one message"
                result.findings.append(Finding(line, first, found_text, f"at most {MAX_SIGNALS}", fatal=True))
            result.signal_line[current, first] = line
            _check_bits(result, line, first, found.group())


def _index_message(result: Scan, line: int, dbc_id: int, name: str, rest: str) -> None:
    if name == INDEPENDENT:
        return
    length = _LENGTH.match(rest)
    if length and length[1].isdigit() and (len(length[1]) > _MAX_DIGITS or int(length[1]) > MAX_MESSAGE_BYTES):
        result.findings.append(
            Finding(line, name, f"a length of {length[1]} bytes", f"at most {MAX_MESSAGE_BYTES}", fatal=True)
        )
    if dbc_id < 0 or dbc_id & ~EXTENDED_BIT > MAX_EXTENDED_ID:
        allowed = "11 bits, or 29 bits with bit 31 set for extended frames"
        result.findings.append(
            Finding(line, name, f"identifier {dbc_id if dbc_id >= 0 else 'unreadable'}", allowed, fatal=True)
        )
        return
    if dbc_id in result.message_line:
        found = f"identifier {dbc_id} again (first on line {result.message_line[dbc_id]})"
        result.findings.append(Finding(line, name, found, "one message per identifier; the later one counts"))
    if name in result.message_id and result.message_id[name] != dbc_id:
        first = result.message_line[result.message_id[name]]
        found = f"the message name again (first on line {first})"
        result.findings.append(Finding(line, name, found, "one message per name; the later one counts"))
    result.message_line[dbc_id] = line
    result.message_id[name] = dbc_id


def _check_bits(result: Scan, line: int, name: str, statement: str) -> None:
    bits = _SIGNAL_BITS.search(statement)
    if bits is None:
        return
    if any(len(digits) > _MAX_DIGITS or int(digits) > 8 * MAX_MESSAGE_BYTES for digits in bits.groups()):
        found = f"start bit {bits[1][:20]}, length {bits[2][:20]}"
        result.findings.append(
            Finding(line, name, found, f"bits of a payload of at most {MAX_MESSAGE_BYTES} bytes", fatal=True)
        )
    elif int(bits[2]) == 0:
        result.findings.append(Finding(line, name, "a length of 0 bits", "at least 1 bit", fatal=True))


def _limit_multiplexing(statements: list[tuple[int, re.Match[str]]], result: Scan) -> None:
    """Refuse multiplexer ranges, and nesting, that multiply into more codecs than memory holds."""
    ranges: dict[tuple[str, str], list[tuple[int, int]]] = {}
    parents: dict[tuple[str, str], str] = {}
    lines: dict[tuple[str, str], int] = {}
    for line, found in statements:
        keyword, dbc_id, child, rest = found.groups()
        words = rest.split(maxsplit=1)
        if keyword != "SG_MUL_VAL_" or child is None or not words:
            continue
        parents[dbc_id, child] = words[0]
        lines[dbc_id, words[0]] = line
        ranges.setdefault((dbc_id, words[0]), []).extend(_interval(*pair.groups()) for pair in _RANGE.finditer(rest))
    counts = {key: _distinct(intervals) for key, intervals in ranges.items()}
    for key in counts:
        codecs = _codecs(key, counts, parents)
        if codecs > MAX_MUX_CODECS:
            found_text = f"{codecs} combinations of multiplexer values"
            result.findings.append(Finding(lines[key], key[1], found_text, f"at most {MAX_MUX_CODECS}", fatal=True))


def _interval(low: str, high: str) -> tuple[int, int]:
    if max(len(low), len(high)) > _MAX_DIGITS:
        return 0, 1 << 40
    return int(low), int(high)


def _distinct(intervals: list[tuple[int, int]]) -> int:
    count, reached = 0, -1
    for low, high in sorted(intervals):
        count += max(0, high - max(low, reached + 1) + 1)
        reached = max(reached, high)
    return count


def _codecs(key: tuple[str, str], counts: dict[tuple[str, str], int], parents: dict[tuple[str, str], str]) -> int:
    """How many codecs a multiplexer needs: its values times those of every multiplexer above it."""
    product, seen = 1, set()
    while key in counts and key not in seen:
        seen.add(key)
        product *= max(1, counts[key])
        key = (key[0], parents.get(key, ""))
    return product


def _orphans(statements: list[tuple[int, re.Match[str]]], masked: str, result: Scan) -> list[tuple[int, int]]:
    """Spans of VAL_ and SIG_VALTYPE_ statements about signals that do not exist."""
    spans = []
    for line, found in statements:
        keyword, dbc_id, signal, _ = found.groups()
        if keyword not in ("VAL_", "SIG_VALTYPE_") or not signal or not dbc_id.isdigit():
            continue
        number = int(dbc_id) if len(dbc_id) <= _MAX_DIGITS else -1
        if (number, signal) in result.signal_line and number in result.message_line:
            continue
        end = masked.find(";", found.start(1))
        spans.append((found.start(1), len(masked) if end < 0 else end + 1))
        reason = f"{keyword} {dbc_id} {signal}, which belongs to no signal"
        result.findings.append(Finding(line, "", reason, "a signal of this database; ignored", harmless=True))
    return spans


def _blank(text: str, spans: list[tuple[int, int]]) -> str:
    """Overwrite spans with blanks, keeping every line where it is."""
    parts: list[str] = []
    position = 0
    for start, end in spans:
        if start < position:
            continue
        parts += [text[position:start], re.sub(r"[^\r\n]", " ", text[start:end])]
        position = end
    return "".join([*parts, text[position:]])


def _mark_extended(text: str, result: Scan) -> str:
    """Set bit 31 of identifiers that can only be 29-bit ones, wherever they are named."""
    wrong = {dbc_id for dbc_id in result.message_line if MAX_STANDARD_ID < dbc_id <= MAX_EXTENDED_ID}
    if not wrong:
        return text
    for name, dbc_id in list(result.message_id.items()):
        if dbc_id in wrong:
            found = f"identifier {dbc_id} (0x{dbc_id:X}), more than 11 bits, without bit 31"
            allowed = "bit 31 set for extended frames; taken as extended"
            result.findings.append(Finding(result.message_line[dbc_id], name, found, allowed))
            result.message_id[name] = dbc_id | EXTENDED_BIT
    for dbc_id in wrong:
        result.message_line[dbc_id | EXTENDED_BIT] = result.message_line.pop(dbc_id)
    for dbc_id, signal in list(result.signal_line):
        if dbc_id in wrong:
            result.signal_line[dbc_id | EXTENDED_BIT, signal] = result.signal_line.pop((dbc_id, signal))
    pattern = re.compile(_REFERENCE.format(ids="|".join(str(dbc_id) for dbc_id in sorted(wrong))), re.MULTILINE)
    return pattern.sub(lambda found: found[1] + str(int(found[2]) | EXTENDED_BIT), text)
