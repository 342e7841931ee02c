# SPDX-License-Identifier: Apache-2.0
"""Parameters, NVM, limits, state of charge, balancing, asserts and build of the reference firmware."""

from __future__ import annotations

import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.firmware.builder import port_folder
from harness.firmware.compiler import find_compiler

MakeBms = Callable[..., Any]
SOURCES = Path(__file__).parents[3] / "rigs" / "reference-bms"
STRICT = ["-std=c11", "-pedantic", "-Wall", "-Wextra", "-Werror", "-Wconversion", "-Wsign-conversion", "-Wshadow"]


# ---- parameters


def test_an_unknown_parameter_is_refused_by_name(make_bms: MakeBms) -> None:
    error = make_bms(parameters={"cell_ov_tripp_mv": 3750}).error
    assert error is not None
    assert "unknown parameter cell_ov_tripp_mv" in error


def test_a_parameter_out_of_range_is_refused_with_what_is_allowed(make_bms: MakeBms) -> None:
    error = make_bms(parameters={"cell_ov_trip_mv": 375}).error
    assert error is not None
    assert "cell_ov_trip_mv = 375, allowed 500 to 6000" in error


def test_tiers_in_a_wrong_order_are_refused(make_bms: MakeBms) -> None:
    error = make_bms(parameters={"cell_ov_alarm_mv": 3800}).error
    assert error is not None
    assert "cell_ov_trip_mv" in error


@pytest.mark.parametrize(("cells", "temps"), [(401, 4), (12, 101), (12, 0)])
def test_more_or_fewer_sensors_than_the_product_has_are_refused(make_bms: MakeBms, cells: int, temps: int) -> None:
    assert make_bms(cells=cells, temps=temps).error is not None


def test_limits_come_from_the_parameters(make_bms: MakeBms) -> None:
    lto = {
        "cell_ov_warn_mv": 2700,
        "cell_ov_alarm_mv": 2750,
        "cell_ov_trip_mv": 2800,
        "cell_uv_warn_mv": 1800,
        "cell_uv_alarm_mv": 1600,
        "cell_uv_trip_mv": 1500,
    }
    bms = make_bms(parameters=lto)
    bms.cell_uv.fill(2_300_000)
    bms.boot()
    assert bms.active() == set()
    bms.cell_uv.fill(2_810_000)
    bms.run(1.0)
    assert bms.active() == {"CellOvervoltage"}


# ---- non-volatile memory


def test_a_new_controller_has_no_faults_and_counts_its_power_cycles(make_bms: MakeBms) -> None:
    first = make_bms().boot()
    first.run(1.0)
    assert first.signal("BMS_Energy", "PowerCycles") == 1
    second = make_bms(nvm=first.nvm()).boot()
    second.run(1.0)
    assert second.signal("BMS_Energy", "PowerCycles") == 2
    assert second.active() == set()


@pytest.mark.parametrize("byte", [0, 5, 12, 20, 63, 100, 195, 203])
def test_any_damage_to_the_image_is_found_and_holds_until_a_reset(make_bms: MakeBms, byte: int) -> None:
    image = bytearray(make_bms().boot().nvm())
    image[byte] ^= 0x10
    bms = make_bms(nvm=bytes(image))
    bms.run(0.6)
    assert "Nvm" in bms.active()
    bms.mode = "drive"
    bms.run(3.0)
    assert bms.contactors == 0
    bms.mode = "standby"
    bms.request_reset()
    assert bms.active() == set()
    assert bms.state == "Standby"


@pytest.mark.parametrize("size", [0, 3, 203, 205])
def test_an_image_of_another_size_is_broken(make_bms: MakeBms, size: int) -> None:
    image = (make_bms().boot().nvm() + b"\0")[:size]
    bms = make_bms(nvm=image)
    bms.run(0.1)
    assert "Nvm" in bms.active()


def test_the_image_ends_in_the_usual_crc_32(make_bms: MakeBms) -> None:
    image = make_bms().boot().nvm()
    assert int.from_bytes(image[-4:], "little") == zlib.crc32(image[:-4])


def test_an_unreset_broken_image_is_still_reported_after_another_power_cycle(make_bms: MakeBms) -> None:
    first = make_bms(nvm=b"\xff" * 236)
    first.run(0.5)
    second = make_bms(nvm=first.nvm())
    second.run(0.5)
    assert "Nvm" in second.active()


