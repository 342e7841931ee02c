# SPDX-License-Identifier: Apache-2.0
"""A whole bench in one process and without ports: the loop of the bench on one side, a served controller on the other,
wires of memory between them, one clock that moves as fast as the machine can.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.bench.pins import Pins
from harness.bench.serve import ServedController
from harness.canbus.portmodel import PortFrame, PortStatus
from harness.clock import ManualClock
from harness.errors import BenchError
from harness.instruments.model import Inputs, Outputs
from harness.kernel.bustypes import NodeState
from harness.rig.file import Rig
from harness.rig.session import Run
from harness.scenario import Scenario
from harness.verdict import Outcome

OVERVOLTAGE = {"at_s": 2.0, "fault": "cell-voltage", "cell": 17, "voltage_v": 3.80}


class SharedClock(ManualClock):
    """Time jumps to what is due next: the served controller's ticks happen while the other side sleeps.

    `late` makes the sleeper come late: it gets the time it wants to wake up at and says how much later it does, ns.
    """

    def __init__(self) -> None:
        super().__init__(1_000_000_000)
        self.served: ServedController | None = None
        self.late: Callable[[int], int] = lambda _: 0
        self._inside = False

    def sleep_until_ns(self, when_ns: int) -> None:
        if self._inside or self.served is None:
            super().sleep_until_ns(when_ns)
            return
        if when_ns > self.now_ns():
            when_ns += self.late(when_ns)
        while self.served.next_ns <= when_ns:
            self._inside = True
            super().sleep_until_ns(self.served.next_ns)
            self.served.step()
            self._inside = False
        super().sleep_until_ns(when_ns)


class WirePort:
    """One end of a CAN bus that is nothing but memory. `lost`: the adapter is pulled; `missing`: frames it overran."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.other: WirePort | None = None
        self.arrived: deque[PortFrame] = deque()
        self.sent: list[PortFrame] = []
        self.lost = False
        self.missing = 0

    def send(self, frame: PortFrame) -> None:
        self._check()
        here = replace(frame, t_ns=self._clock.now_ns(), own=False)
        self.sent.append(here)
        if self.other is not None:
            self.other.arrived.append(here)

    def receive(self) -> Sequence[PortFrame]:
        self._check()
        taken = list(self.arrived)
        self.arrived.clear()
        return taken

    def fileno(self) -> int | None:
        return None

    def status(self) -> PortStatus:
        return PortStatus(NodeState.ERROR_ACTIVE, lost=self.missing)

    def close(self) -> None:
        pass

    def _check(self) -> None:
        if self.lost:
            raise BenchError("the CAN adapter is gone: wire pulled in the test")


def wire(clock: ManualClock) -> tuple[WirePort, WirePort]:
    """Both ends of a bus."""
    one, other = WirePort(clock), WirePort(clock)
    one.other, other.other = other, one
    return one, other


class SlowPort(WirePort):
    """A port whose received frames come later, and say so."""

    def __init__(self, clock: ManualClock, inner: WirePort, delay_ns: int) -> None:
        super().__init__(clock)
        self._inner, self._delay_ns = inner, delay_ns
        self._held: deque[PortFrame] = deque()

    def send(self, frame: PortFrame) -> None:
        self._inner.send(frame)

    def receive(self) -> Sequence[PortFrame]:
        self._held.extend(replace(frame, t_ns=frame.t_ns + self._delay_ns) for frame in self._inner.receive())
        due = []
        while self._held and self._held[0].t_ns <= self._clock.now_ns():
            due.append(self._held.popleft())
        return due


class EchoPort(WirePort):
    """A port that tells when its own frames were on the wire."""

    def __init__(self, clock: ManualClock, inner: WirePort, delay_ns: int) -> None:
        super().__init__(clock)
        self._inner, self._delay_ns = inner, delay_ns
        self._echoes: list[PortFrame] = []

    def send(self, frame: PortFrame) -> None:
        self._inner.send(frame)
        self._echoes.append(replace(frame, t_ns=self._clock.now_ns() + self._delay_ns, own=True))

    def receive(self) -> Sequence[PortFrame]:
        echoes, self._echoes = self._echoes, []
        return [*echoes, *self._inner.receive()]


