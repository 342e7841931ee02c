# SPDX-License-Identifier: Apache-2.0
"""The cyclic messages of vehicle and charger, and what these two understand of the DUT."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.kernel.config import (
    BusConfig,
    Event,
    EventKind,
    Fault,
    Field,
    FrameFlag,
    Message,
    Op,
    Point,
    Value,
)
from harness.kernel.simulation import Column

NS = 1_000_000_000
SILENT = (("report", 0),)


def starts(echo: Any, buffers: Any, identifier: int) -> list[int]:
    """When each frame went onto an idle bus, from its end and its length."""
    result = []
    for row in np.flatnonzero(buffers.frames("id") == identifier):
        frame = {"id": identifier, "length": buffers.frames("length")[row], "data": bytes(buffers.frames("data")[row])}
        target = echo.kernel.ffi.new("fil_frame *", frame)
        bits = echo.kernel.lib.bh_frame_bits(target, echo.kernel.ffi.new("uint32_t *"))
        result.append(int(buffers.frames("ns")[row]) - bits * 2000)
    return result


def crc8(data: bytes) -> int:
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D if crc & 0x80 else crc << 1) & 0xFF
    return crc ^ 0xFF


def payloads(buffers: Any, identifier: int) -> list[bytes]:
    return [bytes(data) for data in buffers.frames("data")[buffers.frames("id") == identifier]]


def test_messages_go_out_at_their_offset_and_period(bench: Any, echo: Any) -> None:
    messages = (bench.vehicle(offset_us=2_500), bench.vehicle(id=0x210, period_us=25_000, offset_us=7_000))
    buffers = bench.run(echo.simulation(parameters=SILENT, messages=messages), 0.1)
    assert starts(echo, buffers, 0x200) == [2_500_000 + 10_000_000 * k for k in range(10)]
    assert starts(echo, buffers, 0x210) == [7_000_000 + 25_000_000 * k for k in range(4)]


def test_the_counter_runs_to_its_largest_value_and_starts_again(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(parameters=SILENT, messages=(bench.vehicle(),)), 0.4)
    counters = [data[1] & 0x0F for data in payloads(buffers, 0x200)]
    assert counters == [k % 15 for k in range(len(counters))]
    assert len(counters) >= 31


def test_the_crc_covers_the_data_identifier_and_all_other_bytes(bench: Any, echo: Any) -> None:
    buffers = bench.run(echo.simulation(parameters=SILENT, messages=(bench.vehicle(),)), 0.2)
    sent = payloads(buffers, 0x200)
    assert [crc8(bytes([0x20]) + data[1:]) for data in sent] == [data[0] for data in sent]


def test_the_crc_has_the_check_value_of_sae_j1850(bench: Any, echo: Any) -> None:
    # "123456789" -> 0x4B; the first byte is the data identifier
    message = bench.vehicle(
        length=9,
        flags=FrameFlag.FD,
        payload=b"23456789",
        counter_start_bit=-1,
        crc_byte=8,
        crc_data_id=ord("1"),
    )
    bus = BusConfig(data_bitrate=2_000_000)
    buffers = bench.run(echo.simulation(parameters=SILENT, messages=(message,), bus=bus), 0.01)
    assert payloads(buffers, 0x200)[0][:9] == b"23456789\x4b"


def test_counter_and_other_bits_of_its_byte_do_not_disturb_each_other(bench: Any, echo: Any) -> None:
    message = bench.vehicle(payload=b"\xff" * 8, counter_start_bit=10)
    buffers = bench.run(echo.simulation(parameters=SILENT, messages=(message,)), 0.05)
    assert [data[1] for data in payloads(buffers, 0x200)] == [0b11000011 | k << 2 for k in range(5)]


def test_a_payload_event_changes_the_message_from_its_time_on(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(),))
    simulation.plan([Event(NS // 20, EventKind.PAYLOAD, 0, payload=bytes([0, 0, 9, 9, 9, 9, 9, 9]))])
    sent = payloads(bench.run(simulation, 0.1), 0x200)
    assert [data[2] for data in sent] == [1] * 5 + [9] * 5


def test_a_disabled_message_is_silent_and_its_counter_waits(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(),))
    simulation.plan([Event(NS // 20, EventKind.MESSAGE, 0, value=0), Event(NS // 10, EventKind.MESSAGE, 0, value=1)])
    buffers = bench.run(simulation, 0.12)
    assert starts(echo, buffers, 0x200) == [10_000_000 * k for k in (0, 1, 2, 3, 4, 10, 11)]
    assert [data[1] & 0x0F for data in payloads(buffers, 0x200)] == list(range(7))


def test_charger_messages_need_the_plug(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(requires_plug=True),))
    simulation.plan([Event(3 * NS // 100, EventKind.PLUG, value=1), Event(6 * NS // 100, EventKind.PLUG, value=0)])
    buffers = bench.run(simulation, 0.1)
    assert starts(echo, buffers, 0x200) == [30_000_000, 40_000_000, 50_000_000]


def test_a_message_without_a_period_is_sent_when_its_payload_is_set(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(period_us=0),))
    simulation.plan([Event(t * NS // 100, EventKind.PAYLOAD, 0, payload=bytes(8)) for t in (2, 5)])
    buffers = bench.run(simulation, 0.1)
    assert starts(echo, buffers, 0x200) == [20_000_000, 50_000_000]


# ---- faults on messages ----------------------------------------------------------------------------------------


def test_a_lost_message_leaves_a_gap_in_time_and_in_the_counter(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(), bench.vehicle(id=0x210)))
    lost = Fault(Point.MESSAGE_LOST, index=0, value=1, from_ns=30_000_000, until_ns=60_000_000)
    simulation.plan(faults=[lost])
    buffers = bench.run(simulation, 0.1)
    assert [data[1] & 0x0F for data in payloads(buffers, 0x200)] == [0, 1, 2, 6, 7, 8, 9]
    assert len(payloads(buffers, 0x210)) == 10
    [report] = simulation.fault_reports()
    assert (report.first_fired_ns, report.last_fired_ns, report.fired_ticks) == (30_000_000, 50_000_000, 3)


def test_losing_a_message_that_is_not_sent_changes_nothing_and_does_not_count_as_fired(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(requires_plug=True),))
    simulation.plan(faults=[Fault(Point.MESSAGE_LOST, index=0, value=1)])
    bench.run(simulation, 0.1)
    assert not simulation.fault_reports()[0].fired


def test_a_delayed_message_arrives_later_by_the_delay(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(),))
    late = Fault(Point.MESSAGE_DELAY_S, index=0, value=0.034, from_ns=20_000_000, until_ns=40_000_000)
    simulation.plan(faults=[late])
    buffers = bench.run(simulation, 0.1)
    times = starts(echo, buffers, 0x200)
    assert times == sorted([10_000_000 * k for k in range(10) if k not in (2, 3)] + [54_000_000, 64_000_000])
    assert simulation.fault_reports()[0].fired_ticks == 2


# ---- numbers in payloads ---------------------------------------------------------------------------------------


def sent_with(bench: Any, echo: Any, field: Field) -> bytes:
    """The second sending of a message that carries the pack-side link voltage, 0 V at rest, through a field."""
    message = replace(bench.vehicle(), payload=b"", counter_start_bit=-1, crc_byte=-1)
    buffers = bench.run(echo.simulation(parameters=SILENT, messages=(message,), sent_fields=(field,)), 0.02)
    return payloads(buffers, 0x200)[1]


def test_a_little_endian_field_is_placed_by_its_lowest_bit(bench: Any, echo: Any) -> None:
    # raw = (0 - -100) / 0.5 = 200 = 0xC8 at bits 12..23: byte 1 high nibble 8, byte 2 0x0C
    field = Field(Value.LINK_VOLTAGE_V, 12, 12, scale=0.5, offset=-100)
    assert sent_with(bench, echo, field) == bytes([0, 0x80, 0x0C, 0, 0, 0, 0, 0])


def test_a_big_endian_field_is_placed_by_its_highest_bit(bench: Any, echo: Any) -> None:
    # raw 200 = 0b0000_1100_1000, highest bit at DBC bit 11: byte 1 bits 3..0 = 0000, byte 2 = 0b11001000
    field = Field(Value.LINK_VOLTAGE_V, 11, 12, big_endian=True, scale=0.5, offset=-100)
    assert sent_with(bench, echo, field) == bytes([0, 0, 0xC8, 0, 0, 0, 0, 0])


@pytest.mark.parametrize(
    ("is_signed", "offset", "raw"), [(False, 1e9, 0), (False, -1e9, 0xFF), (True, 1e9, 0x80), (True, -1e9, 0x7F)]
)
def test_a_value_out_of_range_is_clipped_to_what_the_field_can_carry(
    bench: Any, echo: Any, *, is_signed: bool, offset: float, raw: int
) -> None:
    field = Field(Value.LINK_VOLTAGE_V, 0, 8, is_signed=is_signed, offset=offset)
    assert sent_with(bench, echo, field)[0] == raw


def test_negative_numbers_are_twos_complement(bench: Any, echo: Any) -> None:
    field = Field(Value.LINK_VOLTAGE_V, 8, 16, is_signed=True, offset=2)
    assert sent_with(bench, echo, field)[1:3] == (-2).to_bytes(2, "little", signed=True)


LIMITS = (
    Field(Value.CHARGE_LIMIT_A, 0, 16, id=0x110, scale=0.1),
    Field(Value.DISCHARGE_LIMIT_A, 23, 16, id=0x110, scale=0.1, big_endian=True),
)


def test_limits_of_the_dut_are_heard_in_both_byte_orders(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, received_fields=LIMITS)
    simulation.send(bench.command(bench.LIMITS, 0xE8, 0x03, 0x07, 0xD0))  # 1000 little endian, 2000 big endian
    buffers = bench.run(simulation, 0.05)
    assert buffers.column(Column.ENV_CHARGE_LIMIT_A)[-1] == pytest.approx(100.0)
    assert buffers.column(Column.ENV_DISCHARGE_LIMIT_A)[-1] == pytest.approx(200.0)


def test_a_frame_too_short_for_a_field_is_not_read(bench: Any, echo: Any) -> None:
    field = Field(Value.CHARGE_LIMIT_A, 32, 16, id=0x110)  # 0x110 has 5 bytes
    simulation = echo.simulation(parameters=SILENT, received_fields=(field,))
    simulation.send(bench.command(bench.LIMITS, 1, 2, 3, 4, 5))
    assert bench.run(simulation, 0.05).column(Column.ENV_CHARGE_LIMIT_A)[-1] == 0


def test_frames_of_other_nodes_do_not_set_limits(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, received_fields=(replace(LIMITS[0], id=0x7F0),))
    simulation.send(bench.command(0, 1, 2))
    assert bench.run(simulation, 0.05).column(Column.ENV_CHARGE_LIMIT_A)[-1] == 0


@pytest.fixture(scope="module")
def shared_echo(bench: Any) -> Iterator[Any]:
    echo = bench.Echo()
    yield echo
    echo.close()


@given(raw=st.integers(0, 2**16 - 1))
def test_a_field_sent_and_read_back_is_the_same_number(bench: Any, shared_echo: Any, raw: int) -> None:
    # the DUT is the mirror: it sends back what the command frame carries
    echo = shared_echo
    fields = (
        Field(Value.CHARGE_LIMIT_A, 3, 13, id=0x110, is_signed=True),
        Field(Value.DISCHARGE_LIMIT_A, 2, 11, id=0x110, big_endian=True),
    )
    simulation = echo.simulation(parameters=SILENT, received_fields=fields)
    simulation.send(bench.command(bench.LIMITS, raw & 0xFF, raw >> 8))
    buffers = bench.run(simulation, 0.05)
    little = raw >> 3 & 0x1FFF
    big = (raw & 0x07) << 8 | raw >> 8
    assert buffers.column(Column.ENV_CHARGE_LIMIT_A)[-1] == (little - 0x2000 if little & 0x1000 else little)
    assert buffers.column(Column.ENV_DISCHARGE_LIMIT_A)[-1] == big
    simulation.close()


@pytest.mark.parametrize(
    "message",
    [
        Message(0x800, 8, 10_000),
        Message(0x200, 9, 10_000),
        Message(0x200, 8, 10),
        Message(0x200, 8, 10_000, bus=1),
        Message(0x200, 8, 10_000, flags=FrameFlag.FD),
        Message(0x200, 8, 10_000, counter_start_bit=62, counter_length=4, counter_max=14),
        Message(0x200, 8, 10_000, counter_start_bit=8, counter_length=3, counter_max=14),
        Message(0x200, 8, 10_000, crc_byte=8),
    ],
)
def test_an_impossible_message_is_refused_by_name(echo: Any, message: Message) -> None:
    with pytest.raises(UsageError, match=r"messages\[0\]"):
        echo.simulation(messages=(message,))


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        ((Field(Value.LINK_VOLTAGE_V, 60, 8),), ()),
        ((Field(Value.LINK_VOLTAGE_V, 0, 8, message=1),), ()),
        ((Field(Value.CHARGE_LIMIT_A, 0, 8),), ()),
        ((Field(Value.LINK_VOLTAGE_V, 0, 8, scale=0.0),), ()),
        ((), (Field(Value.LINK_VOLTAGE_V, 0, 8),)),
        ((), (Field(Value.CHARGE_LIMIT_A, 0, 0),)),
    ],
)
def test_an_impossible_field_is_refused_by_name(echo: Any, bench: Any, sent: Any, received: Any) -> None:
    with pytest.raises(UsageError, match=r"_fields\[0\]"):
        echo.simulation(messages=(bench.vehicle(),), sent_fields=sent, received_fields=received)


def test_hold_is_no_operation_for_messages(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(messages=(bench.vehicle(),))
    with pytest.raises(UsageError, match="operation not possible"):
        simulation.plan(faults=[Fault(Point.MESSAGE_LOST, Op.HOLD, 0)])
