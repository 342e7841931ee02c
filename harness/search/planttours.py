# SPDX-License-Identifier: Apache-2.0
"""Tours of what goes wrong inside the pack: shorts, heat, wear, insulation, and cells that want to be balanced."""

from __future__ import annotations

from collections.abc import Iterator

from harness.faults.check import Bounds
from harness.scenario import Action, Start, begin

_BALANCED_V = 3.54  # above 3.40 V, where balancing begins, and below every limit
_NOT_BALANCED_V = 3.36
Tour = tuple[str, Start, float, tuple[Action, ...]]  # title, start, duration, actions


def plant_tours(bounds: Bounds) -> Iterator[Tour]:
    """Things that go wrong inside the pack."""
    cell = (bounds.n_cells + 1) // 2
    for ohm in (0.001, 0.003, 0.01, 0.1):
        yield (
            f"internal short of {ohm:g} ohm",
            "drive",
            12.0,
            (begin(1.0, "internal-short", cell=cell, resistance_ohm=ohm),),
        )
    hot = begin(0.5, "cell-heating", cell=1, heat_w=30e3, for_s=12.0)  # the first cell always has a sensor
    yield "a hot cell with a sensor for long", "drive", 50.0, (hot,)
    for heat in (2e3, 10e3, 30e3):
        yield (
            f"{heat / 1e3:g} kW of heat in a cell",
            "drive",
            12.0,
            (begin(0.5, "cell-heating", cell=cell, heat_w=heat),),
        )
    yield (
        "60 kW of heat in every cell",
        "drive",
        12.0,
        (begin(0.5, "cell-heating", cell="all", heat_w=60e3, for_s=4.0),),
    )
    for volt, duration_s in ((4.5, 6.0), (1.5, 13.0)):
        yield f"a cell at {volt:g} V", "drive", duration_s, (begin(0.5, "cell-voltage", cell=cell, voltage_v=volt),)
    yield from _wear(cell)


def _wear(cell: int) -> Iterator[Tour]:
    """What age and damage do, and heat."""
    yield (
        "an aged cell",
        "drive",
        8.0,
        (
            begin(0.0, "cell-resistance", cell=cell, factor=3.0),
            begin(0.0, "cell-capacity", cell=cell, factor=0.7),
        ),
    )
    yield (
        "a loose bus bar",
        "drive",
        8.0,
        (begin(0.5, "busbar-resistance", cell=cell, resistance_ohm=0.001, shape="intermittent", period_s=0.2),),
    )
    yield (
        "coolant lost on a hot day",
        "drive",
        10.0,
        (
            begin(0.0, "coolant-loss"),
            begin(0.0, "ambient-temperature", temp_degc=45.0),
        ),
    )
    for pole in ("positive", "negative", "both"):
        yield f"insulation lost, {pole}", "drive", 7.0, (begin(0.5, "insulation-drop", pole=pole, resistance_ohm=5e3),)
    near = begin(0.5, "cell-voltage", cell=cell, voltage_v=_NOT_BALANCED_V)
    yield "a cell a little high at rest", "standby", 18.0, (near,)
    others = begin(0.0, "cell-voltage", cell="all", voltage_v=_BALANCED_V - 0.09)
    high = begin(0.5, "cell-voltage", cell=1, voltage_v=_BALANCED_V)
    yield "first cell high at rest", "standby", 18.0, (others, high)
    yield "first cell high while charging", "charge", 6.0, (high,)
    lost = begin(3.0, "cell-sensor-invalid", cell=cell)
    yield "a cell invalid while another is balanced", "charge", 6.0, (high, lost)
