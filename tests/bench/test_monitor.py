# SPDX-License-Identifier: Apache-2.0
"""The monitor's picture of a bus: periods, counters, checksums, ages, unknown identifiers, values, load."""

from __future__ import annotations

import json
import math
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.bench.busload import LoadMeter, frame_times_s
from harness.bench.monitor import Monitor, to_frames
from harness.bench.picture import Picture, Seen, Value, record
from harness.bench.watching import REFRESH_NS, replay
from harness.canbus.database import load_database
from harness.canbus.portmodel import PortFrame
from harness.canbus.product import Profile
from harness.canbus.profile import load_profile
from harness.canbus.recorder import read_recording
from harness.clock import NS_PER_S, ManualClock
from harness.kernel.config import FrameFlag
from harness.report.monitor import values_text
from harness.trace import Frames

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
MS = 1_000_000
YEAR_NS = 365 * 86_400 * NS_PER_S
FIELDS = tuple(Frames.__dataclass_fields__)


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(ROOT / "dbc" / "reference-bms.profile.toml")


def crc8(data: bytes) -> int:
    """CRC-8 SAE J1850, bit by bit."""
    value = 0xFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ 0x1D) & 0xFF if value & 0x80 else value << 1
    return value ^ 0xFF


def state(profile: Profile, t_ms: float, counter: int, *, good: bool = True) -> PortFrame:
    """BMS_State with its counter and a checksum by the profile's data id."""
    message = profile.database.by_name["BMS_State"]
    place = message.by_name["Crc"].first_bit // 8
    payload = bytearray(profile.encode("BMS_State", {"State": "Drive", "AliveCounter": counter}))
    checksum = profile.protections["BMS_State"].checksum
    data_id = getattr(checksum, "data_id", None)
    assert data_id is not None
    payload[place] = crc8(bytes([data_id]) + payload[:place] + payload[place + 1 :]) ^ (0 if good else 0x55)
    return PortFrame(round(t_ms * MS), message.id, bytes(payload))


def pictured(profile: Profile, frames: list[PortFrame], t_s: float | None = None) -> Picture:
    monitor = Monitor.of_profile(profile, bitrate=500_000)
    monitor.add(to_frames(frames, 0))
    return monitor.picture(t_s)


def seen(picture: Picture, name: str) -> Seen:
    return next(item for item in picture.seen if item.name == name)


def value(picture: Picture, path: str) -> Value:
    found = seen(picture, path.partition(".")[0])
    return next(item for item in found.values if item.path == path)


def test_period_jitter_and_longest_gap_are_those_of_the_frames(profile: Profile) -> None:
    times_ms = [0, 100, 200, 310, 400]  # gaps 100, 100, 110, 90
    picture = pictured(profile, [state(profile, t_ms, at) for at, t_ms in enumerate(times_ms)])
    period = seen(picture, "BMS_State").period
    assert (100, 100.0, 90.0, 110.0) == pytest.approx(
        (period.nominal_ms, period.mean_ms, period.least_ms, period.greatest_ms)
    )
    assert period.jitter_ms == pytest.approx(math.sqrt(50))


def test_a_counter_that_jumps_counts_what_is_missing_and_one_that_stands_what_came_again(profile: Profile) -> None:
    counters = [13, 14, 0, 0, 3, 4]  # counts 0 to 14; 1 and 2 are missing
    found = seen(pictured(profile, [state(profile, 100 * at, c) for at, c in enumerate(counters)]), "BMS_State")
    assert (6, 2, 1, 0) == (found.frames, found.lost, found.repeated, found.crc_errors)


def test_a_wrong_checksum_is_counted_and_its_counter_not_believed(profile: Profile) -> None:
    frames = [state(profile, 0, 1), state(profile, 100, 9, good=False), state(profile, 200, 3)]
    found = seen(pictured(profile, frames), "BMS_State")
    assert (3, 1, 1, 0) == (found.frames, found.crc_errors, found.lost, found.repeated)


