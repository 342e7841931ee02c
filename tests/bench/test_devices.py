# SPDX-License-Identifier: Apache-2.0
"""The devices' own SCPI: spellings, paths, lists, errors, pieces of bytes; without any driver."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.instruments.devices import Device, DeviceFault, device_for
from harness.instruments.devices.ngi_n83624 import NgiN83624Device
from harness.instruments.devices.scpi import ScpiDevice
from harness.instruments.model import InstrumentSettings
from harness.instruments.ntc import Ntc

from .instruments_helper import ALL_SETTINGS, CELL_SIMULATOR, MAINFRAME, NGI, SUPPLY, device_of


def tell(device: Device, text: str) -> str:
    """Send lines, return what is answered."""
    return device.feed(text.encode() + b"\n").decode().strip()


@pytest.mark.parametrize(
    "text",
    [
        "VOLT 12",
        "volt 12",
        "VOLTAGE 12",
        "SOUR:VOLT 12",
        ":SOURCE:VOLTAGE:LEVEL:IMMEDIATE:AMPLITUDE 12",
        "VOLT:LEV 12.0E0",
        "CURR 1;VOLT 12",
        "SOUR:CURR 1;VOLT 12",
        "OUTP OFF;:VOLT 12",
        "SOUR:VOLT:LEV 10;LEV 12",
    ],
)
def test_all_spellings_of_a_command_mean_the_same(text: str) -> None:
    device = device_of(SUPPLY)
    tell(device, "SYST:REM")
    tell(device, text)
    assert tell(device, "VOLT?") == "+1.20000000E+01"
    assert tell(device, "SYST:ERR?") == '0,"No error"'


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("VOLTA 12", "-113"),
        ("VOL 12", "-113"),
        ("SOUR:CURR 1;OUTP ON", "-113"),  # the path is that of the unit before
        ("VOLT", "-109"),
        ("VOLT twelve", "-104"),
        ("VOLT 36.1", "-222"),
        ("VOLT nan", "-222"),
        ("OUTP maybe", "-224"),
        ("VOLT:RANG P8V", "-224"),
    ],
)
def test_what_is_wrong_is_in_the_error_queue_and_changes_nothing(text: str, code: str) -> None:
    device = device_of(SUPPLY)
    tell(device, "SYST:REM;:VOLT 5")
    tell(device, text)
    assert tell(device, "SYST:ERR?").startswith(f"{code},")
    assert tell(device, "SYST:ERR?") == '0,"No error"'
    assert tell(device, "VOLT?") == "+5.00000000E+00"


def test_a_full_error_queue_ends_with_an_overflow() -> None:
    device = device_of(SUPPLY)
    for _ in range(50):
        tell(device, "NONSENSE")
    errors = [tell(device, "SYST:ERR?") for _ in range(21)]
    assert errors[0] == '-113,"Undefined header"'
    assert errors[19] == '-350,"Queue overflow"'
    assert errors[20] == '0,"No error"'


def test_queries_of_one_line_are_answered_in_one_line() -> None:
    device = device_of(SUPPLY)
    assert tell(device, "OUTP?;VOLT?;*OPC?") == "0;+0.00000000E+00;1"


def test_a_supply_on_rs232_obeys_only_in_remote() -> None:
    device = device_of(SUPPLY)
    tell(device, "OUTP ON")
    assert tell(device, "SYST:ERR?").startswith("550,")
    assert tell(device, "OUTP?") == "0"


@given(st.lists(st.integers(1, 6), max_size=30))
def test_bytes_may_come_in_any_pieces(cuts: list[int]) -> None:
    device = device_of(SUPPLY)
    sent = b"SYST:REM\r\nVOLT 7.5\nVOLT?\r\n*OPC?\n"
    answers = b""
    for cut in cuts:
        answers += device.feed(sent[:cut])
        sent = sent[cut:]
    answers += device.feed(sent)
    assert answers == b"+7.50000000E+00\r\n1\r\n"


@given(st.binary(max_size=300))
def test_no_bytes_break_a_device(noise: bytes) -> None:
    for settings in ALL_SETTINGS:
        device = device_of(settings)
        device.feed(noise + b"\n")
        assert device.feed(b"*OPC?\n").strip() in {b"1", b""}  # ABS: without an address nobody answers


def test_lists_with_ranges_reach_every_channel() -> None:
    device = device_of(MAINFRAME)
    tell(device, "ROUT:CLOS (@1060:1062,2001)")
    assert tell(device, "ROUT:CLOS? (@1060,1061,1062,1063,2001)") == "1,1,1,0,1"
    tell(device, "ROUT:CLOS (@1001)")  # no wire on that relay in this bench
    assert tell(device, "SYST:ERR?").startswith("-222,")


def test_ngi_takes_a_number_in_the_header_or_a_list_without_a_comma() -> None:
    device = device_of(NGI)
    tell(device, ":SOURce1:VOLTage 2.5;:SOUR:VOLT 3.1(@2,3)")
    assert tell(device, "SOUR:VOLT?(@1,2,3)") == "2.5000,3.1000,3.1000"
    tell(device, "SOUR25:VOLT 1")
    assert isinstance(device, NgiN83624Device)
    assert device.errors == 1


def test_abs_units_answer_to_their_address_only_and_all_obey_the_broadcast() -> None:
    device = device_of(CELL_SIMULATOR)
    assert tell(device, "@0 OUTP 1,(@1:8)") == tell(device, "@1 OUTP 1,(@1)") == ""
    assert tell(device, "@1 OUTP? (@1:8)") == "1,0,0,0,0,0,0,0"
    assert tell(device, "@7 OUTP? (@1:8)") == ""
    assert tell(device, "@32 OUTP 0,(@1:8)") == ""
    assert device.is_off


def test_a_quantity_is_given_from_the_first_time_its_output_was_on() -> None:
    device = device_of(SUPPLY)
    assert device.given() == {}
    tell(device, "SYST:REM;:VOLT 24;:OUTP ON")
    assert device.given()["supply_v"] == 24.0
    tell(device, "OUTP OFF")
    assert device.given()["supply_v"] == 0.0


@pytest.mark.parametrize("settings", ALL_SETTINGS, ids=lambda settings: settings.driver)
def test_a_silent_device_does_nothing_and_another_model_says_so(settings: InstrumentSettings) -> None:
    device = device_of(settings)
    address = "@0 " if settings.driver == "bloomy-abs" else ""
    device.fault = DeviceFault.SILENT
    assert device.feed(f"{address}*IDN?\n".encode()) == b""
    device.fault = DeviceFault.GARBAGE
    assert not device.feed(f"{address}*IDN?\n".encode()).strip().isascii()
    device.fault = DeviceFault.OTHER_MODEL
    assert device.feed(f"{address}*IDN?\n".encode()) == b"Example Instruments,Model 1,0,1.0\r\n"
    device.fault = DeviceFault.NONE
    assert isinstance(device, ScpiDevice)
    assert device.feed(f"{address}*IDN?\n".encode()).strip() == device.identity.encode()


def test_drivers_without_a_port_have_no_device_and_unknown_ones_are_refused() -> None:
    assert device_for(InstrumentSettings("person", "operator", "-")) is None
    assert device_for(InstrumentSettings("debug", "can-cells", "-")) is None
    with pytest.raises(UsageError, match=r"'chroma'.*bloomy-abs"):
        device_for(InstrumentSettings("cells", "chroma", "-"))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (replace(NGI, channels={}), "gives and reads nothing"),
        (replace(MAINFRAME, options={}), "pack_current_a_gain is missing"),
        (replace(MAINFRAME, options={**MAINFRAME.options, "relays_per_slot": 0}), "relays_per_slot"),
        (replace(CELL_SIMULATOR, options={"units": "two"}), "units = 'two'"),
        (replace(SUPPLY, options={"remote": "yes"}), "remote = 'yes'"),
    ],
)
def test_settings_a_device_cannot_use_are_refused_at_once(settings: InstrumentSettings, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        device_for(settings)


@given(st.floats(-40.0, 120.0))
def test_a_thermistor_gives_back_the_temperature(temp_degc: float) -> None:
    ntc = Ntc()
    value = np.array([temp_degc])
    assert ntc.temp_of_resistance_degc(ntc.resistance_ohm(value))[0] == pytest.approx(temp_degc, abs=1e-6)
    assert ntc.temp_of_voltage_degc(ntc.voltage_v(value))[0] == pytest.approx(temp_degc, abs=1e-6)


def test_a_thermistor_has_its_nominal_resistance_and_its_b_value() -> None:
    """B25/50 = ln(R25 / R50) / (1/298.15 K - 1/323.15 K): the definition of data sheets (IEC 60539-1)."""
    ohm = Ntc(r25_ohm=10_000.0, beta_k=3380.0).resistance_ohm(np.array([25.0, 50.0]))
    assert ohm[0] == pytest.approx(10_000.0)
    assert math.log(ohm[0] / ohm[1]) / (1 / 298.15 - 1 / 323.15) == pytest.approx(3380.0)
    assert Ntc().voltage_v(np.array([25.0]))[0] == pytest.approx(2.5)


@pytest.mark.parametrize("volt", [0.0, -1.0, 5.0, 6.0])
def test_at_the_ends_of_the_divider_there_is_no_temperature(volt: float) -> None:
    assert math.isnan(Ntc().temp_of_voltage_degc(np.array([volt]))[0])
