# SPDX-License-Identifier: Apache-2.0
"""Loading databases: what is loaded, what is loaded with a warning, what is refused and how."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.canbus.database import MAX_BYTES, Database, load_database
from harness.canbus.layout import lay_out
from harness.canbus.model import Signal
from harness.errors import Problem, RigError

HEAD = 'VERSION ""\n\nBU_: BMS VCU\n\n'
GOOD = (
    HEAD
    + """BO_ 256 State: 8 BMS
 SG_ Mode : 0|4@1+ (1,0) [0|3] "" VCU
 SG_ Current : 15|16@0- (0.1,-5) [-100|100] "A" VCU

BO_ 2566848512 Long: 8 BMS
 SG_ Page M : 0|8@1+ (1,0) [0|255] "" VCU
 SG_ First m0 : 8|16@1+ (1,0) [0|0] "" VCU
 SG_ Second m1 : 8|16@1+ (1,0) [0|0] "" VCU

BA_DEF_ BO_ "GenMsgCycleTime" INT 0 10000;
BA_DEF_DEF_ "GenMsgCycleTime" 0;
BA_ "GenMsgCycleTime" BO_ 256 100;
VAL_ 256 Mode 0 "Off" 1 "Drive" ;
"""
)


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "product.dbc"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def problems(path: Path, *, strict: bool = True) -> tuple[Problem, ...]:
    with pytest.raises(RigError) as caught:
        load_database(path, strict=strict)
    return caught.value.problems


def test_a_good_database_loads_without_a_warning(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    database = load_database(path)
    assert database.warnings == ()
    assert [message.name for message in database.messages] == ["State", "Long"]
    assert database.sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


def test_messages_and_signals_carry_what_the_file_says(tmp_path: Path) -> None:
    database = load_database(write(tmp_path, GOOD))
    state, long = database.messages
    assert (256, False, 8, 100, ("BMS",)) == (state.id, state.extended, state.length, state.cycle_ms, state.senders)
    assert (0x18FF0000, True, None) == (long.id, long.extended, long.cycle_ms)
    assert {0: "Off", 1: "Drive"} == state.by_name["Mode"].states
    current = state.by_name["Current"]
    assert (15, 16, True, True, 0.1, -5.0, "A") == (
        current.start_bit,
        current.length,
        current.big_endian,
        current.signed,
        current.scale,
        current.offset,
        current.unit,
    )
    assert (("Page", frozenset({1})),) == long.selectors(long.by_name["Second"])
    assert database.find("State.Current") == (state, current)
    assert database.find("State.Nothing") is None


@pytest.mark.parametrize("strict", [True, False])
def test_value_tables_without_a_signal_are_ignored_with_a_warning(tmp_path: Path, *, strict: bool) -> None:
    text = GOOD + 'VAL_ 256 Ghost 0 "A"\n 1 "B" ;\nVAL_ 999 Mode 0 "A" ;\nSIG_VALTYPE_ 256 Ghost : 1;\n'
    path = write(tmp_path, text)
    database = load_database(path, strict=strict)
    first = GOOD.count("\n") + 1
    assert [f"{path}:{line}:" for line in (first, first + 2, first + 3)] == [
        warning.split(" ")[0] for warning in database.warnings
    ]
    assert "VAL_ 256 Ghost" in database.warnings[0]
    assert {0: "Off", 1: "Drive"} == database.messages[0].by_name["Mode"].states


def test_a_statement_inside_a_comment_is_not_a_statement(tmp_path: Path) -> None:
    text = GOOD + 'CM_ BO_ 256 "first line\nBO_ 256 State: 8 BMS\nVAL_ 256 Ghost 0 ""A"" ;";\n'.replace('""A""', "A")
    assert load_database(write(tmp_path, text)).warnings == ()


EXTRA = """BO_ 256 Again: 8 BMS
 SG_ X : 0|1@1+ (1,0) [0|0] "" VCU
