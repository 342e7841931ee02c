# SPDX-License-Identifier: Apache-2.0
"""Cells are alike but for where they sit: a search needs one of each class, however many cells a pack has.

A reaction can differ at the first and the last cell (loops and indices), in the middle, and where one measuring module
ends and the next begins (wiring, frame borders). So 400 cells cost no more examples than 12.
"""

from __future__ import annotations

from harness.faults.check import Bounds

PLACED = ("cell", "sensor", "wire")  # parameters that are a place in the pack
FIRST, MIDDLE, LAST, EDGE, OTHER, ALL, NOWHERE = "first", "middle", "last", "module edge", "other", "all", "-"


def places(parameter: str, bounds: Bounds) -> dict[str, int]:
    """One number of each class for a parameter of `PLACED`, by class; a class a small pack does not have is absent."""
    highest = bounds.highest(parameter)
    found = {FIRST: 1, MIDDLE: (highest + 1) // 2, LAST: highest}
    if parameter != "sensor":
        module = bounds.module_cells
        found[EDGE] = module * (highest // 2 // module) + 1  # the first of the module that begins near the middle
    by_number: dict[int, str] = {}
    for name, number in found.items():
        by_number.setdefault(number, name)
    return {name: number for number, name in by_number.items() if 1 <= number <= highest}


def class_of(parameter: str, value: object, bounds: Bounds) -> str:
    """The class of a place as an action names it."""
    if value == "all":
        return ALL
    return next((name for name, number in places(parameter, bounds).items() if number == value), OTHER)
