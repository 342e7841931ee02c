# SPDX-License-Identifier: Apache-2.0
"""asammdf's side of the recordings: bus logging of an MF4 that holds the same frames. Needs the extra `mf4`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.trace import Frames

NS_PER_S = 1e9
EXTENDED, FD, BRS, REMOTE, ERROR = 1, 2, 4, 8, 16
_CLASSIC_BYTES = 8
_FD_LENGTHS = (12, 16, 20, 24, 32, 48, 64)  # of the length codes 9 to 15


def bus_logging(frames: Frames, database: Path, path: Path, stack: ExitStack) -> Callable[[], int]:
    """Write the MF4, load the database and open both; the call extracts every signal and counts the values."""
    from asammdf import MDF  # noqa: PLC0415 - an extra
    from asammdf.blocks.utils import load_can_database  # noqa: PLC0415 - an extra

    write_mf4(frames, path)
    recording: Any = MDF(path)
    stack.callback(recording.close)
    matrix = load_can_database(database)

    def extract() -> int:
        with recording.extract_bus_logging(database_files={"CAN": [(matrix, 0)]}) as extracted:
            wanted = [
                (None, number, at)
                for number, group in enumerate(extracted.groups)
                for at in range(len(group.channels))
                if at != extracted.masters_db.get(number)
            ]
            series = extracted.select(wanted, ignore_value2text_conversions=True) if wanted else []
            return sum(len(one.samples) for one in series)

    return extract


def write_mf4(frames: Frames, path: Path) -> None:
    """The data frames as ASAM bus logging."""
    from asammdf import MDF, Signal  # noqa: PLC0415 - an extra
    from asammdf.blocks.v4_blocks import SourceInformation  # noqa: PLC0415 - an extra
    from asammdf.blocks.v4_constants import BUS_TYPE_CAN, SOURCE_BUS  # noqa: PLC0415 - an extra

    with MDF(version="4.10") as recording:
        recording.append(
            Signal(
                samples=_records(frames),
                timestamps=frames.t_ns[_is_data(frames)] / NS_PER_S,
                name="CAN_DataFrame",
                source=SourceInformation(source_type=SOURCE_BUS, bus_type=BUS_TYPE_CAN),
            )
        )
        recording.save(path, overwrite=True, compression=0)


def _is_data(frames: Frames) -> NDArray[np.bool_]:
    kept: NDArray[np.bool_] = np.equal(frames.flags & (REMOTE | ERROR), 0)
    return kept


def _records(frames: Frames) -> NDArray[np.void]:
    kept = _is_data(frames)
    flags, length = frames.flags[kept], frames.length[kept]
    data = np.zeros((len(length), 64), np.uint8)
    data[:, : frames.data.shape[1]] = frames.data[kept]
    fields = {
        "BusChannel": frames.bus[kept],
        "ID": frames.id[kept],
        "IDE": flags & EXTENDED,
        "DLC": np.where(length > _CLASSIC_BYTES, 9 + np.searchsorted(_FD_LENGTHS, length), length).astype(np.uint8),
        "DataLength": length,
        "DataBytes": data,
        "Dir": np.zeros(len(length), np.uint8),
        "EDL": flags & FD != 0,
        "BRS": flags & BRS != 0,
    }
    wide = {"ID": "<u4", "DataBytes": "(64,)u1"}
    records = np.zeros(len(length), [(f"CAN_DataFrame.{name}", wide.get(name, "<u1")) for name in fields])
    for name, column in fields.items():
        records[f"CAN_DataFrame.{name}"] = column
    return records
