# SPDX-License-Identifier: Apache-2.0
"""Databases and recordings of others: each loads, loads with a warning, or is refused with a reason; all decode as
cantools decodes them. Numbers are those of the folder's README or counted in the files with other tools.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from harness.canbus.batch import Decoder
from harness.canbus.database import Database, load_database
from harness.canbus.recorder import read_log, read_recording
from harness.errors import RigError
from harness.trace import Frames

Agreement = Callable[[Database, Frames], int]

# File: messages, signals.
CLEAN = {
    "cantools/attributes.dbc": (2, 2),
    "cantools/fd_test.dbc": (4, 4),
    "cantools/issue_184_extended_mux_cascaded.dbc": (1, 5),
    "cantools/j1939.dbc": (2, 2),
    "cantools/msxii_system_can.dbc": (1, 73),
    "cantools/vehicle.dbc": (217, 462),
    "css/CSS-Electronics-SAE-J1939-DEMO.dbc": (2, 2),
    "css/tp_uds_nissan.dbc": (1, 6),
    "foxbms/IVT-S_12082020.dbc": (10, 262),
    "foxbms/foxbms-bootloader.dbc": (9, 24),
    "foxbms/foxbms.dbc": (41, 2075),
    "foxbms/iso165_IMD.dbc": (5, 122),
    "fwxv/system_can.dbc": (27, 97),
    "opendbc/ford_lincoln_base_pt.dbc": (331, 2150),
    "opendbc/gm_global_a_high_voltage_management.dbc": (12, 125),
    "opendbc/tesla_model3_vehicle.dbc": (11, 209),
    "prohelion/Prohelion_BMS_D1000_Gen1.dbc": (11, 62),
    "prohelion/Solar_Charge_Controllers.dbc": (7, 34),
    "savvycan/LeafPowertrainBus.dbc": (10, 21),
    "savvycan/bms.dbc": (6, 30),
}
# File: problems when strict, the first line, what is found there; messages and signals when not strict.
DOUBTFUL = {
    "cantools/bad_message_length.dbc": (1, 40, "9 bits needed", 1, 1),
    "foxbms/overlapping-signals.dbc": (2, 32, "bits shared by", 1, 23),
    "model3dbc/Model3CAN.dbc": (6, 1722, "50 bits needed", 148, 3172),
    "opendbc/vw_mqb.dbc": (2, 91, "bits shared by", 113, 1348),
    "opendbc/vw_mqbevo.dbc": (10, 1333, "without bit 31", 136, 1198),
    "prohelion/EV_Driver_Controller.dbc": (1, 53, "signal name again", 5, 19),
    "we-ev/VECAN_2.0.16_DI.dbc": (4, 716, "bits shared by", 44, 598),
}


def size(database: Database) -> tuple[int, int]:
    return len(database.messages), sum(len(message.signals) for message in database.messages)


@pytest.mark.parametrize("name", CLEAN)
def test_a_sound_database_loads_without_a_warning(data: Path, name: str) -> None:
    database = load_database(data / name)
    assert database.warnings == ()
    assert CLEAN[name] == size(database)


@pytest.mark.parametrize("name", DOUBTFUL)
def test_a_doubtful_database_is_refused_when_strict_and_loads_with_warnings_otherwise(data: Path, name: str) -> None:
    count, line, found, messages, signals = DOUBTFUL[name]
    with pytest.raises(RigError) as caught:
        load_database(data / name)
    assert count == len(caught.value.problems)
    assert line == caught.value.problems[0].line
    assert found in caught.value.problems[0].found
    database = load_database(data / name, strict=False)
    assert count == len(database.warnings)
    assert (messages, signals) == size(database)


def test_a_value_table_of_a_signal_that_is_not_there_is_ignored_with_a_warning(data: Path) -> None:
    database = load_database(data / "opendbc/tesla_can.dbc")
    (warning,) = database.warnings
    assert "tesla_can.dbc:783: found VAL_ 568 UI_mapSpeedLimit" in warning
    assert (44, 572) == size(database)


@pytest.mark.parametrize("strict", [True, False])
def test_a_database_without_messages_is_refused(data: Path, *, strict: bool) -> None:
    with pytest.raises(RigError, match="without any message"):
        load_database(data / "foxbms/invalid.dbc", strict=strict)


def test_every_database_of_the_folder_is_covered_here(data: Path) -> None:
    known = {*CLEAN, *DOUBTFUL, "opendbc/tesla_can.dbc", "foxbms/invalid.dbc"}
    assert known == {path.relative_to(data).as_posix() for path in data.glob("*/*.dbc")}


@pytest.mark.parametrize("name", [*CLEAN, *DOUBTFUL, "opendbc/tesla_can.dbc"])
def test_random_payloads_of_every_message_decode_as_cantools_decodes_them(
    data: Path, agree_with_cantools: Agreement, name: str
) -> None:
    database = load_database(data / name, strict=False)
    agree_with_cantools(database, random_frames(database))


def random_frames(database: Database) -> Frames:
    """Eight frames of every message; most multiplexers stand at a value the message knows."""
    generator = np.random.default_rng(1)
    messages = [message for message in database.messages if message.length <= 64 for _ in range(8)]
    n = len(messages)
    data = generator.integers(0, 256, (n, 64), np.uint8)
    for row, message in enumerate(messages):
        for signal in message.signals:
            known = sorted(
                value for child in message.signals if child.multiplexer == signal.name for value in child.mux_ids
            )
            if signal.is_multiplexer and known and not signal.big_endian and row % 8:
                number = int.from_bytes(data[row].tobytes(), "little") & ~signal.bits
                number |= (known[int(generator.integers(len(known)))] << signal.start_bit) & signal.bits
                data[row] = np.frombuffer(number.to_bytes(64, "little"), np.uint8)
        data[row, message.length :] = 0
    return Frames(
        t_ns=np.arange(n, dtype=np.uint64),
        id=np.array([message.id for message in messages], np.uint32),
        flags=np.array([message.extended for message in messages], np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.zeros(n, np.uint8),
        length=np.array([message.length for message in messages], np.uint8),
        data=data,
    )


# Recording, database, frames of it, and how many of them the database knows.
LOGS = {
    "savvycan/candump.log": ("savvycan/LeafPowertrainBus.dbc", 12_974),
    "savvycan/GVRET_Log.csv": ("savvycan/bms.dbc", 12_974),
    "we-ev/candump-2025-11-22_161709.log": ("we-ev/VECAN_2.0.16_DI.dbc", 50_660),
    "foxbms/can-log.trc": ("foxbms/foxbms.dbc", 9),
}


@pytest.mark.parametrize("name", LOGS)
def test_recordings_decode_as_cantools_decodes_them(data: Path, agree_with_cantools: Agreement, name: str) -> None:
    database_name, n = LOGS[name]
    frames = read_log(data / name)
    assert n == len(frames)
    agree_with_cantools(load_database(data / database_name, strict=False), frames)


def test_the_same_drive_in_two_formats_is_the_same_frames(data: Path) -> None:
    one, other = read_log(data / "savvycan/candump.log"), read_log(data / "savvycan/GVRET_Log.csv")
    for field in ("id", "flags", "length", "data"):
        np.testing.assert_array_equal(getattr(one, field), getattr(other, field))


def test_a_third_of_a_recording_of_a_bus_is_known_to_its_database(data: Path) -> None:
    frames = read_log(data / "we-ev/candump-2025-11-22_161709.log")
    counts = Decoder(load_database(data / "we-ev/VECAN_2.0.16_DI.dbc", strict=False)).decode(frames).counts
    assert 0.33 == pytest.approx(1.0 - counts.unknown_id / len(frames), abs=0.005)
    assert len(frames) == counts.decoded + counts.unknown_id + counts.wrong_length + counts.remote + counts.error


# Recording: frames, of which CAN FD, remote, error, extended.
KINDS = {
    "python-can/logfile.asc": (20, 4, 4, 4, 13),
    "python-can/logfile_errorframes.asc": (12, 0, 2, 3, 9),
    "python-can/issue_1299.asc": (4, 0, 0, 0, 0),
    "python-can/issue_1905.blf": (22, 22, 0, 0, 0),
    "python-can/test_CanErrorFrameExt.blf": (2, 0, 0, 2, 2),
    "python-can/test_CanFdMessage64.blf": (2, 2, 2, 0, 0),
    "python-can/test_CanMessage2.blf": (2, 0, 0, 0, 0),
    "python-can/test_CanMessage_V1_3.trc": (11, 0, 1, 0, 7),
    "python-can/test_CanMessage_V2_1.trc": (11, 0, 1, 0, 7),
}


@pytest.mark.parametrize("name", KINDS)
def test_corner_cases_of_recordings_are_kept(data: Path, name: str) -> None:
    frames = read_log(data / name)
    kinds = tuple(int(np.count_nonzero(frames.flags & flag)) for flag in (2, 8, 16, 1))
    assert KINDS[name] == (len(frames), *kinds)


def test_the_start_of_a_recording_since_1970_is_kept_beside_relative_stamps(data: Path) -> None:
    recording = read_recording(data / "we-ev/candump-2025-11-22_161709.log")
    assert recording.start_s == pytest.approx(1763824854.721518, abs=1e-6)
    assert 0 == recording.frames.t_ns[0]
    assert 2_116_000 == recording.frames.t_ns[1]


def test_mf4_without_its_extra_names_the_way_out(data: Path) -> None:
    try:
        import asammdf  # noqa: F401, PLC0415 - an extra
    except ImportError:
        with pytest.raises(RigError, match=r"bms-harness\[mf4\]"):
            read_log(data / "css/00000001.MF4")
    else:
        assert 5_588 == len(read_log(data / "css/00000001.MF4"))


@pytest.mark.parametrize("name", ["css/00000001.MF4", "css/00000170.MF4"])
def test_mf4_recordings_hold_the_frames_asammdf_shows_and_say_that_they_were_never_finished(
    data: Path, name: str
) -> None:
    asammdf = pytest.importorskip("asammdf")
    recording = read_recording(data / name)
    frames = recording.frames
    with asammdf.MDF(data / name) as witness:
        columns = {field: witness.get(f"CAN_DataFrame.{field}", group=0) for field in ("ID", "DataLength", "DataBytes")}
    assert columns["ID"].samples.tolist() == frames.id.tolist()
    assert columns["DataLength"].samples.tolist() == frames.length.tolist()
    width = columns["DataBytes"].samples.shape[1]
    np.testing.assert_array_equal(columns["DataBytes"].samples[:, :8], frames.data[:, :width])
    stamps_ns = (columns["ID"].timestamps - columns["ID"].timestamps[0]) * 1e9
    np.testing.assert_allclose(frames.t_ns, stamps_ns, atol=1_000)  # read to the microsecond
    (note,) = recording.notes
    assert "never finished" in note
