# SPDX-License-Identifier: Apache-2.0
"""A rig on a bench: plays scenarios on the real controller and judges them as `harness.rig.session.Session` does.

    with open_port(settings, clock) as port, open_rack(...) as rack:
        with BenchSession(bench, port, rack, clock=clock) as session:
            run = session.run(scenario)

Order of energising: identify, guardian, live check, arm, run, safe state, release of the guardian. Every way out of the
context leads to the safe state: its end, an exception, Ctrl-C, a lost adapter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, Self

from harness.bench.file import Bench
from harness.bench.live import LiveRig
from harness.bench.machine import FrameLog, Instruments
from harness.canbus.portmodel import CanPort
from harness.clock import Clock
from harness.errors import BenchError
from harness.requirements.model import Requirement
from harness.rig.session import Run
from harness.scenario import Scenario, Start


class Watch(Protocol):
    """What the session needs of a guardian that was started."""

    def beat(self) -> None:
        """The harness is alive; once a tick."""
        ...

    def release(self) -> None:
        """The bench is in its safe state: the guardian may go."""
        ...


class BenchSession:
    """A controller on a bench. A context manager: `__enter__` energises, `__exit__` leads to the safe state.

    `guardian` starts the guardian when instruments are identified; `live_check` is called before anything is energised
    and raises BenchError when the pack is live already; `on_failure` is told once why the bench failed (the latch).
    Raises BenchError when the bench does not do what it is asked; `run` returns a Run with an error for one that breaks
    off in the middle, and raises the BenchError when called again.
    """

    failure: BenchError | None

    def __init__(
        self,
        bench: Bench,
        port: CanPort,
        rack: Instruments,
        *,
        clock: Clock,
        recorder: FrameLog | None = None,
        guardian: Callable[[], Watch] | None = None,
        live_check: Callable[[], None] | None = None,
        on_failure: Callable[[BenchError], None] | None = None,
    ) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        raise NotImplementedError

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The rig's, widened by what the instruments may err by."""
        raise NotImplementedError

    def check(self, scenario: Scenario) -> None:
        """Raise RigError with every fault of the scenario that a bench cannot make. Touches nothing."""
        raise NotImplementedError

    def run(self, scenario: Scenario, *, keep: bool = True) -> Run:
        """Play and judge one scenario. Raises RigError as `check` before anything happens."""
        raise NotImplementedError

    def live(self, start: Start = "standby") -> LiveRig:
        """The bench by hand, from a start state on. Not while a scenario runs."""
        raise NotImplementedError