class WireRack:
    """Instruments that are nothing but the pins of the served controller. `calls` is what was done with it."""

    def __init__(self, accuracy: Mapping[str, float] | None = None) -> None:
        self.accuracy = accuracy or {}
        self.latency_s = 0.0
        self.age_s = 0.0
        self.calls: list[str] = []
        self.is_armed = False
        self.current: Inputs | None = None
        self.driven = Outputs()
        self.broken: Callable[[Inputs], str] = lambda _: ""
        self.unsafe = False
        self.held_cells_v: NDArray[np.float64] | None = None  # what the cells stand still at
        self.interrupted = False  # once, by the next thing that takes long

    def identify(self) -> Mapping[str, str]:
        self.calls.append("identify")
        return {"wire": "wires of memory"}

    def arm(self, inputs: Inputs | None = None) -> None:
        self.calls.append("arm")
        self.is_armed, self.current = True, inputs
        self._interrupt()

    def apply(self, inputs: Inputs) -> None:
        if not self.is_armed:
            raise AssertionError("inputs were given to instruments that are not armed")
        problem = self.broken(inputs)
        if problem:
            raise BenchError(problem)
        self.current = inputs

    def poll(self) -> Outputs | None:
        return replace(self.driven, age_s=self.age_s)

    def safe(self) -> None:
        self.calls.append("safe")
        self._interrupt()
        if self.unsafe:
            raise BenchError("the relay that takes the supply away does not answer")
        self.is_armed = False

    def _interrupt(self) -> None:
        if self.interrupted:
            self.interrupted = False
            raise KeyboardInterrupt

    # the controller's side

    def pins(self) -> Pins:
        inputs = self.current
        if not self.is_armed or inputs is None:
            return Pins(supply_connected=False)
        names = (
            "pack_current_a",
            "pack_voltage_v",
            "link_voltage_v",
            "charger_voltage_v",
            "insulation_ohm",
            "supply_v",
        )
        lines = ("ignition", "charge_plug", "hvil_closed", "crash", "aux_positive", "aux_negative", "aux_precharge")
        single: dict[str, Any] = {name: getattr(inputs, name) for name in (*names, *lines)}
        return Pins(
            cell_voltage_v=inputs.cell_voltage_v if self.held_cells_v is None else self.held_cells_v,
            open_cells=np.flatnonzero(~inputs.cell_connected).tolist(),
            cell_temp_degc=inputs.cell_temp_degc,
            open_temps=np.flatnonzero(~inputs.temp_connected).tolist(),
            current_connected=inputs.current_connected,
            supply_connected=inputs.supply_connected,
            **single,
        )

    def drive(self, outputs: Outputs) -> None:
        self.driven = outputs

    def descriptors(self) -> Sequence[int]:
        return ()

    def serve(self) -> None:
        pass


class Loop:
    """Clock, wires and the served controller of a rig."""

    def __init__(self, rig: Rig, *, accuracy: Mapping[str, float] | None = None) -> None:
        self.clock = SharedClock()
        self.port, self.far_port = wire(self.clock)
        self.rack = WireRack(accuracy)
        self.served = ServedController(rig, self.far_port, self.rack, self.clock)
        self.clock.served = self.served

    def slow_frames(self, delay_s: float) -> WirePort:
        """The near end of the bus, with everything the controller sends so much later."""
        return SlowPort(self.clock, self.port, round(delay_s * 1e9))

    def echoing(self, delay_s: float) -> WirePort:
        """The near end of the bus, with echoes of own frames that were on the wire so much later."""
        return EchoPort(self.clock, self.port, round(delay_s * 1e9))

    def close(self) -> None:
        self.clock.served = None
        self.served.close()


class FakeWatch:
    """A guardian that only writes down what it is told."""

    def __init__(self, calls: list[str]) -> None:
        self.calls = calls
        self.lost: Callable[[], bool] = lambda: False

    def start(self) -> FakeWatch:
        self.calls.append("guard")
        return self

    def beat(self) -> None:
        self.calls.append("beat")
        if self.lost():
            raise BenchError("the guardian was killed")

    def rest(self) -> None:
        self.calls.append("rest")

    def put_off(self) -> object:
        self.calls.append("put off")
        return ()

    def release(self) -> None:
        self.calls.append("release")


def scenario(*actions: dict[str, Any], **frame: Any) -> Scenario:
    return Scenario.model_validate({"rig": "ebus-lfp", "action": actions, **frame})


def outcome(run: Run, requirement: str) -> Outcome:
    return next(verdict.outcome for verdict in run.verdicts if verdict.requirement == requirement)
