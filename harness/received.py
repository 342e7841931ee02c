# SPDX-License-Identifier: Apache-2.0
"""What the rest bus told the controller: which frames reached it, which it must accept, what they asked for.

A frame is good when its checksum and length are right and its counter has moved on by 1 to 3, or by as many more as
frames are missing by now. A counter that jumped is in step again once three frames have followed each other (a sender
that was reset). This is the receiver of AUTOSAR E2E profile 1 with MaxDeltaCounter 3 in this project's words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from harness.canbus import e2e
from harness.canbus.batch import Decoded
from harness.canbus.product import Node, Profile, RestbusMessage
from harness.kernel.decode import Counter
from harness.trace import Frames, Trace

MAX_STEP = 3  # counter steps accepted without a gap in time
RESYNC_RUN = 3  # frames that must follow each other after a jump
UNHEARD = 1 << 5  # mark of a recorded frame that its receiver did not get (BH_FRAME_UNHEARD)
MODES: Mapping[str, float] = {"off": 0.0, "standby": 1.0, "drive": 2.0, "charge": 3.0}  # what may be asked for
_ROUNDING = 1e-6  # of a division of times
_HALF = 0.5  # between the 0 and the 1 of a digital column
_BUS_OFF = 2.0  # FIL_CAN_BUS_OFF
_BYTE_BITS = 8
_DUT = 0  # sender of a recorded frame (BH_NODE_DUT)
_STANDARD_FLAGS = 0b1_1101  # extended, BRS, remote and error frames are other messages (FIL_FRAME_*)
Times = NDArray[np.float64]
# Ages of messages, and the node that sends them.
MESSAGE_AGES: Mapping[str, Node] = {
    "vehicle_message_age_s": "vehicle",
    "charger_message_age_s": "charger",
    "line_message_age_s": "vehicle",
}
TOLD = ("line_voltage_v", "pole_contact", "pole_feed_v")  # what the controller knows from a message alone


@dataclass(frozen=True, slots=True)
class Reception:
    """Arrival times, s: of good frames, of those with a wrong checksum, length or counter range, and of those in good
    order of which only the controller's own clock decides whether their counter is out of step.
    """

    good_s: Times
    corrupt_s: Times
    doubtful_s: Times = field(default_factory=lambda: np.empty(0))


class Receptions:
    """What arrived of each protected message. `starts_s` are the times at which the reception of a node begins anew,
    `power_ons_s` where it is not named.
    """

    def __init__(
        self, profile: Profile, trace: Trace, decoded: Decoded, power_ons_s: Times, starts_s: Mapping[Node, Times]
    ) -> None:
        self._profile, self._frames, self._decoded = profile, _without_deaf(trace), decoded
        self._deaf = self._frames is not trace.frames
        self._power_ons_s, self._starts_s = power_ons_s, starts_s
        self._found: dict[str, Reception] = {}

    def of(self, message: RestbusMessage) -> Reception:
        """One message; looked at when first asked for."""
        if message.name not in self._found:
            starts_s = self._starts_s.get(message.node, self._power_ons_s)
            self._found[message.name] = reception(message, self._frames, self._decoded, starts_s, deaf=self._deaf)
        return self._found[message.name]

    def last_good(self, messages: Sequence[RestbusMessage], t_s: Times) -> Times:
        """When the latest good frame had come, of the message that is silent longest; 0 before the first."""
        latest: Times = np.minimum.reduce([_latest(self.of(message).good_s, t_s) for message in messages])
        return latest

    def longest_silence_s(self, messages: Sequence[RestbusMessage], end_s: float) -> float:
        """The longest time without a good frame of any one of the messages, from 0 to `end_s`."""
        longest_s = 0.0
        for message in messages:
            good_s = self.of(message).good_s
            if not len(good_s):
                return end_s
            gap_s = float((good_s[1:] - good_s[:-1]).max()) if len(good_s) > 1 else 0.0
            longest_s = max(longest_s, float(good_s[0]), gap_s, end_s - float(good_s[-1]))
        return longest_s

    def heard(self, command: str) -> Times:
        """When a command began in frames that the controller must accept."""
        messages = {message.name: message for message in self._profile.restbus}
        times: list[Times] = [np.empty(0)]
        for name, t_s, holds in _told(self._profile, self._decoded, command):
            good = np.isin(t_s, self.of(messages[name]).good_s)
            times.append(t_s[good][rising(holds[good])])
        return np.sort(np.concatenate(times))

    def mode(self, t_s: Times) -> Times:
        """The mode (`MODES`) that the latest frame since power-on asked for which the controller must accept; NaN
        before the first, and where it cannot be known whether it took one.
        """
        messages = {message.name: message for message in self._profile.restbus}
        told: dict[str, tuple[Times, Times]] = {}
        for command, mode in MODES.items():
            for name, told_s, holds in _told(self._profile, self._decoded, command):
                _, modes = told.setdefault(name, (told_s, np.full(len(told_s), np.nan)))
                modes[holds] = mode
        heard = [_heard(self.of(messages[name]), *frames) for name, frames in told.items()]
        return self._since_power_on(
            np.concatenate([np.empty(0), *(at_s for at_s, _ in heard)]),
            np.concatenate([np.empty(0), *(modes for _, modes in heard)]),
            t_s,
        )

    def value(self, message: RestbusMessage, signal: str, t_s: Times) -> Times:
        """A signal as the latest frame since power-on had it which the controller must accept; NaN as in `mode`."""
        told_s, values = self._decoded.values(f"{message.name}.{signal}")
        return self._since_power_on(*_heard(self.of(message), told_s, values), t_s)

    def _since_power_on(self, heard_s: Times, values: Times, t_s: Times) -> Times:
        order = np.argsort(heard_s, kind="stable")
        heard_s, values = np.append(-np.inf, heard_s[order]), np.append(np.nan, values[order])
        latest = np.searchsorted(heard_s, t_s, side="right") - 1
        begun_s = np.append(-np.inf, self._power_ons_s).take(np.searchsorted(self._power_ons_s, t_s, side="right"))
        return np.where(heard_s.take(latest) >= begun_s, values.take(latest), np.nan)

    def corrupt(self, node: Node, t_s: Times) -> Times | None:
        """How many corrupt frames of a node have come since power-on; None where it sends no protected message."""
        messages = self._profile.restbus_of(node)
        if not messages:
            return None
        corrupt_s = np.sort(np.concatenate([self.of(message).corrupt_s for message in messages]))
        return count_since(corrupt_s, self._power_ons_s, t_s)


def _latest(events_s: Times, t_s: Times) -> Times:
    latest: Times = np.concatenate(([0.0], events_s)).take(np.searchsorted(events_s, t_s, side="right"))
    return latest


def _without_deaf(trace: Trace) -> Frames:
    """The frames, those marked as not heard that came while the controller was bus-off: to the end of a tick."""
    state = trace.columns.get("given", {}).get("can_state")
    greatest = trace.extremes.get("given", {}).get("can_state", (0.0, _BUS_OFF))[1]
    if state is None or greatest < _BUS_OFF or not (state >= _BUS_OFF).any():
        return trace.frames
    row = np.searchsorted(trace.t_s, trace.frames.t_ns / 1e9, side="left")
    off = (state >= _BUS_OFF).take(np.minimum(row, len(state) - 1))
    flags = np.where(off, trace.frames.flags | np.uint8(UNHEARD), trace.frames.flags).astype(np.uint8)
    return replace(trace.frames, flags=flags)


def reception(
    message: RestbusMessage, frames: Frames, decoded: Decoded, restarts_s: Times, *, deaf: bool = False
) -> Reception:
    """Sort what arrived of a message. At each time in `restarts_s` the receiver begins anew: it takes any counter.

    `deaf`: the frames carry marks that `decoded` does not know of.
    """
    if not deaf and _unbroken(message, decoded):
        return Reception(decoded.times(message.name), np.empty(0))
    rows = decoded.rows(message.name)
    rows = rows[(frames.flags.take(rows) & UNHEARD) == 0]
    t_s = frames.t_ns.take(rows) / 1e9
    checksum = message.checksum
    intact = np.ones(len(rows), np.bool_) if checksum is None else decoded.checksums_fit(rows, checksum)
    counter = _counter(message, frames.data, rows)
    if counter is not None:
        intact &= counter <= message.counter_max
    corrupt_s = np.sort(np.concatenate((t_s[~intact], _too_short(message, frames))))
    t_s = t_s[intact]
    if counter is None:
        return Reception(t_s, corrupt_s)
    counter = counter[intact]
    if np.all(e2e.counter_steps(counter, message.counter_max + 1) == 1):
        return Reception(t_s, corrupt_s)
    accepted, doubtful = _accepted(t_s, counter, message, restarts_s)
    return Reception(t_s[accepted], corrupt_s, t_s[doubtful])


def _unbroken(message: RestbusMessage, decoded: Decoded) -> bool:
    """A cheap look: whether every frame is surely good."""
    checksum = message.checksum
    if checksum is not None and not isinstance(checksum, e2e.Checksum):
        return False
    counter = Counter(message.counter_start_bit, message.counter_length, message.counter_max)
    return decoded.unbroken(message.name, message.length, UNHEARD, checksum, counter)


def told(profile: Profile, receptions: Receptions, decoded: Decoded, value: str, t_s: Times) -> Times | None:
    """A value that the controller knows from a message alone, as the latest good frame had it; NaN before the first.

    None where no message of the rest bus carries it. What the poles carry off the line is told by two values.
    """
    if value == "pole_feed_v":
        volts = told(profile, receptions, decoded, "line_voltage_v", t_s)
        contact = told(profile, receptions, decoded, "pole_contact", t_s)
        return None if volts is None or contact is None else np.where(contact > _HALF, 0.0, volts)
    found = profile.carrier(value)
    if found is None:
        return None
    message, signal = found
    return receptions.value(message, signal, t_s)


def _heard(reception: Reception, told_s: Times, values: Times) -> tuple[Times, Times]:
    """The frames that tell something: values of good ones, NaN of doubtful ones."""
    doubtful = np.isin(told_s, reception.doubtful_s)
    tells = np.isin(told_s, reception.good_s) | doubtful
    return told_s[tells], np.where(doubtful, np.nan, values)[tells]


def count_since(events_s: Times, starts_s: Times, t_s: Times) -> Times:
    """How many events there have been at each time since the last start before it."""
    if not len(events_s):
        return np.zeros(len(t_s))
    counts = np.searchsorted(events_s, t_s, side="right")
    if len(starts_s):
        begun = np.searchsorted(starts_s, t_s, side="right")
        before = np.concatenate(([0], np.searchsorted(events_s, starts_s, side="left")))
        counts = counts - before.take(begun)
    return counts.astype(np.float64)


def asked(profile: Profile, decoded: Decoded, command: str) -> Times:
    """When a command began on the bus: its signals took their values."""
    return np.sort(np.concatenate([np.empty(0), *(t_s[rising(on)] for _, t_s, on in _told(profile, decoded, command))]))


def _told(profile: Profile, decoded: Decoded, command: str) -> Iterator[tuple[str, Times, NDArray[np.bool_]]]:
    """Each message of a command: its name, when it came, and whether it carried the command."""
    for message, values in profile.commands.get(command, {}).items():
        holds: NDArray[np.bool_] | None = None
        t_s: Times = np.empty(0)
        for signal_name, value in values.items():
            t_s, found = decoded.values(f"{message}.{signal_name}")
            matches = found == profile.database.by_name[message].by_name[signal_name].physical(value)
            holds = matches if holds is None else holds & matches
        if holds is not None and len(holds):
            yield message, t_s, holds


def request_new(profile: Profile, decoded: Decoded, power_ons_s: Times, t_s: Times) -> NDArray[np.bool_]:
    """Whether the vehicle has begun to ask for drive or charge since power-on."""
    requests_s = [asked(profile, decoded, command) for command in ("drive", "charge")]
    return count_since(np.sort(np.concatenate(requests_s)), power_ons_s, t_s) > 0


def rising(on: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Where something begins to hold, the first element included."""
    return np.flatnonzero(on & ~np.concatenate(([False], on[:-1])))


