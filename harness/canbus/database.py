# SPDX-License-Identifier: Apache-2.0
"""Loading product CAN databases (DBC), which are data from strangers: refused with reasons or loaded with warnings.

The policy. What changes no decoded value (a value table for a signal that is not there) is ignored with a warning.
What makes the meaning of a bit or an identifier doubtful (overlapping signals, a signal outside its message, a
29-bit identifier not marked as one, a name or identifier twice) is refused when strict, and loaded with a warning
otherwise. What has no meaning at all (no message, no DBC text) is always refused.
"""

from __future__ import annotations

import hashlib
import importlib.util
import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.canbus.dbctext import EXTENDED_BIT, MAX_MESSAGE_BYTES, Finding, Scan, scan
from harness.canbus.model import Message, Selectors, Signal
from harness.errors import Problem, RigError

if TYPE_CHECKING:
    import cantools.database.can

MAX_BYTES = 16_000_000
_SHOWN_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Database:
    """A loaded database. `warnings` says what was ignored or doubtful, each with file and line.

    `codec` is the object of the parsing library that encodes payloads; only `harness.canbus` touches it.
    """

    path: Path
    sha256: str
    warnings: tuple[str, ...]
    messages: tuple[Message, ...]
    codec: Any = field(repr=False, compare=False)
    by_name: Mapping[str, Message] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "by_name", {message.name: message for message in self.messages})

    def find(self, path: str) -> tuple[Message, Signal] | None:
        """The message and signal of "Message.Signal", None when there is no such signal."""
        name, _, signal = path.partition(".")
        message = self.by_name.get(name)
        found = message.by_name.get(signal) if message else None
        return (message, found) if message and found else None


def load_database(path: Path, *, strict: bool = True) -> Database:
    """Read a DBC file. Raises RigError with every problem found, each with line, found and allowed."""
    content = _read(path)
    scanned = scan(_text_of(content, path))
    _refuse(path, [finding for finding in scanned.findings if finding.fatal])
    library, messages = _parse(scanned, path) if scanned.text.strip() else (None, ())
    if not messages:
        raise RigError([Problem(str(path), 0, "", "a database without any message", "at least one BO_ message")])
    findings = [*scanned.findings, *_layout_findings(messages, scanned)]
    if strict:
        _refuse(path, [finding for finding in findings if not finding.harmless])
    warnings = tuple(_warning(path, finding) for finding in sorted(findings, key=lambda item: item.line))
    return Database(path, hashlib.sha256(content).hexdigest(), warnings, messages, library)


