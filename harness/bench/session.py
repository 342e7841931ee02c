# SPDX-License-Identifier: Apache-2.0
"""A rig on a bench: plays scenarios on the real controller and judges them as `harness.rig.session.Session` does.

    with open_port(settings, clock) as port, open_rack(...) as rack:
        with BenchSession(bench, port, rack, clock=clock) as session:
            run = session.run(scenario)

Order of energising: identify, guardian, live check, then for every scenario arm, run, safe state; at the end release
of the guardian. Between two scenarios the bench is in its safe state. Every way out of the context leads there: its
end, an exception, Ctrl-C, a lost adapter.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Protocol, Self

from harness.bench.file import Bench
from harness.bench.live import LiveRig, Running
from harness.bench.machine import BenchMachine, FrameLog, Instruments
from harness.bench.pacer import Lateness, Pacer
from harness.bench.refusals import bench_problems
from harness.bench.unheard import missing_between
from harness.bench.verdicts import bench_requirements, bench_verdicts
from harness.canbus.portmodel import CanPort, PortStatus
from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError, FirmwareError, RigError
from harness.firmware.builder import build_kernel
from harness.firmware.outside.controller import build_outside
from harness.kernel.bustypes import NodeState
from harness.observation import Observation
from harness.requirements.model import Requirement
from harness.rig.compose import bounds_of, kernel_config
from harness.rig.plan import Planner
from harness.rig.recording import Recorder
from harness.rig.session import Run, trace_header
from harness.rig.starts import StartState, StartStates
from harness.scenario import FaultAction, Scenario, Start
from harness.trace import Side, Trace

# What the kernel cannot know of a real controller: what it bleeds, its other pins, its CAN controller and its memory.
UNSEEN: tuple[tuple[Side, str], ...] = (
    ("output", "digital"),
    ("output", "balancing_count"),
    ("output", "can_restart"),
    ("given", "can_state"),
    ("given", "nvm_damaged"),
)


_ON_TIME = Lateness()


class Watch(Protocol):
    """What the session needs of a guardian that was started (harness.instruments.guardian.Guardian)."""

    def beat(self) -> None:
        """The harness is alive; once a tick."""
        ...

    def rest(self) -> None:
        """Outputs are off: no beats until the next one."""
        ...

    def put_off(self) -> object:
        """Put all outputs off on its own way: this process could not."""
        ...

    def release(self) -> None:
        """The bench is in its safe state: the guardian may go."""
        ...


@dataclass(frozen=True, slots=True)
class BenchRun(Run):
    """A run on a bench: how late its ticks came."""

    lateness: Lateness = _ON_TIME

    @property
    def overruns(self) -> int:
        """Ticks later than the bench file allows."""
        return self.lateness.overruns


class BenchSession:
    """A controller on a bench. A context manager: `__enter__` looks whether it may be energised, `__exit__` leads to
    the safe state.

    `guardian` starts the guardian when instruments are identified; `live_check` is called before anything is energised
    and raises BenchError when the pack is live already; `on_failure` is told once why the bench failed (the latch).
    Raises BenchError when the bench does not do what it is asked; `run` returns a Run with an error for one that breaks
    off in the middle, and raises the BenchError when called again.
    """

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
        rig = bench.rig
        rig.read_all()
        self.bench = bench
        self.failure: BenchError | None = None
        self._port, self._rack, self._clock = port, rack, clock
        self._status = PortStatus(NodeState.ERROR_ACTIVE)
        self._start_guardian, self._live_check, self._on_failure = guardian, live_check, on_failure
        self._guardian: Watch | None = None
        self._was_put_off = self._is_safe = False
        self._overrun_s = bench.file.timing.overrun_ms / 1000.0
        self._pacer = Pacer(clock, overrun_ns=round(self._overrun_s * NS_PER_S))
        self._bounds = bounds_of(rig)
        self._planner = Planner(rig.profile, self._bounds)
        self._machine = BenchMachine(
            build_kernel(),
            build_outside(),
            kernel_config(rig),
            port,
            rack,
            self._pacer,
            recorder=recorder,
            beat=self._beat,
        )
        self._header = trace_header(rig, self._machine)
        self._header |= {"bench": bench.name, "accuracy": dict(rack.accuracy), "overrun_s": self._overrun_s}
        self._recorder = Recorder(
            self._machine, rig, self._header, measured=self._measured, unseen=UNSEEN, ended=self._ended
        )
        self._starts = StartStates(self._machine, self._planner, self._recorder, rig, remembers=True)
        self._requirements = bench_requirements(rig, rack.accuracy)

    def __enter__(self) -> Self:
        try:
            self._rack.identify()
            if self._start_guardian is not None:
                self._guardian = self._start_guardian()
            if self._live_check is not None:
                self._live_check()
        except BenchError as error:
            self._fail(error)
            self._release()
            raise
        except BaseException:
            self._release()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """The safe state, then the guardian may go. Raises BenchError when the safe state is not reached."""
        self._is_safe = False  # proven again: much may have happened since the last run
        try:
            self._make_safe()
        except BenchError:
            raise
        except BaseException:  # interrupted in the middle: again, signals are ignored from the second on
            self._make_safe()
            raise
        finally:
            self._release()
            self._machine.close()

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The rig's, widened by what the instruments may err by."""
        return self._requirements

    def check(self, scenario: Scenario) -> None:
        """Raise RigError with every fault of the scenario that a bench cannot make. Touches nothing."""
        problems = bench_problems(scenario, self._bounds)
        if problems:
            raise RigError(problems)

    def run(self, scenario: Scenario, *, keep: bool = True) -> Run:
        """Play and judge one scenario. Raises RigError as `check` before anything happens."""
        self.check(scenario)
        self._begin()
        start_ns = self._clock.now_ns()
        simulation = self._machine.simulation
        try:
            reached = self._starts.restore(scenario.start)
            plan = self._planner.plan(scenario, reached.t_ns, requested=reached.requested)
            self._pacer.forget()
            self._status = self._port.status()
            simulation.reading_age_s = 0.0
            simulation.keep_errors = True
            with _uncollected():
                trace = self._recorder.play(scenario, plan, reached.t_ns, keep=keep)
            if simulation.failure is not None:
                self._fail(simulation.failure)
            self._make_safe()
        except BenchError as error:
            self._broke_off(error)
            trace = self._recorder.nothing(scenario, f"bench: {error}")
        except FirmwareError as error:
            self._make_safe()
            trace = self._recorder.nothing(scenario, str(error))
        except BaseException:
            self._make_safe()
            raise
        finally:
            simulation.keep_errors = False
        return self._judged(scenario, trace, start_ns)

    def live(self, start: Start = "standby") -> LiveRig:
        """The bench by hand, from a start state on, until its `close`. Not while a scenario runs."""
        self._begin()
        try:
            reached = self._starts.restore(start)
            self._pacer.forget()
            self._status = self._port.status()
            self._machine.simulation.reading_age_s = 0.0
            return _BenchLive(self, reached)
        except BenchError as error:
            self._broke_off(error)
            raise
        except BaseException:
            self._make_safe()
            raise

    def observe(self, trace: Trace) -> Observation:
        """What judges may look at, of a trace of this bench."""
        return self._recorder.observe(trace)

    # ---- inside

    def _judged(self, scenario: Scenario, trace: Trace, start_ns: int) -> Run:
        observation = self.observe(trace)
        verdicts = bench_verdicts(self.bench.rig, trace, observation, self._requirements)
        seconds = (self._clock.now_ns() - start_ns) / NS_PER_S
        return BenchRun(scenario, trace, observation, verdicts, trace.error, seconds, self._pacer.lateness())

    def _late_s(self, lateness: Lateness) -> float:
        """What the worst tick was later than the bench file allows."""
        return max(0.0, lateness.max_s - self._overrun_s)

    def _measured(self) -> Mapping[str, Any]:
        """The uncertainty of times: that of a virtual rig, what is allowed on the way, and what came on top."""
        lateness = self._pacer.lateness()
        way_s = self._rack.latency_s + self._machine.simulation.reading_age_s + self._overrun_s
        return {
            "timing_s": self._header["timing_s"] + way_s + self._late_s(lateness),
            "overruns": lateness.overruns,
            "late_p50_s": lateness.p50_s,
            "late_p99_s": lateness.p99_s,
            "late_max_s": lateness.max_s,
            "instrument_latency_s": self._rack.latency_s,
            "frames_missing": missing_between(self._status, self._port.status()),
            "reading_age_s": self._machine.simulation.reading_age_s,
        }

    def _ended(self) -> None:
        """A scenario is over: making its trace takes time in which nobody beats."""
        failure = self._machine.simulation.failure
        if failure is not None:
            self._fail(failure)
        with suppress(BenchError):  # it is the failure now; `run` comes here again, and tells
            self._make_safe()

    def _broke_off(self, error: BenchError) -> None:
        """Wherever it happened, outputs are not left on until the session ends."""
        self._fail(error)
        with suppress(BenchError):  # `error` is told; `close` tries again, and tells
            self._make_safe()

    def _beat(self) -> None:
        self._is_safe = False
        if self._guardian is not None:
            self._guardian.beat()

    def _make_safe(self) -> None:
        """Outputs off and read back; when this process cannot, the guardian does it.

        After a failure the guardian comes first: it writes to all instruments at once, while here each that is silent
        would keep the next waiting.
        """
        if self._is_safe:
            return
        if self.failure is not None:
            with suppress(BenchError):  # the rack is tried all the same
                self._put_off()
        try:
            self._rack.safe()
        except BenchError as error:
            try:
                self._fail(error)
            finally:  # whether that can be written down or not
                self._put_off()
            raise
        self._is_safe = True
        if self._guardian is not None:
            self._guardian.rest()

    def _put_off(self) -> None:
        if self._guardian is not None and not self._was_put_off:
            self._was_put_off = True
            self._guardian.put_off()

    def _fail(self, error: BenchError) -> None:
        """From now on nothing is energised any more."""
        if self.failure is not None:
            return
        self.failure = error
        if self._on_failure is not None:
            self._on_failure(error)

    def _begin(self) -> None:
        """What follows arms the bench: until it is proven safe again it counts as energised."""
        self._raise_failure()
        self._is_safe = False

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise BenchError(f"the bench failed before and is not energised again: {self.failure}") from self.failure

    def _release(self) -> None:
        guardian, self._guardian = self._guardian, None
        if guardian is not None:
            guardian.release()


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the garbage collector: it looks through all frames of a run again and again, 100 ms at a time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


