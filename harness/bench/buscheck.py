# SPDX-License-Identifier: Apache-2.0
"""What was heard on the bus against what the database says should be there: bit rate, identifiers, periods."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from harness.bench.checks import Check, not_checked, ok, problem
from harness.bench.livecheck import Heard
from harness.canbus.model import Message
from harness.canbus.profile import Profile
from harness.errors import BenchError
from harness.kernel.bustypes import NodeState
from harness.kernel.config import FrameFlag
from harness.rig.loglook import messages_of

_ODD = int(FrameFlag.REMOTE) | int(FrameFlag.ERROR)
_PERIOD_SHARE = 0.2  # of the period that the median may be off: more is another period, not jitter
_PERIOD_MS = 3.0
_LEAST_GAPS = 4  # of which a median says something
_SHOWN = 6  # names in one line
Times = NDArray[np.float64]


def check_bus(heard: Heard, profile: Profile, bitrate: int) -> Iterator[Check]:
    """Bit rate, database, senders and periods, one line each."""
    rate = check_bit_rate(heard, bitrate)
    yield rate
    if rate.state != "ok":
        yield from (not_checked(name, rate.found) for name in ("database", "messages", "periods", "other senders"))
        return
    times = _times(heard, profile)
    database = _check_database(heard, profile, times)
    yield database
    if not times:
        yield from (not_checked(name, database.found) for name in ("messages", "periods", "other senders"))
        return
    yield _check_missing(heard, profile, times)
    yield _check_periods(profile, times)
    yield _check_senders(profile, times)


def check_bit_rate(heard: Heard, bitrate: int) -> Check:
    """Frames arrive and no error frames: then bit rate, wiring and termination are right."""
    status = heard.status
    count = int(np.count_nonzero((heard.frames.flags & _ODD) == 0))
    rate = f"{bitrate / 1000:g} kbit/s"
    if _is_disturbed(heard):
        odd = f"{status.error_frames} error frames, {status.malformed} unreadable, {count} good frames"
        return problem(
            "bit rate",
            f"{odd} in {heard.seconds:g} s, adapter {status.state.name.lower().replace('_', ' ')}",
            f"is the bus at {rate} ([bus] of the rig)? Then look at CAN-H, CAN-L and 120 ohm at both ends",
        )
    if not count:
        return problem(
            "bit rate",
            f"no frame in {heard.seconds:g} s",
            "the controller is not supplied (--power lets the doctor do it), the cable is off, "
            f"or the bus is not at {rate}",
        )
    return ok("bit rate", f"{rate}: {count} frames in {heard.seconds:g} s, no error frame")


def refuse_wrong_bus(heard: Heard, profile: Profile, bitrate: int) -> None:
    """Raise BenchError when what is heard before anything is energised shows another bit rate, another database or
    another sender of the harness's messages. A silent bus is no sign of anything: the controller has no supply yet.
    """
    rate = check_bit_rate(heard, bitrate)
    silent = not len(heard.frames) and not _is_disturbed(heard)
    if silent:
        return
    times = _times(heard, profile)
    checks = [rate, _check_senders(profile, times)]
    if rate.state == "ok" and not times:
        checks.append(_check_database(heard, profile, times))
    wrong = [check for check in checks if check.state == "problem"]
    if wrong:
        raise BenchError("; ".join(f"{check.name}: {check.found}; {check.remedy}" for check in wrong))


def _is_disturbed(heard: Heard) -> bool:
    status = heard.status
    return bool(status.error_frames or status.malformed or status.state is not NodeState.ERROR_ACTIVE)


def _times(heard: Heard, profile: Profile) -> dict[str, Times]:
    """When each message of the database came, s."""
    frames = heard.frames
    plain = (frames.flags & _ODD) == 0
    found = {}
    for message in profile.database.messages:
        same = plain & (frames.id == message.id)
        same &= ((frames.flags & int(FrameFlag.EXTENDED)) != 0) == message.extended
        if same.any():
            found[message.name] = frames.t_ns[same] / 1e9
    return found


def _check_database(heard: Heard, profile: Profile, times: Mapping[str, Times]) -> Check:
    name, file = "database", profile.database.path.name
    frames = heard.frames
    ids = np.unique(frames.id[(frames.flags & _ODD) == 0]).tolist()
    known = {profile.database.by_name[message].id for message in times}
    unknown = [f"0x{number:X}" for number in ids if number not in known]
    if not times:
        remedy = "this is another product's database, or another bus: correct [can] profile of the rig"
        return problem(name, f"none of the {len(ids)} identifiers heard is in {file} ({_few(unknown)})", remedy)
    counts = profile.decoder.decode(frames).counts
    if counts.wrong_length:
        return problem(
            name,
            f"{counts.wrong_length} frames have another length than {file} says",
            "is this the database of this software version of the controller?",
        )
    if unknown:
        remedy = "take the database of this software version, or find out who sends them"
        return problem(name, f"not in {file}: {_few(unknown)}", remedy)
    return ok(name, f"all {len(ids)} identifiers heard are in {file}")


def _check_missing(heard: Heard, profile: Profile, times: Mapping[str, Times]) -> Check:
    expected = [message for message in _own(profile) if message.cycle_ms and message.cycle_ms / 1e3 < heard.seconds / 2]
    missing = [message.name for message in expected if message.name not in times]
    if missing:
        return problem(
            "messages",
            f"of {len(expected)} cyclic messages of the controller these never came: {_few(missing)}",
            "is the database that of this software version, and the controller past its start-up?",
        )
    return ok("messages", f"all {len(expected)} cyclic messages of the controller came")


def _check_periods(profile: Profile, times: Mapping[str, Times]) -> Check:
    wrong, looked = [], 0
    for message in _own(profile):
        gaps_ms = np.diff(times.get(message.name, np.empty(0))) * 1e3
        if not message.cycle_ms or len(gaps_ms) < _LEAST_GAPS:
            continue
        looked += 1
        median_ms = float(np.median(gaps_ms))
        if abs(median_ms - message.cycle_ms) > max(_PERIOD_SHARE * message.cycle_ms, _PERIOD_MS):
            wrong.append(f"{message.name} every {median_ms:.0f} ms, not {message.cycle_ms} ms")
    if wrong:
        return problem("periods", _few(wrong), "is this the database of this software version of the controller?")
    if not looked:
        return not_checked("periods", "no message came often enough")
    return ok("periods", f"{looked} messages come at their period")


def _check_senders(profile: Profile, times: Mapping[str, Times]) -> Check:
    """Nobody else sends what the harness is about to send."""
    taken = [message.name for message in profile.restbus if message.name in times]
    if taken:
        remedy = "switch off the other sender (a second harness, a real vehicle or charger): two would collide"
        return problem("other senders", f"somebody sends {_few(taken)}, which the harness sends", remedy)
    return ok("other senders", f"nobody sends the {len(profile.restbus)} messages of the harness")


def _own(profile: Profile) -> list[Message]:
    own = messages_of(profile)
    return [message for message in profile.database.messages if message.name in own]


def _few(words: list[str]) -> str:
    more = f" and {len(words) - _SHOWN} more" if len(words) > _SHOWN else ""
    return ", ".join(words[:_SHOWN]) + more
