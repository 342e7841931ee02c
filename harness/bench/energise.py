# SPDX-License-Identifier: Apache-2.0
"""The one way to energise a bench, in its order, and the one way back.

    with energised(load_bench(path, ports)) as bench, bench.session() as session:
        run = session.run(scenario)

latch clear -> adapter and instruments opened -> instruments identified -> guardian started -> pack not live -> armed ->
runs -> safe state, read back -> guardian released. From identifying on, the session does it. What goes wrong before
anything is armed is refused and leaves the bench as it was; what goes wrong later latches it.
"""

from __future__ import annotations

import select
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from harness.bench.buscheck import refuse_wrong_bus
from harness.bench.file import Bench
from harness.bench.latch import Latch
from harness.bench.livecheck import refuse_if_live
from harness.bench.signals import orderly_end
from harness.canbus.portmodel import CanPort, PortFrame, PortSettings
from harness.clock import Clock, WallClock
from harness.errors import BenchError
from harness.instruments.drivers import OutgoingFrame
from harness.instruments.guardian import Guardian
from harness.instruments.guardian_process import summary
from harness.instruments.model import Inputs
from harness.instruments.priority import processor_first
from harness.instruments.rack import Rack
from harness.kernel.config import FrameFlag

_ASK_S = 0.5  # how often the guardian hears of this process while a person is waited for


def _open_port(settings: PortSettings, clock: Clock) -> CanPort:
    from harness.canbus.ports import open_port  # noqa: PLC0415 - python-can is slow to import

    return open_port(settings, clock)


def _open_rack(instruments: Sequence[Any], envelope: Any, clock: Clock, **options: Any) -> Rack:
    from harness.instruments.rack import open_rack  # noqa: PLC0415 - pyserial, only when there is a bench

    return open_rack(instruments, envelope, clock, **options)


def _session(*arguments: Any, **options: Any) -> Any:
    from harness.bench.session import BenchSession  # noqa: PLC0415 - builds the kernel

    return BenchSession(*arguments, **options)


@dataclass(frozen=True, slots=True)
class Parts:
    """Where a bench gets its parts from; tests put others in their place."""

    port: Callable[[PortSettings, Clock], CanPort] = _open_port
    rack: Callable[..., Rack] = _open_rack
    session: Callable[..., Any] = _session
    latch: Callable[[Path], Latch] = Latch


class Watched:
    """The guardian as a session uses it; None when it was released.

    `unproven`: what became of the outputs when the guardian had to put them off and not all were read back off.
    """

    def __init__(self) -> None:
        self.guardian: Guardian | None = None
        self.unproven = ""
        self._watching = False

    def beat(self) -> None:
        """All is well; once a tick."""
        if self.guardian is not None:
            self._watching = True
            self.guardian.beat()

    def busy(self) -> None:
        """All is well, and what comes next takes longer than a tick."""
        if self.guardian is not None:
            self._watching = True
            self.guardian.busy()

    def waiting(self) -> None:
        """All is well while a person is waited for."""
        if self._watching:
            self.busy()

    def rest(self) -> None:
        """Outputs are read back off: this process may be silent until the next beat."""
        self._watching = False
        if self.guardian is not None:
            self.guardian.rest()

    def put_off(self) -> None:
        """The guardian puts outputs off, as if this process had died."""
        self._watching = False
        if self.guardian is None:
            return
        results = self.guardian.put_off()
        self.unproven = summary(results) if any(result.off is False for result in results) else ""

    def release(self) -> None:
        """The guardian may go: outputs are off, or were put off by it."""
        self._watching = False
        if self.guardian is not None:
            self.guardian.release()
            self.guardian = None


class GuardedRack:
    """The instruments as a session uses them: the guardian is told of what takes longer than a tick."""

    def __init__(self, rack: Rack, watch: Watched) -> None:
        self._rack, self._watch = rack, watch
        self.identify, self.apply, self.poll = rack.identify, rack.apply, rack.poll

    @property
    def accuracy(self) -> Mapping[str, float]:
        """See Rack."""
        return self._rack.accuracy

    @property
    def latency_s(self) -> float:
        """See Rack."""
        return self._rack.latency_s

    def arm(self, inputs: Inputs | None = None) -> None:
        """See Rack."""
        self._watch.busy()
        self._rack.arm(inputs)

    def safe(self) -> None:
        """See Rack. A guardian that is lost does not keep outputs on."""
        with suppress(BenchError):
            self._watch.busy()
        self._rack.safe()


