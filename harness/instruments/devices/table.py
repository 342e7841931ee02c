# SPDX-License-Identifier: Apache-2.0
"""The devices by the name of their driver in a bench file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from harness.instruments.devices import Device
from harness.instruments.devices.bloomy_abs import BloomyAbsDevice
from harness.instruments.devices.keysight_34980a import Keysight34980aDevice
from harness.instruments.devices.ngi_n83624 import NgiN83624Device
from harness.instruments.devices.one_output import (
    KeysightE364xDevice,
    MeatestM63xDevice,
    RigolDl3000Device,
    TdkGenesysDevice,
)
from harness.instruments.model import InstrumentSettings

DEVICES: Mapping[str, Callable[[InstrumentSettings], Device]] = {
    "bloomy-abs": BloomyAbsDevice,
    "ngi-n83624": NgiN83624Device,
    "keysight-e364x": KeysightE364xDevice,
    "tdk-genesys": TdkGenesysDevice,
    "rigol-dl3000": RigolDl3000Device,
    "keysight-34980a": Keysight34980aDevice,
    "meatest-m63x": MeatestM63xDevice,
}
WITHOUT_PORT = ("operator", "can-cells")
