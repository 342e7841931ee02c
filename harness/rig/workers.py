# SPDX-License-Identifier: Apache-2.0
"""Plays scenarios in worker processes: in parallel, and so that a firmware that takes its process down hurts no other.

Every worker has its own session. Results come in the order the scenarios were given, whatever the number of workers.
A worker that dies or does not answer in time makes its scenario an ERROR with the place the sanitizer named, or the
last line it wrote; it is replaced and the others go on.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

from harness.clock import NS_PER_S, WallClock
from harness.errors import FirmwareError
from harness.rig.file import Rig
from harness.rig.flow import Flow
from harness.rig.jobs import Batch, BatchJob, Generated, GeneratedJob, Job, ScenarioJob
from harness.rig.process import Worker, WorkerOptions
from harness.rig.session import Run, Session, build_libraries
from harness.rig.surveys import Sighting, SurveyJob
from harness.scenario import Scenario
from harness.search.moves import Aim, Space
from harness.search.runner import Case
from harness.search.sequences import aim_of

BATCH = 16  # scenarios summed up by a worker before it answers
LIMIT_S = 60.0
START_LIMIT_S = 300.0  # to load and boot, on a machine that is busy
MAX_FAILED_STARTS = 3  # in a row

Answer = TypeVar("Answer")


class LocalRunner:
    """A `search.runner.Runner` in this process."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def run(self, scenario: Scenario) -> Case:
        """Play and judge; nothing of the recording is kept."""
        run = self._session.run(scenario, keep=False)
        return Case(scenario, run.verdicts, run.error, run.trace.faults, self._session.take_footprint())


class Pool:
    """Worker processes for one rig. A context manager; leaving it ends the workers.

    `jobs` None = one a processor. `limit_s` is the wall-clock time a worker may take for what it was asked. `firmware`
    is a library that was built already, instead of the rig's own.
    """

    def __init__(
        self,
        rig: Rig,
        *,
        jobs: int | None = None,
        sanitize: bool = False,
        defect: int = 0,
        limit_s: float = LIMIT_S,
        firmware: Path | None = None,
    ) -> None:
        self.jobs = jobs or available_processors()
        self._rig = rig
        self._options = WorkerOptions(rig=rig.path, sanitize=sanitize, defect=defect, firmware=firmware)
        self._limit_s = limit_s
        self._clock = WallClock()
        self._workers: list[Worker] = []
        self._failed_starts = 0
        self._built = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all workers, whatever they are doing."""
        for worker in self._workers:
            worker.kill()
        self._workers.clear()

    def run(self, scenario: Scenario) -> Case:
        """One scenario: a `search.runner.Runner`."""
        return next(iter(self.map([scenario])))

    def map(self, scenarios: Iterable[Scenario]) -> Iterator[Case]:
        """Play scenarios; their cases come in the order given. Scenarios are drawn as workers become free.

        Raises FirmwareError or RigError when no worker can start, or a scenario cannot be played.
        """
        return self._stream(ScenarioJob(scenario) for scenario in scenarios)

    def sums(self, scenarios: Iterable[Scenario]) -> Iterator[Batch]:
        """Play many scenarios; their sums come in the order given, a few scenarios each. Much cheaper than `map`.

        Raises as `map` does.
        """
        return self._stream(BatchJob(batch) for batch in _batches(scenarios))

    def surveys(self, scenarios: Iterable[Scenario]) -> Iterator[tuple[Sighting, ...]]:
        """Play many scenarios; what each of them showed, in the order given, a few scenarios at a time.

        Raises as `map` does.
        """
        return self._stream(SurveyJob(batch) for batch in _batches(scenarios))

    def generate(self, searched: Space, seed: int, n: int, *, aims: Sequence[Aim] = ()) -> Iterator[Batch]:
        """The sums over the first `n` scenarios of `search.sequences.generate`, a few each, in their order.

        The workers generate what they play: `searched` must be the space of this rig. Raises as `map` does.
        """
        ranges = (range(first, min(first + BATCH, n)) for first in range(0, n, BATCH))
        made = (
            Generated(searched, seed, numbers, tuple(aim_of(aims, number) for number in numbers)) for numbers in ranges
        )
        return self._stream(GeneratedJob(scenarios) for scenarios in made)

    def _stream(self, jobs: Iterator[Job[Answer]]) -> Iterator[Answer]:
        flow = Flow(self, jobs)
        try:
            for answers in flow:
                yield from answers
        finally:
            flow.abandon()

    # ---- for Flow

    @property
    def workers(self) -> tuple[Worker, ...]:
        """The workers that run."""
        return tuple(self._workers)

    def start_worker(self) -> Worker:
        """A new worker, starting up. The first one waits for the build, so that it is done once."""
        if not self._built and self._options.firmware is None:
            build_libraries(self._rig, sanitize=self._options.sanitize, defects=self._options.defect != 0)
            self._built = True
        worker = Worker(self._options, now_ns=self.now_ns())
        self._workers.append(worker)
        return worker

    def drop(self, worker: Worker) -> None:
        """End one worker."""
        worker.kill()
        if worker in self._workers:
            self._workers.remove(worker)

    def now_ns(self) -> int:
        """The wall clock limits are measured with."""
        return self._clock.now_ns()

    def limit_s_of(self, worker: Worker) -> float:
        """How long it may take for what it does now: start, or answer."""
        return self._limit_s if worker.ready else START_LIMIT_S

    def deadline_ns(self, worker: Worker) -> int:
        """When it must have said something."""
        return worker.busy_since_ns + int(self.limit_s_of(worker) * NS_PER_S)

    def started(self) -> None:
        """A worker has played something."""
        self._failed_starts = 0

    def failed_to_start(self, why: str) -> None:
        """Give up when workers die again and again before they played anything."""
        self._failed_starts += 1
        if self._failed_starts > MAX_FAILED_STARTS:
            raise FirmwareError(f"worker processes die before the first scenario: {why}")


def with_sanitizer(rig: Rig, run: Run) -> Run:
    """The same run with the finding of a sanitizer build, which is played beside it in a worker, if there is one."""
    if run.error:
        return run
    with Pool(rig, jobs=1, sanitize=True) as pool:
        case = pool.run(run.scenario)
    return replace(run, verdicts=case.verdicts, error=case.error) if case.error else run


def available_processors() -> int:
    """Processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def _batches(scenarios: Iterable[Scenario]) -> Iterator[tuple[Scenario, ...]]:
    source = iter(scenarios)
    while batch := tuple(islice(source, BATCH)):
        yield batch