def _read(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise RigError([Problem(str(path), 0, "", f"{size} bytes", f"a DBC file of at most {MAX_BYTES} bytes")])
        return path.read_bytes()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise RigError([Problem(str(path), 0, "", reason.lower(), "a readable DBC file")]) from error


def _text_of(content: bytes, path: Path) -> str:
    """UTF-8 where it is, else the Windows code page most tools write."""
    if b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        raise RigError([Problem(str(path), line, "", "a zero byte: this is a binary file", "DBC text")])
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("cp1252", errors="replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _refuse(path: Path, findings: list[Finding]) -> None:
    if findings:
        ordered = sorted(findings, key=lambda item: item.line)
        raise RigError([Problem(str(path), item.line, item.key, item.found, item.allowed) for item in ordered])


def _warning(path: Path, finding: Finding) -> str:
    return str(Problem(str(path), finding.line, finding.key, finding.found, finding.allowed))


def _parse(scanned: Scan, path: Path) -> tuple[cantools.database.can.Database, tuple[Message, ...]]:
    import logging  # noqa: PLC0415 - only to keep the library's remarks off the console

    parser = _parser()
    quiet = logging.getLogger("cantools")
    before = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        library = parser.load_string(scanned.text, database_format="dbc", strict=False)
        assert isinstance(library, parser.can.Database)
        return library, _messages(library)
    except RecursionError as error:
        raise RigError([Problem(str(path), 0, "", "nesting too deep", "a DBC file")]) from error
    except Exception as error:
        raise RigError([_parse_problem(error, scanned, path)]) from error
    finally:
        quiet.setLevel(before)


def _parser() -> Any:
    """`cantools.database`, imported where a database is read.

    The package around it also imports a tester and with it python-can, 130 ms (600 ms where asammdf is installed) that
    reading a DBC has no use for. A stand-in takes the package's place while its part is imported, unless it is there.
    """
    if "cantools" in sys.modules:
        return importlib.import_module("cantools.database")
    spec = importlib.util.find_spec("cantools")
    assert spec is not None
    sys.modules["cantools"] = importlib.util.module_from_spec(spec)  # has its path, but did not run
    try:
        return importlib.import_module("cantools.database")
    finally:
        del sys.modules["cantools"]


def _parse_problem(error: Exception, scanned: Scan, path: Path) -> Problem:
    text = str(error) or type(error).__name__
    text = text.removeprefix("DBC: ").strip('"')
    place = re.search(r"line (\d+)", text)
    line = int(place[1]) if place else _line_of_named(text, scanned)
    if not isinstance(error, ValueError) and not place:
        text = f"a statement the parser cannot take ({type(error).__name__}: {text})"
    return Problem(str(path), line, "", " ".join(text.split())[:_SHOWN_CHARACTERS], "DBC syntax")


def _line_of_named(text: str, scanned: Scan) -> int:
    words = re.findall(r"\w+", text)
    for (_, signal), line in scanned.signal_line.items():
        if signal in words and "signal" in words:
            return line
    for word in words:
        if word in scanned.message_id:
            return scanned.message_line.get(scanned.message_id[word], 0)
    return 0


def _messages(library: cantools.database.can.Database) -> tuple[Message, ...]:
    """Our view of the messages; of two with one identifier or one name the later one counts."""
    by_id: dict[tuple[int, bool], Message] = {}
    for source in library.messages:
        if not 0 <= source.length <= MAX_MESSAGE_BYTES:
            raise ValueError(f"message {source.name} with {source.length} bytes")
        message = Message(
            name=source.name,
            id=source.frame_id,
            extended=source.is_extended_frame,
            length=source.length,
            signals=_signals(source),
            fd=source.is_fd,
            cycle_ms=source.cycle_time if source.cycle_time and source.cycle_time > 0 else None,
            senders=tuple(source.senders),
        )
        by_id[message.id, message.extended] = message
    by_name = {message.name: message for message in by_id.values()}
    return tuple(message for message in by_id.values() if by_name[message.name] is message)


def _signals(source: cantools.database.can.Message) -> tuple[Signal, ...]:
    """The signals of a message. Where a multiplexer was given a long name by attribute, its signals still name it by
    the short one, which is the beginning of the long one; the parsing library leaves them without a parent.
    """
    names = {signal.name for signal in source.signals}
    multiplexers = [signal.name for signal in source.signals if signal.is_multiplexer]
    parents: dict[str | None, str | None] = {}
    for short in {signal.multiplexer_signal for signal in source.signals} - names:
        found = [name for name in multiplexers if short and name.startswith(short)]
        parents[short] = found[0] if len(found) == 1 else short
    return tuple(
        _signal(signal, parents.get(signal.multiplexer_signal, signal.multiplexer_signal)) for signal in source.signals
    )


def _signal(source: Any, multiplexer: str | None) -> Signal:
    if not (0 <= source.start < 8 * MAX_MESSAGE_BYTES and 0 < source.length <= 8 * MAX_MESSAGE_BYTES):
        raise ValueError(f"signal {source.name} with start bit {source.start} and length {source.length}")
    choices = source.conversion.choices or {}
    return Signal(
        name=source.name,
        start_bit=source.start,
        length=source.length,
        big_endian=source.byte_order == "big_endian",
        signed=source.is_signed,
        is_float=source.conversion.is_float,
        scale=float(source.conversion.scale),
        offset=float(source.conversion.offset),
        as_written=(source.conversion.scale, source.conversion.offset),
        minimum=None if source.minimum is None else float(source.minimum),
        maximum=None if source.maximum is None else float(source.maximum),
        unit=source.unit or "",
        states={int(raw): str(name) for raw, name in choices.items()},
        is_multiplexer=source.is_multiplexer,
        multiplexer=multiplexer,
        mux_ids=frozenset(source.multiplexer_ids or ()),
    )


def _layout_findings(messages: tuple[Message, ...], scanned: Scan) -> list[Finding]:
    findings: list[Finding] = []
    for message in messages:
        dbc_id = message.id | (EXTENDED_BIT if message.extended else 0)
        findings += _overlaps(message, scanned, dbc_id)
        names = set()
        for signal in message.signals:
            line = scanned.line_of(dbc_id, signal.name)
            key = f"{message.name}.{signal.name}"
            findings += [Finding(line, key, found, allowed) for found, allowed in _doubts(message, signal)]
            if signal.name in names:
                findings.append(
                    Finding(line, key, "the signal name again", "one signal per name; the later one counts")
                )
            names.add(signal.name)
            if not signal.decodable:
                kind = "a float" if signal.is_float else "a number"
                found = f"{kind} of {signal.length} bits"
                findings.append(
                    Finding(line, key, found, "at most 64 bits, floats 32 or 64; not decoded", harmless=True)
                )
    return findings


def _doubts(message: Message, signal: Signal) -> list[tuple[str, str]]:
    doubts = []
    if not signal.fits(message.length):
        last = signal.first_bit + signal.length
        doubts.append((f"{last} bits needed", f"the {8 * message.length} bits of the message; not decoded"))
    if not _reachable(message, signal):
        doubts.append(
            (
                f"multiplexer {signal.multiplexer}, which selects nothing",
                "a multiplexer signal of the message; not decoded",
            )
        )
    finite = abs(signal.scale) < float("inf") and abs(signal.offset) < float("inf")
    if signal.scale == 0.0 or not finite:
        doubts.append((f"factor {signal.scale}, offset {signal.offset}", "a finite factor other than 0"))
    return doubts


def _reachable(message: Message, signal: Signal) -> bool:
    """Whether the chain of multiplexers above a signal ends at one that is always there."""
    for _ in message.signals:
        if signal.multiplexer is None:
            return True
        parent = message.by_name.get(signal.multiplexer)
        if parent is None or not parent.is_multiplexer:
            return False
        signal = parent
    return signal.multiplexer is None


def _overlaps(message: Message, scanned: Scan, dbc_id: int) -> list[Finding]:
    """Pairs of signals that claim the same bit in the same frame: not if one multiplexer keeps them apart.

    Signals behind the same multiplexer values are compared as a group first; hundreds of cells make many pairs.
    """
    groups: dict[Selectors, list[tuple[Signal, int]]] = {}
    for signal in message.signals:
        groups.setdefault(message.selectors(signal), []).append((signal, signal.bits))
    occupied = [(path, members, _union(bits for _, bits in members)) for path, members in groups.items()]
    pairs = [pair for _, members, _ in occupied for pair in combinations(members, 2)]
    for (path, members, bits), (other_path, others, other_bits) in combinations(occupied, 2):
        if bits & other_bits and not _exclusive(path, other_path):
            pairs += product(members, others)
    findings = []
    for (one, bits), (other, other_bits) in pairs:
        if bits & other_bits:
            line = max(scanned.line_of(dbc_id, one.name), scanned.line_of(dbc_id, other.name))
            found = f"bits shared by {one.name} and {other.name}"
            findings.append(Finding(line, message.name, found, "signals that do not overlap"))
    return findings


def _union(masks: Iterable[int]) -> int:
    union = 0
    for mask in masks:
        union |= mask
    return union


def _exclusive(one: Selectors, other: Selectors) -> bool:
    selected = dict(other)
    return any(name in selected and ids.isdisjoint(selected[name]) for name, ids in one)
