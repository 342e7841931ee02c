# SPDX-License-Identifier: Apache-2.0
"""What must hold for every driver of the table, each against its device, whatever product it is for."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.errors import BenchError, UsageError
from harness.instruments.devices import Device, DeviceFault
from harness.instruments.devices.scpi import ScpiDevice
from harness.instruments.devices.table import DEVICES
from harness.instruments.drivers.quantities import values_of
from harness.instruments.drivers.table import ALL_DRIVERS, CAN_CELLS, DRIVERS, OPERATOR
from harness.instruments.model import ANALOG, Inputs, Instrument, InstrumentSettings

from .instruments_helper import (
    ALL_SETTINGS,
    CELL_SIMULATOR,
    ENVELOPE,
    MAINFRAME,
    NGI,
    RESOLUTION,
    device_of,
    some_inputs,
    with_values,
)
from .transports import ScriptedTransport, WiredTransport

EVERY = pytest.mark.parametrize("settings", ALL_SETTINGS, ids=lambda settings: settings.driver)


def pair(settings: InstrumentSettings) -> tuple[Instrument, WiredTransport, Device]:
    device = device_of(settings)
    transport = WiredTransport(device)
    return DRIVERS[settings.driver](settings, transport, ENVELOPE), transport, device


def changed(transport: WiredTransport) -> list[str]:
    """Lines sent that are no query, since the last call."""
    lines = [line.strip() for line in transport.written if "?" not in line]
    transport.written.clear()
    return lines


def analog(settings: InstrumentSettings) -> list[str]:
    return [name for name in settings.channels if name in ANALOG]


def read_off(driver: Instrument, device: Device) -> tuple[bool, bool]:
    """Off as the driver reads it, and as it is."""
    return driver.is_off(), device.is_off


def with_value(inputs: Inputs, name: str, value: float) -> Inputs:
    shape = values_of(inputs, name).shape
    is_array = isinstance(getattr(inputs, name), np.ndarray)
    return with_values(inputs, **{name: np.full(shape, value) if is_array else value})


def test_every_driver_has_settings_here_and_a_device() -> None:
    assert set(DRIVERS) == {settings.driver for settings in ALL_SETTINGS} == set(DEVICES)
    assert {*DRIVERS, OPERATOR, CAN_CELLS} == set(ALL_DRIVERS)


def test_the_page_on_instruments_names_every_driver_and_every_option_of_their_docstrings() -> None:
    page = (Path(__file__).parents[2] / "docs" / "instruments.md").read_text()
    for driver in ALL_DRIVERS:
        assert f"| `{driver}` |" in page
    for factory in DRIVERS.values():
        text = str(__import__(factory.__module__, fromlist=["__doc__"]).__doc__)
        for option in re.findall(r"(?<![>a-z_0-9])([a-z][a-z_0-9]*) = ", text.partition("Options:")[2]):
            assert f"`{option}`" in page, option


@EVERY
def test_the_docstring_names_product_and_source_and_the_safe_state(settings: InstrumentSettings) -> None:
    module = __import__(DRIVERS[settings.driver].__module__, fromlist=["__doc__"])
    text = " ".join(str(module.__doc__).split())
    assert re.search(r"[Ss]ource( of the command set)?:", text)
    assert "http" in text or "download." in text
    assert "Safe state: " in text
    assert re.search(r"[Aa]ssumption", text)  # none was tried on hardware: each says what was not read


@EVERY
def test_nothing_is_sent_before_arming(settings: InstrumentSettings) -> None:
    driver, transport, device = pair(settings)
    driver.apply(some_inputs())
    assert transport.written == []
    assert device.is_off


@EVERY
def test_identity_is_what_the_device_says(settings: InstrumentSettings) -> None:
    driver, _, device = pair(settings)
    assert isinstance(device, ScpiDevice)
    assert driver.identify() == device.identity


@EVERY
def test_another_model_is_refused_with_both_texts(settings: InstrumentSettings) -> None:
    driver, transport, device = pair(settings)
    device.fault = DeviceFault.OTHER_MODEL
    with pytest.raises(BenchError) as caught:
        driver.identify()
    assert "Example Instruments,Model 1" in str(caught.value)
    assert settings.driver in str(caught.value)
    assert changed(transport) == []


@EVERY
def test_armed_with_nothing_given_it_rests_within_the_limits(settings: InstrumentSettings) -> None:
    driver, _, device = pair(settings)
    driver.arm()
    for name, values in device.given().items():
        if name == "cell_temp_degc" and "temp_connected" in settings.channels:
            assert np.all(np.isnan(values))  # lines are open at rest, also those of sensors
        elif name in ANALOG:
            least, greatest = ENVELOPE.limits[name]
            assert np.all((values >= least - RESOLUTION[name]) & (values <= greatest + RESOLUTION[name])), name
            resting = {"insulation_ohm": greatest, "cell_temp_degc": 25.0}.get(name, max(0.0, least))
            assert values == pytest.approx(resting, abs=RESOLUTION[name]), name


@EVERY
def test_armed_the_terminals_have_what_was_given(settings: InstrumentSettings) -> None:
    driver, _, device = pair(settings)
    inputs = some_inputs()
    driver.apply(inputs)
    driver.arm()
    given = device.given()
    assert set(given) == set(settings.channels)
    for name, values in given.items():
        expected = values_of(inputs, name)
        assert values == pytest.approx(expected, abs=RESOLUTION.get(name, 0.0)), name
    assert device.is_off is False


@EVERY
@pytest.mark.parametrize("wrong", ["below", "above", "nan", "inf"])
def test_out_of_the_envelope_is_refused_and_nothing_is_sent(settings: InstrumentSettings, wrong: str) -> None:
    for name in analog(settings):
        driver, transport, device = pair(settings)
        driver.apply(some_inputs())
        driver.arm()
        before = {key: values.copy() for key, values in device.given().items()}
        transport.written.clear()
        least, greatest = ENVELOPE.limits[name]
        value = {"below": least - 0.01, "above": greatest + 0.01, "nan": np.nan, "inf": np.inf}[wrong]
        with pytest.raises(BenchError) as caught:
            driver.apply(with_value(some_inputs(), name, value))
        assert name in str(caught.value)
        assert f"{value:g}" in str(caught.value)
        assert "Nothing was sent" in str(caught.value)
        driver.poll()  # nothing left over that a poll would still send
        assert changed(transport) == []
        for key, values in device.given().items():
            assert np.array_equal(values, before[key], equal_nan=True)


@pytest.mark.parametrize("settings", [CELL_SIMULATOR, NGI], ids=lambda settings: settings.driver)
def test_one_wrong_element_refuses_all(settings: InstrumentSettings) -> None:
    for name in analog(settings):
        inputs = some_inputs()
        values = values_of(inputs, name).copy()
        values[-1] = np.nan
        driver, transport, _ = pair(settings)
        driver.apply(inputs)
        driver.arm()
        transport.written.clear()
        with pytest.raises(BenchError, match=f"element {values.size - 1} "):
            driver.apply(with_values(inputs, **{name: values}))
        assert transport.written == []


@EVERY
def test_the_limits_themselves_are_allowed_and_not_left_by_rounding(settings: InstrumentSettings) -> None:
    """Limits that are no whole number of steps: the value sent is the step inside."""
    odd = {name: (low + 0.001234567, high - 0.001234567) for name, (low, high) in ENVELOPE.limits.items()}
    odd["pack_current_a"] = (0.001234567, 799.991234567)  # what a load can draw through the sensor
    odd["charger_voltage_v"] = (0.001234567, 599.991234567)  # what a Genesys of 600 V gives
    for name in analog(settings):
        for end in (0, 1):
            device = device_of(settings)
            driver = DRIVERS[settings.driver](settings, WiredTransport(device), replace(ENVELOPE, limits=odd))
            driver.apply(with_value(some_inputs(), name, odd[name][end]))
            driver.arm()
            values = device.given()[name]
            assert values == pytest.approx(odd[name][end], abs=2 * RESOLUTION[name]), name
            if name in {"cell_voltage_v", "insulation_ohm", "supply_v"}:  # given in the quantity itself
                assert np.all((values >= odd[name][0]) & (values <= odd[name][1])), name


@EVERY
def test_only_changes_beyond_the_resolution_are_sent(settings: InstrumentSettings) -> None:
    driver, transport, _ = pair(settings)
    inputs = some_inputs()
    driver.apply(inputs)
    driver.arm()
    changed(transport)
    driver.apply(inputs)
    assert changed(transport) == []
    for name in analog(settings):
        nudged = values_of(inputs, name)[0] + RESOLUTION[name] / 100.0
        kept = with_value(inputs, name, float(nudged)) if values_of(inputs, name).size == 1 else inputs
        driver.apply(kept)
        assert changed(transport) == [], name
        moved = values_of(inputs, name).copy()
        moved[0] += 0.4 if name.startswith("cell") else 40.0 if name != "supply_v" else 4.0
        driver.apply(with_values(inputs, **{name: moved if moved.size > 1 else float(moved[0])}))
        assert len(changed(transport)) == 1, name
        driver.apply(inputs)
        changed(transport)


@EVERY
def test_while_the_line_is_busy_the_newest_waits_and_older_ones_are_dropped(settings: InstrumentSettings) -> None:
    (name, *_) = analog(settings)
    driver, transport, device = pair(settings)
    inputs = some_inputs()
    driver.apply(inputs)
    driver.arm()
    changed(transport)
    transport.held = 500
    for step in (0.1, 0.2, 0.3):
        driver.apply(with_value(inputs, name, values_of(inputs, name)[0] + step))
    assert changed(transport) == []
    assert driver.busy()
    transport.held = 0
    driver.poll()
    assert device.given()[name] == pytest.approx(values_of(inputs, name)[0] + 0.3, abs=RESOLUTION[name])
    assert not driver.busy()


@EVERY
def test_safe_puts_everything_off_from_any_state_and_can_be_armed_again(settings: InstrumentSettings) -> None:
    driver, _, device = pair(settings)
    driver.safe()
    assert read_off(driver, device) == (True, True)
    driver.apply(some_inputs())
    driver.arm()
    assert read_off(driver, device) == (False, False)
    driver.safe()
    assert read_off(driver, device) == (True, True)
    driver.apply(some_inputs())
    driver.arm()
    for name, values in device.given().items():
        assert values == pytest.approx(values_of(some_inputs(), name), abs=RESOLUTION.get(name, 0.0)), name


@EVERY
def test_after_the_safe_state_it_is_armed_at_rest_not_with_values_of_before(settings: InstrumentSettings) -> None:
    driver, _, device = pair(settings)
    driver.apply(some_inputs())
    driver.arm()
    driver.safe()
    driver.arm()
    fresh, _, untouched = pair(settings)
    fresh.arm()
    for name, values in untouched.given().items():
        assert np.array_equal(device.given()[name], values, equal_nan=True), name


@EVERY
def test_the_safe_lines_alone_put_everything_off(settings: InstrumentSettings) -> None:
    """What a guardian writes when the harness is gone: also in the middle of a line, also while another is due."""
    driver, _, device = pair(settings)
    driver.apply(some_inputs())
    driver.arm()
    device.feed(b"SOUR:VOLT 3.")
    device.feed(b"\n" + b"".join(line.encode() + b"\n" for line in driver.safe_lines()))
    assert device.is_off
    for query, expected in driver.off_checks():
        assert device.feed(query.encode() + b"\n").strip() == expected.encode()


@EVERY
def test_off_at_the_terminals_is_nothing_to_feel(settings: InstrumentSettings) -> None:
    driver, _, device = pair(settings)
    driver.apply(some_inputs())
    driver.arm()
    driver.safe()
    for name, values in device.given().items():
        if name == "insulation_ohm":
            assert np.all(np.isinf(values))
        elif name == "cell_temp_degc":
            assert np.all(np.isnan(values))
        else:
            assert np.all(values == 0.0), name


@EVERY
def test_silence_and_garbage_are_bench_errors(settings: InstrumentSettings) -> None:
    for fault in (DeviceFault.SILENT, DeviceFault.GARBAGE):
        driver, _, device = pair(settings)
        driver.apply(some_inputs())
        driver.arm()
        device.fault = fault
        with pytest.raises(BenchError):
            driver.acknowledge()
        with pytest.raises(BenchError):
            driver.safe()


@EVERY
def test_a_quantity_the_product_cannot_give_is_refused_at_once(settings: InstrumentSettings) -> None:
    foreign = next(name for name in ("insulation_ohm", "cell_voltage_v") if name not in settings.channels)
    wrong = replace(settings, channels={foreign: (1,)})
    with pytest.raises(UsageError, match=rf"{settings.name}: driver {settings.driver} cannot give {foreign}"):
        DRIVERS[settings.driver](wrong, ScriptedTransport(), ENVELOPE)


@EVERY
def test_an_instrument_wired_to_nothing_is_refused_at_once(settings: InstrumentSettings) -> None:
    with pytest.raises(UsageError, match=rf"{settings.name}: gives (and reads nothing|one .*found nothing)"):
        DRIVERS[settings.driver](replace(settings, channels={}, reads={}), ScriptedTransport(), ENVELOPE)


@EVERY
def test_a_reading_the_product_does_not_have_is_refused_at_once(settings: InstrumentSettings) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        pair(replace(settings, reads={"contactor_stuck": 0}))


@pytest.mark.parametrize(
    ("driver", "options"),
    [
        ("bloomy-abs", {"resolution_v": "fine"}),
        ("bloomy-abs", {"units": 40}),
        ("bloomy-abs", {"addressed": 0}),
        ("bloomy-abs", {"ntc_beta_k": -1.0}),
        ("keysight-e364x", {"range": "P8V"}),
        ("rigol-dl3000", {"turns": 0.0}),
        ("keysight-34980a", {}),
        ("keysight-34980a", {"relays_per_slot": 0}),
        ("keysight-34980a", {**MAINFRAME.options, "link_voltage_v_gain": 0}),
    ],
)
def test_options_that_cannot_be_are_refused_with_their_name(driver: str, options: dict[str, str | float]) -> None:
    (settings,) = (one for one in ALL_SETTINGS if one.driver == driver)
    with pytest.raises(UsageError) as caught:
        DRIVERS[driver](replace(settings, options=options), ScriptedTransport(), ENVELOPE).arm()
    assert settings.name in str(caught.value)
    for name, value in options.items():
        if name not in {"units", "addressed"} and MAINFRAME.options.get(name) != value:
            assert name in str(caught.value)


def test_an_instrument_that_talks_without_being_asked_is_an_error() -> None:
    for settings in ALL_SETTINGS:
        driver, transport, _ = pair(settings)
        driver.arm()
        transport._lines.append("hello")
        with pytest.raises(BenchError, match="without being asked"):
            driver.poll()
