# SPDX-License-Identifier: Apache-2.0
"""Looks at what goes through a CAN port: bus load, frames of each side, and the state the controller reports."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from harness.canbus.portmodel import CanPort, PortFrame, PortStatus
from harness.canbus.profile import Profile
from harness.clock import NS_PER_S, Clock
from harness.kernel.config import FrameFlag
from harness.trace import Frames
from harness.units import CONTROLLER_STATES

_WINDOW_NS = NS_PER_S
_OVERHEAD_BITS, _EXTENDED_BITS = 47, 67  # of a frame without data, gap included, stuff bits not (ISO 11898-1)


class Tap:
    """A port that counts. Times and loads are of the last whole second."""

    def __init__(self, port: CanPort, profile: Profile, bitrate: int, clock: Clock) -> None:
        self._port = port
        self._bitrate = bitrate
        self._clock = clock
        self._decoder = profile.decoder
        self._state = profile.bindings.get("bms_state")
        self._state_id = -1
        if self._state is not None:
            found = profile.database.find(self._state.path)
            assert found is not None, "the profile was checked against its database"
            self._state_id = found[0].id
        self._payload, self._name = b"", ""
        self._heard_ns = 0
        self._window_end_ns, self._bits = 0, 0
        self._load = 0.0
        self.sent = 0
        self.received = 0

    def send(self, frame: PortFrame) -> None:
        """See CanPort."""
        self._port.send(frame)
        self.sent += 1
        self._count(frame)
        if frame.id == self._state_id:
            self._heard_ns = self._clock.now_ns()
            if frame.data != self._payload:
                self._payload, self._name = frame.data, ""

    def receive(self) -> Sequence[PortFrame]:
        """See CanPort."""
        frames = self._port.receive()
        self.received += len(frames)
        for frame in frames:
            self._count(frame)
        return frames

    def fileno(self) -> int | None:
        """See CanPort."""
        return self._port.fileno()

    def status(self) -> PortStatus:
        """See CanPort."""
        return self._port.status()

    def close(self) -> None:
        """See CanPort."""
        self._port.close()

    @property
    def load(self) -> float:
        """Share of bit time in use over the last whole second, stuff bits not counted."""
        self._turn(self._clock.now_ns())
        return self._load

    def bms_state(self) -> str:
        """The state the controller reports; empty when it has not for a second, or the profile does not name it."""
        if self._clock.now_ns() > self._heard_ns + _WINDOW_NS:
            return ""
        if self._payload and not self._name:
            self._name = self._decoded(self._payload)
        return self._name

    def _count(self, frame: PortFrame) -> None:
        self._turn(self._clock.now_ns())
        self._bits += (_EXTENDED_BITS if frame.flags & FrameFlag.EXTENDED else _OVERHEAD_BITS) + 8 * len(frame.data)

    def _turn(self, now_ns: int) -> None:
        if now_ns >= self._window_end_ns:
            self._load = self._bits / self._bitrate if now_ns < self._window_end_ns + _WINDOW_NS else 0.0
            self._window_end_ns, self._bits = now_ns + _WINDOW_NS, 0

    def _decoded(self, payload: bytes) -> str:
        assert self._state is not None
        one = np.zeros(1, np.uint8)
        data = np.frombuffer(payload, np.uint8)[np.newaxis, :]
        frames = Frames(
            np.zeros(1, np.uint64), np.array([self._state_id], np.uint32), one, one, one, one + len(payload), data
        )
        raw = self._decoder.decode(frames).signal(self._state.path).raw
        states = self._state.states
        if states is None or not len(raw):
            return ""
        place = int(np.searchsorted(states.raw, raw[0]))
        known = place < len(states.raw) and states.raw[place] == raw[0]
        names = {number: name for name, number in CONTROLLER_STATES.items()}
        return names[int(states.canonical[place])] if known else f"{raw[0]}"
