# SPDX-License-Identifier: Apache-2.0
"""The start states of scenarios: each is reached once by booting and asking, then restored from a checkpoint.

off       controller without supply, ignition off
standby   booted, contactors open
drive     contactors closed, the vehicle drives its cycle, which begins when the state is reached
charge    plugged in, contactors closed, the charger delivers
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import FirmwareError
from harness.kernel.config import Event, EventKind
from harness.rig.plan import Planner, to_ns
from harness.rig.recording import Recorder, Stepped
from harness.scenario import Start
from harness.units import CONTROLLER_STATES

if TYPE_CHECKING:
    from harness.rig.file import Rig

CHUNK_S = 0.1
PATIENCE_S = {"standby": 5.0, "drive": 15.0, "charge": 15.0}  # beyond the boot time: three tries to precharge fit in
SETTLE_S = {"standby": 0.5, "drive": 2.0, "charge": 3.0}
OFF_S = 1.0
RESET_PATIENCE_S = 10.0  # more where latched faults are reset first: their causes have to be gone for seconds
_POSITIVE, _NEGATIVE, _PRECHARGE = 1, 2, 4  # FIL_OUT_*
_MAINS = _POSITIVE | _NEGATIVE
_NAMES = {number: name for name, number in CONTROLLER_STATES.items()}


@dataclass(frozen=True, slots=True)
class StartState:
    """A state that was reached: the kernel's time there, the request on the bus, and the checkpoint."""

    t_ns: int
    requested: str
    state: Any


class StartStates:
    """Reaches start states when they are first needed."""

    def __init__(
        self, machine: Stepped, planner: Planner, recorder: Recorder, rig: Rig, *, remembers: bool = False
    ) -> None:
        """`remembers`: the controller still has the latched faults of whatever was before, and is asked to reset them
        while it boots.
        """
        self._machine = machine
        self._remembers = remembers
        self._planner = planner
        self._recorder = recorder
        self._rig = rig
        self._reached: dict[Start, StartState] = {}

    def restore(self, name: Start) -> StartState:
        """Put the simulation into a start state. Raises FirmwareError when the controller does not get there."""
        if not self._machine.checkpointable:
            self._machine.reload()
            self._reached.clear()
        reached = self._reached.get(name)
        if reached is None:
            return self._reach(name)
        self._machine.simulation.load_state(reached.state)
        return reached

    def forget(self) -> None:
        """The firmware was loaded anew: its old memory means nothing any more."""
        self._reached.clear()

    def _reach(self, name: Start) -> StartState:
        if name == "standby":
            self._boot()
        else:
            if self._machine.checkpointable or not self._machine.simulation.now_ns:
                self.restore("standby")
            self._leave_standby(name)
        simulation = self._machine.simulation
        requested = name if name in ("drive", "charge") else "standby"
        state = simulation.save_state() if self._machine.checkpointable else None
        self._reached[name] = StartState(simulation.now_ns, requested, state)
        return self._reached[name]

    def _boot(self) -> None:
        switch_on = (_event(0, EventKind.POWER, 1.0), _event(0, EventKind.IGNITION, 1.0))
        boot_s = self._rig.file.firmware.boot_s
        resets = self._resets(boot_s) if self._remembers else ()
        self._ask((*switch_on, *self._planner.request("standby", 0), *resets))
        self._wait_for("standby", boot_s)
        if self._remembers:  # a pulse may be under way
            self._ask(self._planner.request("standby", self._machine.simulation.now_ns))

    def _patience_s(self, name: str) -> float:
        return PATIENCE_S[name] + (RESET_PATIENCE_S if self._remembers else 0.0)

    def _resets(self, boot_s: float) -> list[Event]:
        """A reset request every second as long as there is patience: it counts once the cause is known to be gone."""
        pulses = range(int(self._patience_s("standby")))
        return [
            event
            for pulse in pulses
            for event in self._planner.request("reset-faults", to_ns(boot_s + pulse), requested="standby")
        ]

    def _leave_standby(self, name: Start) -> None:
        now_ns = self._machine.simulation.now_ns
        if name == "off":
            self._ask((_event(now_ns, EventKind.IGNITION, 0.0), _event(now_ns, EventKind.POWER, 0.0)))
            self._recorder.watch(now_ns + to_ns(OFF_S))
            return
        self._ask(self._planner.request(name, now_ns, requested="standby"))
        self._wait_for(name, 0.0)

    def _ask(self, events: Sequence[Event]) -> None:
        self._machine.simulation.plan(events, ())

    def _wait_for(self, name: Start, boot_s: float) -> None:
        """Until truth and report agree that the state is there, and still do after it has settled."""
        simulation = self._machine.simulation
        begin_ns = simulation.now_ns
        give_up_ns = begin_ns + to_ns(boot_s + self._patience_s(name))
        reported = "nothing"
        while True:
            reported = self._watch(CHUNK_S, reported)
            if self._is_there(name, reported):
                break
            if simulation.now_ns >= give_up_ns:
                raise FirmwareError(self._hung(name, reported, begin_ns))
        if name == "drive":
            self._ask((_event(simulation.now_ns, EventKind.LOAD_TIME_S, 0.0),))
        reported = self._watch(SETTLE_S[name], reported)
        if not self._is_there(name, reported):
            raise FirmwareError(self._hung(name, reported, begin_ns))

    def _watch(self, seconds: float, reported: str) -> str:
        """Let time pass; the last state on the bus, or the one before when none came."""
        observation = self._recorder.watch(self._machine.simulation.now_ns + to_ns(seconds))
        series = observation.reported("bms_state")
        self._closed = self._recorder.closed_contactors()
        if series is None:
            return ""
        return _NAMES.get(int(series.value[-1]), "an unknown state") if len(series.value) else reported

    def _is_there(self, name: Start, reported: str) -> bool:
        """`reported` is "" for a product that reports no state: then the contactors alone decide."""
        wanted = _MAINS if name in ("drive", "charge") else 0
        return self._closed == wanted and reported in (name, "")

    def _hung(self, name: Start, reported: str, begin_ns: int) -> str:
        seconds = (self._machine.simulation.now_ns - begin_ns) / 1e9
        contactors = [
            word
            for word, bit in (("positive", _POSITIVE), ("negative", _NEGATIVE), ("precharge", _PRECHARGE))
            if self._closed & bit
        ]
        return (
            f"the controller did not reach '{name}': {seconds:.1f} s after it was asked it reports "
            f"'{reported or 'no state'}', contactors really closed: {', '.join(contactors) or 'none'}"
        )


def _event(t_ns: int, kind: EventKind, value: float) -> Event:
    return Event(t_ns=t_ns, kind=kind, index=0, value=value, payload=b"")
