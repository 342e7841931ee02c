# SPDX-License-Identifier: Apache-2.0
"""Several tasks at a time, each with a worker process of its own: one a seeded defect.

A task is a generator: it yields jobs and is sent the answers of each, one, or one for every part a job had to be
split into because it took the worker down. What a task does depends on its answers only, so that its result is the
same whatever runs beside it.
"""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from harness.clock import NS_PER_S, Clock, WallClock
from harness.errors import FirmwareError
from harness.rig.jobs import Job
from harness.rig.process import Worker, WorkerOptions

Result = TypeVar("Result")
Task = Generator[Job[Any], list[Any], Result]


class StartWorker(Protocol):
    """How a worker is started: `harness.rig.process.Worker`, or a fake."""

    def __call__(self, options: WorkerOptions, *, now_ns: int) -> Worker:
        """A new worker, starting up."""
        ...


class StartLane(Protocol):
    """The same for the options of one task."""

    def __call__(self, *, now_ns: int) -> Worker:
        """A new worker, starting up."""
        ...


LIMIT_S = 60.0  # of wall-clock time for one answer
START_LIMIT_S = 300.0
MAX_FAILED_STARTS = 3
_ONLY: tuple[int, int] = (0, 0)  # a worker of a fleet has one job at a time


@dataclass(frozen=True, slots=True)
class Finished(Generic[Result]):
    """The result of a task by its number among all, and how long it took in s of wall-clock time."""

    number: int
    result: Result
    seconds: float


class Fleet(Generic[Result]):
    """Runs up to `jobs` tasks at a time. A context manager; leaving it ends the workers that are left."""

    def __init__(
        self, *, jobs: int, limit_s: float = LIMIT_S, clock: Clock | None = None, start: StartWorker = Worker
    ) -> None:
        self._jobs = jobs
        self._start = start
        self._limit_s = limit_s
        self._clock = clock or WallClock()
        self._lanes: list[_Lane[Result]] = []

    def __enter__(self) -> Fleet[Result]:
        return self

    def __exit__(self, *_: object) -> None:
        for lane in self._lanes:
            lane.close()
        self._lanes.clear()

    def run(self, tasks: Iterable[tuple[WorkerOptions, Task[Result]]]) -> Iterator[Finished[Result]]:
        """The results in the order in which tasks end. Raises RigError or UsageError when a worker cannot do its work.

        Firmware that does not load or boot is thrown into its task as FirmwareError.
        """
        waiting = enumerate(tasks)
        while True:
            for number, (options, task) in islice(waiting, self._jobs - len(self._lanes)):
                self._lanes.append(_Lane(number, partial(self._start, options), task, self._clock, self._limit_s))
            if not self._lanes:
                return
            self._wait()
            done = [lane for lane in self._lanes if lane.finished is not None]
            for lane in done:
                lane.close()
                self._lanes.remove(lane)
            yield from [lane.finished for lane in done if lane.finished is not None]

    def _wait(self) -> None:
        """Until a worker says something, dies or runs out of time."""
        with selectors.DefaultSelector() as selector:
            for lane in self._lanes:
                if lane.finished is None:
                    selector.register(lane.output, selectors.EVENT_READ, lane)
            if not selector.get_map():
                return
            until_ns = min(lane.deadline_ns for lane in self._lanes if lane.finished is None)
            ready = selector.select(timeout=max(0.0, (until_ns - self._clock.now_ns()) / NS_PER_S + 0.01))
        for key, _ in ready:
            key.data.read()
        for lane in self._lanes:
            lane.check_time()


class _Lane(Generic[Result]):
    """One task with its worker, which is started anew when it dies."""

    def __init__(self, number: int, start: StartLane, task: Task[Result], clock: Clock, limit_s: float) -> None:
        self.finished: Finished[Result] | None = None
        self._number = number
        self._start = start
        self._task = task
        self._clock = clock
        self._limit_s = limit_s
        self._begin_ns = clock.now_ns()
        self._failed_starts = 0
        self._queue: deque[Job[Any]] = deque()  # the job under way and the parts that are to follow
        self._answers: list[Any] = []
        self._worker = start(now_ns=self._begin_ns)
        self._resume(None)

    @property
    def output(self) -> int:
        """Where the worker is heard."""
        return self._worker.output

    @property
    def deadline_ns(self) -> int:
        """When the worker must have said something."""
        return self._worker.busy_since_ns + int(self._allowed_s * NS_PER_S)

    @property
    def _allowed_s(self) -> float:
        return self._limit_s if self._worker.ready else START_LIMIT_S

    def read(self) -> None:
        """Take what the worker said."""
        try:
            for message in self._worker.receive(now_ns=self._clock.now_ns()):
                self._worker.finished(now_ns=self._clock.now_ns())
                self._take(self._queue.popleft().answer(message["answer"], self._worker.requirements))
        except FirmwareError as error:
            self._fail(error)
            return
        if self.finished is None and self._worker.at_end:
            self._bury(self._worker.obituary())

    def check_time(self) -> None:
        """End a worker that does not answer."""
        if self.finished is None and self._clock.now_ns() > self.deadline_ns:
            self._bury(f"no answer within {self._allowed_s:g} s of wall-clock time, the worker was ended")

    def close(self) -> None:
        """End worker and task."""
        self._worker.kill()
        self._task.close()

    def _take(self, answer: Any) -> None:
        self._failed_starts = 0
        self._answers.append(answer)
        if self._queue:
            self._send()
        else:
            answers, self._answers = self._answers, []
            self._resume(answers)

    def _resume(self, answers: list[Any] | None) -> None:
        try:
            job = next(self._task) if answers is None else self._task.send(answers)
        except StopIteration as end:
            self._finish(end.value)
            return
        self._queue.append(job)
        self._send()

    def _send(self) -> None:
        self._worker.send(_ONLY, self._queue[0].message(), now_ns=self._clock.now_ns())

    def _fail(self, error: FirmwareError) -> None:
        try:
            self._task.throw(error)
        except StopIteration as end:
            self._finish(end.value)

    def _finish(self, result: Result) -> None:
        seconds = (self._clock.now_ns() - self._begin_ns) / NS_PER_S
        self.finished = Finished(self._number, result, seconds)

    def _bury(self, cause: str) -> None:
        """The job took the worker down: try its parts one by one, or it is broken when it has none."""
        dead, self._worker = self._worker, self._start(now_ns=self._clock.now_ns())
        dead.kill()
        if not dead.ready:
            self._failed_starts += 1
            if self._failed_starts > MAX_FAILED_STARTS:
                self._fail(FirmwareError(f"worker processes die before the first scenario: {cause}"))
                return
            self._send()
            return
        job = self._queue.popleft()
        parts = job.parts()
        if parts:
            self._queue.extendleft(reversed(parts))
            self._send()
        else:
            self._take(job.broken(cause, dead.requirements))
