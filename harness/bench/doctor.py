# SPDX-License-Identifier: Apache-2.0
"""Looks a bench over before anybody energises it: each thing ok with the number measured, or what to do.

Nothing is energised, except with `power`: then the controller is supplied in standby, the way every run does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any

from harness.bench.buscheck import check_bus
from harness.bench.checks import Check, from_error, not_checked, ok, problem
from harness.bench.energise import Parts, ask_person, energised, port_settings
from harness.bench.file import Bench
from harness.bench.hostcheck import check_clock, check_disk
from harness.bench.latch import Latch, event_text
from harness.bench.livecheck import Heard, frames_of, listen, signs_of_life
from harness.canbus.portmodel import CanPort, PortFrame
from harness.clock import NS_PER_S, Clock
from harness.errors import BenchError, HarnessError
from harness.instruments.guardian import Guardian
from harness.instruments.guardian_process import summary
from harness.instruments.rack import Rack

LISTEN_S = 2.0
POWER_S = 2.5  # of standby: every period of the controller up to a second is seen twice
DRIVES_S = 0.5  # until the contactor drives are read
_BEATS = 20
BUS_CHECKS = ("bit rate", "database", "messages", "periods", "other senders")
OFF_WITHIN_MS = 500.0  # from losing the harness to outputs off


def examine(
    bench: Bench, clock: Clock, *, out: Path, power: bool = False, parts: Parts | None = None
) -> Iterator[Check]:
    """All checks, as they are made. `out`: the folder recordings go to."""
    return _Doctor(bench, clock, out, power=power, parts=parts or Parts()).examine()


def check_latch(latch: Latch) -> Check:
    """Whether the bench may be energised at all."""
    try:
        events = latch.events()
        latch.prepare()
    except BenchError as error:
        return from_error("latch", error)
    if events:
        told = "; ".join(event_text(event) for event in events)
        return problem("latch", f"latched: {told}", f"look at the bench, then: {latch.way_out()}")
    return ok("latch", f"clear ({latch.path})")


class _Doctor:
    """One examination."""

    def __init__(self, bench: Bench, clock: Clock, out: Path, *, power: bool, parts: Parts) -> None:
        self._bench, self._clock, self._out, self._power, self._parts = bench, clock, out, power, parts
        self._latch = parts.latch(bench.path)
        self._port: CanPort | None = None
        self._rack: Rack | None = None

    def examine(self) -> Iterator[Check]:
        latch = check_latch(self._latch)
        yield latch
        yield from check_clock(self._clock, self._bench.file.timing.overrun_ms)
        yield check_disk(self._out, self._bench.rig.file.bus.bitrate)
        sound = latch.state == "ok"
        with ExitStack() as opened:
            for check in chain(self._adapter(opened), self._instruments(opened)):
                # a controller without supply is silent: with power it is asked again
                sound &= check.state == "ok" or check.name in BUS_CHECKS
                if not (self._power and sound and check.name in BUS_CHECKS and check.state != "ok"):
                    yield check
        if self._power:
            yield from self._powered() if sound else [not_checked("powered", "only when all above is ok")]

    def _adapter(self, opened: ExitStack) -> Iterator[Check]:
        settings, profile = port_settings(self._bench), self._bench.rig.profile
        try:
            self._port = self._parts.port(settings, self._clock)
            opened.callback(self._port.close)
            heard = listen(self._port, self._clock, LISTEN_S)
        except HarnessError as error:
            yield from_error("adapter", error)
            yield from (not_checked(name, "the adapter does not work") for name in (*BUS_CHECKS, "pack not live"))
            return
        status = heard.status
        state = status.state.name.lower().replace("_", " ")
        yield ok("adapter", f"{settings.interface} {settings.channel} opened: {state}, {status.lost} frames lost")
        yield from check_bus(heard, profile, settings.bitrate)
        yield _live("pack not live", signs_of_life(heard.frames, profile, None), "on the bus")

    def _instruments(self, opened: ExitStack) -> Iterator[Check]:
        bench = self._bench
        try:
            self._rack = rack = self._parts.rack(bench.instruments, bench.envelope, self._clock, ask=ask_person)
            opened.callback(rack.close)
        except HarnessError as error:
            yield from_error("instruments", error)
            yield from (not_checked(name, "instruments are missing") for name in ("safe state", "drives", "guardian"))
            return
        identified = True
        for instrument in rack.instruments:
            check = _identify(instrument)
            identified &= check.state == "ok"
            yield check
        if not identified:
            why = "nothing is sent to an instrument that is not the one expected"
            yield from (not_checked(name, why) for name in ("safe state", "drives", "guardian"))
            return
        yield self._safe_state(rack)
        yield self._drives(rack)
        yield self._guardian(rack)

    def _safe_state(self, rack: Rack) -> Check:
        start_ns = self._clock.now_ns()
        try:
            rack.safe()
            off = rack.is_off()
        except HarnessError as error:
            return from_error("safe state", error)
        took = f"{(self._clock.now_ns() - start_ns) / 1e6:.0f} ms"
        if not off:
            return problem("safe state", "outputs are not read back off", "switch them off by hand, look at the wiring")
        return ok("safe state", f"reached and read back off in {took}")

    def _drives(self, rack: Rack) -> Check:
        name = "drives"
        try:
            rack.poll()  # the first one asks
            self._clock.sleep_until_ns(self._clock.now_ns() + round(DRIVES_S * NS_PER_S))
            outputs = rack.poll()
        except HarnessError as error:
            return from_error(name, error)
        if outputs is None:
            remedy = "look at the instrument that reads the contactor drives: without it nothing is energised"
            return problem(name, f"no reading within {DRIVES_S:g} s", remedy)
        return _live(name, signs_of_life(frames_of((), 0), self._bench.rig.profile, outputs), "on its contactor drives")

    def _guardian(self, rack: Rack) -> Check:
        """It starts, hears beats, and its way to the safe state works: tried with safe lines only."""
        start_ns = self._clock.now_ns()
        try:
            plan = rack.safe_plan()
            heartbeat_ms = self._bench.file.timing.heartbeat_ms
            with Guardian.start(
                plan, heartbeat_ms=heartbeat_ms, latch=self._latch.prepare(), clock=self._clock
            ) as guardian:
                started_ms = (self._clock.now_ns() - start_ns) / 1e6
                for _ in range(_BEATS):
                    guardian.beat()
                    self._clock.sleep_until_ns(self._clock.now_ns() + NS_PER_S // 100)
                guardian.rest()
                results = guardian.put_off()
        except HarnessError as error:
            return from_error("guardian", error)
        slowest_ms = max((result.ms for result in results), default=0.0)
        found = f"started in {started_ms:.0f} ms, {_BEATS} beats, safe lines in {slowest_ms:.0f} ms: {summary(results)}"
        if any(result.off is False for result in results):
            return problem("guardian", found, "look at that port: the guardian would not get it off")
        if slowest_ms + heartbeat_ms > OFF_WITHIN_MS:
            remedy = f"shorten heartbeat_ms, or speed the port up: outputs must be off within {OFF_WITHIN_MS:g} ms"
            return problem("guardian", f"{found}; with a heartbeat of {heartbeat_ms:g} ms too slow", remedy)
        return ok("guardian", found)

    def _powered(self) -> Iterator[Check]:
        """The controller supplied, in standby, contactors open: what it sends."""
        collected = _Collected()
        bench = self._bench
        try:
            with (
                energised(bench, clock=self._clock, parts=self._parts) as opened,
                opened.session(recorder=collected) as session,
            ):
                live = session.live("standby")
                collected.clear()
                start_ns = self._clock.now_ns()
                until_s = live.now_s + POWER_S
                while live.now_s < until_s:
                    live.step()
                heard = Heard(frames_of(collected.frames, start_ns), opened.port.status(), POWER_S)
                live.close()
        except HarnessError as error:
            yield from_error("powered", error)
            return
        yield ok("powered", f"the controller reached standby and ran for {POWER_S:g} s; outputs off again")
        yield from check_bus(heard, bench.rig.profile, bench.rig.file.bus.bitrate)


class _Collected:
    """Frames of the bus as they went by."""

    def __init__(self) -> None:
        self.frames: list[PortFrame] = []

    def append(self, frames: Any) -> None:
        self.frames += frames

    def clear(self) -> None:
        self.frames.clear()


def _identify(instrument: Any) -> Check:
    name = f"instrument {instrument.settings.name}"
    try:
        return ok(name, f"{instrument.identify()} at {instrument.settings.port}")
    except HarnessError as error:
        return from_error(name, error)


def _live(name: str, signs: tuple[str, ...], where: str) -> Check:
    if signs:
        return problem(name, "; ".join(signs), "switch off what feeds the pack and let the link discharge")
    return ok(name, f"no sign of a live pack {where}")
