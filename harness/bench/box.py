# SPDX-License-Identifier: Apache-2.0
"""The instruments of a bench file as programs, each at a port of its own, on the pins of a served controller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.bench.lines import Line
from harness.bench.serve import Pins
from harness.instruments.devices import Device, DeviceFault
from harness.instruments.model import LINES, READINGS, InstrumentSettings, Outputs

_ARRAYS = ("cell_voltage_v", "cell_temp_degc")
_WIRES = {"cell_connected": "open_cells", "temp_connected": "open_temps"}
_OPEN_OHM = 1e12  # an insulation bank that is switched off
_OFF = {"cell_temp_degc": np.nan, "insulation_ohm": np.inf}
GARBAGE = b"\xff\x00*?,;\r\x80\n#9:\x07t12"  # line ends, BEL, the beginning of a frame, bytes that are no ASCII


class Station:
    """One emulated instrument at its port.

    `open_line` is called again when it was unplugged and is put back, `make` when its mains were off and are on again.
    """

    def __init__(self, make: Callable[[], Device], open_line: Callable[[], Line]) -> None:
        self._make = make
        self.device = make()
        self.name = self.device.settings.name
        self._open_line = open_line
        self.line: Line | None = open_line()

    def serve(self) -> None:
        """Answer what has arrived."""
        if self.line is None:
            return
        data = self.line.read()
        if data:
            self.line.write(self.device.feed(data))

    def plug(self) -> None:
        """Its port is there again, under the same name."""
        if self.line is None:
            self.line = self._open_line()

    def unplug(self) -> None:
        """Its port is gone; the outputs stay as they are, as when only the cable to it is pulled."""
        if self.line is not None:
            self.line.close()
            self.line = None

    def restart(self) -> None:
        """Mains off and on: outputs are off, it knows nothing any more and is well."""
        self.device = self._make()

    def noise(self, garbage: bytes) -> None:
        """Bytes on its line that it would never send."""
        if self.line is not None:
            self.line.write(garbage)

    def state(self) -> dict[str, Any]:
        """What can be seen of it from outside."""
        given = {name: _shown(values) for name, values in self.device.given().items()}
        fault = self.device.fault
        return {
            "off": self.device.is_off,
            "plugged": self.line is not None,
            "fault": "" if fault is DeviceFault.NONE else fault.value,
            "given": given,
        }


class Box:
    """All instruments of a bench file. Implements what a served controller needs of them (harness.bench.serve.Devices).

    An instrument that has not been switched on gives nothing: no supply, so the controller is off. With `plant` the
    rig's plant gives what no instrument has given since the start.
    """

    def __init__(self, stations: Sequence[Station], *, plant: bool = False) -> None:
        self.stations = {station.name: station for station in stations}
        self._untouched = {} if plant else {name: _off(one.device.settings) for name, one in self.stations.items()}
        self._driven: Outputs | None = None

    def pins(self) -> Pins:
        """See Devices."""
        pins = Pins()
        for place, station in self.stations.items():
            for name, values in {**self._untouched.get(place, {}), **station.device.given()}.items():
                _put(pins, name, values)
        return pins

    def drive(self, outputs: Outputs) -> None:
        """See Devices."""
        if outputs == self._driven:
            return
        self._driven = outputs
        for station in self.stations.values():
            for reading in READINGS:
                if reading in station.device.settings.reads:
                    station.device.drive(reading, closed=bool(getattr(outputs, reading)))

    def descriptors(self) -> Sequence[int]:
        """See Devices."""
        return [line.fileno() for line in self._lines()]

    def serve(self) -> None:
        """See Devices."""
        for station in self.stations.values():
            station.serve()

    def is_off(self) -> bool:
        """Whether every output of every instrument is off."""
        return all(station.device.is_off for station in self.stations.values())

    def state(self) -> Mapping[str, Any]:
        """What can be seen from outside, by instrument."""
        return {name: station.state() for name, station in self.stations.items()}

    def _lines(self) -> Iterator[Line]:
        return (station.line for station in self.stations.values() if station.line is not None)


def _off(settings: InstrumentSettings) -> Mapping[str, NDArray[np.float64]]:
    """What its channels give before it was ever on (as harness.instruments.devices.Device says)."""
    return {name: np.full(len(channels), _OFF.get(name, 0.0)) for name, channels in settings.channels.items()}


def _put(pins: Pins, name: str, values: NDArray[np.float64]) -> None:
    """One quantity onto the pins. A sensor that reads NaN is an open wire."""
    if name in _WIRES:
        wire = _WIRES[name]
        setattr(pins, wire, sorted({*getattr(pins, wire), *np.flatnonzero(values < 0.5).tolist()}))  # noqa: PLR2004
    elif name in _ARRAYS:
        setattr(pins, name, values)
        if name == "cell_temp_degc":
            pins.open_temps = sorted({*pins.open_temps, *np.flatnonzero(np.isnan(values)).tolist()})
    elif name in LINES:
        setattr(pins, name, bool(values[0] > 0.5))  # noqa: PLR2004 - a line is 0 or 1
    else:
        setattr(pins, name, float(min(values[0], _OPEN_OHM)))


def _shown(values: NDArray[np.float64]) -> Any:
    """One number, or least and greatest of many; None for an open wire, since JSON has no NaN."""
    if values.size == 1:
        return _number(values[0])
    finite = values[np.isfinite(values)]
    return {"least": _number(finite.min()), "greatest": _number(finite.max())} if finite.size else None


def _number(value: np.float64) -> float | None:
    return round(float(value), 6) if np.isfinite(value) else None
