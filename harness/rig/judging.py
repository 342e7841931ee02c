# SPDX-License-Identifier: Apache-2.0
"""Judging a recording offline: a trace in full, a plain bus log as far as the bus alone can say.

Requirements are judged against what the controller was given. A trace holds that; a bus log does not, so of a log
only these are judged: cyclic messages; what the requirement itself reads on the bus (side "reported"); outputs, which
are taken from what the controller reports of them; and how old the vehicle's messages were. All else is
NOT_EXERCISED with the quantity that is missing, never a pass.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations

import numpy as np

from harness.canbus.profile import Profile
from harness.errors import UsageError
from harness.observation import Observation
from harness.requirements import model
from harness.requirements.judge import group_of, judge, judge_all
from harness.requirements.model import Accuracy, Cycle, Diagnosis, Goal, Invariant, Limit, Requirement, Trip
from harness.rig.loglook import (
    NS_PER_S,
    VEHICLE_AGE,
    Heard,
    LogEvidence,
    Span,
    as_trace,
    heard,
    longest_pause_s,
    messages_of,
)
from harness.trace import Frames, Trace
from harness.verdict import Outcome, Verdict

Quantity = tuple[str, str]  # side, name
_SAFE_STATES: Mapping[str, tuple[Quantity, ...]] = {
    "contactors_open": (("output", "contactor_positive"), ("output", "contactor_negative")),
    "charge_limit_zero": (("reported", "charge_limit_a"),),
    "discharge_limit_zero": (("reported", "discharge_limit_a"),),
}
BASES = _BUS, _REPORTED = "from the bus", "from reported values"  # how the reason of a verdict on a log begins
_DECIDED = (Outcome.PASS, Outcome.FAIL)


@dataclass(frozen=True, slots=True)
class Judged:
    """Verdicts in the order of the requirements, what they rest on, and what a person should know besides.

    `missing`: for each requirement that could not be judged, what it needs and the recording has not.
    `observation` is what was judged.
    """

    verdicts: tuple[Verdict, ...]
    duration_s: float
    basis: str
    frames: Mapping[str, int]
    observation: Observation
    missing: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def judge_trace(
    trace: Trace, profile: Profile, requirements: Sequence[Requirement], *, timing_s: float, boot_s: float
) -> Judged:
    """Everything, as the run that wrote the trace judged it; tolerances of time are those of the trace."""
    observation = Observation(
        trace,
        profile,
        timing_s=float(trace.header.get("timing_s", timing_s)),
        boot_s=float(trace.header.get("boot_s", boot_s)),
    )
    if trace.error:
        verdicts = tuple(Verdict(item.id, Outcome.ERROR, reason=trace.error) for item in requirements)
    else:
        verdicts = judge_all(tuple(requirements), observation)
    return Judged(verdicts, observation.duration_s, "trace", _counts(observation), observation)


def judge_log(
    frames: Frames,
    profile: Profile,
    requirements: Sequence[Requirement],
    *,
    timing_s: float,
    boot_s: float,
    tick_s: float,
) -> Judged:
    """What can be judged of a bus log. `frames` are those of one channel, times from the start of the recording."""
    plain = Observation(Trace(np.empty(0), {}, frames), profile, timing_s=timing_s, boot_s=boot_s)
    times_s = np.sort(np.concatenate([np.empty(0), *(plain.decoded.times(name) for name in messages_of(profile))]))
    end_s = float(frames.t_ns[-1] / NS_PER_S) if len(frames) else 0.0
    when = heard(times_s, end_s, longest_pause_s(requirements, timing_s))
    trace = as_trace(frames, when, tick_s)
    log = _Log(LogEvidence(trace, profile, when, timing_s=timing_s, boot_s=boot_s), profile, when, tuple(requirements))
    missing = {item.id: found for item in requirements if (found := log.missing(item))}
    verdicts = tuple(log.verdict(item, missing.get(item.id, ())) for item in requirements)
    return Judged(verdicts, end_s, "bus", _counts(plain), plain, missing, tuple(_notes(plain, when)))


def one_channel(frames: Frames, channel: int | None, profile: Profile) -> Frames:
    """The frames of one channel. Raises UsageError when there is no such channel, or none is named and the controller
    is on several.
    """
    channels = sorted({int(bus) for bus in np.unique(frames.bus)})
    if channel is not None:
        if channel not in channels:
            told = ", ".join(map(str, channels)) or "none: it has no frames"
            raise UsageError(f"--channel {channel}: no frame of the recording is on it; channels with frames: {told}")
        return _only(frames, channel)
    if len(channels) < 2:  # noqa: PLR2004 - nothing to choose
        return frames
    ids = np.array([profile.database.by_name[name].id for name in messages_of(profile)], np.uint32)
    spoken = sorted({int(bus) for bus in np.unique(frames.bus[np.isin(frames.id, ids)])})
    if len(spoken) > 1:
        told = ", ".join(map(str, spoken))
        raise UsageError(f"messages of the controller are on channels {told}: choose one with --channel N")
    return _only(frames, spoken[0]) if spoken else frames


def belongs(trace: Trace, frames: Frames) -> bool:
    """Whether a trace was recorded together with a log: the log has all frames of the trace."""
    seen: dict[bytes, int] = {}
    for key in _keys(frames):
        seen[key] = seen.get(key, 0) + 1
    for key in _keys(trace.frames):
        if not seen.get(key):
            return False
        seen[key] -= 1
    return len(trace.frames) > 0


class _Log:
    """One log with what is asked of it again and again."""

    def __init__(
        self, evidence: LogEvidence, profile: Profile, when: Heard, requirements: tuple[Requirement, ...]
    ) -> None:
        self._evidence, self._profile, self._when, self._all = evidence, profile, when, requirements

    def missing(self, requirement: Requirement) -> tuple[str, ...]:
        """What the requirement needs that a log has not; empty when it can be judged."""
        if not self._when.runs:
            return ("any message of the controller",)
        needed = list(needs(requirement))
        if isinstance(requirement, Trip):
            for other in group_of(requirement, self._all):  # they may explain the flag
                needed += needs(other)
        lacking = dict.fromkeys(found for side, name in needed if (found := self._lacks(side, name)))
        return tuple(lacking)

    def _lacks(self, side: str, name: str) -> str:
        if side == "message":
            if name not in self._evidence.decoded:
                return f"message {name} in the database"
            return "" if len(self._evidence.decoded.rows(name)) else f"message {name}"  # it may have been filtered out
        if side in ("given", "truth") or name == "powered":
            known = side == "given" and name == VEHICLE_AGE and self._evidence.given(name) is not None
            return "" if known else f"{name} {'truth' if side == 'truth' else 'given'}"
        series = self._evidence.reported(name)
        if series is None:
            return f"a signal for {name} in the profile"
        return "" if len(series.t_s) else f"{name} reported"

    def verdict(self, requirement: Requirement, missing: Sequence[str]) -> Verdict:
        """The verdict, marked with what it rests on."""
        if missing:
            reason = f"cannot be judged from a recording: {', '.join(missing)}: not in it"
            return Verdict(requirement.id, Outcome.NOT_EXERCISED, reason=reason)
        if isinstance(requirement, Cycle):
            return self._but_silent(_marked(judge(requirement, self._evidence), _BUS))
        outputs = {name for side, name in needs(requirement) if side == "output"}
        verdict = judge(requirement, self._evidence, self._all)
        if outputs and verdict.outcome in _DECIDED:
            verdict = self._whenever(requirement, outputs, verdict)
        return self._but_stale(requirement, self._but_silent(_marked(verdict, _REPORTED)))

    def _whenever(self, requirement: Requirement, outputs: set[str], verdict: Verdict) -> Verdict:
        """A verdict on outputs must be the same wherever between two reports they really changed."""
        chosen = chain.from_iterable(combinations(sorted(outputs), count + 1) for count in range(len(outputs)))
        for early in chosen:
            other = judge(requirement, self._evidence.with_early(early), self._all)
            if other.outcome is not verdict.outcome:
                reason = (
                    "it depends on when between two reports of the controller its contactors moved: "
                    f"{verdict.outcome.value} as reported ({verdict.reason}), {other.outcome.value} if earlier"
                )
                return replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=reason)
        return verdict

    def _but_silent(self, verdict: Verdict) -> Verdict:
        """No pass where the controller was silent: it may have been off, or dead."""
        silences = self._when.silences
        if not silences or verdict.outcome is not Outcome.PASS:
            return verdict
        reason = f"{verdict.reason}; but {_silent(self._when)}, and whether it had power then is not in a recording"
        return replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=reason)

    def _but_stale(self, requirement: Requirement, verdict: Verdict) -> Verdict:
        """No pass on reports whose cyclic message was missing for a time: nobody knows what it would have told."""
        if verdict.outcome is not Outcome.PASS:
            return verdict
        bindings = [self._profile.bindings.get(name) for _, name in needs(requirement)]
        messages = {binding.path.partition(".")[0] for binding in bindings if binding is not None}
        for cycle in self._all:
            if isinstance(cycle, Cycle) and cycle.message in messages and (gap := self._gap(cycle)) is not None:
                told = f"but nothing came of {cycle.message} from {gap.start_s:.3f} to {gap.end_s:.3f} s"
                return replace(verdict, outcome=Outcome.INCONCLUSIVE, reason=f"{verdict.reason}; {told}")
        return verdict

    def _gap(self, cycle: Cycle) -> Span | None:
        """The longest time without a message, where that is more than its period allows."""
        times_s = np.append(self._evidence.decoded.times(cycle.message), self._evidence.duration_s)
        longest = int(np.argmax(np.diff(times_s)))
        gap = Span(float(times_s[longest]), float(times_s[longest + 1]))
        allowed_s = cycle.period_s + cycle.tolerance_s + self._evidence.timing_s
        return gap if gap.end_s - gap.start_s > allowed_s else None


def needs(requirement: Requirement) -> tuple[Quantity, ...]:
    """Every quantity a requirement is judged by, with its side; a cyclic message has the side "message"."""
    conditions = [(item.side, item.quantity) for item in requirement.when]
    own: Iterable[Quantity]
    match requirement:
        case Trip():
            safe = _SAFE_STATES.get(requirement.safe_state, ())
            own = ((requirement.side, requirement.quantity), ("reported", requirement.flag), *safe)
        case Limit() | Accuracy():
            own = ((requirement.side, requirement.quantity), ("reported", requirement.reported))
        case Cycle():
            own = (("message", requirement.message),)
        case model.Sequence():
            own = [(item.side, item.quantity) for item in (requirement.event, *requirement.requires)]
        case Invariant():
            own = ((requirement.always.side, requirement.always.quantity),)
        case Goal():
            own = (("truth", requirement.quantity),)
        case Diagnosis():
            own = (("reported", requirement.quantity or "bms_state"),)
    return tuple(dict.fromkeys((*own, *conditions)))


def _marked(verdict: Verdict, basis: str) -> Verdict:
    return replace(verdict, reason=f"{basis}: {verdict.reason}")


def _silent(when: Heard) -> str:
    first, *more = when.silences
    again = f" (and in {len(more)} more silences)" if more else ""
    return f"nothing came of the whole controller from {first.start_s:.3f} to {first.end_s:.3f} s{again}"


def _notes(observation: Observation, when: Heard) -> Iterable[str]:
    counts = observation.decoded.counts
    if not when.runs:
        yield "no message of the controller is in this recording: is it the rig's, and is it the channel?"
    elif counts.unknown_id > counts.decoded:
        yield "most frames are unknown to the profile: is this a recording of the rig?"
    if when.runs and when.silences:
        yield _silent(when)


def _counts(observation: Observation) -> dict[str, int]:
    found = observation.frame_counts()
    in_all = sum(found.values()) - found["undecodable_multiplexer"]
    return {"frames": in_all, **found}


def _only(frames: Frames, channel: int) -> Frames:
    chosen = frames.bus == channel
    return Frames(*(getattr(frames, name)[chosen] for name in Frames.__dataclass_fields__))


def _keys(frames: Frames) -> Iterable[bytes]:
    for identifier, length, data in zip(frames.id.tolist(), frames.length.tolist(), frames.data, strict=True):
        yield identifier.to_bytes(4, "little") + data[:length].tobytes()
