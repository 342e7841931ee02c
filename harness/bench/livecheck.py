# SPDX-License-Identifier: Apache-2.0
"""Is the pack live already? Listened for before anything is energised: on the bus and at the contactor drives."""

from __future__ import annotations

import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from harness.canbus.portmodel import CanPort, PortFrame, PortStatus
from harness.canbus.profile import Profile
from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError
from harness.instruments.model import READINGS, Outputs
from harness.observation import Observation
from harness.trace import Frames, Trace
from harness.units import CONTROLLER_STATES

LISTEN_S = 1.0  # every message of a controller that tells its state comes within this
TOUCH_SAFE_V = 60.0  # d.c.; more is high voltage (UN R100)
_LIVE_STATES = {CONTROLLER_STATES[name]: name for name in ("precharge", "drive", "charge")}
_LIVE_VOLTAGES = ("link_voltage_v", "pack_voltage_v")
_POLL_NS = 5_000_000
_MAX_PAYLOAD = 64


@dataclass(frozen=True, slots=True)
class Heard:
    """What was on the bus while nobody spoke: frames with times from when listening began, and the adapter's view."""

    frames: Frames
    status: PortStatus
    seconds: float


def listen(port: CanPort, clock: Clock, seconds: float) -> Heard:
    """Only listen. Raises BenchError when the adapter is lost."""
    start_ns = clock.now_ns()
    until_ns = start_ns + int(seconds * NS_PER_S)
    port.receive()  # what waited in the adapter is from before
    port.status()  # some adapters answer with the frames that follow
    heard: list[PortFrame] = []
    while (left_ns := until_ns - clock.now_ns()) > 0:
        handle = port.fileno()
        if handle is None:
            clock.sleep_until_ns(clock.now_ns() + min(left_ns, _POLL_NS))
        else:
            select.select([handle], [], [], left_ns / NS_PER_S)
        heard += port.receive()
    return Heard(frames_of(heard, start_ns), port.status(), seconds)


def frames_of(frames: Sequence[PortFrame], start_ns: int) -> Frames:
    """Frames of others as a trace has them, all as the controller's: the harness is silent. Times from `start_ns`."""
    others = [frame for frame in frames if not frame.own]
    data = np.zeros((len(others), _MAX_PAYLOAD), np.uint8)
    for row, frame in enumerate(others):
        data[row, : len(frame.data)] = np.frombuffer(frame.data, np.uint8)
    return Frames(
        t_ns=np.array([max(0, frame.t_ns - start_ns) for frame in others], np.uint64),
        id=np.array([frame.id for frame in others], np.uint32),
        flags=np.array([int(frame.flags) for frame in others], np.uint8),
        bus=np.array([frame.bus for frame in others], np.uint8),
        node=np.zeros(len(others), np.uint8),
        length=np.array([len(frame.data) for frame in others], np.uint8),
        data=data,
    )


def signs_of_life(frames: Frames, profile: Profile, outputs: Outputs | None) -> tuple[str, ...]:
    """Everything that says that the pack is live: closed contactors, a driving state, a high voltage."""
    signs = [] if outputs is None else [f"{name} is driven" for name in READINGS if getattr(outputs, name)]
    observation = Observation(Trace(np.empty(0), {}, frames), profile, timing_s=0.0, boot_s=0.0)
    last = {name: _last(observation, name) for name in (*READINGS, *_LIVE_VOLTAGES, "bms_state")}
    signs += [f"{name} is reported closed on the bus" for name in READINGS if (last[name] or 0.0) > 0.5]  # noqa: PLR2004 - a flag
    state = last["bms_state"]
    if state is not None and int(state) in _LIVE_STATES:
        signs.append(f"the controller reports the state '{_LIVE_STATES[int(state)]}'")
    for name in _LIVE_VOLTAGES:
        value = last[name]
        if value is not None and abs(value) > TOUCH_SAFE_V:
            signs.append(f"{name} = {value:.1f} V is reported, above {TOUCH_SAFE_V:g} V")
    return tuple(signs)


def refuse_if_live(port: CanPort, profile: Profile, clock: Clock, poll: Callable[[], Outputs | None]) -> Heard:
    """Listen, and raise BenchError when the pack is live, or its contactor drives were not read; else what was heard.
    `poll` reads the drives.
    """
    poll()  # the first one asks
    heard = listen(port, clock, LISTEN_S)
    outputs = poll()
    signs = signs_of_life(heard.frames, profile, outputs)
    if signs:
        raise BenchError(
            f"the pack is live already, before anything was energised: {'; '.join(signs)}. Switch off what feeds it, "
            "wait until the link is discharged, and try again"
        )
    if outputs is None:
        raise BenchError(
            f"the contactor drives could not be read within {LISTEN_S:g} s, so nobody knows whether the pack is live. "
            "Look at the instrument that reads them ('bms-harness doctor BENCH' asks it)"
        )
    return heard


def _last(observation: Observation, name: str) -> float | None:
    series = observation.reported(name)
    return float(series.value[-1]) if series is not None and len(series.value) else None
