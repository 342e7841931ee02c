# SPDX-License-Identifier: Apache-2.0
"""The `[diagnostics]` table of a profile: where the controller answers UDS requests, its codes and its identifiers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from harness.tomlfile import FileModel, KeyPath
from harness.units import is_known

CanId = Annotated[int, Field(ge=0, lt=2**29)]
Factor = Annotated[float, Field(allow_inf_nan=False, strict=False)]
FLAG = "fault."
_STANDARD_IDS = 2**11


class IdentifierModel(FileModel):
    """A number behind a data identifier, greatest byte first: quantity = raw * scale + offset.

    `bytes` is its length: what stands behind it in an answer with several identifiers is known only with it.
    """

    id: Annotated[int, Field(ge=0, le=0xFFFF)]
    scale: Factor = 1.0
    offset: Factor = 0.0
    signed: bool = False
    bytes: Annotated[int, Field(ge=1, le=8)] | None = None


class DiagnosticsModel(FileModel):
    """UDS (ISO 14229-1) over ISO-TP (ISO 15765-2) with normal addressing.

    `codes` has the 24-bit number of the trouble code of each fault, `identifiers` the data identifier of quantities.
    """

    request_id: CanId
    response_id: CanId
    extended: bool = False
    codes: Annotated[dict[str, Annotated[int, Field(ge=1, lt=2**24)]], Field(default_factory=dict)]
    identifiers: Annotated[dict[str, IdentifierModel], Field(default_factory=dict)]


@dataclass(frozen=True, slots=True)
class Diagnostics:
    """What a profile says of the diagnostics. `codes` are faults ("fault.hvil") by the number of their trouble code,
    `identifiers` the quantities by data identifier.
    """

    request_id: int
    response_id: int
    extended: bool
    codes: Mapping[int, str]
    identifiers: Mapping[int, tuple[str, IdentifierModel]]


_Wrong = Callable[[KeyPath, object, str], None]


def resolve_diagnostics(model: DiagnosticsModel | None, wrong: _Wrong) -> Diagnostics | None:
    """The table as it is used; what is wrong with it goes to `wrong`. None where there is no table."""
    if model is None:
        return None
    key: KeyPath = ("diagnostics",)
    for name in ("request_id", "response_id"):
        if not model.extended and getattr(model, name) >= _STANDARD_IDS:
            wrong((*key, name), f"0x{getattr(model, name):X}", "at most 0x7FF, or extended = true")
    if model.request_id == model.response_id:
        wrong((*key, "response_id"), f"0x{model.response_id:X}", "another identifier than that of the requests")
    codes = _codes((*key, "codes"), model, wrong)
    identifiers = _identifiers((*key, "identifiers"), model, wrong)
    return Diagnostics(model.request_id, model.response_id, model.extended, codes, identifiers)


def _codes(key: KeyPath, model: DiagnosticsModel, wrong: _Wrong) -> dict[int, str]:
    codes: dict[int, str] = {}
    for flag, number in model.codes.items():
        if not flag.startswith(FLAG) or not is_known(flag):
            wrong((*key, flag), flag, f'a fault of the vocabulary, "{FLAG}..."')
        if number in codes:
            wrong((*key, flag), f"0x{number:06X}", f"a number of its own; {codes[number]} has this one")
        codes[number] = flag
    return codes


def _identifiers(key: KeyPath, model: DiagnosticsModel, wrong: _Wrong) -> dict[int, tuple[str, IdentifierModel]]:
    identifiers: dict[int, tuple[str, IdentifierModel]] = {}
    for quantity, entry in model.identifiers.items():
        if not is_known(quantity):
            wrong((*key, quantity), quantity, "a quantity (bms-harness requirements --quantities)")
        if entry.id in identifiers:
            told = f"an identifier of its own; {identifiers[entry.id][0]} has this one"
            wrong((*key, quantity), f"0x{entry.id:04X}", told)
        identifiers[entry.id] = (quantity, entry)
    return identifiers