def test_counters_of_the_rest_bus_are_watched_too(profile: Profile) -> None:
    message = next(rest for rest in profile.restbus if rest.name == "VCU_Command")
    frames = []
    for at, counter in enumerate([0, 1, 2, 2, 5]):
        payload = bytearray(message.payload)
        bits = int.from_bytes(payload, "little") | counter << message.counter_start_bit
        payload = bytearray(bits.to_bytes(len(payload), "little"))
        data_id = getattr(message.checksum, "data_id", None)
        assert data_id is not None
        place = message.crc_byte
        payload[place] = crc8(bytes([data_id]) + payload[:place] + payload[place + 1 :])
        frames.append(PortFrame(at * 10 * MS, message.id, bytes(payload), own=True))
    found = seen(pictured(profile, frames), "VCU_Command")
    assert (5, 2, 1, 0) == (found.frames, found.lost, found.repeated, found.crc_errors)


def test_ages_count_from_the_last_frame_and_five_periods_are_silence(profile: Profile) -> None:
    frames = [state(profile, t_ms, at) for at, t_ms in enumerate((0, 100))]
    for t_s, age_s, remark in ((0.1, 0.0, ""), (0.6, 0.5, ""), (0.61, 0.51, "silent")):
        found = seen(pictured(profile, frames, t_s), "BMS_State")
        assert pytest.approx(found.age_s) == age_s
        assert found.remark == remark


@pytest.mark.parametrize(
    ("period_ms", "remark"),
    [(79, "faster than nominal"), (81, ""), (119, ""), (121, "slower than nominal")],
)
def test_a_period_beyond_a_fifth_is_remarked(profile: Profile, period_ms: int, remark: str) -> None:
    frames = [state(profile, period_ms * at, at % 15) for at in range(10)]
    assert remark == seen(pictured(profile, frames), "BMS_State").remark


def test_values_have_units_states_and_the_quantities_of_the_profile(profile: Profile) -> None:
    payload = profile.encode("BMS_PackValues", {"PackVoltage": 614.5, "PackCurrent": -20.0})
    pack = PortFrame(MS, profile.database.by_name["BMS_PackValues"].id, payload)
    picture = pictured(profile, [pack, state(profile, 2, 0)])
    voltage, drive = value(picture, "BMS_PackValues.PackVoltage"), value(picture, "BMS_State.State")
    assert ("V", "pack_voltage_v", True) == (voltage.unit, voltage.quantity, voltage.in_range)
    assert pytest.approx(voltage.quantity_value, abs=0.05) == 614.5
    assert ("Drive", "bms_state", None) == (drive.state, drive.quantity, drive.quantity_value)
    assert "pack_voltage_v 614.5 V" in values_text(seen(picture, "BMS_PackValues").values)


def test_cells_are_told_by_their_extremes_without_those_outside_the_range(profile: Profile) -> None:
    message = profile.database.by_name["BMS_CellTemps"]
    signals = [signal for signal in message.signals if signal.mux_ids == frozenset({9}) and "Temp" in signal.name]
    values: dict[str, str | int | float | bool] = {signal.name: 20.0 + at for at, signal in enumerate(signals)}
    selector = next(signal for signal in message.signals if signal.is_multiplexer)
    payload = bytearray(profile.encode("BMS_CellTemps", {**values, selector.name: 9}))
    last = signals[-1]
    bits = int.from_bytes(payload, "little") | ((1 << last.length) - 1) << last.start_bit  # no sensor: all ones
    picture = pictured(profile, [PortFrame(0, message.id, bits.to_bytes(len(payload), "little"))])
    assert not value(picture, f"BMS_CellTemps.{last.name}").in_range
    text = values_text(seen(picture, "BMS_CellTemps").values)
    assert f"cell_temp_degc 20.000 to {20 + len(signals) - 2}.000 °C in {len(signals) - 1}" in text


def test_unknown_identifiers_error_and_remote_frames_are_counted_apart(profile: Profile) -> None:
    frames = [
        PortFrame(0, 0x7FF, b"\x01\x02"),
        PortFrame(10 * MS, 0x7FF, b"\x03"),
        PortFrame(10 * MS, 0x100, b"\x03", FrameFlag.EXTENDED),  # another identifier than 0x100
        PortFrame(20 * MS, 4, bytes(8), FrameFlag.ERROR),
        PortFrame(20 * MS, 0x100, bytes(8), FrameFlag.REMOTE),
    ]
    picture = pictured(profile, frames)
    assert (5, 1, 1) == (picture.frames, picture.error_frames, picture.remote)
    assert [(0x7FF, False, 2, 10.0, "03"), (0x100, True, 1, None, "03")] == [
        (item.id, item.extended, item.frames, item.mean_ms, item.data) for item in picture.unknown
    ]
    assert () == picture.seen
    assert "BMS_State" in picture.missing