"""
DOUBTFUL = {
    "overlap": (GOOD.replace("0|4@1+", "0|9@1+"), 7, "State", "bits shared by"),
    "does not fit": (GOOD.replace("15|16@0-", "63|16@0-"), 7, "State.Current", "72 bits"),
    "identifier twice": (GOOD + EXTRA, 18, "Again", "identifier 256 again"),
    "name twice": (GOOD + EXTRA.replace("256 Again", "257 State"), 18, "State", "message name again"),
    "29 bits unmarked": (GOOD.replace("2566848512", "419364864"), 9, "Long", "without bit 31"),
    "signal twice": (GOOD.replace("SG_ Second m1", "SG_ First m1"), 12, "Long.First", "signal name again"),
    "factor 0": (GOOD.replace("(0.1,-5)", "(0,-5)"), 7, "State.Current", "factor 0.0"),
}  # fmt: skip


@pytest.mark.parametrize("case", DOUBTFUL)
def test_what_is_doubtful_is_refused_when_strict_and_loaded_with_a_warning_otherwise(tmp_path: Path, case: str) -> None:
    text, line, key, found = DOUBTFUL[case]
    path = write(tmp_path, text)
    (problem,) = problems(path)
    assert (str(path), line, key) == (problem.file, problem.line, problem.key)
    assert found in problem.found
    (warning,) = load_database(path, strict=False).warnings
    assert warning == str(problem)


def test_all_problems_of_a_file_are_reported_at_once(tmp_path: Path) -> None:
    text = GOOD.replace("0|4@1+", "0|9@1+").replace("2566848512", "419364864")
    assert [7, 9] == [problem.line for problem in problems(write(tmp_path, text))]


def test_an_unmarked_29_bit_identifier_is_taken_as_extended_everywhere(tmp_path: Path) -> None:
    text = GOOD.replace("2566848512", "419364864") + 'VAL_ 419364864 Page 0 "One" ;\nCM_ BO_ 419364864 "Long";\n'
    long = load_database(write(tmp_path, text), strict=False).messages[1]
    assert (0x18FF0000, True) == (long.id, long.extended)
    assert {0: "One"} == long.by_name["Page"].states


def test_of_two_messages_with_one_identifier_the_later_counts(tmp_path: Path) -> None:
    database = load_database(write(tmp_path, DOUBTFUL["identifier twice"][0]), strict=False)
    assert ["Again", "Long"] == sorted(message.name for message in database.messages)


def test_signals_of_different_multiplexer_values_may_share_bits(tmp_path: Path) -> None:
    assert load_database(write(tmp_path, GOOD)).warnings == ()


def test_children_find_a_multiplexer_that_was_given_a_long_name(tmp_path: Path) -> None:
    long_name = "Page_of_the_very_long_multiplexed_message"
    text = GOOD + (
        'BA_DEF_ SG_ "SystemSignalLongSymbol" STRING ;\nBA_DEF_DEF_ "SystemSignalLongSymbol" "";\n'
        f'BA_ "SystemSignalLongSymbol" SG_ 2566848512 Page "{long_name}";\n'
    )
    long = load_database(write(tmp_path, text)).messages[1]
    assert long_name == long.by_name["First"].multiplexer


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"", "without any message"),
        (b'VERSION ""\n', "without any message"),
        (b"BO_ 256 State: 8 BMS\n\x00\x01", "zero byte"),
        (b"<?xml version='1.0'?><xml/>", "nvalid"),
        (HEAD.encode() + b"BO_ 256 State: 8\n", ""),
        (HEAD.encode() + b"BO_ 256 State: 99999999 BMS\n", "99999999 bytes"),
        (HEAD.encode() + b'BO_ 256 State: 8 BMS\n SG_ A : 0|0@1+ (1,0) [0|0] "" X\n', "0 bits"),
        (HEAD.encode() + b'BO_ 256 State: 8 BMS\n SG_ A : 0|99999999999@1+ (1,0) [0|0] "" X\n', "length 99999999999"),
        (HEAD.encode() + b"BO_ 1073741824 State: 8 BMS\n", "identifier 1073741824"),
        (GOOD.replace("0.1,-5", "9" * 400 + ",-5").encode(), "OverflowError"),
        (GOOD.encode() + b"SG_MUL_VAL_ 2566848512 First Page 0-4294967295;\n", "combinations"),
    ],
)
@pytest.mark.parametrize("strict", [True, False])
def test_what_has_no_meaning_is_always_refused(tmp_path: Path, content: bytes, found: str, *, strict: bool) -> None:
    reported = problems(write(tmp_path, content), strict=strict)
    assert found in reported[0].found


def test_a_syntax_error_names_its_line(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, GOOD.replace("BO_ 2566848512 Long: 8 BMS", "BO_ 2566848512 Long 8 BMS")))
    assert problem.line == 9


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in problems(tmp_path / "none.dbc")[0].found
    assert "directory" in problems(tmp_path)[0].found


def test_a_huge_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "huge.dbc"
    with path.open("wb") as stream:
        stream.truncate(MAX_BYTES + 1)
    assert f"{MAX_BYTES + 1} bytes" in problems(path)[0].found


def test_nested_multiplexers_cannot_exhaust_memory(tmp_path: Path) -> None:
    signals = [f' SG_ M{depth} {"m0M" if depth else "M"} : {depth}|1@1+ (1,0) [0|1] "" X' for depth in range(40)]
    ranges = [f"SG_MUL_VAL_ 256 M{depth} M{depth - 1} 0-1;" for depth in range(1, 40)]
    text = HEAD + "\n".join(["BO_ 256 Deep: 8 BMS", *signals, *ranges, ""])
    assert "combinations" in problems(write(tmp_path, text))[0].found


@pytest.mark.parametrize("encoding", ["utf-8", "cp1252", "utf-8-sig"])
def test_units_are_read_in_either_encoding(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "product.dbc"
    path.write_text(GOOD.replace('"A"', '"°C"'), encoding=encoding)
    assert load_database(path).messages[0].by_name["Current"].unit == "°C"


@given(st.binary(max_size=300))
def test_random_bytes_are_refused_and_nothing_else(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    path = write(tmp_path_factory.mktemp("fuzz"), content)
    assert problems(path, strict=False)


LINES = [
    *GOOD.splitlines(),
    "SG_MUL_VAL_ 2566848512 First Page 0-3, 7-9;",
    "SIG_VALTYPE_ 256 Current : 1;",
    "SIG_GROUP_ 256 All 1 : Mode Current;",
    'BA_ "GenMsgCycleTime" BO_ 256 -1;',
    'EV_ Env: 0 [0|1] "" 0 1 DUMMY_NODE_VECTOR0 Vector__XXX;',
    "BO_TX_BU_ 256 : BMS,VCU;",
    'VAL_TABLE_ T 0 "a" 1 "b" ;',
]


@st.composite
def mutated(draw: st.DrawFn) -> str:
    """Real lines: dropped, repeated, out of order, and with characters replaced."""
    lines = draw(st.lists(st.sampled_from(LINES), max_size=25)) if draw(st.booleans()) else list(LINES)
    text = "\n".join(lines)
    for _ in range(draw(st.integers(0, 4))):
        if not text:
            break
        at = draw(st.integers(0, len(text) - 1))
        length = draw(st.integers(0, 8))
        text = text[:at] + draw(st.text('0123456789|@+-()[]"MmSG_BO;:, \nx', max_size=6)) + text[at + length :]
    return text


@given(text=mutated(), strict=st.booleans())
def test_mutated_databases_load_or_are_refused_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, *, text: str, strict: bool
) -> None:
    path = write(tmp_path_factory.mktemp("fuzz"), text)
    try:
        database = load_database(path, strict=strict)
    except RigError as error:
        refused = error.problems
    else:
        refused = ()
        assert isinstance(database, Database)
        assert database.messages
        assert lay_out(database.messages, ()).plan.rows_per_frame >= 1
    assert all(problem.found and problem.allowed for problem in refused)


@given(st.integers(0, 63), st.integers(1, 64))
def test_both_byte_orders_of_a_signal_cover_its_length_in_bits(start_bit: int, length: int) -> None:
    for big_endian in (False, True):
        signal = Signal("S", start_bit, length, big_endian=big_endian)
        assert length == signal.bits.bit_count()
        assert signal.bits >> start_bit & 1


def test_a_big_endian_signal_runs_from_its_highest_bit_into_the_next_byte() -> None:
    signal = Signal("S", start_bit=3, length=6, big_endian=True)
    assert 0b1100_0000_0000_1111 == signal.bits
    assert signal.fits(2)
    assert not signal.fits(1)
