# SPDX-License-Identifier: Apache-2.0
"""Opening what a person pokes: a virtual rig in real time or a bench, and ending it with a judged run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from harness.bench.file import is_bench_file, load_bench
from harness.bench.live import LiveRig, VirtualRealtime
from harness.bench.shell import Shell
from harness.clock import WallClock
from harness.errors import UsageError
from harness.faults.check import Bounds
from harness.observation import Observation
from harness.requirements.judge import judge_all
from harness.rig import find_rig, load_rig
from harness.rig.compose import bounds_of
from harness.rig.file import Rig
from harness.rig.plan import describe
from harness.rig.session import Run
from harness.scenario import Start
from harness.trace import Mark
from harness.verdict import Outcome, Verdict


@dataclass(frozen=True, slots=True)
class Opened:
    """A rig that runs, and how a scenario file names it."""

    live: LiveRig
    name: str


@contextmanager
def opened(reference: str, ports: Mapping[str, str], start: Start) -> Iterator[Opened]:
    """A rig by path or name, or a bench by path. Every way out leads to the safe state.

    Raises UsageError, RigError, FirmwareError, BenchError before anything is energised where that can be known.
    """
    path = Path(reference)
    if path.is_file() and is_bench_file(path):
        with _bench(path, ports, start) as live:
            yield Opened(live, _named(live, ""))
        return
    if ports:
        raise UsageError(f"--port {', '.join(ports)}: {reference} is a virtual rig and has no ports; a bench file has")
    rig = load_rig(find_rig(reference))
    rig.read_all()  # so that the problems of all its files are told at once
    with VirtualRealtime(rig, WallClock(), start=start) as live:
        yield Opened(live, _named(live, reference))


def bounds_at(reference: str, ports: Mapping[str, str]) -> Bounds:
    """What bounds the faults of a rig or of the rig on a bench. Raises RigError with every problem of its files."""
    path = Path(reference)
    bench = path.is_file() and is_bench_file(path)
    rig = load_bench(path, ports).rig if bench else load_rig(find_rig(reference))
    rig.read_all()
    return bounds_of(rig)


@contextmanager
def _bench(path: Path, ports: Mapping[str, str], start: Start) -> Iterator[LiveRig]:
    from harness.bench.energise import energised  # noqa: PLC0415 - instruments are not needed for a virtual rig

    with energised(load_bench(path, ports)) as bench, bench.session() as session:
        yield session.live(start)


def _named(live: LiveRig, reference: str) -> str:
    """The rig as a scenario may name it from any folder: a shipped rig by its name, any other by its whole path."""
    return reference if reference and not Path(reference).is_file() else str(live.rig.path)


def ended(shell: Shell, error: str) -> Run:
    """What was done by hand as a run that is still to be judged; called while the rig is open."""
    scenario = shell.scenario()
    actions = [Mark(action.at_s, describe(action)) for action in scenario.actions]
    marks = sorted((*actions, *shell.marks), key=lambda mark: mark.t_s)
    trace = shell.record.trace(scenario, marks, {}, error)
    timing_s, boot_s = float(trace.header["timing_s"]), float(trace.header["boot_s"])
    observation = Observation(trace, shell.live.rig.profile, timing_s=timing_s, boot_s=boot_s)
    return Run(scenario, trace, observation, (), error, shell.live.now_s)


def judged(run: Run, rig: Rig) -> Run:
    """The run with its verdicts; takes its time, so the rig should be closed by then."""
    requirements = rig.requirements
    if run.error:
        verdicts = tuple(Verdict(item.id, Outcome.ERROR, reason=run.error) for item in requirements)
    else:
        verdicts = judge_all(requirements, run.observation)
    return replace(run, verdicts=verdicts)
