# SPDX-License-Identifier: Apache-2.0
"""Each driver, byte for byte, against what the manual named in its docstring says it must send."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from harness.errors import BenchError
from harness.instruments.drivers.table import DRIVERS
from harness.instruments.model import Inputs, Instrument, InstrumentSettings

from .instruments_helper import CELL_SIMULATOR, ENVELOPE, GENESYS, INSULATION, LOAD, MAINFRAME, NGI, SUPPLY, some_inputs
from .transports import ScriptedTransport

Pairs = tuple[tuple[bytes, bytes], ...]


def armed(settings: InstrumentSettings, pairs: Pairs) -> tuple[Instrument, ScriptedTransport]:
    """A driver armed with `some_inputs` along the script; the script was played to its end."""
    script = ScriptedTransport(pairs)
    driver = DRIVERS[settings.driver](settings, script, ENVELOPE)
    driver.apply(some_inputs())
    assert script.written == []  # nothing before arming
    driver.arm()
    assert script.done()
    return driver, script


def silent(*lines: bytes) -> Pairs:
    return tuple((line, b"") for line in lines)


NO_ERROR = b'0,"No error"\r\n'
TWO_CELLS = replace(
    CELL_SIMULATOR,
    channels={"cell_voltage_v": (8, 9), "cell_connected": (8, 9), "cell_temp_degc": (9,), "temp_connected": (9,)},
)
TWO = {"cell_connected": np.array([True, True]), "temp_connected": np.array([True])}


def two_cells(first_v: float, second_v: float, temp_degc: float = 25.0, **other: object) -> Inputs:
    values = {"cell_voltage_v": np.array([first_v, second_v]), "cell_temp_degc": np.array([temp_degc])}
    return some_inputs(**{**TWO, **values, **other})


ABS_ARM: Pairs = (
    *silent(
        b"@0 *CLS\r\n",
        b"@1 *CLS\r\n",
        b"@0 SOUR:CURR:SRC 0.5000,(@1:8)\r\n",
        b"@0 SOUR:CURR:SNK 0.5000,(@1:8)\r\n",
        b"@1 SOUR:CURR:SRC 0.5000,(@1:8)\r\n",
        b"@1 SOUR:CURR:SNK 0.5000,(@1:8)\r\n",
        b"@0 :SOUR:VOLT 3.3000,(@8)\r\n",
        b"@1 :SOUR:VOLT 3.4001,(@1)\r\n",
        b"@0 :OUTP:FAUL NONE,(@8)\r\n",
        b"@1 :OUTP:FAUL NONE,(@1)\r\n",
        b"@1 :AUX:AOUT 2.500,(@1)\r\n",  # 10 kOhm at 25 degC against 10 kOhm: half of 5 V
        b"@0 OUTP 1,(@8)\r\n",
        b"@1 OUTP 1,(@1)\r\n",
    ),
    (b"@1 OUTP? (@1:8)\r\n", b"1,0,0,0,0,0,0,0\r\n"),
    (b"@0 SYST:ERR?\r\n", NO_ERROR),
    (b"@1 SYST:ERR?\r\n", NO_ERROR),
)


def armed_abs() -> tuple[Instrument, ScriptedTransport]:
    script = ScriptedTransport(ABS_ARM)
    driver = DRIVERS["bloomy-abs"](TWO_CELLS, script, ENVELOPE)
    driver.apply(two_cells(3.3, 3.40005001))
    driver.arm()
    assert script.done()
    return driver, script


def test_abs_addresses_each_unit_and_sends_cell_wire_and_sensor() -> None:
    driver, script = armed_abs()
    script.expect(*silent(b"@1 :SOUR:VOLT 3.4101,(@1)\r\n", b"@0 :OUTP:FAUL OPEN,(@8)\r\n"))
    driver.apply(two_cells(3.3, 3.4101, cell_connected=np.array([False, True])))
    script.expect(*silent(b"@1 :AUX:AOUT 5.000,(@1)\r\n"))  # an open sensor leaves the reference
    driver.apply(two_cells(3.3, 3.4101, cell_connected=np.array([False, True]), temp_connected=np.array([False])))
    assert script.done()


def test_abs_sends_many_cells_of_a_unit_in_one_line() -> None:
    settings = replace(CELL_SIMULATOR, channels={"cell_voltage_v": (1, 2, 3)})
    script = ScriptedTransport(
        (
            *silent(b"@0 *CLS\r\n", b"@0 SOUR:CURR:SRC 0.5000,(@1:8)\r\n", b"@0 SOUR:CURR:SNK 0.5000,(@1:8)\r\n"),
            *silent(b"@0 :SOUR1:VOLT 3.1000;:SOUR2:VOLT 3.2000;:SOUR3:VOLT 3.3000\r\n", b"@0 OUTP 1,(@1:3)\r\n"),
            (b"@0 OUTP? (@1:8)\r\n", b"1,1,1,0,0,0,0,0\r\n"),
            (b"@0 SYST:ERR?\r\n", NO_ERROR),
        )
    )
    driver = DRIVERS["bloomy-abs"](settings, script, ENVELOPE)
    driver.apply(some_inputs(cell_voltage_v=np.array([3.1, 3.2, 3.3])))
    driver.arm()
    assert script.done()


def test_abs_goes_off_by_broadcast_and_one_by_one_and_reads_it_back() -> None:
    driver, script = armed_abs()
    script.expect(
        *silent(
            b"\n",
            b"@32 OUTP 0,(@1:8)\r\n",
            b"@32 AUX:AOUT 0,(@1:8)\r\n",
            b"@0 OUTP 0,(@1:8)\r\n",
            b"@0 AUX:AOUT 0,(@1:8)\r\n",
            b"@1 OUTP 0,(@1:8)\r\n",
            b"@1 AUX:AOUT 0,(@1:8)\r\n",
        ),
        (b"@1 *IDN?\r\n", b"Bloomy Controls,ABS,SN2,1.2.0\r\n"),
        (b"@0 OUTP? (@1:8)\r\n", b"0,0,0,0,0,0,0,0\r\n"),
        (b"@0 AUX:AOUT? (@1:8)\r\n", b"0.000,0.000,0.000,0.000,0.000,0.000,0.000,0.000\r\n"),
        (b"@1 OUTP? (@1:8)\r\n", b"0,0,0,0,0,0,0,0\r\n"),
        (b"@1 AUX:AOUT? (@1:8)\r\n", b"0.000,0.000,0.000,0.000,0.000,0.000,0.000,0.000\r\n"),
    )
    driver.safe()
    assert script.done()


NGI_TWO = replace(NGI, channels={"cell_voltage_v": (3, 24)})
NGI_ARM: Pairs = (
    *silent(
        b":OUTP3:MODE 0;:SOUR3:OUTCURR 1000;:SOUR3:RANG 3\n",
        b":OUTP24:MODE 0;:SOUR24:OUTCURR 1000;:SOUR24:RANG 3\n",
        b":SOUR:VOLT 3.3000(@3,24)\n",  # no comma before the list: guide, 5.2
        b"OUTP3:ONOFF 1\n",
        b"OUTP24:ONOFF 1\n",
    ),
    (b"*OPC?\n", b"1\r\n"),
    (b"OUTP3:STAT?\n", b"1\r\n"),
    (b"OUTP24:STAT?\n", b"65537\r\n"),  # bits 16 to 18 are the range
)


def armed_ngi() -> tuple[Instrument, ScriptedTransport]:
    script = ScriptedTransport(NGI_ARM)
    driver = DRIVERS["ngi-n83624"](NGI_TWO, script, ENVELOPE)
    driver.apply(some_inputs(cell_voltage_v=np.array([3.3, 3.3])))
    driver.arm()
    assert script.done()
    return driver, script


def test_ngi_sets_equal_channels_by_list_and_others_by_number() -> None:
    driver, script = armed_ngi()
    script.expect(*silent(b":SOUR24:VOLT 3.3125\n"))
    driver.apply(some_inputs(cell_voltage_v=np.array([3.3, 3.3125])))
    script.expect(*silent(b":SOUR3:VOLT 3.1000;:SOUR24:VOLT 3.2000\n"))
    driver.apply(some_inputs(cell_voltage_v=np.array([3.1, 3.2])))
    assert script.done()


def test_ngi_reports_a_channel_that_tripped() -> None:
    script = ScriptedTransport((*NGI_ARM[:-2], (b"OUTP3:STAT?\n", b"5\r\n")))
    driver = DRIVERS["ngi-n83624"](NGI_TWO, script, ENVELOPE)
    driver.apply(some_inputs(cell_voltage_v=np.array([3.3, 3.3])))
    with pytest.raises(BenchError, match=r"channel 3 has tripped: overcurrent"):
        driver.arm()


def test_ngi_puts_every_output_off_also_unused_ones() -> None:
    driver, script = armed_ngi()
    script.expect(
        *silent(b"\n", *(f"OUTP{channel}:ONOFF 0\n".encode() for channel in range(1, 25))),
        (b"*IDN?\n", b"NGI,N83624,0,V1.00\r\n"),
        *((f"OUTP{channel}:ONOFF?\n".encode(), b"0\r\n") for channel in range(1, 25)),
    )
    driver.safe()
    assert script.done()


SUPPLY_ARM: Pairs = (
    *silent(b"*CLS\n", b"SYST:REM\n", b"VOLT:RANG LOW\n", b"CURR 2.000\n", b"VOLT 24.000\n", b"OUTP ON\n"),
    (b"*OPC?\n", b"1\r\n"),
    (b"SYST:ERR?\n", b'+0,"No error"\r\n'),
)


def test_e364x_sets_and_switches_its_output() -> None:
    driver, script = armed(SUPPLY, SUPPLY_ARM)
    script.expect(*silent(b"VOLT 15.500\n", b"OUTP OFF\n"))
    driver.apply(some_inputs(supply_v=15.5))
    driver.apply(some_inputs(supply_v=15.5, supply_connected=False))
    script.expect(
        *silent(b"\n", b"SYST:REM\n", b"OUTP OFF\n"),
        (b"*IDN?\n", b"Agilent Technologies,E3645A,0,1.4-5.0-1.0\r\n"),
        (b"OUTP?\n", b"0\r\n"),
    )
    driver.safe()
    assert script.done()


def test_genesys_sets_and_switches_its_output() -> None:
    driver, script = armed(
        GENESYS,
        (
            *silent(b"*CLS\n", b"SOUR:CURR 1.000\n", b"SOUR:VOLT 40.000\n", b"OUTP:STAT ON\n"),
            (b"*OPC?\n", b"1\r\n"),
            (b"SYST:ERR?\n", NO_ERROR),
        ),
    )
    script.expect(
        *silent(b"\n", b"OUTP:STAT OFF\n"),
        (b"*IDN?\n", b"TDK-LAMBDA,GEN600-5.5-LAN,S/N 1,REV:1U\r\n"),
        (b"OUTP:STAT?\n", b"OFF\r\n"),
    )
    driver.safe()
    assert script.done()


def test_dl3000_draws_the_pack_current_through_the_turns_of_the_sensor() -> None:
    driver, script = armed(
        LOAD,
        (
            *silent(b"*CLS\n", b":SOUR:FUNC CURR\n", b":SOUR:CURR:RANG MAX\n", b":SOUR:CURR:LEV:IMM 5.000\n"),
            *silent(b":SOUR:INP:STAT 1\n"),
            (b"*OPC?\n", b"1\r\n"),
            (b"SYST:ERR?\n", NO_ERROR),
        ),
    )
    script.expect(*silent(b":SOUR:CURR:LEV:IMM 30.000\n"))
    driver.apply(some_inputs(pack_current_a=600.0))
    with pytest.raises(BenchError, match=r"gives 0 to 40 A"):  # a load cannot charge
        driver.apply(some_inputs(pack_current_a=-10.0))
    script.expect(
        *silent(b"\n", b":SOUR:INP:STAT 0\n"),
        (b"*IDN?\n", b"RIGOL TECHNOLOGIES,DL3021A,DL3A1,00.01.05.00.01\r\n"),
        (b":SOUR:INP:STAT?\n", b"0\r\n"),
    )
    driver.safe()
    assert script.done()


MAINFRAME_ARM: Pairs = (
    *silent(
        b"*CLS\n",
        b"CONF:DIG:DIR INP,(@7101)\n",
        b"ROUT:CLOS (@1060:1064,2001:2007,2036:2037)\n",  # relay 65 is the first of slot 2
        b"SOUR:VOLT 2.9000,(@6001)\n",  # 2.5 V + 100 A x 4 mV/A
        b"SOUR:VOLT 6.0000,(@6002)\n",
        b"SOUR:VOLT 5.9000,(@6003)\n",
        b"SOUR:VOLT 0.4000,(@6004)\n",
        b"OUTP:STAT ON,(@6001:6004)\n",
    ),
    (b"*OPC?\n", b"1\r\n"),
    (b"SYST:ERR?\n", b'+0,"No error"\r\n'),
)


def test_34980a_opens_and_closes_only_what_changed() -> None:
    driver, script = armed(MAINFRAME, MAINFRAME_ARM)
    wires = np.ones(12, dtype=bool)
    wires[[2, 5]] = False
    script.expect(*silent(b"ROUT:OPEN (@1062,2001)\n", b"SOUR:VOLT 0.5000,(@6001)\n"))
    driver.apply(some_inputs(cell_connected=wires, pack_current_a=-500.0))
    script.expect(*silent(b"ROUT:OPEN (@2036)\n", b"ROUT:CLOS (@1062,2001)\n"))
    driver.apply(some_inputs(pack_current_a=-500.0, hvil_closed=False))
    assert script.done()


def test_34980a_reads_contactor_drives_without_waiting() -> None:
    driver, script = armed(MAINFRAME, MAINFRAME_ARM)
    script.expect((b"SENS:DIG:DATA:BYTE? (@7101)\n", b"+5\r\n"))
    assert driver.poll() == {}
    script.expect((b"SENS:DIG:DATA:BYTE? (@7101)\n", b""))
    assert driver.poll() == {"contactor_positive": True, "contactor_negative": False, "contactor_precharge": True}
    assert driver.poll() == {}  # not asked again while an answer is due
    assert script.done()


@pytest.mark.parametrize("answer", [b"nan\r\n", b"inf\r\n", b"five\r\n"])
def test_an_answer_that_is_no_number_is_a_bench_error(answer: bytes) -> None:
    driver, script = armed(MAINFRAME, MAINFRAME_ARM)
    script.expect((b"SENS:DIG:DATA:BYTE? (@7101)\n", answer))
    driver.poll()
    with pytest.raises(BenchError, match=r"answered '(nan|inf|five)' to 'SENS:DIG:DATA:BYTE.*expected a number"):
        driver.poll()


def test_34980a_opens_its_relays_and_outputs() -> None:
    driver, script = armed(MAINFRAME, MAINFRAME_ARM)
    script.expect(
        *silent(b"\n", b"ROUT:OPEN (@1060:1064,2001:2007,2036:2037)\n", b"OUTP:STAT OFF,(@6001:6004)\n"),
        (b"*IDN?\n", b"Agilent Technologies,34980A,MY0,2.43\r\n"),
        (b"ROUT:CLOS? (@1060:1064,2001:2007,2036:2037)\n", b"0,0,0,0,0,0,0,0,0,0,0,0,0,0\r\n"),
        (b"OUTP:STAT? (@6001:6004)\n", b"0,0,0,0\r\n"),
    )
    driver.safe()
    assert script.done()


def test_m63x_gives_insulation_and_a_thermistor() -> None:
    arm: Pairs = (
        *silent(b"*CLS\n", b":RES 500000.000\n", b":OUTP ON\n"),
        (b"*OPC?\n", b"1\r\n"),
        (b"SYST:ERR?\n", NO_ERROR),
    )
    driver, script = armed(INSULATION, arm)
    script.expect(*silent(b":RES 34000.000\n"))
    driver.apply(some_inputs(insulation_ohm=34_003.0))  # in steps of 10 ohm
    script.expect(
        *silent(b"\n", b":OUTP OFF\n"), (b"*IDN?\n", b"MEATEST,M631,412351,1.10\r\n"), (b":OUTP?\n", b"0\r\n")
    )
    driver.safe()
    assert script.done()
    sensor = replace(INSULATION, channels={"cell_temp_degc": (1,)})
    script = ScriptedTransport((*silent(b"*CLS\n", b":RES 10000.000\n", b":OUTP ON\n"), *arm[3:]))
    driver = DRIVERS["meatest-m63x"](sensor, script, ENVELOPE)
    driver.apply(some_inputs(cell_temp_degc=np.array([25.0])))
    driver.arm()
    assert script.done()


def test_errors_of_the_instrument_after_arming_are_raised_all_at_once() -> None:
    script = ScriptedTransport(
        (
            *SUPPLY_ARM[:-1],
            (b"SYST:ERR?\n", b'-222,"Data out of range"\r\n'),
            (b"SYST:ERR?\n", b'-113,"Undefined header"\r\n'),
            (b"SYST:ERR?\n", b'+0,"No error"\r\n'),
        )
    )
    driver = DRIVERS["keysight-e364x"](SUPPLY, script, ENVELOPE)
    driver.apply(some_inputs())
    with pytest.raises(BenchError, match=r"-222.*-113"):
        driver.arm()


def test_the_error_queue_is_looked_at_now_and_then_while_running() -> None:
    driver, script = armed(SUPPLY, SUPPLY_ARM)
    script.expect((b"SYST:ERR?\n", b'-350,"Queue overflow"\r\n'))
    for _ in range(99):
        driver.poll()
    assert not script.done()
    driver.poll()
    with pytest.raises(BenchError, match="-350"):
        driver.poll()


def test_outputs_that_do_not_read_back_as_off_are_an_error() -> None:
    driver, script = armed(SUPPLY, SUPPLY_ARM)
    script.expect(
        *silent(b"\n", b"SYST:REM\n", b"OUTP OFF\n"),
        (b"*IDN?\n", b"Agilent Technologies,E3645A,0,1\r\n"),
        (b"OUTP?\n", b"1\r\n"),
    )
    with pytest.raises(BenchError, match=r"do not read back as off.*by hand"):
        driver.safe()


def test_answers_of_before_do_not_pass_for_the_read_back() -> None:
    """An answer "0" that was due from earlier must not be taken for "output is off"."""
    driver, script = armed(SUPPLY, SUPPLY_ARM)
    script.expect(
        *silent(b"\n", b"SYST:REM\n", b"OUTP OFF\n"),
        (b"*IDN?\n", b'+0,"No error"\r\n0\r\n0\r\nAgilent Technologies,E3645A,0,1\r\n'),
        (b"OUTP?\n", b"1\r\n"),
    )
    with pytest.raises(BenchError, match="do not read back as off"):
        driver.safe()


def test_however_much_has_piled_up_before_does_not_keep_it_from_going_off() -> None:
    driver, script = armed(SUPPLY, SUPPLY_ARM)
    script.expect(
        *silent(b"\n", b"SYST:REM\n"),
        (b"OUTP OFF\n", b"1\r\n" * 1000),
        (b"*IDN?\n", b"Agilent Technologies,E3645A,0,1\r\n"),
        (b"OUTP?\n", b"0\r\n"),
    )
    driver.safe()
    assert script.done()
