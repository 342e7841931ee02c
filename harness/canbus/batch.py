# SPDX-License-Identifier: Apache-2.0
"""Decoding whole frame buffers at once: no Python per frame, equal to cantools to the bit.

The kernel sorts the frames by message and multiplexer value and decodes every signal into one array; what is asked
for here are views of it. What cannot be decoded is counted, never dropped silently.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.canbus import e2e
from harness.canbus.database import Database
from harness.canbus.layout import Layout, Place, lay_out
from harness.canbus.model import Signal
from harness.firmware.builder import build_kernel
from harness.firmware.loader import KernelLibrary, load_kernel
from harness.kernel.decode import Counter, DecodedNodes, FrameArrays, FrameDecoder, WantedSignals
from harness.trace import Frames

NODE_UNKNOWN = 255  # sender in recordings that do not say who sent a frame
NS_PER_S = 1e9
_WORD_BITS = 64
_WORD_BYTES = 8


@dataclass(frozen=True, slots=True)
class Counts:
    """Frames by what became of them; all but the last add up to the frames of the buffer.

    `wrong_length`: shorter than the message. `other_node`: a message of the DUT that another node sent.
    `undecodable_multiplexer`: among the decoded, those with a multiplexer at a value the database does not name;
    the signals it selects are missing, the others are there.
    """

    decoded: int = 0
    unknown_id: int = 0
    wrong_length: int = 0
    remote: int = 0
    error: int = 0
    other_node: int = 0
    undecodable_multiplexer: int = 0


class Decoder:
    """Decode plan of one database, built once and used for any number of frame buffers.

    `restbus` names the messages that other nodes than the DUT send. The kernel is built on first use if not given.
    """

    def __init__(self, database: Database, restbus: Collection[str] = (), kernel: KernelLibrary | None = None) -> None:
        self.database = database
        self.layout = lay_out(database.messages, restbus)
        self._kernel = kernel
        self._decoder: FrameDecoder | None = None

    def wanted(self, paths: Sequence[str]) -> WantedSignals:
        """What `Decoded.extremes` takes. The signals must be in one node each: not at several multiplexer values."""
        places = [self.layout.places[path][0] for path in paths]
        first = self.layout.plan.nodes["first_signal"]
        signals = [int(first[place.node]) + place.row for place in places]
        nodes = sorted({place.node for place in places})
        return WantedSignals(np.array(signals, np.intp), np.array(nodes, np.int32))

    def decode(self, frames: Frames) -> Decoded:
        """Decode every signal of every frame. Raises FirmwareError when the kernel cannot be built."""
        if self._decoder is None:
            kernel = self._kernel or load_kernel(build_kernel())
            self._decoder = FrameDecoder(kernel, self.layout.plan)
        arrays = FrameArrays(
            _plain(frames.id, np.uint32),
            _plain(frames.flags, np.uint8),
            _plain(frames.node, np.uint8),
            _plain(frames.length, np.uint8),
            _padded(frames.data),
        )
        return Decoded(self._decoder, self.layout, frames.t_ns, arrays, self._decoder.decode(arrays))


def _plain(array: NDArray[Any], kind: Any) -> NDArray[Any]:
    return np.ascontiguousarray(array, kind)


def _padded(data: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Payloads as the kernel reads them: in whole 64-bit words."""
    n, width = data.shape
    if width % _WORD_BYTES or not width:
        padded = np.zeros((n, width + _WORD_BYTES - width % _WORD_BYTES), np.uint8)
        padded[:, :width] = data
        return padded
    return _plain(data, np.uint8)


class SignalSeries:
    """One signal over time: `t_s` end of frame, `value` = raw * scale + offset. `rows` are frames of the buffer.

    `raw` is exact to 64 bits; of a number longer than the 53 bits of a double `value` is the nearest double.
    """

    __slots__ = ("_data", "_raw", "_signal", "rows", "t_s", "value")

    def __init__(
        self,
        signal: Signal,
        rows: NDArray[np.int32],
        t_s: NDArray[np.float64],
        value: NDArray[np.float64],
        data: NDArray[np.uint8],
    ) -> None:
        self.rows, self.t_s, self.value = rows, t_s, value
        self._signal, self._data = signal, data
        self._raw: NDArray[Any] | None = None
        if signal.is_wide:
            scale, offset = signal.as_written or (signal.scale, signal.offset)
            exact = [float(raw * scale + offset) for raw in self.raw.tolist()]
            self.value = np.array(exact, np.float64)

    @property
    def raw(self) -> NDArray[Any]:
        """The numbers as they are in the frames: int64, uint64 where all 64 bits are unsigned, float64 for floats."""
        if self._raw is None and self._signal.is_plain:
            self._raw = self.value.astype(np.int64)
        if self._raw is None:
            self._raw = raw_values(self._signal, self._data.view("<u8").take(self.rows, axis=0))
        return self._raw


