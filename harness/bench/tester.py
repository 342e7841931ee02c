# SPDX-License-Identifier: Apache-2.0
"""A diagnostic tester on any CAN adapter: one request, its whole answer.

The flow control of ISO 15765-2 is a handful of lines here. can-isotp and udsoncan wait by the wall clock and open the
bus themselves; this one has the port and the clock of its owner, like everything else on a bench, so that it can be
played in virtual time.
"""

from __future__ import annotations

from collections.abc import Iterator

from harness.canbus import isotp, uds
from harness.canbus.diagnostics import Diagnostics
from harness.canbus.portmodel import CanPort, PortFrame
from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError
from harness.kernel.config import FrameFlag

P2_S = 1.0  # for the answer to begin: 50 ms of the controller, the adapter and this machine
P2_EXTENDED_S = 5.5  # after "response pending"
FLOW_S = 1.0  # N_Bs and N_Cr
_POLL_NS = 1_000_000
_GAP_MS_MAX = 0x7F
_GO, _WAIT = 0, 1
_FLOW_GO = bytes([isotp.FLOW << 4, 0, 0]).ljust(8, bytes([isotp.PADDING]))


class DiagnosticTester:
    """Asks one controller. Raises BenchError when the adapter is lost or nothing answers."""

    def __init__(self, port: CanPort, clock: Clock, diagnostics: Diagnostics) -> None:
        self._port, self._clock, self._diagnostics = port, clock, diagnostics
        self._flags = FrameFlag.EXTENDED if diagnostics.extended else FrameFlag.NONE
        descriptor = port.fileno()
        self._descriptors = () if descriptor is None else (descriptor,)
        self._waiting: list[bytes] = []

    def ask(self, request: bytes) -> uds.Exchange:
        """Send a request and wait for its answer, a negative one included."""
        self._port.receive()  # what came before answers nothing of this
        self._waiting.clear()
        asked_ns = self._clock.now_ns()
        frames = self._frames(request)
        answer, begun_ns = self._answer(frames, request)
        begun_s, now_s = ((t_ns - asked_ns) / NS_PER_S for t_ns in (begun_ns, self._clock.now_ns()))
        return uds.exchange_of(request, answer, self._diagnostics, answer_s=begun_s, complete_s=now_s)

    def _frames(self, request: bytes) -> Iterator[bytes]:
        """Send the request; then the frames of the controller that answer it, each in its time."""
        if len(request) <= isotp.SINGLE_MAX:
            self._send(isotp.single(request))
        else:
            self._send_long(request)
        patience_s, since_ns = P2_S, self._clock.now_ns()
        pending = bytes([uds.NEGATIVE, request[0], uds.PENDING])
        while True:
            frame = self._next(patience_s, since_ns)
            if frame is None:
                raise BenchError(
                    f"no answer to {request.hex(' ').upper()} within {patience_s:g} s on identifier "
                    f"0x{self._diagnostics.response_id:X}: is the controller on, and its diagnostics too?"
                )
            if frame[0] >> 4 in (isotp.FIRST, isotp.NEXT):
                patience_s, since_ns = FLOW_S, self._clock.now_ns()
            elif frame[1:4] == pending:
                patience_s, since_ns = P2_EXTENDED_S, self._clock.now_ns()
            yield frame

    def _answer(self, frames: Iterator[bytes], request: bytes) -> tuple[bytes, int]:
        assembler = isotp.Assembler()
        begun_ns = 0
        for frame in frames:
            if frame[0] >> 4 in (isotp.SINGLE, isotp.FIRST):
                begun_ns = self._clock.now_ns()
            if frame[0] >> 4 == isotp.FIRST:
                self._send(_FLOW_GO)
            whole = assembler.take(0.0, frame)
            if whole is not None and uds.answers(request, whole.data):
                return whole.data, begun_ns
        raise AssertionError("frames() ends by an error only")

    def _send_long(self, request: bytes) -> None:
        first, *rest = isotp.split(request)
        self._send(first)
        block, gap_ms = self._flow(request)
        for frame in rest:
            if block == 0:
                block, gap_ms = self._flow(request)
            self._clock.sleep_until_ns(self._clock.now_ns() + gap_ms * _POLL_NS)
            self._send(frame)
            block -= 1

    def _flow(self, request: bytes) -> tuple[int, int]:
        """Frames until the next flow control (-1: no limit) and milliseconds between them."""
        while True:
            frame = self._next(FLOW_S, self._clock.now_ns())
            status = None if frame is None or frame[0] >> 4 != isotp.FLOW else frame[0] & 0xF
            if frame is None or status not in (_GO, _WAIT):
                raise BenchError(f"the controller does not take the {len(request)} bytes of the request")
            if status == _GO:
                return frame[1] or -1, min(frame[2], _GAP_MS_MAX)

    def _send(self, data: bytes) -> None:
        self._port.send(PortFrame(0, self._diagnostics.request_id, data, self._flags))

    def _next(self, within_s: float, since_ns: int) -> bytes | None:
        """The next frame of the controller, None when none comes in time. Frames that come together wait their turn."""
        until_ns = since_ns + round(within_s * NS_PER_S)
        while not self._waiting:
            self._waiting += [frame.data for frame in self._port.receive() if self._is_answer(frame)]
            now_ns = self._clock.now_ns()
            if self._waiting:
                break
            if now_ns >= until_ns:
                return None
            self._clock.wait_until_ns(until_ns if self._descriptors else now_ns + _POLL_NS, self._descriptors)
        return self._waiting.pop(0)

    def _is_answer(self, frame: PortFrame) -> bool:
        extended = bool(frame.flags & FrameFlag.EXTENDED)
        fits = frame.id == self._diagnostics.response_id and extended == self._diagnostics.extended
        return fits and not frame.own and not frame.flags & FrameFlag.ERROR and len(frame.data) > 0
