# SPDX-License-Identifier: Apache-2.0
"""What commands share that take a bench file where others take a rig."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from harness.errors import UsageError

if TYPE_CHECKING:
    from harness.bench.file import Bench

Command = TypeVar("Command", bound=Callable[..., Any])


def port_option(command: Command) -> Command:
    """--port NAME=URL, as often as needed: `ports`."""
    return click.option(
        "--port",
        "ports",
        multiple=True,
        metavar="NAME=URL",
        help="Another port for an instrument of the bench file, or another channel for 'can'.",
    )(command)


def parse_ports(words: Sequence[str]) -> Mapping[str, str]:
    """NAME=URL words as a table. Raises UsageError with the word that is none."""
    table: dict[str, str] = {}
    for word in words:
        name, equals, url = word.partition("=")
        if not (name and equals and url):
            raise UsageError(f"--port '{word}' is not NAME=URL; example: --port can=/dev/ttyACM0")
        if name in table:
            raise UsageError(f"--port {name} is given twice")
        table[name] = url
    return table


def bench_of(reference: str, ports: Sequence[str]) -> Bench | None:
    """The bench of a bench file, None for a rig. Raises UsageError for ports of a rig, RigError for a wrong file."""
    table = parse_ports(ports)
    path = Path(reference)
    if path.is_file():
        from harness.bench.file import is_bench_file, load_bench  # noqa: PLC0415 - not needed for --help

        if is_bench_file(path):
            return load_bench(path, table)
    if table:
        raise UsageError(f"--port: {reference} is a virtual rig and has no ports; name a bench file")
    return None


def only_bench(names: Sequence[str], ports: Sequence[str]) -> Bench | None:
    """The bench that is named alone, None for rigs. Raises UsageError for a bench among several rigs."""
    if len(names) == 1:
        return bench_of(names[0], ports)
    for name in names:
        if bench_of(name, ports) is not None:
            raise UsageError(f"{name} is a bench file: a bench is run by itself, not among several rigs")
    return None


def refuse_on_bench(**given: object) -> None:
    """Raise UsageError for options that mean nothing on a bench and were given."""
    words = [f"--{name.replace('_', '-')}" for name, value in given.items() if value]
    if words:
        raise UsageError(f"{', '.join(words)} means nothing on a bench: the controller is a real one, played at 1x")
