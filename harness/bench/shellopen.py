# SPDX-License-Identifier: Apache-2.0
"""Opening what a person pokes: a virtual rig in real time or a bench, and ending it with a judged run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.bench.file import Bench, is_bench_file, load_bench
from harness.bench.live import LiveRig, VirtualRealtime
from harness.bench.shell import Shell
from harness.bench.verdicts import bench_requirements, bench_verdicts, is_of_bench
from harness.clock import WallClock
from harness.errors import RigError, UsageError
from harness.faults.check import Bounds
from harness.observation import Observation
from harness.requirements.judge import judge_all
from harness.rig import find_rig, load_rig, shipped_rigs
from harness.rig.compose import bounds_of
from harness.rig.file import Rig
from harness.rig.plan import describe
from harness.rig.rundir import RunDirectory
from harness.rig.session import Run
from harness.scenario import Action, FaultAction, Scenario, Start
from harness.trace import Mark
from harness.verdict import Outcome, Verdict

if TYPE_CHECKING:
    from harness.bench.preflight import Preflight

RUNS = Path("runs")  # where a bench is recorded when nobody says where
_FORESEEN_S = 4.0  # how long an order is looked at on the virtual plant


@dataclass(frozen=True, slots=True)
class Opened:
    """A rig that runs, how a scenario file names it, and where the bus is being recorded.

    `refuse` raises RigError for an order that would lead a bench out of its envelope; it gets the reported state too.
    """

    live: LiveRig
    name: str
    refuse: Callable[[Action, str], None]
    directory: RunDirectory | None = None


@contextmanager
def opened(reference: str, ports: Mapping[str, str], start: Start, out: Path | None) -> Iterator[Opened]:
    """A rig by path or name, or a bench by path. Every way out leads to the safe state.

    Raises UsageError, RigError, FirmwareError, BenchError before anything is energised where that can be known.
    """
    path = Path(reference)
    if path.is_file() and is_bench_file(path):
        with _bench(load_bench(path, ports), start, out) as bench:
            yield bench
        return
    if ports:
        raise UsageError(f"--port {', '.join(ports)}: {reference} is a virtual rig and has no ports; a bench file has")
    rig = load_rig(find_rig(reference))
    rig.read_all()  # so that the problems of all its files are told at once
    with VirtualRealtime(rig, WallClock(), start=start) as live:
        yield Opened(live, _named(rig), lambda *_: None)


def bounds_at(reference: str, ports: Mapping[str, str]) -> Bounds:
    """What bounds the faults of a rig or of the rig on a bench. Raises RigError with every problem of its files."""
    path = Path(reference)
    bench = path.is_file() and is_bench_file(path)
    rig = load_bench(path, ports).rig if bench else load_rig(find_rig(reference))
    rig.read_all()
    return bounds_of(rig)


@contextmanager
def _bench(bench: Bench, start: Start, out: Path | None) -> Iterator[Opened]:
    from harness.bench.energise import energised  # noqa: PLC0415 - instruments are not needed for a virtual rig
    from harness.bench.preflight import Preflight  # noqa: PLC0415 - see above
    from harness.canbus.livelog import LiveLog  # noqa: PLC0415 - see above

    clock = WallClock()
    with Preflight(bench) as preflight, RunDirectory.create(out or RUNS, bench.name) as directory:
        foresight = Foresight(preflight, bench.rig)
        foresight.require(start)
        with (
            energised(bench, clock=clock, run=str(directory.path)) as parts,
            LiveLog(directory.path, clock, formats=bench.file.recording.also) as recording,
            parts.session(recorder=recording) as session,
        ):
            live = session.live(start)
            parts.watch.busy()  # until the first tick of the shell
            yield Opened(live, _named(bench.rig), foresight.refuse, directory)


class Foresight:
    """Tries every order alone on the virtual plant before the bench is given it: the order in which things are typed
    is not known before, so what several do together only the drivers refuse.
    """

    def __init__(self, preflight: Preflight, rig: Rig) -> None:
        self._preflight, self._rig = preflight, rig.name

    def require(self, start: Start) -> None:
        """Refuse a start state that leaves the envelope; those a person may get to are looked at too, but for time."""
        for state in dict.fromkeys((start, *_STATES)):
            prediction = self._preflight.predict(Scenario(rig=self._rig, start=state, duration_s=1.0))
            if prediction.problems and state == start:
                raise RigError(prediction.problems)

    def refuse(self, action: Action, state: str) -> None:
        """Raise RigError with the number for an order that would lead out of the envelope."""
        start: Start = next((known for known in _STATES if known == state), "standby")
        ramp_s = action.parameters.get("ramp_s", 0.0) if isinstance(action, FaultAction) else 0.0
        scenario = Scenario(
            rig=self._rig,
            title="this order alone",
            start=start,
            duration_s=_FORESEEN_S + float(ramp_s),
            action=(action,),
        )
        problems = self._preflight.predict(scenario).problems
        if problems:
            raise RigError(problems)


_STATES: tuple[Start, ...] = ("standby", "drive", "charge")


def _named(rig: Rig) -> str:
    """The rig as a scenario may name it from any folder: a shipped rig by its name, any other by its whole path."""
    return rig.name if rig.path.resolve() in {path.resolve() for path in shipped_rigs()} else str(rig.path)


def ended(shell: Shell, error: str) -> Run:
    """What was done by hand as a run that is still to be judged, after `Shell.finish`."""
    scenario = shell.scenario()
    actions = [Mark(action.at_s, describe(action)) for action in scenario.actions]
    marks = sorted((*actions, *shell.marks), key=lambda mark: mark.t_s)
    trace = shell.record.trace(scenario, marks, error)
    timing_s, boot_s = float(trace.header["timing_s"]), float(trace.header["boot_s"])
    observation = Observation(trace, shell.live.rig.profile, timing_s=timing_s, boot_s=boot_s)
    return Run(scenario, trace, observation, (), error, scenario.duration_s)


def judged(run: Run, rig: Rig) -> Run:
    """The run with its verdicts; takes its time, so the rig should be closed by then."""
    if is_of_bench(run.trace):
        requirements = bench_requirements(rig, run.trace.header["accuracy"])
        return replace(run, verdicts=bench_verdicts(rig, run.trace, run.observation, requirements))
    if run.error:
        verdicts = tuple(Verdict(item.id, Outcome.ERROR, reason=run.error) for item in rig.requirements)
    else:
        verdicts = judge_all(rig.requirements, run.observation)
    return replace(run, verdicts=verdicts)
