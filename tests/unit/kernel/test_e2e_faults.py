# SPDX-License-Identifier: Apache-2.0
"""Counter and checksum of rest-bus messages: AUTOSAR profiles against autosar-e2e, any CRC against published check
values, and faults on both with every way to go on afterwards.
"""

from typing import Any

import numpy as np
import pytest
from e2e.p01 import (
    E2E_P01_DATAID_ALT,
    E2E_P01_DATAID_BOTH,
    E2E_P01_DATAID_LOW,
    E2E_P01_DATAID_NIBBLE,
    e2e_p01_check,
)
from e2e.p02 import e2e_p02_check
from e2e.p05 import e2e_p05_check

from harness.errors import UsageError
from harness.kernel.bustypes import IdMode, Resume
from harness.kernel.config import BusConfig, Event, EventKind, Fault, FrameFlag, Message, Op, Point

MS = 1_000_000
SILENT = (("report", 0),)
RUNS = 300
DATA_IDS = tuple(range(0x31, 0x41))


def payloads(buffers: Any, identifier: int = 0x200) -> list[bytes]:
    rows = np.flatnonzero(buffers.frames("id") == identifier)
    return [bytes(buffers.frames("data")[row, : buffers.frames("length")[row]]) for row in rows]


def sent(bench: Any, echo: Any, message: Message, *, seed: int = 1) -> list[bytes]:
    """Hundreds of sendings of a message, each with another random payload."""
    draw = np.random.default_rng(seed)
    events = [Event(k * 10 * MS, EventKind.PAYLOAD, 0, payload=draw.bytes(message.length)) for k in range(RUNS)]
    bus = BusConfig(data_bitrate=2_000_000)
    simulation = echo.simulation(parameters=SILENT, messages=(message,), bus=bus, max_events=RUNS)
    simulation.plan(events)
    found = payloads(bench.run(simulation, RUNS * 0.01))
    assert len(found) == RUNS
    return found


def protected(bench: Any, **changes: Any) -> Message:
    message: Message = bench.vehicle(**{"flags": FrameFlag.FD, "crc_byte": 0, **changes})
    return message


# ---- AUTOSAR profiles ------------------------------------------------------------------------------------------

# Profile 1 starts and ends its CRC with 0x00 in effect (domain facts C4), profile 2 with 0xFF.
P01 = {"e2e_width": 8, "e2e_polynomial": 0x1D, "e2e_data_id": 0x0A5C, "counter_start_bit": 8, "counter_max": 14}
P02 = {
    "e2e_width": 8,
    "e2e_polynomial": 0x2F,
    "e2e_initial": 0xFF,
    "e2e_final_xor": 0xFF,
    "e2e_id_mode": IdMode.LIST_AFTER,
    "e2e_data_ids": DATA_IDS,
    "counter_start_bit": 8,
    "counter_max": 15,
}
P05 = {
    "e2e_width": 16,
    "e2e_polynomial": 0x1021,
    "e2e_initial": 0xFFFF,
    "e2e_id_mode": IdMode.BOTH_AFTER,
    "e2e_data_id": 0xBEEF,
    "counter_start_bit": 16,
    "counter_length": 8,
    "counter_max": 255,
}


@pytest.mark.parametrize("length", [8, 16])
@pytest.mark.parametrize(
    ("mode", "reference"),
    [
        (IdMode.BOTH, E2E_P01_DATAID_BOTH),
        (IdMode.ALTERNATING, E2E_P01_DATAID_ALT),
        (IdMode.LOW, E2E_P01_DATAID_LOW),
        (IdMode.NIBBLE, E2E_P01_DATAID_NIBBLE),
    ],
)
def test_profile_1_in_every_data_id_mode(bench: Any, echo: Any, mode: IdMode, reference: int, length: int) -> None:
    found = sent(bench, echo, protected(bench, length=length, e2e_id_mode=mode, **P01))
    assert [e2e_p01_check(bytearray(data), 0x0A5C, data_id_mode=reference) for data in found] == [True] * RUNS
    assert [data[1] & 0x0F for data in found] == [k % 15 for k in range(RUNS)]
    assert not any(e2e_p01_check(bytearray(data), 0x0B5D, data_id_mode=reference) for data in found)


def test_profile_2_with_its_list_of_data_ids(bench: Any, echo: Any) -> None:
    found = sent(bench, echo, protected(bench, **P02))
    assert all(e2e_p02_check(data, bytes(DATA_IDS)) for data in found)
    assert [data[1] & 0x0F for data in found] == [k % 16 for k in range(RUNS)]
    assert not any(e2e_p02_check(data, bytes(16)) for data in found)