def _counter(message: RestbusMessage, data: NDArray[np.uint8], rows: NDArray[np.int32]) -> NDArray[np.int64] | None:
    """The alive counter of each frame; None where the message has none."""
    if message.counter_start_bit < 0:
        return None
    byte, bit = divmod(message.counter_start_bit, _BYTE_BITS)
    word: NDArray[np.int64] = data[:, byte].take(rows).astype(np.int64)
    if bit + message.counter_length > _BYTE_BITS:
        word |= data[:, byte + 1].take(rows).astype(np.int64) << _BYTE_BITS
    return (word >> bit) & ((1 << message.counter_length) - 1)


def _too_short(message: RestbusMessage, frames: Frames) -> Times:
    """Frames of the message's identifier whose length is another than its own."""
    if message.extended:
        return np.empty(0)
    own = (frames.id == message.id) & (frames.length != message.length)
    if not own.any():
        return np.empty(0)
    own &= ((frames.flags & (_STANDARD_FLAGS | UNHEARD)) == 0) & (frames.node != _DUT)
    arrived: Times = frames.t_ns[own] / 1e9
    return arrived


def _accepted(
    t_s: Times, counter: NDArray[np.int64], message: RestbusMessage, restarts_s: Times
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which frames are accepted, and at which that is in doubt.

    Frame by frame only where a counter went another way than by one: what follows an accepted frame is accepted.
    """
    modulus, period_s = message.counter_max + 1, message.period_ms / 1e3
    accepted, doubtful = np.zeros(len(t_s), np.bool_), np.zeros(len(t_s), np.bool_)
    breaks = np.flatnonzero(e2e.counter_steps(counter, modulus) != 1) + 1
    bounds = [0, *np.searchsorted(t_s, restarts_s, side="left").tolist(), len(t_s)]
    for first, end in pairwise(sorted(bounds)):
        receiver = _Receiver(modulus, period_s)
        at = first
        while at < end:
            if receiver.takes(float(t_s[at]), int(counter[at])):
                until = min(end, *breaks[breaks.searchsorted(at, side="right") :][:1].tolist(), len(t_s))
                doubtful[at : min(until, at + RESYNC_RUN)] = receiver.in_doubt
                receiver.took(float(t_s[until - 1]), int(counter[until - 1]), run=until - at)
                accepted[at:until] = True
                at = until
            else:
                doubtful[at] = receiver.in_doubt
                at += 1
    return accepted, doubtful


class _Receiver:
    """The state of one receiver between frames."""

    def __init__(self, modulus: int, period_s: float) -> None:
        self.in_doubt = False  # whether the controller's clock may have decided otherwise since it was last in step
        self._modulus, self._period_s = modulus, period_s
        self._last: tuple[float, int] | None = None
        self._candidate, self._run = 0, 0

    def takes(self, t_s: float, counter: int) -> bool:
        """Whether a frame with a right checksum is accepted now."""
        if not self._plausible(t_s, counter):
            return False
        self.took(t_s, counter)
        return True

    def took(self, t_s: float, counter: int, *, run: int = 1) -> None:
        """A frame was accepted, the last of a run that follow each other by one."""
        self._last, self._run = (t_s, counter), 0
        self.in_doubt = self.in_doubt and run <= RESYNC_RUN

    def _plausible(self, t_s: float, counter: int) -> bool:
        if self._last is None:
            return True
        age_s, steps = t_s - self._last[0], (counter - self._last[1]) % self._modulus
        missing = max(0, int((age_s - self._period_s) / self._period_s + _ROUNDING))
        if age_s > self._period_s and MAX_STEP + max(0, missing - 1) < steps <= MAX_STEP + missing + 1:
            self.in_doubt = True
        return 1 <= steps <= MAX_STEP + missing or self._back_in_step(counter)

    def _back_in_step(self, counter: int) -> bool:
        follows = self._run > 0 and 1 <= (counter - self._candidate) % self._modulus <= MAX_STEP
        self._run = self._run + 1 if follows else 1
        self._candidate = counter
        return self._run >= RESYNC_RUN
