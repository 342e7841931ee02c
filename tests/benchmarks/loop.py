# SPDX-License-Identifier: Apache-2.0
"""The whole loop against real time and against the bare C loop; cells, checkpoint, rest, and calls per tick."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from harness.kernel.simulation import Simulation, TraceBuffers
from harness.rig.file import Rig
from harness.rig.players import SinglePlayer
from harness.rig.session import Session
from harness.scenario import Scenario, Start

from .table import Bar, Measurement
from .timing import Effort, interleaved, ratio

MICRO = 1e6
HOUR_S = 3600
SETTLED_S = 30
TICK_S = 0.01
MANY_CELLS, MANY_SENSORS = 400, 100


def driving(rig: Rig, seconds: float) -> Scenario:
    """The rig drives its cycle and nothing is wrong."""
    return Scenario(rig=rig.name, duration_s=seconds)


def alone(session: Session) -> SinglePlayer:
    """What plays for a session with one controller."""
    assert isinstance(session._player, SinglePlayer)
    return session._player


def restored(session: Session, start: Start = "drive") -> Simulation:
    """The simulation of a session at a start state, nothing planned."""
    alone(session).starts.restore(start)
    simulation = alone(session).machine.simulation
    simulation.plan()
    return simulation


def measure(rig: Rig, effort: Effort) -> list[Measurement]:
    """Rows 1, 7, 8, 10 and 11."""
    with Session(rig) as session:
        found = [*whole(session, effort), cells(session, effort), checkpoint(session, effort), rest(session, effort)]
        return [*found, *calls(session, effort)]


def whole(session: Session, effort: Effort) -> list[Measurement]:
    """Row 1. The bare loop is one call of the kernel into the same buffers: firmware, plant, bus, recording."""
    seconds = effort.of(600, 200)
    scenario = driving(session.rig, seconds)
    run = session.run(scenario, keep=False)
    if run.error:
        raise RuntimeError(run.error)
    buffers = alone(session).recorder._reused
    assert buffers is not None

    def bare() -> None:
        buffers.clear()
        simulation = restored(session)
        simulation.run(simulation.now_s + seconds, buffers)

    times = interleaved(
        {
            "whole": lambda: session.run(scenario, keep=False),
            "bare": bare,
            "kept": lambda: session.run(scenario, keep=True),
        },
        effort.of(11, 5),
    )
    whole, bare_, kept = times["whole"], times["bare"], times["kept"]
    what = f"{len(session.requirements)} requirements, {len(run.trace.frames)} frames, {seconds} s of driving"
    return [
        Measurement(
            1, "whole loop against real time, one core", seconds / whole.median, "x", Bar(at_least=3000.0),
            f"{what}; {whole.median * 1e3:.1f} ms, best round {seconds / whole.least:.0f} x; "
            f"by the wall clock {seconds / whole.wall_median:.0f} x, best {seconds / whole.wall_least:.0f} x",
        ),
        Measurement(
            1, "whole loop as a share of the bare C loop", 100.0 * ratio(bare_, whole), "%", Bar(at_least=70.0),
            f"bare loop {seconds / bare_.median:.0f} x real time (best {seconds / bare_.least:.0f} x), "
            f"{bare_.median * MICRO * TICK_S / seconds:.2f} us a tick",
        ),
        Measurement(
            1, "the same, true values of every cell too and all of it kept", seconds / kept.median, "x", None,
            f"fresh memory for every run; {100.0 * ratio(bare_, kept):.0f} % of the bare C loop",
        ),
    ]  # fmt: skip


def cells(session: Session, effort: Effort) -> Measurement:
    """Row 7."""
    file = session.rig.file
    pack = file.pack.model_copy(update={"temperature_sensors": MANY_SENSORS})
    many = file.model_copy(update={"cells": file.cells.model_copy(update={"series": MANY_CELLS}), "pack": pack})
    seconds = effort.of(300, 100)
    scenario = driving(session.rig, seconds)
    with Session(replace(session.rig, file=many)) as large:
        times = interleaved(
            {
                "few": lambda: session.run(scenario, keep=False),
                "many": lambda: large.run(scenario, keep=False),
            },
            effort.of(9, 5),
        )
        error = large.run(scenario, keep=False).error
    few, more = times["few"], times["many"]
    return Measurement(
        7, f"cost of {MANY_CELLS} cells against {file.cells.series}", ratio(more, few), "x", Bar(at_most=2.3),
        f"whole loop, {few.per(seconds / TICK_S)} against {more.per(seconds / TICK_S)} us a tick", error,
    )  # fmt: skip


def checkpoint(session: Session, effort: Effort) -> Measurement:
    """Row 8."""
    n = 200
    buffers = TraceBuffers(alone(session).machine.config, 1.0)

    def restore() -> None:
        for _ in range(n):
            alone(session).starts.restore("drive")

    def cold() -> None:
        """The memory was used in between, as in a campaign."""
        buffers.clear()
        simulation = restored(session)
        simulation.run(simulation.now_s + 1.0, buffers)

    times = interleaved({"restore": restore, "use": cold}, effort.of(15, 7))["restore"]
    state = alone(session).starts._reached["drive"].state
    return Measurement(
        8, 'restore to "driving"', times.median / n * MICRO, "us", Bar(at_most=100.0),
        f"{times.per(n)} us for {state.size / 1e3:.0f} kB",
    )  # fmt: skip


def rest(session: Session, effort: Effort) -> Measurement:
    """Row 10: the same simulation in standby, half a minute and an hour after the drive."""
    seconds = effort.of(300, 100)
    simulation = restored(session)
    buffers = TraceBuffers(
        alone(session).machine.config, HOUR_S + seconds, cells=False, flags=False, temps=False, record_every=100
    )
    simulation.plan(alone(session).planner.request("standby", simulation.now_ns, requested="drive"), ())
    simulation.run(simulation.now_s + SETTLED_S, buffers)
    early = simulation.save_state()
    simulation.run(simulation.now_s + HOUR_S, buffers)
    late = simulation.save_state()

    def after(state: object) -> Callable[[], None]:
        def run() -> None:
            buffers.clear()
            simulation.load_state(state)  # type: ignore[arg-type] # a State, opaque
            simulation.run(simulation.now_s + seconds, buffers)

        return run

    times = interleaved({"early": after(early), "late": after(late)}, effort.of(11, 5))
    return Measurement(
        10, "a tick after an hour of rest against one after 30 s", ratio(times["late"], times["early"]), "x",
        Bar(at_most=1.2),
        f"{times['late'].per(seconds / TICK_S)} against {times['early'].per(seconds / TICK_S)} us a tick in standby",
    )  # fmt: skip


def calls(session: Session, effort: Effort) -> list[Measurement]:
    """Row 11: what it costs to go back to Python after every tick."""
    seconds = effort.of(60, 30)
    buffers = TraceBuffers(alone(session).machine.config, seconds)
    ticks = round(seconds / TICK_S)

    def one() -> None:
        buffers.clear()
        simulation = restored(session)
        simulation.run(simulation.now_s + seconds, buffers)

    def through_simulation() -> None:
        buffers.clear()
        simulation = restored(session)
        start_s = simulation.now_s
        for tick in range(1, ticks + 1):
            simulation.run(start_s + tick * TICK_S, buffers)

    def through_c() -> None:
        buffers.clear()
        simulation = restored(session)
        trace = simulation.bind(buffers)
        run, handle, tick_ns = simulation._lib.bh_run, simulation._sim, session._machine.tick_ns
        start_ns = simulation.now_ns
        for until_ns in range(start_ns + tick_ns, start_ns + ticks * tick_ns + 1, tick_ns):
            run(handle, until_ns, trace)
        buffers.n_rows, buffers.n_frames = trace.n_rows, trace.n_frames

    times = interleaved({"one": one, "c": through_c, "python": through_simulation}, effort.of(11, 5))
    extra = {name: (times[name].median - times["one"].median) / ticks * MICRO for name in ("c", "python")}
    return [
        Measurement(
            11, "calling the kernel every 10 ms instead of once", 100.0 * (ratio(times["c"], times["one"]) - 1.0), "%",
            Bar(at_most=20.0), f"the C function called from a Python loop: {extra['c']:.2f} us more a tick",
        ),
        Measurement(
            11, "the same through Simulation.run", 100.0 * (ratio(times["python"], times["one"]) - 1.0), "%", None,
            f"{extra['python']:.2f} us more a tick",
        ),
    ]  # fmt: skip
