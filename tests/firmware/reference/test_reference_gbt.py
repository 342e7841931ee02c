# SPDX-License-Identifier: Apache-2.0
"""The GB/T 27930 side of the reference firmware alone: a charger of a few lines, stage by stage."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

MakeBms = Callable[..., Any]
CHM, CRM, CML, CRO = 0x1826F456, 0x1801F456, 0x1808F456, 0x100AF456
CCS, CST, CSD, CEM = 0x1812F456, 0x101AF456, 0x181DF456, 0x081FF456
BHM, BRO, BCL, BSM = 0x182756F4, 0x100956F4, 0x181056F4, 0x181356F4
BST, BSD, BEM = 0x101956F4, 0x181C56F4, 0x081E56F4
CONNECTION, PACKET, ANSWER = 0x1CEC56F4, 0x1CEB56F4, 0x1CECF456
YES, NO = b"\xaa", b"\x00"
SILENT = b""
CONTACTORS_BOTH = 3
PROTOCOL = "ChargingProtocol"


def words(*values: int) -> bytes:
    return b"".join(value.to_bytes(2, "little") for value in values)


OFFER = words(750, 200, 1500, 4000)  # 20 to 75 V, 0 to 250 A


class Post:
    """A charger that repeats one message every 250 ms, and takes packets."""

    def __init__(self, bms: Any) -> None:
        self.bms = bms
        self.says: tuple[int, bytes] = (CHM, SILENT)
        self._seen = 0
        self._length = 0
        self.packed: list[tuple[int, bytes]] = []  # PGN and bytes of what came in packets
        self._data = b""
        self._pgn = b""
        bms.charger.on = False

    def say(self, identifier: int, data: bytes) -> None:
        assert self.bms.receive(identifier, data, flags=1, length=len(data)) == 0

    def run(self, seconds: float) -> None:
        for tick in range(round(seconds * 100)):
            if self.says[1] and tick % 25 == 0:
                self.say(*self.says)
            self.bms.run(0.01)
            self._take()

    def _take(self) -> None:
        for _, identifier, data in self.bms.frames[self._seen :]:
            if identifier == CONNECTION and data[0] == 16:
                self._data, self._pgn, self._length = b"", data[5:8], int.from_bytes(data[1:3], "little")
                self.say(ANSWER, bytes([17, data[3], 1, 255, 255]) + self._pgn)
            elif identifier == PACKET:
                self._data += data[1:]
                if len(self._data) >= self._length:
                    self.packed.append((int.from_bytes(self._pgn, "little"), self._data[: self._length]))
                    self.say(ANSWER, bytes([19, self._length, 0, data[0], 255]) + self._pgn)
        self._seen = len(self.bms.frames)

    def heard(self, identifier: int, since_s: float = 0.0) -> list[bytes]:
        return [data for t_s, found, data in self.bms.frames if found == identifier and t_s >= since_s]

    # ---- into a stage

    def plug(self) -> Post:
        self.bms.boot()
        self.bms.plug, self.bms.mode = True, "charge"
        return self

    def hello(self) -> Post:
        self.plug()
        self.says = (CHM, b"\x01\x01\x00")
        self.run(0.3)
        return self

    def recognition(self) -> Post:
        self.hello()
        self.says = (CRM, NO + bytes(7))
        self.run(0.3)
        return self

    def parameters(self) -> Post:
        self.recognition()
        self.says = (CRM, YES + bytes(7))
        self.run(0.3)
        return self

    def ready(self, offer: bytes = OFFER) -> Post:
        self.parameters()
        self.says = (CML, offer)
        self.run(2.5)
        return self

    def charging(self, offer: bytes = OFFER) -> Post:
        self.ready(offer)
        self.says = (CRO, YES)
        self.run(0.05)
        self.says = (CCS, words(400, 4000, 0) + b"\xfd\xff")
        self.run(1.0)
        self.say(*self.says)
        return self

    def stopping(self) -> Post:
        self.charging()
        self.bms.mode = "standby"
        self.says = (CCS, SILENT)
        self.run(0.05)
        return self

    def statistics(self) -> Post:
        self.stopping()
        self.says = (CST, b"\x40\x00\x00\xf0")
        self.run(0.5)
        return self


@pytest.fixture
def post(make_bms: MakeBms) -> Post:
    return Post(make_bms(parameters={"gbt": 1, "gbt_taper_ma": 0, "charge_voltage_cell_mv": 3550}))


def test_a_session_goes_through_its_stages(post: Post) -> None:
    post.hello()
    assert post.heard(BHM) == [words(426)] * len(post.heard(BHM)) != []
    post.statistics()
    assert list(dict(post.packed))[:3] == [0x0200, 0x0600, 0x1100]
    assert all(post.heard(message) for message in (BRO, BCL, BSM, BST, BSD))
    post.says = (CSD, bytes(8))
    post.run(0.3)
    before = len(post.heard(BSD))
    post.run(1.0)
    assert len(post.heard(BSD)) == before, "what was answered is not repeated"
    assert post.bms.active() == set()
    assert post.bms.state == "Standby"


def test_the_battery_is_described_as_it_is(post: Post) -> None:
    post.parameters()
    recognition, parameters = dict(post.packed)[0x0200], dict(post.packed)[0x0600]
    assert (len(recognition), recognition[3], recognition[4:8]) == (49, 3, words(1800, 396)), "LFP, 180 Ah, 39.6 V"
    assert parameters[:4] == words(365, 4000 - 2700)
    assert parameters[6:9] == words(426) + bytes([100])


def test_the_contactors_close_after_the_offer_and_current_is_asked_for_after_cro(post: Post) -> None:
    post.parameters()
    assert post.bms.contactors == 0
    post.says = (CML, OFFER)
    post.run(0.02)
    assert post.heard(BRO) == [NO]
    post.run(2.5)
    assert post.bms.contactors == CONTACTORS_BOTH
    assert post.heard(BRO)[-1] == YES
    assert (post.bms.state, post.heard(BCL)) == ("Precharge", [])
    post.says = (CRO, NO)
    post.run(1.0)
    assert post.bms.state == "Precharge"
    post.says = (CRO, YES)
    post.run(0.1)
    assert post.bms.state == "Charge"


def test_the_demand_is_the_limit_of_the_pack_and_no_more_than_the_offer(post: Post) -> None:
    post.charging()
    assert post.heard(BCL)[-1][:4] == words(426, 4000 - 2500), "of 270 A the charger offered 250"
    times = [t_s for t_s, found, _ in post.bms.frames if found == BCL]
    assert {round(b - a, 2) for a, b in pairwise(times)} == {0.05}


def test_a_low_offer_is_kept(post: Post) -> None:
    post.charging(words(410, 200, 3400, 4000))
    assert post.heard(BCL)[-1][:4] == words(410, 3400)


WAITS = [
    ("hello", 29.7, 30.1),
    ("recognition", 4.7, 5.1),
    ("parameters", 4.7, 5.1),
    ("ready", 58.0, 60.2),
    ("charging", 0.95, 1.25),
    ("stopping", 4.95, 5.1),
    ("statistics", 4.7, 5.1),
]


@pytest.mark.parametrize(("stage", "patient_s", "limit_s"), WAITS, ids=[wait[0] for wait in WAITS])
def test_each_stage_has_its_time_out(post: Post, stage: str, patient_s: float, limit_s: float) -> None:
    """`patient_s`: still within the time of the standard, counted from the end of the way there."""
    getattr(post, stage)()
    post.says = (CHM, SILENT)
    post.run(patient_s)
    assert post.bms.active() == set()
    post.run(limit_s - patient_s)
    assert post.bms.active() == {PROTOCOL}
    assert post.bms.contactors == 0
    assert post.heard(BEM)


def test_bem_names_the_message_that_was_missing(post: Post) -> None:
    post.recognition()
    post.says = (CHM, SILENT)
    post.run(5.2)
    assert post.heard(BEM)[0] == bytes([0xF0 | 1 << 2, 0xF0, 0xF0, 0xFC])


@pytest.mark.parametrize(
    "offer", [words(390, 200, 1500, 4000), words(750, 400, 1500, 4000), words(750, 200, 3950, 4000)]
)
def test_an_offer_that_does_not_fit_is_refused(post: Post, offer: bytes) -> None:
    post.ready(offer)
    assert post.bms.contactors == 0
    assert post.bms.active() == {PROTOCOL}


@pytest.mark.parametrize(("excess_a", "trips"), [(19, set()), (21, {PROTOCOL})])
def test_the_own_measurement_tells_what_the_charger_delivers(post: Post, excess_a: int, trips: set[str]) -> None:
    post.charging(words(750, 200, 3000, 4000))
    post.bms.current_ma = -(100 + excess_a) * 1000
    post.run(1.9)
    assert post.bms.active() == set()
    post.run(0.3)
    assert post.bms.active() == trips
    assert (post.bms.contactors == 0) == bool(trips)


def test_a_charger_that_overrides_is_not_tried_again(post: Post) -> None:
    post.charging(words(750, 200, 3000, 4000))
    post.bms.current_ma = -200_000
    post.run(2.2)
    post.bms.current_ma = 0
    post.says = (CHM, b"\x01\x01\x00")
    post.run(20.0)
    assert post.bms.active() == {PROTOCOL}
    post.bms.plug = False
    post.run(0.2)
    assert post.bms.active() == set()


@pytest.mark.parametrize("stage", ["parameters", "ready", "charging"])
@pytest.mark.parametrize("message", [CEM, CHM])
def test_an_error_of_the_charger_and_a_new_beginning_end_the_session(post: Post, stage: str, message: int) -> None:
    getattr(post, stage)()
    post.say(message, bytes(4 if message == CEM else 3))
    post.run(0.1)
    assert post.bms.active() == {PROTOCOL}
    assert post.bms.contactors == 0


@pytest.mark.parametrize("stage", ["plug", "hello"])
def test_cem_outside_a_session_says_nothing(post: Post, stage: str) -> None:
    getattr(post, stage)()
    post.say(CEM, bytes(4))
    post.run(0.1)
    assert post.bms.active() == set()


def test_a_session_begins_anew_three_times_after_an_error(post: Post) -> None:
    post.recognition()
    post.says = (CRM, NO + bytes(7))
    post.run(60.0)
    errors = [t_s for t_s, found, _ in post.bms.frames if found == BEM]
    begins = [b for a, b in zip([-9.0, *errors], errors, strict=False) if b - a > 1.0]
    assert len(begins) == 4
    assert post.bms.active() == {PROTOCOL}


def test_cst_ends_charging_softly_and_without_a_fault(post: Post) -> None:
    post.charging()
    post.bms.current_ma = -100_000
    post.says = (CST, b"\x04\x00\x00\xf0")
    post.run(0.1)
    assert post.heard(BST)
    assert post.bms.contactors == CONTACTORS_BOTH, "not under load"
    post.bms.current_ma = 0
    post.run(0.2)
    assert (post.bms.contactors, post.bms.active()) == (0, set())


def test_a_charger_that_does_not_stop_is_cut_off(post: Post) -> None:
    post.charging()
    post.bms.current_ma = -100_000
    post.says = (CST, b"\x04\x00\x00\xf0")
    post.run(1.7)
    assert post.bms.contactors == 0


def test_a_link_that_stays_at_the_pack_voltage_keeps_the_contactors_open(post: Post) -> None:
    post.bms.link_mv = 39_600
    post.ready()
    assert post.bms.contactors == 0
    assert set(post.heard(BRO)) == {NO}
    post.bms.link_mv = None
    post.run(2.5)
    assert post.bms.contactors == CONTACTORS_BOTH


def test_nobody_is_greeted_before_charging_is_asked_for(post: Post) -> None:
    post.plug()
    post.bms.mode = "standby"
    post.says = (CHM, b"\x01\x01\x00")
    post.run(3.0)
    assert not [frame for frame in post.bms.frames if frame[1] > 0x7FF]


def test_a_fault_of_the_pack_ends_the_session_with_bst(post: Post) -> None:
    post.charging()
    post.bms.hvil = False
    post.run(0.3)
    assert post.bms.active() == {"Hvil"}
    assert post.heard(BST)


def test_without_the_parameter_a_charger_finds_no_one(make_bms: MakeBms) -> None:
    post = Post(make_bms()).hello()
    assert not [frame for frame in post.bms.frames if frame[1] > 0x7FF]


@pytest.mark.parametrize("seed", range(3))
def test_absurd_bytes_of_the_charger_leave_the_firmware_alive(post: Post, seed: int) -> None:
    draw = np.random.default_rng(seed)
    identifiers = (CHM, CRM, CML, CRO, CCS, CST, CSD, CEM, ANSWER, 0x1CEBF456, 0x1CECFF56, 0x1CEBFF56, 0x1807F456)
    post.ready()
    for _ in range(2000):
        words_known = [0, 1, 16, 17, 19, 32, 0xAA, 255, int(draw.integers(256))]
        data = bytes(draw.choice(words_known, size=int(draw.integers(9))).tolist())
        identifier = identifiers[int(draw.integers(len(identifiers)))]
        assert post.bms.receive(identifier, data, flags=1, length=len(data)) == 0
        if draw.random() < 0.3:
            post.bms.run(0.01)
    post.bms.run(1.0)
    assert post.bms.state in ("Standby", "Precharge", "Charge", "Fault")
