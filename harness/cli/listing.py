# SPDX-License-Identifier: Apache-2.0
"""Commands that only tell: faults, rigs, requirements, schema."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Sequence

import click

from harness.cli.common import emit, json_option
from harness.errors import UsageError
from harness.faults.model import FaultKind, Parameter

_WIDE = 100.0


@click.command()
@click.argument("kind", required=False)
@json_option
def faults(kind: str | None, *, as_json: bool) -> None:
    """List the fault catalogue, or explain one KIND with its parameters, units and ranges."""
    from harness.faults.catalogue import CATALOGUE  # noqa: PLC0415 - not needed for --help

    chosen = CATALOGUE if kind is None else (_named(kind, CATALOGUE),)
    if as_json:
        from harness.faults.document import catalogue_document  # noqa: PLC0415 - not needed for --help

        emit(catalogue_document(chosen))
    elif kind is None:
        _print_catalogue(chosen)
    else:
        _print_kind(chosen[0])


def _named(kind: str, catalogue: Sequence[FaultKind]) -> FaultKind:
    names = [entry.kind for entry in catalogue]
    if kind not in names:
        near = difflib.get_close_matches(kind, names, n=3)
        hint = f"did you mean {', '.join(near)}? " if near else ""
        raise UsageError(f"no fault '{kind}'; {hint}'bms-harness faults' lists all {len(names)}")
    return catalogue[names.index(kind)]


def _print_catalogue(entries: Sequence[FaultKind]) -> None:
    from rich.markup import escape  # noqa: PLC0415 - not needed for --json
    from rich.table import Table  # noqa: PLC0415 - see above

    from harness.report.terminal import make_console  # noqa: PLC0415 - see above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("class", "fault", "acts on", "bench", "parameters", "what it is"):
        table.add_column(heading, no_wrap=heading in {"class", "fault", "acts on", "bench"})
    last = ""
    for entry in entries:
        group = entry.fault_class.value
        words = ", ".join(f"{p.name} [{p.unit}]" if p.unit else p.name for p in entry.parameters)
        on_bench = "yes" if entry.bench else ""
        shown = group if group != last else ""
        table.add_row(shown, entry.kind, entry.where.value, on_bench, escape(words), entry.title)
        last = group
    console = make_console()
    console.print(table)
    console.print(
        f"\n{len(entries)} kinds. 'bms-harness faults KIND' gives ranges; all take the time options of 'inject'."
    )


def _print_kind(entry: FaultKind) -> None:
    from harness.faults.catalogue import shapes_of, timing_of  # noqa: PLC0415 - not needed for --help
    from harness.faults.model import NEEDS  # noqa: PLC0415 - see above

    click.echo(f"{entry.kind}: {entry.title}")
    click.echo(f"class {entry.fault_class.value}; acts on {entry.where.value}; source: {entry.source}")
    click.echo(f"shapes: {', '.join(shapes_of(entry))}")
    click.echo(f"on a bench: {'yes' if entry.bench else f'no: {entry.bench_obstacle}'}\n")
    rows = [
        (p.name, p.unit, allowed_text(p), "" if p.default is None else str(p.default), p.meaning)
        for p in (*entry.parameters, *timing_of(entry))
    ]
    _print_table(("parameter", "unit", "allowed", "default", "meaning"), rows)
    words = " ".join(f"{p.name}={_example(p)}" for p in entry.parameters if p.default is None)
    shipped = _rigs_with(entry.needs) if entry.needs else ["ebus-lfp"]
    if entry.needs:
        click.echo(f"\nonly on rigs with {NEEDS[entry.needs]}: {', '.join(shipped) or 'no shipped rig'}")
    rig = shipped[0] if shipped else "RIG"
    click.echo(f"\nexample: {f'bms-harness inject {rig} {entry.kind} {words}'.strip()}")


def _rigs_with(feature: str) -> list[str]:
    """The shipped rigs that have something not every rig has."""
    from harness.rig import load_rig, shipped_rigs  # noqa: PLC0415 - not needed for --help

    return [rig.name for rig in map(load_rig, shipped_rigs()) if feature in rig.features]


def _example(parameter: Parameter) -> str:
    """A legal value: a word where there are words, else the middle of the range (of its logarithms where wide)."""
    if parameter.role == "message":
        return "vehicle"
    if parameter.role == "index":
        return "1"
    if parameter.choices:
        return parameter.choices[0]
    low, high = parameter.minimum or 0.0, parameter.maximum or 1.0
    middle = math.sqrt(low * high) if low > 0.0 and high > _WIDE * low else (low + high) / 2.0
    return f"{round(middle)}" if parameter.integer else f"{middle:.3g}"


def allowed_text(parameter: Parameter) -> str:
    """The legal range of a parameter as printed, e.g. "0 to 6", "1 to the rig's last one | all"."""
    parts = list(parameter.choices)
    if parameter.minimum is not None or parameter.role == "index":
        low = 1.0 if parameter.minimum is None else parameter.minimum
        high = "the rig's last one" if parameter.maximum is None else f"{parameter.maximum:g}"
        parts.insert(0, f"{low:g} to {high}")
    return " | ".join(parts)


@click.command()
@json_option
def rigs(*, as_json: bool) -> None:
    """List the rigs that come with the harness."""
    from harness.rig import load_rig, shipped_rigs  # noqa: PLC0415 - not needed for --help

    known = [(path.stem, path, load_rig(path).title) for path in shipped_rigs()]
    if as_json:
        emit({"rigs": [{"name": name, "path": str(path), "title": title} for name, path, title in known]})
        return
    width = max(len(name) for name, _, _ in known)
    for name, path, title in known:
        click.echo(f"{name:<{width}}  {title}\n{'':<{width}}  {path}")


@click.command()
@click.argument("rig", required=False)
@click.option("--quantities", is_flag=True, help="List the quantities a requirement may name instead.")
@click.option("--clauses", is_flag=True, help="List the clauses of its packs instead, and what answers for each.")
@json_option
def requirements(rig: str | None, *, quantities: bool, clauses: bool, as_json: bool) -> None:
    """List the requirements of RIG."""
    if quantities:
        _list_quantities(as_json=as_json)
    elif rig is None:
        raise UsageError("which RIG? 'bms-harness rigs' lists the shipped ones")
    elif clauses:
        _list_clauses(rig, as_json=as_json)
    else:
        _list_requirements(rig, as_json=as_json)


def _list_quantities(*, as_json: bool) -> None:
    from harness.units import ARRAYS, FLAG_PREFIXES, QUANTITIES, unit_of  # noqa: PLC0415 - not needed for --help

    rows = [(name, quantity.unit, quantity.meaning) for name, quantity in QUANTITIES.items()]
    rows += [(f"{name}[i]", unit_of(name)[0], "of one cell or sensor, counted from 1") for name in ARRAYS]
    rows += [(f"{prefix}NAME", "", "a flag of the product; 1 = set") for prefix in FLAG_PREFIXES]
    if as_json:
        emit({"quantities": [{"name": name, "unit": unit, "meaning": meaning} for name, unit, meaning in rows]})
        return
    _print_table(("quantity", "unit", "meaning"), rows)


def _list_requirements(rig: str, *, as_json: bool) -> None:
    from harness.report.shapes import requirements_json  # noqa: PLC0415 - not needed for --help
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above

    loaded = load_rig(find_rig(rig))
    if as_json:
        emit(requirements_json(loaded.requirements))
        return
    rows = [
        (r.id, r.kind, r.title, "; ".join(r.source) + (" (assumption)" if r.assumption else ""))
        for r in loaded.requirements
    ]
    _print_table(("requirement", "kind", "title", "source"), rows)
    click.echo(f"\n{len(rows)} requirements of {loaded.name}.")


def _list_clauses(rig: str, *, as_json: bool) -> None:
    from harness.report.clauses import STATUS_WORDS, answer_text  # noqa: PLC0415 - not needed for --help
    from harness.rig import find_rig, load_rig  # noqa: PLC0415 - see above
    from harness.rig.clauses import clauses_record  # noqa: PLC0415 - see above

    loaded = load_rig(find_rig(rig))
    packs = clauses_record(loaded, ())["packs"]
    for clause in (clause for pack in packs for clause in pack["clauses"]):
        del clause["outcome"]  # nothing was played
    if as_json:
        emit({"applications": list(loaded.file.requirements.applications), "packs": packs})
        return
    if not packs:
        click.echo(f"{loaded.name} names no packs: `packs` under [requirements], see docs/requirement-packs.md")
        return
    for pack in packs:
        click.echo(f"\n{pack['title']} ({pack['norm']})")
        rows = [(c["id"], STATUS_WORDS[c["status"]], c["title"], answer_text(c)) for c in pack["clauses"]]
        _print_table(("clause", "status", "title", "requirements, or why there are none"), rows)


def _print_table(headings: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose first two columns are never broken."""
    from rich.table import Table  # noqa: PLC0415 - not needed for --json
    from rich.text import Text  # noqa: PLC0415 - see above

    from harness.report.terminal import make_console  # noqa: PLC0415 - see above

    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, heading in enumerate(headings):
        table.add_column(Text(heading), no_wrap=place < 2)  # noqa: PLR2004 - the name and what kind it is
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    make_console().print(table)


@click.command()
@click.argument(
    "kind",
    type=click.Choice(
        [
            "rig",
            "requirements",
            "pack",
            "scenario",
            "profile",
            "cell",
            "cycle",
            "duty",
            "faults",
            "defects",
            "mutants",
            "bench",
        ]
    ),
)
def schema(kind: str) -> None:
    """Print the JSON Schema of a file KIND, for editors (e.g. '#:schema' lines of TOML tools)."""
    from harness.bench.file import BenchFile  # noqa: PLC0415 - pydantic is not needed for --help
    from harness.rig.schemas import schema_of  # noqa: PLC0415 - see above

    emit(BenchFile.model_json_schema() if kind == "bench" else schema_of(kind))
