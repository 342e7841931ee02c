# SPDX-License-Identifier: Apache-2.0
"""Turns a program counter into file and line, from the DWARF line table of a shared library."""

from __future__ import annotations

import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class LineTable:
    """Start addresses, rising, each with its "file:line"; an empty text ends a sequence."""

    addresses: tuple[int, ...]
    places: tuple[str, ...]

    def place(self, address: int) -> str | None:
        """The "file:line" of an address relative to the load address; None when the table does not know it."""
        position = bisect.bisect_right(self.addresses, address) - 1
        return self.places[position] or None if position >= 0 else None


def read_line_table(library: Path) -> LineTable:
    """The line table of a library; empty when it has none, or is no ELF file."""
    from elftools.common.exceptions import ELFError  # noqa: PLC0415 - slow, and only needed after a crash
    from elftools.elf.elffile import ELFFile  # noqa: PLC0415

    try:
        with library.open("rb") as file:
            elf = ELFFile(file)
            rows = sorted(_rows(elf.get_dwarf_info())) if elf.has_dwarf_info() else []
    except (ELFError, OSError):
        rows = []
    return LineTable(tuple(address for address, _, _ in rows), tuple(place for _, _, place in rows))


def _rows(dwarf: Any) -> Iterator[tuple[int, int, str]]:
    """Address, order (the end of one sequence sorts before the start of the next) and place."""
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        names = _file_names(program)
        for entry in program.get_entries():
            state = entry.state
            if state is None or (state.line == 0 and not state.end_sequence):
                continue
            place = "" if state.end_sequence else f"{names.get(state.file, '?')}:{state.line}"
            yield state.address, 0 if state.end_sequence else 1, place


def _file_names(program: Any) -> dict[int, str]:
    """File number -> path. Numbers and folders count from 0 since DWARF 5, from 1 before."""
    header = program.header
    modern = header.version >= 5  # noqa: PLR2004 - DWARF version
    folders = [_text(folder) for folder in header.include_directory]
    names: dict[int, str] = {}
    for number, entry in enumerate(header.file_entry, start=0 if modern else 1):
        index = entry.dir_index if modern else entry.dir_index - 1
        folder = folders[index] if 0 <= index < len(folders) else ""
        name = _text(entry.name)
        names[number] = name if folder in ("", ".") or Path(name).is_absolute() else f"{folder}/{name}"
    return names


def _text(value: bytes) -> str:
    return value.decode("utf-8", "replace")
