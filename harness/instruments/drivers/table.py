# SPDX-License-Identifier: Apache-2.0
"""The drivers by the name a bench file uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.instruments.drivers.bloomy_abs import BloomyAbs
from harness.instruments.drivers.dc_source import KeysightE364x, TdkGenesys
from harness.instruments.drivers.keysight_34980a import Keysight34980a
from harness.instruments.drivers.meatest_m63x import MeatestM63x
from harness.instruments.drivers.ngi_n83624 import NgiN83624
from harness.instruments.drivers.rigol_dl3000 import RigolDl3000
from harness.instruments.model import Envelope, Instrument, InstrumentSettings, Transport

Factory = Callable[[InstrumentSettings, Transport, Envelope], Instrument]
DRIVERS: Mapping[str, Factory] = {
    "bloomy-abs": BloomyAbs,
    "ngi-n83624": NgiN83624,
    "keysight-e364x": KeysightE364x,
    "tdk-genesys": TdkGenesys,
    "rigol-dl3000": RigolDl3000,
    "keysight-34980a": Keysight34980a,
    "meatest-m63x": MeatestM63x,
}
OPERATOR = "operator"
CAN_CELLS = "can-cells"
ALL_DRIVERS: tuple[str, ...] = (*DRIVERS, OPERATOR, CAN_CELLS)