class Energised:
    """A bench whose latch is clear and whose adapter and instruments are open; nothing of it is armed yet."""

    def __init__(self, bench: Bench, clock: Clock, parts: Parts, latch: Latch, run: str) -> None:
        self.bench = bench
        self.clock = clock
        self.latch = latch
        self.port: CanPort
        self.rack: Rack
        self.watch = Watched()
        self._parts = parts
        self._run = run
        self._may_be_on = self._latched = False

    @contextmanager
    def session(self, *, recorder: Any = None) -> Iterator[Any]:
        """A `harness.bench.session.BenchSession`, energised. Every way out leads to the safe state, read back.

        `recorder` gets all frames, e.g. `harness.canbus.livelog.LiveLog`. Raises BenchError when the bench does not do
        what it is asked; it is latched then.
        """
        session = self._parts.session(
            self.bench,
            self.port,
            GuardedRack(self.rack, self.watch),
            clock=self.clock,
            recorder=recorder,
            guardian=self._start_guardian,
            live_check=self._refuse_if_live,
            on_failure=self._failed,
        )
        try:
            with session as entered:
                yield entered
        except BenchError as error:
            self._failed(error)
            raise
        finally:
            self._make_sure()

    def ask(self, text: str) -> str:
        """Ask a person and wait; the guardian hears of this process meanwhile."""
        return ask_person(text, self.watch.waiting)

    def send(self, frame: OutgoingFrame) -> None:
        """Cell values over CAN: a frame of an instrument."""
        flags = FrameFlag.EXTENDED if frame.extended else FrameFlag.NONE
        self.port.send(PortFrame(0, frame.id, frame.data, flags))

    def _start_guardian(self) -> Watched:
        self.watch.guardian = Guardian.start(
            self.rack.safe_plan(),
            heartbeat_ms=self.bench.file.timing.heartbeat_ms,
            latch=self.latch.prepare(),
            clock=self.clock,
            bench=str(self.bench.path),
            run=self._run,
        )
        return self.watch

    def _refuse_if_live(self) -> None:
        profile = self.bench.rig.profile
        heard = refuse_if_live(self.port, profile, self.clock, self.rack.poll)
        refuse_wrong_bus(heard, profile, self.bench.rig.file.bus.bitrate)
        self._may_be_on = True  # what comes next is arming

    def _failed(self, error: BenchError) -> None:
        """Latch once, and only when something may have been energised: a refusal leaves the bench as it was."""
        if self._may_be_on and not self._latched:
            self._latched = True
            self.latch.set(str(error), run=self._run)

    def _make_sure(self) -> None:
        """A session that left without a proven safe state: the guardian puts outputs off, or a person must."""
        if self.watch.guardian is not None:
            try:
                self.watch.put_off()  # before anything is written down: a disk may be full
            finally:
                self.watch.release()
                self._failed(BenchError("the session left no proven safe state; the guardian was told to reach it"))
        if self.watch.unproven:
            error = BenchError(
                f"outputs are not proven off: {self.watch.unproven}. Switch them off by hand before touching the bench"
            )
            self.latch.set(str(error), run=self._run)
            raise error


def ask_person(text: str, waiting: Callable[[], None] = lambda: None) -> str:
    """Ask on the terminal; `waiting` is called meanwhile. Raises BenchError when nobody is there: the end of the input
    is no answer.
    """
    sys.stderr.write(text)
    sys.stderr.flush()
    stream: IO[str] | None = sys.stdin  # None: this process was started without one
    while stream is not None and not select.select([stream], [], [], _ASK_S)[0]:
        waiting()
    line = stream.readline() if stream is not None else ""
    if not line:
        raise BenchError(f"nobody answered '{text.strip()}': standard input has ended. Start it on a terminal")
    return line.rstrip("\n")


@contextmanager
def energised(
    bench: Bench, *, clock: Clock | None = None, run: str = "", parts: Parts | None = None
) -> Iterator[Energised]:
    """Open a bench: its latch is clear, adapter and instruments are there. `run` is the run directory, for the latch.

    Raises BenchError or UsageError before anything is energised, with the remedy. Ctrl-C, SIGTERM and a hang-up become
    KeyboardInterrupt in here, so that every way out goes through the safe state; the process comes first where the
    system allows that.
    """
    parts = parts or Parts()
    clock = clock or WallClock()
    latch = parts.latch(bench.path)
    latch.require_clear()
    latch.prepare()
    opened = Energised(bench, clock, parts, latch, run)
    with orderly_end(), processor_first():
        opened.port = parts.port(port_settings(bench), clock)
        try:
            opened.rack = parts.rack(bench.instruments, bench.envelope, clock, ask=opened.ask, send=opened.send)
            try:
                yield opened
            finally:
                opened.rack.close()
        finally:
            opened.port.close()


def port_settings(bench: Bench) -> PortSettings:
    """The adapter of a bench file, with the bit rates of its rig."""
    adapter, bus = bench.file.can, bench.rig.file.bus
    return PortSettings(
        adapter.interface, adapter.channel, bus.bitrate, data_bitrate=bus.data_bitrate, options=dict(adapter.options)
    )
