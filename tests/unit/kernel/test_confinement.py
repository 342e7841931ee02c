# SPDX-License-Identifier: Apache-2.0
"""Fault confinement as ISO 11898-1 has it: error counters, error frames, repetition, bus-off and recovery.

One bit is 2 us at 500 kbit/s. `Frame(0)` has 50 bits by hand (test_bus_bits) and 3 of intermission behind it. An error
frame of an error active node is 6 bits of flag and 8 of delimiter.
"""

from typing import Any

import numpy as np
import pytest

from harness.errors import UsageError
from harness.kernel.bustypes import ANY, ANY_ID, NOT_THE_DUT, ErrorCause, IdMode, Mark, NodeState, Resume
from harness.kernel.config import BusConfig, Event, EventKind, Fault, FrameFlag, Node, Point
from harness.kernel.simulation import Frame

SILENT = (("report", 0),)
BIT_NS = 2_000
MS = 1_000_000


def ends_bits(buffers: Any) -> list[int]:
    return [int(t) // BIT_NS for t in buffers.frames("ns")]


def errors(buffers: Any) -> Any:
    return (buffers.frames("flags") & FrameFlag.ERROR) != 0


def counters(simulation: Any, node: Node) -> tuple[int, int]:
    status = simulation.node_status(node)
    return status.transmit_errors, status.receive_errors


def bit_error(**changes: Any) -> Fault:
    """Every attempt to send identifier 0 fails in its 30th bit."""
    return Fault(Point.FRAME_BIT_ERROR, value=30.0, **changes)


def force(node: Node, value: int, **changes: Any) -> Fault:
    return Fault(Point.NODE_TEC, node=node, value=value, count=1, **changes)


@pytest.mark.parametrize(
    ("enumeration", "prefix"),
    [(Mark, "BH_FRAME_"), (ErrorCause, "BH_CAUSE_"), (IdMode, "BH_ID_"), (Resume, "BH_RESUME_")],
)
def test_enumerations_have_the_values_of_the_header(echo: Any, enumeration: Any, prefix: str) -> None:
    assert {m.name: int(m) for m in enumeration} == {
        m.name: getattr(echo.kernel.lib, prefix + m.name) for m in enumeration
    }


def test_states_and_selections_have_the_values_of_the_header(echo: Any) -> None:
    lib = echo.kernel.lib
    assert list(NodeState) == [lib.BH_ERROR_ACTIVE, lib.BH_ERROR_PASSIVE, lib.BH_BUS_OFF]
    assert list(NodeState) == [lib.FIL_CAN_ERROR_ACTIVE, lib.FIL_CAN_ERROR_PASSIVE, lib.FIL_CAN_BUS_OFF]
    assert [ANY, ANY_ID, NOT_THE_DUT] == [lib.BH_ANY, lib.BH_ANY_ID, lib.BH_NOT_THE_DUT]


# ---- errors and repetition -------------------------------------------------------------------------------------


def test_a_destroyed_frame_ends_in_an_error_frame_and_is_sent_again(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[bit_error(count=1)])
    simulation.send(Frame(0))
    buffers = bench.run(simulation, 0.01)
    # 30 bits, flag 6, delimiter 8 = 44; intermission 3, the whole frame 50 = 97
    assert ends_bits(buffers) == [44, 97]
    assert list(errors(buffers)) == [True, False]
    assert list(buffers.frames("id")) == [0, 0]
    assert list(buffers.frames("node")) == [Node.TESTER, Node.TESTER]
    assert list(buffers.frames("data")[0][:2]) == [ErrorCause.BIT, 8]


def test_an_error_in_a_bit_the_frame_does_not_have_comes_in_the_last_of_its_crc(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[Fault(Point.FRAME_BIT_ERROR, value=1000.0, count=1)])
    simulation.send(Frame(0))
    # 50 bits without CRC delimiter, acknowledge slot, its delimiter and 7 of end of frame are 40; error frame 14
    assert ends_bits(bench.run(simulation, 0.01))[0] == 40 + 14


def test_a_failed_sender_counts_eight_and_each_success_takes_one_back(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[bit_error(count=1)])
    for _ in range(5):
        simulation.send(Frame(0))
    bench.run(simulation, 0.01)
    assert counters(simulation, Node.TESTER) == (8 - 5, 0)


def test_receivers_count_one_for_an_error_and_one_back_for_a_frame(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[bit_error(count=3)])
    simulation.send(Frame(0))
    bench.run(simulation, 0.01)
    assert counters(simulation, Node.TESTER) == (3 * 8 - 1, 0)
    assert [counters(simulation, node) for node in (Node.DUT, Node.VEHICLE, Node.CHARGER)] == [(0, 3 - 1)] * 3


def test_the_firmware_hears_only_the_repetition(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan(faults=[bit_error(count=2, id=0x155)])
    simulation.send(Frame(0x155, b"abcd"))
    buffers = bench.run(simulation, 0.05)
    assert bench.report(buffers, 0x106).shape == (1, 2)
    assert int(errors(buffers).sum()) == 2


def test_a_receiver_that_finds_the_checksum_wrong_counts_nine_and_the_sender_eight(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[Fault(Point.FRAME_BIT_ERROR, mode=1, count=1)])
    simulation.send(Frame(0))
    buffers = bench.run(simulation, 0.01)
    # its flag begins with the end of frame: 50 - 7 = 43 bits, 14 of error frame, 3, 50
    assert ends_bits(buffers) == [57, 110]
    assert buffers.frames("data")[0][0] == ErrorCause.CHECKSUM
    # 1, and 8 for being the first to signal; one back each for the frame that followed
    assert counters(simulation, Node.DUT) == (0, 9 - 1)
    assert counters(simulation, Node.VEHICLE) == (0, 1 - 1)
    assert counters(simulation, Node.TESTER) == (8 - 1, 0)


def test_the_flag_of_an_error_passive_receiver_disturbs_nobody(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=(("report", 1),))
    simulation.plan(faults=[Fault(Point.FRAME_BIT_ERROR, mode=1, id=0x155, count=16)])
    simulation.send(Frame(0x155))
    simulation.send(Frame(0x156))
    buffers = bench.run(simulation, 0.01)
    # after 15 errors the DUT's receive error counter is 15 * 9 = 135: passive; the 16th it keeps to itself
    assert int(errors(buffers).sum()) == 15
    [at] = np.flatnonzero((buffers.frames("id") == 0x155) & ~errors(buffers))
    assert buffers.frames("flags")[at] & Mark.UNHEARD
    # 136 and then 0x156 received well: from above 127 the counter falls to 119 at once
    assert counters(simulation, Node.DUT)[1] == 119
    heard = bench.report(bench.run(simulation, 0.03), 0x106)
    assert list(heard[:, 0]) == [0x156]


# ---- error passive ---------------------------------------------------------------------------------------------


def test_128_is_error_passive_and_127_error_active_again(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[force(Node.TESTER, 128)])
    bench.run(simulation, 0.01)
    assert simulation.node_status(Node.TESTER).state == NodeState.ERROR_PASSIVE
    simulation.send(Frame(0))
    bench.run(simulation, 0.02)
    assert counters(simulation, Node.TESTER) == (127, 0)
    assert simulation.node_status(Node.TESTER).state == NodeState.ERROR_ACTIVE


def test_a_passive_sender_waits_eight_bits_more_between_its_frames(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[force(Node.TESTER, 200)])
    for _ in range(3):
        simulation.send(Frame(0))
    assert np.diff(ends_bits(bench.run(simulation, 0.01))).tolist() == [3 + 8 + 50, 3 + 8 + 50]


def test_255_is_error_passive_still(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[force(Node.DUT, 255)])
    bench.run(simulation, 0.01)
    assert simulation.node_status(Node.DUT).state == NodeState.ERROR_PASSIVE


def test_others_get_the_bus_while_a_passive_sender_waits(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[force(Node.TESTER, 200)])
    simulation.send(Frame(0))
    simulation.send(Frame(1))
    simulation.send(Frame(0x700, node=Node.VEHICLE))
    assert list(bench.run(simulation, 0.01).frames("id")) == [0, 0x700, 1]


def test_the_flag_of_a_passive_sender_is_answered_by_the_active_receivers(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[force(Node.TESTER, 128), bit_error(count=1)])
    simulation.send(Frame(0))
    # 30 bits, 6 recessive of the sender, 6 dominant of the others, delimiter 8 = 50; then 3, suspended 8, 50
    assert ends_bits(bench.run(simulation, 0.01)) == [50, 111]


# ---- acknowledgement -------------------------------------------------------------------------------------------


def test_a_sender_alone_becomes_error_passive_and_never_bus_off(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[Fault(Point.FRAME_ACK, until_ns=50 * MS)])
    simulation.send(Frame(0))
    buffers = bench.run(simulation, 0.05)
    # up to and with the acknowledge slot 50 - 8 = 42 bits, error frame 14; 3 between; suspended 8 once passive
    ends = ends_bits(buffers)
    assert ends[0] == 56
    assert np.diff(ends[:16]).tolist() == [59] * 15
    assert set(np.diff(ends[16:]).tolist()) == {67}
    assert errors(buffers).all()
    assert set(buffers.frames("data")[:, 0]) == {ErrorCause.ACKNOWLEDGE}
    assert counters(simulation, Node.TESTER) == (128, 0)  # 16 * 8 and no more
    bench.run(simulation, 0.06)
    assert counters(simulation, Node.TESTER) == (127, 0)


def test_without_another_node_on_the_bus_nobody_acknowledges(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=(("can_state", 1), ("report", 0)))
    others = [Fault(Point.NODE_TEC, node=n, value=256) for n in (Node.VEHICLE, Node.CHARGER, Node.TESTER)]
    simulation.plan(faults=others)
    buffers = bench.run(simulation, 0.2)
    assert errors(buffers)[buffers.frames("ns") > 10 * MS].mean() > 0.9
    assert simulation.node_status(Node.DUT).state == NodeState.ERROR_PASSIVE
    assert counters(simulation, Node.DUT)[0] == 128


# ---- bus-off and recovery --------------------------------------------------------------------------------------


def test_32_errors_in_a_row_switch_a_node_off(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[bit_error(count=32)])
    simulation.send(Frame(0))
    buffers = bench.run(simulation, 0.01)
    # active: 16 errors every 30 + 14 + 3 = 47 bits, the last ends at 15 * 47 + 44 = 749. passive: begins 3 + 8 later,
    # at 760, takes 30 + 6 + 6 + 8 = 50, the next 11 after it: the 32nd ends at 760 + 15 * 61 + 50 = 1725 bits
    assert int(errors(buffers).sum()) == 32
    assert ends_bits(buffers)[-1] == 1725
    # and the tester recovers by itself, 128 * 11 = 1408 bits later
    status = simulation.node_status(Node.TESTER)
    assert (status.state, status.since_ns) == (NodeState.ERROR_ACTIVE, (1725 + 1408) * BIT_NS)


@pytest.mark.parametrize(("bitrate", "recovery_ns"), [(500_000, 2_816_000), (250_000, 5_632_000)])
def test_recovery_takes_128_times_11_bits_of_an_idle_bus(bench: Any, echo: Any, bitrate: int, recovery_ns: int) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(bitrate=bitrate))
    simulation.plan(faults=[force(Node.TESTER, 256)])
    bench.run(simulation, 0.01)
    status = simulation.node_status(Node.TESTER)
    assert (status.state, status.since_ns) == (NodeState.ERROR_ACTIVE, recovery_ns)
    assert (status.transmit_errors, status.receive_errors) == (0, 0)


def test_a_busy_bus_shows_eleven_recessive_bits_once_a_frame(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[force(Node.TESTER, 256)])
    for _ in range(150):
        simulation.send(Frame(0, node=Node.VEHICLE))
    bench.run(simulation, 0.02)
    # frame k ends at 50 + 53 (k - 1) bits. Acknowledge delimiter, end of frame and intermission are 1 + 7 + 3 = 11
    # recessive bits; those behind frame 128 end at 50 + 53 * 127 + 3 = 6784
    assert simulation.node_status(Node.TESTER).since_ns == 6784 * BIT_NS


def test_the_dut_stays_off_until_its_firmware_asks_for_a_restart(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=(("can_state", 1), ("report", 0)))
    simulation.plan(faults=[force(Node.DUT, 256, from_ns=100 * MS)])
    buffers = bench.run(simulation, 1.0)
    assert bench.times(buffers, 0x107).max() < 101 * MS
    status = simulation.node_status(Node.DUT)
    assert (status.state, status.recovering, status.since_ns) == (NodeState.BUS_OFF, False, 100 * MS)


def test_the_dut_recovers_in_standard_time_when_its_firmware_asks(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=(("can_state", 1), ("restart", 1), ("report", 0)))
    simulation.plan(faults=[force(Node.DUT, 256, from_ns=100 * MS)])
    buffers = bench.run(simulation, 0.2)
    # off at 100 ms; the firmware sees it in its step at 110 ms; 2.816 ms later it is back; its step at 120 ms sends
    assert simulation.node_status(Node.DUT).since_ns == 112_816_000
    times = bench.times(buffers, 0x107)
    assert times[times > 101 * MS].min() // MS == 120
    assert bench.report(buffers, 0x107)[-1].tolist() == [NodeState.ERROR_ACTIVE, NodeState.BUS_OFF]


def test_a_node_that_is_off_hears_nothing(bench: Any, echo: Any) -> None:
    simulation = echo.simulation()
    simulation.plan(faults=[force(Node.DUT, 256)])
    simulation.send(Frame(0x155))
    bench.run(simulation, 0.05)
    assert simulation.node_status(Node.DUT).receive_errors == 0
    simulation.plan(events=[Event(60 * MS, EventKind.POWER, value=0), Event(70 * MS, EventKind.POWER, value=1)])
    buffers = bench.run(simulation, 0.2)
    assert simulation.node_status(Node.DUT).state == NodeState.ERROR_ACTIVE  # a power cycle resets the controller
    assert bench.report(buffers, 0x106).shape[0] == 0


def test_an_unknown_bus_has_no_status(echo: Any) -> None:
    with pytest.raises(UsageError, match="no bus 1"):
        echo.simulation().node_status(Node.DUT, 1)


# ---- two senders of one identifier -----------------------------------------------------------------------------


def test_two_senders_of_one_identifier_destroy_each_other_until_one_goes_passive(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.send(Frame(0x100, b"\0", node=Node.VEHICLE))
    simulation.send(Frame(0x100, b"\1", node=Node.FOREIGN))
    buffers = bench.run(simulation, 0.01)
    # SOF, 001 00000 s 000, RTR IDE s, r0, 0001, 00000 s 00 and then the bits differ: with three stuff bits s the 30th
    assert ends_bits(buffers)[:2] == [44, 44 + 47]
    assert errors(buffers).tolist() == [True] * 16 + [False, False]
    assert set(buffers.frames("data")[:16, 0]) == {ErrorCause.COLLISION}
    # both at 128: passive. The one that sends the recessive bit notices, and its flag disturbs the other no more
    assert buffers.frames("data")[16:, 0].tolist() == [0, 1]
    assert counters(simulation, Node.VEHICLE)[0] == 128 - 1
    assert counters(simulation, Node.FOREIGN)[0] == 128 + 8 - 1


def test_equal_frames_of_two_nodes_are_one_frame(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.send(Frame(0x100, b"\7", node=Node.VEHICLE))
    simulation.send(Frame(0x100, b"\7", node=Node.TESTER))
    buffers = bench.run(simulation, 0.01)
    assert (buffers.n_frames, int(errors(buffers).sum())) == (1, 0)


def test_a_collision_is_seen_in_the_data_phase_of_fd_frames(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(data_bitrate=2_000_000))
    flags = FrameFlag.FD | FrameFlag.BRS
    simulation.send(Frame(0x555, b"\x55", flags=flags, node=Node.VEHICLE))
    simulation.send(Frame(0x555, b"\x54", flags=flags, node=Node.FOREIGN))
    buffers = bench.run(simulation, 0.01)
    # SOF, 10101010101, RRS 0, IDE 0, FDF 1, res 0, BRS 1 = 17 nominal bits; ESI 0, DLC 0001, 01010101: the last of
    # these 13 data bits differs. 34 us + 6.5 us, error frame 28 us
    assert int(buffers.frames("ns")[0]) == 34_000 + 6_500 + 28_000


def test_an_error_in_the_data_phase_of_an_fd_frame_is_signalled_at_the_nominal_rate(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(data_bitrate=2_000_000))
    simulation.plan(faults=[Fault(Point.FRAME_BIT_ERROR, id=0x555, value=27.0, count=1)])
    simulation.send(Frame(0x555, flags=FrameFlag.FD | FrameFlag.BRS))
    # 17 nominal bits of 2 us and 10 data bits of 0.5 us, error frame 28 us
    assert int(bench.run(simulation, 0.01).frames("ns")[0]) == 34_000 + 5_000 + 28_000


# ---- load ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [0.1, 0.5, 0.9])
def test_a_babbling_node_takes_its_share_of_the_bus(bench: Any, echo: Any, load: float) -> None:
    simulation = echo.simulation(parameters=SILENT)
    simulation.plan(faults=[Fault(Point.FOREIGN_BABBLE, id=0, value=load, length=8, mask=0x55)])
    buffers = bench.run(simulation, 0.2)
    assert simulation.bus_load() == pytest.approx(load, abs=0.01)
    assert set(buffers.frames("node")) == {Node.FOREIGN}
    assert set(buffers.frames("flags")) == {Mark.BENT}
    assert bytes(buffers.frames("data")[0]) == bytes([0x55, 0, 0, 0, 0, 0, 0, 0])


def test_a_babbling_node_of_highest_priority_keeps_everyone_else_off(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(messages=(bench.vehicle(id=0x50),))  # before the DUT's echo of what it heard
    simulation.plan(faults=[Fault(Point.FOREIGN_BABBLE, id=0, value=1.0, from_ns=20 * MS, until_ns=220 * MS)])
    buffers = bench.run(simulation, 0.4)
    inside = (buffers.frames("ns") > 21 * MS) & (buffers.frames("ns") < 220 * MS)
    assert set(buffers.frames("node")[inside]) == {Node.FOREIGN}
    assert np.unique(np.diff(buffers.frames("ns")[inside])).tolist() == [53 * BIT_NS]
    assert {Node.DUT, Node.VEHICLE} <= set(buffers.frames("node")[buffers.frames("ns") > 220 * MS])


def test_under_a_babbling_node_of_lowest_priority_everyone_waits_for_one_frame_at_most(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, messages=(bench.vehicle(),))
    simulation.plan(faults=[Fault(Point.FOREIGN_BABBLE, id=0x7FF, value=1.0, length=8)])
    buffers = bench.run(simulation, 0.5)
    late_ns = bench.times(buffers, 0x200) % (10 * MS)
    assert len(late_ns) >= 49
    # not more than one frame of the other (at most 135 bits and 3) and itself
    assert late_ns.max() < (135 + 3 + 135) * BIT_NS
    assert simulation.bus_load() == pytest.approx(1.0, abs=0.001)


def test_buses_have_counters_and_loads_of_their_own(bench: Any, echo: Any) -> None:
    simulation = echo.simulation(parameters=SILENT, bus=BusConfig(n_buses=2))
    simulation.plan(faults=[Fault(Point.FOREIGN_BABBLE, bus=1, id=5, value=0.5), force(Node.TESTER, 100, bus=1)])
    bench.run(simulation, 0.2)
    assert (simulation.bus_load(0), simulation.bus_load(1)) == (0.0, pytest.approx(0.5, abs=0.01))
    assert [simulation.node_status(Node.TESTER, bus).transmit_errors for bus in (0, 1)] == [0, 100]
