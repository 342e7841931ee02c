# SPDX-License-Identifier: Apache-2.0
"""Long runs: days and years of one rig, judged piece by piece, with time passing at once where nothing happens.

The kernel plays tick by tick and strides where it may (harness/kernel/soak.c, docs/long-runs.md). For the bus and the
record a stride takes no time, so that every piece of the record is judged like that of any scenario; `_Clock` tells
what time of the run a moment of a piece is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from harness.clock import NS_PER_S, WallClock
from harness.kernel.columns import COLUMNS, Column
from harness.kernel.longrun import SEEN, Band, Soak, Strides
from harness.kernel.simulation import TraceBuffers
from harness.observation import Observation
from harness.requirements.causes import limit_of, near_of
from harness.requirements.judge import judge_all
from harness.requirements.model import Requirement, Trip
from harness.rig.recording import fault_records
from harness.rig.session import Session
from harness.scenario import LongScenario
from harness.trace import FaultRecord
from harness.units import CONTROLLER_STATES, FLAG_PREFIXES
from harness.verdict import Exercised, Outcome, Verdict, combine, overall

LONGEST_S = 300.0  # of a stride
PIECE_S = 60.0  # recorded before a piece ends at the next quiet moment
ROOM_S = 120.0  # and at the latest
MAX_EVENTS = 1000
MAX_HISTORY = 4000
_LEAST_FRAME_BITS = 47
_HALF = 0.5
_PCT = 100.0
_STATE_NAMES = {number: name for name, number in CONTROLLER_STATES.items()}


@dataclass(frozen=True, slots=True)
class Happening:
    """A flag that came or went, or a new state of the controller, at a time of the run."""

    at_s: float
    what: str


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a long run is: times of the run, processor-independent; `elapsed_s` by the wall clock."""

    done_s: float
    total_s: float
    elapsed_s: float
    failed: int


@dataclass(frozen=True, slots=True)
class LongRun:
    """A long run, whole or interrupted. Times are of the run, strides included, and count from the start state.

    `history`: `time_s` and the quantities of `SEEN` before each stride, thinned out to a few thousand.
    `soc_pct` at the end: as it is (mean of the cells), and as the controller last reported it, NaN when it did not.
    `ticked_s`: what of `done_s` was played tick by tick; `awake_s` why, in seconds.
    """

    scenario: LongScenario
    verdicts: tuple[Verdict, ...]
    faults: tuple[FaultRecord, ...]
    happenings: tuple[Happening, ...]
    history: Mapping[str, NDArray[np.float64]]
    soc_pct: tuple[float, float]
    done_s: float
    ticked_s: float
    seconds: float
    awake_s: Mapping[str, int]
    pieces: int
    error: str = ""
    interrupted: bool = False

    @property
    def outcome(self) -> Outcome:
        """As of one scenario: over the requirements it exercised; a fault that never fired makes it NOT_EXERCISED."""
        if self.error:
            return Outcome.ERROR
        outcome = overall(v.outcome for v in self.verdicts if v.outcome is not Outcome.NOT_EXERCISED)
        if outcome is Outcome.PASS and not all(fault.fired for fault in self.faults):
            return Outcome.NOT_EXERCISED
        return outcome


def bands(requirements: Iterable[Requirement]) -> tuple[Band, ...]:
    """Clear of every limit a protection has on a reading: as far from it as counts as near."""
    columns = {quantity: column for column, (side, quantity) in COLUMNS.items() if side == "given"}
    edges: dict[Column, list[float]] = {}
    for trip in requirements:
        column = columns.get(trip.quantity) if isinstance(trip, Trip) and trip.side == "given" else None
        if column is None or not isinstance(trip, Trip):
            continue
        low, high = edges.setdefault(column, [-np.inf, np.inf])
        clear = max(near_of(trip), trip.accuracy)
        if trip.above is None:
            low = max(low, limit_of(trip) + clear)
        else:
            high = min(high, limit_of(trip) - clear)
        edges[column] = [low, high]
    return tuple(Band(column, low, high) for column, (low, high) in sorted(edges.items()))


