# SPDX-License-Identifier: Apache-2.0
"""The columns of a trace row: their order in trace_types.h and what they are called elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, auto
from typing import Literal

Side = Literal["given", "truth", "output", "environment"]


class Column(IntEnum):
    """BH_* column numbers, in the order of trace_types.h."""

    @staticmethod
    def _generate_next_value_(name: str, start: int, count: int, last_values: list[int]) -> int:  # noqa: ARG004 - fixed by enum
        return count

    GIVEN_PACK_VOLTAGE_V = auto()
    GIVEN_LINK_VOLTAGE_V = auto()
    GIVEN_CHARGER_VOLTAGE_V = auto()
    GIVEN_PACK_CURRENT_A = auto()
    GIVEN_CELL_VOLTAGE_MAX_V = auto()
    GIVEN_CELL_VOLTAGE_MIN_V = auto()
    GIVEN_CELL_VOLTAGE_SUM_V = auto()
    GIVEN_CELL_VOLTAGE_SPREAD_V = auto()
    GIVEN_CELL_VOLTAGE_MAX_INDEX = auto()
    GIVEN_CELL_VOLTAGE_MIN_INDEX = auto()
    GIVEN_CELL_TEMP_MAX_DEGC = auto()
    GIVEN_CELL_TEMP_MIN_DEGC = auto()
    GIVEN_CELL_TEMP_MAX_INDEX = auto()
    GIVEN_CELL_TEMP_MIN_INDEX = auto()
    GIVEN_CELL_TEMP_SPREAD_K = auto()
    GIVEN_CELL_TEMP_RISE_K_PER_S = auto()
    GIVEN_VOLTAGE_MISMATCH_V = auto()
    GIVEN_LINK_OF_PACK_PCT = auto()
    GIVEN_CELLS_INVALID = auto()
    GIVEN_CELLS_OPEN_WIRE = auto()
    GIVEN_CELL_AGE_MAX_S = auto()
    GIVEN_TEMPS_INVALID = auto()
    GIVEN_CURRENT_VALID = auto()
    GIVEN_INSULATION_OHM = auto()
    GIVEN_SUPPLY_V = auto()
    GIVEN_DIGITAL_IN = auto()
    GIVEN_CELL_FROZEN_A = auto()
    GIVEN_PACK_VOLTAGE_FROZEN_A = auto()
    GIVEN_LINK_VOLTAGE_FROZEN_A = auto()
    GIVEN_CURRENT_FROZEN_V = auto()
    GIVEN_CAN_STATE = auto()
    GIVEN_NVM_DAMAGED = auto()
    GIVEN_SOC_COUNTED = auto()
    TRUTH_PACK_VOLTAGE_V = auto()
    TRUTH_LINK_VOLTAGE_V = auto()
    TRUTH_PACK_CURRENT_A = auto()
    TRUTH_CELL_VOLTAGE_MAX_V = auto()
    TRUTH_CELL_VOLTAGE_MIN_V = auto()
    TRUTH_CELL_VOLTAGE_MAX_INDEX = auto()
    TRUTH_CELL_VOLTAGE_MIN_INDEX = auto()
    TRUTH_CELL_TEMP_MAX_DEGC = auto()
    TRUTH_CELL_TEMP_MIN_DEGC = auto()
    TRUTH_CELL_TEMP_MAX_INDEX = auto()
    TRUTH_SOC_MEAN = auto()
    TRUTH_SOC_MIN = auto()
    TRUTH_SOC_MAX = auto()
    TRUTH_INSULATION_OHM = auto()
    TRUTH_LOAD_W = auto()
    TRUTH_LINE_VOLTAGE_V = auto()
    TRUTH_POLE_CONTACT = auto()
    TRUTH_CHARGER_CURRENT_A = auto()
    TRUTH_COOLANT_DEGC = auto()
    TRUTH_CONTACTORS = auto()
    TRUTH_FUSE_OPEN = auto()
    OUTPUT_CONTACTORS = auto()
    OUTPUT_DIGITAL = auto()
    OUTPUT_BALANCING = auto()
    OUTPUT_POWERED = auto()
    OUTPUT_CAN_RESTART = auto()
    ENV_CHARGE_LIMIT_A = auto()
    ENV_DISCHARGE_LIMIT_A = auto()
    ENV_BUS_LOAD = auto()


_SIDES: Mapping[str, Side] = {"GIVEN": "given", "TRUTH": "truth", "OUTPUT": "output", "ENV": "environment"}

# Where the name of a quantity in harness.units differs from the rest of the column's name.
_RENAMED = {"OUTPUT_BALANCING": "balancing_count"}


def _named(column: Column) -> tuple[Side, str]:
    side, _, rest = column.name.partition("_")
    return _SIDES[side], _RENAMED.get(column.name, rest.lower())


# Column -> (side, quantity). Names in harness.units as they are; the others are raw material for derived quantities:
# digital_in (FIL_IN_* bits), contactors and digital (FIL_OUT_* bits), soc_* and bus_load (0..1, soc_counted may leave
# that), fuse_open, load_w, charger_current_a (positive = into the pack), coolant_degc.
COLUMNS: Mapping[Column, tuple[Side, str]] = {column: _named(column) for column in Column}
