# SPDX-License-Identifier: Apache-2.0
"""What goes on on a CAN bus, by a profile or a database: values, periods, counters, checksums, ages, load.

Frames in, a picture out; nothing in here knows where frames come from: a live bus and a recording look the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from harness.bench.busload import LoadMeter
from harness.bench.picture import Period, Picture, Remark, Seen, TroubleCodes, Unknown, Value
from harness.canbus import j1939
from harness.canbus.batch import NODE_UNKNOWN, Decoded, Decoder
from harness.canbus.database import Database
from harness.canbus.e2e import AnyChecksum, counter_steps
from harness.canbus.model import Message, Signal
from harness.canbus.portmodel import PortFrame
from harness.canbus.product import Binding, Profile
from harness.kernel.config import FrameFlag
from harness.trace import Frames

_EXTENDED, _REMOTE, _ERROR = int(FrameFlag.EXTENDED), int(FrameFlag.REMOTE), int(FrameFlag.ERROR)
_ID_BITS = 32
_MAX_PAYLOAD = 64
_SILENT_PERIODS, _SILENT_S = 5.0, 0.1  # a message is silent after so many periods and this
_PERIOD_SHARE = 0.2  # that the mean period may be off
_LEAST_GAPS = 5  # of which a mean says something
_MS = 1e3


@dataclass(slots=True)
class _Gaps:
    """Running numbers of the times between frames, s."""

    frames: int = 0
    last_s: float = 0.0
    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    least: float = np.inf
    greatest: float = 0.0

    def add(self, t_s: NDArray[np.float64]) -> None:
        gaps = np.diff(t_s, prepend=self.last_s) if self.frames else np.diff(t_s)
        self.frames += len(t_s)
        self.last_s = float(t_s[-1])
        if len(gaps):
            self.count += len(gaps)
            self.total += float(gaps.sum())
            self.squares += float((gaps * gaps).sum())
            self.least = min(self.least, float(gaps.min()))
            self.greatest = max(self.greatest, float(gaps.max()))

    def period(self, nominal_ms: float | None) -> Period:
        if not self.count:
            return Period(nominal_ms)
        mean = self.total / self.count
        jitter = max(0.0, self.squares / self.count - mean * mean) ** 0.5
        return Period(nominal_ms, mean * _MS, self.least * _MS, self.greatest * _MS, jitter * _MS)


@dataclass(frozen=True, slots=True)
class _Rules:
    """What is known of a message beside its signals. The counter is a signal, or bits of the payload."""

    nominal_ms: float | None = None
    checksum: AnyChecksum | None = None
    counter: str | None = None
    counter_bits: tuple[int, int] | None = None
    modulus: int = 0


@dataclass(slots=True)
class _Track:
    """One message as it comes."""

    message: Message
    rules: _Rules
    gaps: _Gaps = field(default_factory=_Gaps)
    short: int = 0
    crc_errors: int = 0
    counter: int | None = None
    lost: int = 0
    repeated: int = 0


class Monitor:
    """Takes frames in the order of their time, gives a picture at any time."""

    def __init__(
        self,
        database: Database,
        decoder: Decoder,
        *,
        bitrate: int,
        data_bitrate: int = 0,
        profile: Profile | None = None,
    ) -> None:
        self._decoder = decoder
        self._load = LoadMeter(bitrate, data_bitrate)
        rules = {} if profile is None else _rules(profile)
        self._tracks = {
            _key(message.id, extended=message.extended): _Track(message, rules.get(message.name, _by_database(message)))
            for message in database.messages
        }
        self._keys = np.array(sorted(self._tracks), np.uint64)
        self._bindings: Mapping[str, Binding] = {}
        if profile is not None:
            self._bindings = {binding.path: binding for binding in profile.bindings.values()}
        self._unknown: dict[int, tuple[_Gaps, str]] = {}
        self._values: dict[str, tuple[float, float, str]] = {}
        self._node = None if profile is None else profile.j1939
        self._assembler, self._lists = j1939.Assembler(), dict[int, j1939.Message]()
        self._frames = self._own = self._errors = self._remote = 0
        self._last_s = 0.0

    @classmethod
    def of_profile(cls, profile: Profile, *, bitrate: int, data_bitrate: int = 0) -> Self:
        """A monitor that knows quantities, counters and checksums."""
        decoder = profile.decoder
        return cls(profile.database, decoder, bitrate=bitrate, data_bitrate=data_bitrate, profile=profile)

    @classmethod
    def of_database(cls, database: Database, *, bitrate: int, data_bitrate: int = 0) -> Self:
        """A monitor that knows signals only."""
        return cls(database, Decoder(database), bitrate=bitrate, data_bitrate=data_bitrate)

    def add(self, frames: Frames, own: int = 0) -> None:
        """More frames. `own`: how many of them were sent by this machine."""
        if not len(frames):
            return
        self._frames += len(frames)
        self._own += own
        errors, remote = (frames.flags & _ERROR) != 0, (frames.flags & _REMOTE) != 0
        self._errors += int(errors.sum())
        self._remote += int((remote & ~errors).sum())
        self._last_s = max(self._last_s, float(frames.t_ns[-1]) / 1e9)
        self._load.add(frames)
        plain = np.flatnonzero(~errors & ~remote)
        keys = frames.id[plain].astype(np.uint64) | ((frames.flags[plain] & _EXTENDED).astype(np.uint64) << _ID_BITS)
        self._hear_troubles(frames)
        decoded = self._decoder.decode(frames)
        for key, rows in _groups(keys, plain):
            track = self._tracks.get(key)
            if track is None:
                self._add_unknown(key, frames, rows)
            else:
                self._add_known(track, frames, rows, decoded)

    def picture(self, t_s: float | None = None) -> Picture:
        """The bus now, which is `t_s`; by default the time of the last frame."""
        now_s = self._last_s if t_s is None else t_s
        tracks = [self._tracks[int(key)] for key in self._keys]
        return Picture(
            t_s=now_s,
            frames=self._frames,
            own=self._own,
            error_frames=self._errors,
            remote=self._remote,
            load=self._load.load(now_s),
            seen=tuple(self._seen(track, now_s) for track in tracks if track.gaps.frames or track.short),
            unknown=tuple(_unknown(key, *found, now_s) for key, found in sorted(self._unknown.items())),
            missing=tuple(track.message.name for track in tracks if track.rules.nominal_ms and not track.gaps.frames),
            troubles=tuple(self._told(self._lists[pgn], now_s) for pgn in j1939.LISTS if pgn in self._lists),
        )

    def _hear_troubles(self, frames: Frames) -> None:
        if self._node is not None:
            heard = j1939.messages(frames, j1939.LISTS, self._assembler)
            self._lists |= {message.pgn: message for message in heard if message.source == self._node.address}

    def _told(self, message: j1939.Message, now_s: float) -> TroubleCodes:
        assert self._node is not None
        codes = tuple(self._node.text(trouble) for trouble in j1939.troubles(message.data))
        age_s = max(0.0, now_s - message.end_s)
        return TroubleCodes(j1939.LISTS[message.pgn], age_s, j1939.lamps(message.data), codes)

    def _add_unknown(self, key: int, frames: Frames, rows: NDArray[np.intp]) -> None:
        gaps, _ = self._unknown.get(key, (_Gaps(), ""))
        gaps.add(frames.t_ns[rows] / 1e9)
        last = rows[-1]
        self._unknown[key] = (gaps, frames.data[last, : frames.length[last]].tobytes().hex(" "))

    def _add_known(self, track: _Track, frames: Frames, rows: NDArray[np.intp], decoded: Decoded) -> None:
        name = track.message.name
        good = decoded.rows(name)
        track.short += len(rows) - len(good)
        track.gaps.add(frames.t_ns[rows] / 1e9)
        if not len(good):
            return
        if track.rules.checksum is not None:
            fits = decoded.checksums_fit(good, track.rules.checksum)
            track.crc_errors += int((~fits).sum())
            good = good[fits]
        self._count(track, _counter(track, frames, good, decoded))
        for signal in track.message.signals:
            self._take(f"{name}.{signal.name}", signal, decoded)

    def _count(self, track: _Track, counter: NDArray[np.int64] | None) -> None:
        if counter is None or not len(counter):
            return
        before = [] if track.counter is None else [track.counter]
        steps = counter_steps(np.array([*before, *counter.tolist()], np.int64), track.rules.modulus)
        track.counter = int(counter[-1])
        track.repeated += int((steps == 0).sum())
        track.lost += int((steps[steps > 1] - 1).sum())

    def _take(self, path: str, signal: Signal, decoded: Decoded) -> None:
        if path not in self._decoder.layout.places:
            return
        if not signal.states:
            t_s, values = decoded.values(path)
            if len(values):
                self._values[path] = (float(t_s[-1]), float(values[-1]), "")
            return
        series = decoded.signal(path)
        if len(series.value):
            state = signal.states.get(int(series.raw[-1]), "") if np.isfinite(series.raw[-1]) else ""
            self._values[path] = (float(series.t_s[-1]), float(series.value[-1]), state)

    def _seen(self, track: _Track, now_s: float) -> Seen:
        message, rules = track.message, track.rules
        age_s = max(0.0, now_s - track.gaps.last_s) if track.gaps.frames else None
        period = track.gaps.period(rules.nominal_ms)
        values = (self._value(message, signal, now_s) for signal in message.signals)
        return Seen(
            name=message.name,
            id=message.id,
            extended=message.extended,
            frames=track.gaps.frames,
            period=period,
            age_s=age_s,
            lost=track.lost if rules.modulus else None,
            repeated=track.repeated if rules.modulus else None,
            crc_errors=None if rules.checksum is None else track.crc_errors,
            short=track.short,
            remark=_remark(period, age_s, track),
            values=tuple(value for value in values if value is not None),
        )

    def _value(self, message: Message, signal: Signal, now_s: float) -> Value | None:
        path = f"{message.name}.{signal.name}"
        if path not in self._values:
            return None
        t_s, value, state = self._values[path]
        binding = self._bindings.get(path)
        scaled = None if binding is None or binding.states is not None else value * binding.scale + binding.offset
        return Value(
            path=path,
            value=value,
            unit=signal.unit,
            age_s=max(0.0, now_s - t_s),
            in_range=_in_range(signal, value),
            state=state,
            quantity="" if binding is None else binding.quantity,
            quantity_value=scaled,
        )


def _in_range(signal: Signal, value: float) -> bool:
    """Half a step beyond a limit is still rounding."""
    slack = abs(signal.scale) / 2
    above = signal.minimum is None or value >= signal.minimum - slack
    return above and (signal.maximum is None or value <= signal.maximum + slack)


def to_frames(frames: Sequence[PortFrame], t0_ns: int) -> Frames:
    """Frames of a port as columns, with times from `t0_ns` on. Own ones are included; the sender is unknown."""
    data = np.frombuffer(b"".join(frame.data.ljust(_MAX_PAYLOAD, b"\0") for frame in frames), np.uint8)
    return Frames(
        t_ns=np.array([max(0, frame.t_ns - t0_ns) for frame in frames], np.uint64),
        id=np.array([frame.id for frame in frames], np.uint32),
        flags=np.array([int(frame.flags) for frame in frames], np.uint8),
        bus=np.array([frame.bus for frame in frames], np.uint8),
        node=np.full(len(frames), NODE_UNKNOWN, np.uint8),
        length=np.array([len(frame.data) for frame in frames], np.uint8),
        data=data.reshape(len(frames), _MAX_PAYLOAD),
    )


def _key(identifier: int, *, extended: bool) -> int:
    return identifier | (int(extended) << _ID_BITS)


def _groups(keys: NDArray[Any], rows: NDArray[np.intp]) -> Iterable[tuple[int, NDArray[np.intp]]]:
    """The rows of each key, in their order."""
    order = np.argsort(keys, kind="stable")
    found, starts = np.unique(keys[order], return_index=True)
    return zip(found.tolist(), np.split(rows[order], starts[1:]), strict=True) if len(keys) else ()


def _by_database(message: Message) -> _Rules:
    return _Rules(nominal_ms=message.cycle_ms)


def _rules(profile: Profile) -> dict[str, _Rules]:
    """Of the controller's protected messages and of the rest bus."""
    cycles = {message.name: message.cycle_ms for message in profile.database.messages}
    rules = {
        name: _Rules(cycles[name], protection.checksum, protection.counter, None, protection.counter_modulus)
        for name, protection in profile.protections.items()
    }
    for rest in profile.restbus:
        bits = (rest.counter_start_bit, rest.counter_length) if rest.counter_start_bit >= 0 else None
        rules[rest.name] = _Rules(
            float(rest.period_ms), rest.checksum, None, bits, rest.counter_max + 1 if bits is not None else 0
        )
    return rules