def play_long(
    session: Session,
    scenario: LongScenario,
    *,
    longest_s: float = LONGEST_S,
    progress: Callable[[Progress], None] = lambda _: None,
) -> LongRun:
    """Play and judge. Ctrl-C ends it after the piece under way: the result says so and has what was played.

    Raises RigError when the scenario is wrong, FirmwareError when its start state is not reached. A firmware that fails
    on the way is a result with an error.
    """
    return _Player(session, scenario, longest_s, progress).play()


@dataclass(slots=True)
class _History:
    """Of every stride, thinned out by halves when it gets long."""

    rows: list[tuple[float, ...]] = field(default_factory=list)
    every: int = 1
    n: int = 0

    def add(self, row: tuple[float, ...]) -> None:
        if self.n % self.every == 0:
            self.rows.append(row)
        self.n += 1
        if len(self.rows) > MAX_HISTORY:
            self.rows = self.rows[::2]
            self.every *= 2

    def columns(self) -> dict[str, NDArray[np.float64]]:
        table = np.array(self.rows, np.float64).reshape(-1, 1 + len(SEEN))
        return {name: table[:, place] for place, name in enumerate(("time_s", *SEEN))}


@dataclass(frozen=True, slots=True)
class _Clock:
    """From moments of a piece to times of the run. A stride lies behind the moment at which it began."""

    begin_s: float  # of the run
    stride_s: NDArray[np.float64]  # moments of the piece
    passed_s: NDArray[np.float64]  # all strides up to and with each

    def at(self, moment_s: float) -> float:
        """The time of the run."""
        place = int(np.searchsorted(self.stride_s, moment_s - 1e-9))
        return self.begin_s + moment_s + (float(self.passed_s[place - 1]) if place else 0.0)


