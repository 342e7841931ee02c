# SPDX-License-Identifier: Apache-2.0
"""Builds all mutants of a firmware into one library (mutant schemata): each place becomes a switch on a number.

The sources are never written to; what is generated lies in the cache, under the hash of its content. The switch is the
one of seeded defects: `fil_defect(id)` of the generated library chooses a mutant. A firmware's own defects are not in
it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Final

from harness.errors import FirmwareError
from harness.firmware import cache
from harness.firmware.builder import BuildOptions, build_firmware
from harness.firmware.mutants import Form, Mutant, Rules, Site, find_mutants

_PROBE = "BH_PROBE"
_MAIN = "bh_mutants.c"
_COMMENT = re.compile(rb"/\*.*?\*/|//[^\n]*", re.DOTALL)
_ERROR = re.compile(r"^(?:.*[/\\])?([^:/\\]+):(\d+):\d+: error: ", re.MULTILINE)
_MAX_REPAIRS = 8
# The firmware's own switch of seeded defects, if it has one, makes room for that of the mutants.
_DEFINES: Final = ("fil_defect=bh_own_defect",)
_MAIN_TEXT = """\
#undef fil_defect
#define fil_defect bh_unused
#include "fil.h"
#undef fil_defect
#include "probe.h"

enum {{ LAST = {last} }};

int bh_mutant;
unsigned char *bh_seen;

int fil_defect(int id);

int fil_defect(int id) {{
    if ((id < 0) || (id > LAST)) {{
        return -1;
    }}
    bh_mutant = id;
    return 0;
}}