def test_frames_too_short_for_their_message_are_counted_and_not_decoded(profile: Profile) -> None:
    found = seen(pictured(profile, [replace(state(profile, 0, 1), data=b"\x01")]), "BMS_State")
    assert (1, 1, ()) == (found.frames, found.short, found.values)


def test_the_same_frames_in_pieces_give_the_same_picture(profile: Profile) -> None:
    random = np.random.default_rng(1)
    frames = [state(profile, 100 * at, int(random.integers(15)), good=at % 7 > 0) for at in range(200)]
    frames += [PortFrame(at * 33 * MS, 0x7FF, bytes([at])) for at in range(100)]
    frames.sort(key=lambda frame: frame.t_ns)
    monitor = Monitor.of_profile(profile, bitrate=500_000)
    for at in range(0, 300, 17):
        monitor.add(to_frames(frames[at : at + 17], 0))
    whole, pieces = record(pictured(profile, frames)), record(monitor.picture())
    assert _rounded(whole) == _rounded(pieces)


def _rounded(document: object) -> object:
    return json.loads(json.dumps(document), parse_float=lambda text: round(float(text), 6))


def test_a_picture_is_a_json_document_whatever_a_float_signal_carries(profile: Profile) -> None:
    picture = pictured(profile, [state(profile, 0, 1)])
    odd = replace(picture, seen=(replace(picture.seen[0], values=(Value("A.B", math.nan, "", math.inf),)),))
    assert {"value": None, "age_s": None}.items() <= record(odd)["seen"][0]["values"][0].items()
    json.dumps(record(odd), allow_nan=False)


# ---- load -----------------------------------------------------------------------------------------------------------


def wire_bits(identifier: int, data: bytes) -> int:
    """Bits of a standard classic frame with its stuff bits and interframe space, counted one by one."""
    bits = [0, *(identifier >> at & 1 for at in range(10, -1, -1)), 0, 0, 0]
    bits += [len(data) >> at & 1 for at in range(3, -1, -1)]
    bits += [byte >> at & 1 for byte in data for at in range(7, -1, -1)]
    crc = 0
    for bit in bits:
        crc = (crc << 1 ^ 0x4599 if bit ^ crc >> 14 else crc << 1) & 0x7FFF
    bits += [crc >> at & 1 for at in range(14, -1, -1)]
    stuffed: list[int] = []
    for bit in bits:
        stuffed.append(bit)
        if len(stuffed) >= 5 and len(set(stuffed[-5:])) == 1:
            stuffed.append(1 - bit)
    return len(stuffed) + 1 + 2 + 7 + 3


@pytest.mark.parametrize(
    ("kind", "share"), [("random", 0.04), ("small numbers", 0.06), ("zeros", 0.15), ("counting", 0.06)]
)
def test_the_estimated_load_is_near_what_is_on_the_wire(kind: str, share: float) -> None:
    random = np.random.default_rng(5)
    payloads = {
        "random": [random.bytes(8) for _ in range(300)],
        "small numbers": [
            b"".join(int(n).to_bytes(2, "little") for n in random.integers(0, 4000, 4)) for _ in range(300)
        ],
        "zeros": [bytes(8)] * 300,
        "counting": [at.to_bytes(2, "little") + b"\x55\xaa\x10\x20\x30\x40" for at in range(300)],
    }[kind]
    frames = to_frames([PortFrame(0, 0x100 + at, data) for at, data in enumerate(payloads)], 0)
    exact = sum(wire_bits(0x100 + at, data) for at, data in enumerate(payloads))
    assert exact == pytest.approx(float(frame_times_s(frames, 1.0, 1.0).sum()), rel=share)


