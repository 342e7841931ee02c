# SPDX-License-Identifier: Apache-2.0
"""Keeps a pool of workers busy with jobs and puts the answers back into order."""

from __future__ import annotations

import selectors
from collections import deque
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from harness.clock import NS_PER_S
from harness.rig.jobs import Job
from harness.rig.process import Worker

if TYPE_CHECKING:
    from harness.rig.workers import Pool

AHEAD = 2  # jobs a worker is given at a time, so that it never waits for its parent
WINDOW = 8  # answers per worker held back until the ones before them are there

Answer = TypeVar("Answer")
Place = tuple[int, int]  # of a job among all, and of a part within it


class Flow(Generic[Answer]):
    """One series of jobs. Iterating gives, for each in turn, its answers: one, or one for each part it was split into.

    The oldest job of a worker that dies or does not answer is the culprit: it is split into its parts, which are
    tried one by one, or counts as broken when it has none. The jobs behind it are played again by others.
    """

    def __init__(self, pool: Pool, source: Iterator[Job[Answer]]) -> None:
        self._pool = pool
        self._source = source
        self._jobs: dict[Place, Job[Answer]] = {}  # handed out, not answered
        self._again: deque[Place] = deque()
        self._answers: dict[int, dict[int, Answer]] = {}
        self._parts: dict[int, int] = {}
        self._next_in = 0
        self._next_out = 0
        self._exhausted = False

    def __iter__(self) -> Iterator[list[Answer]]:
        while True:
            self._fill()
            while self._is_complete(self._next_out):
                answers = self._answers.pop(self._next_out)
                del self._parts[self._next_out]
                yield [answers[part] for part in sorted(answers)]
                self._next_out += 1
                self._fill()
            if self._exhausted and self._next_out == self._next_in:
                return
            self._wait()

    def abandon(self) -> None:
        """Stop what is still under way: a worker in the middle of a scenario cannot be asked to forget it."""
        for worker in self._pool.workers:
            if worker.pending:
                self._pool.drop(worker)

    def _is_complete(self, number: int) -> bool:
        return number in self._parts and len(self._answers.get(number, ())) == self._parts[number]

    def _fill(self) -> None:
        """Hand out work, least busy worker first."""
        while True:
            worker = self._free_worker()
            place = self._draw() if worker is not None or len(self._pool.workers) < self._pool.jobs else None
            if place is None:
                return
            if worker is None or (worker.pending and len(self._pool.workers) < self._pool.jobs):
                worker = self._pool.start_worker()
            worker.send(place, self._jobs[place].message(), now_ns=self._pool.now_ns())

    def _free_worker(self) -> Worker | None:
        free = [worker for worker in self._pool.workers if len(worker.pending) < AHEAD]
        return min(free, key=lambda worker: len(worker.pending), default=None)

    def _draw(self) -> Place | None:
        if self._again:
            return self._again.popleft()
        if self._exhausted or self._next_in - self._next_out >= WINDOW * self._pool.jobs:
            return None
        job = next(self._source, None)
        if job is None:
            self._exhausted = True
            return None
        place = (self._next_in, 0)
        self._jobs[place] = job
        self._parts[self._next_in] = 1
        self._next_in += 1
        return place

    def _wait(self) -> None:
        """Until a worker says something, dies or runs out of time."""
        with selectors.DefaultSelector() as selector:
            for worker in self._pool.workers:
                if worker.pending:
                    selector.register(worker.output, selectors.EVENT_READ, worker)
            ready = selector.select(timeout=max(0.0, self._until_deadline_s()))
        for key, _ in ready:
            self._read(key.data)
        now_ns = self._pool.now_ns()
        for worker in self._pool.workers:
            if worker.pending and now_ns > self._pool.deadline_ns(worker):
                limit_s = self._pool.limit_s_of(worker)
                self._bury(worker, f"no answer within {limit_s:g} s of wall-clock time, the worker was ended")

    def _until_deadline_s(self) -> float:
        deadlines = [self._pool.deadline_ns(worker) for worker in self._pool.workers if worker.pending]
        return (min(deadlines) - self._pool.now_ns()) / NS_PER_S + 0.01 if deadlines else 0.0

    def _read(self, worker: Worker) -> None:
        for message in worker.receive(now_ns=self._pool.now_ns()):
            place = worker.finished(now_ns=self._pool.now_ns())
            self._take(place, message, worker)
        if worker.at_end:
            self._bury(worker, "")

    def _take(self, place: Place, message: Mapping[str, Any], worker: Worker) -> None:
        number, part = place
        job = self._jobs.pop(place)
        self._answers.setdefault(number, {})[part] = job.answer(message["answer"], worker.requirements)
        self._pool.started()

    def _bury(self, worker: Worker, cause: str) -> None:
        cause = cause or worker.obituary()
        self._pool.drop(worker)
        pending = list(worker.pending)
        worker.pending.clear()
        if not worker.ready:
            self._pool.failed_to_start(cause)
        elif pending:
            self._blame(pending.pop(0), cause, worker)
        self._again.extendleft(reversed(pending))

    def _blame(self, place: Place, cause: str, worker: Worker) -> None:
        number, part = place
        job = self._jobs.pop(place)
        parts = job.parts()
        if not parts:
            self._answers.setdefault(number, {})[part] = job.broken(cause, worker.requirements)
            return
        self._parts[number] = len(parts)
        for index, smaller in reversed(list(enumerate(parts))):
            self._jobs[number, index] = smaller
            self._again.appendleft((number, index))
