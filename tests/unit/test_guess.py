# SPDX-License-Identifier: Apache-2.0
"""What names, units, ranges and value tables say of a signal, and how sure that is."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.canbus.database import load_database
from harness.canbus.guess import LIKELY, SURE, Guess, Guesses, guess
from harness.canbus.words import meanings


def guessed(folder: Path, signals: str, *, message: str = "Status", more: str = "") -> Guesses:
    lines = "\n".join(f" SG_ {line} X" for line in signals.strip().splitlines())
    path = folder / "some.dbc"
    path.write_text(f'VERSION ""\n\nBU_: BMS X\n\nBO_ 256 {message}: 8 BMS\n{lines}\n\n{more}\n', encoding="utf-8")
    return guess(load_database(path).messages)


def only(found: Guesses) -> Guess:
    (item,) = found.signals
    return item


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("MaximumCellVoltage", ("max", "cell", "voltage")),
        ("PACKVOLTS", ("pack", "voltage")),
        ("STATEOFCHARGE", ("soc",)),
        ("BMS_a017_SW_Brick_OV", ("bms", "a", "sw", "cell", "over", "voltage")),
        ("dischargeCurrentLimit", ("discharge", "current", "limit")),
        ("v12vBattVoltage", ("v", "supply", "pack", "voltage")),
    ],
)
def test_names_are_cut_into_words_with_meanings(name: str, words: tuple[str, ...]) -> None:
    assert words == meanings(name)


@pytest.mark.parametrize(
    ("line", "quantity", "scale"),
    [
        ('PackVoltage : 0|16@1+ (0.1,0) [0|1000] "V"', "pack_voltage_v", 1.0),
        ('BattCurrent : 0|16@1- (1,0) [0|0] "mA"', "pack_current_a", 1e-3),
        ('MaxCellVolt : 0|16@1+ (1,0) [0|5000] "mV"', "cell_voltage_max_v", 1e-3),
        ('CellTempMin : 0|8@1- (1,0) [-40|100] "degC"', "cell_temp_min_degc", 1.0),
        ('StateOfCharge : 0|8@1+ (0.5,0) [0|100] "%"', "soc_pct", 1.0),
        ('MaxDischargeCurrent : 0|16@1+ (1,0) [0|600] "A"', "discharge_limit_a", 1.0),
        ('IsolationResistance : 0|16@1+ (1,0) [0|60000] "kOhm"', "insulation_ohm", 1e3),
        ('CellOvervoltageError : 0|1@1+ (1,0) [0|1] ""', "fault.cell_overvoltage", 1.0),
        ('ChargeOvertempWarning : 0|1@1+ (1,0) [0|1] ""', "warning.charge_overtemperature", 1.0),
    ],
)
def test_a_signal_that_says_what_it_is_is_recognised(tmp_path: Path, line: str, quantity: str, scale: float) -> None:
    item = only(guessed(tmp_path, line))
    assert (quantity, scale) == (item.quantity, item.scale)
    assert item.confidence >= SURE


@pytest.mark.parametrize(
    "line",
    [
        'MotorVoltage : 0|16@1+ (1,0) [0|1000] "V"',
        'PackVoltage : 0|16@1+ (0.1,0) [0|1000] "A"',  # the unit contradicts the name
        'PackVoltageCounter : 0|8@1+ (1,0) [0|255] ""',
        'CellTempMaxNumber : 0|8@1+ (1,0) [0|255] ""',
        'CoolantTempMax : 0|8@1+ (1,-40) [0|0] "C"',
        'v12vBattVoltage : 0|12@1+ (0.005,0) [0|16] "V"',
        'PackVoltage : 0|2@1+ (1,0) [0|3] "V"',  # two bits carry no voltage
    ],
)
def test_what_only_sounds_alike_is_not_taken(tmp_path: Path, line: str) -> None:
    assert [] == [item for item in guessed(tmp_path, line).signals if not item.quantity.startswith("supply")]


def test_missing_units_and_strange_ranges_cost_confidence(tmp_path: Path) -> None:
    sound = only(guessed(tmp_path, 'MaxCellVoltage : 0|16@1+ (0.001,0) [0|5] "V"')).confidence
    no_unit = only(guessed(tmp_path, 'MaxCellVoltage : 0|16@1+ (0.001,0) [0|5] ""')).confidence
    too_high = only(guessed(tmp_path, 'MaxCellVoltage : 0|16@1+ (1,0) [0|5000] "V"')).confidence
    elsewhere = only(guessed(tmp_path, 'MaxVoltage : 0|16@1+ (0.001,0) [0|5] "V"', message="Cells")).confidence
    assert sound == 1.0
    assert too_high < no_unit < elsewhere < sound
    assert too_high == LIKELY


def test_each_quantity_is_given_once_and_what_is_as_likely_is_told(tmp_path: Path) -> None:
    lines = 'PackVoltage : 0|16@1+ (0.1,0) [0|1000] "V"\nBattVoltage : 16|16@1+ (0.1,0) [0|1000] "V"'
    item = only(guessed(tmp_path, lines))
    assert ("Status.PackVoltage", ("Status.BattVoltage",)) == (item.path, item.also)


def test_states_come_from_the_value_table(tmp_path: Path) -> None:
    table = 'VAL_ 256 BmsState 0 "IDLE" 1 "PRECHARGE" 2 "NORMAL" 3 "CHARGE" 4 "ERROR" 5 "SELFIE" ;'
    item = only(guessed(tmp_path, 'BmsState : 0|4@1+ (1,0) [0|15] ""', more=table))
    expected = {"IDLE": "standby", "PRECHARGE": "precharge", "NORMAL": "drive", "CHARGE": "charge", "ERROR": "fault"}
    assert ("bms_state", expected) == (item.quantity, dict(item.states))
    assert item.confidence >= LIKELY


def test_states_that_the_signal_cannot_carry_do_not_count(tmp_path: Path) -> None:
    table = 'VAL_ 256 BmsState 0 "IDLE" 1 "PRECHARGE" 2 "NORMAL" 3 "CHARGE" 4 "ERROR" ;'
    item = only(guessed(tmp_path, 'BmsState : 0|2@1+ (1,0) [0|3] ""', more=table))
    assert {"IDLE", "PRECHARGE", "NORMAL", "CHARGE"} == set(item.states)


def test_an_incomplete_value_table_says_what_it_lacks(tmp_path: Path) -> None:
    table = 'VAL_ 256 BmsState 0 "IDLE" 1 "PRECHARGE" 2 "RUN" 4 "ERROR" ;'
    assert "charge" in only(guessed(tmp_path, 'BmsState : 0|4@1+ (1,0) [0|15] ""', more=table)).note


def test_numbered_cells_become_an_array(tmp_path: Path) -> None:
    pages = [f'CellVoltage{number:02d} m{number // 3} : {8 + 16 * (number % 3)}|16@1+ (1,0) [0|5000] "mV"'
             for number in range(12)]  # fmt: skip
    found = guessed(tmp_path, "\n".join(['Page M : 0|8@1+ (1,0) [0|3] ""', *pages]), message="Cells")
    (array,) = found.arrays
    assert ("Cells.CellVoltage{i:02d}", 0, 12, 1e-3) == (array.signal, array.first, array.count, array.scale)


def test_cells_without_one_running_number_are_listed_in_the_order_of_the_bus(tmp_path: Path) -> None:
    lines = ['Page M : 0|8@1+ (1,0) [0|3] ""']
    lines += [f'Volt_{bank}_{place} m{bank} : {8 + 16 * at}|16@1+ (0.001,0) [0|5] "V"'
              for bank in range(4) for at, place in enumerate("ABC")]  # fmt: skip
    found = guessed(tmp_path, "\n".join(lines), message="Cells")
    assert () == found.arrays
    assert {f"cell_voltage_v[{number}]" for number in range(1, 13)} == {item.quantity for item in found.signals}
    paths = {item.quantity: item.path for item in found.signals}
    assert ["Cells.Volt_0_A", "Cells.Volt_0_B", "Cells.Volt_1_A"] == [paths[f"cell_voltage_v[{n}]"] for n in (1, 2, 4)]
    assert all(item.confidence <= LIKELY for item in found.signals)
