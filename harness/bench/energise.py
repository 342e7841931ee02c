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
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
from harness.instruments.rack import Rack
from harness.kernel.config import FrameFlag

_ASK_S = 0.05  # how often the guardian hears of this process while a person is waited for


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
    """The guardian as a session uses it; None when it was released: only then the bench is known to be safe."""

    def __init__(self) -> None:
        self.guardian: Guardian | None = None
        self.beating = False

    def beat(self) -> None:
        """All is well; once a tick."""
        self.beating = True
        if self.guardian is not None:
            self.guardian.beat()

    def rest(self) -> None:
        """Outputs are read back off: this process may be silent until the next beat."""
        self.beating = False
        if self.guardian is not None:
            self.guardian.rest()

    def release(self) -> None:
        """Outputs are read back off: the guardian may go."""
        self.beating = False
        if self.guardian is not None:
            self.guardian.release()
            self.guardian = None


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
            self.rack,
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
        sys.stderr.write(text)
        sys.stderr.flush()
        while not select.select([sys.stdin], [], [], _ASK_S)[0]:
            if self.watch.beating:
                self.watch.beat()
        return sys.stdin.readline().rstrip("\n")

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
        refuse_if_live(self.port, self.bench.rig.profile, self.clock, self.rack.poll)
        self._may_be_on = True  # what comes next is arming

    def _failed(self, error: BenchError) -> None:
        """Latch once, and only when something may have been energised: a refusal leaves the bench as it was."""
        if self._may_be_on and not self._latched:
            self._latched = True
            self.latch.set(str(error), run=self._run)

    def _make_sure(self) -> None:
        """The session left without a proven safe state: the guardian puts outputs off, as if this process had died."""
        guardian = self.watch.guardian
        if guardian is None:
            return
        try:
            results = guardian.put_off()
        except BenchError as error:
            self._failed(error)
            guardian.kill()
            self.watch.guardian = None
            raise
        told = summary(results)
        still_on = [result.name for result in results if result.off is False]
        self._failed(BenchError(f"the session left without a proven safe state; the guardian: {told}"))
        self.watch.release()
        if still_on:
            raise BenchError(f"outputs are not proven off: {told}. Switch them off by hand before touching the bench")


@contextmanager
def energised(
    bench: Bench, *, clock: Clock | None = None, run: str = "", parts: Parts | None = None
) -> Iterator[Energised]:
    """Open a bench: its latch is clear, adapter and instruments are there. `run` is the run directory, for the latch.

    Raises BenchError or UsageError before anything is energised, with the remedy. Ctrl-C, SIGTERM and a hang-up become
    KeyboardInterrupt in here, so that every way out goes through the safe state.
    """
    parts = parts or Parts()
    clock = clock or WallClock()
    latch = parts.latch(bench.path)
    latch.require_clear()
    latch.prepare()
    opened = Energised(bench, clock, parts, latch, run)
    with orderly_end():
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
