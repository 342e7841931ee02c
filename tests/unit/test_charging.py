# SPDX-License-Identifier: Apache-2.0
"""Quantities of a GB/T 27930 session from frames written by hand, and its messages put together from packets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from harness import charging
from harness.canbus.gbt import decode, messages, session_database
from harness.trace import Frames

DATABASES = Path(__file__).parents[2] / "dbc"
END_S = 20.0
TICKS = np.round(np.arange(0.01, END_S + 0.005, 0.01), 2)
CHM, CRM, CML, CRO = 0x1826F456, 0x1801F456, 0x1808F456, 0x100AF456
CCS, CST, CSD, CEM = 0x1812F456, 0x101AF456, 0x181DF456, 0x081FF456
BHM, BRO, BCL, BST, BSD, BEM = 0x182756F4, 0x100956F4, 0x181056F4, 0x101956F4, 0x181C56F4, 0x081E56F4
CONNECTION, PACKET = 0x1CEC56F4, 0x1CEB56F4
YES, NO = b"\xaa", b"\x00"

Sent = tuple[float, int, bytes]


def frames(sent: list[Sent], *, flags: int = 1) -> Frames:
    n = len(sent)
    data = np.zeros((n, 8), np.uint8)
    for row, (_, _, payload) in enumerate(sent):
        data[row, : len(payload)] = list(payload)
    return Frames(
        t_ns=np.array([round(t_s * 1e9) for t_s, _, _ in sent], np.uint64),
        id=np.array([identifier for _, identifier, _ in sent], np.uint32),
        flags=np.full(n, flags, np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.array([0 if identifier & 0xFF == 0xF4 else 2 for _, identifier, _ in sent], np.uint8),
        length=np.array([len(payload) for _, _, payload in sent], np.uint8),
        data=data,
    )


def rts(pgn: int, length: int = 13) -> bytes:
    return bytes([16, length, 0, (length + 6) // 7, 255, pgn & 0xFF, pgn >> 8, 0])


BRM, BCP = (CONNECTION, rts(0x0200, 49)), (CONNECTION, rts(0x0600))


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


def session(
    sent: list[Sent],
    *,
    plug: float = END_S,
    current_a: float = 0.0,
    inlet_v: float = 640.0,
    pack_v: float = 640.0,
    bus_off: tuple[float, float] = (END_S, END_S),
) -> charging.Session:
    """`plug`: when it is pulled. The pack current and the voltages are constant."""
    given = charging.Given(
        t_s=TICKS,
        plug=np.where(plug > TICKS, 1.0, 0.0),
        powered=np.ones(len(TICKS)),
        pack_v=np.full(len(TICKS), pack_v),
        current_a=np.full(len(TICKS), current_a),
        inlet_v=np.full(len(TICKS), inlet_v),
        can_state=np.where((bus_off[0] <= TICKS) & (bus_off[1] > TICKS), 2.0, 0.0),
    )
    return charging.Session(frames(sent), given)


def at(seen: charging.Session, quantity: str, t_s: float) -> float:
    values = seen.values(quantity)
    assert values is not None
    return float(values[np.searchsorted(TICKS, t_s)])


HANDSHAKE: list[Sent] = [
    (0.9, CHM, b"\x01\x01\x00"),
    (1.0, BHM, words(6816)),
    (2.0, CRM, NO + bytes(7)),
    (2.1, *BRM),
    (3.0, CRM, YES + bytes(7)),
    (3.1, *BCP),
    (4.0, CML, words(7500, 2000, 1500, 4000)),
    (4.1, BRO, NO),
    (5.0, BRO, YES),
    (6.0, CRO, YES),
]
CHARGING: list[Sent] = [*HANDSHAKE, (6.1, BCL, words(6816, 2500) + b"\x02"), (6.2, CCS, bytes(8))]


@pytest.mark.parametrize(
    ("quantity", "begins_s", "ends_s"),
    [
        ("gbt_crm_wait_s", 1.0, 2.0),
        ("gbt_recognised_wait_s", 2.1, 3.0),
        ("gbt_cml_wait_s", 3.1, 4.0),
        ("gbt_cro_wait_s", 5.0, 6.0),
    ],
)
def test_each_wait_runs_from_the_question_to_the_answer(quantity: str, begins_s: float, ends_s: float) -> None:
    seen = session(HANDSHAKE)
    assert at(seen, quantity, begins_s - 0.05) == 0.0
    assert at(seen, quantity, ends_s - 0.1) == pytest.approx(ends_s - 0.1 - begins_s, abs=0.011)
    assert at(seen, quantity, ends_s + 0.05) == 0.0


def test_a_question_asked_again_does_not_begin_its_wait_anew() -> None:
    seen = session([*HANDSHAKE[:2], (1.25, BHM, words(6816)), (1.5, BHM, words(6816))])
    assert at(seen, "gbt_crm_wait_s", 4.0) == pytest.approx(3.0, abs=0.011)


def test_an_answer_nobody_got_is_none() -> None:
    heard, lost = frames([HANDSHAKE[1]]), frames([HANDSHAKE[2]], flags=1 | 32)
    both = Frames(
        *(np.concatenate((getattr(heard, name), getattr(lost, name))) for name in Frames.__dataclass_fields__)
    )
    given = charging.Given(TICKS, None, None, None, None, None, None)
    assert at(charging.Session(both, given), "gbt_crm_wait_s", 4.0) == pytest.approx(3.0, abs=0.011)


def test_an_answer_while_the_bms_is_bus_off_is_none() -> None:
    assert at(session(HANDSHAKE, bus_off=(1.5, 2.05)), "gbt_crm_wait_s", 2.09) == pytest.approx(1.09, abs=0.011)
    assert at(session(HANDSHAKE, bus_off=(1.5, 1.9)), "gbt_crm_wait_s", 2.09) == 0.0


def test_cst_before_the_parameters_stops_nothing() -> None:
    early, late = (2.5, CST, bytes(4)), (3.5, CST, bytes(4))
    stopped = [at(session([*HANDSHAKE, sent]), "gbt_stopped", 5.0) for sent in (early, late)]
    assert stopped == [0.0, 1.0]


def test_while_charging_each_ccs_begins_the_wait_anew() -> None:
    seen = session([*CHARGING, (7.0, CCS, bytes(8))])
    assert at(seen, "gbt_ccs_wait_s", 6.9) == pytest.approx(0.7, abs=0.011)
    assert at(seen, "gbt_ccs_wait_s", 8.0) == pytest.approx(1.0, abs=0.011)
    assert at(seen, "gbt_bcl_wait_s", 8.0) == pytest.approx(1.9, abs=0.011)


def test_the_end_is_a_wait_for_cst_and_one_for_csd() -> None:
    seen = session([*CHARGING, (7.0, BST, bytes(4)), (8.0, CST, bytes(4)), (8.5, BSD, bytes(7)), (9.5, CSD, bytes(8))])
    assert at(seen, "gbt_ccs_wait_s", 7.5) == 0.0
    assert at(seen, "gbt_cst_wait_s", 7.9) == pytest.approx(0.9, abs=0.011)
    assert at(seen, "gbt_csd_wait_s", 9.4) == pytest.approx(0.9, abs=0.011)
    assert at(seen, "gbt_csd_wait_s", 9.6) == at(seen, "gbt_cst_wait_s", 8.1) == 0.0
    assert (at(seen, "gbt_stopped", 7.9), at(seen, "gbt_stopped", 8.1)) == (0.0, 1.0)


@pytest.mark.parametrize("ends", [(7.0, BEM, bytes(4)), (7.0, CEM, bytes(4)), None], ids=["BEM", "CEM", "unplugged"])
def test_what_ends_the_session_ends_every_wait(ends: Sent | None) -> None:
    seen = session([*CHARGING, *([ends] if ends else [])], plug=END_S if ends else 7.0)
    assert at(seen, "gbt_ccs_wait_s", 6.9) > 0.0
    assert at(seen, "gbt_ccs_wait_s", 7.1) == at(seen, "gbt_ready", 7.1) == at(seen, "gbt_offer_fits", 7.1) == 0.0
    assert at(seen, "gbt_ready", 6.9) == at(seen, "gbt_offer_fits", 6.9) == 1.0


def test_cem_counts_only_in_a_session() -> None:
    assert at(session([*CHARGING, (7.0, CEM, bytes(4))]), "gbt_error_reported", 7.1) == 1.0
    assert at(session([(7.0, CEM, bytes(4))]), "gbt_error_reported", 7.1) == 0.0


def test_chm_in_the_middle_of_a_session_is_a_new_beginning_and_before_it_is_not() -> None:
    seen = session([*CHARGING, (7.0, CHM, b"\x01\x01\x00")])
    assert [at(seen, "gbt_begun_anew", t_s) for t_s in (0.95, 7.1, 7.8)] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("most", "least", "head_v"), [(7500, 2000, 110.0), (6500, 2000, 10.0), (6300, 2000, -10.0), (7500, 6600, -20.0)]
)
def test_an_offer_is_measured_at_the_pack_voltage_of_its_moment(most: int, least: int, head_v: float) -> None:
    offer = (4.0, CML, words(most, least, 1500, 4000))
    seen = session([*HANDSHAKE[:6], offer])
    assert at(seen, "gbt_headroom_v", 5.0) == pytest.approx(head_v)
    assert at(seen, "gbt_offered_a", 5.0) == pytest.approx(250.0)
    assert at(seen, "gbt_offer_fits", 5.0) == float(head_v >= 0.0)
    assert at(seen, "gbt_headroom_v", 3.0) == 1000.0


def test_excess_is_what_is_measured_above_the_demand() -> None:
    seen = session(CHARGING, current_a=-180.0, inlet_v=690.0)
    assert at(seen, "gbt_excess_a", 7.0) == pytest.approx(180.0 - 150.0)
    assert at(seen, "gbt_excess_v", 7.0) == pytest.approx(690.0 - 681.6)
    assert at(seen, "gbt_excess_a", 5.0) == -1000.0


def test_errors_count_once_each_until_the_plug_is_pulled() -> None:
    again: list[Sent] = [(7.0, BEM, bytes(4)), (7.25, BEM, bytes(4)), (12.0, BHM, words(6816)), (17.0, BEM, bytes(4))]
    seen = session([*CHARGING, *again], plug=19.0)
    assert [at(seen, "gbt_errors", t_s) for t_s in (6.9, 8.0, 18.0, 19.5)] == [0.0, 1.0, 2.0, 0.0]


def test_a_record_that_begins_while_charging_is_a_session() -> None:
    seen = session([(0.05, BCL, words(6816, 2500) + b"\x02"), (0.1, CCS, bytes(8))], current_a=-160.0)
    assert at(seen, "gbt_ccs_wait_s", 1.1) == pytest.approx(1.0, abs=0.011)
    assert at(seen, "gbt_excess_a", 1.0) == pytest.approx(10.0)


def test_a_record_without_such_frames_knows_nothing() -> None:
    assert not session([]).seen


# ---- messages ------------------------------------------------------------------------------------------------------


def packed(at_s: float, pgn: int, data: bytes) -> list[Sent]:
    parts = [data[begin : begin + 7] for begin in range(0, len(data), 7)]
    numbered = [(at_s + 0.01 * n, PACKET, bytes([n]) + part.ljust(7, b"\xff")) for n, part in enumerate(parts, 1)]
    return [(at_s, CONNECTION, rts(pgn, len(data))), *numbered]


def test_a_message_of_several_packets_is_put_together_and_read() -> None:
    data = words(365, 1300, 1167, 6816) + bytes([100]) + words(550, 6336)
    (found,) = messages(frames(packed(1.0, 0x0600, data)), session_database(DATABASES))
    assert (found.name, found.sender, found.packets, found.data) == ("BCP", "BMS", 2, data)
    assert found.fields == {
        "CellVoltageMax_V": 3.65,
        "CurrentMax_A": 270.0,
        "Energy_kWh": 116.7,
        "VoltageMax_V": 681.6,
        "TempMax_degC": 50.0,
        "StateOfCharge_pct": 55.0,
        "Voltage_V": 633.6,
    }


def test_a_packet_that_is_missing_is_waited_for() -> None:
    sent = packed(1.0, 0x0200, bytes(49))
    whole = [*sent[:3], sent[4], *sent[3:]]  # the third comes early, and then in its place
    assert [found.name for found in messages(frames(whole), session_database(DATABASES))] == ["BRM"]
    assert [*messages(frames(sent[:-1]), session_database(DATABASES))] == []


def test_a_message_of_one_frame_is_read_by_the_database() -> None:
    demand, clock = messages(
        frames([(1.0, BCL, words(6816, 1500) + b"\x02"), (2.0, 0x1807F456, bytes.fromhex("00301201012620"))]),
        session_database(DATABASES),
    )
    assert demand.fields == {"VoltageDemand": 681.6, "CurrentDemand": 250.0, "Mode": "ConstantCurrent"}
    assert clock.fields == {"Time": "2026-01-01 12:30:00"}


@pytest.mark.parametrize("name", ["BRM", "BCP", "BCS", "BMV", "BMT", "BSP", "nothing"])
def test_what_is_too_short_has_no_fields(name: str) -> None:
    assert decode(name, b"") == {}
