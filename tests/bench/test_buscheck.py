# SPDX-License-Identifier: Apache-2.0
"""What the bus tells before anything is energised: a live pack, another bit rate, another database, another sender."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from harness.bench.buscheck import check_bus, refuse_wrong_bus
from harness.bench.checks import Check
from harness.bench.livecheck import Heard, frames_of, listen, refuse_if_live, signs_of_life
from harness.canbus.portmodel import PortFrame, PortStatus
from harness.clock import ManualClock
from harness.errors import BenchError
from harness.instruments.model import Outputs
from harness.kernel.bustypes import NodeState
from harness.rig import find_rig, load_rig
from harness.rig.session import Session
from harness.scenario import Scenario, Start
from harness.trace import Frames

RIG = load_rig(find_rig("ebus-lfp"))
BITRATE = 500_000
GOOD = PortStatus(NodeState.ERROR_ACTIVE, 0, 0)
NOBODY: tuple[PortFrame, ...] = ()


@cache
def sent_in(start: Start) -> Frames:
    """What the controller sends in three seconds of a state; nothing of vehicle and charger."""
    with Session(RIG) as session:
        frames = session.run(Scenario(rig="ebus-lfp", start=start, duration_s=3.0)).trace.frames
    return chosen(frames, frames.node == 0)


def chosen(frames: Frames, rows: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Frames:
    return Frames(*(getattr(frames, name)[rows] for name in Frames.__dataclass_fields__))


def heard(frames: Frames, status: PortStatus = GOOD) -> Heard:
    return Heard(frames, status, 3.0)


def states(checks: Sequence[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


def checked(frames: Frames, status: PortStatus = GOOD) -> dict[str, Check]:
    return {check.name: check for check in check_bus(heard(frames, status), RIG.profile, BITRATE)}


class Port:
    """A port on which these frames arrive at once after the first look."""

    def __init__(self, frames: Sequence[PortFrame]) -> None:
        self._waiting = [list(NOBODY), list(frames)]

    def send(self, frame: PortFrame) -> None:
        raise AssertionError(f"a listener sent {frame}")

    def receive(self) -> list[PortFrame]:
        return self._waiting.pop(0) if self._waiting else []

    def fileno(self) -> int | None:
        return None

    def status(self) -> PortStatus:
        return GOOD

    def close(self) -> None:
        pass


def as_port_frames(frames: Frames) -> list[PortFrame]:
    return [
        PortFrame(int(t), int(i), bytes(data[:length]))
        for t, i, data, length in zip(frames.t_ns, frames.id, frames.data, frames.length, strict=True)
    ]


def test_a_controller_in_standby_is_all_right() -> None:
    assert set(states(list(checked(sent_in("standby")).values())).values()) == {"ok"}


def test_error_frames_are_a_wrong_bit_rate_and_nothing_else_is_believed() -> None:
    checks = checked(sent_in("standby"), PortStatus(NodeState.ERROR_ACTIVE, error_frames=7))
    assert checks["bit rate"].state == "problem"
    assert "7 error frames" in checks["bit rate"].found
    assert "500 kbit/s" in checks["bit rate"].remedy
    assert {checks[name].state for name in ("database", "messages", "periods", "other senders")} == {"not checked"}


def test_a_silent_bus_is_told_as_such() -> None:
    checks = checked(frames_of(NOBODY, 0))
    assert checks["bit rate"].found == "no frame in 3 s"
    assert "not supplied" in checks["bit rate"].remedy


def test_identifiers_that_are_all_unknown_are_another_database() -> None:
    frames = sent_in("standby")
    checks = checked(replace(frames, id=(frames.id + 0x400).astype(np.uint32)))
    assert checks["database"].state == "problem"
    assert "none of the" in checks["database"].found
    assert "reference-bms.dbc" in checks["database"].found


def test_one_unknown_identifier_is_named() -> None:
    frames = sent_in("standby")
    strange = np.where(np.arange(len(frames)) == 5, 0x7AB, frames.id).astype(np.uint32)
    assert "0x7AB" in checked(replace(frames, id=strange))["database"].found


def test_a_message_that_never_comes_is_named() -> None:
    frames = sent_in("standby")
    message = RIG.profile.database.by_name["BMS_PackValues"]
    checks = checked(chosen(frames, frames.id != message.id))
    assert checks["messages"].state == "problem"
    assert "BMS_PackValues" in checks["messages"].found


def test_a_wrong_period_is_told_with_both_periods() -> None:
    frames = sent_in("standby")
    message = RIG.profile.database.by_name["BMS_PackValues"]
    own = np.flatnonzero(frames.id == message.id)
    rows = np.ones(len(frames), np.bool_)
    rows[own[::2]] = False  # every second one: 200 ms instead of 100 ms
    found = checked(chosen(frames, rows))["periods"].found
    assert found == "BMS_PackValues every 200 ms, not 100 ms"


def test_somebody_else_who_sends_the_messages_of_the_harness_is_found() -> None:
    command = next(message for message in RIG.profile.restbus if message.name == "VCU_Command")
    other = PortFrame(1_000_000, command.id, bytes(command.length))
    frames = frames_of([*as_port_frames(sent_in("standby")), other], 0)
    assert "VCU_Command" in checked(frames)["other senders"].found
    with pytest.raises(BenchError, match="other senders: somebody sends VCU_Command"):
        refuse_wrong_bus(heard(frames), RIG.profile, BITRATE)


def test_a_silent_bus_does_not_keep_a_bench_from_being_energised() -> None:
    refuse_wrong_bus(heard(frames_of(NOBODY, 0)), RIG.profile, BITRATE)
    refuse_wrong_bus(heard(sent_in("standby")), RIG.profile, BITRATE)


@pytest.mark.parametrize(
    "status",
    [
        PortStatus(NodeState.ERROR_ACTIVE, error_frames=3),
        PortStatus(NodeState.ERROR_PASSIVE),
        PortStatus(NodeState.BUS_OFF),
        PortStatus(NodeState.ERROR_ACTIVE, malformed=1),
    ],
)
def test_a_wrong_bit_rate_is_refused(status: PortStatus) -> None:
    with pytest.raises(BenchError, match=r"bit rate: .*500 kbit/s"):
        refuse_wrong_bus(heard(frames_of(NOBODY, 0), status), RIG.profile, BITRATE)


def test_another_database_is_refused() -> None:
    frames = sent_in("standby")
    with pytest.raises(BenchError, match=r"database: none of the .*profile of the rig"):
        refuse_wrong_bus(heard(replace(frames, id=(frames.id + 0x400).astype(np.uint32))), RIG.profile, BITRATE)


# ---- a live pack


def test_closed_contactors_a_driving_state_and_a_high_voltage_are_signs_of_a_live_pack() -> None:
    signs = "; ".join(signs_of_life(sent_in("drive"), RIG.profile, None))
    assert "contactor_positive is reported closed" in signs
    assert "state 'drive'" in signs
    assert "link_voltage_v" in signs


def test_a_pack_at_the_controller_is_live_even_with_open_contactors() -> None:
    (sign,) = signs_of_life(sent_in("standby"), RIG.profile, None)
    assert sign.startswith("pack_voltage_v = 6")


def test_a_driven_contactor_is_a_sign_without_a_bus() -> None:
    nothing = frames_of(NOBODY, 0)
    assert () == signs_of_life(nothing, RIG.profile, Outputs())
    assert signs_of_life(nothing, RIG.profile, Outputs(contactor_negative=True)) == ("contactor_negative is driven",)


def test_a_live_pack_is_refused_with_the_signs_and_what_to_do() -> None:
    port = Port(as_port_frames(sent_in("drive")))
    with pytest.raises(BenchError, match=r"live already.*state 'drive'.*[Ss]witch off"):
        refuse_if_live(port, RIG.profile, ManualClock(), lambda: None)


def test_drives_that_could_not_be_read_are_not_taken_for_open() -> None:
    with pytest.raises(BenchError, match=r"drives could not be read within 1 s"):
        refuse_if_live(Port([]), RIG.profile, ManualClock(), lambda: None)
    assert len(refuse_if_live(Port([]), RIG.profile, ManualClock(), Outputs).frames) == 0


def test_listening_takes_its_time_and_forgets_what_waited_before() -> None:
    clock = ManualClock()
    port = Port(as_port_frames(sent_in("standby"))[:3])
    found = listen(port, clock, 0.5)
    assert len(found.frames) == 3
    assert clock.now_ns() == 500_000_000
