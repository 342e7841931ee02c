# SPDX-License-Identifier: Apache-2.0
"""The reference firmware as a node of a J1939 network: address, requests, HVESS messages, trouble codes."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import cantools
import cantools.database
import pytest

from harness.canbus import j1939

MakeBms = Callable[..., Any]
OWN, TOOL = 0xF3, 0xF9
CLAIM, ACK = 0x18EEFFF3, 0x18E8FFF3
DM1, DM2 = 0x18FECAF3, 0x18FECBF3
HVESSD1, HVESSD2, HVESSD3, HVESSS1 = 0x0CF090F3, 0x0CF091F3, 0x0CF092F3, 0x0CF096F3
SUPPLY, INSULATION, TEMPERATURE_SENSOR = (520192 + 19, 2), (520192 + 17, 1), (520192 + 15, 12)  # SPN, FMI
NO_CODE = bytes([0, 0xFF, 0, 0, 0, 0, 0xFF, 0xFF])
EXTENDED = 1


@pytest.fixture
def make_node(make_bms: MakeBms) -> MakeBms:
    return lambda **more: make_bms(parameters={"j1939": 1}, **more)


@pytest.fixture(scope="module")
def hvess() -> Any:
    path = Path(__file__).parents[3] / "dbc" / "working-machine.dbc"
    return cantools.database.load_file(path, strict=True)


def received(bms: Any, identifier: int, since_s: float = 0.0) -> list[tuple[float, bytes]]:
    return [(t_s, data) for t_s, found, data in bms.frames if found == identifier and t_s >= since_s]


def messages(bms: Any, pgn: int, since_s: float = 0.0) -> list[j1939.Message]:
    """Complete ones, those of the transport among them."""
    assembler = j1939.Assembler()
    whole = [assembler.push(t_s, found, data) for t_s, found, data in bms.frames if found > 0x7FF and t_s >= since_s]
    return [message for message in whole if message is not None and message.pgn == pgn]


def codes(message: j1939.Message) -> set[tuple[int, int]]:
    return {(trouble.spn, trouble.fmi) for trouble in j1939.troubles(message.data)}


def request(bms: Any, pgn: int, *, destination: int = OWN, source: int = TOOL) -> None:
    bms.receive(0x18EA0000 | destination << 8 | source, pgn.to_bytes(3, "little"), flags=EXTENDED, length=3)


def fail_and_recover(bms: Any) -> None:
    """A fault of the supply that comes, is confirmed, and goes."""
    bms.supply_mv = 15_000
    bms.run(0.5)
    bms.supply_mv = 24_000
    bms.run(2.0)


def test_a_product_without_the_parameter_sends_no_frame_with_29_bits(make_bms: MakeBms) -> None:
    bms = make_bms().boot()
    request(bms, j1939.DM1)
    bms.run(2.0)
    assert [] == [identifier for _, identifier, _ in bms.frames if identifier > 0x7FF]


def test_the_address_is_claimed_a_quarter_of_a_second_before_anything_else_is_said(make_node: MakeBms) -> None:
    bms = make_node()
    bms.run(1.0)
    own = [(t_s, identifier) for t_s, identifier, _ in bms.frames if identifier > 0x7FF]
    assert own[0][1] == CLAIM
    assert own[1][0] - own[0][0] == pytest.approx(0.25, abs=0.011)


def test_dm1_comes_once_a_second_and_says_that_there_is_nothing(make_node: MakeBms) -> None:
    bms = make_node()
    bms.run(5.3)
    times = [t_s for t_s, data in received(bms, DM1) if data == NO_CODE]
    assert [1.0] * 5 == pytest.approx([later - earlier for earlier, later in pairwise(times)])


def test_a_fault_is_told_at_once_with_its_code_lamp_and_count(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.run(1.33)
    bms.supply_mv = 15_000
    took_s = bms.until(lambda: "Supply" in bms.active(), 1.0)
    assert took_s is not None
    t_s, data = received(bms, DM1)[-1]
    assert t_s == pytest.approx(bms.now_s, abs=0.011)
    assert (j1939.Trouble(*SUPPLY, 1),) == j1939.troubles(data)
    assert ("amber warning",) == j1939.lamps(data)


def test_a_latched_fault_asks_for_the_red_stop_lamp(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.hvil = False
    bms.run(0.5)
    assert ("red stop",) == j1939.lamps(received(bms, DM1)[-1][1])


def test_several_codes_are_broadcast_by_the_transport(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.supply_mv, bms.insulation_ohm = 15_000, 1_000
    bms.temp_flags[1] = 0
    bms.run(6.0)
    latest = messages(bms, j1939.DM1)[-1]
    assert {SUPPLY, INSULATION, TEMPERATURE_SENSOR} == codes(latest)
    assert (j1939.GLOBAL, 14) == (latest.destination, len(latest.data))


def test_a_code_leaves_dm1_with_its_fault_and_is_in_dm2_from_then_on(make_node: MakeBms) -> None:
    bms = make_node().boot()
    fail_and_recover(bms)
    assert received(bms, DM1)[-1][1] == NO_CODE
    request(bms, j1939.DM2)
    bms.run(0.1)
    assert {SUPPLY} == codes(messages(bms, j1939.DM2)[-1])


def test_previous_codes_outlive_a_power_cycle(make_node: MakeBms) -> None:
    bms = make_node().boot()
    fail_and_recover(bms)
    again = make_node(nvm=bms.nvm()).boot()
    request(again, j1939.DM2, destination=j1939.GLOBAL)
    again.run(0.1)
    assert {SUPPLY} == codes(messages(again, j1939.DM2)[-1])


def test_several_previous_codes_go_to_who_asked_by_the_transport(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.temp_flags[1] = 0
    bms.run(2.0)
    bms.temp_flags[1] = 1
    fail_and_recover(bms)
    since_s = bms.now_s
    request(bms, j1939.DM2)
    bms.run(0.1)
    ready = [data for _, data in received(bms, 0x18ECF9F3, since_s)]
    assert bytes([16, 10, 0, 2]) == ready[0][:4]  # RTS: 10 bytes in 2 packets
    bms.receive(0x18ECF3F9, bytes([17, 2, 1, 0xFF, 0xFF, *j1939.DM2.to_bytes(3, "little")]), flags=EXTENDED)
    bms.run(0.5)
    assert {SUPPLY, TEMPERATURE_SENSOR} == codes(messages(bms, j1939.DM2, since_s)[-1])


def test_dm11_clears_all_and_is_acknowledged_and_what_is_still_there_comes_back(make_node: MakeBms) -> None:
    bms = make_node().boot()
    fail_and_recover(bms)
    bms.temp_flags[1] = 0
    bms.run(3.0)
    request(bms, j1939.DM11)
    bms.run(0.1)
    assert [bytes([0, 0xFF, 0xFF, 0xFF, TOOL, *j1939.DM11.to_bytes(3, "little")])] == [d for _, d in received(bms, ACK)]
    request(bms, j1939.DM2)
    bms.run(1.5)
    assert set() == codes(messages(bms, j1939.DM2)[-1])
    assert {TEMPERATURE_SENSOR} == codes(messages(bms, j1939.DM1)[-1])


def test_dm3_clears_previous_codes_only(make_node: MakeBms) -> None:
    bms = make_node().boot()
    fail_and_recover(bms)
    bms.temp_flags[1] = 0
    bms.run(3.0)
    request(bms, j1939.DM3)
    bms.run(0.1)
    bms.temp_flags[1] = 1
    bms.run(3.0)
    request(bms, j1939.DM2)
    bms.run(0.1)
    assert {TEMPERATURE_SENSOR} == codes(messages(bms, j1939.DM2)[-1])


def test_what_it_does_not_know_is_refused_to_one_who_asked_it_alone(make_node: MakeBms) -> None:
    bms = make_node().boot()
    request(bms, 0xFEDA, destination=j1939.GLOBAL)
    bms.run(0.1)
    assert [] == received(bms, ACK)
    request(bms, 0xFEDA)
    bms.run(0.1)
    assert [bytes([1, 0xFF, 0xFF, 0xFF, TOOL, 0xDA, 0xFE, 0])] == [data for _, data in received(bms, ACK)]


def test_a_request_to_another_node_is_not_answered(make_node: MakeBms) -> None:
    bms = make_node().boot()
    request(bms, j1939.DM2, destination=0x21)
    bms.run(0.2)
    assert [] == received(bms, DM2)


def test_a_node_with_a_smaller_name_takes_the_address_away(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.receive(CLAIM, bytes(8), flags=EXTENDED)
    since_s = bms.now_s
    bms.run(2.0)
    assert 1 == len(received(bms, 0x18EEFFFE, since_s))  # cannot claim: address 254
    others = [found for t_s, found, _ in bms.frames if found > 0x7FF and t_s > since_s and found != 0x18EEFFFE]
    assert [] == others


def test_a_node_with_a_greater_name_is_told_again_whose_address_it_is(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.receive(CLAIM, bytes([0xFF] * 8), flags=EXTENDED)
    since_s = bms.now_s
    bms.run(1.5)
    assert 1 == len(received(bms, CLAIM, since_s))
    assert received(bms, DM1, since_s)


def test_hvess_messages_tell_what_was_measured(make_node: MakeBms, hvess: Any) -> None:
    bms = make_node()
    bms.current_ma = -50_000
    bms.cell_uv[:] = 3_300_000
    bms.cell_uv[3], bms.cell_uv[7] = 3_345_000, 3_251_000
    bms.temp_mdegc[:] = -20_000
    bms.temp_mdegc[2] = -12_500
    bms.run(1.5)
    d1, d2, d3, s1 = (hvess.decode_message(found, bms._latest[found]) for found in (HVESSD1, HVESSD2, HVESSD3, HVESSS1))
    assert d1["Voltage"] == pytest.approx(12 * 3.3 - 0.004, abs=0.05)
    assert d1["Current"] == pytest.approx(-50.0, abs=0.05)
    assert (d2["CellVoltageMax"], d2["CellVoltageMin"]) == (pytest.approx(3.345), pytest.approx(3.251))
    assert (d3["CellTempMax"], d3["CellTempMin"]) == (pytest.approx(-12.5), pytest.approx(-20.0))
    assert (str(s1["HvilStatus"]), str(s1["BusConnection"]), str(s1["OperationalStatus"])) == (
        "Closed",
        "NotConnected",
        "InOrder",
    )


def test_what_is_not_known_is_marked_in_hvess_messages(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.flags["current"] = 0
    bms.cell_flags[:] = 0
    bms.run(0.5)
    assert bms._latest[HVESSD1][6:8] == b"\xff\xfe"
    assert bms._latest[HVESSD2][2:6] == b"\xff\xfe\xff\xfe"


def test_back_on_the_bus_dm1_comes_first(make_node: MakeBms) -> None:
    bms = make_node().boot()
    bms.run(1.2)
    bms.can_state[0] = 2
    back_s = bms.until(lambda: not bms.bus_off, 3.0)
    assert back_s is not None
    since_s = bms.now_s
    bms.run(0.1)
    assert received(bms, DM1, since_s)


def test_long_messages_it_has_no_use_for_are_all_taken(make_node: MakeBms) -> None:
    bms = make_node().boot()
    pgn = (0xEF00).to_bytes(3, "little")
    for _ in range(6):
        since_s = bms.now_s
        bms.receive(0x18ECF3F9, bytes([16, 10, 0, 2, 0xFF, *pgn]), flags=EXTENDED)
        bms.run(0.05)
        for number in (1, 2):
            bms.receive(0x18EBF3F9, bytes([number, *range(7)]), flags=EXTENDED)
        bms.run(0.05)
        assert [17, 19] == [data[0] for _, data in received(bms, 0x1CECF9F3, since_s + 0.005)]  # CTS, end of message