def test_the_load_is_told_for_all_the_time_the_last_second_and_the_busiest(profile: Profile) -> None:
    """47 + 64 bits and some stuffing are 0.23 ms at 500 kbit/s: 1000 a second are 23 %."""
    frames = [PortFrame(at * MS, 0x7FF, b"\x55" * 8) for at in range(1000)]
    frames += [PortFrame(NS_PER_S + at * 2 * MS, 0x7FF, b"\x55" * 8) for at in range(500)]
    load = pictured(profile, frames, 2.0).load
    assert (23.0, 11.5, 17.25) == pytest.approx((load.peak_pct, load.last_pct, load.mean_pct), rel=0.04)


def test_the_data_phase_of_a_flexible_frame_is_as_short_as_its_bit_rate_makes_it() -> None:
    frame = PortFrame(0, 1, bytes(64), FrameFlag.FD | FrameFlag.BRS)
    slow, quick = (float(frame_times_s(to_frames([frame], 0), 2e-6, rate)[0]) for rate in (2e-6, 0.5e-6))
    assert slow / quick == pytest.approx((29 + 550) / (29 + 550 / 4), rel=0.03)


def test_a_stamp_that_is_a_year_off_costs_no_memory() -> None:
    frames = to_frames([PortFrame(0, 1, bytes(8)), PortFrame(YEAR_NS, 1, bytes(8))], 0)
    meter = LoadMeter(500_000)
    tracemalloc.start()
    try:
        meter.add(frames)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert meter.load(1.0).last_pct > 0.0
    assert meter.load(2.0).last_pct == 0.0


# ---- recordings -----------------------------------------------------------------------------------------------------


def test_a_recording_plays_at_its_own_speed_and_is_shown_at_most_five_times_a_second(profile: Profile) -> None:
    frames = to_frames([state(profile, 1000 + 100 * at, at % 15) for at in range(21)], 0)
    clock = ManualClock(7)
    shown: list[Picture] = []
    monitor = Monitor.of_profile(profile, bitrate=500_000)
    assert 2.0 == replay(frames, monitor, clock, for_s=None, fast=False, show=shown.append)
    assert 2 * NS_PER_S + 7 == clock.now_ns()
    assert REFRESH_NS >= NS_PER_S // 5
    assert [3, 5, 7] == [picture.frames for picture in shown][:3]
    assert (21, 10) == (shown[-1].frames, len(shown))


@pytest.mark.parametrize(("for_s", "frames"), [(None, 21), (1.0, 11)])
def test_a_recording_played_at_once_ends_where_it_should(profile: Profile, for_s: float | None, frames: int) -> None:
    recorded = to_frames([state(profile, 1000 + 100 * at, at % 15) for at in range(21)], 0)
    monitor, clock = Monitor.of_profile(profile, bitrate=500_000), ManualClock()
    replay(recorded, monitor, clock, for_s=for_s, fast=True, show=lambda _: None)
    assert (frames, 0) == (monitor.picture().frames, clock.now_ns())


@pytest.mark.skipif(not DATA.is_dir(), reason="no folder of recordings")
def test_a_recording_of_a_car_is_decoded_by_its_database_as_cantools_decodes_it() -> None:
    """31 s of an Orion BMS and a drive unit: 50 660 frames, a third of them in the database."""
    cantools = pytest.importorskip("cantools")
    dbc = DATA / "we-ev" / "VECAN_2.0.16_DI.dbc"
    frames = read_recording(DATA / "we-ev" / "candump-2025-11-22_161709.log").frames
    monitor = Monitor.of_database(load_database(dbc, strict=False), bitrate=500_000)
    monitor.add(frames)
    picture = monitor.picture()
    assert (50_660, 24) == (picture.frames, len(picture.seen))
    assert 50_660 == sum(item.frames for item in picture.seen) + sum(item.frames for item in picture.unknown)
    library = cantools.database.load_file(dbc, strict=False)
    for name in ("BMS_hvBusStatus", "DIR_hvStatus", "DI_systemStatus"):
        found = seen(picture, name)
        last = np.flatnonzero(frames.id == found.id)[-1]
        expected = library.decode_message(name, frames.data[last].tobytes(), decode_choices=False)
        assert expected == pytest.approx({item.path.partition(".")[2]: item.value for item in found.values})