class _BenchLive(Running):
    """A bench by hand. Made by `BenchSession.live`."""

    def __init__(self, session: BenchSession, reached: StartState) -> None:
        self._session = session
        super().__init__(
            session.bench.rig,
            session._machine,  # noqa: SLF001 - of this module
            session._planner,  # noqa: SLF001 - of this module
            session._pacer,  # noqa: SLF001 - of this module
            requested=reached.requested,
            refuse=self._refuse_fault,
        )
        self._hands.plan((), ())

    def step(self) -> None:
        """See LiveRig."""
        session = self._session
        session._raise_failure()  # noqa: SLF001 - of this module
        try:
            super().step()
        except BenchError as error:
            session._fail(error)  # noqa: SLF001 - of this module
            raise

    @property
    def unseen(self) -> tuple[tuple[Side, str], ...]:
        """See LiveRig."""
        return UNSEEN

    def header(self) -> Mapping[str, Any]:
        """See LiveRig. A pause is time in which the controller went on and the plant did not."""
        session = self._session
        measured = dict(session._measured())  # noqa: SLF001 - of this module
        late_s = max(measured["late_max_s"], self._longest_pause_s)
        measured["timing_s"] += late_s - measured["late_max_s"]
        return {**session._header, **measured, "late_max_s": late_s}  # noqa: SLF001 - of this module

    def close(self) -> None:
        """The safe state; the session can go on with another scenario."""
        self._session._make_safe()  # noqa: SLF001 - of this module

    def _refuse_fault(self, action: FaultAction) -> None:
        scenario = Scenario(rig=self.rig.name, duration_s=action.at_s + 1.0, action=(action,))
        self._session.check(scenario)
