# SPDX-License-Identifier: Apache-2.0
"""End-to-end protection from the profile file to the wire: what the kernel sends is what the receiver's check takes."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from e2e import p01, p02, p05
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus.crc import Crc, check, value
from harness.canbus.e2e import AnyChecksum, AutosarChecksum, Checksum
from harness.canbus.e2e import check as check_any
from harness.canbus.profile import Profile, load_profile
from harness.errors import Problem, RigError
from harness.kernel.config import BusConfig, Event, EventKind, FrameFlag, Message
from harness.rig.protection import protection

MS = 1_000_000
RUNS = 200
IDS = tuple(range(0x41, 0x51))

DBC = """VERSION ""

BU_: BMS VCU

BO_ 256 State: 8 BMS
 SG_ Crc : 0|8@1+ (1,0) [0|255] "" VCU
 SG_ Alive : 8|4@1+ (1,0) [0|15] "" VCU
 SG_ Mode : 16|8@1+ (1,0) [0|15] "" VCU

BO_ 512 Command: 8 VCU
 SG_ Crc : 0|16@1+ (1,0) [0|65535] "" BMS
 SG_ Alive : 16|8@1+ (1,0) [0|255] "" BMS
 SG_ Request : 24|2@1+ (1,0) [0|3] "" BMS
 SG_ Tail : 55|16@0+ (1,0) [0|65535] "" BMS

