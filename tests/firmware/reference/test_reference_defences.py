# SPDX-License-Identifier: Apache-2.0
"""Resets at any moment, damaged memory, wrapping time, brown-out and a clock that drifts."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest

MakeBms = Callable[..., Any]
POSITIVE, NEGATIVE, PRECHARGE = 1, 2, 4
BOOT_S = 0.2  # parameter boot_ms
WRAPS = (2**31, 2**32)
CRC_AT, VERSION_AT, WRITES_AT = 232, 4, 192


def driven(make_bms: MakeBms, ticks: int, **arguments: Any) -> Any:
    """So many ticks after a drive request in standby."""
    bms = make_bms(**arguments).boot()
    bms.mode = "drive"
    bms.run(ticks / 100)
    return bms


def reset(make_bms: MakeBms, before: Any, **arguments: Any) -> Any:
    """The controller as it comes up while vehicle and pack go on as they were."""
    bms = make_bms(nvm=before.nvm(), **arguments)
    bms.mode, bms.plug = before.mode, before.plug
    bms.vehicle.counter = before.vehicle.counter
    bms.cell_uv[:], bms._link_v = before.cell_uv, before._link_v
    bms.current_ma = before.current_ma
    return bms


@pytest.mark.parametrize("ticks", [*range(0, 70, 3), 100, 300])
def test_a_reset_at_any_moment_after_a_drive_request_leaves_all_contactors_open(make_bms: MakeBms, ticks: int) -> None:
    bms = reset(make_bms, driven(make_bms, ticks))
    bms.run(3.0)
    assert [command for _, command in bms.commands] == [0]
    assert bms.state == "Standby"
    bms.mode = "standby"
    bms.run(0.1)
    bms.mode = "drive"
    bms.run(2.0)
    assert bms.state == "Drive"


def test_after_a_reset_while_charging_the_standing_request_closes_nothing(make_bms: MakeBms) -> None:
    bms = reset(make_bms, make_bms().go("charge"))
    bms.run(3.0)
    assert [command for _, command in bms.commands] == [0]


def test_no_request_closes_a_contactor_before_the_boot_is_over(make_bms: MakeBms) -> None:
    bms = make_bms()
    bms.run(0.03)
    bms.mode = "drive"
    bms.run(1.5)
    first_s = next(at_s for at_s, command in bms.commands if command)
    assert first_s >= BOOT_S
    assert bms.state == "Drive"


def test_a_latched_fault_is_shown_from_the_first_frame_after_a_reset(make_bms: MakeBms) -> None:
    before = make_bms().go("drive")
    before.hvil = False
    before.run(0.3)
    before.hvil = True
    bms = reset(make_bms, before)
    bms.run(0.01)
    assert bms.active() == {"Hvil"}
    assert bms.state == "Latched"
    assert bms.contactors == 0


# ---- memory


def damaged(image: bytes, at: int) -> bytes:
    return image[:at] + bytes([image[at] ^ 0x5A]) + image[at + 1 :]


def assert_safe_until_reset(make_bms: MakeBms, image: bytes | None, **arguments: Any) -> None:
    bms = make_bms(nvm=image, **arguments)
    bms.run(0.01)
    assert bms.active() == {"Nvm"}
    bms.mode = "drive"
    bms.run(1.0)
    assert bms.state == "Latched"
    assert [command for _, command in bms.commands] == [0]
    bms.mode = "standby"
    bms.request_reset()
    assert bms.state == "Standby"
    assert bms.active() == set()
    good = make_bms(nvm=bms.nvm(), **arguments)
    good.run(0.1)
    assert good.active() == set()


def test_one_wrong_byte_anywhere_is_found(make_bms: MakeBms) -> None:
    image = make_bms().boot().nvm()
    for at in range(len(image)):
        bms = make_bms(nvm=damaged(image, at))
        bms.run(0.01)
        assert bms.active() == {"Nvm"}, f"byte {at}"


@pytest.mark.parametrize("at", [0, VERSION_AT, 12, 100, CRC_AT + 3])
def test_a_damaged_image_keeps_the_pack_off_until_a_reset_request(make_bms: MakeBms, at: int) -> None:
    assert_safe_until_reset(make_bms, damaged(make_bms().boot().nvm(), at))


@pytest.mark.parametrize("value", [0x00, 0xFF])
def test_an_erased_image_keeps_the_pack_off_until_a_reset_request(make_bms: MakeBms, value: int) -> None:
    assert_safe_until_reset(make_bms, bytes([value]) * len(make_bms().nvm()))


@pytest.mark.parametrize("length", [1, 4, 100, 203])
def test_a_truncated_image_keeps_the_pack_off_until_a_reset_request(make_bms: MakeBms, length: int) -> None:
    assert_safe_until_reset(make_bms, make_bms().boot().nvm()[:length])


def test_an_image_that_is_longer_than_its_own_keeps_the_pack_off(make_bms: MakeBms) -> None:
    assert_safe_until_reset(make_bms, make_bms().boot().nvm() + bytes(96))


@pytest.mark.parametrize("version", [0, 1, 2, 3, 5, 0xFFFF])
def test_an_image_of_another_version_keeps_the_pack_off_although_its_crc_is_right(
    make_bms: MakeBms, version: int
) -> None:
    image = make_bms().boot().nvm()
    body = image[:VERSION_AT] + version.to_bytes(2, "little") + image[VERSION_AT + 2 : CRC_AT]
    assert zlib.crc32(image[:CRC_AT]) == int.from_bytes(image[CRC_AT:], "little")
    assert_safe_until_reset(make_bms, body + zlib.crc32(body).to_bytes(4, "little"))


def test_a_missing_image_is_a_new_controller_unless_one_is_expected(make_bms: MakeBms) -> None:
    new = make_bms()
    new.run(0.1)
    assert new.active() == set()
    lost = make_bms(parameters={"nvm_expected": 1})
    lost.run(0.1)
    assert lost.active() == {"Nvm"}
    assert_safe_until_reset(make_bms, None, parameters={"nvm_expected": 1})


def test_the_damage_is_in_the_fault_memory(make_bms: MakeBms) -> None:
    bms = make_bms(nvm=damaged(make_bms().boot().nvm(), 12))
    bms.run(1.0)
    assert bms.signal("BMS_FaultMemory", "LastFault") == "Nvm"


def test_every_writing_of_the_image_is_counted_over_power_cycles(make_bms: MakeBms) -> None:
    def writes(image: bytes) -> int:
        return int.from_bytes(image[WRITES_AT : WRITES_AT + 4], "little")

    bms = make_bms()
    first = writes(bms.nvm())
    assert first == 1  # the power-on itself
    bms.boot()
    bms.hvil = False
    bms.run(1.0)
    image = bms.nvm()
    later = writes(image)
    assert later > first
    again = make_bms(nvm=image)
    assert writes(again.nvm()) == later + 1
    again.run(1.0)
    assert again.signal("BMS_Communication", "NvmWrites") == writes(again.nvm()) % 256


# ---- time


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("before_ms", [50, 250, 900, 2500, 3600])
def test_boot_and_precharge_take_as_long_over_a_wrap_of_the_counter(
    make_bms: MakeBms, wrap: int, before_ms: int
) -> None:
    def there_and_back(start_tick_ms: int) -> Any:
        bms = make_bms(start_tick_ms=start_tick_ms).go("drive")
        bms.mode = "standby"
        bms.run(1.0)
        return bms.commands

    assert there_and_back(0) == there_and_back(wrap - before_ms)


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("before_ms", [3550, 3900, 4100, 4400])
def test_loss_of_the_vehicle_is_found_in_its_time_over_a_wrap(make_bms: MakeBms, wrap: int, before_ms: int) -> None:
    """The drive is reached after 3.5 s; the wrap lies before, within or after the second of silence."""
    bms = make_bms(start_tick_ms=wrap - before_ms).go("drive")
    bms.vehicle.on = False
    found_s = bms.until(lambda: "VehicleTimeout" in bms.active(), 2.0)
    assert found_s == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("wrap", WRAPS)
@pytest.mark.parametrize("before_ms", [1000, 4000, 7000, 10_000])
def test_three_precharge_tries_take_as_long_over_a_wrap(make_bms: MakeBms, wrap: int, before_ms: int) -> None:
    def failing(start_tick_ms: int) -> Any:
        bms = make_bms(start_tick_ms=start_tick_ms).boot()
        bms.link_mv = 0
        bms.mode = "drive"
        bms.run(17.0)
        return bms

    plain, wrapped = failing(0), failing(wrap - before_ms)
    assert wrapped.active() == {"Precharge"}
    assert plain.commands == wrapped.commands


@pytest.mark.parametrize("wrap", WRAPS)
def test_loss_of_the_charger_is_found_in_its_time_over_a_wrap(make_bms: MakeBms, wrap: int) -> None:
    bms = make_bms(start_tick_ms=wrap - 4000).go("charge")
    bms.charger.on = False
    found_s = bms.until(lambda: "ChargerTimeout" in bms.active(), 2.0)
    assert found_s == pytest.approx(1.0, abs=0.11)


def test_a_silence_of_longer_than_the_counter_lasts_stays_a_silence(make_bms: MakeBms) -> None:
    """Ages end at 60 s; a wrap of the counter after that does not make the vehicle heard."""
    bms = make_bms(start_tick_ms=2**32 - 62_000).boot()
    bms.vehicle.on = False
    bms.run(64.0)
    bms.mode = "drive"
    assert bms.state == "Standby"


@pytest.mark.parametrize("clock", [0.99, 1.0, 1.01])
def test_a_clock_within_one_percent_keeps_supervision_and_order(make_bms: MakeBms, clock: float) -> None:
    bms = make_bms()
    bms.clock = clock
    bms.go("drive")
    bms.run(20.0)
    assert bms.active() == set()
    assert bms.signal("BMS_Communication", "VehicleOutOfSequence") == 0
    bms.vehicle.on = False
    found_s = bms.until(lambda: "VehicleTimeout" in bms.active(), 2.0)
    assert found_s == pytest.approx(1.0 / clock, abs=0.025)
    periods = [at_s for at_s, identifier, _ in bms.frames if identifier == 0x101]
    gaps = [later - earlier for earlier, later in pairwise(periods)]
    assert max(gaps) <= 0.1 / clock + 0.0101
    assert min(gaps) >= 0.1 / clock - 0.0101


# ---- supply


@pytest.mark.parametrize("supply_mv", [15_000, 9_500])
def test_a_falling_supply_opens_in_order_and_the_image_is_whole_at_every_moment(
    make_bms: MakeBms, supply_mv: int
) -> None:
    """A brown-out can take the controller away after any tick: what it finds afterwards is sound."""
    bms = make_bms().go("drive")
    bms.supply_mv = supply_mv
    images = []
    for _ in range(30):
        bms.run(0.01)
        images.append(bms.nvm())
    assert [command for _, command in bms.commands][-3:] == [POSITIVE | NEGATIVE, NEGATIVE, 0]
    for image in images:
        again = make_bms(nvm=image)
        again.mode = "drive"
        again.run(0.5)
        assert again.active() == set()
        assert [command for _, command in again.commands] == [0]


def test_a_latch_is_in_the_image_in_the_tick_that_sets_it(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.crash = True
    while "Crash" not in bms.active():
        bms.run(0.01)
    again = make_bms(nvm=bms.nvm())
    again.run(0.01)
    assert again.active() == {"Crash"}


# ---- what is switched off stays off


def test_a_cell_that_reads_below_zero_is_no_runaway_while_the_voltage_drop_is_switched_off(make_bms: MakeBms) -> None:
    """Exchanged sense wires turn a cell's reading round: it has lost more than all of its voltage."""
    bms = make_bms(parameters={"runaway_drop_permille": 1000}).go("drive")
    bms.run(3.5)
    bms.cell_uv[5] = -3_300_000
    for _ in range(150):  # 5 K/s below the temperature of a runaway
        bms.temp_mdegc += 50
        bms.run(0.01)
    assert "ThermalRunaway" not in bms.active()
    assert bms.signal("BMS_TempExtremes", "CellTempRise") > 1.0
