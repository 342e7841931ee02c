# SPDX-License-Identifier: Apache-2.0
"""A booted rig: plays scenarios from checkpoints of its start states and judges them.

    with Session(load_rig(path)) as session:
        run = session.run(scenario)

A scenario is one call of the kernel. Times of traces, frames and verdicts count from the scenario's start.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from harness import __version__
from harness.canbus.profile import Profile
from harness.clock import NS_PER_S, WallClock
from harness.errors import FirmwareError, UsageError
from harness.faults.check import Bounds
from harness.firmware.builder import BuildOptions, build_firmware, build_kernel, find_compiler
from harness.firmware.loader import FirmwareLibrary
from harness.firmware.sanitizer import child_environment
from harness.kernel.simulation import TraceBuffers
from harness.observation import Observation
from harness.requirements.model import Requirement
from harness.rig.compose import bounds_of, kernel_config
from harness.rig.file import Rig
from harness.rig.machine import Machine
from harness.rig.plan import Plan, Planner
from harness.rig.players import Played, Player, SinglePlayer
from harness.rig.recording import FRAME_JITTER_S, Recorder
from harness.rig.starts import StartStates
from harness.rig.strings import StringsMachine, StringsPlayer
from harness.rig.tracks import Tracks
from harness.scenario import Scenario
from harness.search.runner import Footprint
from harness.trace import Trace
from harness.verdict import Verdict

DEFECTS_DEFINE = "BMS_DEFECTS"  # firmware has its seeded defects only in builds with this


@dataclass(frozen=True, slots=True)
class Run:
    """One scenario played and judged. `error` is "" or says what ended it early; `seconds` is the wall-clock time."""

    scenario: Scenario
    trace: Trace
    observation: Observation
    verdicts: tuple[Verdict, ...]
    error: str
    seconds: float


class Session:
    """A rig with its firmware loaded. A context manager; not shared between threads.

    `firmware` is a library that was built already, instead of the rig's own.
    Raises RigError for files that are wrong, UsageError for a defect the firmware does not have or a sanitizer build in
    a process that was not started for one, FirmwareError when it does not build, load or boot.
    """

    def __init__(self, rig: Rig, *, sanitize: bool = False, defect: int = 0, firmware: Path | None = None) -> None:
        if sanitize:
            _require_runtime()
        rig.read_all()
        self.rig = rig
        self._clock = WallClock()
        if firmware is None:
            _, firmware = build_libraries(rig, sanitize=sanitize, defects=defect != 0)
        self._machine: Machine | StringsMachine
        self._player: Player
        if rig.file.strings is not None:
            self._machine = StringsMachine(build_kernel(), firmware, rig, defect=defect)
            self._player = StringsPlayer(self._machine, rig, trace_header(rig, self._machine))
        else:
            self._machine = Machine(build_kernel(), firmware, kernel_config(rig), defect=defect)
            planner = Planner(rig.profile, self.bounds)
            recorder = Recorder(self._machine, rig, trace_header(rig, self._machine))
            starts = StartStates(self._machine, planner, recorder, rig)
            self._player = SinglePlayer(self._machine, planner, recorder, starts, rig.requirements)
        self._tracks = Tracks(self._machine.seen) if self._machine.seen is not None else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Unload the firmware. Traces of runs that were kept stay valid."""
        self._machine.close()

    @property
    def requirements(self) -> tuple[Requirement, ...]:
        """The requirements every run is judged by, in the order of its verdicts."""
        return self.rig.requirements

    @property
    def profile(self) -> Profile:
        """What the signals on the bus mean."""
        return self.rig.profile

    @property
    def bounds(self) -> Bounds:
        """What of the rig bounds the parameters of faults."""
        return bounds_of(self.rig)

    def run(self, scenario: Scenario, *, keep: bool = True) -> Run:
        """Play and judge one scenario. With keep=False its arrays are overwritten by the next run.

        Raises RigError when the scenario is wrong. A firmware that fails is a Run with an error and ERROR verdicts.
        """
        start_ns = self._clock.now_ns()
        try:
            start = self._player.restore(scenario.start)
        except FirmwareError as error:
            self._player.reload()
            return self._done(scenario, self._player.nothing(scenario, str(error)), start_ns)
        if self._tracks is not None:
            self._tracks.started(scenario.start)
        played = self._player.play(scenario, start, keep=keep)
        if played.trace.error:
            self._player.reload()
        return self._done(scenario, played, start_ns)

    def begin(self, scenario: Scenario) -> tuple[Machine, Plan, int]:
        """For runs of one's own: the machine in the scenario's start state with its plan, and the time it counts from.

        Raises RigError when the scenario is wrong, FirmwareError when the start state is not reached.
        """
        player, machine = self._player, self._machine
        if not isinstance(player, SinglePlayer) or not isinstance(machine, Machine):
            raise UsageError(f"rig '{self.rig.name}' has strings in parallel: it is played scenario by scenario only")
        start = player.restore(scenario.start)
        plan = player.planner.plan(scenario, start.t_ns, requested=start.requested)
        machine.simulation.plan(plan.events, plan.rows)
        return machine, plan, start.t_ns

    def recorded(self, buffers: TraceBuffers, base_ns: int, error: str) -> Trace:
        """A trace of what is in the buffers now, its time counted from `base_ns`; overwritten with them."""
        assert isinstance(self._player, SinglePlayer)
        return self._player.recorder.recorded(buffers, base_ns, error)

    def take_footprint(self) -> Footprint | None:
        """What the last scenario has executed of firmware built to tell it; None for any other. To be taken once."""
        return self._tracks.take() if self._tracks is not None else None

    def observe(self, trace: Trace) -> Observation:
        """What judges may look at, of a trace of this rig."""
        return self._player.observe(trace)

    def _done(self, scenario: Scenario, played: Played, start_ns: int) -> Run:
        seconds = (self._clock.now_ns() - start_ns) / NS_PER_S
        trace = played.trace
        return Run(scenario, trace, played.observation, played.verdicts, trace.error, seconds)