class _Player:
    """Plays the pieces of one long run and adds them up."""

    def __init__(
        self, session: Session, scenario: LongScenario, longest_s: float, progress: Callable[[Progress], None]
    ) -> None:
        self._session, self._scenario, self._progress = session, scenario, progress
        self._clock = WallClock()
        rig = session.rig
        tick_s = rig.file.simulation.tick_ms / 1000.0
        self._total_ns = round(scenario.duration_s / tick_s) * round(tick_s * NS_PER_S)
        self._soak = Soak(
            self._total_ns, bands(rig.requirements), longest_s=longest_s, enough_rows=round(PIECE_S / tick_s)
        )
        self._flags = tuple(sorted(name for name in rig.profile.bindings if name.startswith(FLAG_PREFIXES)))
        self._last: dict[str, float] = {}
        self._verdicts: dict[str, Verdict] = {}
        self._happenings: list[Happening] = []
        self._history = _History()
        self._fired: dict[int, float] = {}  # by the place of the fault in the scenario
        self._soc_pct = (np.nan, np.nan)
        self._pieces = 0
        self._error = ""

    def play(self) -> LongRun:
        began_ns = self._clock.now_ns()
        machine, plan, base_ns = self._session.begin(self._scenario)
        bus = self._session.rig.file.bus
        frames_per_s = bus.buses * bus.bitrate / _LEAST_FRAME_BITS
        buffers = TraceBuffers(machine.config, ROOM_S, frames_per_s=frames_per_s)
        faults: tuple[FaultRecord, ...] = ()
        interrupted = False
        try:
            while self._soak.left_s * NS_PER_S >= machine.tick_ns and not self._error:
                begin_s, begin_ns = self._done_s, machine.simulation.now_ns
                buffers.clear()
                status = machine.simulation.soak(self._soak, buffers)
                strides = self._soak.strides()
                clock = _clock(begin_s, begin_ns, strides)
                self._error = status.error
                reports = fault_records(plan.faults, machine.simulation.fault_reports(), base_ns)
                faults = tuple(self._fault(*found, base_ns, begin_ns, clock) for found in enumerate(reports))
                self._take(buffers, begin_ns, clock, strides)
                elapsed_s = (self._clock.now_ns() - began_ns) / NS_PER_S
                self._progress(Progress(self._done_s, self._total_ns / NS_PER_S, elapsed_s, self._failed))
        except KeyboardInterrupt:
            interrupted = True
        return LongRun(
            scenario=self._scenario,
            verdicts=tuple(self._verdicts.get(r.id, _nothing(r)) for r in self._session.requirements),
            faults=faults,
            happenings=tuple(self._happenings),
            history=self._history.columns(),
            soc_pct=self._soc_pct,
            done_s=self._done_s,
            ticked_s=self._done_s - self._soak.passed_s,
            seconds=(self._clock.now_ns() - began_ns) / NS_PER_S,
            awake_s=self._soak.awake_s(),
            pieces=self._pieces,
            error=self._error,
            interrupted=interrupted,
        )

    @property
    def _done_s(self) -> float:
        return self._total_ns / NS_PER_S - self._soak.left_s

    @property
    def _failed(self) -> int:
        return sum(verdict.outcome is Outcome.FAIL for verdict in self._verdicts.values())

    def _fault(self, place: int, record: FaultRecord, base_ns: int, begin_ns: int, clock: _Clock) -> FaultRecord:
        """With the time of the run at which it first fired, worked out in the piece in which it did."""
        if record.first_fired_s is None:
            return record
        if place not in self._fired:
            self._fired[place] = clock.at(record.first_fired_s - (begin_ns - base_ns) / NS_PER_S)
        return replace(record, first_fired_s=self._fired[place])

    def _take(self, buffers: TraceBuffers, begin_ns: int, clock: _Clock, strides: Strides) -> None:
        """Judge a piece and note what happened in it."""
        self._pieces += 1
        moments = clock.stride_s.tolist()
        for place, moment_s in enumerate(moments):
            before_s = float(clock.passed_s[place - 1]) if place else 0.0
            seen = (float(strides.seen[name][place]) for name in SEEN)
            self._history.add((clock.begin_s + moment_s + before_s, *seen))
        if not buffers.n_rows:
            return
        observation = self._session.observe(self._session.recorded(buffers, begin_ns, self._error))
        self._note(observation, clock)
        soc = observation.reported("soc_pct")
        told_pct = float(soc.value[-1]) if soc is not None and len(soc.value) else self._soc_pct[1]
        self._soc_pct = (_PCT * float(buffers.column(Column.TRUTH_SOC_MEAN)[-1]), told_pct)
        if self._error:
            return
        for verdict in judge_all(self._session.requirements, observation):
            self._add(verdict, clock)

    def _add(self, verdict: Verdict, clock: _Clock) -> None:
        timed = verdict if verdict.at_s is None else replace(verdict, at_s=clock.at(verdict.at_s))
        before = self._verdicts.get(verdict.requirement)
        self._verdicts[verdict.requirement] = timed if before is None else combine((before, timed))

    def _note(self, observation: Observation, clock: _Clock) -> None:
        """Flags and states that are others than before."""
        found: list[Happening] = []
        for name in (*self._flags, "bms_state"):
            series = observation.reported(name)
            if series is None or not len(series.value):
                continue
            value = series.value
            before = np.concatenate(([self._last.get(name, 0.0 if name in self._flags else value[0])], value[:-1]))
            found += [
                Happening(clock.at(float(series.t_s[place])), _told(name, float(value[place])))
                for place in np.flatnonzero(value != before).tolist()
            ]
            self._last[name] = float(value[-1])
        found.sort(key=lambda happening: happening.at_s)
        self._happenings.extend(found[: MAX_EVENTS - len(self._happenings)])


def _clock(begin_s: float, begin_ns: int, strides: Strides) -> _Clock:
    return _Clock(begin_s, (strides.at_ns - np.uint64(begin_ns)) / NS_PER_S, np.cumsum(strides.passed_s))


def _told(name: str, value: float) -> str:
    if name == "bms_state":
        return f"state {_STATE_NAMES.get(int(value), 'unknown')}"
    return f"{name} {'set' if value > _HALF else 'cleared'}"


def _nothing(requirement: Requirement) -> Verdict:
    return Verdict(requirement.id, Outcome.NOT_EXERCISED, Exercised(), {}, "nothing of it was played")
