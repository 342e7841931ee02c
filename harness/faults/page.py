# SPDX-License-Identifier: Apache-2.0
"""The documentation page of the catalogue. `python -m harness.faults` prints it; docs/faults.md is its output."""

from __future__ import annotations

from collections.abc import Iterator

from harness.faults.catalogue import CATALOGUE, shapes_of
from harness.faults.model import NEEDS, TIMING, FaultClass, FaultKind, Parameter

_HEAD = """\
<!-- Made by `python -m harness.faults`; do not edit. -->

# The fault catalogue

{n} kinds of fault in {classes} classes. `bms-harness faults KIND` explains one, `bms-harness faults --json` gives all
of this as data, and `bms-harness inject RIG KIND KEY=VALUE ...` plays one. A value outside its range is refused, never
clipped. Every fault of every run reports whether it *fired*, that is, changed what the controller was given.

- *acts on*: `truth` bends the plant, `given` only what the controller's sensors read, `bus` the frames.
- *shapes*: courses over time. `step` acts from its start until `for_s` is over (a pulse) or to the end.
- *plays on*: a virtual rig and a bench (both), or only a virtual rig, and why. A bench may refuse single parameters,
  too, with the reason and before anything is energised: frames of the controller itself, say, cannot be bent.
- *masks*: quantities that the controller can no longer know because of the fault.
- Indices count from 1, from the negative end of the string; `all` means every one. Positive current discharges.

## Time

{timing}
"""


def page() -> str:
    """The page as Markdown."""
    classes = [group for group in FaultClass if any(kind.fault_class is group for kind in CATALOGUE)]
    timing = "\n".join(_timing_lines())
    parts = [_HEAD.format(n=len(CATALOGUE), classes=len(classes), timing=timing)]
    for group in classes:
        kinds = [kind for kind in CATALOGUE if kind.fault_class is group]
        parts.append(
            "\n".join((f"## {group.value[0].upper()}{group.value[1:]} ({len(kinds)})", "", *_table(kinds), ""))
        )
    return "\n".join(parts)


def _timing_lines() -> Iterator[str]:
    yield "| parameter | range | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for parameter in TIMING:
        default = "" if parameter.default is None else _plain(parameter.default)
        yield f"| `{parameter.name}` | {_range(parameter)} | {default} | {_cell(parameter.meaning)} |"


def _table(kinds: list[FaultKind]) -> Iterator[str]:
    yield "| fault | what it is | acts on | parameters | shapes | plays on | masks | source |"
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for kind in kinds:
        cells = (
            f"`{kind.kind}`",
            _cell(kind.title),
            kind.where.value,
            "<br>".join(_parameter(parameter) for parameter in kind.parameters),
            ", ".join(shapes_of(kind)),
            _plays_on(kind),
            ", ".join(f"`{name}`" for name in kind.masks),
            _cell(kind.source),
        )
        yield f"| {' | '.join(cells)} |"


def _plays_on(kind: FaultKind) -> str:
    where = "both" if kind.bench else f"virtual: {_cell(kind.bench_obstacle)}"
    return f"{where}; rigs with {_cell(NEEDS[kind.needs])}" if kind.needs else where


def _parameter(parameter: Parameter) -> str:
    default = "" if parameter.default is None else f", default {_plain(parameter.default)}"
    return f"`{parameter.name}` {_range(parameter)}{default}: {_cell(parameter.meaning)}"


def _range(parameter: Parameter) -> str:
    """The legal values: `0 to 6 V`, `1 to the rig's last, or all`, `positive, negative, precharge`."""
    if parameter.role == "message":
        return "a name"
    words = ", ".join(parameter.choices)
    if parameter.role == "option":
        return words
    high = "the rig's last" if parameter.maximum is None else _plain(parameter.maximum)
    span = f"{_plain(parameter.minimum or 0.0)} to {high} {parameter.unit}".rstrip()
    return f"{span}, or {words}" if words else span


def _plain(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _cell(text: str) -> str:
    """Text inside a table cell."""
    return text.replace("|", "\\|")