@pytest.mark.parametrize("length", [8, 12, 64])
def test_profile_5(bench: Any, echo: Any, length: int) -> None:
    found = sent(bench, echo, protected(bench, length=length, **P05))
    assert all(e2e_p05_check(data, 0xBEEF) for data in found)
    assert [data[2] for data in found] == [k % 256 for k in range(RUNS)]
    assert not any(e2e_p05_check(data, 0xBEEE) for data in found)


# ---- any CRC ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "polynomial", "initial", "reflected", "final_xor", "check"),
    [
        # catalogue of parametrised CRC algorithms (reveng): the CRC of "123456789"
        (8, 0x1D, 0xFF, False, 0xFF, 0x4B),  # SAE-J1850
        (8, 0x2F, 0xFF, False, 0xFF, 0xDF),  # AUTOSAR
        (8, 0x31, 0x00, True, 0x00, 0xA1),  # MAXIM-DOW
        (16, 0x1021, 0xFFFF, False, 0x0000, 0x29B1),  # IBM-3740
        (16, 0x1021, 0x0000, False, 0x0000, 0x31C3),  # XMODEM
        (16, 0x8005, 0x0000, True, 0x0000, 0xBB3D),  # ARC
        (16, 0x1021, 0xFFFF, True, 0xFFFF, 0x906E),  # IBM-SDLC
        (16, 0x1021, 0xB2AA, True, 0x0000, 0x63D0),  # RIELLO: an initial value that is not its own mirror image
    ],
)
@pytest.mark.parametrize("big_endian", [False, True])
def test_a_crc_of_any_kind_has_its_published_check_value(
    bench: Any, echo: Any, *, width: int, polynomial: int, initial: int, reflected: bool, final_xor: int, check: int,
    big_endian: bool,
) -> None:  # fmt: skip
    message = protected(
        bench,
        length=9 + width // 8,
        payload=bytes(width // 8) + b"123456789",
        counter_start_bit=-1,
        e2e_width=width,
        e2e_polynomial=polynomial,
        e2e_initial=initial,
        e2e_reflected=reflected,
        e2e_final_xor=final_xor,
        e2e_big_endian=big_endian,
        e2e_id_mode=IdMode.NONE,
    )
    simulation = echo.simulation(parameters=SILENT, messages=(message,), bus=BusConfig(data_bitrate=2_000_000))
    [data, *_] = payloads(bench.run(simulation, 0.05))
    assert int.from_bytes(data[: width // 8], "big" if big_endian else "little") == check


def test_a_checksum_that_does_not_fit_the_payload_is_refused(bench: Any, echo: Any) -> None:
    with pytest.raises(UsageError, match="CRC in byte 7 of 8"):
        echo.simulation(messages=(bench.vehicle(crc_byte=7, e2e_width=16),))
    with pytest.raises(UsageError, match="must be 0, 8 or 16"):
        echo.simulation(messages=(bench.vehicle(e2e_width=12),))


# ---- faults ----------------------------------------------------------------------------------------------------


def crc8(data: bytes) -> int:
    crc = 0xFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x1D if crc & 0x80 else crc << 1) & 0xFF
    return crc ^ 0xFF


def run(bench: Any, echo: Any, *faults: Fault, seconds: float = 0.3) -> tuple[list[int], list[bool], Any]:
    """Counters sent, whether each checksum fits, and the reports."""
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(),))
    simulation.plan(faults=list(faults))
    found = payloads(bench.run(simulation, seconds))
    fits = [crc8(bytes([0x20]) + data[1:]) == data[0] for data in found]
    return [data[1] & 0x0F for data in found], fits, simulation.fault_reports()


def counter(op: Op, value: int = 0, **changes: Any) -> Fault:
    """Acts on the three sendings from 100 ms on: the right counters there are 10, 11, 12."""
    return Fault(Point.MESSAGE_COUNTER, op, index=0, value=value, from_ns=100 * MS, **{"count": 3, **changes})


