# SPDX-License-Identifier: Apache-2.0
"""Several strings in parallel: simulations in lock-step on one DC link and one bus, one call of the kernel a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.errors import UsageError
from harness.kernel.buffers import TraceBuffers
from harness.kernel.simulation import Library, RunStatus, Simulation, State, Status

MAX_STRINGS = 8  # BH_MAX_STRINGS


@dataclass(frozen=True, slots=True)
class GroupStatus:
    """How a run of a group ended; `member` is the one, from 0, that broke it off."""

    status: RunStatus
    member: int = 0


class SimulationGroup:
    """Simulations that run only together. Each has its own firmware, plant and faults; plan them one by one.

    They must have been made just now, with equal ticks and buses. Raises UsageError otherwise.
    """

    def __init__(self, kernel: Library, members: Sequence[Simulation]) -> None:
        self.members = tuple(members)
        self._ffi, self._lib = kernel.ffi, kernel.lib
        self._handles = self._ffi.new("bh_sim *[]", [member.handle for member in self.members])
        if self._lib.bh_group_join(self._handles, len(self.members)) != Status.OK:
            text = self._ffi.string(self._lib.bh_error(self.members[0].handle)).decode(errors="replace")
            raise UsageError(text)

    @property
    def now_ns(self) -> int:
        """Time of all of them."""
        return self.members[0].now_ns

    def run(self, until_s: float, buffers: Sequence[TraceBuffers]) -> GroupStatus:
        """Advance all members to `until_s`, each appending to its own buffers; otherwise as `Simulation.run`."""
        pairs = list(zip(self.members, buffers, strict=True))
        traces = self._ffi.new("bh_trace *[]", [member.bind(own) for member, own in pairs])
        culprit = self._ffi.new("int32_t *")
        until_ns = self.members[0].ticks_ns(until_s)
        code = Status(self._lib.bh_group_run(self._handles, len(pairs), until_ns, traces, culprit))
        place = int(culprit[0])
        for member, own in pairs:
            member.ended(Status.OK, until_s, own)
        return GroupStatus(pairs[place][0].ended(code, until_s, pairs[place][1]), place)

    def save_state(self) -> tuple[State, ...]:
        """A checkpoint of the group: those of its members."""
        return tuple(member.save_state() for member in self.members)

    def load_state(self, states: Sequence[State]) -> None:
        """Put all members back."""
        for member, state in zip(self.members, states, strict=True):
            member.load_state(state)
