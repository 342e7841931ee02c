# SPDX-License-Identifier: Apache-2.0
"""Diagnostic messages in recorded frames: ISO 15765-2 put together, requests paired with answers, codes and values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from harness.canbus import isotp, uds
from harness.canbus.diagnostics import Diagnostics, IdentifierModel
from harness.trace import Frames

REQUEST, RESPONSE = 0x7E0, 0x7E8
DUT, TESTER = 0, 3
DIAGNOSTICS = Diagnostics(
    request_id=REQUEST,
    response_id=RESPONSE,
    extended=False,
    codes={0x1A1200: "fault.hvil", 0x1A1300: "fault.supply"},
    identifiers={0x0202: ("pack_current_a", IdentifierModel(id=0x0202, scale=0.1, offset=1.0, signed=True))},
)


def recorded(*rows: tuple[float, int, str], flags: int = 0) -> Frames:
    """Frames by time, identifier and bytes in hexadecimal, the controller's by their identifier."""
    data = np.zeros((len(rows), 8), np.uint8)
    for place, (_, _, text) in enumerate(rows):
        data[place, : len(bytes.fromhex(text))] = list(bytes.fromhex(text))
    identifiers = np.array([identifier for _, identifier, _ in rows], np.uint32)
    return Frames(
        t_ns=np.array([round(t_s * 1e9) for t_s, _, _ in rows], np.uint64),
        id=identifiers,
        flags=np.full(len(rows), flags, np.uint8),
        bus=np.zeros(len(rows), np.uint8),
        node=np.where(identifiers == RESPONSE, DUT, TESTER).astype(np.uint8),
        length=np.array([len(bytes.fromhex(text)) for _, _, text in rows], np.uint8),
        data=data,
    )


@given(st.binary(min_size=8, max_size=4095))
@example(bytes(200))  # sequence numbers wrap
def test_a_message_split_into_frames_is_put_together_again(message: bytes) -> None:
    frames = isotp.split(message)
    assert {8} == {len(frame) for frame in frames}
    whole = isotp.assemble((0.01 * place, frame) for place, frame in enumerate(frames))
    assert [message] == [transfer.data for transfer in whole]
    assert 0.0 == whole[0].start_s
    assert whole[0].end_s == pytest.approx(0.01 * (len(frames) - 1))


@given(st.binary(min_size=1, max_size=7))
def test_a_short_message_is_one_frame(message: bytes) -> None:
    frame = isotp.single(message)
    assert 8 == len(frame)
    assert [message] == [transfer.data for transfer in isotp.assemble([(0.0, frame)])]


@given(st.lists(st.binary(max_size=8), max_size=30))
def test_no_frames_whatever_break_the_assembler(frames: list[bytes]) -> None:
    for transfer in isotp.assemble((0.0, frame) for frame in frames):
        assert transfer.data


def test_a_message_with_a_frame_missing_or_twice_is_none() -> None:
    first, second, *rest = isotp.split(bytes(range(40)))
    assert () == isotp.assemble((0.0, frame) for frame in (first, *rest))
    assert () == isotp.assemble((0.0, frame) for frame in (first, second, second, *rest))
    assert 1 == len(isotp.assemble((0.0, frame) for frame in (second, first, second, *rest)))


def test_requests_are_paired_with_the_answer_after_them_and_before_the_next() -> None:
    frames = recorded(
        (1.0, REQUEST, "02 3E 00"),
        (1.01, RESPONSE, "02 7E 00"),
        (2.0, REQUEST, "02 10 02"),
        (2.01, RESPONSE, "03 7F 10 12"),
        (3.0, REQUEST, "02 3E 00"),
        (4.0, REQUEST, "02 11 01"),
        (4.01, RESPONSE, "03 7F 11 78"),
        (4.5, RESPONSE, "02 51 01"),
    )
    present, session, lost, reset = uds.dialogue(frames, DIAGNOSTICS)
    assert (True, None, 1.01) == (present.positive, present.refused, present.answer_s)
    assert (False, 0x12) == (session.positive, session.refused)
    assert (b"", True, False) == (lost.answer, math.isnan(lost.answer_s), lost.positive)
    assert (b"\x51\x01", 4.5) == (reset.answer, reset.answer_s)  # "response pending" is no answer yet
    assert [4.5] == uds.restarts((present, session, lost, reset)).tolist()


def test_a_list_of_codes_gives_the_status_of_every_fault_of_the_profile() -> None:
    frames = recorded(
        (1.0, REQUEST, "03 19 02 FF"),
        (1.01, RESPONSE, "10 0B 59 02 7F 1A 12 00"),
        (1.02, REQUEST, "30 00 00"),
        (1.03, RESPONSE, "21 2F 99 99 99 08"),
        (2.0, REQUEST, "03 19 02 08"),
        (2.01, RESPONSE, "07 59 02 7F 1A 12 00 2F"),
    )
    full, masked = uds.dialogue(frames, DIAGNOSTICS)
    assert {"fault.hvil": 0x2F, "fault.supply": 0} == full.status
    assert (1.01, 1.03) == (full.answer_s, full.complete_s)
    assert masked.status is None  # says nothing of codes with other bits


@pytest.mark.parametrize("answer", ["", "59", "59 02 7F 1A", "59 01 7F 01 00 01", "7F 19 13", "19 02 7F"])
def test_what_is_no_list_of_codes_is_none(answer: str) -> None:
    assert uds.codes_of(bytes.fromhex(answer)) is None


