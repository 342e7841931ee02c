# SPDX-License-Identifier: Apache-2.0
"""Trouble codes held against the flags of the same recording. Times and codes are written out by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from harness.bench.monitor import Monitor
from harness.canbus.profile import Profile, load_profile
from harness.observation import Observation
from harness.rig.resources import data_root
from harness.trace import Frames, Trace

HVIL, SUPPLY = 18, 19  # FAULT_*, and bits of BMS_Faults
FLAGS, DM1, DM2, REQUEST = 0x105, 0x18FECAF3, 0x18FECBF3, 0x18EAFFF9
DM11 = 65235
Sent = tuple[float, int, bytes]


@pytest.fixture(scope="module")
def profile() -> Profile:
    return load_profile(data_root() / "dbc" / "working-machine.profile.toml")


def flags(t_s: float, *faults: int) -> Sent:
    word = sum(1 << (16 + fault) for fault in faults)
    return t_s, FLAGS, word.to_bytes(8, "little")


def told(t_s: float, identifier: int, *faults: int) -> list[Sent]:
    """A DM1 or DM2: one frame, or a broadcast of packets 50 ms apart of which the last comes at `t_s`."""
    fmi = {HVIL: 5, SUPPLY: 2}
    codes = [(520192 + fault, fmi[fault]) for fault in faults]
    listed = b"".join(bytes([spn & 0xFF, spn >> 8 & 0xFF, spn >> 16 << 5 | f, 1]) for spn, f in codes)
    data = b"\x04\xff" + (listed or bytes(4))
    if len(data) <= 8:
        return [(t_s, identifier, data.ljust(8, b"\xff"))]
    pgn = (identifier >> 8 & 0xFFFF).to_bytes(3, "little")
    head = (t_s - 0.1, 0x18ECFFF3, bytes([32, len(data), 0, 2, 0xFF]) + pgn)
    parts = [
        (t_s - 0.05 + 0.05 * n, 0x18EBFFF3, bytes([n + 1, *data[7 * n : 7 * n + 7]]).ljust(8, b"\xff")) for n in (0, 1)
    ]
    return [head, *parts]


def cleared(t_s: float) -> Sent:
    return t_s, REQUEST, DM11.to_bytes(3, "little")


def observed(profile: Profile, sent: Sequence[Sent]) -> Observation:
    ordered = sorted(sent, key=lambda frame: frame[0])
    n = len(ordered)
    frames = Frames(
        t_ns=np.array([round(t_s * 1e9) for t_s, _, _ in ordered], np.uint64),
        id=np.array([identifier for _, identifier, _ in ordered], np.uint32),
        flags=np.array([int(identifier > 0x7FF) for _, identifier, _ in ordered], np.uint8),
        bus=np.zeros(n, np.uint8),
        node=np.array([3 if identifier == REQUEST else 0 for _, identifier, _ in ordered], np.uint8),
        length=np.array([len(data) for _, _, data in ordered], np.uint8),
        data=np.array([list(data.ljust(8, b"\0")) for _, _, data in ordered], np.uint8),
    )
    trace = Trace(t_s=np.empty(0), columns={}, frames=frames)
    return Observation(trace, profile, timing_s=0.01, boot_s=0.0)


def cycle(until_s: float, *faults: int, since_s: float = 0.0) -> list[Sent]:
    """BMS_Faults every 100 ms."""
    return [flags(round(since_s + 0.1 * n, 3), *faults) for n in range(round((until_s - since_s) * 10))]


def value_at(seen: Observation, quantity: str, t_s: float) -> float:
    series = seen.reported(quantity)
    assert series is not None
    return float(series.value[int(np.searchsorted(series.t_s, t_s + 1e-9)) - 1])


def greatest(seen: Observation, quantity: str) -> float:
    series = seen.reported(quantity)
    assert series is not None
    return float(series.value.max())


def test_codes_have_a_quantity_each(profile: Profile) -> None:
    seen = observed(profile, [*cycle(1.0), *told(0.5, DM1, HVIL, SUPPLY), *told(0.8, DM2, SUPPLY)])
    assert (1.0, 1.0) == (value_at(seen, "dtc.hvil", 0.6), value_at(seen, "dtc.supply", 0.6))
    assert (0.0, 1.0) == (value_at(seen, "dtc_previous.hvil", 0.9), value_at(seen, "dtc_previous.supply", 0.9))


def test_a_code_that_comes_late_is_late_by_the_time_since_its_flag(profile: Profile) -> None:
    sent = [*told(0.05, DM1), *cycle(1.0), *cycle(3.0, HVIL, since_s=1.0), *told(1.72, DM1, HVIL)]
    assert greatest(observed(profile, sent), "dtc_late_s") == pytest.approx(0.8, abs=0.11)


def test_one_code_of_two_does_not_make_up_for_the_other(profile: Profile) -> None:
    sent = [*told(0.05, DM1), *cycle(1.0), *cycle(3.0, HVIL, SUPPLY, since_s=1.0), *told(1.2, DM1, HVIL)]
    assert greatest(observed(profile, sent), "dtc_late_s") == pytest.approx(2.0, abs=0.11)


def test_a_code_that_stays_after_its_fault_is_late_too(profile: Profile) -> None:
    sent = [*cycle(1.0, HVIL), *told(0.05, DM1, HVIL), *cycle(3.0, since_s=1.0)]
    assert greatest(observed(profile, sent), "dtc_late_s") == pytest.approx(2.0, abs=0.11)


def test_after_a_silence_what_was_told_before_is_not_held_against_the_controller(profile: Profile) -> None:
    sent = [*told(0.05, DM1), *cycle(1.0), *cycle(5.5, HVIL, since_s=5.0), *told(5.3, DM1, HVIL)]
    assert greatest(observed(profile, sent), "dtc_late_s") == pytest.approx(0.3, abs=0.11)


def test_the_age_of_dm1_counts_from_its_last_frame(profile: Profile) -> None:
    sent = [*cycle(4.0), *told(0.5, DM1, HVIL, SUPPLY), *told(2.0, DM1)]
    seen = observed(profile, sent)
    assert value_at(seen, "dm1_age_s", 1.9) == pytest.approx(1.4)
    assert greatest(seen, "dm1_age_s") == pytest.approx(1.9)


def test_a_code_that_dm2_does_not_list_is_forgotten(profile: Profile) -> None:
    sent = [*cycle(1.0, HVIL, SUPPLY), *cycle(4.0, since_s=1.0), *told(2.0, DM2, HVIL, SUPPLY), *told(3.0, DM2, HVIL)]
    seen = observed(profile, sent)
    assert (0.0, 1.0) == (value_at(seen, "dtc_forgotten", 2.0), value_at(seen, "dtc_forgotten", 3.0))


def test_the_code_of_a_fault_that_is_still_there_belongs_to_dm1(profile: Profile) -> None:
    sent = [*cycle(2.5, HVIL), *told(2.0, DM2)]
    assert 0.0 == greatest(observed(profile, sent), "dtc_forgotten")


def test_a_fault_that_ends_while_dm2_is_being_sent_is_not_forgotten(profile: Profile) -> None:
    sent = [*cycle(1.95, SUPPLY, HVIL), *cycle(3.0, since_s=1.95), *told(2.0, DM2)]
    assert 0.0 == greatest(observed(profile, sent), "dtc_forgotten")


def test_what_was_cleared_is_not_forgotten(profile: Profile) -> None:
    sent = [*cycle(1.0, HVIL), *cycle(4.0, since_s=1.0), cleared(2.0), *told(3.0, DM2)]
    assert 0.0 == greatest(observed(profile, sent), "dtc_forgotten")


def test_what_was_cleared_and_is_still_told_is_unfounded(profile: Profile) -> None:
    sent = [*cycle(1.0, HVIL), *cycle(4.0, since_s=1.0), cleared(2.0), *told(1.5, DM2, HVIL), *told(3.0, DM2, HVIL)]
    seen = observed(profile, sent)
    for t_s, expected in ((1.5, 0.0), (3.0, 1.0)):
        assert (expected, expected) == (value_at(seen, "dtcs_cleared", t_s), value_at(seen, "dtc_unfounded", t_s))


def test_a_fault_that_came_again_after_the_clearing_is_founded(profile: Profile) -> None:
    sent = [*cycle(1.0, HVIL), *cycle(2.5, since_s=1.0), cleared(2.0), *cycle(3.0, HVIL, since_s=2.5)]
    sent += [*cycle(5.0, since_s=3.0), *told(4.0, DM2, HVIL)]
    assert 0.0 == greatest(observed(profile, sent), "dtc_unfounded")


def test_a_fault_that_goes_as_the_codes_are_cleared_is_founded(profile: Profile) -> None:
    sent = [*cycle(1.8, HVIL), *cycle(4.0, since_s=1.8), cleared(2.0), *told(3.0, DM2, HVIL)]
    assert 0.0 == greatest(observed(profile, sent), "dtc_unfounded")


def test_a_product_without_j1939_tells_no_codes() -> None:
    plain = load_profile(data_root() / "dbc" / "reference-bms.profile.toml")
    assert observed(plain, cycle(1.0)).reported("dtc_late_s") is None


def test_people_are_told_when_each_code_was_active_and_when_previously_active(profile: Profile) -> None:
    sent = [*cycle(4.0), *told(1.0, DM1, HVIL, SUPPLY), *told(2.0, DM1, SUPPLY), *told(3.0, DM2, HVIL)]
    troubles = observed(profile, sent).troubles()
    assert troubles is not None
    assert troubles.told() == (
        "fault.hvil (SPN 520210, FMI 5 open): DM1 1.000 s, DM2 3.000 s",
        "fault.supply (SPN 520211, FMI 2 erratic): DM1 1.000 s to 2.000 s",
    )


def test_a_monitor_shows_the_last_codes_even_when_their_packets_come_in_pieces(profile: Profile) -> None:
    sent = [*cycle(1.0), *told(0.5, DM1, HVIL, SUPPLY), *told(0.8, DM2)]
    monitor = Monitor.of_profile(profile, bitrate=500_000)
    whole = observed(profile, sent)._trace.frames
    for row in range(len(whole)):
        monitor.add(Frames(*(getattr(whole, name)[row : row + 1] for name in Frames.__dataclass_fields__)))
    active, previous = monitor.picture(1.0).troubles
    assert ("DM1", ("amber warning",)) == (active.message, active.lamps)
    assert active.age_s == pytest.approx(0.5)
    assert active.codes == (
        "fault.hvil (SPN 520210, FMI 5 open, 1 x)",
        "fault.supply (SPN 520211, FMI 2 erratic, 1 x)",
    )
    assert ("DM2", ()) == (previous.message, previous.codes)


def test_a_power_on_begins_anew(profile: Profile) -> None:
    sent = [*told(0.05, DM1), *cycle(2.0, HVIL), *cycle(4.0, HVIL, since_s=2.0), *told(3.5, DM1, HVIL)]
    t_s = np.arange(0.0, 4.0, 0.1)
    powered = np.where((t_s > 1.79) & (t_s < 1.95), 0.0, 1.0)
    plain = observed(profile, sent)
    trace = Trace(t_s, {"output": {"powered": powered}}, plain._trace.frames)
    seen = Observation(trace, profile, timing_s=0.01, boot_s=0.0)
    assert greatest(plain, "dtc_late_s") == pytest.approx(3.4, abs=0.11)
    assert greatest(seen, "dtc_late_s") == pytest.approx(1.9, abs=0.11)
    assert value_at(seen, "dm1_age_s", 3.4) == pytest.approx(1.4, abs=0.11)