unsigned bh_probe(unsigned char *seen) {{
    bh_seen = seen;
#ifdef BH_PROBE
    return LAST + 1;
#else
    return 0;
#endif
}}
"""


@dataclass(frozen=True, slots=True)
class Schemata:
    """A firmware with all its mutants. `mutants` can be chosen, `refused` are those the compiler does not take.

    `library` has the mutants, `probe` notes what is executed and where a mutant would make a difference.
    """

    mutants: tuple[Mutant, ...]
    refused: tuple[Mutant, ...]
    library: Path
    probe: Path


Found = Mapping[Path, Sequence[tuple[Mutant, Site]]]


def build_schemata(
    sources: Sequence[Path],
    include_dirs: Sequence[Path],
    *,
    defines: Sequence[str] = (),
    rules: Rules = Rules(),  # noqa: B008 - frozen
    left_alone: Sequence[Path] = (),
) -> Schemata:
    """Both libraries, built if needed. Sources in `left_alone` are compiled without mutants.

    Raises UsageError and FirmwareError as `build_firmware` does.
    """
    found = _find_all(sources, rules, left_alone)
    refused: list[Mutant] = []
    folders = (*dict.fromkeys(source.resolve().parent for source in sources), *include_dirs)
    for _ in range(_MAX_REPAIRS):
        folder = cache.keep_folder("schemata", _texts(found))
        generated = [folder / name for name in (*_names(sources), _MAIN)]
        options = BuildOptions(defines=(*defines, *_DEFINES))
        try:
            library = build_firmware(generated, folders, options)
            probe = build_firmware(generated, folders, replace(options, defines=(*options.defines, _PROBE)))
        except FirmwareError as error:
            found, bad = _without_lines(found, str(error))
            if not bad:
                raise
            refused += bad
        else:
            mutants = tuple(mutant for pairs in found.values() for mutant, _ in pairs)
            return Schemata(mutants, tuple(refused), library, probe)
    raise FirmwareError(f"the mutants do not build after {_MAX_REPAIRS} rounds; {len(refused)} were left out")


def _find_all(sources: Sequence[Path], rules: Rules, left_alone: Sequence[Path]) -> Found:
    found: dict[Path, list[tuple[Mutant, Site]]] = {}
    first = 1
    for source in sources:
        here = [] if source in left_alone else find_mutants(source.read_bytes(), source.name, rules, first=first)
        found[source] = here
        first += len(here)
    return found


def _without_lines(found: Found, output: str) -> tuple[Found, list[Mutant]]:
    """The mutants on lines the compiler complains of are left out, and returned."""
    bad = {(name, int(line)) for name, line in _ERROR.findall(output)}
    dropped: list[Mutant] = []
    kept: dict[Path, list[tuple[Mutant, Site]]] = {}
    for source, pairs in found.items():
        kept[source] = []
        for mutant, site in pairs:
            is_bad = (mutant.file, mutant.line) in bad
            (dropped if is_bad else []).append(mutant)
            if not is_bad:
                kept[source].append((mutant, site))
    return kept, dropped


def _texts(found: Found) -> dict[str, bytes]:
    names = _names(list(found))
    texts = {name: instrumented(path, pairs) for name, (path, pairs) in zip(names, found.items(), strict=True)}
    last = max((mutant.id for pairs in found.values() for mutant, _ in pairs), default=0)
    return texts | {_MAIN: _MAIN_TEXT.format(last=last).encode()}


def _names(sources: Sequence[Path]) -> list[str]:
    """Names of the generated files: those of the sources, of which two may have the same."""
    return [f"{place:03d}-{source.name}" for place, source in enumerate(sources)]


def instrumented(source: Path, pairs: Sequence[tuple[Mutant, Site]]) -> bytes:
    """The text of a source with its mutants built in. Lines keep their numbers.

    A function stands there twice: as it is, for as long as none of its mutants is active, so that the mutants of the
    others cost it nothing.
    """
    text = source.read_bytes()
    sites = sorted(
        ((site, mutant.id) for mutant, site in pairs), key=lambda pair: (pair[0].start, -pair[0].end, pair[1])
    )
    parts = [b'#include "schemata.h"\n#line 1 "%s"\n' % source.name.encode()]
    at = 0
    for (start, end), group in groupby(sites, key=lambda pair: pair[0].body):
        inside = list(group)
        if end:
            line = text.count(b"\n", 0, start) + 1
            numbers = (min(number for _, number in inside), max(number for _, number in inside))
            parts += [text[at:start], b"{ if (BH_NONE_OF(%d, %d)) " % numbers, text[start:end]]
            parts += [
                b' else\n#line %d "%s"\n' % (line, source.name.encode()),
                _render(text, start, end, inside),
                b" }",
            ]
            at = end
        else:
            until = max(site.end for site, _ in inside)
            parts.append(_render(text, at, until, inside))
            at = until
    return b"".join([*parts, text[at:]])


def _render(text: bytes, start: int, end: int, sites: Sequence[tuple[Site, int]]) -> bytes:
    """`text[start:end]` with the sites inside it; those that share a place are put around each other."""
    parts: list[bytes] = []
    at = start
    for outer, inner in _nested(sites):
        parts += [text[at : outer[0][0].start], _render_place(text, outer, inner)]
        at = outer[0][0].end
    return b"".join([*parts, text[at:end]])


def _nested(
    sites: Sequence[tuple[Site, int]],
) -> Iterator[tuple[list[tuple[Site, int]], list[tuple[Site, int]]]]:
    """The outermost places, each with all sites there, and the sites further inside."""
    place = 0
    while place < len(sites):
        first = sites[place][0]
        until = place
        while until < len(sites) and sites[until][0].start < first.end:
            until += 1
        group = sites[place:until]
        same = [pair for pair in group if (pair[0].start, pair[0].end) == (first.start, first.end)]
        yield same, [pair for pair in group if (pair[0].start, pair[0].end) != (first.start, first.end)]
        place = until


def _render_place(text: bytes, outer: list[tuple[Site, int]], inner: list[tuple[Site, int]]) -> bytes:
    """The binary operator goes innermost: it needs its operands."""
    binary = [pair for pair in outer if pair[0].form is Form.BINARY]
    others = [pair for pair in outer if pair[0].form is not Form.BINARY]
    site = outer[0][0]
    if binary:
        done = _binary(text, *binary[0], inner)
        others += binary[1:]
    else:
        done = _render(text, site.start, site.end, inner)
    for site, number in others:
        done = _wrapped(text, site, number, done)
    return done


def _binary(text: bytes, site: Site, number: int, inner: list[tuple[Site, int]]) -> bytes:
    left, right = (
        _render(text, begin, end, [pair for pair in inner if begin <= pair[0].start and pair[0].end <= end])
        for begin, end in site.parts
    )
    operator, other = site.operators
    return b"BH_BINARY(%d, (%s), %s, %s, (%s), (%s))" % (number, left, operator, other, right, _flat(site.mutated))


def _wrapped(text: bytes, site: Site, number: int, done: bytes) -> bytes:
    match site.form:
        case Form.LEFT_OUT:
            return b"{ BH_LEFT_OUT(%d) %s }" % (number, done)
        case Form.ASSIGNMENT:
            target = text[slice(*site.parts[0])]
            return b"{ BH_ASSIGNMENT(%d, (%s), %s) }" % (number, _flat(target), done)
        case _:
            return b"%s(%d, (%s), (%s))" % (site.form.value.encode(), number, done, _flat(site.mutated))


def _flat(text: bytes) -> bytes:
    """On one line, so that the lines after it keep their numbers."""
    return b" ".join(_COMMENT.sub(b" ", text).split())