def test_a_value_is_read_with_its_sign_scale_and_offset() -> None:
    frames = recorded((1.0, REQUEST, "03 22 02 02"), (1.01, RESPONSE, "07 62 02 02 FF FF FE 0C"))
    assert {"pack_current_a": pytest.approx(-50.0 + 1.0)} == uds.dialogue(frames, DIAGNOSTICS)[0].values


COMPANY = Diagnostics(
    REQUEST,
    RESPONSE,
    extended=False,
    codes={},
    identifiers={
        0x0200: ("soc_pct", IdentifierModel(id=0x0200, scale=0.1, bytes=2)),
        0x0201: ("pack_voltage_v", IdentifierModel(id=0x0201, scale=0.1)),
        0x0202: ("pack_current_a", IdentifierModel(id=0x0202, signed=True, bytes=1)),
    },
)


@pytest.mark.parametrize(
    ("request_", "answer", "asked", "values"),
    [
        ("22 02 00 F1 86 02 02", "62 02 00 02 02 F1 86 03 02 02 FE", "soc_pct pack_current_a", (51.4, -2.0)),
        ("22 02 00 02 01", "62 02 00 01 F4 02 01 17 D4", "soc_pct pack_voltage_v", (50.0, 610.0)),
        ("22 02 01 02 00", "62 02 01 17 D4 02 00 01 F4", "", ()),  # nobody knows where the first one ends
        ("22 02 00 02 02", "62 02 02 FE 02 00 01 F4", "soc_pct pack_current_a", ()),
        ("22 02 00 02 02", "62 02 00 01 F4 02 02 00 FE", "soc_pct pack_current_a", (50.0,)),  # too long
        ("22 02 00", "62 02 00 01", "soc_pct", ()),
        ("22 02 01", "62 02 01", "pack_voltage_v", ()),
        ("22 02 00", "7F 22 31", "soc_pct", ()),
        ("22 02", "7F 22 13", "", ()),
        ("3E 00", "7E 00", "", ()),
    ],
)
def test_several_values_are_read_as_far_as_their_lengths_are_known(
    request_: str, answer: str, asked: str, values: tuple[float, ...]
) -> None:
    found = uds.exchange_of(bytes.fromhex(request_), bytes.fromhex(answer), COMPANY, answer_s=0.0, complete_s=0.0)
    assert tuple(asked.split()) == found.asked
    assert values == pytest.approx(tuple(found.values.values()))


def test_a_request_without_flow_control_is_told_with_the_time_it_waited() -> None:
    first, flow, single = "10 09 22 02 00 02 01 F1", "30 00 00", "02 3E 00"
    assert ((1.0, 2.0),) == uds.stalled(recorded((1.0, REQUEST, first)), DIAGNOSTICS)
    late = recorded((1.0, REQUEST, first), (1.4, REQUEST, single), (1.5, RESPONSE, flow))
    assert ((1.0, 1.4),) == uds.stalled(late, DIAGNOSTICS)
    assert () == uds.stalled(recorded((1.0, REQUEST, first), (1.01, RESPONSE, flow)), DIAGNOSTICS)
    assert () == uds.stalled(recorded((1.0, REQUEST, single)), DIAGNOSTICS)
    assert () == uds.stalled(recorded((1.0, REQUEST, first)), None)


def test_error_frames_unheard_frames_and_other_identifiers_are_not_looked_at() -> None:
    assert () == uds.dialogue(recorded((1.0, REQUEST, "02 3E 00"), flags=0x10), DIAGNOSTICS)
    assert () == uds.dialogue(recorded((1.0, REQUEST, "02 3E 00"), flags=0x20), DIAGNOSTICS)
    assert () == uds.dialogue(recorded((1.0, 0x7E1, "02 3E 00")), DIAGNOSTICS)
    assert () == uds.dialogue(recorded((1.0, REQUEST, "02 3E 00"), flags=0x01), DIAGNOSTICS)  # 29 bits
    assert () == uds.dialogue(recorded((1.0, REQUEST, "02 3E 00")), None)


def test_codes_and_status_are_told_as_workshops_write_them() -> None:
    assert "P1A12-00" == uds.code_text(0x1A1200)
    assert "U0123-87" == uds.code_text(0xC12387)
    assert "testFailed, confirmedDTC" == uds.status_text(0x09)
    assert "none" == uds.status_text(0)


def test_requests_and_status_are_read_as_udsoncan_reads_them() -> None:
    """The library is no dependency: it is held against where it is installed."""
    library = pytest.importorskip("udsoncan")
    answer = bytes.fromhex("59 02 7F 1A 12 00 2F 1A 13 00 50")
    response = library.Response.from_payload(answer)
    read = library.services.ReadDTCInformation.interpret_response(response, subfunction=2)
    expected = {dtc.id: dtc.status.get_byte_as_int() for dtc in read.service_data.dtcs}
    assert expected == uds.codes_of(answer)
    assert (
        library.services.ReadDTCInformation.make_request(subfunction=2, status_mask=0xFF).get_payload()
        == uds.READ_CODES
    )
    assert library.services.ClearDiagnosticInformation.make_request(0xFFFFFF).get_payload() == uds.CLEAR_CODES
    assert library.services.ECUReset.make_request(1).get_payload() == uds.HARD_RESET
    assert library.services.DiagnosticSessionControl.make_request(3).get_payload() == uds.session_request("extended")
