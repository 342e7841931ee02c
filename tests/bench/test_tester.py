# SPDX-License-Identifier: Apache-2.0
"""The diagnostic tester on a bus: the shipped controller answers over a wire of memory, as fast as the machine can."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pytest
from click.testing import CliRunner

from harness.bench.serve import ServedController
from harness.bench.tester import DiagnosticTester
from harness.canbus import uds
from harness.canbus.diagnostics import Diagnostics
from harness.canbus.portmodel import PortFrame
from harness.cli import cli
from harness.cli.uds import requests_of, told
from harness.clock import ManualClock
from harness.errors import BenchError, UsageError
from harness.rig import find_rig, load_rig
from harness.rig.file import Rig
from tests.bench.inprocess import SharedClock, WirePort, wire

RESPONSE = 0x7E8
NS_PER_S = 1_000_000_000


@pytest.fixture(scope="module")
def rig() -> Rig:
    return load_rig(find_rig("ebus-lfp"))


@pytest.fixture(scope="module")
def diagnostics(rig: Rig) -> Diagnostics:
    assert rig.profile.diagnostics is not None
    return rig.profile.diagnostics


@pytest.fixture
def tester(rig: Rig, diagnostics: Diagnostics) -> Iterator[DiagnosticTester]:
    clock = SharedClock()
    near, far = wire(clock)
    with ServedController(rig, far, None, clock, rest_bus=True) as served:
        clock.served = served
        clock.sleep_until_ns(clock.now_ns() + 3_000_000_000)
        yield DiagnosticTester(near, clock, diagnostics)


def test_codes_are_read_in_several_frames_and_cleared(tester: DiagnosticTester) -> None:
    before = tester.ask(uds.READ_CODES)
    assert before.positive
    assert before.status is not None
    assert 0.0 < before.answer_s < 0.05
    assert len(before.answer) > 7  # several frames
    assert tester.ask(uds.CLEAR_CODES).answer == b"\x54"
    after = tester.ask(uds.READ_CODES)
    assert after.status is not None
    assert {0x50} == set(after.status.values())  # nothing tested since


def test_values_and_texts_are_read_and_told(tester: DiagnosticTester, diagnostics: Diagnostics) -> None:
    voltage = tester.ask(*requests_of("read", ("pack_voltage_v",), diagnostics))
    assert 500.0 < voltage.values["pack_voltage_v"] < 700.0
    assert [f"pack_voltage_v = {voltage.values['pack_voltage_v']:.6g}"] == told(voltage, diagnostics)
    serial = tester.ask(*requests_of("read", ("F18C",), diagnostics))
    assert ['0xF18C = 52 45 46 30 30 30 30 30 30 31  "REF0000001"'] == told(serial, diagnostics)


def test_a_request_of_several_frames_is_sent(tester: DiagnosticTester) -> None:
    answer = tester.ask(bytes.fromhex("22 F1 89 F1 8C 02 00 02 01 02 03 F1 86"))
    assert answer.positive
    assert len(answer.answer) > 30


def test_a_reset_needs_its_session_and_a_refusal_says_why(tester: DiagnosticTester, diagnostics: Diagnostics) -> None:
    refused = tester.ask(uds.HARD_RESET)
    assert 0x7F == refused.refused
    assert ["11 01: refused, service not supported in this session (0x7F)"] == told(refused, diagnostics)
    assert [True, True] == [tester.ask(request).positive for request in requests_of("reset", (), diagnostics)]


class Scripted(WirePort):
    """A controller that answers by a table: request frames to what it sends for each, "3: 02 51 01" after 3 s."""

    def __init__(self, clock: ManualClock, answers: dict[str, list[str]]) -> None:
        super().__init__(clock)
        self._due: list[PortFrame] = []
        self._answers = {bytes.fromhex(asked): told for asked, told in answers.items()}

    def send(self, frame: PortFrame) -> None:
        super().send(frame)
        for text in self._answers.get(frame.data.rstrip(b"\xcc"), []):
            later_s, _, data = text.rpartition(":")
            due_ns = self._clock.now_ns() + round(float(later_s or 0.0) * NS_PER_S)
            self._due.append(PortFrame(due_ns, RESPONSE, bytes.fromhex(data)))

    def receive(self) -> Sequence[PortFrame]:
        due = [frame for frame in self._due if frame.t_ns <= self._clock.now_ns()]
        self._due = [frame for frame in self._due if frame not in due]
        return due


Ask = Callable[[bytes, dict[str, list[str]]], uds.Exchange]


@pytest.fixture
def ask(diagnostics: Diagnostics) -> Ask:
    def asked(request: bytes, answers: dict[str, list[str]]) -> uds.Exchange:
        clock = ManualClock()
        return DiagnosticTester(Scripted(clock, answers), clock, diagnostics).ask(request)

    return asked


def test_nobody_answers(ask: Ask) -> None:
    with pytest.raises(BenchError, match=r"no answer to 3E 00 within 1 s on identifier 0x7E8"):
        ask(uds.TESTER_PRESENT, {})


def test_an_answer_that_breaks_off_is_none(ask: Ask) -> None:
    with pytest.raises(BenchError, match="no answer to 19 02 FF"):
        ask(uds.READ_CODES, {"03 19 02 FF": ["10 0B 59 02 7F 1A 12 00"]})


def test_response_pending_is_waited_for_and_other_services_are_not_taken_for_the_answer(ask: Ask) -> None:
    answer = ask(uds.HARD_RESET, {"02 11 01": ["03 7F 11 78", "1.0: 02 7E 00", "3.0: 02 51 01"]})
    assert b"\x51\x01" == answer.answer


def test_answers_to_others_do_not_put_off_the_end_of_waiting(ask: Ask) -> None:
    others = [f"{0.5 * number}: 02 7E 00" for number in range(1, 10)]
    with pytest.raises(BenchError, match="no answer to 11 01 within 1 s"):
        ask(uds.HARD_RESET, {"02 11 01": [*others, "4.8: 02 51 01"]})


def test_a_controller_that_does_not_take_a_long_request_is_told(ask: Ask) -> None:
    long = bytes(20)
    with pytest.raises(BenchError, match="does not take the 20 bytes"):
        ask(long, {"10 14 00 00 00 00 00 00": ["32 00 00"]})


@pytest.mark.parametrize(
    ("action", "words", "reason"),
    [
        ("read", (), "read takes data identifiers"),
        ("read", ("pack",), "'pack' is no identifier"),
        ("read", ("12345",), "'12345' is no identifier"),
        ("session", ("programming",), "session 'programming' is none"),
        ("send", ("1",), "'1' is no request"),
        ("clear", ("all",), "clear takes no further word"),
    ],
)
def test_what_is_no_request_is_refused(
    diagnostics: Diagnostics, action: str, words: tuple[str, ...], reason: str
) -> None:
    with pytest.raises(UsageError, match=reason):
        requests_of(action, words, diagnostics)


def test_the_command_says_what_it_misses() -> None:
    nobody = CliRunner().invoke(cli, ["uds", "ebus-lfp", "read-dtcs"])
    assert 2 == nobody.exit_code
    assert "no adapter to ask on" in nobody.stderr


def test_codes_are_told_with_fault_and_status(diagnostics: Diagnostics) -> None:
    answer = bytes.fromhex("59 02 7F 1A 12 00 2F 1A 13 00 50")
    exchange = uds.exchange_of(uds.READ_CODES, answer, diagnostics, answer_s=0.01, complete_s=0.02)
    first, last = told(exchange, diagnostics)
    assert first.split() == [
        "P1A12-00",
        "0x2F",
        "fault.hvil",
        "testFailed,",
        "testFailedThisOperationCycle,",
        "pendingDTC,",
        "confirmedDTC,",
        "testFailedSinceLastClear",
    ]
    assert "1 further codes not tested yet" == last
