# SPDX-License-Identifier: Apache-2.0
"""JSON Schemas of the file kinds, for editors, and of the catalogue `bms-harness faults --json` prints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from harness.canbus import profile_file
from harness.faults.schema import catalogue_schema
from harness.requirements.load import requirement_schema
from harness.requirements.packs import pack_schema
from harness.rig.cellfile import CellFile
from harness.rig.cycle import Cycle
from harness.rig.defectfile import DefectFile
from harness.rig.duty import Duty
from harness.rig.mutantfile import MutantFile
from harness.rig.sections import RigFile
from harness.scenario import scenario_schema

_SCHEMAS: Final[Mapping[str, Callable[[], Mapping[str, Any]]]] = {
    "rig": RigFile.model_json_schema,
    "requirements": requirement_schema,
    "pack": pack_schema,
    "scenario": scenario_schema,
    "profile": profile_file.schema,
    "cell": CellFile.model_json_schema,
    "cycle": Cycle.model_json_schema,
    "duty": Duty.model_json_schema,
    "defects": DefectFile.model_json_schema,
    "mutants": MutantFile.model_json_schema,
    "faults": catalogue_schema,
}


def schema_of(kind: str) -> Mapping[str, Any]:
    """The schema of a file kind. Raises KeyError for any other name than those of `bms-harness schema`."""
    return _SCHEMAS[kind]()