class Decoded:
    """The signals of one frame buffer."""

    def __init__(
        self,
        decoder: FrameDecoder,
        layout: Layout,
        t_ns: NDArray[np.uint64],
        frames: FrameArrays,
        nodes: DecodedNodes,
    ) -> None:
        self._decoder = decoder
        self._layout = layout
        self._t_ns = t_ns
        self._frames = frames
        self._data = frames.data
        self._nodes = nodes
        self._times: dict[int, NDArray[np.float64]] = {}

    def __contains__(self, message: str) -> bool:
        """Whether the database has a message of that name."""
        return message in self._layout.messages

    @property
    def counts(self) -> Counts:
        """What became of the frames."""
        return Counts(*self._nodes.counts)

    def rows(self, message: str) -> NDArray[np.int32]:
        """The frames of the buffer that hold this message, in their order. Raises KeyError for an unknown message."""
        return self._rows(self._layout.messages[message])

    def times(self, message: str) -> NDArray[np.float64]:
        """When each frame of this message ended, s."""
        return self._node_times(self._layout.messages[message])

    def signal(self, path: str) -> SignalSeries:
        """The series of "Message.Signal", empty when no frame carried it.

        Raises KeyError for a signal that does not exist or cannot be decoded.
        """
        places = self._layout.places[path]
        signal = self._layout.signals[path]
        if len(places) > 1:
            places = tuple(place for place in places if self._nodes.count[place.node]) or places[:1]
        if len(places) == 1:
            node = places[0].node
            return SignalSeries(signal, self._rows(node), self._node_times(node), self._values(places[0]), self._data)
        rows = np.concatenate([self._rows(place.node) for place in places])
        value = np.concatenate([self._values(place) for place in places])
        order = np.argsort(rows)
        rows = rows[order]
        return SignalSeries(signal, rows, self._t_ns[rows] / NS_PER_S, value[order], self._data)

    def values(self, path: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Times and values of "Message.Signal", as in `signal`."""
        places = self._layout.places[path]
        if len(places) > 1 or self._layout.signals[path].is_wide:
            series = self.signal(path)
            return series.t_s, series.value
        nodes, node = self._nodes, places[0].node
        times = self._times.get(node)
        if times is None:
            times = self._node_times(node)
        count = nodes.count[node]
        start = nodes.value_start[node] + places[0].row * count
        return times, nodes.values[start : start + count]  # spelled out: asked for hundreds of signals at a time

    def extremes(self, wanted: WantedSignals) -> list[tuple[float, float]]:
        """Least and greatest value of signals as from `Decoder.wanted`; NaN where none came or one is NaN."""
        return self._decoder.extremes(self._nodes, wanted)

    def checksums_fit(self, rows: NDArray[np.int32], checksum: e2e.AnyChecksum) -> NDArray[np.bool_]:
        """Whether the checksum of each of some frames fits."""
        if isinstance(checksum, e2e.Checksum) and checksum.length <= self._data.shape[1]:
            return self._decoder.crc8_fits(self._frames, rows, e2e.kernel_checksum(checksum))
        return e2e.check(self._data.take(rows, axis=0), checksum)

    def unbroken(self, message: str, length: int, flags: int, checksum: e2e.Checksum | None, counter: Counter) -> bool:
        """Whether all frames of a message came without any of the flags, with its length, a checksum that fits and a
        counter that counted by one; frames of its identifier that are too short count as broken.
        """
        if self.counts.wrong_length or length > self._data.shape[1] or counter.start_bit + counter.length > _WORD_BITS:
            return False
        crc = None if checksum is None else e2e.kernel_checksum(checksum)
        return self._decoder.unbroken(self._frames, self.rows(message), length, flags, crc, counter)

    def _rows(self, node: int) -> NDArray[np.int32]:
        start = self._nodes.start[node]
        return self._nodes.rows[start : start + self._nodes.count[node]]

    def _node_times(self, node: int) -> NDArray[np.float64]:
        times = self._times.get(node)
        if times is None:
            times = self._times[node] = self._t_ns.take(self._rows(node)) / NS_PER_S
        return times

    def _values(self, place: Place) -> NDArray[np.float64]:
        count = self._nodes.count[place.node]
        start = self._nodes.value_start[place.node] + place.row * count
        return self._nodes.values[start : start + count]


def raw_values(signal: Signal, words: NDArray[np.uint64]) -> NDArray[Any]:
    """The raw values of one signal in payloads given as little-endian words, [frame, word]."""
    bits = _bits(signal, words)
    if signal.is_float:
        kind: Any = np.float32 if signal.length == np.finfo(np.float32).bits else np.float64
        whole: Any = np.uint32 if kind is np.float32 else np.uint64
        with np.errstate(invalid="ignore"):  # signalling NaN stay NaN
            return np.asarray(bits.astype(whole).view(kind), np.float64)
    if not signal.signed:
        return bits if signal.length == _WORD_BITS else bits.view(np.int64)
    up = np.int64(_WORD_BITS - signal.length)
    extended: NDArray[np.int64] = (bits.view(np.int64) << up) >> up
    return extended


def _bits(signal: Signal, words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The bits of a signal, right-aligned, from the one or two words it lies in."""
    word, at = divmod(signal.first_bit, _WORD_BITS)
    beyond = at + signal.length - _WORD_BITS
    source = words[:, word].byteswap() if signal.big_endian else words[:, word]
    down = np.uint64(_WORD_BITS - signal.length)
    if beyond <= 0:
        return (source << np.uint64(at if signal.big_endian else -beyond)) >> down
    following = words[:, word + 1]
    if signal.big_endian:
        high = (source << np.uint64(at)) >> np.uint64(at)
        return (high << np.uint64(beyond)) | (following.byteswap() >> np.uint64(_WORD_BITS - beyond))
    return (source >> np.uint64(at)) | ((following << np.uint64(_WORD_BITS - beyond)) >> down)