@pytest.mark.parametrize(
    ("fault", "there"),
    [
        (counter(Op.SET, 3), [3, 3, 3]),
        (counter(Op.SET, 15), [15, 15, 15]),  # the value that profile 1 calls invalid
        (counter(Op.HOLD), [9, 9, 9]),
        (counter(Op.ADD, 2), [12, 13, 14]),
        (counter(Op.ADD, 4), [14, 0, 1]),
        (counter(Op.ADD, -11), [14, 0, 1]),
    ],
)
def test_a_counter_is_bent_for_so_many_frames_and_then_right_again(
    bench: Any, echo: Any, fault: Fault, there: list[int]
) -> None:
    counters, fits, [report] = run(bench, echo, fault)
    right = [k % 15 for k in range(30)]
    assert counters == right[:10] + there + right[13:]
    assert all(fits)  # the checksum covers the counter that is sent
    assert (report.fired_ticks, report.first_fired_ns, report.last_fired_ns) == (3, 100 * MS, 120 * MS)


def test_a_random_counter_is_never_the_right_one(bench: Any, echo: Any) -> None:
    counters, fits, [report] = run(bench, echo, counter(Op.RANDOM, count=0, seed=4), seconds=3.0)
    assert not any(found == k % 15 for k, found in enumerate(counters) if k >= 10)
    assert set(counters[10:]) == set(range(15))
    assert all(fits)
    assert report.fired_ticks == 290


@pytest.mark.parametrize(
    ("mode", "after"),
    [(Resume.CORRECT, [13, 14, 0]), (Resume.LAST_VALID, [10, 11, 12]), (Resume.LAST_SENT, [6, 7, 8])],
)
def test_the_counter_goes_on_as_asked(bench: Any, echo: Any, mode: Resume, after: list[int]) -> None:
    counters, _, _ = run(bench, echo, counter(Op.SET, 5, mode=mode))
    assert counters[9:16] == [9, 5, 5, 5, *after]


def test_time_ends_a_fault_as_well_as_its_number_of_frames(bench: Any, echo: Any) -> None:
    counters, _, _ = run(bench, echo, counter(Op.SET, 5, count=0, until_ns=120 * MS))
    assert counters[9:13] == [9, 5, 5, 12]


def checksum(op: Op, value: int = 0, **changes: Any) -> Fault:
    return Fault(Point.MESSAGE_CRC, op, index=0, value=value, **{"from_ns": 100 * MS, "count": 3, **changes})


@pytest.mark.parametrize("fault", [checksum(Op.ADD, 1), checksum(Op.RANDOM, seed=2), checksum(Op.HOLD)])
def test_a_checksum_is_wrong_for_so_many_frames(bench: Any, echo: Any, fault: Fault) -> None:
    counters, fits, [report] = run(bench, echo, fault)
    assert [k for k, good in enumerate(fits) if not good] == [10, 11, 12]
    assert counters == [k % 15 for k in range(30)]
    assert report.fired_ticks == 3


def test_a_checksum_can_be_set_and_held(bench: Any, echo: Any) -> None:
    def first_bytes(fault: Fault) -> list[int]:
        simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(),))
        simulation.plan(faults=[fault])
        return [data[0] for data in payloads(bench.run(simulation, 0.2))]

    right = first_bytes(checksum(Op.SET, 0, from_ns=10**12))
    assert first_bytes(checksum(Op.SET, 0x5A)) == right[:10] + [0x5A] * 3 + right[13:]
    assert first_bytes(checksum(Op.HOLD)) == right[:10] + [right[9]] * 3 + right[13:]


def test_both_at_once(bench: Any, echo: Any) -> None:
    counters, fits, _ = run(bench, echo, counter(Op.HOLD), checksum(Op.ADD, 7))
    assert counters[9:14] == [9, 9, 9, 9, 13]
    assert fits[9:14] == [True, False, False, False, True]


def test_a_message_without_counter_or_checksum_is_left_alone(bench: Any, echo: Any) -> None:
    plain = bench.vehicle(counter_start_bit=-1, crc_byte=-1)
    simulation = echo.simulation(parameters=SILENT, messages=(plain,))
    simulation.plan(faults=[counter(Op.HOLD), checksum(Op.ADD, 1)])
    assert len(set(payloads(bench.run(simulation, 0.2)))) == 1
    assert not any(report.fired for report in simulation.fault_reports())


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (counter(Op.SET, 16), "does not fit"),
        (checksum(Op.SET, 256), "does not fit"),
        (checksum(Op.SET, -1), "does not fit"),
        (counter(Op.NEGATE), "operation"),
        (counter(Op.HOLD, mode=3), "mode"),
    ],
)
def test_a_fault_outside_its_range_is_refused(bench: Any, echo: Any, fault: Fault, words: str) -> None:
    simulation = echo.simulation(messages=(bench.vehicle(),))
    with pytest.raises(UsageError, match=words):
        simulation.plan(faults=[fault])
