# SPDX-License-Identifier: Apache-2.0
"""Settings and inputs for tests of drivers, devices and rack: one of each kind, small."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from harness.instruments.devices import Device, device_for
from harness.instruments.model import Envelope, Inputs, InstrumentSettings

ENVELOPE = Envelope(
    limits={
        "cell_voltage_v": (0.5, 4.5),
        "cell_temp_degc": (-40.0, 120.0),
        "pack_current_a": (-1000.0, 1000.0),
        "pack_voltage_v": (0.0, 1000.0),
        "link_voltage_v": (0.0, 1000.0),
        "charger_voltage_v": (0.0, 1000.0),
        "insulation_ohm": (1_000.0, 1_000_000.0),
        "supply_v": (6.0, 34.0),
    },
    energy_wh=1000.0,
)
# Half a step of each product and what its own scale makes of it, in the unit of the quantity.
RESOLUTION = {
    "cell_voltage_v": 0.00005,
    "cell_temp_degc": 0.05,
    "pack_current_a": 0.0625,  # 0.25 mV of the output at 4 mV/A; of the load 0.5 mA through 20 turns
    "pack_voltage_v": 0.025,
    "link_voltage_v": 0.025,
    "charger_voltage_v": 0.025,
    "insulation_ohm": 5.0,
    "supply_v": 0.0005,
}
CELLS = 12
TEMPS = 3
READS: Mapping[str, int] = {"contactor_positive": 0, "contactor_negative": 1, "contactor_precharge": 2}

CELL_SIMULATOR = InstrumentSettings(
    name="cells",
    driver="bloomy-abs",
    port="/dev/cells",
    channels={
        "cell_voltage_v": tuple(range(1, CELLS + 1)),
        "cell_temp_degc": tuple(range(1, TEMPS + 1)),
        "temp_connected": tuple(range(1, TEMPS + 1)),
    },
)
NGI = InstrumentSettings(
    name="cells", driver="ngi-n83624", port="/dev/cells", channels={"cell_voltage_v": tuple(range(1, CELLS + 1))}
)
SUPPLY = InstrumentSettings(
    name="supply",
    driver="keysight-e364x",
    port="/dev/supply",
    channels={"supply_v": (1,), "supply_connected": (1,)},
    options={"current_a": 2.0},
)
GENESYS = InstrumentSettings(
    name="charger", driver="tdk-genesys", port="/dev/charger", channels={"charger_voltage_v": (1,)}
)
LOAD = InstrumentSettings(
    name="load", driver="rigol-dl3000", port="/dev/load", channels={"pack_current_a": (1,)}, options={"turns": 20.0}
)
MAINFRAME = InstrumentSettings(
    name="mainframe",
    driver="keysight-34980a",
    port="/dev/mainframe",
    channels={
        "cell_connected": tuple(range(60, 60 + CELLS)),  # from slot 1 into slot 2
        "hvil_closed": (100,),
        "ignition": (101,),
        "pack_current_a": (6001,),
        "pack_voltage_v": (6002,),
        "link_voltage_v": (6003,),
        "charger_voltage_v": (6004,),
    },
    reads=READS,
    options={
        "pack_current_a_gain": 0.004,
        "pack_current_a_offset_v": 2.5,
        "pack_voltage_v_gain": 0.01,
        "link_voltage_v_gain": 0.01,
        "charger_voltage_v_gain": 0.01,
    },
)
INSULATION = InstrumentSettings(
    name="insulation", driver="meatest-m63x", port="/dev/insulation", channels={"insulation_ohm": (1,)}
)
ALL_SETTINGS = (CELL_SIMULATOR, NGI, SUPPLY, GENESYS, LOAD, MAINFRAME, INSULATION)
BENCH = (CELL_SIMULATOR, MAINFRAME, INSULATION, SUPPLY)  # together they give and read everything


def device_of(settings: InstrumentSettings) -> Device:
    """The device of an instrument that has a port."""
    device = device_for(settings)
    assert device is not None
    return device


def some_inputs(**other: Any) -> Inputs:
    """A pack in drive: every quantity another number, so that a mix-up shows."""
    inputs = Inputs(
        cell_voltage_v=np.round(3.0 + 0.01 * np.arange(CELLS, dtype=np.float64), 4),
        cell_connected=np.ones(CELLS, dtype=bool),
        cell_temp_degc=20.0 + np.arange(TEMPS, dtype=np.float64),
        temp_connected=np.ones(TEMPS, dtype=bool),
        pack_current_a=100.0,
        pack_voltage_v=600.0,
        link_voltage_v=590.0,
        charger_voltage_v=40.0,
        insulation_ohm=500_000.0,
        supply_v=24.0,
        current_connected=True,
        supply_connected=True,
        ignition=True,
        charge_plug=False,
        hvil_closed=True,
        crash=False,
        aux_positive=True,
        aux_negative=True,
        aux_precharge=False,
    )
    return with_values(inputs, **other)


def with_values(inputs: Inputs, **other: Any) -> Inputs:
    """The same with other values."""
    return replace(inputs, **other)
