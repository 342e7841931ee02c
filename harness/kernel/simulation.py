# SPDX-License-Identifier: Apache-2.0
"""The Python face of the kernel: build a simulation, plan, run, look at what happened, copy states.

    simulation = Simulation(kernel, config, firmware)
    buffers = TraceBuffers(config, seconds=10)
    simulation.plan(events, faults)
    status = simulation.run(10.0, buffers)

One call runs to the end; nothing in here is executed per tick or per frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Protocol

from harness.errors import FirmwareError, UsageError
from harness.kernel.buffers import TraceBuffers
from harness.kernel.bustypes import NodeState
from harness.kernel.columns import COLUMNS, Column
from harness.kernel.config import Event, Fault, FrameFlag, KernelConfig, Node
from harness.kernel.longrun import Soak
from harness.kernel.outside import GivenInputs, Outlet, OutsideInputs
from harness.kernel.structs import StructBuilder

__all__ = [
    "COLUMNS",
    "Column",
    "FaultReport",
    "Frame",
    "NodeStatus",
    "RunStatus",
    "Simulation",
    "State",
    "Status",
    "TraceBuffers",
]

_ALIGNMENT = 64
_NS_PER_S = 1_000_000_000
_NEVER_NS = 2**64 - 1
_SLACK_NS = 1_000


class Library(Protocol):
    """The loaded kernel: types and functions of kernel.h (harness.firmware.loader.KernelLibrary)."""

    @property
    def ffi(self) -> Any:
        """The cffi instance."""
        ...

    @property
    def lib(self) -> Any:
        """The functions."""
        ...


class Firmware(Protocol):
    """A loaded firmware (harness.firmware.loader.FirmwareLibrary); it must outlive its simulations."""

    def pointers(self) -> Any:
        """A new `bh_firmware *`."""
        ...

    def symbolize(self, address: int) -> str | None:
        """The "file:line" of a place in it, or None."""
        ...


class Status(IntEnum):
    """How a run ended (BH_*)."""

    OK = 0
    FULL = -1
    FIRMWARE_ERROR = -2
    FIRMWARE_HANG = -3
    FIRMWARE_CRASH = -4
    BAD_CONFIG = -5


@dataclass(frozen=True, slots=True)
class RunStatus:
    """How a run ended: `error` is "" when all went well, otherwise what the firmware did, with file and line.

    `address` is the place in the firmware relative to its load address, 0 = unknown.
    """

    code: Status
    error: str = ""
    address: int = 0


@dataclass(frozen=True, slots=True)
class FaultReport:
    """Whether a fault changed what the controller was given. Times are of the simulation; None: never."""

    first_fired_ns: int | None
    last_fired_ns: int | None
    active_ticks: int
    fired_ticks: int

    @property
    def fired(self) -> bool:
        """Whether it made any difference."""
        return self.fired_ticks > 0


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame to send by hand."""

    id: int
    data: bytes = b""
    flags: FrameFlag = FrameFlag.NONE
    bus: int = 0
    node: Node = Node.TESTER


@dataclass(frozen=True, slots=True)
class NodeStatus:
    """How a node stands on a bus: error counters, and since when it is in its state. `recovering`: bus-off, and
    counting 128 times 11 recessive bits.
    """

    state: NodeState
    transmit_errors: int
    receive_errors: int
    recovering: bool
    since_ns: int


@dataclass(frozen=True, slots=True, eq=False)
class State:
    """A checkpoint of one simulation: kernel and firmware. Opaque; only the simulation it came from can load it."""

    data: Any
    size: int
    n_faults: int

    def __bytes__(self) -> bytes:
        return bytes(self.data)