def test_the_fault_memory_names_the_newest_fault(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.hvil = False
    bms.run(2.0)
    again = make_bms(nvm=bms.nvm())
    again.run(1.0)
    assert again.signal("BMS_FaultMemory", "LastFault") == "Hvil"
    assert again.signal("BMS_FaultMemory", "LastFaultCycle") == 1
    assert again.signal("BMS_FaultMemory", "LatchedFaults") == 1
    assert again.signal("BMS_State", "FirstFault") == "Hvil"


# ---- limits


def limits(bms: Any) -> tuple[float, float]:
    return bms.signal("BMS_Limits", "ChargeLimit"), bms.signal("BMS_Limits", "DischargeLimit")


def test_limits_at_25_degc_are_those_of_the_pack(make_bms: MakeBms) -> None:
    assert limits(make_bms().go("drive")) == (270.0, 400.0)


@pytest.mark.parametrize(
    ("degc", "charge_a", "discharge_a"),
    [(45.0, 135.0, 400.0), (50.0, 0.0, 200.0), (55.0, 0.0, 0.0), (2.5, 135.0, 400.0), (-5.0, 0.0, 400.0)],
)
def test_limits_derate_over_temperature_to_nothing_at_the_alarm(
    make_bms: MakeBms, degc: float, charge_a: float, discharge_a: float
) -> None:
    bms = make_bms().go("drive")
    bms.temp_mdegc.fill(round(degc * 1000))
    bms.run(2.0)
    assert limits(bms) == pytest.approx((charge_a, discharge_a), abs=0.5)


@pytest.mark.parametrize(("volts", "charge_a"), [(3.50, 270.0), (3.575, 135.0), (3.65, 0.0)])
def test_the_charge_limit_derates_with_the_highest_cell(make_bms: MakeBms, volts: float, charge_a: float) -> None:
    bms = make_bms().go("drive")
    bms.cell_uv[3] = round(volts * 1e6)
    bms.run(0.8)
    assert limits(bms)[0] == pytest.approx(charge_a, abs=0.5)


@pytest.mark.parametrize(("volts", "discharge_a"), [(2.90, 400.0), (2.75, 200.0), (2.60, 0.0)])
def test_the_discharge_limit_derates_with_the_lowest_cell(make_bms: MakeBms, volts: float, discharge_a: float) -> None:
    bms = make_bms(parameters={"imbalance_trip_ms": 60_000}).go("drive")
    bms.cell_uv[3] = round(volts * 1e6)
    bms.run(0.8)
    assert limits(bms)[1] == pytest.approx(discharge_a, abs=0.5)


@pytest.mark.parametrize(
    ("permille", "charge_a", "discharge_a"), [(550, 270.0, 400.0), (90, 270.0, 200.0), (950, 135.0, 400.0)]
)
def test_limits_derate_over_the_state_of_charge(
    make_bms: MakeBms, permille: int, charge_a: float, discharge_a: float
) -> None:
    bms = make_bms(parameters={"soc_initial_permille": permille}).go("drive")
    assert limits(bms) == pytest.approx((charge_a, discharge_a), abs=1.0)


def test_limits_fall_at_once_and_rise_slowly(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.temp_mdegc.fill(50_000)
    bms.run(0.2)
    assert limits(bms)[1] == pytest.approx(200.0, abs=0.5)
    bms.temp_mdegc.fill(25_000)
    bms.run(0.3)
    assert 200.0 < limits(bms)[1] < 400.0


def test_an_alarm_holds_the_limit_at_zero_until_its_hysteresis(make_bms: MakeBms) -> None:
    bms = make_bms().go("drive")
    bms.cell_uv.fill(3_660_000)
    bms.run(1.5)
    bms.cell_uv.fill(3_560_000)
    bms.run(3.0)
    assert limits(bms)[0] == 0.0
    assert bms.active() == set()


# ---- state of charge


def test_coulombs_are_counted(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"soc_initial_permille": 500, "capacity_mah": 180_000}).go("drive")
    bms.current_ma = 360_000  # 2 C: 1 % in 18 s
    bms.run(90.0 - 0.5)
    bms.run(0.5)
    assert bms.signal("BMS_PackValues", "StateOfCharge") == pytest.approx(45.0, abs=0.11)
    bms.current_ma = -180_000
    bms.run(36.0)
    assert bms.signal("BMS_PackValues", "StateOfCharge") == pytest.approx(46.0, abs=0.11)


def test_the_count_survives_a_power_cycle(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"soc_initial_permille": 700}).boot()
    bms.run(1.0)
    again = make_bms(nvm=bms.nvm(), parameters={"soc_initial_permille": 200}).boot()
    assert again.signal("BMS_PackValues", "StateOfCharge") == pytest.approx(70.0, abs=0.1)


