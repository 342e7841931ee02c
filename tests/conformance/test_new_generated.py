# SPDX-License-Identifier: Apache-2.0
"""`bms-harness new` on any database: what it writes reads, and its C has no warning."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.firmware.builder import find_compiler, port_folder
from harness.rig import load_rig
from harness.rig.new.folder import make

WORDS = ("Pack", "Cell", "Voltage", "Current", "Temp", "Max", "Min", "SOC", "Charge", "Discharge", "Limit", "State",
         "Error", "Warning", "Over", "Under", "Request", "Counter", "Crc", "Isolation", "12V", "Link", "7")  # fmt: skip
UNITS = ("V", "mV", "A", "degC", "%", "kOhm", "", "\u00b0C", "l/min")
NAMES = ("STANDBY", "IDLE", "DRIVE", "RUN", "CHARGE", "ERROR", "odd name", "weird*/x", "\u00fcber", "PRECHARGE", "OFF")
SCALES = ("1", "0.1", "-1", "0.001", "0.25", "1e-7")
OFFSETS = ("0", "-40", "0.5", "1e6")
FLAGS = ("-fsyntax-only", "-std=c11", "-Wall", "-Wextra", "-Werror")


@st.composite
def databases(draw: st.DrawFn) -> str:
    """A DBC text of up to four messages of up to three senders, with names that make guesses likely."""
    head, tables = ['VERSION ""', "", "BU_: BMS VCU OTHER", ""], []
    for number in range(draw(st.integers(1, 4))):
        extended = draw(st.booleans())
        dbc_id = (0x80000000 if extended else 0) | (0x100 + number)
        length = draw(st.sampled_from([1, 2, 8, 8, 8, 12, 64]))
        sender = draw(st.sampled_from(["BMS", "VCU", "OTHER", "Vector__XXX"]))
        name = "_".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=2)))
        head.append(f"BO_ {dbc_id} M{number}_{name}: {length} {sender}")
        pages = draw(st.booleans()) and length >= 2
        if pages:
            head.append(' SG_ Page M : 0|8@1+ (1,0) [0|0] "" BMS')
        for at in range(draw(st.integers(1, 5))):
            first = 8 if pages else 0
            bits = draw(st.integers(1, min(32, 8 * length - first)))
            begin = draw(st.integers(first, 8 * length - bits))
            big = draw(st.booleans())
            start = 8 * (begin // 8) + 7 - begin % 8 if big else begin
            signal = f"S{at}" + "".join(draw(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3)))
            marker = f"m{draw(st.integers(0, 3))} " if pages and draw(st.booleans()) else ""
            low, high = draw(st.sampled_from([(0, 0), (0, 100), (-40, 125), (5, 9), (-9, -5)]))
            head.append(
                f" SG_ {signal} {marker}: {start}|{bits}@{0 if big else 1}{draw(st.sampled_from('+-'))} "
                f"({draw(st.sampled_from(SCALES))},{draw(st.sampled_from(OFFSETS))}) [{low}|{high}] "
                f'"{draw(st.sampled_from(UNITS))}" VCU'
            )
            if draw(st.booleans()):
                names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=6))
                tables.append(f"VAL_ {dbc_id} {signal} " + " ".join(f'{n} "{x}"' for n, x in enumerate(names)) + " ;")
        head.append("")
    return "\n".join([*head, *tables, ""])


@settings(max_examples=40)
@given(text=databases())
def test_what_is_made_of_any_database_reads_and_compiles(text: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        dbc = folder / "any.dbc"
        dbc.write_text(text, encoding="utf-8")
        rig = load_rig(make(folder / "rig", dbc).rig)
        rig.read_all()
        words = [*find_compiler().command, *FLAGS, f"-I{rig.include[0]}", f"-I{port_folder()}", str(rig.sources[0])]
        told = subprocess.run(words, capture_output=True, text=True, check=False)
        assert (0, "") == (told.returncode, told.stderr)