BA_DEF_ BO_ "GenMsgCycleTime" INT 0 10000;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_ "GenMsgCycleTime" BO_ 512 10;
"""
HEAD = 'dbc = "product.dbc"\n[signals]\n'


def load(folder: Path, text: str) -> Profile:
    (folder / "product.dbc").write_text(DBC)
    path = folder / "product.profile.toml"
    path.write_text(HEAD + text)
    return load_profile(path)


def problems(folder: Path, text: str) -> list[Problem]:
    with pytest.raises(RigError) as caught:
        load(folder, text)
    return list(caught.value.problems)


def of_state(text: str) -> str:
    return f"[messages.State]\n{text}\n"


def of_command(text: str) -> str:
    return f'[restbus.Command]\nnode = "vehicle"\n{text}\n'


# ---- profile files ---------------------------------------------------------------------------------------------


def test_an_autosar_profile_finds_its_signals_by_its_header(tmp_path: Path) -> None:
    profile = load(tmp_path, of_state('e2e = { profile = "P01", data_id = 0x123, data_id_mode = "nibble" }'))
    found = profile.protections["State"]
    assert ("Alive", 15, "Crc") == (found.counter, found.counter_modulus, found.crc)
    assert AutosarChecksum("P01", 8, 0x123, data_id_mode="nibble") == found.checksum


def test_profile_2_counts_to_15_and_profile_5_to_255(tmp_path: Path) -> None:
    two = load(tmp_path, of_state(f'e2e = {{ profile = "P02", data_ids = {list(IDS)} }}')).protections["State"]
    assert (16, AutosarChecksum("P02", 8, data_ids=IDS)) == (two.counter_modulus, two.checksum)
    [five] = load(tmp_path, of_command('e2e = { profile = "P05", data_id = 0x2001 }')).restbus
    assert (16, 8, 255, 0) == (five.counter_start_bit, five.counter_length, five.counter_max, five.crc_byte)
    assert five.protected


def test_any_crc_lies_where_its_signal_does(tmp_path: Path) -> None:
    entry = 'e2e = { profile = "crc", signal = "Tail", width = 16, polynomial = 0x8005, reflected = true }'
    [message] = load(tmp_path, of_command(f'counter = "Alive"\n{entry}')).restbus
    assert Crc(6, 8, 16, 0x8005, reflected=True, big_endian=True) == message.checksum
    assert (16, 8, 6) == (message.counter_start_bit, message.counter_length, message.crc_byte)


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ('e2e = { profile = "P01" }', "e2e", "data_id with P01"),
        ('e2e = { profile = "P02", data_id = 1 }', "e2e", "data_ids (16 bytes) with P02"),
        ('e2e = { profile = "P05", data_id = 1, data_id_mode = "low" }', "data_id_mode", "only with P01"),
        ('e2e = { profile = "P01", data_id = 1, offset = 7 }', "offset", "within the 8 bytes"),
        ('counter = "Alive"\ne2e = { profile = "P01", data_id = 1 }', "counter", "the header of P01 has it"),
        ('crc = { signal = "Crc" }\ne2e = { profile = "P01", data_id = 1 }', "e2e", "either e2e or crc"),
        ('e2e = { profile = "crc", polynomial = 7 }', "signal", "a signal of State"),
        ('e2e = { profile = "crc", signal = "Crc" }', "polynomial", "without its leading bit"),
        ('e2e = { profile = "crc", signal = "Crc", polynomial = 0x1021 }', "polynomial", "at most 0xff"),
        ('e2e = { profile = "crc", signal = "Alive", polynomial = 7 }', "signal", "8 bits in whole bytes"),
        ('e2e = { profile = "crc", signal = "Crc", polynomial = 7, data_id = 256 }', "data_id", "data_id_bytes = 2"),
        ('e2e = { profile = "P09" }', "profile", ""),
    ],
)
def test_a_wrong_protection_is_refused_with_what_is_allowed(tmp_path: Path, text: str, key: str, words: str) -> None:
    found = problems(tmp_path, of_state(text))
    assert any(key in problem.key and words in problem.allowed for problem in found), found


# ---- what the kernel sends -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bench() -> Any:
    path = Path(__file__).parents[1] / "firmware" / "echo_bench.py"
    spec = importlib.util.spec_from_file_location("echo_bench_of_protection", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def echo(bench: Any) -> Iterator[Any]:
    echo = bench.Echo()
    yield echo
    echo.close()


def sent(bench: Any, echo: Any, checksum: AnyChecksum, length: int, *, counter: tuple[int, int, int]) -> Any:
    """[RUNS, length]: random payloads as the rest bus protects them."""
    position = checksum.offset if isinstance(checksum, AutosarChecksum) else checksum.position
    start_bit, bits, last = counter
    message: Message = replace(
        bench.vehicle(),
        length=length,
        flags=FrameFlag.FD,
        crc_byte=position,
        counter_start_bit=start_bit,
        counter_length=bits,
        counter_max=last,
        **protection(checksum),
    )
    draw = np.random.default_rng(3)
    events = [Event(k * 10 * MS, EventKind.PAYLOAD, 0, payload=draw.bytes(length)) for k in range(RUNS)]
    bus = BusConfig(data_bitrate=2_000_000)
    simulation = echo.simulation(parameters=(("report", 0),), messages=(message,), bus=bus)
    simulation.plan(events)
    buffers = bench.run(simulation, RUNS * 0.01)
    echo.simulations.pop().close()
    rows = buffers.frames("id") == message.id
    assert int(rows.sum()) == RUNS
    return buffers.frames("data")[rows, :length]


P01_COUNTER, P02_COUNTER, P05_COUNTER = (8, 4, 14), (8, 4, 15), (16, 8, 255)


@pytest.mark.parametrize(
    ("checksum", "counter"),
    [
        (Checksum(3, 8, data_id=0x20), P01_COUNTER),
        (Checksum(0, 8, polynomial=0x2F, initial=0x55, final_xor=0x00), P01_COUNTER),
        (AutosarChecksum("P01", 8, 0xA5C), P01_COUNTER),
        (AutosarChecksum("P01", 8, 0xA5C, data_id_mode="alternating"), P01_COUNTER),
        (AutosarChecksum("P01", 8, 0xA5C, data_id_mode="low"), P01_COUNTER),
        (AutosarChecksum("P01", 8, 0xA5C, data_id_mode="nibble"), P01_COUNTER),
        (AutosarChecksum("P01", 8, 0xA5C, offset=2), (24, 4, 14)),
        (AutosarChecksum("P02", 8, data_ids=IDS), P02_COUNTER),
        (AutosarChecksum("P05", 8, 0xBEEF), P05_COUNTER),
        (AutosarChecksum("P05", 24, 0xBEEF), P05_COUNTER),
        (AutosarChecksum("P05", 16, 0xBEEF, offset=4), (48, 8, 255)),
        (Crc(6, 8, 16, 0x1021, 0xFFFF, big_endian=True), P01_COUNTER),
        (Crc(2, 8, 16, 0x8005, 0x1234, 0xFFFF, reflected=True, data_id=0x77), P01_COUNTER),
        (Crc(0, 12, 8, 0x31, 0x13, reflected=True, data_id=0x1234, data_id_bytes=2), P01_COUNTER),
        (Crc(0, 8, 16, 0x1021, data_id=0x1234, data_id_bytes=2, data_id_place="after"), (24, 8, 200)),
    ],
)
def test_what_the_rest_bus_sends_is_what_the_check_takes(
    bench: Any, echo: Any, checksum: AnyChecksum, counter: tuple[int, int, int]
) -> None:
    length = checksum.length
    data = sent(bench, echo, checksum, length, counter=counter)
    assert check_any(data, checksum).all()
    for byte in range(length):
        wrong = data.copy()
        wrong[:, byte] ^= 0x10  # not part of the counter, on which alternating ids and lists depend
        assert not check_any(wrong, checksum).any()


# ---- the CRC itself --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("crc", "expected"),
    [
        # catalogue of parametrised CRC algorithms (reveng), "123456789"
        (Crc(9, 10, 8, 0x1D, 0xFF, 0xFF), 0x4B),
        (Crc(9, 10, 8, 0x31, reflected=True), 0xA1),
        (Crc(9, 11, 16, 0x1021, 0xFFFF), 0x29B1),
        (Crc(9, 11, 16, 0x8005, reflected=True), 0xBB3D),
        (Crc(9, 11, 16, 0x1021, 0xB2AA, reflected=True), 0x63D0),
    ],
)
def test_published_check_values(crc: Crc, expected: int) -> None:
    data = np.frombuffer(b"123456789".ljust(11, b"\0"), np.uint8)[None, :]
    assert [expected] == value(data, crc).tolist()


@given(st.binary(min_size=8, max_size=8), st.integers(0, 0xFFFF))
def test_any_crc_agrees_with_the_library_where_a_profile_is_one(payload: bytes, data_id: int) -> None:
    one, five = bytearray(payload), bytearray(payload)
    p01.e2e_p01_protect(one, data_id)
    p05.e2e_p05_protect(five, data_id)
    low_high = {"data_id": data_id, "data_id_bytes": 2}
    as_one = Crc(0, 8, 8, 0x1D, **low_high)  # type: ignore[arg-type]
    as_five = Crc(0, 8, 16, 0x1021, 0xFFFF, data_id_place="after", **low_high)  # type: ignore[arg-type]
    assert check(np.frombuffer(bytes(one), np.uint8)[None, :], as_one).all()
    assert check(np.frombuffer(bytes(five), np.uint8)[None, :], as_five).all()


def test_the_library_protects_profile_2_as_the_check_takes_it() -> None:
    two = bytearray(8)
    p02.e2e_p02_protect(two, bytes(IDS), length=8)
    data = np.frombuffer(bytes(two), np.uint8)[None, :]
    assert check_any(data, AutosarChecksum("P02", 8, data_ids=IDS)).all()
    assert not check_any(data, AutosarChecksum("P02", 8, data_ids=IDS[::-1])).any()
