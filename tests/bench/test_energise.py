# SPDX-License-Identifier: Apache-2.0
"""A bench is energised in one order, and every way out leads to outputs off; the guardian in here is a real one."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, cast

import pytest

from harness.bench.energise import Parts, ask_person, energised
from harness.bench.file import Bench
from harness.bench.latch import Latch, LatchedError
from harness.bench.signals import orderly_end
from harness.canbus.portmodel import CanPort, PortFrame, PortSettings, PortStatus
from harness.clock import Clock, WallClock
from harness.errors import BenchError
from harness.instruments.model import Inputs, Outputs
from harness.instruments.rack import Rack
from harness.instruments.safestep import SafeStep
from harness.kernel.bustypes import NodeState

MakeBench = Callable[..., Bench]


@dataclass
class Stage:
    """What happened, in order; and what is to go wrong."""

    log: list[str] = field(default_factory=list)
    port_error: str = ""
    identify_error: str = ""
    safe_error: str = ""
    outputs: Outputs | None = field(default_factory=Outputs)

    def __post_init__(self) -> None:
        self.wire, self.instrument = socket.socketpair()

    def close(self) -> None:
        self.wire.close()
        self.instrument.close()

    def received(self) -> bytes:
        """What the guardian wrote to the instrument."""
        self.instrument.setblocking(False)  # noqa: FBT003 - the library's own signature
        try:
            return self.instrument.recv(1000)
        except BlockingIOError:
            return b""

    def parts(self, latches: Path) -> Parts:
        return Parts(
            port=self.open_port,
            rack=lambda *_, **__: cast("Rack", FakeRack(self)),
            session=lambda *arguments, **options: FakeSession(self, *arguments, **options),
            latch=lambda path: Latch(path, latches),
        )

    def open_port(self, settings: PortSettings, _clock: Clock) -> CanPort:
        self.log.append(f"open {settings.interface} at {settings.bitrate}")
        if self.port_error:
            raise BenchError(self.port_error)
        return FakePort(self)


class HastyClock(WallClock):
    """Real time in which nobody sleeps: listening for a second is over at once."""

    def __init__(self) -> None:
        self._skipped_ns = 0

    def now_ns(self) -> int:
        return super().now_ns() + self._skipped_ns

    def sleep_until_ns(self, when_ns: int) -> None:
        self._skipped_ns += max(0, when_ns - self.now_ns())


class FakePort:
    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def send(self, frame: PortFrame) -> None:
        pass

    def receive(self) -> list[PortFrame]:
        return []

    def fileno(self) -> int | None:
        return None

    def status(self) -> PortStatus:
        return PortStatus(NodeState.ERROR_ACTIVE)

    def close(self) -> None:
        self._stage.log.append("close port")


class FakeRack:
    accuracy: Mapping[str, float] = {}
    latency_s = 0.0
    instruments = ()

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def identify(self) -> dict[str, str]:
        self._stage.log.append("identify")
        if self._stage.identify_error:
            raise BenchError(self._stage.identify_error)
        return {}

    def arm(self, inputs: Inputs | None = None) -> None:
        del inputs
        self._stage.log.append("arm")

    def apply(self, inputs: Inputs) -> None:
        pass

    def poll(self) -> Outputs | None:
        return self._stage.outputs

    def safe(self) -> None:
        self._stage.log.append("safe")
        if self._stage.safe_error:
            raise BenchError(self._stage.safe_error)

    def is_off(self) -> bool:
        return True

    def safe_plan(self) -> list[SafeStep]:
        return [SafeStep("cells", self._stage.wire.fileno(), b"OUTP OFF\n")]

    def close(self) -> None:
        self._stage.log.append("close rack")


class FakeSession:
    """The order of a bench session, without a controller. Raises what it is told to inside `run`."""

    def __init__(self, stage: Stage, _bench: Bench, _port: CanPort, rack: Any, **options: Any) -> None:
        self._stage, self._rack, self._options = stage, rack, options
        self._watch: Any = None

    def __enter__(self) -> Self:
        self._rack.identify()
        self._watch = self._options["guardian"]()
        self._stage.log.append("guardian")
        self._options["live_check"]()
        self._stage.log.append("not live")
        return self

    def run(self, error: BaseException | None = None) -> None:
        self._rack.arm()
        self._watch.beat()
        if error is not None:
            raise error

    def __exit__(self, *_: object) -> None:
        self._rack.safe()
        self._watch.release()


@pytest.fixture
def stage() -> Iterator[Stage]:
    with closing(Stage()) as it:
        yield it


@pytest.fixture
def play(stage: Stage, make_bench: MakeBench, tmp_path: Path) -> Callable[..., Any]:
    @contextmanager
    def opened() -> Iterator[Any]:
        bench = make_bench()
        with energised(bench, clock=HastyClock(), run="runs/1", parts=stage.parts(tmp_path)) as it, it.session() as one:
            yield one

    return opened


@pytest.fixture
def latch(make_bench: MakeBench, tmp_path: Path) -> Latch:
    return Latch(make_bench().path, tmp_path)


def test_the_order_is_ports_identity_guardian_live_check_arm_safe_close(stage: Stage, play: Any, latch: Latch) -> None:
    with play() as session:
        session.run()
    order = ["open virtual at 500000", "identify", "guardian", "not live", "arm", "safe", "close rack", "close port"]
    assert order == stage.log
    assert latch.events() == ()
    assert stage.received() == b""  # the guardian had nothing to do


def test_a_latched_bench_is_not_even_opened(stage: Stage, play: Any, latch: Latch) -> None:
    latch.set("cells stopped answering")
    with pytest.raises(LatchedError, match="cells stopped answering"), play():
        pass
    assert stage.log == []


def test_a_port_or_an_instrument_that_is_not_as_expected_is_refused_and_does_not_latch(
    stage: Stage, play: Any, latch: Latch
) -> None:
    stage.identify_error = "cells: Example Model 1 is no Bloomy ABS"
    with pytest.raises(BenchError, match="no Bloomy ABS"), play():
        pass
    assert "arm" not in stage.log
    stage.port_error = "no such adapter"
    with pytest.raises(BenchError, match="no such adapter"), play():
        pass
    assert latch.events() == ()


def test_a_live_pack_is_refused_before_anything_is_armed(stage: Stage, play: Any, latch: Latch) -> None:
    stage.outputs = Outputs(contactor_positive=True)
    with pytest.raises(BenchError, match="live already"), play():
        pass
    assert "arm" not in stage.log
    assert latch.events() == ()


def test_a_bench_that_fails_goes_to_the_safe_state_and_latches_with_its_run(
    stage: Stage, play: Any, latch: Latch
) -> None:
    with pytest.raises(BenchError, match="adapter lost"), play() as session:
        session.run(BenchError("adapter lost"))
    assert stage.log[-3:] == ["safe", "close rack", "close port"]
    (event,) = latch.events()
    assert (event["reason"], event["run"]) == ("adapter lost", "runs/1")


def test_an_interrupt_and_a_bug_lead_to_the_safe_state_and_do_not_latch(stage: Stage, play: Any, latch: Latch) -> None:
    for error in (KeyboardInterrupt(), ZeroDivisionError()):
        with pytest.raises(type(error)), play() as session:
            session.run(error)
        assert stage.log[-3:] == ["safe", "close rack", "close port"]
    assert latch.events() == ()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_that_ends_programs_leads_to_the_safe_state(stage: Stage, play: Any, number: int) -> None:
    before = signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt), play() as session:  # noqa: PT012 - the signal is what is tried
        session.run()
        os.kill(os.getpid(), number)
    assert stage.log[-3:] == ["safe", "close rack", "close port"]
    assert signal.getsignal(number) is before


def test_when_the_safe_state_is_not_reached_the_guardian_puts_outputs_off_and_the_bench_latches(
    stage: Stage, play: Any, latch: Latch
) -> None:
    stage.safe_error = "cells do not answer"
    with pytest.raises(BenchError), play() as session:
        session.run()
    assert stage.received() == b"\nOUTP OFF\n"
    assert any("do not answer" in event["reason"] for event in latch.events())


def test_outputs_are_put_off_although_the_latch_cannot_be_written(
    stage: Stage, play: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(*_: object, **__: object) -> None:
        raise BenchError("no space left")

    def bug(_: FakeRack) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Latch, "set", full_disk)
    monkeypatch.setattr(FakeRack, "safe", bug)
    with pytest.raises(BenchError, match="no space left"), play() as session:
        session.run()
    assert stage.received() == b"\nOUTP OFF\n"


def test_outputs_that_even_the_guardian_cannot_get_off_are_told_to_a_person(
    stage: Stage, play: Any, latch: Latch
) -> None:
    stage.safe_error = "cells do not answer"
    stage.instrument.close()
    with pytest.raises(BenchError, match=r"not proven off: cells NOT OFF.*by hand"), play() as session:
        session.run()
    assert any("not proven off" in event["reason"] for event in latch.events())


def test_a_second_signal_does_not_disturb_the_way_to_the_safe_state() -> None:
    steps = []
    with pytest.raises(KeyboardInterrupt), orderly_end():  # noqa: PT012 - the second signal comes on the way out
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGHUP)
            steps.append("outputs off")
    assert steps == ["outputs off"]


def test_the_end_of_the_input_is_no_answer_of_a_person(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    with os.fdopen(reader) as line:
        monkeypatch.setattr("sys.stdin", line)
        os.write(writer, b"A. Weber\n")
        assert ask_person("your name: ") == "A. Weber"
        os.close(writer)
        with pytest.raises(BenchError, match=r"nobody answered 'switch off all:':.*terminal"):
            ask_person("switch off all: ")
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(BenchError, match="terminal"):
        ask_person("your name: ")


def test_ctrl_z_does_not_freeze_an_energised_harness() -> None:
    with orderly_end():
        os.kill(os.getpid(), signal.SIGTSTP)  # would stop this process
        assert signal.getsignal(signal.SIGTSTP) is signal.SIG_IGN
