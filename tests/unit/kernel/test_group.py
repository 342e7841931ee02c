# SPDX-License-Identifier: Apache-2.0
"""Strings in parallel: current by voltage and resistance, one bus, checkpoints, errors."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.firmware.builder import build_firmware
from harness.firmware.loader import load_firmware
from harness.kernel.config import Event, EventKind, Fault, KernelConfig, Node, Op, Point
from harness.kernel.group import SimulationGroup
from harness.kernel.simulation import Column, Simulation, Status, TraceBuffers

SILENT = (("report", 0),)
OHM = 12 * 1e-3 + 13 * 1e-5  # cells and joints of the echo pack, before the RC pairs have charged
OCV_V = 12 * 3.25  # half charged
GROUP = Callable[..., SimulationGroup]


@pytest.fixture
def group(bench: ModuleType, echo: Any) -> Iterator[GROUP]:
    """Makes a group of echo packs, each with a copy of the firmware."""
    firmwares = []

    def make(*configs: KernelConfig) -> SimulationGroup:
        members = []
        for config in configs:
            firmwares.append(load_firmware(echo.kernel, build_firmware([bench.ECHO], [])))
            members.append(Simulation(echo.kernel, config, firmwares[-1]))
        echo.simulations.extend(members)
        return SimulationGroup(echo.kernel, members)

    yield make
    for simulation in echo.simulations:
        simulation.close()
    for firmware in firmwares:
        firmware.close()


def pack(bench: ModuleType, *, soc: float = 0.5, r_scale: float = 1.0, **changes: Any) -> KernelConfig:
    plain = bench.config(**{"parameters": SILENT, **changes})
    bent = replace(plain.pack, soc=np.full(12, soc), r_scale=np.full(12, r_scale))
    changed: KernelConfig = replace(plain, pack=bent)
    return changed


def closed() -> tuple[Fault, ...]:
    """Both main contactors welded: closed from the start."""
    return tuple(Fault(Point.CONTACTOR_WELDED, Op.SET, index, 1.0) for index in (0, 1))


def run(group: SimulationGroup, until_s: float) -> list[TraceBuffers]:
    buffers = [
        TraceBuffers(member.config, until_s - member.now_s + 0.01, truth_cells=True, frames_per_s=12_000)
        for member in group.members
    ]
    assert group.run(until_s, buffers).status.error == ""
    return buffers


def currents(buffers: Sequence[TraceBuffers], row: int) -> list[float]:
    return [float(own.column(Column.TRUTH_PACK_CURRENT_A)[row]) for own in buffers]


# ---- the link --------------------------------------------------------------------------------------------------


def test_unequal_strings_drive_a_current_round(bench: ModuleType, group: GROUP) -> None:
    strings = group(pack(bench, soc=0.5), pack(bench, soc=0.6))
    for member in strings.members:
        member.plan((), closed())
    traces = run(strings, 0.1)
    gap_v = 12 * 0.5 * 0.1
    low, high = currents(traces, 2)
    assert (gap_v / (2 * OHM), 0.0) == pytest.approx((high, low + high), rel=0.02, abs=0.1)
    links = [float(own.column(Column.TRUTH_LINK_VOLTAGE_V)[2]) for own in traces]
    assert [OCV_V + gap_v / 2] * 2 == pytest.approx(links, abs=0.01)


def test_a_load_is_shared_by_resistance(bench: ModuleType, group: GROUP) -> None:
    strings = group(pack(bench), pack(bench, r_scale=2.0), pack(bench))
    for member in strings.members[:2]:
        member.plan((), closed())
    short = Fault(Point.LINK_SHORT_OHM, Op.SET, value=1.0)
    strings.members[2].plan((), (short,))  # on the common link, whoever it is planned for
    stiff, soft, away = currents(run(strings, 0.1), 3)
    ohm = 12e-3 + 13e-5, 24e-3 + 13e-5
    total_a = OCV_V / (1.0 + ohm[0] * ohm[1] / (ohm[0] + ohm[1]))
    assert (ohm[1] / ohm[0], total_a, 0.0) == pytest.approx((stiff / soft, stiff + soft, away), rel=0.02)


def test_an_open_string_sees_the_link_that_the_others_hold(bench: ModuleType, group: GROUP) -> None:
    strings = group(pack(bench), pack(bench, soc=0.6))
    strings.members[0].plan((), closed())
    traces = run(strings, 0.1)
    assert [OCV_V] * 2 == pytest.approx(
        [float(own.column(Column.GIVEN_LINK_VOLTAGE_V)[-1]) for own in traces], rel=1e-3
    )
    assert currents(traces, -1)[1] == 0.0


def test_a_group_of_one_is_as_alone(bench: ModuleType, echo: Any, group: GROUP) -> None:
    config = replace(pack(bench, parameters=()), messages=(bench.vehicle(),))
    alone = echo.simulation(**{name: getattr(config, name) for name in ("pack", "messages")})
    bench.eventful(alone, 0.0)
    strings = group(config)
    bench.eventful(strings.members[0], 0.0)
    expected = bench.digest(bench.run(alone, 1.0, truth_cells=True))
    assert [expected] == [bench.digest(own) for own in run(strings, 1.0)]


# ---- the bus ---------------------------------------------------------------------------------------------------


def test_every_member_sees_the_same_bus(bench: ModuleType, group: GROUP) -> None:
    one = replace(pack(bench, parameters=()), messages=(bench.vehicle(),))
    other = replace(pack(bench), messages=(bench.vehicle(id=0x300),))
    traces = run(group(one, other), 0.5)
    seen = [[tuple(own.frames(name)[k] for name in ("ns", "id")) for k in range(own.n_frames)] for own in traces]
    assert seen[0] == seen[1]
    for identifier, nodes in ((0x101, (Node.DUT, Node.PEER)), (0x200, (1, Node.PEER)), (0x300, (Node.PEER, 1))):
        found = tuple(set(own.frames("node")[own.frames("id") == identifier].tolist()) for own in traces)
        assert tuple({node} for node in nodes) == found


def test_a_controller_hears_the_others(bench: ModuleType, group: GROUP) -> None:
    """The echo answers every frame it receives with 0x106 and the identifier; a silent one does not."""
    one = pack(bench, parameters=())
    other = replace(pack(bench), messages=(bench.vehicle(id=0x300),))
    heard = bench.report(run(group(one, other), 0.2)[0], 0x106)
    assert {0x300} == set(heard[:, 0].tolist())


# ---- running ---------------------------------------------------------------------------------------------------


def test_a_checkpoint_of_a_group_is_that_of_its_members(bench: ModuleType, group: GROUP) -> None:
    strings = group(
        *(replace(pack(bench, soc=soc), messages=(bench.vehicle(id=i),)) for soc, i in ((0.5, 1), (0.6, 2)))
    )
    for member in strings.members:
        member.plan((), closed())
    run(strings, 0.4)
    states = strings.save_state()
    first = [bench.digest(own) for own in run(strings, 1.0)]
    strings.load_state(states)
    assert first == [bench.digest(own) for own in run(strings, 1.0)]


@pytest.mark.parametrize("culprit", [0, 1])
@pytest.mark.parametrize(("code", "status"), [("CRASH", Status.FIRMWARE_CRASH), ("HANG", Status.FIRMWARE_HANG)])
def test_a_member_that_breaks_off_is_named_and_the_group_restored(
    bench: ModuleType, group: GROUP, code: str, status: Status, culprit: int
) -> None:
    strings = group(pack(bench), pack(bench), pack(bench))
    for dark in strings.members[:culprit]:
        dark.plan((Event(50_000_000, EventKind.POWER, value=0.0),), ())
    run(strings, 0.1)
    states = strings.save_state()
    frame = bench.command(getattr(bench, code))
    strings.members[1].send(frame)  # on the common bus ...
    buffers = [TraceBuffers(member.config, 0.5) for member in strings.members]
    ended = strings.run(0.5, buffers)
    assert (status, culprit) == (ended.status.code, ended.member)  # ... the first that is on breaks off
    assert "echo.c" in ended.status.error
    assert strings.run(0.5, buffers).status.code == status  # none goes on
    strings.load_state(states)
    assert strings.run(0.2, [TraceBuffers(member.config, 0.5) for member in strings.members]).status.error == ""


def test_members_must_have_the_same_tick(bench: ModuleType, group: GROUP) -> None:
    with pytest.raises(UsageError, match="ticks"):
        group(pack(bench), pack(bench, tick_us=5000))