class Built(Protocol):
    """What a header tells of a machine."""

    @property
    def kernel_path(self) -> Path:
        """The kernel library."""
        ...

    @property
    def firmware(self) -> FirmwareLibrary:
        """The firmware that is loaded."""
        ...


def build_libraries(rig: Rig, *, sanitize: bool = False, defects: bool = False) -> tuple[Path, Path]:
    """Kernel and firmware of a rig, built if needed. Raises FirmwareError with the compiler's output.

    With `defects` the firmware is built with its seeded defects in it; the product is built without.
    """
    defines = (*rig.file.firmware.defines, *((DEFECTS_DEFINE,) if defects else ()))
    firmware = build_firmware(rig.sources, rig.include, BuildOptions(sanitize=sanitize, defines=defines))
    return build_kernel(), firmware


def _require_runtime() -> None:
    """The address sanitizer must be in a process from its first instruction; loading it later ends the process."""
    wanted = child_environment(find_compiler())["LD_PRELOAD"]
    if wanted not in os.environ.get("LD_PRELOAD", ""):
        raise UsageError(
            "a sanitizer build runs only in a process started for it: play it with harness.rig.workers.Pool, "
            f"or start this process with LD_PRELOAD={wanted}"
        )


def trace_header(rig: Rig, machine: Built) -> dict[str, Any]:
    """What every trace of a session carries; enough to judge it again without the rig."""
    tick_s = rig.file.simulation.tick_ms / 1000.0
    return {
        "rig": rig.name,
        "harness": __version__,
        "tick_s": tick_s,
        "timing_s": tick_s + FRAME_JITTER_S,
        "boot_s": rig.file.firmware.boot_s,
        "rig_seed": rig.file.simulation.seed,
        "rig_sha256": rig.sha256,
        "dbc_sha256": rig.profile.database.sha256,
        "firmware_sha256": machine.firmware.digest,
        "kernel": machine.kernel_path.stem,
    }