@pytest.mark.parametrize(("volts", "percent"), [(3.131, 7.5), (3.197, 10.0), (2.2, 0.0), (3.60, 100.0)])
def test_a_rest_corrects_the_count_where_the_curve_is_steep(make_bms: MakeBms, volts: float, percent: float) -> None:
    bms = make_bms(parameters={"soc_initial_permille": 500, "soc_rest_s": 60, "cell_uv_trip_ms": 60_000})
    bms.cell_uv.fill(round(volts * 1e6))
    bms.boot()
    bms.run(50.0)
    assert bms.signal("BMS_PackValues", "StateOfCharge") == pytest.approx(50.0)
    bms.run(12.0)
    assert bms.signal("BMS_PackValues", "StateOfCharge") == pytest.approx(percent, abs=0.2)


def test_a_rest_on_the_flat_part_leaves_the_count_alone(make_bms: MakeBms) -> None:
    bms = make_bms(parameters={"soc_initial_permille": 300, "soc_rest_s": 5})
    bms.cell_uv.fill(3_300_000)
    bms.boot()
    bms.run(20.0)
    assert bms.signal("BMS_PackValues", "StateOfCharge") == pytest.approx(30.0)


@pytest.mark.parametrize(("permille", "name"), [(99, "SocLow"), (951, "SocHigh")])
def test_a_low_and_a_high_state_of_charge_warn(make_bms: MakeBms, permille: int, name: str) -> None:
    bms = make_bms(parameters={"soc_initial_permille": permille}).boot()
    bms.run(2.0)
    assert bms.active("BMS_Warnings") == {name}


# ---- balancing


def test_cells_above_3_40_v_and_10_mv_over_the_lowest_are_bled_at_rest(make_bms: MakeBms) -> None:
    bms = make_bms()
    bms.cell_uv[:] = [3_400_000, 3_405_000, 3_411_000, 3_450_000] + [3_400_000] * 8
    bms.boot()
    assert not bms.balancing.any()
    bms.run(12.0)
    assert np.flatnonzero(bms.balancing).tolist() == [2, 3]
    assert bms.signal("BMS_Supervision", "BalancingCount") == 2


def test_nothing_is_bled_below_3_40_v_under_load_or_in_a_fault(make_bms: MakeBms) -> None:
    bms = make_bms()
    bms.cell_uv[:] = [3_300_000, 3_395_000] + [3_300_000] * 10
    bms.boot()
    bms.run(15.0)
    assert not bms.balancing.any()
    bms.cell_uv[:] = [3_410_000, 3_450_000] + [3_410_000] * 10
    bms.run(3.0)
    assert bms.balancing.any()
    bms.hvil = False
    bms.run(0.2)
    assert not bms.balancing.any()


def test_bleeding_goes_on_while_charging(make_bms: MakeBms) -> None:
    bms = make_bms()
    bms.cell_uv[:] = [3_410_000, 3_450_000] + [3_410_000] * 10
    bms.go("charge")
    bms.current_ma = -50_000
    bms.run(2.5)
    assert np.flatnonzero(bms.balancing).tolist() == [1]


# ---- the port


def test_a_task_called_too_late_brings_the_controller_down_with_file_and_line(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.ticks += 200
    assert bms.try_step() < 0
    assert "fil_port.c:" in bms.last_error()
    assert "watchdog" in bms.last_error()
    assert bms.try_step() < 0, "down until the next power-on"
    assert make_bms().boot().state == "Standby"


def test_time_that_runs_backwards_brings_the_controller_down(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    bms.ticks -= 5
    assert bms.try_step() < 0
    assert "backwards" in bms.last_error()


def test_there_are_no_defects_to_switch_on_yet(make_bms: MakeBms) -> None:
    bms = make_bms()
    assert bms.lib.fil_defect(0) == 0
    assert bms.lib.fil_defect(1) == -1


def test_the_source_compiles_without_a_warning(tmp_path: Path) -> None:
    for source in sorted(SOURCES.glob("*.c")):
        command = [
            *find_compiler().command,
            *STRICT,
            f"-I{port_folder()}",
            "-c",
            str(source),
            "-o",
            str(tmp_path / "any.o"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")


def test_no_heap_and_no_clock_in_the_source() -> None:
    text = "".join(path.read_text() for path in SOURCES.glob("*.[ch]"))
    assert not [word for word in ("malloc", "calloc", "realloc", "time.h", "float ", "double ") if word in text]
