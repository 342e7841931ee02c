# SPDX-License-Identifier: Apache-2.0
"""What Tab offers: commands, faults, their keys with unit and range, flags, labels, files."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from harness.bench.shellwords import HELP
from harness.faults.catalogue import CATALOGUE, find_kind, timing_of
from harness.faults.check import Bounds, describe
from harness.faults.model import FaultKind
from harness.units import CONTROLLER_STATES

Offer = tuple[str, str]  # the word, what it means


def offers(text: str, bounds: Bounds, flags: Collection[str], labels: Collection[str]) -> tuple[str, list[Offer]]:
    """The word begun at the end of the text, and what it may become."""
    words = text.split()
    begun = "" if not text or text[-1].isspace() else words.pop()
    found = list(_candidates(words, begun, bounds, flags, labels))
    return begun, [(word, meaning) for word, meaning in found if word.startswith(begun)]


_FIXED: Mapping[tuple[str, ...], tuple[Offer, ...]] = {
    (): tuple((name, meaning) for name, (_, meaning) in HELP.items()),
    ("help",): tuple((name, "") for name in HELP),
    ("inject",): tuple((kind.kind, kind.title) for kind in CATALOGUE),
    ("ignition",): (("on", ""), ("off", "")),
    ("set",): (("soc=", "state of charge of all cells, %"), ("load=", "factor on the duty profile, -3 to 3")),
    ("power-cycle",): (("off_s=", "how long the controller is without power, s"),),
    ("wait",): (("until", "a flag or a state"),),
    ("wait", "until"): (("state", "of the controller"), ("not", "until a flag is gone")),
    ("wait", "until", "state"): tuple((name, "") for name in CONTROLLER_STATES),
    ("clear",): (("all", "every fault put in by hand"),),
}


def _candidates(
    words: list[str], begun: str, bounds: Bounds, flags: Collection[str], labels: Collection[str]
) -> Iterator[Offer]:
    """What may stand after these words: what is always the same first."""
    yield from _FIXED.get(tuple(words), ())
    match words:
        case ["inject", name, *given]:
            kind = find_kind(name)
            taken = {word.partition("=")[0] for word in given}
            yield from () if kind is None else _keys(kind, begun, taken, bounds)
        case ["clear"]:
            yield from ((label, "put in by hand") for label in labels)
        case ["wait", "until"] | ["wait", "until", "not"]:
            yield from ((flag, "") for flag in flags)
        case ["save"]:
            yield from _files(begun)


def _keys(kind: FaultKind, begun: str, given: set[str], bounds: Bounds) -> Iterator[Offer]:
    key, equals, _ = begun.partition("=")
    for parameter in (*kind.parameters, *timing_of(kind)):
        if equals and parameter.name == key:
            names = bounds.message_names(key) if parameter.role == "message" else parameter.choices
            yield from ((f"{key}={word}", parameter.meaning) for word in names)
        elif not equals and parameter.name not in given:
            yield f"{parameter.name}=", f"{parameter.meaning}: {describe(parameter, bounds)}"
    if not equals and "label" not in given:
        yield "label=", "a name for 'clear'"


def _files(begun: str) -> Iterator[Offer]:
    folder = Path(begun).parent if begun and not begun.endswith(os.sep) else Path(begun or ".")
    if not folder.is_dir():
        return
    lead = begun[: begun.rfind(os.sep) + 1]
    for path in sorted(folder.iterdir()):
        if path.is_dir():
            yield f"{lead}{path.name}{os.sep}", "folder"
        elif path.suffix == ".toml":
            yield f"{lead}{path.name}", "would be written over"