class Simulation:
    """One controller in its virtual world.

    A firmware has one set of globals: give every simulation that lives at the same time a library of its own. Building
    one boots the firmware afresh, so an older simulation on the same library must not go on.

    Raises UsageError when the configuration is impossible and FirmwareError when the firmware refuses to boot.
    """

    def __init__(self, kernel: Library, config: KernelConfig, firmware: Firmware) -> None:
        self.config = config
        self._ffi, self._lib, self._firmware = kernel.ffi, kernel.lib, firmware
        self._calls = firmware.pointers()
        self._structs = StructBuilder(self._ffi)
        target = self._structs.config(config, self._calls[0])
        size = self._lib.bh_arena_size(target)
        if size == 0:
            self._refuse()
        self._memory = self._ffi.new("uint8_t[]", size + _ALIGNMENT)
        start = int(self._ffi.cast("uintptr_t", self._memory))
        arena = self._memory + (-start % _ALIGNMENT)
        self._sim = self._lib.bh_create(arena, size, target)
        if self._sim == self._ffi.NULL:
            self._refuse()
        self._n_faults = 0

    def plan(self, events: Sequence[Event] = (), faults: Sequence[Fault] = (), *, keep: bool = False) -> None:
        """Replace all events and faults from now on. Events sorted by time, none in the past; UsageError otherwise.

        With `keep`, faults that are in the plan already, with every field as it was, go on instead of beginning anew.
        """
        arguments = StructBuilder(self._ffi).plan(events, faults)
        n_events, event_rows, n_faults, fault_rows = arguments
        replace = self._lib.bh_replan if keep else self._lib.bh_plan
        if replace(self._handle(), event_rows, n_events, fault_rows, n_faults) != Status.OK:
            raise UsageError(self._error_text())
        self._n_faults = n_faults

    def run(self, until_s: float, buffers: TraceBuffers) -> RunStatus:
        """Advance to `until_s` (a multiple of the tick), appending to `buffers`.

        Errors of the firmware are returned, not raised: what happened before them is in the buffers. After one, only
        `load_state` brings the simulation back. Raises UsageError when the buffers are too small or the time is wrong.
        """
        trace = self.bind(buffers)
        code = Status(self._lib.bh_run(self._handle(), self.ticks_ns(until_s), trace))
        return self.ended(code, until_s, buffers)

    # ---- for groups

    @property
    def handle(self) -> Any:
        """The `bh_sim *`. Raises UsageError when the simulation is closed."""
        return self._handle()

    def ended(self, code: Status, until_s: float, buffers: TraceBuffers) -> RunStatus:
        """What `run` makes of the kernel's answer; the buffers are brought up to date."""
        assert buffers.bound is not None
        trace = buffers.bound[1]
        buffers.n_rows, buffers.n_frames = trace.n_rows, trace.n_frames
        if code == Status.OK:
            return RunStatus(code)
        if code == Status.FULL:
            raise UsageError(
                f"the trace buffers are full at {self.now_s:.3f} s of {until_s:.3f} s: {buffers.n_rows} of "
                f"{buffers.max_rows} rows, {buffers.n_frames} of {buffers.max_frames} frames; "
                "ask for more seconds or frames_per_s"
            )
        if code == Status.BAD_CONFIG:
            raise UsageError(self._error_text())
        address = self._lib.bh_error_address(self._sim)
        return RunStatus(code, self._with_place(self._error_text(), address), address)

    def soak(self, soak: Soak, buffers: TraceBuffers) -> RunStatus:
        """A piece of a long run into empty buffers: until its time is over, or they have enough rows, or are full.

        Times of simulation and trace leave out what passed at once; `soak.strides()` has it. Errors as with `run`.
        """
        trace = self.bind(buffers)
        code = Status(self._lib.bh_soak_run(self._handle(), soak.bind(self._ffi), trace))
        buffers.n_rows, buffers.n_frames = trace.n_rows, trace.n_frames
        if code == Status.BAD_CONFIG:
            raise UsageError(self._error_text())
        if code == Status.OK:
            return RunStatus(code)
        address = self._lib.bh_error_address(self._sim)
        return RunStatus(code, self._with_place(self._error_text(), address), address)

    @property
    def now_ns(self) -> int:
        """Time of the simulation."""
        return int(self._lib.bh_now_ns(self._handle()))

    @property
    def now_s(self) -> float:
        """Time of the simulation."""
        return self.now_ns / _NS_PER_S

    @property
    def frames_lost(self) -> int:
        """Frames the firmware's receive queue or a bus's waiting room had no place for."""
        return int(self._lib.bh_frames_lost(self._handle()))

    def fault_reports(self) -> tuple[FaultReport, ...]:
        """One for every planned fault, in the order of the plan."""
        rows = self._lib.bh_fault_reports(self._handle())
        return tuple(_report(rows[index]) for index in range(self._n_faults))

    def node_status(self, node: Node, bus: int = 0) -> NodeStatus:
        """How a node stands on a bus now. Raises UsageError when there is no such bus."""
        row = self._ffi.new("bh_node_status *")
        if self._lib.bh_node_status_of(self._handle(), bus, node, row) != Status.OK:
            raise UsageError(f"there is no bus {bus}")
        state = NodeState(row.state)
        return NodeStatus(state, row.transmit_errors, row.receive_errors, bool(row.recovering), row.since_ns)

    def bus_load(self, bus: int = 0) -> float:
        """Share of time a bus was in use over the last 100 ms, 0..1. Raises UsageError when there is no such bus."""
        load = float(self._lib.bh_bus_load_of(self._handle(), bus))
        if load < 0.0:
            raise UsageError(f"there is no bus {bus}")
        return load

    def send(self, frame: Frame) -> None:
        """Queue one frame now. Raises UsageError when it is not a CAN frame or there is no room."""
        target = self._ffi.new("fil_frame *")
        if not 0 <= len(frame.data) <= len(target.data):
            raise UsageError(f"frame 0x{frame.id:X}: {len(frame.data)} data bytes, allowed 0..{len(target.data)}")
        target.id, target.flags, target.bus, target.length = frame.id, frame.flags, frame.bus, len(frame.data)
        self._ffi.memmove(target.data, frame.data, len(frame.data))
        if self._lib.bh_send(self._handle(), frame.node, target) != Status.OK:
            raise UsageError(self._error_text())

    # ---- the border to the outside, for loops on the wall clock

    def outside(self) -> OutsideInputs:
        """Inputs that replace those of plant and faults; all off at first."""
        return OutsideInputs(self._ffi, self._lib.bh_outside_of(self._handle()), *self._sizes())

    def given(self) -> GivenInputs:
        """What the controller was given in the last tick, whether or not it ran."""
        return GivenInputs(self._ffi, self._lib.bh_inputs_of(self._handle()), *self._sizes())

    def outlet(self) -> Outlet:
        """Frames for a real bus; closed at first."""
        return Outlet(self._ffi, self._lib.bh_outlet_of(self._handle()))

    @property
    def powered(self) -> bool:
        """Whether the controller runs: it has supply and is not held in reset."""
        return bool(self._lib.bh_is_powered(self._handle()))

    # ---- checkpoints

    @property
    def checkpointable(self) -> bool:
        """Whether states can be copied out and back; if not, boot afresh instead."""
        return bool(self._lib.bh_state_size(self._handle()))

    def save_state(self) -> State:
        """A copy of everything, firmware included. Raises UsageError when this build or platform cannot."""
        size = self._lib.bh_state_size(self._handle())
        if size == 0:
            raise UsageError("this firmware build or platform cannot be copied: boot afresh instead of restoring")
        data = self._ffi.buffer(self._ffi.new("uint8_t[]", size))
        self._check_copy(self._lib.bh_save_state(self._sim, self._ffi.from_buffer("uint8_t[]", data), size))
        return State(data, size, self._n_faults)

    def load_state(self, state: State) -> None:
        """Put everything back; plans and errors too."""
        source = self._ffi.from_buffer("uint8_t[]", state.data)
        self._check_copy(self._lib.bh_load_state(self._handle(), source, state.size))
        self._n_faults = state.n_faults

    def close(self) -> None:
        """Let go of all memory; the simulation cannot be used any more. Close it before its firmware."""
        self._sim = self._ffi.NULL
        self._memory = None

    # ---- inside

    def _sizes(self) -> tuple[int, int]:
        return self.config.pack.n_cells, self.config.pack.n_temps

    def _handle(self) -> Any:
        if self._sim == self._ffi.NULL:
            raise UsageError("the simulation is closed")
        return self._sim

    def _refuse(self) -> None:
        text = self._ffi.string(self._lib.bh_config_error()).decode(errors="replace")
        if self._lib.bh_config_result() == Status.BAD_CONFIG:
            raise UsageError(text)
        raise FirmwareError(self._with_place(text, self._lib.bh_config_address()))

    def _with_place(self, text: str, address: int) -> str:
        place = self._firmware.symbolize(address) if address else None
        return f"{place}: {text}" if place else text

    def _error_text(self) -> str:
        return str(self._ffi.string(self._lib.bh_error(self._sim)).decode(errors="replace"))

    def ticks_ns(self, until_s: float) -> int:
        """A time as ns. Raises UsageError when it is past or no multiple of the tick."""
        tick_ns = self.config.tick_us * 1000
        until_ns = round(until_s * _NS_PER_S / tick_ns) * tick_ns
        if until_ns < self.now_ns:
            raise UsageError(f"run until {until_s} s: it is {self.now_s} s already")
        if abs(until_ns - until_s * _NS_PER_S) > _SLACK_NS:
            raise UsageError(f"run until {until_s} s: must be a multiple of the tick, {self.config.tick_us} us")
        return until_ns

    def bind(self, buffers: TraceBuffers) -> Any:
        """A `bh_trace *` onto the buffers, made once for each."""
        if buffers.bound is None or buffers.bound[0] is not self._ffi:
            trace = self._ffi.new("bh_trace *")
            kinds = {name: field.type for name, field in self._ffi.typeof("bh_trace").fields}
            views = []
            for name, array in buffers.arrays.items():
                view = self._ffi.from_buffer(f"{kinds[name].item.cname}[]", array)
                setattr(trace, name, view)
                views.append(view)
            trace.max_rows, trace.max_frames = buffers.max_rows, buffers.max_frames
            trace.record_every, trace.frame_width = buffers.record_every, buffers.frame_width
            buffers.bound = (self._ffi, trace, views)
        trace = buffers.bound[1]
        trace.n_rows, trace.n_frames = buffers.n_rows, buffers.n_frames
        return trace

    def _check_copy(self, result: int) -> None:
        if result != Status.OK:
            raise UsageError("the state does not fit this simulation")


def _report(row: Any) -> FaultReport:
    never = row.first_fired_ns == _NEVER_NS
    return FaultReport(
        None if never else row.first_fired_ns,
        None if never else row.last_fired_ns,
        row.active_ticks,
        row.fired_ticks,
    )