def _counter(track: _Track, frames: Frames, rows: NDArray[np.int32], decoded: Decoded) -> NDArray[np.int64] | None:
    """The alive counters of some frames of a message."""
    if track.rules.counter_bits is not None:
        start, length = track.rules.counter_bits
        payload = np.unpackbits(frames.data[rows], axis=1, bitorder="little")[:, start : start + length]
        return payload.astype(np.int64) @ (1 << np.arange(length, dtype=np.int64))
    if track.rules.counter is None:
        return None
    series = decoded.signal(f"{track.message.name}.{track.rules.counter}")
    chosen: NDArray[np.int64] = series.raw[np.isin(series.rows, rows)].astype(np.int64)
    return chosen


def _unknown(key: int, gaps: _Gaps, data: str, now_s: float) -> Unknown:
    return Unknown(
        id=key & ((1 << _ID_BITS) - 1),
        extended=bool(key >> _ID_BITS),
        frames=gaps.frames,
        mean_ms=gaps.period(None).mean_ms,
        age_s=max(0.0, now_s - gaps.last_s),
        data=data,
    )


def _remark(period: Period, age_s: float | None, track: _Track) -> Remark:
    if period.nominal_ms is None or age_s is None:
        return ""
    if age_s > max(_SILENT_PERIODS * period.nominal_ms / _MS, _SILENT_S):
        return "silent"
    if period.mean_ms is None or track.gaps.count < _LEAST_GAPS:
        return ""
    share = period.mean_ms / period.nominal_ms - 1.0
    if share > _PERIOD_SHARE:
        return "slower than nominal"
    if share < -_PERIOD_SHARE and not any(signal.is_multiplexer for signal in track.message.signals):
        return "faster than nominal"  # some databases give multiplexed messages the period of all their parts together
    return ""
