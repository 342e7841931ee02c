# SPDX-License-Identifier: Apache-2.0
"""The instruments as one: order of arming, limits before any byte, safe state whatever fails, ages, latency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.clock import ManualClock
from harness.errors import BenchError
from harness.instruments.devices import Device, DeviceFault
from harness.instruments.devices.one_output import KeysightE364xDevice
from harness.instruments.drivers.quantities import values_of
from harness.instruments.drivers.table import DRIVERS
from harness.instruments.model import ANALOG, Inputs, Instrument, InstrumentSettings, Outputs
from harness.instruments.rack import Rack

from .instruments_helper import BENCH, CELLS, ENVELOPE, RESOLUTION, TEMPS, device_of, some_inputs, with_values
from .transports import WiredTransport


class Journal(WiredTransport):
    """Notes each line in one list for all instruments, and lets time pass while the device works."""

    def __init__(self, device: Device, journal: list[tuple[str, str]], clock: ManualClock, work_ns: int) -> None:
        super().__init__(device)
        self._journal, self._clock, self._work_ns = journal, clock, work_ns

    def write(self, line: str) -> None:
        self._journal.append((self.device.settings.name, line.strip()))
        self._clock.sleep_until_ns(self._clock.now_ns() + self._work_ns)
        super().write(line)


class Small:
    """The small bench in one process."""

    def __init__(self, some: Sequence[InstrumentSettings] = BENCH, work_ns: int = 0) -> None:
        self.clock = ManualClock()
        self.journal: list[tuple[str, str]] = []
        self.devices: dict[str, Device] = {}
        self.transports: dict[str, Journal] = {}
        instruments: list[Instrument] = []
        for one in some:
            device = device_of(one)
            self.devices[one.name] = device
            self.transports[one.name] = Journal(device, self.journal, self.clock, work_ns)
            instruments.append(DRIVERS[one.driver](one, self.transports[one.name], ENVELOPE))
        self.rack = Rack(instruments, self.clock)

    def settings_sent(self) -> list[tuple[str, str]]:
        """Lines that set something since the last call."""
        lines = [(name, line) for name, line in self.journal if "?" not in line and line]
        self.journal.clear()
        return lines

    def off(self) -> dict[str, bool]:
        return {name: device.is_off for name, device in self.devices.items()}

    def given(self) -> dict[str, Any]:
        return {name: values for device in self.devices.values() for name, values in device.given().items()}


def assert_given(small: Small, inputs: Inputs) -> None:
    for name, values in small.given().items():
        expected = values_of(inputs, name)
        assert values == pytest.approx(expected, abs=RESOLUTION.get(name, 0.0)), name


def test_identify_names_every_instrument() -> None:
    assert Small().rack.identify() == {
        "cells": "Bloomy Controls,ABS,SN0001,1.2.0",
        "mainframe": "Agilent Technologies,34980A,MY00000000,2.43-2.41-2.07-1.05",
        "insulation": "MEATEST,M631,412351,1.10",
        "supply": "Agilent Technologies,E3645A,0,1.4-5.0-1.0",
    }


def test_every_stranger_is_named_and_none_is_written_to() -> None:
    small = Small()
    small.devices["cells"].fault = small.devices["supply"].fault = DeviceFault.OTHER_MODEL
    with pytest.raises(BenchError) as caught:
        small.rack.identify()
    assert str(caught.value).count("Example Instruments,Model 1") == 2
    small.rack.safe()
    assert {name for name, _ in small.settings_sent()} == {"mainframe", "insulation"}


@pytest.mark.parametrize("missing", ["cells", "mainframe", "insulation", "supply"])
def test_arming_without_every_quantity_is_refused_before_anything_is_sent(missing: str) -> None:
    small = Small([one for one in BENCH if one.name != missing])
    with pytest.raises(BenchError) as caught:
        small.rack.arm(some_inputs())
    (left_out,) = (one for one in BENCH if one.name == missing)
    for name in (*left_out.channels, *left_out.reads):
        if name in ANALOG or name in left_out.reads:
            assert name in str(caught.value)
    assert small.journal == []


def test_arming_goes_off_first_then_sources_then_relays_then_the_supply() -> None:
    small = Small()
    small.rack.arm(some_inputs())
    lines = small.settings_sent()
    first_on = next(place for place, (_, line) in enumerate(lines) if "OUTP 1" in line)
    off_lines = {"@32 OUTP 0,(@1:8)", ":OUTP OFF", "OUTP OFF", "ROUT:OPEN (@1060:1064,2001:2007,2036:2037)"}
    assert off_lines <= {line for _, line in lines[:first_on]}
    cells_on = lines.index(("cells", "@1 OUTP 1,(@1:4)"))
    insulation_on = lines.index(("insulation", ":OUTP ON"))
    relays = lines.index(("mainframe", "ROUT:CLOS (@1060:1064,2001:2007,2036:2037)"))
    supply_on = lines.index(("supply", "OUTP ON"))
    assert max(cells_on, insulation_on) < relays < supply_on
    assert_given(small, some_inputs())


def test_armed_without_inputs_everything_rests() -> None:
    small = Small()
    small.rack.arm()
    given_now = small.given()
    assert given_now["cell_voltage_v"] == pytest.approx(0.5)  # the least the bench allows
    assert given_now["pack_current_a"] == pytest.approx(0.0, abs=0.0625)
    assert not any(given_now["hvil_closed"])
    assert "supply_connected" not in given_now or not any(given_now["supply_connected"])


def test_a_value_beyond_the_limits_is_refused_before_any_instrument_is_written_to() -> None:
    small = Small()
    small.rack.arm(some_inputs())
    small.settings_sent()
    with pytest.raises(BenchError, match="supply_v = 40 V; allowed by the bench: 6 to 34 V"):
        small.rack.apply(some_inputs(cell_voltage_v=np.full(CELLS, 3.9), supply_v=40.0))
    small.rack.poll()
    assert small.settings_sent() == []
    assert_given(small, some_inputs())


def test_arming_with_a_value_beyond_the_limits_leaves_everything_off() -> None:
    small = Small()
    with pytest.raises(BenchError, match="insulation_ohm"):
        small.rack.arm(some_inputs(insulation_ohm=1.0))
    assert set(small.off().values()) == {True}


def test_readings_come_with_the_age_of_the_question() -> None:
    small = Small()
    small.rack.arm(some_inputs())
    small.devices["mainframe"].drive("contactor_negative", closed=True)
    assert small.rack.poll() is None
    small.clock.sleep_until_ns(small.clock.now_ns() + 10_000_000)
    assert small.rack.poll() == Outputs(contactor_negative=True, age_s=0.01)


def test_no_reading_of_before_the_safe_state_is_given_after_it() -> None:
    small = Small()
    small.rack.arm(some_inputs())
    small.rack.poll()
    assert small.rack.poll() is not None
    small.rack.safe()
    small.rack.arm(some_inputs())
    assert small.rack.poll() is None


def test_latency_is_the_longest_round_trip_and_grows_while_a_line_is_busy() -> None:
    small = Small(work_ns=3_000_000)
    small.rack.arm(some_inputs())
    assert small.rack.latency_s == pytest.approx(0.003)
    small.transports["cells"].held = 4000
    small.rack.apply(some_inputs(cell_voltage_v=np.full(CELLS, 3.9)))
    small.clock.sleep_until_ns(small.clock.now_ns() + 50_000_000)
    small.rack.poll()
    assert small.rack.latency_s == pytest.approx(0.053, abs=0.007)
    small.transports["cells"].held = 0
    small.rack.poll()
    assert_given(small, some_inputs(cell_voltage_v=np.full(CELLS, 3.9)))


def test_the_safe_state_is_tried_on_all_and_every_failure_is_named() -> None:
    small = Small()
    small.rack.arm(some_inputs())
    small.devices["cells"].fault = small.devices["insulation"].fault = DeviceFault.SILENT
    with pytest.raises(BenchError) as caught:
        small.rack.safe()
    assert "cells" in str(caught.value)
    assert "insulation" in str(caught.value)
    assert small.off() == {"cells": False, "mainframe": True, "insulation": False, "supply": True}


def test_all_are_told_to_go_off_before_any_is_waited_for() -> None:
    small = Small()
    small.rack.arm(some_inputs())
    small.journal.clear()
    small.rack.safe()
    first_question = next(place for place, (_, line) in enumerate(small.journal) if "?" in line)
    assert set(small.devices) == {name for name, line in small.journal[:first_question] if line}


def test_an_instrument_that_fails_at_arming_takes_all_to_the_safe_state() -> None:
    small = Small()
    small.rack.identify()
    supply = small.devices["supply"]
    assert isinstance(supply, KeysightE364xDevice)
    supply.low_v = 5.0
    with pytest.raises(BenchError, match="-222"):
        small.rack.arm(some_inputs())
    assert set(small.off().values()) == {True}


@pytest.mark.parametrize("way_out", [None, BenchError("adapter lost"), ValueError("a bug"), KeyboardInterrupt()])
def test_every_way_out_of_the_context_leads_to_the_safe_state(way_out: BaseException | None) -> None:
    small = Small()

    def use() -> None:
        with small.rack as rack:
            rack.arm(some_inputs())
            assert not rack.is_off()
            if way_out is not None:
                raise way_out

    if way_out is None:
        use()
    else:
        with pytest.raises(type(way_out)):
            use()
    assert set(small.off().values()) == {True}
    assert all(transport.closed for transport in small.transports.values())


def test_a_failure_and_one_on_the_way_out_are_both_told() -> None:
    small = Small()

    def use() -> None:
        with small.rack as rack:
            rack.arm(some_inputs())
            small.devices["cells"].fault = DeviceFault.SILENT
            raise BenchError("adapter lost")

    with pytest.raises(BenchError, match=r"(?s)adapter lost.*safe state.*cells"):
        use()
    assert small.off() == {"cells": False, "mainframe": True, "insulation": True, "supply": True}
    assert all(transport.closed for transport in small.transports.values())


def test_the_accuracy_is_that_of_the_bench_file() -> None:
    some = [replace(one, accuracy={"cell_voltage_v": 0.002}) if one.name == "cells" else one for one in BENCH]
    assert Small(some).rack.accuracy == {"cell_voltage_v": 0.002}


BOUND = {name: st.floats(*ENVELOPE.limits[name]) for name in ANALOG}
FLAG = st.booleans()


@st.composite
def any_inputs(draw: st.DrawFn) -> Inputs:
    flags = ("supply_connected", "ignition", "hvil_closed")
    return some_inputs(
        cell_voltage_v=np.array(draw(st.lists(BOUND["cell_voltage_v"], min_size=CELLS, max_size=CELLS))),
        cell_connected=np.array(draw(st.lists(FLAG, min_size=CELLS, max_size=CELLS))),
        cell_temp_degc=np.array(draw(st.lists(BOUND["cell_temp_degc"], min_size=TEMPS, max_size=TEMPS))),
        **{name: draw(BOUND[name]) for name in ANALOG if not name.startswith("cell_")},
        **{name: draw(FLAG) for name in flags},
    )


@settings(max_examples=40)
@given(st.lists(any_inputs(), min_size=1, max_size=6), st.data())
def test_devices_end_at_the_inputs_and_a_refused_one_changes_nothing(
    sequence: list[Inputs], data: st.DataObject
) -> None:
    small = Small()
    small.rack.arm(sequence[0])
    for inputs in sequence:
        small.rack.apply(inputs)
        small.rack.poll()
        wrong = data.draw(st.sampled_from([None, *ANALOG]))
        if wrong is not None:
            least, greatest = ENVELOPE.limits[wrong]
            values = values_of(inputs, wrong).copy()
            place = data.draw(st.integers(0, values.size - 1))
            values[place] = data.draw(st.sampled_from([least - 0.1, greatest + 0.1, np.nan, np.inf, -np.inf]))
            small.settings_sent()
            is_array = isinstance(getattr(inputs, wrong), np.ndarray)
            with pytest.raises(BenchError):
                small.rack.apply(with_values(inputs, **{wrong: values if is_array else float(values[0])}))
            assert small.settings_sent() == []
    expected = sequence[-1]
    for name, values in small.given().items():
        if name == "supply_v" and not expected.supply_connected:
            assert values == 0.0
            continue
        tolerance = 0.15 if name == "cell_temp_degc" else RESOLUTION.get(name, 0.0)  # 1 mV of the divider at 120 degC
        assert values == pytest.approx(values_of(expected, name), abs=tolerance), name
