# SPDX-License-Identifier: Apache-2.0
"""The instruments as one over real ports: devices in another process, ports that fail, what a guardian would write."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.clock import NS_PER_S, WallClock
from harness.errors import BenchError, UsageError
from harness.instruments.drivers import OutgoingFrame
from harness.instruments.model import InstrumentSettings
from harness.instruments.rack import open_rack
from harness.instruments.transport import terminator_of

from .instruments_helper import BENCH, CELLS, ENVELOPE, some_inputs

CHILD = Path(__file__).with_name("devices_child.py")


@pytest.fixture
def far() -> Iterator[tuple[subprocess.Popen[str], list[InstrumentSettings]]]:
    child = subprocess.Popen(
        [sys.executable, str(CHILD), json.dumps([asdict(one) for one in BENCH])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    assert child.stdout is not None
    names = json.loads(child.stdout.readline())
    yield child, [replace(one, port=names[one.name], timeout_s=0.3) for one in BENCH]
    child.stdin.close()
    child.wait(5.0)
    child.stdout.close()


def order(child: subprocess.Popen[str], text: str) -> None:
    assert child.stdin is not None
    child.stdin.write(f"{text}\n")
    child.stdin.flush()


def state(child: subprocess.Popen[str]) -> dict[str, Any]:
    assert child.stdout is not None
    order(child, "state")
    return dict(json.loads(child.stdout.readline()))


def is_off(child: subprocess.Popen[str]) -> dict[str, bool]:
    return {name: one["off"] for name, one in state(child).items()}


Far = tuple[subprocess.Popen[str], list[InstrumentSettings]]
CLOCK = WallClock()


def test_over_pseudo_terminals_the_devices_follow_and_end_off(far: Far) -> None:
    child, some = far
    with open_rack(some, ENVELOPE, CLOCK) as rack:
        rack.arm(some_inputs())
        assert 0.0 < rack.latency_s < 0.3
        rack.apply(some_inputs(cell_voltage_v=np.full(CELLS, 3.456), hvil_closed=False))
        deadline_ns = CLOCK.now_ns() + 5 * NS_PER_S
        while (outputs := rack.poll()) is None and CLOCK.now_ns() < deadline_ns:
            pass
        assert outputs is not None
        for instrument in rack.instruments:
            instrument.acknowledge()
        now = state(child)
        assert now["cells"]["given"]["cell_voltage_v"] == pytest.approx([3.456] * CELLS)
        assert now["mainframe"]["given"]["hvil_closed"] == [0.0]
    assert set(is_off(child).values()) == {True}


@pytest.mark.parametrize(("kind", "text"), [("silent", "did not answer"), ("garbage", "no text")])
def test_an_instrument_that_fails_in_mid_run_is_a_bench_error_and_the_others_go_off(
    far: Far, kind: str, text: str
) -> None:
    child, some = far

    def run() -> None:
        with open_rack(some, ENVELOPE, CLOCK) as rack:
            rack.arm(some_inputs())
            order(child, f"fault mainframe {kind}")
            deadline_ns = CLOCK.now_ns() + 5 * NS_PER_S
            while CLOCK.now_ns() < deadline_ns:
                rack.poll()

    with pytest.raises(BenchError, match=rf"(?s){text}.*On the way to the safe state: mainframe"):
        run()
    now = is_off(child)
    assert now["cells"] is now["insulation"] is now["supply"] is True


def test_a_port_that_is_pulled_out_is_a_bench_error_and_the_others_go_off(far: Far) -> None:
    child, some = far

    def run() -> None:
        with open_rack(some, ENVELOPE, CLOCK) as rack:
            rack.arm(some_inputs())
            order(child, "close mainframe")
            deadline_ns = CLOCK.now_ns() + 5 * NS_PER_S
            while CLOCK.now_ns() < deadline_ns:
                rack.poll()

    with pytest.raises(BenchError, match=r"(?s)mainframe at .*port lost"):
        run()
    now = is_off(child)
    assert now["cells"] is now["insulation"] is now["supply"] is True


def test_the_safe_plan_written_by_another_hand_puts_everything_off(far: Far) -> None:
    child, some = far
    with open_rack(some, ENVELOPE, CLOCK) as rack:
        rack.arm(some_inputs())
        plan = rack.safe_plan()
        assert [step.name for step in plan][-1] == "mainframe"  # sources first, then relays
        for step in plan:
            os.write(step.fd, b"\n" + step.data)
        for instrument in rack.instruments:
            instrument.acknowledge()
        assert set(is_off(child).values()) == {True}
        for step, one in zip(plan, sorted(some, key=lambda one: one.name == "mainframe"), strict=True):
            assert step.data.endswith(terminator_of(one))
            assert step.checks


def test_ports_that_cannot_be_had_are_all_named_and_those_opened_are_closed() -> None:
    far_end, near_end = pty.openpty()
    good = os.ttyname(near_end)
    some = [replace(one, port=good if one.name == "cells" else f"/dev/no-such-{one.name}") for one in BENCH]
    with pytest.raises(BenchError) as caught:
        open_rack(some, ENVELOPE, CLOCK)
    for name in ("mainframe", "insulation", "supply"):
        assert f"/dev/no-such-{name}" in str(caught.value)
    open_rack([replace(BENCH[0], port=good)], ENVELOPE, CLOCK).close()  # not locked any more
    os.close(near_end)
    os.close(far_end)


def test_an_unknown_driver_is_named_with_those_there_are() -> None:
    with pytest.raises(UsageError, match=r"cells: 'chroma'.*bloomy-abs.*operator"):
        open_rack([replace(BENCH[0], driver="chroma")], ENVELOPE, CLOCK)


def test_operator_and_cells_over_can_are_part_of_a_rack_without_a_descriptor() -> None:
    frames: list[OutgoingFrame] = []
    asked: list[str] = []

    def ask(text: str) -> str:
        asked.append(text)
        return "Ada" if "name" in text else ""

    some = [
        InstrumentSettings("person", "operator", "-", channels={"supply_v": (1,)}),
        InstrumentSettings(
            "debug",
            "can-cells",
            "-",
            channels={"cell_voltage_v": tuple(range(CELLS))},
            options={"cell_id": 0x600, "enable_id": 0x5FF, "enable_hex": "01", "disable_hex": "00"},
        ),
    ]
    rack = open_rack(some, ENVELOPE, CLOCK, ask=ask, send=frames.append)
    assert rack.identify()["person"] == "operator Ada"
    assert rack.safe_plan() == []
    rack.apply(some_inputs())
    for instrument in rack.instruments:
        instrument.arm()
    assert "person: set supply_v to 24 V" in asked[-1]
    assert frames[0] == OutgoingFrame(0x5FF, b"\x01")
    rack.safe()
    assert frames[-1] == OutgoingFrame(0x5FF, b"\x00")
    assert rack.is_off()
