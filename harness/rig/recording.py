# SPDX-License-Identifier: Apache-2.0
"""Runs the simulation and turns its buffers into a trace whose time begins with the scenario."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from harness.errors import FirmwareError
from harness.kernel.columns import COLUMNS, Column
from harness.kernel.config import Event, Fault, KernelConfig
from harness.kernel.simulation import FaultReport, RunStatus, TraceBuffers
from harness.observation import Observation
from harness.rig.plan import Plan, PlannedFault, to_ns
from harness.scenario import Scenario
from harness.trace import FaultRecord, Frames, Mark, Side, Trace

if TYPE_CHECKING:
    from harness.rig.file import Rig


class Played(Protocol):
    """A simulation that a recorder can play plans on: `harness.kernel.simulation.Simulation`, or one on a bench."""

    @property
    def now_ns(self) -> int:
        """Its time."""
        ...

    def plan(self, events: Sequence[Event] = (), faults: Sequence[Fault] = (), *, keep: bool = False) -> None:
        """Replace all events and faults from now on; with `keep` those that were there go on."""
        ...

    def run(self, until_s: float, buffers: TraceBuffers) -> RunStatus:
        """Advance, appending to the buffers."""
        ...

    def fault_reports(self) -> tuple[FaultReport, ...]:
        """One for every planned fault."""
        ...

    def save_state(self) -> Any:
        """A checkpoint."""
        ...

    def load_state(self, state: Any) -> None:
        """Back to a checkpoint."""
        ...


class Stepped(Protocol):
    """A controller in its world: `harness.rig.machine.Machine`, or one on a bench."""

    @property
    def simulation(self) -> Played:
        """What is stepped; another one after `reload`."""
        ...

    @property
    def config(self) -> KernelConfig:
        """What the kernel was told."""
        ...

    @property
    def checkpointable(self) -> bool:
        """Whether states can be saved and restored."""
        ...

    @property
    def tick_ns(self) -> int:
        """The tick in ns."""
        ...

    def reload(self) -> None:
        """From power-on again."""
        ...


NS_PER_S = 1e9
FRAME_JITTER_S = 0.002  # a frame may wait for a few others that have the bus
_LEAST_FRAME_BITS = 47  # no bus carries more frames than of this length
_REUSED_S = 16.0  # buffers of a campaign begin at this length
_SIDES: tuple[Side, ...] = ("given", "truth", "output", "environment")
_MICRO, _MILLI = np.float32(1e-6), np.float32(1e-3)


class Recorder:
    """Plays plans on a machine. Buffers of runs that are not kept are used again by the next."""

    def __init__(
        self,
        machine: Stepped,
        rig: Rig,
        header: Mapping[str, Any],
        *,
        measured: Callable[[], Mapping[str, Any]] = dict,
        unseen: Collection[tuple[Side, str]] = (),
        ended: Callable[[], None] = lambda: None,
    ) -> None:
        """`measured` adds to the header what is known only after a run; `unseen` are columns that nobody could see.

        `ended` is called when a scenario is over, before its trace is made: on a bench nothing waits for that.
        """
        self._machine = machine
        self._rig = rig
        self._header = dict(header)
        self._measured = measured
        self._unseen = frozenset(unseen)
        self._ended = ended
        # Cell by cell only if a requirement names one: a campaign would spend more time on memory than on cells.
        self._cells_judged = any("cell_voltage_v[" in repr(requirement) for requirement in rig.requirements)
        self._sides = tuple(_columns_of(side) for side in _SIDES)
        self._reused: TraceBuffers | None = None
        self._last: TraceBuffers | None = None
        bus = rig.file.bus
        self._frames_per_s = bus.buses * bus.bitrate / _LEAST_FRAME_BITS

    def play(self, scenario: Scenario, plan: Plan, base_ns: int, *, keep: bool) -> Trace:
        """One scenario from the state that was just restored. A firmware that fails gives a trace with an error."""
        buffers = self.begin(scenario, plan, keep=keep)
        status = self._advance(self.end_ns(scenario, base_ns), buffers)
        return self.end(scenario, plan, base_ns, buffers, status.error)

    def begin(self, scenario: Scenario, plan: Plan, *, keep: bool) -> TraceBuffers:
        """Plan a scenario; the buffers to run it into. For who runs several simulations together."""
        self._machine.simulation.plan(plan.events, plan.rows)
        self._last = self._buffers(scenario.duration_s, keep=keep)
        return self._last

    def end_ns(self, scenario: Scenario, base_ns: int) -> int:
        """The time to run a scenario to."""
        return base_ns + self._ticks(scenario.duration_s)

    def end(self, scenario: Scenario, plan: Plan, base_ns: int, buffers: TraceBuffers, error: str) -> Trace:
        """The trace of what was run since `begin`."""
        self._ended()
        faults = fault_records(plan.faults, self._machine.simulation.fault_reports(), base_ns)
        return self._trace(buffers, base_ns, error, scenario, faults, plan.marks)

    def idle(self, seconds: float) -> TraceBuffers:
        """Buffers to let so much time pass without a scenario; the last row is then known to `closed_contactors`."""
        self._last = self._buffers(seconds, keep=False)
        return self._last

    def watched(self, base_ns: int, buffers: TraceBuffers) -> Observation:
        """What was seen since `idle`."""
        return self.observe(self._trace(buffers, base_ns, "", None, (), ()))

    def watch(self, until_ns: int) -> Observation:
        """Let time pass without a scenario. Raises FirmwareError when the firmware breaks off: no time passes then."""
        base_ns = self._machine.simulation.now_ns
        buffers = self.idle((until_ns - base_ns) / NS_PER_S)
        status = self._advance(until_ns, buffers)
        if status.error:
            raise FirmwareError(status.error)
        return self.watched(base_ns, buffers)

    def nothing(self, scenario: Scenario, error: str) -> Trace:
        """A trace without rows: the scenario could not begin."""
        buffers = TraceBuffers(self._machine.config, 0.0)
        return self._trace(buffers, 0, error, scenario, (), ())

    def recorded(self, buffers: TraceBuffers, base_ns: int, error: str) -> Trace:
        """A trace of what is in the buffers now, whoever filled them."""
        return self._trace(buffers, base_ns, error, None, (), ())

    def closed_contactors(self) -> int:
        """FIL_OUT_* bits of the contacts that were really closed in the last row."""
        if self._last is None or not self._last.n_rows:
            return 0
        return int(self._last.column(Column.TRUTH_CONTACTORS)[-1])

    def observe(self, trace: Trace) -> Observation:
        """What judges may look at, of a trace of this rig."""
        header = trace.header
        return Observation(trace, self._rig.profile, timing_s=header["timing_s"], boot_s=header["boot_s"])

    def _advance(self, until_ns: int, buffers: TraceBuffers) -> RunStatus:
        self._last = buffers
        return self._machine.simulation.run(until_ns / NS_PER_S, buffers)

    def _buffers(self, seconds: float, *, keep: bool) -> TraceBuffers:
        if keep:
            return TraceBuffers(self._machine.config, seconds, truth_cells=True, frames_per_s=self._frames_per_s)
        reused = self._reused
        if reused is None or reused.max_rows < self._ticks(seconds) // self._machine.tick_ns + 1:
            length_s = max(seconds, _REUSED_S)
            reused = TraceBuffers(
                self._machine.config, length_s, cells=self._cells_judged, frames_per_s=self._frames_per_s
            )
            self._reused = reused
        reused.clear()
        return reused

    def _ticks(self, seconds: float) -> int:
        """A duration in ns, up to a whole tick."""
        tick_ns = self._machine.tick_ns
        return -(-to_ns(seconds) // tick_ns) * tick_ns

    def _trace(
        self,
        buffers: TraceBuffers,
        base_ns: int,
        error: str,
        scenario: Scenario | None,
        faults: tuple[FaultRecord, ...],
        marks: tuple[Mark, ...],
    ) -> Trace:
        base = np.uint64(base_ns)
        rows, extremes = list(buffers.columns), buffers.extremes()
        columns = {
            side: dict(zip(names, rows[first : first + len(names)], strict=True)) for side, first, names in self._sides
        }
        ranges = {
            side: dict(zip(names, extremes[first : first + len(names)], strict=True))
            for side, first, names in self._sides
        }
        for side, name in self._unseen:
            del columns[side][name], ranges[side][name]
        header = {**self._header, **self._measured()}
        if scenario is not None:
            header = {**header, "seed": scenario.seed, "scenario": scenario.title, "start": scenario.start}
        return Trace(
            t_s=(buffers.row_ns - base) / NS_PER_S,
            columns=columns,
            frames=Frames(
                t_ns=buffers.frames("ns") - base,
                id=buffers.frames("id"),
                flags=buffers.frames("flags"),
                bus=buffers.frames("bus"),
                node=buffers.frames("node"),
                length=buffers.frames("length"),
                data=buffers.frames("data"),
            ),
            arrays=CellRecords(buffers),
            faults=faults,
            marks=marks,
            header=header,
            error=error,
            extremes=ranges,
        )


class CellRecords(Mapping[str, "NDArray[Any]"]):
    """Per-cell and per-sensor records in the units of a trace, converted when first asked for."""

    _SOURCES: Mapping[str, tuple[str, np.float32 | None]] = {
        "cell_voltage_v": ("cell_uv", _MICRO),
        "cell_temp_degc": ("temp_mdegc", _MILLI),
        "cell_flags": ("cell_flags", None),
        "true_cell_voltage_v": ("true_cell_v", None),
        "true_cell_temp_degc": ("true_cell_degc", None),
    }

    def __init__(self, buffers: TraceBuffers) -> None:
        self._rows = {
            name: rows for name, (source, _) in self._SOURCES.items() if (rows := buffers.rows(source)) is not None
        }
        self._converted: dict[str, NDArray[Any]] = {}

    def __getitem__(self, name: str) -> NDArray[Any]:
        found = self._converted.get(name)
        if found is None:
            factor = self._SOURCES[name][1]
            rows = self._rows[name]
            found = rows if factor is None else np.multiply(rows, factor, dtype=np.float32)
            self._converted[name] = found
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


def _columns_of(side: Side) -> tuple[Side, int, tuple[str, ...]]:
    """The columns of a side, which follow each other: number of the first, and the quantities."""
    own = [column for column in Column if COLUMNS[column][0] == side]
    return side, int(own[0]), tuple(COLUMNS[column][1] for column in own)


def fault_records(
    planned: tuple[PlannedFault, ...], reports: tuple[FaultReport, ...], base_ns: int
) -> tuple[FaultRecord, ...]:
    """A fault fired when any of its rows did."""
    records = []
    for fault in planned:
        own = reports[fault.first_row : fault.first_row + fault.n_rows]
        first = min((report.first_fired_ns for report in own if report.first_fired_ns is not None), default=None)
        records.append(
            FaultRecord(
                label=fault.label,
                kind=fault.kind,
                from_s=fault.from_s,
                until_s=fault.until_s,
                fired=first is not None,
                first_fired_s=None if first is None else (first - base_ns) / NS_PER_S,
            )
        )
    return tuple(records)
